"""Does the model remember its patients? A membership attack on losses, and its limit.

Yeom et al. 2018: who was trained on has the smaller loss. Members are the positives; the
score of a case is its loss on the logit scale of Carlini 2022, which stays fine where
losses are tiny, put on a grid. A model with (epsilon, delta)
differential privacy keeps every attack below TPR <= e^epsilon FPR + delta (Kairouz 2015);
one above that was not trained as recorded. The accounting itself (E15) is
`federation.privacy.accountants`.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from federation.errors.evaluation import OutOfRangeError
from federation.evaluation.discrimination import ranking, roc
from federation.evaluation.proportions import Proportion
from federation.evaluation.scores import GRID, ScoreHistogram, binary, quantise_to
from federation.evaluation.suppression import CellRule, Reason, Refusal
from federation.evaluation.tails import Estimate, Interval

FARTHEST_LOGIT = 15.0
"""Losses below 3e-7 and above 15 are told apart no further."""
_LARGEST_LOSS = 700.0
FALSE_POSITIVE_RATES = (0.001, 0.01)


@dataclass(frozen=True, slots=True)
class AttackPoint:
    """How many members are found at a false positive rate of at most `allowed`."""

    allowed: float
    false_positives: Proportion
    true_positives: Proportion

    @property
    def interval(self) -> Interval:
        """Return the Clopper-Pearson interval of the true positive rate."""
        return self.true_positives.clopper_pearson()


@dataclass(frozen=True, slots=True)
class Attack:
    """What an attack achieves: AUROC, largest TPR - FPR, and at small FPR."""

    auroc: Estimate
    advantage: float
    points: tuple[AttackPoint, ...]

    def exceeds(self, *, epsilon: float, delta: float) -> bool:
        """Return whether it is surely better than differential privacy allows.

        Judged by the lower confidence limit, at the upper limit of the false positives.
        """
        return any(
            one.interval.low
            > tpr_bound(one.false_positives.clopper_pearson().high, epsilon=epsilon, delta=delta)
            for one in self.points
        )


def loss_histogram(losses: NDArray[np.float64], members: NDArray[np.bool_]) -> ScoreHistogram:
    """Return members and others by closeness, -log(exp(loss) - 1), smallest loss last.

    A log-loss is the -log of the probability given to the truth, so this is its logit.

    Raises
    ------
    ScoreInvalidError
        If a loss is negative or not a number.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        closeness = -np.log(np.expm1(np.minimum(losses, _LARGEST_LOSS)))
    bins = quantise_to(closeness, low=-FARTHEST_LOGIT, high=FARTHEST_LOGIT)
    return ScoreHistogram.of_bins(bins, binary("member", members), GRID + 1)


def attack(histogram: ScoreHistogram) -> Attack:
    """Return the threshold attack's success.

    Raises
    ------
    SingleClassError
        If there are no members or no others.
    """
    found = ranking(histogram)
    curve = roc(histogram)
    advantage = float((curve.true_positive_rate - curve.false_positive_rate).max())
    points = tuple(_point(histogram, allowed) for allowed in FALSE_POSITIVE_RATES)
    return Attack(found, advantage, points)


def shown_attack(histogram: ScoreHistogram, rule: CellRule) -> tuple[Attack, tuple[Refusal, ...]]:
    """Return the attack as it may be shown, and what is hidden of it.

    A rate says how many members were found, and so does the advantage, a difference of
    two rates. So no shown cut has few cases of a class on either side, nor between itself
    and another: a point that has is refused, and the advantage is the largest of the rest.

    Raises
    ------
    SingleClassError
        If there are no members or no others.
    """
    found, cuts = attack(histogram), [(0, 0), _sizes(histogram)]
    points, refusals = [], []
    for point in found.points:
        cut = point.true_positives.hits, point.false_positives.hits
        if _is_apart(cut, cuts, rule):
            cuts.append(cut)
            points.append(point)
        else:
            refusals.append(rule.refuse(f"membership {point.allowed}", Reason.SMALL_CELL))
    advantage = max(_gaps(histogram, cuts, rule), default=0.0)
    return replace(found, advantage=advantage, points=tuple(points)), tuple(refusals)


def tpr_bound(false_positive_rate: float, *, epsilon: float, delta: float) -> float:
    """Return the largest TPR that (epsilon, delta)-DP allows at a false positive rate."""
    _check_privacy(epsilon, delta)
    if not 0 <= false_positive_rate <= 1:
        raise OutOfRangeError(
            field="false positive rate", actual=false_positive_rate, expected="0 to 1"
        )
    forward = _times(math.exp(min(epsilon, 700)), false_positive_rate) + delta
    backward = 1 - math.exp(-epsilon) * (1 - delta - false_positive_rate)
    return min(1.0, forward, backward)


def advantage_bound(epsilon: float, delta: float = 0.0) -> float:
    """Return the largest TPR - FPR: (e^eps - 1 + 2 delta)/(e^eps + 1)."""
    _check_privacy(epsilon, delta)
    return math.tanh(epsilon / 2) + 2 * delta / (math.exp(min(epsilon, 700)) + 1)


def _sizes(histogram: ScoreHistogram) -> tuple[int, int]:
    return int(histogram.positives.sum()), int(histogram.negatives.sum())


def _gaps(
    histogram: ScoreHistogram, cuts: Sequence[tuple[int, int]], rule: CellRule
) -> Iterator[float]:
    """Yield TPR - FPR at every cut that may be shown beside some others."""
    members, others = _sizes(histogram)
    found = np.cumsum(histogram.positives[::-1]), np.cumsum(histogram.negatives[::-1])
    for hits, wrong in zip(*(one.tolist() for one in found), strict=True):
        if _is_apart((hits, wrong), cuts, rule):
            yield hits / members - wrong / others


def _is_apart(cut: tuple[int, int], others: Sequence[tuple[int, int]], rule: CellRule) -> bool:
    """Say whether no class has few cases between a cut and any other."""
    gaps = (abs(a - b) for other in others for a, b in zip(cut, other, strict=True))
    return not any(map(rule.is_small, gaps))


def _times(factor: float, rate: float) -> float:
    return factor * rate if rate else 0.0


def _point(histogram: ScoreHistogram, allowed: float) -> AttackPoint:
    """Return the lowest threshold whose false positives stay within `allowed`."""
    others, members = int(histogram.negatives.sum()), int(histogram.positives.sum())
    wrong = np.cumsum(histogram.negatives[::-1])
    taken = int(np.searchsorted(wrong, math.floor(allowed * others + 1e-9), side="right"))
    found = int(histogram.positives[::-1][:taken].sum())
    false = int(wrong[taken - 1]) if taken else 0
    return AttackPoint(allowed, Proportion(false, others), Proportion(found, members))


def _check_privacy(epsilon: float, delta: float) -> None:
    if not epsilon >= 0 or not 0 <= delta <= 1:
        raise OutOfRangeError(
            field="privacy",
            actual=f"({epsilon}, {delta})",
            expected="epsilon >= 0, 0 <= delta <= 1",
        )
