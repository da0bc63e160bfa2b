"""Real processes: a centre, three nodes, mutual TLS, PING rounds, and one key too many."""

import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest

from benchmarks.fleet import Fleet, write_model
from federation.domain.ids import SiteId
from federation.errors.core import InvalidValueError
from federation.errors.rounds import (
    QuorumNotReachedError,
    RoundDriverDiedError,
    SiteUnavailableError,
)
from federation.server_app.rounds import RoundDriver, SiteReply
from federation.wire.local_http import UnixTransport
from federation.wire.local_sockets import path_of

pytestmark = pytest.mark.slow

NORTH, CENTRAL, SOUTH, STRANGER = (SiteId(name) for name in ("north", "central", "south", "odd"))
SITES = (NORTH, CENTRAL, SOUTH)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path_factory.mktemp("f"), SITES)
    try:
        fleet.make_homes()
        fleet.start_centre()
        for site in SITES:
            fleet.start_node(site)
        assert fleet.wait_online(SITES, timeout_s=90) == set(SITES)
        yield fleet
    finally:
        fleet.stop()


@pytest.fixture(scope="module")
def driver(fleet: Fleet) -> Iterator[RoundDriver]:
    with fleet.driver() as driver:
        fleet.announce(driver.start(), SITES)
        yield driver


def weigh(_reply: SiteReply) -> float:
    return 1.0


def test_two_rounds_bring_back_the_mean_of_all_sites(fleet: Fleet, driver: RoundDriver) -> None:
    model = write_model(fleet.folder / "m.npy", 12.0)
    for number in (1, 2):
        outcome = driver.run_round(fleet.ping_order(model, number, SITES), judge=weigh)
        assert {reply.site for reply in outcome.accepted} == set(SITES)
        assert outcome.refusals == ()
        assert outcome.result is not None
        np.testing.assert_allclose(np.load(outcome.result), np.load(model), rtol=1e-6)


def test_site_whose_reply_is_judged_bad_does_not_count(fleet: Fleet, driver: RoundDriver) -> None:
    model = write_model(fleet.folder / "m.npy", 0.1)

    def judge(reply: SiteReply) -> float:
        if reply.site == NORTH:
            raise InvalidValueError(field="signature", actual="forged", expected="the site's own")
        return 1.0

    outcome = driver.run_round(fleet.ping_order(model, 3, SITES), judge=judge)
    assert {reply.site for reply in outcome.accepted} == {CENTRAL, SOUTH}
    assert [(item.site, item.code) for item in outcome.refusals] == [(NORTH, "TF103")]
    with pytest.raises(QuorumNotReachedError):
        outcome.check_quorum()


def test_announced_digest_is_that_of_the_update(fleet: Fleet, driver: RoundDriver) -> None:
    import hashlib

    model = write_model(fleet.folder / "m.npy", 0.2)
    seen = []
    driver.run_round(
        fleet.ping_order(model, 4, SITES), judge=lambda reply: seen.append(reply) or 1.0
    )
    expected = "sha256:" + hashlib.sha256(np.load(model).tobytes()).hexdigest()
    assert {str(reply.update_digest) for reply in seen} == {expected}


def test_task_of_an_unannounced_run_is_refused_by_every_node(fleet: Fleet) -> None:
    model = write_model(fleet.folder / "n.npy", 0.1)
    with fleet.driver() as driver:
        driver.start()
        outcome = driver.run_round(fleet.ping_order(model, 1, SITES), judge=weigh)
    assert {item.code for item in outcome.refusals} == {"TF416"}
    assert not outcome.reached


def test_node_with_a_key_that_is_not_enrolled_never_gets_in(fleet: Fleet) -> None:
    """A node with a good certificate, but another Flower key than it enrolled."""
    from clients.home import NodeHome
    from federation.pki.keys import new_flower_key, private_openssh

    stranger = Fleet(fleet.folder / "x", [STRANGER])
    stranger.folder.mkdir()
    stranger.centre = fleet.centre
    enrol(stranger, fleet, STRANGER)
    home: NodeHome = stranger.nodes[STRANGER]
    home.flower_key.write_bytes(private_openssh(new_flower_key()))
    try:
        stranger.start_node(STRANGER)
        assert stranger.wait_online([STRANGER], timeout_s=12) == frozenset()
    finally:
        stranger.stop()
    assert "403" in (home.logs / "supernode.log").read_text()


def enrol(stranger: Fleet, fleet: Fleet, site: SiteId) -> None:
    from datetime import UTC, datetime

    from clients.enrolment import init_node, join_node
    from federation.operations.enrolment import invite_site, sign_request
    from federation.pki.requests import EnrolmentRequest

    now = datetime.now(UTC)
    invitation = invite_site(fleet.centre, site=site, name=str(site), now=now)
    node = init_node(stranger.folder / site, invitation=invitation, now=now)
    request = EnrolmentRequest.from_bytes(node.request_file.read_bytes())
    join_node(node, sign_request(fleet.centre, request, now=now), now=now)
    stranger.nodes[site] = node


