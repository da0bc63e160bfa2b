"""Combine flat updates without ever holding more than one extra model.

Pure NumPy, no framework, no I/O. Updates are float32 vectors of shape
(parameters,); a million hospitals cost the same memory as one, because every
update is folded into the sum as it arrives and then forgotten. The work runs in
blocks that stay in the processor's cache: a plain `acc += w * x` writes and
reads a whole temporary model for every update.

    mean = StreamingMean(size)
    mean.add(CheckedUpdate(update), weight=examples)
    average = mean.result()

`median`, `trimmed_mean` and `krum` need all updates side by side; give them
memory maps (`numpy.load(..., mmap_mode="r")`) and they too need one model only.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from federation.errors.core import InvalidValueError
from federation.errors.rounds import (
    NothingToAggregateError,
    TooFewUpdatesError,
    UpdateFormError,
    UpdateNotFiniteError,
    UpdateShapeError,
    UpdateTooLargeError,
    WeightInvalidError,
)

Flat = NDArray[np.float32]

BLOCK = 1 << 18
"""Elements worked on at once by the mean: 1 MiB, measured best of 2^14..2^23."""

SIDE_BY_SIDE = 1 << 16
"""Elements of each update worked on at once where all are needed together."""

_FLOAT32_REACH = float(np.finfo(np.float32).max) / 2
_WEIGHTS = (1e-30, 1e30)


@dataclass(frozen=True, eq=False)
class CheckedUpdate:
    """An update that was looked at once, so that nobody needs to look again.

    Parameters
    ----------
    values
        Flat float32, shape (parameters,). Kept as a read-only view, not copied.
    site
        Who sent it, for the error's words.

    Attributes
    ----------
    norm
        L2 norm, relative error below 1e-5; also an upper bound of every element.

    Raises
    ------
    UpdateFormError
        If it is not a one-dimensional float32 array of at least one element.
    UpdateNotFiniteError
        If an element is NaN or infinite.
    """

    values: Flat
    site: str = "an unnamed site"
    norm: float = field(init=False)

    def __post_init__(self) -> None:
        _check_form(self.values, self.site)
        view = self.values.view()
        view.flags.writeable = False
        object.__setattr__(self, "values", view)
        object.__setattr__(self, "norm", math.sqrt(_squared_norm(view, self.site)))

    def of_size(self, size: int) -> "CheckedUpdate":
        """Return itself, or raise `UpdateShapeError` if it has not `size` elements."""
        _check_size(self.values, size, self.site)
        return self


class StreamingMean:
    """The weighted mean of updates, folded in as they arrive, in float32.

    The sum is taken in the order of `add`: the same updates in the same order
    give the same bits. For bits that do not depend on the order of arrival use
    `OrderFreeMean`, which costs some four times the CPU and twice the memory.
    Holds one model and one block, whatever the number of updates.

    Parameters
    ----------
    size
        Number of elements of every update.
    """

    def __init__(self, size: int) -> None:
        self.size = _at_least_one("size", size)
        self.total = 0.0
        self.count = 0
        self._sum: Flat | None = None
        self._reach = 0.0

    def add(self, update: "CheckedUpdate | Flat", weight: float = 1.0) -> None:
        """Fold one update in; a refused one leaves the sum as it was.

        Parameters
        ----------
        update
            Shape (size,). An array that was not checked yet is checked here.
        weight
            Positive and finite, for example the number of examples.

        Raises
        ------
        UpdateFormError, UpdateShapeError, UpdateNotFiniteError
            If the update is not `size` finite float32 numbers.
        UpdateTooLargeError
            If the weighted sum could leave the range of float32.
        WeightInvalidError
            If the weight is not between 1e-30 and 1e30.
        """
        checked = _checked(update, self.size)
        factor = np.float32(_weight(weight))
        reach = self._reach + float(factor) * checked.norm
        if reach > _FLOAT32_REACH:
            raise UpdateTooLargeError(site=checked.site, limit=f"{_FLOAT32_REACH:.3g}")
        self._fold(checked.values, factor)
        self._reach, self.total, self.count = reach, self.total + float(factor), self.count + 1

    def result(self) -> Flat:
        """Hand over the mean, float32 of shape (size,), and start over.

        Raises
        ------
        NothingToAggregateError
            If nothing was added.
        """
        if self._sum is None:
            raise NothingToAggregateError()
        mean, self._sum = self._sum, None
        np.divide(mean, np.float32(self.total), out=mean)
        self.total, self.count, self._reach = 0.0, 0, 0.0
        return mean

    def _fold(self, values: Flat, factor: np.float32) -> None:
        if self._sum is None:
            self._sum = np.multiply(values, factor)
            return
        scratch = np.empty(min(BLOCK, self.size), np.float32)
        for begin in range(0, self.size, BLOCK):
            part = self._sum[begin : begin + BLOCK]
            scaled = scratch[: part.size]
            np.multiply(values[begin : begin + BLOCK], factor, out=scaled)
            np.add(part, scaled, out=part)


class OrderFreeMean:
    """The weighted mean whose bits do not depend on the order of the updates.

    Replies arrive in any order, and in another one after a crash. Here each
    weighted element is rounded to a fixed grid in float64, on which additions
    are exact, so every order gives the same sum to the last bit: a round that
    was interrupted and taken up again has the digest of an undisturbed one.

    The grid is 2^-46 of `ceiling`, so the mean's absolute error is below
    count * 2^-47 * ceiling / total; elements up to 32 in magnitude always fit.

    Parameters
    ----------
    size
        Number of elements of every update.
    ceiling
        The largest sum of weights that can come, fixed before the first update.
    """

    GRID = 2.0**-46
    REACH = 32.0
    _ROUNDER = 1.5 * 2.0**52 * GRID

    def __init__(self, size: int, *, ceiling: float) -> None:
        self.size = _at_least_one("size", size)
        self._scale = 2.0 ** -math.ceil(math.log2(_weight(ceiling)))
        self._sum: NDArray[np.float64] | None = None
        self._reach = 0.0
        self._factors: list[float] = []

    def add(self, update: "CheckedUpdate | Flat", weight: float = 1.0) -> None:
        """Fold one update in; a refused one leaves the sum as it was.

        Raises
        ------
        UpdateFormError, UpdateShapeError, UpdateNotFiniteError
            If the update is not `size` finite float32 numbers.
        UpdateTooLargeError
            If the weighted sum could pass 32 times the ceiling.
        WeightInvalidError
            If the weight is not between 1e-30 and 1e30.
        """
        checked = _checked(update, self.size)
        factor = _weight(weight) * self._scale
        reach = self._reach + factor * checked.norm
        if reach > self.REACH:
            reach = self._reach + factor * _peak(checked.values)
        if reach > self.REACH:
            raise UpdateTooLargeError(site=checked.site, limit=f"{self.REACH:g}")
        self._fold(checked.values, factor)
        self._reach = reach
        self._factors.append(factor)

    @property
    def count(self) -> int:
        """Return how many updates are in the sum."""
        return len(self._factors)

    @property
    def total(self) -> float:
        """Return the sum of the weights."""
        return math.fsum(self._factors) / self._scale

    def result(self) -> Flat:
        """Hand over the mean, float32 of shape (size,), and start over.

        Raises
        ------
        NothingToAggregateError
            If nothing was added.
        """
        if self._sum is None:
            raise NothingToAggregateError()
        mean = np.empty(self.size, np.float32)
        total = math.fsum(self._factors)
        for begin in range(0, self.size, BLOCK):
            part = slice(begin, begin + BLOCK)
            np.divide(self._sum[part], total, out=mean[part], casting="same_kind")
        self._sum, self._reach, self._factors = None, 0.0, []
        return mean

    def _fold(self, values: Flat, factor: float) -> None:
        if self._sum is None:
            self._sum = np.zeros(self.size, np.float64)
        scratch = np.empty(min(BLOCK, self.size), np.float64)
        for begin in range(0, self.size, BLOCK):
            part = self._sum[begin : begin + BLOCK]
            scaled = scratch[: part.size]
            np.multiply(values[begin : begin + BLOCK], factor, out=scaled, dtype=np.float64)
            np.add(scaled, self._ROUNDER, out=scaled)
            np.subtract(scaled, self._ROUNDER, out=scaled)
            np.add(part, scaled, out=part)


def median(updates: Sequence[Flat]) -> Flat:
    """Return the coordinate-wise median (Yin et al. 2018), float32 of shape (size,).

    Raises
    ------
    NothingToAggregateError, UpdateFormError, UpdateShapeError, UpdateNotFiniteError
        If there is none, or one of them is not like the first, or not finite.
    """
    lower, upper = (len(updates) - 1) // 2, len(updates) // 2
    return _middle_mean(updates, lower, upper + 1)


def trimmed_mean(updates: Sequence[Flat], *, trim: int) -> Flat:
    """Return the coordinate-wise mean without the `trim` lowest and highest values.

    Yin et al. 2018. Robust as long as at most `trim` updates are hostile.

    Raises
    ------
    TooFewUpdatesError
        If fewer than 2 * trim + 1 updates came.
    NothingToAggregateError, UpdateFormError, UpdateShapeError, UpdateNotFiniteError
        As for `median`.
    """
    if trim < 0:
        raise InvalidValueError(field="trim", actual=trim, expected="0 or more")
    if len(updates) < 2 * trim + 1:
        raise TooFewUpdatesError(count=len(updates), needed=2 * trim + 1, method="trimmed mean")
    return _middle_mean(updates, trim, len(updates) - trim)


def krum(updates: Sequence[Flat], *, hostile: int, keep: int = 1) -> tuple[int, ...]:
    """Return the indices of the `keep` updates that lie closest to their neighbours.

    Blanchard et al. 2017: the score of an update is the sum of its squared
    distances to its n - hostile - 2 nearest neighbours; the lowest wins. With
    keep > 1 this is Multi-Krum; average the chosen ones.

    Raises
    ------
    TooFewUpdatesError
        If fewer than 2 * hostile + 3 updates came, or fewer than `keep`.
    UpdateFormError, UpdateShapeError, UpdateNotFiniteError
        As for `median`.
    """
    if hostile < 0 or keep < 1:
        raise InvalidValueError(
            field="krum", actual=(hostile, keep), expected="hostile >= 0 and keep >= 1"
        )
    needed = max(2 * hostile + 3, keep)
    if len(updates) < needed:
        raise TooFewUpdatesError(count=len(updates), needed=needed, method="Krum")
    distances = np.sort(squared_distances(updates), axis=1)
    scores = distances[:, 1 : len(updates) - hostile - 1].sum(axis=1)
    return tuple(int(index) for index in np.argsort(scores, kind="stable")[:keep])


def squared_distances(updates: Sequence[Flat]) -> NDArray[np.float64]:
    """Return the squared L2 distances between all pairs, shape (count, count).

    From Gram matrices of blocks centred on their mean, so that updates that are
    close to each other and far from zero keep their digits.
    """
    gram = np.zeros((len(updates), len(updates)))
    for _, block in _blocks(updates):
        with np.errstate(over="ignore", invalid="ignore"):
            block -= block.mean(axis=0)
            gram += block @ block.T
    _check_reach(gram)
    squares = np.diag(gram)
    distances = squares[:, None] + squares[None, :] - 2 * gram
    np.fill_diagonal(distances, 0.0)
    return np.maximum(distances, 0.0)


def _middle_mean(updates: Sequence[Flat], low: int, high: int) -> Flat:
    """Return the mean of the sorted values of rank low..high-1, per coordinate."""
    if not updates:
        raise NothingToAggregateError()
    result = np.empty(np.size(updates[0]), np.float32)
    pairs = _network(len(updates), low, high)
    for begin, block in _blocks(updates):
        part = result[begin : begin + block.shape[1]]
        _exchange(block, pairs, scratch=part)
        with np.errstate(over="ignore"):
            np.divide(block[low:high].sum(axis=0), np.float32(high - low), out=part)
        _check_reach(part)
    return result


def _exchange(block: Flat, pairs: tuple[tuple[int, int], ...], *, scratch: Flat) -> None:
    """Put the lesser of each pair of rows first, column by column.

    A sorting network of whole-row minima and maxima: 10 rows cost some fifty
    vector instructions a column, a general sort several hundred scalar ones.
    """
    for first, second in pairs:
        np.minimum(block[first], block[second], out=scratch)
        np.maximum(block[first], block[second], out=block[second])
        block[first] = scratch


@cache
def _network(count: int, low: int, high: int) -> tuple[tuple[int, int], ...]:
    """Return the exchanges that bring ranks low..high-1, in any order, into these rows.

    Batcher's odd-even merge sort (1968) without what these ranks do not need:
    read backwards, an exchange is left out when neither row matters any more,
    or when both only go into the same sum.
    """
    summed, sorted_rows = set(range(low, high)), set[int]()
    kept: list[tuple[int, int]] = []
    for pair in reversed([pair for pair in _batcher(count) if pair[1] < count]):
        rows = set(pair)
        if rows <= summed or not rows & (summed | sorted_rows):
            continue
        kept.append(pair)
        sorted_rows |= rows
        summed -= rows
    return tuple(reversed(kept))


def _batcher(count: int) -> Iterator[tuple[int, int]]:
    size = 1 << max(count - 1, 0).bit_length()
    step = 1
    while step < size:
        stride = step
        while stride >= 1:
            for start in range(stride % step, size - stride, 2 * stride):
                for row in range(start, min(start + stride, size - stride)):
                    if row // (2 * step) == (row + stride) // (2 * step):
                        yield row, row + stride
            stride //= 2
        step *= 2


def _blocks(updates: Sequence[Flat]) -> Iterator[tuple[int, Flat]]:
    """Yield where a block begins and the updates side by side there, free to overwrite."""
    if not updates:
        raise NothingToAggregateError()
    size = int(np.size(updates[0]))
    names = [f"#{position}" for position in range(1, len(updates) + 1)]
    for name, update in zip(names, updates, strict=True):
        _check_form(update, name)
        _check_size(update, size, name)
    stack = np.empty((len(updates), min(SIDE_BY_SIDE, size)), np.float32)
    for begin in range(0, size, SIDE_BY_SIDE):
        block = stack[:, : size - begin]
        for row, name, update in zip(block, names, updates, strict=True):
            np.copyto(row, update[begin : begin + SIDE_BY_SIDE])
            _squared_norm(row, name)
        yield begin, block


def _checked(update: "CheckedUpdate | Flat", size: int) -> CheckedUpdate:
    checked = update if isinstance(update, CheckedUpdate) else CheckedUpdate(update)
    return checked.of_size(size)


def _check_form(values: Flat, site: str) -> None:
    if not isinstance(values, np.ndarray):
        raise UpdateFormError(site=site, actual=type(values).__name__)
    if values.dtype != np.float32 or values.ndim != 1 or values.size < 1:
        raise UpdateFormError(site=site, actual=f"{values.dtype} of shape {values.shape}")


def _check_size(values: Flat, size: int, site: str) -> None:
    if values.size != size:
        raise UpdateShapeError(site=site, actual=values.size, expected=size)


def _check_reach(values: NDArray[np.float32] | NDArray[np.float64]) -> None:
    if not np.isfinite(values).all():
        raise UpdateTooLargeError(site="all sites", limit=f"{_FLOAT32_REACH:.3g}")


def _squared_norm(values: Flat, site: str) -> float:
    """Return the sum of squares, raising if an element is not finite.

    Squares never cancel, so a finite sum proves every element finite in a single
    read; only a sum that overflowed float32 needs a second look.
    """
    total = 0.0
    for begin in range(0, values.size, BLOCK):
        part = values[begin : begin + BLOCK]
        with np.errstate(over="ignore", invalid="ignore"):
            squared = float(np.dot(part, part))
        total += squared if math.isfinite(squared) else _squared_norm_of_large(part, site)
    return total


def _squared_norm_of_large(part: Flat, site: str) -> float:
    if not np.isfinite(part).all():
        raise UpdateNotFiniteError(site=site)
    wide = part.astype(np.float64)
    return float(np.dot(wide, wide))


def _peak(values: Flat) -> float:
    return max(float(values.max()), -float(values.min()))


def _weight(weight: float) -> float:
    value = float(weight)
    if not _WEIGHTS[0] <= value <= _WEIGHTS[1]:
        raise WeightInvalidError(weight=value, low=_WEIGHTS[0], high=_WEIGHTS[1])
    return value


def _at_least_one(field: str, value: int) -> int:
    if value < 1:
        raise InvalidValueError(field=field, actual=value, expected="1 or more")
    return value
