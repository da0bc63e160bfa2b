"""The report of one version's evaluation: what the policy says, then every figure.

    html = evaluation_report(read_evaluation(content), Language.EN)

Pure but for the drawing: the layout follows from the document alone.
"""

from collections.abc import Iterator, Mapping

from federation.evaluation.policy import Verdict
from federation.evaluation.sliced import EVERYONE
from federation.evaluation.suppression import REASONS, Reason
from federation.wording import Language, Text, without_fields
from registry.reports import evaluation_figures as drawings
from registry.reports import wording
from registry.reports.documents import (
    Assessment,
    EvaluationDocument,
    Finding,
    Gap,
    Rate,
    Refused,
    SliceFigures,
)
from registry.reports.layout import (
    NONE,
    Block,
    Cell,
    Chip,
    Facts,
    Notice,
    Report,
    Section,
    Table,
    Tone,
    Words,
    estimate,
    filled,
    interval,
    named,
    number,
)
from registry.reports.rendering import render

KIND = Text(en="Evaluation report", zh="評估報告")
_VALUE = Text(en="value (95 % interval)", zh="數值(95% 區間)")
_NOT_COMPUTED = Text(en="not computed", zh="未計算")
_HIDDEN = Chip(Text(en="not shown", zh="不予顯示"), Tone.WAITING)
_BAND = Text(en="between {low} and {high}", zh="介於 {low} 與 {high}")
_CASES = Text(en="cases", zh="個案數")
_MEASURE = Text(en="measure", zh="指標")
_WHERE = Text(en="group", zh="組別")


def evaluation_report(document: EvaluationDocument, language: Language) -> str:
    """Return the report as one HTML page with its figures inside."""
    return render(layout(document), language)


def layout(document: EvaluationDocument) -> Report:
    """Return the report of an evaluation."""
    decision = document.decision
    said = filled(wording.VERDICT_SAID[decision.verdict], risk=wording.RISKS[decision.risk])
    sections = (
        _decision(document),
        _discrimination(document),
        _calibration(document),
        _groups(document),
        _sites(document),
        _benefit(document),
        _robustness(document),
        _drift(document),
        _privacy(document),
        _withheld(document),
        _provenance(document),
    )
    return Report(
        kind=KIND,
        title=document.about.entry,
        under=document.about.study,
        source=document.digest,
        sections=[one for one in sections if one.blocks],
        verdict=(wording.VERDICTS[decision.verdict], said),
        facts=_overview(document),
    )


def _overview(document: EvaluationDocument) -> Facts | None:
    whole = document.assessment.slices.get(EVERYONE)
    if whole is None:
        return None
    threshold = filled(
        Text(en="at the threshold {threshold}", zh="於閾值 {threshold}"),
        threshold=number(document.plan.threshold, 2),
    )
    rates = [
        (_beside(wording.RATES[name], threshold), _rate(whole.rates[name]))
        for name in ("sensitivity", "specificity")
        if name in whole.rates
    ]
    return Facts(
        (
            (Text(en="AUROC", zh="AUROC"), estimate(whole.auroc.value, *whole.auroc.ends)),
            *rates,
            (Text(en="Patients evaluated", zh="評估病人數"), f"{whole.cases:,}"),
            (Text(en="Hospitals", zh="院所數"), str(len(document.about.sites))),
        )
    )


def _beside(name: Text, more: Text) -> Text:
    return Text(en=f"{name.en} {more.en}", zh=f"{name.zh}({more.zh})")


def _decision(document: EvaluationDocument) -> Section:
    columns = (
        Text(en="rule", zh="規則"),
        Text(en="result", zh="結果"),
        Text(en="why", zh="說明"),
        Text(en="what to do next", zh="後續處理"),
    )
    caption = filled(
        Text(
            en="Policy {digest}, thresholds for {risk}.",
            zh="政策 {digest},適用{risk}之門檻。",
        ),
        digest=document.decision.policy_sha256[:12],
        risk=wording.RISKS[document.decision.risk],
    )
    rows = [_finding(one) for one in _worst_first(document)]
    table = Table(caption, columns, rows)
    return Section("decision", Text(en="What the policy says", zh="政策判定"), (table,))


