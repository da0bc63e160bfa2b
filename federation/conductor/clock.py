"""The register's clock: once an hour a short process makes the moves that are due.

    await RegistryClock(home, environment=...).serve(stop)

The process is `python -m federation.flows.registry_timers`, a flow on Prefect's pages. It
lives for seconds, so that an hourly task does not hold memory for an hour. When it last
ran stands in `run/registry-clock.json`; a restart of the conductor runs it no sooner. One
that fails is tried again after five minutes; what was missed is made up for by the next.
"""

import asyncio
import json
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from federation.coordinator.home import CentreHome
from federation.supervision.children import Child, ChildPlan
from federation.supervision.process import write_state

log = logging.getLogger(__name__)

STATE_FILE = "registry-clock.json"
EVERY = timedelta(hours=1)
AGAIN = timedelta(minutes=5)
FIRST_AFTER = timedelta(minutes=1)
"""A centre that just started has better things to do."""

LONGEST_S = 600.0
LOOK_S = 5.0
_STOP_S = 2.0

COMMAND = (sys.executable, "-m", "federation.flows.registry_timers")


def _now() -> datetime:
    return datetime.now(UTC)


class RegistryClock:
    """Turns the clock of one centre's register.

    Parameters
    ----------
    environment
        Returns the process's environment: it names the home and where Prefect is.
    command
        What is run.
    clock
        Returns the present time, UTC.
    """

    def __init__(
        self,
        home: CentreHome,
        *,
        environment: Callable[[], Mapping[str, str]],
        command: Sequence[str] = COMMAND,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._path, self._clock = home.run / STATE_FILE, clock
        self._next = self._first()
        self._plan = ChildPlan(
            name="registry-clock",
            command=lambda: command,
            environment=environment,
            log_file=home.logs / "registry-clock.log",
            niceness=10,
        )

    async def serve(self, stop: asyncio.Event, *, look_s: float = LOOK_S) -> None:
        """Run the process whenever it is due, until `stop` is set."""
        while not stop.is_set():
            if self._clock() >= self._next:
                await self._turn(stop)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), look_s)

    async def _turn(self, stop: asyncio.Event) -> None:
        child = Child(self._plan)
        running = asyncio.ensure_future(child.once(lambda: None))
        stopping = asyncio.ensure_future(stop.wait())
        await asyncio.wait(
            {running, stopping}, timeout=LONGEST_S, return_when=asyncio.FIRST_COMPLETED
        )
        stopping.cancel()
        if not running.done():
            await child.stop(within_s=_STOP_S)
        self._note(await self._status(running))

    async def _status(self, running: "asyncio.Future[int]") -> int:
        try:
            return await running
        except OSError as error:  # no process, no memory, no log file: it may pass
            log.warning("the register's clock was not started: %s", type(error).__name__)
            return 1

    def _note(self, status: int) -> None:
        now = self._clock()
        self._next = now + (EVERY if status == 0 else AGAIN)
        if status == 0:
            write_state(self._path, {"ran": now.isoformat()})
        else:
            log.warning("the register's clock ended with status %d", status)

    def _first(self) -> datetime:
        """Return when to run first: an hour after the last time, but not at once."""
        now = self._clock()
        try:
            ran = datetime.fromisoformat(json.loads(self._path.read_text("utf-8"))["ran"])
            last = ran if ran <= now else now - EVERY
        except (OSError, ValueError, KeyError, TypeError):
            last = now - EVERY
        return max(last + EVERY, now + FIRST_AFTER)
