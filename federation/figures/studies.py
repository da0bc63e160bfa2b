"""Figures of an economic model and of an impact study."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from federation.economics.budget import Sector, YearImpact
from federation.economics.diagnostic import title_of
from federation.economics.sensitivity import Bar
from federation.figures.canvas import (
    COLOURS,
    GREY,
    HATCHES,
    LINES,
    MARKS,
    filled,
    paper,
    said,
    verbatim,
)
from federation.figures.numerals import decimals_for, number
from federation.wording import Language, Text

Floats = NDArray[np.float64]

MOST_BARS = 12

_PLANE = Text(en="Cost-effectiveness plane", zh="成本效果平面")
_PLANE_SAID = Text(
    en="Each point is one draw: what it gains and what it costs more. Below the line is worth it.",
    zh="每點為一次抽樣:增加之效果與成本。線下方表示符合成本效益。",
)
_EFFECT = Text(en="QALYs gained a person", zh="每人增加之 QALY")
_COST = Text(en="more cost a person ({base})", zh="每人增加之成本({base})")
_WORTH = Text(en="threshold {threshold:,.0f}", zh="閾值 {threshold:,.0f}")
_MEAN = Text(en="mean", zh="平均")


def plane(points: Floats, threshold: float, base: str, language: Language) -> bytes:
    """Draw increments of effect and cost, shape (D, 2), with a threshold's line."""
    with paper(_PLANE, _PLANE_SAID, language, height_in=4.8) as drawn:
        axes = drawn.axes
        axes.axhline(0, color=GREY, linewidth=0.8)
        axes.axvline(0, color=GREY, linewidth=0.8)
        axes.plot(
            points[:, 0], points[:, 1], linestyle="", marker=".", markersize=2.5,
            color=COLOURS[0], alpha=0.35, rasterized=False,
        )  # fmt: skip
        mean = points.mean(axis=0)
        axes.plot(*mean, marker="D", markersize=8, color=COLOURS[1], label=_MEAN.say(language))
        x, y = axes.get_xlim(), axes.get_ylim()
        worth = said(_WORTH, language, threshold=threshold)
        axes.plot(x, threshold * np.array(x), color=COLOURS[6], linestyle="--", label=worth)
        axes.set(xlim=x, ylim=y)
        axes.set_xlabel(said(_EFFECT, language))
        axes.set_ylabel(said(_COST, language, base=base))
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.legend()
    return drawn.svg


_ACCEPTED = Text(en="Acceptability and its frontier", zh="可接受曲線與前緣")
_ACCEPTED_SAID = Text(
    en="How often each strategy is best, by what a QALY may cost; the frontier is marked.",
    zh="各策略於不同願付價格下最佳之機率;標記者為前緣。",
)
_PAY = Text(en="threshold for one QALY ({base})", zh="每一 QALY 之閾值({base})")
_BEST = Text(en="probability to be best", zh="最佳之機率")


def acceptability(
    thresholds: Floats,
    strategies: Sequence[str],
    shares: Floats,
    best: Sequence[int],
    base: str,
    language: Language,
) -> bytes:
    """Draw shares (L, K) by threshold (L,); `best` is the frontier's strategy at each (L,)."""
    with paper(_ACCEPTED, _ACCEPTED_SAID, language) as drawn:
        axes = drawn.axes
        for place, name in enumerate(strategies):
            axes.plot(
                thresholds,
                shares[:, place],
                label=verbatim(name),
                color=COLOURS[place % 7],
                linestyle=LINES[place % 7],
            )
            on = np.array(best) == place
            axes.plot(
                thresholds[on], shares[on, place], linestyle="", marker=MARKS[place % 7],
                color=COLOURS[place % 7], markersize=5,
            )  # fmt: skip
        axes.set_ylim(0, 1.02)
        axes.set_xlabel(said(_PAY, language, base=base))
        axes.set_ylabel(said(_BEST, language))
        axes.locator_params(axis="x", nbins=5)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.legend()
    return drawn.svg


_TORNADO = Text(en="What the result depends on", zh="結果取決於哪些參數")
_TORNADO_SAID = Text(
    en="Net benefit when one parameter moves from its 2.5 % to its 97.5 % quantile.",
    zh="單一參數由 2.5% 移至 97.5% 分位數時之淨效益。",
)
_NET = Text(en="incremental net benefit a person ({base})", zh="每人增量淨效益({base})")
_LOW = Text(en="at its low end", zh="參數低端")
_HIGH = Text(en="at its high end", zh="參數高端")


def tornado(outcome: float, bars: Sequence[Bar], base: str, language: Language) -> bytes:
    """Draw the longest bars about the outcome at all means."""
    shown = list(bars[:MOST_BARS])
    with paper(_TORNADO, _TORNADO_SAID, language, height_in=1.4 + 0.34 * len(shown)) as drawn:
        axes = drawn.axes
        for place, bar in enumerate(shown):
            for value, colour, hatch in (
                (bar.at_low, COLOURS[5], HATCHES[0]),
                (bar.at_high, COLOURS[1], HATCHES[1]),
            ):
                axes.barh(
                    place, value - outcome, left=outcome, height=0.62, color=colour, hatch=hatch,
                    edgecolor="white", linewidth=0.4,
                )  # fmt: skip
        handles = [
            axes.barh(0, 0, color=colour, hatch=hatch, label=name.say(language))
            for name, colour, hatch in (
                (_LOW, COLOURS[5], HATCHES[0]),
                (_HIGH, COLOURS[1], HATCHES[1]),
            )
        ]
        axes.axvline(outcome, color=COLOURS[6], linewidth=1)
        axes.axvline(0, color=GREY, linestyle=":", linewidth=1)
        axes.set_yticks(
            range(len(shown)), [said(title_of(bar.parameter), language) for bar in shown]
        )
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.set_xlabel(said(_NET, language, base=base))
        axes.locator_params(axis="x", nbins=5)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.grid(visible=False, axis="y")
        axes.legend(handles=handles)
    return drawn.svg


