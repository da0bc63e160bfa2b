"""A number with what it takes to believe it: how many, and how sure."""

import math
from dataclasses import dataclass

from federation.errors.core import InvalidValueError


@dataclass(frozen=True, slots=True)
class Metric:
    """One estimate with its sample size and confidence interval.

    Parameters
    ----------
    name
        What was measured, for example ``auroc``.
    value, low, high
        The estimate and its interval, in the metric's own unit.
    n
        How many patients it rests on.
    method
        How the interval was made, for example ``patient bootstrap, B=2000``.

    Raises
    ------
    InvalidValueError
        If a number is not finite, the interval is inverted or `n` is below one.
    """

    name: str
    value: float
    low: float
    high: float
    n: int
    method: str

    def __post_init__(self) -> None:
        if not all(math.isfinite(number) for number in (self.value, self.low, self.high)):
            raise InvalidValueError(field=self.name, actual="not finite", expected="a number")
        if self.low > self.high:
            raise InvalidValueError(
                field=self.name, actual=f"[{self.low}, {self.high}]", expected="low <= high"
            )
        if self.n < 1:
            raise InvalidValueError(field=f"{self.name}.n", actual=self.n, expected="1 or more")
