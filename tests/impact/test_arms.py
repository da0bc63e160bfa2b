"""Two arms from sums: published data, ordinary least squares, and any split over sites."""

import functools
import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.errors.evaluation import SummariesDifferError
from federation.errors.impact import DesignValueError, NotEstimableError, TooFewClustersError
from federation.impact.arms import ArmSums, adjusted_difference, difference_of_means


def sums(arm: str, outcome: list[float], baseline: list[float] | None = None) -> ArmSums:
    before = None if baseline is None else np.array(baseline, float)
    return ArmSums.of(arm, "minutes", np.array(outcome, float), before)


def test_the_nsw_experiment_as_published() -> None:
    # LaLonde's experiment, earnings in 1978. EVALUATION.md D.1: 1794.34.
    causaldata = pytest.importorskip("causaldata")
    rows = causaldata.nsw_mixtape.load_pandas().data
    arms = {
        treated: ArmSums.of(f"arm {treated}", "re78", group["re78"].to_numpy(float))
        for treated, group in rows.groupby("treat")
    }
    found = difference_of_means(arms[1], arms[0])
    assert found.value == pytest.approx(1794.34, abs=5e-3)


def test_adjusted_for_its_baseline_it_is_ordinary_least_squares() -> None:
    statsmodels = pytest.importorskip("statsmodels.api")
    generator = np.random.default_rng(2)
    before = generator.normal(60, 10, 240)
    treated = generator.integers(0, 2, 240)
    after = 0.8 * before - 4 * treated + generator.normal(0, 5, 240)
    on, off = (
        ArmSums.of(str(arm), "minutes", after[treated == arm], before[treated == arm])
        for arm in (1, 0)
    )
    found = adjusted_difference(on, off)
    design = np.column_stack([np.ones(240), treated, before])
    oracle = statsmodels.OLS(after, design).fit()
    assert found.value == pytest.approx(oracle.params[1], rel=1e-9)
    assert found.error == pytest.approx(oracle.bse[1], rel=1e-9)
    assert found.variance < 0.6 * difference_of_means(on, off).variance


@given(
    st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.floats(-50, 50)), min_size=12),
    st.randoms(use_true_random=False),
)
def test_any_split_over_sites_gives_the_pooled_result(
    cases: list[tuple[int, bool, float]], _random: object
) -> None:
    arms: dict[bool, list[ArmSums]] = {True: [], False: []}
    for site in range(4):
        for arm in arms:
            values = [value for where, which, value in cases if (where, which) == (site, arm)]
            arms[arm].append(sums(str(arm), values))
    pooled = {
        arm: sums(str(arm), [value for _, which, value in cases if which == arm]) for arm in arms
    }
    if min(one.count for one in pooled.values()) < 2:
        return
    added = {arm: functools.reduce(operator.add, parts) for arm, parts in arms.items()}
    found = difference_of_means(added[True], added[False])
    wanted = difference_of_means(pooled[True], pooled[False])
    assert found.value == pytest.approx(wanted.value, abs=1e-9)
    assert found.variance == pytest.approx(wanted.variance, rel=1e-6, abs=1e-9)


def test_two_measures_one_person_and_a_baseline_that_is_constant_are_refused() -> None:
    one, other = sums("a", [1, 2, 3]), sums("b", [1, 2, 4])
    with pytest.raises(DesignValueError):
        difference_of_means(one, ArmSums.of("b", "points", np.array([1.0, 2.0])))
    with pytest.raises(TooFewClustersError):
        difference_of_means(one, sums("b", [1]))
    with pytest.raises(TooFewClustersError):
        adjusted_difference(one, sums("b", [1], [1]))
    with pytest.raises(NotEstimableError):
        adjusted_difference(one, other)
    with pytest.raises(SummariesDifferError):
        one + other
