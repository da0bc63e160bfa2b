"""Read the queue and keep a campaign running for each study whose time has come.

    python -m federation.conductor --home HOME

The conductor keeps nothing: killed, it is started again by `centre serve`, reads
the queue and starts the campaigns of the studies that were active. Its children
are on the leash, so none outlives it. `run/conductor.json` says what runs.
"""

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from federation import settings
from federation.conductor.campaigns import CampaignKeeper, log_name
from federation.conductor.clock import RegistryClock
from federation.conductor.state import STATE_FILE
from federation.coordinator.home import CentreHome
from federation.coordinator.options import CentreOptions, PrefectMode, PrefectOptions
from federation.domain.ids import StudyId
from federation.domain.queue import QueueState
from federation.errors.base import PlatformError
from federation.operations.events import EventLog
from federation.operations.store.database import Database
from federation.operations.store.queue import Entry, QueueStore
from federation.operations.store.studies import StudyStore
from federation.server_app.prefect_server import PrefectAddress, own_server
from federation.supervision.children import ChildPlan
from federation.supervision.process import log_to, run_until_done, stop_event, write_state
from federation.supervision.single import only_one

log = logging.getLogger(__name__)

LOOK_S = 0.2
AWAIT_PREFECT_S = 60.0
"""How long a campaign waits for Prefect before another attempt, with another address perhaps."""

STOP_S = 2.0
_AGAIN_S = 0.2

Command = Callable[[CentreHome, Entry], Sequence[str]]


def campaign_command(home: CentreHome, entry: Entry) -> Sequence[str]:
    """Return the command line of a study's campaign."""
    command = [sys.executable, "-m", "federation.flows.campaign"]
    command += ["--home", str(home.folder), "--study", str(entry.study)]
    command += ["--await-prefect", str(AWAIT_PREFECT_S)]
    return [*command, "--at-quorum"] if entry.asked.at_quorum else command


def serve_conductor(folder: Path) -> None:
    """Conduct the studies of a centre's home until SIGTERM or SIGINT.

    Raises
    ------
    HomeMissingError, AlreadyRunningError, CentreOptionError
        Before anything is started.
    """
    home = CentreHome.open(folder)
    log_to(home.logs / "conductor.log")
    with only_one(home.run / "conductor.lock", kind="conductor"):
        run_until_done(_serve(home))


async def _serve(home: CentreHome) -> None:
    options = CentreOptions.of(home)
    stop, conductor = stop_event(), Conductor(home, options)
    clock = RegistryClock(home, environment=lambda: _clock_environment(home, options))
    turning = asyncio.ensure_future(clock.serve(stop))
    try:
        await conductor.serve(stop)
    finally:
        stop.set()
        await turning
        conductor.close()


def _clock_environment(home: CentreHome, options: CentreOptions) -> dict[str, str]:
    """Return what the register's clock runs with; the home's path is on no command line."""
    where = prefect_address(home.folder, options.prefect) or PrefectAddress("")
    flow = settings.flow_environment(home.folder, url=where.url or None, auth=where.auth)
    return settings.of_centre(flow, home.folder)


