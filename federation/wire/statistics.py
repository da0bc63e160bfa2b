"""What a site contributes to the sum of an evaluation: one row of counts, in a fixed order.

The order follows from the protocol alone, so that sites need not agree on anything else:

1. histograms of all cases and of each slice, with and without the finding, and overlaps;
2. for every corruption and severity, the histogram of all cases;
3. how close the model is to patients it was trained on and to others;
4. scores and ages, of patients it was trained on (the reference) and of others.

    row = layout_of(plan).row(statistics)             # int64, shape (size,)
    statistics = layout_of(plan).statistics(row)      # also of a sum of rows

Counts leave masked in the ring of integers modulo 2^64; `as_floats` says such numbers in
float32, four of 16 bits each, which is what the wire carries without loss.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federation.domain.evaluation_plan import SEVERITIES, Corruption, EvaluationPlan, Family
from federation.errors.evaluation import SummaryInvalidError
from federation.evaluation.drift import BinCounts
from federation.evaluation.scores import GRID, ScoreHistogram
from federation.evaluation.sliced import EVERYONE, SlicedScores
from federation.evaluation.sums import LARGEST_COUNT, Counts, refuse_shape
from federation.secure_sum import Cells

Ring = NDArray[np.uint64]
FloatRow = NDArray[np.float32]

BINS = GRID + 1
LIMBS = 4
"""float32 numbers that carry one number modulo 2^64, least significant first."""

DRIFT_EDGES: Mapping[str, tuple[float, ...]] = {
    "score": tuple(step / 10 for step in range(1, 10)),
    "age": (18.0, 40.0, 60.0, 75.0),
}
"""The inner edges on which drift is counted, fixed for every protocol."""

LARGEST_ROW = 4_000_000

MOST_CASES = 10**7
"""No hospital has more cases in one cohort."""


@dataclass(frozen=True)
class SiteStatistics:
    """The counts of one site, or of the sum of sites.

    Parameters
    ----------
    scores
        Of the cases that the version was not trained on.
    corrupted
        By corruption, one histogram for each severity from 1 up.
    closeness
        Members are the positives; None where privacy is not asked for.
    drift
        By variable: reference and now; empty where drift is not asked for.
    """

    scores: SlicedScores
    corrupted: Mapping[Corruption, tuple[ScoreHistogram, ...]]
    closeness: ScoreHistogram | None
    drift: Mapping[str, tuple[BinCounts, BinCounts]]


@dataclass(frozen=True, slots=True)
class Layout:
    """The order of a protocol's counts; `layout_of` makes it."""

    slices: tuple[str, ...]
    corruptions: tuple[Corruption, ...]
    has_closeness: bool
    has_drift: bool

    @property
    def size(self) -> int:
        """Return how many counts a row has."""
        return sum(size for _, size in self._parts())

    @property
    def floats(self) -> int:
        """Return how many float32 numbers carry a masked row on the wire."""
        return LIMBS * self.cells.sent

    @property
    def cells(self) -> Cells:
        """Return the form in which rows are summed."""
        return Cells.counts(self.size, most=MOST_CASES)

    def row(self, found: SiteStatistics) -> Counts:
        """Return the counts in their order, int64 of shape (size,).

        Raises
        ------
        SummaryInvalidError
            If they are not what the protocol asks for.
        """
        if found.scores.slices != self.slices or set(found.corrupted) != set(self.corruptions):
            raise refuse_shape("statistics", "the slices and corruptions of the protocol")
        row = np.concatenate([part.ravel() for part in self._counts(found)]).astype(np.int64)
        if len(row) != self.size:
            raise refuse_shape("statistics", f"{self.size} counts")
        return row

    def statistics(self, row: Counts) -> SiteStatistics:
        """Return the counts of a row, or of a sum of rows.

        Raises
        ------
        SummaryInvalidError
            If it has another length, a count is out of range, or counts contradict each other.
        """
        if row.shape != (self.size,) or row.dtype != np.int64:
            raise refuse_shape("statistics", f"{self.size} counts")
        if (row < 0).any() or (row > LARGEST_COUNT).any():
            expected = f"whole counts from 0 to {LARGEST_COUNT}"
            raise SummaryInvalidError(field="statistics", actual="not counts", expected=expected)
        return self._read(_Cut(row))

    def _parts(self) -> Iterator[tuple[str, int]]:
        slices = len(self.slices)
        yield "scores", 2 * slices * BINS + slices * slices
        yield "corrupted", len(self.corruptions) * SEVERITIES * 2 * BINS
        yield "closeness", 2 * BINS if self.has_closeness else 0
        edges = sum(len(one) + 1 for one in DRIFT_EDGES.values())
        yield "drift", 2 * edges if self.has_drift else 0

    def _counts(self, found: SiteStatistics) -> Iterator[Counts]:
        yield from (found.scores.positives, found.scores.negatives, found.scores.overlaps)
        for corruption in self.corruptions:
            for histogram in found.corrupted[corruption]:
                yield from (histogram.positives, histogram.negatives)
        if found.closeness is not None:
            yield from (found.closeness.positives, found.closeness.negatives)
        for variable in sorted(found.drift):
            yield from (one.cases for one in found.drift[variable])

    def _read(self, cut: "_Cut") -> SiteStatistics:
        slices = len(self.slices)
        positives, negatives = (cut.take(slices * BINS).reshape(slices, BINS) for _ in range(2))
        overlaps = cut.take(slices * slices).reshape(slices, slices)
        return SiteStatistics(
            SlicedScores(self.slices, positives, negatives, overlaps),
            {one: tuple(cut.histogram() for _ in range(SEVERITIES)) for one in self.corruptions},
            cut.histogram() if self.has_closeness else None,
            {name: _drift(cut, name) for name in sorted(DRIFT_EDGES)} if self.has_drift else {},
        )


