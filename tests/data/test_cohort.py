import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from clients.data.catalogue.cards import age_band, catalogue_summary, dataset_card, table
from clients.data.catalogue.store import Catalogue
from clients.data.cohort.load import load_cohort, picture, stack
from clients.data.dicom.elements import Limits, read_part10
from clients.data.dicom.pixels import grey
from clients.data.intake.ingest import ingest
from clients.data.layout import stored_path
from clients.data.people.optout import import_optouts, load_optouts, optout_report
from clients.data.people.pseudonyms import Pseudonyms
from clients.data.phantoms import GeneratedSite, _bytes_of
from federation.domain.ids import SiteId
from federation.domain.recipe import Recipe, Task
from federation.domain.site import Site, SiteState
from federation.domain.study import Study
from federation.errors.data import (
    CatalogueVersionError,
    CohortEmptyError,
    LabelValueError,
    MaskMissingError,
    OneClassOnlyError,
    OptOutListError,
    PseudonymKeyError,
    StoredImageError,
    TooFewPatientsError,
    VolumeGapError,
)
from tests.data.conftest import Build, Ingested, Write


def fill(write: Write, build: Build, folder: Path, labels: list[object], **values: object) -> Path:
    """Write one image a label, its labels.csv, and take them in; return the data folder."""
    rows = ["file,pneumonia"]
    for number, label in enumerate(labels, 1):
        path = write(build(number, **values), f"{number}.dcm")
        rows.append(f"{number}.dcm,{label}")
    (path.parent / "labels.csv").write_text("\n".join(rows) + "\n")
    ingest(folder / "data", path.parent, workers=1)
    return folder / "data"


def test_a_cohort_holds_every_labelled_patient_once(
    site: GeneratedSite, ingested: Ingested, recipe: Recipe, study: Study
) -> None:
    cohort = load_cohort(ingested.data, recipe, study=study)
    assert cohort.train.patients + cohort.heldout.patients == site.patients
    assert cohort.train.images.shape[1:] == recipe.input_shape
    images = len(cohort.train.images) + len(cohort.heldout.images)
    assert images == ingested.report.labels["applied"]
    assert np.abs(cohort.train.images.mean(axis=(1, 2, 3))).max() < 1e-3
    assert 0.2 < cohort.train.targets.mean() < 0.8


