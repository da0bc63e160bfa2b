import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from clients.data.intake.ingest import IngestReport, ingest
from clients.data.ways_in import drain as draining
from clients.data.ways_in import inbox as boxes
from clients.data.ways_in.drain import Drainer
from clients.data.ways_in.inbox import Inbox
from federation.errors.base import PlatformError
from federation.errors.data import IntakeBusyError, IntakeDiskError
from federation.errors.machine import DiskFullError
from federation.errors.sources import ObjectTooLargeError
from tests.data.ways_in.conftest import Admitted


def filled(inbox: Inbox, images: list[Path]) -> Inbox:
    for path in images:
        inbox.put([path.read_bytes()])
    return inbox


def test_an_object_is_named_by_its_content_and_private(inbox: Inbox) -> None:
    name = inbox.put([b"a", b"bc"])
    kept = inbox.folder / "ready" / name
    assert name == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert kept.read_bytes() == b"abc"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert all(path.stat().st_mode & 0o777 == 0o700 for path in (inbox.folder, kept.parent))


def test_the_same_object_lies_there_once_even_while_it_is_settled(inbox: Inbox) -> None:
    name = inbox.put([b"abc"])
    assert inbox.put([b"abc"]) == name
    assert inbox.waiting() == 1
    (inbox.folder / "ready" / name).rename(inbox.folder / "settling" / name)
    inbox.put([b"abc"])
    assert inbox.waiting() == 1


def test_what_is_not_kept_leaves_nothing(inbox: Inbox) -> None:
    with inbox.receive() as incoming:
        incoming.write(b"half")
    assert not [path for path in inbox.folder.rglob("*") if path.is_file()]


def test_an_object_past_the_limit_is_refused_and_leaves_nothing(data: Path) -> None:
    inbox = Inbox(data, largest_bytes=10, reserve_bytes=0)
    with pytest.raises(ObjectTooLargeError):
        inbox.put([b"x" * 6, b"x" * 5])
    assert not [path for path in inbox.folder.rglob("*") if path.is_file()]


def test_below_the_reserve_nothing_is_accepted(data: Path) -> None:
    with pytest.raises(DiskFullError):
        Inbox(data, reserve_bytes=1 << 60).put([b"x"])


def test_a_disk_that_fills_up_meanwhile_is_told(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(boxes.os, "fsync", full)
    with pytest.raises(DiskFullError):
        inbox.put([b"abc"])
    assert not inbox.waiting()


def test_everything_is_settled_and_then_deleted(
    inbox: Inbox, images: list[Path], admitted: Admitted
) -> None:
    done = filled(inbox, images).drain()
    assert (done.given, done.new) == (len(images), len(images))
    assert admitted() == len(images)
    assert inbox.waiting() == 0


def test_bad_objects_are_counted_by_code_and_gone(inbox: Inbox, images: list[Path]) -> None:
    inbox.put([b"no dicom"])
    inbox.put([images[0].read_bytes()[:5000]])
    done = inbox.drain()
    assert done.quarantined == {"TF501": 1, "TF502": 1}
    assert inbox.waiting() == 0


def test_a_drain_that_fails_keeps_everything(inbox: Inbox, images: list[Path]) -> None:
    def failing(_: Path, __: Path) -> IngestReport:
        raise IntakeDiskError(why="full")

    filled(inbox, images[:3])
    with pytest.raises(IntakeDiskError):
        inbox.drain(take=failing)
    assert inbox.waiting() == 3
    assert inbox.drain().new == 3


def test_another_intake_is_waited_out(
    inbox: Inbox, images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boxes, "BUSY_S", 0.01)
    asked = 0

    def busy_twice(data: Path, folder: Path) -> IngestReport:
        nonlocal asked
        asked += 1
        if asked < 3:
            raise IntakeBusyError()
        return ingest(data, folder, workers=1)

    assert filled(inbox, images[:1]).drain(take=busy_twice).new == 1
    assert asked == 3


def test_what_arrives_while_a_batch_is_settled_is_settled_next(
    inbox: Inbox, images: list[Path]
) -> None:
    late = iter(images[1:3])

    def slow(data: Path, folder: Path) -> IngestReport:
        report = ingest(data, folder, workers=1)
        for path in late:
            inbox.put([path.read_bytes()])
        return report

    assert filled(inbox, images[:1]).drain(take=slow).given == 3
    assert inbox.waiting() == 0


def test_half_written_parts_of_yesterday_are_swept_and_those_of_today_are_not(inbox: Inbox) -> None:
    old, new = inbox.folder / "parts" / "old", inbox.folder / "parts" / "new"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 2 * 86400,) * 2)
    inbox.drain()
    assert (old.exists(), new.exists()) == (False, True)


DRAIN = """
import sys
from pathlib import Path
from clients.data.intake.ingest import ingest
from clients.data.ways_in.inbox import Inbox
def told(done, given):
    print(done, flush=True)
Inbox(Path(sys.argv[1])).drain(
    take=lambda data, folder: ingest(data, folder, workers=1, progress=told)
)
"""


def test_a_drain_killed_half_way_and_run_again_loses_nothing_and_doubles_nothing(
    data: Path, inbox: Inbox, images: list[Path], admitted: Admitted
) -> None:
    filled(inbox, images)
    command = [sys.executable, "-c", DRAIN, str(data)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= 3:
                os.killpg(process.pid, signal.SIGKILL)
                break
    assert inbox.waiting() == len(images)
    assert inbox.drain().given == len(images) == admitted()
    assert inbox.waiting() == 0


@pytest.mark.slow
def test_two_that_drain_share_the_work_without_doubling_it(
    data: Path, inbox: Inbox, images: list[Path], admitted: Admitted
) -> None:
    filled(inbox, images[:4])
    totals: list[int] = []
    others = [
        threading.Thread(target=lambda: totals.append(Inbox(data).drain().given)) for _ in range(2)
    ]
    for one in others:
        one.start()
    for one in others:
        one.join()
    assert sum(totals) == 4 == admitted()


def test_a_drainer_settles_what_arrives_and_tells_coded_errors(
    inbox: Inbox, images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining, "AFTER_ERROR_S", 0.01)
    told: list[PlatformError] = []
    broken = threading.Event()

    def once_broken(data: Path, folder: Path) -> IngestReport:
        if not broken.is_set():
            broken.set()
            raise IntakeDiskError(why="full")
        return ingest(data, folder, workers=1)

    with Drainer(inbox, take=once_broken, failed=told.append, every_s=0.05) as drainer:
        filled(inbox, images[:2])
        drainer.nudge()
        deadline = time.monotonic() + 20
        while inbox.waiting() and time.monotonic() < deadline:
            time.sleep(0.02)
    assert [error.code for error in told] == ["TF533"]
    assert drainer.total.new == 2


def test_an_error_that_nobody_foresaw_ends_the_drainer_loudly(inbox: Inbox) -> None:
    def mistaken(_: Path, __: Path) -> IngestReport:
        raise ZeroDivisionError

    inbox.put([b"x"])
    with pytest.raises(ZeroDivisionError), Drainer(inbox, take=mistaken, every_s=0.01) as drainer:
        drainer._thread.join(timeout=10)
    assert inbox.waiting() == 1
