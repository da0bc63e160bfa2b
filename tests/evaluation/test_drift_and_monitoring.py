"""E10 and E11: have the cases or the answers changed?"""

import numpy as np
import pytest
from hypothesis import given, settings
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2_contingency, ks_2samp

from federation.errors.evaluation import (
    EmptySliceError,
    OutOfRangeError,
    ScoreInvalidError,
    SummariesDifferError,
    SummaryInvalidError,
)
from federation.evaluation.drift import (
    BinCounts,
    FourierMap,
    drift,
    psi,
    quadratic_sums,
    squared_discrepancy,
)
from federation.evaluation.monitoring import Cusum, PeriodCounts, breached, ewma
from tests.evaluation.federations import dealt, partitions, sum_over

EDGES = np.linspace(0.1, 0.9, 9)


def a_variable(values: np.ndarray) -> BinCounts:
    return BinCounts.of("age", values, EDGES)


def test_the_stability_index_of_two_halves() -> None:
    """EVALUATION.md E10: PSI(.5/.5 against .6/.4) = 0.0405465."""
    assert round(psi(np.array([50, 50]), np.array([60, 40])), 7) == 0.0405465


def test_distances_equal_scipy_on_the_grid() -> None:
    rng = np.random.default_rng(1)
    old, new = (
        np.rint(rng.beta(2, 3, 900) * 1000) / 1000,
        np.rint(rng.beta(3, 3, 700) * 1000) / 1000,
    )
    edges = (np.arange(1, 1001) - 0.5) / 1000
    one, other = BinCounts.of("score", old, edges), BinCounts.of("score", new, edges)
    found = drift(one, other)
    assert found.ks == pytest.approx(ks_2samp(old, new).statistic, abs=1e-12)
    expected = jensenshannon(one.cases / 900, other.cases / 700, base=2) ** 2
    assert found.jensen_shannon == pytest.approx(expected, abs=1e-12)
    used = (one.cases + other.cases) > 0
    table = np.array([one.cases[used], other.cases[used]])
    pearson = chi2_contingency(table, correction=False)
    assert found.chi_square == pytest.approx(pearson.statistic, rel=1e-12)
    assert found.p_value == pytest.approx(pearson.pvalue, rel=1e-9)


@settings(max_examples=20, deadline=None)
@given(partitions)
def test_counts_and_features_of_sites_add_up(how: tuple[int, int]) -> None:
    values = np.random.default_rng(2).random((300, 3))
    parts = dealt(300, *how)
    assert sum_over(parts, lambda s: a_variable(values[s, 0])) == a_variable(values[:, 0])
    mapped = FourierMap(3, bandwidth=0.5, seed=7)
    summed = sum_over(parts, lambda s: mapped.sums(values[s]))
    assert summed.mean == pytest.approx(mapped.sums(values).mean, abs=1e-9)


def test_the_quadratic_discrepancy_is_exact() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(40, 3)), rng.normal(0.3, 1, size=(50, 3))
    exact = sum(
        sign * ((a @ b.T + 1) ** 2).mean() for sign, a, b in ((1, x, x), (1, y, y), (-2, x, y))
    )
    found = squared_discrepancy(quadratic_sums(x), quadratic_sums(y))
    assert found == pytest.approx(exact, abs=1e-10)


def test_random_features_come_near_the_gaussian_kernel() -> None:
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(200, 2)), rng.normal(1.0, 1, size=(200, 2))

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.exp(-((a[:, None] - b[None]) ** 2).sum(axis=2) / 2).mean())

    mapped = FourierMap(2, bandwidth=1.0, seed=5)
    found = squared_discrepancy(mapped.sums(x), mapped.sums(y))
    assert found == pytest.approx(kernel(x, x) + kernel(y, y) - 2 * kernel(x, y), abs=0.06)


def test_what_cannot_be_compared_is_refused() -> None:
    one = a_variable(np.array([0.2, 0.3]))
    with pytest.raises(EmptySliceError):
        drift(one, a_variable(np.array([])))
    with pytest.raises(SummariesDifferError):
        drift(one, BinCounts.of("age", np.array([0.2]), EDGES[1:]))
    with pytest.raises(SummariesDifferError):
        squared_discrepancy(quadratic_sums(np.ones((2, 2))), quadratic_sums(np.ones((2, 3))))
    with pytest.raises(ScoreInvalidError):
        a_variable(np.array([float("nan")]))
    with pytest.raises(OutOfRangeError):
        FourierMap(2, bandwidth=0.0, seed=1)


def periods(rates: list[float], judged: int = 200, seed: int = 6) -> PeriodCounts:
    right = np.random.default_rng(seed).binomial(judged, rates)
    return PeriodCounts("agreement", right, np.full(len(rates), judged))


CUSUM = Cusum(expected=0.9, worse=0.8, limit=4.0)


def test_charts_signal_after_a_fall_and_not_before() -> None:
    fallen = periods([0.9] * 12 + [0.78] * 8)
    for chart in (CUSUM.chart(fallen), ewma(fallen, expected=0.9)):
        assert chart.first_signal is not None
        assert 12 <= chart.first_signal <= 15
    assert ewma(periods([0.9] * 20), expected=0.9).first_signal is None


def test_the_run_length_is_long_in_control_and_short_after_a_fall() -> None:
    """EVALUATION.md E11: average run length by simulation with a fixed seed."""
    steady = CUSUM.run_length(rate=0.9, judged=50, seed=7)
    fallen = CUSUM.run_length(rate=0.8, judged=50, seed=7)
    assert steady > 100 * fallen
    assert 1 < fallen < 6
    assert steady == CUSUM.run_length(rate=0.9, judged=50, seed=7)


def test_periods_whose_labels_have_not_come_are_not_read() -> None:
    late = periods([0.9] * 10 + [0.1] * 2)
    assert breached(late, limit=0.85) == (10, 11)
    assert breached(late.matured(2), limit=0.85) == ()
    assert len(late.matured(99).right) == 0


def test_a_period_without_cases_neither_signals_nor_breaks() -> None:
    empty = PeriodCounts("tpr", np.zeros(3, int), np.zeros(3, int))
    assert ewma(empty, expected=0.9).first_signal is None
    assert CUSUM.chart(empty).first_signal is None
    assert breached(empty, limit=0.9) == ()


def test_more_right_than_judged_and_a_rise_as_a_fall_are_refused() -> None:
    with pytest.raises(SummaryInvalidError):
        PeriodCounts("tpr", np.array([3]), np.array([2]))
    with pytest.raises(OutOfRangeError):
        Cusum(expected=0.8, worse=0.9, limit=4.0)
