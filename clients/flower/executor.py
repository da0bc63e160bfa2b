"""Answer the node's tasks, one process for all: `python -m clients.flower.executor --home N`.

Flower would start a new Python for every message and run what the bundle
brings. Here one process takes the SuperNode's tasks, looks at the bundle's
digest only, and calls the handler of the wheel that the hospital installed.
A bundle or run that the centre did not announce is refused; of an error nothing
leaves but its code.
"""

import argparse
import importlib
import json
import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from clients.flower.supernode import runtime_socket, secret_file
from federation import observability as observed
from federation.errors.base import PlatformError
from federation.errors.rounds import (
    BundleRefusedError,
    ExecutorFailedError,
    FlowerRefusedError,
    SuperLinkUnreachableError,
)
from federation.supervision.process import log_to_output
from federation.wire.messages import Refused, Reply, Task, TaskKind

log = logging.getLogger(__name__)

Handler = Callable[[Task], Reply]
"""Answer a task, or raise the `PlatformError` whose code the centre may see."""

MAX_MODEL_BYTES = 2 << 30

_PAUSE_S = 0.2


def announced_bundles(notices: Path) -> dict[str, str]:
    """Return the bundle digest (64 hex) of each announced run, by Flower's run number.

    An unreadable notice announces nothing.
    """
    found = {}
    for path in notices.glob("*.json"):
        try:
            notice = json.loads(path.read_text(encoding="utf-8"))
            found[str(notice["flower_run"])] = str(notice["bundle_digest"])
        except (OSError, ValueError, KeyError, TypeError):
            log.error("notice %s is unreadable", path.name)
    return found


def run_executor(
    runtime: Path,
    secret: bytes,
    handler: Handler,
    *,
    notices: Path,
    limit_bytes: int = MAX_MODEL_BYTES,
    keep_on: Callable[[], bool] = lambda: True,
) -> None:
    """Take and answer tasks for as long as `keep_on` says so.

    Parameters
    ----------
    runtime
        The SuperNode's socket.
    secret
        The secret it was started with.
    notices
        Folder of the centre's run notices; read anew for each task.
    """
    from federation.wire.flwr_internals.runtime import TaskSource

    source = TaskSource(runtime, secret)
    while keep_on():
        try:
            token = source.next_token()
            if token is not None:
                with source.begin(token) as running:
                    _answer(running, handler, notices, limit_bytes)
        except (SuperLinkUnreachableError, FlowerRefusedError) as error:
            log.warning("[%s] %s", error.code, error.say())
            time.sleep(_PAUSE_S)


def _answer(running: object, handler: Handler, notices: Path, limit_bytes: int) -> None:
    from federation.wire.flower import pack_reply, refusal_of
    from federation.wire.flwr_internals.runtime import RunningTask

    assert isinstance(running, RunningTask)
    started = time.monotonic()
    try:
        answer: Reply | Refused = _handle(running, handler, notices, limit_bytes)
    except (SuperLinkUnreachableError, FlowerRefusedError):
        raise
    except PlatformError as error:
        log.warning("[%s] %s", error.code, error.say())
        answer = refusal_of(error)
    except Exception as error:  # what has no code must not leave as text
        log.exception("a task failed without a code")
        answer = refusal_of(ExecutorFailedError(kind=type(error).__name__))
    running.confirm()
    running.answer(pack_reply(answer))
    log.info("answered after %.3f s", time.monotonic() - started)


def _handle(running: object, handler: Handler, notices: Path, limit_bytes: int) -> Reply:
    from federation.wire.flower import unpack_task
    from federation.wire.flwr_internals.runtime import RunningTask

    assert isinstance(running, RunningTask)
    given = running.assignment
    if announced_bundles(notices).get(str(given.flower_run)) != given.bundle_digest:
        raise BundleRefusedError(digest=given.bundle_digest)
    message = running.read(limit_bytes=limit_bytes)
    task = unpack_task(message.content, limit_bytes=limit_bytes)
    with observed.study(task.study, run=task.run), observed.round(task.round, kind=task.kind.value):
        return handler(task)


def ping(task: Task) -> Reply:
    """Echo a PING; the handler of `--ping`, for measuring."""
    if task.kind is not TaskKind.PING:
        raise ExecutorFailedError(kind="only PING is answered here")
    return Reply(task.model)


def executor_command(home: Path, *, ping_only: bool = False) -> list[str]:
    """Return the command that runs the executor of a node's home."""
    secret_file(home)
    command = [sys.executable, "-m", "clients.flower.executor", "--home", str(home)]
    return [*command, "--ping"] if ping_only else command


def _handler_of(home: Path) -> Handler:
    """Return the handler of the installed client; imports torch."""
    build = importlib.import_module("clients.client_app").build_handler
    handler: Handler = build(home)
    return handler


def main() -> None:
    """Answer until stopped."""
    parser = argparse.ArgumentParser(prog="trifed-executor")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--ping", action="store_true", help="answer PING only; for measuring")
    given = parser.parse_args()
    os.umask(0o077)
    from federation.wire.flwr_internals.names import check_version
    from federation.wire.parent import end_with_parent

    check_version()
    end_with_parent()
    home = given.home.absolute()
    log_to_output(home)
    run_executor(
        runtime_socket(home),
        secret_file(home).read_bytes(),
        ping if given.ping else _handler_of(home),
        notices=home / "run" / "notices",
    )


if __name__ == "__main__":
    main()
