"""Dates that follow from other dates (REGISTRY.md B.3, GOVERNANCE.md R43).

Months are those of the calendar in Taipei, whatever zone a time is written in: what begins
there on the first of March (in UTC, on the last of February) ends on a first of March.
"""

import calendar
from datetime import datetime, timedelta, timezone

from registry.models.version_card import RiskLevel

REVIEW_MONTHS = {RiskLevel.HIGH: 3, RiskLevel.MEDIUM: 6, RiskLevel.LOW: 12}
"""How often a version in use is reviewed, by its risk."""

GRACE = timedelta(days=30)
"""After so long without its review a version in use is suspended."""

PROVISIONAL_MONTHS = 24
"""How long a provisional payment may last."""


TAIPEI = timezone(timedelta(hours=8))


def add_months(start: datetime, months: int) -> datetime:
    """Return the same day in Taipei some months later; the month's last where there is none."""
    here = start.astimezone(TAIPEI)
    years, month = divmod(here.month - 1 + months, 12)
    year = here.year + years
    day = min(here.day, calendar.monthrange(year, month + 1)[1])
    return here.replace(year=year, month=month + 1, day=day).astimezone(start.tzinfo)


def review_due(risk: RiskLevel | None, last: datetime) -> datetime:
    """Return when the next review is due; without a risk class as for the highest."""
    return add_months(last, REVIEW_MONTHS[risk or RiskLevel.HIGH])


def suspension_due(risk: RiskLevel | None, last: datetime) -> datetime:
    """Return from when a version without its review is suspended."""
    return review_due(risk, last) + GRACE


def payment_ends(start: datetime) -> datetime:
    """Return when a provisional payment that began at `start` must be decided on."""
    return add_months(start, PROVISIONAL_MONTHS)
