"""Time windows of a week in local time: ``mon-fri 20:00-06:00``.

A window that ends before it starts runs past midnight and belongs to the day it
starts on. `Hours` answers whether a moment is inside, and when the next one is.
"""

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Self
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WINDOW = re.compile(
    r"(?P<first>[a-z]{3})(?:-(?P<last>[a-z]{3}))? "
    r"(?P<start>[0-2][0-9]:[0-5][0-9])-(?P<end>[0-2][0-9]:[0-5][0-9])"
)
_DAY_MIN = 24 * 60


@dataclass(frozen=True, slots=True)
class Window:
    """Minutes from `start_min` for `length_min` on each of `days` (0 is Monday)."""

    days: frozenset[int]
    start_min: int
    length_min: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the window that `text` names.

        Raises
        ------
        ValueError
            If it is not spelled like ``mon-fri 20:00-06:00``.
        """
        found = _WINDOW.fullmatch(text)
        if found is None or not {found["first"], found["last"] or found["first"]} <= set(DAYS):
            raise ValueError(f"{text!r} is not like 'mon-fri 20:00-06:00'")
        start, end = _minutes(found["start"]), _minutes(found["end"])
        if start >= _DAY_MIN or end > _DAY_MIN or start == end:
            raise ValueError(f"{text!r} is not from one time of the day to another, 24:00 at most")
        length = end - start if end > start else end + _DAY_MIN - start
        first = DAYS.index(found["first"])
        last = DAYS.index(found["last"] or found["first"])
        days = {(first + n) % 7 for n in range((last - first) % 7 + 1)}
        return cls(frozenset(days), start, length)

    def opening(self, midnight: datetime) -> datetime:
        """Return when it opens on the day that begins at `midnight` (local)."""
        start = time(self.start_min // 60, self.start_min % 60)
        return datetime.combine(midnight.date(), start, midnight.tzinfo)


@dataclass(frozen=True, slots=True)
class Hours:
    """Windows in one time zone; without any, every moment is inside."""

    windows: tuple[Window, ...]
    zone: ZoneInfo | None

    @classmethod
    def parse(cls, windows: list[str], zone: str) -> Self:
        """Return hours from their texts; the zone is looked up only when there are windows.

        Raises
        ------
        ValueError
            If a window is misspelled or the time zone is unknown here.
        """
        found = tuple(map(Window.parse, windows))
        try:
            return cls(found, ZoneInfo(zone) if found else None)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"the time zone {zone!r} is unknown here") from error

    def are_open(self, now: datetime) -> bool:
        """Say whether a moment is inside a window."""
        if not self.windows:
            return True
        return any(
            opening <= now < opening + timedelta(minutes=window.length_min)
            for window, opening in self._openings(now, -1, 0)
        )

    def next_opening(self, now: datetime) -> datetime:
        """Return the first moment from `now` on that is inside a window, in local time."""
        if self.are_open(now):
            return now
        return min(opening for _, opening in self._openings(now, 0, 7) if opening > now)

    def _openings(self, now: datetime, first: int, last: int) -> list[tuple[Window, datetime]]:
        today = now.astimezone(self.zone).replace(hour=0, minute=0, second=0, microsecond=0)
        days = [today + timedelta(days=n) for n in range(first, last + 1)]
        return [
            (window, window.opening(day))
            for window in self.windows
            for day in days
            if day.weekday() in window.days
        ]


def _minutes(text: str) -> int:
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes)
