"""`trifed node serve`: everything of a hospital's node that must run.

One process holds the control channel and the forwarder (the two outbound
connections, both to the centre's one port) and keeps two children alive: Flower's
SuperNode and the resident executor. SIGTERM stops all of it; a killed agent takes
its children along (they are on a leash). `run/node.json` says how it stands.

A child that dies loses the task it had. The centre learns it from the heartbeat's
epoch, which is new with every start of either, and asks again.
"""

import asyncio
import logging
import os
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from clients.control import ControlClient, Pace
from clients.flower.executor import executor_command
from clients.flower.forwarder import Forwarder
from clients.flower.supernode import node_environment, supernode_command, wake
from clients.home import NodeHome
from clients.metrics import metrics_command
from clients.progress import FILE as PROGRESS_FILE
from clients.progress import read_progress
from federation import provenance
from federation.errors import PlatformError
from federation.errors.enrolment import NotJoinedError
from federation.observability.settings import metrics_address
from federation.protocol.mapping import Progress
from federation.settings import CHILD_THREADS
from federation.supervision.children import ChildPlan, Supervisor
from federation.supervision.process import log_to, run_until_done, stop_event, write_state
from federation.supervision.single import only_one

log = logging.getLogger(__name__)

STATE_FILE = "node.json"

_SUPERNODE = "supernode"
_EXECUTOR = "executor"
_MOST_STARTS = 10_000
_SIGNING_ON_S = 5.0  # a younger SuperNode is still dialling for the first time


def serve_node(folder: Path, *, ping_only: bool = False, pace: Pace | None = None) -> None:
    """Serve the node of a home until SIGTERM or SIGINT.

    Parameters
    ----------
    folder
        The node's home.
    ping_only
        Answer PING tasks only, without importing torch; for measuring.
    pace
        How patiently to dial the centre.

    Raises
    ------
    HomeMissingError, NotJoinedError, AlreadyRunningError
        Before anything is started.
    """
    home = NodeHome.open(folder)
    if not home.has_joined:
        raise NotJoinedError(site=home.settings().site)
    log_to(home.logs / "node.log")
    with only_one(home.run / "node.lock", kind="node"):
        run_until_done(_Agent(home, ping_only=ping_only, pace=pace).serve())


class _Agent:
    """The parts of one running node."""

    def __init__(self, home: NodeHome, *, ping_only: bool, pace: Pace | None) -> None:
        self._home = home
        self._settings = home.settings()
        self._started = datetime.now(UTC)
        self._forwarder = Forwarder(home, self._settings, on_error=_log_error)
        self._supervisor = Supervisor(
            [
                self._plan(_SUPERNODE, supernode_command(home.folder)),
                self._plan(_EXECUTOR, executor_command(home.folder, ping_only=ping_only)),
            ],
            on_change=self._child_changed,
        )
        if metrics_address(home.folder) is not None:
            self._supervisor.add(self._plan("metrics", metrics_command(home.folder)))
        self._executor_pid: int | None = None
        self._was_up = False
        self._control = ControlClient(
            home,
            on_wake=partial(wake, home.folder),
            on_connected=self._line_is_up,
            progress=self._progress,
            on_change=self._write_state,
            on_fleet_started=self._sign_on_again,
            pace=pace,
        )

    async def serve(self) -> None:
        stop = stop_event()
        async with AsyncExitStack() as stack:
            stack.callback((self._home.run / STATE_FILE).unlink, missing_ok=True)
            (self._home.run / "notices").mkdir(mode=0o700, exist_ok=True)
            self._forwarder.start()
            stack.callback(self._forwarder.close)
            self._supervisor.start()
            stack.push_async_callback(self._supervisor.stop)
            await self._until_stopped(stop)
            log.info("the node stops")

    async def _until_stopped(self, stop: asyncio.Event) -> None:
        """Hold the channel until asked to stop, or until a part fails, which raises why."""
        tasks = [
            asyncio.ensure_future(work)
            for work in (stop.wait(), self._control.run(), self._supervisor.wait())
        ]
        done, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for task in done:
            task.result()

    def _sign_on_again(self) -> None:
        """Start the SuperNode anew: the SuperLink does not know the old one any more.

        By itself it would notice late, Flower's pauses grow to 15 s and more.
        """
        self._supervisor.children[_SUPERNODE].restart(if_older_s=_SIGNING_ON_S)

    def _line_is_up(self) -> None:
        """Let what hung on an older line go, and the SuperNode look for a task at once."""
        if self._was_up:
            self._forwarder.drop()
        self._was_up = True
        wake(self._home.folder)

    def _child_changed(self) -> None:
        """Start the SuperNode anew when the executor ended: else it waits 60 s for its answer."""
        ended, self._executor_pid = self._executor_pid, self._pid(_EXECUTOR)
        if ended is not None and self._executor_pid is None:
            (self._home.run / PROGRESS_FILE).unlink(missing_ok=True)
            self._supervisor.children[_SUPERNODE].restart(if_older_s=0.0)
        self._write_state()

    def _pid(self, name: str) -> int | None:
        return self._supervisor.children[name].pid

    def _progress(self) -> Progress:
        return replace(read_progress(self._home.run), epoch=self._epoch())

    def _epoch(self) -> int:
        """Return a number that is new with every start of a child; 0 while one is down."""
        children = self._supervisor.children.values()
        if not all(child.alive for child in children):
            return 0
        began_ms = int(self._started.timestamp() * 1000)
        return began_ms * _MOST_STARTS + sum(child.starts for child in children) % _MOST_STARTS

    def _plan(self, name: str, command: list[str]) -> ChildPlan:
        return ChildPlan(
            name=name,
            command=lambda: command,
            environment={**node_environment(self._home.folder), **CHILD_THREADS},
            log_file=self._home.logs / f"{name}.log",
        )

    def _write_state(self) -> None:
        channel = self._control.status
        state = {
            "pid": os.getpid(),
            "site": self._settings.site,
            "centre": self._settings.address,
            "state": channel.state.value,
            "since": channel.since.isoformat(),
            "centre_software": channel.centre_software,
            "error": channel.error.as_json() if channel.error else None,
            "children": {name: child.pid for name, child in self._supervisor.children.items()},
            "starts": {name: child.starts for name, child in self._supervisor.children.items()},
            "started": self._started.isoformat(),
            "software_version": provenance.software_version(),
        }
        write_state(self._home.run / STATE_FILE, state)


def _log_error(error: PlatformError) -> None:
    log.warning("[%s] %s", error.code, error.say())
