"""Times and costs: medians from grid counts, and ratios of means."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

from federation.errors.impact import DesignValueError, TooFewClustersError
from federation.evaluation.tails import LEVEL, Estimate, Interval, normal_quantile
from federation.impact.arms import ArmSums
from federation.wording import Text

_PEOPLE = Text(en="people", zh="人數")


@dataclass(frozen=True, slots=True)
class MedianOnGrid:
    """A median and its interval, in the unit of the grid. `level` is what the interval has."""

    median: float
    interval: Interval
    level: float


def median_interval(
    counts: NDArray[np.int64], step: float, *, wanted: float = LEVEL
) -> MedianOnGrid:
    """Return the median of values on a grid, with the interval of binomial order statistics.

    The interval holds at the level or above whatever the distribution; equal to that of
    the cases, since all of them lie on the grid.

    Parameters
    ----------
    counts
        How many had each grid value 0, step, 2 step, ..., shape (B,).
    step
        The grid, for example 1 minute.

    Raises
    ------
    DesignValueError
        If the step is not above zero or a count is negative.
    TooFewClustersError
        If there are too few people for the level: six for 95 %.
    """
    if not step > 0 or (counts < 0).any():
        raise DesignValueError(name="grid", actual="not a grid", expected="counts above a step")
    people = int(counts.sum())
    rank = _rank(people, wanted)
    if rank < 1:
        needed = math.ceil(1 - math.log2(1 - wanted))
        raise TooFewClustersError(found=people, units=_PEOPLE, needed=needed)
    value = np.repeat(np.arange(len(counts)), counts) * step
    middle = (value[(people - 1) // 2] + value[people // 2]) / 2
    level = 1 - 2 * float(bdtr(rank - 1, people, 0.5))
    ends = Interval(float(value[rank - 1]), float(value[people - rank]))
    return MedianOnGrid(float(middle), ends, level)


def median_estimate(counts: NDArray[np.int64], step: float, *, least_rank: int) -> Estimate:
    """Return the median with the variance that its order statistics give.

    Price and Bonett, J Stat Comput Simul 2002; 72:119: the two values of rank
    c = (n+1)/2 - sqrt(n) from either end lie so many errors apart as a normal median's would.

    Parameters
    ----------
    counts, step
        As `median_interval`.
    least_rank
        No order statistic nearer to an end is looked at: one of few people tells of them.

    Raises
    ------
    TooFewClustersError
        If there are too few people for it.
    """
    people = int(counts.sum())
    rank = round((people + 1) / 2 - math.sqrt(people))
    if rank < least_rank:
        needed = math.ceil((math.sqrt(2 * least_rank + 1) + 1) ** 2)
        raise TooFewClustersError(found=people, units=_PEOPLE, needed=needed)
    value = np.repeat(np.arange(len(counts)), counts) * step
    middle = (value[(people - 1) // 2] + value[people // 2]) / 2
    reach = -normal_quantile(float(bdtr(rank - 1, people, 0.5)))
    error = (value[people - rank] - value[rank - 1]) / (2 * reach)
    return Estimate(float(middle), float(error**2))


def ratio_of_means(one: ArmSums, other: ArmSums) -> Estimate:
    """Return the logarithm of the ratio of two means, as a gamma model with log link gives it.

    With an arm alone in the model its mean is the maximum-likelihood mean, and the
    variance of its logarithm is s²/(n mean²).

    Raises
    ------
    DesignValueError
        If a mean is not above zero.
    TooFewClustersError
        If an arm has fewer than two people.
    """
    return _log_mean(one).minus(_log_mean(other))


def _log_mean(arm: ArmSums) -> Estimate:
    mean = arm.mean
    if not mean.value > 0:
        raise DesignValueError(name=f"mean of {arm.arm}", actual=mean.value, expected="above zero")
    return Estimate(math.log(mean.value), mean.variance / mean.value**2)


def _rank(people: int, wanted: float) -> int:
    """Return the largest r with P(r-th to (n+1-r)-th smallest hold the median) >= wanted."""
    if not 0 < wanted < 1:
        raise DesignValueError(name="level", actual=wanted, expected="between 0 and 1")
    ranks = np.arange(1, people // 2 + 1)
    held = 1 - 2 * bdtr(ranks - 1, people, 0.5)
    return int((held >= wanted).sum())
