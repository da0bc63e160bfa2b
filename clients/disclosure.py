"""What of an evaluation may leave: estimates with intervals, nothing of a small group.

An AUROC of fewer than ten patients with or without the finding could be turned
back into persons, so it stays inside and a code says why (rule C.0 d). Score
histograms have small cells by nature; they never leave without secure sums.

Counts and times leave in coarse steps (`shared_report`, applied by the gate to every
reply): an exact number of patients, seen before and after one person opted out, tells
of that person. Coarse numbers carry no guarantee and are said to carry none; what has
one is a noisy count (`federation.privacy.counts`).
"""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from federation.domain.cells import SMALL_CELL
from federation.domain.metric import Metric
from federation.errors.ledger import SmallGroupError
from federation.evaluation.auroc import NORMAL_975, delong_variance

if TYPE_CHECKING:
    from clients.evaluation import SiteEvaluation

COUNTS = frozenset({"patients", "examples", "n", "heldout_patients", "left_out"})
"""The fields of a report that count patients or their images."""

DECIMALS = 4
DIGITS_OF_VARIANCE = 3
LARGEST_LOSS = 20.0
"""A model can be made to write what it sees into a huge loss; this much says "useless"."""


def report_of(result: "SiteEvaluation") -> dict[str, object]:
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


def shared_count(count: int) -> int | None:
    """Return a count as it may leave: rounded down to two digits, never finer than tens.

    120 to 129 are 120, 1200 to 1299 are 1200. Of fewer than `SMALL_CELL` nothing
    is said, except that there is nobody.
    """
    if 0 < count < SMALL_CELL:
        return None
    step = int(10 ** max(1, len(str(count)) - 2))
    return count // step * step


def shared_seconds(seconds: float) -> int:
    """Return a time as it may leave: up to the next of 1, 2, 5, 10, 20, 50 and so on.

    How long a private round takes depends on how many patients were drawn.
    """
    power = 1
    while True:
        for step in (power, 2 * power, 5 * power):
            if seconds <= step:
                return step
        power *= 10


def shared_report(report: Mapping[str, object]) -> dict[str, object]:
    """Return a report with every count and time as coarse as it may leave.

    A count of a small group stays as it is: the gate then keeps the whole reply inside.
    """
    return {key: _shared(key, value) for key, value in report.items()}


def _shared(key: str, value: object) -> object:
    if isinstance(value, Mapping):
        return {name: _shared(str(name), item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_shared(key, item) for item in value]
    if key in COUNTS and isinstance(value, int) and not isinstance(value, bool):
        return value if 0 < value < SMALL_CELL else shared_count(value)
    if key == "seconds" and isinstance(value, int | float) and math.isfinite(value):
        return shared_seconds(value)
    return value


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
