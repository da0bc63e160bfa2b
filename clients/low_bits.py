"""Keep the low bits of an update from carrying anything but numbers.

Eight million weights have room for eight megabytes in their lowest bits, enough for
images, and the model would not notice. Two things stand against it, besides that the
code is the one approved:

1. `carries_payload` refuses and so tells the staff. The bits just above the lowest one
   that is set are evenly spread in honest updates, because they are where training's
   rounding stops; text and pixels are not evenly spread. And an honest update is the
   difference to the round's model: added to it and taken off again it is the same
   number, which bits written over it afterwards are not, encrypted or not.
2. `without_low_bits` rounds what leaves to 16 bits of mantissa: whatever was in the
   other eight is gone. That is post-processing, and far below the noise of training.
"""

import math

import numpy as np
from numpy.typing import NDArray

from clients.randomness import RandomSource
from federation.wire.messages import FlatModel

DROPPED_BITS = 8
SAMPLE = 1 << 18
LEAST_NUMBERS = 4096
"""With fewer there is nothing to judge, and no room for a payload."""

_MANTISSA = 24
_LEAST_LENGTH = 17
"""So many bits from the first to the last set one: then the eight above the last are even."""

LARGEST_Z = 7.0
"""How uneven is too uneven, in standard deviations: by chance once in 10^11."""

MOST_UNLIKE_DIFFERENCES = 0.01
_CELLS = 256


def without_low_bits(update: FlatModel) -> FlatModel:
    """Return float32 numbers rounded to the nearest with `DROPPED_BITS` zero bits at the end."""
    bits = np.ascontiguousarray(update, dtype=np.float32).view(np.uint32)
    half = np.uint32((1 << (DROPPED_BITS - 1)) - 1)
    even = (bits >> np.uint32(DROPPED_BITS)) & np.uint32(1)
    kept = np.uint32(0xFFFFFFFF & ~((1 << DROPPED_BITS) - 1))
    rounded: FlatModel = ((bits + half + even) & kept).view(np.float32)
    return np.where(np.isfinite(rounded), rounded, (bits & kept).view(np.float32))


def carries_payload(update: FlatModel, *, model: FlatModel | None, source: RandomSource) -> bool:
    """Say whether sampled numbers look as if something were written into their low bits.

    Parameters
    ----------
    update
        Finite float32, shape (parameters,).
    model
        The round's model, of the same shape; None where it is not at hand.
    source
        Chooses the sample, so that nobody knows it beforehand.
    """
    places = _sample(update.size, source)
    if model is not None and _unlike_differences(update[places], model[places]):
        return True
    return unevenness(update[places]) > LARGEST_Z


def unevenness(numbers: FlatModel) -> float:
    """Return how far the low bits are from even, as a standard normal deviate.

    Pearson's chi-square over the eight bits above the lowest set one, by Wilson &
    Hilferty 1931; 0 where there are too few numbers to judge.
    """
    cells = _cells(np.unique(np.abs(numbers[numbers != 0])))
    if len(cells) < LEAST_NUMBERS:
        return 0.0
    expected = len(cells) / _CELLS
    counts = np.bincount(cells, minlength=_CELLS)
    square = float(((counts - expected) ** 2).sum() / expected)
    free = _CELLS - 1
    spread = 2 / (9 * free)
    return float(((square / free) ** (1 / 3) - (1 - spread)) / math.sqrt(spread))


def _cells(numbers: FlatModel) -> NDArray[np.int64]:
    bits = np.ascontiguousarray(numbers, dtype=np.float32).view(np.uint32).astype(np.int64)
    whole = (bits & 0x7FFFFF) | 0x800000
    lowest = whole & -whole
    length = _MANTISSA - np.log2(lowest).astype(np.int64)
    fit = length >= _LEAST_LENGTH
    cells: NDArray[np.int64] = (whole[fit] // lowest[fit] >> 1) & (_CELLS - 1)
    return cells


def _unlike_differences(update: FlatModel, model: FlatModel) -> bool:
    """Say whether too many numbers cannot be what is left of a model that was trained."""
    again = (model + update).astype(np.float32) - model
    moved = update != 0
    return bool(moved.any()) and float((again != update)[moved].mean()) > MOST_UNLIKE_DIFFERENCES


def _sample(size: int, source: RandomSource) -> NDArray[np.int64]:
    if size <= SAMPLE:
        return np.arange(size)
    return np.unique((source.uniform(SAMPLE) * size).astype(np.int64))
