"""The centre has a hospital's node look itself over, and learns no more than it may."""

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from benchmarks.fleet import Fleet
from clients import audit_log, checkup, checkup_desk, control
from clients.checkup import findings_of
from clients.checkup_desk import CheckupDesk, check_allowed, in_a_process
from clients.control import ChannelState
from clients.home import NodeHome
from clients.policy import TEMPLATE, sign_policy
from federation import provenance
from federation.checkup.found import Check, Level, Number, Travelled, travelled
from federation.coordinator.admin import AdminClient
from federation.domain.ids import SiteId
from federation.errors import PlatformError
from federation.errors.control import CentreNotRunningError, ProtocolBrokenError
from federation.errors.enrolment import SiteUnknownError
from federation.errors.observation import (
    CheckUnfinishedError,
    CheckupOffError,
    CheckupRefusedError,
    CheckupTooOftenError,
    CheckupUnansweredError,
    CheckupUnsupportedError,
    ObservationSettingsError,
    SiteNotConnectedError,
)
from federation.observability.logs import formatter_of
from federation.observability.settings import LogFormat
from federation.operations.doctor import doctor_of_site
from federation.protocol import mapping
from federation.protocol.generated import control_pb2 as pb
from federation.protocol.mapping import CheckupReport, CheckupRequest
from federation.wording import Language
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

ROOT = Path(__file__).resolve().parents[2]
ID = "0123456789abcdef"
ASKED = CheckupRequest(ID, 0)
FOUND = (
    Travelled("disk", Level.WARNING, None, {Number.FREE_GB: 2}),
    Travelled("ledger", Level.PROBLEM, "TF630"),
)
PATIENT = "CHEN^MEI-LING 1961-04-05 A123456789 /pacs/chen_meiling/scan.dcm"


async def finds(_home: NodeHome, _asked: CheckupRequest) -> tuple[Travelled, ...]:
    return FOUND


def a_signed_node(folder: Path) -> NodeHome:
    node = a_node(folder / "n", a_centre(folder / "c"))
    node.policy.write_text(TEMPLATE, encoding="utf-8")
    sign_policy(node, now=datetime.now(UTC))
    return node


def audit_of(node: NodeHome, prefix: str = "checkup") -> list[dict[str, object]]:
    return [
        line for line in audit_log.verify(node.audit_log) if str(line["kind"]).startswith(prefix)
    ]


# -- the way over the control channel --------------------------------------------------


def test_the_centre_gets_what_the_node_finds_and_the_node_writes_it_down(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)

    async def work() -> None:
        async with serving(centre) as served, connecting(node, examine=finds) as client:
            await connected(client)
            report = await served.control.checkup(NORTH, wait_s=5)
            assert report.findings == FOUND
            assert report.refused_code == ""

    run(work())
    (line,) = audit_of(node)
    assert line["kind"] == "checkup-answered"
    assert line["actor"] == "centre"


def test_the_command_tells_it_in_the_readers_language_from_the_codes(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)

    async def work() -> None:
        async with serving(centre), connecting(node, examine=finds) as client:
            await connected(client)
            found = await asyncio.to_thread(doctor_of_site, centre.folder, NORTH, wait_s=5)
            disk, ledger, software = found
            assert "2 GB" in disk.what.say() and "剩約 2 GB" in disk.what.say(Language.ZH_HANT_TW)
            assert ledger.code == "TF630" and ledger.what.say()
            assert software.level is Level.OK
            assert json.loads(json.dumps(disk.as_json()))["numbers"] == {"free_gb": 2}

    run(work())


def test_a_node_with_other_code_than_the_centre_is_worth_a_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)

    async def work() -> None:
        async with serving(centre) as served, connecting(node, examine=finds) as client:
            await connected(client)
            view = served.sites.view(NORTH)
            served.sites._views[NORTH] = replace(view, wheel_digest="sha256:" + 64 * "0")
            found = await asyncio.to_thread(doctor_of_site, centre.folder, NORTH, wait_s=5)
            assert (found[-1].check, found[-1].level) == ("software", Level.WARNING)

    run(work())


