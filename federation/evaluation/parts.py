"""Groups or sites beside the whole they make up: what each may show without the rest.

If everyone and all groups but one are shown, so is that one. Here the rest, everyone
minus the shown groups, is treated as a group that anybody can compute: groups are
hidden until no class of the rest is small, and the cells behind rates go through
`tables`, so that no small one follows from the others and the totals.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np

from federation.evaluation.operating_points import Confusion
from federation.evaluation.scores import ScoreHistogram
from federation.evaluation.suppression import CellRule, Reason, Refusal
from federation.evaluation.tables import ShownTable, publish

_REST = "rest"

CELLS = ("true_positives", "false_negatives", "false_positives", "true_negatives")
"""Cells of a threshold: the two of cases with the finding, then the two without."""


@dataclass(frozen=True, slots=True)
class ShownParts:
    """The parts that may be shown, and why others are not."""

    names: tuple[str, ...]
    refusals: tuple[Refusal, ...]


def shown_parts(
    whole: ScoreHistogram, parts: Mapping[str, ScoreHistogram], rule: CellRule
) -> ShownParts:
    """Return which disjoint parts may be shown beside the whole.

    Hidden are parts with a small class, then the smallest parts until the rest, which
    anybody can compute, has no small class.
    """
    refused = {name: rule.slice_of(name, one) for name, one in parts.items()}
    refusals = [one for one in refused.values() if one is not None]
    names = [name for name, reason in refused.items() if reason is None]
    while names and _is_small(rest_of(whole, [parts[name] for name in names]), rule):
        smallest = min(names, key=lambda name: (parts[name].patients, name))
        names.remove(smallest)
        refusals.append(rule.refuse(smallest, Reason.HIDDEN_CELL))
    return ShownParts(tuple(names), tuple(refusals))


def hidden_cells(
    whole: Confusion, parts: Mapping[str, Confusion], rule: CellRule
) -> Mapping[str, frozenset[str]]:
    """Return by shown part which of `CELLS` must stay hidden.

    The whole's cells and each part's classes count as seen. Where that cannot be kept,
    all cells of the parts are hidden.
    """
    found = {name: frozenset[str]() for name in parts}
    for pair in (CELLS[:2], CELLS[2:]):
        table = publish(_counts(whole, parts, pair), [*parts, _REST], pair, rule)
        margins = [*table.cells[-1], *(row[-1] for row in table.cells[:-1])]
        for row, name in enumerate(parts):
            hidden = frozenset(pair) if None in margins else _hidden_in(table, row, pair)
            found[name] |= hidden
    return found


def rest_of(whole: ScoreHistogram, shown: Sequence[ScoreHistogram]) -> ScoreHistogram:
    """Return everyone who is in none of some disjoint parts."""
    together = reduce(add, shown, ScoreHistogram(0 * whole.positives, 0 * whole.negatives))
    return ScoreHistogram(
        whole.positives - together.positives, whole.negatives - together.negatives
    )


def small_pairs(whole: Confusion, rule: CellRule) -> frozenset[str]:
    """Return the cells of everyone that must stay hidden: both of a class with a small one.

    How many are of the class is shown, so either cell gives the other away.
    """
    return frozenset(
        cell
        for pair in (CELLS[:2], CELLS[2:])
        for cell in pair
        if any(rule.is_small(int(getattr(whole, one))) for one in pair)
    )


def _hidden_in(table: ShownTable, row: int, pair: tuple[str, ...]) -> frozenset[str]:
    return frozenset(cell for at, cell in enumerate(pair) if table.cells[row][at] is None)


def _counts(
    whole: Confusion, parts: Mapping[str, Confusion], pair: tuple[str, ...]
) -> "np.ndarray[tuple[int, ...], np.dtype[np.int64]]":
    rows = [[int(getattr(part, cell)) for cell in pair] for part in parts.values()]
    seen = np.array(rows, dtype=np.int64).reshape(len(rows), len(pair))
    rest = np.array([int(getattr(whole, cell)) for cell in pair]) - seen.sum(axis=0)
    return np.vstack([seen, rest])


def _is_small(rest: ScoreHistogram, rule: CellRule) -> bool:
    return any(rule.is_small(int(one.sum())) for one in (rest.positives, rest.negatives))