def _worst_first(document: EvaluationDocument) -> list[Finding]:
    order = list(Verdict)[::-1]
    return sorted(document.decision.findings, key=lambda one: order.index(one.verdict))


def _finding(one: Finding) -> tuple[Cell, ...]:
    reason = Text(
        en=without_fields(one.reason["en"]),
        zh=without_fields(one.reason["zh-Hant-TW"]),
    )
    title = wording.RULES.get(one.rule, named(one.rule))
    return title, wording.FINDINGS[one.verdict], reason, wording.NEXT[one.verdict]


def _discrimination(document: EvaluationDocument) -> Section:
    found = document.assessment
    blocks: list[Block] = []
    if document.curves and document.curves.roc and EVERYONE in found.slices:
        blocks.append(drawings.roc(document.curves, found.slices[EVERYONE]))
    if EVERYONE in found.slices:
        blocks.append(_whole_table(document, found.slices[EVERYONE]))
    else:
        blocks.append(Notice(_NOTHING))
    title = Text(en="Can it tell who has the finding?", zh="鑑別力")
    return Section("discrimination", title, blocks)


_NOTHING = Text(
    en="Nothing of this evaluation may be shown: one class has too few cases.",
    zh="本評估無法顯示任何數值:其中一類個案過少。",
)


def _whole_table(document: EvaluationDocument, whole: SliceFigures) -> Table:
    bootstrap = document.assessment.bootstrap
    rows: list[tuple[Cell, ...]] = [
        (Text(en="AUROC (DeLong)", zh="AUROC(DeLong)"), _estimated(whole)),
        (
            Text(en="AUROC, bootstrap interval", zh="AUROC 之拔靴區間"),
            interval(*bootstrap) if bootstrap else _NOT_COMPUTED,
        ),
        (Text(en="Average precision", zh="平均精確度"), number(whole.average_precision)),
        *((name, _rate(whole.rates[rate])) for rate, name in _rates(whole)),
    ]
    caption = filled(
        Text(
            en="Everyone, {cases} patients; rates at the threshold {threshold}.",
            zh="全部個案,共 {cases} 位病人;比率於閾值 {threshold} 計算。",
        ),
        cases=f"{whole.cases:,}",
        threshold=number(document.plan.threshold, 2),
    )
    return Table(caption, (_MEASURE, _VALUE), rows, frozenset({1}))


def _rates(whole: SliceFigures) -> Iterator[tuple[str, Text]]:
    return ((rate, name) for rate, name in wording.RATES.items() if rate in whole.rates)


def _estimated(one: SliceFigures) -> str:
    return estimate(one.auroc.value, *one.auroc.ends)


def _rate(rate: Rate) -> Cell:
    """Return a rate as shown: with its interval, as a band, or not at all."""
    if rate.value is not None and rate.interval is not None:
        return estimate(rate.value, *rate.interval)
    if rate.band is not None:
        low, high = (number(one, 2) for one in rate.band)
        return filled(_BAND, low=low, high=high)
    return _HIDDEN


def _calibration(document: EvaluationDocument) -> Section:
    found, blocks = document.assessment, list[Block]()
    if document.curves and document.curves.reliability:
        blocks.append(drawings.reliability(document.curves))
    whole = found.slices.get(EVERYONE)
    if whole is not None:
        blocks.append(_calibration_table(found.slices))
    title = Text(en="Do its probabilities mean what they say?", zh="校準度")
    return Section("calibration", title, blocks)


