"""What of an evaluation may leave: estimates with intervals, nothing of a small group.

An AUROC of fewer than ten patients with or without the finding could be turned
back into persons, so it stays inside and a code says why (rule C.0 d). Score
histograms have small cells by nature; they never leave without secure sums.
"""

import math

from clients.evaluation import SiteEvaluation
from clients.gate import SMALL_CELL
from federation.domain.metric import Metric
from federation.errors.ledger import SmallGroupError
from federation.evaluation.auroc import NORMAL_975, delong_variance

DECIMALS = 4
DIGITS_OF_VARIANCE = 3
LARGEST_LOSS = 20.0
"""A model can be made to write what it sees into a huge loss; this much says "useless"."""


def report_of(result: SiteEvaluation) -> dict[str, object]:
    """Return the report of an evaluation: metrics, or the code of why there is none."""
    report: dict[str, object] = {
        "heldout_patients": result.patients if result.patients >= SMALL_CELL else None,
        "loss": shared_loss(result.loss),
        "metrics": [],
        "refused": None,
    }
    if result.patients < SMALL_CELL:
        return {**report, "loss": None, "refused": SmallGroupError.code}
    if result.no_auroc is not None:
        return {**report, "refused": result.no_auroc.code}
    if result.dice is not None:
        return {**report, "metrics": [_metric(result.dice, _variance_of(result.dice))]}
    histogram, auroc = result.histogram, result.auroc
    if histogram is None or auroc is None:
        return {**report, "refused": SmallGroupError.code}
    if min(int(histogram.positives.sum()), int(histogram.negatives.sum())) < SMALL_CELL:
        return {**report, "refused": SmallGroupError.code}
    return {**report, "metrics": [_metric(auroc, delong_variance(histogram))]}


def shared_loss(loss: float | None) -> float | None:
    """Return a mean loss as it may leave: two decimals, at most `LARGEST_LOSS`."""
    return None if loss is None else round(min(loss, LARGEST_LOSS), 2)


def _metric(metric: Metric, variance: float) -> dict[str, object]:
    return {
        "name": metric.name,
        "value": round(metric.value, DECIMALS),
        "low": round(metric.low, DECIMALS),
        "high": round(metric.high, DECIMALS),
        "n": metric.n,
        "method": metric.method,
        "variance": _short(variance) if math.isfinite(variance) else None,
    }


def _short(number: float) -> float:
    """Return a number with so few digits that no count can be read from it."""
    return float(f"{number:.{DIGITS_OF_VARIANCE - 1}e}")


def _variance_of(metric: Metric) -> float:
    """Return the variance behind a symmetric 95 % interval."""
    return float(((metric.high - metric.low) / (2 * NORMAL_975)) ** 2)
