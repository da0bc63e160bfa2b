"""The running centre's local door for its own commands and flows.

A gRPC service on the unix socket `run/admin.sock` (0600 in a folder of 0700):
who may open it is decided by the operating system. `AdminClient` is the typed,
synchronous client; a coded error of the centre is raised again at the caller as
what it was. Needs grpcio: import it only where a centre is talked to.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from federation.coordinator.control_service import ControlService
from federation.coordinator.records import ControlRecords, Noticed, Proposed
from federation.coordinator.sites import Sites, SiteView
from federation.domain.ids import SiteId, StudyId
from federation.errors import PlatformError
from federation.errors.control import CentreBusyError, CentreNotRunningError, ProtocolBrokenError
from federation.protocol import mapping
from federation.protocol.generated import admin_pb2 as pb
from federation.protocol.generated import admin_pb2_grpc
from federation.protocol.generated.control_pb2 import CheckupReport as ReportFromNode
from federation.protocol.generated.control_pb2 import Refused
from federation.protocol.mapping import CheckupReport, Progress, Proposal, RunNotice
from federation.protocol.transport import grpc
from federation.wire.local_sockets import socket_path

SOCKET = "admin.sock"


@dataclass(frozen=True, slots=True)
class LiveCentre:
    """What the running centre says of itself; `port` is the front door's."""

    centre: str
    software_version: str
    started: datetime
    pid: int
    port: int
    superlink: str
    superlink_alive: bool
    superlink_restarts: int
    sites: tuple[SiteView, ...]


