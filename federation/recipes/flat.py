"""Turn a network into one flat array and back.

Only parameters travel. A network with buffers is refused here already: a
running statistic carries data of patients past every clip and every noise.

Imports torch: import this module lazily.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from federation.domain.update import TensorSlot, UpdateManifest
from federation.errors.study import ModelDoesNotFitError, NetworkHasBuffersError

FlatModel = NDArray[np.float32]


def manifest_of(module: nn.Module) -> UpdateManifest:
    """Return the names and shapes of the parameters, in the order of `flatten`.

    Raises
    ------
    NetworkHasBuffersError
        If the network keeps anything besides parameters.
    """
    buffers = [name for name, _ in module.named_buffers()]
    if buffers:
        raise NetworkHasBuffersError(count=len(buffers), first=buffers[0])
    return UpdateManifest(
        tuple(TensorSlot(name, tuple(p.shape)) for name, p in module.named_parameters())
    )


def flatten(module: nn.Module) -> FlatModel:
    """Return a copy of all parameters as one float32 array, shape (parameters,)."""
    parts = [p.detach().reshape(-1).to(torch.float32) for p in module.parameters()]
    return np.asarray(torch.cat(parts).numpy().copy(), dtype=np.float32)


def load_flat(module: nn.Module, model: FlatModel) -> None:
    """Copy a flat array into the network's parameters.

    Raises
    ------
    ModelDoesNotFitError
        If it has another length or type than the network, or a number that is
        not finite; the network is then unchanged.
    """
    size = sum(p.numel() for p in module.parameters())
    if model.dtype != np.float32 or model.shape != (size,):
        raise ModelDoesNotFitError(
            actual=f"{model.dtype} {list(model.shape)}", expected=f"float32 [{size}]"
        )
    if not np.isfinite(model).all():
        raise ModelDoesNotFitError(actual="numbers that are not finite", expected="finite numbers")
    start = 0
    with torch.no_grad():
        for parameter in module.parameters():
            stop = start + parameter.numel()
            part = torch.from_numpy(model[start:stop].copy())
            parameter.copy_(part.view_as(parameter))
            start = stop
