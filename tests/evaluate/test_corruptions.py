"""Corruptions are reproducible, grow with severity, and leave the image alone at severity 0."""

import numpy as np
import pytest

from clients.evaluation_study.corruptions import corrupted
from federation.domain.evaluation_plan import SEVERITIES, Corruption


@pytest.fixture
def images() -> np.ndarray:
    rng = np.random.default_rng(4)
    smooth = np.cumsum(np.cumsum(rng.standard_normal((3, 1, 48, 48)), axis=2), axis=3)
    return np.asarray(smooth / smooth.std(), dtype=np.float32)


@pytest.mark.parametrize("corruption", list(Corruption))
def test_severity_zero_is_the_image_bit_for_bit(corruption: Corruption, images: np.ndarray) -> None:
    assert corrupted(images, corruption, 0, seed=1) is images


@pytest.mark.parametrize("corruption", list(Corruption))
def test_a_worse_severity_changes_more_and_the_same_seed_the_same(
    corruption: Corruption, images: np.ndarray
) -> None:
    before = images.copy()
    made = [corrupted(images, corruption, one, seed=1) for one in range(1, SEVERITIES + 1)]
    changes = [float(np.abs(one - images).mean()) for one in made]

    assert changes == sorted(changes) and changes[0] > 0
    assert np.array_equal(made[2], corrupted(images, corruption, 3, seed=1))
    assert np.array_equal(images, before), "the originals are left alone"
    assert all(one.dtype == np.float32 and np.isfinite(one).all() for one in made)


def test_noise_follows_the_seed(images: np.ndarray) -> None:
    one, other = (corrupted(images, Corruption.NOISE, 1, seed=seed) for seed in (1, 2))

    assert not np.array_equal(one, other)


def test_a_severity_that_is_none_is_refused(images: np.ndarray) -> None:
    with pytest.raises(IndexError):
        corrupted(images, Corruption.BLUR, SEVERITIES + 1, seed=1)
