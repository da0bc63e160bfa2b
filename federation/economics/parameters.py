"""What a model does not know exactly: parameters as distributions, drawn with a seed.

Sensitivity and specificity come from counts of an evaluation (`Accuracy`): the beta
distribution of a Jeffreys prior, so that what a small study leaves open stays open.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from federation.errors.economics import ModelValueError, UtilityRangeError

Floats = NDArray[np.float64]

LARGEST = 1e12
"""No number of a model is further from zero: beyond it, sums of squares lose their meaning."""

SMALLEST = 1e-9
"""What must be above zero is at least this."""

WIDEST = 5.0
"""The largest standard error of a logarithm."""


class Law(Enum):
    """The distributions a parameter may have, with the names of their two numbers."""

    FIXED = "fixed"
    BETA = "beta"  # successes, failures
    GAMMA = "gamma"  # mean, standard error
    LOGNORMAL = "lognormal"  # median, standard error of the logarithm
    NORMAL = "normal"  # mean, standard error
    UNIFORM = "uniform"  # low, high


@dataclass(frozen=True, slots=True)
class Parameter:
    """One number of a model and what is known of it.

    `first` and `second` are what the law's line in `Law` says; a fixed one has only the first.

    Raises
    ------
    ModelValueError
        If they do not make a distribution.
    """

    name: str
    law: Law
    first: float
    second: float = 0.0

    def __post_init__(self) -> None:
        numbers = (self.first, self.second)
        if not all(abs(number) <= LARGEST for number in numbers) or not self._holds():
            raise ModelValueError(
                name=self.name,
                actual=f"{self.law.value}({self.first:g}, {self.second:g})",
                expected=_NEEDED[self.law],
            )

    def _holds(self) -> bool:
        match self.law:
            case Law.FIXED:
                return True
            case Law.BETA | Law.GAMMA:
                return min(self.first, self.second) >= SMALLEST
            case Law.LOGNORMAL:
                return self.first >= SMALLEST and SMALLEST <= self.second <= WIDEST
            case Law.NORMAL:
                return self.second >= SMALLEST
            case Law.UNIFORM:
                return self.first < self.second

    @property
    def mean(self) -> float:
        """Return its expected value."""
        return self.first if self.law is Law.FIXED else float(self._frozen().mean())

    def times(self, factor: float) -> "Parameter":
        """Return it in another unit of money.

        Raises
        ------
        ModelValueError
            If its law is not one of amounts.
        """
        if self.law is Law.BETA:
            raise ModelValueError(name=self.name, actual="beta", expected="a law of amounts")
        second = self.second if self.law is Law.LOGNORMAL else self.second * factor
        return Parameter(self.name, self.law, self.first * factor, second)

    def quantile(self, share: float) -> float:
        """Return the value that a share of its draws lies below, 0 to 1."""
        return self.first if self.law is Law.FIXED else float(self._frozen().ppf(share))

    def draw(self, count: int, generator: np.random.Generator) -> Floats:
        """Return `count` draws."""
        if self.law is Law.FIXED:
            return np.full(count, self.first)
        return cast(Floats, self._frozen().rvs(count, random_state=generator))

    def _frozen(self) -> "stats.distributions.rv_frozen":
        first, second = self.first, self.second
        match self.law:
            case Law.BETA:
                return stats.beta(first, second)
            case Law.GAMMA:
                return stats.gamma((first / second) ** 2, scale=second**2 / first)
            case Law.LOGNORMAL:
                return stats.lognorm(second, scale=first)
            case Law.UNIFORM:
                return stats.uniform(first, second - first)
        return stats.norm(first, second)


_NEEDED = {
    Law.FIXED: f"a number within {LARGEST:g} of zero",
    Law.BETA: f"successes and failures from {SMALLEST:g} to {LARGEST:g}",
    Law.GAMMA: f"a mean and a standard error from {SMALLEST:g} to {LARGEST:g}",
    Law.LOGNORMAL: f"a median from {SMALLEST:g}, a standard error of the logarithm to {WIDEST:g}",
    Law.NORMAL: f"a mean and a standard error from {SMALLEST:g}, within {LARGEST:g}",
    Law.UNIFORM: f"a low below a high, within {LARGEST:g}",
}


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Counts of an evaluation at an operating point; the evidence is named by its id.

    Raises
    ------
    ModelValueError
        If a count is negative or beyond all people, or positives or negatives are missing.
    """

    evaluation: str
    true_positives: int
    false_negatives: int
    true_negatives: int
    false_positives: int

    def __post_init__(self) -> None:
        counts = (
            self.true_positives,
            self.false_negatives,
            self.true_negatives,
            self.false_positives,
        )
        if max(counts) > LARGEST:
            raise ModelValueError(
                name=self.evaluation, actual="beyond all people", expected="counts"
            )
        if min(counts) < 0 or not counts[0] + counts[1] or not counts[2] + counts[3]:
            raise ModelValueError(
                name=self.evaluation, actual=str(counts), expected="positives and negatives"
            )

    def sensitivity(self, name: str) -> Parameter:
        """Return sensitivity as a parameter: beta with a Jeffreys prior."""
        return Parameter(name, Law.BETA, self.true_positives + 0.5, self.false_negatives + 0.5)

    def specificity(self, name: str) -> Parameter:
        """Return specificity as a parameter: beta with a Jeffreys prior."""
        return Parameter(name, Law.BETA, self.true_negatives + 0.5, self.false_positives + 0.5)


