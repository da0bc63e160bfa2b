"""`trifed study launch|watch|pause|resume|stop|list|queue|readmit`, as typed by a person."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from federation.commands.main import run
from federation.coordinator.home import CentreHome
from federation.domain.audit import AuditEvent, AuditKind
from federation.domain.ids import StudyId
from federation.domain.queue import QueueState
from federation.domain.run import RunState
from federation.domain.study import StudyState as S
from federation.operations.events import EventLog
from federation.operations.launch import submit
from federation.operations.progress import EventKind, Progress
from federation.operations.store.database import Database
from federation.operations.store.queue import Asked, Entry, QueueStore
from federation.operations.store.studies import StudyStore
from tests.builders import a_study
from tests.control.builders import a_centre, serving

ONE = StudyId("one")
COMPLETED: dict[str, object] = {
    "status": "completed",
    "rounds": {"asked": 2, "done": 2},
    "registry": {"entry": "m-1", "bundle": None},
    "errors": [],
}
FAILED: dict[str, object] = {
    "status": "failed",
    "errors": [{"code": "TF421", "site": None, "what": "Too few.", "next_step": "Look."}],
}


@pytest.fixture
def home(tmp_path: Path) -> CentreHome:
    made = a_centre(tmp_path / "c")
    for study in ("one", "two"):
        submit(made, replace(a_study(), id=StudyId(study)))
    return made


@contextmanager
def running(home: CentreHome) -> Iterator[None]:
    """A centre that answers its commands; nobody conducts."""
    up, stop = threading.Event(), threading.Event()

    async def serve() -> None:
        async with serving(home):
            up.set()
            while not stop.is_set():
                await asyncio.sleep(0.02)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert up.wait(20)
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def playing(home: CentreHome, result: dict[str, object]) -> Iterator[None]:
    """A campaign that says a few things once the study is launched, then ends it."""
    log = EventLog(home, ONE)

    def play() -> None:
        deadline = time.monotonic() + 20
        while not log.path.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        log.emit(Progress(EventKind.STAGE, values={"stage": "training"}))
        log.emit(Progress(EventKind.ROUND_DONE, round=1, values={"seconds": 1.0}))
        log.emit(Progress(EventKind.STAGE, values={"stage": "paused", "code": "TF802"}))
        log.end(result)

    thread = threading.Thread(target=play)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def entry(home: CentreHome) -> Entry:
    store = QueueStore(Database.of(home))
    try:
        return store.entry(ONE)
    finally:
        store.close()


def typed(home: CentreHome, *words: str) -> int:
    """Type `trifed study ...` at this home; return the exit code."""
    try:
        return run(["study", *words, "--home", str(home.folder)])
    except SystemExit as stop:
        assert isinstance(stop.code, int)
        return stop.code


def last_json(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    said: dict[str, object] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return said


@pytest.mark.parametrize(("result", "code"), [(COMPLETED, 0), (FAILED, 1)])
def test_a_launch_ends_with_the_contract_s_result_and_its_exit_code(
    home: CentreHome, capsys: pytest.CaptureFixture[str], result: dict[str, object], code: int
) -> None:
    with running(home), playing(home, result):
        assert typed(home, "launch", "one", "--json") == code

    assert last_json(capsys) == result


def test_events_are_one_json_line_each_and_the_result_is_the_last(
    home: CentreHome, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(home), playing(home, COMPLETED):
        typed(home, "launch", "one", "--events")

    *events, last = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert [one.get("stage") or one["event"] for one in events] == [
        "queued", "training", "round-done", "paused",
    ]  # fmt: skip
    assert last == COMPLETED


def test_a_person_reads_stages_and_how_it_ended(
    home: CentreHome, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(home), playing(home, FAILED):
        assert typed(home, "launch", "one") == 1

    said = capsys.readouterr()
    assert "- In the queue\n- Training\n" in said.out
    assert "- Paused (TF802)" in said.out
    assert "[TF421] Too few." in said.err


def test_without_a_running_centre_nothing_is_put_into_the_queue(
    home: CentreHome, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(home, "launch", "one") == 1

    assert "TF238" in capsys.readouterr().err
    assert typed(home, "queue", "--json") == 0
    assert json.loads(capsys.readouterr().out) == []


def test_a_detached_launch_returns_at_once_and_a_second_one_finds_it_there(
    home: CentreHome, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(home):
        assert typed(home, "launch", "one", "--detach", "--at-quorum", "--priority", "7") == 0
        assert "trifed study watch one" in capsys.readouterr().out
        assert typed(home, "launch", "one", "--detach", "--json") == 0

    assert last_json(capsys) == {"id": "one", "new": False}
    assert entry(home).asked.at_quorum
    assert entry(home).actor != "centre"


def test_a_study_for_tonight_waits_and_says_until_when(
    home: CentreHome, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(home):
        assert typed(home, "launch", "one", "--detach", "--at", "2099-01-02T03:04") == 0
        assert typed(home, "launch", "two", "--detach", "--at", "23:59") == 0
    capsys.readouterr()

    typed(home, "queue")

    assert "starts at 2099-01-02 03:04" in " ".join(capsys.readouterr().out.split())
    not_before = entry(home).asked.not_before
    assert not_before is not None and not entry(home).is_due(datetime.now(UTC))


def test_a_time_that_is_none_is_refused_before_anything_happens(home: CentreHome) -> None:
    assert typed(home, "launch", "one", "--at", "soon") == 2
    assert typed(home, "launch", "one", "--priority", "10") == 2


def test_pause_resume_and_stop_are_written_down_with_their_reason(
    home: CentreHome, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(home):
        typed(home, "launch", "one", "--detach")
    store = QueueStore(Database.of(home))
    store.activate(ONE)
    store.close()

    assert typed(home, "pause", "one", "--reason", "the weekend") == 0
    typed(home, "list")
    assert "the weekend" in " ".join(capsys.readouterr().out.split())
    assert typed(home, "resume", "one") == 0
    assert entry(home).state is QueueState.WAITING
    assert typed(home, "stop", "one", "--now", "--json") == 0

    assert last_json(capsys) == {"id": "one", "state": "waiting", "wish": "stop-now"}


def test_stopping_what_never_began_ends_it_and_watching_it_shows_that(
    home: CentreHome, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(home):
        typed(home, "launch", "one", "--detach")
    assert typed(home, "stop", "one", "--reason", "wrong cohort") == 0
    capsys.readouterr()

    assert typed(home, "watch", "one") == 1

    said = capsys.readouterr().err
    assert "The study was stopped." in said
    assert "[TF445]" in said and "wrong cohort" in said


def test_watching_what_ended_prints_its_result_at_once(
    home: CentreHome, capsys: pytest.CaptureFixture[str]
) -> None:
    EventLog(home, ONE).end(COMPLETED)

    assert typed(home, "watch", "one", "--json") == 0

    assert last_json(capsys) == COMPLETED
    assert typed(home, "watch", "one") == 0
    assert "m-1" in capsys.readouterr().out


@pytest.mark.parametrize("words", [("watch",), ("pause",), ("resume",), ("stop",)])
def test_a_study_that_was_never_launched_has_a_code(
    home: CentreHome, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    assert typed(home, *words, "one") == 1
    assert "TF440" in capsys.readouterr().err
    assert typed(home, "readmit", "one", "nowhere") == 1
    assert "TF447" in capsys.readouterr().err


def test_the_list_keeps_the_study_s_record_and_says_where_it_stands(
    home: CentreHome, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(home):
        typed(home, "launch", "two", "--detach", "--json")
    capsys.readouterr()

    assert typed(home, "list", "--json") == 0

    two, one = json.loads(capsys.readouterr().out)
    assert (one["id"], one["queue"], one["state"]) == ("one", None, "draft")
    assert (two["queue"]["state"], two["queue"]["position"]) == ("waiting", 1)
    assert two["title"] == a_study().title and "training" in two
    assert two["rounds"] == {"asked": a_study().training.rounds, "done": 0}


def test_a_completed_study_is_completed_though_the_queue_was_not_told(
    home: CentreHome, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(home):
        typed(home, "launch", "one", "--detach", "--json")
    queue = QueueStore(Database.of(home))
    queue.activate(ONE)
    queue.close()
    store, now = StudyStore.of(home), datetime.now(UTC)
    for state in (S.PROPOSED, S.APPROVED, S.RUNNING, S.COMPLETED):
        store.move_study(ONE, state, audit=AuditEvent(AuditKind.RUN_ENDED, "test", ONE, now))
    store.close()
    capsys.readouterr()

    typed(home, "list")

    (line,) = [one for one in capsys.readouterr().out.splitlines() if one.startswith("one ")]
    assert "completed" in line and "active" not in line


def test_ctrl_c_leaves_the_study_in_the_queue_and_says_so(home: CentreHome) -> None:
    command = [sys.executable, "-m", "federation.commands.main", "study", "launch", "one"]
    with (
        running(home),
        subprocess.Popen(
            [*command, "--home", str(home.folder), "--events"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TRIFED_LANG": "en"},
        ) as process,
    ):
        assert process.stdout is not None and process.stderr is not None
        assert "queued" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert "trifed study watch one" in process.stderr.read()

    assert entry(home).state is QueueState.WAITING


def test_a_follower_whose_log_is_gone_shows_what_the_database_has(
    home: CentreHome, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from federation.commands import running
    from federation.commands.running import Show, follow

    monkeypatch.setattr(running, "_LOOK_S", 0.0)
    audit = AuditEvent(AuditKind.RUN_ENDED, "centre", ONE, datetime.now(UTC))
    store = StudyStore.of(home)
    queue = QueueStore(store.database)
    queue.put(ONE, Asked(), actor="lin")
    store.start_run(ONE, {}, audit=audit)
    store.end_run(store.claim(ONE, {}, audit=audit), RunState.COMPLETED, COMPLETED, audit=audit)
    queue.end(ONE, code=None)
    store.close()

    with pytest.raises(SystemExit) as left:
        follow(home, ONE, Show.QUIET)

    assert left.value.code == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["status"] == "completed"
