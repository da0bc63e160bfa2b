import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clients.data.catalogue.store import Catalogue
from clients.data.dicom.elements import Limits, read_part10
from clients.data.dicom.pixels import decode, pixel_digest
from clients.data.intake import workers
from clients.data.intake.ingest import INCOMING, IncomingState, ingest
from clients.data.intake.rules import IntakeRules
from clients.data.people.optout import import_optouts
from clients.data.phantoms import GeneratedSite, _bytes_of, _item
from federation.errors.core import TransitionRefusedError
from federation.errors.data import (
    IntakeBusyError,
    IntakeDiskError,
    IntakeFolderError,
    LabelFileError,
)
from tests.data.conftest import CHEST, Build, Ingested, Write

INGEST = """
import json, sys
from pathlib import Path
from clients.data.intake.ingest import ingest
print(json.dumps(ingest(Path(sys.argv[1]), Path(sys.argv[2]), workers=1).as_json()))
"""

QUARANTINE = {f"TF5{number:02d}" for number in (*range(1, 16), *range(34, 40), 98)}


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    }


def codes(data: Path, given: Path, **keywords: object) -> dict[str, int]:
    return ingest(data, given, workers=1, **keywords).quarantined  # type: ignore[arg-type]


def test_every_file_of_a_hospital_is_accounted_for(site: GeneratedSite, ingested: Ingested) -> None:
    report = ingested.report
    assert report.given == site.files
    assert report.admitted == site.files - 3
    assert report.quarantined == {"TF502": 1, "TF507": 1, "TF535": 1}
    assert report.labels["applied"] == report.admitted
    assert report.labels["TF516"] == 1
    assert report.labels["TF517"] == 0


def test_a_second_run_changes_nothing(site: GeneratedSite, ingested: Ingested) -> None:
    before = tree(ingested.data)
    again = ingest(ingested.data, site.folder, rules=CHEST, workers=1)
    after = tree(ingested.data)
    assert again.new == 0
    assert {**again.as_json(), "seconds": 0, "new": 0} == {
        **ingested.report.as_json(),
        "seconds": 0,
        "new": 0,
    }
    assert before.keys() == after.keys()
    assert all(before[name] == after[name] for name in before if name.endswith(".dcm"))


def test_nothing_below_the_data_folder_names_a_planted_identifier(
    site: GeneratedSite, ingested: Ingested
) -> None:
    for path in ingested.data.rglob("*"):
        content = path.name.encode() + (path.read_bytes() if path.is_file() else b"")
        assert not [word for word in site.planted if word.encode() in content], path.suffix


def test_the_key_file_is_private(ingested: Ingested) -> None:
    assert (ingested.data / "keys" / "pseudonym.key").stat().st_mode & 0o777 == 0o600
    assert ingested.data.stat().st_mode & 0o777 == 0o700


@pytest.mark.realdata
def test_every_shared_dicom_file_is_admitted_or_quarantined(
    shared_data: Path, tmp_path: Path
) -> None:
    given = shared_data / "dicom-real"
    files = [path for path in given.rglob("*") if path.is_file()]
    report = ingest(tmp_path / "data", given, workers=2)
    assert report.given == len(files)
    assert report.admitted + sum(report.quarantined.values()) == len(files)
    assert report.duplicates == 0
    assert report.admitted >= 70
    assert len(list((tmp_path / "data" / "dicom").rglob("*.dcm"))) == report.admitted
    assert set(report.quarantined) <= QUARANTINE
    assert ingest(tmp_path / "data", given, workers=1).as_json()["new"] == 0


@pytest.mark.realdata
def test_admitted_real_files_still_show_the_same_pixels(shared_data: Path, tmp_path: Path) -> None:
    given = shared_data / "dicom-real"
    ingest(tmp_path / "data", given, workers=2)
    sources = set()
    for path in given.rglob("*.dcm"):
        try:
            sources.add(pixel_digest(decode(read_part10(path.read_bytes(), Limits()))))
        except Exception:
            continue
    for path in (tmp_path / "data" / "dicom").rglob("*.dcm"):
        file = read_part10(path.read_bytes(), Limits())
        if file.number(0x00280101, 0) == file.number(0x00280100, 0):
            assert pixel_digest(decode(file)) in sources


