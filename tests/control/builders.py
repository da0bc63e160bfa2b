"""A centre's front door, control service and admin socket in this process, on loopback."""

import asyncio
import functools
import itertools
import json
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from clients.approvals import Desk, refuse
from clients.control import ChannelState, ControlClient, Pace
from clients.enrolment import init_node, join_node
from clients.home import NodeHome
from federation.coordinator.admin import AdminService, LiveCentre, start_admin
from federation.coordinator.control_service import ChannelSettings, ControlService, start_control
from federation.coordinator.decisions import verify_decision
from federation.coordinator.front_door import ALPN, Caller, FrontDoor
from federation.coordinator.home import CentreHome
from federation.coordinator.records import ControlRecords
from federation.coordinator.sites import Sites
from federation.domain.ids import SiteId
from federation.domain.study import Study
from federation.errors import PlatformError
from federation.evidence.signing import Signer, sign_dsse
from federation.evidence.statements import PredicateType, Statement, Subject
from federation.operations.centre_head import CentreHead
from federation.operations.enrolment import init_centre, invite_site, revoke_site, sign_request
from federation.pki.handshakes import Side, explain_handshake_failure, server_context
from federation.pki.requests import EnrolmentRequest
from federation.protocol.mapping import Progress, Proposal
from federation.wire.study import study_as_json
from tests.builders import a_study

NORTH = SiteId("north")
PACE = Pace(first_s=0.05, longest_s=0.2, refused_s=30.0, scan_s=0.05)


def run(
    work: Coroutine[None, None, None],
    *,
    within_s: float = 20.0,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> None:
    async def limited() -> None:
        async with asyncio.timeout(within_s):
            await work

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(limited())


def a_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def a_centre(folder: Path) -> CentreHome:
    address = f"127.0.0.1:{a_free_port()}"
    return init_centre(folder, name="Centre", address=address, now=datetime.now(UTC))


def a_node(
    folder: Path, centre: CentreHome, *, site: SiteId = NORTH, now: datetime | None = None
) -> NodeHome:
    now = now or datetime.now(UTC)
    invitation = invite_site(centre, site=site, name="Hospital", now=now)
    node = init_node(folder, invitation=invitation, now=now)
    request = EnrolmentRequest.from_bytes(node.request_file.read_bytes())
    join_node(node, sign_request(centre, request, now=now), now=now)
    return node


def revoke(centre: CentreHome, site: SiteId = NORTH) -> None:
    revoke_site(centre, site=site, reason="left", now=datetime.now(UTC))


def a_proposal(centre: CentreHome, study: Study | None = None) -> Proposal:
    study = study or a_study()
    signer = Signer.load(centre.evidence_key)
    statement = Statement(
        subjects=(Subject(f"study/{study.id}", study.digest),),
        predicate_type=PredicateType.PROPOSAL,
        predicate={"study": str(study.id)},
    )
    return Proposal(
        study=study.id,
        content=json.dumps(study_as_json(study)).encode(),
        study_digest=study.digest,
        recipe_digest=study.recipe_digest,
        envelope=sign_dsse(statement, signer).encode(),
    )


def decide(node: NodeHome, study: Study, *, officer: Path | None = None) -> Path:
    """Sign a decision as the staff do; a refusal needs neither policy nor data."""
    desk = Desk(proposals=node.proposals, decisions=node.decisions, site=node.settings().site)
    signer = Signer.load(officer or node.officer_key)
    return refuse(desk, study, reason="no beds", officer=signer, now=datetime.now(UTC))


@dataclass
class RunningCentre:
    home: CentreHome
    door: FrontDoor
    control: ControlService
    records: ControlRecords
    sites: Sites
    control_port: int
    callers: dict[str, Caller]
    refusals: list[PlatformError] = field(default_factory=list)


@asynccontextmanager
async def serving(
    home: CentreHome, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> AsyncIterator[RunningCentre]:
    """The parts that `serve_centre` puts together, without Flower."""
    callers: dict[str, Caller] = {}
    records, sites, roster = ControlRecords(home.folder), Sites(), home.roster()
    control = ControlService(
        callers=callers,
        records=records,
        sites=sites,
        settings=ChannelSettings(centre="Centre", software_version="1.0", heartbeat_s=0.2),
        verify_decision=functools.partial(verify_decision, roster),
        centre_head=CentreHead(home, clock_s=itertools.count(0, 10).__next__),
        clock=clock,
    )
    server, control_port = await start_control(control)
    refusals: list[PlatformError] = []

    def explain(failure: Exception, address: str) -> PlatformError:
        error = explain_handshake_failure(
            failure, seen_by=Side.CENTRE, node=address, centre=home.settings().address
        )
        refusals.append(error)
        return error

    async def serve_fleet(
        _reader: asyncio.StreamReader, writer: asyncio.StreamWriter, identity: object
    ) -> None:
        writer.write(f"fleet {identity.site}".encode())  # type: ignore[attr-defined]
        await _reader.read()

    door = FrontDoor(
        tls=lambda: server_context(
            certificate=home.server_certificate,
            key=home.server_key,
            authority=home.authority_certificate,
            alpn=ALPN,
        ),
        identify=lambda certificate: roster.peer_of(certificate, now=datetime.now(UTC)),
        explain=explain,
        callers=callers,
        control_port=control_port,
        serve_fleet=serve_fleet,
        on_revoked=control.revoked,
    )
    centre = RunningCentre(home, door, control, records, sites, control_port, callers, refusals)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(server.stop, 0)
        stack.push_async_callback(door.close)
        door.bind("127.0.0.1", int(home.settings().address.rpartition(":")[2]))
        door.open()
        admin = await start_admin(_admin(centre), home.run)
        stack.push_async_callback(admin.stop, 0)
        yield centre


def _admin(centre: RunningCentre) -> AdminService:
    async def reload_roster() -> list[SiteId]:
        centre.door.recheck()
        return []

    live = LiveCentre("Centre", "1.0", datetime.now(UTC), 1, 2, "unix:/superlink", True, 0, ())
    return AdminService(
        control=centre.control,
        records=centre.records,
        sites=centre.sites,
        centre=lambda: live,
        reload_roster=reload_roster,
        shutdown=lambda: None,
    )


@asynccontextmanager
async def connecting(
    home: NodeHome,
    *,
    pace: Pace = PACE,
    on_wake: Callable[[], None] = lambda: None,
    progress: Callable[[], Progress] = Progress,
    **options: object,
) -> AsyncIterator[ControlClient]:
    """A node's control client, running."""
    client = ControlClient(home, on_wake=on_wake, progress=progress, pace=pace, **options)  # type: ignore[arg-type]
    task = asyncio.ensure_future(client.run())
    try:
        yield client
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], object], *, within_s: float = 5.0) -> None:
    """Wait until something is so; fail the test when it never is."""
    end = asyncio.get_running_loop().time() + within_s
    while not condition():
        assert asyncio.get_running_loop().time() < end, "it never came about"
        await asyncio.sleep(0.01)


async def connected(client: ControlClient) -> None:
    await until(lambda: client.status.state is ChannelState.CONNECTED)
