"""Hospital-level privacy: a fixed denominator, bounded influence, and noise as charged."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from federation.domain.ids import SiteId
from federation.errors.privacy import CentralReleaseRefusedError, InvalidPrivacyEventError
from federation.privacy.central import CentralDp, CentralRelease
from federation.privacy.events import Gaussian
from federation.privacy.randomness import SecureRandom
from tests.training.arrays import NoNoise, SeededRandom

SITES = tuple(SiteId(name) for name in ("east", "north", "south", "west"))


def a_mechanism(**changes) -> CentralDp:
    values = {"clip_norm": 1.0, "noise_multiplier": 1.0, "declared": 4}
    return CentralDp(**(values | changes))


def updates(*scales: float, size: int = 8) -> dict[SiteId, np.ndarray]:
    rng = np.random.default_rng(0)
    drawn = [scale * rng.standard_normal(size) for scale in scales]
    return {site: one.astype(np.float32) for site, one in zip(SITES, drawn, strict=False)}


def mean_of(found, mechanism: CentralDp, **options) -> np.ndarray:
    return mechanism.release(found, size=8, noise=NoNoise(0), **options).mean


def test_the_result_cannot_be_had_without_its_events() -> None:
    release = a_mechanism(noise_multiplier=1.5).release(updates(1.0), size=8, noise=NoNoise(0))

    assert release.events == (Gaussian(1.5, 1),)
    assert release.unit == "hospital"
    with pytest.raises(TypeError):
        CentralRelease(mean=np.zeros(1, np.float32))  # type: ignore[call-arg]
    with pytest.raises((dataclasses.FrozenInstanceError, AttributeError)):
        release.events = ()  # type: ignore[misc]


def test_the_denominator_is_who_was_declared_not_who_answered() -> None:
    one = updates(0.1)
    few, many = a_mechanism(declared=1), a_mechanism(declared=10)

    assert np.allclose(mean_of(one, few), 10 * mean_of(one, many))


@given(st.integers(0, 3), st.floats(1e-3, 1e30))
def test_no_hospital_moves_the_mean_by_more_than_its_share(site: int, scale: float) -> None:
    mechanism = a_mechanism(clip_norm=0.7)
    found = updates(0.01, 5.0, 1.0, 100.0)
    found[SITES[site]] = (found[SITES[site]] * np.float32(min(scale, 1e30))).astype(np.float32)
    found[SITES[site]] = np.nan_to_num(found[SITES[site]])
    without = {name: one for name, one in found.items() if name != SITES[site]}

    moved = np.linalg.norm(mean_of(found, mechanism) - mean_of(without, mechanism))
    assert moved <= 0.7 / 4 * (1 + 1e-6)


def test_a_silent_hospital_is_legal_and_one_of_zeros_too() -> None:
    nobody = a_mechanism().release({}, size=8, noise=SeededRandom(1))
    zeros = updates(0.0)

    assert np.linalg.norm(nobody.mean) > 0
    assert np.array_equal(mean_of(zeros, a_mechanism()), np.zeros(8, np.float32))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_update_that_is_not_finite_is_a_refused_reply(value: float) -> None:
    found = updates(1.0, 1.0)
    found[SITES[0]][3] = value
    release = a_mechanism().release(found, size=8, noise=NoNoise(0))

    assert release.refused == (SITES[0],)
    others = {SITES[1]: found[SITES[1]]}
    assert np.array_equal(release.mean, mean_of(others, a_mechanism()))


def test_weights_beyond_the_one_charged_are_refused() -> None:
    found = updates(1.0, 1.0)
    for weights in ({SITES[0]: 1.0}, {SITES[0]: 1.0, SITES[1]: 2.0}, {SITES[0]: 0.0, SITES[1]: 1}):
        with pytest.raises(CentralReleaseRefusedError, match="weight"):
            mean_of(found, a_mechanism(), weights=weights)


def test_weights_up_to_the_one_charged_cost_noise_in_proportion() -> None:
    plain, heavy = a_mechanism(), a_mechanism(largest_weight=5.0)

    assert heavy.spread == 5 * plain.spread
    assert heavy.events == plain.events
    mean_of(updates(1.0), heavy, weights={SITES[0]: 5.0})


@pytest.mark.parametrize(
    "found",
    [
        {SITES[0]: np.ones(7, np.float32)},
        {SITES[0]: np.ones(8)},
        {SiteId(f"s{number}"): np.ones(8, np.float32) for number in range(5)},
    ],
)
def test_another_form_or_more_hospitals_than_declared_are_refused(found) -> None:
    with pytest.raises(CentralReleaseRefusedError):
        mean_of(found, a_mechanism())


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"noise_multiplier": 0.0}, InvalidPrivacyEventError),
        ({"noise_multiplier": float("nan")}, InvalidPrivacyEventError),
        ({"clip_norm": float("inf")}, CentralReleaseRefusedError),
        ({"clip_norm": -1.0}, CentralReleaseRefusedError),
        ({"largest_weight": 0.0}, CentralReleaseRefusedError),
        ({"declared": 0}, CentralReleaseRefusedError),
    ],
)
def test_a_mechanism_that_promises_nothing_cannot_be_made(change, error) -> None:
    with pytest.raises(error):
        a_mechanism(**change)


def test_the_noise_has_the_standard_deviation_that_was_promised() -> None:
    """Chi-square 99.9 % interval of z S w / n, and the shape by Kolmogorov & Smirnov."""
    size = 20_000
    mechanism = a_mechanism(clip_norm=0.5, noise_multiplier=1.3, declared=7, largest_weight=2.0)
    noise = mechanism.release({}, size=size, noise=SecureRandom()).mean.astype(np.float64)
    promised = 1.3 * 0.5 * 2 / 7

    low, high = stats.chi2.interval(0.999, size)
    assert low < (noise**2).sum() / promised**2 < high
    assert stats.kstest(noise / promised, "norm").pvalue > 1e-4


def test_half_the_noise_is_outside_the_interval() -> None:
    class HalfNoise(SeededRandom):
        def gaussian(self, size: int) -> np.ndarray:
            return super().gaussian(size) / 2

    mechanism = a_mechanism()
    noise = mechanism.release({}, size=2000, noise=HalfNoise(0)).mean.astype(np.float64)
    low, _ = stats.chi2.interval(0.999, 2000)

    assert (noise**2).sum() / mechanism.spread**2 < low
