"""At the hospital: people who can be compared, before anything is added up.

    chosen = choose(cohort, treated, covariates, strata, site=..., order=...)
    chosen.kept                              # which cases stay
    chosen.weights                           # of those, 1 after matching

The propensity is the hospital's own logistic regression; neither it nor a covariate leaves.
Matching: pairs without replacement, nearest in the logit, within a caliper of its standard
deviation (Austin, Pharm Stat 2011; 10:150). Weighting: overlap weights (Li, Morgan and
Zaslavsky, JASA 2018; 113:390), of which each arm has the same sum and the same means.
"""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federation.errors.impact_designs import CohortEmptyError, CohortUnbalancedError
from federation.impact.plan import Cohort
from federation.wording import Text

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

STEPS = 50
FARTHEST = 15.0
"""A logit beyond it says that the covariates tell the arms apart."""

_ONE_ARM = Text(en="an arm has fewer people than covariates", zh="其中一組人數少於共變項數")
_APART = Text(en="the covariates tell the arms apart", zh="共變項可完全區分兩組")
_NO_PAIR = Text(en="no pair lies within the caliper", zh="卡尺範圍內沒有任何配對")


@dataclass(frozen=True, slots=True)
class Chosen:
    """Who is compared: flags of the cases that stay, and each case's weight (0 where not)."""

    kept: Flags
    weights: Floats


def choose(
    cohort: Cohort,
    treated: Flags,
    covariates: Floats,
    strata: Sequence[object],
    *,
    site: str,
) -> Chosen:
    """Return who is compared at a hospital; equal for any order of cases.

    Parameters
    ----------
    treated
        Who is in the arm of the intervention, shape (n,).
    covariates
        Shape (n, covariates), in the order of the plan.
    strata
        Pairs are of one stratum, for example of before or of after, shape (n,).

    Raises
    ------
    CohortEmptyError
        If there is nobody to compare, or the covariates tell the arms apart.
    CohortUnbalancedError
        If the arms still differ in a covariate by more than the plan allows.
    """
    width = covariates.shape[1]
    if min(treated.sum(), (~treated).sum()) <= width + 1:
        raise CohortEmptyError(site=site, why=_ONE_ARM)
    logits = _logits(treated, covariates, site)
    if cohort.method == "overlap":
        chance = 1 / (1 + np.exp(-logits))
        chosen = Chosen(np.ones(len(treated), bool), np.where(treated, 1 - chance, chance))
    else:
        kept = _matched(treated, logits, strata, cohort.caliper * float(logits.std(ddof=1)))
        if not kept.any():
            raise CohortEmptyError(site=site, why=_NO_PAIR)
        chosen = Chosen(kept, kept.astype(float))
    _check_balance(cohort, chosen, treated, covariates, site)
    return chosen


def _logits(treated: Flags, covariates: Floats, site: str) -> Floats:
    """Return the logit of each case's propensity, by maximum likelihood."""
    spread = covariates.std(axis=0)
    scaled = (covariates - covariates.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    design = np.column_stack([np.ones(len(treated)), scaled[:, spread > 0]])
    coefficients = np.zeros(design.shape[1])
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(-design @ coefficients))
        information = (design * (chance * (1 - chance))[:, None]).T @ design
        if np.linalg.cond(information) > 1e12:
            raise CohortEmptyError(site=site, why=_APART)
        step = np.linalg.solve(information, design.T @ (treated - chance))
        coefficients = coefficients + step
        if np.abs(design @ coefficients).max() > FARTHEST:
            raise CohortEmptyError(site=site, why=_APART)
        if np.abs(step).max() < 1e-12:
            break
    logits: Floats = design @ coefficients
    return logits


def _matched(treated: Flags, logits: Floats, strata: Sequence[object], caliper: float) -> Flags:
    """Return who is in a pair: treated from the highest logit down, each to the nearest free."""
    kept = np.zeros(len(treated), bool)
    free: dict[object, list[tuple[float, int]]] = {one: [] for one in strata}
    for place in np.flatnonzero(~treated).tolist():
        bisect.insort(free[strata[place]], (float(logits[place]), place))
    for place in np.argsort(-logits, kind="stable").tolist():
        if treated[place]:
            other = _taken(free[strata[place]], float(logits[place]), caliper)
            if other is not None:
                kept[place] = kept[other] = True
    return kept


def _taken(free: list[tuple[float, int]], logit: float, caliper: float) -> int | None:
    """Return the nearest of those who are free and take it, None where none is near enough."""
    after = bisect.bisect_left(free, (logit, -1))
    near = [one for one in (after - 1, after) if 0 <= one < len(free)]
    best = min(near, key=lambda one: abs(free[one][0] - logit), default=None)
    if best is None or abs(free[best][0] - logit) > caliper:
        return None
    return free.pop(best)[1]


def _check_balance(
    cohort: Cohort, chosen: Chosen, treated: Flags, covariates: Floats, site: str
) -> None:
    """Raise CohortUnbalancedError by the standardised mean differences that are left."""
    one, other = covariates[treated], covariates[~treated]
    scale = np.sqrt((one.var(axis=0, ddof=1) + other.var(axis=0, ddof=1)) / 2)
    means = [
        np.average(covariates[arm], axis=0, weights=chosen.weights[arm])
        for arm in (treated, ~treated)
    ]
    gaps = np.abs(means[0] - means[1]) / np.where(scale > 0, scale, 1.0)
    worst = int(np.argmax(gaps))
    if gaps[worst] > cohort.largest_gap:
        raise CohortUnbalancedError(
            site=site,
            covariate=cohort.covariates[worst],
            gap=float(gaps[worst]),
            allowed=cohort.largest_gap,
        )
