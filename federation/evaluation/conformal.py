"""Say "I do not know" at a rate that can be promised: split conformal prediction.

Sites send histograms of non-conformity scores on the grid; the centre finds the
threshold whose coverage on new cases lies in [1-alpha, 1-alpha+1/(n+1)] (Vovk 2005; Lei
2018). Where even the sum of histograms must not be seen, the same threshold is found by
asking only how many lie at or below a value.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from federation.errors.evaluation import (
    CalibrationTooSmallError,
    EmptySliceError,
    SummariesDifferError,
    SummaryInvalidError,
)
from federation.evaluation.proportions import Proportion
from federation.evaluation.scores import GRID, ScoreHistogram, quantise
from federation.evaluation.sums import COUNTED, Counts, Floats, Sums
from federation.evaluation.tails import Interval, check_open_unit


@dataclass(frozen=True, eq=False)
class ValueCounts(Sums):
    """Cases by non-conformity or outlier score on the grid, lowest first."""

    kind = "values"
    cases: Counts = field(metadata=COUNTED)

    def check_shapes(self) -> None:
        """Raise SummaryInvalidError unless it is one row of counts."""
        if np.ndim(self.cases) != 1:
            raise SummaryInvalidError(
                field="cases", actual="of another shape", expected="one row of counts"
            )

    @classmethod
    def of(cls, values: Floats) -> "ValueCounts":
        """Return the counts of values in [0, 1]; ScoreInvalidError otherwise."""
        return cls(np.bincount(quantise(values), minlength=GRID + 1))

    @property
    def total(self) -> int:
        """Return how many cases there are."""
        return int(self.cases.sum())


@dataclass(frozen=True, slots=True)
class ConformalThreshold:
    """A threshold on the grid and what it promises for a new case."""

    bin: int
    rank: int
    calibration_cases: int
    coverage: Interval

    def covers(self, values: ValueCounts) -> Proportion:
        """Return how many test cases lie at or below the threshold.

        SummariesDifferError if they are on a grid that ends before it.
        """
        if self.bin >= len(values.cases):
            raise SummariesDifferError(field="grid")
        return Proportion(int(values.cases[: self.bin + 1].sum()), values.total)


@dataclass(frozen=True, slots=True)
class SelectivePoint:
    """What is answered, and how often wrongly, when the least sure cases are left out."""

    least_confidence: float
    answered: float
    risk: float


def threshold(calibration: ValueCounts, alpha: float) -> ConformalThreshold:
    """Return the threshold at the ceil((n+1)(1-alpha))-th smallest calibration score.

    Raises
    ------
    CalibrationTooSmallError
        If that rank is beyond the last case.
    """
    counts = np.cumsum(calibration.cases)
    return search(lambda at: int(counts[at]), calibration.total, alpha, len(counts) - 1)


def search(
    at_or_below: Callable[[int], int], cases: int, alpha: float, last_bin: int = GRID
) -> ConformalThreshold:
    """Return the same threshold by bisection on counts, about ten questions.

    `at_or_below` answers how many calibration cases of all sites have that bin or less.
    """
    rank = conformal_rank(cases, alpha)
    low, high = 0, last_bin
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if at_or_below(middle) >= rank else (middle + 1, high)
    promised = Interval(1 - alpha, 1 - alpha + 1 / (cases + 1))
    return ConformalThreshold(low, rank, cases, promised)


def conformal_rank(cases: int, alpha: float) -> int:
    """Return ceil((n+1)(1-alpha)); CalibrationTooSmallError when it exceeds n."""
    check_open_unit("alpha", alpha)
    rank = math.ceil((cases + 1) * (1 - alpha) - 1e-9)
    if rank > cases:
        raise CalibrationTooSmallError(alpha=alpha, needed=math.ceil((1 - alpha) / alpha - 1e-9))
    return rank


def coverage_by(
    found: ConformalThreshold, groups: Mapping[str, ValueCounts]
) -> dict[str, Proportion]:
    """Return the coverage in each class or site: a promise on average may fail in one."""
    return {name: found.covers(groups[name]) for name in sorted(groups)}


def selective_risk(confidence: ScoreHistogram) -> tuple[SelectivePoint, ...]:
    """Return risk against coverage, from answering all to answering the surest only.

    In `confidence` the positives are the right answers, the negatives the wrong ones.

    Raises
    ------
    EmptySliceError
        If there is no case.
    """
    confidence.check_not_empty("selective risk")
    kept = np.cumsum(confidence.totals[::-1])[::-1]
    wrong = np.cumsum(confidence.negatives[::-1])[::-1]
    used = np.flatnonzero(confidence.totals)
    return tuple(
        SelectivePoint(
            float(confidence.probabilities[at]),
            float(kept[at]) / confidence.patients,
            float(wrong[at]) / float(kept[at]),
        )
        for at in used
    )


def abstention(known: ValueCounts, now: ValueCounts, *, alpha: float) -> Proportion:
    """Return how many new cases are stranger than all but `alpha` of the known ones.

    Raises
    ------
    EmptySliceError
        If there is no new case.
    """
    if now.total == 0:
        raise EmptySliceError(name="abstention")
    covered = threshold(known, alpha).covers(now)
    return Proportion(covered.of - covered.hits, covered.of)
