"""Do the scores mean what they say? Calibration in the large, slope, Brier, ECE.

All from the histogram on the grid: the score of a bin is exact, so are these figures.
The logistic recalibration (Cox 1958) is fitted on bins, one shot, no further rounds.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from federation.errors.evaluation import AllTiedError, OutOfRangeError
from federation.evaluation.regression import MaximumLikelihood, NewtonTerms, newton
from federation.evaluation.scores import ScoreHistogram
from federation.evaluation.sums import Counts, Floats
from federation.evaluation.suppression import CellRule, Refusal
from federation.evaluation.tails import Estimate

BINS = 10


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """One bar of a reliability diagram: scores above `low` up to `high`, cases and means."""

    low: float
    high: float
    cases: int
    mean_score: float
    observed: float

    @property
    def gap(self) -> float:
        """Return how far the observed rate is from the mean score."""
        return abs(self.observed - self.mean_score)


@dataclass(frozen=True, slots=True)
class Reliability:
    """A reliability diagram and the figures that sum it up."""

    bins: tuple[ReliabilityBin, ...]

    @property
    def ece(self) -> float:
        """Return the expected calibration error, the mean gap over cases."""
        return sum(one.cases * one.gap for one in self.bins) / self._cases

    @property
    def root_mean_square(self) -> float:
        """Return the root of the mean squared gap over cases."""
        return float(np.sqrt(sum(one.cases * one.gap**2 for one in self.bins) / self._cases))

    @property
    def mce(self) -> float:
        """Return the largest gap."""
        return max(one.gap for one in self.bins)

    @property
    def _cases(self) -> int:
        return sum(one.cases for one in self.bins)


def brier(histogram: ScoreHistogram) -> float:
    """Return the mean squared difference of score and truth; EmptySliceError without cases."""
    histogram.check_not_empty("Brier score")
    p = histogram.probabilities
    total = histogram.positives @ (1 - p) ** 2 + histogram.negatives @ p**2
    return float(total) / histogram.patients


def equal_width(histogram: ScoreHistogram, bins: int = BINS) -> Reliability:
    """Return the diagram of bins of the same width, each open below but the first."""
    _check_bins(bins)
    return _reliability(histogram, *_equal_bars(histogram, bins))


def joined_width(histogram: ScoreHistogram, rule: CellRule, bins: int = BINS) -> Reliability:
    """Return the diagram of equal width with neighbours joined until no class is small.

    Its largest gap may be shown: that of a bar of few cases says how many they are. As
    `equal_width` where no bar has few cases of a class, and where both classes are small.
    """
    _check_bins(bins)
    inside, edges = _equal_bars(histogram, bins)
    by_bar = [
        np.bincount(inside, weights=counts, minlength=bins).astype(np.int64)
        for counts in (histogram.positives, histogram.negatives)
    ]
    merged = rule.bins("reliability", ScoreHistogram(*by_bar))
    if isinstance(merged, Refusal):
        return _reliability(histogram, inside, edges)
    first = np.array([one.first for one in merged])
    joined = np.searchsorted(first, inside, side="right") - 1
    return _reliability(histogram, joined, np.append(edges[first], edges[-1]))


def equal_mass(histogram: ScoreHistogram, bins: int = BINS) -> Reliability:
    """Return the diagram of bins with about the same number of cases.

    Cut on the grid: a bin is filled from low scores up until its share is reached.
    """
    _check_bins(bins)
    histogram.check_not_empty("reliability")
    before = np.cumsum(histogram.totals) - histogram.totals
    inside = np.minimum(before * bins // histogram.patients, bins - 1)
    ends = np.searchsorted(inside, np.arange(bins), side="right") - 1
    edges = np.concatenate([[0.0], histogram.probabilities[np.maximum(ends, 0)]])
    return _reliability(histogram, inside, edges)


def in_the_large(histogram: ScoreHistogram) -> Estimate:
    """Return the intercept of y ~ 1 + offset(logit p): 0 when the mean is right.

    Raises
    ------
    SingleClassError
        If a class is missing.
    """
    histogram.check_both_classes()
    rows = _Rows.of(histogram)
    fit = _fit(rows, np.ones((len(rows.logits), 1)), ("intercept",), rows.logits)
    return fit.estimate("intercept")


def recalibration(histogram: ScoreHistogram) -> MaximumLikelihood:
    """Return the fit of y ~ 1 + logit p; `slope` is 1 when the spread is right.

    Raises
    ------
    SingleClassError
        If a class is missing.
    AllTiedError
        If all cases have the same score.
    NotConvergedError
        If the scores separate the classes completely.
    """
    histogram.check_both_classes()
    if np.count_nonzero(histogram.totals) == 1:
        raise AllTiedError(figure="calibration slope")
    rows = _Rows.of(histogram)
    design = np.column_stack([np.ones(len(rows.logits)), rows.logits])
    return _fit(rows, design, ("intercept", "slope"), np.zeros(len(rows.logits)))


@dataclass(frozen=True, slots=True)
class _Rows:
    """The used bins as grouped cases: logit, positives and cases, shape (used bins,) each.

    The ends of the grid have no logit; they count as half a step inside.
    """

    logits: Floats
    positives: Floats
    cases: Floats

    @classmethod
    def of(cls, histogram: ScoreHistogram) -> "_Rows":
        used = np.flatnonzero(histogram.totals)
        half = 0.5 / (len(histogram.positives) - 1)
        p = np.clip(histogram.probabilities[used], half, 1 - half)
        return cls(
            np.log(p / (1 - p)),
            histogram.positives[used].astype(np.float64),
            histogram.totals[used].astype(np.float64),
        )


def _fit(rows: _Rows, design: Floats, names: tuple[str, ...], offset: Floats) -> MaximumLikelihood:
    """Return the binomial regression of grouped cases."""

    def terms(at: Floats) -> NewtonTerms:
        linear = design @ at + offset
        expected = 1 / (1 + np.exp(-np.clip(linear, -700, 700)))
        spread = rows.cases * expected * (1 - expected)
        likelihood = rows.positives @ linear - rows.cases @ np.logaddexp(0.0, linear)
        return NewtonTerms(
            design.T @ (rows.positives - rows.cases * expected),
            (design.T * spread) @ design,
            float(likelihood),
        )

    return newton(terms, names, "calibration")


def _equal_bars(histogram: ScoreHistogram, bins: int) -> tuple[Counts, Floats]:
    """Return in which bar of the same width each score lies, and the bars' edges."""
    edges = np.linspace(0, 1, bins + 1)
    return np.searchsorted(edges[1:-1], histogram.probabilities - 1e-12), edges


def _reliability(histogram: ScoreHistogram, inside: Counts, edges: Floats) -> Reliability:
    histogram.check_not_empty("reliability")
    return Reliability(tuple(_bars(histogram, inside, edges)))


def _bars(histogram: ScoreHistogram, inside: Counts, edges: Floats) -> Iterator[ReliabilityBin]:
    size = len(edges) - 1
    cases = np.bincount(inside, weights=histogram.totals, minlength=size)
    hits = np.bincount(inside, weights=histogram.positives, minlength=size)
    scores = np.bincount(inside, weights=histogram.totals * histogram.probabilities, minlength=size)
    for bar in np.flatnonzero(cases):
        n = cases[bar]
        low, high = float(edges[bar]), float(edges[bar + 1])
        yield ReliabilityBin(low, high, int(n), float(scores[bar] / n), float(hits[bar] / n))


def _check_bins(bins: int) -> None:
    if not 1 <= bins <= 1000:
        raise OutOfRangeError(field="bins", actual=bins, expected="1 to 1000")