def test_flowers_open_apis_listen_on_no_port_of_the_machine(fleet: Fleet) -> None:
    centre = psutil.Process(fleet.children["centre"].pid)
    superlink = next(
        child for child in centre.children() if "superlink" in " ".join(child.cmdline())
    )
    listening = [c for c in superlink.net_connections("inet") if c.status == "LISTEN"]
    assert listening == []
    folder = path_of(fleet.address).parent
    assert folder.stat().st_mode & 0o077 == 0


def test_superlink_refuses_a_node_request_without_flowers_signature(fleet: Fleet) -> None:
    from flwr.proto.fleet_pb2 import PullMessagesRequest
    from flwr.proto.node_pb2 import Node

    node = fleet.registered()[NORTH].node
    body = PullMessagesRequest(node=Node(node_id=node)).SerializeToString()
    with httpx.Client(transport=UnixTransport(path_of(fleet.address))) as client:
        answer = client.post(
            "http://x/v1/fleet/pull-object",
            content=body,
            headers={"content-type": "application/protobuf"},
        )
        assert answer.status_code == 401
        answer = client.post(
            "http://x/v1/runtime/pull-object",
            content=body,
            headers={"content-type": "application/protobuf", "flwr-task-token": "guess"},
        )
        assert answer.status_code == 401


def test_no_python_travels_in_a_run(tmp_path: Path, fleet: Fleet) -> None:
    """All bytes that a driver sends to the SuperLink, recorded on their way."""
    recorded = Recorder(tmp_path / "r.sock", path_of(fleet.address))
    model = write_model(fleet.folder / "r.npy", 0.01)
    copy = RoundDriver(home=fleet.centre.folder, address=f"unix:{tmp_path / 'r.sock'}")
    with copy:
        fleet.announce(copy.start(), SITES)
        outcome = copy.run_round(fleet.ping_order(model, 1, SITES), judge=weigh)
    sent = recorded.close()
    assert outcome.reached
    assert b"PK\x03\x04" in sent  # the bundle is in it
    assert b"trifed-thin" in sent
    for telltale in (b".py", b"def ", b"import ", b"class ", b"lambda", b"\x80\x04\x95"):
        assert telltale not in sent.replace(model.read_bytes()[128:], b"")


class Recorder:
    """A proxy between Unix sockets that keeps what the client sends."""

    def __init__(self, path: Path, target: Path) -> None:
        self._kept: list[bytes] = []
        self._target = target
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(16)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            far.connect(str(self._target))
            for source, sink, keep in ((near, far, True), (far, near, False)):
                threading.Thread(target=self._copy, args=(source, sink, keep), daemon=True).start()

    def _copy(self, source: socket.socket, sink: socket.socket, keep: bool) -> None:
        try:
            while content := source.recv(1 << 16):
                if keep:
                    self._kept.append(content)
                sink.sendall(content)
        except OSError:
            pass
        finally:
            sink.close()

    def close(self) -> bytes:
        self._listener.close()
        return b"".join(self._kept)


def test_killed_driver_is_a_coded_error(fleet: Fleet) -> None:
    model = write_model(fleet.folder / "k.npy", 0.1)
    with fleet.driver() as driver:
        driver.start()
        assert driver.pid is not None
        psutil.Process(driver.pid).kill()
        with pytest.raises(RoundDriverDiedError):
            driver.run_round(fleet.ping_order(model, 1, SITES), judge=weigh)
    with fleet.driver() as another:
        fleet.announce(another.start(), SITES)
        assert another.run_round(fleet.ping_order(model, 1, SITES), judge=weigh).reached


def test_round_goes_on_without_a_node_that_was_given_up(fleet: Fleet) -> None:
    model = write_model(fleet.folder / "g.npy", 0.1)
    order = replace(fleet.ping_order(model, 1, SITES), quorum=2)
    supernode = process_of(fleet, SOUTH, "supernode")
    with fleet.driver() as driver:
        fleet.announce(driver.start(), SITES)
        supernode.suspend()
        try:
            gone = SiteUnavailableError(site=SOUTH)
            threading.Timer(1.0, driver.give_up, [SOUTH, gone]).start()
            outcome = driver.run_round(order, judge=weigh)
        finally:
            supernode.resume()
        assert outcome.check_quorum().seconds < 20
        assert [(item.site, item.code) for item in outcome.refusals] == [(SOUTH, "TF422")]
        again = driver.run_round(replace(order, number=2), judge=weigh)
        assert len(again.accepted) == 3


def process_of(fleet: Fleet, site: SiteId, name: str) -> psutil.Process:
    agent = psutil.Process(fleet.children[site].pid)
    return next(
        child
        for child in agent.children(recursive=True)
        if f"clients.flower.{name}" in child.cmdline()
    )
