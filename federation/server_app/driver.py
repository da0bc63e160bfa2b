"""Drive the rounds of one run, as a process of its own: `python -m federation.server_app.driver`.

Commands come as JSON lines on stdin, events leave as JSON lines on stdout; the
model and the aggregate go through files. Started and spoken to by
`server_app.rounds.RoundDriver`, which knows the spelling of every line.

Each reply is checked (form, size, finite) and announced to the parent with its
update's digest. After the parent's verdict it is either kept on disk (the order
names a spool) and read again at the end, in the order of the sites' names, or
folded into the aggregate at once. Memory: one model, one update, one aggregate,
whatever the number of sites.

The driver needs no memory after a crash: killed, it leaves a spool; without its
SuperLink, or its parent, it says so, closes Flower's run as failed and ends.
"""

import ctypes
import logging
import math
import signal
import sys
import time
from collections.abc import Iterable
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
    FlowerRefusedError,
    ReplyMalformedError,
    SiteFailedError,
    SiteUnavailableError,
    SuperLinkUnreachableError,
    UpdateShapeError,
    UpdateTooLargeError,
)
from federation.errors.transport import (
    KeptUpdateDamagedError,
    ReplyCutShortError,
    RoundStoppedError,
)
from federation.observability.logs import tell_defects
from federation.server_app.bundle import thin_bundle
from federation.server_app.flat_files import (
    digest_of,
    digest_of_file,
    forget_pages,
    keep_raw,
    map_raw,
    read_flat,
    write_flat,
)
from federation.server_app.parent_line import (
    Emit,
    ParentGone,
    ParentLine,
    events_to_stdout,
    orders_from_stdin,
)
from federation.server_app.waiting import Waiting
from federation.wire.flower import pack_task, unpack_reply
from federation.wire.flwr_internals.centre import Announced, NotYetWhole, RunSession
from federation.wire.flwr_internals.objects import release
from federation.wire.local_sockets import path_of
from federation.wire.messages import FlatModel, Refused, Reply, Task, TaskKind
from strategies.aggregation import CheckedUpdate, StreamingMean

log = logging.getLogger(__name__)

_FLOWER_KINDS = {TaskKind.TRAIN: "train", TaskKind.EVALUATE: "evaluate", TaskKind.PING: "query"}
_NODE_UNAVAILABLE = "5"
_SMALL_MODEL_BYTES = 1 << 16
_LARGEST = float(np.finfo(np.float32).max) / 2**17
"""Most that a weighted update may measure: the sum of 65,536 of them is finite yet."""


@dataclass(frozen=True, slots=True)
class Counted:
    """A reply that counts: its weight, and its update, mapped, if it waits for the mean."""

    weight: float
    update: FlatModel | None


@dataclass(slots=True)
class Round:
    """One round while it runs."""

    task: Task
    quorum: int
    deadline_s: float
    result: Path
    spool: Path | None
    waiting: Waiting
    asked: int
    counted: dict[str, Counted]
    shared: int | None = None
    started: float = field(default_factory=time.monotonic)
    mean: StreamingMean | None = None
    stopped: bool = False

    @property
    def limit_bytes(self) -> int:
        """Return the most bytes an update may have."""
        numbers = max(int(self.task.model.size), self.size or 0)
        return max(4 * numbers, _SMALL_MODEL_BYTES)

    @property
    def size(self) -> int | None:
        """Return how many numbers a reply brings; None for an evaluation without a sum."""
        if self.task.kind is TaskKind.EVALUATE:
            return self.shared
        return int(self.task.model.size)

    @property
    def seconds(self) -> float:
        """Return how long it has run."""
        return time.monotonic() - self.started


