"""`trifed centre serve`: everything of the centre that must run, under one process.

Order of starting: the lock, the public port (bound, so that a taken one is told
at once), the control service, the SuperLink child and its list of nodes, then
the doors open and `run/centre.json` appears; then the conductor is started. The
Prefect server starts beside the SuperLink, which goes first where the processor is
short; nobody at the doors waits for it. SIGTERM, or `shutdown` on the
admin socket, stops all of it and leaves nothing behind.
"""

import asyncio
import functools
import logging
import os
import sys
from collections.abc import Coroutine
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path

from federation import provenance, settings
from federation.coordinator.admin import AdminService, LiveCentre, start_admin
from federation.coordinator.control_service import (
    CentreHeadOf,
    ChannelSettings,
    ControlService,
    start_control,
)
from federation.coordinator.decisions import verify_decision
from federation.coordinator.fleet_gate import Upstream, serve_fleet
from federation.coordinator.flower_nodes import FlowerNodes
from federation.coordinator.front_door import ALPN, Caller, FrontDoor
from federation.coordinator.health import WITHIN_S, restart_when_silent
from federation.coordinator.home import CentreHome
from federation.coordinator.options import CentreOptions, PrefectMode
from federation.coordinator.records import ControlRecords
from federation.coordinator.sites import Sites
from federation.domain.ids import SiteId
from federation.errors import PlatformError
from federation.errors.control import ChildNotReadyError
from federation.homes import parse_address
from federation.observability.settings import metrics_address
from federation.pki.handshakes import Side, explain_handshake_failure, server_context
from federation.pki.roster import PeerIdentity, Roster
from federation.server_app.prefect_server import NAME as PREFECT
from federation.server_app.prefect_server import PrefectServer, own_server
from federation.server_app.superlink import is_healthy, plan_superlink, wait_healthy
from federation.supervision.children import ChildPlan, Supervisor
from federation.supervision.process import log_to, run_until_done, stop_event, write_state
from federation.supervision.single import only_one

log = logging.getLogger(__name__)

STATE_FILE = "centre.json"

_SUPERLINK = "superlink"
_CONDUCTOR = "conductor"
_WATCH_S = 0.5
_RECHECK_S = 30.0
_READY_S = 60.0
_RETRY_S = 1.0
_GRACE_S = 0.2


def serve_centre(
    folder: Path,
    *,
    listen: str | None = None,
    persistent: bool = False,
    centre_head: CentreHeadOf = lambda _site: b"",
) -> None:
    """Serve the centre of a home until SIGTERM, SIGINT or `shutdown`.

    Parameters
    ----------
    folder
        The centre's home.
    listen
        The address of the interface to listen on; by default every one, or
        loopback only when the home's own address is loopback.
    persistent
        Let Flower keep its messages on disk (see `plan_superlink`).
    centre_head
        What every site is shown of the centre's log (`federation.operations.centre_head`).

    Raises
    ------
    HomeMissingError, CentreOptionError, AlreadyRunningError, PortTakenError, ChildNotReadyError
        Before anything is served.
    """
    home = CentreHome.open(folder)
    log_to(home.logs / "centre.log")
    with only_one(home.run / "centre.lock", kind="centre"):
        centre = _Centre(home, listen=listen, persistent=persistent, centre_head=centre_head)
        run_until_done(centre.serve())


