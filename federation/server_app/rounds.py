"""Run rounds from a flow: a typed handle on the driver process.

    with RoundDriver(home=centre_home, address=address) as driver:
        opened = driver.start()                 # tell the nodes: run and bundle
        outcome = driver.run_round(order, judge=judge)

`judge` sees each reply before it counts: it returns the weight of the update,
or raises the coded error for which it is refused. Arrays never pass through
here. The driver is a process of its own because Flower keeps a run's identity
in globals and may end its own process; that it died is a coded error, with the
last lines of its log in the log file named.
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
        The fewest accepted replies that make a round.
    deadline_s
        After this time the round goes on without whoever is missing.
    ceiling
        Largest possible sum of weights. Given, the mean's bits do not depend on
        the order of arrival (`OrderFreeMean`); None folds faster.
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
    deadline_s: float
    ceiling: float | None = None


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

    `refusals` names every site that was asked and did not count, with its code.
    """

    number: int
    accepted: tuple[SiteReply, ...]
    refusals: tuple[Refusal, ...]
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
            accepted = len(self.accepted)
            raise QuorumNotReachedError(round=self.number, accepted=accepted, quorum=self.quorum)
        return self


Judge = Callable[[SiteReply], float]
"""Return a reply's weight (positive), or raise the coded error that refuses it."""

Wake = Callable[[Sequence[SiteId]], None]
Progress = Callable[[int, int], None]


def _ignore(*_: object) -> None:
    return None


@dataclass(slots=True)
class _Heard:
    accepted: list[SiteReply] = field(default_factory=list)
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
        wake: Wake = _ignore,
        progress: Progress = _ignore,
    ) -> RoundOutcome:
        """Do one round and return what came of it.

        `wake` is called with the sites once their tasks wait at the SuperLink;
        `progress` with accepted and asked.

        Raises
        ------
        RoundDriverDiedError
            If the process ended.
        SuperLinkUnreachableError, FlowerRefusedError
            If the SuperLink was lost.
        """
        self._say(
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
            ceiling=order.ceiling,
        )
        heard = _Heard()
        while True:
            event = self._hear()
            if event["event"] == "done":
                return _outcome(order, event, heard)
            self._follow(event, heard, judge, wake, progress)

    def _follow(
        self,
        event: dict[str, Any],
        heard: _Heard,
        judge: Judge,
        wake: Wake,
        progress: Progress,
    ) -> None:
        match event["event"]:
            case "dispatched":
                wake([SiteId(site) for site in event["sites"]])
            case "progress":
                progress(int(event["arrived"]), int(event["asked"]))
            case "refused":
                refusal = Refusal(SiteId(event["site"]), event["code"], event["what"])
                heard.refusals.append(refusal)
            case "reply":
                self._judge(_reply(event), heard, judge)
            case _:
                raise self._died(f"said {event['event']}")

    def _judge(self, reply: SiteReply, heard: _Heard, judge: Judge) -> None:
        try:
            weight = judge(reply)
        except PlatformError as error:
            heard.refusals.append(Refusal(reply.site, error.code, error.say_what()))
            self._say(do="verdict", site=reply.site, accept=False)
            return
        heard.accepted.append(reply)
        self._say(do="verdict", site=reply.site, accept=True, weight=weight)

    def give_up(self, site: SiteId) -> None:
        """Do not wait for a site any longer in the present round; any thread may call this."""
        self._say(do="give_up", site=site)

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
        process = self._process
        if process is None or process.stdin is None:
            raise self._died("not started")
        line = json.dumps(command, separators=(",", ":")) + "\n"
        try:
            with self._writing:
                process.stdin.write(line)
                process.stdin.flush()
        except (OSError, ValueError) as error:
            raise self._died("closed its input") from error

    def _hear(self, wanted: str | None = None) -> dict[str, Any]:
        process = self._process
        if process is None or process.stdout is None:
            raise self._died("not started")
        line = process.stdout.readline()
        if not line:
            status = process.wait()
            raise self._died(f"exit status {status}")
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
        accepted=tuple(reply for reply in heard.accepted if reply.site in folded),
        refusals=tuple(heard.refusals),
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
