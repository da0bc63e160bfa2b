"""Two arms, weighted at the hospitals: the difference of weighted means, from sums."""

import math
from collections.abc import Iterable

from federation.errors.evaluation import WeightsError
from federation.evaluation.tails import Estimate
from federation.impact.site_table import Row
from federation.wording import Text

_ONE_ARM = Text(en="one arm has no weight", zh="其中一組沒有權重")


def weighted_difference(one: Iterable[Row], other: Iterable[Row]) -> Estimate:
    """Return the weighted mean of one arm's rows less that of the other's.

    The variance is the robust one with weights taken as known, sum of w²(y - mean)² over the
    square of the weight; the propensity was fitted, which makes it rather too large.

    Raises
    ------
    WeightsError
        If the weights of an arm sum to zero.
    """
    return _mean(list(one)).minus(_mean(list(other)))


def _mean(rows: list[Row]) -> Estimate:
    weight = math.fsum(row.weight for row in rows)
    if not weight > 0:
        raise WeightsError(name="overlap weights", why=_ONE_ARM)
    mean = math.fsum(row.weighted for row in rows) / weight
    filling = math.fsum(
        row.weighted_squares - 2 * mean * row.weighted_twice + mean**2 * row.weight_squares
        for row in rows
    )
    return Estimate(mean, max(filling, 0.0) / weight**2)
