"""Rotating the keys: the same people under other names, nothing lost, at any interruption."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from clients.data.catalogue.store import Catalogue
from clients.data.intake.ingest import ingest
from clients.data.layout import KEY_FILE
from clients.data.people import rotation
from clients.data.people.lineage import Lineage, RoundState, TrainedRound
from clients.data.people.optout import answers, import_optouts, load_optouts
from clients.data.people.pseudonyms import Pseudonyms
from clients.data.people.rotation import rotate
from clients.data.people.sightings import of_patient_ids, of_pseudonym
from clients.data.ways_in.transfers import Transfers
from federation.domain.ids import RunId, Sha256
from federation.errors.data import IntakeBusyError, StoredImageError
from federation.errors.people import RotationUnfinishedError
from tests.data.conftest import CHEST, Build, Write
from tests.data.people.conftest import NOW, Fill, a_list


def stored(data: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (data / "dicom").glob("*/*.dcm")}


def names_in(data: Path) -> set[str]:
    with Catalogue(data) as catalogue:
        return set(catalogue.instances_of_patients())


def labels_in(data: Path) -> list[str]:
    with Catalogue(data) as catalogue:
        return sorted(catalogue.label_rows().values())


@pytest.mark.slow
def test_rotated_files_are_what_an_intake_under_both_keys_makes(fill: Fill, tmp_path: Path) -> None:
    data = fill(4)
    before, labels = stored(data), labels_in(data)
    done = rotate(data, now=NOW)
    assert (done.keys, done.images) == (2, 4)
    fresh = tmp_path / "fresh" / "data"
    (fresh / "keys").mkdir(parents=True)
    key = fresh / KEY_FILE
    key.touch(0o600)
    key.write_bytes((data / KEY_FILE).read_bytes())
    ingest(fresh, tmp_path / "given", rules=CHEST, workers=1)
    assert stored(data) == stored(fresh)
    assert not stored(data).keys() & before.keys()
    assert labels_in(data) == labels
    with Catalogue(data) as one, Catalogue(fresh) as other:
        assert one.content_digest() == other.content_digest()


def test_after_a_rotation_the_same_files_change_nothing(fill: Fill, tmp_path: Path) -> None:
    data = fill(4)
    rotate(data, now=NOW)
    names = names_in(data)
    report = ingest(data, tmp_path / "given", rules=CHEST, workers=1)
    assert (report.new, report.admitted) == (0, 4)
    assert names_in(data) == names


def test_a_new_image_of_a_known_person_is_of_the_same_person(
    fill: Fill, build: Build, write: Write, tmp_path: Path
) -> None:
    data = fill(4)
    rotate(data, now=NOW)
    more = write(build(9, PatientID="PID0001"), "more/9.dcm").parent
    assert ingest(data, more, rules=CHEST, workers=1).new == 1
    assert len(names_in(data)) == 4


def test_opt_outs_hold_across_rotations(fill: Fill, tmp_path: Path) -> None:
    data = fill(4)
    import_optouts(data, a_list(tmp_path / "l.txt", "PID0002"), now=NOW)
    old = load_optouts(data, now=NOW).patients
    for _ in range(2):
        rotate(data, now=NOW)
    new = load_optouts(data, now=NOW).patients
    assert not old & new
    assert new <= names_in(data)
    assert answers(data, ["PID0001", "PID0002"], now=NOW) == ["no", "yes"]
    import_optouts(data, tmp_path / "l.txt", now=NOW)
    assert load_optouts(data, now=NOW).patients == new


def test_the_old_key_alone_finds_nobody_any_more(fill: Fill) -> None:
    data = fill(4)
    leaked = Pseudonyms.open(data / KEY_FILE)
    assert leaked.patient("PID0001") in names_in(data)
    rotate(data, now=NOW)
    assert leaked.patient("PID0001") not in names_in(data)
    everything = b"".join(p.read_bytes() for p in data.rglob("*") if p.is_file())
    assert leaked.patient("PID0001").encode() not in everything


def test_lineage_is_found_by_id_and_by_a_pseudonym_of_before(fill: Fill) -> None:
    data = fill(4)
    names = Pseudonyms.open(data / KEY_FILE)
    digest = Sha256.of(b"x")
    seen = TrainedRound(
        "s", RunId("s.1"), 1, digest, digest, str(digest), [names.patient("PID0001")]
    )
    Lineage(data).begin(seen, now=NOW)
    Lineage(data).end(RunId("s.1"), 1, RoundState.RELEASED, model_out=digest)
    rotate(data, now=NOW)
    assert [one.round for one in of_pseudonym(data, names.patient("PID0001"))] == [1]
    assert list(map(len, of_patient_ids(data, ["PID0001", "PID0002"]))) == [1, 0]


STEPS = ("renamed_file", "Register", "Lineage", "rename_snapshot", "shutil")


@pytest.mark.parametrize("where", STEPS)
def test_a_rotation_that_is_killed_anywhere_is_completed_by_the_next(
    fill: Fill, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    data = fill(4)
    import_optouts(data, a_list(tmp_path / "l.txt", "PID0002"), now=NOW)

    class Killed(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise Killed

    class Dying:
        rmtree = staticmethod(die)

    with monkeypatch.context() as patched:
        patched.setattr(rotation, where, Dying if where == "shutil" else die)
        with pytest.raises(Killed):
            rotate(data, now=NOW)
    if where == "renamed_file":
        assert answers(data, ["PID0002"], now=NOW) == ["yes"]
    else:
        with pytest.raises(RotationUnfinishedError):
            load_optouts(data, now=NOW)
        with pytest.raises(RotationUnfinishedError):
            ingest(data, tmp_path / "given", rules=CHEST, workers=1)
    assert rotate(data, now=NOW).keys == 2
    assert answers(data, ["PID0001", "PID0002"], now=NOW) == ["no", "yes"]
    assert ingest(data, tmp_path / "given", rules=CHEST, workers=1).new == 0
    left = {path.name for path in data.iterdir()} | {
        path.name for path in (data / "keys").iterdir()
    }
    assert not left & {"dicom.next", "dicom.old", "pseudonym.next", "rotation"}


KILL_AT_THE_SECOND = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from clients.data.people.rotation import rotate

def told(done, total):
    if done == 2:
        os.kill(os.getpid(), signal.SIGKILL)

rotate(Path(sys.argv[1]), now=datetime.now(UTC), told=told)
"""


