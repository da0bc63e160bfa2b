"""How one site trains in one round: what a study, its recipe and the round give.

Both trainers take this one value. Light to import.
"""

import math
from dataclasses import dataclass

from federation.domain.recipe import Recipe
from federation.domain.study import TrainingPlan
from federation.errors.privacy import InvalidTrainingPlanError, UnknownOptimizerError

OPTIMIZERS = ("sgd", "adam", "adamw")
COSINE_FLOOR = 0.02
"""A cosine schedule ends at this share of its first learning rate, not at 0."""


@dataclass(frozen=True, slots=True)
class LocalPlan:
    """Optimiser and amount of work of one site in one round.

    Parameters
    ----------
    optimizer
        One of `OPTIMIZERS`; starts anew every round.
    learning_rate, momentum, weight_decay
        Its settings; momentum is for sgd, decoupled weight decay for adamw.
    batch_size
        Images of a step; in private training the expected number of patients.
    local_epochs
        How often the cohort is gone through; fractions are fine.
    augmentation
        A name in `clients/augmentation.py`.

    Raises
    ------
    UnknownOptimizerError, InvalidTrainingPlanError
        If a field cannot be used.
    """

    optimizer: str
    learning_rate: float
    batch_size: int
    local_epochs: float
    momentum: float = 0.0
    weight_decay: float = 0.0
    augmentation: str = "none"

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise UnknownOptimizerError(name=repr(self.optimizer[:40]), known=", ".join(OPTIMIZERS))
        _check(self.learning_rate > 0, "learning_rate", self.learning_rate)
        _check(self.batch_size >= 1, "batch_size", self.batch_size)
        _check(self.local_epochs > 0, "local_epochs", self.local_epochs)
        _check(0 <= self.momentum < 1, "momentum", self.momentum)
        _check(self.weight_decay >= 0, "weight_decay", self.weight_decay)

    def steps(self, examples: int) -> int:
        """Return how many steps go through `examples` as often as asked, at least one."""
        return max(1, math.ceil(self.local_epochs * examples / self.batch_size - 1e-9))


def local_plan(training: TrainingPlan, recipe: Recipe, *, round_number: int) -> LocalPlan:
    """Return the plan of round `round_number`, counted from 1.

    The study says how fast, how much and how often; the recipe adds what
    belongs to its kind of model: weight decay, schedule, augmentation.
    """
    share = 1.0
    if recipe.training.schedule == "cosine":
        done = (round_number - 1) / max(1, training.rounds)
        share = max(COSINE_FLOOR, (1 + math.cos(math.pi * min(1.0, done))) / 2)
    return LocalPlan(
        optimizer=training.optimizer,
        learning_rate=training.learning_rate * share,
        batch_size=training.batch_size,
        local_epochs=training.local_epochs,
        momentum=training.momentum,
        weight_decay=recipe.training.weight_decay,
        augmentation=recipe.training.augmentation,
    )


def _check(holds: bool, field: str, value: float) -> None:
    if not holds or not math.isfinite(value):
        raise InvalidTrainingPlanError(
            field=field, actual=repr(value), expected="a finite number in its range"
        )
