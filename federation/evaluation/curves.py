"""Curves and distributions that may be shown: cut only where no few cases lie between.

A curve is a list of counts, and the difference of two of its points is a cell. So every
cut of the pooled histogram that is shown - of the ROC curve, the reliability diagram, the
drift of scores, and what was shown before: the operating point and the decision curve -
lies at least k cases of each class from every other, or none.

    curves = shown_curves(histogram, plan, assessment.decision_curve)
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from federation.evaluation.assessment import Plan
from federation.evaluation.drift import BinCounts
from federation.evaluation.operating_points import NetBenefit, confusion
from federation.evaluation.proportions import Proportion
from federation.evaluation.scores import ScoreHistogram
from federation.evaluation.suppression import CellRule, Refusal

POINTS = 100
"""A ROC curve has at most so many cuts besides those shown elsewhere."""
GROUPS = 10
SCORE = "score"


@dataclass(frozen=True, slots=True)
class Cut:
    """How many with and without the finding score `score` or more."""

    score: float
    positives: int
    negatives: int


@dataclass(frozen=True, slots=True)
class RocPoint:
    """One point of a ROC curve with Wilson's interval of the sensitivity."""

    score: float
    false_positive_rate: float
    true_positive_rate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Group:
    """Cases of neighbouring scores: mean score, observed rate and Wilson's interval."""

    predicted: float
    observed: float
    low: float
    high: float
    cases: int


@dataclass(frozen=True, slots=True)
class Curves:
    """What is shown of the pooled histogram; `scores` are the cuts, highest first."""

    roc: tuple[RocPoint, ...]
    reliability: tuple[Group, ...]
    scores: tuple[float, ...]

    def as_json(self) -> dict[str, object]:
        """Return both curves as data."""
        return {
            "roc": [
                [one.score, one.false_positive_rate, one.true_positive_rate, one.low, one.high]
                for one in self.roc
            ],
            "reliability": [
                [one.predicted, one.observed, one.low, one.high, one.cases]
                for one in self.reliability
            ],
        }


@dataclass(frozen=True, slots=True)
class Distribution:
    """Shares of cases by bin, then and now; `edges` are the inner ones, one fewer."""

    variable: str
    edges: tuple[float, ...]
    reference: tuple[float, ...]
    now: tuple[float, ...]


def shown_curves(
    histogram: ScoreHistogram, plan: Plan, decision_curve: Iterable[NetBenefit]
) -> Curves:
    """Return the curves of the pooled histogram that may be shown beside an assessment.

    Raises
    ------
    SingleClassError
        If a class is missing.
    """
    histogram.check_both_classes()
    cuts = _cuts(histogram, plan, [one.threshold for one in decision_curve])
    edges = [cuts[0], *(one for one in cuts[1:-1] if _is_group_edge(one.score)), cuts[-1]]
    return Curves(
        tuple(_roc_point(one, cuts[-1]) for one in cuts),
        tuple(_group(histogram, low, high) for high, low in pairwise(edges))[::-1],
        tuple(one.score for one in cuts[1:-1]),
    )


def shown_distribution(
    reference: BinCounts, now: BinCounts, rule: CellRule, scores: Sequence[float]
) -> Distribution | Refusal:
    """Return both distributions with neighbours joined until no count is small.

    Parameters
    ----------
    scores
        The cuts shown elsewhere (`Curves.scores`): the variable ``score`` is cut there only.
    """
    inner = list(reference.edges)
    if reference.variable == SCORE:
        inner = [edge for edge in inner if any(abs(edge - one) < 1e-9 for one in scores)]
    old, new = (_joined(one, inner) for one in (reference, now))
    merged = rule.bins(f"drift {reference.variable}", ScoreHistogram(old, new))
    if isinstance(merged, Refusal):
        return merged
    return Distribution(
        reference.variable,
        tuple(float(inner[one.last]) for one in merged[:-1]),
        tuple(one.positives / int(old.sum()) for one in merged),
        tuple(one.negatives / int(new.sum()) for one in merged),
    )


def _cuts(histogram: ScoreHistogram, plan: Plan, thresholds: Iterable[float]) -> list[Cut]:
    """Return nobody, the cuts that may be shown from the highest score down, and everybody."""
    ends = [_cut_of(histogram, 2.0), _cut_of(histogram, 0.0)]
    kept = list(ends)
    for score in (plan.threshold, *thresholds, *_candidates()):
        cut = _at_threshold(histogram, score)
        if _is_apart(cut, kept, plan.rule):
            kept.append(cut)
    return [ends[0], *sorted(kept[2:], key=lambda one: -one.score), ends[1]]


def _candidates() -> Iterable[float]:
    """Return the edges of groups first, so that the diagram has as many as it may."""
    steps = sorted(range(1, POINTS), key=lambda step: (step % (POINTS // GROUPS) != 0, step))
    return (step / POINTS for step in steps)


def _is_group_edge(score: float) -> bool:
    return abs(score * GROUPS - round(score * GROUPS)) < 1e-9


def _is_apart(cut: Cut, kept: Iterable[Cut], rule: CellRule) -> bool:
    """Say whether a cut differs from every other one, and in no class by a few cases."""
    for one in kept:
        apart = abs(cut.positives - one.positives), abs(cut.negatives - one.negatives)
        if not any(apart) or any(map(rule.is_small, apart)):
            return False
    return True


def _at_threshold(histogram: ScoreHistogram, threshold: float) -> Cut:
    """Return the cut at a threshold, its counts those of `confusion`."""
    counts = confusion(histogram, threshold)
    return Cut(threshold, counts.true_positives, counts.false_positives)


def _cut_of(histogram: ScoreHistogram, score: float) -> Cut:
    at = histogram.probabilities >= score
    positives, negatives = histogram.positives[at].sum(), histogram.negatives[at].sum()
    return Cut(score, int(positives), int(negatives))


def _roc_point(cut: Cut, whole: Cut) -> RocPoint:
    sensitivity = Proportion(cut.positives, whole.positives)
    interval = sensitivity.wilson()
    false = Proportion(cut.negatives, whole.negatives).rate
    score = min(cut.score, 1.0)
    return RocPoint(score, false, sensitivity.rate, interval.low, interval.high)


def _group(histogram: ScoreHistogram, low: Cut, high: Cut) -> Group:
    p = histogram.probabilities
    inside = (p >= low.score - 1e-9) & (p < high.score - 1e-9)
    cases = int(histogram.totals[inside].sum())
    observed = Proportion(low.positives - high.positives, cases)
    interval = observed.wilson()
    predicted = float(histogram.totals[inside] @ p[inside]) / cases
    return Group(round(predicted, 3), observed.rate, interval.low, interval.high, cases)


def _joined(counts: BinCounts, edges: Sequence[float]) -> np.ndarray:
    """Return counts between some of the edges only."""
    above = np.searchsorted(counts.edges, edges)
    return np.add.reduceat(counts.cases, [0, *(above + 1)]) if len(edges) else _sum(counts)


def _sum(counts: BinCounts) -> np.ndarray:
    return np.array([counts.cases.sum()])
