"""Build the network that a recipe names.

Every network can be trained patient by patient: GroupNorm or InstanceNorm
without running statistics, nothing in place, no buffer. The file that a network
is built in is part of the digest of its recipes (`SOURCES` in `catalogue.py`),
so a changed layer is another recipe, and a new kind of network leaves the
digests that hospitals have approved as they were.

Imports torch (and MONAI where a builder needs it): import this module lazily.
"""

from collections.abc import Callable, Mapping

import torch
from torch import nn

from federation.domain.recipe import Recipe
from federation.errors.study import NetworkNotBuiltError, UnknownNetworkError
from federation.recipes import convolutional, oriented
from federation.recipes.convolutional import without_inplace

__all__ = ["BUILDERS", "build", "without_inplace"]

BUILDERS: Mapping[str, Callable[[Recipe, Mapping[str, object]], nn.Module]] = {
    **convolutional.BUILDERS,
    **oriented.BUILDERS,
}
"""Every network a recipe may name."""


def build(recipe: Recipe, *, seed: int) -> nn.Module:
    """Return the recipe's network with weights drawn from `seed`.

    The same recipe and seed give the same weights on every machine with the
    same torch version; the global generator of torch is left as it was.

    Raises
    ------
    UnknownNetworkError
        If the recipe names a builder that is not in this version.
    NetworkNotBuiltError
        If the builder refuses the recipe's arguments.
    """
    builder = BUILDERS.get(recipe.network)
    if builder is None:
        raise UnknownNetworkError(name=recipe.network, known=", ".join(sorted(BUILDERS)))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            module = builder(recipe, dict(recipe.network_args))
        except (TypeError, ValueError, KeyError) as error:
            raise NetworkNotBuiltError(
                network=recipe.network, recipe=recipe.name, why=type(error).__name__
            ) from error
    return without_inplace(module)
