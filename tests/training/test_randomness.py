import numpy as np
import pytest
from scipy import stats

from clients.randomness import SecureRandom


def test_gaussian_numbers_are_standard_normal():
    numbers = SecureRandom().gaussian(200_001)
    assert numbers.dtype == np.float64
    assert stats.kstest(numbers, "norm").pvalue > 1e-4
    assert stats.kurtosis(numbers) == pytest.approx(0, abs=0.05)


def test_uniform_numbers_are_uniform_and_never_one():
    numbers = SecureRandom().uniform(200_000)
    assert stats.kstest(numbers, "uniform").pvalue > 1e-4
    assert numbers.min() >= 0
    assert numbers.max() < 1


@pytest.mark.parametrize("size", [0, 1, 3, (1 << 18) + 1])
def test_every_size_is_given(size):
    assert SecureRandom().gaussian(size).shape == (size,)
    assert SecureRandom().uniform(size).shape == (size,)


def test_the_halves_of_a_draw_are_independent():
    numbers = SecureRandom().gaussian(100_000)
    pairs = numbers.reshape(2, -1)
    assert abs(np.corrcoef(pairs)[0, 1]) < 0.02
    assert abs(np.corrcoef(pairs**2)[0, 1]) < 0.02


def test_two_sources_never_agree_and_numpy_seeds_do_not_reach_them():
    np.random.seed(1)
    first = SecureRandom().gaussian(10)
    np.random.seed(1)
    assert not np.array_equal(first, SecureRandom().gaussian(10))
