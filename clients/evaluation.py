"""Score a model on a site's held-out patients; counts are all that is kept.

The unit is the patient: a patient's score is the mean over the patient's images.
Nothing here names a patient, and the gate decides what of it may leave.

Imports torch: import this module lazily.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from clients.data.cohort.arrays import PatientArrays
from clients.objective import losses
from clients.training import check_data, check_finite, one_thread
from federation.domain.metric import Metric
from federation.domain.recipe import Task
from federation.errors.privacy import SingleClassError
from federation.evaluation.auroc import REPLICATES, ScoreHistogram, bootstrap, delong

BATCH = 32
SEED = 20260101
"""Seed of every bootstrap: the same counts give the same interval anywhere."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SiteEvaluation:
    """What a model does on one site's held-out patients.

    Parameters
    ----------
    patients
        How many patients were scored.
    loss
        Mean loss over images.
    auroc, auroc_delong
        Patient-level AUROC with bootstrap and DeLong interval; None when
        `no_auroc` says why, or for segmentation.
    no_auroc
        The coded reason why there is no AUROC.
    histogram
        Patients by score, for classification.
    dice
        Mean over patients of the mean foreground Dice, for segmentation.
    """

    patients: int
    loss: float
    auroc: Metric | None = None
    auroc_delong: Metric | None = None
    no_auroc: SingleClassError | None = None
    histogram: ScoreHistogram | None = None
    dice: Metric | None = None

    def as_report(self) -> dict[str, object]:
        """Return plain JSON without the histogram, which is for sums only."""
        report: dict[str, object] = {"evaluated_patients": self.patients, "eval_loss": self.loss}
        for metric in (self.auroc, self.dice):
            if metric is not None:
                report |= {
                    metric.name: metric.value,
                    f"{metric.name}_low": metric.low,
                    f"{metric.name}_high": metric.high,
                    f"{metric.name}_method": metric.method,
                }
        if self.no_auroc is not None:
            report |= {"auroc": None, "no_auroc": self.no_auroc.code}
        return report


def evaluate(
    module: nn.Module, data: PatientArrays, *, task: Task, seed: int = SEED
) -> SiteEvaluation:
    """Return how the module does on patients it was not trained on.

    One class alone is a result, not an error: `no_auroc` then holds the code.
    In binary and in many-class recipes the finding is "any class but 0".

    Raises
    ------
    NoPatientsError
        If there is no patient.
    TrainingDivergedError
        If an output is not finite.
    """
    check_data(data, needed=1)
    outputs, loss = _outputs(module, data, task)
    check_finite(loss, step=0, quantity="evaluation loss")
    if task is Task.SEGMENTATION:
        dice = _patient_means(outputs, data.patient_of, data.patients)
        return SiteEvaluation(data.patients, loss, dice=_dice_metric(dice, seed))
    return of_histogram(_histogram(outputs, data), patients=data.patients, loss=loss, seed=seed)


def of_histogram(
    histogram: ScoreHistogram, *, patients: int, loss: float, seed: int = SEED
) -> SiteEvaluation:
    """Return the figures of a histogram; one class alone is a result with its code."""
    try:
        return SiteEvaluation(
            patients,
            loss,
            auroc=bootstrap(histogram, seed=seed),
            auroc_delong=delong(histogram),
            histogram=histogram,
        )
    except SingleClassError as reason:
        return SiteEvaluation(patients, loss, no_auroc=reason, histogram=histogram)


def _outputs(module: nn.Module, data: PatientArrays, task: Task) -> tuple[Floats, float]:
    """Return one number an image (score or Dice), shape (n,), and the mean loss."""
    numbers, loss = [], 0.0
    module.eval()
    with one_thread(), torch.inference_mode():
        for start in range(0, len(data.images), BATCH):
            images = torch.from_numpy(data.images[start : start + BATCH])
            targets = torch.from_numpy(data.targets[start : start + BATCH])
            logits = module(images).float()
            loss += float(losses(logits, targets).sum(dtype=torch.float64))
            if task is Task.SEGMENTATION:
                numbers.append(_hard_dice(logits, targets))
            else:
                numbers.append((1 - logits.double().softmax(1)[:, 0]).clamp(0, 1).numpy())
    return np.concatenate(numbers), loss / len(data.images)


@dataclass(frozen=True)
class PatientScores:
    """The mean score of every case: a patient with images of one kind.

    The few patients with images of both kinds count once in each class, with
    the mean over the images of that kind.

    Parameters
    ----------
    patient, truths, scores
        Of each case, shape (cases,): its patient, whether it has the finding, its
        score in [0, 1].
    """

    patient: NDArray[np.int64]
    truths: NDArray[np.bool_]
    scores: Floats


def patient_scores(module: nn.Module, data: PatientArrays) -> PatientScores:
    """Return the scores of a classification model; raises as `evaluate`."""
    check_data(data, needed=1)
    outputs, loss = _outputs(module, data, Task.CLASSIFICATION)
    check_finite(loss, step=0, quantity="evaluation loss")
    return _by_case(outputs, data)


def _by_case(scores: Floats, data: PatientArrays) -> PatientScores:
    finding = data.targets > 0
    cases, case_of = np.unique(2 * data.patient_of + finding, return_inverse=True)
    means = _patient_means(scores, case_of.reshape(-1).astype(np.int64), len(cases))
    return PatientScores(cases // 2, cases % 2 == 1, np.clip(means, 0, 1))


def _histogram(scores: Floats, data: PatientArrays) -> ScoreHistogram:
    """Count cases by mean score."""
    found = _by_case(scores, data)
    return ScoreHistogram.of(found.scores, found.truths)


def _patient_means(numbers: Floats, patient_of: NDArray[np.int64], patients: int) -> Floats:
    sums = np.bincount(patient_of, weights=numbers, minlength=patients)
    means: Floats = sums / np.bincount(patient_of, minlength=patients)
    return means


def _hard_dice(logits: torch.Tensor, targets: torch.Tensor) -> Floats:
    """Return the mean Dice over foreground classes of every image; absent in both is 1."""
    predicted = logits.argmax(1).flatten(1)
    truth = targets.flatten(1)
    scores = []
    for label in range(1, logits.shape[1]):
        ours, theirs = predicted == label, truth == label
        sizes = (ours.sum(1) + theirs.sum(1)).double()
        shared = 2 * (ours & theirs).sum(1).double()
        scores.append(torch.where(sizes > 0, shared / sizes.clamp(min=1), 1.0))
    result: Floats = torch.stack(scores).mean(0).numpy()
    return result


def _dice_metric(dice: Floats, seed: int) -> Metric:
    rng = np.random.default_rng(seed)
    drawn = dice[rng.integers(0, len(dice), (REPLICATES, len(dice)))].mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    value = float(dice.mean())
    method = f"patient bootstrap, B={REPLICATES}"
    return Metric("dice", value, min(float(low), value), max(float(high), value), len(dice), method)