def _calibration_table(slices: Mapping[str, SliceFigures]) -> Table:
    columns = (
        _WHERE,
        Text(en="slope", zh="斜率"),
        Text(en="in the large", zh="整體校準"),
        Text(en="calibration error", zh="校準誤差(ECE)"),
        Text(en="Brier", zh="Brier 分數"),
    )
    rows = [
        (
            wording.slice_named(name),
            estimate(one.slope.value, *one.slope.ends, 2) if one.slope else _NOT_COMPUTED,
            estimate(one.in_the_large.value, *one.in_the_large.ends, 2)
            if one.in_the_large
            else _NOT_COMPUTED,
            number(one.ece),
            number(one.brier),
        )
        for name, one in _everyone_first(slices)
    ]
    caption = Text(
        en="A slope of 1 and 0 in the large are ideal. Calibration error: ten groups of equal "
        "width.",
        zh="斜率 1、整體校準 0 為理想值。校準誤差以十個等寬組計算。",
    )
    return Table(caption, columns, rows, frozenset({1, 2, 3, 4}))


def _groups(document: EvaluationDocument) -> Section:
    found, blocks = document.assessment, list[Block]()
    if len(found.slices) > 1:
        blocks += [drawings.by_group(found), _parts_table(found.slices)]
    if found.fairness is not None and found.fairness.gaps:
        blocks.append(drawings.gaps(found.fairness))
        blocks.append(_gaps_table(found.fairness.gaps, found.fairness.purpose))
        blocks.append(_DETECTABLE)
    return Section("groups", Text(en="Is it as good for everyone?", zh="各族群之公平性"), blocks)


_DETECTABLE = Text(
    en="The smallest gap that could be found (power 0.8) stands beside each gap of rates: where "
    "it is wide, finding nothing proves nothing.",
    zh="各比率差距旁列出可偵測的最小差距(檢定力 0.8);若此值偏大,未發現差距並不表示沒有差距。",
)


def _parts_table(parts: Mapping[str, SliceFigures]) -> Table:
    columns = (_WHERE, _CASES, Text(en="AUROC", zh="AUROC"), *wording.RATES.values())
    rows = [
        (
            wording.slice_named(name),
            f"{one.cases:,}",
            _estimated(one),
            *(_rate(one.rates[rate]) if rate in one.rates else NONE for rate in wording.RATES),
        )
        for name, one in _everyone_first(parts)
    ]
    caption = Text(en="With 95 % intervals.", zh="附 95% 區間。")
    return Table(caption, columns, rows, frozenset(range(1, 7)))


def _everyone_first(parts: Mapping[str, SliceFigures]) -> list[tuple[str, SliceFigures]]:
    return sorted(parts.items(), key=lambda one: (one[0] != EVERYONE, one[0]))


def _gaps_table(gaps: tuple[Gap, ...], purpose: object) -> Table:
    columns = (
        _MEASURE,
        _WHERE,
        Text(en="against", zh="參考組"),
        Text(en="gap (interval)", zh="差距(區間)"),
        Text(en="adjusted p", zh="校正後 p 值"),
        Text(en="smallest gap found", zh="可偵測之最小差距"),
    )
    rows = [
        (
            wording.GAPS[one.figure],
            wording.slice_named(one.group),
            wording.slice_named(one.reference),
            estimate(one.gap, *one.interval),
            _p_value(one.adjusted_p),
            number(one.detectable) if one.detectable is not None else NONE,
        )
        for one in gaps
    ]
    caption = next(said for one, said in wording.PURPOSES.items() if one is purpose)
    return Table(caption, columns, rows, frozenset({3, 4, 5}))


def _p_value(value: float) -> str:
    return "< 0.001" if value < 0.001 else number(value)


def _sites(document: EvaluationDocument) -> Section:
    found, blocks = document.assessment, list[Block]()
    if found.sites:
        blocks += _from_counts(document)
    elif document.own:
        blocks += [drawings.own(document.own, found), _OWN]
    if found.heterogeneity is not None:
        blocks.append(_between(found))
    if document.matrix is not None:
        blocks.append(drawings.matrix(document.matrix))
    return Section("sites", Text(en="Is it as good everywhere?", zh="跨院一致性"), blocks)


