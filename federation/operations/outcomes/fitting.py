"""From one sum to the next: every fit takes a Newton step; what a fit cannot go on with, it says.

Pure and the same whenever it is computed again from the same sums: `course` goes through all
of them from the start, so nothing of a fit lives in memory or in a file of its own.

    course = course_of(plan, [first_sums, second_sums])
    course.state              # at what the third sum is asked
    course.ways["model"]      # where a fit stands, or why it stopped

A fit that stopped stays at its coefficients while the others go on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from federation.domain.outcome_plan import (
    Baseline,
    Cox,
    Fit,
    Limits,
    Logistic,
    OutcomePlan,
    Weighted,
)
from federation.errors.base import PlatformError
from federation.errors.evaluation import SummaryInvalidError
from federation.errors.outcomes import (
    CoefficientsRefusedError,
    FewInColumnError,
    NotSettledError,
    WeightTooLargeError,
)
from federation.evaluation.cox import CoxSums, Ties, fewest_at_risk, newton_terms
from federation.evaluation.ipw import WeightedEffect, WeightedSums, effect, solve
from federation.evaluation.regression import (
    MaximumLikelihood,
    NewtonTerms,
    inverse,
    newton_step,
)
from federation.evaluation.stratified_cox import DesignCounts
from federation.evaluation.sums import Floats
from federation.evaluation.suppression import CellRule
from federation.evaluation.terms import Terms
from federation.wire.outcome_sums import (
    COUNTS,
    FILLING,
    STEP,
    TOO_LARGE,
    WEIGHTED,
    Key,
    State,
    is_too_long,
    largest_weight,
    step_form,
    terms_of,
)

Sums = Mapping[Key, Any]
GRID_BITS = 40
"""Coefficients are asked for on this binary grid, so that they are the same on any machine."""


@dataclass(frozen=True, slots=True)
class Way:
    """Where a fit stands.

    Parameters
    ----------
    at, step, first
        Coefficients of the scaled columns; the last step there, and the first (None before).
    rounds
        How many steps were taken.
    terms
        Gradient, information and log-likelihood before the last step.
    counts
        How many cases there are, and in each column of 0 and 1.
    weighted, effect
        Of a weighted analysis, once they are known.
    error
        Why it stopped.
    """

    at: Floats
    step: Floats | None = None
    first: Floats | None = None
    rounds: int = 0
    terms: NewtonTerms | None = None
    counts: DesignCounts | None = None
    weighted: WeightedSums | None = None
    coefficients: Floats | None = None
    effect: WeightedEffect | None = None
    error: PlatformError | None = None

    @property
    def last_step(self) -> float:
        """Return the largest change of the last step, relative to a coefficient's size or 1."""
        assert self.step is not None  # a step was taken
        return float((np.abs(self.step) / np.maximum(1.0, np.abs(self.at))).max(initial=0.0))

    def settled(self, name: str, limits: Limits) -> "Way":
        """Return the way itself, or stopped because its last step was too large."""
        if self.error is not None or self.last_step <= limits.tolerance:
            return self
        error = NotSettledError(
            name=name,
            rounds=self.rounds,
            step=f"{self.last_step:.2g}",
            most=f"{limits.tolerance:g}",
        )
        return replace(self, error=error)

    def fit(self, terms: Terms) -> MaximumLikelihood:
        """Return the fit in the units that people gave.

        Raises
        ------
        CollinearError
            If the information has no inverse.
        """
        assert self.terms is not None  # a step was taken
        covariance = inverse(self.terms.information, "model")
        at, spread = terms.in_units(self.at, covariance)
        return MaximumLikelihood(terms.names, at, spread, self.terms.log_likelihood, self.rounds)


