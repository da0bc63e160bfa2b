"""Folders and files that are made to stop an intake, to hang it or to make it forget."""

import json
import os
import random
import signal
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from clients.data.catalogue.store import Catalogue
from clients.data.dicom.codestreams import fragment_count, sizes_in
from clients.data.dicom.elements import (
    EXPLICIT_LITTLE,
    PIXEL_DATA,
    Element,
    Limits,
    Part10,
    read_part10,
    write_part10,
)
from clients.data.dicom.pixels import decode
from clients.data.intake import workers
from clients.data.intake.fingerprints import fingerprint
from clients.data.intake.ingest import ingest
from clients.data.intake.rules import IntakeRules
from clients.data.intake.walk import count_below, files_below
from clients.data.phantoms import GeneratedSite
from federation.commands.main import app
from federation.errors.data import (
    CutFileError,
    PixelsUndecodableError,
    TooManyElementsError,
    WorkerLostError,
)
from tests.data.conftest import Build, Write
from tests.data.deidentification.planting import (
    CR_IMAGE,
    DEFLATED,
    EXPLICIT,
    J2K,
    JPEG,
    base,
    codestream,
    encapsulated,
    samples,
    text,
    us,
)
from tests.data.test_intake import INGEST

NOTHING: frozenset[Path] = frozenset()
LIMITS = Limits(file_bytes=8 << 20)


def test_links_in_circles_pipes_and_sockets_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / "zero").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"x")
    assert list(files_below(tmp_path, without=NOTHING)) == [tmp_path / "file"]
    assert not list(files_below(tmp_path / "circle", without=NOTHING))
    assert not list(files_below(tmp_path / "pipe", without=NOTHING))


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """A file in more folders than Python may call functions, and their removal."""
    depth, here = sys.getrecursionlimit() + 200, Path.cwd()
    try:
        os.chdir(tmp_path)
        for _ in range(depth):
            Path("d").mkdir()
            os.chdir("d")
        Path("file").write_bytes(b"x")
        yield tmp_path
    finally:
        os.chdir(here)
        while (tmp_path / "d" / "d").exists():  # from the top: rmtree would call itself too often
            (tmp_path / "d" / "d").rename(tmp_path / "next")
            (tmp_path / "d").rmdir()
            (tmp_path / "next").rename(tmp_path / "d")


def test_folders_may_be_deeper_than_python_may_call(deep: Path) -> None:
    assert count_below(deep, without=NOTHING) == 1


def test_the_data_folder_is_not_taken_into_itself(
    build: Build, write: Write, tmp_path: Path
) -> None:
    write(build())
    data = tmp_path / "home" / "data"
    first = ingest(data, tmp_path, workers=1)
    again = ingest(data, tmp_path, workers=1)
    assert (first.given, again.given) == (1, 1)
    assert (first.admitted, again.admitted) == (1, 1)


def test_a_pipe_that_takes_a_files_place_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert fingerprint(tmp_path / "pipe", most_bytes=10).stamp is None
    pool = workers._Worker(set_up(tmp_path))
    try:
        answer = pool.ask(tmp_path / "pipe", words=(), stamp=None, timeout_s=20)
    finally:
        pool.stop()
    assert answer == {"state": "received", "code": CutFileError.code}


def set_up(folder: Path) -> str:
    from clients.data.people.pseudonyms import Pseudonyms

    with workers.WorkerPool(
        count=1, pseudonyms=Pseudonyms(b"k" * 32), rules=IntakeRules(), staging=folder, root=folder
    ) as pool:
        return pool.setup


def test_a_sparse_file_of_a_terabyte_is_told_by_its_ends(tmp_path: Path) -> None:
    path = tmp_path / "large.dcm"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    started = time.monotonic()
    report = ingest(tmp_path / "data", path, workers=1)
    assert report.quarantined == {TooManyElementsError.code: 1}
    assert time.monotonic() - started < 30
    first = fingerprint(path, most_bytes=LIMITS.file_bytes)
    with path.open("r+b") as file:
        file.write(b"x")
    assert fingerprint(path, most_bytes=LIMITS.file_bytes).digest != first.digest


