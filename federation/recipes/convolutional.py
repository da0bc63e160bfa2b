"""Build the networks that recipes name.

Every network here can be trained patient by patient: GroupNorm or InstanceNorm
without running statistics, nothing in place, no buffer. The source of this file
is part of every recipe's digest, so a changed layer is another recipe.

Imports torch (and MONAI where a builder needs it): import this module lazily.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from federation.domain.recipe import Recipe
from federation.errors.study import NetworkNotBuiltError, UnknownNetworkError

GROUPS = 8
BAND_GAIN = 3.0
"""Brings local contrast to about the size of local brightness (z-scored images)."""


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


def without_inplace(module: nn.Module) -> nn.Module:
    """Return the module with every in-place activation made an ordinary one.

    In-place layers overwrite what per-patient gradients still need.
    """
    for layer in module.modules():
        if getattr(layer, "inplace", False):
            layer.inplace = False  # type: ignore[assignment]
    return module


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside an identity, norm and activation first (He et al. 2016b)."""

    def __init__(self, channels_in: int, channels_out: int, *, stride: int) -> None:
        super().__init__()
        self.before = _norm_and_activation(channels_in)
        self.first = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)
        self.between = _norm_and_activation(channels_out)
        self.second = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        changes = stride > 1 or channels_in != channels_out
        self.shortcut = (
            nn.Conv2d(channels_in, channels_out, 1, stride, bias=False) if changes else None
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return features of shape (n, channels_out, H/stride, W/stride)."""
        ready = self.before(images)
        skipped = images if self.shortcut is None else self.shortcut(ready)
        added: Tensor = skipped + self.second(self.between(self.first(ready)))
        return added


class ResidualNetwork(nn.Module):
    """A ResNet-18-like classifier with GroupNorm; `widths` are the channels of its stages."""

    def __init__(
        self,
        *,
        channels: int,
        classes: int,
        widths: Sequence[int],
        blocks_per_stage: int,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.Conv2d(channels, widths[0], 7, stride=2, padding=3, bias=False),
            nn.MaxPool2d(3, stride=2, padding=1),
        ]
        width = widths[0]
        for stage, next_width in enumerate(widths):
            for place in range(blocks_per_stage):
                stride = 2 if stage > 0 and place == 0 else 1
                layers.append(ResidualBlock(width, next_width, stride=stride))
                width = next_width
        self.body = nn.Sequential(*layers)
        self.after = _norm_and_activation(width)
        self.head = nn.Linear(width, classes)
        _initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits of shape (n, classes) for images of shape (n, C, H, W)."""
        features = self.after(self.body(images)).mean(dim=(2, 3))
        logits: Tensor = self.head(features)
        return logits


class FilterBank(nn.Module):
    """Fixed features of an image: local brightness and local contrast at a few scales.

    Nothing here is learnt and nothing depends on data, so it costs no privacy;
    with few patients, private training on such features beats a convolutional
    network trained from nothing (Tramer & Boneh 2021). A blur is two products
    with a matrix made from its scale; the matrices are constants, not buffers.

    Parameters
    ----------
    sides
        Height and width of the images.
    scales
        Standard deviations in pixels; contrast at s is the blur by s minus the
        blur by 2 s, without its sign.
    grid
        Features are means over a grid of so many fields a side.
    """

    def __init__(self, *, sides: tuple[int, int], scales: Sequence[int], grid: int) -> None:
        super().__init__()
        self._pairs = tuple((scale, 2 * scale) for scale in scales)
        self._blurs = {
            scale: (_blur_matrix(sides[0], scale), _blur_matrix(sides[1], scale).T)
            for scale in sorted({scale for pair in self._pairs for scale in pair})
        }
        self._grid = grid

    def forward(self, images: Tensor) -> Tensor:
        """Return features of shape (n, (1 + scales) * grid^2) for images (n, 1, H, W)."""
        blurred = {scale: rows @ images @ cols for scale, (rows, cols) in self._blurs.items()}
        contrasts = [
            BAND_GAIN * (blurred[fine] - blurred[coarse]).abs() for fine, coarse in self._pairs
        ]
        bands = torch.cat([images, *contrasts], dim=1)
        return functional.adaptive_avg_pool2d(bands, self._grid).flatten(1)


class FilterBankClassifier(nn.Module):
    """One learnt linear layer on a `FilterBank`; it starts at zero, so at "do not know"."""

    def __init__(
        self, *, sides: tuple[int, int], scales: Sequence[int], grid: int, classes: int
    ) -> None:
        super().__init__()
        self.features = FilterBank(sides=sides, scales=scales, grid=grid)
        self.head = nn.Linear((1 + len(scales)) * grid * grid, classes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits of shape (n, classes) for images of shape (n, 1, H, W)."""
        logits: Tensor = self.head(self.features(images))
        return logits


def _blur_matrix(side: int, scale: int) -> Tensor:
    """Return the (side, side) matrix of a Gaussian blur that repeats the edge."""
    reach = 3 * scale
    offsets = torch.arange(-reach, reach + 1)
    weights = torch.exp(-(offsets.float() ** 2) / (2 * scale**2))
    weights = weights / weights.sum()
    matrix = torch.zeros(side, side)
    for row in range(side):
        matrix[row].index_add_(0, (row + offsets).clamp(0, side - 1), weights)
    return matrix


def _filter_bank_2d(recipe: Recipe, args: Mapping[str, object]) -> nn.Module:
    return FilterBankClassifier(
        sides=(recipe.input_shape[1], recipe.input_shape[2]),
        scales=_whole_numbers(args["scales"]),
        grid=_whole_number(args["grid"]),
        classes=recipe.classes,
    )


def _classifier_2d(recipe: Recipe, args: Mapping[str, object]) -> nn.Module:
    from monai.networks.nets import Classifier

    widths = _whole_numbers(args["widths"])
    network: nn.Module = Classifier(
        in_shape=recipe.input_shape,
        classes=recipe.classes,
        channels=widths,
        strides=(2,) * len(widths),
        num_res_units=0,
        act="RELU",
        norm=("group", {"num_groups": 4}),
        bias=False,
    )
    return network


def _residual_2d(recipe: Recipe, args: Mapping[str, object]) -> nn.Module:
    return ResidualNetwork(
        channels=recipe.input_shape[0],
        classes=recipe.classes,
        widths=_whole_numbers(args["widths"]),
        blocks_per_stage=_whole_number(args["blocks_per_stage"]),
    )


def _unet_3d(recipe: Recipe, args: Mapping[str, object]) -> nn.Module:
    from monai.networks.nets import UNet

    widths = _whole_numbers(args["widths"])
    network: nn.Module = UNet(
        spatial_dims=3,
        in_channels=recipe.input_shape[0],
        out_channels=recipe.classes,
        channels=widths,
        strides=(2,) * (len(widths) - 1),
        num_res_units=_whole_number(args["residual_units"]),
        norm=("instance", {"affine": True, "track_running_stats": False}),
        act=("leakyrelu", {"inplace": False, "negative_slope": 0.01}),
    )
    return network


BUILDERS: Mapping[str, Callable[[Recipe, Mapping[str, object]], nn.Module]] = {
    "classifier-2d": _classifier_2d,
    "filter-bank-2d": _filter_bank_2d,
    "residual-2d": _residual_2d,
    "unet-3d": _unet_3d,
}
"""Every network a recipe may name."""


def _norm_and_activation(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.GroupNorm(min(GROUPS, channels // 4), channels), nn.ReLU())


def _initialise(module: nn.Module) -> None:
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")


def _whole_number(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError("not a whole number")
    return value


def _whole_numbers(value: object) -> tuple[int, ...]:
    if not isinstance(value, list | tuple):
        raise TypeError("not a list")
    return tuple(_whole_number(item) for item in value)
