"""At the hospital: a file of cases becomes the one file that may leave.

made = make_table(content, "tainan-1", plan, sent=[earlier])
made.content                          # CSV, FHIR, readings, or a sealed row
"""

from collections.abc import Sequence
from dataclasses import dataclass

from federation.errors.impact_designs import SealDisagreesError
from federation.impact.gathering import Gathered, gather
from federation.impact.measure_report import as_report
from federation.impact.plan import Plan
from federation.impact.reader_table import as_json, tabulate_readings
from federation.impact.resent import check_apart
from federation.impact.sealed import numbers_of, seal
from federation.impact.site_table import as_csv
from federation.impact.tabulate import tabulate
from federation.secure_sum import Roster
from federation.wording import Text

_WITHOUT_KEYS = Text(en="made without the keys of a sum", zh="未附加總金鑰")
_WITH_KEYS = Text(en="made with the keys of a sum", zh="附有加總金鑰")
_SEALED = Text(en="sealed", zh="密封")
_OPEN = Text(en="open", zh="未密封")


@dataclass(frozen=True, slots=True)
class Sealing:
    """What a hospital seals with: the verified keys of all hospitals, and its own secret."""

    roster: Roster
    secret: bytes


@dataclass(frozen=True, slots=True)
class MadeTable:
    """A hospital's file, and how many cells it has (of a reader study, cases)."""

    content: bytes
    cells: int


def make_table(
    content: bytes,
    site: str,
    plan: Plan,
    *,
    days: tuple[str, str] | None = None,
    sealing: Sealing | None = None,
    sent: Sequence[bytes] = (),
) -> MadeTable:
    """Return the file that a hospital sends.

    Parameters
    ----------
    days
        First and last day, for a FHIR MeasureReport instead of CSV.
    sealing
        Of a plan that says ``sealed = true``, and of no other.
    sent
        Tables of this plan, open ones, that the hospital sent before.

    Raises
    ------
    TableTooCloseError
        If the table and one that was sent differ somewhere by a few people.
    SealDisagreesError
        If the plan wants a sealed table and there are no keys, or the other way round.
    PlatformError
        What `tabulate`, `tabulate_readings` or the secure sum refused with.
    """
    if bool(plan.sealed) != (sealing is not None):
        found, wanted = (_WITHOUT_KEYS, _SEALED) if plan.sealed else (_WITH_KEYS, _OPEN)
        raise SealDisagreesError(site=site, found=found, wanted=wanted)
    if plan.readers is not None:
        readings = tabulate_readings(content, site, plan)
        table = as_json(readings, plan) if sealing is None else b""
        made, cells = Gathered((), readings), sum(readings.cases)
    else:
        rows = tabulate(content, site, plan)
        table = as_report(rows, plan, start=days[0], end=days[1]) if days else as_csv(rows)
        made, cells = Gathered(rows), len(rows)
    for earlier in sent:
        check_apart(made, gather({site: earlier}, plan), site, plan)
    if sealing is not None:
        numbers = numbers_of(plan, made.rows, made.readings)
        table = seal(numbers, plan, roster=sealing.roster, site=site, secret=sealing.secret)
    return MadeTable(table, cells)
