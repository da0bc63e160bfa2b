"""Know a process again: its number alone is given out anew after it has ended.

mark = this_process()          # kept in a database beside what the process holds
is_alive(mark)                 # later, in another process of the same machine
"""

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class ProcessMark:
    """One process of one machine since one start of that machine.

    `started` is in the kernel's clock ticks since boot where there is /proc, and
    in whole seconds elsewhere: it does not move when the clock is set.
    """

    pid: int
    started: int
    boot: str


def this_process() -> ProcessMark:
    """Return the mark of the calling process."""
    pid = os.getpid()
    return ProcessMark(pid, _started(pid), _boot())


def is_alive(mark: ProcessMark) -> bool:
    """Say whether that very process still runs; an ended one that nobody fetched does not."""
    try:
        return mark.boot == _boot() and _started(mark.pid) == mark.started
    except ProcessLookupError:
        return False


def _started(pid: int) -> int:
    """Return when a process started; raises `ProcessLookupError` if it has ended."""
    try:
        line = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return _started_elsewhere(pid)
    after_name = line.rpartition(")")[2].split()  # proc(5): the name may hold anything
    if after_name[0] in "ZX":
        raise ProcessLookupError(pid)
    return int(after_name[19])


def _started_elsewhere(pid: int) -> int:
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            raise ProcessLookupError(pid)
        return int(process.create_time())
    except psutil.NoSuchProcess as error:
        raise ProcessLookupError(pid) from error


@cache
def _boot() -> str:
    """Return what changes whenever the machine starts."""
    try:
        return _BOOT.read_text().strip()
    except FileNotFoundError:
        return str(int(psutil.boot_time()))
