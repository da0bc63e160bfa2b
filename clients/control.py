"""The hospital's end of the control channel: dial, keep open, come back.

The node opens the one connection there is, outbound, and holds it. What arrives
is verified and becomes a file (`proposals/`, `run/notices/`) or a wake-up; what
staff sign becomes a message (`decisions/`, `cards/`) and is sent again after
every reconnect until the centre has it. A refusal is told in words and followed
by a long pause; a lost line by a short one. Needs grpcio; imported by the agent
only.
"""

import asyncio
import json
import logging
import random
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

from clients.centre_word import hear_centre
from clients.checkup_desk import CheckupDesk, Examine
from clients.heads import check_heads, known_heads, take_heads
from clients.home import NodeHome, NodeSettings
from clients.ledger_store import LedgerStore
from clients.proposals import take_proposal, withdraw_proposal
from federation import provenance
from federation.domain.ids import Sha256, StudyId
from federation.errors import PlatformError
from federation.errors.control import (
    CentreUnreachableError,
    ClockSkewError,
    PeerSilentError,
    ProtocolBrokenError,
)
from federation.errors.enrolment import NotJoinedError
from federation.evidence.dsse import read_envelope
from federation.evidence.statements import Statement
from federation.evidence.verification import PublicKey
from federation.homes import parse_address, read_private
from federation.pki.handshakes import Side, client_context, explain_handshake_failure
from federation.protocol import mapping
from federation.protocol.generated import control_pb2 as pb
from federation.protocol.generated import control_pb2_grpc
from federation.protocol.mapping import Card, Hello, Progress, Receipt, SignedDecision
from federation.protocol.transport import grpc
from federation.storage import write_atomic

log = logging.getLogger(__name__)

CAPABILITIES = ("train", "evaluate", "fleet-h1", "checkup")

_DECISION = ".dsse.json"


class ChannelState(Enum):
    """How the node stands with its centre."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    REFUSED = "refused"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class ChannelStatus:
    """The channel's state, since when, and the last coded reason it was not connected."""

    state: ChannelState
    since: datetime
    centre_software: str = ""
    error: PlatformError | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """How patient the client is, in seconds.

    While the centre cannot be reached, `first` doubles up to `restarting` for as long
    as a restart may take (`restart_within`), and up to `longest` after that; `refused`
    follows a refusal, `corrected` one that heals by itself (the clock).
    """

    first_s: float = 0.2
    restarting_s: float = 2.0
    restart_within_s: float = 300.0
    longest_s: float = 30.0
    refused_s: float = 300.0
    corrected_s: float = 30.0
    dial_s: float = 10.0
    scan_s: float = 0.25

    def next_s(self, delay_s: float, *, lost_for_s: float) -> float:
        """Return how long to wait after a wait of `delay_s`, the line lost for so long."""
        is_restart = lost_for_s < self.restart_within_s
        return min(2 * delay_s, self.restarting_s if is_restart else self.longest_s)

    def after_refusal_s(self, refusal: PlatformError) -> float:
        """Return how long to wait after a refusal."""
        return self.corrected_s if isinstance(refusal, ClockSkewError) else self.refused_s


@dataclass(frozen=True, slots=True)
class _End:
    """Why a connection ended: told no, or lost; and whether it had been welcome."""

    error: PlatformError
    refused: bool
    welcomed: bool


@dataclass(frozen=True, slots=True)
class _Outgoing:
    """One document of the staff on its way: its file, its digest and its message."""

    path: Path
    digest: Sha256
    message: Any


@dataclass(slots=True)
class _Line:
    """One welcome connection: its stream, its rhythm, what was sent on it."""

    stream: Any
    heartbeat_s: float
    sent: set[Sha256] = field(default_factory=set)
    has_heard: bool = False
    looking: "set[asyncio.Task[None]]" = field(default_factory=set)
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def silent_after_s(self) -> float:
        return max(3 * self.heartbeat_s, 1.0) + 4.0

    async def say(self, message: Any) -> None:
        async with self.writing:
            await self.stream.write(message)


