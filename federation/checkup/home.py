"""The checks that a centre's home and a node's home have in common."""

import shutil
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from cryptography import x509

from federation.checkup.found import Check, Found, Level, Number, wrong
from federation.errors.base import PlatformError
from federation.errors.control import ClockSkewError
from federation.errors.machine import DiskFullError, FolderOpenToOthersError
from federation.pki.expiry import WARN_BEFORE, days_left

SKEW_LIMIT_S = 300
SKEW_WARNING_S = 60
DISK_PROBLEM_BYTES = 500_000_000
DISK_WARNING_BYTES = 5_000_000_000

_STEPS_GB = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


def permissions(folder: Path, more: Iterable[Path]) -> Iterator[Found]:
    """Find keys and folders that other users of the machine can read."""
    keys = [*folder.glob("keys/*.key"), *folder.glob("pki/*.key"), *folder.glob("run/*.secret")]
    watched = [folder, *sorted(keys), *(path for path in more if path.exists())]
    open_ones = [path for path in watched if path.stat().st_mode & 0o077]
    for path in open_ones:
        mode = f"{path.stat().st_mode & 0o777:04o}"
        yield wrong(Check.PERMISSIONS, FolderOpenToOthersError(file=path.name, mode=mode))
    if not open_ones:
        yield Found(Check.PERMISSIONS)


def clock_against_files(folder: Path, now: datetime) -> Iterator[Found]:
    """Find a clock that is behind what was written in the home."""
    newest = max(path.stat().st_mtime for path in [folder, *folder.iterdir()])
    behind = int(newest - now.timestamp())
    if behind > SKEW_LIMIT_S:
        yield Found(Check.CLOCK, Level.WARNING, numbers={Number.SECONDS: behind})
    else:
        yield Found(Check.CLOCK)


def clock_against_peer(skew_ms: int) -> Iterator[Found]:
    """Find a clock that is ahead of or behind the other side's."""
    seconds = round(abs(skew_ms) / 1000)
    if seconds > SKEW_LIMIT_S:
        yield wrong(Check.CLOCK, ClockSkewError(seconds=seconds, limit=SKEW_LIMIT_S))
        return
    level = Level.WARNING if seconds > SKEW_WARNING_S else Level.OK
    yield Found(Check.CLOCK, level, numbers={Number.SECONDS: seconds})


def disk(folder: Path) -> Iterator[Found]:
    """Find a disk that is full or nearly so; the number is rounded down to a coarse step."""
    free = shutil.disk_usage(folder).free
    numbers = {Number.FREE_GB: max(step for step in _STEPS_GB if step <= free / 1e9)}
    if free < DISK_PROBLEM_BYTES:
        needed = f"{DISK_PROBLEM_BYTES / 1e6:.0f}"
        error = DiskFullError(needed=needed, free=f"{free / 1e6:.1f}")
        yield Found(Check.DISK, Level.PROBLEM, error, numbers)
    else:
        level = Level.WARNING if free < DISK_WARNING_BYTES else Level.OK
        yield Found(Check.DISK, level, numbers=numbers)


def dates(
    check: Check,
    certificate: x509.Certificate,
    now: datetime,
    *,
    over: PlatformError,
    early: PlatformError,
) -> Found:
    """Find a certificate that ended, has not begun, or ends soon."""
    if now > certificate.not_valid_after_utc:
        return wrong(check, over)
    if now < certificate.not_valid_before_utc:
        return wrong(check, early)
    days = days_left(certificate, now=now)
    level = Level.WARNING if days < WARN_BEFORE.days else Level.OK
    return Found(check, level, numbers={Number.DAYS: days})
