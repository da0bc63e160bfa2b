"""What the sums of an outcome study come to: one document, plain JSON.

Pure. Curves come from the first sum, fits from where their steps led. An analysis that may
not be shown, or did not settle, says its code; the others stand. Nothing is shown of a group
of fewer patients than the cell rule has, and a curve ends where fewer are still followed.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from federation.domain.outcome_plan import (
    Analysis,
    Cox,
    Fit,
    Logistic,
    Numeric,
    OutcomePlan,
    Survival,
    Weighted,
)
from federation.domain.study import Study
from federation.errors.base import PlatformError
from federation.errors.evaluation import AllTiedError
from federation.errors.outcomes import FewInColumnError
from federation.evaluation.differencing import hidden_groups
from federation.evaluation.regression import MaximumLikelihood
from federation.evaluation.stratified_cox import DesignCounts
from federation.evaluation.suppression import CellRule, Reason, Refusal
from federation.evaluation.survival import (
    SurvivalCurve,
    SurvivalTable,
    kaplan_meier,
    log_rank,
    restricted_mean,
    shown_curve,
)
from federation.evaluation.tails import Estimate
from federation.evaluation.terms import INTERCEPT, Term, middle_of
from federation.operations.outcomes.fitting import Course, Sums, Way, course_of
from federation.wire.outcome_plan import plan_as_json
from federation.wire.outcome_sums import COUNTS, group_of, grouped_before, shared_with, terms_of
from federation.wording import Language

SCHEMA = "trifed.outcomes/1"
MARKS = 7
"""Times at which the numbers at risk are told, as under a printed curve."""
LARGEST_RATIO_LOG = 700.0

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ran:
    """Where an outcome study ran: the study and run, and the protocol's place in the log."""

    study: Study
    run: str
    protocol: str
    log_index: int
    sites: Sequence[str]


def conclude(ran: Ran, sums: Sequence[Sums]) -> Json:
    """Return the document of a run from its sums, in their order."""
    plan = ran.study.outcomes
    assert plan is not None  # an outcome study
    course, rule = course_of(plan, sums), CellRule(plan.smallest_cell)
    protocol = plan_as_json(plan)
    del protocol["peers"]
    return {
        "schema": SCHEMA,
        "about": {
            "study": str(ran.study.id),
            "run": ran.run,
            "title": ran.study.title,
            "table": ran.study.cohort,
            "protocol": ran.protocol,
            "log_index": ran.log_index,
            "sites": list(ran.sites),
            "impact_study": plan.impact_study,
        },
        "plan": protocol,
        "patients": _patients(plan, sums[0]),
        "analyses": [_analysis(plan, one, course, sums[0], rule) for one in plan.analyses],
    }


def _patients(plan: OutcomePlan, first: Sums) -> int:
    """Return how many patients there are; no hospital answered with fewer than k."""
    one = plan.analyses[0]
    found = first[one.name, COUNTS]
    return int(found.at_risk[:, 0].sum()) if isinstance(one, Survival) else int(found.cases)


def _analysis(
    plan: OutcomePlan, one: Analysis, course: Course, first: Sums, rule: CellRule
) -> Json:
    try:
        _check_apart(plan, one, first, rule)
        if isinstance(one, Survival):
            return _survival(plan, one, first[one.name, COUNTS], rule)
        way = course.ways[one.name]
        if way.error is not None:
            raise way.error
        return _weighted(plan, one, way) if isinstance(one, Weighted) else _model(plan, one, way)
    except PlatformError as error:
        return {**_empty(plan, one), "refused": refused_json(error)}


def _check_apart(plan: OutcomePlan, one: Analysis, first: Sums, rule: CellRule) -> None:
    """Refuse groups that are those of an earlier analysis but for a few patients.

    Raises
    ------
    FewInColumnError
        If what is shown of both would tell of these few.
    """
    for other in grouped_before(plan, one):
        if first[one.name, shared_with(other)].tells_few_apart(rule):
            column = f"{group_of(one)} × {other}"
            raise FewInColumnError(name=one.name, column=column, k=rule.k)


def refused_json(error: PlatformError) -> Json:
    """Return why an analysis is not shown, in both languages."""
    return {
        "code": error.code,
        "what": {one.value: error.say_what(one) for one in Language},
        "next": {one.value: error.say_next_step(one) for one in Language},
    }


# -- time to the event ------------------------------------------------------------------------


