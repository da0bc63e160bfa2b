"""Many questions at once: which p-values still count.

Holm 1979 for confirmatory comparisons (no false claim at all), Benjamini and Hochberg
1995 for screening (few among the claims). Adjusted p-values are compared with alpha.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from federation.errors.evaluation import OutOfRangeError
from federation.evaluation.sums import Floats


def bonferroni(p_values: Sequence[float]) -> Floats:
    """Return p-values times their number, at most 1, in the order given."""
    return np.minimum(1.0, _checked(p_values) * len(p_values))


def holm(p_values: Sequence[float]) -> Floats:
    """Return Holm's step-down adjusted p-values, in the order given."""
    p = _checked(p_values)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    return _back(np.minimum(1.0, stepped), order)


def benjamini_hochberg(p_values: Sequence[float]) -> Floats:
    """Return Benjamini-Hochberg step-up adjusted p-values, in the order given."""
    p = _checked(p_values)
    order = np.argsort(p, kind="stable")
    scaled = p[order] * len(p) / np.arange(1, len(p) + 1)
    stepped = np.minimum.accumulate(scaled[::-1])[::-1]
    return _back(np.minimum(1.0, stepped), order)


def holm_levels(p_values: Sequence[float], level: float) -> Floats:
    """Return for each comparison the confidence level of the interval Holm tests it by.

    The smallest p-value of m is compared at (1-level)/m, the next at (1-level)/(m-1).
    """
    order = np.argsort(_checked(p_values), kind="stable")
    return _back(1 - (1 - level) / np.arange(len(order), 0, -1), order)


def _checked(p_values: Sequence[float]) -> Floats:
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise OutOfRangeError(field="p-value", actual="no probability", expected="0 to 1")
    return p


def _back(values: Floats, order: NDArray[np.intp]) -> Floats:
    placed = np.empty_like(values)
    placed[order] = values
    return placed
