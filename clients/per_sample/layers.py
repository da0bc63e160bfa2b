"""What one image contributes to the gradient of one layer's weights, layer by layer.

A rule computes its layer forward, keeps what the weight gradient needs, and
turns the gradient of the layer's output into one weight gradient an image, at
about the cost of the one summed gradient that plain training computes. Sums
over images never happen here, so what is cut later is what is added up.

A type that is not in `RULES`, a subclass of one that is, and a layer with
settings that a rule does not know have no rule: `rule_of` returns None.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

SMALL = 1 << 15
"""Patches of one image up to which one product beats one call an image (numbers; measured)."""

Kept = tuple[Tensor, ...]
"""What the backward pass needs of the forward pass; first the layer's input."""

Rows = dict[str, Tensor]
"""Gradients of a layer's own parameters by name, shape (n, *parameter)."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How one type of layer is computed and taken apart.

    Parameters
    ----------
    forward
        Layer and input, shape (n, ...), to output and what must be kept.
    rows
        Layer, what was kept, gradient of the output: one gradient an image.
    fits
        Whether a layer's settings are covered.
    """

    forward: Callable[[Any, Tensor], tuple[Tensor, Kept]]
    rows: Callable[[Any, Kept, Tensor], Rows]
    fits: Callable[[Any], bool] = lambda layer: True


def rule_of(layer: nn.Module) -> Rule | None:
    """Return the rule of a layer, None if there is none that certainly fits."""
    rule = RULES.get(type(layer))
    return rule if rule is not None and rule.fits(layer) else None


def _plain(layer: nn.Module, values: Tensor) -> tuple[Tensor, Kept]:
    output: Tensor = type(layer).forward(layer, values)
    return output, (values.detach(),)


def _linear_rows(layer: nn.Linear, kept: Kept, grads: Tensor) -> Rows:
    values = kept[0].flatten(1, -2) if kept[0].ndim > 2 else kept[0].unsqueeze(1)
    outer = grads.flatten(1, -2) if grads.ndim > 2 else grads.unsqueeze(1)
    rows = {"weight": torch.bmm(outer.transpose(1, 2), values)}
    if layer.bias is not None:
        rows["bias"] = outer.sum(1)
    return rows


def _convolution_rows(layer: nn.Module, kept: Kept, grads: Tensor) -> Rows:
    by = _each
    if isinstance(layer, _PLAIN_CONVOLUTIONS) and layer.groups == 1:
        if _is_pointwise(layer):
            by = _pointwise
        elif isinstance(layer, nn.Conv2d) and _unfolded_size(layer, grads) <= SMALL:
            by = _unfolded
    rows = {"weight": by(kept[0], grads, layer)}
    if layer.bias is not None:
        rows["bias"] = grads.flatten(2).sum(2)
    return rows


def _pointwise(values: Tensor, grads: Tensor, layer: Any) -> Tensor:
    """Return the gradients of a 1x1 convolution: a product over all places."""
    products = torch.bmm(grads.flatten(2), values.flatten(2).transpose(1, 2))
    return products.view(len(values), *layer.weight.shape)


def _unfolded(values: Tensor, grads: Tensor, layer: Any) -> Tensor:
    """Return the gradients of a 2-D convolution as one product, from its input's patches."""
    patches = functional.unfold(
        values, layer.kernel_size, layer.dilation, layer.padding, layer.stride
    )
    products = torch.bmm(grads.flatten(2), patches.transpose(1, 2))
    return products.view(len(values), *layer.weight.shape)


def _unfolded_size(layer: nn.Conv2d, grads: Tensor) -> int:
    """Return how many numbers the patches of one image are."""
    return layer.weight[0].numel() * grads[0, 0].numel()


def _each(values: Tensor, grads: Tensor, layer: Any) -> Tensor:
    """Return the gradients of any convolution, by the library's own rule for one image."""
    transposed = isinstance(layer, nn.modules.conv._ConvTransposeNd)
    settings = (layer.stride, layer.padding, layer.dilation, transposed, layer.output_padding)
    rows = torch.empty(len(values), *layer.weight.shape, dtype=grads.dtype)
    for place in range(len(values)):
        one = slice(place, place + 1)
        rows[place] = torch.ops.aten.convolution_backward(
            grads[one],
            values[one],
            layer.weight,
            None,
            *settings,
            layer.groups,
            [False, True, False],
        )[1]
    return rows


