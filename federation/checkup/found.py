"""What a check found: its name, how bad, a code, and a few numbers of fixed meaning.

A `Found` may hold a whole error, which staff of the same house read. What leaves
the house is `travels`: name, level, code and numbers. The texts are made where
they are read, in the reader's language (`federation/operations/findings.py`).
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from federation.errors.base import PlatformError
from federation.errors.observation import CheckUnfinishedError


class Level(Enum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Check(Enum):
    """What was looked at; names are stable, for machines."""

    SETTINGS = "settings"
    PERMISSIONS = "permissions"
    CLOCK = "clock"
    DISK = "disk"
    CERTIFICATES = "certificates"
    AUTHORITY = "authority"
    SUPERNODE = "supernode"
    EXECUTOR = "executor"
    CATALOGUE = "catalogue"
    LEDGER = "ledger"
    AUDIT = "audit"
    HEADS = "heads"
    POLICY = "policy"
    CODE = "code"
    REPLIES = "replies"


class Number(Enum):
    """The only numbers that travel. None of them counts patients or images."""

    DAYS = "days"
    SECONDS = "seconds"
    FREE_GB = "free_gb"
    RESTARTS = "restarts"
    KEPT = "kept"


LARGEST_NUMBER = 1_000_000
"""Larger ones, of either sign, are cut to it."""

_NAME = re.compile(r"[a-z][a-z-]{0,31}")
_CODE = re.compile(r"TF[1-9][0-9]{2}")
_MOST_NUMBERS = 16


@dataclass(frozen=True, slots=True)
class Found:
    """One result of one check, as the side knows it that looked."""

    check: Check
    level: Level = Level.OK
    error: PlatformError | None = None
    numbers: Mapping[Number, int] = field(default_factory=dict)

    def travels(self) -> "Travelled":
        """Return what may leave the house of it."""
        return Travelled(
            check=self.check.value,
            level=self.level,
            code=self.error.code if self.error else None,
            numbers={name: cut(value) for name, value in self.numbers.items()},
        )


@dataclass(frozen=True, slots=True)
class Travelled:
    """One result as it came from another house; `check` may be one this version does not know."""

    check: str
    level: Level
    code: str | None = None
    numbers: Mapping[Number, int] = field(default_factory=dict)


def travelled(check: str, level: str, code: str, numbers: Mapping[str, int]) -> Travelled:
    """Return a result that another side sent; numbers that nobody agreed on are left out.

    Raises
    ------
    ValueError
        If it is not spelled as a result is.
    """
    if not _NAME.fullmatch(check) or (code and not _CODE.fullmatch(code)):
        raise ValueError("a check or a code of another form")
    if len(numbers) > _MOST_NUMBERS:
        raise ValueError("too many numbers")
    known = {number.value: number for number in Number}
    kept = {known[name]: cut(value) for name, value in numbers.items() if name in known}
    return Travelled(check, Level(level), code or None, kept)


def cut(number: int) -> int:
    """Return a number within the range that travels."""
    return max(-LARGEST_NUMBER, min(LARGEST_NUMBER, number))


def wrong(check: Check, error: PlatformError, *, level: Level = Level.PROBLEM) -> Found:
    """Return the result that a command would fail with `error`."""
    return Found(check, level, error)


def looked(check: Check, look: Callable[[], Iterable[Found]]) -> list[Found]:
    """Return what `look` finds; whatever it ends with is a result too, without its words.

    A check that fails in a way nobody foresaw must neither stop the others nor say
    more than that it failed.
    """
    found: list[Found] = []
    try:
        found.extend(look())
    except PlatformError as error:
        found.append(wrong(check, error))
    except Exception:  # its text may hold anything
        found.append(wrong(check, CheckUnfinishedError(check=check.value)))
    return found
