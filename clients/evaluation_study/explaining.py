"""Explain a few patients' images and check the explanations, inside the hospital (E12).

Integrated gradients (Sundararajan 2017) of the probability that the version gives to the
class it predicts, from an image that is black everywhere. The same network with random
weights must explain otherwise (Adebayo 2018), and the score must fall when the strongest
pixels are blackened first (Petsiuk 2018). Imports torch: import this module lazily.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from clients.data.cohort.arrays import PatientArrays
from clients.evaluation_study.drawing import EXPLANATION, draw
from clients.evaluation_study.explained import Explained
from clients.training import one_thread
from federation.domain.evaluation_plan import Explaining
from federation.errors.evaluation import AllTiedError
from federation.evaluation.explainability import (
    completeness_gaps,
    deletion_area,
    rank_similarity,
    structural_similarity,
)

BATCH = 8
"""Images at once: more are no faster on a processor, and take memory."""
DELETIONS = 20
"""Into so many parts the pixels are divided that are blackened one part after the other."""

Image = NDArray[np.floating[Any]]
Told = Callable[[int, int], None]


def chosen(keys: Sequence[str], members: NDArray[np.bool_], *, seed: int, most: int) -> list[int]:
    """Return the places of the patients to explain: drawn among those the version never saw."""
    unseen = [place for place in range(len(keys)) if not members[place]]
    return sorted(unseen, key=lambda place: draw(seed, EXPLANATION, keys[place]))[:most]


def explain(
    module: nn.Module,
    random: nn.Module,
    arrays: PatientArrays,
    patients: Sequence[int],
    *,
    settings: Explaining,
    seed: int,
    told: Told,
) -> Explained:
    """Return the checks of some patients, by the first image of each.

    Parameters
    ----------
    random
        The same network with weights that nobody trained.
    """
    networks = [one.eval() for one in (module, random)]
    found = []
    with one_thread():
        for done, place in enumerate(patients):
            told(done, len(patients))
            image = arrays.images[arrays.images_of(place)[0]]
            order = np.random.default_rng([seed, place])
            found.append(_checks(networks[0], networks[1], image, settings.steps, order))
    return Explained.of(patients, np.array(found, dtype=np.float64))


def _checks(
    trained: nn.Module, random: nn.Module, image: Image, steps: int, order: np.random.Generator
) -> list[float]:
    """Return the checks of one image in the order of `SPANS`."""
    black = np.full_like(image, image.min())
    label = int(_outputs(trained, image[None])[0].argmax())
    ours = integrated_gradients(trained, image, black, label=label, steps=steps)
    theirs = integrated_gradients(random, image, black, label=label, steps=steps)
    ends = _outputs(trained, np.stack([image, black]))[:, label]
    gap = completeness_gaps(ours[None], ends[:1], ends[1:])
    strongest = np.argsort(-ours.sum(axis=0).ravel(), kind="stable")
    by_map = _deletion(trained, image, black, strongest, label)
    by_chance = _deletion(trained, image, black, order.permutation(strongest.size), label)
    return [float(gap[0]), *_likeness(ours, theirs), by_map, by_chance - by_map]


def integrated_gradients(
    module: nn.Module, image: Image, baseline: Image, *, label: int, steps: int
) -> NDArray[np.float64]:
    """Return the attributions to one class's probability, of the image's shape (C, ...).

    The gradient is averaged over the middles of `steps` equal parts of the straight path;
    network and image are of one precision.
    """
    total = np.zeros(image.shape)
    middles = ((np.arange(steps) + 0.5) / steps).astype(image.dtype)
    for start in range(0, steps, BATCH):
        part = middles[start : start + BATCH].reshape(-1, *[1] * image.ndim)
        points = torch.from_numpy(baseline + part * (image - baseline)).requires_grad_()
        score = module(points).softmax(1)[:, label].sum()
        (gradient,) = torch.autograd.grad(score, points)
        total += gradient.double().sum(0).numpy()
    attributions: NDArray[np.float64] = (image - baseline) * total / steps
    return attributions


def _likeness(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> tuple[float, float]:
    """Return Spearman's correlation and the SSIM of two maps; NaN where one is constant."""
    try:
        return rank_similarity(ours, theirs), structural_similarity(abs(ours), abs(theirs))
    except AllTiedError:
        return float("nan"), float("nan")


def _deletion(
    module: nn.Module, image: Image, black: Image, order: NDArray[np.int64], label: int
) -> float:
    """Return the area under one class's probability while pixels are blackened in an order."""
    images = np.stack(list(_blackened(image, black, order)))
    return deletion_area(_outputs(module, images)[:, label])


def _blackened(image: Image, black: Image, order: NDArray[np.int64]) -> Iterator[Image]:
    """Yield the image with none, then more and more, then all of its places black."""
    for part in range(DELETIONS + 1):
        gone = np.zeros(order.size, dtype=bool)
        gone[order[: round(part * order.size / DELETIONS)]] = True
        yield np.where(gone.reshape(image.shape[1:]), black, image)


def _outputs(module: nn.Module, images: Image) -> NDArray[np.float64]:
    """Return the probability of every class, shape (images, classes)."""
    starts = range(0, len(images), BATCH)
    with torch.inference_mode():
        parts = [
            module(torch.from_numpy(images[at : at + BATCH])).double().softmax(1) for at in starts
        ]
        found: NDArray[np.float64] = torch.cat(parts).numpy()
    return found
