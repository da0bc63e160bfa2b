"""Choose how the gradient of every single image is computed, and prove the choice.

The layerwise method is faster and smaller, but a rule sees one layer: a weight
used twice, or used by a module that does not own it, would silently lose part
of its gradient. So before it is used it must agree with autograd, image by
image, on a copy of the network with random weights and on random images.
Neither the weights nor the data have a say, only the architecture: which
method runs, and how long it takes, tells nothing about a patient.
"""

import copy
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from clients.objective import losses
from clients.per_sample.layerwise import LayerwiseGradients, NotCoveredError
from clients.per_sample.vectorised import VectorisedGradients

MOST_IMAGES = 16
BLOCK_BYTES = 300 << 20
"""Bounds of a block: images, and bytes of their gradients and of what layers keep of them."""

TOLERANCE = 1e-3
"""Largest difference from autograd, relative to the gradient's norm; a lost part is near 1."""

_TRIED = 2


class Gradients(Protocol):
    """Gives the gradient of every image of a block."""

    block: int

    def __call__(self, images: Tensor, targets: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return rows, one (n, numbers) a parameter in the module's order, and losses (n,)."""
        ...


def gradients_of(module: nn.Module, *, image: Sequence[int], target: Sequence[int]) -> Gradients:
    """Return the fastest method that is right for this network.

    Parameters
    ----------
    module
        The network; it is not changed.
    image, target
        Shapes of one image (C, ...) and of one target, () for a class.
    """
    size_bytes = sum(p.nbytes for p in module.parameters())
    try:
        kept_bytes = _agrees_on_a_copy(module, tuple(image), tuple(target))
        return LayerwiseGradients(module, block=_block(size_bytes + kept_bytes))
    except (NotCoveredError, RuntimeError):
        # a network that does not run at all says why in the general method
        return VectorisedGradients(module, block=_block(size_bytes))


def _block(image_bytes: int) -> int:
    """Return how many images fit at once when one needs so much memory."""
    return max(1, min(MOST_IMAGES, BLOCK_BYTES // max(1, image_bytes)))


def _agrees_on_a_copy(module: nn.Module, image: tuple[int, ...], target: tuple[int, ...]) -> int:
    """Return the bytes kept for one image.

    Raises
    ------
    NotCoveredError
        If the layerwise method gives another gradient than autograd.
    """
    generator = torch.Generator().manual_seed(0)
    other = copy.deepcopy(module)
    _redraw(other, generator)
    method = LayerwiseGradients(other, block=1)
    for _ in range(_TRIED):
        image_ = torch.randn(1, *image, generator=generator)
        target_ = torch.zeros(1, *target, dtype=torch.int64)
        rows, _ = method(image_, target_)
        other.zero_grad()
        losses(other(image_), target_).sum().backward()  # type: ignore[no-untyped-call]
        if not _same(rows, [p.grad for p in other.parameters()]):
            raise NotCoveredError
    return method.kept_bytes


def _same(actual: list[Tensor], expected: list[Tensor | None]) -> bool:
    """Return whether two gradients are the same but for rounding; NaN is not the same."""
    difference, size = 0.0, 0.0
    for row, grad in zip(actual, expected, strict=True):
        wanted = torch.zeros_like(row) if grad is None else grad.view_as(row)
        difference += float((row - wanted).square().sum())
        size += float(wanted.square().sum())
    return difference <= TOLERANCE**2 * size


def _redraw(module: nn.Module, generator: torch.Generator) -> None:
    """Draw every weight anew, so that no gradient is zero because a weight is."""
    with torch.no_grad():
        for parameter in module.parameters():
            fan = max(1, parameter[0].numel()) if parameter.ndim > 1 else 1
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / fan**0.5)
