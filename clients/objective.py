"""What training makes small: one loss for every image, never one for a batch.

A loss of the batch would mix patients before they can be clipped, so both
trainers start from a loss for each image.
"""

import torch
from torch import Tensor
from torch.nn import functional

DICE_SMOOTHING = 1e-5


def losses(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the loss of every image, shape (n,).

    Parameters
    ----------
    outputs
        Logits, shape (n, classes) or (n, classes, *space).
    targets
        int64 classes, shape (n,), for cross-entropy; or mask values, shape
        (n, *space), for cross-entropy plus soft Dice.
    """
    if targets.ndim == 1:
        return functional.cross_entropy(outputs.float(), targets, reduction="none")
    logits = outputs.float()
    by_voxel = functional.cross_entropy(logits, targets, reduction="none")
    return by_voxel.flatten(1).mean(1) + _soft_dice_losses(logits, targets)


def _soft_dice_losses(logits: Tensor, targets: Tensor) -> Tensor:
    """Return 1 - mean soft Dice over the foreground (Milletari et al. 2016), shape (n,)."""
    predicted = logits.softmax(dim=1)[:, 1:].flatten(2)
    labels = torch.arange(1, logits.shape[1], device=targets.device)
    # a comparison, because one_hot looks at values and cannot run under vmap
    truth = (targets.flatten(1)[:, None] == labels[:, None]).to(logits.dtype)
    shared = (predicted * truth).sum(2)
    sizes = predicted.square().sum(2) + truth.sum(2)
    dice = (2 * shared + DICE_SMOOTHING) / (sizes + DICE_SMOOTHING)
    return 1 - dice.mean(1)
