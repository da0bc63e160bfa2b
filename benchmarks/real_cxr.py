"""Measure what federation is worth on real chest X-rays of several sites.

    OMP_NUM_THREADS=1 python benchmarks/real_cxr.py --data DIR [--json]
        [--heldout DIR] [--models DIR] [--rounds N] [--quick] [--private-only]

DIR holds ``manifest.csv`` (columns image, binary, site, patient_group) and the
JPEGs. Every image is wrapped into a DICOM file, taken in, de-identified and
prepared by the same code as at a hospital; the sites are simulated in this one
process with the product's trainers and aggregation. Then one model is trained

- by federated averaging without privacy and, three times each because noise is
  luck, with patient-level privacy of epsilon 8 and of epsilon 2,
- on all images pooled, and at each site alone, with the same number of epochs.

Figures are the mean of within-site AUROCs over patients not trained on: a
quarter of DIR's patients, or, with ``--heldout``, the patients of that folder
(then all of DIR is trained on). Intervals are patient bootstraps. A site with
one class has no AUROC and is refused for training by the product's own rule.
``--models`` keeps the trained models and uses those that are there.
"""

import argparse
import csv
import dataclasses
import io
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid
from report import report

from clients.data.cohort.arrays import PatientArrays, split_patients
from clients.data.cohort.load import load_cohort
from clients.data.intake.ingest import ingest
from clients.evaluation import evaluate
from clients.local_plan import local_plan
from clients.private_training import mechanism_of_round, train_privately
from clients.randomness import SecureRandom
from clients.training import fastest_precision, train
from federation.domain.ids import Sha256, SiteId, StudyId
from federation.domain.metric import Metric
from federation.domain.recipe import Recipe
from federation.domain.study import PrivacyPlan, Purpose, Study, TrainingPlan
from federation.errors.data import CohortEmptyError, OneClassOnlyError, TooFewPatientsError
from federation.evaluation.auroc import ScoreHistogram, pooled_within_site
from federation.privacy.accountants import spent
from federation.recipes.catalogue import recipe
from federation.recipes.flat import FlatModel, flatten, load_flat
from federation.recipes.networks import build
from strategies.aggregation import StreamingMean
from strategies.fedavg import MOST_EXAMPLES

RECIPE, PRIVATE_RECIPE = "cxr-pneumonia", "cxr-pneumonia-private"
ROUNDS = 24
DELTA, CLIP_NORM, PRIVATE_RUNS = 1e-4, 1.0, 3
LEARNING_RATES = {8.0: 2.5, 2.0: 0.7}
"""By epsilon; chosen by cross-validation inside the training patients (docs/performance.md)."""

PRIVATE = TrainingPlan(
    rounds=10, local_epochs=10.0, learning_rate=2.5, batch_size=4096, optimizer="sgd"
)
"""Every step takes every patient of a site: there noise is smallest."""

SEED = 7
HELDOUT = 0.25
STUDY = StudyId("real-cxr")
SKIPPED = (OneClassOnlyError, TooFewPatientsError, CohortEmptyError)

Rows = list[dict[str, str]]


def main() -> None:
    options = _options()
    started = time.monotonic()
    if options.quick:
        options.rounds = min(options.rounds, 2)
    rows = _rows_of(options.data, every=4 if options.quick else 1)
    training, heldout = (rows, []) if options.heldout else _split(rows)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        train_in = take_in(options.data, training, work / "train")
        if options.heldout:
            there = _rows_of(options.heldout, every=1)
            score_in = take_in(options.heldout, there, work / "heldout")
        else:
            score_in = take_in(options.data, heldout, work / "heldout")
        plain = _load(train_in, RECIPE), _load(score_in, RECIPE)
        small = _load(train_in, PRIVATE_RECIPE), _load(score_in, PRIVATE_RECIPE)
    figures: dict[str, float] = {}
    if not options.private_only:
        figures |= _without_privacy(*plain, rounds=options.rounds, models=options.models)
    for epsilon in LEARNING_RATES:
        figures |= _with_privacy(
            *small, epsilon=epsilon, quick=options.quick, models=options.models
        )
    figures["seconds"] = time.monotonic() - started
    units = dict.fromkeys(figures, "1") | {"seconds": "s"}
    units |= {name: "patients" for name in figures if name.endswith("_patients")}
    report("real_cxr", figures, units)


def take_in(source: Path, rows: Rows, folder: Path) -> dict[str, Path]:
    """Return the data folder of every site after the product's own intake."""
    stores = {}
    for site in sorted({row["site"] for row in rows}):
        incoming = folder / "incoming" / site
        incoming.mkdir(parents=True)
        _wrap(source, [row for row in rows if row["site"] == site], incoming)
        stores[site] = folder / site
        taken = ingest(stores[site], incoming, workers=1)
        _say(f"{site}: {taken.admitted} of {taken.given} images taken in, {taken.quarantined}")
    return stores


