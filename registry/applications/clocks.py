"""What the passing of time asks of applications: correction, fee, the end of the period.

The directions count from notice; the register's own notice counts as received when it is
made. Seven working days need the official calendar: where its year is not known, people
are reminded and nothing is returned by the clock, for a holiday that is not known would
shorten the applicant's time.
"""

from collections.abc import Callable
from datetime import date, datetime, timedelta

from federation.wording import Text
from registry.applications.noun import NOUN
from registry.applications.rule_packs import PACKS, PackId
from registry.applications.shape import DataApplication
from registry.applications.states import ApplicationState as State
from registry.applications.working_days import WorkingDays, day_in_taipei, ends
from registry.records.statements import time_of
from registry.timers.due import Rule, Standing

_NOT_CORRECTED = Text(en="it was not corrected within 7 working days", zh="未於七個工作日內補正")
_NOT_SURE = Text(
    en="7 working days without public holidays are over; the year's calendar is not known",
    zh="不計國定假日的七個工作日已過;尚無該年度辦公日曆",
)
_FEE_LATE = Text(en="the fee was not settled within two weeks", zh="未於兩週內繳費")
_PERIOD_OVER = Text(en="its period is over", zh="使用期間屆滿")

At = Callable[[Standing], datetime | None]


def rules(calendar: WorkingDays) -> tuple[Rule, ...]:
    """Return the rules of applications, by the official calendar as far as it is known."""
    deficient, fee_due = frozenset({State.DEFICIENT.value}), frozenset({State.FEE_DUE.value})
    active = frozenset({State.ACTIVE.value})
    return (
        Rule(NOUN, deficient, "return", _correction(calendar, known=True), _NOT_CORRECTED),
        Rule(NOUN, deficient, None, _correction(calendar, known=False), _NOT_SURE),
        Rule(NOUN, fee_due, None, _fee, _FEE_LATE),
        Rule(NOUN, active, "expire", _period, _PERIOD_OVER),
    )


def correction_due(notice: date, calendar: WorkingDays, *, working_days: int) -> date:
    """Return the last day on which a correction is in time (R17)."""
    return calendar.after(notice, working_days)


def _correction(calendar: WorkingDays, *, known: bool) -> At:
    def at(standing: Standing) -> datetime | None:
        notice = day_in_taipei(_entered(standing))
        pack = PACKS[PackId(_body(standing).rule_pack)]
        last = correction_due(notice, calendar, working_days=pack.correction_working_days)
        return ends(last) if calendar.covers(notice, last) is known else None

    return at


def _fee(standing: Standing) -> datetime | None:
    """Return when two weeks from notice are over (R18); calendar days."""
    pack = PACKS[PackId(_body(standing).rule_pack)]
    return ends(day_in_taipei(_entered(standing)) + timedelta(days=pack.fee_days))


def _period(standing: Standing) -> datetime | None:
    """Return when the last day of the period is over (R20); nobody is reminded first."""
    return ends(_body(standing).period.ends)


def _entered(standing: Standing) -> datetime:
    """Return when the record came into the state it is in."""
    at = standing.record.at
    for record in reversed(standing.history):
        if record.state != standing.record.state:
            break
        at = record.at
    return time_of(at)


def _body(standing: Standing) -> DataApplication:
    return NOUN.of(standing.record)
