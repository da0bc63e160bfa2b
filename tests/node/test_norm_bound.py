"""The longest update of a mechanism: honest ones are below, others are not let through."""

from dataclasses import replace

import numpy as np
import pytest

from clients.norm_bound import MovingPlan, longest_update

PLAN = MovingPlan(
    size=2000,
    patients=100,
    sample_rate=0.2,
    steps=10,
    noise_multiplier=1.0,
    clip_norm=1.0,
    optimizer="sgd",
    learning_rate=0.1,
    momentum=0.0,
)


def an_update(plan: MovingPlan, seed: int, *, pull: float = 1.0) -> np.ndarray:
    """Return what SGD does when every patient pulls the same way, as hard as clipping allows."""
    rng = np.random.default_rng(seed)
    way = rng.standard_normal(plan.size)
    way *= pull * plan.clip_norm / np.linalg.norm(way)
    velocity, moved = np.zeros(plan.size), np.zeros(plan.size)
    for _ in range(plan.steps):
        drawn = rng.binomial(plan.patients, plan.sample_rate)
        noise = plan.noise_multiplier * plan.clip_norm * rng.standard_normal(plan.size)
        gradient = (drawn * way + noise) / (plan.sample_rate * plan.patients)
        velocity = plan.momentum * velocity + gradient
        moved -= plan.learning_rate * velocity
    return moved


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("noise", [0.3, 3.0])
@pytest.mark.parametrize("rate", [0.05, 0.5, 1.0])
def test_the_worst_honest_update_is_below_and_the_bound_is_not_wide(
    momentum: float, noise: float, rate: float
) -> None:
    plan = replace(PLAN, momentum=momentum, noise_multiplier=noise, sample_rate=rate)
    longest = max(np.linalg.norm(an_update(plan, seed)) for seed in range(20))

    assert longest <= longest_update(plan) <= 8 * longest


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_an_update_without_clipping_is_above(momentum: float) -> None:
    plan = replace(PLAN, momentum=momentum)

    assert np.linalg.norm(an_update(plan, 1, pull=20.0)) > longest_update(plan)


def test_more_noise_steps_and_speed_allow_more() -> None:
    for change in ({"noise_multiplier": 2.0}, {"steps": 20}, {"learning_rate": 0.2}):
        assert longest_update(replace(PLAN, **change)) > longest_update(PLAN)  # type: ignore[arg-type]


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_adam_moves_no_weight_further_than_its_steps_allow(optimizer: str) -> None:
    import torch

    plan = replace(PLAN, optimizer=optimizer, size=50)
    weights = torch.zeros(50, requires_grad=True)
    kind = torch.optim.Adam if optimizer == "adam" else torch.optim.AdamW
    steps = kind([weights], lr=plan.learning_rate)
    source = torch.Generator().manual_seed(1)
    for step in range(plan.steps):
        gradient = torch.randn(50, generator=source) * (100.0 if step % 3 == 2 else 1e-3)
        weights.grad = gradient
        steps.step()

    assert float(weights.detach().norm()) <= longest_update(plan)