def _survival(plan: OutcomePlan, one: Survival, table: SurvivalTable, rule: CellRule) -> Json:
    rule.check_sum(sites=rule.sites, smallest=int(table.at_risk[:, 0].sum()))
    shown, hidden = _curves(table, rule)
    means = [_mean(curve, one.horizon, rule) for curve in shown]
    hidden += [found for found in means if isinstance(found, Refusal)]
    told = [found for found in means if not isinstance(found, Refusal)]
    counts = table.at_risk[:, 0]
    is_whole = len(table.groups) > 1 and bool((counts >= rule.k).all())
    return {
        **_empty(plan, one),
        "curves": [_curve(curve) for curve in shown],
        "at_risk": _at_risk(shown, rule),
        "hidden": [_hidden(found) for found in hidden],
        "log_rank": _log_rank(table) if is_whole else None,
        "means": [_mean_json(curve, one.horizon, mean) for curve, mean in told],
        "difference": _difference(one, table, told),
    }


def _curves(table: SurvivalTable, rule: CellRule) -> tuple[list[SurvivalCurve], list[Refusal]]:
    """Return the curves of groups that are large enough, and why others have none."""
    hidden = _hidden_groups(table, rule)
    found = [
        shown_curve(kaplan_meier(table, group), rule, step_days=0.0, is_one_site=False)
        if group not in hidden
        else rule.refuse(group, Reason.HIDDEN_CELL)
        for group in table.groups
    ]
    shown = [one for one in found if isinstance(one, SurvivalCurve)]
    return shown, [one for one in found if isinstance(one, Refusal)]


def _hidden_groups(table: SurvivalTable, rule: CellRule) -> set[str]:
    """Return the groups without a curve."""
    hidden = hidden_groups(table.at_risk[:, 0], rule)
    return {group for group, is_hidden in zip(table.groups, hidden, strict=True) if is_hidden}


def _curve(curve: SurvivalCurve) -> Json:
    low, high = curve.bands()
    return {
        "group": curve.group,
        "patients": int(curve.at_risk[0]),
        "ends": float(curve.times[-1]),
        "times": curve.times.tolist(),
        "survival": curve.survival.tolist(),
        "low": low.tolist(),
        "high": high.tolist(),
    }


def _at_risk(curves: Sequence[SurvivalCurve], rule: CellRule) -> Json:
    """Return how many are followed at a few times, null where they are too few."""
    if not curves:
        return {"times": [], "groups": []}
    longest = max(curves, key=lambda one: len(one.times))
    places = np.unique(np.linspace(0, len(longest.times) - 1, MARKS).round().astype(int))
    return {
        "times": longest.times[places].tolist(),
        "groups": [
            {
                "group": one.group,
                "counts": [
                    int(one.at_risk[at]) if at < len(one.at_risk) and one.at_risk[at] >= rule.k
                    else None
                    for at in places
                ],
            }
            for one in curves
        ],
    }  # fmt: skip


def _mean(
    curve: SurvivalCurve, horizon: float, rule: CellRule
) -> tuple[SurvivalCurve, Estimate] | Refusal:
    if horizon > float(curve.times[-1]):
        return rule.refuse(curve.group, Reason.AT_RISK)
    return curve, restricted_mean(curve, horizon)


def _mean_json(curve: SurvivalCurve, horizon: float, mean: Estimate) -> Json:
    return {"group": curve.group, "horizon": horizon, **_estimate(mean)}


def _difference(
    one: Survival, table: SurvivalTable, told: Sequence[tuple[SurvivalCurve, Estimate]]
) -> Json | None:
    if len(table.groups) != 2 or len(told) != 2:
        return None
    (first, before), (second, after) = told
    gap = after.minus(before)
    groups = [first.group, second.group]
    return {"groups": groups, "horizon": one.horizon, **_estimate(gap), "p": gap.p_value()}


def _log_rank(table: SurvivalTable) -> Json | None:
    """Return the test, None where no event tells the groups apart."""
    try:
        found = log_rank(table)
    except AllTiedError:
        return None
    return {"statistic": found.statistic, "freedom": found.freedom, "p": found.p_value}


def _hidden(found: Refusal) -> Json:
    reason = {one.value: found.say(one) for one in Language}
    return {"group": found.name, "reason": reason}


# -- models -----------------------------------------------------------------------------------


def _model(plan: OutcomePlan, one: Cox | Logistic, way: Way) -> Json:
    terms = terms_of(plan, one)
    fit = way.fit(terms)
    assert way.counts is not None  # it was stepped
    return {
        **_empty(plan, one),
        "patients": int(way.counts.cases),
        "events": _events(plan, way.counts),
        "log_likelihood": fit.log_likelihood,
        **_settled(way, plan),
        "terms": list(_terms(fit, terms.listed)),
    }


