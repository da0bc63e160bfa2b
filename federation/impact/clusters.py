"""Cluster-randomised, stepped-wedge and before-and-after designs, from cells.

A cell is one cluster, period and arm; a hospital sends its count, sum and sum of squares.
All else is constant in a cell, so least squares on cells is least squares on cases.

- `cluster_robust`: ordinary least squares with period effects; the sandwich over clusters,
  with the correction of Kauermann and Carroll (2001) for few clusters.
- `random_intercept`: the mixed model of Hussey and Hughes by restricted likelihood.

A baseline that varies among people may stand beside the periods (its sums of x, x² and xy
are told), and so may the group of a difference in differences.

Both need nothing of a cluster but M = X'X, X'y and y'y. For the sandwich, with
H = X (X'X)^-1 X', X'(I - H)^(-1/2) r = (I - M (X'X)^-1)^(-1/2) X'r for a cluster's part.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from federation.errors.impact import NotEstimableError, TooFewClustersError
from federation.evaluation.tails import Estimate
from federation.wording import Text

Floats = NDArray[np.float64]

FEWEST = 4
"""Fewer clusters give no honest interval."""

_PERIOD = Text(en="the periods", zh="期別")
_CLUSTERS = Text(en="clusters", zh="群集")
_CLUSTERS_EACH = Text(en="clusters that change over, or that do not", zh="改變或未改變的群集")


@dataclass(frozen=True, slots=True)
class Cell:
    """One cluster, period and arm: how many, sum of y, sum of y²; of a baseline x, x² and xy."""

    period: int
    treated: bool
    count: int
    total: float
    squares: float
    baseline: float = 0.0
    baseline_squares: float = 0.0
    products: float = 0.0


@dataclass(frozen=True, slots=True)
class Cluster:
    """What one cluster sent; `group` says whether it is one that changes over."""

    name: str
    cells: tuple[Cell, ...]
    group: bool = False


class Correction(Enum):
    """How the sandwich is corrected for few clusters."""

    NONE = "none"
    KAUERMANN_CARROLL = "kauermann-carroll"
    MANCL_DEROUEN = "mancl-derouen"


@dataclass(frozen=True, slots=True)
class MixedEffect:
    """The effect of a mixed model, and the variances between and within clusters."""

    effect: Estimate
    between: float
    within: float

    @property
    def correlation(self) -> float:
        """Return the intracluster correlation."""
        return self.between / (self.between + self.within)


@dataclass(frozen=True, slots=True)
class _Part:
    """A cluster's part: X'X (P, P), X'y (P,), y'y, and X'1 (P,), 1'y, n."""

    products: Floats
    outcomes: Floats
    squares: float
    sums: Floats
    total: float
    count: int


def cluster_robust(
    clusters: Sequence[Cluster],
    *,
    correction: Correction = Correction.KAUERMANN_CARROLL,
    adjusted: bool = False,
) -> Estimate:
    """Return the effect, with period effects, and its variance over clusters.

    Parameters
    ----------
    adjusted
        Given the baseline, with one slope for all: less noise where it foretells the outcome.

    Raises
    ------
    TooFewClustersError
        If fewer than four clusters have people.
    NotEstimableError
        If the periods and the intervention are one thing.
    """
    parts = _parts(clusters, adjusted=adjusted)
    bread = _inverse(sum((part.products for part in parts), np.zeros_like(parts[0].products)))
    coefficients = bread @ sum(part.outcomes for part in parts)
    power = {
        Correction.NONE: 0.0,
        Correction.KAUERMANN_CARROLL: -0.5,
        Correction.MANCL_DEROUEN: -1.0,
    }[correction]
    root = cast(Floats, np.linalg.cholesky(bread))
    residuals = [part.outcomes - part.products @ coefficients for part in parts]
    pairs = zip(parts, residuals, strict=True)
    scores = [_corrected(part, root, residual, power) for part, residual in pairs]
    filling = sum(np.outer(score, score) for score in scores)
    variance = bread @ filling @ bread
    return Estimate(float(coefficients[-1]), float(variance[-1, -1]))


def difference_in_differences(clusters: Sequence[Cluster]) -> Estimate:
    """Return how much more the clusters of the group changed than the others.

    Least squares with period effects and a group effect, the sandwich over clusters; a cell
    is `treated` if its cluster is of the group and the change has begun.

    Raises
    ------
    TooFewClustersError
        If fewer than four clusters have people, or fewer than two are in or out of the group.
    NotEstimableError
        If a group was not seen before and after.
    """
    there = [one for one in clusters if sum(cell.count for cell in one.cells)]
    fewest = min(sum(one.group for one in there), sum(not one.group for one in there))
    if fewest < 2:
        raise TooFewClustersError(found=fewest, units=_CLUSTERS_EACH, needed=2)
    return cluster_robust(there)


def random_intercept(clusters: Sequence[Cluster]) -> MixedEffect:
    """Return the effect with period effects and an intercept for each cluster (REML).

    Raises
    ------
    TooFewClustersError, NotEstimableError
        As `cluster_robust`.
    """
    parts = _parts(clusters)
    _inverse(sum((part.products for part in parts), np.zeros_like(parts[0].products)))
    found = minimize_scalar(
        lambda log_ratio: _fit(parts, math.exp(log_ratio)).criterion,
        bounds=(-20.0, 5.0),
        method="bounded",
        options={"xatol": 1e-10},
    )
    none = _fit(parts, 0.0)
    best = _fit(parts, math.exp(found.x))
    best = none if none.criterion <= best.criterion else best
    variance = best.within * best.inverse[-1, -1]
    return MixedEffect(
        Estimate(float(best.coefficients[-1]), float(variance)),
        best.ratio * best.within,
        best.within,
    )


@dataclass(frozen=True, slots=True)
class _Fit:
    ratio: float
    coefficients: Floats
    inverse: Floats
    within: float
    criterion: float


def _fit(parts: Sequence[_Part], ratio: float) -> _Fit:
    """Return the generalised least squares fit at a ratio of variances between to within.

    V = I + ratio 11', so V^-1 = I - w 11' with w = ratio / (1 + n ratio).
    """
    weights = [ratio / (1 + part.count * ratio) for part in parts]
    left = sum(
        part.products - weight * np.outer(part.sums, part.sums)
        for part, weight in zip(parts, weights, strict=True)
    )
    right = sum(
        part.outcomes - weight * part.sums * part.total
        for part, weight in zip(parts, weights, strict=True)
    )
    squares = sum(
        part.squares - weight * part.total**2 for part, weight in zip(parts, weights, strict=True)
    )
    inverse = _inverse(np.asarray(left))
    coefficients = inverse @ right
    freedom = sum(part.count for part in parts) - len(coefficients)
    residual = max(float(squares - coefficients @ right), 1e-300)
    log_v = sum(math.log1p(part.count * ratio) for part in parts)
    log_x = -float(np.linalg.slogdet(inverse)[1])
    within = residual / freedom
    criterion = freedom * math.log(within) + log_v + log_x
    return _Fit(ratio, coefficients, inverse, within, criterion)


def _parts(clusters: Sequence[Cluster], *, adjusted: bool = False) -> list[_Part]:
    there = [one for one in clusters if sum(cell.count for cell in one.cells)]
    if len(there) < FEWEST:
        raise TooFewClustersError(found=len(there), units=_CLUSTERS, needed=FEWEST)
    periods = sorted({cell.period for one in there for cell in one.cells if cell.count})
    grouped = any(one.group for one in there)
    return [_part(one, periods, grouped=grouped, adjusted=adjusted) for one in there]


def _part(cluster: Cluster, periods: Sequence[int], *, grouped: bool, adjusted: bool) -> _Part:
    """Return a cluster's part; columns are periods, group, baseline (if any), intervention."""
    width = len(periods) + grouped + adjusted + 1
    products, outcomes, sums = np.zeros((width, width)), np.zeros(width), np.zeros(width)
    for cell in cluster.cells:
        if not cell.count:
            continue
        row = np.zeros(width)
        row[periods.index(cell.period)], row[-1] = 1.0, float(cell.treated)
        if grouped:
            row[len(periods)] = float(cluster.group)
        own = cell.count * np.outer(row, row)
        answers, added = cell.total * row, cell.count * row
        if adjusted:
            own[-2], own[:, -2] = cell.baseline * row, cell.baseline * row
            own[-2, -2] = cell.baseline_squares
            answers[-2], added[-2] = cell.products, cell.baseline
        products, outcomes, sums = products + own, outcomes + answers, sums + added
    return _Part(
        products,
        outcomes,
        sum(cell.squares for cell in cluster.cells),
        sums,
        sum(cell.total for cell in cluster.cells),
        sum(cell.count for cell in cluster.cells),
    )


def _inverse(products: Floats) -> Floats:
    if np.linalg.cond(products) > 1e12:
        raise NotEstimableError(confounder=_PERIOD)
    return cast(Floats, np.linalg.inv(products))


def _corrected(part: _Part, root: Floats, residual: Floats, power: float) -> Floats:
    """Return (I - M B)^power of a cluster's score, shape (P,), B = (X'X)^-1 = root root'.

    I - M B is similar to the symmetric I - root' M root. A direction that one cluster alone
    determines has no residual there and stays out (a pseudo-inverse).
    """
    if power == 0:
        return residual
    values, vectors = np.linalg.eigh(np.eye(len(root)) - root.T @ part.products @ root)
    free = values > 1e-9
    shrunk = np.where(free, np.where(free, values, 1.0) ** power, 0.0)
    turned = vectors @ (shrunk * (vectors.T @ (root.T @ residual)))
    return cast(Floats, np.linalg.solve(root.T, turned))
