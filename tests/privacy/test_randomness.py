"""Noise whose low bits tell nothing of what they were added to."""

import os

import numpy as np
from scipy import stats

from federation.privacy.randomness import SecureRandom


def low_byte(values: np.ndarray) -> np.ndarray:
    """Return the lowest eight bits of float32 numbers."""
    return values.astype(np.float32).view(np.uint32) & 0xFF


def test_a_number_is_made_of_four_independent_draws(monkeypatch) -> None:
    """Holohan & Braghin 2021 with n = 2; one draw would have Mironov's holes."""
    asked: list[int] = []
    urandom = os.urandom

    def counted(size: int) -> bytes:
        asked.append(size)
        return urandom(size)

    monkeypatch.setattr(os, "urandom", counted)
    SecureRandom().gaussian(1000)

    assert asked == [8 * 1000] * 4


def test_sums_with_different_values_have_the_same_low_bits() -> None:
    """Chi-square of two samples: the noisy number does not show whether 0 or 1 is under it."""
    source, size = SecureRandom(), 60_000
    tables = [
        np.bincount(low_byte(value + 3 * source.gaussian(size)), minlength=256)
        for value in (0.0, 1.0)
    ]

    assert stats.chi2_contingency(np.array(tables)).pvalue > 1e-4
    for table in tables:
        assert stats.chisquare(table).pvalue > 1e-4


def test_numbers_do_not_repeat() -> None:
    numbers = SecureRandom().gaussian(200_000)

    assert len(np.unique(numbers)) == len(numbers)


def test_whole_numbers_are_even() -> None:
    source = SecureRandom()
    counts = np.bincount([source.below(7) for _ in range(14_000)], minlength=7)

    assert stats.chisquare(counts).pvalue > 1e-4
    assert source.below(1) == 0
