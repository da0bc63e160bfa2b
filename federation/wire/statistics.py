"""What a site contributes to the sum of an evaluation: one row of counts, in a fixed order.

The order follows from the protocol alone, so that sites need not agree on anything else:

1. histograms of all cases and of each slice, with and without the finding, and overlaps;
2. for every corruption and severity, the histogram of all cases;
3. how close the model is to patients it was trained on and to others;
4. scores and ages, of patients it was trained on (the reference) and of others;
5. the histograms of 1, of those cases that test a conformal threshold;
6. for every version but the first, its scores against those of the first;
7. moments and histograms of the explanations' checks, the sums in fixed point.

    layout = layout_of(plan, place)           # of the version at this place, from 1
    row = layout.row(statistics)              # int64, shape (size,)
    statistics = layout.statistics(row)       # also of a sum of rows

Counts leave masked in the ring of integers modulo 2^64; `as_floats` says such numbers in
float32, four of 16 bits each, which is what the wire carries without loss.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from federation.domain.evaluation_plan import SEVERITIES, Corruption, EvaluationPlan, Family
from federation.errors.evaluation import SummaryInvalidError
from federation.evaluation.drift import BinCounts
from federation.evaluation.explainability import STEPS, CaseMoments
from federation.evaluation.explained import SPANS
from federation.evaluation.paired import JointHistogram
from federation.evaluation.scores import GRID, ScoreHistogram
from federation.evaluation.sliced import EVERYONE, SlicedScores
from federation.evaluation.sums import LARGEST_COUNT, Counts, refuse_shape
from federation.secure_sum import Cells, SummaryForm

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

AGE_BANDS = ("under 18", "18-39", "40-59", "60-74", "75 and over")
"""What slices by age call the bins between the edges of ages."""

LARGEST_ROW = 4_000_000

MOST_CASES = 10**7
"""No hospital has more cases in one cohort."""

MOMENT_BITS = 30
"""Binary digits behind the point of the sums of explanations."""


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
    tested
        Those of `scores` that test a conformal threshold; None where none is asked for.
    joint
        This version's scores by those of the first, of the cases that both scored.
    explained
        By check, in the order of `SPANS`; empty where no explanations are asked for.
    """

    scores: SlicedScores
    corrupted: Mapping[Corruption, tuple[ScoreHistogram, ...]]
    closeness: ScoreHistogram | None
    drift: Mapping[str, tuple[BinCounts, BinCounts]]
    tested: SlicedScores | None = None
    joint: JointHistogram | None = None
    explained: Mapping[str, CaseMoments] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Layout:
    """The order of a version's counts; `layout_of` makes it.

    Parameters
    ----------
    joint_bins
        Bins of each score that are counted together; 0 where no pair is asked for.
    explained_cases
        The most that one hospital explains; 0 where no explanations are asked for.
    """

    slices: tuple[str, ...]
    corruptions: tuple[Corruption, ...]
    has_closeness: bool
    has_drift: bool
    has_tested: bool
    joint_bins: int
    explained_cases: int

    @property
    def size(self) -> int:
        """Return how many numbers a row has."""
        return self._counted + sum(one.cells.length for one in self._forms().values())

    @property
    def floats(self) -> int:
        """Return how many float32 numbers carry a masked row on the wire."""
        return LIMBS * self.cells.sent

    @property
    def cells(self) -> Cells:
        """Return the form in which rows are summed."""
        if not self.explained_cases:
            return Cells.counts(self.size, most=MOST_CASES)
        bound = max(MOST_CASES, *(one.cells.high for one in self._forms().values()))
        return Cells(self.size, -bound, bound)

    def is_within(self, row: Counts) -> bool:
        """Say whether every count could be one of a hospital's cases, and every sum of theirs."""
        counts, sums = row[: self._counted], row[self._counted :]
        bound = self.cells.high
        inside = (counts >= 0).all() and (counts <= MOST_CASES).all()
        return bool(inside and (sums >= -bound).all() and (sums <= bound).all())

    def row(self, found: SiteStatistics) -> Counts:
        """Return the counts in their order, int64 of shape (size,).

        Raises
        ------
        SummaryInvalidError
            If they are not what the protocol asks for.
        SumNumbersRefusedError
            If a sum of explanations is beyond its bound.
        """
        if found.scores.slices != self.slices or set(found.corrupted) != set(self.corruptions):
            raise refuse_shape("statistics", "the slices and corruptions of the protocol")
        parts = [part.ravel() for part in self._counts(found)]
        parts += [form.encode(found.explained[name]) for name, form in self._forms().items()]
        row = np.concatenate(parts).astype(np.int64)
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
        counts = row[: self._counted]
        if (counts < 0).any() or (counts > LARGEST_COUNT).any():
            expected = f"whole counts from 0 to {LARGEST_COUNT}"
            raise SummaryInvalidError(field="statistics", actual="not counts", expected=expected)
        found = self._read(_Cut(row))
        _check_corrupted(found)
        return found

    @property
    def _counted(self) -> int:
        """Return how many numbers of a row are counts; sums in fixed point follow."""
        return sum(size for _, size in self._parts())

    def _parts(self) -> Iterator[tuple[str, int]]:
        slices = len(self.slices)
        sliced = 2 * slices * BINS + slices * slices
        yield "scores", sliced
        yield "corrupted", len(self.corruptions) * SEVERITIES * 2 * BINS
        yield "closeness", 2 * BINS if self.has_closeness else 0
        edges = sum(len(one) + 1 for one in DRIFT_EDGES.values())
        yield "drift", 2 * edges if self.has_drift else 0
        yield "tested", sliced if self.has_tested else 0
        yield "joint", 2 * self.joint_bins**2

    def _forms(self) -> dict[str, SummaryForm[CaseMoments]]:
        """Return how the checks of explanations are said in whole numbers, in their order."""
        if not self.explained_cases:
            return {}
        return {name: _form_of(name, self.explained_cases) for name in SPANS}

    def _counts(self, found: SiteStatistics) -> Iterator[Counts]:
        yield from _sliced_counts(found.scores)
        for corruption in self.corruptions:
            for histogram in found.corrupted[corruption]:
                yield from (histogram.positives, histogram.negatives)
        if found.closeness is not None:
            yield from (found.closeness.positives, found.closeness.negatives)
        for variable in sorted(found.drift):
            yield from (one.cases for one in found.drift[variable])
        if found.tested is not None:
            yield from _sliced_counts(found.tested)
        if found.joint is not None:
            yield from (found.joint.positives, found.joint.negatives)

    def _read(self, cut: "_Cut") -> SiteStatistics:
        return SiteStatistics(
            scores=cut.sliced(self.slices),
            corrupted={
                one: tuple(cut.histogram() for _ in range(SEVERITIES)) for one in self.corruptions
            },
            closeness=cut.histogram() if self.has_closeness else None,
            drift={name: _drift(cut, name) for name in sorted(DRIFT_EDGES)}
            if self.has_drift
            else {},
            tested=cut.sliced(self.slices) if self.has_tested else None,
            joint=cut.joint(self.joint_bins) if self.joint_bins else None,
            explained={
                name: form.decode(cut.take(form.cells.length))
                for name, form in self._forms().items()
            },
        )