@dataclass(frozen=True, slots=True)
class Course:
    """Where all fits stand after some sums, and the state that the next one is asked at."""

    plan: OutcomePlan
    ways: Mapping[str, Way]

    @property
    def state(self) -> State:
        """Return what the next sum is asked at."""
        return State({one.name: self._vector(one) for one in self.plan.fits})

    def after(self, number: int, sums: Sums) -> "Course":
        """Return the course after one more sum, counted from 1."""
        ways = {
            one.name: _taken(self.plan, one, self.ways[one.name], number, sums)
            for one in self.plan.fits
        }
        return Course(self.plan, ways)

    def _vector(self, one: Fit) -> Floats:
        way = self.ways[one.name]
        if not isinstance(one, Weighted):
            return way.at
        known = np.zeros(2) if way.coefficients is None else way.coefficients
        return np.concatenate([way.at, [_share(way)], known])


def _share(way: Way) -> float:
    """Return the share of treated; of a fit that stopped before it is known, any that does."""
    if way.counts is None:
        return 0.0 if way.error is None else 0.5
    return way.counts.events / way.counts.cases


def start_of(plan: OutcomePlan) -> Course:
    """Return the course before the first sum: every fit at zero."""
    ways = {one.name: Way(np.zeros(len(terms_of(plan, one).names))) for one in plan.fits}
    return Course(plan, ways)


def course_of(plan: OutcomePlan, sums: Sequence[Sums]) -> Course:
    """Return the course after some sums, in their order."""
    course = start_of(plan)
    for number, found in enumerate(sums, start=1):
        course = course.after(number, found)
    return course


def _taken(plan: OutcomePlan, one: Fit, way: Way, number: int, sums: Sums) -> Way:
    """Return a way after one sum; it stops at the first thing that it cannot go on with."""
    if way.error is not None:
        return way
    rule = CellRule(plan.smallest_cell)
    try:
        if number == 1:
            way = replace(way, counts=_counted(plan, one, sums[one.name, COUNTS], rule))
        if number <= plan.fitting:
            way = _stepped(one, way, sums[one.name, STEP], plan, rule)
            return way.settled(one.name, plan.limits) if number == plan.fitting else way
        if isinstance(one, Weighted):
            return _weighed(plan, one, way, number - plan.fitting, sums, rule)
    except PlatformError as error:
        return replace(way, error=error)
    return way


def _counted(plan: OutcomePlan, one: Fit, counts: DesignCounts, rule: CellRule) -> DesignCounts:
    """Return the counts of a model if none of its groups is too small to be told of.

    A model of columns of 0 and 1 alone is a table in other words, so its cells are looked
    at too: those of a group with the event, and but for events in time those without.

    Raises
    ------
    SumTooSmallError
        If the sum is over too few sites or cases, or over few more than the model has columns.
    FewInColumnError
        If a level, an arm, or those of it with or without the outcome are too few.
    """
    spare = counts.cases - len(terms_of(plan, one).names)
    rule.check_sum(sites=counts.sites, smallest=spare)
    groups = dict(zip(counts.names, counts.ones.tolist(), strict=True))
    inside = dict(zip(counts.names, counts.ones_with.tolist(), strict=True))
    explained = _explained(one)
    few = {
        explained: counts.events,
        **_smaller(groups, counts.cases),
        **{f"{name} × {explained}": cell for name, cell in _smaller(inside, counts.events).items()},
    }
    if not isinstance(one, Cox):
        without = {name: groups[name] - inside[name] for name in groups}
        rest = counts.cases - counts.events
        few[f"{explained}=0"] = rest
        few |= {f"{name} × {explained}=0": cell for name, cell in _smaller(without, rest).items()}
    for column, count in few.items():
        if count < rule.k:
            raise FewInColumnError(name=one.name, column=column, k=rule.k)
    return counts


def _smaller(groups: Mapping[str, int], cases: int) -> dict[str, int]:
    """Return the smaller of each column's two groups, and those of the levels' references."""
    both = {name: min(count, cases - count) for name, count in groups.items()}
    return {**both, **_references(groups, cases)}


