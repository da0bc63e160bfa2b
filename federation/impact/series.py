"""Before and after with a trend: interrupted time series from monthly aggregates.

    y_t = a + b t + c after_t + d (t - t0) after_t [+ seasons] + e_t

Ordinary least squares; errors are allowed to follow each other (Newey and West 1987). In
short series that test finds changes too often: `series_errors.py` has the other one.
With a control series the model is that of the differences.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federation.errors.impact import DesignValueError, TooFewClustersError
from federation.evaluation.tails import Estimate
from federation.wording import Text

Floats = NDArray[np.float64]

FEWEST_EACH_SIDE = 6
MONTHS_A_YEAR = 12

_MONTHS = Text(en="months before or after", zh="介入前或後的月份")


@dataclass(frozen=True, slots=True)
class SeriesEffect:
    """What changed: the level at once, the trend a month, and the level at the end."""

    level: Estimate
    trend: Estimate
    at_end: Estimate
    lags: int


def interrupted_series(
    values: Sequence[float],
    began: int,
    *,
    control: Sequence[float] | None = None,
    seasons: int = 0,
    lags: int | None = None,
) -> SeriesEffect:
    """Return how a monthly series changed when something began.

    Parameters
    ----------
    values
        One number a month, in order.
    began
        The index of the first month with the intervention.
    control
        A series of the same months that had no intervention.
    seasons
        How many pairs of harmonics of the year, 0 to 3.
    lags
        How many months errors are followed; floor(4 (T/100)^(2/9)) by default.

    Raises
    ------
    TooFewClustersError
        If there are fewer than six months on a side, or fewer than the model's terms need.
    DesignValueError
        If a value is not finite, or the control has other months.
    """
    outcome = checked_series(values, began, control=control, seasons=seasons)
    months = len(outcome)
    design = model_matrix(months, began, seasons)
    follow = math.floor(4 * (months / 100) ** (2 / 9)) if lags is None else lags
    if not 0 <= follow < months:
        raise DesignValueError(name="lags", actual=follow, expected=f"0 to {months - 1}")
    coefficients, covariance = _newey_west(design, outcome, follow)
    end = np.zeros(design.shape[1])
    end[2], end[3] = 1.0, months - 1 - began
    return SeriesEffect(
        Estimate(float(coefficients[2]), float(covariance[2, 2])),
        Estimate(float(coefficients[3]), float(covariance[3, 3])),
        Estimate(float(end @ coefficients), float(end @ covariance @ end)),
        follow,
    )


def checked_series(
    values: Sequence[float],
    began: int,
    *,
    control: Sequence[float] | None = None,
    seasons: int = 0,
) -> Floats:
    """Return a series that is long enough for its model, less its control; raises as above."""
    outcome = _outcome(values, control)
    months, terms = len(outcome), 4 + 2 * seasons
    if not 0 <= seasons <= 3:
        raise DesignValueError(name="seasons", actual=seasons, expected="0 to 3")
    if min(began, months - began) < FEWEST_EACH_SIDE or months < 2 * terms:
        found = max(min(began, months - began), 0)
        needed = max(FEWEST_EACH_SIDE, terms)
        raise TooFewClustersError(found=found, units=_MONTHS, needed=needed)
    return outcome


def _outcome(values: Sequence[float], control: Sequence[float] | None) -> Floats:
    outcome = np.array(values, dtype=float)
    if control is not None:
        if len(control) != len(values):
            raise DesignValueError(
                name="control", actual=f"{len(control)} months", expected=f"{len(values)}"
            )
        outcome = outcome - np.array(control, dtype=float)
    if not np.isfinite(outcome).all():
        raise DesignValueError(name="series", actual="not finite", expected="a number each month")
    return outcome


def model_matrix(months: int, began: int, seasons: int) -> Floats:
    """Return the model's columns: 1, month, after, months since, seasons; shape (months, P)."""
    time = np.arange(months, dtype=float)
    after = (time >= began).astype(float)
    columns = [np.ones(months), time, after, (time - began) * after]
    for pair in range(1, seasons + 1):
        angle = 2 * np.pi * pair * time / MONTHS_A_YEAR
        columns += [np.sin(angle), np.cos(angle)]
    return np.stack(columns, axis=-1)


def _newey_west(design: Floats, outcome: Floats, lags: int) -> tuple[Floats, Floats]:
    """Return coefficients (P,) and their covariance (P, P), Bartlett weights, no correction."""
    bread = np.linalg.inv(design.T @ design)
    coefficients = bread @ design.T @ outcome
    scores = design * (outcome - design @ coefficients)[:, None]
    filling = scores.T @ scores
    for lag in range(1, lags + 1):
        cross = scores[lag:].T @ scores[:-lag]
        filling += (1 - lag / (lags + 1)) * (cross + cross.T)
    return coefficients, bread @ filling @ bread
