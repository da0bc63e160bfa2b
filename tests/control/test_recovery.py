"""A node that comes back is seen at once, and what its children lost is known at the centre."""

import asyncio
import os
import socket
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from clients.agent import _Agent
from clients.control import Pace
from clients.flower.forwarder import Forwarder
from clients.home import NodeHome
from clients.progress import FILE as PROGRESS_FILE
from federation.coordinator.admin import AdminClient
from federation.coordinator.sites import Sites
from federation.protocol.mapping import Hello, Progress
from federation.supervision.children import ChildPlan
from tests.control.builders import (
    NORTH,
    a_centre,
    a_node,
    connected,
    connecting,
    run,
    serving,
    until,
)

NOW = datetime(2026, 10, 1, tzinfo=UTC)


def test_a_lost_centre_is_tried_every_two_seconds_at_first_and_seldom_later() -> None:
    pace = Pace()
    waits, lost_for_s = [pace.first_s], 0.0
    while lost_for_s < 3600:
        lost_for_s += waits[-1]
        waits.append(pace.next_s(waits[-1], lost_for_s=lost_for_s))
    elapsed = 0.0
    for wait_s in waits:
        assert wait_s <= (2.0 if elapsed < pace.restart_within_s - 2 else 30.0)
        elapsed += wait_s
    assert waits[-1] == 30.0
    assert len(waits) < 300


def test_the_epoch_a_node_says_is_what_the_centre_shows(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)
    doing = [Progress(epoch=7)]

    async def work() -> None:
        async with serving(centre) as served, connecting(node, progress=lambda: doing[0]) as client:
            await connected(client)
            await until(lambda: served.sites.view(NORTH).epoch == 7)
            served.sites.moved(NORTH, 300, 20)
            served.sites.moved(NORTH, 0, 5)
            doing[0] = Progress(epoch=9)
            await until(lambda: served.sites.view(NORTH).epoch == 9)
            with AdminClient(centre.folder) as admin:
                (view,) = (await asyncio.to_thread(admin.status, [NORTH])).sites
            assert (view.epoch, view.bytes_in, view.bytes_out) == (9, 300, 25)

    run(work())


def test_an_epoch_that_is_not_said_leaves_the_last_one() -> None:
    sites = Sites()
    hello = Hello(NORTH, 1, "1.0", (), "", 0)
    sites.welcomed(hello, now=NOW, clock_skew_ms=0)
    sites.heard(NORTH, now=NOW, progress=Progress(epoch=5))
    sites.heard(NORTH, now=NOW, progress=Progress(epoch=0))
    sites.left(NORTH, now=NOW)
    sites.moved(NORTH, 1, 2)
    sites.welcomed(hello, now=NOW, clock_skew_ms=0)
    view = sites.view(NORTH)
    assert (view.epoch, view.bytes_in, view.bytes_out) == (5, 1, 2)


def test_every_new_connection_is_told_to_the_node(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)
    times: list[int] = []

    async def work() -> None:
        async with connecting(node, on_connected=lambda: times.append(1)) as client:
            for count in (1, 2):
                async with serving(centre):
                    await connected(client)
                    await until(lambda count=count: len(times) == count)

    run(work())


def agent_of(home: NodeHome) -> _Agent:
    """Return an agent whose children are processes that only wait."""
    agent = _Agent(home, ping_only=True, pace=None)
    for child in agent._supervisor.children.values():
        child.plan = ChildPlan(
            name=child.plan.name,
            command=lambda: ["/bin/sleep", "60"],
            environment=dict(os.environ),
            log_file=home.logs / "child.log",
        )
    return agent


@pytest.mark.parametrize(("killed", "restarted"), [("executor", 2), ("supernode", 1)])
def test_an_executor_that_dies_takes_its_supernode_along_and_the_epoch_changes(
    tmp_path: Path, killed: str, restarted: int
) -> None:
    home = a_node(tmp_path / "n", a_centre(tmp_path / "c"))

    async def work() -> None:
        agent = agent_of(home)
        supervisor, children = agent._supervisor, agent._supervisor.children
        supervisor.start()
        try:
            await until(lambda: agent._progress().epoch)
            before = agent._progress().epoch
            (home.run / PROGRESS_FILE).write_text("{}")
            os.kill(children[killed].pid or 0, 9)
            await until(lambda: agent._progress().epoch == 0)
            await until(lambda: agent._progress().epoch == before + restarted)
            assert (home.run / PROGRESS_FILE).exists() is (killed == "supernode")
        finally:
            await supervisor.stop()

    run(work())


class Line(socket.socket):
    """A line to the centre without TLS."""

    def pending(self) -> int:
        return 0


def test_dropping_the_forwarders_lines_ends_those_that_hang(tmp_path: Path) -> None:
    home = a_node(tmp_path / "n", a_centre(tmp_path / "c"))
    forwarder = Forwarder(home, home.settings(), on_error=lambda error: None)
    near, local = socket.socketpair()
    far, plain = socket.socketpair()
    line = Line(fileno=plain.detach())
    with near, far, local, line:
        hanging = threading.Thread(target=forwarder._watch, args=(local, line), daemon=True)
        hanging.start()
        far.settimeout(5)
        near.sendall(b"hello")
        assert far.recv(5) == b"hello"
        forwarder.drop()
        hanging.join(5)
        assert not hanging.is_alive()
        assert near.recv(1) == b""
