"""Logistic regression over hospitals: each sends a gradient and a Hessian, the centre steps.

Newton's method on sums is Newton's method on all cases, so the result is the pooled one.
A gradient over few cases can tell of one of them: `fit` asks for the sum over sites and
refuses it where the rule says it is too small (EVALUATION.md C.1, cautions).

    fit(lambda at: secure_sum(logistic_sums(names, X, y, at) for each site), names, rule)
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from federation.errors.evaluation import CollinearError, NotConvergedError, WeightsError
from federation.evaluation.scores import binary
from federation.evaluation.sums import AGREED, COUNTED, SUMMED, Floats, Sums, refuse_shape
from federation.evaluation.suppression import CellRule
from federation.evaluation.tails import Estimate
from federation.wording import Text

ROUNDS = 25
SETTLED = 1e-10
"""The largest change of a coefficient, relative to its size or 1, that ends a fit."""
_LARGEST_CONDITION = 1e14
_ROUNDING = 1e-9
"""How much lower a likelihood may come out, relative to its size or 1, for rounding alone."""
_NOT_WEIGHTS = Text(en="one is negative or not finite", zh="其中有負數或非有限值")
_NO_WEIGHT = Text(en="they sum to zero", zh="總和為零")


@dataclass(frozen=True, eq=False)
class LogisticSums(Sums):
    """One site's part of a Newton step at agreed coefficients.

    Parameters
    ----------
    names
        The p covariates.
    at
        The coefficients, shape (p,).
    gradient, information
        Xᵀ(y-mu), shape (p,), and XᵀWX, shape (p, p).
    log_likelihood
        Of the site's cases at `at`.
    cases, sites
        How many the sums are over.
    """

    kind = "logistic"
    names: tuple[str, ...] = field(metadata=AGREED)
    at: Floats = field(metadata=AGREED)
    gradient: Floats = field(metadata=SUMMED)
    information: Floats = field(metadata=SUMMED)
    log_likelihood: float = field(metadata=SUMMED)
    cases: int = field(metadata=COUNTED)
    sites: int = field(metadata=COUNTED)

    def check_shapes(self) -> None:
        """Raise SummaryInvalidError unless all have the covariates' number."""
        check_step(len(self.names), self.at, self.gradient, self.information)


def check_step(covariates: int, at: Floats, gradient: Floats, information: Floats) -> None:
    """Raise SummaryInvalidError unless a Newton step is of so many covariates."""
    if np.shape(gradient) != (covariates,) or np.shape(at) != (covariates,):
        raise refuse_shape("gradient", f"{covariates} numbers")
    if np.shape(information) != (covariates, covariates):
        raise refuse_shape("information", f"{covariates} rows of {covariates}")


@dataclass(frozen=True, slots=True)
class MaximumLikelihood:
    """Coefficients with their covariance, and how the fit went."""

    names: tuple[str, ...]
    coefficients: Floats
    covariance: Floats
    log_likelihood: float
    rounds: int

    def estimate(self, name: str) -> Estimate:
        """Return one coefficient with its variance."""
        at = self.names.index(name)
        return Estimate(float(self.coefficients[at]), float(self.covariance[at, at]))


def logistic_sums(
    names: tuple[str, ...],
    design: Floats,
    outcome: Floats,
    at: Floats,
    *,
    offset: Floats | None = None,
) -> LogisticSums:
    """Return a site's sums at the coefficients `at`, for n cases and p covariates.

    `design` has shape (n, p); `outcome` and `offset` have shape (n,).

    Raises
    ------
    NotBinaryError
        If an outcome is neither 0 nor 1.
    """
    truth = binary("outcome", outcome)
    linear = design @ at + (0.0 if offset is None else offset)
    expected = 1 / (1 + np.exp(-np.clip(linear, -700, 700)))
    spread = expected * (1 - expected)
    return LogisticSums(
        names,
        np.asarray(at, dtype=np.float64),
        design.T @ (truth - expected),
        (design.T * spread) @ design,
        -float(np.logaddexp(0.0, np.where(truth, -linear, linear)).sum()),
        len(truth),
        1,
    )


def fit(
    ask: Callable[[Floats], LogisticSums], names: tuple[str, ...], rule: CellRule
) -> MaximumLikelihood:
    """Return the fit over sites; `ask` gives the sum over all of them at given coefficients.

    Raises
    ------
    SumTooSmallError
        If the sum is over too few sites or cases.
    CollinearError
        If the covariates repeat each other.
    NotConvergedError
        If it does not settle, as with complete separation.
    """

    def guarded(at: Floats) -> NewtonTerms:
        sums = ask(at)
        rule.check_sum(sites=sums.sites, smallest=sums.cases)
        return NewtonTerms(sums.gradient, sums.information, sums.log_likelihood)

    return newton(guarded, names, "logistic model")


class NewtonTerms(NamedTuple):
    """What one step needs: gradient (p,), information (p, p) and log-likelihood."""

    gradient: Floats
    information: Floats
    log_likelihood: float


def newton(
    ask: Callable[[Floats], NewtonTerms], names: tuple[str, ...], model: str
) -> MaximumLikelihood:
    """Return where the gradient vanishes, starting from zero.

    A step after which the likelihood is lower went too far and is halved.

    Raises
    ------
    CollinearError
        If an information matrix has no inverse.
    NotConvergedError
        If it does not settle.
    """
    at, step, best = np.zeros(len(names)), np.zeros(len(names)), -math.inf
    for done in range(1, ROUNDS + 1):
        terms = ask(at)
        if terms.log_likelihood < best - _ROUNDING * max(1.0, abs(best)):
            step = step / 2
            at = at - step
            continue
        best = terms.log_likelihood
        step = newton_step(terms.gradient, terms.information, model)
        at = at + step
        if (np.abs(step) <= SETTLED * np.maximum(1.0, np.abs(at))).all():
            covariance = inverse(terms.information, model)
            return MaximumLikelihood(names, at, covariance, terms.log_likelihood, done)
    raise NotConvergedError(model=model, rounds=ROUNDS)


def newton_step(gradient: Floats, information: Floats, model: str) -> Floats:
    """Return information⁻¹ gradient; CollinearError where there is no inverse."""
    _check_condition(information, model)
    return np.asarray(np.linalg.solve(information, gradient), dtype=np.float64)


def inverse(information: Floats, model: str) -> Floats:
    """Return the inverse of an information matrix; CollinearError where there is none."""
    _check_condition(information, model)
    return np.asarray(np.linalg.inv(information), dtype=np.float64)


def check_weights(name: str, weights: Floats) -> Floats:
    """Return the weights as float64; WeightsError if they cannot be used.

    A site without cases has none, which is no error: it adds nothing.
    """
    weights = np.asarray(weights, dtype=np.float64)
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise WeightsError(name=name, why=_NOT_WEIGHTS)
    if weights.size and not weights.sum() > 0:
        raise WeightsError(name=name, why=_NO_WEIGHT)
    return weights


def _check_condition(information: Floats, model: str) -> None:
    if not information.size:
        raise CollinearError(model=model)
    scale = np.sqrt(np.maximum(np.diag(information), 1e-300))
    balanced = information / np.outer(scale, scale)
    if not np.isfinite(balanced).all() or not np.linalg.cond(balanced) < _LARGEST_CONDITION:
        raise CollinearError(model=model)