def test_killed_half_way_and_run_again_it_completes(site: GeneratedSite, tmp_path: Path) -> None:
    data = tmp_path / "data"
    command = [sys.executable, "-c", INGEST, str(data), str(site.folder)]
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(list(data.rglob("*.dcm"))) < 5 and time.monotonic() < deadline:
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    with Catalogue(data) as catalogue:
        half = len(catalogue.instances_of_patients())
    again = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    whole = ingest(tmp_path / "other", site.folder, workers=1).as_json()
    assert half > 0
    assert {**again, "seconds": 0, "new": 0} == {**whole, "seconds": 0, "new": 0}
    assert not list((data / "staging").iterdir())


def test_a_worker_that_dies_costs_one_file_only(
    build: Build, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 5):
        path = write(build(number), f"{number}.dcm")
    original = workers._Worker.ask

    def ask(self: workers._Worker, asked: Path, **how: object) -> dict[str, object]:
        if asked.name == "2.dcm":
            self.process.kill()
        return original(self, asked, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(workers._Worker, "ask", ask)
    report = ingest(tmp_path / "data", path.parent, workers=1)
    assert (report.admitted, report.quarantined) == (3, {"TF509": 1})


def test_a_file_that_takes_too_long_is_quarantined(
    build: Build, write: Write, tmp_path: Path
) -> None:
    path = write(build())
    assert codes(tmp_path / "data", path, rules=IntakeRules(timeout_s=0.0)) == {"TF509": 1}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.11"}, "TF505"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.104.1"}, "TF505"),
        ({"SOPClassUID": "1.3.6.1.4.1.999.1"}, "TF505"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "TF506"),
        ({"Modality": "CT"}, "TF507"),
        ({"Modality": None}, "TF507"),
        ({"PixelData": b"\0\0"}, "TF508"),
        ({"PixelData": None}, "TF508"),
        ({"BurnedInAnnotation": "YES"}, "TF510"),
        ({"PatientID": ""}, "TF514"),
        ({"StudyInstanceUID": None}, "TF514"),
    ],
)
def test_a_broken_rule_has_its_code(
    build: Build, write: Write, tmp_path: Path, changes: dict[str, object], code: str
) -> None:
    path = write(build(**changes))
    assert codes(tmp_path / "data", path, rules=CHEST) == {code: 1}


def test_ultrasound_must_say_that_it_shows_no_text(
    build: Build, write: Write, tmp_path: Path
) -> None:
    us = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.6.1", "Modality": "US"}
    path = write(build(**us))
    assert codes(tmp_path / "data", path) == {"TF511": 1}
    path = write(build(BurnedInAnnotation="NO", **us))
    assert codes(tmp_path / "data", path) == {}


def test_a_copy_under_another_name_uid_or_patient_is_a_duplicate(
    build: Build, write: Write, tmp_path: Path
) -> None:
    first = build()
    write(first, "a.dcm")
    write(first, "b.dcm")
    twin = build(2)
    twin.PixelData = first.PixelData
    path = write(twin, "c.dcm")
    report = ingest(tmp_path / "data", path.parent, workers=1)
    assert (report.given, report.admitted, report.duplicates) == (3, 1, 1)
    assert report.quarantined == {"TF512": 1}


def test_another_image_under_the_same_uid_is_a_conflict(
    build: Build, write: Write, tmp_path: Path
) -> None:
    write(build(1), "a.dcm")
    other = build(2, SOPInstanceUID="1.2.3.4.1")
    path = write(other, "b.dcm")
    assert codes(tmp_path / "data", path.parent) == {"TF513": 1}


def test_one_study_cannot_belong_to_two_patients(
    build: Build, write: Write, tmp_path: Path
) -> None:
    write(build(1), "a.dcm")
    path = write(build(2, StudyInstanceUID="1.2.3.5.1"), "b.dcm")
    assert codes(tmp_path / "data", path.parent) == {"TF534": 1}