class Driver:
    """The rounds of one run."""

    def __init__(self, session: RunSession, parent: ParentLine, emit: Emit) -> None:
        self._session = session
        self._parent = parent
        self._emit = emit
        self._late: set[str] = set()
        self._dropped: list[Announced] = []

    def run_round(self, order: dict[str, Any]) -> None:
        """Do one round from its order to its `done` event.

        Raises
        ------
        PlatformError
            If the SuperLink was lost, a kept update is damaged or the disk is full;
            what was announced as kept is kept, the other sites can be asked again.
        ParentGone
            If nobody waits for the round any more.
        """
        self._forget_all()
        work = _round(order)
        try:
            self._collect_all(work)
        except BaseException:
            for site in work.waiting.sites:
                self._drop(work, site)
            raise
        self._finish(work)

    def _collect_all(self, work: Round) -> None:
        self._ask(work, work.waiting.sites)
        self._emit("dispatched", sites=work.waiting.sites, seconds=work.seconds)
        while work.waiting and work.seconds < work.deadline_s:
            self._collect(work)
        for site in work.waiting.sites:
            self._let_go(work, site, _missing(work, site))

    def _ask(self, work: Round, sites: list[str]) -> None:
        """Send the task to some of the sites waited for; the first time or once more."""
        nodes = work.waiting.nodes_of(sites)
        if not nodes:
            return
        sent = self._session.push(
            pack_task(work.task),
            nodes=nodes,
            kind=_FLOWER_KINDS[work.task.kind],
            group=str(work.task.round),
        )
        _give_back()
        for message, node in sent.items():
            work.waiting.asked(nodes[node], message)
        for site in set(sites) - {nodes[node] for node in sent.values()}:
            work.waiting.not_taken(site, SiteUnavailableError(site=site), now=time.monotonic())

    def _collect(self, work: Round) -> None:
        """Take what has arrived; wait at the SuperLink if nothing has."""
        for reply in self._session.announced([*work.waiting.out, *self._late]):
            self._note(work, reply)
        self._parent.check()
        for said in self._parent.asides():
            self._heed(work, said)
        for site, reply in work.waiting.arriving:
            if site in work.waiting:
                self._look(work, site, reply)
        self._ask_lost_ones(work)

    def _note(self, work: Round, reply: Announced) -> None:
        site = work.waiting.site_of(reply.asked)
        if reply.asked in self._late or site is None:
            self._late.discard(reply.asked)
            self._forget(reply)
        elif reply.failed:
            trouble = _trouble(site, reply.failed)
            work.waiting.lost(reply.asked, trouble, now=time.monotonic())
            log.warning("[%s] %s", trouble.code, trouble.say_what())
        else:
            work.waiting.announced(reply)

    def _heed(self, work: Round, said: dict[str, Any]) -> None:
        """Do what the parent said aside; about a site that is settled it means nothing."""
        site = str(said.get("site"))
        if said["do"] == "stop":
            work.stopped = True
            for one in work.waiting.sites:
                self._let_go(work, one, RoundStoppedError(site=one))
        elif site not in work.waiting:
            return
        elif said["do"] == "give_up":
            self._settle(work, site)
            self._emit("refused", site=site, code=said["code"], what=said["what"])
        else:
            work.waiting.moved(site, int(said["node"]))
            self._ask_once_more(work, [site])

    def _ask_lost_ones(self, work: Round) -> None:
        """Ask the sites again of which nothing can come any more, once their nodes are there."""
        due = work.waiting.due(now=time.monotonic())
        if due:
            online = self._session.online()
            nodes = work.waiting.nodes_of(due)
            self._ask_once_more(work, [site for node, site in nodes.items() if node in online])

    def _ask_once_more(self, work: Round, sites: Iterable[str]) -> None:
        wanted = []
        for site in sites:
            try:
                work.waiting.check_asks(site)
            except PlatformError as error:
                self._let_go(work, site, error)
            else:
                wanted.append(site)
        if wanted:
            self._ask(work, wanted)
            self._emit("dispatched", sites=wanted, seconds=work.seconds)

    def _look(self, work: Round, site: str, reply: Announced) -> None:
        """Take a reply if it is there as a whole; note it if it never will be."""
        pulled = self._session.pull(reply)
        if pulled.available:
            self._take(work, site, reply)
        elif not pulled.found:
            work.waiting.cut_short(site, reply, ReplyCutShortError(), now=time.monotonic())

    def _take(self, work: Round, site: str, reply: Announced) -> None:
        try:
            message = self._session.read(reply, limit_bytes=work.limit_bytes)
        except NotYetWhole:
            return
        except ReplyCutShortError as error:
            work.waiting.cut_short(site, reply, error, now=time.monotonic())
            return
        except (SuperLinkUnreachableError, FlowerRefusedError):
            raise
        except PlatformError as error:
            self._let_go(work, site, error)
            return
        try:
            self._judge(work, site, message)
        finally:
            if message.has_content():
                release(message.content)
            del message
            _give_back()
        self._emit("progress", arrived=len(work.counted), asked=work.asked)

    def _judge(self, work: Round, site: str, message: Message) -> None:
        """Check a reply, ask the parent, and keep it; the site is settled then."""
        try:
            answer = _content(message, site, work.limit_bytes)
            if isinstance(answer, Refused):
                self._settle(work, site)
                self._emit("refused", site=site, code=answer.code, what=answer.what)
                return
            update = _checked(answer.update, work, site)
        except PlatformError as error:
            self._let_go(work, site, error)
            return
        weight = self._verdict(work, site, answer, update)
        if weight is not None and update is not None and not _is_summable(update, weight):
            self._let_go(work, site, UpdateTooLargeError(site=site, limit=f"{_LARGEST:.3g}"))
            return
        if weight is not None:
            path = self._count(work, site, update, weight)
            self._emit("kept", site=site, path=None if path is None else str(path))
        self._settle(work, site)

    def _verdict(
        self, work: Round, site: str, answer: Reply, update: CheckedUpdate | None
    ) -> float | None:
        """Return the weight that the parent gives a reply, or None if it refuses it."""
        self._emit(
            "reply",
            site=site,
            report=answer.report,
            signature=answer.signature,
            update_digest=None if update is None else digest_of(update.values),
            update_norm=None if update is None else update.norm,
            seconds=work.seconds,
        )
        verdict = self._parent.next()
        self._parent.check()
        if verdict.get("do") != "verdict" or verdict.get("site") != site:
            raise ExecutorFailedError(kind="verdict out of order")
        return float(verdict["weight"]) if verdict["accept"] else None

    def _count(
        self, work: Round, site: str, update: CheckedUpdate | None, weight: float
    ) -> Path | None:
        """Let a reply count, its update on disk or in the mean; return its file."""
        path, mapped = None, None
        if update is not None and work.spool is not None:
            path = keep_raw(work.spool, update.values, digest_of(update.values))
            mapped = map_raw(path)
        elif update is not None:
            work.mean = work.mean or StreamingMean(int(work.task.model.size))
            work.mean.add(update, weight)
        work.counted[site] = Counted(weight, mapped)
        return path

    def _finish(self, work: Round) -> None:
        reached = len(work.counted) >= work.quorum and not work.stopped
        mean = _mean(work) if reached else None
        if mean is not None:
            write_flat(work.result, mean)
        self._emit(
            "done",
            accepted=sorted(work.counted),
            reached=reached,
            result=None if mean is None else str(work.result),
            seconds=work.seconds,
        )

    def _let_go(self, work: Round, site: str, error: PlatformError) -> None:
        self._settle(work, site)
        self._emit("refused", site=site, code=error.code, what=error.say_what())

    def _settle(self, work: Round, site: str) -> None:
        """Wait no longer for a site, and see to it that what still comes is thrown away."""
        self._drop(work, site)
        self._forget_all()

    def _drop(self, work: Round, site: str) -> None:
        left = work.waiting.settle(site)
        self._late |= left.out
        self._dropped += left.arriving

    def _forget_all(self) -> None:
        while self._dropped:
            self._forget(self._dropped.pop())

    def _forget(self, reply: Announced) -> None:
        """Let the SuperLink throw a reply away; it may have done so by itself."""
        try:
            self._session.forget(reply)
        except FlowerRefusedError as error:
            log.info("[%s] a late reply was gone already", error.code)


