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

from federation.errors.evaluation import EmptySliceError
from federation.evaluation.assessment import Plan
from federation.evaluation.drift import BinCounts
from federation.evaluation.operating_points import NetBenefit, confusion
from federation.evaluation.proportions import Proportion
from federation.evaluation.scores import ScoreHistogram
from federation.evaluation.sums import Counts
from federation.evaluation.suppression import CellRule, Reason, Refusal

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


def shown_counts(
    reference: BinCounts,
    now: BinCounts,
    rule: CellRule,
    scores: Sequence[float] = (),
    known: Sequence[Counts] = (),
) -> tuple[BinCounts, BinCounts] | Refusal:
    """Return both counts with neighbours joined until no count is small.

    Distances (`drift`) are computed of these only: four of them to six digits would say
    how a joined bin splits.

    Parameters
    ----------
    scores
        The cuts shown elsewhere (`Curves.scores`): the variable ``score`` is cut there only.
    known
        Further counts on the same bins that anybody can compute, such as those of the age
        bands that are not shown: of them no joined bin is small either.
    """
    cut = [
        place for place, edge in enumerate(reference.edges, 1) if _is_cut(reference, edge, scores)
    ]
    rows = [_joined(one, cut) for one in (reference.cases, now.cases, *known)]
    ends = _ends_of_shown(rows, rule)
    if ends is None:
        return rule.refuse(f"drift {reference.variable}", Reason.SMALL_CELL)
    kept = [cut[end - 1] for end in ends[:-1]]
    edges = reference.edges[np.array(kept, dtype=np.int64) - 1]
    old, new = (_joined(one.cases, kept) for one in (reference, now))
    return BinCounts(now.variable, edges, old), BinCounts(now.variable, edges, new)


def distribution_of(reference: BinCounts, now: BinCounts) -> Distribution:
    """Return the shares of counts that may be shown; EmptySliceError if either has no case."""
    for one in (reference, now):
        if not one.cases.sum():
            raise EmptySliceError(name=one.variable)
    old, new = (one.cases / one.cases.sum() for one in (reference, now))
    edges = tuple(float(edge) for edge in now.edges)
    return Distribution(now.variable, edges, tuple(map(float, old)), tuple(map(float, new)))


def _cuts(histogram: ScoreHistogram, plan: Plan, thresholds: Iterable[float]) -> list[Cut]:
    """Return nobody, the cuts that may be shown from the highest score down, and everybody.

    The operating point counts as seen even where it is not a cut that may be shown: half
    of its cells may stand among the rates, and a cut beside it would tell the difference.
    """
    ends = [_cut_of(histogram, 2.0), _cut_of(histogram, 0.0)]
    point = _at_threshold(histogram, plan.threshold)
    kept = [point] if _is_apart(point, ends, plan.rule) else []
    seen = [*ends, point]
    for score in (*thresholds, *_candidates()):
        cut = _at_threshold(histogram, score)
        if _is_apart(cut, seen, plan.rule):
            seen.append(cut)
            kept.append(cut)
    return [ends[0], *sorted(kept, key=lambda one: -one.score), ends[1]]


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


def _is_cut(counts: BinCounts, edge: float, scores: Sequence[float]) -> bool:
    """Say whether a variable may be cut at an edge."""
    return counts.variable != SCORE or any(abs(edge - one) < 1e-9 for one in scores)


def _joined(cases: Counts, cut: Sequence[int]) -> Counts:
    """Return counts between some of the edges only; `cut` are the first bins after them."""
    joined: Counts = np.add.reduceat(cases, [0, *cut])
    return joined


def _ends_of_shown(rows: Sequence[Counts], rule: CellRule) -> list[int] | None:
    """Return the ends of runs of bins in which no row is small, None if there are none."""
    ends, size = [0], len(rows[0])
    for stop in range(1, size + 1):
        if not _is_small(rows, ends[-1], stop, rule):
            ends.append(stop)
    while len(ends) > 1 and ends[-1] < size:
        ends.pop()
        if not _is_small(rows, ends[-1], size, rule):
            ends.append(size)
    return ends[1:] if ends[-1] == size else None


def _is_small(rows: Sequence[Counts], start: int, stop: int, rule: CellRule) -> bool:
    return any(rule.is_small(int(row[start:stop].sum())) for row in rows)
