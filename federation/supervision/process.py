"""What both long-running processes do at their start: loop, signals, log, state file."""

import asyncio
import json
import logging
import logging.handlers
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path

from federation.observability.logs import formatter_of, tell_defects
from federation.observability.settings import LogFormat, log_format
from federation.wire.child_environment import LARGE_BUFFERS
from federation.wire.parent import end_with_parent

_LOG_BYTES = 10 * 2**20


def run_until_done(work: Coroutine[None, None, None]) -> None:
    """Run a process's one coroutine; on uvloop where it is installed.

    uvloop receives model updates over TLS with a third of asyncio's CPU time
    (200 MB: 0.17 s against 0.52 s); everything works without it.
    """
    try:
        import uvloop
    except ImportError:
        asyncio.run(work)
        return
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


def with_large_buffers() -> None:
    """Become this very command again with memory settings that suit large models.

    glibc reads them once, when a process starts. Returns when they are set.
    """
    if all(os.environ.get(name) == value for name, value in LARGE_BUFFERS.items()):
        return
    environment = {**os.environ, **LARGE_BUFFERS}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)  # noqa: S606 - our own command line


def stop_event() -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set instead of ending the process."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


def serve_until_stopped(end: Callable[[], None]) -> None:
    """Wait for SIGTERM, SIGINT or the parent's end, then call `end`."""
    end_with_parent()
    numbers = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    signal.sigwait(numbers)
    end()


def log_to(path: Path) -> None:
    """Send this process's log to a file of limited size in a home's `logs` folder.

    Lines are written as the home's table [logs] says (`federation/observability`).

    Raises
    ------
    ObservationSettingsError
        If the table does not say what it may.
    """
    form = log_format(path.parents[1])
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handler = logging.handlers.RotatingFileHandler(
        path, maxBytes=_LOG_BYTES, backupCount=2, encoding="utf-8"
    )
    _log_through(handler, form)


def log_to_output(home: Path) -> None:
    """Send this process's log to its standard error, which its supervisor keeps in a file.

    For the children of a long-running process. What ends them unforeseen is logged
    without its words.

    Raises
    ------
    ObservationSettingsError
        As `log_to`.
    """
    _log_through(logging.StreamHandler(), log_format(home))
    tell_defects()


def _log_through(handler: logging.Handler, form: LogFormat) -> None:
    handler.setFormatter(formatter_of(form))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line for every health check


def write_state(path: Path, state: Mapping[str, object]) -> None:
    """Replace a state file in one step; not synced, it is worth nothing after a crash."""
    draft = path.with_name(f".{path.name}.part")
    draft.write_text(json.dumps(state, indent=1), encoding="utf-8")
    draft.chmod(0o600)
    draft.replace(path)