def layout_of(plan: EvaluationPlan, place: int) -> Layout:
    """Return the order of the counts of the version at a place of a protocol, from 1.

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
        plan.uncertainty is not None,
        plan.paired.steps + 1 if plan.paired is not None and place > 1 else 0,
        0 if plan.explainability is None else plan.explainability.cases,
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

    def sliced(self, names: tuple[str, ...]) -> SlicedScores:
        """Return the next histograms of slices, and how they overlap."""
        slices = len(names)
        positives, negatives = (self.take(slices * BINS).reshape(slices, BINS) for _ in range(2))
        return SlicedScores(
            names, positives, negatives, self.take(slices * slices).reshape(slices, slices)
        )

    def joint(self, bins: int) -> JointHistogram:
        """Return the next two tables of pairs of bins."""
        positives, negatives = (self.take(bins * bins).reshape(bins, bins) for _ in range(2))
        return JointHistogram(positives, negatives)


def _check_corrupted(found: SiteStatistics) -> None:
    """Refuse images made worse that are not those of the same cases, class by class."""
    plain = found.scores.histogram(EVERYONE)
    for by_severity in found.corrupted.values():
        for worse in by_severity:
            pairs = (worse.positives, plain.positives), (worse.negatives, plain.negatives)
            if any(one.sum() != other.sum() for one, other in pairs):
                raise refuse_shape("corrupted", "as many cases of each class as without")


def _sliced_counts(found: SlicedScores) -> tuple[Counts, ...]:
    return found.positives, found.negatives, found.overlaps


def _form_of(name: str, cases: int) -> SummaryForm[CaseMoments]:
    """Return the form of one check: a site's sums are at most one for each of its cases."""
    nobody = CaseMoments(name, np.array(SPANS[name]), 0.0, 0.0, np.zeros(STEPS + 1, np.int64))
    return SummaryForm(nobody, MOMENT_BITS, float(cases))


def _drift(cut: _Cut, variable: str) -> tuple[BinCounts, BinCounts]:
    edges = np.array(DRIFT_EDGES[variable])
    reference, now = (BinCounts(variable, edges, cut.take(len(edges) + 1)) for _ in range(2))
    return reference, now
