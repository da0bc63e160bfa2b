"""What a study found, in figures by unit and in a table, and its harms."""

import re
from collections.abc import Iterator, Mapping, Sequence

from federation.figures.canvas import filled
from federation.figures.forests import Estimated, Scale, forest
from federation.figures.numerals import NONE, decimals_for, estimate, p_value
from federation.wording import Text
from registry.impact.study import ImpactStudy, Measure, Result
from registry.reports.checklists.answers import plain
from registry.reports.impact.arms import of_arms, of_series
from registry.reports.impact.methods import method_named
from registry.reports.layout import (
    Block,
    Cell,
    Chip,
    Figure,
    Notice,
    Section,
    Table,
    Tone,
    named,
)

Measures = Mapping[str, Measure]
_RATIO = Text(en="ratio", zh="比值")
_IS_RATIO = re.compile(r"\bratio\b", re.IGNORECASE)


def null_of(result: Result) -> float:
    """Return what no difference is: 1 of a ratio, else 0."""
    return 1.0 if _IS_RATIO.search(result.method) else 0.0


def is_clear(result: Result, direction: str) -> bool:
    """Say whether the whole interval lies on one side of no difference."""
    null = null_of(result)
    return result.low > null if direction == "higher" else result.high < null


def estimated(result: Result) -> str:
    """Return an effect with its interval, no finer than the interval is wide."""
    decimals = decimals_for(result.low, result.high)
    return estimate(result.estimate, result.low, result.high, decimals)


def results(body: ImpactStudy) -> Section:
    """Return every result: a forest for each unit, then the numbers."""
    if not body.results:
        return Section("results", "", ())
    measures = {one.id: one for one in body.measures}
    figures = list(_figures(body.results, measures))
    title = Text(en="Results", zh="結果")
    arms = of_arms(body.results, measures)
    months = of_series(body.results, measures)
    return Section("results", title, (*figures, _table(body.results, measures), *arms, *months))


def _table(found: Sequence[Result], measures: Measures) -> Table:
    columns = (
        Text(en="measure", zh="指標"),
        Text(en="effect (interval)", zh="效果(區間)"),
        Text(en="unit", zh="單位"),
        Text(en="patients", zh="人數"),
        Text(en="p-value", zh="p 值"),
        Text(en="confirmed", zh="驗證成立"),
        Text(en="analysis", zh="分析方法"),
    )
    rows: list[tuple[Cell, ...]] = [
        (
            plain(measures[one.measure].title),
            estimated(one),
            _unit(one, measures[one.measure]),
            f"{one.n:,}",
            NONE if one.p_value is None else p_value(one.p_value),
            _CONFIRMED[one.confirmed],
            method_named(one.method),
        )
        for one in found
    ]
    caption = Text(
        en="Intervention against comparator, as planned; intervals at the plan's level. A measure "
        "is confirmed if it and all before it are below that level.",
        zh="介入組對對照組,依計畫分析;區間依計畫之顯著水準。某指標及其前所有指標均低於該水準時,"
        "始為驗證成立。",
    )
    return Table(caption, columns, rows, frozenset({1, 3, 4}))


_CONFIRMED: Mapping[bool | None, Cell] = {
    True: Chip(Text(en="yes", zh="是"), Tone.GOOD),
    False: Chip(Text(en="no", zh="否"), Tone.CARE),
    None: NONE,
}


def _unit(one: Result, measure: Measure) -> Cell:
    return _RATIO if null_of(one) == 1.0 else measure.unit


def _figures(found: Sequence[Result], measures: Measures) -> Iterator[Figure]:
    """Yield a forest for each unit: effects of other units do not share an axis."""
    by_unit: dict[tuple[str, float], list[Result]] = {}
    for one in found:
        null = null_of(one)
        unit = "" if null == 1.0 else measures[one.measure].unit
        by_unit.setdefault((unit, null), []).append(one)
    for place, ((unit, null), some) in enumerate(by_unit.items(), start=1):
        yield _forest(f"effects-{place}", unit, null, some, measures)


def _forest(
    name: str, unit: str, null: float, found: Sequence[Result], measures: Measures
) -> Figure:
    rows = [
        Estimated(plain(measures[one.measure].title), one.estimate, one.low, one.high, cases=one.n)
        for one in found
    ]
    is_ratio = null == 1.0 and all(one.low > 0 for one in found)
    scale = Scale(line=null, decimals=None, is_ratio=is_ratio)
    axis = filled(_IN_UNIT, unit=named(unit)) if unit else _AS_RATIO
    data = [(one.measure, one.estimate, one.low, one.high, one.n) for one in found]
    return Figure(
        name,
        lambda language: forest(_EFFECT, axis, rows, language, scale),
        ("measure", "estimate", "low", "high", "n"),
        data,
    )


_EFFECT = Text(en="Effect of the intervention", zh="介入之效果")
_IN_UNIT = Text(en="with minus without, {unit} (interval)", zh="介入減對照,{unit}(區間)")
_AS_RATIO = Text(en="with to without, ratio (interval)", zh="介入對對照之比值(區間)")


def harms(body: ImpactStudy) -> Section:
    """Return the harms that are recorded; that none are is said, too."""
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
