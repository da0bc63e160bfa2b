"""The report of an economic model: what each strategy is worth, and how sure that is.

html = economics_report(read_economics(content), Language.EN)
"""

from collections.abc import Mapping, Sequence

from federation.economics.parameters import TAIWAN_EQ5D5L
from federation.figures.canvas import filled
from federation.figures.numerals import NONE, interval, number
from federation.wording import Language, Text, without_fields
from registry.reports import economics_figures as drawings
from registry.reports.documents.economics import EconomicDocument, Ranked
from registry.reports.layout import (
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
    named,
)
from registry.reports.rendering import render
from registry.reports.wording import PERSPECTIVES, correction

KIND = Text(en="Economic evaluation", zh="經濟評估報告")
ASSUMED = frozenset({"assumption", "假設"})
"""What a source says that is none."""

_STANDING: Mapping[str, Chip] = {
    "ND": Chip(Text(en="on the frontier", zh="位於前緣"), Tone.GOOD),
    "D": Chip(Text(en="dominated", zh="被支配"), Tone.STOP),
    "ED": Chip(Text(en="extendedly dominated", zh="被延伸支配"), Tone.CARE),
}
_STRATEGY = Text(en="strategy", zh="策略")
_MOST_ROWS = 12


def economics_report(document: EconomicDocument, language: Language) -> str:
    """Return the report as one HTML page with its figures inside."""
    return render(layout(document), language)


def layout(document: EconomicDocument) -> Report:
    """Return the report of an economic model."""
    return Report(
        kind=KIND,
        title=Text(en=without_fields(document.title.en), zh=without_fields(document.title.zh)),
        under=document.price_base,
        source=document.digest,
        sections=[one for one in sections(document) if one.blocks],
        verdict=_verdict(document),
        facts=_overview(document),
    )


def sections(document: EconomicDocument) -> Sequence[Section]:
    """Return the parts, also for the report of a study that has such a model."""
    return (
        _frontier(document),
        _plane(document),
        _acceptability(document),
        _information(document),
        _tornado(document),
        _budget(document),
        _sources(document),
        _model(document),
    )


def _verdict(document: EconomicDocument) -> tuple[Chip, Text]:
    best = document.frontier[0]
    said = Text(
        en="At {threshold} for one QALY, {strategy} has the highest expected net benefit; it is "
        "the best choice in {share} % of the draws.",
        zh="每一 QALY 願付 {threshold} 時,{strategy}之期望淨效益最高;"
        "在 {share}% 的抽樣中為最佳選擇。",
    )
    chip = Chip(Text(en="result", zh="結果"), Tone.WAITING)
    threshold = _money(document.thresholds[0], document)
    share = f"{100 * best.share:.0f}"
    return chip, filled(said, threshold=threshold, strategy=best.best, share=share)


def _overview(document: EconomicDocument) -> Facts:
    best, added = (
        document.base_case[0],
        next((one for one in document.base_case if one.icer is not None), None),
    )
    price = document.threshold_price
    return Facts(
        (
            (
                Text(en="Cost of one more QALY", zh="每增加一 QALY 之成本(ICER)"),
                _money(added.icer, document) if added else filled(_DOMINATES, best=best.strategy),
            ),
            (
                Text(en="Worth it up to a price of", zh="符合成本效益之最高單價"),
                _money(price, document),
            ),
            (Text(en="Seen by", zh="觀點"), PERSPECTIVES[document.perspective]),
            (
                Text(en="Horizon", zh="時間範圍"),
                filled(
                    Text(en="{years} years", zh="{years} 年"),
                    years=f"{document.horizon.years:g}",
                ),
            ),
        )
    )


def _money(value: float | None, document: EconomicDocument) -> str:
    """Return an amount with its currency, the first word of the price base."""
    if value is None:
        return NONE
    return f"{document.price_base.partition(' ')[0]} {number(value, 0)}"


_DOMINATES = Text(en="none: {best} does more and costs less", zh="無:{best}效果較佳且成本較低")


def _frontier(document: EconomicDocument) -> Section:
    base = filled(
        Text(
            en="At the means of all parameters, a person; costs in {base}.",
            zh="所有參數取平均,每人;成本以 {base} 計。",
        ),
        base=document.price_base,
    )
    mean = filled(
        Text(
            en="Mean of {draws} draws, a person; costs in {base}.",
            zh="{draws} 次抽樣之平均,每人;成本以 {base} 計。",
        ),
        draws=f"{document.draws:,}",
        base=document.price_base,
    )
    blocks = (_ranking(base, document.base_case), _ranking(mean, document.mean_case))
    title = Text(en="What strategies cost and do", zh="各策略之成本與效果")
    return Section("frontier", title, blocks)