def _round(order: dict[str, Any]) -> Round:
    """Return the round of an order, its kept updates verified.

    Raises
    ------
    UnreadableRecordError, KeptUpdateDamagedError
        If the model or a kept update is not what it should be.
    """
    task = Task(
        kind=TaskKind(order["kind"]),
        study=StudyId(order["study"]),
        run=RunId(order["run"]),
        round=int(order["number"]),
        study_digest=Sha256(order["study_digest"]),
        model=read_flat(Path(order["model"])),
        keys=tuple(order["keys"]),
    )
    shared = order["shared"]
    size = int(task.model.size) if shared is None else int(shared)
    counted = {
        str(kept["site"]): Counted(float(kept["weight"]), _kept_update(kept, size))
        for kept in order["kept"]
    }
    nodes = {site: int(node) for site, node in order["sites"].items() if site not in counted}
    limit_s, spool = order["deadline_s"], order["spool"]
    return Round(
        task=task,
        quorum=int(order["quorum"]),
        deadline_s=math.inf if limit_s is None else float(limit_s),
        result=Path(order["result"]),
        spool=None if spool is None else Path(spool),
        waiting=Waiting(nodes),
        asked=len(nodes) + len(counted),
        counted=counted,
        shared=shared,
    )


def _kept_update(kept: dict[str, Any], size: int) -> FlatModel | None:
    if kept["path"] is None:
        return None
    try:
        if str(digest_of_file(Path(kept["path"]))) == kept["digest"]:
            update = map_raw(Path(kept["path"]))
            if update.size == size:
                return update
    except (OSError, ValueError) as error:
        raise KeptUpdateDamagedError(site=kept["site"]) from error
    raise KeptUpdateDamagedError(site=kept["site"])