def test_a_file_that_changes_while_it_is_read_is_read_again_next_time(
    build: Build, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(build())
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    original = workers._Worker.ask

    def ask(self: workers._Worker, asked: Path, **how: object) -> dict[str, object]:
        asked.write_bytes(whole)
        return original(self, asked, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(workers._Worker, "ask", ask)
    first = ingest(tmp_path / "data", path, workers=1)
    monkeypatch.undo()
    assert first.quarantined == {CutFileError.code: 1}
    with Catalogue(tmp_path / "data") as catalogue:
        assert not catalogue.instances_of_patients()
    path.write_bytes(whole[:-40])
    assert ingest(tmp_path / "data", path, workers=1).quarantined == {CutFileError.code: 1}
    path.write_bytes(whole)
    assert ingest(tmp_path / "data", path, workers=1).new == 1


def test_a_worker_that_is_killed_from_outside_costs_no_file(
    build: Build, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 4):
        path = write(build(number), f"{number}.dcm")
    original = workers._Worker.ask
    killed: set[str] = set()

    def ask(self: workers._Worker, asked: Path, **how: object) -> dict[str, object]:
        if asked.name not in killed:
            killed.add(asked.name)
            self.process.kill()
        return original(self, asked, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(workers._Worker, "ask", ask)
    report = ingest(tmp_path / "data", path.parent, workers=1)
    assert (report.admitted, report.quarantined) == (3, {})


def test_workers_that_cannot_start_stop_the_intake_and_blame_no_file(
    build: Build, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(build())
    monkeypatch.setattr(workers, "START_S", 0.0)
    with pytest.raises(WorkerLostError):
        ingest(tmp_path / "data", path, workers=1)
    monkeypatch.undo()
    assert ingest(tmp_path / "data", path, workers=1).new == 1


def test_what_a_decoder_prints_is_no_answer() -> None:
    script = (
        "import os; from clients.data.intake import worker; own = worker._own_stdout(); "
        "os.write(1, b'forged'); print('forged'); worker._answer(own, 'ready')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert done.stdout == b'"ready"\n'


def test_a_reader_starts_without_what_only_text_needs() -> None:
    script = (
        "import sys; from clients.data.intake.worker import Detector; Detector(); "
        "print(sorted({'scipy', 'onnxruntime', 'torch', 'sqlalchemy'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert done.stdout.strip() == b"[]"


def test_outcomes_of_files_with_any_name_are_written(
    build: Build, write: Write, tmp_path: Path
) -> None:
    folder = write(build()).parent
    for name in (b"\xff\xfe.dcm", b"a\nb", b"x" * 255):
        (folder / os.fsdecode(name)).write_bytes(name)
    listed = tmp_path / "outcomes.csv"
    command = ["node", "ingest", str(folder), "--home", str(tmp_path), "--json"]
    done = json.loads(CliRunner().invoke(app, [*command, "--outcomes", str(listed)]).stdout)
    assert (done["given"], done["quarantined"]) == (4, {"TF501": 3})
    assert b"\xff\xfe.dcm" in listed.read_bytes()


def test_outcomes_that_cannot_be_written_are_a_coded_error(
    build: Build, write: Write, tmp_path: Path
) -> None:
    path = write(build())
    command = ["node", "ingest", str(path), "--home", str(tmp_path), "--json"]
    done = CliRunner().invoke(app, [*command, "--outcomes", str(tmp_path / "no" / "o.csv")])
    assert done.exit_code == 1
    assert not (tmp_path / "data").exists()


def image(*elements: Element, syntax: str = EXPLICIT) -> Part10:
    own = {element.tag for element in elements}
    dataset = [*(element for element in base() if element.tag not in own), *elements]
    meta = [text(0x00020002, "UI", CR_IMAGE), text(0x00020010, "UI", syntax)]
    return Part10(meta, dataset, syntax, EXPLICIT_LITTLE)


def claiming(width: int, height: int) -> bytes:
    stream = bytearray(codestream(samples()))
    at = stream.index(b"\xff\x51")
    struct.pack_into(">II", stream, at + 6, width, height)
    return bytes(stream)


JPEG_65500 = b"\xff\xd8\xff\xfe\0\4Qz\xff\xff\xf7" + struct.pack(
    ">HBHHB3s", 11, 8, 65500, 65500, 1, b"\1\x11\0"
)


@pytest.mark.parametrize(
    "bomb",
    [
        image(encapsulated(claiming(60_000, 60_000)), syntax=J2K),
        image(encapsulated(claiming(1 << 32 - 1, 1 << 31)), syntax=J2K),
        image(encapsulated(JPEG_65500), syntax=JPEG),
        image(encapsulated(codestream(samples())), text(0x00280008, "IS", "100000"), syntax=J2K),
        image(Element(PIXEL_DATA, "OB", bytes(64)), text(0x00280008, "IS", "999999999")),
        image(Element(PIXEL_DATA, "OB", bytes(64)), Element(0x00280010, "US", us(0))),
    ],
)
def test_a_picture_that_claims_more_than_it_has_is_refused_at_once(bomb: Part10) -> None:
    started = time.monotonic()
    with pytest.raises(PixelsUndecodableError):
        decode(read_part10(write_part10(bomb), LIMITS))
    assert time.monotonic() - started < 1


def test_the_sizes_that_frames_claim_are_read_without_decoding() -> None:
    assert list(sizes_in(encapsulated(claiming(70_000, 3)).value)) == [(3, 70_000)]
    assert list(sizes_in(encapsulated(JPEG_65500).value)) == [(65_500, 65_500)]
    assert fragment_count(encapsulated(b"ab").value) == 1


def head(syntax: str) -> bytes:
    meta = [text(0x00020002, "UI", CR_IMAGE), text(0x00020010, "UI", syntax)]
    return write_part10(Part10(meta, [], EXPLICIT, EXPLICIT_LITTLE))


def test_empty_items_without_end_are_counted() -> None:
    items = struct.pack("<HHI", 0xFFFE, 0xE000, 0) * 200_000
    sequence = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF)
    started = time.monotonic()
    with pytest.raises(TooManyElementsError):
        read_part10(head(EXPLICIT) + sequence + items, LIMITS)
    assert time.monotonic() - started < 2


def test_a_deflated_file_is_refused_when_it_is_a_bomb_or_cut() -> None:
    engine = zlib.compressobj(9, wbits=-15)
    packed = b"".join(engine.compress(bytes(1 << 20)) for _ in range(64)) + engine.flush()
    with pytest.raises(TooManyElementsError):
        read_part10(head(DEFLATED) + packed, LIMITS)
    engine = zlib.compressobj(9, wbits=-15)
    whole = engine.compress(struct.pack("<HH2sH", 8, 0x60, b"CS", 2) + b"CR") + engine.flush()
    with pytest.raises(CutFileError):
        read_part10(head(DEFLATED) + whole[:-1], LIMITS)


@pytest.mark.slow
def test_killed_again_and_again_it_still_takes_in_every_file_once(
    site: GeneratedSite, tmp_path: Path
) -> None:
    data, kill = tmp_path / "data", random.Random(3)
    command = [sys.executable, "-c", INGEST, str(data), str(site.folder)]
    for round_ in range(10):
        wanted = kill.randrange(1 + round_ * site.files // 12, 2 + (round_ + 1) * site.files // 12)
        process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)
        wait_for(lambda wanted=wanted: len(list(data.rglob("*.dcm"))) >= wanted)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    again = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    whole = ingest(tmp_path / "other", site.folder, workers=1).as_json()
    assert {**again, "seconds": 0, "new": 0} == {**whole, "seconds": 0, "new": 0}
    assert len(list(data.rglob("*.dcm"))) == whole["admitted"]
    assert not list((data / "staging").iterdir())


def wait_for(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true() and time.monotonic() < deadline:
        time.sleep(0.003)
