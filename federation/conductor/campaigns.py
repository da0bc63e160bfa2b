"""One launched study: its campaign's process, started again until the study has ended.

What an end of the process means, in this order: an outcome in the event log (the
study has ended); status 75 (try again soon: Prefect was away); a signal (it was
killed: start again at once); anything else (a fault: start again, but not for
ever). A study that a person paused is not started again before it is resumed.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from federation.domain.ids import StudyId
from federation.errors.base import PlatformError
from federation.errors.control import ChildDiedError
from federation.errors.queue import CampaignBrokenError
from federation.operations.events import EventLog, Outcome
from federation.operations.progress import EventKind, Progress
from federation.operations.store.queue import Entry, QueueStore
from federation.supervision.children import Child, ChildPlan

log = logging.getLogger(__name__)

TRY_AGAIN = 75
"""The exit status of a campaign that wants to be started again (sysexits.h: EX_TEMPFAIL)."""

MOST_FAULTS = 5
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 30.0
LONGEST_RETRY_S = 5.0
WELL_AFTER_S, FORGIVEN_AFTER_S = 20.0, 3600.0
"""After so long a life the next one is begun quickly again; its faults are forgiven."""

DATABASE_PAUSE_S = 1.0
STARTING, RECOVERING = "starting", "recovering"

Result = TypeVar("Result")


class CampaignKeeper:
    """Keeps the campaign of one study running.

    Parameters
    ----------
    plan
        Makes the child's plan, asked before each start.
    ready
        Returns once a campaign can be started: when it is known where Prefect is.
    changed
        Called whenever the process starts or ends.
    closed
        Returns the result that the database has of this launch: for an event log that
        could not be written.
    """

    def __init__(
        self,
        study: StudyId,
        queue: QueueStore,
        events: EventLog,
        *,
        plan: Callable[[Entry], ChildPlan],
        ready: Callable[[], Awaitable[None]],
        changed: Callable[[], None],
        closed: Callable[[], dict[str, object] | None] = lambda: None,
    ) -> None:
        self._study, self._queue, self._events = study, queue, events
        self._closed = closed
        self._ended: Outcome | None = None
        self._plan, self._ready, self._changed = plan, ready, changed
        self._child: Child | None = None
        self._faults, self._pause_s, self.starts = 0, FIRST_PAUSE_S, 0

    @property
    def pid(self) -> int | None:
        """Return the campaign's process id; None between two lives."""
        return None if self._child is None else self._child.pid

    async def run(self) -> None:
        """Return when the study has ended or was paused and its process is gone."""
        while not await self._is_over():
            await self._ready()
            entry = await self._lasting(lambda: self._queue.activate(self._study))
            if entry is None:
                return
            if self.starts == 0:
                self._say(STARTING if entry.attempts == 1 else RECOVERING)
            status, lived_s = await self._live(entry)
            if await self._outcome() is None:
                await self._after(status, lived_s)

    async def stop(self, *, within_s: float) -> None:
        """End the process; the study goes on when it is started again."""
        if self._child is not None:
            await self._child.stop(within_s=within_s)

    async def _live(self, entry: Entry) -> tuple[int, float]:
        self._child = Child(self._plan(entry))
        self.starts += 1
        started = time.monotonic()
        try:
            status = await self._child.once(self._changed)
        except OSError as error:  # no process, no memory, no log file: it may pass
            log.warning("%s was not started: %s", self._study, type(error).__name__)
            status = TRY_AGAIN
        return status, time.monotonic() - started

    async def _is_over(self) -> bool:
        """Take the study out of the queue once its outcome is written; say whether it is out."""
        outcome = await self._outcome()
        if outcome is None:
            return False
        await self._lasting(lambda: self._queue.end(self._study, code=outcome.code))
        log.info(
            "%s has ended: %s %s", self._study, outcome.result.get("status"), outcome.code or ""
        )
        return True

    async def _outcome(self) -> Outcome | None:
        """Return how this launch ended: as was said, or else as the database has it."""
        said = self._ended or await asyncio.to_thread(self._events.outcome)
        if said is not None:
            return said
        found = await self._lasting(self._closed)
        if found is not None:
            self._events.end(found)
        return None if found is None else Outcome(found)

    async def _after(self, status: int, lived_s: float) -> None:
        """Wait before the next start; give up after too many faults."""
        if lived_s > WELL_AFTER_S:
            self._pause_s = FIRST_PAUSE_S
        if lived_s > FORGIVEN_AFTER_S:
            self._faults = 0
        if status >= 0 and status != TRY_AGAIN:
            self._faults += 1
        if self._faults >= MOST_FAULTS:
            self._give_up(status)
            return
        pause_s = min(self._pause_s, LONGEST_RETRY_S) if status == TRY_AGAIN else self._pause_s
        name, log_file = f"campaign {self._study}", log_name(self._study)
        error = ChildDiedError(name=name, status=status, delay_s=round(pause_s, 1), log=log_file)
        log.warning("[%s] %s", error.code, error.say())
        self._say(RECOVERING, code=error.code)
        await asyncio.sleep(pause_s)
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    def _give_up(self, status: int) -> None:
        error = CampaignBrokenError(
            study=self._study, times=self._faults, status=status, log=log_name(self._study)
        )
        log.error("[%s] %s", error.code, error.say())
        self._ended = Outcome.of_error(error, "failed")
        self._events.end(self._ended.result)

    def _say(self, stage: str, **values: object) -> None:
        self._events.emit(Progress(EventKind.STAGE, values={"stage": stage, **values}))

    async def _lasting(self, work: Callable[[], Result]) -> Result:
        """Do what needs the database, again until it answers."""
        while True:
            try:
                return await asyncio.to_thread(work)
            except PlatformError as error:
                log.warning("[%s] %s", error.code, error.say())
                await asyncio.sleep(DATABASE_PAUSE_S)


def log_name(study: StudyId) -> str:
    """Return the name of a campaign's log file."""
    return f"campaign-{study}.log"