def test_sites_that_cannot_be_asked_are_coded_errors(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")
    a_node(tmp_path / "n", centre)

    with pytest.raises(SiteUnknownError):
        doctor_of_site(centre.folder, SiteId("nowhere"))
    with pytest.raises(CentreNotRunningError):
        doctor_of_site(centre.folder, NORTH)

    async def work() -> None:
        async with serving(centre):
            with pytest.raises(SiteNotConnectedError):
                await asyncio.to_thread(doctor_of_site, centre.folder, NORTH)

    run(work())


def test_a_node_from_before_checkups_is_not_asked_and_stays_connected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "CAPABILITIES", ("train", "evaluate"))
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)

    async def work() -> None:
        async with serving(centre) as served, connecting(node) as client:
            await connected(client)
            with pytest.raises(CheckupUnsupportedError):
                await served.control.checkup(NORTH, wait_s=5)
            assert served.sites.view(NORTH).connected

    run(work())


def test_a_node_that_does_not_report_in_time_is_a_coded_error_and_its_late_report_is_dropped(
    tmp_path: Path,
) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)
    let_go = asyncio.Event()

    async def slowly(_home: NodeHome, _asked: CheckupRequest) -> tuple[Travelled, ...]:
        await let_go.wait()
        return FOUND

    async def work() -> None:
        async with serving(centre) as served, connecting(node, examine=slowly) as client:
            await connected(client)
            with pytest.raises(CheckupUnansweredError):
                await served.control.checkup(NORTH, wait_s=0.2)
            let_go.set()
            await until(lambda: audit_of(node))
            assert (await served.control.checkup(NORTH, wait_s=5)).findings == FOUND
            assert served.control._checkups == {}

    run(work())


def test_a_checkup_ends_with_a_code_when_the_node_goes_away(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)

    async def never(_home: NodeHome, _asked: CheckupRequest) -> tuple[Travelled, ...]:
        await asyncio.Event().wait()
        return ()

    async def work() -> None:
        async with serving(centre) as served:
            async with connecting(node, examine=never) as client:
                await connected(client)
                waiting = asyncio.ensure_future(served.control.checkup(NORTH, wait_s=15))
                await asyncio.sleep(0.2)
            with pytest.raises(SiteNotConnectedError):
                await waiting

    run(work())


def test_other_messages_do_not_wait_for_a_checkup(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)
    woken: list[int] = []

    async def never(_home: NodeHome, _asked: CheckupRequest) -> tuple[Travelled, ...]:
        await asyncio.Event().wait()
        return ()

    async def work() -> None:
        wake = connecting(node, examine=never, on_wake=lambda: woken.append(1))
        async with serving(centre) as served, wake as client:
            await connected(client)
            waiting = asyncio.ensure_future(served.control.checkup(NORTH, wait_s=0.5))
            await asyncio.sleep(0.1)
            served.control.wake([NORTH])
            await until(lambda: woken, within_s=0.3)
            with pytest.raises(CheckupUnansweredError):
                await waiting

    run(work())


def test_lines_about_a_sites_connection_carry_its_name_as_a_field(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)
    lines: list[dict[str, str]] = []

    class Keeps(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(json.loads(formatter_of(LogFormat.JSON).format(record)))

    handler, logger = Keeps(), logging.getLogger("federation.coordinator.control_service")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)

    async def work() -> None:
        async with serving(centre), connecting(node) as client:
            await connected(client)

    try:
        run(work())
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
    assert [line["site"] for line in lines if "connected" in line["what"]][:1] == ["north"]


# -- what the hospital decides ---------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("allowed = false", CheckupOffError),
        ("allowed = 1", ObservationSettingsError),
        ("alowed = true", ObservationSettingsError),
        ("allowed = true\nmore = 1", ObservationSettingsError),
        ("allowed =", ObservationSettingsError),
        ("", ObservationSettingsError),
        ("\x00", ObservationSettingsError),
    ],
)
def test_a_hospital_that_says_no_or_nothing_that_is_understood_is_not_looked_at(
    tmp_path: Path, content: str, error: type[PlatformError]
) -> None:
    node = a_node(tmp_path / "n", a_centre(tmp_path / "c"))
    (node.folder / checkup_desk.FILE).write_text(content)

    with pytest.raises(error):
        check_allowed(node)


