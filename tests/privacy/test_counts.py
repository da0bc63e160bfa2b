"""Noisy counts: exact noise, charged with the count."""

import dataclasses
import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from dp_accounting.pld import privacy_loss_distribution as pld
from scipy import stats

from federation.errors.privacy import InvalidPrivacyEventError
from federation.privacy.accountants import epsilon_of, spent
from federation.privacy.counts import (
    NoisyCounts,
    NoisyCountsRelease,
    _bernoulli_exp,
    discrete_gaussian,
)
from federation.privacy.events import DiscreteGaussian, Gaussian
from federation.privacy.randomness import SecureRandom


class SeededIntegers:
    """Whole numbers that can be had again; never used outside tests."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def below(self, bound: int) -> int:
        return int(self._rng.integers(bound))


def weights(sigma: float, reach: int) -> dict[int, float]:
    """Return the discrete Gaussian's mass by its definition."""
    raw = {x: math.exp(-x * x / (2 * sigma * sigma)) for x in range(-reach, reach + 1)}
    total = sum(raw.values())
    return {x: mass / total for x, mass in raw.items()}


def test_counts_cannot_be_had_without_their_events() -> None:
    mechanism = NoisyCounts(sigma=Fraction(5), cells=2)
    release = mechanism.release([100, 7], source=SeededIntegers(1))

    assert release.events == (DiscreteGaussian(5.0, 2, 1),)
    assert len(release.counts) == 2
    with pytest.raises(TypeError):
        NoisyCountsRelease(counts=(1,))  # type: ignore[call-arg]
    with pytest.raises((dataclasses.FrozenInstanceError, AttributeError)):
        release.counts = ()  # type: ignore[misc]


@pytest.mark.parametrize("sigma", [Fraction(1, 2), Fraction(2), Fraction(37, 10)])
def test_the_noise_is_the_discrete_gaussian(sigma: Fraction) -> None:
    source, draws = SecureRandom(), 6000
    seen = Counter(discrete_gaussian(sigma, source) for _ in range(draws))
    expected = weights(float(sigma), 40)
    cells = [x for x, mass in expected.items() if mass * draws >= 10]
    got = [seen[x] for x in cells]
    want = [expected[x] * draws for x in cells]
    got.append(draws - sum(got))
    want.append(draws - sum(want))

    assert stats.chisquare(got, want).pvalue > 1e-4
    variance = sum(x * x * mass for x, mass in expected.items())
    measured = sum(x * x * times for x, times in seen.items()) / draws
    fourth = sum(x**4 * mass for x, mass in expected.items())
    assert abs(measured - variance) < 3.3 * math.sqrt((fourth - variance**2) / draws)


@pytest.mark.parametrize("gamma", [Fraction(0), Fraction(1, 3), Fraction(1), Fraction(5, 2)])
def test_a_coin_of_exp_minus_gamma_falls_as_often_as_it_should(gamma: Fraction) -> None:
    source, draws = SeededIntegers(2), 20_000
    heads = sum(_bernoulli_exp(gamma, source) for _ in range(draws))
    chance = math.exp(-gamma)

    assert abs(heads / draws - chance) <= 3.5 * math.sqrt(chance * (1 - chance) / draws) + 1e-12


@pytest.mark.parametrize("sigma", [0.8, 3.0, 20.0])
def test_the_renyi_figure_is_the_gaussians_and_the_pld_is_exact(sigma: float) -> None:
    """Canonne, Kamath & Steinke 2020, theorem 4; the PLD by dp-accounting's own function."""
    cost = spent([DiscreteGaussian(sigma, 1, 3)], 1e-5)
    exact = pld.from_discrete_gaussian_mechanism(sigma).self_compose(3)

    assert cost.epsilon_rdp == spent([Gaussian(sigma, 3)], 1e-5).epsilon_rdp
    assert cost.epsilon_pld == pytest.approx(exact.get_epsilon_for_delta(1e-5), abs=5e-3)
    assert cost.epsilon == max(cost.epsilon_rdp, cost.epsilon_pld)


def test_cells_and_releases_add_up() -> None:
    assert epsilon_of([DiscreteGaussian(5.0, 6, 1)], 1e-5) == epsilon_of(
        [DiscreteGaussian(5.0, 2, 2), DiscreteGaussian(5.0, 1, 2)], 1e-5
    )


def test_counts_and_training_compose_in_one_book() -> None:
    alone = epsilon_of([Gaussian(2.0, 4)], 1e-5)

    assert epsilon_of([Gaussian(2.0, 4), DiscreteGaussian(10.0, 1, 1)], 1e-5) > alone


@pytest.mark.parametrize(
    ("sigma", "cells"),
    [(Fraction(0), 1), (Fraction(-1), 1), (Fraction(1), 0), (Fraction(1, 3**9), 1)],
)
def test_a_mechanism_that_promises_nothing_cannot_be_made(sigma: Fraction, cells: int) -> None:
    with pytest.raises(InvalidPrivacyEventError):
        NoisyCounts(sigma=sigma, cells=cells)