_OWN = Text(
    en="Each hospital's figure is the one it showed of itself and signed; the centre saw only "
    "the sum of their counts.",
    zh="各院數值由該院自行計算、簽署並公開;中心僅見各院計數之總和。",
)


def _from_counts(document: EvaluationDocument) -> Iterator[Block]:
    """Yield the hospitals' figures where their counts were seen one by one."""
    sites = document.assessment.sites
    hidden = [name for name in document.about.sites if name not in sites]
    yield drawings.by_site(document.assessment, hidden)
    yield _parts_table(sites)
    if hidden:
        said = Text(
            en="Not shown on their own, because of few cases: {sites}. They are in every sum.",
            zh="以下院所因個案過少,不單獨顯示,但均已計入總和:{sites}。",
        )
        yield Notice(filled(said, sites=", ".join(hidden)), Tone.WAITING)


def _between(found: Assessment) -> Facts:
    between = found.heterogeneity
    assert between is not None  # the caller saw to it
    ends = [drawings.from_logit(one) for one in between.prediction or ()]
    expected: Cell = interval(ends[0], ends[1]) if ends else _NOT_COMPUTED
    pooled = [drawings.from_logit(one) for one in (between.pooled.value, *between.pooled.ends)]
    return Facts(
        (
            (
                Text(en="AUROC over sites (random effects)", zh="跨院 AUROC(隨機效應)"),
                estimate(pooled[0], pooled[1], pooled[2]),
            ),
            (
                Text(en="Expected at a new hospital (95 %)", zh="於新院所之預測區間(95%)"),
                expected,
            ),
            (
                Text(en="Differences that are not chance (I²)", zh="非偶然之差異(I²)"),
                f"{100 * between.i_squared:.0f} %",
            ),
        )
    )


def _benefit(document: EvaluationDocument) -> Section:
    curve, blocks = document.assessment.net_benefit, list[Block]()
    if curve:
        blocks.append(drawings.decision(curve))
        columns = (
            Text(en="threshold", zh="閾值機率"),
            Text(en="model", zh="模型"),
            Text(en="treat all", zh="全部處置"),
            Text(en="best", zh="最佳者"),
        )
        rows = [
            (
                number(one.threshold, 2),
                number(one.model),
                number(one.treat_all),
                _best(one.model, one.treat_all),
            )
            for one in curve
        ]
        caption = Text(
            en="Net benefit, in true positives a patient; treating none is 0.",
            zh="淨效益,以每位病人之真陽性計;全部不處置為 0。",
        )
        blocks.append(Table(caption, columns, rows, frozenset({0, 1, 2})))
    return Section("benefit", Text(en="Is acting on it worth it?", zh="臨床淨效益"), blocks)


def _best(model: float, treat_all: float) -> Text:
    if model > max(treat_all, 0.0):
        return Text(en="model", zh="模型")
    if treat_all > 0:
        return Text(en="treat all", zh="全部處置")
    return Text(en="treat none", zh="全部不處置")


def _robustness(document: EvaluationDocument) -> Section:
    if not document.robustness:
        return Section("robustness", "", ())
    severities = max(len(one.aurocs) for one in document.robustness)
    columns: tuple[Words, ...] = (
        Text(en="what gets worse", zh="劣化方式"),
        *(str(one + 1) for one in range(severities)),
        Text(en="lost of what is above chance", zh="優於隨機部分之損失"),
    )
    rows: list[tuple[Cell, ...]] = [
        (
            wording.corruption(one.corruption),
            *(number(found.value) for found in one.aurocs),
            *([NONE] * (severities - len(one.aurocs))),
            f"{100 * sum(one.relative) / max(1, len(one.relative)):.0f} %",
        )
        for one in document.robustness
    ]
    caption = Text(en="AUROC by severity; the mean loss.", zh="各嚴重程度之 AUROC,以及平均損失。")
    blocks: list[Block] = [
        drawings.robustness(document),
        Table(caption, columns, rows, frozenset(range(1, severities + 2))),
    ]
    odd = [one.corruption for one in document.robustness if not one.monotone]
    if odd:
        said = Text(
            en="It gets better at some severity: {names}. Look at these corruptions.",
            zh="部分嚴重程度反而較佳:{names}。請檢視該劣化方式。",
        )
        blocks.append(Notice(filled(said, names=", ".join(odd)), Tone.WAITING))
    return Section(
        "robustness", Text(en="What if images get worse?", zh="影像劣化之穩健性"), blocks
    )


