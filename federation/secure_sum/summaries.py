"""Any summary of `federation.evaluation` as whole numbers that can be summed under masks.

For fits over sites (E5, E18, E19), whose gradients can tell of one patient where few are
at risk, and for every other kind, as all say which of their fields are counts, sums, or
agreed between the sites:

    form = SummaryForm(like=empty_summary, bits=30, most=4e6)      # declared in the protocol
    masked = sums.mask(form.encode(mine), cells=form.cells, ...)            # each site
    total = form.decode(sums.unmask(..., cells=form.cells))                 # the centre

Counts are exact. Sums of real numbers are rounded once at each site (`fixed_point`). What
is agreed is bound into the masks, so sites that disagree on it have no sum.
"""

from dataclasses import dataclass, fields
from math import prod
from typing import Generic, TypeVar

import numpy as np

from federation.evaluation.sums import AGREED, COUNTED, Sums
from federation.evidence.canonical import digest_of
from federation.secure_sum.fixed_point import FixedPoint
from federation.secure_sum.port import Cells, Numbers, refused

Summary = TypeVar("Summary", bound=Sums)


@dataclass(frozen=True, slots=True)
class SummaryForm(Generic[Summary]):
    """How summaries like one given are said in whole numbers.

    Scale, shapes and agreed values are bound into the masks.

    Parameters
    ----------
    like
        A summary with the kind, shapes and agreed values of all; its numbers do not matter.
    bits, most
        Binary digits behind the point of real sums, and the largest number of one site,
        counts included.

    Raises
    ------
    SumNumbersRefusedError
        When used, if `most` at this scale is beyond 2^52.
    """

    like: Summary
    bits: int
    most: float

    @property
    def cells(self) -> Cells:
        """Return the form of the whole numbers, which names what the sites agree on."""
        bound = self._reals(1).cells.high
        length = sum(prod(np.shape(getattr(self.like, name))) for name in self._added())
        about = {**_agreed(self.like), "bits": self.bits, "shapes": _shapes(self.like)}
        return Cells(length, -bound, bound, about=digest_of(about))

    def encode(self, summary: Summary) -> Numbers:
        """Return a site's summary as whole numbers, int64, shape (cells.length,).

        Raises
        ------
        SumNumbersRefusedError
            If it is of another kind or shape, disagrees, or a number is beyond the bound.
        """
        if _agreed(summary) != _agreed(self.like) or _shapes(summary) != _shapes(self.like):
            raise refused("another kind of summary than agreed", "摘要的種類或約定內容不符")
        parts = [self._whole(name, np.ravel(getattr(summary, name))) for name in self._added()]
        return np.concatenate(parts)

    def decode(self, numbers: Numbers) -> Summary:
        """Return the summary that a sum of whole numbers says.

        Raises
        ------
        SumNumbersRefusedError
            If they are not as many as the form has.
        SummaryInvalidError
            If a count is negative or the summary contradicts itself.
        """
        if numbers.shape != (self.cells.length,):
            raise refused("not the declared number of cells", "格數與宣告不符")
        found: dict[str, object] = {
            one.name: getattr(self.like, one.name) for one in fields(self.like)
        }
        at = 0
        for name, is_count in self._added().items():
            shape = np.shape(getattr(self.like, name))
            part = numbers[at : at + prod(shape)].reshape(shape)
            found[name] = part if is_count else self._reals(part.size).decode(part)
            at += part.size
        return type(self.like)(**found)

    def _added(self) -> dict[str, bool]:
        """Return the fields that are added, in their order, and whether they are counts."""
        roles = {one.name: one.metadata for one in fields(self.like)}
        return {name: role == COUNTED for name, role in roles.items() if role != AGREED}

    def _reals(self, size: int) -> FixedPoint:
        return FixedPoint(size, self.bits, self.most)

    def _whole(self, name: str, values: np.ndarray) -> Numbers:
        if self._added()[name]:
            return values.astype(np.int64)
        return self._reals(values.size).encode(values)


def _agreed(summary: Sums) -> dict[str, object]:
    said = summary.as_json()
    return {"kind": summary.kind} | {
        one.name: said[one.name] for one in fields(summary) if one.metadata == AGREED
    }


def _shapes(summary: Sums) -> list[tuple[int, ...]]:
    return [np.shape(getattr(summary, one.name)) for one in fields(summary)]
