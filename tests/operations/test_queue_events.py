"""The event log: whole lines in their order, whatever happened to their writer."""

import errno
import os
import threading
from pathlib import Path

import pytest

from federation.coordinator.home import CentreHome
from federation.domain.ids import StudyId
from federation.errors.durable import FilesRefusedError
from federation.errors.machine import DiskFullError
from federation.errors.queue import CampaignBrokenError
from federation.operations import events
from federation.operations.events import EventLog, Outcome
from federation.operations.progress import EventKind, Progress

STUDY = StudyId("one")
RESULT: dict[str, object] = {"status": "completed"}


@pytest.fixture
def log(tmp_path: Path) -> EventLog:
    return EventLog(CentreHome(tmp_path), STUDY)


def a_stage(stage: str) -> Progress:
    return Progress(EventKind.STAGE, values={"stage": stage})


def percent(number: int) -> Progress:
    return Progress(EventKind.SITE_PROGRESS, "north", 1, {"percent": number})


def said(log: EventLog) -> list[object]:
    return [
        one.result if isinstance(one, Outcome) else one.values.get("stage") for one in log.read()
    ]


def test_what_is_said_is_read_in_order_and_the_outcome_is_last(log: EventLog) -> None:
    log.begin()
    log.emit(a_stage("training"))
    log.emit(a_stage("done"))
    log.end(RESULT)

    assert said(log) == ["training", "done", RESULT]
    assert log.outcome() == Outcome(RESULT)
    assert log.path.stat().st_mode & 0o777 == 0o600


def test_a_launch_that_has_not_ended_has_no_outcome(log: EventLog) -> None:
    assert log.outcome() is None
    log.begin()
    log.emit(a_stage("training"))

    assert log.outcome() is None


def test_a_study_ends_once(log: EventLog) -> None:
    log.end(RESULT)
    log.end({"status": "failed"})

    assert said(log) == [RESULT]


def test_a_line_that_a_killed_writer_cut_is_skipped_and_the_next_one_is_whole(
    log: EventLog,
) -> None:
    log.emit(a_stage("training"))
    with log.path.open("ab") as file:
        file.write(b'{"event": "stage", "sta')
    log.emit(a_stage("done"))

    assert said(log) == ["training", "done"]


def test_lines_of_other_versions_and_of_nobody_are_skipped(log: EventLog) -> None:
    log.emit(a_stage("training"))
    with log.path.open("ab") as file:
        file.write(b'[1]\n{"event": "new-kind"}\n\xff\n{}\nnull\n{"result": 1}\n')
    log.emit(a_stage("done"))

    assert said(log) == ["training", "done"]


def test_a_new_launch_begins_a_new_file_and_its_reader_keeps_the_old_one(log: EventLog) -> None:
    log.begin()
    log.emit(a_stage("training"))
    old = log.follow()
    next(old)
    log.end(RESULT)
    log.begin()

    assert next(old) == Outcome(RESULT)
    assert said(log) == []


def test_a_follower_that_comes_first_waits_for_the_launch(log: EventLog) -> None:
    found: list[object] = []
    reader = threading.Thread(target=lambda: found.extend(log.follow()))
    reader.start()
    log.begin()
    log.emit(a_stage("training"))
    log.end(RESULT)
    reader.join(5)

    assert found == [a_stage("training"), Outcome(RESULT)]


def test_following_from_the_end_gives_only_what_is_new(log: EventLog) -> None:
    log.emit(a_stage("training"))
    looks = iter([False, True])

    def until() -> bool:
        is_last = next(looks)
        if is_last:
            log.emit(a_stage("done"))
        return is_last

    assert list(log.follow(from_start=False, until=until)) == [a_stage("done")]


def test_a_long_study_drops_percentages_first_and_never_its_outcome(
    log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "PLENTY_BYTES", 500)
    monkeypatch.setattr(events, "MOST_BYTES", 1000)
    for number in range(100):
        log.emit(percent(number))
    assert log.path.stat().st_size <= 500
    for _ in range(100):
        log.emit(a_stage("training"))
    assert 500 < log.path.stat().st_size <= 1000
    log.end(RESULT)

    assert log.outcome() == Outcome(RESULT)


def test_threads_that_speak_at_once_do_not_mix_their_lines(log: EventLog) -> None:
    def speak(site: str) -> None:
        for number in range(50):
            log.emit(Progress(EventKind.SITE_PROGRESS, site, 1, {"percent": number}))

    threads = [threading.Thread(target=speak, args=(f"s{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(list(log.read())) == 200


def test_an_error_becomes_a_result_of_the_contract() -> None:
    error = CampaignBrokenError(study=STUDY, times=5, status=1, log="x.log")
    outcome = Outcome.of_error(error, "failed", asked=3)

    assert not outcome.completed
    assert outcome.code == "TF442"
    assert outcome.result.keys() == {
        "status", "rounds", "seconds", "sites", "model", "registry", "refused", "errors",
    }  # fmt: skip


def test_a_log_that_cannot_be_written_stops_nobody(log: EventLog) -> None:
    log.path.parent.parent.mkdir(parents=True)
    log.path.parent.write_text("a file where the folder should be")

    log.emit(a_stage("training"))
    log.end(RESULT)

    assert said(log) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_launch_whose_log_cannot_begin_says_so_with_a_code(
    log: EventLog, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(number, "no")

    log.begin()
    monkeypatch.setattr(os, "open", refuse)

    with pytest.raises((DiskFullError, FilesRefusedError)):
        log.begin()


def test_a_follower_goes_on_in_the_file_that_took_the_place_of_a_deleted_one(
    log: EventLog,
) -> None:
    log.emit(a_stage("training"))
    following = log.follow()
    assert isinstance(next(following), Progress)

    log.path.unlink()
    log.emit(a_stage("done"))
    log.end(RESULT)

    rest = list(following)
    assert rest[-1] == Outcome(RESULT)
    assert len(rest) == 2
