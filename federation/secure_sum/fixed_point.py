"""Real numbers as whole ones, so that they can be summed exactly and under masks.

    form = FixedPoint(length=4, bits=30, most=1e4)         # declared in the protocol
    masked = sums.mask(form.encode(gradient), cells=form.cells, ...)
    gradient_of_all = form.decode(sums.unmask(..., cells=form.cells))

Each site rounds once, by at most 2^-(bits+1) a number; the sum of the rounded numbers is
exact, in whatever order, so n sites are off by at most n * 2^-(bits+1).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federation.secure_sum.port import LARGEST, Cells, Numbers, refused


@dataclass(frozen=True, slots=True)
class FixedPoint:
    """So many real numbers of one site, each of absolute value `most` at most.

    Parameters
    ----------
    bits
        Binary digits behind the point, 0 to 52.

    Raises
    ------
    SumNumbersRefusedError
        If `most` at this scale is beyond 2^52, or the form is none.
    """

    length: int
    bits: int
    most: float

    def __post_init__(self) -> None:
        if not (0 <= self.bits <= 52 and 0 < self.most * 2.0**self.bits <= LARGEST):
            raise refused("the declared scale and bound", "宣告的位數與上限")

    @property
    def cells(self) -> Cells:
        """Return the form of the whole numbers."""
        bound = math.ceil(self.most * 2.0**self.bits)
        return Cells(self.length, -bound, bound)

    def encode(self, values: NDArray[np.float64]) -> Numbers:
        """Return the values times 2^bits, to the nearest whole number, halves to even.

        Raises
        ------
        SumNumbersRefusedError
            If a value is NaN, infinite or beyond the bound, or the shape is another.
        """
        if not np.isfinite(values).all() or (np.abs(values) > self.most).any():
            raise refused("a number beyond the declared bounds", "有數值超出宣告的上下限")
        numbers = np.rint(np.ldexp(values, self.bits)).astype(np.int64)
        self.cells.check(numbers)
        return numbers

    def decode(self, numbers: Numbers) -> NDArray[np.float64]:
        """Return sums as real numbers, each the float64 nearest to the exact sum."""
        return np.ldexp(numbers.astype(np.float64), -self.bits)
