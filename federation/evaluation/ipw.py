"""What did the AI change? Inverse-probability weighting over hospitals, in three questions.

1. The propensity of being treated: `regression.fit` over sites.
2. Weighted sums of the outcome model, here treated against untreated: `weighted_sums`.
3. The sandwich's filling at its solution: `meat_sums`.

The result is that of all cases together with an independence GEE (Hernán and Robins,
Causal Inference, chapter 12): robust variance, weights taken as known.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from federation.errors.evaluation import OutOfRangeError, SummariesDifferError, WeightsError
from federation.evaluation.regression import check_weights, inverse, newton_step
from federation.evaluation.scores import binary
from federation.evaluation.sums import AGREED, COUNTED, SUMMED, Floats, Sums, refuse_shape
from federation.evaluation.suppression import CellRule
from federation.evaluation.tails import Estimate
from federation.wording import Text

_MODEL = "weighted model"
_CERTAIN = Text(en="a propensity is 0 or 1", zh="有傾向分數為 0 或 1")
_ONE_ARM = Text(en="one arm has no weight", zh="其中一組沒有權重")


@dataclass(frozen=True, eq=False)
class WeightedSums(Sums):
    """One site's normal equations: XᵀWX and XᵀWy for X = (1, treated), and arm totals.

    `weight` and `weight_squares` are by arm, untreated first.
    """

    kind = "weighted"
    products: Floats = field(metadata=SUMMED)
    outcomes: Floats = field(metadata=SUMMED)
    weight: Floats = field(metadata=SUMMED)
    weight_squares: Floats = field(metadata=SUMMED)
    arms: NDArray[np.int64] = field(metadata=COUNTED)
    sites: int = field(metadata=COUNTED)

    def check_shapes(self) -> None:
        """Raise SummaryInvalidError unless all are of two arms."""
        for name in ("outcomes", "weight", "weight_squares", "arms"):
            if np.shape(getattr(self, name)) != (2,):
                raise refuse_shape(name, "two numbers")
        if np.shape(self.products) != (2, 2):
            raise refuse_shape("products", "two rows of two")


@dataclass(frozen=True, eq=False)
class MeatSums(Sums):
    """One site's filling of the sandwich, sum of w² r² x xᵀ at agreed coefficients."""

    kind = "meat"
    at: Floats = field(metadata=AGREED)
    filling: Floats = field(metadata=SUMMED)
    cases: int = field(metadata=COUNTED)
    sites: int = field(metadata=COUNTED)

    def check_shapes(self) -> None:
        """Raise SummaryInvalidError unless it is two by two."""
        if np.shape(self.at) != (2,) or np.shape(self.filling) != (2, 2):
            raise refuse_shape("filling", "two rows of two")


@dataclass(frozen=True, slots=True)
class WeightedEffect:
    """The weighted mean without treatment, the difference with it, and how much weight counts.

    `effective` is Kish's effective sample size by arm, untreated first.
    """

    untreated: Estimate
    effect: Estimate
    effective: tuple[float, float]


def inverse_weights(
    propensity: Floats, treated: NDArray[np.generic], *, prevalence: float | None = None
) -> Floats:
    """Return 1/P(own arm), or stabilised by the federation's share of treated.

    Raises
    ------
    WeightsError
        If somebody could only have been in one arm.
    """
    arm = binary("treated", treated)
    p = np.asarray(propensity, dtype=np.float64)
    if not ((p > 0) & (p < 1)).all():
        raise WeightsError(name="inverse probability", why=_CERTAIN)
    above = np.ones(len(arm))
    if prevalence is not None:
        _check_prevalence(prevalence)
        above = np.where(arm, prevalence, 1 - prevalence)
    return check_weights("inverse probability", above / np.where(arm, p, 1 - p))


def overlap_weights(propensity: Floats, treated: NDArray[np.generic]) -> Floats:
    """Return each case's chance of the other arm (Li 2018): never extreme."""
    p = np.asarray(propensity, dtype=np.float64)
    return check_weights("overlap", np.where(binary("treated", treated), 1 - p, p))


def weighted_sums(outcome: Floats, treated: NDArray[np.generic], weights: Floats) -> WeightedSums:
    """Return a site's sums, all of shape (n,).

    Raises
    ------
    WeightsError
        If weights are negative, not finite or sum to zero.
    """
    arm, w = binary("treated", treated), check_weights("outcome model", weights)
    design = _design(arm)
    by_arm = [w[~arm], w[arm]]
    return WeightedSums(
        (design.T * w) @ design,
        design.T @ (w * outcome),
        np.array([one.sum() for one in by_arm]),
        np.array([(one**2).sum() for one in by_arm]),
        np.array([int((~arm).sum()), int(arm.sum())]),
        1,
    )


def solve(sums: WeightedSums, rule: CellRule) -> Floats:
    """Return the coefficients (untreated mean, effect) of the summed equations.

    Raises
    ------
    SumTooSmallError
        If they are over too few sites, or an arm has few cases.
    WeightsError
        If an arm has no weight.
    """
    rule.check_sum(sites=sums.sites, smallest=int(sums.arms.min()))
    if not ((sums.weight > 0).all() and (sums.weight_squares > 0).all()):
        raise WeightsError(name="outcome model", why=_ONE_ARM)
    return newton_step(sums.outcomes, sums.products, _MODEL)


def meat_sums(
    outcome: Floats, treated: NDArray[np.generic], weights: Floats, at: Floats
) -> MeatSums:
    """Return a site's filling of the sandwich at the coefficients `at`."""
    arm, w = binary("treated", treated), check_weights("outcome model", weights)
    design = _design(arm)
    pulls = design * (w * (outcome - design @ at))[:, None]
    return MeatSums(np.asarray(at, dtype=np.float64), pulls.T @ pulls, len(arm), 1)


def effect(sums: WeightedSums, meat: MeatSums, rule: CellRule) -> WeightedEffect:
    """Return the effect with its robust variance.

    Raises
    ------
    SummariesDifferError
        If the filling was computed at other coefficients.
    """
    at = solve(sums, rule)
    rule.check_sum(sites=meat.sites, smallest=meat.cases)
    if not np.allclose(meat.at, at, rtol=1e-12, atol=0):
        raise SummariesDifferError(field="at")
    bread = inverse(sums.products, _MODEL)
    covariance = bread @ meat.filling @ bread
    sizes = sums.weight**2 / sums.weight_squares
    return WeightedEffect(
        Estimate(float(at[0]), float(covariance[0, 0])),
        Estimate(float(at[1]), float(covariance[1, 1])),
        (float(sizes[0]), float(sizes[1])),
    )


def _design(arm: NDArray[np.bool_]) -> Floats:
    return np.column_stack([np.ones(len(arm)), arm.astype(np.float64)])


def _check_prevalence(prevalence: float) -> None:
    if not 0 < prevalence < 1:
        raise OutOfRangeError(
            field="share of treated", actual=prevalence, expected="a number between 0 and 1"
        )
