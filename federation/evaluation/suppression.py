"""What of an evaluation may be shown (EVALUATION.md C.0): small, one place, every rule.

A result that may not be shown is a value, a `Refusal` with its reason, so that it is
logged and printed like any other; it never becomes a zero. `k` is the smallest count
of cases that may be seen.

    rule = CellRule()
    shown = rule.rate(Proportion(3, 80))        # Band: 3 is hidden
    table = tables.publish(counts, ..., rule)   # cells, complementary cells, totals
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np

from federation.domain.cells import SMALL_CELL
from federation.errors.evaluation import OutOfRangeError, SumTooSmallError
from federation.evaluation.proportions import Proportion
from federation.evaluation.scores import ScoreHistogram
from federation.evaluation.sums import Counts
from federation.wording import Language, Text

LARGEST_SHARE = 0.5
SITES_IN_A_SUM = 3
MONTH_DAYS = 28


class Reason(Enum):
    """Why something is not shown."""

    SMALL_CELL = "small-cell"
    HIDDEN_CELL = "hidden-cell"
    SMALL_TOTAL = "small-total"
    FEW_OF_A_CLASS = "few-of-a-class"
    AT_RISK = "at-risk"
    FINE_TIME = "fine-time"
    EXTREME_QUANTILE = "extreme-quantile"
    ONE_CONTRIBUTOR = "one-contributor"
    DIFFERENCE = "difference"


REASONS = {
    Reason.SMALL_CELL: Text(en="it counts fewer than {k} cases", zh="個案數少於 {k} 位"),
    Reason.HIDDEN_CELL: Text(
        en="it, or a cell that it would give away, counts fewer than {k} cases",
        zh="此格或可由其推算之格,個案數少於 {k} 位",
    ),
    Reason.SMALL_TOTAL: Text(en="it rests on fewer than {k} cases", zh="所依據的個案少於 {k} 位"),
    Reason.FEW_OF_A_CLASS: Text(
        en="one of its classes has fewer than {k} cases", zh="其中一類的個案少於 {k} 位"
    ),
    Reason.AT_RISK: Text(
        en="fewer than {k} cases are still followed", zh="仍在追蹤的個案少於 {k} 位"
    ),
    Reason.FINE_TIME: Text(
        en="one site's times are shown by the month or coarser; the cell rule has {k}",
        zh="單一院所的時間僅能以月或更粗的單位呈現;格數規則為 {k}",
    ),
    Reason.EXTREME_QUANTILE: Text(
        en="fewer than {k} values lie beyond it", zh="在其外側的數值少於 {k} 個"
    ),
    Reason.ONE_CONTRIBUTOR: Text(
        en="one contributor makes half of it or more; the cell rule has {k}",
        zh="單一貢獻者占一半以上;格數規則為 {k}",
    ),
    Reason.DIFFERENCE: Text(
        en="it differs from a shown slice by fewer than {k} cases",
        zh="與已公布切片的差異少於 {k} 位個案",
    ),
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something that is not shown: what, and why. It tells nothing else of it."""

    name: str
    reason: Reason
    k: int

    def say(self, language: Language = Language.EN) -> str:
        """Return the reason in words."""
        return REASONS[self.reason].say(language, k=self.k)

    def as_json(self) -> dict[str, object]:
        """Return the entry of the log."""
        return {"name": self.name, "refused": self.reason.value, "k": self.k}


@dataclass(frozen=True, slots=True)
class Band:
    """A rate that is only said to lie between two bounds that depend on n and k alone."""

    low: float
    high: float
    of: int


@dataclass(frozen=True, slots=True)
class MergedBin:
    """Neighbouring bins `first` to `last` shown as one."""

    first: int
    last: int
    positives: int
    negatives: int


