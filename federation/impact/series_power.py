"""How likely a before-and-after series is to see a change of level, by closed form.

The model is that of `series.py`, the test that of `series_errors.py`: generalised least
squares with errors of a first-order autoregression, whose correlation is taken as known.
"""

import numpy as np
from scipy import special

from federation.errors.impact import DesignValueError
from federation.impact.power import ALPHA
from federation.impact.series import FEWEST_EACH_SIDE, model_matrix
from federation.impact.series_errors import freedom_of, whitened

MOST_MONTHS = 600
"""A side."""


def power_of_series(
    change: float,
    deviation: float,
    months: int,
    *,
    correlation: float = 0.0,
    seasons: int = 0,
    alpha: float = ALPHA,
) -> float:
    """Return the power to see a change of level at once, by the t test of `series_errors`.

    Parameters
    ----------
    deviation
        Standard deviation of a month's mean about the trend.
    months
        Before, and as many after.
    correlation
        Of one month's error with the next one's, above -1 and below 1.

    Raises
    ------
    DesignValueError
        If a number is out of range.
    """
    if not 0 < alpha < 1:
        raise DesignValueError(name="alpha", actual=alpha, expected="between 0 and 1")
    variance = level_variance(deviation, months, correlation, seasons=seasons)
    freedom = freedom_of(2 * months, 4 + 2 * seasons, correlation)
    reach, off = special.stdtrit(freedom, 1 - alpha / 2), abs(change) / np.sqrt(variance)
    return float(1 - special.nctdtr(freedom, off, reach) + special.nctdtr(freedom, off, -reach))


def level_variance(deviation: float, months: int, correlation: float, *, seasons: int) -> float:
    """Return the variance of the change of level; as `power_of_series`."""
    if not deviation > 0:
        raise DesignValueError(name="deviation", actual=deviation, expected="above zero")
    if not -1 < correlation < 1:
        raise DesignValueError(name="correlation", actual=correlation, expected="between -1 and 1")
    if not FEWEST_EACH_SIDE <= months <= MOST_MONTHS or months < 4 + 2 * seasons:
        expected = f"{FEWEST_EACH_SIDE} to {MOST_MONTHS}, more with seasons"
        raise DesignValueError(name="months a side", actual=months, expected=expected)
    design = whitened(model_matrix(2 * months, months, seasons), correlation)
    inner = np.linalg.inv(design.T @ design)[2, 2]
    return float(deviation**2 * (1 - correlation**2) * inner)
