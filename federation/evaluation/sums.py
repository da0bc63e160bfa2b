"""What a site sends for an evaluation: typed numbers that only need adding.

Every summary is a frozen dataclass of counts, of sums, and of what all sites must agree
on (names, grid, coefficients). Two of them add up to the summary of both sites' cases;
the JSON form is checked on the way in, because it comes from elsewhere.

    total = functools.reduce(operator.add, [Kind.read(one) for one in received])
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar, Self, cast

import numpy as np
from numpy.typing import NDArray

from federation.errors.evaluation import SummariesDifferError, SummaryInvalidError

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

LARGEST_COUNT = 10**9
"""No hospital has more cases; a product of two such counts still fits 63 bits."""
LARGEST_SIZE = 2_000_000
"""Numbers in one array of a summary: a joint histogram of two grids of 1001 steps fits."""
EDITION = 1


COUNTED = {"role": "count"}
"""Metadata of a field of whole counts: an int, or int64 in an array."""
SUMMED = {"role": "sum"}
"""Metadata of a field of finite float64 sums: a float or an array."""
AGREED = {"role": "agreed"}
"""Metadata of a field in which all sites must be the same: names or numbers."""


@dataclass(frozen=True, eq=False)
class Sums:
    """The base of all summaries.

    Raises
    ------
    SummaryInvalidError
        If a count is negative, a sum is not finite or an array is too large.
    """

    kind: ClassVar[str]

    def __post_init__(self) -> None:
        for one in fields(self):
            checked = _CHECKS[one.metadata["role"]](one.name, getattr(self, one.name))
            object.__setattr__(self, one.name, checked)
        self.check_shapes()

    def check_shapes(self) -> None:
        """Raise SummaryInvalidError if the fields do not fit each other."""

    def __add__(self, other: Self) -> Self:
        """Return the summary of both.

        Raises
        ------
        SummariesDifferError
            If they are of two kinds, or differ in shape or in what must agree.
        """
        if type(self) is not type(other):
            raise SummariesDifferError(field="kind")
        roles = {one.name: one.metadata["role"] for one in fields(self)}
        return type(self)(**{name: _added(name, role, self, other) for name, role in roles.items()})

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and all(
            np.array_equal(getattr(self, one.name), getattr(other, one.name))
            for one in fields(self)
        )

    __hash__ = None  # type: ignore[assignment]

    def as_json(self) -> dict[str, object]:
        """Return the JSON document that `read` takes."""
        said = {one.name: _plain(getattr(self, one.name)) for one in fields(self)}
        return {"kind": self.kind, "edition": EDITION, **said}

    @classmethod
    def read(cls, document: object) -> Self:
        """Return the summary in a parsed JSON document of unknown origin.

        Raises
        ------
        SummaryInvalidError
            If it is of another kind, has other fields, or a value is not what its field holds.
        """
        if not isinstance(document, Mapping):
            raise SummaryInvalidError(field="document", actual="no object", expected="an object")
        roles = {one.name: one.metadata["role"] for one in fields(cls)}
        if document.keys() != roles.keys() | {"kind", "edition"}:
            expected = f"the fields {', '.join(roles)}"
            raise SummaryInvalidError(field="document", actual="of other fields", expected=expected)
        if document["kind"] != cls.kind or document["edition"] != EDITION:
            expected = f"{cls.kind}, edition {EDITION}"
            raise SummaryInvalidError(field="kind", actual="another", expected=expected)
        return cls(**{name: _read(name, role, document[name]) for name, role in roles.items()})


def refuse_shape(name: str, expected: str) -> SummaryInvalidError:
    """Return the error of a field whose shape does not fit the others."""
    return SummaryInvalidError(field=name, actual="of another shape", expected=expected)


def _added(name: str, role: str, one: Sums, other: Sums) -> object:
    left, right = getattr(one, name), getattr(other, name)
    if role == "agreed" or np.shape(left) != np.shape(right):
        if not np.array_equal(left, right):
            raise SummariesDifferError(field=name)
        return left
    return left + right


def _checked_count(name: str, value: object) -> object:
    numbers = np.asarray(value)
    whole = numbers.dtype.kind in "iu" and numbers.size <= LARGEST_SIZE
    if not whole or (numbers < 0).any() or (numbers > LARGEST_COUNT).any():
        expected = f"whole counts from 0 to {LARGEST_COUNT}"
        raise SummaryInvalidError(field=name, actual="not counts", expected=expected)
    return int(numbers) if numbers.ndim == 0 else numbers.astype(np.int64, copy=False)


def _checked_sum(name: str, value: object) -> object:
    numbers = np.asarray(value, dtype=np.float64)
    if numbers.size > LARGEST_SIZE or not np.isfinite(numbers).all():
        raise SummaryInvalidError(field=name, actual="not finite", expected="finite numbers")
    return float(numbers) if numbers.ndim == 0 else numbers


def _checked_agreed(name: str, value: object) -> object:
    return _checked_sum(name, value) if isinstance(value, np.ndarray | float) else value


_CHECKS = {"count": _checked_count, "sum": _checked_sum, "agreed": _checked_agreed}


def _plain(value: object) -> object:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return list(value) if isinstance(value, tuple) else value


def _read(name: str, role: str, value: object) -> object:
    if role == "agreed" and not _is_numbers(value):
        return _read_names(name, value)
    kinds = (int,) if role == "count" else (int, float)
    leaves = _leaves(name, value, 0)
    if not all(type(leaf) in kinds and abs(cast(float, leaf)) < 1e300 for leaf in leaves):
        raise SummaryInvalidError(field=name, actual="not numbers", expected="numbers")
    return _array(name, value, np.int64 if role == "count" else np.float64)


def _array(name: str, value: object, dtype: type) -> object:
    if not isinstance(value, list):
        return value
    try:
        return np.array(value, dtype=dtype)
    except (ValueError, OverflowError) as error:
        raise refuse_shape(name, "rows of the same length") from error


def _is_numbers(value: object) -> bool:
    while isinstance(value, list) and value:
        value = value[0]
    return isinstance(value, int | float) and not isinstance(value, bool)


def _read_names(name: str, value: object) -> object:
    names = value if isinstance(value, list) else [value]
    if len(names) > 1000 or not all(type(one) is str and len(one) <= 120 for one in names):
        raise SummaryInvalidError(field=name, actual="not names", expected="short names")
    return tuple(names) if isinstance(value, list) else value


def _leaves(name: str, value: object, depth: int) -> list[object]:
    """Return the numbers in nested lists, refusing what is too deep or too large."""
    if not isinstance(value, list):
        return [value]
    if depth > 3 or len(value) > LARGEST_SIZE:
        raise refuse_shape(name, "at most three nested lists")
    if value and not isinstance(value[0], list):
        return value
    found: list[object] = []
    for part in value:
        found += _leaves(name, part, depth + 1)
        if len(found) > LARGEST_SIZE:
            raise refuse_shape(name, f"at most {LARGEST_SIZE} numbers")
    return found
