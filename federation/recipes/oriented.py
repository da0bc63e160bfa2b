"""Fixed features of edges and textures, and one learnt layer: for strong privacy, few patients.

From-scratch private training of a convolutional network on a few hundred
patients drowns in noise; handcrafted features with a linear head do not (Tramer
& Boneh 2021). Private noise on a linear head hurts in proportion to a feature
vector's length, whatever its number of entries, so the features spend no length
on what all chest X-rays share: docs/decisions/0011-oriented-bands.md.

Nothing here depends on data beyond the one image: no statistic, no constant
fitted to patients, so the features cost no privacy. Imports torch.
"""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from federation.domain.recipe import Recipe

FINEST_FREQUENCY = 3 * math.pi / 4
FINEST_SPREAD = 0.8
"""Centre frequency (radians a pixel) and spatial spread (pixels) of the finest filter."""

FLOOR = 1e-2
"""Smallest mean magnitude told from zero, for z-scored images."""

COARSER = 2 ** (1 / 3)
"""How much more a band weighs than the next finer one: coarse ones vary less by chance."""

BORDER = 0.5
"""What the outermost places weigh: collimator edges, arms and letters are there, lungs are not."""

LENGTH = 2.4
"""Length of every feature vector: half of an image's gradients are then near clip norm 1."""

PADDING = 16


class OrientedBands(nn.Module):
    """The logarithm of oriented edge energy at a few scales, on a coarse grid, without its mean.

    1. Magnitudes of Morlet filters (as order one of a scattering transform,
       Bruna & Mallat 2013), one octave between scales, means over a grid.
    2. Logarithm: exposure and contrast become sums.
    3. Mean of the image and its mirror image, because either lung may be ill.
    4. Without each band's mean over all places, then without each place's mean
       over all bands: what is left is where which direction and scale prevails.
    5. Weighted by `COARSER` and `BORDER`.
    6. Scaled to `LENGTH`, so that no patient weighs more than another.

    Parameters
    ----------
    side
        Height and width of the images in pixels.
    scales, orientations, grid
        Bands are `scales` times `orientations`; places are `grid` squared.

    Raises
    ------
    ValueError
        If images are too small for the padding.
    """

    def __init__(self, *, side: int, scales: int, orientations: int, grid: int) -> None:
        super().__init__()
        if side <= PADDING or min(scales, orientations, grid) < 1:
            raise ValueError("too small")
        self._banks = [_morlets(side + 2 * PADDING, scale, orientations) for scale in range(scales)]
        mirrored = [-turn % orientations for turn in range(orientations)]
        self._mirrored = [
            scale * orientations + turn for scale in range(scales) for turn in mirrored
        ]
        self._grid = grid
        self._weights = _weights(scales, orientations, grid)

    def forward(self, images: Tensor) -> Tensor:
        """Return features, shape (n, bands * grid^2), for z-scored images (n, 1, side, side)."""
        padded = functional.pad(images, (PADDING,) * 4, mode="reflect")
        spectra = torch.fft.fft2(padded)
        energy = torch.cat([self._energy(spectra, bank) for bank in self._banks], dim=1)
        even = (energy + energy[:, self._mirrored].flip(3)) / 2
        centred = even - even.mean((2, 3), keepdim=True)
        centred = centred - centred.mean(1, keepdim=True)
        weighted = (centred * self._weights).flatten(1)
        features: Tensor = LENGTH * functional.normalize(weighted, eps=1e-6)
        return features

    def _energy(self, spectra: Tensor, bank: Tensor) -> Tensor:
        """Return log energies of one scale, (n, orientations, grid, grid), from (n, 1, S, S)."""
        waves = torch.fft.ifft2(spectra * bank)
        inside = waves.abs()[..., PADDING:-PADDING, PADDING:-PADDING]
        return (functional.adaptive_avg_pool2d(inside, self._grid) + FLOOR).log()


class FixedThenLearnt(nn.Module):
    """A network of two parts, the first without weights: a trainer may compute it once an image."""

    features: nn.Module
    head: nn.Module

    def forward(self, images: Tensor) -> Tensor:
        """Return what the learnt part makes of the fixed part's features."""
        outputs: Tensor = self.head(self.features(images))
        return outputs


class OrientedBandsClassifier(FixedThenLearnt):
    """One learnt linear layer on `OrientedBands`; it starts at zero, so at "do not know".

    Logits have shape (n, classes) for images of shape (n, 1, side, side). There
    is no bias: its gradient would be as long as that of all features together.
    """

    def __init__(
        self, *, side: int, scales: int, orientations: int, grid: int, classes: int
    ) -> None:
        super().__init__()
        self.features = OrientedBands(
            side=side, scales=scales, orientations=orientations, grid=grid
        )
        self.head = nn.Linear(scales * orientations * grid**2, classes, bias=False)
        nn.init.zeros_(self.head.weight)


def _morlets(side: int, scale: int, orientations: int) -> Tensor:
    """Return one scale's Morlet filters as real spectra, shape (orientations, side, side)."""
    line = 2 * math.pi * torch.fft.fftfreq(side)
    down, across = torch.meshgrid(line, line, indexing="ij")
    slant = 4 / orientations
    spread, centre = FINEST_SPREAD * 2**scale, FINEST_FREQUENCY / 2**scale
    filters = []
    for turn in range(orientations):
        angle = math.pi * turn / orientations
        along = across * math.cos(angle) + down * math.sin(angle)
        aside = (down * math.cos(angle) - across * math.sin(angle)) / slant
        wave = torch.exp(-(spread**2) / 2 * ((along - centre) ** 2 + aside**2))
        mean = torch.exp(-(spread**2) / 2 * (along**2 + aside**2))
        # a flat image has no edge: nothing passes at frequency 0
        filters.append(wave - wave[0, 0] / mean[0, 0] * mean)
    return torch.stack(filters)


def _weights(scales: int, orientations: int, grid: int) -> Tensor:
    """Return the weight of every band and place, shape (bands, grid, grid)."""
    line = torch.ones(grid)
    line[[0, -1]] = BORDER
    places = torch.minimum(line[:, None], line[None])
    bands = (COARSER ** torch.arange(scales)).repeat_interleave(orientations)
    return bands[:, None, None] * places


def _oriented_bands_2d(recipe: Recipe, args: Mapping[str, object]) -> nn.Module:
    channels, height, width = recipe.input_shape
    if (channels, height) != (1, width):
        raise ValueError("not one square channel")
    return OrientedBandsClassifier(
        side=height,
        scales=_whole_number(args["scales"]),
        orientations=_whole_number(args["orientations"]),
        grid=_whole_number(args["grid"]),
        classes=recipe.classes,
    )


def _whole_number(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError("not a whole number")
    return value


BUILDERS: Mapping[str, Callable[[Recipe, Mapping[str, object]], nn.Module]] = {
    "oriented-bands-2d": _oriented_bands_2d,
}
