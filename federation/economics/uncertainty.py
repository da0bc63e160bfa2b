"""What uncertainty costs: acceptability, expected loss, value of information.

Shapes: D draws, K strategies, P parameters, L thresholds. Net benefit is in money per
person. Sources: Fenwick 2001 (CEAC, CEAF), Alarid-Escudero 2019 (expected loss),
Strong 2014 (EVPPI by regression).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline

from federation.errors.economics import ModelValueError

Floats = NDArray[np.float64]

_KNOTS, _DEGREE = 6, 3


@dataclass(frozen=True, slots=True)
class Draws:
    """Costs and effects of K strategies in D draws, both shape (D, K).

    Raises
    ------
    ModelValueError
        If shapes differ, there is no draw, or a number is not finite.
    """

    strategies: tuple[str, ...]
    cost: Floats
    effect: Floats

    def __post_init__(self) -> None:
        wanted = (len(self.cost), len(self.strategies))
        if self.cost.shape != wanted or self.effect.shape != wanted or not self.cost.size:
            raise ModelValueError(
                name="draws",
                actual=f"{self.cost.shape} and {self.effect.shape}",
                expected=f"a row a draw, {len(self.strategies)} columns",
            )
        if not (np.isfinite(self.cost).all() and np.isfinite(self.effect).all()):
            raise ModelValueError(name="draws", actual="not finite", expected="finite numbers")


def net_benefit(draws: Draws, threshold: float) -> Floats:
    """Return lambda E - C, shape (D, K)."""
    return threshold * draws.effect - draws.cost


def acceptability(draws: Draws, thresholds: Sequence[float]) -> Floats:
    """Return the share of draws in which each strategy is best (CEAC), shape (L, K).

    Equals share a draw.
    """
    rows = []
    for threshold in thresholds:
        benefit = net_benefit(draws, threshold)
        best = benefit == benefit.max(axis=1, keepdims=True)
        rows.append((best / best.sum(axis=1, keepdims=True)).mean(axis=0))
    return np.array(rows)


def acceptability_frontier(
    draws: Draws, thresholds: Sequence[float]
) -> tuple[NDArray[np.intp], Floats]:
    """Return which strategy is best on average and how often it is best (CEAF), both (L,)."""
    best = np.array([net_benefit(draws, one).mean(axis=0).argmax() for one in thresholds])
    shares = acceptability(draws, thresholds)
    return best, shares[np.arange(len(best)), best]


def expected_loss(draws: Draws, thresholds: Sequence[float]) -> Floats:
    """Return what choosing each strategy loses on average against knowing, shape (L, K)."""
    rows = []
    for threshold in thresholds:
        benefit = net_benefit(draws, threshold)
        rows.append((benefit.max(axis=1, keepdims=True) - benefit).mean(axis=0))
    return np.array(rows)


def evpi(benefit: Floats) -> float:
    """Return the expected value of perfect information a person, E max - max E.

    Parameters
    ----------
    benefit
        Net benefit, shape (D, K).
    """
    return float(benefit.max(axis=1).mean() - benefit.mean(axis=0).max())


def evppi(benefit: Floats, parameters: Floats) -> float:
    """Return the value of knowing some parameters: a regression of net benefit on them.

    A cubic spline of each parameter, their products where there are two; at least 0 and
    at most the EVPI.

    Parameters
    ----------
    benefit
        Net benefit, shape (D, K).
    parameters
        Their draws, shape (D, P), P of 1 to 5.

    Raises
    ------
    ModelValueError
        If shapes do not fit, or there are too few draws for the regression.
    """
    if parameters.ndim != 2 or len(parameters) != len(benefit) or not 1 <= parameters.shape[1] <= 5:
        raise ModelValueError(
            name="parameters", actual=str(parameters.shape), expected=f"({len(benefit)}, 1 to 5)"
        )
    design = _design(parameters)
    if len(design) < 10 * design.shape[1]:
        raise ModelValueError(
            name="draws", actual=len(design), expected=f"{10 * design.shape[1]} or more"
        )
    gains = benefit - benefit[:, :1]
    coefficients, *_ = np.linalg.lstsq(design, gains, rcond=None)
    fitted = design @ coefficients
    return float(np.clip(evpi(fitted), 0.0, evpi(benefit)))


def _design(parameters: Floats) -> Floats:
    """Return the regression's columns, the constant first."""
    splines = [_spline(column) for column in parameters.T if np.ptp(column) > 0]
    columns = [np.ones((len(parameters), 1)), *splines]
    if len(splines) == 2:
        one, other = splines
        columns.append((one[:, :, None] * other[:, None, :]).reshape(len(parameters), -1))
    return np.hstack(columns)


def _spline(values: Floats) -> Floats:
    """Return cubic B-splines with knots at quantiles, less one column: shape (D, KNOTS + 2)."""
    inner = np.unique(np.quantile(values, np.linspace(0, 1, _KNOTS + 1)))
    knots = np.concatenate([[inner[0]] * _DEGREE, inner, [inner[-1]] * _DEGREE])
    basis: Floats = BSpline.design_matrix(values, knots, _DEGREE).toarray()[:, 1:]
    return basis
