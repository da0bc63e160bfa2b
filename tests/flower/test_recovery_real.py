"""Kill -9, then the round goes on: real processes, mutual TLS, PING rounds on two nodes.

A node "works" while its executor is suspended with a task waiting for it.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from benchmarks.fleet import ROOT, Fleet, write_model
from federation.coordinator.admin import AdminClient
from federation.domain.ids import RunId, SiteId, StudyId
from federation.errors.rounds import (
    FlowerRefusedError,
    RoundDriverDiedError,
    SuperLinkUnreachableError,
)
from federation.protocol.mapping import RunNotice
from federation.server_app.rounds import KeptUpdate, OpenedRun, RoundDriver, RoundOrder
from federation.wire.local_sockets import path_of
from tests.flower.recovery import (
    Kept,
    RunningRound,
    node_process,
    superlink_process,
    until,
    view,
    weigh,
)

NORTH, SOUTH = SiteId("north"), SiteId("south")
SITES = (NORTH, SOUTH)
RECOVERED_S = 40.0
"""Generous: the machine of a test may be busy. benchmarks/recovery.py measures."""


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


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "m.npy", 2.0)


@pytest.fixture
def driver(fleet: Fleet) -> Iterator[RoundDriver]:
    assert fleet.wait_online(SITES, timeout_s=RECOVERED_S) == set(SITES)
    with fleet.driver() as driver:
        fleet.announce(driver.start(), SITES)
        yield driver


def durable(fleet: Fleet, model: Path, number: int = 1) -> RoundOrder:
    """Return an order that waits for everybody and keeps what comes."""
    order = fleet.ping_order(model, number, SITES)
    return replace(order, deadline_s=None, spool=model.with_name("spool"))


@contextmanager
def working(fleet: Fleet, site: SiteId) -> Iterator[psutil.Process]:
    """Let a site take its task and not answer; it goes on after the block, if it still lives."""
    executor = node_process(fleet, site, "executor")
    executor.suspend()
    try:
        yield executor
    finally:
        if executor.is_running():
            executor.resume()


def half_done(running: RunningRound) -> None:
    """Wait until the south has replied and the north has its task."""
    until(lambda: running.kept.sites == {SOUTH}, within_s=30, what="the south's reply")
    time.sleep(0.5)


def ask_again_after(fleet: Fleet, driver: RoundDriver, epoch: int) -> None:
    """Do what the campaign's watch does: ask again when a node's epoch has changed."""
    until(lambda: view(fleet, NORTH).epoch not in (0, epoch), within_s=RECOVERED_S, what="epoch")
    driver.ask_again(NORTH, fleet.registered()[NORTH].node)


def test_executor_killed_at_work_is_asked_again_and_answers(
    fleet: Fleet, driver: RoundDriver, model: Path
) -> None:
    epoch, moved = view(fleet, NORTH).epoch, view(fleet, NORTH).bytes_in
    with working(fleet, NORTH) as executor:
        running = RunningRound(driver, durable(fleet, model))
        half_done(running)
        executor.kill()
    ask_again_after(fleet, driver, epoch)
    outcome = running.join(within_s=RECOVERED_S)
    assert (outcome.counted, outcome.refusals) == (2, ())
    assert outcome.result is not None
    np.testing.assert_array_equal(np.load(outcome.result), np.load(model))
    assert view(fleet, NORTH).bytes_in - moved >= model.stat().st_size - 128


@pytest.mark.slow
def test_supernode_killed_at_work_signs_on_at_once_and_answers(
    fleet: Fleet, driver: RoundDriver, model: Path
) -> None:
    epoch = view(fleet, NORTH).epoch
    with working(fleet, NORTH):
        running = RunningRound(driver, durable(fleet, model))
        half_done(running)
        node_process(fleet, NORTH, "supernode").kill()
    ask_again_after(fleet, driver, epoch)
    assert running.join(within_s=RECOVERED_S).counted == 2


@pytest.mark.slow
def test_agent_killed_at_work_takes_its_children_and_answers_when_it_is_back(
    fleet: Fleet, driver: RoundDriver, model: Path
) -> None:
    epoch = view(fleet, NORTH).epoch
    with working(fleet, NORTH) as executor:
        running = RunningRound(driver, durable(fleet, model))
        half_done(running)
        fleet.children[NORTH].kill()
        fleet.children[NORTH].wait()
        until(lambda: not executor.is_running(), within_s=5, what="the executor's end")
        fleet.start_node(NORTH)
    ask_again_after(fleet, driver, epoch)
    assert running.join(within_s=RECOVERED_S).counted == 2


@pytest.mark.slow
def test_lost_superlink_is_told_within_seconds_and_a_new_driver_goes_on(
    fleet: Fleet, model: Path
) -> None:
    with fleet.driver() as driver:
        fleet.announce(driver.start(), SITES)
        with working(fleet, NORTH):
            running = RunningRound(driver, order := durable(fleet, model))
            half_done(running)
            killed = time.monotonic()
            superlink_process(fleet).kill()
            with pytest.raises((SuperLinkUnreachableError, FlowerRefusedError)):
                running.join(within_s=10)
            assert running.ended - killed < 4
        with pytest.raises(RoundDriverDiedError):
            driver.run_round(order, judge=weigh)
    opened, again = reopened(fleet)
    with again:
        fleet.announce(opened, SITES)
        assert fleet.wait_online(SITES, timeout_s=RECOVERED_S) == set(SITES)
        ((reply, weight, path),) = running.kept.replies
        kept = KeptUpdate(reply.site, path, weight, reply.update_digest)
        order = replace(durable(fleet, model), kept=(kept,))
        outcome = RunningRound(again, order).join(within_s=RECOVERED_S)
    assert outcome.counted == 2
    assert [reply.site for reply in outcome.accepted] == [NORTH]


def reopened(fleet: Fleet) -> tuple[OpenedRun, RoundDriver]:
    """Return a driver on the SuperLink that came back."""
    end = time.monotonic() + RECOVERED_S
    while True:
        driver = fleet.driver()
        try:
            return driver.start(), driver
        except (SuperLinkUnreachableError, FlowerRefusedError):
            driver.close()
            assert time.monotonic() < end
            time.sleep(0.2)


@pytest.mark.slow
def test_task_of_a_driver_that_died_does_no_harm_to_the_next_one(
    fleet: Fleet, driver: RoundDriver, model: Path
) -> None:
    with working(fleet, NORTH):
        running = RunningRound(driver, durable(fleet, model))
        half_done(running)
        assert driver.pid is not None
        os.kill(driver.pid, signal.SIGKILL)
        with pytest.raises(RoundDriverDiedError):
            running.join(within_s=3)
        with fleet.driver() as another:
            fleet.announce(another.start(), SITES)
            repeated = RunningRound(another, durable(fleet, model))
            half_done(repeated)
            node_process(fleet, NORTH, "executor").resume()
            outcome = repeated.join(within_s=RECOVERED_S)
    assert (outcome.counted, outcome.refusals) == (2, ())


PARENT = """
import sys
from dataclasses import replace
from pathlib import Path
from benchmarks.fleet import RUN, STUDY, DIGEST
from federation.domain.ids import SiteId
from federation.server_app.rounds import RoundDriver, RoundOrder
from federation.wire.messages import TaskKind