def _drift(document: EvaluationDocument) -> Section:
    if not document.drift:
        return Section("drift", "", ())
    columns = (
        Text(en="variable", zh="變項"),
        "PSI",
        "KS",
        Text(en="Jensen-Shannon (bits)", zh="Jensen-Shannon(位元)"),
        Text(en="p (chi-square)", zh="p 值(卡方)"),
    )
    rows = [
        (
            wording.variable(one.variable),
            number(one.psi),
            number(one.ks),
            number(one.jensen_shannon),
            _p_value(one.p_value),
        )
        for one in document.drift
    ]
    caption = Text(
        en="Against the patients it was trained on. PSI bands are convention: below 0.1 little, "
        "above 0.25 much.",
        zh="與訓練病人相比。PSI 分級為慣例:低於 0.1 變動小,高於 0.25 變動大。",
    )
    shown = [drawings.drift(one) for one in document.drift if one.distribution]
    table = Table(caption, columns, rows, frozenset({1, 2, 3, 4}))
    return Section("drift", Text(en="Have the patients changed?", zh="資料漂移"), (*shown, table))


def _privacy(document: EvaluationDocument) -> Section:
    found = document.attack
    if found is None:
        return Section("privacy", "", ())
    points = [
        (
            filled(
                Text(
                    en="Members found at a false positive rate of {rate} (95 % interval)",
                    zh="偽陽性率 {rate} 時可辨識之訓練個案比例(95% 區間)",
                ),
                rate=f"{100 * one.allowed:g} %",
            ),
            interval(*one.interval) if one.interval else _HIDDEN,
        )
        for one in found.points
    ]
    facts = Facts(
        (
            (
                Text(en="AUROC of the attack (0.5 is a guess)", zh="攻擊之 AUROC(0.5 等於猜測)"),
                estimate(found.auroc.value, *found.auroc.ends),
            ),
            (
                Text(en="Advantage over guessing", zh="相對於猜測之優勢"),
                number(found.advantage),
            ),
            *points,
        )
    )
    title = Text(en="Does it remember its patients?", zh="是否記住訓練病人")
    return Section("privacy", title, (facts,))


def _withheld(document: EvaluationDocument) -> Section:
    found, blocks = document.assessment, list[Block]()
    rule = Text(
        en="No number here counts 1 to {most} patients, and none can be had by subtraction. "
        "Not shown never means zero.",
        zh="本報告不呈現 1 至 {most} 位病人的數值,亦無法由相減推得。不予顯示不代表為零。",
    )
    blocks.append(filled(rule, most=document.plan.smallest_cell - 1))
    if found.refusals:
        columns = (
            Text(en="of", zh="對象"),
            Text(en="not shown", zh="不予顯示者"),
            Text(en="because", zh="原因"),
        )
        rows = list(_refusals(found.refusals))
        blocks.append(Table(Text(en="Not shown", zh="不予顯示"), columns, rows))
    if found.failures:
        named_by = (Text(en="not computed", zh="未能計算者"), Text(en="code", zh="代碼"))
        failed = [(_failed(one.name), one.code) for one in found.failures]
        blocks.append(Table(Text(en="Could not be computed", zh="未能計算"), named_by, failed))
    return Section("withheld", Text(en="What is not shown", zh="不予顯示之內容"), blocks)


