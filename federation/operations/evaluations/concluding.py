"""What the sums of an evaluation come to: figures, decision, and one document a version.

Pure: from the sums and the sites' own coarse figures to plain JSON. The centre never had
more than sums over all sites; what a site shows of itself is what it sent, coarse and
suppressed, and is where the matrix and the heterogeneity between sites come from.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from federation.domain.evaluation_plan import Comparison, Family
from federation.domain.ids import SiteId
from federation.domain.study import Study
from federation.errors.evaluation import NoBaselineError, TooFewEstimatesError
from federation.errors.privacy import SingleClassError
from federation.evaluation.assessment import Assessment, Plan, assess
from federation.evaluation.curves import (
    SCORE,
    Curves,
    distribution_of,
    shown_counts,
    shown_curves,
)
from federation.evaluation.discrimination import logit_estimate
from federation.evaluation.drift import BinCounts, drift
from federation.evaluation.facts import Facts, facts_of
from federation.evaluation.fairness import Purpose
from federation.evaluation.heterogeneity import Heterogeneity, combine
from federation.evaluation.membership import (
    FALSE_POSITIVE_RATES,
    Attack,
    AttackPoint,
    shown_attack,
)
from federation.evaluation.policy import Decision, Policy, RiskClass, decide
from federation.evaluation.report_document import (
    About,
    Beside,
    Drifted,
    Matrix,
    OwnFigure,
    report_document,
)
from federation.evaluation.robustness import Degradation, degradation
from federation.evaluation.sliced import EVERYONE
from federation.evaluation.sums import Counts
from federation.evaluation.suppression import CellRule, Reason, Refusal
from federation.evaluation.tails import Estimate
from federation.operations.campaign.summing import SumFound
from federation.operations.evaluations.further import Further, further_of
from federation.wire.statistics import AGE_BANDS

AUROC = "auroc"
ALL_SITES = "all sites"
AGE = "age"

DIMENSIONS: Mapping[Family, str] = {
    Family.DISCRIMINATION: "discrimination",
    Family.CALIBRATION: "calibration",
    Family.OPERATING_POINT: "operating-point",
    Family.FAIRNESS: "fairness",
    Family.NET_BENEFIT: "net-benefit",
    Family.ROBUSTNESS: "robustness",
    Family.DRIFT: "drift",
    Family.PRIVACY: "privacy",
    Family.PAIRED: "discrimination",
    Family.UNCERTAINTY: "uncertainty",
    Family.EXPLAINABILITY: "explainability",
}
"""The register's dimension of each family."""


@dataclass(frozen=True, slots=True)
class Ran:
    """Where an evaluation ran: the study and run, and the protocol's place in the log."""

    study: Study
    run: str
    protocol: str
    log_index: int


@dataclass(frozen=True, slots=True)
class Found:
    """Everything found of one version, and its document (plain JSON)."""

    entry: str
    assessment: Assessment
    facts: Facts
    decision: Decision
    beside: Beside
    further: Further
    document: dict[str, object]


@dataclass(frozen=True, slots=True)
class SiteFigure:
    """What one site showed of one version: its AUROC, or the code of why there is none."""

    site: SiteId
    value: float | None
    low: float | None
    high: float | None
    variance: float | None
    refused: str | None


def plan_of(study: Study) -> Plan:
    """Return the protocol as the statistics take it."""
    plan = study.evaluation
    assert plan is not None  # a study that evaluates
    confirms = plan.comparison is Comparison.CONFIRMATORY
    return Plan(
        threshold=plan.threshold,
        decision_thresholds=plan.decision_thresholds if plan.asks(Family.NET_BENEFIT) else (),
        purpose=Purpose.CONFIRMATORY if confirms else Purpose.SCREENING,
        rule=CellRule(plan.smallest_cell),
        seed=study.seed,
        references={one.family: f"{one.family}={one.reference}" for one in plan.slices},
    )


