"""Train one round at a site so that no patient can be told from the update.

Patient-level DP-SGD (Abadi et al. 2016), unit one patient, add/remove. In every
step, on its own:

1. each patient is taken with chance q, independent of all others (Poisson);
2. of a taken patient one image is chosen at random, so forty count as one;
3. its gradient is cut to L2 norm C;
4. the cut gradients are summed, and N(0, sigma^2 C^2) is added to each number;
5. the sum is divided by q times a declared number of patients, never by how many came.

A step that drew nobody is a step: it is pure noise, and it is taken. There is no
way in for another sampler, because the accountant would then describe something
else. The result and its events are one value; neither can be had alone.

Gradients of single images come from `clients/per_sample`, in blocks of images, so
memory does not grow with the batch. A gradient that is not finite counts as zero
and so does its loss: else a crafted model could make training fail, or go on,
depending on one patient.

What is not covered: that the site took part, its number of patients (in q and
in step 5), and that training diverged, if it did. `loss` is for the site alone.

Imports torch: import this module lazily.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from clients.augmentation import augment
from clients.data.cohort.arrays import PatientArrays
from clients.local_plan import LocalPlan
from clients.per_sample.layerwise import NotCoveredError
from clients.per_sample.method import Gradients, gradients_of
from clients.randomness import RandomSource
from clients.training import Progress, check_data, make_optimizer, one_thread
from federation.domain.study import PrivacyPlan, TrainingPlan
from federation.errors.privacy import (
    InvalidTrainingPlanError,
    NetworkNotPrivateError,
    TrainingDivergedError,
)
from federation.privacy.counts import mechanism_of_counts
from federation.privacy.events import PoissonSampledGaussian, PrivacyEvent
from federation.recipes.flat import FlatModel, flatten
from federation.recipes.oriented import FixedThenLearnt

RUN = 1024
FEATURES_AT_ONCE = 4
CLIP_MARGIN = 1e-5
"""Gradients are cut this much shorter than C, which covers float32 rounding of norms and sums."""

_MIXING_LAYERS = (nn.modules.batchnorm._BatchNorm,)


@dataclass(frozen=True, slots=True)
class PatientLevelDpSgd:
    """The mechanism of one round: everything its guarantee depends on.

    Parameters
    ----------
    sample_rate
        q, the chance of each patient to be in a step.
    steps
        Steps of the round.
    noise_multiplier
        sigma, the noise's standard deviation divided by `clip_norm`.
    clip_norm
        C, the largest L2 influence of one patient on a step's sum.

    Raises
    ------
    InvalidPrivacyEventError
        If the event it stands for cannot be.
    InvalidTrainingPlanError
        If the clip norm is not a finite number above 0.
    """

    sample_rate: float
    steps: int
    noise_multiplier: float
    clip_norm: float

    def __post_init__(self) -> None:
        PoissonSampledGaussian(self.noise_multiplier, self.sample_rate, self.steps)
        if not (math.isfinite(self.clip_norm) and self.clip_norm > 0):
            raise InvalidTrainingPlanError(
                field="clip_norm", actual=repr(self.clip_norm), expected="a finite number above 0"
            )

    @property
    def events(self) -> tuple[PrivacyEvent, ...]:
        """Return what running it once costs, as the books keep it."""
        return (PoissonSampledGaussian(self.noise_multiplier, self.sample_rate, self.steps),)


@dataclass(frozen=True)
class PrivateUpdate:
    """What one private round gives: the update and, inseparably, its mechanism.

    Parameters
    ----------
    update
        Trained minus given model, flat float32, shape (parameters,).
    mechanism
        What ran; `events` follow from it.
    loss
        Mean loss over the drawn images, None if none was drawn. Not private:
        it stays at the site.
    steps, patients
        How many steps over how many patients.
    """

    update: FlatModel
    mechanism: PatientLevelDpSgd
    loss: float | None
    steps: int
    patients: int

    @property
    def events(self) -> tuple[PrivacyEvent, ...]:
        """Return what this update cost."""
        return self.mechanism.events


def mechanism_of_round(
    *, patients: int, training: TrainingPlan, privacy: PrivacyPlan
) -> PatientLevelDpSgd:
    """Return the mechanism of each round at a site with `patients` training patients.

    Without a noise multiplier in the plan, the smallest that keeps all rounds of the
    study together, and the noisy counts it asks for, within its epsilon.

    Raises
    ------
    PrivacyPlanUnreachableError
        If no noise keeps the study within its epsilon at this site.
    """
    rate = min(1.0, training.batch_size / max(1, patients))
    steps = max(1, math.ceil(training.local_epochs / rate - 1e-9))
    noise = privacy.noise_multiplier
    if noise is None:
        from federation.privacy.accountants import smallest_noise

        noise = smallest_noise(
            epsilon=privacy.epsilon,
            delta=privacy.delta,
            sample_rate=rate,
            steps=steps * training.rounds,
            besides=_besides(privacy),
        )
    return PatientLevelDpSgd(rate, steps, noise, privacy.clip_norm)


def _besides(privacy: PrivacyPlan) -> tuple[PrivacyEvent, ...]:
    return () if privacy.counts is None else mechanism_of_counts(privacy.counts).events


def train_privately(
    module: nn.Module,
    data: PatientArrays,
    *,
    plan: LocalPlan,
    mechanism: PatientLevelDpSgd,
    patients: int | None = None,
    noise: RandomSource,
    sampler: RandomSource,
    progress: Progress | None = None,
) -> PrivateUpdate:
    """Train the module in place under the mechanism and return the difference.

    `plan` gives the optimiser, a mere function of the noisy gradients; how much
    is drawn and how often comes from `mechanism` alone. `patients` is the number
    that the node tells outside (`KeptReplies.declare_patients`): a constant, so
    dividing by it costs nothing, whether or not it is exact; by default the exact
    one, which then can be read from q. `noise` and `sampler`
    are `SecureRandom` everywhere but in tests.

    Raises
    ------
    NetworkNotPrivateError
        If a layer lets one patient change another's gradient.
    NoPatientsError
        If there is no patient.
    TrainingDivergedError
        If the model stops being finite.
    """
    check_network(module)
    check_data(data, needed=1)
    learnt, inputs = _learnt_part(module, data, plan)
    method = gradients_of(learnt, image=inputs.shape[1:], target=data.targets.shape[1:])
    before = flatten(module)
    optimizer = make_optimizer(module, plan)
    draw = _PoissonPatients(data, mechanism.sample_rate, sampler)
    seed = int(sampler.uniform(1)[0] * 2**53)
    changes = torch.Generator().manual_seed(seed)
    expected = mechanism.sample_rate * (patients or data.patients)
    spread = mechanism.noise_multiplier * mechanism.clip_norm
    loss_sum, drawn = 0.0, 0
    module.train()
    with one_thread():
        for step in range(1, mechanism.steps + 1):
            places = draw.next()
            images = augment(inputs[places], plan.augmentation, changes)
            targets = torch.from_numpy(data.targets[places])
            total, loss = clipped_sum(
                learnt, images, targets, clip_norm=mechanism.clip_norm, method=method
            )
            noisy = total + spread * noise.gaussian(len(total))
            _set_gradients(module, noisy / expected)
            optimizer.step()
            loss_sum, drawn = loss_sum + loss, drawn + len(places)
            if progress is not None:
                progress(step, mechanism.steps)
    after = flatten(module)
    if not np.isfinite(after).all():
        raise TrainingDivergedError(step=mechanism.steps, quantity="model")
    return PrivateUpdate(
        update=after - before,
        mechanism=mechanism,
        loss=loss_sum / drawn if drawn else None,
        steps=mechanism.steps,
        patients=data.patients,
    )


def _learnt_part(
    module: nn.Module, data: PatientArrays, plan: LocalPlan
) -> tuple[nn.Module, Tensor]:
    """Return the network to train and its inputs, fixed features computed once an image.

    An image's features depend on that image alone, so nothing changes for privacy.
    """
    images = torch.from_numpy(data.images)
    if not isinstance(module, FixedThenLearnt) or plan.augmentation != "none":
        return module, images
    with one_thread(), torch.no_grad():
        parts = [module.features(part) for part in torch.split(images, FEATURES_AT_ONCE)]
    return module.head, torch.cat(parts)


def check_network(module: nn.Module) -> None:
    """Raise unless every image's output depends on that image and the weights alone.

    Raises
    ------
    NetworkNotPrivateError
        If there is a batch normalisation, a buffer, or a layer in place.
    """
    layers = [
        f"{name or 'network'} ({type(layer).__name__})"
        for name, layer in module.named_modules()
        if isinstance(layer, _MIXING_LAYERS)
        or getattr(layer, "inplace", False)
        or any(True for _ in layer.buffers(recurse=False))
    ]
    if layers:
        more = f" and {len(layers) - 3} more" if len(layers) > 3 else ""
        raise NetworkNotPrivateError(layers=", ".join(layers[:3]) + more)


def clipped_sum(
    module: nn.Module,
    images: Tensor,
    targets: Tensor,
    *,
    clip_norm: float,
    method: Gradients | None = None,
) -> tuple[NDArray[np.float64], float]:
    """Return the sum of each image's gradient, cut to `clip_norm`, and the summed loss.

    An image whose gradient or loss is not finite adds nothing to either.

    Parameters
    ----------
    method
        How single gradients are computed; chosen anew when it is not given.

    Returns
    -------
    float64, shape (parameters,), in the order of `flatten`; zeros for no image.

    Raises
    ------
    NetworkNotPrivateError
        If the network runs its layers differently for different images.
    """
    if method is None:
        method = gradients_of(module, image=images.shape[1:], target=targets.shape[1:])
    total = np.zeros(sum(p.numel() for p in module.parameters()))
    loss_sum = 0.0
    for start in range(0, len(images), method.block):
        block = slice(start, start + method.block)
        try:
            rows, values = method(images[block], targets[block])
        except NotCoveredError as error:
            # it ran otherwise than on the images it was tried with: its path hangs on data
            raise NetworkNotPrivateError(layers=type(module).__name__) from error
        _add_cut(total, rows, clip_norm)
        loss_sum += float(values[values.isfinite()].sum(dtype=torch.float64))
    return total, loss_sum


def _add_cut(total: NDArray[np.float64], rows: list[Tensor], clip_norm: float) -> None:
    """Add the images' gradients (first axis of every row) to `total`, each cut to `clip_norm`.

    A norm past the largest float32 counts as not finite.
    """
    norms = torch.stack([_squares(row) for row in rows]).sum(0).sqrt()
    usable = norms.isfinite()
    factors = (clip_norm * (1 - CLIP_MARGIN) / norms.clamp(min=1e-30)).clamp(max=1.0).float()
    start = 0
    for row in rows:
        stop = start + row.shape[1]
        # a factor of zero would not do: zero times infinity is not a number
        part = factors @ row if usable.all() else factors[usable] @ row[usable]
        total[start:stop] += part.numpy()
        start = stop


def _squares(row: Tensor) -> Tensor:
    """Return the squared norms of a float32 row (n, numbers) in float64, shape (n,).

    Float32 sums of a million squares are off by more than `CLIP_MARGIN` allows,
    and a float64 copy is slow; so short runs are summed in float32, those in float64.
    """
    whole = row.shape[1] // RUN * RUN
    runs = torch.linalg.vector_norm(row[:, :whole].reshape(len(row), -1, RUN), dim=2)
    rest = torch.linalg.vector_norm(row[:, whole:], dim=1)
    squares: Tensor = runs.double().square().sum(1) + rest.double().square()
    return squares


def _set_gradients(module: nn.Module, flat: NDArray[np.float64]) -> None:
    start = 0
    for parameter in module.parameters():
        stop = start + parameter.numel()
        part = torch.from_numpy(flat[start:stop]).to(torch.float32)
        parameter.grad = part.view_as(parameter)
        start = stop


class _PoissonPatients:
    """Draws patients independently, and one image of each: the only sampler there is."""

    def __init__(self, data: PatientArrays, rate: float, source: RandomSource) -> None:
        self._rate = rate
        self._source = source
        self._by_patient = np.argsort(data.patient_of, kind="stable")
        self._counts = np.bincount(data.patient_of, minlength=data.patients)
        self._firsts = np.concatenate([[0], np.cumsum(self._counts)[:-1]])

    def next(self) -> NDArray[np.int64]:
        patients = np.flatnonzero(self._source.uniform(len(self._counts)) < self._rate)
        which = (self._source.uniform(len(patients)) * self._counts[patients]).astype(np.int64)
        places: NDArray[np.int64] = self._by_patient[self._firsts[patients] + which]
        return places