def _failed(name: str) -> Text:
    """Return what could not be computed, in words where they are known."""
    group, _, rest = name.partition(" ")
    if rest == "calibration":
        return filled(_CALIBRATION_OF, group=wording.slice_named(group))
    return _COMPUTED.get(name) or wording.slice_named(name)


_CALIBRATION_OF = Text(en="calibration of {group}", zh="{group}之校準")
_COMPUTED: Mapping[str, Text] = {
    "fairness": Text(en="a comparison of groups", zh="組間比較"),
    "heterogeneity": Text(en="differences between hospitals", zh="跨院差異"),
}


def _refusals(refusals: tuple[Refused, ...]) -> Iterator[tuple[Cell, ...]]:
    """Yield a row for each group and reason, with all that is not shown of it."""
    rows: dict[tuple[str, Reason, int], list[Text]] = {}
    for one in refusals:
        group, what = _parted(one.name)
        told = rows.setdefault((group, one.refused, one.k), [])
        if what not in told:
            told.append(what)
    for (group, reason, k), told in rows.items():
        what = Text(en=", ".join(one.en for one in told), zh="、".join(one.zh for one in told))
        yield wording.slice_named(group), what, filled(REASONS[reason], k=k)


def _parted(name: str) -> tuple[str, Text]:
    """Return the group a refusal is of, and which of its figures."""
    first, _, rest = name.partition(" ")
    if rest in wording.RATES:
        return first, wording.RATES[rest]
    if first in _GAPS:
        return rest, _GAPS[first]
    if name.startswith("net benefit "):
        return EVERYONE, filled(_NET_BENEFIT, threshold=name.removeprefix("net benefit "))
    if first == "drift":
        return EVERYONE, filled(_DISTRIBUTION, variable=wording.variable(rest))
    if first == "robustness":
        return EVERYONE, filled(_ROBUSTNESS, corruption=wording.corruption(rest))
    if first == "membership":
        return EVERYONE, wording.RULES["membership"]
    return name, _ALL_OF_IT


_ALL_OF_IT = Text(en="everything", zh="所有數值")
_NET_BENEFIT = Text(en="net benefit at {threshold}", zh="閾值 {threshold} 之淨效益")
_ROBUSTNESS = Text(en="robustness to {corruption}", zh="{corruption}之穩健性")
_DISTRIBUTION = Text(en="distribution of {variable}", zh="{variable}分布")
_GAPS: Mapping[str, Text] = {
    one.value: Text(en=f"gap in {name.en.lower()}", zh=f"{name.zh}差距")
    for one, name in wording.GAPS.items()
}


def _provenance(document: EvaluationDocument) -> Section:
    about = document.about
    logged: Cell = _NOT_LOGGED if about.log_index is None else f"{about.log_index:,}"
    facts = Facts(
        (
            (Text(en="Version", zh="版本"), about.entry),
            (Text(en="Model file", zh="模型檔"), about.weights),
            (Text(en="Protocol, logged before the run", zh="方案(執行前登錄)"), about.protocol),
            (Text(en="Place in the evidence log", zh="證據紀錄之位置"), logged),
            (Text(en="Study and run", zh="研究與執行"), f"{about.study} · {about.run}"),
            (Text(en="Hospitals", zh="院所"), ", ".join(about.sites)),
            (Text(en="How exact", zh="精確程度"), wording.EXACTNESS[about.exactness]),
            (Text(en="How counts were added", zh="加總方式"), wording.MASKED[about.masked]),
            (Text(en="Policy", zh="政策"), f"sha256:{document.decision.policy_sha256}"),
            (Text(en="This report was made from", zh="本報告之來源文件"), document.digest),
        )
    )
    return Section("provenance", Text(en="Where it comes from", zh="來源與可驗證性"), (facts,))


_NOT_LOGGED = Chip(Text(en="not in the log", zh="未登錄"), Tone.STOP)
