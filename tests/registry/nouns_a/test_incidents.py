"""An incident is told in time, corrected, and closed by two people."""

from datetime import UTC, date, datetime

import pytest

from federation.errors import PlatformError
from federation.errors.governance import IncidentHeldBackError
from registry.deployments import NOUN as DEPLOYMENT
from registry.incidents import NOUN
from registry.incidents.noun import RULES
from registry.incidents.severity import Severity, alert_due
from registry.roles import Role
from registry.timers.service import run
from tests.registry.nouns_a.bodies import (
    ALERTED,
    BOTH,
    CAUSE,
    DIGEST,
    ENTRY,
    WORKED,
    Json,
    deployment,
    incident,
    move,
    person,
    put,
)
from tests.registry.record_builders import Desk

HAO, HAC, RAI_A = person(Role.HAO), person(Role.HAC), person(Role.RAI_A)
NO_HAZARD: Json = {"hazard": False, "no_hazard_because": BOTH}


@pytest.fixture
def ward(desk: Desk) -> Desk:
    put(desk, DEPLOYMENT, "dep-1", deployment(), HAO)
    return desk


def write(desk: Desk, *parts: Json, **changes: object) -> None:
    together: Json = {}
    for part in parts:
        together |= part
    put(desk, NOUN, "inc-1", incident(**together, **changes), HAO)


def test_an_incident_goes_from_alert_to_close(ward: Desk) -> None:
    write(ward)
    assert [one.id for one in ward.records.linking("model-version", ENTRY)] == ["dep-1", "inc-1"]
    write(ward, ALERTED)
    assert move(ward, NOUN, "inc-1", "alert", HAC) == "alerted"
    write(ward, ALERTED, CAUSE)
    assert move(ward, NOUN, "inc-1", "correct", RAI_A) == "correcting"
    write(ward, ALERTED, CAUSE, WORKED)
    assert move(ward, NOUN, "inc-1", "close", HAC, RAI_A) == "closed"
    with pytest.raises(PlatformError):
        write(ward, ALERTED)
    assert move(ward, NOUN, "inc-1", "reopen", person(Role.TFD)) == "open"


def test_nothing_is_alerted_that_was_not_sent(ward: Desk) -> None:
    write(ward)
    with pytest.raises(IncidentHeldBackError):
        move(ward, NOUN, "inc-1", "alert", HAC)
    tomorrow = {"number": "TFDA-1", "sent_on": "2026-09-02", "report": DIGEST}
    write(ward, alert=tomorrow)
    with pytest.raises(IncidentHeldBackError):
        move(ward, NOUN, "inc-1", "alert", HAC)


def test_only_without_a_hazard_is_the_authority_not_told(ward: Desk) -> None:
    write(ward, CAUSE)
    with pytest.raises(IncidentHeldBackError):
        move(ward, NOUN, "inc-1", "correct-without-alert", HAC)
    write(ward, CAUSE, NO_HAZARD)
    assert move(ward, NOUN, "inc-1", "correct-without-alert", HAC, RAI_A) == "correcting"


def test_cause_plan_and_proof_come_before_the_close(ward: Desk) -> None:
    write(ward, ALERTED)
    move(ward, NOUN, "inc-1", "alert", HAC)
    for part in ({"root_cause": BOTH}, {"correction": {"plan": BOTH}}):
        write(ward, ALERTED, part)
        with pytest.raises(IncidentHeldBackError):
            move(ward, NOUN, "inc-1", "correct", HAC)
    write(ward, ALERTED, CAUSE)
    move(ward, NOUN, "inc-1", "correct", HAC)
    unproven = WORKED | {"correction": {"plan": BOTH}}
    nothing_done = WORKED | {"actions": [{"kind": "none", "on": "2026-08-31", "what": BOTH}]}
    for given in (unproven, nothing_done, WORKED | {"actions": []}):
        write(ward, ALERTED, CAUSE, given)
        with pytest.raises(IncidentHeldBackError):
            move(ward, NOUN, "inc-1", "close", HAC)


def test_an_alert_that_vanished_holds_the_close_back(ward: Desk) -> None:
    write(ward, ALERTED, CAUSE)
    move(ward, NOUN, "inc-1", "alert", HAC)
    move(ward, NOUN, "inc-1", "correct", HAC)
    write(ward, CAUSE, WORKED)
    with pytest.raises(IncidentHeldBackError):
        move(ward, NOUN, "inc-1", "close", HAC)


def test_it_is_about_a_deployment_of_that_version_and_its_own_hospital_signs(ward: Desk) -> None:
    write(ward, ALERTED, deployment="dep-9")
    with pytest.raises(IncidentHeldBackError):
        move(ward, NOUN, "inc-1", "alert", HAC)
    write(ward, ALERTED, entry="TWAI-2026-00001-4.v0.2.0")
    with pytest.raises(IncidentHeldBackError):
        move(ward, NOUN, "inc-1", "alert", HAC)
    write(ward, ALERTED)
    with pytest.raises(IncidentHeldBackError):
        move(ward, NOUN, "inc-1", "alert", person(Role.HAC, "Hualien Hospital", "other"))


@pytest.mark.parametrize("severity", Severity)
def test_every_class_has_seven_days_from_the_day_after(severity: Severity) -> None:
    assert len(Severity) == 6
    assert alert_due(severity, date(2026, 8, 31)) == date(2026, 9, 7)


def test_the_clock_reminds_when_the_days_are_over_and_nobody_was_told(ward: Desk) -> None:
    write(ward)
    ward.clock.now = datetime(2026, 9, 7, 15, 59, 59, tzinfo=UTC)
    assert not run(ward.records, RULES, now=ward.clock.now).reminders
    ward.clock.turn(seconds=1)
    assert [one.id for one in run(ward.records, RULES, now=ward.clock.now).reminders] == ["inc-1"]
    write(ward, ALERTED)
    assert not run(ward.records, RULES, now=ward.clock.now).reminders
    write(ward, NO_HAZARD)
    assert not run(ward.records, RULES, now=ward.clock.now).reminders


@pytest.mark.parametrize(
    "changes",
    [
        {"due": "2026-09-08"},
        {"due": "2026-09-06"},
        {"detected_on": "2026-08-29", "due": "2026-09-05"},
        {"hazard": False},
        {"no_hazard_because": BOTH},
        {"severity": "death"} | NO_HAZARD,
        {"severity": "life-threatening"} | NO_HAZARD,
        {"severity": "scratch"},
        {"alert": {"number": "1", "sent_on": "2026-08-30", "report": DIGEST}},
        {"patient": "A123456789"},
    ],
    ids=[
        "late",
        "early",
        "before",
        "no-reason",
        "needless-reason",
        "death",
        "danger",
        "class",
        "told-before",
        "patient",
    ],
)
def test_an_incident_that_contradicts_itself_is_refused(desk: Desk, changes: Json) -> None:
    with pytest.raises(PlatformError):
        put(desk, NOUN, "inc-1", incident(**changes), HAO)
