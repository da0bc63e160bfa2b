"""What few patients would show through: cells of a model, weights, counts, values of a clerk."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from federation.domain.outcome_plan import (
    Analysis,
    Baseline,
    Binary,
    Category,
    Cox,
    Logistic,
    Numeric,
    Survival,
    TiesBy,
    Variable,
    Weighted,
    Weights,
)
from federation.errors.evaluation import AllTiedError, SummaryInvalidError, SumTooSmallError
from federation.errors.outcomes import FewInColumnError, WeightTooLargeError
from federation.operations.outcomes.fitting import start_of
from federation.wire.outcome_sums import STEP, WEIGHTED
from tests.outcome_study.arithmetic import SITES, plan_of, summed
from tests.outcome_study.made_up import patients
from tests.outcome_study.published import Data, leukaemia

AI, DIED, SEX = Binary("ai"), Binary("died"), Category("sex", ("F", "M", "X"))
AGE = Numeric("age", 18, 100)


def asked(
    *analyses: Analysis,
    variables: tuple[Variable, ...],
    changed: Callable[[int, Mapping[str, Any]], Mapping[str, Any]] = lambda _, row: row,
    **limits: Any,
) -> Data:
    """Return patients, some changed, of whom these analyses are asked."""
    data = patients()
    is_timed = any(isinstance(one, Survival | Cox) for one in analyses)
    return replace(
        data,
        rows=[changed(place, row) for place, row in enumerate(data.rows)],
        variables=variables,
        analyses=analyses,
        clock=data.clock if is_timed else None,
        limits=replace(data.limits, **limits),
    )


def with_one_death_of_the_treated(place: int, row: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**row, "died": int(place == 1) if row["ai"] else row["died"]} | (
        {"ai": 1, "died": 1} if place == 1 else {}
    )


@pytest.mark.parametrize(
    "analysis",
    [
        Logistic("one", "died", ("ai",)),
        Weighted("one", "ai", "died", ("age",), Weights.OVERLAP),
    ],
    ids=["logistic", "weighted"],
)
def test_a_model_is_not_shown_if_a_cell_of_group_and_outcome_is_small(analysis: Analysis) -> None:
    """From an intercept, a coefficient and its error all four cells can be computed."""
    variables = (AI, DIED, AGE) if isinstance(analysis, Weighted) else (AI, DIED)
    data = asked(analysis, variables=variables, changed=with_one_death_of_the_treated)

    found = summed(data).analysis("one")

    assert found["refused"]["code"] == FewInColumnError.code
    assert "×" in found["refused"]["what"]["en"]
    assert not found.get("terms") and not found.get("effect")


def test_few_events_of_a_group_are_not_told_by_a_hazard_ratio() -> None:
    def changed(place: int, row: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**row, "event": int(place < 4 or not row["ai"])}

    cox = Cox("one", ("ai",), TiesBy.EFRON, Baseline.BY_HOSPITAL)

    found = summed(asked(cox, variables=(AI,), changed=changed)).analysis("one")

    assert found["refused"]["code"] == FewInColumnError.code


def test_a_model_of_nearly_as_many_columns_as_patients_is_not_shown() -> None:
    data = asked(Logistic("one", "died", ("ai", "age", "age^2")), variables=(AI, DIED, AGE))
    few = replace(data, rows=data.rows[:12])

    assert summed(few).analysis("one")["refused"]["code"] == SumTooSmallError.code


def test_weights_of_a_fit_that_stopped_do_not_stop_the_other_analyses() -> None:
    weighted = Weighted("stopped", "ai", "died", ("sex",), Weights.STABILISED)
    logistic = Logistic("odds", "died", ("ai",))

    found = summed(asked(weighted, logistic, variables=(AI, SEX, DIED)))

    assert found.analysis("stopped")["refused"]["code"] == FewInColumnError.code
    assert found.analysis("odds")["terms"]


def test_no_hospital_is_left_alone_in_a_sum_by_others_whose_weights_are_too_large() -> None:
    """Two of three have patients whom nobody expected in their arm; the third has none."""

    def changed(place: int, row: Mapping[str, Any]) -> Mapping[str, Any]:
        if place % SITES == 2:
            return {**row, "age": 60, "ai": place // SITES % 2}
        return {**row, "ai": int((row["age"] > 60) != (place % 7 == 0))}

    data = asked(
        Weighted("effect", "ai", "died", ("age",), Weights.INVERSE),
        variables=(AI, DIED, AGE), changed=changed,
        largest_weight=4.0, newton_rounds=12, tolerance=1e-3, smallest_cell=3,
    )  # fmt: skip

    found = summed(data)

    last = found.sums[-2]["effect", WEIGHTED]
    assert last.sites == 1
    assert int(last.arms.sum()) == len(data.rows)
    assert found.analysis("effect")["refused"]["code"] == WeightTooLargeError.code


def test_an_outcome_that_is_the_same_for_everybody_has_no_effect_and_ends_nothing() -> None:
    def changed(_: int, row: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**row, "stay": 5.0}

    weighted = Weighted("effect", "ai", "stay", ("age",), Weights.OVERLAP)
    variables = (AI, AGE, Numeric("stay", 0, 10))

    found = summed(asked(weighted, variables=variables, changed=changed)).analysis("effect")

    assert found["refused"]["code"] == AllTiedError.code


def test_curves_stand_where_nobody_had_the_event() -> None:
    curves = Survival("curves", "ai", 6.0)
    data = asked(curves, variables=(AI,), changed=lambda _, row: {**row, "event": 0})

    found = summed(data).analysis("curves")

    assert found["refused"] is None and found["log_rank"] is None
    assert [set(one["survival"]) for one in found["curves"]] == [{1.0}, {1.0}]
    assert found["difference"]["value"] == 0.0


@pytest.mark.parametrize("huge", [1e19, 1e300])
def test_a_time_of_many_digits_is_lost_at_the_clocks_end(huge: float) -> None:
    def changed(place: int, row: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**row, "time": huge if place == 0 else row["time"]}

    data = asked(Survival("curves", None, 6.0), variables=(), changed=changed)

    assert summed(data).analysis("curves")["curves"][0]["patients"] == len(data.rows)


def test_more_events_than_patients_end_a_fit_before_they_are_counted_one_by_one() -> None:
    data = leukaemia()
    found = summed(data)
    sums = dict(found.sums[0])
    key = ("rx-efron", STEP)
    sums[key] = replace(sums[key], events=np.full_like(sums[key].events, 10**9))

    course = start_of(plan_of(data)).after(1, sums)

    assert isinstance(course.ways["rx-efron"].error, SummaryInvalidError)
    assert course.ways["rx-breslow"].error is None


@pytest.mark.parametrize("odd", [1, 9])
def test_groups_that_differ_by_few_from_those_of_another_analysis_are_not_shown(odd: int) -> None:
    """Curves of the men, and of the men but one, tell of that one."""
    curves = (Survival("first", "ai", 6.0), Survival("second", "same", 6.0))

    def changed(place: int, row: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**row, "same": row["ai"] if place >= odd else 1 - row["ai"]}

    found = summed(asked(*curves, variables=(AI, Binary("same")), changed=changed))

    assert found.analysis("first")["curves"]
    second = found.analysis("second")
    assert second["refused"]["code"] == FewInColumnError.code and not second["curves"]


def test_arms_that_are_the_groups_of_a_curve_but_for_one_patient_have_no_effect_shown() -> None:
    analyses = (
        Survival("curves", "same", 6.0),
        Weighted("effect", "ai", "died", ("age",), Weights.OVERLAP),
    )

    def changed(place: int, row: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**row, "same": row["ai"] if place else 1 - row["ai"]}

    data = asked(*analyses, variables=(AI, Binary("same"), DIED, AGE), changed=changed)

    assert summed(data).analysis("effect")["refused"]["code"] == FewInColumnError.code


def test_groups_that_cross_each_other_are_both_shown() -> None:
    curves = (Survival("first", "ai", 6.0), Survival("second", "sex", 6.0))

    found = summed(asked(*curves, variables=(AI, SEX)))

    assert found.analysis("first")["curves"] and found.analysis("second")["refused"] is None