def test_a_warm_load_never_opens_dicom_and_gives_the_same(
    ingested: Ingested, recipe: Recipe, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    cold = load_cohort(ingested.data, recipe, study=study)
    monkeypatch.setattr("clients.data.cohort.load._stored", None)
    warm = load_cohort(ingested.data, recipe, study=study)
    assert np.array_equal(cold.train.images, warm.train.images)
    assert cold.dataset_digest == warm.dataset_digest


def test_swapping_two_labels_changes_the_digest(
    build: Build, write: Write, tmp_path: Path, recipe: Recipe, study: Study
) -> None:
    labels = [0, 1] * 12
    data = fill(write, build, tmp_path, labels)
    first = load_cohort(data, recipe, study=study).dataset_digest
    given = tmp_path / "given" / "labels.csv"
    lines = given.read_text().splitlines()
    lines[1], lines[2] = "1.dcm,1", "2.dcm,0"
    given.write_text("\n".join(lines) + "\n")
    ingest(data, given.parent, workers=1)
    assert load_cohort(data, recipe, study=study).dataset_digest != first


def test_a_patient_who_opts_out_is_not_in_the_next_cohort(
    build: Build, write: Write, tmp_path: Path, recipe: Recipe, study: Study
) -> None:
    data = fill(write, build, tmp_path, [0, 1] * 12)
    before = load_cohort(data, recipe, study=study)
    listed = tmp_path / "list.csv"
    listed.write_text("patient_id,since\nPID0004,2026-01-01\nUNKNOWN,2026-01-01\n")
    report = import_optouts(data, listed)
    after = load_cohort(data, recipe, study=study)
    total = before.train.patients + before.heldout.patients
    assert after.train.patients + after.heldout.patients == total - 1
    assert after.opted_out == 1
    assert after.dataset_digest != before.dataset_digest
    assert report["patients_in_catalogue"] == "<10"
    kept = [path for path in data.rglob("*optout*") if path.is_file()]
    assert all(b"PID0004" not in path.read_bytes() for path in kept)


def test_a_broken_opt_out_list_stops_the_cohort(
    ingested: Ingested, recipe: Recipe, study: Study, tmp_path: Path
) -> None:
    (tmp_path / "optout.csv").write_text("pseudonym\nPID0004\n")
    with pytest.raises(OptOutListError):
        load_optouts(tmp_path)
    with pytest.raises(OptOutListError):
        load_cohort(tmp_path, recipe, study=study)
    source = tmp_path / "bad.csv"
    source.write_text("name,since\nx,y\n")
    with pytest.raises(OptOutListError):
        import_optouts(tmp_path / "new", source)


def test_an_opt_out_list_only_grows(tmp_path: Path) -> None:
    for name in ("A1", "B2"):
        (tmp_path / "list.txt").write_text(f"{name}\n")
        import_optouts(tmp_path / "data", tmp_path / "list.txt")
    assert len(load_optouts(tmp_path / "data").patients) == 2
    assert optout_report(tmp_path / "data")["listed"] == "<10"


def test_a_site_with_one_class_is_refused(
    build: Build, write: Write, tmp_path: Path, recipe: Recipe, study: Study
) -> None:
    data = fill(write, build, tmp_path, [1] * 60)
    with pytest.raises(OneClassOnlyError):
        load_cohort(data, recipe, study=study)


def test_too_few_patients_are_refused(
    build: Build, write: Write, tmp_path: Path, recipe: Recipe, study: Study
) -> None:
    data = fill(write, build, tmp_path, [0, 1, 0])
    with pytest.raises(TooFewPatientsError):
        load_cohort(data, recipe, study=study)
    with pytest.raises(CohortEmptyError):
        load_cohort(data, replace(recipe, modalities=("MR",)), study=study)
    with pytest.raises(CohortEmptyError):
        load_cohort(data, replace(recipe, label="fracture"), study=study)


def test_a_class_outside_the_recipe_is_refused(
    build: Build, write: Write, tmp_path: Path, recipe: Recipe, study: Study
) -> None:
    data = fill(write, build, tmp_path, [0, 1, 2] * 8)
    with pytest.raises(LabelValueError):
        load_cohort(data, recipe, study=study)


def test_a_stored_file_that_was_changed_is_refused(
    build: Build, write: Write, tmp_path: Path, recipe: Recipe, study: Study
) -> None:
    data = fill(write, build, tmp_path, [0, 1] * 12)
    uid = Pseudonyms.open(data / "keys" / "pseudonym.key").uid("1.2.3.4.3")
    stored = stored_path(data, uid)
    stored.write_bytes(stored.read_bytes()[:-2] + b"\1\1")
    with pytest.raises(StoredImageError):
        load_cohort(data, recipe, study=study)
    stored.unlink()
    with pytest.raises(StoredImageError):
        load_cohort(data, recipe, study=study)


def test_monochrome1_is_turned_over_and_rescale_applied(build: Build) -> None:
    plain = grey(read_part10(_bytes_of(build()), Limits()))
    inverse = grey(read_part10(_bytes_of(build(PhotometricInterpretation="MONOCHROME1")), Limits()))
    scaled = grey(
        read_part10(_bytes_of(build(RescaleSlope="2", RescaleIntercept="-1024")), Limits())
    )
    assert np.allclose(plain + inverse, plain.max() + plain.min())
    assert np.allclose(scaled, 2 * plain - 1024)


def test_a_picture_keeps_its_proportions() -> None:
    wide = np.zeros((1, 10, 40), dtype=np.float32)
    wide[:, :, 20:] = 1
    square = picture(wide, (1, 20, 20))
    assert square.shape == (1, 20, 20)
    assert square[0, 0, 15] < square[0, 10, 15]


def test_slices_stack_along_their_normal_whatever_their_order(build: Build) -> None:
    orientation = ["1", "0", "0", "0", "1", "0"]
    files = [
        read_part10(
            _bytes_of(
                build(
                    number,
                    ImagePositionPatient=["0", "0", str(z)],
                    ImageOrientationPatient=orientation,
                )
            ),
            Limits(),
        )
        for number, z in ((1, 20), (2, 0), (3, 10))
    ]
    voxels = stack(files)
    assert voxels.shape == (3, 8, 8)
    assert np.array_equal(voxels[0], grey(files[1])[0])
    with pytest.raises(VolumeGapError):
        stack([files[0], files[0]])
    with pytest.raises(VolumeGapError):
        stack([read_part10(_bytes_of(build(n)), Limits()) for n in (1, 2)])


def test_a_segmentation_cohort_pairs_volumes_with_their_masks(
    build: Build, write: Write, tmp_path: Path, recipe: Recipe, study: Study
) -> None:
    rows = ["file,mask"]
    for patient in range(1, 19):
        for place in range(4):
            number = patient * 10 + place
            dataset = build(
                number,
                SOPClassUID="1.2.840.10008.5.1.4.1.1.4",
                Modality="MR",
                PatientID=f"PID{patient}",
                StudyInstanceUID=f"1.2.9.{patient}",
                SeriesInstanceUID=f"1.2.8.{patient}",
                ImagePositionPatient=["0", "0", str(place)],
                ImageOrientationPatient=["1", "0", "0", "0", "1", "0"],
            )
            path = write(dataset, f"{number}.dcm")
        mask = np.zeros((4, 8, 8), dtype=np.uint8)
        mask[:, :4] = 1
        np.save(path.parent / f"{patient}.npy", mask)
        rows.append(f"{patient * 10}.dcm,{patient}.npy")
    (path.parent / "labels.csv").write_text("\n".join(rows) + "\n")
    data = tmp_path / "data"
    ingest(data, path.parent, workers=1)
    wanted = replace(
        recipe, task=Task.SEGMENTATION, input_shape=(1, 4, 8, 8), modalities=("MR",), classes=2
    )
    few_held = replace(study, heldout_fraction=0.05)
    cohort = load_cohort(data, wanted, study=few_held)
    assert cohort.train.images.shape[1:] == (1, 4, 8, 8)
    assert cohort.train.targets.shape[1:] == (4, 8, 8)
    assert cohort.train.targets[:, :, :4].all()
    np.save(path.parent / "1.npy", mask[:3])
    ingest(data, path.parent, workers=1)
    with pytest.raises(MaskMissingError, match="1 images"):  # of a series that had other slices
        load_cohort(data, wanted, study=few_held)
    shutil.rmtree(data / "masks")
    shutil.rmtree(data / "cache")
    with pytest.raises(MaskMissingError):
        load_cohort(data, wanted, study=few_held)


def test_small_counts_are_suppressed_in_summaries_and_cards(
    ingested: Ingested, recipe: Recipe
) -> None:
    summary = catalogue_summary(ingested.data)
    assert summary["patients"] >= 36
    assert summary["labels"] == ["pneumonia"]
    site = Site(SiteId("tainan"), "Tainan", SiteState.ENROLLED)
    card = dataset_card(ingested.data, recipe, site=site)
    assert card["patients"] == 36
    assert card["deidentification"]["codes"] == ["113100", "113107", "113108", "113101"]
    assert table(["a"] * 30 + ["b"] * 3 + ["c"] * 20) == {
        "a": 30,
        "b": "suppressed",
        "c": "suppressed",
    }


def test_many_images_of_few_patients_are_a_small_count() -> None:
    values = ["a"] * 40 + ["b"] * 12 + ["c"] * 30
    patients = [f"P{n}" for n in range(40)] + ["Q"] * 12 + [f"R{n}" for n in range(30)]

    assert table(values, patients=patients) == {"a": 40, "b": "suppressed", "c": "suppressed"}


def test_two_small_counts_do_not_add_up_to_a_third() -> None:
    assert table(["m"] * 100 + ["o", "u", "u"]) == {
        "m": "suppressed",
        "o": "suppressed",
        "u": "suppressed",
    }


def test_age_bands_follow_dicom_ages() -> None:
    ages = ("007M", "017Y", "018Y", "090Y", "", "abc")
    assert [age_band(age) for age in ages] == [
        *("under 18", "under 18", "18-39", "75 and over", "unknown", "unknown")
    ]


def test_a_catalogue_of_another_version_is_not_touched(tmp_path: Path) -> None:
    with Catalogue(tmp_path) as catalogue:
        catalogue.connection.exec_driver_sql("UPDATE schema_version SET version = 99")
    with pytest.raises(CatalogueVersionError):
        Catalogue(tmp_path)


def test_a_key_open_to_others_or_of_another_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pseudonym.key"
    first = Pseudonyms.open_or_create(path)
    assert Pseudonyms.open_or_create(path).key == first.key
    assert first.key.hex() not in repr(first)
    path.chmod(0o644)
    with pytest.raises(PseudonymKeyError):
        Pseudonyms.open(path)
    path.chmod(0o600)
    path.write_bytes(b"short")
    with pytest.raises(PseudonymKeyError):
        Pseudonyms.open(path)


def test_the_same_person_has_other_pseudonyms_in_another_project() -> None:
    first, second = Pseudonyms(b"1" * 32), Pseudonyms(b"2" * 32)
    assert first.patient("PID1") == first.patient("PID1")
    assert first.patient("PID1") != second.patient("PID1")
    assert first.shift_days("PID1") in range(1, 1826)
    assert len(first.uid("1.2.3")) <= 64