def test_without_the_file_or_with_a_yes_the_centre_may_look(tmp_path: Path) -> None:
    node = a_node(tmp_path / "n", a_centre(tmp_path / "c"))

    check_allowed(node)
    (node.folder / checkup_desk.FILE).write_text("allowed = true\n")
    check_allowed(node)


def test_a_no_reaches_the_centre_as_its_code_and_the_audit_log_as_a_line(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)
    (node.folder / checkup_desk.FILE).write_text("allowed = false\n")

    async def work() -> None:
        async with serving(centre), connecting(node, examine=finds) as client:
            await connected(client)
            with pytest.raises(CheckupOffError):
                await asyncio.to_thread(doctor_of_site, centre.folder, NORTH, wait_s=5)

    run(work())
    (line,) = audit_of(node)
    assert (line["kind"], line["details"]["code"]) == ("checkup-refused", "TF251")  # type: ignore[index]


def test_where_nothing_can_be_written_down_nothing_leaves_but_the_code(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)
    node.audit_log.write_bytes(f"not a line of ours {PATIENT}\n".encode())

    async def work() -> None:
        async with serving(centre) as served, connecting(node, examine=finds) as client:
            await connected(client)
            report = await served.control.checkup(NORTH, wait_s=5)
            assert (report.findings, report.refused_code) == ((), "TF642")
            with pytest.raises(CheckupRefusedError, match="TF642") as told:
                await asyncio.to_thread(doctor_of_site, centre.folder, NORTH, wait_s=5)
            assert "CHEN" not in told.value.say()

    run(work())


# -- a hostile centre ------------------------------------------------------------------


def test_three_are_answered_in_a_row_and_one_a_minute_after(tmp_path: Path) -> None:
    node = a_node(tmp_path / "n", a_centre(tmp_path / "c"))
    passed = [0.0]
    desk = CheckupDesk(node, examine=finds, passing=lambda: passed[0])

    async def ask() -> str:
        if not desk.may_begin():
            return (await desk.turn_away(ASKED)).refused_code
        return (await desk.report(ASKED)).refused_code

    async def work() -> None:
        too_often = CheckupTooOftenError.code
        assert [await ask() for _ in range(5)] == ["", "", "", too_often, too_often]
        passed[0] += 61
        assert [await ask() for _ in range(2)] == ["", too_often]
        passed[0] += 10_000
        assert [await ask() for _ in range(4)] == ["", "", "", too_often]

    run(work())
    assert [line["kind"] for line in audit_of(node)].count("checkup-refused") == 2


def test_only_one_is_looked_at_at_a_time(tmp_path: Path) -> None:
    node = a_node(tmp_path / "n", a_centre(tmp_path / "c"))
    desk = CheckupDesk(node, examine=finds)

    assert desk.may_begin()
    assert not desk.may_begin()


def test_a_flood_of_checkups_costs_three_looks_and_a_few_lines(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)
    looks: list[str] = []

    async def counted(_home: NodeHome, asked: CheckupRequest) -> tuple[Travelled, ...]:
        looks.append(asked.id)
        return FOUND

    async def work() -> None:
        async with serving(centre) as served, connecting(node, examine=counted) as client:
            await connected(client)
            asked = [served.control.checkup(NORTH, wait_s=15) for _ in range(500)]
            reports = await asyncio.gather(*asked)
            assert sum(report.refused_code == "TF252" for report in reports) >= 497
            assert served.sites.view(NORTH).connected

    run(work())
    assert 1 <= len(looks) <= 3
    assert len(audit_of(node)) <= 4


