"""Random changes to training images, by name, as recipes ask for them.

Each image is changed on its own: nothing here looks at two images, so under
private training it needs no event of its own.
"""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from federation.errors.privacy import InvalidTrainingPlanError

TURN = math.pi / 18
ZOOM = 0.15
SHIFT = 0.1
CONTRAST = 0.2
BRIGHTNESS = 0.2


def augment(images: Tensor, name: str, generator: torch.Generator) -> Tensor:
    """Return changed copies of images, shape (n, C, H, W).

    Raises
    ------
    InvalidTrainingPlanError
        If there is no augmentation of that name.
    """
    change = AUGMENTATIONS.get(name)
    if change is None:
        raise InvalidTrainingPlanError(
            field="augmentation", actual=repr(name), expected=", ".join(AUGMENTATIONS)
        )
    return change(images, generator)


def _unchanged(images: Tensor, generator: torch.Generator) -> Tensor:
    return images


def _chest(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror half of them; turn by 10 degrees, zoom 15 %, shift 5 %; contrast, brightness."""

    def spread(*shape: int) -> Tensor:
        return 2 * torch.rand(shape, generator=generator) - 1

    n = len(images)
    if n == 0:
        return images
    mirror = torch.where(spread(n) < 0, -1.0, 1.0)
    turn, zoom = TURN * spread(n), 1 + ZOOM * spread(n)
    grid = torch.zeros(n, 2, 3)
    grid[:, 0, 0] = zoom * torch.cos(turn) * mirror
    grid[:, 0, 1] = -zoom * torch.sin(turn)
    grid[:, 1, 0] = zoom * torch.sin(turn) * mirror
    grid[:, 1, 1] = zoom * torch.cos(turn)
    grid[:, :, 2] = SHIFT * spread(n, 2)
    places = functional.affine_grid(grid, list(images.shape), align_corners=False)
    moved = functional.grid_sample(
        images, places, mode="bilinear", padding_mode="border", align_corners=False
    )
    return moved * (1 + CONTRAST * spread(n, 1, 1, 1)) + BRIGHTNESS * spread(n, 1, 1, 1)


AUGMENTATIONS: Mapping[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "none": _unchanged,
    "chest": _chest,
}