_TAIWAN = "EQ-5D-5L Taiwan (Lin 2018)"
_PUBLISHED = {_TAIWAN: (-1.0259, 1.0)}
LOWEST_UTILITY = -3.0
"""No published value set goes lower."""


@dataclass(frozen=True, slots=True)
class ValueSet:
    """The range of utilities of a population's value set.

    Raises
    ------
    ModelValueError
        If it is no range that ends at full health (1), or a known set has another range.
    """

    name: str
    low: float
    high: float = 1.0

    def __post_init__(self) -> None:
        wanted = _PUBLISHED.get(self.name)
        if not LOWEST_UTILITY <= self.low < self.high <= 1:
            expected = f"a low from {LOWEST_UTILITY:g}, below a high of at most 1"
        elif wanted is not None and (self.low, self.high) != wanted:
            expected = f"{wanted[0]} to {wanted[1]}, as published"
        else:
            return
        actual = f"{self.low} to {self.high}"
        raise ModelValueError(name=self.name, actual=actual, expected=expected)

    def check(self, name: str, values: Floats) -> None:
        """Return if all values lie in the set.

        Raises
        ------
        UtilityRangeError
            Naming the value that lies furthest outside.
        """
        low, high = float(np.min(values)), float(np.max(values))
        if low >= self.low and high <= self.high:
            return
        worst = low if self.low - low >= high - self.high else high
        raise UtilityRangeError(
            name=name,
            value=f"{worst:.4f}",
            value_set=self.name,
            low=self.low,
            high=self.high,
        )


TAIWAN_EQ5D5L = ValueSet(_TAIWAN, -1.0259)


def draw_all(parameters: Mapping[str, Parameter], count: int, *, seed: int) -> dict[str, Floats]:
    """Return `count` draws of each parameter, each from a stream of its own.

    A parameter's draws depend on the seed and its name only, so adding another one
    changes no draw.

    Raises
    ------
    ModelValueError
        If fewer than one draw or more than a million are asked for.
    """
    if not 1 <= count <= 1_000_000:
        raise ModelValueError(name="draws", actual=count, expected="1 to 1,000,000")
    return {
        name: parameter.draw(count, np.random.default_rng([seed, *name.encode()]))
        for name, parameter in parameters.items()
    }
