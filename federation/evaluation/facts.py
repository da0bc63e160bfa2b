"""What was measured of a version, as the policy of thresholds reads it."""

from collections.abc import Mapping
from dataclasses import dataclass

from federation.evaluation.assessment import Assessment, Plan
from federation.evaluation.fairness import Fairness
from federation.evaluation.membership import AttackPoint
from federation.evaluation.operating_points import NetBenefit
from federation.evaluation.sliced import EVERYONE
from federation.evaluation.tails import Interval


@dataclass(frozen=True, slots=True)
class Facts:
    """What was measured; None or empty is not measured.

    Parameters
    ----------
    auroc, claim
        The 95 % interval, and the AUROC that the maker claims.
    slope
        The 95 % interval of the calibration slope.
    ece
        Expected calibration error.
    fairness
        Confirmatory comparisons of groups.
    psi
        By variable.
    attack
        The membership attack's success at the smallest false positive rate.
    decision_curve
        Net benefit over the declared range of thresholds.
    """

    auroc: Interval | None = None
    claim: float | None = None
    slope: Interval | None = None
    ece: float | None = None
    fairness: Fairness | None = None
    psi: Mapping[str, float] | None = None
    attack: AttackPoint | None = None
    decision_curve: tuple[NetBenefit, ...] = ()


def facts_of(
    assessment: Assessment,
    plan: Plan,
    *,
    claim: float,
    psi: Mapping[str, float] | None = None,
    attack: AttackPoint | None = None,
) -> Facts:
    """Return the facts of an assessment, with what was measured beside it.

    A decision curve with a refused point counts as not measured: the rule is about the
    whole declared range.
    """
    overall = assessment.slices.get(EVERYONE)
    curve = assessment.decision_curve
    return Facts(
        auroc=overall.auroc_interval if overall else None,
        claim=claim,
        slope=overall.slope.interval() if overall and overall.slope else None,
        ece=overall.ece if overall else None,
        fairness=assessment.fairness,
        psi=psi,
        attack=attack,
        decision_curve=curve if len(curve) == len(plan.decision_thresholds) else (),
    )