home, address, model, node = sys.argv[1:]
driver = RoundDriver(home=Path(home), address=address)
opened = driver.start()
print(driver.pid, opened.flower_run, flush=True)
driver.run_round(
    RoundOrder(1, TaskKind.PING, STUDY, RUN, DIGEST, Path(model), Path(model + ".r"),
               {SiteId("north"): int(node)}, 1),
    judge=lambda reply: 1.0,
)
"""


@pytest.mark.slow
def test_driver_of_a_killed_parent_ends_and_fails_its_run(fleet: Fleet, model: Path) -> None:
    node = str(fleet.registered()[NORTH].node)
    arguments = [str(fleet.centre.folder), fleet.address, str(model), node]
    with working(fleet, NORTH):
        command = [sys.executable, "-c", PARENT, *arguments]
        parent = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert parent.stdout is not None
        pid, flower_run = (int(word) for word in parent.stdout.readline().split())
        time.sleep(1.0)
        parent.kill()
        parent.wait()
        parent.stdout.close()
        until(lambda: not psutil.pid_exists(pid), within_s=4, what="the driver's end")
    assert status_of(fleet, flower_run) == "finished:failed"


def status_of(fleet: Fleet, flower_run: int) -> str:
    from flwr.proto.control_pb2 import ListRunsRequest

    from federation.wire.flwr_internals.calls import control_client

    with control_client(path_of(fleet.address)) as client:
        status = client.ListRuns(ListRunsRequest(run_id=flower_run)).run_dict[flower_run].status
    return f"{status.status}:{status.sub_status}"


@pytest.mark.slow
def test_two_studies_share_the_nodes_at_the_same_time(fleet: Fleet, tmp_path: Path) -> None:
    found: dict[int, list[bool]] = {}
    playing = [
        threading.Thread(target=play, args=(fleet, tmp_path, number, found)) for number in (1, 2)
    ]
    for thread in playing:
        thread.start()
    for thread in playing:
        thread.join(120)
    assert found == {1: [True, True, True], 2: [True, True, True]}


def play(fleet: Fleet, folder: Path, number: int, found: dict[int, list[bool]]) -> None:
    """Play three rounds of a study of its own; note whether each brought back its own model."""
    study, run = StudyId(f"study-{number}"), RunId(f"study-{number}.1")
    (folder / str(number)).mkdir()
    model = folder / str(number) / "m.npy"
    with fleet.driver() as driver:
        opened = driver.start()
        notice = RunNotice(study, run, opened.flower_run, opened.bundle_digest)
        with AdminClient(fleet.centre.folder) as admin:
            assert set(admin.notify(notice, sites=SITES, wait_s=20)) == set(SITES)
        for turn in (1, 2, 3):
            np.save(model, np.full(200_000, 10 * number + turn, np.float32))
            order = replace(durable(fleet, model, turn), study=study, run=run)
            outcome = driver.run_round(order, judge=weigh)
            assert outcome.result is not None
            is_own = np.array_equal(np.load(outcome.result), np.load(model))
            found.setdefault(number, []).append(is_own and outcome.counted == 2)


@pytest.mark.slow
def test_stopped_round_ends_within_seconds(fleet: Fleet, driver: RoundDriver, model: Path) -> None:
    with working(fleet, NORTH):
        running = RunningRound(driver, durable(fleet, model), Kept())
        half_done(running)
        said = time.monotonic()
        driver.stop()
        outcome = running.join(within_s=5)
        assert running.ended - said < 3
    assert not outcome.reached
    assert [(item.site, item.code) for item in outcome.refusals] == [(NORTH, "TF424")]
