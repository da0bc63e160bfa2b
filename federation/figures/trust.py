"""Figures of uncertainty and explanations: risk against answers, numbers by case."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federation.figures.canvas import COLOURS, GREY, filled, label, paper, said
from federation.figures.numerals import decimals_for, number
from federation.wording import Language, Text

Floats = NDArray[np.float64]

_SELECTIVE = Text(en="Wrong answers when the unsure are left out", zh="保留不確定個案後之錯誤率")
_SELECTIVE_SAID = Text(
    en="Share of wrong answers against the share of patients answered: {all} wrong of all, "
    "{least} of the surest {share} %.",
    zh="錯誤率對作答比例:全部作答時錯誤率 {all},僅答最確定之 {share}% 時為 {least}。",
)
_ANSWERED = Text(en="share of patients answered", zh="作答之病人比例")
_WRONG = Text(en="share of these wrong", zh="其中錯誤之比例")
_BAND = Text(en="95 % band", zh="95% 區間")
_RISK = Text(en="wrong answers", zh="錯誤率")


@dataclass(frozen=True, slots=True)
class Selective:
    """Share answered, and share of these that is wrong with its band; all (P,)."""

    answered: Floats
    wrong: Floats
    low: Floats
    high: Floats


def selective_risk(found: Selective, language: Language, *, cases: int | None = None) -> bytes:
    """Draw how often answers are wrong by how many patients are answered."""
    order = np.argsort(found.answered)
    answered, wrong, low, high = (
        one[order] for one in (found.answered, found.wrong, found.low, found.high)
    )
    numbers = {
        "all": number(float(wrong[-1])),
        "least": number(float(wrong[0])),
        "share": f"{100 * answered[0]:.0f}",
    }
    words = filled(_SELECTIVE_SAID, **numbers)
    with paper(_SELECTIVE, words, language, cases=cases) as drawn:
        axes = drawn.axes
        band = said(_BAND, language)
        axes.fill_between(answered, low, high, color=COLOURS[0], alpha=0.2, linewidth=0, label=band)
        axes.plot(
            answered, wrong, color=COLOURS[0], marker="o", markersize=3, label=said(_RISK, language)
        )
        axes.set(xlim=(0, 1.01), ylim=(0, max(0.05, 1.08 * float(high.max()))))
        label(axes, _ANSWERED, _WRONG, language)
        axes.legend(loc="upper left")
    return drawn.svg


_HISTOGRAM_SAID = Text(
    en="{cases} cases by {axis}; mean {mean}, {ideal} is right.",
    zh="{cases} 位個案之{axis}分布;平均 {mean},{ideal} 為正確。",
)
_DENSITY = Text(en="density", zh="密度")
_MEAN = Text(en="mean {mean}", zh="平均 {mean}")
_RIGHT = Text(en="right: {ideal}", zh="正確:{ideal}")


@dataclass(frozen=True, slots=True)
class Histogram:
    """Shares of cases by interval of one number (low, high, share), and their mean.

    `ideal` says in words what is right, `at` where that is, None for a direction only.
    """

    bins: Sequence[tuple[float, float, float]]
    mean: float
    cases: int
    ideal: Text
    at: float | None = None


def histogram(title: Text, axis: Text, found: Histogram, language: Language) -> bytes:
    """Draw intervals as wide as they are: a bar's area is its share."""
    decimals = decimals_for(found.bins[0][0], found.bins[-1][1]) + 1
    mean = number(found.mean, decimals)
    words = filled(_HISTOGRAM_SAID, cases=found.cases, axis=axis, mean=mean, ideal=found.ideal)
    with paper(title, words, language, height_in=3.2, cases=found.cases) as drawn:
        axes = drawn.axes
        for low, high, share in found.bins:
            axes.bar(
                low, share / (high - low), width=high - low, align="edge", color=COLOURS[5],
                edgecolor="black", linewidth=0.6,
            )  # fmt: skip
        axes.axvline(
            found.mean, color=COLOURS[1], linewidth=1.8, label=said(_MEAN, language, mean=mean)
        )
        if found.at is not None:
            name = said(_RIGHT, language, ideal=found.ideal)
            axes.axvline(found.at, color=GREY, linestyle=":", linewidth=1.4, label=name)
        axes.set_xlim(found.bins[0][0], found.bins[-1][1])
        axes.set_ylim(bottom=0)
        label(axes, axis, _DENSITY, language)
        axes.legend(frameon=True, framealpha=0.9, edgecolor="none")
    return drawn.svg
