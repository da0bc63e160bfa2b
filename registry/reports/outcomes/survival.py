"""Time until an event: curves with numbers at risk, log-rank test, restricted means."""

from collections.abc import Sequence

import numpy as np

from federation.figures import outcomes as drawn
from federation.figures.canvas import filled
from federation.figures.numerals import NONE, decimals_for, estimate, number, p_value
from federation.wording import Text
from registry.reports.documents.outcomes import AtRisk, Hidden, Survival
from registry.reports.layout import Block, Cell, Facts, Figure, Notice, Table, Tone, Words
from registry.reports.outcomes.cells import UNITS, group_named


def blocks(place: str, one: Survival) -> Sequence[Block]:
    """Return what may be shown of the curves, the test and the means."""
    shown: list[Block] = []
    if one.curves:
        shown += [figure(place, one), _table(one)]
    if one.at_risk is not None and one.at_risk.groups:
        shown.append(_at_risk(one.at_risk, one.unit))
    if one.means:
        shown.append(_means(one))
    facts = _tests(one)
    if facts.rows:
        shown.append(facts)
    if one.hidden:
        shown.append(_hidden(one.hidden))
    return shown or [Notice(_NOTHING, Tone.WAITING)]


_NOTHING = Text(
    en="Nothing of this analysis may be shown: too few people are followed.",
    zh="追蹤人數過少,本分析不得顯示任何數值。",
)


def figure(place: str, one: Survival) -> Figure:
    """Return the curves with the numbers at risk below them."""
    curves = [
        drawn.Curve(
            group_named(curve.group), curve.patients, np.array(curve.times),
            np.array(curve.survival), np.array(curve.low), np.array(curve.high),
        )
        for curve in one.curves
    ]  # fmt: skip
    below = _below(one.at_risk) if one.at_risk else None
    rows: list[Sequence[str | float | None]] = [
        (curve.group, curve.patients, *point)
        for curve in one.curves
        for point in zip(curve.times, curve.survival, curve.low, curve.high, strict=True)
    ]
    return Figure(
        f"survival-{place}",
        lambda language: drawn.survival(curves, below, UNITS[one.unit], language),
        ("group", "patients", "time", "survival", "low", "high"),
        rows,
    )


def _below(found: AtRisk) -> drawn.AtRisk:
    return drawn.AtRisk(found.times, [(group_named(one.group), one.counts) for one in found.groups])


def _table(one: Survival) -> Table:
    columns = (
        Text(en="group", zh="組別"),
        Text(en="patients", zh="人數"),
        filled(Text(en="shown up to ({unit})", zh="顯示至({unit})"), unit=UNITS[one.unit]),
        Text(en="survival there (95 % interval)", zh="該時點存活(95% 區間)"),
    )
    rows: list[tuple[Cell, ...]] = [
        (
            group_named(curve.group),
            f"{curve.patients:,}",
            f"{curve.ends:g}",
            estimate(curve.survival[-1], curve.low[-1], curve.high[-1]) if curve.times else NONE,
        )
        for curve in one.curves
    ]
    caption = Text(
        en="Kaplan-Meier, log(-log) intervals; a curve ends where too few are followed.",
        zh="Kaplan-Meier 法,log(-log) 區間;追蹤人數過少處曲線終止。",
    )
    return Table(caption, columns, rows, frozenset({1, 2, 3}))


def _at_risk(found: AtRisk, unit: str) -> Table:
    columns: tuple[Words, ...] = (
        Text(en="group", zh="組別"),
        *(f"{time:g}" for time in found.times),
    )
    rows: list[tuple[Cell, ...]] = [
        (group_named(row.group), *(NONE if one is None else f"{one:,}" for one in row.counts))
        for row in found.groups
    ]
    caption = filled(
        Text(
            en="Numbers at risk by time ({unit}); a dash where too few are followed.",
            zh="各時點({unit})之追蹤人數;破折號表示人數過少,不予顯示。",
        ),
        unit=UNITS[unit],
    )
    return Table(caption, columns, rows, frozenset(range(1, len(columns))))


def _means(one: Survival) -> Table:
    columns = (
        Text(en="group", zh="組別"),
        filled(Text(en="up to ({unit})", zh="計算至({unit})"), unit=UNITS[one.unit]),
        filled(
            Text(en="restricted mean ({unit}, 95 % interval)", zh="限制平均({unit},95% 區間)"),
            unit=UNITS[one.unit],
        ),
    )
    rows: list[tuple[Cell, ...]] = [
        (
            group_named(mean.group),
            f"{mean.horizon:g}",
            estimate(mean.value, mean.low, mean.high, decimals_for(mean.low, mean.high)),
        )
        for mean in one.means
    ]
    caption = Text(
        en="Mean time without the event, up to a horizon.", zh="至期限為止未發生事件之平均時間。"
    )
    return Table(caption, columns, rows, frozenset({1, 2}))


def _tests(one: Survival) -> Facts:
    rows: list[tuple[Text, Cell]] = []
    if one.log_rank is not None:
        told = Text(
            en="chi-square {value} on {freedom}, p {p}",
            zh="卡方 {value}\uff0c自由度 {freedom}\uff0cp {p}",
        )
        found = one.log_rank
        rows.append(
            (
                Text(en="All groups alike (log-rank)", zh="各組相同之檢定(log-rank)"),
                filled(
                    told,
                    value=number(found.statistic, 2),
                    freedom=found.freedom,
                    p=_p(found.p),
                ),
            )
        )
    if one.difference is not None:
        gap = one.difference
        decimals = decimals_for(gap.low, gap.high)
        value = f"{estimate(gap.value, gap.low, gap.high, decimals)}, p {_p(gap.p)}"
        title = Text(
            en="{second} minus {first}, up to {horizon}", zh="{second} 減 {first},至 {horizon}"
        )
        first, second = (group_named(name) for name in gap.groups)
        rows.append((filled(title, first=first, second=second, horizon=f"{gap.horizon:g}"), value))
    return Facts(tuple(rows))


def _p(value: float) -> str:
    told = p_value(value)
    return told if told.startswith("<") else f"= {told}"


def _hidden(found: Sequence[Hidden]) -> Table:
    columns = (Text(en="not shown", zh="不予顯示"), Text(en="because", zh="原因"))
    rows: list[tuple[Cell, ...]] = [
        (
            group_named(one.group),
            Text(en=_plain(one.reason["en"]), zh=_plain(one.reason["zh-Hant-TW"])),
        )
        for one in found
    ]
    caption = Text(en="Groups without a curve.", zh="無曲線之組別。")
    return Table(caption, columns, rows)


def _plain(words: str) -> str:
    return words.replace("{", "(").replace("}", ")")