def _mean(work: Round) -> FlatModel | None:
    """Return the weighted mean: what was folded in, or what was kept, by the sites' names.

    What is shared for a sum has none: the centre adds it up itself, in another ring.
    """
    if work.task.kind is TaskKind.EVALUATE:
        return None
    if work.mean is not None:
        return work.mean.result()
    mean = StreamingMean(int(work.task.model.size))
    for site in sorted(work.counted):
        _fold(mean, site, work.counted[site])
    return mean.result() if mean.count else None


def _fold(mean: StreamingMean, site: str, one: Counted) -> None:
    """Add a kept update to a mean and give its pages back."""
    if one.update is not None:
        mean.add(CheckedUpdate(one.update, site), one.weight)
        forget_pages(one.update)


def _is_summable(update: CheckedUpdate, weight: float) -> bool:
    return 0 < weight * update.norm < _LARGEST or update.norm == 0


def _trouble(site: str, flower_code: str) -> PlatformError:
    if flower_code == _NODE_UNAVAILABLE:
        return SiteUnavailableError(site=site)
    return SiteFailedError(site=site, reason=f"Flower {flower_code}")


def _missing(work: Round, site: str) -> PlatformError:
    """Return why a site does not count whose time is over."""
    seconds = round(min(work.deadline_s, work.seconds), 1)
    return work.waiting.trouble_of(site) or DeadlinePassedError(site=site, seconds=seconds)


def _content(message: Message, site: str, limit_bytes: int) -> Reply | Refused:
    if message.has_error():
        raise SiteFailedError(site=site, reason=f"Flower {message.error.code}")
    return unpack_reply(message.content, limit_bytes=limit_bytes)


def _checked(update: FlatModel | None, work: Round, site: str) -> CheckedUpdate | None:
    """Return the update, checked; an evaluation has one for a sum alone, all others must.

    Raises
    ------
    ReplyMalformedError, UpdateShapeError, UpdateNotFiniteError
        If it is missing, of another size, or not finite.
    """
    if work.size is None:
        if update is not None:
            raise ReplyMalformedError(field="update", problem="there, though not asked for")
        return None
    if update is None:
        raise ReplyMalformedError(field="update", problem="missing")
    if update.size != work.size:
        raise UpdateShapeError(site=site, actual=update.size, expected=work.size)
    return CheckedUpdate(update, site)


def _give_back() -> None:
    """Return freed buffers to the kernel, so that they do not add up over a round (glibc)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _plain(error: PlatformError) -> dict[str, object]:
    return {
        name: value if isinstance(value, int | float) else str(value)
        for name, value in error.values.items()
    }


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


def _serve(session: RunSession, parent: ParentLine, emit: Emit) -> bool:
    """Do the rounds that are ordered until the end is; return whether the SuperLink stayed."""
    driver = Driver(session, parent, emit)
    while (order := parent.next())["do"] == "round":
        try:
            driver.run_round(order)
        except PlatformError as error:
            emit("failed", code=error.code, values=_plain(error))
            if isinstance(error, SuperLinkUnreachableError | FlowerRefusedError):
                return False
    return True


def _drive(parent: ParentLine, emit: Emit) -> int:
    session = None
    try:
        session = _open(parent.next(), emit)
        stayed = _serve(session, parent, emit)
        session.close(failed="" if stayed else "the SuperLink was lost")
        emit("closed")
        return 0 if stayed else 1
    except ParentGone:
        if session is not None:
            session.close(failed="the flow ended")
    except PlatformError as error:  # of opening
        emit("failed", code=error.code, values=_plain(error))
    return 1


def main() -> int:
    """Serve the parent until it closes; return the exit status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    tell_defects()
    return _drive(orders_from_stdin(), events_to_stdout())


if __name__ == "__main__":
    sys.exit(main())
