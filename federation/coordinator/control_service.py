"""The centre's end of the control channel.

One stream per node. Who speaks is looked up by the connection it came through
(`Callers`, filled by the front door), never taken from a message. A stream goes:
hello, welcome or a coded refusal, everything that waits for this site, then
messages both ways until either side leaves. Needs grpcio; imported by the
serving process only.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from federation.coordinator.front_door import Caller
from federation.coordinator.records import ControlRecords, Noticed, Proposed
from federation.coordinator.sites import Sites
from federation.domain.ids import Sha256, SiteId, StudyId
from federation.errors import PlatformError
from federation.errors.control import (
    ClockSkewError,
    ConnectionReplacedError,
    PeerSilentError,
    ProtocolBrokenError,
    SiteMismatchError,
    StrangerError,
    VersionMismatchError,
)
from federation.errors.observation import (
    CheckupUnansweredError,
    CheckupUnsupportedError,
    SiteNotConnectedError,
)
from federation.observability.context import within
from federation.protocol import mapping
from federation.protocol.generated import control_pb2 as pb
from federation.protocol.generated import control_pb2_grpc
from federation.protocol.mapping import CheckupReport, Hello, Receipt, SignedDecision
from federation.protocol.transport import grpc

log = logging.getLogger(__name__)

_CHECKUP = "checkup"
"""The capability of a node that can look itself over."""

VerifyDecision = Callable[[SiteId, SignedDecision], None]
"""Return if the site's enrolled data officer signed this decision, else raise a coded error."""

CentreHeadOf = Callable[[SiteId], bytes]
"""Returns what a site is shown of the centre's log; empty where nothing was ever logged."""


@dataclass(frozen=True, slots=True)
class ChannelSettings:
    """How the centre names itself and how patient it is."""

    centre: str
    software_version: str
    heartbeat_s: float = 2.0
    hello_within_s: float = 10.0

    @property
    def silent_after_s(self) -> float:
        """Return after how long a silent node counts as gone."""
        return max(3 * self.heartbeat_s, 1.0) + 4.0


@dataclass(slots=True, eq=False)
class _Session:
    """One welcome node's open stream: what waits to be sent, and why it must end."""

    site: SiteId
    peer: str
    outbox: "asyncio.Queue[pb.FromCentre]" = field(default_factory=asyncio.Queue)
    told: bytes = b""
    ended_by: PlatformError | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def end(self, reason: PlatformError) -> None:
        self.ended_by = self.ended_by or reason
        self.over.set()


class _Receipts:
    """Which site has which thing, and a way to wait for it."""

    def __init__(self) -> None:
        self._known: set[tuple[SiteId, str]] = set()
        self._changed = asyncio.Event()

    def note(self, site: SiteId, key: str) -> None:
        self._known.add((site, key))
        self._changed.set()
        self._changed = asyncio.Event()

    def forget(self, key: str) -> None:
        self._known = {item for item in self._known if item[1] != key}

    def of(self, sites: Iterable[SiteId], key: str) -> list[SiteId]:
        return sorted(site for site in set(sites) if (site, key) in self._known)

    async def wait(self, sites: Iterable[SiteId], key: str, *, timeout_s: float) -> list[SiteId]:
        wanted = set(sites)
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while len(self.of(wanted, key)) < len(wanted):
                    await self._changed.wait()
        return self.of(wanted, key)


