"""What a site sends of one model: histograms of all its cases and of each slice."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from federation.errors.evaluation import SummaryInvalidError
from federation.evaluation.scores import ScoreHistogram
from federation.evaluation.sums import AGREED, COUNTED, Counts, Sums, refuse_shape

EVERYONE = "all"
"""The first slice, which has every case."""


@dataclass(frozen=True, eq=False)
class SlicedScores(Sums):
    """A site's histograms of all cases and of each slice, and how slices overlap.

    Parameters
    ----------
    slices
        Names; the first is ``all``, others are ``family=value``, such as ``sex=F``.
    positives, negatives
        Counts, shape (slices, bins).
    overlaps
        How many cases two slices share, shape (slices, slices).
    """

    kind = "sliced-scores"
    slices: tuple[str, ...] = field(metadata=AGREED)
    positives: Counts = field(metadata=COUNTED)
    negatives: Counts = field(metadata=COUNTED)
    overlaps: Counts = field(metadata=COUNTED)

    def check_shapes(self) -> None:
        """Raise SummaryInvalidError unless all have one row a slice and fit each other."""
        s = len(self.slices)
        shapes = {np.shape(self.positives), np.shape(self.negatives)}
        if not self.slices or self.slices[0] != EVERYONE or len(set(self.slices)) != s:
            raise SummaryInvalidError(
                field="slices", actual="not unique", expected=f"different names after {EVERYONE}"
            )
        if len(shapes) != 1 or len(np.shape(self.positives)) != 2 or len(self.positives) != s:
            raise refuse_shape("positives", f"{s} rows")
        totals = (self.positives + self.negatives).sum(axis=1)
        if np.shape(self.overlaps) != (s, s) or not (np.diag(self.overlaps) == totals).all():
            raise refuse_shape("overlaps", "the slices' sizes on the diagonal")
        family = np.array([name.partition("=")[0] for name in self.slices])
        shared = (family[:, None] == family) & ~np.eye(s, dtype=bool) & (self.overlaps > 0)
        if shared.any():
            raise refuse_shape("overlaps", "slices of one family that share no case")

    @classmethod
    def of(
        cls, bins: Counts, truths: NDArray[np.bool_], masks: Mapping[str, NDArray[np.bool_]],
        *, bin_count: int,
    ) -> "SlicedScores":  # fmt: skip
        """Return the histograms of cases by mask; all cases come first."""
        rows = {EVERYONE: np.ones(len(bins), dtype=bool), **masks}
        parts = [ScoreHistogram.of_bins(bins[m], truths[m], bin_count) for m in rows.values()]
        members = np.array(list(rows.values()), dtype=np.int64)
        return cls(
            tuple(rows),
            np.array([one.positives for one in parts]),
            np.array([one.negatives for one in parts]),
            members @ members.T,
        )

    def histogram(self, name: str) -> ScoreHistogram:
        """Return one slice's histogram."""
        at = self.slices.index(name)
        return ScoreHistogram(self.positives[at], self.negatives[at])

    def differing(self, name: str, shown: Iterable[str]) -> dict[str, int]:
        """Return by shown slice how many cases are in one of the two only."""
        i, n = self.slices.index(name), np.diag(self.overlaps)
        others = {one: self.slices.index(one) for one in shown}
        return {one: int(n[i] + n[j] - 2 * self.overlaps[i, j]) for one, j in others.items()}

    def shared(self, parts: Sequence[str], others: Sequence[str]) -> Counts:
        """Return how many cases groups of two families share, each with who is in none of them.

        Shape (parts + 1, others + 1), the last row and column for the rest of everyone.
        """
        i, j = ([self.slices.index(one) for one in names] for names in (parts, others))
        table, sizes = self.overlaps[np.ix_(i, j)], np.diag(self.overlaps)
        table = np.vstack([table, sizes[j] - table.sum(axis=0)])
        of_rows = np.append(sizes[i], sizes[0] - sizes[i].sum())
        return np.column_stack([table, of_rows - table.sum(axis=1)])
