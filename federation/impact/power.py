"""How many are needed, and how likely a study is to see what is there.

Normal approximations, two-sided; reader studies and series: `reader_power`, `series_power`.
Sources: Hussey and Hughes, Contemp Clin Trials 2007;
28:182 (stepped wedge); Donner and Klar 2000 and Eldridge 2006 (clusters of unequal size).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from federation.errors.impact import DesignValueError
from federation.evaluation.tails import normal_quantile

ALPHA = 0.05
MOST = 10**8


def normal_power(effect: float, variance: float, alpha: float) -> float:
    """Return the chance to reject zero, on either side, when the estimator is normal."""
    _open_unit("alpha", alpha)
    if not variance > 0:
        raise DesignValueError(name="variance", actual=variance, expected="above zero")
    z, reach = abs(effect) / math.sqrt(variance), normal_quantile(1 - alpha / 2)
    return sum(0.5 * math.erfc((reach + side * z) / math.sqrt(2)) for side in (-1, 1))


def power_of_means(
    difference: float, deviation: float, per_arm: int, *, alpha: float = ALPHA, inflation: float = 1
) -> float:
    """Return the power of two equal arms to see a difference of means.

    Parameters
    ----------
    deviation
        Standard deviation within an arm.
    inflation
        Design effect; see `design_effect`.

    Raises
    ------
    DesignValueError
        If a number is out of range.
    """
    _positive("deviation", deviation)
    _at_least("per arm", per_arm, 2)
    return normal_power(difference, inflation * 2 * deviation**2 / per_arm, alpha)


def power_of_proportions(
    one: float, other: float, per_arm: int, *, alpha: float = ALPHA, inflation: float = 1
) -> float:
    """Return the power of two equal arms to see a difference of proportions (unpooled)."""
    for rate in (one, other):
        _open_unit("rate", rate)
    _at_least("per arm", per_arm, 2)
    variance = (one * (1 - one) + other * (1 - other)) / per_arm
    return normal_power(one - other, inflation * variance, alpha)


def power_of_changes(
    difference: float,
    deviation: float,
    per_arm: int,
    *,
    correlation: float = 0.0,
    alpha: float = ALPHA,
    inflation: float = 1,
) -> float:
    """Return the power of a difference in differences: two arms, before and after.

    Parameters
    ----------
    per_arm
        People of an arm before, and as many after.
    correlation
        Of a person's two values; 0 where other people are measured after.

    Raises
    ------
    DesignValueError
        If a number is out of range.
    """
    _positive("deviation", deviation)
    _at_least("per arm", per_arm, 2)
    if not 0 <= correlation < 1:
        raise DesignValueError(name="correlation", actual=correlation, expected="from 0 to below 1")
    variance = inflation * 4 * (1 - correlation) * deviation**2 / per_arm
    return normal_power(difference, variance, alpha)


def power_above_floor(expected: float, floor: float, cases: int, *, alpha: float = ALPHA) -> float:
    """Return the power to show that a proportion, such as a sensitivity, is above a floor.

    The score test of one proportion, at alpha / 2 on its side (Fleiss, Levin and Paik 2003,
    section 2.4).

    Raises
    ------
    DesignValueError
        If a rate is not between 0 and 1.
    """
    for rate in (expected, floor):
        _open_unit("rate", rate)
    _at_least("cases", cases, 2)
    reach = normal_quantile(1 - alpha / 2) * math.sqrt(floor * (1 - floor) / cases)
    z = (expected - floor - reach) / math.sqrt(expected * (1 - expected) / cases)
    return 0.5 * math.erfc(-z / math.sqrt(2))


def power_of_auroc(
    expected: float, floor: float, cases: int, *, share: float, alpha: float = ALPHA
) -> float:
    """Return the power to show that an AUROC is above a floor.

    The variance is that of Hanley and McNeil, Radiology 1982; 143:29.

    Parameters
    ----------
    cases
        With and without the finding together.
    share
        Of them with the finding.

    Raises
    ------
    DesignValueError
        If a number is not between 0 and 1, or fewer than two cases are of a kind.
    """
    for name, value in (("AUROC", expected), ("floor", floor), ("share", share)):
        _open_unit(name, value)
    with_it = cases * share
    _at_least("cases of a kind", min(with_it, cases - with_it), 2)
    first, second = expected / (2 - expected), 2 * expected**2 / (1 + expected)
    variance = expected * (1 - expected) + (with_it - 1) * (first - expected**2)
    variance += (cases - with_it - 1) * (second - expected**2)
    z = (expected - floor) / math.sqrt(variance / (with_it * (cases - with_it)))
    return 0.5 * math.erfc((normal_quantile(1 - alpha / 2) - z) / math.sqrt(2))


def design_effect(size: float, correlation: float, *, variation: float = 0.0) -> float:
    """Return by how much clusters of a mean size inflate a variance.

    1 + ((1 + cv^2) m - 1) rho.

    Parameters
    ----------
    correlation
        Intracluster correlation.
    variation
        Coefficient of variation of the clusters' sizes.
    """
    _at_least("cluster size", size, 1)
    if not 0 <= correlation < 1 or not variation >= 0:
        raise DesignValueError(name="correlation", actual=correlation, expected="from 0 to below 1")
    return 1 + ((1 + variation**2) * size - 1) * correlation


def smallest(
    power: Callable[[int], float], wanted: float, *, start: int = 2, most: int = MOST
) -> int:
    """Return the smallest number at which `power`, which rises, reaches what is wanted.

    Raises
    ------
    DesignValueError
        If no number up to `most` does, a hundred million where nothing else is said.
    """
    _open_unit("power", wanted)
    high = start
    while power(high) < wanted:
        if high >= most:
            raise DesignValueError(name="power", actual=wanted, expected="one that can be reached")
        high = min(high * 2, most)
    low = start if high == start else high // 2
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle) >= wanted else (middle + 1, high)
    return high


@dataclass(frozen=True, slots=True)
class Wedge:
    """A stepped wedge: rows are clusters, columns periods, 1 where the intervention is on.

    Raises
    ------
    DesignValueError
        If it is no such matrix, or a cluster goes back.
    """

    rows: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        periods = {len(row) for row in self.rows}
        steps = all(tuple(sorted(row)) == row and set(row) <= {0, 1} for row in self.rows)
        if len(periods) != 1 or len(self.rows) < 2 or min(periods) < 2 or not steps:
            raise DesignValueError(
                name="wedge", actual="another shape", expected="rows of 0 and then 1, alike long"
            )

    @classmethod
    def standard(cls, steps: Sequence[int]) -> "Wedge":
        """Return the wedge in which so many clusters change over after each period."""
        periods = len(steps) + 1
        rows = [
            tuple(int(period > step) for period in range(periods))
            for step, clusters in enumerate(steps)
            for _ in range(clusters)
        ]
        return cls(tuple(rows))


def wedge_variance(wedge: Wedge, *, within: float, between: float) -> float:
    """Return the variance of the effect by weighted least squares (Hussey and Hughes, eq. 8).

    Parameters
    ----------
    within
        Variance of a cell's mean, sigma^2 / n.
    between
        Variance of the clusters' means, tau^2.

    Raises
    ------
    DesignValueError
        If a variance is out of range, or the design tells nothing about the effect.
    """
    _positive("variance within", within)
    if not between >= 0:
        raise DesignValueError(name="variance between", actual=between, expected="zero or more")
    on = np.array(wedge.rows, dtype=float)
    clusters, periods = on.shape
    all_on = on.sum()
    by_period, by_cluster = (on.sum(axis=0) ** 2).sum(), (on.sum(axis=1) ** 2).sum()
    first = clusters * all_on - by_period
    second = all_on**2 + clusters * periods * all_on - periods * by_period - clusters * by_cluster
    information = first * within + second * between
    if not information > 0:
        raise DesignValueError(name="wedge", actual="all clusters alike", expected="several steps")
    return float(clusters * within * (within + periods * between) / information)


def power_of_wedge(
    wedge: Wedge,
    effect: float,
    *,
    deviation: float,
    per_cell: int,
    between: float,
    alpha: float = ALPHA,
) -> float:
    """Return the power of a stepped wedge.

    Parameters
    ----------
    deviation
        Standard deviation of one person's outcome; for rates the root of p(1-p).
    per_cell
        People a cluster and period.
    between
        Standard deviation of the clusters' means, tau.
    """
    _positive("deviation", deviation)
    _at_least("per cell", per_cell, 1)
    variance = wedge_variance(wedge, within=deviation**2 / per_cell, between=between**2)
    return normal_power(effect, variance, alpha)


def _positive(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise DesignValueError(name=name, actual=value, expected="above zero")


def _at_least(name: str, value: float, least: int) -> None:
    if not (math.isfinite(value) and value >= least):
        raise DesignValueError(name=name, actual=value, expected=f"{least} or more")


def _open_unit(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise DesignValueError(name=name, actual=value, expected="between 0 and 1")
