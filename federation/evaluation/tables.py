"""Publish a table of counts so that no small cell can be computed from the rest (C.0 c).

Rows, columns and totals are all cells; each line of cells adds up to its total. Small
cells are hidden first. Then an attacker's own method is used: for every small cell, the
least and the greatest count that the published cells allow, by linear programming. As
long as one of 0 to k can be ruled out, another cell of its lines is hidden. A line of
integers in a two-way table is totally unimodular, so these bounds are those of whole
counts too. In the end every small cell could be anything from 0 to k.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from federation.errors.evaluation import TableInvalidError
from federation.evaluation.sums import LARGEST_COUNT, Counts, Floats
from federation.evaluation.suppression import CellRule, Reason, Refusal
from federation.wording import Text

LARGEST_TABLE = 500
"""Rows or columns of a table that is published; a larger one nobody reads."""

_RAGGED = Text(en="its names do not fit its counts", zh="名稱與次數的數目不符")
_NOT_COUNTS = Text(en="its cells are not whole counts", zh="其格值並非整數次數")

TOTAL = "total"


@dataclass(frozen=True, slots=True)
class ShownTable:
    """A table as it may be published.

    Parameters
    ----------
    rows, columns
        Names, the last of each being the total where there is more than one.
    cells
        Counts by row and column; None is hidden.
    refusals
        One entry for each hidden cell, for the log. The reason is the same for a small
        cell and for one hidden beside it: to tell them apart would give the small one away.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[tuple[int | None, ...], ...]
    refusals: tuple[Refusal, ...]

    def as_json(self) -> dict[str, object]:
        """Return the table as data; a hidden cell is null, which is not zero."""
        return {
            "rows": list(self.rows),
            "columns": list(self.columns),
            "cells": [list(row) for row in self.cells],
            "refusals": [one.as_json() for one in self.refusals],
        }


def publish(
    counts: Counts, rows: Sequence[str], columns: Sequence[str], rule: CellRule
) -> ShownTable:
    """Return the table with its totals and what must be hidden.

    A list of counts with a total is a table of one row.

    Raises
    ------
    TableInvalidError
        If the counts are not whole and non-negative, or names do not fit.
    """
    checked = _checked(np.asarray(counts), rows, columns)
    full = _with_totals(checked)
    small = (full > 0) & (full < rule.k)
    hidden = _protect(full, small, rule.k)
    named = tuple((*one, TOTAL) if len(one) > 1 else tuple(one) for one in (rows, columns))
    refusals = tuple(
        rule.refuse(f"{named[0][i]} / {named[1][j]}", Reason.HIDDEN_CELL)
        for i, j in np.argwhere(hidden)
    )
    cells = tuple(
        tuple(None if hidden[i, j] else int(full[i, j]) for j in range(full.shape[1]))
        for i in range(full.shape[0])
    )
    return ShownTable(named[0], named[1], cells, refusals)


def _protect(full: Counts, small: NDArray[np.bool_], k: int) -> NDArray[np.bool_]:
    """Return which cells are hidden, at least the small ones."""
    hidden = small.copy()
    while True:
        places = [(int(i), int(j)) for i, j in np.argwhere(small)]
        exposed = [cell for cell in places if _is_exposed(full, hidden, cell, k)]
        if not exposed:
            return hidden
        for cell in exposed:
            _hide_beside(full, hidden, cell, k)


def _hide_beside(full: Counts, hidden: NDArray[np.bool_], cell: tuple[int, int], k: int) -> None:
    """Hide what protects an exposed cell: the other corners of the cheapest rectangle.

    Its corners hold k or more, so counts can be moved around it and the cell can be
    anything from 0 to k. Where there is no such rectangle, one more cell is hidden in its
    row and column, in the end the whole table.
    """
    rectangles = list(_rectangles(full, hidden, cell, k))
    if rectangles:
        corners = min(rectangles, key=lambda one: _cost(full, one))
        hidden[tuple(zip(*corners, strict=True))] = True
    else:
        _hide_in_lines(full, hidden, cell, k)


def _rectangles(
    full: Counts, hidden: NDArray[np.bool_], cell: tuple[int, int], k: int
) -> Iterator[tuple[tuple[int, int], ...]]:
    """Yield the still shown corners of the rectangles that would protect a cell."""
    row, column = cell
    for i, j in np.ndindex(*full.shape):
        corners = ((row, j), (i, column), (i, j))
        if i == row or j == column or min(int(full[one]) for one in corners) < k:
            continue
        shown = tuple(one for one in corners if not hidden[one])
        if shown:
            yield shown


