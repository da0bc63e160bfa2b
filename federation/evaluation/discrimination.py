"""How well the scores tell cases apart: AUROC with its variance, bounds, ROC, precision.

The AUROC and its bootstrap are in `auroc`; here is what reports and comparisons add.
"""

import math
from dataclasses import dataclass

import numpy as np

from federation.errors.evaluation import AllTiedError
from federation.errors.privacy import SingleClassError
from federation.evaluation.auroc import LOGIT_FROM, auroc, delong_variance
from federation.evaluation.scores import ScoreHistogram
from federation.evaluation.sums import Counts, Floats
from federation.evaluation.tails import LEVEL, Estimate, Interval, expit, normal_reach


@dataclass(frozen=True, slots=True)
class Roc:
    """The points of a ROC curve, from (0, 0) to (1, 1), each of shape (points,)."""

    false_positive_rate: Floats
    true_positive_rate: Floats


def auroc_estimate(histogram: ScoreHistogram) -> Estimate:
    """Return the AUROC with DeLong's variance.

    Raises
    ------
    SingleClassError
        If a class has fewer than two cases.
    AllTiedError
        If all cases have the same score.
    """
    found = ranking(histogram)
    if np.count_nonzero(histogram.totals) == 1:
        raise AllTiedError(figure="AUROC")
    return found


def ranking(histogram: ScoreHistogram) -> Estimate:
    """Return the AUROC with DeLong's variance, also where all scores are the same: 0.5.

    For images so bad that a model says the same of all, where that is the finding.

    Raises
    ------
    SingleClassError
        If a class has fewer than two cases.
    """
    m, n = int(histogram.positives.sum()), int(histogram.negatives.sum())
    if min(m, n) < 2:
        raise SingleClassError(positives=m, negatives=n)
    return Estimate(auroc(histogram), delong_variance(histogram))


def auroc_interval(estimate: Estimate, level: float = LEVEL) -> Interval:
    """Return the interval of an AUROC, on the logit scale above 0.95, inside [0, 1]."""
    if LOGIT_FROM < estimate.value < 1:
        reach = normal_reach(level) * logit_estimate(estimate).error
        middle = logit_estimate(estimate).value
        return Interval(expit(middle - reach), expit(middle + reach))
    plain = estimate.interval(level)
    return Interval(max(0.0, plain.low), min(1.0, plain.high))


def logit_estimate(estimate: Estimate) -> Estimate:
    """Return the estimate on the logit scale by the delta method; its value is inside (0, 1)."""
    spread = estimate.value * (1 - estimate.value)
    if spread <= 0:
        raise AllTiedError(figure="logit AUROC")
    value = math.log(estimate.value / (1 - estimate.value))
    return Estimate(value, estimate.variance / spread**2)


def auroc_bounds(histogram: ScoreHistogram) -> Interval:
    """Return between what the AUROC of the scores before rounding must lie.

    Cases of one bin could have ranked either way: each pair counts for nothing or in full.
    """
    histogram.check_both_classes()
    m, n = int(histogram.positives.sum()), int(histogram.negatives.sum())
    unsure = float(histogram.positives.astype(np.float64) @ histogram.negatives) / (2 * m * n)
    middle = auroc(histogram)
    return Interval(middle - unsure, middle + unsure)


def roc(histogram: ScoreHistogram) -> Roc:
    """Return the ROC curve; SingleClassError if a class is missing."""
    histogram.check_both_classes()
    rates = [
        np.concatenate([[0.0], np.cumsum(counts[::-1]) / counts.sum()])
        for counts in (histogram.negatives, histogram.positives)
    ]
    return Roc(rates[0], rates[1])


def average_precision(histogram: ScoreHistogram) -> float:
    """Return the area under the precision-recall steps; SingleClassError if a class is missing."""
    histogram.check_both_classes()
    return float(_precisions(histogram.positives[None], histogram.negatives[None])[0])


def average_precision_interval(
    histogram: ScoreHistogram, *, seed: int, replicates: int = 2000, level: float = LEVEL
) -> Interval:
    """Return the percentile interval of a bootstrap of cases within each class."""
    histogram.check_both_classes()
    rng = np.random.default_rng(seed)
    used = np.flatnonzero(histogram.totals)
    drawn = [
        rng.multinomial(int(counts.sum()), counts[used] / counts.sum(), size=replicates)
        for counts in (histogram.positives, histogram.negatives)
    ]
    tail = (1 - level) / 2
    low, high = np.quantile(_precisions(drawn[0], drawn[1]), [tail, 1 - tail])
    return Interval(float(low), float(high))


def _precisions(positives: Counts, negatives: Counts) -> Floats:
    """Return the average precision of every row of counts, shape (rows,)."""
    hits = np.cumsum(positives[:, ::-1], axis=1)
    called = hits + np.cumsum(negatives[:, ::-1], axis=1)
    precision = hits / np.maximum(called, 1)
    found: Floats = (positives[:, ::-1] * precision).sum(axis=1) / hits[:, -1]
    return found
