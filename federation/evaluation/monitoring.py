"""Is the model in use still what it was? Control charts on counts per period.

Sites send, for each period, how many answers agreed with the truth of how many whose
truth is known by now. A chart reads only periods that are old enough for the labels to
have come (label lag). CUSUM: Page 1954, with the likelihood ratio of a binomial count;
EWMA: Roberts 1959; run lengths are simulated with a fixed seed.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from federation.errors.evaluation import OutOfRangeError, SummaryInvalidError
from federation.evaluation.proportions import Proportion
from federation.evaluation.sums import AGREED, COUNTED, Counts, Floats, Sums
from federation.evaluation.tails import LEVEL, check_open_unit


@dataclass(frozen=True, eq=False)
class PeriodCounts(Sums):
    """Right answers of judged ones, by period.

    Parameters
    ----------
    measure
        What is counted, for example ``agreement`` or ``tpr``.
    right, judged
        Counts by period, oldest first, shape (periods,).
    """

    kind = "periods"
    measure: str = field(metadata=AGREED)
    right: Counts = field(metadata=COUNTED)
    judged: Counts = field(metadata=COUNTED)

    def check_shapes(self) -> None:
        """Raise SummaryInvalidError unless right <= judged in every period."""
        same = np.shape(self.right) == np.shape(self.judged) and np.ndim(self.right) == 1
        if not same or (self.right > self.judged).any():
            raise SummaryInvalidError(
                field="right", actual="more than judged", expected="a part of the judged"
            )

    def matured(self, lag: int) -> "PeriodCounts":
        """Return the periods whose labels have come: all but the last `lag`."""
        if lag < 0:
            raise OutOfRangeError(field="label lag", actual=lag, expected="0 or more")
        keep = max(0, len(self.right) - lag)
        return PeriodCounts(self.measure, self.right[:keep], self.judged[:keep])


@dataclass(frozen=True, slots=True)
class Chart:
    """A control chart: its statistic and limit by period, and when it first signals."""

    statistic: Floats
    limit: Floats

    @property
    def first_signal(self) -> int | None:
        """Return the first period at or beyond the limit, or None."""
        beyond = np.flatnonzero(self.statistic >= self.limit)
        return int(beyond[0]) if beyond.size else None


@dataclass(frozen=True, slots=True)
class Cusum:
    """A chart for a fall of a rate from `expected` to `worse`, signalling at `limit`.

    Raises
    ------
    OutOfRangeError
        Unless 0 < worse < expected < 1 and the limit is above 0.
    """

    expected: float
    worse: float
    limit: float

    def __post_init__(self) -> None:
        check_open_unit("expected rate", self.expected)
        check_open_unit("worse rate", self.worse)
        if self.worse >= self.expected or not 0 < self.limit < math.inf:
            raise OutOfRangeError(
                field="CUSUM", actual="not a fall", expected="worse < expected and limit > 0"
            )

    def chart(self, periods: PeriodCounts) -> Chart:
        """Return S_t = max(0, S_{t-1} + log-likelihood ratio of period t)."""
        steps = self.scores(periods.right, periods.judged)
        reached, level = np.zeros(len(steps)), 0.0
        for period, step in enumerate(steps):
            level = max(0.0, level + float(step))
            reached[period] = level
        return Chart(reached, np.full(len(steps), self.limit))

    def scores(self, right: Counts, judged: Counts) -> Floats:
        """Return the log-likelihood ratio of worse against expected, by period."""
        hit = math.log(self.worse / self.expected)
        miss = math.log((1 - self.worse) / (1 - self.expected))
        return right * hit + (judged - right) * miss

    def run_length(
        self, *, rate: float, judged: int, seed: int, runs: int = 2000, longest: int = 5000
    ) -> float:
        """Return the mean number of periods until a signal at a true `rate`, simulated.

        Runs without a signal count as `longest`, so the figure is then a lower bound.
        """
        check_open_unit("rate", rate)
        if min(judged, runs, longest) < 1:
            raise OutOfRangeError(
                field="run length", actual="nothing", expected="1 or more of each"
            )
        rng = np.random.default_rng(seed)
        level, lengths = np.zeros(runs), np.full(runs, longest)
        running = np.ones(runs, dtype=bool)
        for period in range(1, longest + 1):
            right = rng.binomial(judged, rate, runs)
            level = np.maximum(0.0, level + self.scores(right, np.full(runs, judged)))
            ended = running & (level >= self.limit)
            lengths[ended] = period
            running &= ~ended
            if not running.any():
                break
        return float(lengths.mean())


def ewma(
    periods: PeriodCounts, *, expected: float, weight: float = 0.2, width: float = 3.0
) -> Chart:
    """Return the chart of how far the weighted mean rate fell below `expected`.

    The limit is `width` standard deviations of the weighted mean at the period's counts;
    a period without judged cases changes nothing.
    """
    check_open_unit("expected rate", expected)
    check_open_unit("weight", weight)
    if not 0 < width < math.inf:
        raise OutOfRangeError(field="width", actual=width, expected="above 0")
    falls, limits = np.zeros(len(periods.right)), np.zeros(len(periods.right))
    mean, variance = expected, 0.0
    for period, (right, judged) in enumerate(zip(periods.right, periods.judged, strict=True)):
        if judged:
            mean = weight * float(right) / float(judged) + (1 - weight) * mean
            noise = expected * (1 - expected) / float(judged)
            variance = weight**2 * noise + (1 - weight) ** 2 * variance
        falls[period], limits[period] = expected - mean, width * math.sqrt(variance)
    return Chart(falls, np.where(limits > 0, limits, np.inf))


def breached(periods: PeriodCounts, *, limit: float, level: float = LEVEL) -> tuple[int, ...]:
    """Return the periods whose Wilson interval lies wholly below the agreed limit."""
    check_open_unit("limit", limit)
    return tuple(
        period
        for period, (right, judged) in enumerate(zip(periods.right, periods.judged, strict=True))
        if judged and Proportion(int(right), int(judged)).wilson(level).high < limit
    )
