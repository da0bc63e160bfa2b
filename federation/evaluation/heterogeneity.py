"""Do sites differ by more than chance? Random effects over the sites' estimates.

DerSimonian and Laird (Controlled Clinical Trials 7:177, 1986) or REML for tau²; Q, I² and
the prediction interval of Higgins, Thompson and Spiegelhalter (JRSS A 172:137, 2009):
where a new hospital's figure is to be expected.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from federation.errors.evaluation import NotConvergedError, TooFewEstimatesError
from federation.evaluation.sums import Floats
from federation.evaluation.tails import (
    LEVEL,
    Estimate,
    Interval,
    chi_square_tail,
    student_reach,
)

_ROUNDS = 200
_SETTLED = 1e-12
_LEAST = 1e-18
"""A variance below this, or above its inverse, is no site's: it would outweigh all others."""


class BetweenSites(Enum):
    """How the variance between sites is estimated."""

    DERSIMONIAN_LAIRD = "dersimonian-laird"
    REML = "reml"


@dataclass(frozen=True, slots=True)
class Heterogeneity:
    """The mean over sites, and how far sites lie apart.

    Parameters
    ----------
    pooled, fixed
        The random- and the fixed-effect mean.
    tau_squared
        Variance between sites, in the estimates' unit squared.
    q, i_squared
        Cochran's statistic, and the share of variation that is not chance, 0 to 1.
    p_value
        Of Q.
    prediction
        The 95 % interval for a new site; None for fewer than three sites.
    """

    pooled: Estimate
    fixed: Estimate
    tau_squared: float
    q: float
    i_squared: float
    p_value: float
    prediction: Interval | None
    sites: int


def combine(
    estimates: Sequence[Estimate], method: BetweenSites = BetweenSites.DERSIMONIAN_LAIRD
) -> Heterogeneity:
    """Return the random-effects summary of at least two estimates.

    Raises
    ------
    TooFewEstimatesError
        If fewer than two have a variance that is neither zero nor beyond all measure.
    NotConvergedError
        If REML does not settle.
    """
    usable = [one for one in estimates if _LEAST < one.variance < 1 / _LEAST]
    if len(usable) < 2:
        raise TooFewEstimatesError(found=len(usable), needed=2)
    values = np.array([one.value for one in usable])
    variances = np.array([one.variance for one in usable])
    fixed, q = _mean(values, variances), _q(values, variances)
    tau = _TAU[method](values, variances)
    pooled = _mean(values, variances + tau)
    freedom = len(usable) - 1
    return Heterogeneity(
        pooled,
        fixed,
        tau,
        q,
        max(0.0, (q - freedom) / q) if q > 0 else 0.0,
        chi_square_tail(q, freedom),
        _prediction(pooled, tau, len(usable)),
        len(usable),
    )


def _mean(values: Floats, variances: Floats) -> Estimate:
    weights = 1 / variances
    return Estimate(float(weights @ values / weights.sum()), float(1 / weights.sum()))


def _q(values: Floats, variances: Floats) -> float:
    return float((((values - _mean(values, variances).value) ** 2) / variances).sum())


def _dersimonian_laird(values: Floats, variances: Floats) -> float:
    weights = 1 / variances
    scale = weights.sum() - (weights**2).sum() / weights.sum()
    return float(max(0.0, (_q(values, variances) - (len(values) - 1)) / scale))


def _reml(values: Floats, variances: Floats) -> float:
    """Return tau² by Fisher scoring of the restricted likelihood, never below zero."""
    tau = _dersimonian_laird(values, variances)
    for _ in range(_ROUNDS):
        step = _reml_step(values, variances, tau)
        following = max(0.0, tau + step)
        if abs(following - tau) <= _SETTLED * max(1.0, tau):
            return following
        tau = following
    raise NotConvergedError(model="REML", rounds=_ROUNDS)


def _reml_step(values: Floats, variances: Floats, tau: float) -> float:
    """Return score / information of tau² (Viechtbauer 2005, eq. 12)."""
    weights = 1 / (variances + tau)
    total, squares = weights.sum(), (weights**2).sum()
    residuals = values - weights @ values / total
    score = (weights**2 @ residuals**2) - (total - squares / total)
    trace = squares - 2 * (weights**3).sum() / total + (squares / total) ** 2
    return float(score / trace)


def _prediction(pooled: Estimate, tau: float, sites: int) -> Interval | None:
    if sites < 3:
        return None
    reach = student_reach(LEVEL, sites - 2) * (tau + pooled.variance) ** 0.5
    return Interval(pooled.value - reach, pooled.value + reach)


_TAU = {BetweenSites.DERSIMONIAN_LAIRD: _dersimonian_laird, BetweenSites.REML: _reml}
