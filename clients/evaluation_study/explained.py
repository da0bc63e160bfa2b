"""What the checks of explanations found of each explained patient: numbers, no map, no torch."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federation.evaluation.explainability import CaseMoments
from federation.evaluation.explained import SPANS


@dataclass(frozen=True)
class Explained:
    """The checks of some patients.

    Parameters
    ----------
    patient
        int64, the place of each in the cohort, shape (explained,).
    checks
        float64 within the spans of `SPANS`, in their order, NaN where there is none (a
        constant map has no correlation), shape (explained, checks).
    """

    patient: NDArray[np.int64]
    checks: NDArray[np.float64]

    @classmethod
    def of(cls, patient: Collection[int], found: NDArray[np.float64]) -> "Explained":
        """Return checks cut to their spans, so that nobody moves a mean by more than these."""
        low, high = np.array(list(SPANS.values())).T
        checks = np.clip(found.reshape(len(patient), len(SPANS)), low, high)
        return cls(np.array(list(patient), dtype=np.int64), checks)

    def of_patients(self, wanted: NDArray[np.bool_]) -> "Explained":
        """Return the checks of some patients only."""
        kept = wanted[self.patient]
        return Explained(self.patient[kept], self.checks[kept])

    def moments(self) -> dict[str, CaseMoments]:
        """Return the sums and the histogram of every check, by name."""
        return {
            name: CaseMoments.of(name, values[~np.isnan(values)], low=low, high=high)
            for (name, (low, high)), values in zip(SPANS.items(), self.checks.T, strict=True)
        }


NOBODY = Explained(np.zeros(0, np.int64), np.zeros((0, len(SPANS))))
"""Where no explanations are asked for."""