def test_an_opted_out_patient_is_not_taken_in(build: Build, write: Write, tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text("PID0001\n")
    import_optouts(tmp_path / "data", listed)
    write(build(1), "a.dcm")
    path = write(build(2), "b.dcm")
    report = ingest(tmp_path / "data", path.parent, workers=1)
    assert (report.admitted, report.quarantined) == (1, {"TF515": 1})


def test_rules_that_changed_let_a_file_be_read_again(
    build: Build, write: Write, tmp_path: Path
) -> None:
    path = write(build(Modality="DX"))
    data = tmp_path / "data"
    assert codes(data, path, rules=IntakeRules(modalities=("CT",))) == {"TF507": 1}
    assert ingest(data, path, rules=CHEST, workers=1).new == 1


def test_an_empty_folder_and_a_missing_one_are_coded_errors(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(IntakeFolderError):
            ingest(tmp_path / "data", path)


def test_a_bad_label_file_stops_before_anything_is_taken_in(
    build: Build, write: Write, tmp_path: Path
) -> None:
    path = write(build())
    (path.parent / "labels.csv").write_text("name;label\nx;1\n")
    with pytest.raises(LabelFileError):
        ingest(tmp_path / "data", path.parent)
    assert not (tmp_path / "data").exists()


def test_two_intakes_cannot_write_at_once(build: Build, write: Write, tmp_path: Path) -> None:
    path = write(build())

    def second(done: int, given: int) -> None:
        with pytest.raises(IntakeBusyError):
            ingest(tmp_path / "data", path, workers=1)

    ingest(tmp_path / "data", path, workers=1, progress=second)


def test_a_quarantined_file_enters_no_further_state() -> None:
    with pytest.raises(TransitionRefusedError):
        INCOMING.check(IncomingState.QUARANTINED, IncomingState.ADMITTED)
    with pytest.raises(TransitionRefusedError):
        INCOMING.check(IncomingState.RECEIVED, IncomingState.ADMITTED)


def test_labels_match_by_file_uid_and_patient_and_contradictions_are_counted(
    build: Build, write: Write, tmp_path: Path
) -> None:
    for number in range(1, 5):
        path = write(build(number), f"{number}.dcm")
    (path.parent / "labels.csv").write_text(
        "file,sop_instance_uid,patient_id,pneumonia,reader\n"
        "1.dcm,,,1,dr a\n"
        ",1.2.3.4.2,,no,dr a\n"
        ",,PID0003,yes,dr b\n"
        "3.dcm,,,0,dr c\n"
        "missing.dcm,,,1,dr c\n"
        "4.dcm,,,maybe,dr c\n"
    )
    report = ingest(tmp_path / "data", path.parent, workers=1)
    with Catalogue(tmp_path / "data") as catalogue:
        values = sorted(catalogue.label_rows().values())
        names = catalogue.label_names()
    assert values == ["0", "1"]
    assert names == ["pneumonia"]
    assert report.labels["TF516"] == 1
    assert report.labels["TF517"] == 2
    assert report.labels["TF518"] == 1
    assert report.labels["TF519"] == 1


def test_private_text_in_a_report_column_is_never_stored(
    build: Build, write: Write, tmp_path: Path
) -> None:
    path = write(build())
    (path.parent / "labels.csv").write_text("file,pneumonia,name\nimage.dcm,1,Qzsecret\n")
    ingest(tmp_path / "data", path.parent, workers=1)
    assert all(
        b"Qzsecret" not in item.read_bytes()
        for item in (tmp_path / "data").rglob("*")
        if item.is_file()
    )


def test_worker_reads_an_icon_free_copy(build: Build, write: Write, tmp_path: Path) -> None:
    icon = _item(Rows=1, Columns=2, BitsAllocated=8, PixelData=b"Qz")
    path = write(build(IconImageSequence=[icon]))
    ingest(tmp_path / "data", path, workers=1)
    (stored,) = (tmp_path / "data" / "dicom").rglob("*.dcm")
    assert 0x00880200 not in read_part10(stored.read_bytes(), Limits()).index
    assert _bytes_of(build()) != stored.read_bytes()


def test_a_full_disk_stops_with_a_code_and_keeps_what_was_admitted(
    build: Build, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 4):
        path = write(build(number), f"{number}.dcm")
    original = workers._Worker.ask

    def ask(self: workers._Worker, asked: Path, **how: object) -> dict[str, object]:
        if asked.name == "3.dcm":
            return {"state": "screened", "disk": "No space left on device"}
        return original(self, asked, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(workers._Worker, "ask", ask)
    with pytest.raises(IntakeDiskError):
        ingest(tmp_path / "data", path.parent, workers=1)
    monkeypatch.undo()
    report = ingest(tmp_path / "data", path.parent, workers=1)
    assert (report.admitted, report.new) == (3, 1)
