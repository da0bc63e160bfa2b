"""What is claimed is what runs: audited in one run, and broken when the noise is halved."""

import numpy as np
import pytest

from clients.data.cohort.arrays import PatientArrays
from clients.local_plan import LocalPlan
from clients.private_training import PatientLevelDpSgd, train_privately
from federation.privacy.accountants import epsilon_of
from federation.privacy.central import CentralDp
from federation.privacy.events import Gaussian
from tests.privacy.one_run import chance_under, refutes, right_guesses
from tests.training.arrays import SeededRandom

SIGMA = 1.5
DELTA = 1e-6


class HalfNoise(SeededRandom):
    """Noise of half the standard deviation that is claimed."""

    def gaussian(self, size: int) -> np.ndarray:
        return super().gaussian(size) / 2


def a_trained_update(canaries: int, included: np.ndarray, noise) -> np.ndarray:
    """Return one step of the hospital's DP-SGD over patients whose gradients are orthogonal."""
    import torch

    members = np.flatnonzero(included)
    images = np.zeros((len(members), 1, 1, canaries), np.float32)
    images[np.arange(len(members)), 0, 0, members] = 1
    data = PatientArrays(
        images, np.ones(len(members), np.int64), np.arange(len(members)), len(members)
    )
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(canaries, 2, bias=False))
    torch.nn.init.zeros_(network[1].weight)
    mechanism = PatientLevelDpSgd(1.0, 1, SIGMA, clip_norm=0.1)
    plan = LocalPlan("sgd", learning_rate=1.0, batch_size=4, local_epochs=1.0)
    result = train_privately(
        network, data, plan=plan, mechanism=mechanism, noise=noise, sampler=SeededRandom(1)
    )
    weights = result.update.reshape(2, canaries)
    return weights[1] - weights[0]


@pytest.mark.parametrize(("noise", "holds"), [(SeededRandom, True), (HalfNoise, False)])
def test_the_claim_of_dp_sgd_holds_and_breaks_with_half_the_noise(noise, holds: bool) -> None:
    canaries, guesses = 10_000, 240
    included = np.random.default_rng(2).random(canaries) < 0.5
    scores = a_trained_update(canaries, included, noise(3))
    right = right_guesses(scores, included, guesses)
    claim = epsilon_of([Gaussian(SIGMA, 1)], DELTA), DELTA

    assert refutes(claim, canaries=canaries, guesses=guesses, right=right) is not holds
    assert right > 0.7 * guesses, "the audit can see something at all"


@pytest.mark.parametrize(("noise", "holds"), [(SeededRandom, True), (HalfNoise, False)])
def test_the_claim_of_the_central_mechanism_holds_and_breaks_with_half_the_noise(
    noise, holds: bool
) -> None:
    """Each run is one hospital's coin; runs are independent, so they are canaries too."""
    canaries, guesses = 10_000, 240
    mechanism = CentralDp(clip_norm=1.0, noise_multiplier=SIGMA, declared=4)
    included = np.random.default_rng(2).random(canaries) < 0.5
    source, one = noise(4), np.full(1, 9, np.float32)
    scores = np.array(
        [
            mechanism.release({"a": one} if coin else {}, size=1, noise=source).mean[0]
            for coin in included
        ]
    )
    right = right_guesses(scores, included, guesses)
    claim = epsilon_of(mechanism.events, DELTA), DELTA

    assert refutes(claim, canaries=canaries, guesses=guesses, right=right) is not holds


def test_the_bound_is_that_of_a_coin_where_epsilon_is_nothing() -> None:
    assert chance_under((0.0, 0.0), canaries=10, guesses=10, right=10) == pytest.approx(2**-10)
    assert chance_under((9.0, 0.0), canaries=10, guesses=10, right=5) > 0.999
    assert chance_under((0.0, 1.0), canaries=10, guesses=10, right=10) > 2**-10
