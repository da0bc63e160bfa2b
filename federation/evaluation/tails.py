"""Quantiles and tails of the distributions that intervals and tests are made of.

One place, so that every figure of a report uses the same function. Scipy's special
functions only; no sampling.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

from scipy import special

from federation.errors.evaluation import OutOfRangeError

LEVEL = 0.95
"""Confidence of an interval where nothing else is said."""

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval, both ends included."""

    low: float
    high: float

    def contains(self, value: float) -> bool:
        """Return whether the value lies inside."""
        return self.low <= value <= self.high

    def as_json(self) -> list[float]:
        """Return both ends."""
        return [self.low, self.high]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with the variance of its estimator.

    Raises
    ------
    OutOfRangeError
        If the value is not finite or the variance negative.
    """

    value: float
    variance: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.value) or not self.variance >= 0:
            raise OutOfRangeError(field="estimate", actual="no number", expected="finite numbers")

    @property
    def error(self) -> float:
        """Return the standard error."""
        return math.sqrt(self.variance)

    def interval(self, level: float = LEVEL) -> Interval:
        """Return the normal (Wald) interval."""
        reach = normal_reach(level) * self.error
        return Interval(self.value - reach, self.value + reach)

    def p_value(self, null: float = 0.0) -> float:
        """Return the two-sided p-value of the normal test against `null`."""
        if self.variance == 0:
            return 1.0 if self.value == null else 0.0
        return two_sided((self.value - null) / self.error)

    def minus(self, other: "Estimate") -> "Estimate":
        """Return the difference from an independent estimate."""
        return Estimate(self.value - other.value, self.variance + other.variance)


def normal_reach(level: float) -> float:
    """Return z with P(-z < Z < z) = `level` for a standard normal Z.

    Raises
    ------
    OutOfRangeError
        If the level is not inside (0, 1).
    """
    check_open_unit("confidence level", level)
    return _NORMAL.inv_cdf(0.5 + level / 2)


def normal_quantile(probability: float) -> float:
    """Return the standard normal quantile; OutOfRangeError outside (0, 1)."""
    check_open_unit("probability", probability)
    return _NORMAL.inv_cdf(probability)


def two_sided(z: float) -> float:
    """Return P(|Z| > |z|) for a standard normal Z."""
    return math.erfc(abs(z) / math.sqrt(2))


def chi_square_tail(value: float, freedom: int) -> float:
    """Return P(X > value) for chi-square with `freedom` degrees."""
    return float(special.chdtrc(freedom, value))


def student_reach(level: float, freedom: float) -> float:
    """Return t with P(-t < T < t) = `level` for Student's T."""
    return float(special.stdtrit(freedom, 0.5 + level / 2))


def beta_quantile(probability: float, first: float, second: float) -> float:
    """Return the quantile of the beta distribution."""
    return float(special.betaincinv(first, second, probability))


def expit(value: float) -> float:
    """Return 1/(1+exp(-value)) without overflow."""
    if value < 0:
        return math.exp(value) / (1 + math.exp(value))
    return 1 / (1 + math.exp(-value))


def check_open_unit(name: str, value: float) -> None:
    """Raise OutOfRangeError unless 0 < value < 1."""
    if not 0 < value < 1:
        raise OutOfRangeError(field=name, actual=value, expected="a number between 0 and 1")