EVENTS = "event"


def _explained(one: Fit) -> str:
    match one:
        case Cox():
            return EVENTS
        case Logistic(outcome=outcome):
            return outcome
        case Weighted(treatment=treatment):
            return treatment


def _references(groups: Mapping[str, int], cases: int) -> dict[str, int]:
    """Return how many have the level that others of a variable are compared with."""
    left: dict[str, int] = {}
    for column, count in groups.items():
        variable, is_level, _ = column.partition("=")
        if is_level:
            left[variable] = left.get(variable, cases) - count
    return left


def _stepped(one: Fit, way: Way, sums: Any, plan: OutcomePlan, rule: CellRule) -> Way:
    """Return a way one Newton step on.

    Raises
    ------
    SumTooSmallError
        If the sum is over too few sites or cases, or few are at risk at an event.
    CollinearError
        If the covariates repeat each other.
    CoefficientsRefusedError
        If the step leads beyond the declared bound or scale, or is too long.
    """
    is_shared = isinstance(one, Cox) and one.baseline is Baseline.SHARED
    if is_shared:
        _check_at_times(sums, plan)
    smallest = fewest_at_risk(sums) if is_shared else sums.cases
    rule.check_sum(sites=sums.sites, smallest=smallest)
    terms = _newton(one, sums)
    step = newton_step(terms.gradient, terms.information, one.name)
    at = _on_grid(way.at + step)
    if (np.abs(at) > plan.limits.largest_coefficient).any() or _grows(at - way.at, way):
        raise CoefficientsRefusedError(why=TOO_LARGE)
    step_form(plan, one, at)
    first = at - way.at if way.first is None else way.first
    rounds = way.rounds + 1
    return replace(way, at=at, step=at - way.at, first=first, rounds=rounds, terms=terms)


def _check_at_times(sums: CoxSums, plan: OutcomePlan) -> None:
    """Refuse counts that no hospitals of the protocol could have, before anything goes by them.

    Raises
    ------
    SummaryInvalidError
        If more have the event at a time than are at risk, or more than there can be.
    """
    most = plan.limits.most_patients * max(sums.sites, len(plan.peers))
    if (sums.events > sums.at_risk).any() or int(sums.events.sum()) > most:
        expected = "no more events than patients"
        raise SummaryInvalidError(field="events", actual="too many", expected=expected)


def _newton(one: Fit, sums: Any) -> NewtonTerms:
    if isinstance(one, Cox) and one.baseline is Baseline.SHARED:
        return newton_terms(sums, Ties(one.ties.value))
    return NewtonTerms(sums.gradient, sums.information, sums.log_likelihood)


def _weighed(
    plan: OutcomePlan, one: Weighted, way: Way, step: int, sums: Sums, rule: CellRule
) -> Way:
    """Return a way with the outcome's coefficients, then with their robust variance.

    Raises
    ------
    WeightTooLargeError
        If a hospital left its weights out, because one is too large.
    """
    if step == 1:
        weighted = sums[one.name, WEIGHTED]
        assert way.counts is not None  # they came with the first sum
        if weighted.sites != way.counts.sites:
            most = largest_weight(plan, one)
            raise WeightTooLargeError(name=one.name, most=f"{most:g}")
        return replace(way, weighted=weighted, coefficients=solve(weighted, rule))
    assert way.weighted is not None  # it came before
    return replace(way, effect=effect(way.weighted, sums[one.name, FILLING], rule))


def _on_grid(at: Floats) -> Floats:
    return np.asarray(np.ldexp(np.rint(np.ldexp(at, GRID_BITS)), -GRID_BITS), dtype=np.float64)


def _grows(step: Floats, way: Way) -> bool:
    """Say whether a step is so long that sites would not answer the next."""
    if way.step is None or way.first is None:
        return False
    return is_too_long(step, before=way.step, first=way.first)
