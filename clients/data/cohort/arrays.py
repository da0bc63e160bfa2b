"""What the trainers see of a cohort: arrays by patient, and which patients are held out.

The unit of privacy and of every interval is the patient, so images never
travel without the patient they belong to. Splits are by patient and stable: a
patient's place depends on the study and the patient's pseudonym alone.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federation.domain.ids import StudyId
from federation.errors.core import InvalidValueError

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class PatientArrays:
    """The images of a cohort and whose they are.

    Parameters
    ----------
    images
        float32, shape (n, C, H, W) or (n, C, H, W, D), already normalised.
    targets
        int64: a class of every image, shape (n,), or a mask value of every
        voxel, shape (n, H, W) or (n, H, W, D).
    patient_of
        int64, shape (n,): the patient of every image, in 0..patients-1.
    patients
        How many patients there are; each has at least one image.

    Raises
    ------
    InvalidValueError
        If lengths, types or patient numbers do not fit together.
    """

    images: NDArray[np.float32]
    targets: NDArray[np.int64]
    patient_of: Indices
    patients: int

    def __post_init__(self) -> None:
        _demand("images", self.images.dtype == np.float32 and self.images.ndim in (4, 5), "float32")
        whole = self.targets.ndim == 1
        _demand("targets", self.targets.dtype == np.int64, "int64")
        _demand("targets", whole or self.targets.ndim == self.images.ndim - 1, "class or mask")
        _demand("targets", len(self.targets) == len(self.images), "one for each image")
        _demand("patient_of", self.patient_of.shape == (len(self.images),), "one for each image")
        present = np.unique(self.patient_of)
        _demand("patient_of", np.array_equal(present, np.arange(self.patients)), "0..patients-1")

    def images_of(self, patient: int) -> Indices:
        """Return the places of one patient's images."""
        return np.flatnonzero(self.patient_of == patient)

    def subset(self, patient_indices: Indices) -> "PatientArrays":
        """Return the arrays of some patients, renumbered in the order given."""
        places = np.full(self.patients, -1, dtype=np.int64)
        places[patient_indices] = np.arange(len(patient_indices))
        kept = np.flatnonzero(places[self.patient_of] >= 0)
        return PatientArrays(
            images=self.images[kept],
            targets=self.targets[kept],
            patient_of=places[self.patient_of[kept]],
            patients=len(patient_indices),
        )


def split_patients(
    keys: Sequence[str], *, heldout_fraction: float, study: StudyId
) -> tuple[Indices, Indices]:
    """Return which patients train and which are held out, as places in `keys`.

    The SHA-256 of study and pseudonym decides, so a patient stays on one side
    when others come or go.
    """
    held = np.array([_draw(study, key) < heldout_fraction for key in keys], dtype=bool)
    return np.flatnonzero(~held), np.flatnonzero(held)


def _draw(study: StudyId, key: str) -> float:
    digest = hashlib.sha256(f"{study}\n{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _demand(field: str, holds: bool, expected: str) -> None:
    if not holds:
        raise InvalidValueError(field=field, actual="not so", expected=expected)
