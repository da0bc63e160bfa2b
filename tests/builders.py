"""Values for tests: sensible defaults, one change at a time."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from federation.domain.ids import Sha256, SiteId, StudyId
from federation.domain.recipe import LocalTraining, Recipe, Task
from federation.domain.study import PrivacyPlan, Purpose, Study, TrainingPlan
from federation.domain.update import TensorSlot, UpdateManifest
from federation.wire.study import digest_of_study

NOW = datetime(2026, 11, 21, tzinfo=UTC)
SITES = (SiteId("north"), SiteId("centre"), SiteId("south"))


def a_recipe(**changes: Any) -> Recipe:
    recipe = Recipe(
        name="cxr-pneumonia-small",
        version="1",
        task=Task.CLASSIFICATION,
        network="small-cnn",
        network_args=(),
        input_shape=(1, 64, 64),
        classes=2,
        modalities=("CR", "DX"),
        label="pneumonia",
        training=LocalTraining("sgd", 0.1, 16, 1.0),
        digest=Sha256.of(b"recipe"),
    )
    return replace(recipe, **changes)


def a_study(**changes: Any) -> Study:
    study = Study(
        id=StudyId("cxr-2026"),
        title="Pneumonia on chest X-rays",
        purpose=Purpose.MEDICAL_CARE,
        recipe="cxr-pneumonia-small",
        recipe_digest=Sha256.of(b"recipe"),
        cohort="chest-xray",
        sites=SITES,
        quorum=2,
        training=TrainingPlan(
            rounds=3,
            local_epochs=1.0,
            learning_rate=0.1,
            batch_size=16,
            optimizer="sgd",
            momentum=0.9,
        ),
        privacy=PrivacyPlan(epsilon=8.0, delta=1e-3, clip_norm=1.0),
        heldout_fraction=0.25,
        seed=7,
        expires="2036-01-01T00:00:00+00:00",
        digest=Sha256.of(b""),
    )
    study = replace(study, **changes)
    return replace(study, digest=digest_of_study(study))


def a_manifest(size: int = 4) -> UpdateManifest:
    return UpdateManifest((TensorSlot("weight", (size,)),))
