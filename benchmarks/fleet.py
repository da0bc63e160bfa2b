"""A whole fleet as real processes on this machine: one centre, some nodes, mutual TLS.

For measuring and for the slow tests. The homes are made the way an operator
makes them (invite, sign, join); the centre is the product's own; each node runs
forwarder, SuperNode and an executor that answers PING.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import psutil

from clients.enrolment import init_node, join_node
from clients.home import NodeHome
from federation.coordinator.admin import AdminClient
from federation.coordinator.home import CentreHome
from federation.domain.ids import RunId, Sha256, SiteId, StudyId
from federation.operations.enrolment import init_centre, invite_site, sign_request
from federation.pki.keys import flower_key_pem
from federation.pki.requests import EnrolmentRequest
from federation.protocol.mapping import RunNotice
from federation.server_app.rounds import OpenedRun, RoundDriver, RoundOrder, wait_online
from federation.server_app.superlink import RegisteredSite, list_nodes, superlink_address
from federation.settings import CHILD_THREADS
from federation.wire.child_environment import LARGE_BUFFERS
from federation.wire.messages import TaskKind

ROOT = Path(__file__).resolve().parent.parent
STUDY, RUN = StudyId("bench"), RunId("bench.1")
DIGEST = Sha256.of(b"bench")


@dataclass
class Fleet:
    """One centre and its nodes; stop it in any case."""

    folder: Path
    sites: Sequence[SiteId]
    centre: CentreHome = field(init=False)
    nodes: dict[SiteId, NodeHome] = field(default_factory=dict)
    children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def make_homes(self) -> None:
        """Found the centre and enrol every site."""
        now = datetime.now(UTC)
        address = f"127.0.0.1:{free_port()}"
        self.centre = init_centre(self.folder / "c", name="Centre", address=address, now=now)
        self._without_prefect()
        for site in self.sites:
            invitation = invite_site(self.centre, site=site, name=str(site), now=now)
            node = init_node(self.folder / site, invitation=invitation, now=now)
            request = EnrolmentRequest.from_bytes(node.request_file.read_bytes())
            join_node(node, sign_request(self.centre, request, now=now), now=now)
            self.nodes[site] = node

    def start_centre(self) -> None:
        """Serve the centre and wait for its SuperLink."""
        code = "import sys,pathlib;from federation.coordinator.serve import serve_centre;"
        code += "serve_centre(pathlib.Path(sys.argv[1]))"
        self._start("centre", [sys.executable, "-c", code, str(self.centre.folder)])
        ready = self.centre.run / "centre.json"
        _until(ready.exists, 60, "the centre")

    def start_node(self, site: SiteId) -> None:
        """Serve a node; its executor answers PING only."""
        code = "import sys,pathlib;from clients.agent import serve_node;"
        code += "serve_node(pathlib.Path(sys.argv[1]),ping_only=True)"
        self._start(site, [sys.executable, "-c", code, str(self.nodes[site].folder)])

    def wait_online(self, sites: Sequence[SiteId], *, timeout_s: float = 60) -> frozenset[SiteId]:
        """Return the sites that are connected once all are, or the time is over."""
        return wait_online(self.registered, sites, timeout_s=timeout_s)

    def registered(self) -> Mapping[SiteId, RegisteredSite]:
        """Return the sites that the SuperLink knows."""
        keys = {
            entry.site: flower_key_pem(entry.flower_key)
            for entry in self.centre.roster().entries()
            if entry.flower_key
        }
        return list_nodes(self.address, keys)

    @property
    def address(self) -> str:
        """Return where the SuperLink listens."""
        return superlink_address(self.centre.folder)

    def driver(self) -> RoundDriver:
        """Return a driver, not started."""
        return RoundDriver(home=self.centre.folder, address=self.address)

    def announce(self, opened: OpenedRun, sites: Sequence[SiteId]) -> None:
        """Let the centre vouch for a run to its nodes, over the control channel."""
        notice = RunNotice(STUDY, RUN, opened.flower_run, opened.bundle_digest)
        with AdminClient(self.centre.folder) as admin:
            known = admin.notify(notice, sites=sites, wait_s=20)
        if set(known) != set(sites):
            raise TimeoutError(f"only {sorted(known)} know of the run")

    def ping_order(self, model: Path, number: int, sites: Sequence[SiteId]) -> RoundOrder:
        """Return the order of a PING round."""
        registered = self.registered()
        return RoundOrder(
            number=number, kind=TaskKind.PING, study=STUDY, run=RUN, study_digest=DIGEST,
            model=model, result=model.with_name("result.npy"),
            nodes={site: registered[site].node for site in sites},
            quorum=len(sites), deadline_s=120,
        )  # fmt: skip

    def cpu_seconds(self) -> dict[str, float]:
        """Return the CPU time so far of every process, by name."""
        found = {}
        for name, child in self.children.items():
            process = psutil.Process(child.pid)
            for member in [process, *process.children(recursive=True)]:
                times = member.cpu_times()
                label = name if member.pid == child.pid else f"{name}.{_role(member)}"
                found[label] = times.user + times.system
        return found

    def stop(self) -> None:
        """End every process that was started."""
        for child in reversed(self.children.values()):
            child.send_signal(signal.SIGTERM)
        for child in self.children.values():
            try:
                child.wait(5)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def _without_prefect(self) -> None:
        """No flow runs here, and the server's start would take the processor for seconds."""
        with (self.centre.folder / "centre.toml").open("a", encoding="utf-8") as file:
            file.write('\n[prefect]\nmode = "ephemeral"\n')

    def _start(self, name: str, command: list[str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.children[name] = subprocess.Popen(
                command, cwd=ROOT, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                env={**os.environ, **LARGE_BUFFERS, **CHILD_THREADS}, start_new_session=True,
            )  # fmt: skip


def _role(process: psutil.Process) -> str:
    words = process.cmdline()
    return words[2].rsplit(".", 1)[-1] if len(words) > 2 and words[1] == "-m" else "child"


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def write_model(path: Path, size_mb: float) -> Path:
    """Write a random flat model of about `size_mb` (10^6 bytes)."""
    size = max(int(size_mb * 1e6 / 4), 1)
    np.save(path, np.random.default_rng(7).standard_normal(size, dtype=np.float32))
    return path


def _until(done: object, seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not done():  # type: ignore[operator]
        if time.monotonic() > end:
            raise TimeoutError(f"{what} was not ready after {seconds} s")
        time.sleep(0.02)