def _events(plan: OutcomePlan, counts: DesignCounts) -> int | None:
    """Return how many had the event; None where that would tell of few who had it not."""
    rule = CellRule(plan.smallest_cell)
    is_told = not rule.is_small(counts.cases - counts.events)
    return int(counts.events) if is_told else None


def _terms(fit: MaximumLikelihood, listed: Sequence[Term]) -> Iterator[Json]:
    for term in listed:
        found = fit.estimate(term.name)
        interval = found.interval()
        ratio = {
            "value": _exp(found.value), "low": _exp(interval.low), "high": _exp(interval.high),
        }  # fmt: skip
        yield {
            "term": term.name,
            "reference": term.reference,
            **_estimate(found),
            "z": found.value / found.error,
            "p": found.p_value(),
            "ratio": None if term.name == INTERCEPT else ratio,
        }


def _weighted(plan: OutcomePlan, one: Weighted, way: Way) -> Json:
    """Return a weighted effect in the outcome's own units.

    Raises
    ------
    AllTiedError
        If the outcome is the same for everybody of an arm.
    """
    assert way.effect is not None and way.weighted is not None  # both sums came
    outcome = plan.variable(one.outcome)
    middle, half = middle_of(outcome) if isinstance(outcome, Numeric) else (0.0, 1.0)
    found = way.effect
    untreated = Estimate(found.untreated.value * half + middle, found.untreated.variance * half**2)
    effect = Estimate(found.effect.value * half, found.effect.variance * half**2)
    if not 0 < untreated.variance < effect.variance:
        raise AllTiedError(figure=one.name)
    apart = effect.variance - untreated.variance  # arms share no patient
    treated = Estimate(untreated.value + effect.value, apart)
    untreated_count, treated_count = (int(count) for count in way.weighted.arms)
    return {
        **_empty(plan, one),
        "patients": {"untreated": untreated_count, "treated": treated_count},
        "effective": {"untreated": found.effective[0], "treated": found.effective[1]},
        **_settled(way, plan),
        "untreated": _estimate(untreated),
        "treated": _estimate(treated),
        "effect": {**_estimate(effect), "z": effect.value / effect.error, "p": effect.p_value()},
    }


def _settled(way: Way, plan: OutcomePlan) -> Json:
    return {
        "rounds": way.rounds,
        "tolerance": plan.limits.tolerance,
        "last_step": way.last_step,
    }


def _estimate(found: Estimate) -> Json:
    interval = found.interval()
    return {
        "value": found.value, "error": found.error, "low": interval.low, "high": interval.high,
    }  # fmt: skip


def _exp(value: float) -> float:
    return math.exp(min(max(value, -LARGEST_RATIO_LOG), LARGEST_RATIO_LOG))


# -- what an analysis has before anything is known ----------------------------------------------


def _empty(plan: OutcomePlan, one: Analysis) -> Json:
    """Return every field of an analysis, those of its result empty."""
    body: Json = {"name": one.name, "refused": None}
    if isinstance(one, Survival):
        assert plan.clock is not None  # the protocol was checked
        return body | {
            "kind": "survival", "unit": plan.clock.unit.value, "group": one.group,
            "curves": [],
            "at_risk": {"times": [], "groups": []}, "hidden": [], "log_rank": None, "means": [],
            "difference": None,
        }  # fmt: skip
    fitted = {"rounds": None, "tolerance": plan.limits.tolerance, "last_step": None}
    if isinstance(one, Weighted):
        return body | fitted | {
            "kind": "weighted", "treatment": one.treatment, "outcome": one.outcome,
            "weights": one.weights.value, "patients": None,
            "effective": None, "untreated": None, "treated": None, "effect": None,
        }  # fmt: skip
    return body | fitted | _of_model(one) | {
        "patients": None, "events": None, "log_likelihood": None, "terms": [],
    }  # fmt: skip


def _of_model(one: Fit) -> Json:
    if isinstance(one, Cox):
        return {
            "kind": "cox", "ratio": "hazard", "outcome": None, "ties": one.ties.value,
            "baseline": one.baseline.value,
        }  # fmt: skip
    assert isinstance(one, Logistic)
    return {
        "kind": "logistic", "ratio": "odds", "outcome": one.outcome, "ties": None,
        "baseline": None,
    }  # fmt: skip
