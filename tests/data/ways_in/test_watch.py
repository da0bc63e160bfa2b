import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from clients.data.ways_in import watch as watching
from clients.data.ways_in.drain import Drainer
from clients.data.ways_in.inbox import Inbox
from clients.data.ways_in.transfers import Transfers
from clients.data.ways_in.watch import Pace, Watcher, files_below, is_wanted
from federation.errors.base import PlatformError
from tests.data.ways_in.conftest import Admitted

PACE = Pace(settle_s=0.4, rescan_s=1.0, tick_s=0.1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "export"
    made.mkdir()
    return made


@contextmanager
def watched(
    folder: Path, inbox: Inbox, pace: Pace = PACE, told: list[PlatformError] | None = None
) -> Iterator[Watcher]:
    with Drainer(inbox, every_s=0.1) as drainer, Transfers(inbox.data) as transfers:
        heard = (told if told is not None else []).append
        watcher = Watcher(folder, inbox, transfers, drainer, pace, told=heard)
        thread = threading.Thread(target=watcher.run)
        thread.start()
        try:
            yield watcher
        finally:
            watcher.stop.set()
            thread.join(timeout=30)
            assert not thread.is_alive()


def wait_for(done: Callable[[], bool], timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_files_there_before_and_files_that_come_are_taken_in_and_stay(
    folder: Path, inbox: Inbox, images: list[Path], admitted: Admitted
) -> None:
    shutil.copy(images[0], folder / "before.dcm")
    with watched(folder, inbox) as watcher:
        wait_for(lambda: watcher.counts["received"] == 1)
        (folder / "deeper" / "still").mkdir(parents=True)
        shutil.copy(images[1], folder / "deeper" / "still" / "after.dcm")
        wait_for(lambda: watcher.counts["received"] == 2)
    assert watcher.drainer.total.new == 2 == admitted()
    assert {path.name for path in folder.rglob("*.dcm")} == {"before.dcm", "after.dcm"}


@pytest.mark.slow
def test_a_file_that_grows_slowly_is_taken_in_once_and_whole(
    folder: Path, inbox: Inbox, images: list[Path], admitted: Admitted
) -> None:
    content = images[0].read_bytes()
    with watched(folder, inbox) as watcher:
        with (folder / "slow.dcm").open("wb") as out:
            for at in range(0, len(content), len(content) // 10):
                out.write(content[at : at + len(content) // 10])
                out.flush()
                time.sleep(0.15)
                assert watcher.counts["received"] == 0
        wait_for(lambda: watcher.counts["received"] == 1)
    total = watcher.drainer.total
    assert (total.given, total.new, total.quarantined) == (1, 1, {})
    assert admitted() == 1


@pytest.mark.slow
def test_a_restart_reads_nothing_again_but_what_changed(
    folder: Path, inbox: Inbox, images: list[Path]
) -> None:
    shutil.copy(images[0], folder / "one.dcm")
    with watched(folder, inbox) as watcher:
        wait_for(lambda: watcher.counts["received"] == 1)
    with watched(folder, inbox) as again:
        time.sleep(1.2)
        assert again.counts["received"] == 0
        shutil.copy(images[1], folder / "one.dcm")
        wait_for(lambda: again.counts["received"] == 1)
    assert again.drainer.total.new == 1


@pytest.mark.slow
def test_files_that_are_moved_in_with_their_folder_are_found(
    folder: Path, inbox: Inbox, images: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "study").mkdir()
    shutil.copy(images[0], tmp_path / "study" / "one.dcm")
    with watched(folder, inbox, Pace(settle_s=0.2, rescan_s=3600, tick_s=0.1)) as watcher:
        time.sleep(0.5)
        (tmp_path / "study").rename(folder / "study")
        wait_for(lambda: watcher.counts["received"] == 1)


@pytest.mark.slow
def test_what_notices_miss_is_found_by_looking(
    folder: Path, inbox: Inbox, images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_notices(*_: object, **__: object) -> Iterator[set[object]]:
        raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr(watching, "watch", no_notices)
    told: list[PlatformError] = []
    with watched(folder, inbox, told=told) as watcher:
        shutil.copy(images[0], folder / "one.dcm")
        wait_for(lambda: watcher.counts["received"] == 1)
    assert [error.code for error in told] == ["TF559"]


def test_bad_and_unreadable_files_stop_nothing(
    folder: Path, inbox: Inbox, images: list[Path]
) -> None:
    (folder / "a-bad.dcm").write_bytes(b"no dicom")
    (folder / "b-empty.dcm").write_bytes(b"")
    (folder / "c-link.dcm").symlink_to("/etc/passwd")
    os.mkfifo(folder / "d-pipe.dcm")
    shutil.copy(images[0], folder / "e-good.dcm")
    with watched(folder, inbox) as watcher:
        wait_for(lambda: watcher.counts["received"] == 3)
    assert watcher.drainer.total.new == 1
    assert watcher.drainer.total.quarantined == {"TF501": 2}


@pytest.mark.slow
def test_a_file_larger_than_allowed_is_counted_and_the_next_is_taken_in(
    folder: Path, data: Path, images: list[Path]
) -> None:
    inbox = Inbox(data, largest_bytes=1_000_000, reserve_bytes=0)
    (folder / "a-large.dcm").write_bytes(bytes(1_000_001))
    shutil.copy(images[0], folder / "b-good.dcm")
    with watched(folder, inbox) as watcher:
        wait_for(lambda: watcher.counts["received"] == 1)
        time.sleep(1.2)
    assert watcher.counts == {"received": 1, "TF549": 1}


@pytest.mark.slow
def test_a_folder_that_vanishes_is_waited_for(
    folder: Path, inbox: Inbox, images: list[Path]
) -> None:
    told: list[PlatformError] = []
    with watched(folder, inbox, told=told) as watcher:
        shutil.copy(images[0], folder / "one.dcm")
        wait_for(lambda: watcher.counts["received"] == 1)
        shutil.rmtree(folder)
        wait_for(lambda: [error.code for error in told] == ["TF553"])
        folder.mkdir()
        shutil.copy(images[1], folder / "two.dcm")
        wait_for(lambda: watcher.counts["received"] == 2)
    assert [error.code for error in told] == ["TF553"]


@pytest.mark.slow
def test_more_files_than_are_held_in_mind_are_all_taken_in(folder: Path, inbox: Inbox) -> None:
    for number in range(60):
        (folder / f"{number}.dcm").write_bytes(b"%d" % number)
    pace = Pace(settle_s=0.2, rescan_s=3600, tick_s=0.1, pending=7, batch=5)
    with watched(folder, inbox, pace) as watcher:
        wait_for(lambda: watcher.counts["received"] == 60)
    assert watcher.drainer.total.quarantined == {"TF501": 60}


@pytest.mark.parametrize(
    "name", [".a.dcm", "a.dcm.part", "a.TMP", "x/.hidden/a.dcm", "labels.csv", "a.filepart"]
)
def test_unfinished_hidden_and_label_files_are_left_alone(name: str) -> None:
    assert not is_wanted(Path(name))
    assert is_wanted(Path("x/a"))


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """A file in more folders than Python may call functions, and their removal."""
    here = tmp_path
    for _ in range(1100):
        here /= "d"
        here.mkdir()
    (here / "b.dcm").touch()
    yield tmp_path
    while (tmp_path / "d" / "d").exists():  # from the top: rmtree would call itself too often
        (tmp_path / "d" / "d").rename(tmp_path / "next")
        (tmp_path / "d").rmdir()
        (tmp_path / "next").rename(tmp_path / "d")


def test_a_folder_deeper_than_python_recurses_is_looked_through(deep: Path) -> None:
    (deep / "a.dcm").touch()
    assert {path.name for path in files_below(deep)} == {"a.dcm", "b.dcm"}
