"""Score the approved cases with one version, and with its images made worse.

A case is a patient with one kind of image: the few with images of both kinds count once
in each class, as in the evaluation after training. Scores are rounded to the grid before
anything is computed of them (rule C.0, 1). Imports torch: import this module lazily.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from clients.data.cohort.arrays import PatientArrays
from clients.evaluation import patient_scores
from clients.evaluation_study.corruptions import corrupted
from federation.domain.evaluation_plan import SEVERITIES, Corruption
from federation.evaluation.scores import quantise

_SMALLEST = 1e-15
"""Keeps the loss of a score of 0 or 1 finite."""

Told = Callable[[int, int], None]
"""Told of the passes done and the passes in all."""


@dataclass(frozen=True)
class Scored:
    """One version's scores of all cases, on the grid.

    Parameters
    ----------
    patient
        int64, the patient of each case, shape (cases,).
    truths
        Whether the case has the finding.
    bins
        int64, shape (cases, 1 + corruptions x 5): as it is, then each corruption by
        severity from 1 up, in the order asked.
    losses
        Log-loss of the score as it is.
    """

    patient: NDArray[np.int64]
    truths: NDArray[np.bool_]
    bins: NDArray[np.int64]
    losses: NDArray[np.float64]


def score(
    module: nn.Module,
    arrays: PatientArrays,
    *,
    corruptions: Sequence[Corruption],
    seed: int,
    told: Told,
) -> Scored:
    """Return the scores of every case.

    Raises
    ------
    NoPatientsError
        If there is no patient.
    TrainingDivergedError, ScoreInvalidError
        If an output is not a number.
    """
    passes = [(one, severity) for one in corruptions for severity in range(1, SEVERITIES + 1)]
    told(0, 1 + len(passes))
    plain = patient_scores(module, arrays)
    columns = [quantise(plain.scores)]
    for done, (corruption, severity) in enumerate(passes, start=1):
        told(done, 1 + len(passes))
        changed = corrupted(arrays.images, corruption, severity, seed=seed)
        worse = PatientArrays(changed, arrays.targets, arrays.patient_of, arrays.patients)
        columns.append(quantise(patient_scores(module, worse).scores))
    likely = np.clip(np.where(plain.truths, plain.scores, 1 - plain.scores), _SMALLEST, 1.0)
    return Scored(plain.patient, plain.truths, np.column_stack(columns), -np.log(likely))
