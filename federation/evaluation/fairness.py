"""Is the model as good for everyone? Groups compared with a reference group.

For each figure every group is compared with the reference: rates with Newcombe's
interval, AUROC and calibration slope with the normal one. Confirmatory comparisons are
corrected by Holm, screening ones by Benjamini-Hochberg. Beside each rate gap stands the
smallest gap that these groups could have shown: no finding in a small group is no proof.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from federation.errors import PlatformError
from federation.errors.evaluation import GroupsError
from federation.evaluation.calibration import recalibration
from federation.evaluation.discrimination import auroc_estimate
from federation.evaluation.multiplicity import benjamini_hochberg, holm, holm_levels
from federation.evaluation.operating_points import Confusion, confusion
from federation.evaluation.proportions import Proportion, RateGap, detectable_gap
from federation.evaluation.rounding import coarse_estimate
from federation.evaluation.scores import ScoreHistogram
from federation.evaluation.suppression import CellRule, Reason, Refusal
from federation.evaluation.tails import LEVEL, Estimate, Interval
from federation.wording import Text

POWER = 0.8

_ONE_GROUP = Text(en="there is only one", zh="僅有一組")
_NO_REFERENCE = Text(en="the reference is not among them", zh="參考組不在其中")


class Figure(Enum):
    """What is compared between groups."""

    TPR = "tpr"
    FPR = "fpr"
    PPV = "ppv"
    AUROC = "auroc"
    SLOPE = "slope"


class Purpose(Enum):
    """Why groups are compared, which decides the correction for many comparisons."""

    CONFIRMATORY = "confirmatory"
    SCREENING = "screening"


RATES: Mapping[Figure, Callable[[Confusion], Proportion]] = {
    Figure.TPR: lambda counts: counts.sensitivity,
    Figure.FPR: lambda counts: counts.false_positive_rate,
    Figure.PPV: lambda counts: counts.positive_predictive_value,
}
BEHIND: Mapping[Figure, frozenset[str]] = {
    Figure.TPR: frozenset({"true_positives", "false_negatives"}),
    Figure.FPR: frozenset({"false_positives", "true_negatives"}),
    Figure.PPV: frozenset({"true_positives", "false_positives"}),
}
"""The cells from which each rate is made."""
ESTIMATES: Mapping[Figure, Callable[[ScoreHistogram], Estimate]] = {
    Figure.AUROC: auroc_estimate,
    Figure.SLOPE: lambda histogram: recalibration(histogram).estimate("slope"),
}


@dataclass(frozen=True, slots=True)
class Gap:
    """One group against the reference in one figure.

    Parameters
    ----------
    gap
        Group minus reference.
    interval
        At 95 %, or at Holm's level when confirmatory.
    p_value, adjusted
        Before and after correction for all comparisons of the call.
    detectable
        The smallest gap of rates found with a power of 0.8; None for other figures.
    """

    figure: Figure
    group: str
    reference: str
    gap: float
    interval: Interval
    p_value: float
    adjusted: float
    detectable: float | None

    @property
    def excludes_zero(self) -> bool:
        """Return whether the interval excludes no difference."""
        return not self.interval.contains(0.0)


@dataclass(frozen=True, slots=True)
class Fairness:
    """All comparisons that may be shown, and those that may not."""

    purpose: Purpose
    gaps: tuple[Gap, ...]
    refusals: tuple[Refusal, ...]
    failures: tuple[PlatformError, ...]

    def largest(self, figure: Figure) -> float | None:
        """Return the largest absolute gap of one figure, None if there is none."""
        return max((abs(one.gap) for one in self.gaps if one.figure is figure), default=None)

    @property
    def equalised_odds(self) -> float | None:
        """Return the larger of the TPR and FPR gaps to the reference."""
        found = [self.largest(figure) for figure in (Figure.TPR, Figure.FPR)]
        return max((one for one in found if one is not None), default=None)


@dataclass(frozen=True, slots=True)
class _Comparison:
    """A comparison before correction: its difference and the interval at any level."""

    figure: Figure
    group: str
    reference: str
    gap: float
    interval: Callable[[float], Interval]
    p_value: float
    detectable: float | None


@dataclass(frozen=True, slots=True)
class _Found:
    """What comparing led to, filled on the way."""

    comparisons: list[_Comparison]
    refusals: list[Refusal]
    failures: list[PlatformError]


def compare_groups(
    families: Mapping[str, Mapping[str, ScoreHistogram]],
    *,
    threshold: float,
    rule: CellRule,
    purpose: Purpose,
    references: Mapping[str, str],
    withheld: Mapping[str, frozenset[str]],
) -> Fairness:
    """Return the gaps of every group to its family's reference, corrected all together.

    A group or rate that the rule hides is a refusal, one that cannot be computed a
    failure; both are named and none is left out in silence.

    Parameters
    ----------
    families
        Groups with different names by family, such as sex or age band.
    references
        The reference group by family; the largest group where none is named.
    withheld
        By group, the cells that `parts.hidden_cells` hides beside the whole.
    """
    found = _Found([], [], [])
    for family, groups in families.items():
        try:
            base = _reference(groups, references.get(family))
        except GroupsError as error:
            found.failures.append(error)
            continue
        for group in sorted(groups.keys() - {base}):
            pair = {group: groups[group], base: groups[base]}
            for figure in Figure:
                _add(found, figure, pair, threshold, rule, withheld)
    gaps = tuple(_corrected(found.comparisons, purpose))
    return Fairness(purpose, gaps, tuple(found.refusals), tuple(found.failures))


def compare_rates(figure: Figure, group: Confusion, reference: Confusion) -> RateGap:
    """Return the gap of one rate between two groups."""
    return RateGap(RATES[figure](group), RATES[figure](reference))


def _reference(groups: Mapping[str, ScoreHistogram], wanted: str | None) -> str:
    if len(groups) < 2:
        raise GroupsError(why=_ONE_GROUP)
    if wanted is not None and wanted not in groups:
        raise GroupsError(why=_NO_REFERENCE)
    return wanted or max(sorted(groups), key=lambda name: groups[name].patients)


def _add(
    found: _Found,
    figure: Figure,
    pair: Mapping[str, ScoreHistogram],
    threshold: float,
    rule: CellRule,
    withheld: Mapping[str, frozenset[str]],
) -> None:
    """Add one comparison of the first of a pair with the second, or why there is none."""
    refused = _refused(figure, pair, threshold, rule, withheld)
    if refused is not None:
        found.refusals.append(refused)
        return
    try:
        found.comparisons.append(_compare(figure, pair, threshold))
    except PlatformError as error:
        found.failures.append(error)


def _refused(
    figure: Figure,
    pair: Mapping[str, ScoreHistogram],
    threshold: float,
    rule: CellRule,
    withheld: Mapping[str, frozenset[str]],
) -> Refusal | None:
    """Return the refusal of a gap of which one group's part may not be seen."""
    for name, histogram in pair.items():
        where = f"{figure.value} {name}"
        if (refused := rule.slice_of(where, histogram)) is not None:
            return refused
        if figure in RATES:
            rate = RATES[figure](confusion(histogram, threshold))
            hidden = withheld.get(name, frozenset()) & BEHIND[figure]
            if hidden or not isinstance(rule.rate(where, rate), Proportion):
                return rule.refuse(where, Reason.HIDDEN_CELL)
    return None


