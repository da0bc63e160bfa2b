"""The report of an impact study: question, plan, results, harms, economics, checklists.

html = impact_report(Study(id, body, economics), Language.EN)
"""

from collections.abc import Iterator, Sequence

from federation.domain.ids import Sha256
from federation.evidence.canonical import canonical
from federation.figures import evaluation as drawn
from federation.figures.evaluation import Estimated
from federation.wording import Language, Text
from registry.impact.study import ImpactStudy, Measure, Result
from registry.reports import economics
from registry.reports.checklists import Checklist, checklists
from registry.reports.checklists.answers import Study, answer_of, plain
from registry.reports.layout import (
    NONE,
    Block,
    Cell,
    Chip,
    Facts,
    Figure,
    Notice,
    Report,
    Section,
    Table,
    Tone,
    estimate,
    filled,
    named,
)
from registry.reports.rendering import render
from registry.reports.wording import DESIGNS

KIND = Text(en="Impact study", zh="影響性研究報告")
_ALWAYS = frozenset({"CONSORT-AI", "DECIDE-AI"})
_ROLES = {
    "primary": Text(en="primary", zh="主要"),
    "secondary": Text(en="secondary", zh="次要"),
}
_BETTER = {
    "higher": Text(en="higher is better", zh="愈高愈好"),
    "lower": Text(en="lower is better", zh="愈低愈好"),
}


def impact_report(study: Study, language: Language) -> str:
    """Return the report as one HTML page with its figures inside."""
    return render(layout(study), language)


def layout(study: Study) -> Report:
    """Return the report of a study."""
    body = study.body
    sections: list[Section] = [
        _question(body),
        _plan(body),
        _results(body),
        _harms(body),
        *(economics.sections(study.economics) if study.economics else ()),
        *_checklists(study),
        _provenance(study),
    ]
    return Report(
        kind=KIND,
        title=plain(body.title),
        under=f"{study.id} · {body.entry}",
        source=_digest(body),
        sections=[one for one in sections if one.blocks],
        verdict=_verdict(body),
        facts=_overview(body),
    )


def _digest(body: ImpactStudy) -> str:
    return str(Sha256.of(canonical(body.as_json())))


def _verdict(body: ImpactStudy) -> tuple[Chip, Text]:
    """Return what became of the primary measures, by their intervals alone."""
    primary = {one.id for one in body.measures if one.role == "primary"}
    found = [one for one in body.results if one.measure in primary]
    if not found:
        return Chip(Text(en="no results yet", zh="尚無結果"), Tone.WAITING), _NOT_YET
    better = {one.id: one.better for one in body.measures}
    if any(
        _is_clear(one, "lower" if better[one.measure] == "higher" else "higher") for one in found
    ):
        return Chip(Text(en="worse", zh="變差"), Tone.STOP), _WORSE
    if all(_is_clear(one, better[one.measure]) for one in found):
        return Chip(Text(en="better", zh="改善"), Tone.GOOD), _FOUND
    return Chip(Text(en="no sure difference", zh="未能確認差異"), Tone.CARE), _NOT_SURE


_NOT_YET = Text(
    en="Results are written after the data were locked under the logged plan.",
    zh="資料依已登錄之計畫鎖定後,始填入結果。",
)
_FOUND = Text(
    en="All primary measures improved; no interval holds no difference.",
    zh="所有主要指標均改善,其區間均未包含「無差異」。",
)
_WORSE = Text(
    en="A primary measure got worse; its interval does not hold no difference.",
    zh="有主要指標變差,其區間未包含「無差異」。",
)
_NOT_SURE = Text(
    en="The interval of a primary measure holds no difference. That is no proof of none.",
    zh="有主要指標之區間包含「無差異」;此並不證明沒有差異。",
)


def _null(result: Result) -> float:
    """Return what no difference is: 1 of a ratio, else 0."""
    return 1.0 if "ratio" in result.method.lower() else 0.0


def _is_clear(result: Result, direction: str) -> bool:
    """Say whether the whole interval lies on one side of no difference."""
    null = _null(result)
    return result.low > null if direction == "higher" else result.high < null