@dataclass(frozen=True, slots=True)
class CellRule:
    """The smallest counts that may be seen, as policy data.

    Parameters
    ----------
    k
        The smallest cell shown, 3 to 20.
    sites
        The fewest sites in a sum that could tell of one of them.

    Raises
    ------
    OutOfRangeError
        If `k` or `sites` is outside its range.
    """

    k: int = SMALL_CELL
    sites: int = SITES_IN_A_SUM

    def __post_init__(self) -> None:
        if type(self.k) is not int or not 3 <= self.k <= 20:
            raise OutOfRangeError(field="k", actual=self.k, expected="3 to 20")
        if self.sites < SITES_IN_A_SUM:
            raise OutOfRangeError(
                field="sites in a sum", actual=self.sites, expected=f"{SITES_IN_A_SUM} or more"
            )

    def is_small(self, count: float) -> bool:
        """Return whether a count must be hidden: above 0 and below k, or none (rule a)."""
        return not (count <= 0 or count >= self.k)

    def refuse(self, name: str, reason: Reason) -> Refusal:
        """Return the refusal of one figure."""
        return Refusal(name, reason, self.k)

    def count(self, name: str, count: int) -> int | Refusal:
        """Return a count that may be shown (rule a)."""
        return self.refuse(name, Reason.SMALL_CELL) if self.is_small(count) else count

    def rate(self, name: str, rate: Proportion) -> Proportion | Band | Refusal:
        """Return a rate, a band where a part of it is small, or a refusal (rule b)."""
        if rate.of < self.k:
            return self.refuse(name, Reason.SMALL_TOTAL)
        if self.is_small(rate.hits) or self.is_small(rate.of - rate.hits):
            return self._band(rate)
        return rate

    def _band(self, rate: Proportion) -> Band:
        """Return the end of the scale the rate is at, as wide as k allows.

        Where both parts are small (n below 2k) nothing says which is smaller.
        """
        edge = min(1.0, self.k / rate.of)
        if self.is_small(rate.hits) and self.is_small(rate.of - rate.hits):
            return Band(0.0, 1.0, rate.of)
        return (
            Band(0.0, edge, rate.of) if self.is_small(rate.hits) else Band(1 - edge, 1.0, rate.of)
        )

    def slice_of(self, name: str, histogram: ScoreHistogram) -> Refusal | None:
        """Return why figures of a slice's ranking are not shown, or None (rule d)."""
        fewest = min(int(histogram.positives.sum()), int(histogram.negatives.sum()))
        return self.refuse(name, Reason.FEW_OF_A_CLASS) if fewest < self.k else None

    def bins(self, name: str, histogram: ScoreHistogram) -> tuple[MergedBin, ...] | Refusal:
        """Return the histogram with neighbours merged until no class is small (rule e)."""
        if any(self.is_small(int(c.sum())) for c in (histogram.positives, histogram.negatives)):
            return self.refuse(name, Reason.FEW_OF_A_CLASS)
        merged: list[MergedBin] = []
        start = 0
        for last in range(len(histogram.positives)):
            part = _part(histogram, start, last)
            if not self._hides(part):
                merged.append(part)
                start = last + 1
        if start < len(histogram.positives):
            self._join_rest(histogram, merged)
        return tuple(merged)

    def _join_rest(self, histogram: ScoreHistogram, merged: list[MergedBin]) -> None:
        """Join the last bins with as many shown ones as it takes to show them."""
        last = len(histogram.positives) - 1
        rest = _part(histogram, merged.pop().first, last)
        while self._hides(rest):
            rest = _part(histogram, merged.pop().first, last)
        merged.append(rest)

    def _hides(self, part: MergedBin) -> bool:
        return self.is_small(part.positives) or self.is_small(part.negatives)

    def curve_length(self, at_risk: Counts) -> int:
        """Return how many first points of a survival curve are shown (rule f)."""
        below = np.flatnonzero(at_risk < self.k)
        return int(below[0]) if below.size else len(at_risk)

    def time_step(self, name: str, *, step_days: float, is_one_site: bool) -> Refusal | None:
        """Return why one site's curve may not be shown on this time grid, or None (rule f)."""
        fine = is_one_site and step_days < MONTH_DAYS
        return self.refuse(name, Reason.FINE_TIME) if fine else None

    def quantile(self, name: str, *, cases: int, probability: float) -> Refusal | None:
        """Return why a quantile may not be shown, or None (rule g).

        At least k values must lie on either side; so a minimum or maximum never is.
        """
        beyond = cases * min(probability, 1 - probability)
        return None if beyond >= self.k else self.refuse(name, Reason.EXTREME_QUANTILE)

    def cost(self, name: str, *, cases: int, total: float, largest: float) -> Refusal | None:
        """Return why a sum of costs may not be shown, or None (rule h)."""
        if cases < self.k:
            return self.refuse(name, Reason.SMALL_TOTAL)
        spread = 0 < total < math.inf and 0 <= largest < LARGEST_SHARE * total
        return None if spread else self.refuse(name, Reason.ONE_CONTRIBUTOR)

    def difference(self, name: str, differing: Mapping[str, int]) -> Refusal | None:
        """Return why a new slice may not be shown beside shown ones, or None (rule i).

        `differing` is, by shown slice, how many cases are in one but not in the other:
        n_a + n_b - 2 n_ab, which sites can send as a sum.
        """
        near = any(self.is_small(count) for count in differing.values())
        return self.refuse(name, Reason.DIFFERENCE) if near else None

    def check_sum(self, *, sites: int, smallest: int) -> None:
        """Raise SumTooSmallError for a sum of too few sites, or with a point of few cases."""
        if not (sites >= self.sites and smallest >= self.k):
            raise SumTooSmallError(sites=self.sites, cases=self.k)


def _part(histogram: ScoreHistogram, first: int, last: int) -> MergedBin:
    span = slice(first, last + 1)
    positives, negatives = histogram.positives[span].sum(), histogram.negatives[span].sum()
    return MergedBin(first, last, int(positives), int(negatives))