def layout_of(plan: EvaluationPlan) -> Layout:
    """Return the order of a protocol's counts.

    Raises
    ------
    SummaryInvalidError
        If it asks for more counts than a reply may carry.
    """
    names = (f"{one.family}={value}" for one in plan.slices for value in one.values)
    layout = Layout(
        (EVERYONE, *names),
        plan.corruptions,
        plan.asks(Family.PRIVACY),
        plan.asks(Family.DRIFT),
    )
    if layout.size > LARGEST_ROW:
        raise SummaryInvalidError(
            field="the protocol", actual="too large", expected=f"at most {LARGEST_ROW} counts"
        )
    return layout


def as_floats(numbers: Ring) -> FloatRow:
    """Return numbers modulo 2^64 as float32, four of 16 bits each, least significant first."""
    limbs = np.ascontiguousarray(numbers, dtype="<u8").view("<u2")
    floats: FloatRow = limbs.astype(np.float32)
    return floats


def from_floats(floats: FloatRow) -> Ring:
    """Return the numbers that `as_floats` wrote.

    Raises
    ------
    SummaryInvalidError
        If a float32 is not a whole number of 16 bits, or their number is no multiple of four.
    """
    whole = np.isfinite(floats).all() and (np.rint(floats) == floats).all()
    if not whole or floats.size % LIMBS or (floats < 0).any() or (floats > 65_535).any():
        expected = "whole numbers of 16 bits, four for each count"
        raise SummaryInvalidError(field="statistics", actual="other floats", expected=expected)
    numbers: Ring = floats.astype("<u2").view("<u8").astype(np.uint64)
    return numbers


class _Cut:
    """Takes a row apart from the front."""

    def __init__(self, row: Counts) -> None:
        self._row, self._at = row, 0

    def take(self, size: int) -> Counts:
        """Return the next counts."""
        self._at += size
        return self._row[self._at - size : self._at]

    def histogram(self) -> ScoreHistogram:
        """Return the next two rows of bins."""
        return ScoreHistogram(self.take(BINS), self.take(BINS))


def _drift(cut: _Cut, variable: str) -> tuple[BinCounts, BinCounts]:
    edges = np.array(DRIFT_EDGES[variable])
    reference, now = (BinCounts(variable, edges, cut.take(len(edges) + 1)) for _ in range(2))
    return reference, now
