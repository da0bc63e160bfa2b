"""The figures of an evaluation's report, each with its numbers."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from federation.evaluation.fairness import Figure as GapFigure
from federation.evaluation.sliced import EVERYONE
from federation.evaluation.tails import expit
from federation.figures import evaluation as drawn
from federation.figures.evaluation import Estimated
from federation.wording import Text
from registry.reports import wording
from registry.reports.documents import (
    Assessment,
    Curves,
    Drifted,
    EvaluationDocument,
    Fairness,
    Matrix,
    NetBenefit,
    OwnFigure,
    SliceFigures,
)
from registry.reports.layout import Figure, named

_BY_GROUP = Text(en="AUROC by group", zh="各組 AUROC")
_BY_SITE = Text(en="AUROC by hospital", zh="各院 AUROC")
_AUROC = Text(en="AUROC (95 % interval)", zh="AUROC(95% 區間)")
_POOLED = Text(en="all together", zh="全部合計")
_GAP = Text(en="group minus reference", zh="該組減參考組")


def from_logit(value: float) -> float:
    """Return an AUROC that was told on the logit scale."""
    return expit(value)


def roc(curves: Curves, whole: SliceFigures) -> Figure:
    """Return the ROC curve of everyone with its band."""
    points = np.array(curves.roc)
    curve = drawn.Roc(
        points[:, 1], points[:, 2], points[:, 3], points[:, 4], whole.auroc.value, *whole.auroc.ends
    )
    columns = ("score", "false_positive_rate", "true_positive_rate", "low", "high")
    return Figure("roc", lambda language: drawn.roc(curve, language), columns, curves.roc)


def reliability(curves: Curves) -> Figure:
    """Return observed against predicted risk."""
    groups = np.array(curves.reliability)
    found = drawn.Reliability(groups[:, 0], groups[:, 1], groups[:, 2], groups[:, 3])
    columns = ("predicted", "observed", "low", "high", "cases")
    return Figure(
        "reliability",
        lambda language: drawn.reliability(found, language),
        columns,
        curves.reliability,
    )


def by_group(found: Assessment) -> Figure:
    """Return the AUROC of every shown group."""
    groups = {name: one for name, one in found.slices.items() if name != EVERYONE}
    return _forest("groups", _BY_GROUP, groups, found)


def by_site(found: Assessment, hidden: Sequence[str]) -> Figure:
    """Return the AUROC of every hospital; those that are `hidden` say so."""
    return _forest("sites", _BY_SITE, found.sites, found, hidden)


def own(figures: Sequence[OwnFigure], found: Assessment) -> Figure:
    """Return the AUROC that each hospital showed of itself, with that of the sum."""
    rows = [Estimated(named(one.site), one.value, one.low, one.high) for one in figures]
    data: list[Sequence[str | float | None]] = [
        (one.site, one.value, one.low, one.high) for one in figures
    ]
    whole = found.slices.get(EVERYONE)
    if whole is not None:
        rows.append(Estimated(_POOLED, *_of(whole), is_summary=True))
        data.append((EVERYONE, *_of(whole)))
    line = whole.auroc.value if whole else None
    return Figure(
        "sites",
        lambda language: drawn.forest(_BY_SITE, _AUROC, rows, language, line=line),
        ("name", "auroc", "low", "high"),
        data,
    )


def _forest(
    name: str,
    title: Text,
    parts: Mapping[str, SliceFigures],
    found: Assessment,
    hidden: Sequence[str] = (),
) -> Figure:
    rows = [Estimated(wording.slice_named(part), *_of(one)) for part, one in parts.items()]
    data: list[Sequence[str | float | None]] = [
        (part, one.cases, *_of(one)) for part, one in parts.items()
    ]
    rows += [Estimated(wording.slice_named(part), None, None, None) for part in hidden]
    data += [(part, None, None, None, None) for part in hidden]
    whole = found.slices.get(EVERYONE)
    if whole is not None:
        rows.append(Estimated(_POOLED, *_of(whole), is_summary=True))
        data.append((EVERYONE, whole.cases, *_of(whole)))
    line = whole.auroc.value if whole else None
    return Figure(
        name,
        lambda language: drawn.forest(title, _AUROC, rows, language, line=line),
        ("name", "cases", "auroc", "low", "high"),
        data,
    )


def _of(one: SliceFigures) -> tuple[float, float, float]:
    return one.auroc.value, *one.auroc.ends


def gaps(found: Fairness) -> Figure:
    """Return the gaps in sensitivity, or of the first figure that has any."""
    figure = next(
        (one for one in GapFigure if any(gap.figure is one for gap in found.gaps)), GapFigure.TPR
    )
    shown = [one for one in found.gaps if one.figure is figure]
    rows = [Estimated(_between(one.group, one.reference), one.gap, *one.interval) for one in shown]
    title = Text(en=f"Gaps: {wording.GAPS[figure].en.lower()}", zh=f"{wording.GAPS[figure].zh}差距")
    data = [
        (one.figure.value, one.group, one.reference, one.gap, *one.interval, one.adjusted_p)
        for one in found.gaps
    ]
    return Figure(
        "gaps",
        lambda language: drawn.forest(title, _GAP, rows, language, line=0.0),
        ("figure", "group", "reference", "gap", "low", "high", "adjusted_p"),
        data,
    )


def _between(group: str, reference: str) -> Text:
    one, other = wording.slice_named(group), wording.slice_named(reference)
    value = {"en": other.en.partition(": ")[2], "zh": other.zh.partition(":")[2]}
    return Text(
        en=f"{one.en} against {value['en'] or other.en}",
        zh=f"{one.zh} 對 {value['zh'] or other.zh}",
    )


def decision(curve: Sequence[NetBenefit]) -> Figure:
    """Return net benefit by threshold."""
    columns = ("threshold", "model", "treat_all")
    rows = [(one.threshold, one.model, one.treat_all) for one in curve]
    values = np.array(rows, dtype=np.float64)
    found = drawn.DecisionCurve(values[:, 0], values[:, 1], values[:, 2])
    return Figure(
        "decision-curve", lambda language: drawn.decision_curve(found, language), columns, rows
    )


def robustness(document: EvaluationDocument) -> Figure:
    """Return the AUROC by corruption and severity."""
    whole = document.assessment.slices.get(EVERYONE)
    plain = whole.auroc.value if whole else None
    lines = [(wording.corruption(one.corruption), one) for one in document.robustness]
    drawn_lines = [(name, [found.value for found in one.aurocs]) for name, one in lines]
    data = [
        (one.corruption, severity, found.value, *found.ends)
        for one in document.robustness
        for severity, found in enumerate(one.aurocs, start=1)
    ]
    return Figure(
        "robustness",
        lambda language: drawn.robustness(plain, drawn_lines, language),
        ("corruption", "severity", "auroc", "low", "high"),
        data,
    )


def drift(found: Drifted) -> Figure:
    """Return a variable's distribution, then and now."""
    shown = found.distribution
    assert shown is not None  # the caller saw to it
    names = _bins(shown.edges)
    shares = drawn.Drifted(
        wording.variable(found.variable), names, shown.reference, shown.now, found.psi
    )
    rows = list(zip(names, shown.reference, shown.now, strict=True))
    return Figure(
        f"drift-{_slug(found.variable)}",
        lambda language: drawn.drift(shares, language),
        ("bin", "reference", "now"),
        rows,
    )


def matrix(found: Matrix) -> Figure:
    """Return every version at every hospital."""
    rows = [
        (version, site, value)
        for version, values in zip(found.versions, found.values, strict=True)
        for site, value in zip(found.sites, values, strict=True)
    ]
    figure = found.figure.upper() if found.figure == "auroc" else found.figure
    return Figure(
        "cross-site",
        lambda language: drawn.cross_site(
            figure, found.versions, found.sites, found.values, language
        ),
        ("version", "site", found.figure),
        rows,
    )


def _bins(edges: Sequence[float]) -> list[str]:
    """Return the names of bins: below the first edge, between edges, from the last up."""
    said = [f"{one:g}" for one in edges]
    if not said:
        return ["–"]
    middle = [f"{low}–{high}" for low, high in pairwise(said)]
    return [f"< {said[0]}", *middle, f"≥ {said[-1]}"]


def _slug(name: str) -> str:
    plain = "".join(one if one.isascii() and one.isalnum() else "-" for one in name.lower())
    return plain.strip("-")[:40] or "variable"
