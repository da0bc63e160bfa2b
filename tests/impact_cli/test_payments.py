"""Payment: what each step needs, what the clock does, which evidence counts."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from federation.commands.main import run
from federation.errors.core import InvalidValueError
from federation.errors.evidence_nouns import PaymentGuardError
from federation.errors.impact_commands import EvidenceNotInForceError, OtherVersionEvidenceError
from federation.errors.moves import RecordShapeError
from federation.operations.dossier import Device, open_dossier
from federation.operations.embedded_registry import Actor
from federation.operations.impact import new_study
from federation.operations.reimbursement import (
    NEEDED,
    TOPICS,
    Indication,
    Report,
    Terms,
    add_evidence,
    apply,
    move_payment,
    note_assessment,
    note_reassessment,
    set_terms,
    show_payment,
)
from registry import certification, impact
from registry.nouns import noun_rules
from registry.records.shapes import Noun
from registry.reimbursement import NOUN
from registry.roles import Role
from registry.timers.service import run as run_clock
from tests.impact_cli.builders import COUNCIL, INSURER, LEAD, MAKER, SITES, STUDY, Home
from tests.registry.nouns_b.bodies import (
    DIGEST,
    LICENSED,
    dossier,
    impact_study,
    person,
    read,
    result,
    starting_in,
)

WRITER = Actor("nhi-2", "NHIA", "NHI-S")
TERMS = Terms("32001C", 200, False, "2026-09-01T00:00:00Z", "2028-08-31T00:00:00Z", "rwd-pneumonia")


@pytest.fixture
def applied(home: Home) -> Home:
    open_dossier(home.desk, "d-1", home.entry, device=Device("CADe"), device_id="x", actor=MAKER)
    apply(
        home.desk,
        "pay-1",
        home.entry,
        dossier="d-1",
        licence="MD-1",
        indication=Indication("pneumonia", "肺炎"),
        actor=MAKER,
    )
    return home


def test_what_is_missing_is_said_in_both_languages(applied: Home) -> None:
    shown = show_payment(applied.desk, "pay-1")
    (assess,) = shown.following
    assert assess.number == "P1" and isinstance(assess.held_back[0], PaymentGuardError)
    told = shown.as_json()
    assert told["moves"][0]["held_back"][0]["what"]["zh-TW"]  # type: ignore[index]
    assert told["evidence"] == {"quality": [], "efficiency": [], "staff-burden": []}
    with pytest.raises(PaymentGuardError):
        move_payment(applied.desk, "pay-1", "P1", actor=MAKER, reason="asked")


def test_every_move_says_what_it_needs() -> None:
    assert set(NEEDED) == set(NOUN.moves.numbers)
    assert all(one.en and one.zh for one in NEEDED.values())


def test_only_reported_studies_of_this_version_are_evidence(applied: Home, tmp_path: Path) -> None:
    for study, entry in (("mine", applied.entry), ("other", applied.other)):
        new_study(
            applied.desk,
            study,
            entry,
            design="before-after",
            sites=SITES[:1],
            folder=tmp_path / study,
            actor=LEAD,
        )
    with pytest.raises(OtherVersionEvidenceError):
        add_evidence(applied.desk, "pay-1", "quality", "other", actor=MAKER)
    with pytest.raises(EvidenceNotInForceError):
        add_evidence(applied.desk, "pay-1", "quality", "mine", actor=MAKER)
    with pytest.raises(InvalidValueError):
        add_evidence(applied.desk, "pay-1", "beauty", "mine", actor=MAKER)


def test_more_than_two_years_are_refused(applied: Home) -> None:
    with pytest.raises(RecordShapeError):
        set_terms(applied.desk, "pay-1", replace(TERMS, end="2028-09-02T00:00:00Z"), actor=MAKER)
    assert set_terms(applied.desk, "pay-1", TERMS, actor=MAKER).body["monitoring"]
    report = Report(b"report", "2026-08-01", "HTA 115-07")
    assert note_assessment(applied.desk, "pay-1", report, actor=MAKER).body["assessment"]


def test_a_payment_goes_from_assessment_over_two_years_to_a_listing(home: Home) -> None:
    desk = home.desk
    in_state(
        home,
        certification.NOUN,
        "licensed",
        "d-1",
        dossier(entry=home.entry, licence=LICENSED),
        Role.HAO,
    )
    reported = impact_study(entry=home.entry, sap_hash=DIGEST, results=[result()])
    in_state(home, impact.NOUN, "reported", STUDY, reported, Role.IMP_P)
    said = Indication("pneumonia", "肺炎")
    apply(
        desk,
        "p",
        home.entry,
        dossier="d-1",
        licence=LICENSED["number"],
        indication=said,
        actor=MAKER,
    )
    move_payment(desk, "p", "P1", actor=MAKER, reason="asked")
    assert show_payment(desk, "p").parts["effectiveness"] == (STUDY,)
    note_assessment(desk, "p", Report(b"hta", "2026-08-01", "HTA 115-07"), actor=WRITER)
    set_terms(desk, "p", TERMS, actor=WRITER)
    for actor in (INSURER, COUNCIL):
        move_payment(desk, "p", "P2", actor=actor, reason="agreed")
    shown = show_payment(desk, "p")
    reminder, end = shown.due
    assert end[:2] == (datetime(2028, 8, 31, tzinfo=UTC), "P3")
    assert reminder[:2] == (end[0] - timedelta(days=180), None)
    assert [one.number for one in shown.following] == ["P3"]
    assert run_clock(desk.records, noun_rules(), now=end[0]).moved
    lacks = {one.number: one.held_back for one in show_payment(desk, "p").following}
    assert len(lacks["P4"]) == 4, "the report, and evidence of three topics"
    for topic in TOPICS:
        add_evidence(desk, "p", topic, STUDY, actor=MAKER)
    note_reassessment(desk, "p", Report(b"htr", "2028-08-01", "HTR 117-07"), actor=WRITER)
    for actor in (INSURER, COUNCIL):
        move_payment(desk, "p", "P4", actor=actor, reason="agreed")
    listed = show_payment(desk, "p")
    assert listed.record.state == "listed" and listed.topics["quality"] == (STUDY,)


def in_state(home: Home, noun: Noun[Any], state: str, id: str, body: Any, role: Role) -> None:
    """Put a record straight into a state, past its moves."""
    states = starting_in(noun, next(one for one in noun.moves.states if one.value == state))
    home.desk.records.put(states, id, read(noun, body), author=person(role))


def test_makers_are_reminded_of_a_licence_half_a_year_before_it_expires(home: Home) -> None:
    licence = {"number": "MD-1", "issued": "2026-12-01", "expires": "2031-12-01"}
    body = dossier(entry=home.entry, licence=licence)
    in_state(home, certification.NOUN, "licensed", "d-1", body, Role.HAO)
    at = datetime(2031, 12, 1, 15, 59, 59, tzinfo=UTC) - timedelta(days=180)
    for now, due in ((at - timedelta(seconds=1), []), (at, ["certification-dossier/d-1"])):
        done = run_clock(home.desk.records, noun_rules(), now=now)
        assert [one.name for one in done.reminders] == due and not done.moved


def test_the_commands_speak_both_languages(
    applied: Home, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    at = ["--home", str(applied.path)]
    assert run(["reimbursement", "show", "pay-1", *at]) == 0
    said = capsys.readouterr().out
    assert "A licensed dossier of this version." in said and "[TF848]" in said
    monkeypatch.setenv("TRIFED_LANG", "zh")
    assert run(["reimbursement", "show", "pay-1", *at]) == 0
    assert "此版本已取得許可的查驗登記文件。" in capsys.readouterr().out
    who = ["--person", "hao-1", "--organisation", "Tainan Hospital", "--role", "HAO"]
    assert run(["reimbursement", "move", "pay-1", "P1", *who, "--reason", "x", "--json", *at]) == 1
    assert json.loads(capsys.readouterr().err)["error"]["code"] == "TF848"
    assert run(["reimbursement", "show", "pay-1", "--json", *at]) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "none"