@pytest.mark.parametrize("odd", ["", "x" * 16, "0" * 17, "A" * 16, "\x1b[31m", "0" * 100_000])
def test_an_odd_checkup_ends_the_connection_and_is_not_looked_at(tmp_path: Path, odd: str) -> None:
    with pytest.raises(ProtocolBrokenError):
        mapping.read_checkup(pb.Checkup(id=odd), clock_unix_ms=0)


@pytest.mark.parametrize("theirs", [-(2**63), 2**63 - 1, 0])
def test_an_odd_clock_of_the_centre_becomes_a_number_of_fixed_size(theirs: int) -> None:
    asked = mapping.read_checkup(pb.Checkup(id=ID, clock_unix_ms=theirs), clock_unix_ms=10**12)

    assert abs(asked.skew_ms) <= 1_000_000


def test_an_odd_checkup_over_the_line_does_not_stop_the_node(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)

    async def work() -> None:
        async with serving(centre) as served, connecting(node, examine=finds) as client:
            await connected(client)
            served.control._send([NORTH], pb.FromCentre(checkup=pb.Checkup(id="no")))
            await until(lambda: client.status.state is not ChannelState.CONNECTED)
            await connected(client)
            assert (await served.control.checkup(NORTH, wait_s=5)).findings == FOUND

    run(work())


# -- a hostile node --------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        pb.CheckupReport(id="no"),
        pb.CheckupReport(id=ID, refused_code="x" * 200),
        pb.CheckupReport(id=ID, findings=[pb.CheckupFinding(check="disk", level="ok")] * 65),
        pb.CheckupReport(id=ID, findings=[pb.CheckupFinding(check="disk", level="fine")]),
        pb.CheckupReport(id=ID, findings=[pb.CheckupFinding(check="Chen Mei-Ling", level="ok")]),
        pb.CheckupReport(
            id=ID, findings=[pb.CheckupFinding(check="disk", level="ok", code="A123456789")]
        ),
        pb.CheckupReport(
            id=ID,
            findings=[
                pb.CheckupFinding(
                    check="disk", level="ok", numbers={str(number): 1 for number in range(17)}
                )
            ],
        ),
    ],
)
def test_a_report_of_another_form_is_refused(message: pb.CheckupReport) -> None:
    with pytest.raises(ProtocolBrokenError):
        mapping.read_checkup_report(message)


def test_a_report_survives_the_wire() -> None:
    report = CheckupReport(ID, FOUND)
    sent = mapping.write_checkup_report(report).checkup_report

    assert mapping.read_checkup_report(sent) == report


def test_numbers_that_nobody_agreed_on_are_left_out_and_large_ones_cut() -> None:
    found = travelled("disk", "ok", "", {"patients": 1234, "days": 10**12})

    assert found.numbers == {Number.DAYS: 1_000_000}


def test_a_report_that_nobody_asked_for_is_forgotten(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)

    async def work() -> None:
        async with serving(centre) as served, connecting(node, examine=finds) as client:
            await connected(client)
            session = served.control._sessions[NORTH]
            message = mapping.write_checkup_report(CheckupReport(ID, FOUND))
            await served.control._take(session, message)
            assert served.control._checkups == {}

    run(work())


def test_words_of_a_check_this_version_does_not_know_are_fixed(tmp_path: Path) -> None:
    from federation.operations.findings import told_from_afar

    for found in (Travelled("weather", Level.OK), Travelled("disk", Level.OK)):
        assert "does not know" in told_from_afar(found).what.say()
    assert "TF999" in told_from_afar(Travelled("disk", Level.OK, "TF999")).what.say()


# -- what is looked at -----------------------------------------------------------------


def test_every_check_has_a_name_and_words_in_both_languages(tmp_path: Path) -> None:
    from federation.operations.findings import told

    found = findings_of(a_signed_node(tmp_path), now=datetime.now(UTC), skew_ms=0)

    assert {one.check for one in found} | {Check.SUPERNODE, Check.EXECUTOR} == set(Check)
    for one in found:
        assert told(one).what.say() and told(one).what.say(Language.ZH_HANT_TW)
        assert "does not know" not in told(one).what.say()
        assert one.level is Level.OK or one.check is Check.DISK, one


