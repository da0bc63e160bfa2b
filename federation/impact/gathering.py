"""The tables of all hospitals, whatever their form, as what a plan is analysed from."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add

from federation.errors.impact_designs import SealDisagreesError
from federation.impact.measure_report import read_report
from federation.impact.plan import Plan
from federation.impact.reader_table import read_readings
from federation.impact.readers import Readings
from federation.impact.sealed import SEALED, unseal
from federation.impact.site_table import Row, read_table
from federation.wording import Text

_SEALED = Text(en="sealed", zh="密封")
_OPEN = Text(en="open", zh="未密封")


@dataclass(frozen=True, slots=True)
class Gathered:
    """Rows of cells, or the readings of a reader study."""

    rows: tuple[Row, ...]
    readings: Readings | None = None

    def people(self, measure: str) -> int:
        """Return how many people a measure was taken of; of a reader study, cases."""
        if self.readings is not None:
            return sum(self.readings.cases)
        own = (row for row in self.rows if row.measure == measure)
        return sum(row.count for row in own if row.imputation in (0, 1))


def gather(tables: Mapping[str, bytes], plan: Plan) -> Gathered:
    """Return what the files of all sites say, in the order of the sites' names.

    Raises
    ------
    SealDisagreesError
        If a file is sealed and the plan wants it open, or the other way round.
    TableInvalidError, TableTooSmallError, ImputationsDifferError, SealedFileError
        If a file cannot be used.
    """
    for site, content in tables.items():
        _check_seal(site, content, plan)
    if plan.sealed:
        return Gathered(*unseal(tables, plan))
    if plan.readers is not None:
        sent = [read_readings(tables[site], site, plan) for site in sorted(tables)]
        return Gathered((), reduce(add, sent))
    return Gathered(tuple(row for site in sorted(tables) for row in _rows(tables, site, plan)))


def _check_seal(site: str, content: bytes, plan: Plan) -> None:
    sealed = content.startswith(SEALED)
    if sealed != bool(plan.sealed):
        raise SealDisagreesError(
            site=site,
            found=_SEALED if sealed else _OPEN,
            wanted=_SEALED if plan.sealed else _OPEN,
        )


def _rows(tables: Mapping[str, bytes], site: str, plan: Plan) -> tuple[Row, ...]:
    content = tables[site]
    is_json = content.lstrip()[:1] == b"{"
    return read_report(content, site, plan) if is_json else read_table(content, site, plan)