def conclude(
    ran: Ran,
    sums: Sequence[SumFound],
    figures: Mapping[str, Sequence[SiteFigure]],
    policy: Policy,
) -> list[Found]:
    """Return what was found of every version.

    Parameters
    ----------
    figures
        By entry, what each site that prepared it showed of itself.

    Raises
    ------
    SingleClassError
        If no case, or every case, of the sum has the finding.
    PlatformError
        What the statistics refuse.
    """
    matrix = matrix_of(figures)
    return [
        _found(ran, _Sums(one, sums[0]), figures[one.version.entry], matrix, policy) for one in sums
    ]


def matrix_of(figures: Mapping[str, Sequence[SiteFigure]]) -> Matrix:
    """Return the AUROC of every version at every site; None where it is not shown."""
    sites = sorted({one.site for listed in figures.values() for one in listed})
    rows = [{one.site: one.value for one in listed} for listed in figures.values()]
    values = [[row.get(site) for site in sites] for row in rows]
    return Matrix(AUROC, list(figures), [str(site) for site in sites], values)


def figure_of(site: SiteId, report: Mapping[str, object]) -> SiteFigure:
    """Return what a site's signed report shows of it."""
    listed = report.get("metrics")
    metrics = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    auroc: dict[str, Any] = next((one for one in metrics if one.get("name") == AUROC), {})
    refused = report.get("refused")
    numbers = {name: auroc.get(name) for name in ("value", "low", "high", "variance")}
    return SiteFigure(site, **numbers, refused=None if refused is None else str(refused))


@dataclass(frozen=True, slots=True)
class _Sums:
    """The sum of a version, and that of the plan's first, with which it is compared."""

    own: SumFound
    first: SumFound


def _found(
    ran: Ran,
    sums: _Sums,
    figures: Sequence[SiteFigure],
    matrix: Matrix,
    policy: Policy,
) -> Found:
    found = sums.own
    asked, plan, scores = ran.study.evaluation, plan_of(ran.study), found.total.scores
    assert asked is not None  # a study that evaluates
    scores.histogram(EVERYONE).check_both_classes()
    refusals: list[Refusal] = []
    assessment = _between_sites(assess({ALL_SITES: scores}, plan), figures)
    curves = _curves(found, plan, assessment)
    cuts = () if curves is None else curves.scores
    further = further_of(found, sums.first, asked, assessment, rule=plan.rule, cuts=cuts)
    beside = Beside(
        curves=curves,
        robustness=tuple(_robustness(found, plan.rule, refusals)),
        drift=tuple(_drift(found, assessment.slices, plan.rule, cuts, refusals)),
        attack=_attack(found, plan.rule, refusals),
        matrix=matrix,
        own=[OwnFigure(str(one.site), one.value, one.low, one.high) for one in figures],
        further=further.as_json(asked, is_first=found is sums.first),
    )
    assessment = replace(
        assessment,
        refusals=(*assessment.refusals, *refusals, *further.refusals),
        failures=(*assessment.failures, *further.failures),
    )
    facts = facts_of(
        assessment,
        plan,
        claim=found.version.claim,
        psi={one.variable: one.distances.psi for one in beside.drift} or None,
        attack=_strictest(beside.attack),
    )
    wanted = {DIMENSIONS[one] for one in asked.families}
    decision = decide(policy, RiskClass(asked.risk), facts, wanted)
    about = About(
        entry=found.version.entry,
        weights=str(found.version.weights),
        study=str(ran.study.id),
        run=ran.run,
        protocol=ran.protocol,
        log_index=ran.log_index,
        sites=[str(site) for site in sorted(found.parts)],
    )
    document = report_document(about, plan, assessment, decision, beside)
    return Found(found.version.entry, assessment, facts, decision, beside, further, document)


