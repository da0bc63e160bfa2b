"""Lines of a table as arrays, by the protocol's variables; words become places of levels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from clients.data.outcomes.reading import EVENT, TIME, check_values, columns_of
from clients.data.outcomes.store import OutcomeRow
from federation.domain.outcome_plan import Category, Clock, OutcomePlan
from federation.errors.outcomes import TableDoesNotFitError
from federation.evaluation.sums import Counts, Floats
from federation.wording import Text

NO_COLUMN = Text(en="it has no column {column}", zh="沒有欄位 {column}")
OTHER_VALUES = Text(
    en="{column} has values that the study does not declare", zh="{column} 有研究未宣告的值"
)
TOO_MANY = Text(
    en="it has more patients than the study's numbers are made for",
    zh="病人數超出研究數值刻度之上限",
)
_NEAR = 1e-9
"""How much of a step a time may lie beyond a point of the grid by rounding alone."""


@dataclass(frozen=True)
class Columns:
    """The patients of a site, in one order; arrays have the shape (rows,).

    Parameters
    ----------
    values
        By variable: numbers as given, words as the place of the level.
    time, event
        On the grid; empty where nothing is timed.
    """

    rows: int
    values: Mapping[str, Floats]
    time: Floats
    event: Counts


def columns_for(rows: Sequence[OutcomeRow], plan: OutcomePlan) -> Columns:
    """Return the arrays of a protocol; the lines were checked by `check_fits`."""
    values = {}
    for one in plan.variables:
        given = [row.values[one.name] for row in rows]
        if isinstance(one, Category):
            given = [one.levels.index(str(value)) for value in given]
        values[one.name] = np.array(given, dtype=np.float64)
    if plan.clock is None:
        return Columns(len(rows), values, np.zeros(0), np.zeros(0, dtype=np.int64))
    time = np.array([row.values[TIME] for row in rows], dtype=np.float64)
    event = np.array([row.values[EVENT] for row in rows], dtype=np.float64)
    return Columns(len(rows), values, *_on_grid(time, event, plan.clock))


def check_fits(rows: Sequence[OutcomeRow], plan: OutcomePlan, *, table: str) -> None:
    """Return if a kept table has what a protocol asks for.

    Raises
    ------
    TableDoesNotFitError
        If a column is missing, a value not declared, or there are too many patients.
    """
    if len(rows) > plan.limits.most_patients:
        raise TableDoesNotFitError(table=table, why=TOO_MANY)
    for column in columns_of(plan):
        if any(column not in row.values for row in rows):
            raise _misfit(table, NO_COLUMN, column)
        try:
            check_values(plan, column, (row.values[column] for row in rows))
        except ValueError as error:
            raise _misfit(table, OTHER_VALUES, column) from error


def _on_grid(time: Floats, event: Floats, clock: Clock) -> tuple[Floats, Counts]:
    """Return times rounded up to the grid; who is followed beyond its end is lost there."""
    times = np.array(clock.times)
    last = len(times) - 1
    place = np.minimum(np.ceil(time / clock.step - _NEAR), last + 1).astype(np.int64)
    beyond = place > last
    happened = np.where(beyond, 0, event).astype(np.int64)
    return times[np.minimum(place, last)], happened


def _misfit(table: str, why: Text, column: str) -> TableDoesNotFitError:
    said = Text(en=why.en.format(column=column), zh=why.zh.format(column=column))
    return TableDoesNotFitError(table=table, why=said)
