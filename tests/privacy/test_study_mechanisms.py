"""What a study asks for is what runs: the centre's noise and the noisy counts, with their cost."""

from fractions import Fraction

import numpy as np
import pytest

from federation.domain.ids import SiteId
from federation.domain.study import CentralPlan, CountsPlan, PrivacyLevel, PrivacyPlan
from federation.privacy.accountants import epsilon_of, smallest_noise
from federation.privacy.central import CentralDp, central_events_of, central_mechanism_of
from federation.privacy.counts import CELLS_OF_A_CARD, NoisyCounts, mechanism_of_counts
from federation.privacy.events import DiscreteGaussian, Gaussian, PoissonSampledGaussian
from tests.builders import a_study
from tests.training.arrays import NoNoise

PATIENT = PrivacyPlan(8.0, 1e-3, 1.0)
HOSPITAL = PrivacyPlan(8.0, 1e-3, 1.0, central=CentralPlan(clip_norm=0.5, noise_multiplier=2.0))


def test_at_patient_level_the_centre_adds_nothing() -> None:
    assert central_mechanism_of(a_study(privacy=PATIENT)) is None
    assert central_mechanism_of(a_study(privacy=None)) is None
    assert (PATIENT.level, HOSPITAL.level) == (PrivacyLevel.PATIENT, PrivacyLevel.HOSPITAL)


def test_the_denominator_is_the_studys_sites_and_not_those_that_answered() -> None:
    mechanism = central_mechanism_of(a_study(privacy=HOSPITAL))
    assert mechanism == CentralDp(clip_norm=0.5, noise_multiplier=2.0, declared=3)

    update = np.array([0.3, 0.4], np.float32)
    release = mechanism.release({SiteId("north"): update}, size=2, noise=NoNoise(0))
    assert np.allclose(release.mean, update / 3, rtol=1e-5)


def test_the_rounds_of_a_study_cost_a_hospital_what_as_many_releases_cost() -> None:
    study = a_study(privacy=HOSPITAL)
    plan, mechanism = study.privacy.central, central_mechanism_of(study)
    told = epsilon_of(central_events_of(plan, rounds=3), 1e-3)

    assert told == pytest.approx(epsilon_of(mechanism.events * 3, 1e-3))
    assert central_events_of(plan, rounds=3) == (Gaussian(2.0, 3),)


def test_the_counts_of_a_card_are_drawn_with_the_sigma_that_is_charged() -> None:
    mechanism = mechanism_of_counts(CountsPlan(sigma=7.25))

    assert mechanism == NoisyCounts(sigma=Fraction(29, 4), cells=CELLS_OF_A_CARD)
    assert mechanism.events == (DiscreteGaussian(7.25, CELLS_OF_A_CARD, 1),)
    odd = mechanism_of_counts(CountsPlan(sigma=0.3333333))
    assert odd.events[0] == DiscreteGaussian(float(odd.sigma), CELLS_OF_A_CARD, 1)


def test_the_smallest_noise_leaves_room_for_what_else_is_spent() -> None:
    plan = {"epsilon": 4.0, "delta": 1e-4, "sample_rate": 0.2, "steps": 50}
    besides = (DiscreteGaussian(5.0, 3, 1),)
    noise = smallest_noise(**plan, besides=besides)

    rounds = PoissonSampledGaussian(noise, 0.2, 50)
    assert epsilon_of((rounds, *besides), 1e-4) <= 4.0
    assert epsilon_of((rounds, *besides), 1e-4) > 3.9
    assert noise > smallest_noise(**plan)