class _Centre:
    """The parts of one running centre and how they hang together."""

    def __init__(
        self,
        home: CentreHome,
        *,
        listen: str | None,
        persistent: bool,
        centre_head: CentreHeadOf,
    ) -> None:
        self._home, self._centre_head = home, centre_head
        self._settings = home.settings()
        self._options = CentreOptions.of(home)
        self._listen = listen
        self._started = datetime.now(UTC)
        self._roster = home.roster()
        self._superlink = plan_superlink(home.folder, persistent=persistent)
        self._flower = FlowerNodes(self._roster, self._superlink.address)
        self._upstream = Upstream(self._superlink.address)
        self._callers: dict[str, Caller] = {}
        self._records = ControlRecords(home.folder)
        self._sites = Sites()
        self._supervisor = Supervisor([self._superlink_plan()], on_change=self._child_changed)
        self._superlink_starts = 0
        self._fleet_restarted = False
        self._to_correct = asyncio.Event()
        self._port = 0

    async def serve(self) -> None:
        self._stop = stop_event()
        async with AsyncExitStack() as stack:
            self._control = control = self._control_service()
            server, control_port = await start_control(control)
            stack.push_async_callback(server.stop, _GRACE_S)
            stack.callback(self._upstream.close)
            self._door = self._front_door(control, control_port)
            stack.push_async_callback(self._door.close)
            self._port = self._door.bind(*self._interface())
            self._supervisor.start()
            stack.push_async_callback(self._supervisor.stop)
            self._start_prefect()
            await self._superlink_ready()
            admin = await start_admin(self._admin_service(control), self._home.run)
            stack.push_async_callback(admin.stop, _GRACE_S)
            self._door.open()
            self._write_state()
            stack.callback((self._home.run / STATE_FILE).unlink, missing_ok=True)
            self._supervisor.add(self._conductor_plan())
            if metrics_address(self._home.folder) is not None:
                self._supervisor.add(self._metrics_plan())
            await self._until_stopped()
            log.info("the centre stops")

    async def _until_stopped(self) -> None:
        """Watch roster and SuperLink until somebody asks to stop, or a watcher fails."""
        tasks = [
            asyncio.ensure_future(work)
            for work in (
                self._stop.wait(),
                self._watch_roster(),
                self._keep_nodes(),
                self._supervisor.wait(),
                *self._watches(),
            )
        ]
        done, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for task in done:
            task.result()

    def _watches(self) -> list[Coroutine[None, None, None]]:
        """Return what starts children anew that hang."""
        children = self._supervisor.children
        asked = {_SUPERLINK: self._superlink_answers, PREFECT: self._prefect_answers}
        return [
            restart_when_silent(children[name], answers)
            for name, answers in asked.items()
            if name in children
        ]

    def _superlink_answers(self) -> bool:
        return is_healthy(self._superlink.address, within_s=WITHIN_S)

    def _prefect_answers(self) -> bool:
        where = own_server(self._home.folder)
        return where is not None and where.is_healthy(within_s=WITHIN_S)

    # -- the parts --------------------------------------------------------------------

    def _control_service(self) -> ControlService:
        settings = ChannelSettings(
            centre=self._settings.name, software_version=provenance.software_version()
        )
        return ControlService(
            callers=self._callers,
            records=self._records,
            sites=self._sites,
            settings=settings,
            verify_decision=functools.partial(verify_decision, self._roster),
            centre_head=self._centre_head,
        )

    def _front_door(self, control: ControlService, control_port: int) -> FrontDoor:
        return FrontDoor(
            tls=functools.partial(
                server_context,
                certificate=self._home.server_certificate,
                key=self._home.server_key,
                authority=self._home.authority_certificate,
                alpn=ALPN,
            ),
            identify=self._identify,
            explain=self._explain,
            callers=self._callers,
            control_port=control_port,
            serve_fleet=functools.partial(
                serve_fleet,
                upstream=self._upstream,
                enrolled_key=self._flower.enrolled_key,
                moved=self._sites.moved,
            ),
            on_revoked=control.revoked,
        )

    def _admin_service(self, control: ControlService) -> AdminService:
        return AdminService(
            control=control,
            records=self._records,
            sites=self._sites,
            centre=self._live,
            reload_roster=self._reload_roster,
            shutdown=self._stop.set,
        )

    def _start_prefect(self) -> None:
        prefect = self._options.prefect
        if prefect.mode is PrefectMode.SERVER:
            folder = self._home.folder
            database = prefect.database_url(folder)
            self._supervisor.add(PrefectServer(folder, port=prefect.port, database=database).plan())

    def _conductor_plan(self) -> ChildPlan:
        command = [sys.executable, "-m", "federation.conductor", "--home", str(self._home.folder)]
        return ChildPlan(
            name=_CONDUCTOR,
            command=lambda: command,
            environment=settings.child_environment(),
            log_file=self._home.logs / "conductor-output.log",
        )

    def _metrics_plan(self) -> ChildPlan:
        folder = str(self._home.folder)
        command = [sys.executable, "-m", "federation.operations.metrics", "--home", folder]
        return ChildPlan(
            name="metrics",
            command=lambda: command,
            environment=settings.child_environment(),
            log_file=self._home.logs / "metrics.log",
        )

    def _superlink_plan(self) -> ChildPlan:
        return ChildPlan(
            name=_SUPERLINK,
            command=lambda: self._superlink.command,
            environment=self._superlink.environment,
            log_file=self._home.logs / "superlink.log",
        )

    def _identify(self, certificate: bytes) -> PeerIdentity:
        return self._roster.peer_of(certificate, now=datetime.now(UTC))

    def _explain(self, failure: Exception, address: str) -> PlatformError:
        return explain_handshake_failure(
            failure, seen_by=Side.CENTRE, node=address, centre=self._settings.address
        )

    def _interface(self) -> tuple[str, int]:
        host, port = parse_address(self._settings.address)
        loopback = host in ("localhost", "127.0.0.1")
        return self._listen or ("127.0.0.1" if loopback else "0.0.0.0"), port  # noqa: S104

    # -- what they do together ----------------------------------------------------------

    async def _superlink_ready(self) -> None:
        await self._wait_superlink()
        await asyncio.to_thread(self._flower.correct)
        self._control.fleet_started()

    async def _wait_superlink(self) -> None:
        try:
            async with asyncio.timeout(_READY_S):
                await asyncio.to_thread(
                    wait_healthy, self._superlink.address, timeout_s=_READY_S - 1
                )
        except (TimeoutError, PlatformError) as error:
            raise ChildNotReadyError(
                name=_SUPERLINK, seconds=_READY_S, log="superlink.log"
            ) from error

    def _child_changed(self) -> None:
        starts = self._supervisor.children[_SUPERLINK].starts
        if starts > max(self._superlink_starts, 1):
            self._flower.forget()
            self._fleet_restarted = True
            self._to_correct.set()
        self._superlink_starts = starts

    async def _keep_nodes(self) -> None:
        """Correct the SuperLink's list whenever roster or SuperLink changed."""
        while True:
            await self._to_correct.wait()
            self._to_correct.clear()
            try:
                await self._wait_superlink()
                await asyncio.to_thread(self._flower.correct)
                if self._fleet_restarted:
                    self._fleet_restarted = False
                    self._control.fleet_started()
            except PlatformError as error:
                log.warning("[%s] %s", error.code, error.say())
                await asyncio.sleep(_RETRY_S)
                self._to_correct.set()

    async def _watch_roster(self) -> None:
        """Act on enrolments and revocations by other processes, and on certificates that end."""
        seen, checked = _stamp(self._roster), asyncio.get_running_loop().time()
        while True:
            await asyncio.sleep(_WATCH_S)
            now = asyncio.get_running_loop().time()
            if (stamp := _stamp(self._roster)) != seen or now - checked > _RECHECK_S:
                if stamp != seen:
                    self._to_correct.set()
                seen, checked = stamp, now
                self._door.recheck()

    async def _reload_roster(self) -> list[SiteId]:
        self._door.recheck()
        return await asyncio.to_thread(self._flower.correct)

    def _live(self) -> LiveCentre:
        child = self._supervisor.children[_SUPERLINK]
        return LiveCentre(
            centre=self._settings.name,
            software_version=provenance.software_version(),
            started=self._started,
            pid=os.getpid(),
            port=self._port,
            superlink=self._superlink.address,
            superlink_alive=child.alive,
            superlink_restarts=max(child.starts - 1, 0),
            sites=(),
        )

    def _write_state(self) -> None:
        state = {
            "pid": os.getpid(),
            "port": self._port,
            "address": self._settings.address,
            "superlink": self._superlink.address,
            "superlink_pid": self._supervisor.children[_SUPERLINK].pid,
            "started": self._started.isoformat(),
            "software_version": provenance.software_version(),
        }
        write_state(self._home.run / STATE_FILE, state)


def _stamp(roster: Roster) -> tuple[tuple[int, int], ...]:
    """Return what changes when the roster is written (SQLite, with its write-ahead log)."""
    stamps = []
    for path in (roster.path, roster.path.with_name(f"{roster.path.name}-wal")):
        with suppress(FileNotFoundError):
            status = path.stat()
            stamps.append((status.st_mtime_ns, status.st_size))
    return tuple(stamps)
