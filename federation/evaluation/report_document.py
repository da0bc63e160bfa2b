"""The document of one version's evaluation: everything that may be shown, as JSON.

    content = canonical(report_document(about, plan, assessment, ...))

It is what a register's report is made of and what the record of the evaluation names by
digest, so the same numbers stand in both. No number in it is finer than six decimals, and
figures of fewer than 100 cases are coarser (`rounding`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from federation.evaluation.assessment import Assessment, Plan
from federation.evaluation.curves import Curves, Distribution
from federation.evaluation.drift import Drift
from federation.evaluation.membership import Attack, AttackPoint
from federation.evaluation.policy import Decision
from federation.evaluation.proportions import Proportion
from federation.evaluation.robustness import Degradation
from federation.evaluation.rounding import decimals_of, rounded
from federation.evaluation.sliced import EVERYONE
from federation.evaluation.suppression import CellRule

SCHEMA = "trifed.evaluation-report/1"


@dataclass(frozen=True, slots=True)
class About:
    """What was evaluated, under which logged protocol, where.

    Parameters
    ----------
    entry, weights
        The version in the register, and the content id of its file.
    study, run
        Of the evaluation.
    protocol, log_index
        Content id of the protocol (``sha256:...``) and its place in the evidence log,
        None where it is not logged.
    sites
        All that took part, whether or not their own figures may be shown.
    exactness
        ``exact-on-grid`` for scores that were quantised at source.
    masked
        Whether the sites' counts were added under masks, so that the centre saw sums only.
    """

    entry: str
    weights: str
    study: str
    run: str
    protocol: str
    log_index: int | None
    sites: Sequence[str]
    exactness: str = "exact-on-grid"
    masked: bool = True


@dataclass(frozen=True, slots=True)
class Matrix:
    """A figure of versions at sites; None where it is not shown."""

    figure: str
    versions: Sequence[str]
    sites: Sequence[str]
    values: Sequence[Sequence[float | None]]


@dataclass(frozen=True, slots=True)
class OwnFigure:
    """The AUROC that a site showed of itself, None where it may not be shown."""

    site: str
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Drifted:
    """One variable's distances, and its distribution where that may be shown."""

    variable: str
    distances: Drift
    distribution: Distribution | None = None


@dataclass(frozen=True, slots=True)
class Beside:
    """What was measured beside the assessment; what was not is empty.

    `further` is what families of their own found, by name, as data (`federation.evaluation`:
    `versions`, `uncertainty`, `explained`); a family that was not asked for has no key.
    """

    curves: Curves | None = None
    robustness: Sequence[Degradation] = ()
    drift: Sequence[Drifted] = ()
    attack: Attack | None = None
    matrix: Matrix | None = None
    own: Sequence[OwnFigure] = ()
    further: Mapping[str, object] = field(default_factory=dict)


def report_document(
    about: About, plan: Plan, assessment: Assessment, decision: Decision, beside: Beside
) -> dict[str, object]:
    """Return the document, plain JSON of finite numbers."""
    whole = assessment.slices.get(EVERYONE)
    decimals = decimals_of(whole.cases if whole else 0)
    document: dict[str, object] = {
        "schema": SCHEMA,
        "about": {
            "entry": about.entry,
            "weights": about.weights,
            "study": about.study,
            "run": about.run,
            "protocol": about.protocol,
            "log_index": about.log_index,
            "sites": list(about.sites),
            "exactness": about.exactness,
            "masked": about.masked,
        },
        "plan": _plan(plan),
        "assessment": assessment.as_json(),
        "decision": decision.as_json(),
        "curves": beside.curves.as_json() if beside.curves else None,
        "robustness": rounded([_degradation(one) for one in beside.robustness], decimals),
        "drift": [_drifted(one) for one in beside.drift],
        "attack": _attack(beside.attack, plan.rule) if beside.attack else None,
        "matrix": _matrix(beside.matrix) if beside.matrix else None,
        "own": [
            {"site": one.site, "value": one.value, "low": one.low, "high": one.high}
            for one in beside.own
        ],
        **{name: rounded(one, decimals) for name, one in beside.further.items()},
    }
    return {name: rounded(value) for name, value in document.items()}


def _plan(plan: Plan) -> dict[str, object]:
    return {
        "threshold": plan.threshold,
        "decision_thresholds": list(plan.decision_thresholds),
        "purpose": plan.purpose.value,
        "smallest_cell": plan.rule.k,
        "references": dict(plan.references),
    }


def _degradation(found: Degradation) -> dict[str, object]:
    return {
        "corruption": found.corruption,
        "aurocs": [
            {"value": one.value, "interval": one.interval().as_json()} for one in found.aurocs
        ],
        "relative": list(found.relative),
        "monotone": found.is_monotone,
    }


def _drifted(found: Drifted) -> dict[str, object]:
    shown, distances = found.distribution, found.distances
    return {
        "variable": found.variable,
        "psi": distances.psi,
        "ks": distances.ks,
        "jensen_shannon": distances.jensen_shannon,
        "p_value": distances.p_value,
        "distribution": shown
        and {
            "edges": list(shown.edges),
            "reference": list(shown.reference),
            "now": list(shown.now),
        },
    }


def _attack(found: Attack, rule: CellRule) -> dict[str, object]:
    """Return the attack; a point that found few members has no interval: it would tell them."""
    return {
        "auroc": {"value": found.auroc.value, "interval": found.auroc.interval().as_json()},
        "advantage": found.advantage,
        "points": [
            {"allowed": one.allowed, "interval": _interval(one, rule)} for one in found.points
        ],
    }


def _interval(point: AttackPoint, rule: CellRule) -> list[float] | None:
    shown = rule.rate("membership", point.true_positives)
    return point.interval.as_json() if isinstance(shown, Proportion) else None


def _matrix(found: Matrix) -> dict[str, object]:
    return {
        "figure": found.figure,
        "versions": list(found.versions),
        "sites": list(found.sites),
        "values": [list(row) for row in found.values],
    }
