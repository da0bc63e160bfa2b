"""Taiwan's working days: Monday to Friday, as the official calendar of each year changes it.

    calendar = calendar_in(home)                        # its working-days.toml, if it is there
    calendar.after(date(2026, 2, 13), 7)                # the 7th working day after that day
    calendar.covers(first, last)                        # whether the calendar knows these days

The calendar of government offices (行政院人事行政總處) is published year by year and is
not part of this program. A year that is not in the file is counted by weekends alone,
which makes a deadline too early where there are holidays: what acts by itself must ask
`covers` first.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field

from federation.domain.toml_text import parse_toml
from federation.errors.core import FileMissingError, InvalidValueError

TAIPEI = ZoneInfo("Asia/Taipei")
FILE_NAME = "working-days.toml"
MAX_CALENDAR_BYTES = 256 * 1024
_SATURDAY = 5


@dataclass(frozen=True, slots=True)
class WorkingDays:
    """Which days are worked on.

    Parameters
    ----------
    years
        The years whose official calendar is known.
    holidays
        Days off that are Mondays to Fridays.
    made_up
        Saturdays and Sundays that are worked on (補行上班日).
    """

    years: frozenset[int] = frozenset()
    holidays: frozenset[date] = frozenset()
    made_up: frozenset[date] = frozenset()

    def is_working_day(self, day: date) -> bool:
        """Say whether a day is worked on, by weekends alone where its year is not known."""
        if day in self.made_up:
            return True
        return day.weekday() < _SATURDAY and day not in self.holidays

    def after(self, day: date, working_days: int) -> date:
        """Return the n-th working day after a day, which itself is not counted."""
        while working_days > 0:
            day += timedelta(days=1)
            working_days -= self.is_working_day(day)
        return day

    def covers(self, first: date, last: date) -> bool:
        """Say whether the official calendar of every year in between is known."""
        return set(range(first.year, last.year + 1)) <= self.years


WEEKENDS = WorkingDays()
"""No official calendar: only Saturdays and Sundays are off."""


class _Year(BaseModel):
    """One year of the file."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    source: Annotated[str, Field(min_length=1, max_length=300)]
    holidays: Annotated[list[date], Field(min_length=1, max_length=200)]
    made_up: Annotated[list[date], Field(max_length=20)] = []


def read_calendar(path: Path) -> WorkingDays:
    """Return the calendar in a TOML file: a table for each year.

        [2026]
        source = "行政院人事行政總處 115 年政府行政機關辦公日曆表"
        holidays = [2026-01-01, ...]
        made_up = []

    Raises
    ------
    FileMissingError
        If the file cannot be read.
    InvalidValueError
        If it is not such a calendar, or a day is not of its year.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_CALENDAR_BYTES + 1)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise FileMissingError(file=path.name, why=why) from error
    if len(content) > MAX_CALENDAR_BYTES:
        raise _wrong()
    return _joined(_years(content))


def calendar_in(home: Path) -> WorkingDays:
    """Return the calendar in a centre's home, weekends alone where it has none.

    Raises
    ------
    InvalidValueError
        If ``working-days.toml`` is there but no calendar.
    """
    path = home / FILE_NAME
    return read_calendar(path) if path.is_file() else WEEKENDS


def ends(day: date) -> datetime:
    """Return the moment after the last one of a day in Taipei."""
    return datetime.combine(day + timedelta(days=1), time(), TAIPEI)


def day_in_taipei(moment: datetime) -> date:
    """Return the day a moment falls on in Taipei."""
    return moment.astimezone(TAIPEI).date()


def _years(content: bytes) -> dict[int, _Year]:
    try:
        raw = parse_toml(content)
        years = {int(name): _Year.model_validate(given) for name, given in raw.items()}
    except ValueError as error:
        raise _wrong() from error
    for name, year in years.items():
        if any(day.year != name for day in (*year.holidays, *year.made_up)):
            raise _wrong()
    return years


def _joined(years: dict[int, _Year]) -> WorkingDays:
    def days(lists: Iterable[list[date]]) -> frozenset[date]:
        return frozenset(day for listed in lists for day in listed)

    return WorkingDays(
        frozenset(years),
        days(year.holidays for year in years.values()),
        days(year.made_up for year in years.values()),
    )


def _wrong() -> InvalidValueError:
    return InvalidValueError(
        field="calendar",
        actual="another file",
        expected="TOML with a table for each year: source, holidays, made_up",
    )
