"""Dates that follow from other dates (REGISTRY.md B.3, GOVERNANCE.md R43)."""

import calendar
from datetime import datetime, timedelta

from registry.models.version_card import RiskLevel

REVIEW_MONTHS = {RiskLevel.HIGH: 3, RiskLevel.MEDIUM: 6, RiskLevel.LOW: 12}
"""How often a version in use is reviewed, by its risk."""

GRACE = timedelta(days=30)
"""After so long without its review a version in use is suspended."""

PROVISIONAL_MONTHS = 24
"""How long a provisional payment may last."""


def add_months(start: datetime, months: int) -> datetime:
    """Return the same day some months later; the month's last day where there is none."""
    years, month = divmod(start.month - 1 + months, 12)
    year = start.year + years
    day = min(start.day, calendar.monthrange(year, month + 1)[1])
    return start.replace(year=year, month=month + 1, day=day)


def review_due(risk: RiskLevel | None, last: datetime) -> datetime:
    """Return when the next review is due; without a risk class as for the highest."""
    return add_months(last, REVIEW_MONTHS[risk or RiskLevel.HIGH])


def suspension_due(risk: RiskLevel | None, last: datetime) -> datetime:
    """Return from when a version without its review is suspended."""
    return review_due(risk, last) + GRACE


def payment_ends(start: datetime) -> datetime:
    """Return when a provisional payment that began at `start` must be decided on."""
    return add_months(start, PROVISIONAL_MONTHS)
