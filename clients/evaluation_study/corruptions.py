"""Make images worse, on purpose and reproducibly: what the robustness figures (E9) rest on.

Severity 0 is the image as it is, bit for bit. Each image is changed by itself, by its own
spread of grey values, so that the same severity means the same for every scanner; noise
is drawn from the study's seed and the image's place.
"""

import zlib
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from federation.domain.evaluation_plan import SEVERITIES, Corruption

Image = NDArray[np.float32]
Change = Callable[[Image, int, np.random.Generator], Image]

_NOISE = (0.1, 0.2, 0.35, 0.5, 0.8)
_BLUR_PX = (0.5, 1.0, 1.5, 2.0, 3.0)
_CONTRAST = (0.85, 0.7, 0.55, 0.4, 0.25)
_ROTATION_DEG = (3.0, 6.0, 10.0, 15.0, 25.0)
_COARSER = (2, 3, 4, 6, 8)
_SHIFT = (0.15, 0.3, 0.5, 0.75, 1.0)


def corrupted(
    images: NDArray[np.float32], corruption: Corruption, severity: int, *, seed: int
) -> NDArray[np.float32]:
    """Return changed copies of images, float32 of the same shape (n, C, ...).

    Raises
    ------
    IndexError
        If the severity is not from 0 to 5.
    """
    if severity == 0:
        return images
    if not 1 <= severity <= SEVERITIES:
        raise IndexError(severity)
    change = _CHANGES[corruption]
    stream = zlib.crc32(corruption.value.encode())
    made = [
        change(image, severity - 1, np.random.default_rng([seed, stream, severity, place]))
        for place, image in enumerate(images)
    ]
    return np.stack(made).astype(np.float32)


def _noise(image: Image, at: int, rng: np.random.Generator) -> Image:
    drawn: Image = rng.standard_normal(image.shape, dtype=np.float32)
    return image + np.float32(_NOISE[at]) * _spread(image) * drawn


def _blur(image: Image, at: int, _: np.random.Generator) -> Image:
    sigma = (0.0, *([_BLUR_PX[at]] * (image.ndim - 1)))
    blurred: Image = ndimage.gaussian_filter(image, sigma)
    return blurred


def _contrast(image: Image, at: int, _: np.random.Generator) -> Image:
    middle = np.float32(image.mean(dtype=np.float64))
    flatter: Image = middle + np.float32(_CONTRAST[at]) * (image - middle)
    return flatter


def _rotation(image: Image, at: int, _: np.random.Generator) -> Image:
    turned: Image = ndimage.rotate(
        image, _ROTATION_DEG[at], axes=(-1, -2), reshape=False, order=1, mode="nearest"
    )
    return turned


def _down_sampling(image: Image, at: int, _: np.random.Generator) -> Image:
    """Keep every n-th pixel along each axis and repeat it."""
    places = tuple(np.arange(size) // _COARSER[at] * _COARSER[at] for size in image.shape[1:])
    coarse: Image = image[np.ix_(np.arange(len(image)), *places)]
    return coarse


def _window_shift(image: Image, at: int, _: np.random.Generator) -> Image:
    """Make everything brighter and cut off what the window no longer shows."""
    shifted: Image = np.minimum(image + _SHIFT[at] * _spread(image), image.max())
    return shifted


def _spread(image: Image) -> np.float32:
    return np.float32(image.std(dtype=np.float64))


_CHANGES: Mapping[Corruption, Change] = {
    Corruption.NOISE: _noise,
    Corruption.BLUR: _blur,
    Corruption.CONTRAST: _contrast,
    Corruption.ROTATION: _rotation,
    Corruption.DOWN_SAMPLING: _down_sampling,
    Corruption.WINDOW_SHIFT: _window_shift,
}