class Conductor:
    """The campaigns of one centre.

    Parameters
    ----------
    command
        Returns the command line of a study's campaign.
    """

    def __init__(
        self, home: CentreHome, options: CentreOptions, *, command: Command = campaign_command
    ) -> None:
        self._home, self._options, self._command = home, options, command
        database = Database.of(home)
        self._queue, self._studies = QueueStore(database), StudyStore(database)
        self._keepers: dict[StudyId, CampaignKeeper] = {}
        self._tasks: dict[StudyId, asyncio.Task[None]] = {}
        self._prefect: PrefectAddress | None = None
        self._started = datetime.now(UTC)

    async def serve(self, stop: asyncio.Event) -> None:
        """Conduct until `stop` is set; no campaign runs when this returns."""
        self._write_state()
        try:
            while not stop.is_set():
                await self._look_patiently()
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), LOOK_S)
        finally:
            await self._end_all()
            (self._home.run / STATE_FILE).unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the database."""
        self._queue.close()

    async def _look_patiently(self) -> None:
        try:
            await self.look()
        except PlatformError as error:  # the database is away; campaigns go on by themselves
            log.warning("[%s] %s", error.code, error.say())
            await asyncio.sleep(1.0)

    async def look(self) -> None:
        """Look at the queue once: start what may start, note what was resumed."""
        self._forget_ended()
        entries = await asyncio.to_thread(self._queue.entries, live=True)
        running = sum(
            one.study in self._keepers and one.state is not QueueState.PAUSED for one in entries
        )
        for entry in sorted(entries, key=lambda one: one.state is not QueueState.ACTIVE):
            if entry.study in self._keepers:
                await self._note_resumed(entry)
            elif _may_start(entry) and running < self._options.limits.campaigns:
                running += 1
                self._start(entry)

    def _start(self, entry: Entry) -> None:
        keeper = CampaignKeeper(
            entry.study,
            self._queue,
            EventLog(self._home, entry.study),
            plan=self._plan,
            ready=self._prefect_known,
            changed=self._write_state,
            closed=lambda: self._closed(entry.study),
        )
        self._keepers[entry.study] = keeper
        self._tasks[entry.study] = asyncio.ensure_future(keeper.run())

    def _closed(self, study: StudyId) -> dict[str, object] | None:
        from federation.operations.launch import closed_by_launch  # seldom needed, and heavy

        return closed_by_launch(self._studies, study)

    async def _note_resumed(self, entry: Entry) -> None:
        if entry.state is QueueState.WAITING and self._keepers[entry.study].pid is not None:
            await asyncio.to_thread(self._queue.go_on, entry.study)

    def _forget_ended(self) -> None:
        ended = [study for study, task in self._tasks.items() if task.done()]
        for study in ended:
            del self._keepers[study]
            self._tasks.pop(study).result()
        if ended:
            self._write_state()

    async def _end_all(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        stopping = (keeper.stop(within_s=STOP_S) for keeper in self._keepers.values())
        await asyncio.gather(*stopping)
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _plan(self, entry: Entry) -> ChildPlan:
        where = self._prefect or PrefectAddress("")
        return ChildPlan(
            name=f"campaign-{entry.study}",
            command=lambda: self._command(self._home, entry),
            environment=settings.flow_environment(
                self._home.folder, url=where.url or None, auth=where.auth
            ),
            log_file=self._home.logs / log_name(entry.study),
        )

    async def _prefect_known(self) -> None:
        """Return once it is known where Prefect is; the campaign waits until it answers.

        Both start at the same time, so that the slower one alone is waited for.
        """
        while True:
            self._prefect = prefect_address(self._home.folder, self._options.prefect)
            is_own = self._options.prefect.mode is PrefectMode.EPHEMERAL
            if self._prefect is not None or is_own:
                return
            await asyncio.sleep(_AGAIN_S)

    def _write_state(self) -> None:
        campaigns = {
            str(study): {"pid": keeper.pid, "starts": keeper.starts}
            for study, keeper in self._keepers.items()
        }
        state = {
            "pid": os.getpid(),
            "started": self._started.isoformat(),
            "campaigns": campaigns,
        }
        write_state(self._home.run / STATE_FILE, state)


def prefect_address(home: Path, options: PrefectOptions) -> PrefectAddress | None:
    """Return where a centre's Prefect API is; None when there is none (yet)."""
    if options.mode is PrefectMode.OUTSIDE:
        return PrefectAddress(str(options.url).rstrip("/"), options.auth(home))
    return own_server(home) if options.mode is PrefectMode.SERVER else None


def _may_start(entry: Entry) -> bool:
    live = entry.state in (QueueState.WAITING, QueueState.ACTIVE)
    return live and entry.is_due(datetime.now(UTC))
