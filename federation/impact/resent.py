"""A table beside one that was sent before: no two may differ by a few people.

What a cell's two sums differ by is the sum over the people it differs by. So neither a cell,
nor an arm of a measure, nor a measure may have 1 to k - 1 people more or fewer than in a table
of the same plan that the centre has.

check_apart(Gathered(rows), gather({site: earlier}, plan), site, plan)
"""

from collections import Counter
from collections.abc import Iterator, Mapping

from federation.errors.freezing import TableTooCloseError
from federation.impact.gathering import Gathered
from federation.impact.plan import Plan

FIRST = (0, 1)
"""Of imputed tables the first is counted for arms and measures: all are of the same people."""


def check_apart(made: Gathered, earlier: Gathered, site: str, plan: Plan) -> None:
    """Return if a table tells of no few people together with one that was sent.

    Raises
    ------
    TableTooCloseError
        If somewhere their counts differ by fewer people than the plan's smallest cell; it is
        not told where.
    """
    ours, theirs = _people(made), _people(earlier)
    apart = (abs(ours[place] - theirs[place]) for place in ours.keys() | theirs.keys())
    close = sum(0 < one < plan.least_cell for one in apart)
    if close:
        raise TableTooCloseError(site=site, places=close, least=plan.least_cell)


def _people(table: Gathered) -> Mapping[tuple[object, ...], int]:
    """Return how many people are in each cell, arm and measure; of readings, cases by truth."""
    found: Counter[tuple[object, ...]] = Counter()
    if table.readings is not None:
        found.update({(truth,): one for truth, one in enumerate(table.readings.cases)})
        found[()] = sum(table.readings.cases)
    for place, count in _counted(table):
        found[place] += count
    return found


def _counted(table: Gathered) -> Iterator[tuple[tuple[object, ...], int]]:
    for row in table.rows:
        yield row.key, row.count
        if row.imputation in FIRST:
            yield (row.measure, row.arm), row.count
            yield (row.measure,), row.count
