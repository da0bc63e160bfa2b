"""Small cohorts and a seeded random source for the tests of the trainers."""

import numpy as np
from torch import nn

from clients.data.cohort.arrays import PatientArrays


class SeededRandom:
    """A random source that can be run again; never used outside tests."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def uniform(self, size: int) -> np.ndarray:
        return self._rng.random(size)

    def gaussian(self, size: int) -> np.ndarray:
        return self._rng.standard_normal(size)


class NoNoise(SeededRandom):
    """Draws like `SeededRandom`, adds nothing: shows what the noise hides."""

    def gaussian(self, size: int) -> np.ndarray:
        return np.zeros(size)


def a_cohort(*, patients: int = 12, images_each: int = 2, side: int = 8, seed: int = 0):
    """Bright images are class 1; patients alternate between the classes."""
    rng = np.random.default_rng(seed)
    patient_of = np.repeat(np.arange(patients), images_each)
    targets = patient_of % 2
    images = rng.standard_normal((len(targets), 1, side, side)) + targets[:, None, None, None]
    return PatientArrays(
        images.astype(np.float32), targets.astype(np.int64), patient_of.astype(np.int64), patients
    )


def a_network(side: int = 8) -> nn.Module:
    network = nn.Sequential(nn.Flatten(), nn.Linear(side * side, 2))
    for parameter in network.parameters():
        nn.init.constant_(parameter, 0.01)
    return network
