"""Estimates under each other with their intervals: groups, hospitals, effects, ratios."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from federation.figures.canvas import CASES, COLOURS, GREY, filled, paper, said, short
from federation.figures.numerals import NONE, decimals_for, number
from federation.wording import Language, Text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SAID = Text(en="Estimates with their intervals, one in each row.", zh="估計值與其區間,每列一項。")
_ROW = Text(en="{name}: {numbers}", zh="{name}:{numbers}")
_NOT_SHOWN = Text(en="{name} not shown", zh="{name} 不予顯示")
_SUPPRESSED = Text(en="not shown: too few people", zh="人數過少,不予顯示")
_MOST_TOLD = 12
_TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)


@dataclass(frozen=True, slots=True)
class Estimated:
    """One row of a forest: its name and estimate; None where it is suppressed.

    Without a value but with both ends it is known only to lie between them. `cases` is how
    many the estimate is of, where that is told.
    """

    name: Text
    value: float | None
    low: float | None
    high: float | None
    is_summary: bool = False
    cases: int | None = None


@dataclass(frozen=True, slots=True)
class Scale:
    """How a forest's axis runs.

    Parameters
    ----------
    line
        Where a reference line stands, for example the pooled value or no effect.
    band
        From where to where something is promised or accepted.
    decimals
        Of the numbers beside the rows; None: each as its own interval deserves.
    is_ratio
        Whether it is logarithmic, as ratios need.
    """

    line: float | None = None
    band: tuple[float, float] | None = None
    decimals: int | None = 3
    is_ratio: bool = False


def forest(
    title: Text,
    axis: Text,
    rows: Sequence[Estimated],
    language: Language,
    scale: Scale,
    *,
    cases: int | None = None,
) -> bytes:
    """Draw estimates with intervals under each other; a summary is a diamond."""
    height, told = 1.4 + 0.34 * len(rows), _told(rows, scale)
    with paper(title, _SAID, language, height_in=height, cases=cases, more=told) as drawn:
        axes = drawn.axes
        if scale.is_ratio:
            axes.set_xscale("log")
        for place, row in enumerate(rows):
            _draw_row(axes, place, row, scale, language)
        if scale.band is not None:
            axes.axvspan(*scale.band, facecolor=GREY, alpha=0.25, linewidth=0)
        if scale.line is not None:
            axes.axvline(scale.line, color=GREY, linestyle=":", linewidth=1)
        _set_axes(axes, scale)
        axes.set_yticks(range(len(rows)), [_named(row, language) for row in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlabel(said(axis, language))
        axes.grid(visible=False, axis="y")
    return drawn.svg


def _draw_row(axes: "Axes", place: int, row: Estimated, scale: Scale, language: Language) -> None:
    across = axes.get_yaxis_transform()
    if row.low is None or row.high is None:
        words = said(_SUPPRESSED, language)
        axes.text(0.02, place, words, color=GREY, va="center", transform=across)
        return
    if row.value is None:
        axes.plot([row.low, row.high], [place, place], color=GREY, linewidth=5, alpha=0.5)
    else:
        colour, mark = (COLOURS[1], "D") if row.is_summary else (COLOURS[0], "s")
        axes.plot([row.low, row.high], [place, place], color=colour, linewidth=1.6)
        axes.plot([row.value], [place], marker=mark, color=colour, markersize=6)
    axes.text(1.02, place, _numbers(row, scale), va="center", fontsize=8, transform=across)


def _numbers(row: Estimated, scale: Scale) -> str:
    """Return the estimate with its interval, or only the ends where it lies between them."""
    if row.low is None or row.high is None:
        return NONE
    decimals = scale.decimals
    if decimals is None:
        decimals = decimals_for(row.low, row.high)
    low, high = number(row.low, decimals), number(row.high, decimals)
    return (
        f"({low}, {high})"
        if row.value is None
        else f"{number(row.value, decimals)} ({low}, {high})"
    )


def _set_axes(axes: "Axes", scale: Scale) -> None:
    if not scale.is_ratio:
        axes.locator_params(axis="x", nbins=5)
        return
    from matplotlib.ticker import MaxNLocator, ScalarFormatter

    low, high = axes.get_xlim()
    ticks = [one for one in _TICKS if low <= one <= high]
    if len(ticks) > 1:
        axes.set_xticks(ticks, [f"{one:g}" for one in ticks])
    else:
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_major_formatter(ScalarFormatter(useOffset=False))
    axes.minorticks_off()


def _named(row: Estimated, language: Language) -> str:
    name = Text(en=short(row.name.en), zh=short(row.name.zh))
    if row.cases is None:
        return said(name, language)
    return said(filled(CASES, name=name, cases=f"{row.cases:,}"), language)


def _told(rows: Sequence[Estimated], scale: Scale) -> Text:
    """Return the rows in words, as far as a listener bears it."""
    told = [_said_row(row, scale) for row in rows[:_MOST_TOLD]]
    more = ["…"] if len(rows) > _MOST_TOLD else []
    return Text(
        en="; ".join([*(one.en for one in told), *more]),
        zh=";".join([*(one.zh for one in told), *more]),
    )


def _said_row(row: Estimated, scale: Scale) -> Text:
    if row.low is None or row.high is None:
        return filled(_NOT_SHOWN, name=row.name)
    return filled(_ROW, name=row.name, numbers=_numbers(row, scale))
