"""An estimate with the degrees of freedom of its t distribution: interval and p-value."""

import math
from dataclasses import dataclass

from scipy import special

from federation.evaluation.tails import LEVEL, Estimate, Interval, student_reach


@dataclass(frozen=True, slots=True)
class Inferred:
    """An estimate whose error is itself estimated; infinite freedom is the normal law."""

    estimate: Estimate
    freedom: float = math.inf

    @property
    def value(self) -> float:
        """Return the estimate's value."""
        return self.estimate.value

    def interval(self, level: float = LEVEL) -> Interval:
        """Return the confidence interval."""
        if math.isinf(self.freedom):
            return self.estimate.interval(level)
        reach = student_reach(level, self.freedom) * self.estimate.error
        return Interval(self.value - reach, self.value + reach)

    def p_value(self) -> float:
        """Return the two-sided p-value against zero."""
        if math.isinf(self.freedom) or self.estimate.variance == 0:
            return self.estimate.p_value()
        below = special.stdtr(self.freedom, -abs(self.value) / self.estimate.error)
        return float(2 * below)