@pytest.mark.parametrize(
    ("spoil", "check", "code"),
    [
        (lambda node: node.audit_log.write_bytes(b"{}\n"), Check.AUDIT, "TF642"),
        (lambda node: node.ledger.write_bytes(b"x" * 4096), Check.LEDGER, None),
        (lambda node: node.catalogue.write_bytes(b"x" * 4096), Check.CATALOGUE, None),
        (lambda node: node.policy.write_text("changed"), Check.POLICY, None),
        (lambda node: node.tls_key.chmod(0o644), Check.PERMISSIONS, "TF807"),
        (lambda node: node.tls_certificate.write_bytes(b"?"), Check.CERTIFICATES, None),
        (lambda node: node.authority_certificate.write_bytes(b"?"), Check.AUTHORITY, None),
        (lambda node: node.settings_file.write_bytes(b"?"), Check.SETTINGS, None),
        (lambda node: (node.run / "node.json").write_text("?"), Check.EXECUTOR, "TF254"),
        (lambda node: _node_state(node, pid=None), Check.EXECUTOR, "TF259"),
    ],
)
def test_what_is_broken_is_found_with_a_code(
    tmp_path: Path, spoil: object, check: Check, code: str | None
) -> None:
    node = a_signed_node(tmp_path)
    node.data.mkdir(exist_ok=True)
    spoil(node)  # type: ignore[operator]
    found = {one.check: one for one in findings_of(node, now=datetime.now(UTC), skew_ms=0)}

    assert found[check].level is Level.PROBLEM
    assert found[check].error is not None
    assert code is None or found[check].error.code == code


def _node_state(node: NodeHome, *, pid: int | None, starts: int = 1) -> None:
    names = ("supernode", "executor")
    state = {"children": dict.fromkeys(names, pid), "starts": dict.fromkeys(names, starts)}
    (node.run / "node.json").write_text(json.dumps(state))


def test_a_child_that_was_started_again_very_often_is_worth_a_look(tmp_path: Path) -> None:
    node = a_signed_node(tmp_path)
    _node_state(node, pid=os.getpid(), starts=41)
    found = {one.check: one for one in findings_of(node, now=datetime.now(UTC))}

    assert found[Check.EXECUTOR].level is Level.WARNING
    assert found[Check.EXECUTOR].numbers == {Number.RESTARTS: 40}


@pytest.mark.parametrize(
    ("skew_ms", "level"),
    [(0, Level.OK), (-61_000, Level.WARNING), (301_000, Level.PROBLEM), (-(10**6), Level.PROBLEM)],
)
def test_a_clock_is_compared_with_the_centres(tmp_path: Path, skew_ms: int, level: Level) -> None:
    node = a_signed_node(tmp_path)
    found = findings_of(node, now=datetime.now(UTC), skew_ms=skew_ms)

    assert {one.level for one in found if one.check is Check.CLOCK} == {level}


def test_code_replaced_under_a_running_node_is_a_problem(tmp_path: Path) -> None:
    node = a_signed_node(tmp_path)
    now = datetime.now(UTC)
    same = findings_of(node, now=now, running=provenance.code_digest())
    other = findings_of(node, now=now, running="sha256:" + 64 * "0")

    assert [one.level for one in same if one.check is Check.CODE] == [Level.OK]
    assert [one.error.code for one in other if one.check is Check.CODE and one.error] == ["TF255"]


def test_an_unforeseen_failure_of_a_check_is_its_code_without_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_home: NodeHome) -> None:
        raise RuntimeError(PATIENT)

    monkeypatch.setattr(checkup, "_ledger", fails)
    found = findings_of(a_signed_node(tmp_path), now=datetime.now(UTC))
    report = CheckupReport(ID, tuple(one.travels() for one in found))
    sent = mapping.write_checkup_report(report).SerializeToString()

    assert {one.check: one for one in report.findings}["ledger"].code == "TF254"
    assert b"CHEN" not in sent and b"A123456789" not in sent


