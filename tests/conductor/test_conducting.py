"""The conductor: campaigns come back whatever killed them, and end when their study has ended."""

import asyncio
import json
import shutil
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from federation.conductor import campaigns
from federation.coordinator.home import CentreHome
from federation.domain.audit import AuditEvent, AuditKind
from federation.domain.ids import StudyId
from federation.domain.queue import Limits, QueueState
from federation.domain.run import RunState
from federation.errors.queue import CampaignBrokenError
from federation.operations.events import EventLog
from federation.operations.launch import LAUNCHED
from federation.operations.progress import Progress
from federation.operations.queueing import Queueing
from federation.operations.store.database import Database
from federation.operations.store.queue import Entry, QueueStore
from federation.operations.store.studies import StudyStore
from tests.conductor.builders import (
    a_centre,
    a_conductor,
    conducting,
    kill,
    launch,
    runs,
    until,
)

ONE, TWO = StudyId("one"), StudyId("two")


def entry(home: CentreHome, study: StudyId = ONE) -> Entry:
    store = QueueStore(Database.of(home))
    try:
        return store.entry(study)
    finally:
        store.close()


def started(home: CentreHome, study: str = "one") -> list[int]:
    """The process ids of the campaign's lives so far."""
    path = home.run / f"fake-{study}"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def stages(home: CentreHome) -> list[object]:
    said = EventLog(home, ONE).read()
    return [event.values.get("stage") for event in said if isinstance(event, Progress)]


@pytest.fixture(autouse=True)
def no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaigns, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(campaigns, "LONGEST_PAUSE_S", 0.05)


@pytest.mark.parametrize("way", ["completes", "fails"])
def test_a_study_whose_campaign_has_an_outcome_leaves_the_queue(tmp_path: Path, way: str) -> None:
    home = a_centre(tmp_path / "c")
    launch(home)

    async def work() -> None:
        await until(lambda: entry(home).state is QueueState.ENDED)

    conducting(a_conductor(home, way), work)

    assert len(started(home)) == 1
    assert stages(home) == ["queued", "starting"]


def test_a_killed_campaign_is_started_again(tmp_path: Path) -> None:
    home = a_centre(tmp_path / "c")
    launch(home)

    async def work() -> None:
        await until(lambda: started(home))
        kill(started(home)[0])
        await until(lambda: entry(home).state is QueueState.ENDED)

    conducting(a_conductor(home, "hangs", "completes"), work)

    assert len(started(home)) == 2
    assert entry(home).attempts == 2
    assert "recovering" in stages(home)


def test_a_campaign_that_asks_for_it_is_started_again_without_limit(tmp_path: Path) -> None:
    home = a_centre(tmp_path / "c")
    launch(home)
    again = ["again"] * (campaigns.MOST_FAULTS + 2)

    async def work() -> None:
        await until(lambda: entry(home).state is QueueState.ENDED)

    conducting(a_conductor(home, *again, "completes"), work)

    outcome = EventLog(home, ONE).outcome()
    assert outcome is not None and outcome.completed


def test_a_campaign_that_breaks_again_and_again_is_given_up_with_a_code(tmp_path: Path) -> None:
    home = a_centre(tmp_path / "c")
    launch(home)

    async def work() -> None:
        await until(lambda: entry(home).state is QueueState.ENDED)

    conducting(a_conductor(home, "breaks"), work)

    assert len(started(home)) == campaigns.MOST_FAULTS
    assert entry(home).code == "TF442"
    outcome = EventLog(home, ONE).outcome()
    assert outcome is not None and outcome.code == "TF442" and not outcome.completed


def test_a_new_conductor_goes_on_with_what_was_active_and_leaves_the_ended(tmp_path: Path) -> None:
    home = a_centre(tmp_path / "c", studies=("one", "two"))
    launch(home, "one")
    launch(home, "two")
    EventLog(home, TWO).end({"status": "completed"})

    async def first() -> None:
        await until(lambda: started(home))

    async def second() -> None:
        await until(lambda: entry(home).state is QueueState.ENDED)
        await until(lambda: entry(home, TWO).state is QueueState.ENDED)

    conducting(a_conductor(home, "hangs"), first)
    assert entry(home).state is QueueState.ACTIVE
    assert not runs(started(home)[0])
    conducting(a_conductor(home, "hangs", "completes"), second)

    assert started(home, "two") == []


