"""A patient's name in an exception at a node is nowhere at the centre: stored, logged or shown."""

import asyncio
import json
import logging
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from benchmarks.fleet import Fleet, write_model
from clients import control
from clients.flower import executor
from federation.coordinator.admin import AdminClient
from federation.domain.ids import SiteId
from federation.errors import PlatformError
from federation.errors.control import RefusedByPeerError
from federation.errors.core import FileMissingError
from federation.operations.doctor import doctor_of_site
from federation.protocol import mapping
from federation.protocol.generated import control_pb2 as pb
from federation.server_app.rounds import RoundOutcome
from federation.supervision.process import log_to
from federation.wire.flower import pack_reply, unpack_reply
from federation.wire.messages import Refused, Reply
from tests.control.builders import (
    NORTH,
    a_centre,
    a_node,
    a_proposal,
    connected,
    connecting,
    run,
    serving,
    until,
)
from tests.observability.planted import PATIENT, files_with_traces, traces_in

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def centre_log(tmp_path: Path) -> Iterator[Path]:
    """The file into which the lines of the centre's modules go, as `centre serve` has it."""
    root, path = logging.getLogger(), tmp_path / "logs" / "centre.log"
    before, level = set(root.handlers), root.level
    log_to(path)
    ours = set(root.handlers) - before
    for handler in ours:  # the node is in this process too
        handler.addFilter(lambda record: not record.name.startswith("clients"))
    yield path
    for handler in ours:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)


def test_the_search_finds_what_was_planted(tmp_path: Path) -> None:
    (tmp_path / "x").write_text(json.dumps({"why": PATIENT}))

    assert list(files_with_traces(tmp_path))


@pytest.mark.parametrize(
    "error", [FileMissingError(file=PATIENT, why=PATIENT), RuntimeError(PATIENT)]
)
def test_an_executors_answer_to_a_failed_task_holds_a_code_alone(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[object] = []

    class Running:
        def confirm(self) -> None: ...

        def answer(self, records: object) -> None:
            sent.append(records)

    def fails(*_: object) -> Reply:
        raise error

    monkeypatch.setattr("federation.wire.flwr_internals.runtime.RunningTask", Running)
    monkeypatch.setattr(executor, "_handle", fails)
    executor._answer(Running(), fails, Path(), 1)

    (records,) = sent
    answer = unpack_reply(records, limit_bytes=1)  # type: ignore[arg-type]
    assert isinstance(answer, Refused)
    assert answer.code in ("TF417", FileMissingError.code)
    assert traces_in(repr(records) + repr(answer)) == []


def test_words_that_a_node_puts_beside_a_code_are_not_looked_at() -> None:
    raw = pb.ProposalReceived(
        study="cxr-2026",
        study_digest="sha256:" + 64 * "0",
        refused=pb.Refused(
            code="TF247", what=PATIENT, next_step=PATIENT, values={"study": PATIENT}
        ),
    )
    receipt = mapping.read_proposal_receipt(raw)

    assert receipt.refusal is not None and receipt.refusal.code == "TF247"
    assert traces_in(receipt.refusal.say() + repr(receipt.refusal.values)) == []


@pytest.mark.parametrize("code", [PATIENT, "", "TF100", "TF999", "TF2470"])
def test_a_code_that_is_none_is_told_as_unknown(code: str) -> None:
    error = mapping.error_of_site(code)

    assert isinstance(error, RefusedByPeerError)
    assert traces_in(error.say()) == []


def test_nothing_is_stored_logged_or_shown_of_a_node_whose_every_step_fails(
    tmp_path: Path, centre_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)
    node.audit_log.write_text(PATIENT)
    node.ledger.write_text(PATIENT)
    node.policy.write_text(PATIENT)
    shown: list[str] = []

    def fails(*_: object) -> None:
        raise FileMissingError(file=PATIENT, why=PATIENT)

    monkeypatch.setattr(control, "take_proposal", fails)

    async def work() -> None:
        async with serving(centre) as served, connecting(node) as client:
            await connected(client)
            proposal = a_proposal(centre)
            with AdminClient(centre.folder) as admin:
                await asyncio.to_thread(admin.propose, proposal, sites=[NORTH])
                code = FileMissingError.code
                await until(lambda: served.sites.view(NORTH).refused_code == code)
                shown.append(repr(await asyncio.to_thread(admin.status)))
            try:
                found = await asyncio.to_thread(doctor_of_site, centre.folder, NORTH, wait_s=15)
                shown.extend(json.dumps(one.as_json()) for one in found)
            except PlatformError as refusal:
                shown.append(json.dumps(refusal.as_json()))

    run(work())
    assert FileMissingError.code in centre_log.read_text()
    assert traces_in(centre_log.read_bytes()) == []
    assert list(files_with_traces(centre.folder)) == []
    assert traces_in("\n".join(shown)) == []
    assert len(shown) >= 2


@pytest.mark.slow
def test_real_processes_whose_tasks_fail_tell_the_centre_their_codes_alone(
    tmp_path: Path,
) -> None:
    """Centre, SuperLink, SuperNode, agent and driver are the product's own."""
    fleet = Fleet(tmp_path, [NORTH])
    outcomes: list[RoundOutcome] = []
    try:
        fleet.make_homes()
        fleet.start_centre()
        _start_planted(fleet, NORTH)
        assert fleet.wait_online([NORTH], timeout_s=90) == {NORTH}
        with fleet.driver() as driver:
            fleet.announce(driver.start(), [NORTH])
            model = write_model(tmp_path / "m.npy", 0.01)
            for number in (1, 2, 3, 4):
                order = fleet.ping_order(model, number, [NORTH])
                outcomes.append(driver.run_round(order, judge=lambda _: 1.0))
        with AdminClient(fleet.centre.folder) as admin:
            status = repr(admin.status())
    finally:
        fleet.stop()

    told = [[refusal.code for refusal in outcome.refusals] for outcome in outcomes]
    assert told == [["TF417"], [FileMissingError.code], ["TF417"], []]
    np.testing.assert_array_equal(np.load(outcomes[-1].result), np.load(model))
    assert traces_in(repr([asdict(outcome) for outcome in outcomes]) + status) == []
    assert list(files_with_traces(fleet.centre.folder)) == []
    assert traces_in((tmp_path / "centre.log").read_bytes()) == []


def _start_planted(fleet: Fleet, site: SiteId) -> None:
    script = str(ROOT / "tests" / "observability" / "planted_executor.py")
    code = (
        "import sys,pathlib,clients.agent as agent;"
        "agent.executor_command=lambda home,ping_only:"
        "[sys.executable,sys.argv[2],'--home',str(home),'--ping'];"
        "from clients.flower.supernode import secret_file;"
        "secret_file(pathlib.Path(sys.argv[1]).absolute());"
        "agent.serve_node(pathlib.Path(sys.argv[1]),ping_only=True)"
    )
    fleet._start(site, [sys.executable, "-c", code, str(fleet.nodes[site].folder), script])


def test_a_reply_that_is_good_is_not_touched() -> None:
    reply = Reply(np.ones(3, dtype=np.float32))
    found = unpack_reply(pack_reply(reply), limit_bytes=100)

    assert isinstance(found, Reply)
