"""Number models so that a mistyped number is noticed: `TWAI-<yyyy>-<5 digits>-<check>`.

The check digit is Damm's (H. M. Damm, 2004, totally anti-symmetric quasigroup of
order 10) over the nine digits: it finds every single wrong digit and every
swap of two neighbours.
"""

import re
from dataclasses import dataclass

from federation.errors.registry import EntryNotFoundError

_QUASIGROUP = (
    "0317598642",
    "7092154863",
    "4206871359",
    "1750983426",
    "6123045978",
    "3674209581",
    "5869720134",
    "8945362017",
    "9438617205",
    "2581436790",
)
_SPELLING = re.compile(r"TWAI-([0-9]{4})-([0-9]{5})-([0-9])(?:\.v([0-9]+\.[0-9]+\.[0-9]+))?")


def check_digit(digits: str) -> str:
    """Return Damm's check digit of a text of digits."""
    interim = 0
    for digit in digits:
        interim = int(_QUASIGROUP[interim][int(digit)])
    return str(interim)


def model_id(*, year: int, number: int) -> str:
    """Return the id of the `number`-th model of a year, counted from 1."""
    return f"TWAI-{year:04}-{number:05}-{check_digit(f'{year:04}{number:05}')}"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a reader asked for: a model, and one version of it or (None) the newest."""

    model: str
    version: str | None


def parse_entry(text: str) -> Asked:
    """Return the model and version that `text` names.

    Raises
    ------
    EntryNotFoundError
        If it is not spelled like an entry or its check digit is wrong.
    """
    found = _SPELLING.fullmatch(text)
    if found is None or check_digit(found[1] + found[2]) != found[3]:
        raise EntryNotFoundError(asked=repr(text[:60]))
    return Asked(f"TWAI-{found[1]}-{found[2]}-{found[3]}", found[4])


def next_version(taken: list[str], *, corrects: str | None) -> str:
    """Return the version of a new record: the next minor, or a patch of the one it corrects."""
    numbers = [_numbers(version) for version in taken]
    if corrects is None:
        minor = max((number[1] for number in numbers), default=0)
        return f"0.{minor + 1}.0"
    major, minor, _ = _numbers(corrects)
    patch = max(number[2] for number in numbers if number[:2] == (major, minor))
    return f"{major}.{minor}.{patch + 1}"


def _numbers(version: str) -> tuple[int, int, int]:
    major, minor, patch = version.split(".")
    return int(major), int(minor), int(patch)
