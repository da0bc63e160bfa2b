"""Figures of an outcome study: survival with numbers at risk."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from federation.figures.canvas import CASES, COLOURS, LINES, filled, paper, said, short
from federation.figures.numerals import NONE
from federation.wording import Language, Text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]

_SURVIVAL = Text(en="Survival", zh="存活曲線")
_SURVIVAL_SAID = Text(
    en="Share without the event over time with 95 % band: {groups}. A curve ends where too few "
    "are followed.",
    zh="隨時間未發生事件之比例與 95% 區間:{groups}。追蹤人數過少處曲線終止。",
)
_LAST = Text(en="{name} {share} at {time}", zh="{name} 於 {time} 為 {share}")
_TIME = Text(en="time ({unit})", zh="時間({unit})")
_FREE = Text(en="share without the event", zh="未發生事件比例")
_AT_RISK = Text(en="at risk", zh="追蹤人數")


@dataclass(frozen=True, slots=True)
class Curve:
    """One group's curve: times and shares after them with their band, all (T,)."""

    name: Text
    patients: int
    times: Floats
    shares: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, slots=True)
class AtRisk:
    """How many are followed at some times, a row for each group; None where it is hidden."""

    times: Sequence[float]
    rows: Sequence[tuple[Text, Sequence[int | None]]]


def survival(
    curves: Sequence[Curve], at_risk: AtRisk | None, unit: Text, language: Language
) -> bytes:
    """Draw Kaplan-Meier curves from 1 at time 0, with the numbers at risk below them."""
    words = filled(_SURVIVAL_SAID, groups=_told(curves))
    below_in = 0.25 + 0.2 * len(at_risk.rows) if at_risk else 0.0
    with paper(_SURVIVAL, words, language, below_in=below_in) as drawn:
        axes = drawn.axes
        for place, curve in enumerate(curves):
            _draw_curve(axes, place, curve, language)
        axes.set_ylim(0, 1.02)
        axes.set_xlim(left=0)
        axes.set_xlabel(said(_TIME, language, unit=unit))
        axes.set_ylabel(said(_FREE, language))
        if at_risk is not None and drawn.below is not None:
            axes.set_xticks(list(at_risk.times))
            _write_at_risk(drawn.below, at_risk, language)
        axes.legend(loc="best")
    return drawn.svg


def _draw_curve(axes: "Axes", place: int, curve: Curve, language: Language) -> None:
    times = np.concatenate([[0.0], curve.times])
    shares, low, high = (
        np.concatenate([[1.0], values]) for values in (curve.shares, curve.low, curve.high)
    )
    colour, line = COLOURS[place % len(COLOURS)], LINES[place % len(LINES)]
    name = filled(CASES, name=curve.name, cases=f"{curve.patients:,}")
    axes.fill_between(times, low, high, step="post", color=colour, alpha=0.12, linewidth=0)
    for edge in (low, high):
        axes.step(times, edge, where="post", color=colour, linestyle=line, linewidth=0.5)
    axes.step(
        times, shares, where="post", color=colour, linestyle=line, linewidth=1.8,
        label=short(said(name, language)),
    )  # fmt: skip


def _write_at_risk(below: "Axes", at_risk: AtRisk, language: Language) -> None:
    """Write the numbers below the axis, each under its time."""
    rows, across = len(at_risk.rows) + 1, below.get_yaxis_transform()
    below.set_ylim(rows - 0.5, -0.5)
    below.text(0, 0, said(_AT_RISK, language), fontsize=8, fontweight="bold", transform=across)
    for place, (name, counts) in enumerate(at_risk.rows, start=1):
        told = short(said(name, language), 18)
        below.text(-0.03, place, told, fontsize=8, ha="right", va="center", transform=across)
        for time, count in zip(at_risk.times, counts, strict=True):
            shown = NONE if count is None else f"{count:,}"
            below.text(time, place, shown, fontsize=8, ha="center", va="center")


def _told(curves: Sequence[Curve]) -> Text:
    told = [
        filled(_LAST, name=one.name, share=f"{one.shares[-1]:.2f}", time=f"{one.times[-1]:g}")
        for one in curves
        if len(one.times)
    ]
    return Text(
        en="; ".join(one.en for one in told) or NONE, zh=";".join(one.zh for one in told) or NONE
    )
