"""What people do with launched studies, and what they are told of them."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from federation.coordinator.home import CentreHome
from federation.coordinator.options import CentreOptions, PrefectMode, PrefectOptions
from federation.domain.audit import AuditEvent, AuditKind
from federation.domain.ids import SiteId, StudyId
from federation.domain.queue import Limits, QueueState, Wish
from federation.domain.run import RunState
from federation.domain.study import StudyState
from federation.errors.approval import StudyCompletedError, StudyMissingError
from federation.errors.queue import (
    CentreOptionError,
    SiteNotInStudyError,
    StudyNotLaunchedError,
    StudyOverError,
    TurnGivenUpError,
)
from federation.operations.enrolment import init_centre
from federation.operations.events import EventLog
from federation.operations.launch import submit
from federation.operations.progress import Progress
from federation.operations.queueing import Queueing
from federation.operations.store.database import Database
from federation.operations.store.queue import Asked, QueueStore
from federation.operations.store.studies import StudyStore
from federation.operations.turns import Turns, Wishes
from federation.supervision.identity import this_process
from tests.builders import a_study

ONE, TWO = StudyId("one"), StudyId("two")
NORTH = SiteId("north")
USUAL = Asked()


@pytest.fixture
def home(tmp_path: Path) -> CentreHome:
    made = init_centre(
        tmp_path / "c", name="Centre", address="localhost:8443", now=datetime.now(UTC)
    )
    for study in (ONE, TWO):
        submit(made, replace(a_study(), id=study))
    return made


@pytest.fixture
def queue(home: CentreHome):
    with Queueing(home, actor="lin") as made:
        yield made


def open_run(home: CentreHome, study: StudyId) -> None:
    store = StudyStore.of(home)
    audit = AuditEvent(AuditKind.RUN_STARTED, "centre", study, datetime.now(UTC))
    store.start_run(study, {}, audit=audit)
    store.close()


def activate(home: CentreHome, study: StudyId) -> None:
    store = QueueStore(Database.of(home))
    store.activate(study)
    store.close()


def test_launching_begins_a_new_event_log_and_launching_a_live_study_does_not(
    home: CentreHome, queue: Queueing
) -> None:
    log = EventLog(home, ONE)
    log.end({"status": "failed"})

    first = queue.launch(ONE, USUAL)
    assert first.is_new and log.outcome() is None
    log.emit(Progress.from_line('{"event": "stage", "stage": "training"}'))  # type: ignore[arg-type]
    again = queue.launch(ONE, Asked(priority=8))

    assert not again.is_new
    assert again.entry.asked.priority == 8
    assert len(list(log.read())) == 2


def test_an_unknown_study_cannot_be_launched(queue: Queueing) -> None:
    with pytest.raises(StudyMissingError):
        queue.launch(StudyId("nope"), USUAL)


def test_a_completed_study_cannot_be_launched_again(home: CentreHome, queue: Queueing) -> None:
    store = StudyStore.of(home)
    audit = AuditEvent(AuditKind.RUN_ENDED, "centre", ONE, datetime.now(UTC))
    for state in ("proposed", "approved", "running", "completed"):
        store.move_study(ONE, StudyState(state), audit=audit)
    store.close()

    with pytest.raises(StudyCompletedError):
        queue.launch(ONE, USUAL)


def test_stopping_a_study_that_never_began_ends_it_with_its_reason(
    home: CentreHome, queue: Queueing
) -> None:
    queue.launch(ONE, USUAL)

    entry = queue.stop(ONE, now=False, reason="wrong cohort")

    assert (entry.state, entry.code) == (QueueState.ENDED, "TF445")
    outcome = queue.outcome(ONE)
    assert outcome is not None and outcome.result["status"] == "stopped"
    assert "wrong cohort" in str(outcome.result["errors"])


@pytest.mark.parametrize(("now", "wish"), [(False, Wish.STOP), (True, Wish.STOP_NOW)])
def test_a_study_with_an_open_run_is_left_to_its_campaign_to_stop(
    home: CentreHome, queue: Queueing, now: bool, wish: Wish
) -> None:
    queue.launch(ONE, USUAL)
    open_run(home, ONE)

    entry = queue.stop(ONE, now=now, reason="")

    assert (entry.state, entry.wish) == (QueueState.WAITING, wish)
    assert queue.outcome(ONE) is None


def test_a_study_whose_campaign_was_started_is_left_to_it(
    home: CentreHome, queue: Queueing
) -> None:
    queue.launch(ONE, USUAL)
    activate(home, ONE)

    assert queue.stop(ONE, now=False, reason="").wish is Wish.STOP
    assert EventLog(home, ONE).outcome() is None


def test_nothing_can_be_wished_of_what_has_ended_or_was_never_launched(queue: Queueing) -> None:
    queue.launch(ONE, USUAL)
    queue.stop(ONE, now=False, reason="")

    for wish in (
        lambda study: queue.pause(study, reason=""),
        queue.resume,
        lambda study: queue.stop(study, now=True, reason=""),
    ):
        with pytest.raises(StudyOverError):
            wish(ONE)
        with pytest.raises(StudyNotLaunchedError):
            wish(TWO)


def test_an_old_run_without_an_event_log_still_has_its_outcome(
    home: CentreHome, queue: Queueing
) -> None:
    store = StudyStore.of(home)
    audit = AuditEvent(AuditKind.RUN_ENDED, "centre", ONE, datetime.now(UTC))
    store.start_run(ONE, {}, audit=audit)
    claim = store.claim(ONE, {}, audit=audit)
    store.end_run(claim, RunState.FAILED, {"status": "failed"}, audit=audit)
    store.close()

    outcome = queue.outcome(ONE)

    assert outcome is not None and outcome.result["status"] == "failed"
    with pytest.raises(StudyNotLaunchedError):
        queue.outcome(TWO)
    with pytest.raises(StudyMissingError):
        queue.outcome(StudyId("nope"))


def test_a_site_that_is_not_in_the_study_cannot_be_readmitted(
    home: CentreHome, queue: Queueing
) -> None:
    with pytest.raises(SiteNotInStudyError):
        queue.readmit(ONE, SiteId("elsewhere"))
    with pytest.raises(StudyNotLaunchedError):
        queue.readmit(ONE, a_study().sites[0])
    open_run(home, ONE)
    assert queue.readmit(ONE, a_study().sites[0]) == "one.1"


def test_standings_come_in_the_order_of_the_queue_with_what_each_waits_for(
    home: CentreHome, queue: Queueing
) -> None:
    queue.launch(ONE, USUAL)
    queue.launch(TWO, Asked(priority=9))
    store = QueueStore(Database.of(home))
    store.take_turn(TWO, [NORTH], this_process(), Limits())
    store.ask_turn(ONE, [NORTH], this_process())
    store.close()

    two, one = queue.standings()

    assert (two.study, two.position, two.has_turn, two.behind) == (TWO, 1, True, ())
    assert (one.study, one.position, one.has_turn, one.behind) == (ONE, 2, False, (TWO,))
    assert one.rounds == a_study().training.rounds


def test_a_turn_is_held_for_the_body_and_given_back_whatever_happens(home: CentreHome) -> None:
    store = QueueStore(Database.of(home))
    turns = Turns(home, ONE)
    with pytest.raises(ZeroDivisionError), turns.hold([NORTH]):
        assert [turn.claim.study for turn in store.turns()] == [ONE]
        raise ZeroDivisionError

    assert store.turns() == []
    turns.close()
    store.close()


def test_a_study_in_line_says_so_once_and_leaves_the_line_when_it_is_paused(
    home: CentreHome,
) -> None:
    store, told, asked = QueueStore(Database.of(home)), [], []

    def wish() -> Wish:
        asked.append(1)
        return Wish.PAUSE if len(asked) > 3 else Wish.GO_ON

    store.take_turn(TWO, [NORTH], this_process(), Limits())
    turns = Turns(home, ONE, emit=lambda event: told.append(event.values["stage"]), wish=wish)
    with pytest.raises(TurnGivenUpError), turns.hold([NORTH]):
        raise AssertionError("it was not its turn")

    assert told == ["in-line"]
    assert [turn.claim.study for turn in store.turns()] == [TWO]
    turns.close()
    store.close()


def test_wishes_are_read_from_the_database_and_survive_its_absence(
    home: CentreHome, queue: Queueing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("federation.operations.turns._FRESH_S", -1.0)
    wishes = Wishes(home, ONE)
    assert wishes() is Wish.GO_ON
    queue.launch(ONE, USUAL)
    queue.pause(ONE, reason="")
    assert wishes() is Wish.PAUSE

    home.database.rename(home.database.with_suffix(".away"))
    home.database.mkdir()
    wishes.close()

    assert wishes() is Wish.PAUSE


def settings_with(home: CentreHome, text: str) -> CentreHome:
    with home.settings_file.open("a", encoding="utf-8") as file:
        file.write(text)
    return home


def test_a_centre_that_says_nothing_has_a_prefect_server_of_its_own(home: CentreHome) -> None:
    options = CentreOptions.of(home)

    assert options.prefect == PrefectOptions(mode=PrefectMode.SERVER)
    assert options.limits == Limits(per_site=1, per_centre=4, campaigns=16)


def test_what_a_centre_says_of_prefect_and_its_queue_is_read(home: CentreHome) -> None:
    file = home.folder / "prefect.url"
    file.write_text("postgresql+asyncpg://u:secret@h/db\n")
    file.chmod(0o600)
    said = '[prefect]\nport = 4200\ndatabase_file = "prefect.url"\n[queue]\nper_site = 2\n'
    options = CentreOptions.of(settings_with(home, said))

    assert options.prefect.port == 4200
    assert options.prefect.database_url(home.folder) == "postgresql+asyncpg://u:secret@h/db"
    assert options.limits.per_site == 2


def test_a_url_alone_means_an_outside_server(home: CentreHome) -> None:
    said = '[prefect]\nurl = "https://prefect.example/api"\n'

    assert CentreOptions.of(settings_with(home, said)).prefect.mode is PrefectMode.OUTSIDE


@pytest.mark.parametrize(
    "said",
    [
        "[prefect]\nmod = 'server'\n",
        "[prefect]\nmode = 'cloud'\n",
        "[prefect]\nmode = 'outside'\n",
        "[prefect]\nmode = 'server'\nurl = 'https://x/api'\n",
        "[prefect]\nurl = 'ftp://x'\n",
        "[prefect]\nurl = 'https://u:secret@x/api'\n",
        "[prefect]\nurl = 'https://[x/api'\n",
        "[prefect]\ndatabase = 'mysql://x'\n",
        "[prefect]\ndatabase = 'postgresql+asyncpg://u:secret@h/d'\n",
        "[prefect]\ndatabase = 'postgresql+asyncpg://h/d'\ndatabase_file = 'x'\n",
        "[prefect]\nmode = 'ephemeral'\ndatabase_file = 'x'\n",
        "[prefect]\nport = true\n",
        "[queue]\nper_site = 0\n",
        "[queue]\nper_site = '1'\n",
        "[queue]\nper_hour = 1\n",
    ],
)
def test_what_is_not_understood_is_refused_and_never_repeats_a_secret(
    home: CentreHome, said: str
) -> None:
    with pytest.raises(CentreOptionError) as caught:
        CentreOptions.of(settings_with(home, said))

    assert "secret" not in caught.value.say()


def test_a_database_file_that_others_can_read_is_refused(home: CentreHome) -> None:
    file = home.folder / "prefect.url"
    file.write_text("postgresql+asyncpg://u:secret@h/db\n")
    file.chmod(0o644)
    options = CentreOptions.of(settings_with(home, "[prefect]\ndatabase_file = 'prefect.url'\n"))

    with pytest.raises(CentreOptionError, match="0644"):
        options.prefect.database_url(home.folder)
