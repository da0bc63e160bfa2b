"""Find where text could stand, in a few passes of NumPy over the pixels.

Text that a modality or PACS burned in has many strokes side by side: within
three tiles of eight pixels there are sharp steps up and sharp steps down, and
within five tiles `LEAST_ROWS` rows (or columns, for text turned by 90 degrees)
step up `LEAST_STROKES` times each. Anatomy seldom does; markers, grids, noise and
the folds of a brain may, and are left to the reader. The same is asked of the
picture at a half and a quarter of its size, for larger or softer letters.

A step is a change over two pixels by `STEP` of the picture's range or by
`NOISE` times its median change, whichever is more.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clients.data.pixeltext.pictures import Picture

TILE = 8
STEP = 0.10
NOISE = 6.0
LEAST_STEP = 2.0
LEAST_STEPS_NEARBY = 12
LEAST_STROKES = 4
STROKE_TILES = 5
LEAST_ROWS = 5
MARGIN = 12
COARSER = (2, 4)
COARSE_FROM = 256
"""Pictures smaller than this (pixels, shorter side) are looked at once."""

Plane = npt.NDArray[np.int16]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of a picture made `scale` times smaller, in the smaller picture's pixels."""

    scale: int
    top: int
    left: int
    bottom: int
    right: int


def candidates(picture: Picture) -> list[tuple[Picture, list[Region]]]:
    """Return the picture at each scale with the regions to be read, in reading order."""
    found = [(picture, _regions(picture, 1))]
    shrunk = picture
    for scale in COARSER if min(picture.shape[:2]) >= COARSE_FROM else ():
        shrunk = smaller(shrunk, 2)
        found.append((shrunk, _regions(shrunk, scale)))
    return [(part, regions) for part, regions in found if regions]


def smaller(picture: Picture, factor: int) -> Picture:
    """Return the means of blocks of factor x factor pixels; what does not fill one is left out."""
    rows, columns = (side // factor * factor for side in picture.shape[:2])
    cut = picture[:rows, :columns]
    added = cut.reshape(rows // factor, factor, *cut.shape[1:]).sum(axis=1, dtype=np.int32)
    across = np.zeros((rows // factor, columns // factor, *cut.shape[2:]), np.int32)
    for start in range(factor):
        across += added[:, start::factor]
    mean = across // (factor * factor)
    return mean.astype(picture.dtype) if picture.ndim == 3 else mean


def _regions(picture: Picture, scale: int) -> list[Region]:
    rows, columns = picture.shape[:2]
    tiles = np.zeros((-(-rows // TILE), -(-columns // TILE)), np.bool_)
    for plane in _planes(picture):
        _mark(plane, tiles)
    if not tiles.any():
        return []
    from scipy import ndimage  # a fifth of a reader's start, which most pictures can do without

    labels, _ = ndimage.label(ndimage.binary_dilation(tiles, np.ones((3, 3))), np.ones((3, 3)))
    return [
        Region(
            scale,
            max(0, part[0].start * TILE - MARGIN),
            max(0, part[1].start * TILE - MARGIN),
            min(rows, part[0].stop * TILE + MARGIN),
            min(columns, part[1].stop * TILE + MARGIN),
        )
        for part in ndimage.find_objects(labels)
    ]


def _planes(picture: Picture) -> list[Plane]:
    if picture.ndim == 2:
        return [_narrow(picture)]
    planes = [picture[..., channel].astype(np.int16) for channel in range(3)]
    same = all(np.array_equal(planes[0], plane) for plane in planes[1:])
    return planes[:1] if same else planes


def _narrow(plane: Picture) -> Plane:
    """Return a plane as int16 within 15 bits, low bits let go where there are more."""
    low, high = int(plane.min()), int(plane.max())
    shift = max(0, (high - low).bit_length() - 14)
    if shift == 0 and low >= -(1 << 14) and high < 1 << 14:
        return plane.astype(np.int16, copy=False)
    if plane.dtype.itemsize <= 2 and plane.dtype.kind == "u":
        return (plane >> shift).astype(np.int16)
    return ((plane.astype(np.int64) - low) >> shift).astype(np.int16)


def _mark(plane: Plane, tiles: Mask) -> None:
    """Mark the tiles of each part of a plane that has strokes side by side."""
    rows, columns = plane.shape
    height, width = (side * TILE for side in tiles.shape)
    whole = np.pad(plane, ((0, height - rows), (0, width - columns + 2)), mode="edge")
    across = whole[:, 2:] - whole[:, :-2]
    step = _step(plane, across)
    up, down = across > step, across < -step
    dense = (_nearby(up) >= LEAST_STEPS_NEARBY) & (_nearby(down) >= LEAST_STEPS_NEARBY)
    if not dense.any():
        return
    from scipy import ndimage

    around = ndimage.binary_dilation(dense, np.ones((3, 3)))
    labels, _ = ndimage.label(around, np.ones((3, 3)))
    for part in ndimage.find_objects(labels):
        top, bottom = part[0].start * TILE, part[0].stop * TILE
        left, right = part[1].start * TILE, part[1].stop * TILE
        down_rows = np.pad(whole[top : bottom + 2, left:right], ((0, 2), (0, 0)), mode="edge")
        rising = (down_rows[2:] - down_rows[:-2])[: bottom - top] > step
        lines = _lines(up[top:bottom, left:right]) | _lines(rising.T).T
        tiles[part] |= lines & around[part]


def _step(plane: Plane, across: Plane) -> float:
    low, high = np.percentile(plane[::7, ::5], [0.5, 99.5])
    noise = float(np.median(np.abs(across[::7, ::5])))
    return max(STEP * float(high - low), NOISE * noise, LEAST_STEP)


def _nearby(steps: Mask) -> npt.NDArray[np.uint16]:
    """Return how many steps there are in each tile and the eight around it."""
    rows, columns = steps.shape
    down = steps.view(np.uint8).reshape(rows // TILE, TILE, columns).sum(axis=1, dtype=np.uint8)
    counts = down.reshape(rows // TILE, columns // TILE, TILE).sum(axis=2, dtype=np.uint8)
    wide = np.pad(counts.astype(np.uint16), 1)
    across = wide[:, :-2] + wide[:, 1:-1] + wide[:, 2:]
    return np.asarray(across[:-2] + across[1:-1] + across[2:], dtype=np.uint16)


def _lines(steps: Mask) -> Mask:
    """Return the tiles around which enough rows have enough separate steps."""
    rows, columns = steps.shape
    starts = np.zeros((rows, columns), np.uint8)
    starts[:, 0] = steps[:, 0]
    starts[:, 1:] = steps[:, 1:] & ~steps[:, :-1]
    counts = starts.reshape(rows, columns // TILE, TILE).sum(axis=2, dtype=np.uint8)
    strokes = _moving_sum(counts, STROKE_TILES, axis=1) >= LEAST_STROKES
    high = strokes.reshape(rows // TILE, TILE, -1).sum(axis=1, dtype=np.uint8)
    found = _moving_sum(high, 3, axis=0) >= LEAST_ROWS
    return np.asarray(_moving_sum(found.astype(np.uint8), STROKE_TILES, axis=1) > 0)


def _moving_sum(counts: npt.NDArray[np.uint8], length: int, *, axis: int) -> npt.NDArray[np.uint8]:
    from scipy import ndimage

    ones = np.ones(length, np.uint8)
    return np.asarray(ndimage.correlate1d(counts, ones, axis=axis, mode="constant"), dtype=np.uint8)
