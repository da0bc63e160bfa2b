"""By how few cases can slices be told apart? Unions of groups of one family and of another.

Figures of groups add up, so whoever sees women, men and scanners also knows those of women
and men together, and of all scanners but one. If such a union differs from one of another
family by few cases, their difference is these cases (rule C.0 i). The least difference is
the least cut of the graph whose nodes are the groups of both families and whose edges weigh
the cases that two groups share.

Stoer and Wagner, Journal of the ACM 44:585 (1997).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from federation.evaluation.sums import AGREED, COUNTED, Counts, Sums, refuse_shape
from federation.evaluation.suppression import CellRule


@dataclass(frozen=True, eq=False)
class SharedGroups(Sums):
    """How many cases two families of groups have in common, `counts` of shape (rows, columns)."""

    kind = "shared-groups"
    rows: tuple[str, ...] = field(metadata=AGREED)
    columns: tuple[str, ...] = field(metadata=AGREED)
    counts: Counts = field(metadata=COUNTED)

    def check_shapes(self) -> None:
        """Raise SummaryInvalidError unless every pair of groups has a count."""
        if np.shape(self.counts) != (len(self.rows), len(self.columns)):
            raise refuse_shape("counts", f"{len(self.rows)} rows of {len(self.columns)}")

    def tells_few_apart(self, rule: CellRule) -> bool:
        """Say whether shown groups, or unions of them, differ by few cases."""
        shown = _as_shown(_as_shown(self.counts, rule).T, rule)
        return rule.is_small(least_difference(shown))


def hidden_groups(sizes: Counts, rule: CellRule) -> NDArray[np.bool_]:
    """Return which groups are too small, with as many others as keep these from being told.

    How many cases there are in all is shown, so one hidden group of few would follow.
    """
    hidden, total = np.zeros(len(sizes), dtype=bool), 0
    for place in np.argsort(sizes, kind="stable"):
        if rule.is_small(int(sizes[place])) or rule.is_small(total):
            hidden[place] = True
            total += int(sizes[place])
    return hidden


def _as_shown(counts: Counts, rule: CellRule) -> Counts:
    """Return the rows of groups that are shown, and of all hidden ones together."""
    hidden = hidden_groups(counts.sum(axis=1), rule)
    return np.vstack([counts[~hidden], counts[hidden].sum(axis=0)])


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