def _hide_in_lines(full: Counts, hidden: NDArray[np.bool_], cell: tuple[int, int], k: int) -> None:
    """Hide the cheapest shown cell of the row, and of the column; else of the table.

    Cells of k or more come first: a smaller one leaves little room.
    """
    row, column = cell
    across, down = np.zeros_like(hidden), np.zeros_like(hidden)
    across[row], down[:, column] = True, True
    before = int(hidden.sum())
    for lines in (across, down, np.ones_like(hidden)):
        shown = [(int(i), int(j)) for i, j in np.argwhere(lines & ~hidden)]
        if shown and not (lines.all() and hidden.sum() > before):
            hidden[min(shown, key=lambda one: (full[one] < k, _cost(full, (one,))))] = True


def _cost(full: Counts, cells: tuple[tuple[int, int], ...]) -> tuple[int, int, int]:
    """Return what hiding cells costs, to be compared: totals, cells, cases."""
    last = (len(full) - 1, full.shape[1] - 1)
    totals = sum((i == last[0]) + (j == last[1]) for i, j in cells)
    return totals, len(cells), sum(int(full[one]) for one in cells)


def _is_exposed(full: Counts, hidden: NDArray[np.bool_], cell: tuple[int, int], k: int) -> bool:
    """Return whether the published cells rule out a count of 0 to k for this cell."""
    low, high = _bounds(full, hidden, cell)
    return low > 0 or high < k


def _bounds(full: Counts, hidden: NDArray[np.bool_], cell: tuple[int, int]) -> tuple[float, float]:
    """Return the least and greatest count of a hidden cell that the others allow."""
    lines, sums = _equations(full, hidden)
    place = int(np.flatnonzero((np.argwhere(hidden) == cell).all(axis=1))[0])
    aim = np.zeros(lines.shape[1])
    aim[place] = 1.0
    most = max(LARGEST_COUNT, 2 * int(full.max()))  # a hidden total may be more than any cell
    low = linprog(aim, A_eq=lines, b_eq=sums, bounds=(0, most))
    high = linprog(-aim, A_eq=lines, b_eq=sums, bounds=(0, most))
    return round(low.fun, 6), round(-high.fun, 6)


def _equations(full: Counts, hidden: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return A and b of A x = b for the hidden cells x: each line minus its total is 0."""
    rows, columns = full.shape
    place = np.cumsum(hidden.ravel()).reshape(full.shape) - 1
    found = []
    for line in _lines_of(rows, columns):
        weights = np.zeros(int(hidden.sum()))
        known = 0.0
        for sign, cell in line:
            if hidden[cell]:
                weights[place[cell]] += sign
            else:
                known -= sign * float(full[cell])
        found.append((weights, known))
    sums = np.array([known for _, known in found], dtype=np.float64)
    return np.array([one for one, _ in found]).reshape(len(sums), int(hidden.sum())), sums


def _lines_of(rows: int, columns: int) -> list[list[tuple[int, tuple[int, int]]]]:
    """Return each line of cells with its signs, the total last; a single line has no other."""
    across = [[(_sign(j, columns), (i, j)) for j in range(columns)] for i in range(rows)]
    down = [[(_sign(i, rows), (i, j)) for i in range(rows)] for j in range(columns)]
    return (across if columns > 1 else []) + (down if rows > 1 else [])


def _sign(at: int, size: int) -> int:
    return 1 if at < size - 1 else -1


def _with_totals(counts: Counts) -> Counts:
    """Add a total column and row, each only where there is more than one to add."""
    if counts.shape[1] > 1:
        counts = np.column_stack([counts, counts.sum(axis=1)])
    return np.vstack([counts, counts.sum(axis=0)]) if counts.shape[0] > 1 else counts


def _checked(counts: Counts, rows: Sequence[str], columns: Sequence[str]) -> Counts:
    if counts.ndim != 2 or counts.shape != (len(rows), len(columns)) or not counts.size:
        raise TableInvalidError(why=_RAGGED)
    if max(counts.shape) > LARGEST_TABLE:
        raise TableInvalidError(why=_RAGGED)
    if counts.dtype.kind not in "iu" or (counts < 0).any() or (counts > LARGEST_COUNT).any():
        raise TableInvalidError(why=_NOT_COUNTS)
    return counts