def _compare(figure: Figure, pair: Mapping[str, ScoreHistogram], threshold: float) -> _Comparison:
    (name, group), (reference, base) = pair.items()
    if figure not in RATES:
        one, other = (coarse_estimate(ESTIMATES[figure](h), h.patients) for h in (group, base))
        gap = one.minus(other)
        return _Comparison(figure, name, reference, gap.value, gap.interval, gap.p_value(), None)
    rates = compare_rates(figure, confusion(group, threshold), confusion(base, threshold))
    seen = detectable_gap(
        rate=rates.second.rate,
        first=rates.first.of,
        second=rates.second.of,
        level=LEVEL,
        power=POWER,
    )
    return _Comparison(figure, name, reference, rates.value, rates.interval, rates.p_value(), seen)


def _corrected(comparisons: Sequence[_Comparison], purpose: Purpose) -> Iterator[Gap]:
    """Yield the gaps with adjusted p-values and the intervals that go with them."""
    p_values = [one.p_value for one in comparisons]
    confirm = purpose is Purpose.CONFIRMATORY
    adjusted = holm(p_values) if confirm else benjamini_hochberg(p_values)
    levels = holm_levels(p_values, LEVEL) if confirm else [LEVEL] * len(p_values)
    for one, value, level in zip(comparisons, adjusted, levels, strict=True):
        yield Gap(
            one.figure,
            one.group,
            one.reference,
            one.gap,
            one.interval(float(level)),
            one.p_value,
            float(value),
            one.detectable,
        )
