"""Series, medians, ratios, and what a result withstands."""

import math

import numpy as np
import pytest
from scipy.stats import binom

from federation.errors.impact import DesignValueError, TooFewClustersError
from federation.evaluation.tails import Estimate, Interval
from federation.impact.arms import ArmSums
from federation.impact.sensitivity import e_value, passed_gates, pooled_by_rubin
from federation.impact.series import interrupted_series
from federation.impact.skewed import median_interval, ratio_of_means


def monthly(months: int = 48, began: int = 24, seed: int = 0) -> list[float]:
    generator = np.random.default_rng(seed)
    time = np.arange(months)
    season = 3 * np.sin(2 * np.pi * time / 12)
    after = time >= began
    return list(60 + 0.1 * time + season - 5 * after - 0.3 * (time - began) * after
                + generator.normal(0, 1, months))  # fmt: skip


def test_a_series_is_that_of_newey_and_west_in_statsmodels() -> None:
    statsmodels = pytest.importorskip("statsmodels.api")
    values, time = monthly(), np.arange(48.0)
    after = (time >= 24).astype(float)
    design = np.column_stack(
        [
            np.ones(48),
            time,
            after,
            (time - 24) * after,
            np.sin(2 * np.pi * time / 12),
            np.cos(2 * np.pi * time / 12),
        ]
    )
    oracle = statsmodels.OLS(values, design).fit(cov_type="HAC", cov_kwds={"maxlags": 3})
    found = interrupted_series(values, 24, seasons=1)
    assert found.lags == 3
    assert found.level.value == pytest.approx(oracle.params[2], rel=1e-8)
    assert found.level.error == pytest.approx(oracle.bse[2], rel=1e-8)
    assert found.trend.value == pytest.approx(oracle.params[3], rel=1e-8)
    assert found.trend.error == pytest.approx(oracle.bse[3], rel=1e-8)
    assert found.at_end.value == pytest.approx(found.level.value + 23 * found.trend.value)
    assert found.level.interval().contains(-5)


def test_a_control_takes_away_what_happened_to_both() -> None:
    shock = [0.0] * 24 + [4.0] * 24
    flat = list(np.random.default_rng(1).normal(10, 0.1, 48))
    values = [one + change for one, change in zip(flat, shock, strict=True)]
    control = [20 + change for change in shock]
    found = interrupted_series(values, 24, control=control)
    assert abs(found.level.value) < 0.3 < interrupted_series(values, 24).level.value


@pytest.mark.parametrize("began", [-1, 0, 5, 44, 48, 60])
def test_a_change_too_near_an_end_is_refused(began: int) -> None:
    with pytest.raises(TooFewClustersError):
        interrupted_series(monthly(), began)


def test_series_that_do_not_fit_are_refused() -> None:
    for changes in ({"control": [1.0]}, {"seasons": 4}, {"lags": 48}):
        with pytest.raises(DesignValueError):
            interrupted_series(monthly(), 24, **changes)  # type: ignore[arg-type]
    with pytest.raises(DesignValueError):
        interrupted_series([math.nan, *monthly()[1:]], 24)
    with pytest.raises(TooFewClustersError):
        interrupted_series(monthly(14, 7), 7, seasons=3)


@pytest.mark.parametrize("people", [6, 7, 25, 100, 101])
def test_a_medians_interval_is_the_narrowest_pair_of_order_statistics(people: int) -> None:
    values = np.sort(np.random.default_rng(people).integers(0, 90, people))
    found = median_interval(np.bincount(values), 1.0)
    assert found.median == float(np.median(values))
    ranks = [r for r in range(1, people // 2 + 1) if 1 - 2 * binom.cdf(r - 1, people, 0.5) >= 0.95]
    rank = max(ranks)
    assert found.interval == Interval(float(values[rank - 1]), float(values[people - rank]))
    assert found.level >= 0.95


def test_a_median_of_too_few_or_of_no_grid_is_refused() -> None:
    with pytest.raises(TooFewClustersError) as refused:
        median_interval(np.array([5]), 1.0)
    assert "6" in refused.value.say()
    with pytest.raises(DesignValueError):
        median_interval(np.array([5, -1, 9]), 1.0)
    with pytest.raises(DesignValueError):
        median_interval(np.array([5, 9]), 0.0)


def test_a_ratio_of_means_is_the_gamma_model_with_log_link() -> None:
    statsmodels = pytest.importorskip("statsmodels.api")
    generator = np.random.default_rng(8)
    one, other = generator.gamma(2, 30, 400), generator.gamma(2, 40, 400)
    found = ratio_of_means(ArmSums.of("ai", "cost", one), ArmSums.of("usual", "cost", other))
    design = np.column_stack([np.ones(800), np.repeat([1.0, 0.0], 400)])
    family = statsmodels.families.Gamma(statsmodels.families.links.Log())
    oracle = statsmodels.GLM(np.concatenate([one, other]), design, family=family).fit()
    assert found.value == pytest.approx(oracle.params[1], rel=1e-7)
    assert found.error == pytest.approx(oracle.bse[1], rel=0.05)  # one dispersion there, two here
    with pytest.raises(DesignValueError):
        ratio_of_means(
            ArmSums.of("ai", "cost", np.zeros(5)), ArmSums.of("usual", "cost", np.ones(5))
        )


def test_the_e_value_as_published() -> None:
    # VanderWeele and Ding 2017: risk ratio 3.9 (1.8 to 8.7): 7.2 or 7.3, and 3.0.
    point, nearest = e_value(3.9, Interval(1.8, 8.7))
    assert point == pytest.approx(7.26, abs=5e-3)
    assert nearest == pytest.approx(3.0, abs=5e-3)
    assert e_value(1 / 3.9)[0] == pytest.approx(point)
    assert e_value(1.2, Interval(0.9, 1.6))[1] == 1
    with pytest.raises(DesignValueError):
        e_value(0)


def test_rubins_rules_by_hand() -> None:
    found = pooled_by_rubin([Estimate(1.0, 0.25), Estimate(2.0, 0.25), Estimate(3.0, 0.25)])
    assert found.estimate.value == 2
    assert found.estimate.variance == pytest.approx(0.25 + 4 / 3)
    assert found.freedom == pytest.approx(2 * (1 + 0.25 / (4 / 3)) ** 2)
    assert pooled_by_rubin([Estimate(1.0, 0.25)] * 2).freedom == math.inf
    with pytest.raises(TooFewClustersError):
        pooled_by_rubin([Estimate(1.0, 0.25)])


def test_an_endpoint_is_shown_only_if_all_before_it_are() -> None:
    assert passed_gates([0.01, 0.2, 0.001]) == [True, False, False]
    assert passed_gates([0.049, 0.01]) == [True, True]
    with pytest.raises(DesignValueError):
        passed_gates([1.2])