def test_nothing_but_names_codes_and_numbers_travels(tmp_path: Path) -> None:
    """Every file that a check reads holds the text of a patient; none of it leaves."""
    node = a_signed_node(tmp_path)
    node.data.mkdir(exist_ok=True)
    planted = [node.audit_log, node.ledger, node.catalogue, node.policy, node.tls_certificate]
    planted += [node.authority_certificate, node.run / "node.json", node.folder / "seen.json"]
    for path in planted:
        path.write_text(PATIENT)
    (node.folder / "keys" / "CHEN-A123456789.key").write_text(PATIENT)
    (node.folder / "keys" / "CHEN-A123456789.key").chmod(0o644)
    found = findings_of(node, now=datetime.now(UTC), skew_ms=0)
    report = CheckupReport(ID, tuple(one.travels() for one in found))
    sent = mapping.write_checkup_report(report).SerializeToString()

    assert sum(one.level is Level.PROBLEM for one in found) >= 7
    for part in (b"CHEN", b"A123456789", b"1961", b"pacs", str(tmp_path).encode()):
        assert part not in sent


def test_the_checks_run_in_a_process_of_their_own(tmp_path: Path) -> None:
    node = a_signed_node(tmp_path)
    found: list[Travelled] = []

    async def work() -> None:
        found.extend(await in_a_process(node, CheckupRequest(ID, -90_000)))

    run(work())
    by_name = {one.check: one for one in found}
    assert by_name["clock"] == Travelled("clock", Level.WARNING, None, {Number.SECONDS: 90})
    assert by_name.keys() >= {"code", "audit", "policy", "disk"}
    assert by_name["ledger"].level is Level.OK


def test_a_process_that_takes_too_long_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkup_desk, "WITHIN_S", 0.05)
    node = a_signed_node(tmp_path)

    async def work() -> None:
        with pytest.raises(CheckUnfinishedError):
            await in_a_process(node, ASKED)

    run(work())


def test_the_admin_socket_gives_the_errors_of_the_centre(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")

    async def work() -> None:
        async with serving(centre):
            with AdminClient(centre.folder) as admin, pytest.raises(SiteNotConnectedError):
                await asyncio.to_thread(admin.checkup, NORTH, wait_s=1)

    run(work())


@pytest.mark.slow
def test_the_command_asks_a_real_node_and_tells_that_its_executor_was_killed(
    tmp_path: Path,
) -> None:
    """Centre, agent, SuperNode, executor and command are real processes."""
    fleet = Fleet(tmp_path, [NORTH])
    try:
        fleet.make_homes()
        fleet.start_centre()
        fleet.start_node(NORTH)
        assert fleet.wait_online([NORTH], timeout_s=90) == {NORTH}
        before = _asked(fleet)
        state = json.loads((fleet.nodes[NORTH].run / "node.json").read_text())
        os.kill(state["children"]["executor"], signal.SIGKILL)
        after = _asked_until(fleet, lambda found: found["executor"]["numbers"] == {"restarts": 1})
    finally:
        fleet.stop()
    assert before["executor"]["level"] == before["supernode"]["level"] == "ok"
    assert before["executor"]["numbers"] == {"restarts": 0}
    assert before["clock"]["numbers"]["seconds"] <= 5
    assert before["policy"]["code"] == "TF331"
    assert after["executor"]["level"] == "ok"
    assert len(audit_of(fleet.nodes[NORTH], "checkup-answered")) >= 2


def _asked(fleet: Fleet) -> dict[str, dict[str, Any]]:
    command = [sys.executable, "-m", "federation.commands.main", "doctor", "--site", "north"]
    command += ["--home", str(fleet.centre.folder), "--json"]
    done = subprocess.run(command, capture_output=True, check=False, text=True, cwd=ROOT)
    assert done.stdout, done.stderr
    return {one["check"]: one for one in json.loads(done.stdout)["findings"]}


def _asked_until(fleet: Fleet, so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Ask at most twice more: three are answered in a row."""
    time.sleep(2)
    found = _asked(fleet)
    if not so(found):
        time.sleep(5)
        found = _asked(fleet)
    assert so(found)
    return found
