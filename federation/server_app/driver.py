"""Drive the rounds of one run, as a process of its own: `python -m federation.server_app.driver`.

Commands come as JSON lines on stdin, events leave as JSON lines on stdout; the
model and the aggregate go through files. Started and spoken to by
`server_app.rounds.RoundDriver`, which knows the spelling of every line.

Each reply is checked (form, size, finite), announced to the parent with its
update's digest, and folded into the aggregate only after the parent's verdict;
then it is dropped. Memory: one model, one update, one aggregate, whatever the
number of sites.
"""

import ctypes
import hashlib
import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import Message

from federation.domain.ids import RunId, Sha256, StudyId
from federation.errors.base import PlatformError
from federation.errors.rounds import (
    DeadlinePassedError,
    ExecutorFailedError,
    ReplyMalformedError,
    SiteFailedError,
    SiteUnavailableError,
    UpdateShapeError,
)
from federation.server_app.bundle import thin_bundle
from federation.server_app.flat_files import read_flat, write_flat
from federation.wire.flower import pack_task, unpack_reply
from federation.wire.flwr_internals.centre import Announced, RunSession
from federation.wire.flwr_internals.objects import release
from federation.wire.local_sockets import path_of
from federation.wire.messages import FlatModel, Refused, Reply, Task, TaskKind
from strategies.aggregation import CheckedUpdate, OrderFreeMean, StreamingMean

Emit = Callable[..., None]

_FLOWER_KINDS = {TaskKind.TRAIN: "train", TaskKind.EVALUATE: "evaluate", TaskKind.PING: "query"}
_NODE_UNAVAILABLE = "5"
_SMALL_MODEL_BYTES = 1 << 16


class ParentGone(Exception):
    """Stdin was closed."""


class Commands:
    """The parent's lines, read by a thread, so that a round can look at them any time."""

    def __init__(self) -> None:
        self._lines: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._given_up: set[str] = set()
        threading.Thread(target=self._read, daemon=True, name="commands").start()

    def _read(self) -> None:
        for line in sys.stdin:
            command = json.loads(line)
            if command["do"] == "give_up":
                self._given_up.add(command["site"])
            else:
                self._lines.put(command)
        self._lines.put(None)

    def next(self) -> dict[str, Any]:
        """Return the next command; waits for it.

        Raises
        ------
        ParentGone
            If there will be none.
        """
        command = self._lines.get()
        if command is None:
            raise ParentGone
        return command

    def is_given_up(self, site: str) -> bool:
        """Tell whether the parent said not to wait for a site any longer."""
        return site in self._given_up

    def start_round(self) -> None:
        """Forget whom the last round gave up."""
        self._given_up.clear()


@dataclass(slots=True)
class Round:
    """One round while it runs."""

    number: int
    task: Task
    quorum: int
    deadline_s: float
    result: Path
    started: float
    waiting: dict[str, str] = field(default_factory=dict)
    arriving: list[Announced] = field(default_factory=list)
    sites: dict[str, str] = field(default_factory=dict)
    accepted: list[str] = field(default_factory=list)
    mean: StreamingMean | OrderFreeMean | None = None
    ceiling: float | None = None

    @property
    def limit_bytes(self) -> int:
        """Return the most bytes an update may have."""
        return 4 * int(self.task.model.size)

    @property
    def seconds(self) -> float:
        """Return how long it has run."""
        return time.monotonic() - self.started


class Driver:
    """The rounds of one run."""

    def __init__(self, session: RunSession, commands: Commands, emit: Emit) -> None:
        self._session = session
        self._commands = commands
        self._emit = emit
        self._late: set[str] = set()

    def run_round(self, order: dict[str, Any]) -> None:
        """Do one round from its order to its `done` event."""
        work = _round(order)
        nodes = {int(node): site for site, node in order["sites"].items()}
        self._commands.start_round()
        asked = self._session.push(
            pack_task(work.task),
            nodes=nodes,
            kind=_FLOWER_KINDS[work.task.kind],
            group=str(work.number),
        )
        _give_back()
        work.sites = {message: nodes[node] for message, node in asked.items()}
        work.waiting = dict(work.sites)
        self._emit("dispatched", sites=sorted(work.waiting.values()), seconds=work.seconds)
        for site in set(nodes.values()) - set(work.waiting.values()):
            self._refuse(site, SiteUnavailableError(site=site))
        while (work.waiting or work.arriving) and work.seconds < work.deadline_s:
            self._collect(work)
        self._give_up_rest(work)
        self._finish(work)

    def _collect(self, work: Round) -> None:
        """Take what has arrived; wait at the SuperLink if nothing has."""
        for reply in self._session.announced([*work.waiting, *self._late]):
            self._note(work, reply)
        for reply in list(work.arriving):
            if self._session.has_arrived(reply):
                work.arriving.remove(reply)
                self._take(work, reply)
                self._emit("progress", arrived=len(work.accepted), asked=len(work.sites))
        for message, site in list(work.waiting.items()):
            if self._commands.is_given_up(site):
                del work.waiting[message]
                self._late.add(message)
                self._refuse(site, SiteUnavailableError(site=site))

    def _note(self, work: Round, reply: Announced) -> None:
        if reply.asked in self._late:
            self._late.discard(reply.asked)
            self._session.forget(reply)
            return
        site = work.waiting.pop(reply.asked, None)
        if site is None:
            return
        if not reply.failed:
            work.arriving.append(reply)
        elif reply.failed == _NODE_UNAVAILABLE:
            self._refuse(site, SiteUnavailableError(site=site))
        else:
            self._refuse(site, SiteFailedError(site=site, reason=f"Flower {reply.failed}"))

    def _take(self, work: Round, reply: Announced) -> None:
        site = work.sites[reply.asked]
        try:
            limit = max(work.limit_bytes, _SMALL_MODEL_BYTES)
            message = self._session.read(reply, limit_bytes=limit)
            try:
                self._judge(work, site, _content(message, site, limit))
            finally:
                if message.has_content():
                    release(message.content)
                _give_back()
        except PlatformError as error:
            self._refuse(site, error)

    def _judge(self, work: Round, site: str, answer: Reply | Refused) -> None:
        if isinstance(answer, Refused):
            self._emit("refused", site=site, code=answer.code, what=answer.what)
            return
        update = _checked(answer.update, work, site)
        self._emit(
            "reply",
            site=site,
            report=answer.report,
            signature=answer.signature,
            update_digest=None if update is None else _digest(update.values),
            update_norm=None if update is None else update.norm,
            seconds=work.seconds,
        )
        verdict = self._commands.next()
        if verdict.get("do") != "verdict" or verdict.get("site") != site:
            raise ExecutorFailedError(kind="verdict out of order")
        if not verdict["accept"]:
            return
        if update is not None:
            work.mean = work.mean or _new_mean(work)
            work.mean.add(update, float(verdict["weight"]))
        work.accepted.append(site)

    def _give_up_rest(self, work: Round) -> None:
        seconds = round(work.deadline_s, 1)
        for message, site in work.waiting.items():
            self._late.add(message)
            self._refuse(site, DeadlinePassedError(site=site, seconds=seconds))
        for reply in work.arriving:
            self._session.forget(reply)
            site = work.sites[reply.asked]
            self._refuse(site, DeadlinePassedError(site=site, seconds=seconds))

    def _finish(self, work: Round) -> None:
        reached = len(work.accepted) >= work.quorum
        has_result = reached and work.mean is not None
        if has_result and work.mean is not None:
            write_flat(work.result, work.mean.result())
        self._emit(
            "done",
            accepted=work.accepted,
            reached=reached,
            result=str(work.result) if has_result else None,
            seconds=work.seconds,
        )

    def _refuse(self, site: str, error: PlatformError) -> None:
        self._emit("refused", site=site, code=error.code, what=error.say_what())


