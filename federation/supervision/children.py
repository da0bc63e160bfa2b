"""Start child processes, start them again when they end, stop them with a deadline.

Flower's SuperNode ends by design when the SuperLink lost its memory, and a
SuperLink may crash: both come back here with growing pauses. Each child is the
head of its own process group, so that what it starts goes with it, and is on a
leash: no child outlives its supervisor. Call everything from one event loop in
the main thread (the leash follows the thread that started the child).
"""

import asyncio
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from federation.errors.control import ChildDiedError
from federation.supervision.leash import leashed

log = logging.getLogger(__name__)

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 30.0
_WELL_AFTER_S = 20.0  # a child that lived this long starts again without a pause
_MAX_LOG_BYTES = 20 * 2**20


@dataclass(frozen=True, slots=True)
class ChildPlan:
    """One child: its name, command (no shell), environment and log file.

    `command`, and then `environment` where it is a function, are asked again
    before each start, so that they may depend on what is there then. `niceness`
    (0 to 19) lets others go first where the processor is short.
    """

    name: str
    command: Callable[[], Sequence[str]]
    environment: Mapping[str, str] | Callable[[], Mapping[str, str]]
    log_file: Path
    niceness: int = 0


@dataclass(slots=True)
class Child:
    """One supervised child; `pid` is None between two lives."""

    plan: ChildPlan
    pid: int | None = None
    starts: int = 0
    _process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)
    _wanted: bool = True
    _started: float = 0.0

    @property
    def alive(self) -> bool:
        """Return whether the process runs just now."""
        return self._process is not None and self._process.poll() is None

    async def run(self, on_change: Callable[[], None]) -> None:
        """Keep the child alive until cancelled; stop it then."""
        pause_s = _FIRST_PAUSE_S
        try:
            while True:
                self._started = time.monotonic()
                status = await self.once(on_change)
                if not self._wanted:
                    return
                if time.monotonic() - self._started > _WELL_AFTER_S:
                    pause_s = _FIRST_PAUSE_S
                _log_death(self.plan, status, pause_s)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        finally:
            self._signal_group(signal.SIGKILL)

    def restart(self, *, if_older_s: float) -> bool:
        """Kill the child so that it starts again, if it has run for longer than that; say so."""
        is_due = self.alive and time.monotonic() - self._started > if_older_s
        if is_due:
            self._signal_group(signal.SIGKILL)
        return is_due

    async def stop(self, *, within_s: float) -> None:
        """Ask the child's group to end; kill what is left after the deadline."""
        self._wanted = False
        self._signal_group(signal.SIGTERM)
        deadline = time.monotonic() + within_s
        while self.alive and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        self._signal_group(signal.SIGKILL)
        if self._process is not None:
            await asyncio.to_thread(self._process.wait)

    async def once(self, on_change: Callable[[], None]) -> int:
        """Start the child and wait for its end; return its status (negative: a signal)."""
        self._process = process = _start(self.plan)
        self.pid, self.starts = process.pid, self.starts + 1
        on_change()
        try:
            return await _ended(process)
        finally:
            self.pid = None
            on_change()

    def _signal_group(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


class Supervisor:
    """All children of one process."""

    def __init__(self, plans: Sequence[ChildPlan], *, on_change: Callable[[], None]) -> None:
        self.children = {plan.name: Child(plan) for plan in plans}
        self._on_change = on_change
        self._tasks: list[asyncio.Task[None]] = []
        self._failure: asyncio.Future[BaseException]

    def start(self) -> None:
        """Start every child."""
        self._failure = asyncio.get_running_loop().create_future()
        for child in self.children.values():
            self._supervise(child)

    def add(self, plan: ChildPlan) -> None:
        """Start one more child."""
        self.children[plan.name] = Child(plan)
        self._supervise(self.children[plan.name])

    async def wait(self) -> None:
        """Wait until supervision itself fails, which raises why."""
        raise await self._failure

    def _supervise(self, child: Child) -> None:
        task = asyncio.ensure_future(child.run(self._on_change))
        task.add_done_callback(self._note_end)
        self._tasks.append(task)

    def _note_end(self, task: "asyncio.Task[None]") -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not self._failure.done():
            self._failure.set_result(error)

    async def stop(self, *, within_s: float = 3.0) -> None:
        """End every child and what it started; none is left when this returns."""
        children = self.children.values()
        await asyncio.gather(*(child.stop(within_s=within_s) for child in children))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _start(plan: ChildPlan) -> "subprocess.Popen[bytes]":
    plan.log_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _turn_over(plan.log_file)
    command = leashed(plan.command(), niceness=plan.niceness)
    environment = plan.environment() if callable(plan.environment) else plan.environment
    with plan.log_file.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=dict(environment),
            process_group=0,
        )


def _turn_over(log_file: Path) -> None:
    """Keep one older log file when it has grown large."""
    if log_file.exists() and log_file.stat().st_size > _MAX_LOG_BYTES:
        log_file.replace(log_file.with_suffix(".old.log"))


async def _ended(process: "subprocess.Popen[bytes]") -> int:
    """Wait for the end of a process without a signal handler; return its status."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[int] = loop.create_future()

    def finish(status: int) -> None:
        if not ended.done():
            ended.set_result(status)

    def watch() -> None:
        status = process.wait()
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(finish, status)

    threading.Thread(target=watch, daemon=True, name="child-watch").start()
    return await ended


def _log_death(plan: ChildPlan, status: int, pause_s: float) -> None:
    error = ChildDiedError(
        name=plan.name, status=status, delay_s=round(pause_s, 1), log=plan.log_file.name
    )
    log.warning("[%s] %s", error.code, error.say())
