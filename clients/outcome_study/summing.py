"""What a hospital adds to one sum: pure arithmetic on its own columns, no file, no clock.

summaries_of(plan, number, state, columns)      # by block, as `wire.outcome_sums` orders them
"""

from dataclasses import replace

import numpy as np

from clients.outcome_study.columns import Columns
from federation.domain.outcome_plan import (
    Analysis,
    Baseline,
    Cox,
    Fit,
    Logistic,
    OutcomePlan,
    Survival,
    Weighted,
    Weights,
)
from federation.evaluation.cox import CoxSums, Ties, cox_sums
from federation.evaluation.differencing import SharedGroups
from federation.evaluation.ipw import (
    MeatSums,
    WeightedSums,
    inverse_weights,
    meat_sums,
    overlap_weights,
    weighted_sums,
)
from federation.evaluation.regression import LogisticSums, logistic_sums
from federation.evaluation.stratified_cox import DesignCounts, stratified_sums
from federation.evaluation.sums import Counts, Floats, Sums
from federation.evaluation.survival import SurvivalTable, survival_table
from federation.evaluation.terms import scaled_to_one
from federation.wire.outcome_sums import (
    COUNTS,
    SHARED,
    STEP,
    WEIGHTED,
    Key,
    State,
    counted_of,
    group_of,
    groups_of,
    largest_weight,
    layout_of,
    levels_of,
    terms_of,
)


def summaries_of(plan: OutcomePlan, number: int, state: State, columns: Columns) -> dict[Key, Sums]:
    """Return a site's summaries of one sum, counted from 1, at a state.

    Where somebody was all but certain to be in the other arm, weights are cut off at the bound
    and the summary says that it is one of no sites: the centre shows nothing of it. It is
    never left out, for then the sum would be one over the other hospitals alone.

    Raises
    ------
    CoefficientsRefusedError
        If the coefficients are beyond what was declared.
    """
    analyses = {one.name: one for one in plan.analyses}
    wanted = [block.key for block in layout_of(plan, number, state).blocks]
    return {key: _summary(plan, analyses[key[0]], key[1], state, columns) for key in wanted}


def _summary(plan: OutcomePlan, one: Analysis, kind: str, state: State, columns: Columns) -> Sums:
    if kind.startswith(SHARED):
        return _shared(plan, one, kind, columns)
    if isinstance(one, Survival):
        return _survival(plan, one, columns)
    if kind == COUNTS:
        return _counts(plan, one, columns)
    if kind == STEP:
        return _step(plan, one, state, columns)
    assert isinstance(one, Weighted)  # nothing else has other blocks
    outcome = scaled_to_one(plan.variable(one.outcome), columns.values[one.outcome])
    treated, weights = columns.values[one.treatment], _weights(plan, one, state, columns)
    most = largest_weight(plan, one)
    held = np.minimum(weights, most)
    found: WeightedSums | MeatSums = (
        weighted_sums(outcome, treated, held)
        if kind == WEIGHTED
        else meat_sums(outcome, treated, held, state.effect(one))
    )
    return found if bool((weights <= most).all()) else replace(found, sites=0)


def _survival(plan: OutcomePlan, one: Survival, columns: Columns) -> SurvivalTable:
    assert plan.clock is not None  # the protocol was checked
    group = np.zeros(columns.rows) if one.group is None else columns.values[one.group]
    return survival_table(
        columns.time,
        columns.event,
        group.astype(np.int64),
        groups=groups_of(plan, one),
        times=np.array(plan.clock.times),
    )


def _shared(plan: OutcomePlan, one: Analysis, kind: str, columns: Columns) -> SharedGroups:
    """Return how many patients the groups of an analysis share with those of one before it."""
    own, other = group_of(one), kind.removeprefix(SHARED).strip()
    assert own is not None  # it has groups
    rows, levels = levels_of(plan, other), levels_of(plan, own)
    found = np.zeros((len(rows), len(levels)), dtype=np.int64)
    places = columns.values[other].astype(np.int64), columns.values[own].astype(np.int64)
    np.add.at(found, places, 1)
    return SharedGroups(rows, levels, found)


def _counts(plan: OutcomePlan, one: Fit, columns: Columns) -> DesignCounts:
    """Return how many there are, with the event, the outcome, or the treatment."""
    terms, explained = terms_of(plan, one), _explained(one, columns)
    design, names = terms.design(columns.values, columns.rows), counted_of(plan, one)
    ones = design[:, [place for place, term in enumerate(terms.listed) if term.is_count]]
    if isinstance(one, Weighted) and one.outcome in names:
        ones = np.column_stack([ones, columns.values[one.outcome]])
    return DesignCounts(
        names, _whole(ones.sum(axis=0)), _whole(explained @ ones), columns.rows,
        int(explained.sum()), 1,
    )  # fmt: skip


def _whole(sums: Floats) -> Counts:
    return np.rint(sums).astype(np.int64)


def _explained(one: Fit, columns: Columns) -> Floats:
    match one:
        case Cox():
            return columns.event.astype(np.float64)
        case Logistic(outcome=outcome):
            return columns.values[outcome]
        case Weighted(treatment=treatment):
            return columns.values[treatment]


def _step(plan: OutcomePlan, one: Fit, state: State, columns: Columns) -> Sums:
    terms, at = terms_of(plan, one), state.at(plan, one)
    design = terms.design(columns.values, columns.rows)
    if not isinstance(one, Cox):
        return _logistic(terms.names, design, _explained(one, columns), at)
    sums = _cox(plan, terms.names, design, columns, at)
    if one.baseline is Baseline.SHARED:
        return sums
    return stratified_sums(sums, Ties(one.ties.value))


def _logistic(names: tuple[str, ...], design: Floats, truth: Floats, at: Floats) -> LogisticSums:
    return logistic_sums(names, design, truth, at)


def _cox(
    plan: OutcomePlan, names: tuple[str, ...], design: Floats, columns: Columns, at: Floats
) -> CoxSums:
    assert plan.clock is not None  # the protocol was checked
    times = np.array(plan.clock.times)
    return cox_sums(names, design, columns.time, columns.event, times, at)


def _weights(plan: OutcomePlan, one: Weighted, state: State, columns: Columns) -> Floats:
    """Return each patient's weight."""
    design = terms_of(plan, one).design(columns.values, columns.rows)
    propensity = 1 / (1 + np.exp(-np.clip(design @ state.at(plan, one), -30, 30)))
    treated = columns.values[one.treatment]
    if one.weights is Weights.OVERLAP:
        return overlap_weights(propensity, treated)
    share = state.share(one) if one.weights is Weights.STABILISED else None
    return inverse_weights(propensity, treated, prevalence=share)
