"""Acceptability and value of information: closed forms, a published set, and their laws."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from federation.economics.uncertainty import (
    Draws,
    acceptability,
    acceptability_frontier,
    evpi,
    evppi,
    expected_loss,
    net_benefit,
)
from federation.errors.economics import ModelValueError

VACCINE = "TRIFED_TEST_BCEA_VACCINE"


def normal_pair(*parts: np.ndarray, mean: float) -> np.ndarray:
    gain = mean + sum(parts)
    return np.stack([np.zeros_like(gain), gain], axis=-1)


def evpi_of_normal(mean: float, deviation: float) -> float:
    """EVPI of one decision whose incremental net benefit is normal, in closed form."""
    scaled = mean / deviation
    return float(deviation * norm.pdf(scaled) + mean * norm.cdf(scaled) - max(mean, 0.0))


def test_evpi_of_a_normal_decision_in_closed_form() -> None:
    # EVALUATION.md D.6: INB ~ N(1000, 5000^2).
    assert evpi_of_normal(1000, 5000) == pytest.approx(1534.473, abs=5e-4)
    scores = norm.ppf((np.arange(200_000) + 0.5) / 200_000)
    assert evpi(normal_pair(5000 * scores, mean=1000)) == pytest.approx(1534.473, rel=1e-4)


def test_evppi_of_one_normal_part_is_its_closed_form() -> None:
    generator = np.random.default_rng(3)
    one, other = generator.normal(size=(2, 50_000))
    benefit = normal_pair(3000 * one, 4000 * other, mean=1000)
    assert evppi(benefit, one[:, None]) == pytest.approx(evpi_of_normal(1000, 3000), rel=0.03)
    assert evppi(benefit, np.stack([one, other], -1)) == pytest.approx(evpi(benefit), rel=1e-6)


def test_evppi_sees_that_two_parameters_matter_only_together() -> None:
    generator = np.random.default_rng(4)
    one, other = generator.normal(size=(2, 20_000))
    benefit = normal_pair(3000 * one * other, mean=500)
    assert evppi(benefit, one[:, None]) < 0.05 * evpi(benefit)
    assert evppi(benefit, np.stack([one, other], -1)) > 0.99 * evpi(benefit)


def test_knowing_a_constant_is_worth_nothing_and_too_few_draws_are_refused() -> None:
    generator = np.random.default_rng(5)
    benefit = normal_pair(generator.normal(size=500), mean=0.1)
    assert evppi(benefit, np.ones((500, 1))) == pytest.approx(0, abs=1e-12)
    with pytest.raises(ModelValueError):
        evppi(benefit[:40], generator.normal(size=(40, 1)))
    with pytest.raises(ModelValueError):
        evppi(benefit, generator.normal(size=(500, 6)))


def test_acceptability_sums_to_one_and_loss_is_least_where_benefit_is_most() -> None:
    generator = np.random.default_rng(6)
    cost, effect = generator.normal(5, 2, (300, 3)), generator.normal(1, 0.3, (300, 3))
    draws, thresholds = Draws(("a", "b", "c"), cost, effect), (0.0, 3.0, 30.0)
    shares = acceptability(draws, thresholds)
    assert shares.shape == (3, 3) and np.allclose(shares.sum(axis=1), 1)
    loss = expected_loss(draws, thresholds)
    best, share = acceptability_frontier(draws, thresholds)
    assert list(best) == list(loss.argmin(axis=1))
    for row, (threshold, place) in enumerate(zip(thresholds, best, strict=True)):
        assert loss[row, place] == pytest.approx(evpi(net_benefit(draws, threshold)))
        assert share[row] == shares[row, place]


def test_equal_strategies_share_a_draw() -> None:
    same = Draws(("a", "b"), np.ones((10, 2)), np.ones((10, 2)))
    assert acceptability(same, [1.0]).tolist() == [[0.5, 0.5]]


@pytest.mark.parametrize(
    ("cost", "effect"),
    [
        (np.ones((3, 2)), np.ones((3, 1))),
        (np.ones((0, 2)), np.ones((0, 2))),
        (np.full((3, 2), np.nan), np.ones((3, 2))),
    ],
)
def test_draws_that_do_not_fit_are_refused(cost: np.ndarray, effect: np.ndarray) -> None:
    with pytest.raises(ModelValueError):
        Draws(("a", "b"), cost, effect)


def test_the_vaccine_example_of_bcea() -> None:
    """Its data are GPL and so not in this repository: name an .npz with `cost` and `effect`."""
    given = os.environ.get(VACCINE)
    if given is None:
        pytest.skip(f"{VACCINE} names no file: costs and effects of BCEA's data set Vaccine")
    found = np.load(Path(given))
    draws = Draws(("status quo", "vaccination"), found["cost"], found["effect"])
    benefit = net_benefit(draws, 25_000)
    increments = (draws.cost[:, 1] - draws.cost[:, 0], draws.effect[:, 1] - draws.effect[:, 0])
    # EVALUATION.md D.6
    assert round(increments[0].mean() / increments[1].mean()) == 20098
    assert (benefit[:, 1] - benefit[:, 0]).mean() == pytest.approx(1.2284, abs=5e-5)
    assert acceptability(draws, [25_000])[0, 1] == pytest.approx(0.529, abs=1e-9)
    assert evpi(benefit) == pytest.approx(2.4145, abs=5e-5)
    assert benefit.mean(axis=0) == pytest.approx([-36.054, -34.826], abs=5e-4)
