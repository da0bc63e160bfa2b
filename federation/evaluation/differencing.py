"""By how few cases can slices be told apart? Unions of groups of one family and of another.

Figures of groups add up, so whoever sees women, men and scanners also knows those of women
and men together, and of all scanners but one. If such a union differs from one of another
family by few cases, their difference is these cases (rule C.0 i). The least difference is
the least cut of the graph whose nodes are the groups of both families and whose edges weigh
the cases that two groups share.

Stoer and Wagner, Journal of the ACM 44:585 (1997).
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from federation.evaluation.sums import Counts


def least_difference(shared: Counts) -> int:
    """Return the fewest cases, above 0, that are in a union of rows or in one of columns only.

    0 if there are no two such unions.

    Parameters
    ----------
    shared
        How many cases a group of the first family and one of the second have in common,
        shape (groups, groups). Every case is in one row and one column.
    """
    rows, columns = shared.shape
    weights = np.zeros((rows + columns, rows + columns), dtype=np.int64)
    weights[:rows, rows:], weights[rows:, :rows] = shared, shared.T
    cuts = [_least_cut(weights[np.ix_(part, part)]) for part in _connected(weights)]
    return min((cut for cut in cuts if cut), default=0)


def _connected(weights: Counts) -> Iterator[list[int]]:
    """Yield the nodes of each connected part of two or more."""
    left = set(range(len(weights)))
    while left:
        found, border = set[int](), {left.pop()}
        while border:
            found |= border
            near = np.flatnonzero(weights[sorted(border)].sum(axis=0)).tolist()
            border = set(near) - found
        left -= found
        if len(found) > 1:
            yield sorted(found)


def _least_cut(weights: Counts) -> int:
    """Return the least cut of a connected graph of two nodes or more."""
    weights, best = weights.copy(), int(weights.sum())
    while len(weights) > 1:
        order = _by_adjacency(weights)
        last, before = order[-1], order[-2]
        best = min(best, int(weights[last].sum()))
        weights = _merged(weights, before, last)
    return best


def _by_adjacency(weights: Counts) -> list[int]:
    """Return the nodes, each the one that is bound most to those before it."""
    order, bound = [0], weights[0].copy()
    free: NDArray[np.bool_] = np.arange(len(weights)) > 0
    while free.any():
        following = int(np.argmax(np.where(free, bound, -1)))
        order.append(following)
        free[following] = False
        bound += weights[following]
    return order


def _merged(weights: Counts, one: int, other: int) -> Counts:
    """Return the graph with two nodes as one."""
    weights[one] += weights[other]
    weights[:, one] += weights[:, other]
    weights[one, one] = 0
    keep = np.arange(len(weights)) != other
    return weights[np.ix_(keep, keep)]
