"""The figures of an evaluation's report, each with its numbers."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from federation.domain.ids import Sha256
from federation.evaluation.fairness import Figure as GapFigure
from federation.evaluation.sliced import EVERYONE
from federation.evaluation.tails import expit
from federation.figures import evaluation as drawn
from federation.figures import trust
from federation.figures.canvas import filled
from federation.figures.forests import Estimated, Scale, forest
from federation.wording import Text
from registry.reports import wording
from registry.reports.documents.evaluation import (
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
from registry.reports.documents.families import CaseStatistic, Paired, Uncertainty
from registry.reports.documents.shapes import Estimated as Interval
from registry.reports.documents.shapes import Rate
from registry.reports.layout import Figure, named

_PAIRED = Text(en="Difference of the AUROC", zh="AUROC 之差異")
_PAIRED_AXIS = Text(
    en="this version minus the other (95 % interval)", zh="本版本減另一版本(95% 區間)"
)
_MINUS = Text(en="{one} − {other}", zh="{one} − {other}")
_COVERAGE = Text(en="Coverage by group", zh="各組涵蓋率")
_COVERAGE_AXIS = Text(
    en="share with the truth among the answers (95 % interval)", zh="答案包含真值之比例(95% 區間)"
)
_BY_GROUP = Text(en="AUROC by group", zh="各組 AUROC")
_BY_SITE = Text(en="AUROC by hospital", zh="各院 AUROC")
_AUROC = Text(en="AUROC (95 % interval)", zh="AUROC(95% 區間)")
_POOLED = Text(en="all together", zh="全部合計")
_GAP = Text(en="group minus reference", zh="該組減參考組")
_GAPS = Text(en="Gaps between groups", zh="組間差距")
_MOST_GAPS = 30
_MOST_LETTERS = 30


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
    return Figure(
        "roc",
        lambda language: drawn.roc(curve, language, cases=whole.cases),
        columns,
        curves.roc,
    )


def reliability(curves: Curves) -> Figure:
    """Return observed against predicted risk."""
    groups = np.array(curves.reliability)
    found = drawn.Reliability(groups[:, 0], groups[:, 1], groups[:, 2], groups[:, 3])
    columns = ("predicted", "observed", "low", "high", "cases")
    cases = sum(group[4] for group in curves.reliability)
    return Figure(
        "reliability",
        lambda language: drawn.reliability(found, language, cases=cases),
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
        rows.append(Estimated(_POOLED, *_of(whole), is_summary=True, cases=whole.cases))
        data.append((EVERYONE, *_of(whole)))
    scale = Scale(line=whole.auroc.value if whole else None)
    return Figure(
        "sites",
        lambda language: forest(_BY_SITE, _AUROC, rows, language, scale),
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
    rows = [
        Estimated(wording.slice_named(part), *_of(one), cases=one.cases)
        for part, one in parts.items()
    ]
    data: list[Sequence[str | float | None]] = [
        (part, one.cases, *_of(one)) for part, one in parts.items()
    ]
    rows += [Estimated(wording.slice_named(part), None, None, None) for part in hidden]
    data += [(part, None, None, None, None) for part in hidden]
    whole = found.slices.get(EVERYONE)
    if whole is not None:
        rows.append(Estimated(_POOLED, *_of(whole), is_summary=True, cases=whole.cases))
        data.append((EVERYONE, whole.cases, *_of(whole)))
    scale = Scale(line=whole.auroc.value if whole else None)
    return Figure(
        name,
        lambda language: forest(title, _AUROC, rows, language, scale),
        ("name", "cases", "auroc", "low", "high"),
        data,
    )


def _of(one: SliceFigures) -> tuple[float, float, float]:
    return _ends(one.auroc)


def _ends(one: Interval) -> tuple[float, float, float]:
    return one.value, *one.ends


def gaps(found: Fairness) -> Figure:
    """Return every gap of rates and AUROC; slopes are on a scale of their own."""
    shown = [one for one in found.gaps if one.figure is not GapFigure.SLOPE][:_MOST_GAPS]
    rows = [
        Estimated(_gap_named(one.figure, one.group, one.reference), one.gap, *one.interval)
        for one in shown
    ]
    data = [
        (one.figure.value, one.group, one.reference, one.gap, *one.interval, one.adjusted_p)
        for one in found.gaps
    ]
    return Figure(
        "gaps",
        lambda language: forest(_GAPS, _GAP, rows, language, Scale(line=0.0)),
        ("figure", "group", "reference", "gap", "low", "high", "adjusted_p"),
        data,
    )


def has_gaps_to_draw(found: Fairness) -> bool:
    """Say whether any gap is on the scale of the figure."""
    return any(one.figure is not GapFigure.SLOPE for one in found.gaps)


def _gap_named(figure: GapFigure, group: str, reference: str) -> Text:
    told = filled(_MINUS, one=_value_of(group), other=_value_of(reference))
    name = wording.GAPS_SHORT[figure]
    return Text(en=f"{name.en}: {told.en}", zh=f"{name.zh}:{told.zh}")


def _value_of(group: str) -> Text:
    family, is_slice, value = group.partition("=")
    return wording.value_named(family, value) if is_slice else wording.slice_named(group)


def decision(curve: Sequence[NetBenefit], cases: int | None) -> Figure:
    """Return net benefit by threshold."""
    columns = ("threshold", "model", "treat_all")
    rows = [(one.threshold, one.model, one.treat_all) for one in curve]
    values = np.array(rows, dtype=np.float64)
    found = drawn.DecisionCurve(values[:, 0], values[:, 1], values[:, 2])
    return Figure(
        "decision-curve",
        lambda language: drawn.decision_curve(found, language, cases=cases),
        columns,
        rows,
    )


def robustness(document: EvaluationDocument) -> Figure:
    """Return the AUROC by corruption and severity."""
    whole = document.assessment.slices.get(EVERYONE)
    plain, cases = (whole.auroc.value, whole.cases) if whole else (None, None)
    lines = [(wording.corruption(one.corruption), one) for one in document.robustness]
    drawn_lines = [(name, [found.value for found in one.aurocs]) for name, one in lines]
    data = [
        (one.corruption, severity, found.value, *found.ends)
        for one in document.robustness
        for severity, found in enumerate(one.aurocs, start=1)
    ]
    return Figure(
        "robustness",
        lambda language: drawn.robustness(plain, drawn_lines, language, cases=cases),
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


def paired(found: Paired, entry: str) -> Figure:
    """Return the difference of the AUROC of two versions on the same patients."""
    name = filled(_MINUS, one=_version(entry, found.against), other=_version(found.against, entry))
    rows = [Estimated(name, *_ends(found.difference))]
    both = (found.auroc, found.auroc_against)
    return Figure(
        f"paired-{_slug(found.against)}",
        lambda language: forest(
            _PAIRED, _PAIRED_AXIS, rows, language, Scale(line=0.0), cases=found.cases
        ),
        ("version", "against", "cases", "auroc", "auroc_against", "difference", "low", "high", "p"),
        [(entry, found.against, found.cases, *both, *_ends(found.difference), found.p_value)],
    )


def _version(entry: str, other: str) -> Text:
    """Return the version alone where both are of one model, so that both names fit."""
    model, is_entry, version = entry.partition(".v")
    is_alike = is_entry and other.startswith(f"{model}.v")
    return named(f"v{version}" if is_alike else entry)


def coverage(found: Uncertainty) -> Figure:
    """Return how often the truth is among the answers given, by group."""
    parts = sorted(found.coverage.items(), key=lambda one: (one[0] == EVERYONE, one[0]))
    rows = [_covered(name, one) for name, one in parts]
    data: list[Sequence[str | float | None]] = [
        (name, row.cases, row.value, row.low, row.high)
        for (name, _), row in zip(parts, rows, strict=True)
    ]
    scale = Scale(line=1 - found.alpha)
    return Figure(
        "coverage",
        lambda language: forest(_COVERAGE, _COVERAGE_AXIS, rows, language, scale),
        ("name", "cases", "coverage", "low", "high"),
        data,
    )


def _covered(name: str, rate: Rate) -> Estimated:
    """Return a coverage: with its interval, as a band, or hidden."""
    value = None if rate.interval is None else rate.value
    low, high = rate.interval or rate.band or (None, None)
    title, is_summary = wording.slice_named(name), name == EVERYONE
    return Estimated(title, value, low, high, is_summary=is_summary, cases=rate.of)


def selective(found: Uncertainty) -> Figure:
    """Return how often answers are wrong when the unsure are left out."""
    points = np.array(found.selective)
    curve = trust.Selective(points[:, 1], points[:, 2], points[:, 3], points[:, 4])
    cases = found.calibration_cases + found.test_cases
    return Figure(
        "selective-risk",
        lambda language: trust.selective_risk(curve, language, cases=cases),
        ("least_confidence", "answered", "wrong", "low", "high"),
        found.selective,
    )


def explanation(name: str, found: CaseStatistic) -> Figure:
    """Return how one number a case of the explanations is distributed."""
    told = wording.statistic(name)
    shown = trust.Histogram(found.histogram, found.mean.value, found.cases, told.right, told.at)
    return Figure(
        f"explanation-{_slug(name)}",
        lambda language: trust.histogram(told.title, told.axis, shown, language),
        ("low", "high", "share"),
        found.histogram,
    )


def matrix(found: Matrix) -> Figure:
    """Return every version at every hospital."""
    rows = [
        (version, site, value)
        for version, values in zip(found.versions, found.values, strict=True)
        for site, value in zip(found.sites, values, strict=True)
    ]
    figure = figure_named(found)
    return Figure(
        "cross-site",
        lambda language: drawn.cross_site(
            figure, found.versions, found.sites, found.values, language
        ),
        ("version", "site", found.figure),
        rows,
    )


def figure_named(matrix: Matrix) -> str:
    """Return what a matrix is of."""
    return matrix.figure.upper() if matrix.figure.lower() == "auroc" else matrix.figure


def _bins(edges: Sequence[float]) -> list[str]:
    """Return the names of bins: below the first edge, between edges, from the last up."""
    said = [f"{one:g}" for one in edges]
    if not said:
        return ["–"]
    middle = [f"{low}–{high}" for low, high in pairwise(said)]
    return [f"< {said[0]}", *middle, f"≥ {said[-1]}"]


def _slug(name: str) -> str:
    """Return a name for a file; one of other letters keeps apart by its digest."""
    plain = "".join(one if one.isascii() and one.isalnum() else "-" for one in name.lower())
    if plain == name and len(name) <= _MOST_LETTERS:
        return plain
    told = Sha256.of(name.encode()).hex[:8]
    return f"{plain.strip('-')[:_MOST_LETTERS]}-{told}".strip("-")