class ControlService(control_pb2_grpc.ControlServicer):  # type: ignore[misc]
    """Serve the nodes' streams and reach the nodes through them."""

    def __init__(
        self,
        *,
        callers: Mapping[str, Caller],
        records: ControlRecords,
        sites: Sites,
        settings: ChannelSettings,
        verify_decision: VerifyDecision,
        centre_head: CentreHeadOf = lambda _site: b"",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._callers = callers
        self._records = records
        self._sites = sites
        self._settings = settings
        self._verify_decision = verify_decision
        self._centre_head = centre_head
        self._clock = clock
        self._fleet_epoch = 0
        self._sessions: dict[SiteId, _Session] = {}
        self._receipts = _Receipts()
        self._checkups: dict[tuple[SiteId, str], asyncio.Future[CheckupReport]] = {}

    async def Connect(self, _requests: object, context: Any) -> None:  # noqa: N802 - gRPC's name
        """Serve one node's stream from its hello to its end."""
        caller = self._callers.get(context.peer())
        if caller is None:
            await _refuse(context, StrangerError())
            return
        try:
            hello = await self._greet(caller, context)
        except PlatformError as refusal:
            self._note_refusal(caller, refusal)
            await _refuse(context, refusal)
            return
        with within(site=hello.site):
            session = self._open(hello, context.peer())
            try:
                await self._converse(session, context)
                if session.ended_by is not None:
                    await _refuse(context, session.ended_by)
            finally:
                self._close(session)

    # -- what the rest of the centre asks for ------------------------------------

    async def propose(self, proposed: Proposed, *, wait_s: float = 0.0) -> list[SiteId]:
        """Keep a proposal, send it, and return the sites that have it within `wait_s`."""
        key = _proposal_key(proposed.proposal.study, proposed.proposal.study_digest)
        await asyncio.to_thread(self._records.propose, proposed)
        self._send(proposed.sites, mapping.write_proposal(proposed.proposal))
        return await self._receipts.wait(proposed.sites, key, timeout_s=wait_s)

    async def withdraw(self, study: StudyId) -> list[SiteId]:
        """Take a proposal back and return the sites told at once."""
        sites = await asyncio.to_thread(self._records.withdraw, study)
        return self._send(sites, pb.FromCentre(withdrawn=pb.Withdrawn(study=study)))

    async def notify(self, noticed: Noticed, *, wait_s: float = 0.0) -> list[SiteId]:
        """Vouch for a run (or end it) and return the sites that know within `wait_s`."""
        key = f"notice/{noticed.notice.run}"
        self._receipts.forget(key)
        await asyncio.to_thread(self._records.notice, noticed)
        self._send(noticed.sites, mapping.write_notice(noticed.notice))
        return await self._receipts.wait(noticed.sites, key, timeout_s=wait_s)

    def wake(self, sites: Iterable[SiteId] = ()) -> list[SiteId]:
        """Tell sites (or all) that a task waits; return those that were connected."""
        return self._send(set(sites) or self._sessions.keys(), pb.FromCentre(wake=pb.Wake()))

    async def checkup(self, site: SiteId, *, wait_s: float) -> CheckupReport:
        """Ask a node to look itself over and return its report, findings or a code.

        Raises
        ------
        SiteNotConnectedError, CheckupUnsupportedError, CheckupUnansweredError
            If it is not there, too old, or silent for `wait_s`.
        """
        session, view = self._sessions.get(site), self._sites.view(site)
        if session is None:
            raise SiteNotConnectedError(site=site)
        if _CHECKUP not in view.capabilities:
            raise CheckupUnsupportedError(site=site, version=view.software_version)
        key = (site, secrets.token_hex(8))
        report: asyncio.Future[CheckupReport] = asyncio.get_running_loop().create_future()
        self._checkups[key] = report
        session.outbox.put_nowait(mapping.write_checkup(key[1], clock_unix_ms=self._now_ms()))
        try:
            async with asyncio.timeout(wait_s):
                return await report
        except TimeoutError as error:
            raise CheckupUnansweredError(site=site, seconds=round(wait_s)) from error
        finally:
            del self._checkups[key]

    def fleet_started(self) -> None:
        """Tell the nodes that the SuperLink is up, anew: theirs have to sign on again."""
        self._fleet_epoch = self._now_ms()
        for session in self._sessions.values():
            session.outbox.put_nowait(self._heartbeat(session))

    def revoked(self, peer: str, refusal: PlatformError) -> None:
        """End the stream that came through a connection, with the words why."""
        for session in self._sessions.values():
            if session.peer == peer:
                session.end(refusal)

    # -- one stream ---------------------------------------------------------------

    async def _greet(self, caller: Caller, context: Any) -> Hello:
        if caller.refusal is not None or caller.site is None:
            raise caller.refusal or StrangerError()
        try:
            async with asyncio.timeout(self._settings.hello_within_s):
                first = await context.read()
        except TimeoutError as error:
            raise ProtocolBrokenError(why="no hello came") from error
        if not isinstance(first, pb.FromNode):  # end of stream
            raise ProtocolBrokenError(why="the stream ended before a hello")
        hello = mapping.read_hello(first)
        self._check(hello, caller.site)
        return hello

    def _check(self, hello: Hello, certified: SiteId) -> None:
        if hello.protocol_version != mapping.PROTOCOL_VERSION:
            raise VersionMismatchError(
                node=hello.protocol_version,
                centre=mapping.PROTOCOL_VERSION,
                node_software=hello.software_version,
                centre_software=self._settings.software_version,
            )
        if hello.site != certified:
            raise SiteMismatchError(said=hello.site, certified=certified)
        skew_s = abs(self._skew_ms(hello)) // 1000
        limit_s = int(mapping.MAX_CLOCK_SKEW.total_seconds())
        if skew_s > limit_s:
            raise ClockSkewError(seconds=skew_s, limit=limit_s)

    def _open(self, hello: Hello, peer: str) -> _Session:
        session = _Session(hello.site, peer)
        if (older := self._sessions.get(hello.site)) is not None:
            older.end(ConnectionReplacedError(site=hello.site))
        self._sessions[hello.site] = session
        self._sites.welcomed(hello, now=self._clock(), clock_skew_ms=self._skew_ms(hello))
        log.info("site %s connected (software %s)", hello.site, hello.software_version)
        for message in self._first_words(hello.site):
            session.outbox.put_nowait(message)
        return session

    def _first_words(self, site: SiteId) -> Iterable[pb.FromCentre]:
        """Yield the welcome and everything that waits for a site."""
        yield pb.FromCentre(
            welcome=pb.Welcome(
                centre=self._settings.centre,
                protocol_version=mapping.PROTOCOL_VERSION,
                software_version=self._settings.software_version,
                clock_unix_ms=self._now_ms(),
                heartbeat_s=self._settings.heartbeat_s,
                fleet_epoch=self._fleet_epoch,
                heads=self._records.heads(site) or b"",
            )
        )
        for item in self._records.proposed_to(site):
            if item.withdrawn:
                yield pb.FromCentre(withdrawn=pb.Withdrawn(study=item.proposal.study))
            else:
                yield mapping.write_proposal(item.proposal)
        for notice in self._records.notices_for(site):
            yield mapping.write_notice(notice)

    def _close(self, session: _Session) -> None:
        if self._sessions.get(session.site) is session:
            del self._sessions[session.site]
            self._sites.left(session.site, now=self._clock())
            self._give_up_checkups(session.site)
            log.info("site %s disconnected", session.site)

    async def _converse(self, session: _Session, context: Any) -> None:
        """Send and receive until either side ends the stream."""
        parts = [
            asyncio.ensure_future(part)
            for part in (
                _drain(session, context),
                self._receive(session, context),
                session.over.wait(),
            )
        ]
        try:
            done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            for part in done:
                part.result()
        except PlatformError as error:
            session.end(error)
            self._sites.refused(session.site, error)
            log.warning("[%s] %s (site %s)", error.code, error.say(), session.site)
        finally:
            for part in parts:
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)

    async def _receive(self, session: _Session, context: Any) -> None:
        limit_s = self._settings.silent_after_s
        while True:
            try:
                async with asyncio.timeout(limit_s):  # wait_for loses cancellations
                    message = await context.read()
            except TimeoutError as error:
                raise PeerSilentError(peer=session.site, seconds=round(limit_s)) from error
            if not isinstance(message, pb.FromNode):  # end of stream
                return
            await self._take(session, message)

    async def _take(self, session: _Session, message: pb.FromNode) -> None:
        kind = message.WhichOneof("kind")
        takes: dict[str, Callable[[_Session, Any], Awaitable[None]]] = {
            "heartbeat": self._take_heartbeat,
            "decision": self._take_decision,
            "dataset_card": self._take_card,
            "proposal_received": self._take_proposal_receipt,
            "notice_received": self._take_notice_receipt,
            "checkup_report": self._take_checkup_report,
        }
        take = takes.get(kind)
        if take is None:
            raise ProtocolBrokenError(why=f"{kind or 'an unknown message'} was not expected here")
        self._sites.heard(session.site, now=self._clock())
        await take(session, getattr(message, kind))

    async def _take_heartbeat(self, session: _Session, raw: pb.NodeHeartbeat) -> None:
        progress = mapping.read_heartbeat(raw)
        self._sites.heard(session.site, now=self._clock(), progress=progress)
        session.outbox.put_nowait(self._heartbeat(session))

    async def _take_decision(self, session: _Session, raw: pb.Decision) -> None:
        decision = mapping.read_decision(raw)
        refusal = await self._attempt(session.site, self._keep_decision, decision)
        receipt = Receipt(decision.study, Sha256.of(decision.envelope), refusal)
        session.outbox.put_nowait(mapping.write_decision_receipt(receipt))

    async def _take_card(self, session: _Session, raw: pb.DatasetCard) -> None:
        card = mapping.read_card(raw)
        refusal = await self._attempt(session.site, self._records.keep_card, card)
        receipt = Receipt(card.study, Sha256.of(card.content), refusal)
        session.outbox.put_nowait(mapping.write_card_receipt(receipt))

    async def _take_proposal_receipt(self, session: _Session, raw: pb.ProposalReceived) -> None:
        receipt = mapping.read_proposal_receipt(raw)
        if receipt.refusal is not None:
            self._sites.refused(session.site, receipt.refusal)
            log.warning("[%s] site %s: %s", receipt.refusal.code, session.site, receipt.refusal)
            return
        self._receipts.note(session.site, _proposal_key(receipt.study, receipt.digest))

    async def _take_notice_receipt(self, session: _Session, raw: pb.NoticeReceived) -> None:
        self._receipts.note(session.site, f"notice/{mapping.read_run_id(raw.run)}")

    async def _take_checkup_report(self, session: _Session, raw: pb.CheckupReport) -> None:
        report = mapping.read_checkup_report(raw)
        asked = self._checkups.get((session.site, report.id))
        if asked is not None and not asked.done():  # else: too late, or never asked
            asked.set_result(report)

    def _give_up_checkups(self, site: SiteId) -> None:
        for (of_site, _), report in self._checkups.items():
            if of_site == site and not report.done():
                report.set_exception(SiteNotConnectedError(site=site))

    def _keep_decision(self, site: SiteId, decision: SignedDecision) -> None:
        self._records.check_asked(site, decision)
        self._verify_decision(site, decision)
        self._records.decide(site, decision)

    async def _attempt(
        self, site: SiteId, work: Callable[[SiteId, Any], None], value: object
    ) -> PlatformError | None:
        """Do the work off the loop (it waits for the disk); return its coded no, if any."""
        try:
            await asyncio.to_thread(work, site, value)
        except PlatformError as error:
            self._sites.refused(site, error)
            log.warning("[%s] site %s: %s", error.code, site, error.say())
            return error
        return None

    def _send(self, sites: Iterable[SiteId], message: pb.FromCentre) -> list[SiteId]:
        reached = sorted(site for site in sites if site in self._sessions)
        for site in reached:
            self._sessions[site].outbox.put_nowait(message)
        return reached

    def _note_refusal(self, caller: Caller, refusal: PlatformError) -> None:
        log.warning("[%s] %s (from %s)", refusal.code, refusal.say(), caller.address)
        if caller.site is not None and caller.site not in self._sessions:
            self._sites.refused(caller.site, refusal)

    def _heartbeat(self, session: _Session) -> pb.FromCentre:
        """Return a heartbeat; the first and any after a change shows the state of the log."""
        shown = self._centre_head(session.site)
        told, session.told = session.told, shown
        return pb.FromCentre(
            heartbeat=pb.CentreHeartbeat(
                clock_unix_ms=self._now_ms(),
                fleet_epoch=self._fleet_epoch,
                centre_head=b"" if shown == told else shown,
            )
        )

    def _skew_ms(self, hello: Hello) -> int:
        return hello.clock_unix_ms - self._now_ms()

    def _now_ms(self) -> int:
        return int(self._clock().timestamp() * 1000)


async def start_control(service: ControlService) -> tuple[grpc.aio.Server, int]:
    """Serve on a free loopback port, which only the front door may use; return server and port."""
    server = grpc.aio.server(options=[*mapping.CHANNEL_OPTIONS, ("grpc.so_reuseport", 0)])
    control_pb2_grpc.add_ControlServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    return server, port


async def _drain(session: _Session, context: Any) -> None:
    while True:
        await context.write(await session.outbox.get())


async def _refuse(context: Any, refusal: PlatformError) -> None:
    """Say no in words, as a message and as the stream's status."""
    context.set_code(grpc.StatusCode.PERMISSION_DENIED)
    context.set_details(f"{refusal.code} {refusal.say_what()}")
    refused = mapping.write_refusal(refusal)
    context.set_trailing_metadata(((mapping.REFUSAL_KEY, refused.SerializeToString()),))
    await context.write(pb.FromCentre(refused=refused))


def _proposal_key(study: StudyId, digest: str) -> str:
    return f"proposal/{study}/{digest}"