def _is_pointwise(layer: Any) -> bool:
    ones = (1,) * len(layer.kernel_size)
    flat = layer.kernel_size == layer.stride == ones and not any(layer.padding)
    return bool(flat)


def _has_plain_padding(layer: Any) -> bool:
    return layer.padding_mode == "zeros" and not isinstance(layer.padding, str)


def _group_norm(layer: Any, values: Tensor) -> tuple[Tensor, Kept]:
    """Return the norm and its means and inverse spreads, shape (n, groups), which torch hides.

    An instance norm without running statistics is a group norm of single channels.
    """
    n, channels = values.shape[:2]
    groups = layer.num_groups if isinstance(layer, nn.GroupNorm) else channels
    settled = values.contiguous()
    output, means, scales = torch.native_group_norm(
        settled,
        layer.weight,
        layer.bias,
        n,
        channels,
        settled[0, 0].numel(),
        groups,
        layer.eps,
    )
    return output, (settled.detach(), means.detach(), scales.detach())


def _group_norm_rows(layer: Any, kept: Kept, grads: Tensor) -> Rows:
    values, means, scales = kept
    each = values.shape[1] // means.shape[1]
    flat = grads.flatten(2)
    shifts = flat.sum(2)
    products = (flat * values.flatten(2)).sum(2)
    means, scales = (s.repeat_interleave(each, dim=1) for s in (means, scales))
    return {"weight": (products - shifts * means) * scales, "bias": shifts}


def _is_simple_instance_norm(layer: Any) -> bool:
    return bool(layer.affine and not layer.track_running_stats)


def _layer_norm(layer: nn.LayerNorm, values: Tensor) -> tuple[Tensor, Kept]:
    output, means, scales = torch.native_layer_norm(
        values, layer.normalized_shape, layer.weight, layer.bias, layer.eps
    )
    return output, (values.detach(), means.detach(), scales.detach())


def _layer_norm_rows(layer: nn.LayerNorm, kept: Kept, grads: Tensor) -> Rows:
    values, means, scales = kept
    between = tuple(range(1, grads.ndim - len(layer.normalized_shape)))
    products = grads * ((values - means) * scales)
    rows = {"weight": products.sum(between) if between else products}
    if layer.bias is not None:
        rows["bias"] = grads.sum(between) if between else grads
    return rows


def _prelu_rows(layer: nn.PReLU, kept: Kept, grads: Tensor) -> Rows:
    products = (grads * kept[0].clamp(max=0)).flatten(2).sum(2)
    return {"weight": products if layer.num_parameters > 1 else products.sum(1, keepdim=True)}


_PLAIN_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_CONVOLUTION = Rule(_plain, _convolution_rows, _has_plain_padding)
_INSTANCE_NORM = Rule(_group_norm, _group_norm_rows, _is_simple_instance_norm)

RULES: Mapping[type[nn.Module], Rule] = {
    nn.Linear: Rule(_plain, _linear_rows),
    nn.Conv1d: _CONVOLUTION,
    nn.Conv2d: _CONVOLUTION,
    nn.Conv3d: _CONVOLUTION,
    nn.ConvTranspose1d: _CONVOLUTION,
    nn.ConvTranspose2d: _CONVOLUTION,
    nn.ConvTranspose3d: _CONVOLUTION,
    nn.GroupNorm: Rule(_group_norm, _group_norm_rows, lambda layer: layer.affine),
    nn.InstanceNorm1d: _INSTANCE_NORM,
    nn.InstanceNorm2d: _INSTANCE_NORM,
    nn.InstanceNorm3d: _INSTANCE_NORM,
    nn.LayerNorm: Rule(_layer_norm, _layer_norm_rows, lambda layer: layer.elementwise_affine),
    nn.PReLU: Rule(_plain, _prelu_rows),
}
"""Every type of layer that has a rule; exact types, because a subclass may compute otherwise."""