def _ranking(caption: Text, ranked: Sequence[Ranked]) -> Table:
    columns = (
        _STRATEGY,
        Text(en="cost", zh="成本"),
        Text(en="QALYs", zh="QALY"),
        Text(en="more cost", zh="增量成本"),
        Text(en="more QALYs", zh="增量 QALY"),
        Text(en="cost of one QALY", zh="ICER"),
        Text(en="standing", zh="判定"),
    )
    rows = [
        (
            one.strategy,
            number(one.cost, 0),
            number(one.effect, 4),
            number(one.incremental_cost, 0),
            number(one.incremental_effect, 4),
            number(one.icer, 0),
            _STANDING[one.standing],
        )
        for one in ranked
    ]
    return Table(caption, columns, rows, frozenset({1, 2, 3, 4, 5}))


def _plane(document: EconomicDocument) -> Section:
    said = Text(
        en="{last} against {first}: in {more} % of the points shown it does more, in {less} % it "
        "costs less.",
        zh="{last} 對 {first}:所示各點中,{more}% 效果較佳,{less}% 成本較低。",
    )
    points = document.plane
    words = filled(
        said,
        first=document.strategies[0],
        last=document.strategies[-1],
        more=f"{100 * sum(effect > 0 for effect, _ in points) / len(points):.0f}",
        less=f"{100 * sum(cost < 0 for _, cost in points) / len(points):.0f}",
    )
    title = Text(en="How sure is it?", zh="成本效果平面")
    return Section("plane", title, (drawings.plane(document), words))


def _acceptability(document: EconomicDocument) -> Section:
    columns: tuple[Words, ...] = (
        Text(en="threshold for one QALY", zh="每一 QALY 之閾值"),
        *document.strategies,
        Text(en="best on average", zh="平均最佳"),
    )
    chosen = _spread(len(document.thresholds))
    rows = [
        (
            number(document.thresholds[at], 0),
            *(f"{100 * one:.0f} %" for one in document.acceptability[at]),
            document.frontier[at].best,
        )
        for at in chosen
    ]
    caption = Text(en="Share of draws in which it is best.", zh="各策略為最佳之抽樣比例。")
    table = Table(caption, columns, rows, frozenset(range(len(document.strategies) + 1)))
    title = Text(en="Which strategy is likely best?", zh="可接受曲線")
    return Section("acceptability", title, (drawings.acceptability(document), table))


def _spread(count: int) -> list[int]:
    """Return at most twelve places, the first and last among them."""
    if count <= _MOST_ROWS:
        return list(range(count))
    return sorted({round(step * (count - 1) / (_MOST_ROWS - 1)) for step in range(_MOST_ROWS)})


def _information(document: EconomicDocument) -> Section:
    names = list(document.information[0].evppi)
    columns = (
        Text(en="threshold for one QALY", zh="每一 QALY 之閾值"),
        Text(en="everything (EVPI)", zh="全部參數(EVPI)"),
        *(drawings.group_named(name) for name in names),
    )
    rows = [
        (
            number(one.threshold, 0),
            number(one.evpi, 2),
            *(number(one.evppi.get(name), 2) for name in names),
        )
        for one in (document.information[at] for at in _spread(len(document.information)))
    ]
    caption = Text(
        en="What perfect information is worth, money a person: all parameters, then groups "
        "(EVPPI).",
        zh="完全資訊之價值,每人金額:全部參數,以及各組參數(EVPPI)。",
    )
    table = Table(caption, columns, rows, frozenset(range(len(columns))))
    title = Text(en="What is more research worth?", zh="資訊之價值")
    return Section("information", title, (drawings.information(document), table))