def _overview(body: ImpactStudy) -> Facts:
    people = [one.n for one in body.results]
    return Facts(
        (
            (Text(en="Design", zh="設計"), DESIGNS[body.design]),
            (Text(en="Hospitals", zh="院所數"), str(len(body.sites))),
            (Text(en="Patients needed", zh="所需人數"), f"{body.sample_size.needed:,}"),
            (Text(en="Analysed", zh="分析人數"), f"{max(people):,}" if people else NONE),
        )
    )


def _question(body: ImpactStudy) -> Section:
    facts = Facts(
        (
            (Text(en="Population", zh="族群"), plain(body.pico.population)),
            (Text(en="Intervention", zh="介入"), plain(body.pico.intervention)),
            (Text(en="Comparator", zh="對照"), plain(body.pico.comparator)),
            (Text(en="Outcome", zh="結果"), plain(body.pico.outcome)),
            (Text(en="Estimand", zh="估計標的"), plain(body.estimand)),
        )
    )
    return Section("question", Text(en="Question", zh="研究問題"), (facts,))


def _plan(body: ImpactStudy) -> Section:
    size, board, registered = body.sample_size, body.irb, body.registration
    ethics = f"{board.board} {board.number}, {board.expires}" if board else NONE
    facts = Facts(
        (
            (Text(en="Hospitals", zh="院所"), ", ".join(body.sites)),
            (Text(en="Clusters", zh="群集數"), str(body.clusters) if body.clusters else NONE),
            (
                Text(en="Sample size", zh="樣本數"),
                filled(
                    Text(
                        en="{needed} at a power of {power}, two-sided level {alpha}. {why}",
                        zh="{needed} 人,檢定力 {power},雙尾顯著水準 {alpha}。{why}",
                    ),
                    needed=f"{size.needed:,}",
                    power=size.power,
                    alpha=size.alpha,
                    why=plain(size.assumptions),
                ),
            ),
            (
                Text(en="Analysis plan, logged before unblinding", zh="分析計畫(揭盲前登錄)"),
                body.sap_hash or _MISSING,
            ),
            (Text(en="Allocation list", zh="隨機分派表"), body.randomisation_hash or NONE),
            (
                Text(en="Public register", zh="公開登錄"),
                f"{registered.registry} {registered.number}" if registered else NONE,
            ),
            (Text(en="Ethics approval", zh="倫理審查核准"), ethics),
        )
    )
    columns = (
        Text(en="measure", zh="指標"),
        Text(en="role", zh="角色"),
        Text(en="unit", zh="單位"),
        Text(en="direction", zh="方向"),
    )
    rows = [
        (plain(one.title), _ROLES[one.role], one.unit, _BETTER[one.better]) for one in body.measures
    ]
    table = Table(Text(en="Measures, in their order.", zh="指標(依序)。"), columns, rows)
    return Section("plan", Text(en="Design and plan", zh="設計與計畫"), (facts, table))


_MISSING = Chip(Text(en="not logged", zh="未登錄"), Tone.STOP)


def _results(body: ImpactStudy) -> Section:
    if not body.results:
        return Section("results", "", ())
    measures = {one.id: one for one in body.measures}
    columns = (
        Text(en="measure", zh="指標"),
        Text(en="effect (interval)", zh="效果(區間)"),
        Text(en="unit", zh="單位"),
        Text(en="patients", zh="人數"),
        Text(en="analysis", zh="分析方法"),
    )
    rows = [
        (
            plain(measures[one.measure].title),
            estimate(one.estimate, one.low, one.high),
            _unit(one, measures[one.measure]),
            f"{one.n:,}",
            one.method,
        )
        for one in body.results
    ]
    caption = Text(
        en="Intervention against comparator, as planned.", zh="介入組對對照組,依計畫分析。"
    )
    figures = list(_figures(body.results, measures))
    table = Table(caption, columns, rows, frozenset({1, 3}))
    return Section("results", Text(en="Results", zh="結果"), (*figures, table))


def _unit(result: Result, measure: Measure) -> Cell:
    return Text(en="ratio", zh="比值") if _null(result) == 1.0 else measure.unit


