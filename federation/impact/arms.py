"""Two arms, compared from sums that sites add up: means, and means given a baseline.

`ArmSums` holds what is needed for both, so that a hospital never sends a case.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from federation.errors.impact import DesignValueError, NotEstimableError, TooFewClustersError
from federation.evaluation.sums import AGREED, COUNTED, SUMMED, Floats, Sums, refuse_shape
from federation.evaluation.tails import Estimate
from federation.wording import Text

_BASELINE = Text(en="the baseline", zh="基線值")
_PEOPLE = Text(en="people in an arm", zh="組內人數")


@dataclass(frozen=True, eq=False)
class ArmSums(Sums):
    """One arm of one measure: how many, and the moments of outcome y and baseline x.

    `moments` are the sums of y, y², x, x² and xy, shape (5,); without a baseline the last
    three are zero.
    """

    kind = "arm"
    arm: str = field(metadata=AGREED)
    measure: str = field(metadata=AGREED)
    count: int = field(metadata=COUNTED)
    moments: Floats = field(metadata=SUMMED)

    def check_shapes(self) -> None:
        """Raise SummaryInvalidError unless there are five moments."""
        if np.shape(self.moments) != (5,):
            raise refuse_shape("moments", "five numbers")

    @classmethod
    def of(
        cls, arm: str, measure: str, outcome: Floats, baseline: Floats | None = None
    ) -> "ArmSums":
        """Return the sums of cases, both arrays of shape (n,)."""
        before = np.zeros_like(outcome) if baseline is None else baseline
        moments = np.array(
            [
                outcome.sum(),
                (outcome**2).sum(),
                before.sum(),
                (before**2).sum(),
                (outcome * before).sum(),
            ]
        )
        return cls(arm, measure, len(outcome), moments)

    @property
    def mean(self) -> Estimate:
        """Return the mean with its variance s²/n.

        Raises
        ------
        TooFewClustersError
            If there are fewer than two people.
        """
        spread = _spread(self, 0, 0) / (self.count - 1) if self.count > 1 else math.nan
        if self.count < 2:
            raise TooFewClustersError(found=self.count, units=_PEOPLE, needed=2)
        return Estimate(float(self.moments[0]) / self.count, max(spread, 0.0) / self.count)


def difference_of_means(one: ArmSums, other: ArmSums) -> Estimate:
    """Return mean of one less mean of the other; variances are not assumed equal (Welch).

    Raises
    ------
    DesignValueError
        If they are of two measures.
    TooFewClustersError
        If an arm has fewer than two people.
    """
    _same_measure(one, other)
    return one.mean.minus(other.mean)


def adjusted_difference(one: ArmSums, other: ArmSums) -> Estimate:
    """Return the difference given the baseline: ANCOVA with one slope, as ordinary least squares.

    With randomised arms this is CUPED: the same effect, less noise.

    Raises
    ------
    NotEstimableError
        If the baseline does not vary.
    DesignValueError, TooFewClustersError
        As `difference_of_means`; four people or more are needed.
    """
    _same_measure(one, other)
    people = one.count + other.count
    if min(one.count, other.count) < 2 or people < 4:
        raise TooFewClustersError(found=min(one.count, other.count), units=_PEOPLE, needed=2)
    within = [_spread(one, *pair) + _spread(other, *pair) for pair in ((0, 0), (1, 1), (0, 1))]
    spread_y, spread_x, joint = within
    scale = float(one.moments[3] + other.moments[3])
    if not spread_x > 1e-12 * max(scale, 1e-300):
        raise NotEstimableError(confounder=_BASELINE)
    slope = joint / spread_x
    gap = _mean(one, 1) - _mean(other, 1)
    residual = max(spread_y - slope * joint, 0.0) / (people - 3)
    variance = residual * (1 / one.count + 1 / other.count + gap**2 / spread_x)
    return Estimate(_mean(one, 0) - _mean(other, 0) - slope * gap, variance)


def _mean(arm: ArmSums, which: int) -> float:
    return float(arm.moments[0 if which == 0 else 2]) / arm.count


def _spread(arm: ArmSums, one: int, other: int) -> float:
    """Return the sum of squares (or products) about the arm's means; 0 is y, 1 is x."""
    y, yy, x, xx, xy = (float(moment) for moment in arm.moments)
    raw = {(0, 0): yy, (1, 1): xx, (0, 1): xy}[one, other]
    sums = {0: y, 1: x}
    return raw - sums[one] * sums[other] / arm.count


def _same_measure(one: ArmSums, other: ArmSums) -> None:
    if one.measure != other.measure:
        raise DesignValueError(name="measure", actual=other.measure, expected=one.measure)
