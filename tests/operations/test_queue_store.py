"""The queue in the database: wishes, states, and turns that die with their holder."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from federation.domain.ids import SiteId, StudyId
from federation.domain.queue import Limits, QueueState, Wish
from federation.errors.queue import StudyNotLaunchedError, StudyOverError
from federation.operations.store.database import Database
from federation.operations.store.queue import Asked, QueueStore
from federation.supervision.identity import ProcessMark, is_alive, this_process

ONE, TWO, THREE = StudyId("one"), StudyId("two"), StudyId("three")
NORTH, SOUTH = SiteId("north"), SiteId("south")
LIMITS = Limits()


@pytest.fixture
def queue(a_database: Database) -> QueueStore:
    return QueueStore(a_database)


def put(queue: QueueStore, *studies: StudyId, priority: int = 5) -> None:
    for study in studies:
        queue.put(study, Asked(priority=priority), actor="lin")


@contextmanager
def another_process() -> Iterator[ProcessMark]:
    """A process that does nothing; killed in the end at the latest."""
    code = "import sys; sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-S", "-c", code], stdin=subprocess.PIPE) as process:
        stat = Path(f"/proc/{process.pid}/stat").read_text()
        started = int(stat.rpartition(")")[2].split()[19])
        try:
            yield replace(this_process(), pid=process.pid, started=started)
        finally:
            process.kill()


def test_a_launched_study_waits_in_its_place(queue: QueueStore) -> None:
    put(queue, ONE)
    put(queue, TWO, priority=7)
    put(queue, THREE)

    assert [entry.study for entry in queue.entries()] == [TWO, ONE, THREE]
    assert {entry.state for entry in queue.entries()} == {QueueState.WAITING}
    assert queue.entry(ONE).wish is Wish.GO_ON


def test_an_unknown_study_is_not_launched(queue: QueueStore) -> None:
    with pytest.raises(StudyNotLaunchedError):
        queue.entry(ONE)
    with pytest.raises(StudyNotLaunchedError):
        queue.wish(ONE, Wish.PAUSE, actor="lin")


def test_launching_a_live_study_again_changes_its_priority_only(queue: QueueStore) -> None:
    put(queue, ONE)
    queue.activate(ONE)
    queue.wish(ONE, Wish.PAUSE, actor="lin", reason="the weekend")

    put(queue, ONE, priority=8)

    entry = queue.entry(ONE)
    assert (entry.state, entry.wish, entry.attempts) == (QueueState.PAUSED, Wish.PAUSE, 1)
    assert (entry.asked.priority, entry.reason) == (8, "the weekend")


def test_an_ended_study_launched_again_starts_anew_at_the_end(queue: QueueStore) -> None:
    put(queue, ONE, TWO)
    queue.activate(ONE)
    queue.end(ONE, code="TF421")
    assert queue.entry(ONE).code == "TF421"

    put(queue, ONE)

    entry = queue.entry(ONE)
    assert (entry.state, entry.attempts, entry.code) == (QueueState.WAITING, 0, None)
    assert [one.study for one in queue.entries()] == [TWO, ONE]


def test_a_paused_study_is_not_started_and_a_resumed_one_is(queue: QueueStore) -> None:
    put(queue, ONE)
    queue.wish(ONE, Wish.PAUSE, actor="lin")
    assert queue.activate(ONE) is None

    queue.wish(ONE, Wish.GO_ON, actor="lin")
    started = queue.activate(ONE)

    assert started is not None and started.state is QueueState.ACTIVE


def test_stopping_a_paused_study_lets_its_campaign_come_back_to_end(queue: QueueStore) -> None:
    put(queue, ONE)
    queue.activate(ONE)
    queue.wish(ONE, Wish.PAUSE, actor="lin")

    entry = queue.wish(ONE, Wish.STOP, actor="lin", reason="a mistake")

    assert (entry.state, entry.wish, entry.reason) == (QueueState.WAITING, Wish.STOP, "a mistake")


def test_nothing_can_be_wished_of_a_study_that_ended(queue: QueueStore) -> None:
    put(queue, ONE)
    queue.end(ONE, code=None)

    with pytest.raises(StudyOverError):
        queue.wish(ONE, Wish.STOP, actor="lin")


def test_only_a_study_that_nobody_began_can_be_taken_out(queue: QueueStore) -> None:
    put(queue, ONE, TWO)
    queue.activate(ONE)

    assert not queue.take_out(ONE, actor="lin", reason="", code="TF445")
    assert queue.take_out(TWO, actor="lin", reason="", code="TF445")
    assert queue.entry(TWO).state is QueueState.ENDED
    assert queue.entry(ONE).state is QueueState.ACTIVE


def test_a_study_for_tomorrow_is_not_due_today(queue: QueueStore) -> None:
    now = datetime.now(UTC)
    entry = queue.put(ONE, Asked(not_before=now + timedelta(days=1)), actor="lin")

    assert not entry.is_due(now)
    assert entry.is_due(now + timedelta(days=1, seconds=1))


def test_every_write_leaves_its_audit_event(queue: QueueStore, a_database: Database) -> None:
    me = this_process()
    put(queue, ONE)
    queue.wish(ONE, Wish.PAUSE, actor="lin")
    queue.wish(ONE, Wish.GO_ON, actor="lin")
    queue.activate(ONE)
    queue.ask_turn(ONE, [NORTH], me)
    queue.take_turn(ONE, [NORTH], me, LIMITS)
    queue.give_back(ONE, me)
    queue.end(ONE, code=None)

    assert [event["kind"] for event in a_database.audit_events()] == [
        "study-launched",
        "study-wished",
        "study-wished",
        "campaign-started",
        "turn-asked",
        "turn-given",
        "turn-over",
        "campaign-ended",
    ]


def test_one_site_has_one_round_at_a_time(queue: QueueStore) -> None:
    me = this_process()
    assert queue.take_turn(ONE, [NORTH, SOUTH], me, LIMITS)

    assert not queue.take_turn(TWO, [SOUTH], me, LIMITS)
    queue.give_back(ONE, me)
    assert queue.take_turn(TWO, [SOUTH], me, LIMITS)


def test_a_refused_turn_leaves_no_audit_event(queue: QueueStore, a_database: Database) -> None:
    me = this_process()
    queue.take_turn(ONE, [NORTH], me, LIMITS)
    before = len(a_database.audit_events())

    assert not queue.take_turn(TWO, [NORTH], me, LIMITS)

    assert len(a_database.audit_events()) == before


def test_who_stands_in_line_goes_before_who_comes_later(queue: QueueStore) -> None:
    me = this_process()
    queue.take_turn(ONE, [NORTH], me, LIMITS)
    queue.ask_turn(TWO, [NORTH], me)
    queue.give_back(ONE, me)

    assert not queue.take_turn(ONE, [NORTH], me, LIMITS)
    assert queue.take_turn(TWO, [NORTH], me, LIMITS)


def test_a_turn_is_free_when_its_process_was_killed(queue: QueueStore) -> None:
    with another_process() as other:
        assert is_alive(other)
        assert queue.take_turn(ONE, [NORTH], other, LIMITS)
        assert not queue.take_turn(TWO, [NORTH], this_process(), LIMITS)

    assert not is_alive(other)
    assert queue.take_turn(TWO, [NORTH], this_process(), LIMITS)
    assert [turn.claim.study for turn in queue.turns()] == [TWO]


def test_a_turn_of_before_the_last_start_of_the_machine_is_free(queue: QueueStore) -> None:
    queue.take_turn(ONE, [NORTH], replace(this_process(), boot="another"), LIMITS)

    assert queue.turns() == []
    assert queue.take_turn(TWO, [NORTH], this_process(), LIMITS)


def test_a_process_number_given_out_again_is_another_process() -> None:
    me = this_process()

    assert is_alive(me)
    assert not is_alive(replace(me, started=me.started - 1))


def test_a_restarted_campaign_takes_its_own_turn_again(queue: QueueStore) -> None:
    with another_process() as other:
        queue.take_turn(ONE, [NORTH], other, LIMITS)

    assert queue.take_turn(ONE, [NORTH], this_process(), LIMITS)
    queue.give_back(ONE, other)
    assert len(queue.turns()) == 1


def test_turns_go_round(queue: QueueStore) -> None:
    me, order = this_process(), []
    for study in (ONE, TWO, THREE):
        queue.ask_turn(study, [NORTH], me)
    for _ in range(6):
        for study in (ONE, TWO, THREE):
            if queue.take_turn(study, [NORTH], me, LIMITS):
                order.append(study)
                queue.ask_turn(study, [NORTH], me)
                break

    assert order == [ONE, TWO, THREE, ONE, TWO, THREE]


def test_processes_that_ask_at_once_never_share_a_place(database_url: str) -> None:
    held, most, lock = 0, 0, threading.Lock()
    errors: list[BaseException] = []

    def campaign(number: int) -> None:
        nonlocal held, most
        store = QueueStore(Database(database_url))
        study, me, done = StudyId(f"s{number}"), this_process(), 0
        try:
            while done < 4:
                if not store.take_turn(study, [NORTH], me, LIMITS):
                    store.ask_turn(study, [NORTH], me)
                    continue
                with lock:
                    held, done = held + 1, done + 1
                    most = max(most, held)
                with lock:
                    held -= 1
                store.give_back(study, me)
        except BaseException as error:
            errors.append(error)
        finally:
            store.close()

    threads = [threading.Thread(target=campaign, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert most == 1
