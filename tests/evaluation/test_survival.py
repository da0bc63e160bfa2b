"""E17: Kaplan-Meier, log-rank and restricted mean from counts by time."""

import numpy as np
import pytest
from hypothesis import given, settings

from federation.errors.evaluation import AllTiedError, GroupsError, TimesInvalidError
from federation.evaluation.suppression import CellRule, Reason, Refusal
from federation.evaluation.survival import (
    SurvivalCurve,
    SurvivalTable,
    kaplan_meier,
    log_rank,
    restricted_mean,
    shown_curve,
    survival_table,
)
from tests.evaluation.federations import dealt, partitions, sum_over
from tests.evaluation.published import PLACEBO, SIX_MP

WEEKS = np.array([abs(one) for one in SIX_MP] + PLACEBO, dtype=float)
RELAPSE = np.array([one > 0 for one in SIX_MP] + [True] * len(PLACEBO))
GROUP = np.repeat([0, 1], 21)
GRID = np.arange(0.0, 36.0)


def a_table(site: np.ndarray) -> SurvivalTable:
    return survival_table(
        WEEKS[site], RELAPSE[site], GROUP[site], groups=("6-MP", "placebo"), times=GRID
    )


ALL = a_table(np.arange(42))


def test_six_mercaptopurine_has_the_published_curve() -> None:
    """Freireich 1963, in every textbook: S(6) 0.8571 to S(23) 0.4482."""
    curve = kaplan_meier(ALL, "6-MP")
    found = {
        int(week): round(float(curve.survival[week]), 4) for week in (6, 7, 10, 13, 16, 22, 23)
    }
    assert found == {
        6: 0.8571, 7: 0.8067, 10: 0.7529, 13: 0.6902, 16: 0.6275, 22: 0.5378, 23: 0.4482
    }  # fmt: skip


def test_the_log_rank_statistic_is_the_published_one() -> None:
    """EVALUATION.md E17: chi-square 16.79294."""
    found = log_rank(ALL)
    assert round(found.statistic, 5) == 16.79294
    assert found.freedom == 1
    assert found.p_value < 1e-4


def test_curve_band_and_mean_equal_lifelines() -> None:
    lifelines = pytest.importorskip("lifelines")
    utils = pytest.importorskip("lifelines.utils")
    curve = kaplan_meier(ALL, "6-MP")
    fitted = lifelines.KaplanMeierFitter().fit(WEEKS[:21], RELAPSE[:21], timeline=GRID)
    assert curve.survival == pytest.approx(fitted.survival_function_.to_numpy()[:, 0], abs=1e-12)
    low, high = curve.bands()
    band = fitted.confidence_interval_.to_numpy()
    assert low[6:] == pytest.approx(band[6:, 0], abs=1e-9)
    assert high[6:] == pytest.approx(band[6:, 1], abs=1e-9)
    mean = restricted_mean(curve, 30)
    assert mean.value == pytest.approx(utils.restricted_mean_survival_time(fitted, t=30), abs=1e-9)


def test_the_variance_of_the_restricted_mean_is_right_without_losses() -> None:
    """Without losses the estimator is the mean of min(T, horizon); its variance is s²(n-1)/n²."""
    curve = kaplan_meier(ALL, "placebo")
    cut = np.minimum(np.array(PLACEBO, dtype=float), 15)
    found = restricted_mean(curve, 15)
    assert found.value == pytest.approx(cut.mean(), abs=1e-12)
    assert found.variance == pytest.approx(cut.var() / len(cut), rel=1e-9)


@settings(max_examples=20, deadline=None)
@given(partitions)
def test_tables_of_sites_add_up_to_that_of_all_cases(how: tuple[int, int]) -> None:
    assert sum_over(dealt(42, *how), a_table) == ALL


def test_three_groups_have_two_degrees_of_freedom() -> None:
    statsmodels = pytest.importorskip("lifelines.statistics")
    rng = np.random.default_rng(3)
    times, group = rng.integers(1, 20, 150).astype(float), rng.integers(0, 3, 150)
    event = rng.random(150) < 0.7
    table = survival_table(times, event, group, groups=("a", "b", "c"), times=np.arange(0.0, 20.0))
    expected = statsmodels.multivariate_logrank_test(times, group, event)
    found = log_rank(table)
    assert found.statistic == pytest.approx(expected.test_statistic, rel=1e-9)
    assert found.freedom == 2


def test_a_curve_stops_where_fewer_than_k_are_followed() -> None:
    shown = shown_curve(kaplan_meier(ALL, "6-MP"), CellRule(), step_days=30, is_one_site=True)
    assert isinstance(shown, SurvivalCurve)
    assert shown.at_risk.min() >= 10
    assert len(shown.times) < len(GRID)


def test_one_sites_curve_by_the_week_is_refused_but_not_the_sums() -> None:
    curve = kaplan_meier(ALL, "6-MP")
    refused = shown_curve(curve, CellRule(), step_days=7, is_one_site=True)
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.FINE_TIME
    assert isinstance(shown_curve(curve, CellRule(), step_days=7, is_one_site=False), SurvivalCurve)


def test_a_follow_up_that_cannot_be_counted_is_refused() -> None:
    for week in (-1.0, float("nan"), 2.5, 99.0):
        with pytest.raises(TimesInvalidError):
            survival_table(
                np.array([week]), np.array([1]), np.array([0]), groups=("a",), times=GRID
            )
    with pytest.raises(TimesInvalidError):
        restricted_mean(kaplan_meier(ALL, "6-MP"), 50)
    with pytest.raises(GroupsError):
        kaplan_meier(ALL, "aspirin")
    with pytest.raises(GroupsError):
        log_rank(ALL.pooled())


def test_groups_that_never_meet_an_event_cannot_be_compared() -> None:
    none = SurvivalTable(("a", "b"), np.arange(2.0), np.zeros((2, 2), int), np.ones((2, 2), int))
    with pytest.raises(AllTiedError):
        log_rank(none)
