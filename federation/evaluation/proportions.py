"""Rates with intervals that hold near 0 and 1, their differences, and what can be seen.

Wilson 1927 and Clopper-Pearson 1934 for one rate; method 10 of Newcombe (Statistics in
Medicine 17:873, 1998) for a difference of two independent rates.
"""

import math
from dataclasses import dataclass

from federation.errors.evaluation import EmptySliceError, OutOfRangeError
from federation.evaluation.tails import (
    LEVEL,
    Interval,
    beta_quantile,
    normal_quantile,
    normal_reach,
    two_sided,
)

_FARTHEST_Z = 40.0
"""Beyond this z a p-value is zero in double precision."""


@dataclass(frozen=True, slots=True)
class Proportion:
    """So many of so many.

    Raises
    ------
    OutOfRangeError
        Unless 0 <= hits <= of.
    """

    hits: int
    of: int

    def __post_init__(self) -> None:
        if not 0 <= self.hits <= self.of:
            raise OutOfRangeError(
                field="rate", actual="more than all", expected="a part of the whole"
            )

    @property
    def rate(self) -> float:
        """Return hits/of; EmptySliceError where there is nobody."""
        if self.of == 0:
            raise EmptySliceError(name="rate")
        return self.hits / self.of

    def wilson(self, level: float = LEVEL) -> Interval:
        """Return Wilson's score interval."""
        return self._score_interval(normal_reach(level))

    def _score_interval(self, z: float) -> Interval:
        p, n = self.rate, self.of
        middle = p + z * z / (2 * n)
        reach = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        scale = 1 + z * z / n
        low = 0.0 if self.hits == 0 else (middle - reach) / scale
        return Interval(low, 1.0 if self.hits == n else (middle + reach) / scale)

    def clopper_pearson(self, level: float = LEVEL) -> Interval:
        """Return the exact interval, never too short."""
        tail, k, n = (1 - level) / 2, self.hits, self.of
        low = beta_quantile(tail, k, n - k + 1) if k and n else 0.0
        return Interval(low, beta_quantile(1 - tail, k + 1, n - k) if k < n else 1.0)


@dataclass(frozen=True, slots=True)
class RateGap:
    """The difference of two independent rates, first minus second."""

    first: Proportion
    second: Proportion

    @property
    def value(self) -> float:
        """Return the difference."""
        return self.first.rate - self.second.rate

    def interval(self, level: float = LEVEL) -> Interval:
        """Return Newcombe's method 10 interval."""
        return self._interval(normal_reach(level))

    def _interval(self, z: float) -> Interval:
        one, other = self.first._score_interval(z), self.second._score_interval(z)
        p, q = self.first.rate, self.second.rate
        low = self.value - math.hypot(p - one.low, other.high - q)
        return Interval(low, self.value + math.hypot(one.high - p, q - other.low))

    def p_value(self) -> float:
        """Return the p-value at which Newcombe's interval just reaches zero.

        Found by bisection on z, so that test and interval never disagree.
        """
        low, high = 0.0, _FARTHEST_Z
        for _ in range(80):
            middle = (low + high) / 2
            inside = self._interval(middle).contains(0.0)
            low, high = (low, middle) if inside else (middle, high)
        return two_sided(high)


def detectable_gap(*, rate: float, first: int, second: int, level: float, power: float) -> float:
    """Return the smallest difference of rates that two groups of these sizes would show.

    Normal approximation at a common rate: (z_level + z_power) sqrt(p(1-p)(1/n1+1/n2)),
    at most 1.

    Raises
    ------
    EmptySliceError
        If a group has nobody.
    """
    if first < 1 or second < 1:
        raise EmptySliceError(name="group")
    spread = math.sqrt(rate * (1 - rate) * (1 / first + 1 / second))
    return min(1.0, (normal_reach(level) + normal_quantile(power)) * spread)
