"""Run rounds from a flow: a typed handle on the driver process.

    with RoundDriver(home=centre_home, address=address) as driver:
        opened = driver.start()                 # tell the nodes: run and bundle
        outcome = driver.run_round(order, judge=judge)

`judge` sees each reply before it counts: it returns the weight of the update,
or raises the coded error for which it is refused. Arrays never pass through
here. The driver is a process of its own because Flower keeps a run's identity
in globals and may end its own process; that it died is a coded error, with the
last lines of its log in the log file named.

A round survives every crash but needs no memory of its own: give the order a
`spool`, write down what `kept` is called with, and after a crash order the same
round again, from a new driver, with what was kept. Only the other sites are asked,
and the mean has the same bits. While a round runs, any thread may say `ask_again`
(a node lost its task), `give_up` (do not wait for a site) and `stop`.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from federation.domain.ids import RunId, Sha256, SiteId, StudyId
from federation.domain.run import Refusal
from federation.errors import error_of_code
from federation.errors.base import PlatformError
from federation.errors.rounds import QuorumNotReachedError, RoundDriverDiedError
from federation.settings import CHILD_THREADS
from federation.wire.child_environment import flower_environment
from federation.wire.messages import TaskKind

_CLOSE_S = 10.0


@dataclass(frozen=True, slots=True)
class OpenedRun:
    """A run that was started: Flower's number for it and the bundle's digest (64 hex)."""

    flower_run: str
    bundle_digest: str


@dataclass(frozen=True, slots=True)
class KeptUpdate:
    """A reply that was accepted before a crash: its update's file, weight and digest.

    `path` holds little-endian float32 numbers and nothing else; it and `digest` are
    None for an evaluation, which has no update.
    """

    site: SiteId
    path: Path | None
    weight: float
    digest: Sha256 | None


@dataclass(frozen=True, slots=True)
class RoundOrder:
    """What one round asks, of whom, and until when.

    Parameters
    ----------
    number
        From 1.
    model
        File of the round's model: one flat float32 array, .npy or .safetensors.
    result
        File for the weighted mean of the accepted updates, .npy; written only
        if the quorum was reached.
    nodes
        Flower's node id of each site to ask, from `superlink.list_nodes`.
    quorum
        The fewest accepted replies that make a round, the kept ones included.
    deadline_s
        After this time the round goes on without whoever is missing; None waits
        until every site has answered or was given up.
    spool
        Folder for the accepted updates. Given, each is on disk before it counts, and
        the mean is taken at the end, in the order of the sites' names: the same
        updates give the same bits, whatever the order of arrival. None folds each
        update in as it comes and keeps none.
    kept
        What was accepted before a crash. Its sites are not asked.
    shared
        For the sum of an evaluation: how many float32 numbers each reply brings. They
        are kept and never averaged.
    keys
        For such a sum: the signed keys of its sites, which all of them get.
    """

    number: int
    kind: TaskKind
    study: StudyId
    run: RunId
    study_digest: Sha256
    model: Path
    result: Path
    nodes: Mapping[SiteId, int]
    quorum: int
    deadline_s: float | None = None
    spool: Path | None = None
    kept: tuple[KeptUpdate, ...] = ()
    shared: int | None = None
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SiteReply:
    """One site's reply as announced before it counts.

    `update_digest` and `update_norm` (L2) are None for an evaluation; the
    digest is over the update's little-endian float32 bytes, computed here.
    """

    site: SiteId
    report: dict[str, object]
    signature: str
    update_digest: Sha256 | None
    update_norm: float | None
    seconds: float


@dataclass(frozen=True, slots=True)
class RoundOutcome:
    """What came of a round. `result` is None if the quorum was missed or nothing was to be summed.

    `accepted` are the replies of this order, without those kept before; `refusals`
    names every site that was asked and did not count, with its code. A round that
    was stopped has not `reached` anything.
    """

    number: int
    accepted: tuple[SiteReply, ...]
    refusals: tuple[Refusal, ...]
    counted: int
    reached: bool
    quorum: int
    result: Path | None
    seconds: float

    def check_quorum(self) -> Self:
        """Return this outcome.

        Raises
        ------
        QuorumNotReachedError
            If too few replies were accepted.
        """
        if not self.reached:
            raise QuorumNotReachedError(
                round=self.number, accepted=self.counted, quorum=self.quorum
            )
        return self


Judge = Callable[[SiteReply], float]
"""Return a reply's weight (positive), or raise the coded error that refuses it."""

