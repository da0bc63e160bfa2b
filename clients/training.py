"""Train one round at a site without differential privacy.

Used only when a study says so and the site's policy allows it. Same inputs and
same kind of result as `private_training.py`, so the caller changes one line.

Imports torch: import this module lazily.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from clients.augmentation import augment
from clients.data.cohort.arrays import PatientArrays
from clients.local_plan import LocalPlan
from clients.objective import losses
from federation.errors.privacy import (
    CohortDoesNotFitError,
    NoPatientsError,
    TrainingDivergedError,
)
from federation.privacy.events import PrivacyEvent
from federation.recipes.flat import FlatModel, flatten

Progress = Callable[[int, int], None]
"""Told after every step: steps done, steps in all."""


class Precision(Enum):
    """How numbers are kept inside a training step; weights stay float32."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


@dataclass(frozen=True)
class PlainUpdate:
    """What one round without privacy gives.

    Parameters
    ----------
    update
        Trained minus given model, flat float32, shape (parameters,).
    loss
        Mean training loss over the round.
    steps, patients
        How many steps over how many patients.
    """

    update: FlatModel
    loss: float
    steps: int
    patients: int

    @property
    def events(self) -> tuple[PrivacyEvent, ...]:
        """Return nothing: there is no mechanism, so there is nothing to add up."""
        return ()


def fastest_precision() -> Precision:
    """Return BFLOAT16 where the processor computes in it, else FLOAT32."""
    return Precision.BFLOAT16 if torch.cpu._is_avx512_bf16_supported() else Precision.FLOAT32


def precision_of(plan: LocalPlan) -> Precision:
    """Return the precision in which a plan trains on this machine.

    Plain SGD stays in float32: its update is a sum of few gradients, and those of
    bfloat16 have low bits so uneven that the gate takes them for a payload.
    """
    return Precision.FLOAT32 if plan.optimizer == "sgd" else fastest_precision()


def train(
    module: nn.Module,
    data: PatientArrays,
    *,
    plan: LocalPlan,
    seed: int,
    precision: Precision = Precision.FLOAT32,
    progress: Progress | None = None,
) -> PlainUpdate:
    """Train the module in place on shuffled images and return the difference.

    The same module, data, plan and seed give the same update on one machine.

    Raises
    ------
    NoPatientsError
        If there is no image.
    TrainingDivergedError
        If a loss or weight stops being finite.
    """
    check_data(data, needed=1)
    before = flatten(module)
    generator = torch.Generator().manual_seed(seed)
    order = _Shuffled(len(data.images), generator)
    optimizer = make_optimizer(module, plan)
    steps = plan.steps(len(data.images))
    size = min(plan.batch_size, len(data.images))
    fast = precision is Precision.BFLOAT16
    total = 0.0
    with one_thread(), _channels_last(module, fast=fast and data.images.ndim == 4):
        module.train()
        for step in range(1, steps + 1):
            places = order.next(size)
            images = augment(torch.from_numpy(data.images[places]), plan.augmentation, generator)
            targets = torch.from_numpy(data.targets[places])
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16, enabled=fast):
                outputs = module(images)
            loss = losses(outputs, targets).mean()
            check_finite(float(loss.detach()), step=step, quantity="loss")
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += float(loss.detach())
            if progress is not None:
                progress(step, steps)
    update = flatten(module) - before
    if not np.isfinite(update).all():
        raise TrainingDivergedError(step=steps, quantity="model")
    return PlainUpdate(update, loss=total / steps, steps=steps, patients=data.patients)


def make_optimizer(module: nn.Module, plan: LocalPlan) -> torch.optim.Optimizer:
    """Return the plan's optimiser over the module's parameters, without any history."""
    parameters = list(module.parameters())
    match plan.optimizer:
        case "sgd":
            return torch.optim.SGD(parameters, lr=plan.learning_rate, momentum=plan.momentum)
        case "adam":
            return torch.optim.Adam(parameters, lr=plan.learning_rate)
        case _:
            return torch.optim.AdamW(
                parameters, lr=plan.learning_rate, weight_decay=plan.weight_decay
            )


def check_data(data: PatientArrays, *, needed: int) -> None:
    """Raise unless there are patients and every number of their images is finite."""
    if data.patients < needed:
        raise NoPatientsError(patients=data.patients, needed=needed)
    if not np.isfinite(data.images).all():
        raise CohortDoesNotFitError(
            field="images", actual="numbers that are not finite", expected="finite numbers"
        )


def check_finite(value: float, *, step: int, quantity: str) -> None:
    """Raise if a number of the training is not finite."""
    if not np.isfinite(value):
        raise TrainingDivergedError(step=step, quantity=quantity)


class _Shuffled:
    """Endless places in shuffled order; every pass has each place once."""

    def __init__(self, n: int, generator: torch.Generator) -> None:
        self._n = n
        self._generator = generator
        self._left = np.empty(0, dtype=np.int64)

    def next(self, size: int) -> NDArray[np.int64]:
        while len(self._left) < size:
            fresh = torch.randperm(self._n, generator=self._generator).numpy()
            self._left = np.concatenate([self._left, fresh])
        taken, self._left = self._left[:size], self._left[size:]
        return taken


class one_thread:  # noqa: N801
    """Compute on one thread: with a second process on the machine, two are slower."""

    def __enter__(self) -> None:
        self._before = torch.get_num_threads()
        torch.set_num_threads(1)

    def __exit__(self, *exit_arguments: object) -> None:
        torch.set_num_threads(self._before)


class _channels_last:  # noqa: N801
    """Keep 2-D weights channels last while training, the layout bfloat16 is fast in."""

    def __init__(self, module: nn.Module, *, fast: bool) -> None:
        self._module = module
        self._fast = fast

    def __enter__(self) -> None:
        if self._fast:
            self._module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def __exit__(self, *exit_arguments: object) -> None:
        if self._fast:
            self._module.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
