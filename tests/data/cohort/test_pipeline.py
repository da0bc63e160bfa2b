"""From catalogue to tensors: the same bytes every time, and no DICOM the second time."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from clients.data.catalogue.cards import cohort_counts, dataset_card
from clients.data.catalogue.store import Catalogue
from clients.data.cohort.load import load_cohort
from clients.data.cohort.preparation import picture, picture_steps, volume, volume_steps
from clients.data.cohort.query import CohortQuery
from clients.data.intake.ingest import ingest
from federation.domain.ids import SiteId
from federation.domain.recipe import Recipe
from federation.domain.site import Site, SiteState
from federation.domain.study import Study
from federation.errors.cohorts import CohortFileError
from federation.errors.data import CohortEmptyError
from tests.data.conftest import CHEST, Ingested


@pytest.fixture
def home(ingested: Ingested, tmp_path: Path) -> Path:
    """Return a copy of a filled data folder that may be changed."""
    shutil.copytree(ingested.data, tmp_path / "home" / "data")
    (tmp_path / "home" / "cohorts").mkdir()
    return tmp_path / "home"


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_the_second_round_never_touches_dicom(home: Path, recipe: Recipe, study: Study) -> None:
    cold = load_cohort(home / "data", recipe, study=study)
    shutil.rmtree(home / "data" / "dicom")
    warm = load_cohort(home / "data", recipe, study=study)
    assert np.array_equal(cold.train.images, warm.train.images)
    assert np.array_equal(cold.heldout.targets, warm.heldout.targets)
    assert (cold.keys, cold.dataset_digest) == (warm.keys, warm.dataset_digest)


@pytest.mark.usefixtures("threads")
def test_arrays_are_the_same_bytes_in_another_run_with_other_threads(
    home: Path, recipe: Recipe, study: Study
) -> None:
    made = []
    for count in (1, 3):
        torch.set_num_threads(count)
        shutil.rmtree(home / "data" / "cache", ignore_errors=True)
        made.append(load_cohort(home / "data", recipe, study=study).train.images.tobytes())
    assert made[0] == made[1]


def test_the_steps_are_a_monai_pipeline() -> None:
    from monai.transforms import Compose

    frames = np.random.default_rng(1).normal(size=(3, 40, 30)).astype(np.float32)
    flat, deep = (3, 16, 16), (1, 4, 8, 8)
    assert np.array_equal(Compose(picture_steps(flat))(frames), picture(frames, flat))
    assert np.array_equal(Compose(volume_steps(deep))(frames), volume(frames, deep))


def test_keys_are_the_training_patients_in_their_order(
    home: Path, recipe: Recipe, study: Study
) -> None:
    cohort = load_cohort(home / "data", recipe, study=study)
    assert len(cohort.keys) == cohort.train.patients == len(set(cohort.keys))
    with Catalogue(home / "data") as catalogue:
        owned = catalogue.instances_of_patients()
        labels = catalogue.label_rows()
    for number, key in enumerate(cohort.keys):
        places = cohort.train.images_of(number)
        theirs = [labels[name, "pneumonia"] for name in owned[key] if (name, "pneumonia") in labels]
        assert sorted(map(str, cohort.train.targets[places])) == sorted(theirs)
    assert cohort.optout_version


def test_no_patient_is_on_both_sides_also_after_more_was_taken_in(
    home: Path, recipe: Recipe, study: Study, tmp_path: Path
) -> None:
    from clients.data import phantoms

    first = load_cohort(home / "data", recipe, study=study)
    more = phantoms.generate(tmp_path / "more", sites=["tainan"], patients=50, seed=7)[0]
    ingest(home / "data", more.folder, rules=CHEST, workers=1)
    second = load_cohort(home / "data", recipe, study=study)
    with Catalogue(home / "data") as catalogue:
        people = set(catalogue.instances_of_patients())
    held = people - set(second.keys)
    assert second.train.patients > first.train.patients
    assert not held & set(first.keys)


def test_a_study_uses_the_cohort_the_hospital_defined(
    home: Path, recipe: Recipe, study: Study
) -> None:
    data = home / "data"
    everybody = load_cohort(data, recipe, study=study)
    (home / "cohorts" / "all.toml").write_text("age = { from = 40 }\n")
    adults = load_cohort(data, recipe, study=replace(study, heldout_fraction=0.01))
    assert 0 < adults.train.patients < everybody.train.patients + everybody.heldout.patients
    card = dataset_card(
        data, recipe, site=Site(SiteId("tainan"), "T", SiteState.ENROLLED), cohort="all"
    )
    assert card["inclusion"]["age_from_y"] == 40
    assert set(card["age_band"]) <= {"40-59", "60-74", "75 and over"}
    (home / "cohorts" / "all.toml").write_text("ages = 40\n")
    with pytest.raises(CohortFileError):
        load_cohort(data, recipe, study=study)
    (home / "cohorts" / "all.toml").write_text('modalities = ["MR"]\n')
    with pytest.raises(CohortEmptyError):
        load_cohort(data, recipe, study=study)


def test_a_counted_cohort_shows_tens_and_no_small_number(home: Path) -> None:
    counted = cohort_counts(home / "data", CohortQuery())
    shown = [
        counted["patients"],
        *(n for part in list(counted)[1:] for n in counted[part].values()),
    ]
    assert all(number == "<10" or number % 10 == 0 for number in shown)
    assert counted["patients"] in (30, 40)
    assert cohort_counts(home / "data", CohortQuery(sexes=("X",)))["patients"] == 0


def test_the_card_says_what_is_missing_and_hides_what_few_lack(home: Path, recipe: Recipe) -> None:
    site = Site(SiteId("tainan"), "Tainan", SiteState.ENROLLED)
    card = dataset_card(home / "data", recipe, site=site)
    assert card["missingness"]["sex"] == 0.0
    assert all(v == "suppressed" or 0 <= v <= 1 for v in card["missingness"].values())
    assert card["inclusion"] == {"cohort": None, "modalities": ["CR", "DX"]}
    assert isinstance(card["scanner"], dict)
    assert card["period"] is None or card["period"]["from"] <= card["period"]["to"]