@pytest.mark.slow
def test_a_process_killed_while_it_rewrites_images_loses_nothing(
    fill: Fill, tmp_path: Path
) -> None:
    data = fill(4)
    before = stored(data)
    child = subprocess.run([sys.executable, "-c", KILL_AT_THE_SECOND, str(data)], check=False)
    assert child.returncode == -signal.SIGKILL
    assert stored(data) == before
    assert len(list((data / "dicom.next").glob("*/*.dcm"))) == 2
    assert rotate(data, now=NOW).images == 4
    assert ingest(data, tmp_path / "given", rules=CHEST, workers=1).new == 0


def test_a_damaged_image_stops_a_rotation_before_anything_changes(fill: Fill) -> None:
    data = fill(4)
    before = names_in(data)
    path = next((data / "dicom").glob("*/*.dcm"))
    content = path.read_bytes()
    path.write_bytes(content + b"\0\0")
    with pytest.raises(StoredImageError):
        rotate(data, now=NOW)
    path.write_bytes(content)
    assert names_in(data) == before
    assert rotate(data, now=NOW).keys == 2


def test_a_rotation_and_an_intake_do_not_run_at_once(fill: Fill) -> None:
    from clients.data.layout import LOCK
    from clients.data.people.locks import locked

    data = fill(2)
    with locked(data / LOCK), pytest.raises(IntakeBusyError):
        rotate(data, now=NOW)


def test_only_names_change_in_a_file(fill: Fill) -> None:
    from io import BytesIO

    import pydicom

    data = fill(1)
    (before,) = stored(data).values()
    rotate(data, now=NOW)
    (after,) = stored(data).values()
    old, new = (pydicom.dcmread(BytesIO(content)) for content in (before, after))
    changed = {element.keyword for element in new if element != old[element.tag]}
    assert changed == {
        *("PatientID", "PatientName", "SOPInstanceUID"),
        *("StudyInstanceUID", "SeriesInstanceUID"),
    }
    assert old.keys() == new.keys()


def test_what_was_fetched_before_a_rotation_is_not_fetched_again(fill: Fill) -> None:
    data = fill(1)
    with Transfers(data) as transfers:
        transfers.add_instance("main", "1.2.3")
        transfers.finish_series("main", "1.2", instances=1)
    for _ in range(2):
        rotate(data, now=NOW)
    with Transfers(data) as transfers:
        assert transfers.has_instance("main", "1.2.3")
        assert transfers.series_size("main", "1.2") == 1
        assert not transfers.has_instance("main", "1.2.4")
