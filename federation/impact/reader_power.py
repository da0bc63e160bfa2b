"""How likely a reader study is to see a difference: Obuchowski-Rockette, by closed form.

    power_of_readers(pilot, 0.05, readers=6, cases=251)

Hillis, Obuchowski and Berbaum, Acad Radiol 2011; 18:129 (steps 1 to 4). The pilot's
covariances are those of `readers.Components`, or conjectured; they shrink as cases grow.
"""

import math
from dataclasses import dataclass

from scipy import special

from federation.errors.impact import DesignValueError
from federation.impact.power import ALPHA, normal_power
from federation.impact.readers import Components, Inference


@dataclass(frozen=True, slots=True)
class Pilot:
    """What a pilot study, or a conjecture, says of `cases` cases.

    Parameters
    ----------
    error, same_reader, same_arm, neither
        Variance of a figure, and Cov1, Cov2, Cov3.
    interaction
        Variance of arm by reader beyond the errors, zero or more.

    Raises
    ------
    DesignValueError
        If they are no variances.
    """

    cases: int
    error: float
    same_reader: float
    same_arm: float
    neither: float
    interaction: float

    def __post_init__(self) -> None:
        told = (self.same_reader, self.same_arm, self.neither)
        if not (self.error > 0 and all(abs(one) <= self.error for one in told)):
            expected = "above zero, and above its covariances"
            raise DesignValueError(name="error", actual=self.error, expected=expected)
        if not self.interaction >= 0 or self.cases < 2:
            raise DesignValueError(
                name="interaction", actual=self.interaction, expected="zero or more"
            )

    @classmethod
    def of(cls, found: Components, cases: int, readers: int) -> "Pilot":
        """Return the pilot that a study of `readers` readers is."""
        errors = found.error - found.same_reader - found.shared
        return cls(
            cases,
            found.error,
            found.same_reader,
            found.same_arm,
            found.neither,
            max(found.interaction - errors, 0.0) if readers > 1 else 0.0,
        )

    @property
    def shared(self) -> float:
        """Return what readers' errors share within an arm and not across, zero at least."""
        return max(self.same_arm - self.neither, 0.0)


def power_of_readers(
    pilot: Pilot,
    difference: float,
    *,
    readers: int,
    cases: int,
    alpha: float = ALPHA,
    inference: Inference = Inference.RANDOM,
) -> float:
    """Return the power to see a difference of the readers' mean figure.

    Parameters
    ----------
    cases
        With and without the finding together, in the pilot's proportion.

    Raises
    ------
    DesignValueError
        If a number is out of range.
    """
    least = 1 if inference is Inference.FIXED_READERS else 2
    if readers < least or cases < 2 or not math.isfinite(difference):
        raise DesignValueError(name="readers", actual=readers, expected=f"{least} or more")
    shrunk = pilot.cases / cases
    errors = shrunk * (pilot.error - pilot.same_reader)
    shared = shrunk * pilot.shared
    square = pilot.interaction + max(errors - shared, 0.0)
    if inference is Inference.FIXED_READERS:
        variance = 2 / readers * (errors + (readers - 1) * shared)
        return normal_power(difference, variance, alpha)
    if inference is Inference.FIXED_CASES:
        return _of_f(difference, square, square, readers, alpha)
    return _of_f(difference, square + readers * shared, square, readers, alpha)


def _of_f(
    difference: float, denominator: float, square: float, readers: int, alpha: float
) -> float:
    """Return the power of the F test with 1 and Hillis's degrees of freedom."""
    if square <= 0:
        return normal_power(difference, 2 / readers * denominator, alpha)
    freedom = denominator**2 / (square**2 / (readers - 1))
    off_centre = readers * difference**2 / 2 / denominator
    critical = special.fdtri(1, freedom, 1 - alpha)
    return float(1 - special.ncfdtr(1, freedom, off_centre, critical))