class ControlClient:
    """Hold the node's control channel open for as long as `run` runs."""

    def __init__(
        self,
        home: NodeHome,
        *,
        on_wake: Callable[[], None],
        progress: Callable[[], Progress],
        on_change: Callable[[], None] = lambda: None,
        on_fleet_started: Callable[[], None] = lambda: None,
        on_connected: Callable[[], None] = lambda: None,
        pace: Pace | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        protocol_version: int = mapping.PROTOCOL_VERSION,
        examine: Examine | None = None,
    ) -> None:
        self._home = home
        self._desk = CheckupDesk(home, examine=examine, clock=clock)
        self._on_wake = on_wake
        self._progress = progress
        self._on_change = on_change
        self._on_fleet_started = on_fleet_started
        self._on_connected = on_connected
        self._fleet_epoch = 0
        self._pace = pace or Pace()
        self._clock = clock
        self._protocol_version = protocol_version
        self._received_by_centre: set[Sha256] = set()
        self.status = ChannelStatus(ChannelState.CONNECTING, clock())

    async def run(self) -> None:
        """Connect, and connect again, until cancelled."""
        delay_s, lost_at = self._pace.first_s, time.monotonic()
        while True:
            end = await self._connection()
            self._became(
                ChannelState.REFUSED if end.refused else ChannelState.LOST, error=end.error
            )
            log.warning("[%s] %s", end.error.code, end.error.say())
            if end.welcomed:
                delay_s, lost_at = self._pace.first_s, time.monotonic()
            wait_s = self._pace.after_refusal_s(end.error) if end.refused else delay_s
            await self._pause(wait_s)
            delay_s = self._pace.next_s(delay_s, lost_for_s=time.monotonic() - lost_at)

    async def _connection(self) -> _End:
        """Dial once and talk until the line ends, however it ends."""
        welcomed = False
        try:
            settings = self._home.settings()
            async with self._channel(settings) as channel:
                stream = control_pb2_grpc.ControlStub(channel).Connect()
                welcome = await self._greet(stream, settings)
                if isinstance(welcome, PlatformError):
                    return _End(welcome, refused=True, welcomed=False)
                welcomed = True
                problem = await asyncio.to_thread(self._compare_heads, bytes(welcome.heads))
                self._became(
                    ChannelState.CONNECTED, centre_software=welcome.software_version, error=problem
                )
                log.info("connected to %s", settings.address)
                self._on_connected()
                self._note_fleet(welcome.fleet_epoch)
                return await self._converse(_Line(stream, welcome.heartbeat_s))
        except grpc.RpcError as error:
            return await self._explain(error, settings, welcomed=welcomed)
        except PlatformError as error:
            return _End(error, refused=False, welcomed=welcomed)

    def _channel(self, settings: NodeSettings) -> Any:
        if not self._home.has_joined:
            raise NotJoinedError(site=settings.site)
        credentials = grpc.ssl_channel_credentials(
            root_certificates=self._home.authority_certificate.read_bytes(),
            private_key=read_private(self._home.tls_key),
            certificate_chain=self._home.tls_certificate.read_bytes(),
        )
        options = (
            *mapping.CHANNEL_OPTIONS,
            ("grpc.use_local_subchannel_pool", 1),  # no back-off remembered from before
            ("grpc.enable_http_proxy", 0),
        )
        return grpc.aio.secure_channel(settings.address, credentials, options=options)

    async def _greet(self, stream: Any, settings: NodeSettings) -> Any:
        """Say hello; return the welcome, or the refusal as an error value."""
        hello = Hello(
            site=settings.site,
            protocol_version=self._protocol_version,
            software_version=provenance.software_version(),
            capabilities=CAPABILITIES,
            wheel_digest=provenance.code_digest(),
            clock_unix_ms=self._now_ms(),
        )
        try:
            async with asyncio.timeout(self._pace.dial_s):
                await stream.write(mapping.write_hello(hello))
                answer = await stream.read()
        except TimeoutError as error:
            raise CentreUnreachableError(
                address=settings.address, why=f"no answer within {self._pace.dial_s:g} s"
            ) from error
        kind = _kind(answer)
        if kind == "refused":
            return mapping.read_refusal(answer.refused)
        if kind != "welcome":
            raise ProtocolBrokenError(why="the centre's first word is neither welcome nor refusal")
        return answer.welcome

    def _compare_heads(self, given: bytes) -> PlatformError | None:
        """Keep what the centre gave back, and return why book or log do not continue it.

        Then staff see it with the node's state, and the executor, which asks the same
        before every message, trains nobody. The line stays up for what is not training.
        """
        try:
            if given:
                take_heads(self._home, given)
            if known_heads(self._home) is not None:
                officer = PublicKey.load(self._home.officer_public_key)
                check_heads(self._home, books=LedgerStore(self._home.ledger, officer=officer))
        except PlatformError as error:
            log.error("[%s] %s", error.code, error.say())
            return error
        return None

    async def _converse(self, line: _Line) -> _End:
        parts = [
            asyncio.ensure_future(self._listen(line)),
            asyncio.ensure_future(self._tend(line)),
        ]
        try:
            done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            return _End(next(iter(done)).result(), refused=True, welcomed=True)
        except (PlatformError, grpc.RpcError) as error:
            if (refusal := _refusal_beside(error)) is not None:
                return _End(refusal, refused=True, welcomed=True)
            if isinstance(error, PlatformError):
                return _End(error, refused=False, welcomed=True)
            lost = CentreUnreachableError(
                address=self._home.settings().address, why="the connection ended"
            )
            return _End(lost, refused=False, welcomed=True)
        finally:
            for part in (ended := [*parts, *line.looking]):
                part.cancel()
            await asyncio.gather(*ended, return_exceptions=True)

    async def _listen(self, line: _Line) -> PlatformError:
        """Act on what the centre says; return the refusal that ends it."""
        acts: dict[str, Callable[[_Line, Any], Awaitable[None]]] = {
            "heartbeat": self._hear,
            "wake": self._wake,
            "proposal": self._take_proposal,
            "withdrawn": self._withdraw,
            "run_notice": self._take_notice,
            "decision_received": self._note_decision_receipt,
            "card_received": self._note_card_receipt,
            "checkup": self._take_checkup,
        }
        while True:
            try:
                async with asyncio.timeout(line.silent_after_s):  # wait_for loses cancellations
                    message = await line.stream.read()
            except TimeoutError as error:
                raise PeerSilentError(peer="centre", seconds=round(line.silent_after_s)) from error
            kind = _kind(message)
            if kind == "refused":
                return mapping.read_refusal(message.refused)
            if kind is None:
                raise CentreUnreachableError(
                    address=self._home.settings().address, why="it closed the connection"
                )
            if kind not in acts:
                raise ProtocolBrokenError(why=f"{kind} was not expected here")
            await acts[kind](line, getattr(message, kind))

    async def _tend(self, line: _Line) -> PlatformError:
        """Send heartbeats and whatever staff signed; never returns."""
        said, said_at = None, 0.0
        while True:
            for outgoing in await asyncio.to_thread(lambda: list(self._waiting(line))):
                line.sent.add(outgoing.digest)
                await line.say(outgoing.message)
            progress = self._progress()
            doing = replace(progress, free_disk_bytes=0)
            if doing != said or time.monotonic() - said_at >= line.heartbeat_s:
                said, said_at = doing, time.monotonic()
                await line.say(mapping.write_heartbeat(progress, clock_unix_ms=self._now_ms()))
            await asyncio.sleep(self._pace.scan_s)

    # -- what the centre sends ------------------------------------------------------

    async def _hear(self, line: _Line, raw: Any) -> None:
        self._note_fleet(raw.fleet_epoch)
        if raw.centre_head or not line.has_heard:
            line.has_heard = True
            problem = await asyncio.to_thread(self._hear_centre, bytes(raw.centre_head))
            if problem is not None:
                self._became(self.status.state, error=problem)

    def _hear_centre(self, word: bytes) -> PlatformError | None:
        """Take in what the centre says of its own log; return why it does not hold."""
        try:
            hear_centre(self._home, word, now=self._clock())
        except PlatformError as error:
            log.error("[%s] %s", error.code, error.say())
            return error
        return None

    async def _wake(self, _line: _Line, _raw: Any) -> None:
        self._on_wake()

    async def _take_proposal(self, line: _Line, raw: Any) -> None:
        proposal = mapping.read_proposal(raw)
        refusal: PlatformError | None = None
        try:
            await asyncio.to_thread(take_proposal, self._home, proposal)
            log.info("study %s was proposed", proposal.study)
        except PlatformError as error:
            refusal = error
            log.warning("[%s] %s", error.code, error.say())
        receipt = Receipt(proposal.study, proposal.study_digest, refusal)
        await line.say(mapping.write_proposal_receipt(receipt))

    async def _withdraw(self, _line: _Line, raw: Any) -> None:
        study = mapping.read_study_id(raw.study)
        await asyncio.to_thread(withdraw_proposal, self._home, study)

    async def _take_notice(self, line: _Line, raw: Any) -> None:
        notice = mapping.read_notice(raw)
        await asyncio.to_thread(keep_notice, self._home.run, notice)
        await line.say(pb.FromNode(notice_received=pb.NoticeReceived(run=notice.run)))

    async def _note_decision_receipt(self, _line: _Line, raw: Any) -> None:
        self._note_receipt("decision", mapping.read_decision_receipt(raw))

    async def _note_card_receipt(self, _line: _Line, raw: Any) -> None:
        self._note_receipt("dataset card", mapping.read_card_receipt(raw))

    def _note_fleet(self, epoch: int) -> None:
        if epoch not in (0, self._fleet_epoch):
            self._fleet_epoch = epoch
            self._on_fleet_started()

    def _note_receipt(self, thing: str, receipt: Receipt) -> None:
        if receipt.refusal is None:
            self._received_by_centre.add(Sha256(receipt.digest))
            log.info("the centre has the %s on study %s", thing, receipt.study)
            return
        log.warning("[%s] %s", receipt.refusal.code, receipt.refusal.say())
        self._became(self.status.state, error=receipt.refusal)

    async def _take_checkup(self, line: _Line, raw: Any) -> None:
        """Look this node over without keeping the line's other messages waiting."""
        asked = mapping.read_checkup(raw, clock_unix_ms=self._now_ms())
        if not self._desk.may_begin():
            report = await self._desk.turn_away(asked)
            await line.say(mapping.write_checkup_report(report))
            return
        task = asyncio.ensure_future(self._report(line, asked))
        line.looking.add(task)
        task.add_done_callback(line.looking.discard)

    async def _report(self, line: _Line, asked: mapping.CheckupRequest) -> None:
        report = await self._desk.report(asked)
        with suppress(grpc.RpcError, asyncio.InvalidStateError):  # the line ended meanwhile
            await line.say(mapping.write_checkup_report(report))

    # -- what the node sends --------------------------------------------------------

    def _waiting(self, line: _Line) -> Iterator[_Outgoing]:
        """Yield every document the centre has not confirmed and this line has not carried."""
        for outgoing in self._documents():
            if outgoing.digest not in self._received_by_centre | line.sent:
                yield outgoing

    def _documents(self) -> Iterator[_Outgoing]:
        for path in sorted(self._home.decisions.glob(f"*{_DECISION}")):
            with suppress(PlatformError, OSError):  # half-written or foreign files stay here
                yield _decision_in(path)
        for path in sorted((self._home.folder / "cards").glob("*.json")):
            with suppress(PlatformError, OSError):
                content = path.read_bytes()
                card = Card(StudyId(path.stem), content)
                yield _Outgoing(path, Sha256.of(content), mapping.write_card(card))

    # -- how it ends ----------------------------------------------------------------

    async def _explain(self, error: Any, settings: NodeSettings, *, welcomed: bool) -> _End:
        """Say in words why no stream came about: refused, wrong certificate, no line."""
        refusal = _refusal_beside(error)
        if refusal is not None:
            return _End(refusal, refused=True, welcomed=welcomed)
        found = await asyncio.to_thread(diagnose, self._home, settings)
        if found is None:
            found = CentreUnreachableError(address=settings.address, why=error.code().name.lower())
        return _End(found, refused=False, welcomed=welcomed)

    async def _pause(self, wait_s: float) -> None:
        """Wait a jittered while, or until the node gets another certificate."""
        until = time.monotonic() + wait_s * random.SystemRandom().uniform(0.5, 1.0)
        certificate = _stamp(self._home.tls_certificate)
        while (left_s := until - time.monotonic()) > 0:
            await asyncio.sleep(min(left_s, 1.0))
            if _stamp(self._home.tls_certificate) != certificate:
                return

    def _became(
        self,
        state: ChannelState,
        *,
        centre_software: str = "",
        error: PlatformError | None = None,
    ) -> None:
        since = self.status.since if state is self.status.state else self._clock()
        software = centre_software or self.status.centre_software
        self.status = ChannelStatus(state, since, software, error)
        self._on_change()

    def _now_ms(self) -> int:
        return int(self._clock().timestamp() * 1000)


