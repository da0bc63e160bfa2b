"""Go on after what passes: a lost SuperLink, driver, database or socket, a full disk.

    patience.with_(lambda: round.play())

Whatever is wrapped may be done again from the start; what was reached lies in
the database. A passing failure is said once, its connection dropped, and the
work begun again after a short pause, without a limit of attempts. Only when the
centre itself does not answer for long is that given up: then nobody is there to
go on for. What only a person can mend - a full disk, a folder that cannot be written,
a clock that is behind the book - pauses the run with its code until it is mended.
"""

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from sqlalchemy.exc import DBAPIError

from federation.errors.base import PlatformError
from federation.errors.control import CentreBusyError, CentreNotRunningError
from federation.errors.durable import FilesRefusedError
from federation.errors.ledger import LedgerClockError
from federation.errors.machine import DiskFullError
from federation.errors.registry import BusyRegisterError, RegistryAnswerError
from federation.errors.rounds import (
    FlowerRefusedError,
    RoundDriverDiedError,
    SuperLinkStartError,
    SuperLinkUnreachableError,
)
from federation.errors.storage import StoreUnavailableError
from federation.operations.campaign.voice import Voice
from federation.operations.store.conditions import as_coded
from federation.storage import coded

Result = TypeVar("Result")

PASSING = (
    SuperLinkUnreachableError,
    SuperLinkStartError,
    FlowerRefusedError,
    RoundDriverDiedError,
    CentreNotRunningError,
    CentreBusyError,
    StoreUnavailableError,
    BusyRegisterError,
    RegistryAnswerError,
    DiskFullError,
    FilesRefusedError,
    LedgerClockError,
)
"""What another attempt may find gone. Everything else is for a person."""

PAUSES_S = (0.1, 0.2, 0.5, 1.0, 2.0)
"""How long to wait before the next attempt; the last one is repeated."""

PAUSING = (DiskFullError, FilesRefusedError, LedgerClockError)
"""What passes only when somebody sees to it; the run is paused meanwhile, and nothing is lost."""

BOUNDED = (CentreNotRunningError, RegistryAnswerError)
"""What may last for ever: nobody is there to go on for, or a registry that says no to this."""

ROOM_S = 2.0
"""How often to look whether what needs a person was mended."""

BOUND_S = 120.0
"""How long what is `BOUNDED` may last."""


class Patience:
    """Does work until it is done, whatever passes in between.

    Parameters
    ----------
    lose
        Drops connections that may be broken; the work makes new ones.
    heed
        Called before every further attempt; raises to end it all.
    pause, resume
        Told when a person is needed (with the code), and when that is over.
    """

    def __init__(
        self,
        voice: Voice,
        *,
        lose: Callable[[], None],
        heed: Callable[[], None],
        pause: Callable[[str], None],
        resume: Callable[[], None],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._voice, self._lose, self._heed = voice, lose, heed
        self._pause, self._resume, self._sleep = pause, resume, sleep

    def with_(self, work: Callable[[], Result]) -> Result:
        """Return what `work` returns, however often it takes.

        Raises
        ------
        CentreNotRunningError, RegistryAnswerError
            If that lasted for longer than `BOUND_S`.
        PlatformError
            What does not pass, at once.
        """
        said: set[str] = set()
        end: float | None = None
        pauses = _pauses()
        while True:
            try:
                result = _coded(work)
            except PASSING as error:
                end = self._end_of(error, end)
                self._recover(error, said, pauses)
            else:
                self._recovered(said)
                return result

    def _end_of(self, error: PlatformError, end: float | None) -> float | None:
        if not isinstance(error, BOUNDED):
            return None
        end = end or time.monotonic() + BOUND_S
        if time.monotonic() > end:
            raise error
        return end

    def _recover(self, error: PlatformError, said: set[str], pauses: Iterator[float]) -> None:
        is_for_people = isinstance(error, PAUSING)
        said.add(error.code)
        self._voice.aside("paused" if is_for_people else "recovering", code=error.code)
        if is_for_people:
            self._quietly(lambda: self._pause(error.code))
        self._lose()
        self._sleep(ROOM_S if is_for_people else next(pauses))
        self._quietly(self._heed)

    def _recovered(self, said: set[str]) -> None:
        if said:
            self._quietly(self._resume)
            self._voice.back()

    def _quietly(self, note: Callable[[], None]) -> None:
        """Do it if it can be done now: what failed may well be the database itself."""
        try:
            note()
        except PASSING:
            return


def _coded(work: Callable[[], Result]) -> Result:
    """Return what `work` returns; what database and system say by themselves gets a code."""
    try:
        return work()
    except DBAPIError as error:
        raise as_coded(error) from error
    except OSError as error:
        found = coded(error)
        if found is None:
            raise
        raise found from error


def _pauses() -> Iterator[float]:
    yield from PAUSES_S
    while True:
        yield PAUSES_S[-1]
