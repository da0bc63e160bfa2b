"""Figures of an evaluation. Every number comes from summaries that sites added up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federation.figures.canvas import COLOURS, GREY, HATCHES, LINES, MARKS, label, paper, said
from federation.wording import Language, Text, without_fields

Floats = NDArray[np.float64]

FEW_POINTS = 12
"""Up to so many points of a line are marked, so that one alone is seen."""

_CHANCE = Text(en="chance", zh="隨機")
_BAND = Text(en="95 % band", zh="95% 區間")
_IDEAL = Text(en="ideal", zh="理想")
_FPR = Text(en="1 - specificity", zh="1 − 特異度")
_TPR = Text(en="sensitivity", zh="敏感度")
_ROC = Text(en="ROC curve", zh="ROC 曲線")
_ROC_SAID = Text(
    en="Sensitivity against 1 - specificity. Area {auroc:.3f} ({low:.3f} to {high:.3f}).",
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


def roc(curve: Roc, language: Language) -> bytes:
    """Draw a ROC curve with its band."""
    numbers: dict[str, float] = {
        "auroc": curve.auroc,
        "low": curve.auroc_low,
        "high": curve.auroc_high,
    }
    words = _filled(_ROC_SAID, numbers)
    with paper(_ROC, words, language, height_in=5.2, square=True) as drawn:
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
    en="Observed against predicted risk in {bins} groups; on the diagonal both agree.",
    zh="{bins} 組之觀察風險對預測風險;落於對角線表示兩者一致。",
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


def reliability(found: Reliability, language: Language) -> bytes:
    """Draw observed against predicted risk."""
    words = _filled(_RELIABILITY_SAID, {"bins": len(found.predicted)})
    with paper(_RELIABILITY, words, language, height_in=5.2, square=True) as drawn:
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


_FOREST_SAID = Text(
    en="Estimates with 95 % intervals, one in each row: {rows}.",
    zh="共 {rows} 項估計值與 95% 區間,每列一項。",
)
_SUPPRESSED = Text(en="not shown: too few people", zh="人數過少,不予顯示")


@dataclass(frozen=True, slots=True)
class Estimated:
    """One row of a forest: its name and estimate; None where it is suppressed."""

    name: Text
    value: float | None
    low: float | None
    high: float | None
    is_summary: bool = False


def forest(
    title: Text,
    axis: Text,
    rows: Sequence[Estimated],
    language: Language,
    *,
    line: float | None = None,
) -> bytes:
    """Draw estimates with intervals under each other; a summary is a diamond.

    Parameters
    ----------
    line
        Where a reference line stands, for example the pooled value or zero.
    """
    count = _filled(_FOREST_SAID, {"rows": len(rows)})
    with paper(title, count, language, height_in=1.4 + 0.34 * len(rows)) as drawn:
        axes = drawn.axes
        for place, row in enumerate(rows):
            if row.value is None or row.low is None or row.high is None:
                words = said(_SUPPRESSED, language)
                across = axes.get_yaxis_transform()
                axes.text(0.02, place, words, color=GREY, va="center", transform=across)
                continue
            colour = COLOURS[1] if row.is_summary else COLOURS[0]
            mark = "D" if row.is_summary else "s"
            axes.plot([row.low, row.high], [place, place], color=colour, linewidth=1.6)
            axes.plot([row.value], [place], marker=mark, color=colour, markersize=6)
            text = f"{row.value:.3f} ({row.low:.3f}, {row.high:.3f})".replace("-", "\u2212")
            axes.text(
                1.02, place, text, va="center", fontsize=8, transform=axes.get_yaxis_transform()
            )
        if line is not None:
            axes.axvline(line, color=GREY, linestyle=":", linewidth=1)
        axes.locator_params(axis="x", nbins=5)
        axes.set_yticks(range(len(rows)), [said(row.name, language) for row in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlabel(said(axis, language))
        axes.grid(visible=False, axis="y")
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


def decision_curve(found: DecisionCurve, language: Language) -> bytes:
    """Draw net benefit by threshold."""
    with paper(_DECISION, _DECISION_SAID, language) as drawn:
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
    title = _filled(_DRIFT, {"variable": found.variable})
    with paper(title, _filled(_DRIFT_SAID, words), language, height_in=3.6) as drawn:
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
        axes.set_xticks(at, list(found.names))
        axes.grid(visible=False, axis="x")
        label(axes, found.variable, _SHARE, language)
        axes.legend(title=f"PSI {found.psi:.3f}")
    return drawn.svg


_ROBUST = Text(en="Robustness", zh="穩健性")
_ROBUST_SAID = Text(
    en="AUROC by severity of {corruptions} corruptions; severity 0 is the image as it is.",
    zh="{corruptions} 種影像劣化於各嚴重程度之 AUROC;0 表示原始影像。",
)
_SEVERITY = Text(en="severity", zh="嚴重程度")
_AUROC = Text(en="AUROC", zh="AUROC")


def robustness(
    plain: float | None, by_corruption: Sequence[tuple[Text, Sequence[float]]], language: Language
) -> bytes:
    """Draw the AUROC of each corruption by severity from 1 up; `plain` is that of severity 0."""
    words = _filled(_ROBUST_SAID, {"corruptions": len(by_corruption)})
    with paper(_ROBUST, words, language) as drawn:
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
                label=said(name, language),
            )
        axes.axhline(0.5, color=GREY, linewidth=0.8)
        lowest = min([0.5, *(value for _, values in by_corruption for value in values)])
        axes.set_ylim(lowest - 0.03, 1)
        axes.locator_params(axis="x", integer=True)
        label(axes, _SEVERITY, _AUROC, language)
        axes.legend()
    return drawn.svg


_MATRIX = Text(en="Models by sites", zh="模型與院所")
_MATRIX_SAID = Text(
    en="{figure} of {models} versions at {sites} sites; numbers stand in the cells.",
    zh="{models} 個版本於 {sites} 個院所之 {figure};數值列於格中。",
)


def cross_site(
    figure: str,
    models: Sequence[str],
    sites: Sequence[str],
    values: Sequence[Sequence[float | None]],
    language: Language,
) -> bytes:
    """Draw a figure of every version at every site; None where it is suppressed."""
    numbers = np.array([[np.nan if one is None else one for one in row] for row in values], float)
    words = _filled(_MATRIX_SAID, {"figure": figure, "models": len(models), "sites": len(sites)})
    with paper(_MATRIX, words, language, height_in=1.6 + 0.42 * len(models)) as drawn:
        axes = drawn.axes
        known = numbers[np.isfinite(numbers)]
        ends = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
        axes.imshow(
            numbers, cmap="cividis", vmin=ends[0], vmax=max(ends[1], ends[0] + 1e-9), aspect="auto"
        )
        middle = (ends[0] + ends[1]) / 2
        for (row, column), value in np.ndenumerate(numbers):
            there = bool(np.isfinite(value))
            text = f"{value:.3f}" if there else "–"
            colour = "black" if not there or value > middle else "white"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=9)
        axes.set_xticks(range(len(sites)), list(sites), rotation=20, ha="right")
        axes.set_yticks(range(len(models)), list(models))
        axes.set_xlabel(figure)
        axes.grid(visible=False)
    return drawn.svg


_SURVIVAL = Text(en="Survival", zh="存活曲線")
_SURVIVAL_SAID = Text(
    en="Share without the event over time, {groups} groups; a curve ends where few are at risk.",
    zh="{groups} 組隨時間未發生事件之比例;風險人數過少處曲線終止。",
)
_TIME = Text(en="time", zh="時間")
_FREE = Text(en="share without the event", zh="未發生事件比例")


def survival(groups: Sequence[tuple[Text, Floats, Floats]], language: Language) -> bytes:
    """Draw Kaplan-Meier curves: for each group its name, times (T,) and shares (T,)."""
    words = _filled(_SURVIVAL_SAID, {"groups": len(groups)})
    with paper(_SURVIVAL, words, language) as drawn:
        axes = drawn.axes
        for place, (name, times, shares) in enumerate(groups):
            axes.step(
                times,
                shares,
                where="post",
                color=COLOURS[place % len(COLOURS)],
                linestyle=LINES[place % len(LINES)],
                marker=MARKS[place % len(MARKS)],
                markersize=3,
                label=name.say(language),
            )
        axes.set_ylim(0, 1.02)
        label(axes, _TIME, _FREE, language)
        axes.legend()
    return drawn.svg


def _filled(text: Text, values: Mapping[str, object]) -> Text:
    """Return the sentence with its fields filled in, in both languages."""
    both = (text.say(one, **values) for one in (Language.EN, Language.ZH_HANT_TW))
    en, zh = (without_fields(one) for one in both)
    return Text(en=en, zh=zh)