_INFORMATION = Text(en="What knowing more is worth", zh="資訊之價值")
_INFORMATION_SAID = Text(
    en="Expected value of perfect information a person, of everything and of groups of parameters.",
    zh="每人完全資訊期望值:全部參數,以及各組參數。",
)
_WORTH_MONEY = Text(en="money a person ({base})", zh="每人金額({base})")


def information(rows: Sequence[tuple[Text, float]], base: str, language: Language) -> bytes:
    """Draw the expected value of perfect information: all, then groups of parameters."""
    height = 1.3 + 0.34 * len(rows)
    with paper(_INFORMATION, _INFORMATION_SAID, language, height_in=height) as drawn:
        axes = drawn.axes
        for place, (_, value) in enumerate(rows):
            colour, hatch = (COLOURS[0], HATCHES[1]) if place == 0 else (COLOURS[5], HATCHES[0])
            axes.barh(
                place, value, height=0.62, color=colour, hatch=hatch, edgecolor="black",
                linewidth=0.4,
            )  # fmt: skip
        axes.set_yticks(range(len(rows)), [said(name, language) for name, _ in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlim(left=0)
        axes.set_xlabel(said(_WORTH_MONEY, language, base=base))
        axes.locator_params(axis="x", nbins=5)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.grid(visible=False, axis="y")
    return drawn.svg


_BUDGET = Text(en="Budget impact", zh="預算衝擊")
_BUDGET_SAID = Text(
    en="What each sector pays more in each of five years; below zero it pays less.",
    zh="五年間各部門每年增加之支出;低於零表示減少。",
)
_YEAR = Text(en="year", zh="年")
_MILLIONS = Text(en="more, in millions ({base})", zh="增加金額,百萬({base})")
_TOTAL = Text(en="total", zh="合計")


def budget(years: Sequence[YearImpact], base: str, language: Language) -> bytes:
    """Draw what sectors pay more, stacked, with the total."""
    sectors = [one for one in Sector if any(one in year.by_sector for year in years)]
    with paper(_BUDGET, _BUDGET_SAID, language) as drawn:
        axes = drawn.axes
        above, below = np.zeros(len(years)), np.zeros(len(years))
        at = np.array([year.year for year in years])
        for place, sector in enumerate(sectors):
            paid = np.array([year.by_sector.get(sector, 0.0) for year in years]) / 1e6
            base_line = np.where(paid >= 0, above, below)
            axes.bar(
                at, paid, bottom=base_line, width=0.6, color=COLOURS[place % 7],
                hatch=HATCHES[place % 7], edgecolor="white", label=said(sector.title, language),
            )  # fmt: skip
            above, below = above + np.maximum(paid, 0), below + np.minimum(paid, 0)
        total = np.array([year.total for year in years]) / 1e6
        axes.plot(at, total, color=COLOURS[6], marker="D", label=_TOTAL.say(language))
        axes.axhline(0, color=GREY, linewidth=0.8)
        axes.set_xticks(at)
        axes.set_xlabel(said(_YEAR, language))
        axes.set_ylabel(said(_MILLIONS, language, base=base))
        axes.yaxis.set_major_formatter("{x:,.1f}")
        axes.legend()
    return drawn.svg


_SERIES = Text(en="{measure} by month", zh="各月{measure}")
_SERIES_SAID = Text(
    en="Means of {months} months, {before} of them before the intervention; dotted: the mean of "
    "each side, {first} and {second}.",
    zh="{months} 個月之平均,其中 {before} 個月於介入前;點線為兩期間之平均:{first} 與 {second}。",
)
_MONTH = Text(en="month", zh="月份")
_BEFORE = Text(en="before", zh="介入前")
_AFTER = Text(en="after", zh="介入後")


def series(
    measure: Text, months: Sequence[float], began: int, unit: str, language: Language
) -> bytes:
    """Draw a monthly series, open marks before something `began` and filled ones after."""
    sides = (
        (_BEFORE, range(began), "white", COLOURS[0]),
        (_AFTER, range(began, len(months)), COLOURS[1], COLOURS[1]),
    )
    means = [float(np.mean([months[at] for at in side])) for _, side, _, _ in sides]
    decimals = decimals_for(min(months), max(months))
    first, second = (number(mean, decimals) for mean in means)
    words = filled(_SERIES_SAID, months=len(months), before=began, first=first, second=second)
    with paper(filled(_SERIES, measure=measure), words, language) as drawn:
        axes = drawn.axes
        for (name, side, face, colour), mean in zip(sides, means, strict=True):
            axes.plot(
                list(side), [months[at] for at in side], color=colour, linewidth=1, marker="o",
                markersize=4.5, markerfacecolor=face, label=said(name, language),
            )  # fmt: skip
            axes.hlines(mean, side[0], side[-1], color=colour, linestyle=":", linewidth=1.4)
        axes.axvline(began - 0.5, color=COLOURS[6], linestyle="--", linewidth=1)
        axes.set_xlabel(said(_MONTH, language))
        axes.set_ylabel(verbatim(unit))
        axes.locator_params(axis="x", integer=True)
        axes.legend()
    return drawn.svg
