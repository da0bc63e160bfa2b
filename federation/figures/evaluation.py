"""Figures of an evaluation. Every number comes from summaries that sites added up."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federation.figures.canvas import (
    COLOURS,
    GREY,
    HATCHES,
    LINES,
    MARKS,
    filled,
    label,
    paper,
    said,
    short,
    verbatim,
)
from federation.figures.numerals import NONE, number
from federation.wording import Language, Text

Floats = NDArray[np.float64]

FEW_POINTS = 12
"""Up to so many points of a line are marked, so that one alone is seen."""

_CHANCE = Text(en="chance", zh="隨機")
_BAND = Text(en="95 % band", zh="95% 區間")
_IDEAL = Text(en="ideal", zh="理想")
_FPR = Text(en="1 − specificity", zh="1 − 特異度")
_TPR = Text(en="sensitivity", zh="敏感度")
_ROC = Text(en="ROC curve", zh="ROC 曲線")
_ROC_SAID = Text(
    en="Sensitivity against 1 − specificity. Area {auroc:.3f} ({low:.3f} to {high:.3f}).",
    zh="敏感度對 1 − 特異度。曲線下面積 {auroc:.3f}({low:.3f} 至 {high:.3f})。",
)
_AREA = Text(
    en="AUROC {auroc:.3f} ({low:.3f} to {high:.3f})",
    zh="AUROC {auroc:.3f}({low:.3f} 至 {high:.3f})",
)


@dataclass(frozen=True, slots=True)
class Roc:
    """Points of a ROC curve with a band; all arrays (B,), rising. The area has its interval."""

    false_positive: Floats
    true_positive: Floats
    low: Floats
    high: Floats
    auroc: float
    auroc_low: float
    auroc_high: float


def roc(curve: Roc, language: Language, *, cases: int | None = None) -> bytes:
    """Draw a ROC curve with its band."""
    numbers: dict[str, float] = {
        "auroc": curve.auroc,
        "low": curve.auroc_low,
        "high": curve.auroc_high,
    }
    words = filled(_ROC_SAID, **numbers)
    with paper(_ROC, words, language, height_in=5.2, square=True, cases=cases) as drawn:
        axes = drawn.axes
        axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", label=_CHANCE.say(language))
        axes.fill_between(
            curve.false_positive,
            curve.low,
            curve.high,
            color=COLOURS[0],
            alpha=0.2,
            linewidth=0,
            label=_BAND.say(language),
        )
        area = said(_AREA, language, **numbers)
        axes.plot(curve.false_positive, curve.true_positive, color=COLOURS[0], label=area)
        axes.set(xlim=(0, 1), ylim=(0, 1))
        label(axes, _FPR, _TPR, language)
        axes.legend(loc="lower right")
    return drawn.svg


_RELIABILITY = Text(en="Reliability", zh="校準曲線")
_RELIABILITY_SAID = Text(
    en="Observed against predicted risk by group ({bins}); on the diagonal both agree.",
    zh="各組觀察風險對預測風險(共 {bins} 組);落於對角線表示兩者一致。",
)
_PREDICTED = Text(en="predicted risk", zh="預測風險")
_OBSERVED = Text(en="observed risk", zh="觀察風險")


@dataclass(frozen=True, slots=True)
class Reliability:
    """Groups of predicted risk: mean prediction, observed rate and its interval, all (B,)."""

    predicted: Floats
    observed: Floats
    low: Floats
    high: Floats


def reliability(found: Reliability, language: Language, *, cases: int | None = None) -> bytes:
    """Draw observed against predicted risk."""
    words = filled(_RELIABILITY_SAID, bins=len(found.predicted))
    with paper(_RELIABILITY, words, language, height_in=5.2, square=True, cases=cases) as drawn:
        axes = drawn.axes
        axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", label=_IDEAL.say(language))
        reach = np.maximum([found.observed - found.low, found.high - found.observed], 0)
        axes.errorbar(
            found.predicted,
            found.observed,
            yerr=reach,
            color=COLOURS[0],
            marker="o",
            markersize=4,
            capsize=3,
            linewidth=1.2,
            label=_BAND.say(language),
        )
        axes.set(xlim=(0, 1), ylim=(0, 1))
        label(axes, _PREDICTED, _OBSERVED, language)
        axes.legend(loc="upper left")
    return drawn.svg


_DECISION = Text(en="Decision curve", zh="決策曲線")
_DECISION_SAID = Text(
    en="Net benefit of the model, of treating all and of treating none, by threshold.",
    zh="各閾值下,使用模型、全部處置與全部不處置之淨效益。",
)
_MODEL = Text(en="model", zh="模型")
_ALL = Text(en="treat all", zh="全部處置")
_NONE = Text(en="treat none", zh="全部不處置")
_THRESHOLD = Text(en="threshold probability", zh="閾值機率")
_BENEFIT = Text(en="net benefit", zh="淨效益")


@dataclass(frozen=True, slots=True)
class DecisionCurve:
    """Net benefit by threshold, all (T,)."""

    threshold: Floats
    model: Floats
    all_: Floats


def decision_curve(found: DecisionCurve, language: Language, *, cases: int | None = None) -> bytes:
    """Draw net benefit by threshold."""
    with paper(_DECISION, _DECISION_SAID, language, cases=cases) as drawn:
        axes = drawn.axes
        lines = ((found.model, _MODEL), (found.all_, _ALL), (np.zeros_like(found.model), _NONE))
        for place, (values, name) in enumerate(lines):
            axes.plot(
                found.threshold,
                values,
                color=COLOURS[place] if place < 2 else COLOURS[6],
                linestyle=LINES[place],
                marker=MARKS[place] if len(found.threshold) < FEW_POINTS else "",
                markersize=4,
                label=name.say(language),
            )
        top = float(np.nanmax([found.model.max(), found.all_.max(), 0.01]))
        axes.set_ylim(-0.35 * top, 1.1 * top)
        label(axes, _THRESHOLD, _BENEFIT, language)
        axes.legend()
    return drawn.svg


_DRIFT = Text(en="Drift: {variable}", zh="{variable}漂移")
_DRIFT_SAID = Text(
    en="Share of cases by {variable}, in the reference and now. PSI {psi:.3f}.",
    zh="參考期與目前依{variable}之個案比例。PSI {psi:.3f}。",
)
_REFERENCE = Text(en="reference", zh="參考期")
_NOW = Text(en="now", zh="目前")
_SHARE = Text(en="share of cases", zh="個案比例")


@dataclass(frozen=True, slots=True)
class Drifted:
    """Shares of cases by bin, (B,), then and now; `names` say the bins."""

    variable: Text
    names: Sequence[str]
    reference: Sequence[float]
    now: Sequence[float]
    psi: float


def drift(found: Drifted, language: Language) -> bytes:
    """Draw two distributions over the same bins, side by side."""
    words: dict[str, object] = {"variable": found.variable, "psi": found.psi}
    at = np.arange(len(found.names))
    title = filled(_DRIFT, variable=found.variable)
    with paper(title, filled(_DRIFT_SAID, **words), language, height_in=3.6) as drawn:
        axes = drawn.axes
        shown = (
            (found.reference, -0.2, _REFERENCE, "#BBBBBB", HATCHES[0]),
            (found.now, 0.2, _NOW, COLOURS[1], HATCHES[1]),
        )
        for values, beside, name, colour, hatch in shown:
            axes.bar(
                at + beside, values, width=0.4, color=colour, hatch=hatch, edgecolor="black",
                linewidth=0.6, label=name.say(language),
            )  # fmt: skip
        axes.set_xticks(at, list(found.names), rotation=40 if len(at) > 7 else 0)
        axes.grid(visible=False, axis="x")
        label(axes, found.variable, _SHARE, language)
        axes.legend(title=f"PSI {number(found.psi)}")
    return drawn.svg


_ROBUST = Text(en="Robustness", zh="穩健性")
_ROBUST_SAID = Text(
    en="AUROC by severity of what gets worse: {corruptions}. Severity 0 is the image as it is.",
    zh="影像劣化({corruptions})於各嚴重程度之 AUROC;0 表示原始影像。",
)
_SEVERITY = Text(en="severity", zh="嚴重程度")
_AUROC = Text(en="AUROC", zh="AUROC")


def robustness(
    plain: float | None,
    by_corruption: Sequence[tuple[Text, Sequence[float]]],
    language: Language,
    *,
    cases: int | None = None,
) -> bytes:
    """Draw the AUROC of each corruption by severity from 1 up; `plain` is that of severity 0."""
    named = Text(
        en=", ".join(one.en for one, _ in by_corruption) or NONE,
        zh="、".join(one.zh for one, _ in by_corruption) or NONE,
    )
    words = filled(_ROBUST_SAID, corruptions=named)
    with paper(_ROBUST, words, language, cases=cases) as drawn:
        axes = drawn.axes
        for place, (name, values) in enumerate(by_corruption):
            start = [] if plain is None else [plain]
            axes.plot(
                range(1 - len(start), len(values) + 1),
                [*start, *values],
                color=COLOURS[place % 7],
                linestyle=LINES[place % 7],
                marker=MARKS[place % 7],
                markersize=4,
                label=short(said(name, language)),
            )
        axes.axhline(0.5, color=GREY, linewidth=0.8, linestyle=":", label=said(_CHANCE, language))
        lowest = min([0.5, *(value for _, values in by_corruption for value in values)])
        axes.set_ylim(lowest - 0.03, 1)
        axes.locator_params(axis="x", integer=True)
        label(axes, _SEVERITY, _AUROC, language)
        axes.legend(ncols=2)
    return drawn.svg


_MATRIX = Text(en="Versions by hospitals", zh="各版本於各院之結果")
_MATRIX_SAID = Text(
    en="{figure} of each version at each hospital, from {low} to {high}; a dash where it is "
    "not shown.",
    zh="各版本於各院之 {figure},介於 {low} 至 {high};破折號表示不予顯示。",
)
_MOST_COLUMNS = 9
"""Up to so many hospitals the numbers fit into the cells; the table beside it has them always."""


def cross_site(
    figure: str,
    models: Sequence[str],
    sites: Sequence[str],
    values: Sequence[Sequence[float | None]],
    language: Language,
) -> bytes:
    """Draw a figure of every version at every site; None where it is suppressed.

    Colours run over the values shown, between steps of 0.05, so that a small difference
    does not look like a large one.
    """
    numbers = np.array([[np.nan if one is None else one for one in row] for row in values], float)
    low, high = _ends(numbers[np.isfinite(numbers)])
    words = filled(_MATRIX_SAID, figure=figure, low=f"{low:.2f}", high=f"{high:.2f}")
    with paper(_MATRIX, words, language, height_in=2.0 + 0.42 * len(models)) as drawn:
        axes = drawn.axes
        image = axes.imshow(numbers, cmap="cividis", vmin=low, vmax=high, aspect="auto")
        has_words = len(sites) <= _MOST_COLUMNS
        for (row, column), value in np.ndenumerate(numbers):
            there = bool(np.isfinite(value))
            text = (number(float(value)) if has_words else "") if there else NONE
            colour = "black" if not there or value > (low + high) / 2 else "white"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=9)
        is_turned = len(sites) > 4 or max(map(len, sites)) > 10
        names = [verbatim(one, 18) for one in sites]
        axes.set_xticks(
            range(len(sites)), names, rotation=40 * is_turned, ha="right" if is_turned else "center"
        )
        axes.set_yticks(range(len(models)), [verbatim(one, 24) for one in models])
        axes.grid(visible=False)
        drawn.figure.colorbar(image, ax=axes, label=figure, orientation="horizontal", aspect=40)
    return drawn.svg


def _ends(known: Floats) -> tuple[float, float]:
    """Return the ends of the colours: the values', widened to steps of 0.05."""
    if not len(known):
        return 0.0, 1.0
    low, high = np.floor(known.min() * 20) / 20, np.ceil(known.max() * 20) / 20
    return float(low), float(max(high, low + 0.05))
