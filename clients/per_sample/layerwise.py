"""Gradients of single images from one forward and one backward pass.

Plain training throws the single gradients away when it sums them; here every
layer with weights keeps its input, and when the gradient of its output arrives
its rule (`layers.py`) makes one weight gradient an image from both. Autograd
itself computes no weight gradient at all. This is the book-keeping of Bu et al.
2022 ("Differentially Private Optimization on Large Model at Small Cost") with
single gradients made, not only their norms: a norm from Gram matrices is
another float result than the sum it should bound, and a crafted model could
drive the two apart. `method.py` says when this method may be used.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from clients.objective import losses
from clients.per_sample.layers import Kept, Rule, rule_of


class NotCoveredError(Exception):
    """This network needs the general method; caught in `method.py`, no person sees it."""


class LayerwiseGradients:
    """One gradient an image, made where the weights are.

    Parameters
    ----------
    module
        Its own weights are used and left as they are.
    block
        Most images in one call, so that memory does not grow with the batch.

    Attributes
    ----------
    kept_bytes
        How much the last call kept of its layers' inputs.

    Raises
    ------
    NotCoveredError
        If a weight belongs to a layer without a rule, or to more than one.
    """

    def __init__(self, module: nn.Module, *, block: int) -> None:
        self.block = block
        self._module = module
        self._layers = _layers_of(module)
        self._rows: dict[tuple[nn.Module, str], Tensor] = {}
        self._called: set[nn.Module] = set()
        self.kept_bytes = 0

    def __call__(self, images: Tensor, targets: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return rows, one (n, numbers) a parameter, and losses, shape (n,).

        Raises
        ------
        NotCoveredError
            If a layer ran more than once.
        """
        self._rows.clear()
        self._called.clear()
        self.kept_bytes = 0
        with self._tapped():
            each = losses(self._module(images), targets)
            if each.requires_grad:
                each.sum().backward()  # type: ignore[no-untyped-call]
        rows = [self._row(layer, name, len(images)) for layer, name in self._owners()]
        self._rows.clear()
        return rows, each.detach()

    def _owners(self) -> Iterator[tuple[nn.Module, str]]:
        for layer in self._module.modules():
            for name, _ in layer.named_parameters(recurse=False):
                yield layer, name

    def _row(self, layer: nn.Module, name: str, n: int) -> Tensor:
        row = self._rows.pop((layer, name), None)
        if row is None:
            return torch.zeros(n, layer.get_parameter(name).numel())
        return row.flatten(1)

    @contextmanager
    def _tapped(self) -> Iterator[None]:
        """Compute the layers by their rules and let autograd leave the weights alone."""
        learnt = [p for p in self._module.parameters() if p.requires_grad]
        for parameter in learnt:
            parameter.requires_grad_(False)
        for layer, rule in self._layers.items():
            layer.forward = self._tap(layer, rule)
        try:
            yield
        finally:
            for layer in self._layers:
                del layer.forward
            for parameter in learnt:
                parameter.requires_grad_(True)

    def _tap(self, layer: nn.Module, rule: Rule) -> Callable[[Tensor], Tensor]:
        def forward(values: Tensor) -> Tensor:
            if layer in self._called:
                raise NotCoveredError
            self._called.add(layer)
            output, kept = rule.forward(layer, values)
            if not output.requires_grad:
                output.requires_grad_()
            self.kept_bytes += sum(part.nbytes for part in kept)
            waiting: list[Kept] = [kept]

            def take(grads: Tensor) -> None:
                # popped, so that an input is gone as soon as its layer is done
                for name, row in rule.rows(layer, waiting.pop(), grads).items():
                    self._rows[layer, name] = row

            output.register_hook(take)  # type: ignore[no-untyped-call]
            return output

        return forward


def _layers_of(module: nn.Module) -> dict[nn.Module, Rule]:
    layers: dict[nn.Module, Rule] = {}
    seen: set[int] = set()
    for layer in module.modules():
        own = list(layer.parameters(recurse=False))
        if not own:
            continue
        rule = rule_of(layer)
        if rule is None or any(id(p) in seen for p in own) or len({id(p) for p in own}) != len(own):
            raise NotCoveredError
        seen.update(id(p) for p in own)
        layers[layer] = rule
    return layers