def _round(order: dict[str, Any]) -> Round:
    task = Task(
        kind=TaskKind(order["kind"]),
        study=StudyId(order["study"]),
        run=RunId(order["run"]),
        round=int(order["number"]),
        study_digest=Sha256(order["study_digest"]),
        model=read_flat(Path(order["model"])),
    )
    return Round(
        number=task.round,
        task=task,
        quorum=int(order["quorum"]),
        deadline_s=float(order["deadline_s"]),
        result=Path(order["result"]),
        started=time.monotonic(),
        ceiling=order.get("ceiling"),
    )


def _new_mean(work: Round) -> StreamingMean | OrderFreeMean:
    size = int(work.task.model.size)
    if work.ceiling is None:
        return StreamingMean(size)
    return OrderFreeMean(size, ceiling=work.ceiling)


def _content(message: Message, site: str, limit_bytes: int) -> Reply | Refused:
    if message.has_error():
        raise SiteFailedError(site=site, reason=f"Flower {message.error.code}")
    return unpack_reply(message.content, limit_bytes=limit_bytes)


def _checked(update: FlatModel | None, work: Round, site: str) -> CheckedUpdate | None:
    """Return the update, checked; evaluations have none, all others must.

    Raises
    ------
    ReplyMalformedError, UpdateShapeError, UpdateNotFiniteError
        If it is missing, of another size, or not finite.
    """
    if work.task.kind is TaskKind.EVALUATE:
        if update is not None:
            raise ReplyMalformedError(field="update", problem="there, though not asked for")
        return None
    if update is None:
        raise ReplyMalformedError(field="update", problem="missing")
    if update.size != work.task.model.size:
        raise UpdateShapeError(site=site, actual=update.size, expected=work.task.model.size)
    return CheckedUpdate(update, site)


def _give_back() -> None:
    """Return freed buffers to the kernel, so that they do not add up over a round (glibc)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _digest(values: FlatModel) -> str:
    return "sha256:" + hashlib.sha256(np.ascontiguousarray(values).view(np.uint8).data).hexdigest()


def _plain(error: PlatformError) -> dict[str, object]:
    return {
        name: value if isinstance(value, int | float) else str(value)
        for name, value in error.values.items()
    }


def _writer() -> Emit:
    """Take stdout for events alone; what anybody prints goes to stderr."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)

    def emit(event: str, **values: object) -> None:
        out.write(json.dumps({"event": event, **values}, separators=(",", ":")) + "\n")

    return emit


def _open(order: dict[str, Any], emit: Emit) -> RunSession:
    bundle = thin_bundle()
    session = RunSession.open(
        path_of(order["address"]),
        secret=Path(order["secret_file"]).read_bytes(),
        bundle=bundle.content,
        digest=bundle.digest,
        lock=Path(order["lock"]),
    )
    emit("opened", flower_run=str(session.run_id), bundle_digest=bundle.digest)
    return session


def _serve(session: RunSession, commands: Commands, emit: Emit) -> None:
    driver = Driver(session, commands, emit)
    while (command := commands.next())["do"] == "round":
        try:
            driver.run_round(command)
        except PlatformError as error:
            emit("failed", code=error.code, values=_plain(error))


def main() -> int:
    """Serve the parent until it closes; return the exit status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    emit, commands = _writer(), Commands()
    try:
        session = _open(commands.next(), emit)
    except PlatformError as error:
        emit("failed", code=error.code, values=_plain(error))
        return 1
    try:
        _serve(session, commands, emit)
    except ParentGone:
        session.close(failed="the flow ended")
        return 1
    session.close()
    emit("closed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