def keep_notice(run_folder: Path, notice: mapping.RunNotice) -> None:
    """Keep what the centre vouches for as `notices/RUN.json`, or remove it when the run is over."""
    folder = run_folder / "notices"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{notice.run}.json"
    if notice.over:
        path.unlink(missing_ok=True)
    else:
        write_atomic(path, json.dumps(asdict(notice)).encode())


def diagnose(
    home: NodeHome, settings: NodeSettings, *, within_s: float = 3.0
) -> PlatformError | None:
    """Try a TLS handshake by hand and return in words what is wrong; None when nothing is.

    gRPC only says that it failed. Blocks for at most about twice `within_s`.
    """
    host, port = parse_address(settings.address)
    try:
        raw = socket.create_connection((host, port), timeout=within_s)
    except OSError as error:
        why = error.strerror or type(error).__name__
        return CentreUnreachableError(address=settings.address, why=why)
    try:
        context = client_context(
            certificate=home.tls_certificate,
            key=home.tls_key,
            authority=home.authority_certificate,
            alpn=["h2"],
        )
        with raw, context.wrap_socket(raw, server_hostname=host) as connection:
            connection.settimeout(min(within_s, 1.0))
            connection.recv(1)  # in TLS 1.3 the centre's no comes with the first read
    except TimeoutError:
        return None  # it waits for us to speak: the handshake was good
    except (ssl.SSLError, OSError) as error:
        return explain_handshake_failure(
            error, seen_by=Side.NODE, node=settings.site, centre=settings.address
        )
    return None


def _kind(message: Any) -> str | None:
    """Return what a message is, or None at the stream's end."""
    return str(message.WhichOneof("kind")) if isinstance(message, pb.FromCentre) else None


def _refusal_beside(error: Any) -> PlatformError | None:
    """Return the coded no that travelled with a stream's status, if any."""
    if not isinstance(error, grpc.RpcError):
        return None
    call: Any = error
    metadata = dict(call.trailing_metadata() or ())
    raw = metadata.get(mapping.REFUSAL_KEY)
    return mapping.read_refusal(pb.Refused.FromString(raw)) if raw else None


def _decision_in(path: Path) -> _Outgoing:
    """Return a signed decision as a message; which study and version it is about it says itself."""
    content = path.read_bytes()
    statement = Statement.from_bytes(read_envelope(content).payload)
    decision = SignedDecision(
        study=StudyId(path.name.removesuffix(_DECISION)),
        study_digest=statement.subjects[0].digest,
        envelope=content,
    )
    return _Outgoing(path, Sha256.of(content), mapping.write_decision(decision))


def _stamp(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0
