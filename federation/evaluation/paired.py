"""Two scores of the same cases: is one better? A new version or a reader against the old.

DeLong, DeLong and Clarke-Pearson, Biometrics 44:837 (1988). Both scores of a case are
counted together, so the covariance of the two AUROCs is exact on the grid.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from federation.errors.evaluation import AllTiedError, SummaryInvalidError
from federation.errors.privacy import SingleClassError
from federation.evaluation.auroc import placements
from federation.evaluation.scores import ScoreHistogram
from federation.evaluation.sums import COUNTED, Counts, Sums
from federation.evaluation.tails import Estimate, Interval


@dataclass(frozen=True, eq=False)
class JointHistogram(Sums):
    """How many cases have each pair of scores.

    Parameters
    ----------
    positives, negatives
        int64 counts, shape (bins of the first score, bins of the second).
    """

    kind = "joint-scores"
    positives: Counts = field(metadata=COUNTED)
    negatives: Counts = field(metadata=COUNTED)

    def check_shapes(self) -> None:
        """Raise SummaryInvalidError unless both are tables of one shape."""
        if np.ndim(self.positives) != 2 or np.shape(self.positives) != np.shape(self.negatives):
            raise SummaryInvalidError(
                field="joint scores", actual="of another shape", expected="two tables of counts"
            )

    @classmethod
    def of_bins(
        cls, first: Counts, second: Counts, truths: NDArray[np.bool_], shape: tuple[int, int]
    ) -> "JointHistogram":
        """Return the table of pairs of bins, `first` below shape[0], `second` below shape[1]."""
        cells = first * shape[1] + second
        size = shape[0] * shape[1]
        return cls(
            np.bincount(cells[truths], minlength=size).reshape(shape),
            np.bincount(cells[~truths], minlength=size).reshape(shape),
        )

    @property
    def first(self) -> ScoreHistogram:
        """Return the histogram of the first score."""
        return ScoreHistogram(self.positives.sum(axis=1), self.negatives.sum(axis=1))

    @property
    def second(self) -> ScoreHistogram:
        """Return the histogram of the second score."""
        return ScoreHistogram(self.positives.sum(axis=0), self.negatives.sum(axis=0))


@dataclass(frozen=True, slots=True)
class PairedComparison:
    """The difference of two AUROCs of the same cases, first minus second."""

    first: float
    second: float
    difference: Estimate

    @property
    def z(self) -> float:
        """Return the test statistic."""
        return self.difference.value / self.difference.error

    @property
    def p_value(self) -> float:
        """Return the two-sided p-value."""
        return self.difference.p_value()

    @property
    def interval(self) -> Interval:
        """Return the 95 % interval of the difference."""
        return self.difference.interval()


def compare(joint: JointHistogram) -> PairedComparison:
    """Return the paired comparison of the two scores.

    Raises
    ------
    SingleClassError
        If a class has fewer than two cases.
    AllTiedError
        If the two scores never rank differently, so that there is nothing to test.
    """
    m, n = int(joint.positives.sum()), int(joint.negatives.sum())
    if m < 2 or n < 2:
        raise SingleClassError(positives=m, negatives=n)
    (v10, v01), (w10, w01) = placements(joint.first), placements(joint.second)
    one = float(joint.first.positives @ v10) / m
    other = float(joint.second.positives @ w10) / m
    gaps10 = v10[:, None] - w10[None, :] - (one - other)
    gaps01 = v01[:, None] - w01[None, :] - (one - other)
    variance = (joint.positives * gaps10**2).sum() / (m - 1) / m
    variance += (joint.negatives * gaps01**2).sum() / (n - 1) / n
    if not variance > 0:
        raise AllTiedError(figure="AUROC difference")
    return PairedComparison(one, other, Estimate(one - other, float(variance)))
