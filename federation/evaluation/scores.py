"""Scores on a grid, rounded before anything is computed from them (rule C.0, 1).

A score is a probability on the grid 0, 1/1000, ..., 1. Rounded at the source, a
histogram of cases with and without the finding says all there is to say: every figure
computed from the sum of the sites' histograms equals the one of all cases together.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from federation.errors.core import InvalidValueError
from federation.errors.evaluation import EmptySliceError, NotBinaryError, ScoreInvalidError
from federation.errors.privacy import SingleClassError
from federation.evaluation.sums import COUNTED, Counts, Floats, Sums

GRID = 1000
"""Scores are rounded to 1/GRID, so a histogram has GRID + 1 bins."""


def quantise(scores: Floats, steps: int = GRID) -> Counts:
    """Return the bin 0..steps of every score in [0, 1], rounded half to even.

    Raises
    ------
    ScoreInvalidError
        If a score is not finite or outside [0, 1].
    """
    scores = np.asarray(scores, dtype=np.float64)
    if not np.isfinite(scores).all() or (scores < 0).any() or (scores > 1).any():
        raise ScoreInvalidError(
            field="scores", actual="outside [0, 1]", expected="probabilities from 0 to 1"
        )
    return np.rint(scores * steps).astype(np.int64)


def quantise_to(values: Floats, *, low: float, high: float, steps: int = GRID) -> Counts:
    """Return the bin 0..steps of values on another scale; those beyond go to the ends.

    For losses, distances and uncertainties, whose largest value nobody needs.

    Raises
    ------
    ScoreInvalidError
        If a value is not a number, or the scale is none.
    """
    if not -np.inf < low < high < np.inf:
        raise ScoreInvalidError(field="scale", actual="no range", expected="low < high")
    values = np.asarray(values, dtype=np.float64)
    if np.isnan(values).any():
        raise ScoreInvalidError(field="values", actual="not numbers", expected="numbers")
    return quantise((np.clip(values, low, high) - low) / (high - low), steps)


def binary(name: str, values: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Return 0/1 values as booleans.

    Raises
    ------
    NotBinaryError
        If a value is anything else, such as missing.
    """
    numbers = np.asarray(values, dtype=np.float64)
    if not ((numbers == 0) | (numbers == 1)).all():
        raise NotBinaryError(name=name)
    truths: NDArray[np.bool_] = numbers == 1
    return truths


@dataclass(frozen=True, eq=False)
class ScoreHistogram(Sums):
    """How many patients with and without the finding have each score.

    Parameters
    ----------
    positives, negatives
        int64 counts by score bin, lowest score first, both of the same length.

    Raises
    ------
    InvalidValueError
        If lengths differ or a count is negative.
    """

    kind = "scores"
    positives: Counts = field(metadata=COUNTED)
    negatives: Counts = field(metadata=COUNTED)

    def check_shapes(self) -> None:
        """Raise InvalidValueError unless both are rows of one length."""
        if np.ndim(self.positives) != 1 or np.shape(self.positives) != np.shape(self.negatives):
            raise InvalidValueError(
                field="score histogram", actual="not counts", expected="two rows of counts"
            )

    @classmethod
    def of(cls, scores: Floats, truths: NDArray[np.bool_]) -> "ScoreHistogram":
        """Return the histogram of scores in [0, 1], rounded to 1/1000.

        Raises
        ------
        ScoreInvalidError
            If a score is not finite or outside [0, 1].
        NotBinaryError
            If a truth is neither 0 nor 1.
        """
        return cls.of_bins(quantise(scores), binary("truth", truths), GRID + 1)

    @classmethod
    def of_bins(cls, bins: Counts, truths: NDArray[np.bool_], count: int) -> "ScoreHistogram":
        """Return the histogram of bins 0..count-1, for ordinal scores and other grids."""
        return cls(
            np.bincount(bins[truths], minlength=count),
            np.bincount(bins[~truths], minlength=count),
        )

    @property
    def patients(self) -> int:
        """Return how many patients are counted."""
        return int(self.positives.sum() + self.negatives.sum())

    @property
    def totals(self) -> Counts:
        """Return how many patients have each score."""
        return self.positives + self.negatives

    @property
    def probabilities(self) -> Floats:
        """Return the score that each bin stands for, from 0 to 1."""
        return np.arange(len(self.positives)) / max(1, len(self.positives) - 1)

    def check_both_classes(self) -> None:
        """Raise SingleClassError unless there are patients with and without the finding."""
        with_it, without = int(self.positives.sum()), int(self.negatives.sum())
        if with_it == 0 or without == 0:
            raise SingleClassError(positives=with_it, negatives=without)

    def check_not_empty(self, name: str) -> None:
        """Raise EmptySliceError if there is no patient."""
        if self.patients == 0:
            raise EmptySliceError(name=name)