def _figures(results: Sequence[Result], measures: dict[str, Measure]) -> Iterator[Figure]:
    """Yield a forest for each unit: effects of other units do not share an axis."""
    by_unit: dict[tuple[str, float], list[Result]] = {}
    for one in results:
        null = _null(one)
        unit = "" if null == 1.0 else measures[one.measure].unit
        by_unit.setdefault((unit, null), []).append(one)
    for place, ((unit, null), found) in enumerate(by_unit.items(), start=1):
        yield _forest(f"effects-{place}", unit, null, found, measures)


def _forest(
    name: str, unit: str, null: float, found: Sequence[Result], measures: dict[str, Measure]
) -> Figure:
    rows = [
        Estimated(plain(measures[one.measure].title), one.estimate, one.low, one.high)
        for one in found
    ]
    title = Text(en="Effect of the intervention", zh="介入之效果")
    axis = named(unit) if unit else Text(en="ratio", zh="比值")
    data = [(one.measure, one.estimate, one.low, one.high, one.n) for one in found]
    return Figure(
        name,
        lambda language: drawn.forest(title, axis, rows, language, line=null),
        ("measure", "estimate", "low", "high", "n"),
        data,
    )


def _harms(body: ImpactStudy) -> Section:
    blocks: list[Block] = []
    if body.harms:
        columns = (Text(en="harm", zh="危害"), Text(en="patients", zh="人數"))
        rows: list[tuple[Cell, ...]] = [
            (one.kind, f"{one.patients:,}" if one.patients is not None else _FEW)
            for one in body.harms
        ]
        caption = Text(en="As recorded during the study.", zh="研究期間之紀錄。")
        blocks.append(Table(caption, columns, rows, frozenset({1})))
    elif body.results:
        blocks.append(Notice(_NO_HARMS, Tone.CARE))
    return Section("harms", Text(en="Harms", zh="危害"), blocks)


_FEW = Chip(Text(en="fewer than ten, not shown", zh="少於十人,不予顯示"), Tone.WAITING)
_NO_HARMS = Text(
    en="Nothing is recorded of harms, not even that there were none.",
    zh="未記錄任何危害資訊,亦未記載無危害。",
)


def _checklists(study: Study) -> Iterator[Section]:
    names = set(study.body.checklists) | _ALWAYS
    names |= {"CHEERS-AI"} if study.body.economic or study.economics else set()
    for one in checklists(names):
        yield _checklist(one, study)


def _checklist(one: Checklist, study: Study) -> Section:
    answers = [(item, answer_of(item.field, study)) for item in one.item]
    known = sum(answer is not None for _, answer in answers)
    said = Text(
        en="{known} of {all} items are answered from the record; the others are the authors' to "
        "write.",
        zh="{all} 項中有 {known} 項由紀錄自動填入,其餘須由作者撰寫。",
    )
    columns = (
        Text(en="item", zh="條目"),
        Text(en="what is asked", zh="要求內容"),
        Text(en="from the record", zh="紀錄所載"),
    )
    rows = [
        (f"{item.id} · AI" if item.ai and "AI" not in item.id else item.id, plain(item.asks),
         _TO_WRITE if answer is None else answer)
        for item, answer in answers
    ]  # fmt: skip
    blocks = (
        filled(said, known=known, all=len(answers)),
        Notice(plain(one.note), Tone.WAITING),
        Table(plain(one.title), columns, rows),
    )
    title = filled(Text(en="Checklist {name}", zh="檢核表 {name}"), name=one.id)
    return Section(f"checklist-{one.id.lower()}", title, blocks)


_TO_WRITE = Chip(Text(en="to be written", zh="待作者撰寫"), Tone.CARE)


def _provenance(study: Study) -> Section:
    body = study.body
    facts = Facts(
        (
            (Text(en="Version", zh="版本"), body.entry),
            (
                Text(en="Data frozen", zh="資料凍結"),
                ", ".join(f"{one.at} {one.digest}" for one in body.data_cuts) or NONE,
            ),
            (
                Text(en="Economic results", zh="經濟評估結果"),
                study.economics.digest if study.economics else NONE,
            ),
            (Text(en="This report was made from", zh="本報告之來源文件"), _digest(body)),
        )
    )
    return Section("provenance", Text(en="Where it comes from", zh="來源與可驗證性"), (facts,))
