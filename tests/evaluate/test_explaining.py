"""Explanations are checked with known answers: a linear score, a single bright pixel, captum."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from clients.data.cohort.arrays import PatientArrays
from clients.evaluation_study.explained import Explained
from clients.evaluation_study.explaining import chosen, explain, integrated_gradients
from federation.domain.evaluation_plan import Explaining
from federation.domain.recipe import Task
from federation.evaluation.explained import SPANS
from federation.recipes import catalogue, networks

SIDE = 8
SETTINGS = Explaining(cases=10, steps=16)
CHECKS = list(SPANS)


class LinearScore(nn.Module):
    """A network whose probability of class 1 is linear in the pixels: p = 0.5 + w.x."""

    def __init__(self, weights: np.ndarray) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.from_numpy(weights))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        p = 0.5 + (images * self.weights).flatten(1).sum(1)
        return torch.stack([1 - p, p], dim=1).log()


def linear(seed: int) -> LinearScore:
    rng = np.random.default_rng(seed)
    return LinearScore(rng.uniform(-1e-3, 1e-3, (1, SIDE, SIDE)).astype(np.float32))


def arrays(patients: int = 4, *, side: int = SIDE, seed: int = 0) -> PatientArrays:
    rng = np.random.default_rng(seed)
    images = rng.standard_normal((patients, 1, side, side)).astype(np.float32)
    targets = np.arange(patients, dtype=np.int64) % 2
    return PatientArrays(images, targets, np.arange(patients), patients)


def check(found: Explained, name: str) -> np.ndarray:
    return found.checks[:, CHECKS.index(name)]


def silent(done: int, total: int) -> None:
    del done, total


def explained(module: nn.Module, random: nn.Module, cases: PatientArrays) -> Explained:
    patients = range(cases.patients)
    return explain(module, random, cases, patients, settings=SETTINGS, seed=3, told=silent)


def test_attributions_of_a_linear_score_are_weight_times_difference() -> None:
    module, rng = linear(1), np.random.default_rng(2)
    image, black = rng.standard_normal((2, 1, SIDE, SIDE)).astype(np.float32)

    found = integrated_gradients(module, image, black, label=1, steps=8)

    wanted = module.weights.detach().numpy() * (image - black)
    assert np.abs(found - wanted).max() < 1e-6


def test_the_same_weights_explain_the_same_and_other_weights_otherwise() -> None:
    same, other = (explained(linear(1), linear(seed), arrays()) for seed in (1, 9))

    assert check(same, "randomisation") == pytest.approx(1.0)
    assert check(same, "structure") == pytest.approx(1.0)
    assert (check(other, "randomisation") < 0.6).all()
    assert (check(other, "structure") < 0.6).all()


def test_a_score_that_hangs_on_one_pixel_falls_when_that_pixel_goes_first() -> None:
    weights = np.zeros((1, SIDE, SIDE), dtype=np.float32)
    weights[0, 3, 5] = 0.1
    cases = arrays()
    cases.images[:, 0, 3, 5] = 4.0

    found = explained(LinearScore(weights), linear(1), cases)

    assert (check(found, "deletion-gain") > 0.05).all()
    assert (check(found, "completeness") < 1e-5).all()


def test_a_constant_score_has_no_map_to_compare_and_is_left_out_of_that_check() -> None:
    nothing = LinearScore(np.zeros((1, SIDE, SIDE), dtype=np.float32))

    found = explained(nothing, linear(1), arrays())

    assert np.isnan(check(found, "randomisation")).all()
    assert found.moments()["randomisation"].cases == 0
    assert found.moments()["completeness"].cases == 4


def test_patients_are_drawn_by_the_protocol_among_those_the_version_never_saw() -> None:
    keys = [f"key-{one}" for one in range(60)]
    members = np.arange(60) % 3 == 0

    found = chosen(keys, members, seed=7, most=10)

    assert len(found) == 10 and not members[found].any()
    assert found == chosen(keys, members, seed=7, most=60)[:10]
    assert found != chosen(keys, members, seed=8, most=10)


def test_no_case_moves_a_mean_by_more_than_its_span() -> None:
    wild = np.full((2, len(SPANS)), 1e9)

    found = Explained.of([0, 1], wild).moments()

    for name, (_, high) in SPANS.items():
        assert found[name].total == pytest.approx(2 * high)


def smallest_network() -> tuple[nn.Module, tuple[int, ...]]:
    """Return the network of the smallest recipe that classifies, with random weights."""
    known = [catalogue.recipe(name) for name in catalogue.recipe_names()]
    classifying = [one for one in known if one.task is Task.CLASSIFICATION]
    recipe = min(classifying, key=lambda one: math.prod(one.input_shape))
    return networks.build(recipe, seed=4).double().eval(), recipe.input_shape


def test_integrated_gradients_are_those_of_captum() -> None:
    captum = pytest.importorskip("captum.attr", reason="captum is an oracle, not a dependency")
    module, shape = smallest_network()
    image = np.random.default_rng(0).standard_normal(shape)
    black = np.full_like(image, image.min())

    ours = integrated_gradients(module, image, black, label=1, steps=16)

    oracle = captum.IntegratedGradients(lambda x: module(x).softmax(1))
    theirs = oracle.attribute(
        torch.from_numpy(image[None]),
        baselines=torch.from_numpy(black[None]),
        target=1,
        n_steps=16,
        method="riemann_middle",
    )
    assert np.abs(ours - theirs[0].detach().numpy()).max() < 1e-9
