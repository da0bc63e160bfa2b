"""What is held of those who opted out is deleted, and nothing else."""

from pathlib import Path

from clients.data.catalogue.store import Catalogue
from clients.data.cohort.load import load_cohort
from clients.data.intake.ingest import ingest
from clients.data.people.optout import import_optouts
from clients.data.people.purge import purge
from clients.data.people.register import Mode
from federation.domain.recipe import Recipe
from federation.domain.study import Study
from tests.data.conftest import CHEST
from tests.data.people.conftest import NOW, Fill, a_list


def test_a_purge_deletes_images_rows_labels_and_prepared_arrays(
    fill: Fill, tmp_path: Path, recipe: Recipe, study: Study
) -> None:
    data = fill(24)
    load_cohort(data, recipe, study=study)
    import_optouts(data, a_list(tmp_path / "l.txt", "PID0001", "PID0002"), now=NOW)
    done = purge(data)
    assert (done.patients, done.images, done.files, done.prepared) == (2, 2, 2, 2)
    assert len(list((data / "dicom").glob("*/*.dcm"))) == 22
    with Catalogue(data) as catalogue:
        assert len(catalogue.label_rows()) == 22
        assert len(catalogue.instances_of_patients()) == 22
    assert purge(data).images == 0
    assert load_cohort(data, recipe, study=study).opted_out == 0


def test_a_purge_that_was_killed_is_completed_by_the_next(fill: Fill, tmp_path: Path) -> None:
    data = fill(3)
    orphan = data / "dicom" / "00" / "2.25.1.dcm"
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"left by a purge that was killed")
    assert purge(data).files == 1
    assert len(list((data / "dicom").glob("*/*.dcm"))) == 3


def test_who_was_purged_stays_out_and_comes_back_only_with_the_list(
    fill: Fill, tmp_path: Path
) -> None:
    data = fill(3)
    import_optouts(data, a_list(tmp_path / "l.txt", "PID0001"), now=NOW)
    purge(data)
    again = ingest(data, tmp_path / "given", rules=CHEST, workers=1)
    assert (again.new, again.quarantined) == (0, {"TF515": 1})
    import_optouts(data, a_list(tmp_path / "l.txt"), mode=Mode.REPLACE, many_removals=True, now=NOW)
    back = ingest(data, tmp_path / "given", rules=CHEST, workers=1)
    assert (back.new, back.admitted) == (1, 3)
