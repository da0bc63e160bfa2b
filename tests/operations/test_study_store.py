"""What the centre remembers: states move by the table, every write leaves its audit event."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from federation.domain.audit import AuditEvent, AuditKind
from federation.domain.ids import RunId, Sha256, SiteId, StudyId
from federation.domain.run import RoundKey, RoundKind, RoundState, RunState
from federation.domain.study import StudyState
from federation.errors.approval import StudyMissingError
from federation.errors.core import TransitionRefusedError
from federation.errors.durable import RunOpenError, RunTakenOverError
from federation.operations.launch import submit
from federation.operations.store.claims import Claim
from federation.operations.store.database import Database
from federation.operations.store.rounds import RoundStore, StoredReply
from federation.operations.store.studies import StudyStore

STUDY = StudyId("cxr-2026")
NOW = datetime(2026, 11, 21, tzinfo=UTC)
KEY = RoundKey(RunId("cxr-2026.1"), RoundKind.TRAIN, 1)


def an_event(kind: AuditKind = AuditKind.STUDY_SUBMITTED) -> AuditEvent:
    return AuditEvent(kind, "centre", STUDY, NOW)


def a_reply(site: str = "north", *, update: bytes = b"update") -> StoredReply:
    return StoredReply(SiteId(site), Sha256.of(update), 1.0, {"loss": 0.5}, "{}", 0.1, NOW)


@pytest.fixture
def store(a_database: Database) -> StudyStore:
    made = StudyStore(a_database)
    made.add_study(STUDY, {"title": "one"}, audit=an_event())
    return made


@pytest.fixture
def claim(store: StudyStore) -> Claim:
    store.start_run(STUDY, {"seed": 7}, audit=an_event(AuditKind.RUN_STARTED))
    return store.claim(STUDY, {"at": "now"}, audit=an_event(AuditKind.RUN_CONTINUED))


@pytest.fixture
def rounds(store: StudyStore, claim: Claim) -> RoundStore:
    return RoundStore(store.database, claim)


def move(store: StudyStore, *states: StudyState) -> None:
    for state in states:
        store.move_study(STUDY, state, audit=an_event(AuditKind.STUDY_PROPOSED))


def walk(rounds: RoundStore, *states: RoundState) -> None:
    for state in states:
        rounds.move(KEY, state, {state.value: True}, audit=an_event(AuditKind.ROUND_DONE))


def plan(rounds: RoundStore) -> None:
    rounds.plan(KEY, {"sites": ["north"]}, audit=an_event(AuditKind.ROUND_PLANNED))


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


def test_runs_are_numbered_and_closed_once(store: StudyStore, claim: Claim) -> None:
    store.end_run(claim, RunState.FAILED, {"why": "x"}, audit=an_event(AuditKind.RUN_ENDED))
    second = store.start_run(STUDY, {}, audit=an_event(AuditKind.RUN_STARTED))

    assert (claim.run, second) == (RunId("cxr-2026.1"), RunId("cxr-2026.2"))
    with pytest.raises(RunTakenOverError):
        store.end_run(claim, RunState.COMPLETED, {}, audit=an_event(AuditKind.RUN_ENDED))
    assert [run.state for run in store.runs(STUDY)] == [RunState.FAILED, RunState.RUNNING]


def test_a_study_has_one_open_run_at_a_time(store: StudyStore, claim: Claim) -> None:
    with pytest.raises(RunOpenError, match=claim.run):
        store.start_run(STUDY, {}, audit=an_event(AuditKind.RUN_STARTED))

    assert len(store.runs(STUDY)) == 1


def test_a_run_is_closed_with_its_study_or_not_at_all(store: StudyStore, claim: Claim) -> None:
    with pytest.raises(TransitionRefusedError):  # a draft does not complete
        store.end_run(claim, RunState.COMPLETED, {}, study=StudyState.COMPLETED, audit=an_event())

    assert store.open_run(STUDY) is not None


def test_an_open_run_is_found_with_everything_it_was_begun_with(
    store: StudyStore, claim: Claim
) -> None:
    found = store.open_run(STUDY)

    assert found is not None and found.id == claim.run
    assert found.record == {"seed": 7, "continued": [{"at": "now"}]}


def test_a_paused_run_is_open_and_goes_on(store: StudyStore, claim: Claim) -> None:
    for state in (RunState.PAUSED, RunState.PAUSED, RunState.RUNNING):
        store.move_run(claim, state, {}, audit=an_event(AuditKind.RUN_PAUSED))

    found = store.open_run(STUDY)
    assert found is not None and found.state is RunState.RUNNING


def test_a_process_whose_run_was_taken_over_writes_nothing_more(
    store: StudyStore, claim: Claim, rounds: RoundStore
) -> None:
    plan(rounds)
    later = store.claim(STUDY, {}, audit=an_event(AuditKind.RUN_CONTINUED))
    before = len(store.audit_events())

    deeds: tuple[Callable[[], object], ...] = (
        lambda: walk(rounds, RoundState.DISPATCHED),
        lambda: rounds.keep_reply(KEY, a_reply(), audit=an_event()),
        lambda: store.note_run(claim, {"x": 1}, audit=an_event()),
        lambda: store.move_run(claim, RunState.PAUSED, {}, audit=an_event()),
        lambda: store.end_run(claim, RunState.FAILED, {}, audit=an_event()),
    )
    for deed in deeds:
        with pytest.raises(RunTakenOverError):
            deed()

    assert len(store.audit_events()) == before
    walk(RoundStore(store.database, later), RoundState.DISPATCHED)


def test_nobody_writes_rounds_without_a_claim(store: StudyStore) -> None:
    with pytest.raises(ValueError, match="claim"):
        plan(RoundStore(store.database))


def test_a_round_planned_twice_keeps_its_first_plan(rounds: RoundStore) -> None:
    plan(rounds)
    again = rounds.plan(KEY, {"sites": ["south"]}, audit=an_event())

    assert again.record == {"sites": ["north"]}


def test_a_round_walks_its_states_and_adds_to_its_record(rounds: RoundStore) -> None:
    plan(rounds)
    walk(rounds, RoundState.DISPATCHED)
    rounds.keep_reply(KEY, a_reply(), audit=an_event(AuditKind.REPLY_ACCEPTED))
    walk(rounds, RoundState.AGGREGATED, RoundState.EVIDENCED, RoundState.DONE, RoundState.DONE)

    (kept,) = rounds.rounds(KEY.run, RoundKind.TRAIN)
    assert kept.state is RoundState.DONE
    assert kept.record == {
        "sites": ["north"], "dispatched": True, "aggregated": True, "evidenced": True, "done": True,
    }  # fmt: skip
    assert rounds.rounds(KEY.run, RoundKind.EVALUATE) == []


def test_a_round_leaves_out_no_state(rounds: RoundStore) -> None:
    plan(rounds)

    with pytest.raises(TransitionRefusedError):
        walk(rounds, RoundState.AGGREGATED)


def test_the_first_reply_begins_the_collection_and_a_second_of_a_site_is_forgotten(
    rounds: RoundStore,
) -> None:
    plan(rounds)
    walk(rounds, RoundState.DISPATCHED)
    for reply in (a_reply("south"), a_reply("north"), a_reply("north", update=b"other")):
        rounds.keep_reply(KEY, reply, audit=an_event(AuditKind.REPLY_ACCEPTED))

    assert rounds.replies(KEY) == [a_reply("north"), a_reply("south")]
    found = rounds.round(KEY)
    assert found is not None and found.state is RoundState.COLLECTING


def test_every_write_leaves_its_event_and_a_repeated_one_none(
    store: StudyStore, rounds: RoundStore
) -> None:
    plan(rounds)
    plan(rounds)
    walk(rounds, RoundState.DISPATCHED, RoundState.DISPATCHED)

    kinds = [event["kind"] for event in store.audit_events()]
    assert kinds == [
        "study-submitted", "run-started", "run-continued", "round-planned", "round-done",
    ]  # fmt: skip


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