Kept = Callable[[SiteReply, float, Path | None], None]
"""Told of a reply that counts: its weight, and its update's file, which is on disk by now.

None without a spool, and for an evaluation. The file may be moved, not changed.
"""

Wake = Callable[[Sequence[SiteId]], None]
Progress = Callable[[int, int], None]


def _ignore(*_: object) -> None:
    return None


@dataclass(slots=True)
class _Heard:
    accepted: list[tuple[SiteReply, float]] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)


class RoundDriver:
    """The driver process of one run.

    Parameters
    ----------
    home
        The centre's folder; its run/ and logs/ are used.
    address
        Where the SuperLink listens, from `superlink_address`.
    """

    def __init__(self, *, home: Path, address: str) -> None:
        self._home = home
        self._address = address
        self._log = home / "logs" / "driver.log"
        self._process: subprocess.Popen[str] | None = None
        self._writing = threading.Lock()
        self._in_round = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """Return the driver's process id, once started."""
        return None if self._process is None else self._process.pid

    def start(self) -> OpenedRun:
        """Start the process and the run.

        Raises
        ------
        SuperLinkUnreachableError, FlowerRefusedError
            If the SuperLink does not start the run.
        RoundDriverDiedError
            If the process ended.
        """
        self._log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "federation.server_app.driver"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                encoding="utf-8",
                env={**flower_environment(self._home), **CHILD_THREADS},
                start_new_session=True,
            )
        self._say(
            do="open",
            address=self._address,
            secret_file=str(self._home / "run" / "superexec.secret"),
            lock=str(self._home / "run" / "acquire.lock"),
        )
        opened = self._hear("opened")
        return OpenedRun(str(opened["flower_run"]), str(opened["bundle_digest"]))

    def run_round(
        self,
        order: RoundOrder,
        *,
        judge: Judge,
        kept: Kept = _ignore,
        wake: Wake = _ignore,
        progress: Progress = _ignore,
    ) -> RoundOutcome:
        """Do one round and return what came of it.

        `judge` sees each reply first, `kept` each that counts, before the next one is
        taken; `wake` is called with the sites whose tasks wait at the SuperLink;
        `progress` with accepted and asked.

        Raises
        ------
        SuperLinkUnreachableError, FlowerRefusedError, RoundDriverDiedError
            If the SuperLink was lost, or the process ended: order it again, from a
            new driver.
        DiskFullError
            If an update found no room; order it again when there is some.
        KeptUpdateDamagedError
            If a kept update is not what it was: ask its site instead.
        """
        self._begin(order)
        heard = _Heard()
        try:
            while (event := self._hear())["event"] != "done":
                self._follow(event, heard, judge, kept, wake, progress)
        finally:
            with self._writing:
                self._in_round = False
        return _outcome(order, event, heard)

    def _begin(self, order: RoundOrder) -> None:
        with self._writing:
            self._write(
                do="round",
                number=order.number,
                kind=order.kind.value,
                study=order.study,
                run=order.run,
                study_digest=order.study_digest,
                model=str(order.model),
                result=str(order.result),
                sites={site: str(node) for site, node in order.nodes.items()},
                quorum=order.quorum,
                deadline_s=order.deadline_s,
                spool=None if order.spool is None else str(order.spool),
                kept=[_kept_as_json(update) for update in order.kept],
                shared=order.shared,
                keys=list(order.keys),
            )
            self._in_round = True

    def _follow(
        self,
        event: dict[str, Any],
        heard: _Heard,
        judge: Judge,
        kept: Kept,
        wake: Wake,
        progress: Progress,
    ) -> None:
        match event["event"]:
            case "dispatched":
                if event["sites"]:
                    wake([SiteId(site) for site in event["sites"]])
            case "progress":
                progress(int(event["arrived"]), int(event["asked"]))
            case "refused":
                refusal = Refusal(SiteId(event["site"]), event["code"], event["what"])
                heard.refusals.append(refusal)
            case "reply":
                self._judge(_reply(event), heard, judge)
            case "kept":
                reply, weight = heard.accepted[-1]
                path = event["path"]
                kept(reply, weight, None if path is None else Path(path))
            case _:
                raise self._died(f"said {event['event']}")

    def _judge(self, reply: SiteReply, heard: _Heard, judge: Judge) -> None:
        try:
            weight = judge(reply)
        except PlatformError as error:
            heard.refusals.append(Refusal(reply.site, error.code, error.say_what()))
            self._say(do="verdict", site=reply.site, accept=False)
            return
        heard.accepted.append((reply, weight))
        self._say(do="verdict", site=reply.site, accept=True, weight=weight)

    def ask_again(self, site: SiteId, node: int) -> None:
        """Ask a site once more if it is still waited for: its node lost the task.

        The first of its replies counts. Any thread may call this, as `give_up` and
        `stop`; between rounds, and for a driver that is gone, nothing happens.
        """
        self._aside(do="ask_again", site=site, node=str(node))

    def give_up(self, site: SiteId, reason: PlatformError) -> None:
        """Do not wait for a site any longer in the present round; it is refused with the reason."""
        self._aside(do="give_up", site=site, code=reason.code, what=reason.say_what())

    def stop(self) -> None:
        """Do not wait for anybody any longer: the present round ends within about a second."""
        self._aside(do="stop")

    def _aside(self, **command: object) -> None:
        with self._writing, suppress(RoundDriverDiedError):  # the round itself says that it died
            if self._in_round:
                self._write(**command)

    def close(self) -> None:
        """End the run and the process; safe to call twice and after a failure."""
        process = self._process
        if process is None:
            return
        self._process = None
        if process.stdin is not None:
            for last in (partial(process.stdin.write, '{"do":"close"}\n'), process.stdin.close):
                with suppress(OSError):
                    last()
        try:
            process.wait(_CLOSE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()

    def _say(self, **command: object) -> None:
        with self._writing:
            self._write(**command)

    def _write(self, **command: object) -> None:
        process = self._process
        if process is None or process.stdin is None:
            raise self._died("not started")
        try:
            process.stdin.write(json.dumps(command, separators=(",", ":")) + "\n")
            process.stdin.flush()
        except (OSError, ValueError) as error:
            raise self._died("closed its input") from error

    def _hear(self, wanted: str | None = None) -> dict[str, Any]:
        process = self._process
        if process is None or process.stdout is None:
            raise self._died("not started")
        line = process.stdout.readline()
        if not line.endswith("\n"):  # the end, or what was cut off by it
            raise self._died(f"exit status {process.wait()}")
        event: dict[str, Any] = json.loads(line)
        if event["event"] == "failed":
            raise self._rebuilt(event)
        if wanted is not None and event["event"] != wanted:
            raise self._died(f"said {event['event']}, not {wanted}")
        return event

    def _rebuilt(self, event: dict[str, Any]) -> PlatformError:
        kind = error_of_code(str(event["code"]))
        try:
            return self._died(event["code"]) if kind is None else kind(**event["values"])
        except TypeError:
            return self._died(event["code"])

    def _died(self, status: str) -> RoundDriverDiedError:
        return RoundDriverDiedError(status=status, log=self._log)


def _kept_as_json(update: KeptUpdate) -> dict[str, object]:
    return {
        "site": update.site,
        "path": None if update.path is None else str(update.path),
        "weight": update.weight,
        "digest": update.digest,
    }


def _reply(event: dict[str, Any]) -> SiteReply:
    digest, norm = event["update_digest"], event["update_norm"]
    return SiteReply(
        site=SiteId(event["site"]),
        report=event["report"],
        signature=event["signature"],
        update_digest=None if digest is None else Sha256(digest),
        update_norm=None if norm is None else float(norm),
        seconds=float(event["seconds"]),
    )


def _outcome(order: RoundOrder, event: dict[str, Any], heard: _Heard) -> RoundOutcome:
    folded = set(event["accepted"])
    return RoundOutcome(
        number=order.number,
        accepted=tuple(reply for reply, _ in heard.accepted if reply.site in folded),
        refusals=tuple(heard.refusals),
        counted=len(folded),
        reached=bool(event["reached"]),
        quorum=order.quorum,
        result=None if event["result"] is None else Path(event["result"]),
        seconds=float(event["seconds"]),
    )


def wait_online(
    look: Callable[[], Mapping[SiteId, Any]], sites: Sequence[SiteId], *, timeout_s: float
) -> frozenset[SiteId]:
    """Return the sites whose nodes are connected, once all are or the time is over.

    `look` returns what `superlink.list_nodes` returns.
    """
    end = time.monotonic() + timeout_s
    while True:
        nodes = look()
        online = frozenset(site for site in sites if site in nodes and nodes[site].online)
        if len(online) == len(sites) or time.monotonic() > end:
            return online
        time.sleep(0.1)
