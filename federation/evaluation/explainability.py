"""Are explanations explanations? Sanity checks of attributions, summed over cases.

A site computes one number a case with the formulas here and sends moments and a
histogram, which are exact sums; maps and images stay. Completeness: Sundararajan 2017;
model randomisation: Adebayo 2018; pointing game: Zhang 2018; deletion: Petsiuk 2018.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from federation.errors.evaluation import AllTiedError, EmptySliceError, ScoreInvalidError
from federation.evaluation.scores import quantise_to
from federation.evaluation.sums import AGREED, COUNTED, SUMMED, Counts, Floats, Sums
from federation.evaluation.tails import Estimate

STEPS = 100


@dataclass(frozen=True, eq=False)
class CaseMoments(Sums):
    """The distribution of one number a case: sums of powers and a histogram.

    Parameters
    ----------
    statistic
        Its name in the protocol.
    span
        What the histogram covers, lowest and highest value; beyond it counts at the ends.
    total, squares
        Sum and sum of squares.
    bins
        Counts, shape (STEPS + 1,).
    """

    kind = "case-moments"
    statistic: str = field(metadata=AGREED)
    span: Floats = field(metadata=AGREED)
    total: float = field(metadata=SUMMED)
    squares: float = field(metadata=SUMMED)
    bins: Counts = field(metadata=COUNTED)

    @classmethod
    def of(cls, statistic: str, values: Floats, *, low: float, high: float) -> "CaseMoments":
        """Return the moments of one value a case; ScoreInvalidError if one is not a number."""
        inside = quantise_to(values, low=low, high=high, steps=STEPS)
        return cls(
            statistic,
            np.array([low, high]),
            float(values.sum()),
            float((values**2).sum()),
            np.bincount(inside, minlength=STEPS + 1),
        )

    @property
    def cases(self) -> int:
        """Return how many cases there are."""
        return int(self.bins.sum())

    @property
    def mean(self) -> Estimate:
        """Return the mean with its variance; EmptySliceError below two cases."""
        if self.cases < 2:
            raise EmptySliceError(name=self.statistic)
        return Estimate(self.total / self.cases, self.variance / self.cases)

    @property
    def variance(self) -> float:
        """Return the sample variance; EmptySliceError below two cases."""
        if self.cases < 2:
            raise EmptySliceError(name=self.statistic)
        return max(0.0, (self.squares - self.total**2 / self.cases) / (self.cases - 1))


def completeness_gaps(attributions: Floats, outputs: Floats, baselines: Floats) -> Floats:
    """Return |sum of attributions - (F(x) - F(x0))| for each case, shape (n,).

    `attributions` has shape (n, ...). Holds for integrated gradients (completeness) and
    for SHAP values (local accuracy); 0 is right.
    """
    summed = attributions.reshape(len(attributions), -1).sum(axis=1)
    gaps: Floats = np.abs(summed - (outputs - baselines))
    return gaps


def rank_similarity(trained: Floats, randomised: Floats) -> float:
    """Return Spearman's correlation of one case's two maps; near 0 after randomisation.

    Raises
    ------
    ScoreInvalidError
        If a map is empty, has no number in it, or the maps differ in size.
    AllTiedError
        If a map is constant.
    """
    one, other = np.abs(_map(trained)), np.abs(_map(randomised))
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        raise AllTiedError(figure="rank similarity")
    _check_same(one, other)
    return float(stats.spearmanr(one, other).statistic)


def structural_similarity(one: Floats, other: Floats) -> float:
    """Return the global SSIM (Wang 2004) of two maps scaled to [0, 1]; 1 is identical.

    ScoreInvalidError as `rank_similarity`.
    """
    x, y = _unit(_map(one)), _unit(_map(other))
    _check_same(x, y)
    c1, c2 = 0.01**2, 0.03**2
    covariance = float(((x - x.mean()) * (y - y.mean())).mean())
    means = (2 * x.mean() * y.mean() + c1) / (x.mean() ** 2 + y.mean() ** 2 + c1)
    return float(means * (2 * covariance + c2) / (x.var() + y.var() + c2))


def points_inside(attribution: Floats, lesion: NDArray[np.bool_]) -> bool:
    """Return whether the map's strongest place lies in the lesion's box or mask.

    ScoreInvalidError as `rank_similarity`.
    """
    strength = _map(attribution)
    _check_same(strength, lesion.ravel())
    return bool(lesion.ravel()[int(np.argmax(strength))])


def deletion_area(outputs: Floats) -> float:
    """Return the area under one case's outputs while pixels are deleted, strongest first.

    `outputs` goes from nothing deleted to all, evenly; a low area means that what the
    map calls important is. ScoreInvalidError if there are fewer than two, or no numbers.
    """
    if len(_map(outputs)) < 2:
        raise ScoreInvalidError(field="outputs", actual="one", expected="two or more")
    return float(np.trapezoid(outputs, dx=1 / (len(outputs) - 1)))


def _map(values: Floats) -> Floats:
    """Return a map as one row; ScoreInvalidError if it is empty or has no number in it."""
    row: Floats = np.asarray(values, dtype=np.float64).ravel()
    if not row.size or not np.isfinite(row).all():
        raise ScoreInvalidError(field="map", actual="not numbers", expected="finite numbers")
    return row


def _check_same(one: NDArray[np.generic], other: NDArray[np.generic]) -> None:
    if one.shape != other.shape:
        raise ScoreInvalidError(field="map", actual="of another size", expected="one size")


def _unit(values: Floats) -> Floats:
    spread = np.ptp(values)
    scaled: Floats = (values - values.min()) / spread if spread else np.zeros_like(values)
    return scaled
