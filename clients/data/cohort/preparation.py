"""Prepare one image for a network: the same bytes for the same file, whenever and wherever.

Every step is a plain callable from array to array, so the pipelines go into
``monai.transforms.Compose`` as they are (`picture_steps`, `volume_steps`). Each
image is prepared by itself: no statistic crosses patients, so nothing here costs
privacy. Nothing is drawn at random; augmentation is the trainer's. Imports torch.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from clients.data.dicom.elements import Part10
from clients.data.dicom.pixels import grey
from federation.errors.data import VolumeGapError

CLIP_PERCENTILES = (0.5, 99.5)
POSITION, ORIENTATION = 0x00200032, 0x00200037

Floats = NDArray[np.float32]
Masks = NDArray[np.uint8]
Step = Callable[[Floats], Floats]


def picture_steps(shape: tuple[int, ...]) -> list[Step]:
    """Return the steps from (frames, rows, columns) to one image of `shape` (C, H, W).

    The middle frame; grey values clipped to the image's own percentiles; padded to
    a square with its darkest value; resized with an antialiasing filter; z-scored;
    repeated over the channels.
    """

    def resize(square: Floats) -> Floats:
        small = functional.interpolate(
            torch.from_numpy(square)[None, None],
            size=shape[1:],
            mode="bilinear",
            antialias=True,
            align_corners=False,
        )
        return np.asarray(small[0].numpy(), dtype=np.float32)

    return [middle_frame, clip_to_percentiles, pad_to_square, resize, standard, _repeat(shape)]


def volume_steps(shape: tuple[int, ...]) -> list[Step]:
    """Return the steps from (D, H, W) to a volume of `shape` (C, D, H, W): area mean, z-scored."""

    def resize(voxels: Floats) -> Floats:
        tensor = torch.from_numpy(voxels)[None, None]
        small = functional.interpolate(tensor, size=shape[1:], mode="area")
        return np.asarray(small[0].numpy(), dtype=np.float32)

    return [clip_to_percentiles, resize, standard, _repeat(shape)]


def picture(frames: Floats, shape: tuple[int, ...]) -> Floats:
    """Return one image of `shape` (C, H, W) from (frames, rows, columns)."""
    return _through(picture_steps(shape), frames)


def volume(voxels: Floats, shape: tuple[int, ...]) -> Floats:
    """Return a volume of `shape` (C, D, H, W) from (D, H, W)."""
    return _through(volume_steps(shape), voxels)


def mask_volume(mask: Masks, shape: tuple[int, ...]) -> Masks:
    """Return a mask of `shape` (D, H, W): the nearest class, exactly."""
    tensor = torch.from_numpy(mask.astype(np.float32))[None, None]
    small = functional.interpolate(tensor, size=shape, mode="nearest-exact")[0, 0]
    return np.asarray(small.numpy(), dtype=np.uint8)


def middle_frame(frames: Floats) -> Floats:
    """Return the middle one of (frames, rows, columns)."""
    return np.asarray(frames[len(frames) // 2], dtype=np.float32)


def clip_to_percentiles(image: Floats) -> Floats:
    """Return grey values clipped to the image's own 0.5 % and 99.5 %."""
    low, high = np.percentile(image, CLIP_PERCENTILES)
    return np.clip(image, low, high).astype(np.float32)


def pad_to_square(image: Floats) -> Floats:
    """Return a square image with the old one in its middle, the rest its darkest value."""
    side = max(image.shape)
    pads = [((side - length) // 2, side - length - (side - length) // 2) for length in image.shape]
    return np.pad(image, pads, constant_values=image.min())


def standard(values: Floats) -> Floats:
    """Return values of mean 0 and standard deviation 1; all 0 where all were the same."""
    spread = float(values.std())
    scaled = (values - values.mean()) / (spread if spread > 0 else 1.0)
    return np.asarray(scaled, dtype=np.float32)


def stack(files: Sequence[Part10]) -> Floats:
    """Return (D, H, W) of a series, slices along its normal (PS3.3 C.7.6.2.1.1).

    Raises
    ------
    VolumeGapError
        If slices differ in size or orientation, or do not say where they lie.
    """
    if len(files) == 1:
        return grey(files[0])
    order = slice_order(files)
    slices = [grey(file) for file in files]
    if any(frames.shape != slices[0].shape or len(frames) != 1 for frames in slices):
        raise VolumeGapError(count=1)
    return np.concatenate([slices[place] for place in order])


def slice_order(files: Sequence[Part10]) -> list[int]:
    """Return the places of single-frame files in the order in which `stack` lays them.

    Raises
    ------
    VolumeGapError
        If two lie at one place, they are turned against each other, or one does not
        say where it lies.
    """
    first = _numbers(files[0], ORIENTATION, 6)
    turned = [_numbers(file, ORIENTATION, 6) for file in files]
    if any(not np.allclose(orientation, first, atol=1e-3) for orientation in turned):
        raise VolumeGapError(count=1)
    normal = np.cross(first[:3], first[3:])
    depth = [float(position_of(file) @ normal) for file in files]
    if len(np.unique(np.round(depth, 3))) < len(depth):
        raise VolumeGapError(count=1)
    return [int(place) for place in np.argsort(depth)]


def position_of(file: Part10) -> NDArray[np.float64]:
    """Return Image Position (Patient) in millimetres.

    Raises
    ------
    VolumeGapError
        If the file does not say it.
    """
    return _numbers(file, POSITION, 3)


def _numbers(file: Part10, tag: int, count: int) -> NDArray[np.float64]:
    try:
        found = np.array([float(part) for part in file.text(tag).split("\\")])
    except ValueError as error:
        raise VolumeGapError(count=1) from error
    if len(found) != count or not np.isfinite(found).all():
        raise VolumeGapError(count=1)
    return found


def _through(steps: Sequence[Step], array: Floats) -> Floats:
    for step in steps:
        array = step(array)
    return array


def _repeat(shape: tuple[int, ...]) -> Step:
    return lambda image: np.broadcast_to(image, shape).copy()