def test_no_more_campaigns_run_than_the_limit_and_the_first_in_line_goes_first(
    tmp_path: Path,
) -> None:
    home = a_centre(tmp_path / "c", studies=("one", "two"))
    launch(home, "one")
    launch(home, "two", priority=8)

    async def work() -> None:
        await until(lambda: started(home, "two"))
        await asyncio.sleep(0.6)

    conducting(a_conductor(home, "hangs", limits=Limits(campaigns=1)), work)

    assert started(home, "one") == []
    assert entry(home, ONE).state is QueueState.WAITING


def test_a_study_is_not_started_before_its_time(tmp_path: Path) -> None:
    home = a_centre(tmp_path / "c")
    launch(home, not_before=datetime.now(UTC) + timedelta(seconds=1))

    async def work() -> None:
        await asyncio.sleep(0.5)
        assert started(home) == []
        await until(lambda: entry(home).state is QueueState.ENDED)

    conducting(a_conductor(home, "completes"), work)


def test_a_paused_study_keeps_its_process_and_goes_on_when_resumed(tmp_path: Path) -> None:
    home = a_centre(tmp_path / "c")
    launch(home)

    async def work() -> None:
        await until(lambda: started(home))
        with Queueing(home, actor="lin") as queue:
            queue.pause(ONE, reason="the weekend")
            await asyncio.sleep(0.5)
            assert runs(started(home)[0])
            queue.resume(ONE)
            await until(lambda: entry(home).state is QueueState.ACTIVE)
            queue.stop(ONE, now=False, reason="")
            await until(lambda: entry(home).state is QueueState.ENDED)

    conducting(a_conductor(home, "heeds"), work)

    assert len(started(home)) == 1


def test_a_paused_study_whose_process_died_starts_again_only_when_resumed(tmp_path: Path) -> None:
    home = a_centre(tmp_path / "c")
    launch(home)

    async def work() -> None:
        await until(lambda: started(home))
        with Queueing(home, actor="lin") as queue:
            queue.pause(ONE, reason="")
            kill(started(home)[0])
            await asyncio.sleep(0.8)
            assert len(started(home)) == 1
            queue.resume(ONE)
        await until(lambda: entry(home).state is QueueState.ENDED)

    conducting(a_conductor(home, "hangs", "completes"), work)

    assert len(started(home)) == 2


def test_the_state_file_names_the_campaigns_and_goes_with_the_conductor(tmp_path: Path) -> None:
    home = a_centre(tmp_path / "c")
    launch(home)
    state = home.run / "conductor.json"

    async def work() -> None:
        await until(lambda: started(home))
        said = json.loads(state.read_text())
        assert said["campaigns"] == {"one": {"pid": started(home)[0], "starts": 1}}

    conducting(a_conductor(home, "hangs"), work)

    assert not state.exists()
    assert not runs(started(home)[0])


def test_a_study_ends_by_what_the_database_has_where_its_log_cannot_be_written(
    tmp_path: Path,
) -> None:
    home = a_centre(tmp_path / "c")
    launch(home)
    shutil.rmtree(home.logs / "events")
    (home.logs / "events").write_text("a file where the folder should be")
    conductor = a_conductor(home, "hangs")
    found: dict[str, object] = {"status": "completed", "errors": []}

    async def work() -> None:
        await until(lambda: started(home))
        close_run(home, found)
        kill(started(home)[0])
        await until(lambda: entry(home).state is QueueState.ENDED)

    conducting(conductor, work)

    assert len(started(home)) == 1


def test_a_study_that_is_given_up_stays_so_where_its_log_cannot_be_written(tmp_path: Path) -> None:
    home = a_centre(tmp_path / "c")
    launch(home)
    shutil.rmtree(home.logs / "events")
    (home.logs / "events").write_text("a file where the folder should be")

    async def work() -> None:
        await until(lambda: entry(home).state is QueueState.ENDED)

    conducting(a_conductor(home, "breaks"), work)

    assert len(started(home)) == campaigns.MOST_FAULTS
    assert entry(home).code == CampaignBrokenError.code


def close_run(home: CentreHome, result: dict[str, object]) -> None:
    """Open and close a run of the study, as its campaign does at the end."""
    place = entry(home).place
    with closing(StudyStore.of(home)) as store:
        audit = AuditEvent(AuditKind.RUN_ENDED, "centre", ONE, datetime.now(UTC))
        store.start_run(ONE, {}, audit=audit)
        claim = store.claim(ONE, {}, audit=audit)
        store.end_run(claim, RunState.COMPLETED, {**result, LAUNCHED: place}, audit=audit)
