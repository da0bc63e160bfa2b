"""Move a date, and spell a day in the ways in which people and devices write it.

`spelled` gives folded text in which every run of blanks and marks is one hyphen, so
that "June 15, 1947" is ``june-15-1947``; `dashed` brings a text into that form.
"""

import re
from datetime import date, timedelta
from functools import lru_cache

from clients.data.deidentification.spelling import DATE, DIGITS, TIME_OF_DT

MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july", "august"),
    *("september", "october", "november", "december"),
)
ROC_BEGAN = 1911
"""The year before the first of the calendar of the Republic of China (Taiwan)."""
_MARKS = re.compile(r"[\W_]+")


def dashed(text: str) -> str:
    """Return a text with one hyphen for every run of what is no letter or digit."""
    return _MARKS.sub("-", text)


@lru_cache(maxsize=512)
def spelled(day: date) -> frozenset[str]:
    """Return the spellings of a day: with and without marks and leading zeros, in numbers,
    with months in English, and in the calendar of Taiwan.
    """
    years = {f"{day.year:04d}", f"{day.year % 100:02d}"}
    roc = day.year - ROC_BEGAN
    if roc > 0:
        years |= {str(roc), f"{roc:03d}"}
    found = {f"{day.month:02d}{day.day:02d}{year}" for year in years if len(year) in (2, 4)}
    for year in years:
        found |= {f"{year}{day.month:02d}{day.day:02d}"}
        for month, number in _numbers(day):
            found |= {f"{year}-{month}-{number}", f"{year}年{month}月{number}日"}
            found |= {f"{number}-{month}-{year}", f"{month}-{number}-{year}"}
        for name in (MONTHS[day.month - 1], MONTHS[day.month - 1][:3]):
            for number in {str(day.day), f"{day.day:02d}"}:
                for mark in ("", "-"):
                    found |= {mark.join((number, name, year)), mark.join((year, name, number))}
                    found |= {f"{name}{mark}{number}-{year}"}
    found |= {f"{day.day:02d}{day.month:02d}{year}" for year in years if len(year) in (2, 4)}
    return frozenset(found)


def moved_back(value: bytes, vr: str, days: int) -> bytes:
    """Return a date so many days before; digits behind it stay where they are a time of DT."""
    found = DATE.match(value)
    rest = value[found.end() :] if found else b""
    is_time = vr == "DT" and TIME_OF_DT.fullmatch(rest)
    if not found or not (is_time or DIGITS.fullmatch(rest)):
        return b""
    year, month, day = found.groups()
    try:
        moved = date(int(year), int(month), int(day)) - timedelta(days=days)
    except (ValueError, OverflowError):
        return b""
    return b"%04d%02d%02d%b" % (moved.year, moved.month, moved.day, rest if is_time else b"")


def _numbers(day: date) -> set[tuple[str, str]]:
    """Return (month, day) with and without leading zeros."""
    months = {str(day.month), f"{day.month:02d}"}
    return {(month, number) for month in months for number in {str(day.day), f"{day.day:02d}"}}
