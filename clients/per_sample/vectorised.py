"""Gradients of single images for any network that `torch.func.vmap` can run.

The general method: about twice the time of plain training, and right for
weights that are shared between layers or used outside their own layer.
"""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap

from clients.objective import losses


class VectorisedGradients:
    """One gradient an image, by vectorising the gradient of one image, `block` at a time."""

    def __init__(self, module: nn.Module, *, block: int) -> None:
        self.block = block
        self._module = module
        self._each = vmap(grad_and_value(self._loss), in_dims=(None, 0, 0), randomness="different")

    def __call__(self, images: Tensor, targets: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return rows, one (n, numbers) a parameter, and losses, shape (n,)."""
        weights = {name: p.detach() for name, p in self._module.named_parameters()}
        gradients, values = self._each(weights, images, targets)
        return [gradients[name].flatten(1) for name in weights], values

    def _loss(self, weights: Mapping[str, Tensor], image: Tensor, target: Tensor) -> Tensor:
        outputs = functional_call(self._module, dict(weights), (image.unsqueeze(0),))
        return losses(outputs, target.unsqueeze(0))[0]
