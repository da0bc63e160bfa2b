"""What the centre remembers: states move by the table, every write leaves its audit event."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from federation.domain.audit import AuditEvent, AuditKind
from federation.domain.ids import RunId, StudyId
from federation.domain.run import RoundState, RunState
from federation.domain.study import StudyState
from federation.errors.approval import StudyMissingError
from federation.errors.core import TransitionRefusedError
from federation.operations.launch import submit
from federation.operations.store.studies import StudyStore

STUDY = StudyId("cxr-2026")


def an_event(kind: AuditKind = AuditKind.STUDY_SUBMITTED) -> AuditEvent:
    return AuditEvent(kind, "centre", STUDY, datetime(2026, 11, 21, tzinfo=UTC))


@pytest.fixture
def store(tmp_path: Path) -> StudyStore:
    made = StudyStore.at(tmp_path / "centre.db")
    made.add_study(STUDY, {"title": "one"}, audit=an_event())
    return made


def move(store: StudyStore, *states: StudyState) -> None:
    for state in states:
        store.move_study(STUDY, state, audit=an_event(AuditKind.STUDY_PROPOSED))


def test_a_kept_study_is_a_draft(store: StudyStore) -> None:
    assert store.study(STUDY).state is StudyState.DRAFT
    assert store.holds(STUDY, {"title": "one"})
    assert not store.holds(STUDY, {"title": "two"})


def test_an_unknown_study_is_named_with_those_that_are_known(store: StudyStore) -> None:
    with pytest.raises(StudyMissingError, match="cxr-2026"):
        store.study(StudyId("other"))


def test_a_state_that_may_not_follow_changes_nothing_and_leaves_no_audit(
    store: StudyStore,
) -> None:
    before = len(store.audit_events())

    with pytest.raises(TransitionRefusedError):
        move(store, StudyState.COMPLETED)

    assert store.study(STUDY).state is StudyState.DRAFT
    assert len(store.audit_events()) == before


def test_a_completed_study_is_not_replaced(store: StudyStore) -> None:
    move(store, StudyState.PROPOSED, StudyState.APPROVED, StudyState.RUNNING, StudyState.COMPLETED)

    with pytest.raises(TransitionRefusedError):
        store.add_study(STUDY, {"title": "two"}, audit=an_event())

    assert store.study(STUDY).record == {"title": "one"}


def test_runs_are_numbered_and_closed_once(store: StudyStore) -> None:
    first = store.start_run(STUDY, {}, audit=an_event(AuditKind.RUN_STARTED))
    store.end_run(first, RunState.FAILED, {"why": "x"}, audit=an_event(AuditKind.RUN_ENDED))
    second = store.start_run(STUDY, {}, audit=an_event(AuditKind.RUN_STARTED))

    assert (first, second) == (RunId("cxr-2026.1"), RunId("cxr-2026.2"))
    with pytest.raises(TransitionRefusedError):
        store.end_run(first, RunState.COMPLETED, {}, audit=an_event(AuditKind.RUN_ENDED))


def test_a_round_kept_twice_is_one_round(store: StudyStore) -> None:
    run = store.start_run(STUDY, {}, audit=an_event(AuditKind.RUN_STARTED))
    for state in (RoundState.FAILED, RoundState.DONE):
        store.put_round(run, 1, state, {"round": 1}, audit=an_event(AuditKind.ROUND_DONE))

    (kept,) = store.rounds(run)
    assert kept.state is RoundState.DONE


def test_every_write_leaves_its_event(store: StudyStore) -> None:
    move(store, StudyState.PROPOSED)

    kinds = [event["kind"] for event in store.audit_events()]
    assert kinds == ["study-submitted", "study-proposed"]


def test_submitting_the_same_study_again_changes_nothing(tmp_path: Path) -> None:
    from federation.operations.enrolment import init_centre
    from tests.builders import a_study

    home = init_centre(
        tmp_path / "c", name="Centre", address="localhost:8443", now=datetime.now(UTC)
    )
    submit(home, a_study())
    submit(home, a_study())

    found = StudyStore.at(home.database)
    assert len(found.audit_events()) == 1
    found.close()