def _between_sites(found: Assessment, figures: Sequence[SiteFigure]) -> Assessment:
    """Put the heterogeneity of the sites' own figures in the place of that of one sum.

    The sum is the only "site" that the statistics saw; what they say of it as a site is
    what they say of everyone.
    """
    return replace(
        found,
        sites={},
        heterogeneity=heterogeneity_of(figures),
        refusals=tuple(one for one in found.refusals if not one.name.startswith(ALL_SITES)),
        failures=tuple(
            one
            for one in found.failures
            if one.name != "heterogeneity" and not one.name.startswith(ALL_SITES)
        ),
    )


def heterogeneity_of(figures: Sequence[SiteFigure]) -> Heterogeneity | None:
    """Return how far the sites' own AUROCs lie apart; None where too few can be compared."""
    usable = [
        logit_estimate(Estimate(one.value, one.variance))
        for one in figures
        if one.value is not None and one.variance and 0 < one.value < 1
    ]
    try:
        return combine(usable)
    except TooFewEstimatesError:
        return None


def _curves(found: SumFound, plan: Plan, assessment: Assessment) -> Curves | None:
    """Return the curves of the sum; none where not even the ranking may be shown."""
    if EVERYONE not in assessment.slices:
        return None
    histogram = found.total.scores.histogram(EVERYONE)
    return shown_curves(histogram, plan, assessment.decision_curve)


def _robustness(found: SumFound, rule: CellRule, refusals: list[Refusal]) -> Iterator[Degradation]:
    plain = found.total.scores.histogram(EVERYONE)
    for corruption, by_severity in found.total.corrupted.items():
        refused = rule.slice_of(f"robustness {corruption.value}", plain)
        if refused is not None:
            refusals.append(refused)
            continue
        try:
            yield degradation(corruption.value, plain, by_severity)
        except NoBaselineError:  # it says nothing of a version that is no better than chance
            continue


def _drift(
    found: SumFound,
    shown: Collection[str],
    rule: CellRule,
    scores: Sequence[float],
    refusals: list[Refusal],
) -> Iterator[Drifted]:
    """Yield the distances of the distributions that may be shown, and these.

    Parameters
    ----------
    shown
        The slices of the assessment: with those by age, the ages of the others follow.
    scores
        Where the curves are cut.
    """
    everyone = [_cases(one) for one in found.total.drift.get(SCORE, ())]
    for variable, pair in found.total.drift.items():
        sizes = [_cases(one) for one in pair]
        unknown = [every - size for every, size in zip(everyone, sizes, strict=True)]
        if min(sizes) < rule.k or any(map(rule.is_small, unknown)):
            refusals.append(rule.refuse(f"drift {variable}", Reason.SMALL_TOTAL))
            continue
        known = [_unshown_ages(pair[1], shown)] if variable == AGE else []
        counts = shown_counts(*pair, rule, scores, known)
        if isinstance(counts, Refusal):
            refusals.append(counts)
        else:
            yield Drifted(variable, drift(*counts), distribution_of(*counts))


def _unshown_ages(now: BinCounts, shown: Collection[str]) -> Counts:
    """Return the cases by age that no shown slice counts: the rest of everyone has them all."""
    counted = [f"age-band={band}" in shown for band in AGE_BANDS]
    rest: Counts = np.where(counted, 0, now.cases)
    return rest


def _attack(found: SumFound, rule: CellRule, refusals: list[Refusal]) -> Attack | None:
    closeness = found.total.closeness
    if closeness is None:
        return None
    refused = rule.slice_of("membership", closeness)
    if refused is not None:
        refusals.append(refused)
        return None
    try:
        found_of, hidden = shown_attack(closeness, rule)
    except SingleClassError:  # no site of the sum trained it
        return None
    refusals += hidden
    return found_of


def _strictest(found: Attack | None) -> AttackPoint | None:
    """Return the point at the smallest false positive rate; None where it may not be shown."""
    points = () if found is None else found.points
    return next((one for one in points if one.allowed == FALSE_POSITIVE_RATES[0]), None)


def _cases(counts: BinCounts) -> int:
    return int(counts.cases.sum())
