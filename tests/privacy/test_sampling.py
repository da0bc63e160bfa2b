"""The accountant counts Poisson samples, so the sampler must give some."""

import numpy as np
import pytest
from scipy import stats

from clients.private_training import _PoissonPatients
from tests.training.arrays import SeededRandom, a_cohort

PATIENTS, RATE, STEPS = 60, 0.25, 3000


def looks_poisson(draws: np.ndarray) -> bool:
    """Say whether rows of 0 and 1 are independent coins of `RATE`, at 99.9 %.

    Each patient's rate, the spread of the batch size, and that two neighbours come
    together as often as chance has it.
    """
    rates = draws.mean(0)
    square = ((rates - RATE) ** 2 / (RATE * (1 - RATE) / STEPS)).sum()
    sizes = draws.sum(1)
    spread = (STEPS - 1) * sizes.var(ddof=1) / (PATIENTS * RATE * (1 - RATE))
    together = (draws[:, 0::2] * draws[:, 1::2]).mean()
    error = RATE * np.sqrt(1 - RATE**2) / np.sqrt(STEPS * PATIENTS / 2)
    return bool(
        stats.chi2.sf(square, PATIENTS) > 1e-3 / 3
        and 1e-3 / 6 < stats.chi2.cdf(spread, STEPS - 1) < 1 - 1e-3 / 6
        and abs(together - RATE**2) < 3.6 * error
    )


def as_rows(batches: list[np.ndarray]) -> np.ndarray:
    rows = np.zeros((len(batches), PATIENTS))
    for row, batch in zip(rows, batches, strict=True):
        row[batch] = 1
    return rows


def test_the_sampler_of_private_training_is_poisson() -> None:
    draw = _PoissonPatients(a_cohort(patients=PATIENTS, images_each=1), RATE, SeededRandom(2))

    assert looks_poisson(as_rows([draw.next() for _ in range(STEPS)]))


def shuffled(rng: np.random.Generator) -> list[np.ndarray]:
    """Return batches of a loader that goes through a new order in every epoch."""
    size = int(PATIENTS * RATE)
    epochs = STEPS * size // PATIENTS
    return [
        part
        for _ in range(epochs)
        for part in np.split(rng.permutation(PATIENTS), PATIENTS // size)
    ]


def in_pairs(rng: np.random.Generator) -> list[np.ndarray]:
    """Return batches in which neighbours are drawn together."""
    return [np.flatnonzero(np.repeat(rng.random(PATIENTS // 2) < RATE, 2)) for _ in range(STEPS)]


def too_often(rng: np.random.Generator) -> list[np.ndarray]:
    return [np.flatnonzero(rng.random(PATIENTS) < RATE * 1.1) for _ in range(STEPS)]


@pytest.mark.parametrize("loader", [shuffled, in_pairs, too_often])
def test_another_loader_is_caught(loader) -> None:
    assert not looks_poisson(as_rows(loader(np.random.default_rng(3))))