def _rows_of(source: Path, *, every: int) -> Rows:
    with (source / "manifest.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))[::every]


def _split(rows: Rows) -> tuple[Rows, Rows]:
    """Return rows of patients to train on and of patients held out.

    By the product's rule, but on the manifest's patient groups: pseudonyms are
    keyed anew at every intake, and a benchmark must give the same split again.
    """
    patients = sorted({row["patient_group"] for row in rows})
    _, places = split_patients(patients, heldout_fraction=HELDOUT, study=STUDY)
    held = {patients[place] for place in places}
    training = [row for row in rows if row["patient_group"] not in held]
    return training, [row for row in rows if row["patient_group"] in held]


def _wrap(source: Path, rows: Rows, folder: Path) -> None:
    """Write every JPEG as a digital X-ray of an invented patient, and labels.csv."""
    lines = ["file,pneumonia"]
    for number, row in enumerate(rows):
        name = f"{number:05d}.dcm"
        with Image.open(source / row["image"]) as picture:
            pixels = np.asarray(picture.convert("L"))
        (folder / name).write_bytes(_dicom(pixels, patient=row["patient_group"]))
        lines.append(f"{name},{row['binary']}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _dicom(pixels: np.ndarray, *, patient: str) -> bytes:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.SOPInstanceUID = generate_uid()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.PatientID, dataset.PatientName = patient, "INVENTED^" + patient
    dataset.Modality, dataset.BodyPartExamined = "DX", "CHEST"
    dataset.StudyDate, dataset.PatientSex = "20200101", "O"
    dataset.PresentationIntentType = "FOR PRESENTATION"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.BurnedInAnnotation = "NO"
    content = pixels.tobytes()
    dataset.PixelData = content + b"\0" * (len(content) % 2)
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _load(stores: Mapping[str, Path], name: str) -> dict[str, PatientArrays]:
    """Return every site's arrays as the product prepares them, all in one part."""
    study, cohorts = _study(recipe(name), 1), {}
    for site, folder in stores.items():
        try:
            cohorts[site] = load_cohort(folder, recipe(name), study=study).train
        except SKIPPED as error:
            _say(f"{site}: [{error.code}] left out")
    return cohorts


def _without_privacy(
    training: dict[str, PatientArrays],
    heldout: dict[str, PatientArrays],
    *,
    rounds: int,
    models: Path | None,
) -> dict[str, float]:
    chosen = recipe(RECIPE)
    study = _study(chosen, rounds)

    def train_all(name: str, sites: list[PatientArrays]) -> FlatModel:
        return _kept(models, name, lambda: _federate(chosen, study, sites, label=name))

    everyone = _joined(list(training.values()))
    score = _Scorer(chosen, heldout)
    fedavg = score(train_all("fedavg", list(training.values())))
    pooled = score(train_all("pooled", [everyone]))
    local = [score(train_all(f"local-{site}", [data])) for site, data in training.items()]
    return {
        "fedavg_auroc": fedavg.value,
        "fedavg_low": fedavg.low,
        "fedavg_high": fedavg.high,
        "pooled_auroc": pooled.value,
        "pooled_low": pooled.low,
        "pooled_high": pooled.high,
        "local_auroc_mean": float(np.mean([metric.value for metric in local])),
        "heldout_patients": fedavg.n,
        "trained_patients": everyone.patients,
    }


def _with_privacy(
    training: dict[str, PatientArrays],
    heldout: dict[str, PatientArrays],
    *,
    epsilon: float,
    quick: bool,
    models: Path | None,
) -> dict[str, float]:
    """Return the means over runs of AUROC and interval, and the lowest AUROC of a run."""
    chosen = recipe(PRIVATE_RECIPE)
    rounds = 2 if quick else PRIVATE.rounds
    plan = dataclasses.replace(PRIVATE, rounds=rounds, learning_rate=LEARNING_RATES[epsilon])
    privacy = PrivacyPlan(epsilon=epsilon, delta=DELTA, clip_norm=CLIP_NORM)
    study = dataclasses.replace(_study(chosen, rounds), training=plan, privacy=privacy)
    sites = list(training.values())
    score = _Scorer(chosen, heldout)
    metrics = []
    for run in range(1 if quick else PRIVATE_RUNS):
        name = f"private-{epsilon:g}-{run}"
        train_it = partial(_federate, chosen, study, sites, label=name)
        metrics.append(score(_kept(models, name, train_it)))
    mechanisms = [
        mechanism_of_round(patients=data.patients, training=plan, privacy=privacy) for data in sites
    ]
    found = {
        "auroc": float(np.mean([metric.value for metric in metrics])),
        "low": float(np.mean([metric.low for metric in metrics])),
        "high": float(np.mean([metric.high for metric in metrics])),
        "worst_run": min(metric.value for metric in metrics),
        "epsilon": max(spent(each.events * rounds, DELTA).epsilon for each in mechanisms),
        "delta": DELTA,
        "heldout_patients": metrics[0].n,
    }
    return {f"dp{epsilon:g}_{key}": value for key, value in found.items()}


def _federate(chosen: Recipe, study: Study, sites: list[PatientArrays], *, label: str) -> FlatModel:
    """Return the model after all rounds; one site alone is plain training."""
    module = build(chosen, seed=SEED)
    model = flatten(module)
    for number in range(1, study.training.rounds + 1):
        started = time.process_time()
        mean = StreamingMean(model.size)
        for place, data in enumerate(sites):
            load_flat(module, model)
            weight = 1.0 if study.privacy else float(min(len(data.images), MOST_EXAMPLES))
            mean.add(_update(module, data, chosen, study, number, place), weight=weight)
        model = model + mean.result()
        _say(f"{label} round {number}: {time.process_time() - started:.1f} s CPU")
    return model


def _update(
    module: object, data: PatientArrays, chosen: Recipe, study: Study, number: int, place: int
) -> FlatModel:
    plan = local_plan(study.training, chosen, round_number=number)
    if study.privacy is None:
        seed = SEED + 1000 * number + place
        return train(module, data, plan=plan, seed=seed, precision=fastest_precision()).update
    mechanism = mechanism_of_round(
        patients=data.patients, training=study.training, privacy=study.privacy
    )
    noise = SecureRandom()
    return train_privately(
        module, data, plan=plan, mechanism=mechanism, noise=noise, sampler=noise
    ).update


class _Scorer:
    """Scores flat models by the mean of within-site AUROCs."""

    def __init__(self, chosen: Recipe, heldout: Mapping[str, PatientArrays]) -> None:
        self._recipe = chosen
        self._heldout = heldout
        self._module = build(chosen, seed=SEED)

    def __call__(self, model: FlatModel) -> Metric:
        load_flat(self._module, model)
        histograms: list[ScoreHistogram] = []
        for site, data in self._heldout.items():
            result = evaluate(self._module, data, task=self._recipe.task)
            if result.auroc is not None and result.histogram is not None:
                _say(f"  {site}: {result.auroc.value:.3f} ({result.patients} patients)")
                histograms.append(result.histogram)
        return pooled_within_site(histograms, seed=SEED)


def _joined(parts: list[PatientArrays]) -> PatientArrays:
    firsts = np.cumsum([0, *(part.patients for part in parts)])
    return PatientArrays(
        images=np.concatenate([part.images for part in parts]),
        targets=np.concatenate([part.targets for part in parts]),
        patient_of=np.concatenate(
            [part.patient_of + first for part, first in zip(parts, firsts[:-1], strict=True)]
        ),
        patients=int(firsts[-1]),
    )


def _kept(models: Path | None, name: str, make: Callable[[], FlatModel]) -> FlatModel:
    if models is None:
        return make()
    file = models / f"{name}.npy"
    if file.exists():
        return np.load(file, allow_pickle=False)
    model = make()
    models.mkdir(parents=True, exist_ok=True)
    np.save(file, model, allow_pickle=False)
    return model


def _study(chosen: Recipe, rounds: int) -> Study:
    defaults = chosen.training
    return Study(
        id=STUDY,
        title="Pneumonia on chest X-rays",
        purpose=Purpose.MEDICAL_CARE,
        recipe=chosen.name,
        recipe_digest=chosen.digest,
        cohort="cxr",
        sites=(SiteId("a-site"),),
        quorum=1,
        training=TrainingPlan(
            rounds=rounds,
            local_epochs=defaults.local_epochs,
            learning_rate=defaults.learning_rate,
            batch_size=defaults.batch_size,
            optimizer=defaults.optimizer,
        ),
        privacy=None,
        heldout_fraction=0.0,
        seed=SEED,
        expires="2099-12-31",
        digest=Sha256.of(b"a benchmark has no proposal"),
    )


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--heldout", type=Path)
    parser.add_argument("--models", type=Path)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--quick", action="store_true", help="a quarter of the images, 2 rounds")
    parser.add_argument("--private-only", action="store_true", help="leave out the others")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