class AdminService(admin_pb2_grpc.AdminServicer):  # type: ignore[misc]
    """Serve the local commands of one centre."""

    def __init__(
        self,
        *,
        control: ControlService,
        records: ControlRecords,
        sites: Sites,
        centre: Callable[[], LiveCentre],
        reload_roster: Callable[[], Awaitable[list[SiteId]]],
        shutdown: Callable[[], None],
    ) -> None:
        self._control = control
        self._records = records
        self._sites = sites
        self._centre = centre
        self._reload_roster = reload_roster
        self._shutdown = shutdown

    async def Status(self, request: Any, _context: Any) -> Any:  # noqa: N802 - gRPC's names
        """Return what the centre sees just now."""
        centre = self._centre()
        views = self._sites.views([SiteId(site) for site in request.sites])
        return pb.StatusReply(
            centre=centre.centre,
            software_version=centre.software_version,
            started_unix_ms=_to_ms(centre.started),
            pid=centre.pid,
            port=centre.port,
            superlink=centre.superlink,
            superlink_alive=centre.superlink_alive,
            superlink_restarts=centre.superlink_restarts,
            sites=[_write_view(view) for view in views],
        )

    async def Propose(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Keep and send a proposal."""
        async with _coded(context):
            proposal = mapping.read_proposal(request)
            proposed = Proposed(proposal, tuple(SiteId(site) for site in request.sites))
            sites = await self._control.propose(proposed, wait_s=request.wait_s)
        return pb.DeliveredReply(sites=sites)

    async def Withdraw(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Take a proposal back."""
        async with _coded(context):
            sites = await self._control.withdraw(mapping.read_study_id(request.study))
        return pb.DeliveredReply(sites=sites)

    async def Decisions(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Return the decisions on a study as received."""
        async with _coded(context):
            found = self._records.decisions(mapping.read_study_id(request.study))
        return _documents(found)

    async def Cards(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Return the dataset cards for a study as received."""
        async with _coded(context):
            found = self._records.cards(mapping.read_study_id(request.study))
        return _documents(found)

    async def Wake(self, request: Any, _context: Any) -> Any:  # noqa: N802
        """Tell sites that a task waits."""
        return pb.DeliveredReply(sites=self._control.wake(SiteId(site) for site in request.sites))

    async def Notify(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Vouch for a run at its sites, or end it."""
        async with _coded(context):
            notice = mapping.read_notice(request)
            noticed = Noticed(notice, tuple(SiteId(site) for site in request.sites))
            sites = await self._control.notify(noticed, wait_s=request.wait_s)
        return pb.DeliveredReply(sites=sites)

    async def ReloadRoster(self, _request: Any, context: Any) -> Any:  # noqa: N802
        """Act on a changed roster now."""
        async with _coded(context):
            sites = await self._reload_roster()
        return pb.DeliveredReply(sites=sites)

    async def Checkup(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Ask a node to look itself over; the report goes on as it came."""
        async with _coded(context):
            report = await self._control.checkup(SiteId(request.site), wait_s=request.wait_s)
        message = mapping.write_checkup_report(report).checkup_report
        return pb.CheckupReply(report=message.SerializeToString())

    async def Shutdown(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        """Begin to stop the centre."""
        self._shutdown()
        return pb.Empty()


class _coded:  # noqa: N801 - used as a function
    """Turn a coded error into the call's status, with the error itself beside it."""

    def __init__(self, context: Any) -> None:
        self._context = context

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if isinstance(error, PlatformError):
            await self._context.abort(
                grpc.StatusCode.FAILED_PRECONDITION,
                f"{error.code} {error.say_what()}",
                ((mapping.REFUSAL_KEY, mapping.write_refusal(error).SerializeToString()),),
            )


async def start_admin(service: AdminService, run: Path) -> grpc.aio.Server:
    """Serve on the unix socket in the folder `run`, which only its owner can open."""
    path = socket_path(run, SOCKET)
    server = grpc.aio.server(options=mapping.CHANNEL_OPTIONS)
    admin_pb2_grpc.add_AdminServicer_to_server(service, server)
    server.add_insecure_port(f"unix:{path}")
    await server.start()
    await asyncio.to_thread(path.chmod, 0o600)
    return server


class AdminClient:
    """Talk to the running centre of a home, from the same machine and user.

    Every method raises `CentreNotRunningError` when nobody answers,
    `CentreBusyError` after `timeout_s`, or the centre's own coded error. Safe to
    use from several threads.
    """

    def __init__(self, home: Path, *, timeout_s: float = 10.0) -> None:
        self._home = home
        self._timeout_s = timeout_s
        path = socket_path(home / "run", SOCKET)
        if not path.exists():
            raise CentreNotRunningError(folder=home)
        self._channel = grpc.insecure_channel(
            f"unix:{path}",
            options=[*mapping.CHANNEL_OPTIONS, ("grpc.use_local_subchannel_pool", 1)],
        )
        self._stub = admin_pb2_grpc.AdminStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def status(self, sites: Iterable[SiteId] = ()) -> LiveCentre:
        """Return the centre's state and what it sees of `sites` (default: of all)."""
        reply = self._call(self._stub.Status, pb.StatusRequest(sites=sites))
        return LiveCentre(
            centre=reply.centre,
            software_version=reply.software_version,
            started=_from_ms(reply.started_unix_ms) or datetime.fromtimestamp(0, UTC),
            pid=reply.pid,
            port=reply.port,
            superlink=reply.superlink,
            superlink_alive=reply.superlink_alive,
            superlink_restarts=reply.superlink_restarts,
            sites=tuple(_read_view(raw) for raw in reply.sites),
        )

    def propose(
        self, proposal: Proposal, *, sites: Iterable[SiteId], wait_s: float = 0.0
    ) -> tuple[SiteId, ...]:
        """Propose a study; return the sites that confirmed it within `wait_s`.

        The others get it when they connect next.
        """
        request = pb.ProposeRequest(
            study_id=proposal.study,
            study=proposal.content,
            study_digest=proposal.study_digest,
            recipe_digest=proposal.recipe_digest,
            envelope=proposal.envelope,
            sites=sites,
            wait_s=wait_s,
        )
        return self._delivered(self._stub.Propose, request, extra_s=wait_s)

    def withdraw(self, study: StudyId) -> tuple[SiteId, ...]:
        """Take a proposal back; return the sites told at once."""
        return self._delivered(self._stub.Withdraw, pb.StudyRequest(study=study))

    def decisions(self, study: StudyId) -> dict[SiteId, bytes]:
        """Return the verified decisions received on a study: DSSE envelopes (JSON) by site."""
        return self._documents(self._stub.Decisions, study)

    def cards(self, study: StudyId) -> dict[SiteId, bytes]:
        """Return the dataset cards received for a study: JSON by site."""
        return self._documents(self._stub.Cards, study)

    def wake(self, sites: Iterable[SiteId] = ()) -> tuple[SiteId, ...]:
        """Tell sites (default: all) that a task waits; return those connected."""
        return self._delivered(self._stub.Wake, pb.WakeRequest(sites=sites))

    def notify(
        self, notice: RunNotice, *, sites: Iterable[SiteId], wait_s: float = 2.0
    ) -> tuple[SiteId, ...]:
        """Vouch for a run at its sites, or end it; return those that know within `wait_s`."""
        request = pb.NotifyRequest(
            study=notice.study,
            run=notice.run,
            flower_run=notice.flower_run,
            bundle_digest=notice.bundle_digest,
            over=notice.over,
            sites=sites,
            wait_s=wait_s,
        )
        return self._delivered(self._stub.Notify, request, extra_s=wait_s)

    def checkup(self, site: SiteId, *, wait_s: float) -> CheckupReport:
        """Return what a node finds when it looks itself over, within `wait_s`."""
        request = pb.CheckupRequest(site=site, wait_s=wait_s)
        reply = self._call(self._stub.Checkup, request, extra_s=wait_s)
        return mapping.read_checkup_report(ReportFromNode.FromString(reply.report))

    def reload_roster(self) -> tuple[SiteId, ...]:
        """Make the centre act on the roster now; return the sites newly made known to Flower."""
        return self._delivered(self._stub.ReloadRoster, pb.Empty())

    def shutdown(self) -> None:
        """Ask the centre to stop; it goes on with that after the answer."""
        self._call(self._stub.Shutdown, pb.Empty())

    def _delivered(self, method: Any, request: Any, *, extra_s: float = 0.0) -> tuple[SiteId, ...]:
        reply = self._call(method, request, extra_s=extra_s)
        return tuple(SiteId(site) for site in reply.sites)

    def _documents(self, method: Any, study: StudyId) -> dict[SiteId, bytes]:
        reply = self._call(method, pb.StudyRequest(study=study))
        return {SiteId(item.site): item.content for item in reply.documents}

    def _call(self, method: Any, request: Any, *, extra_s: float = 0.0) -> Any:
        with self._explained():
            return method(request, timeout=self._timeout_s + extra_s)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except grpc.RpcError as error:
            raise self._explain(error) from error

    def _explain(self, error: Any) -> PlatformError:
        metadata = dict(error.trailing_metadata() or ())
        if mapping.REFUSAL_KEY in metadata:
            return mapping.read_refusal(Refused.FromString(metadata[mapping.REFUSAL_KEY]))
        if error.code() is grpc.StatusCode.UNAVAILABLE:
            return CentreNotRunningError(folder=self._home)
        if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            return CentreBusyError(seconds=self._timeout_s)
        return ProtocolBrokenError(why=f"{error.code().name.lower()}: {error.details()}")


def _documents(found: dict[SiteId, bytes]) -> Any:
    documents = [pb.Document(site=site, content=content) for site, content in found.items()]
    return pb.DocumentsReply(documents=documents)


def _write_view(view: SiteView) -> Any:
    progress = view.progress
    return pb.SiteStatus(
        site=view.site,
        connected=view.connected,
        since_unix_ms=_to_ms(view.since),
        software_version=view.software_version,
        wheel_digest=view.wheel_digest,
        capabilities=view.capabilities,
        last_heard_unix_ms=_to_ms(view.last_heard),
        clock_skew_ms=view.clock_skew_ms,
        free_disk_bytes=progress.free_disk_bytes,
        busy=progress.busy,
        run=progress.run,
        round=progress.round,
        batches_done=progress.batches_done,
        batches_total=progress.batches_total,
        refused_code=view.refused_code,
        refused_what=view.refused_what,
        epoch=view.epoch,
        bytes_in=view.bytes_in,
        bytes_out=view.bytes_out,
    )


def _read_view(raw: Any) -> SiteView:
    return SiteView(
        site=SiteId(raw.site),
        connected=raw.connected,
        since=_from_ms(raw.since_unix_ms),
        last_heard=_from_ms(raw.last_heard_unix_ms),
        software_version=raw.software_version,
        wheel_digest=raw.wheel_digest,
        capabilities=tuple(raw.capabilities),
        clock_skew_ms=raw.clock_skew_ms,
        progress=Progress(
            free_disk_bytes=raw.free_disk_bytes,
            busy=raw.busy,
            run=raw.run,
            round=raw.round,
            batches_done=raw.batches_done,
            batches_total=raw.batches_total,
            epoch=raw.epoch,
        ),
        refused_code=raw.refused_code,
        refused_what=raw.refused_what,
        epoch=raw.epoch,
        bytes_in=raw.bytes_in,
        bytes_out=raw.bytes_out,
    )


def _to_ms(moment: datetime | None) -> int:
    return int(moment.timestamp() * 1000) if moment else 0


def _from_ms(unix_ms: int) -> datetime | None:
    return datetime.fromtimestamp(unix_ms / 1000, UTC) if unix_ms else None
