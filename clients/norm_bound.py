"""How long an update can be that its mechanism made.

The gate asks this independently of the code that trained: from the study's plan and
the events reserved for it follows how far the weights can have moved. A longer update
was not made by the mechanism that the book charges for. Chance is allowed for: an
honest update is longer than this once in 10^12 rounds at most.
"""

import math
from dataclasses import dataclass

_TAIL = math.log(1e12)
_ROUNDING = 1.01
_ADAM_STEP = (1 - 0.9) / math.sqrt(1 - 0.999)
"""The most an Adam step moves one weight, in learning rates (Kingma & Ba 2015, section 2.1);
what it has to spare over the usual 1 covers the decay of weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MovingPlan:
    """What decides how far a private round can move the weights.

    Parameters
    ----------
    size
        Number of weights.
    patients
        How many there are, or a lower bound.
    sample_rate, steps, noise_multiplier, clip_norm
        The mechanism.
    optimizer, learning_rate, momentum
        The local optimiser; the rate is the largest of the study.
    """

    size: int
    patients: int
    sample_rate: float
    steps: int
    noise_multiplier: float
    clip_norm: float
    optimizer: str
    learning_rate: float
    momentum: float


def longest_update(plan: MovingPlan) -> float:
    """Return the largest L2 norm of an update of this plan.

    With SGD the update is the sum of the steps' noisy means, each weighted by what
    momentum makes of it. The signal is at most C for each drawn patient; the number
    drawn exceeds its mean by Bernstein's bound at most; the length of the noise
    follows Laurent & Massart 2000, lemma 1.
    """
    if plan.optimizer != "sgd":
        reach = plan.steps * plan.learning_rate * _ADAM_STEP * math.sqrt(plan.size)
        return reach * _ROUNDING
    total, squares = _momentum_weights(plan.momentum, plan.steps)
    unit = plan.learning_rate * plan.clip_norm / (plan.sample_rate * plan.patients)
    signal = total * _most_drawn(plan)
    length = math.sqrt(plan.size) + math.sqrt(2 * _TAIL)
    noise = plan.noise_multiplier * math.sqrt(squares) * length
    return unit * (signal + noise) * _ROUNDING


def _momentum_weights(momentum: float, steps: int) -> tuple[float, float]:
    """Return sum and sum of squares of how often each step's gradient counts."""
    if momentum == 0:
        return float(steps), float(steps)
    total, squares, power = 0.0, 0.0, 1.0
    for _ in range(steps):
        power *= momentum
        weight = (1 - power) / (1 - momentum)
        total, squares = total + weight, squares + weight * weight
    return total, squares


def _most_drawn(plan: MovingPlan) -> float:
    """Return how many patients one step draws at most.

    `patients` may have been rounded down by up to a tenth, or to tens.
    """
    most = plan.patients * 1.1 + 10
    tail = _TAIL + math.log(plan.steps)
    variance = most * plan.sample_rate * (1 - plan.sample_rate)
    return min(most, most * plan.sample_rate + math.sqrt(2 * variance * tail) + tail / 3)
