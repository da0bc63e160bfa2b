import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from clients.data import phantoms
from clients.data.intake.ingest import IngestReport, ingest
from clients.data.intake.rules import IntakeRules
from federation.domain.ids import Sha256, SiteId, StudyId
from federation.domain.recipe import LocalTraining, Recipe, Task
from federation.domain.study import Purpose, Study, TrainingPlan

CHEST = IntakeRules(modalities=("CR", "DX"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    named = os.environ.get("TRIFED_SHARED_DATA")
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    found = Path(named) if named else beside
    if not (found / "dicom-real").is_dir():
        pytest.skip("the shared public data sets are not here (TRIFED_SHARED_DATA)")
    return found


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> phantoms.GeneratedSite:
    """A hospital of 36 invented patients."""
    folder = tmp_path_factory.mktemp("phantoms")
    return phantoms.generate(folder, sites=["tainan"], patients=36, seed=7)[0]


@dataclass(frozen=True)
class Ingested:
    data: Path
    report: IngestReport


@pytest.fixture(scope="session")
def ingested(site: phantoms.GeneratedSite, tmp_path_factory: pytest.TempPathFactory) -> Ingested:
    data = tmp_path_factory.mktemp("home") / "data"
    return Ingested(data, ingest(data, site.folder, rules=CHEST, workers=1))


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    return Recipe(
        name="cxr-test",
        version="1",
        task=Task.CLASSIFICATION,
        network="small-conv-2d",
        network_args=(),
        input_shape=(1, 32, 32),
        classes=2,
        modalities=("CR", "DX"),
        label="pneumonia",
        training=LocalTraining(optimizer="sgd", learning_rate=0.1, batch_size=8, local_epochs=1.0),
        digest=Sha256.of(b"recipe"),
    )


@pytest.fixture(scope="session")
def study() -> Study:
    return Study(
        id=StudyId("cxr-2026"),
        title="test",
        purpose=Purpose.MEDICAL_CARE,
        recipe="cxr-test",
        recipe_digest=Sha256.of(b"recipe"),
        cohort="all",
        sites=(SiteId("tainan"),),
        quorum=1,
        training=TrainingPlan(
            rounds=1, local_epochs=1.0, learning_rate=0.1, batch_size=8, optimizer="sgd"
        ),
        privacy=None,
        heldout_fraction=0.3,
        seed=1,
        expires="2027-01-01",
        digest=Sha256.of(b"study"),
    )


Build = Callable[..., Dataset]


@pytest.fixture
def build() -> Build:
    """Build a small CR dataset; keywords override attributes, None removes one."""

    def made(number: int = 1, **values: object) -> Dataset:
        dataset = phantoms._item(
            SOPClassUID="1.2.840.10008.5.1.4.1.1.1",
            SOPInstanceUID=f"1.2.3.4.{number}",
            StudyInstanceUID=f"1.2.3.5.{number}",
            SeriesInstanceUID=f"1.2.3.6.{number}",
            Modality="CR",
            PatientID=f"PID{number:04d}",
            PatientName="Doe^Jane",
            StudyDate="20240229",
            SamplesPerPixel=1,
            PhotometricInterpretation="MONOCHROME2",
            Rows=8,
            Columns=8,
            BitsAllocated=16,
            BitsStored=12,
            HighBit=11,
            PixelRepresentation=0,
        )
        pixels = np.random.default_rng(number).integers(0, 4096, (8, 8)).astype("<u2")
        dataset.PixelData = pixels.tobytes()
        for keyword, value in values.items():
            if value is None:
                delattr(dataset, keyword)
            else:
                setattr(dataset, keyword, value)
        return dataset

    return made


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a dataset into the folder `given` and return its path."""

    def written(dataset: Dataset, name: str = "image.dcm") -> Path:
        path = tmp_path / "given" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(phantoms._bytes_of(dataset))
        return path

    return written
