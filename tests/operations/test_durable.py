"""What passes is waited for, what people wish is heeded, and nothing is asked or counted twice."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from federation.domain.ids import RunId, SiteId
from federation.domain.queue import Wish
from federation.domain.run import RoundKey, RoundKind, RoundState, RunState
from federation.domain.study import StudyState
from federation.errors.approval import NotApprovedError
from federation.errors.base import PlatformError
from federation.errors.control import AlreadyRunningError, CentreNotRunningError
from federation.errors.durable import (
    ProgramFaultError,
    RoundStoppedError,
    RunNotContinuableError,
    StudyStoppedError,
)
from federation.errors.machine import DiskFullError
from federation.errors.rounds import (
    ExecutorFailedError,
    FlowerRefusedError,
    QuorumNotReachedError,
    RoundDriverDiedError,
    SiteFailedError,
    SuperLinkUnreachableError,
)
from federation.errors.storage import StoreUnavailableError
from federation.errors.transport import KeptUpdateDamagedError
from federation.operations import launch
from federation.operations.artefacts import Artefacts
from federation.operations.campaign import crew, playing, recovery, wishes
from federation.operations.launch import result_of_launch, study_as_stored
from federation.operations.store.claims import Claim
from federation.operations.store.database import Database
from federation.operations.store.queue import Asked, QueueStore
from federation.operations.store.rounds import RoundStore
from federation.operations.store.studies import StudyStore
from tests.builders import a_study
from tests.operations.fakes import Federation, a_federation, decide, prepared, unavailable

NORTH, SOUTH, CENTRE = SiteId("north"), SiteId("south"), SiteId("centre")
RUN = RunId("cxr-2026.1")


@pytest.fixture
def fed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Federation]:
    monkeypatch.setattr(recovery, "PAUSES_S", (0.01,))
    monkeypatch.setattr(recovery, "ROOM_S", 0.05)
    for module in (crew, wishes):
        monkeypatch.setattr(module, "LOOK_S", 0.02)
    monkeypatch.setattr(playing, "PAUSE_S", 0.01)
    with a_federation(*prepared(tmp_path)) as made:
        yield made


def asked(fed: Federation) -> list[tuple[str, int, tuple[str, ...]]]:
    return [(kind, number, tuple(map(str, sites))) for kind, number, sites in fed.flower.asked]


def rounds_of(fed: Federation) -> list[dict[str, Any]]:
    stored: Any = study_as_stored(fed.centre.folder, fed.study.id)
    played: list[dict[str, Any]] = stored["runs"][-1]["played"]
    return played


def run_state(fed: Federation) -> RunState:
    store = StudyStore.of(fed.centre)
    try:
        return store.runs(fed.study.id)[-1].state
    finally:
        store.close()


# -- what passes -------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        SuperLinkUnreachableError(address="unix:/x"),
        FlowerRefusedError(request="push", status=503),
        RoundDriverDiedError(status="exit status -9", log="driver.log"),
        StoreUnavailableError(condition="connection lost"),
    ],
    ids=lambda error: error.code,
)
def test_what_was_lost_in_a_round_is_made_new_and_only_the_missing_are_asked_again(
    fed: Federation, error: PlatformError
) -> None:
    kept_one: list[SiteId] = []

    def lose(site: SiteId) -> None:
        if kept_one and not fed.flower.lost and fed.flower.drivers == 1:
            raise error
        kept_one.append(site)

    fed.flower.late = lose
    result = fed.run()

    assert result.status == "completed"
    assert asked(fed)[:2] == [
        ("train", 1, ("centre", "north", "south")),
        ("train", 1, ("centre", "north")),
    ]
    assert fed.flower.drivers == 2
    assert set(fed.flower.paid.values()) == {1}
    assert fed.stages().count("recovering") == 1
    (told,) = [one for one in fed.told if one.values.get("stage") == "recovering"]
    assert told.values["code"] == error.code


def test_it_goes_on_however_often_something_is_lost(fed: Federation) -> None:
    fed.flower.lost = [SuperLinkUnreachableError(address="unix:/x") for _ in range(25)]

    assert fed.run().status == "completed"
    assert fed.stages().count("recovering") == 1


def test_a_centre_whose_socket_is_away_for_a_while_is_waited_for(fed: Federation) -> None:
    fed.admin.fails = [CentreNotRunningError(folder="x") for _ in range(5)]

    assert fed.run().status == "completed"


def test_a_centre_that_stays_away_ends_the_process_and_not_the_study(
    fed: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "BOUND_S", 0.1)
    fed.admin.fails = [CentreNotRunningError(folder="x") for _ in range(10_000)]

    with pytest.raises(CentreNotRunningError):
        fed.run()
    fed.admin.fails.clear()

    assert fed.run().status == "completed"


def test_a_full_disk_pauses_the_run_with_its_code_and_it_goes_on_by_itself(
    fed: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[RunState] = []
    full = [DiskFullError(needed="30", free="0") for _ in range(3)]

    def put(self: Artefacts, content: bytes, *, _put: Any = Artefacts.put) -> Any:
        if full and fed.flower.asked:  # the first checkpoint of the run finds no room
            if len(full) < 3:
                seen.append(run_state(fed))
            raise full.pop()
        return _put(self, content)

    monkeypatch.setattr(Artefacts, "put", put)
    result = fed.run()

    assert result.status == "completed"
    assert seen == [RunState.PAUSED, RunState.PAUSED]
    (told,) = [one for one in fed.told if one.values.get("stage") == "paused"]
    assert told.values["code"] == DiskFullError.code
    assert set(fed.flower.paid.values()) == {1}


def test_room_for_a_round_is_asked_for_before_anybody_trains(
    fed: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    from federation.operations.campaign import asking

    needed: list[int] = []
    monkeypatch.setattr(asking, "require_space", lambda _, size_bytes: needed.append(size_bytes))
    fed.run()

    model_bytes = needed[-1] // asking.MORE_MODELS  # the evaluation brings no updates
    assert needed[0] == model_bytes * (3 + asking.MORE_MODELS)


def test_a_fault_of_our_own_is_no_passing_thing(fed: Federation) -> None:
    fed.flower.lost = [ProgramFaultError(study="cxr-2026", kind="KeyError")]

    assert fed.run().status == "failed"
    assert len(fed.flower.asked) == 1


# -- sites that are away, late, or say no ---------------------------------------------


def test_a_round_waits_for_the_quorum_and_says_so(fed: Federation) -> None:
    fed.admin.away = {NORTH, SOUTH}
    threading.Timer(2.0, fed.admin.away.clear).start()  # later than the register is opened

    result = fed.run()

    assert result.status == "completed"
    assert fed.stages().count("waiting") == 1
    assert rounds_of(fed)[0]["state"] == "done"


def test_a_site_that_is_away_for_long_is_left_out_and_asked_again_when_it_is_back(
    fed: Federation,
) -> None:
    fed.admin.away = {SOUTH}

    def back(_: SiteId) -> None:
        if len(fed.flower.asked) == 2:
            fed.admin.away.clear()

    fed.flower.late = back
    fed.run()

    assert [one["sites"] for one in rounds_of(fed)] == [
        ["centre", "north"], ["centre", "north"], ["centre", "north", "south"],
    ]  # fmt: skip


def test_a_site_that_is_away_only_for_a_moment_is_waited_for(fed: Federation) -> None:
    fed.admin.away, fed.admin.started = {SOUTH}, datetime.now(UTC)  # the centre just started
    threading.Timer(0.3, fed.admin.away.clear).start()

    fed.run()

    assert rounds_of(fed)[0]["sites"] == ["centre", "north", "south"]


def test_a_round_below_the_quorum_asks_those_again_who_were_not_there(fed: Federation) -> None:
    fed.flower.refuses = {NORTH: unavailable("north"), SOUTH: unavailable("south")}

    def back(_: SiteId) -> None:
        if len(fed.flower.asked) == 3:
            fed.flower.refuses.clear()

    fed.flower.late = back
    result = fed.run()

    assert result.status == "completed"
    assert asked(fed)[:3] == [
        ("train", 1, ("centre", "north", "south")),
        ("train", 1, ("north", "south")),
        ("train", 1, ("north", "south")),
    ]
    assert set(fed.flower.paid.values()) == {1}


def test_a_round_that_hospitals_refuse_below_the_quorum_fails_with_its_code(
    fed: Federation,
) -> None:
    no = NotApprovedError(study="cxr-2026", why="withdrawn")
    fed.flower.refuses = {NORTH: no, SOUTH: no}

    result = fed.run()

    assert [error["code"] for error in result.errors] == [QuorumNotReachedError.code]
    assert [(one["site"], one["code"]) for one in result.refused] == [
        ("south", no.code), ("north", no.code),
    ]  # fmt: skip
    assert rounds_of(fed)[0]["state"] == "failed"
    assert run_state(fed) is RunState.FAILED


def test_a_site_that_fails_by_chance_is_asked_three_times_and_no_more(fed: Federation) -> None:
    fed.flower.refuses = {
        NORTH: SiteFailedError(site="north", reason="Flower 6"),
        SOUTH: SiteFailedError(site="south", reason="Flower 6"),
    }

    result = fed.run()

    assert len(fed.flower.asked) == playing.ATTEMPTS
    assert [error["code"] for error in result.errors] == [QuorumNotReachedError.code]


def test_a_hospital_that_approves_late_joins_the_next_round(fed: Federation) -> None:
    late = fed.admin.said.pop(SOUTH)
    fed.admin.said[SOUTH] = decide(fed.nodes[SOUTH], a_study(title="another"), yes=True)

    def join(_: SiteId) -> None:
        fed.admin.said[SOUTH] = late

    fed.flower.late = join
    result = fed.run()

    assert [one["sites"] for one in rounds_of(fed)][:2] == [
        ["centre", "north"], ["centre", "north", "south"],
    ]  # fmt: skip
    assert [(site.site, site.rounds) for site in result.sites] == [
        (CENTRE, 3), (NORTH, 3), (SOUTH, 2),
    ]  # fmt: skip


def test_a_hospital_that_takes_its_approval_back_is_left_out_of_the_next_round(
    fed: Federation,
) -> None:
    no = decide(fed.nodes[SOUTH], fed.study, yes=False)

    def leave(_: SiteId) -> None:
        fed.admin.said[SOUTH] = no

    fed.flower.late = leave
    fed.run()

    assert [len(one["sites"]) for one in rounds_of(fed)] == [3, 2, 2]


def test_a_site_that_failed_three_rounds_in_a_row_is_paused_in_this_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = a_study(training=a_study().training.__class__(5, 1.0, 0.1, 16, "sgd", 0.9))
    with a_federation(*prepared(tmp_path), study=study) as fed:
        fed.flower.refuses = {SOUTH: ExecutorFailedError(kind="MemoryError")}
        result = fed.run()

    assert result.status == "completed"
    assert [len(one["sites"]) for one in rounds_of(fed)] == [3, 3, 3, 2, 2]


def test_a_kept_update_that_is_damaged_is_asked_for_again_and_not_counted_twice(
    fed: Federation,
) -> None:
    damaged = [KeptUpdateDamagedError(site="south")]

    def lose(site: SiteId) -> None:
        if site == NORTH and fed.flower.drivers == 1:
            raise SuperLinkUnreachableError(address="unix:/x")
        if site == NORTH and damaged:
            raise damaged.pop()

    fed.flower.late = lose
    result = fed.run()

    assert result.status == "completed"
    assert asked(fed)[:3] == [
        ("train", 1, ("centre", "north", "south")),
        ("train", 1, ("centre", "north")),
        ("train", 1, ("centre", "north", "south")),
    ]
    assert set(fed.flower.paid.values()) == {1}


# -- what people wish -------------------------------------------------------------------


def wishing(fed: Federation, wanted: Wish, *, during: int) -> Callable[[], Wish]:
    """Wish something once the asking with this number has begun."""
    return lambda: wanted if len(fed.flower.asked) >= during else Wish.GO_ON


def test_stop_ends_the_run_as_stopped_after_the_round_in_flight(fed: Federation) -> None:
    result = fed.run(wish=wishing(fed, Wish.STOP, during=2))

    assert (result.status, result.done) == ("stopped", 2)
    assert [error["code"] for error in result.errors] == [StudyStoppedError.code]
    assert [one["state"] for one in rounds_of(fed)] == ["done", "done"]
    assert run_state(fed) is RunState.STOPPED


def test_a_stopped_study_that_is_launched_again_begins_a_new_run(fed: Federation) -> None:
    fed.run(wish=wishing(fed, Wish.STOP, during=2))
    fed.flower.asked.clear()

    result = fed.run()

    assert result.status == "completed"
    stored: Any = study_as_stored(fed.centre.folder, fed.study.id)
    assert [(one["run"], one["state"]) for one in stored["runs"]] == [
        ("cxr-2026.1", "stopped"), ("cxr-2026.2", "completed"),
    ]  # fmt: skip


def test_stop_now_gives_the_round_up_and_what_was_kept_is_in_the_book(fed: Federation) -> None:
    def stop(site: SiteId) -> None:
        if site == NORTH and len(fed.flower.asked) == 2:
            fed.flower.stopped = True

    fed.flower.late = stop
    result = fed.run(wish=lambda: Wish.STOP_NOW if fed.flower.stopped else Wish.GO_ON)

    assert (result.status, result.done) == ("stopped", 1)
    assert [error["code"] for error in result.errors] == [RoundStoppedError.code]
    assert [one["state"] for one in rounds_of(fed)] == ["done", "failed"]
    from federation.operations.embedded_registry import release_books

    book = release_books(fed.centre).library().book(SOUTH)
    assert any(entry.key.startswith(f"{RUN}/2") for entry in book.entries)


def test_pause_holds_the_run_between_two_rounds_until_it_is_over(fed: Federation) -> None:
    asked_while_paused: list[int] = []

    def wish() -> Wish:
        """Pause after the first round, and go on when that was asked for three times."""
        if not fed.flower.asked or len(asked_while_paused) == 3:
            return Wish.GO_ON
        if run_state(fed) is RunState.PAUSED:
            asked_while_paused.append(len(fed.flower.asked))
        return Wish.PAUSE

    result = fed.run(wish=wish)

    assert result.status == "completed"
    assert asked_while_paused == [1, 1, 1]
    assert run_state(fed) is RunState.COMPLETED
    assert "paused" in fed.stages()


# -- one campaign at a time --------------------------------------------------------------


def test_two_campaigns_of_one_study_cannot_run_at_once(fed: Federation) -> None:
    refused: list[PlatformError] = []

    def second(_: SiteId) -> None:
        if not refused:
            with pytest.raises(AlreadyRunningError) as error:
                fed.run()
            refused.append(error.value)

    fed.flower.late = second

    assert fed.run().status == "completed"
    assert refused


def test_a_campaign_that_was_taken_over_ends_without_touching_the_run(fed: Federation) -> None:
    claims: list[Claim] = []

    def take_over(_: SiteId) -> None:
        if not claims:
            store = StudyStore.of(fed.centre)
            from federation.domain.audit import AuditEvent, AuditKind

            audit = AuditEvent(AuditKind.RUN_CONTINUED, "other", "x", datetime.now(UTC))
            claims.append(store.claim(fed.study.id, {}, audit=audit))
            store.close()

    fed.flower.late = take_over
    result = fed.run()

    assert [error["code"] for error in result.errors] == ["TF428"]
    assert run_state(fed) is RunState.RUNNING
    fed.flower.late = lambda _: None
    assert fed.run().status == "completed"
    assert set(fed.flower.paid.values()) == {1}


# -- going on --------------------------------------------------------------------------


def test_a_process_that_is_told_to_end_leaves_the_run_open(fed: Federation) -> None:
    def end(site: SiteId) -> None:
        if site == NORTH and fed.flower.drivers == 1:
            raise SystemExit(143)

    fed.flower.late = end
    with pytest.raises(SystemExit):
        fed.run()

    assert run_state(fed) is RunState.RUNNING
    assert fed.run().status == "completed"
    assert fed.admin.proposed == 1
    assert set(fed.flower.paid.values()) == {1}


def test_a_round_that_failed_stays_failed_for_the_process_that_goes_on(fed: Federation) -> None:
    no = NotApprovedError(study="cxr-2026", why="withdrawn")
    fed.flower.refuses = {NORTH: no, SOUTH: no}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(StudyStore, "end_run", _die)  # killed before the run was closed
        with pytest.raises(SystemExit):
            fed.run()
    fed.flower.refuses.clear()

    result = fed.run()

    assert [error["code"] for error in result.errors] == [QuorumNotReachedError.code]
    assert len(fed.flower.asked) == 1


def _die(*_: object, **__: object) -> None:
    raise SystemExit(137)


def test_a_run_does_not_go_on_with_another_version_of_its_study(fed: Federation) -> None:
    def end(_: SiteId) -> None:
        raise SystemExit(143)

    fed.flower.late = end
    with pytest.raises(SystemExit):
        fed.run()
    store = StudyStore.of(fed.centre)
    with store.database.write(_an_audit()) as connection:
        from sqlalchemy import text

        connection.execute(
            text("UPDATE runs SET record = replace(record, :old, :new)"),
            {"old": str(fed.study.digest), "new": "sha256:" + 64 * "0"},
        )
    store.close()

    assert [error["code"] for error in fed.run().errors] == [RunNotContinuableError.code]


def _an_audit() -> Any:
    from federation.domain.audit import AuditEvent, AuditKind

    return AuditEvent(AuditKind.RUN_CONTINUED, "test", "x", datetime.now(UTC))


def test_the_result_of_a_closed_run_is_found_by_a_process_that_comes_too_late(
    fed: Federation,
) -> None:
    result = fed.run()

    assert result_of_launch(fed.centre, fed.study.id) == result.as_json()


def test_the_result_of_an_earlier_launch_is_none_of_a_new_one_whatever_the_clock_says(
    fed: Federation,
) -> None:
    fed.run(wish=wishing(fed, Wish.STOP, during=1))
    with closing(QueueStore(Database.of(fed.centre))) as queue:
        queue.end(fed.study.id, code=StudyStoppedError.code)
        queue.put(fed.study.id, Asked(), actor="lin")

    # the run's end may well lie after this launch: the clock was set back in between
    assert result_of_launch(fed.centre, fed.study.id) is None


def test_an_evaluation_that_nobody_answers_is_no_failure(fed: Federation) -> None:
    def refuse(_: SiteId) -> None:
        if fed.flower.asked[-1][0] == "evaluate":
            fed.flower.refuses = dict.fromkeys(
                (NORTH, SOUTH, CENTRE), NotApprovedError(study="cxr-2026", why="withdrawn")
            )

    fed.flower.late = refuse
    result = fed.run()

    assert result.status == "completed"
    store = StudyStore.of(fed.centre)
    row = RoundStore(store.database).round(RoundKey(RUN, RoundKind.EVALUATE, 3))
    store.close()
    assert row is not None and row.state is RoundState.DONE
    assert [one.evaluation for one in result.sites] == [None, None, None]


def test_a_study_that_was_refused_by_too_many_has_failed_and_may_be_launched_again(
    fed: Federation,
) -> None:
    yes = dict(fed.admin.said)
    for site in (NORTH, SOUTH):
        fed.admin.said[site] = decide(fed.nodes[site], fed.study, yes=False)
    assert fed.run().status == "failed"

    fed.admin.said.update(yes)

    assert fed.run().status == "completed"
    assert launch.studies_as_json(fed.centre.folder)[0]["state"] == StudyState.COMPLETED.value