def _tornado(document: EconomicDocument) -> Section:
    bars = document.tornado.bars[:_MOST_ROWS]
    if not bars:
        return Section("tornado", "", ())
    columns = (
        Text(en="parameter", zh="參數"),
        Text(en="from – to", zh="範圍"),
        Text(en="net benefit at low end", zh="低端淨效益"),
        Text(en="net benefit at high end", zh="高端淨效益"),
    )
    rows = [
        (
            drawings.parameter_named(one.parameter),
            interval(one.low, one.high, 3 if abs(one.high) < 100 else 0),
            number(one.at_low, 0),
            number(one.at_high, 0),
        )
        for one in bars
    ]
    caption = filled(
        Text(
            en="Incremental net benefit a person; {outcome} at all means. The longest bars.",
            zh="每人增量淨效益;所有參數取平均時為 {outcome}。列出影響最大者。",
        ),
        outcome=number(document.tornado.outcome, 0),
    )
    title = Text(en="What does it depend on?", zh="單因子敏感度分析")
    table = Table(caption, columns, rows, frozenset({1, 2, 3}))
    return Section("tornado", title, (drawings.tornado(document), table))


def _budget(document: EconomicDocument) -> Section:
    if not document.budget:
        return Section("budget", "", ())
    sectors = drawings.sectors_of(document)
    columns = (
        Text(en="year", zh="年"),
        Text(en="people reached", zh="受益人數"),
        *(sector.title for sector in sectors),
        Text(en="of which insurance", zh="其中健保"),
        Text(en="total", zh="合計"),
    )
    rows = [
        (
            str(one.year),
            number(one.people, 0),
            *(number(one.by_sector.get(sector, 0.0), 0) for sector in sectors),
            number(one.insurance, 0),
            number(one.total, 0),
        )
        for one in document.budget
    ]
    caption = filled(
        Text(
            en="More (or less) paid in each year, undiscounted, {base}.",
            zh="各年增加(或減少)之支出,未折現,{base}。",
        ),
        base=document.price_base,
    )
    table = Table(caption, columns, rows, frozenset(range(len(columns))))
    title = Text(en="What does it do to budgets?", zh="五年預算衝擊")
    return Section("budget", title, (drawings.budget(document), table))


def _sources(document: EconomicDocument) -> Section:
    assumed = [name for name, source in document.sources.items() if source in ASSUMED]
    blocks: list[Block] = []
    if assumed:
        said = Text(
            en="{count} of {all} numbers are assumptions without a source. Nothing should be "
            "decided on them.",
            zh="{all} 項數值中有 {count} 項為無來源之假設,不宜據以決策。",
        )
        words = filled(said, count=len(assumed), all=len(document.sources))
        blocks.append(Notice(words, Tone.CARE))
    columns = (Text(en="number", zh="數值"), Text(en="where it is from", zh="來源"))
    rows: list[tuple[Cell, ...]] = [
        (drawings.parameter_named(name), _source(source))
        for name, source in sorted(document.sources.items())
    ]
    caption = Text(en="Every number of the model.", zh="模型之所有數值。")
    blocks.append(Table(caption, columns, rows))
    return Section("sources", Text(en="Assumptions and sources", zh="假設與來源"), blocks)


def _source(source: str) -> Cell:
    if source in ASSUMED:
        return Chip(Text(en="assumption", zh="假設"), Tone.CARE)
    evaluation = source.removeprefix(_EVALUATION)
    if evaluation != source:
        return Text(en=f"evaluation {named(evaluation).en}", zh=f"評估 {named(evaluation).zh}")
    return source


_EVALUATION = "evaluation "


def _model(document: EconomicDocument) -> Section:
    horizon = document.horizon
    evaluations = [f"{name}: {id}" for name, id in sorted(document.evaluations.items())]
    facts = Facts(
        (
            (Text(en="Prices of", zh="物價基準"), document.price_base),
            (
                Text(en="Discount a year, costs and effects", zh="年折現率(成本、效果)"),
                f"{100 * horizon.cost_rate:g} % · {100 * horizon.effect_rate:g} %",
            ),
            (
                Text(en="Cycle correction", zh="週期校正"),
                correction(horizon.correction),
            ),
            (Text(en="Utilities", zh="效用值"), _UTILITIES),
            (
                Text(en="Draws and seed", zh="抽樣次數與種子"),
                f"{document.draws:,} · {document.seed}",
            ),
            (
                Text(en="Accuracy from evaluations", zh="準確度所依據之評估"),
                ", ".join(evaluations) or NONE,
            ),
            (Text(en="This report was made from", zh="本報告之來源文件"), document.digest),
        )
    )
    return Section("model", Text(en="Model and provenance", zh="模型與來源"), (facts,))


_UTILITIES = filled(
    Text(
        en="Checked against the value set of the model, {name} unless it names another.",
        zh="已依模型之效用值集檢核;未另指定時為 {name}。",
    ),
    name=TAIWAN_EQ5D5L.name,
)
