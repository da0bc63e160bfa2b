"""Numbers of other sources than those of EVALUATION.md, over partitions at the edge.

A site without a case, with one case, with one class, and a thousand sites of a few.
"""

from collections.abc import Callable

import numpy as np
import pytest

from federation.evaluation.auroc import auroc, delong_variance
from federation.evaluation.cox import Ties, cox_sums, fit_cox
from federation.evaluation.discrimination import average_precision
from federation.evaluation.ipw import (
    MeatSums,
    effect,
    inverse_weights,
    meat_sums,
    solve,
    weighted_sums,
)
from federation.evaluation.proportions import Proportion, RateGap
from federation.evaluation.regression import fit, logistic_sums
from federation.evaluation.scores import ScoreHistogram
from federation.evaluation.suppression import CellRule
from federation.evaluation.survival import kaplan_meier, log_rank, survival_table
from tests.evaluation.federations import Parts, sum_over

RULE = CellRule()


def at_the_edge(cases: int, truth: np.ndarray) -> dict[str, Parts]:
    """Return ways to deal cases to sites that a random partition does not find."""
    order, half = np.arange(cases), cases // 2
    return {
        "an empty site": [order[:0], order[:half], order[half:], order[:0]],
        "a site of one case": [order[:1], order[1:-1], order[-1:]],
        "a site of one class": [np.flatnonzero(truth == 0), *np.array_split(
            np.flatnonzero(truth == 1), 2)],
        "a thousand sites": np.array_split(np.random.default_rng(1).permutation(cases), 1000),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"), [(0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]
)
def test_wilson_is_the_rest_of_newcombes_table(hits: int, of: int, low: float, high: float) -> None:
    """Newcombe, Statistics in Medicine 17:857 (1998), table I, method 3."""
    found = Proportion(hits, of).wilson()
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((0, 10), (0, 10), -0.2775, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_method_10_is_the_rest_of_newcombes_table(
    first: tuple[int, int], second: tuple[int, int], low: float, high: float
) -> None:
    """Newcombe, Statistics in Medicine 17:873 (1998), table II, method 10."""
    found = RateGap(Proportion(*first), Proportion(*second)).interval()
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


def test_delong_is_its_definition_over_all_pairs() -> None:
    """DeLong 1988 case by case, on a public set: breast cancer of scikit-learn."""
    data = pytest.importorskip("sklearn.datasets").load_breast_cancer()
    scores = np.round(data.data[:, 0] / data.data[:, 0].max(), 3)
    truths = data.target == 0
    histogram = ScoreHistogram.of(scores, truths)
    wins = (scores[truths][:, None] > scores[~truths][None]) + 0.5 * (
        scores[truths][:, None] == scores[~truths][None]
    )
    m, n = wins.shape
    variance = wins.mean(axis=1).var(ddof=1) / m + wins.mean(axis=0).var(ddof=1) / n
    assert auroc(histogram) == pytest.approx(wins.mean(), abs=1e-12)
    assert delong_variance(histogram) == pytest.approx(variance, rel=1e-12)
    expected = pytest.importorskip("sklearn.metrics").average_precision_score(truths, scores)
    assert average_precision(histogram) == pytest.approx(expected, abs=1e-12)


def fair() -> tuple[np.ndarray, np.ndarray]:
    data = pytest.importorskip("statsmodels.datasets.fair.data").load_pandas().data[:2500]
    names = ["rate_marriage", "age", "yrs_married", "religious"]
    x = np.column_stack([np.ones(len(data)), data[names].to_numpy()])
    return x, (data["affairs"] > 0).to_numpy(dtype=float)


def test_a_logistic_fit_over_sites_at_the_edge_is_that_of_statsmodels() -> None:
    """Fair, Journal of Political Economy 86:45 (1978)."""
    x, y = fair()
    expected = pytest.importorskip("statsmodels.api").Logit(y, x).fit(disp=0, tol=1e-14)
    names = tuple("abcde")
    for parts in at_the_edge(len(y), y).values():

        def ask(at: np.ndarray, parts: Parts = parts) -> object:
            return sum_over(parts, lambda site: logistic_sums(names, x[site], y[site], at))

        found = fit(ask, names, RULE)  # type: ignore[arg-type]
        assert found.coefficients == pytest.approx(expected.params, abs=1e-9)
        assert np.sqrt(np.diag(found.covariance)) == pytest.approx(expected.bse, abs=1e-9)
        assert found.log_likelihood == pytest.approx(expected.llf, abs=1e-9)


Survival = tuple[np.ndarray, np.ndarray, np.ndarray]


def lung() -> Survival:
    """Loprinzi, Journal of Clinical Oncology 12:601 (1994): days, death, age and sex."""
    data = pytest.importorskip("lifelines.datasets").load_lung()[["time", "status", "age", "sex"]]
    data = data.dropna()
    event = (data["status"] == data["status"].max()).to_numpy(dtype=float)
    return data["time"].to_numpy(dtype=float), event, data[["age", "sex"]].to_numpy(dtype=float)


def larynx() -> Survival:
    """Kardaun, Statistica Neerlandica 37:103 (1983): years, death, age and stage."""
    data = pytest.importorskip("lifelines.datasets").load_larynx()
    x = data[["age", "Stage_II", "Stage_III", "Stage_IV"]].to_numpy(dtype=float)
    return data["time"].to_numpy(dtype=float), data["death"].to_numpy(dtype=float), x


def any_risk(k: int) -> CellRule:
    """Return a rule for sets whose last events have few at risk, as only a test may."""
    rule = CellRule()
    object.__setattr__(rule, "k", k)
    return rule


@pytest.mark.parametrize("load", [lung, larynx])
@pytest.mark.parametrize("ties", list(Ties))
def test_a_cox_fit_over_sites_at_the_edge_is_that_of_statsmodels(
    load: Callable[[], Survival], ties: Ties
) -> None:
    time, event, x = load()
    oracle = pytest.importorskip("statsmodels.duration.hazard_regression")
    expected = oracle.PHReg(time, x, status=event, ties=ties.value).fit()
    names, grid = tuple("abcd"[: x.shape[1]]), np.unique(time)
    ways = at_the_edge(len(time), event)
    for parts in (ways["an empty site"], ways["a site of one class"], ways["a site of one case"]):

        def ask(at: np.ndarray, parts: Parts = parts) -> object:
            return sum_over(
                parts, lambda site: cox_sums(names, x[site], time[site], event[site], grid, at)
            )

        found = fit_cox(ask, names, any_risk(1), ties)  # type: ignore[arg-type]
        assert found.coefficients == pytest.approx(expected.params, abs=1e-9)
        assert np.sqrt(np.diag(found.covariance)) == pytest.approx(expected.bse, abs=1e-9)
        assert found.log_likelihood == pytest.approx(expected.llf, abs=1e-9)


def test_curves_and_log_rank_over_a_thousand_sites_are_those_of_lifelines() -> None:
    lifelines = pytest.importorskip("lifelines")
    logrank = pytest.importorskip("lifelines.statistics").logrank_test
    time, event, x = lung()
    group = (x[:, 0] > np.median(x[:, 0])).astype(int)
    grid = np.unique(time)
    table = sum_over(
        at_the_edge(len(time), event)["a thousand sites"],
        lambda site: survival_table(
            time[site], event[site], group[site], groups=("young", "old"), times=grid
        ),
    )
    expected = logrank(time[group == 0], time[group == 1], event[group == 0], event[group == 1])
    assert log_rank(table).statistic == pytest.approx(expected.test_statistic, abs=1e-9)
    fitted = lifelines.KaplanMeierFitter().fit(time[group == 1], event[group == 1])
    curve = fitted.survival_function_at_times(grid).to_numpy()
    assert kaplan_meier(table, "old").survival == pytest.approx(curve, abs=1e-12)


def test_weighting_over_sites_at_the_edge_is_the_gee_of_statsmodels() -> None:
    """Thornton, American Economic Review 98:1829 (2008): an incentive, and learning results."""
    sm, sets = pytest.importorskip("statsmodels.api"), pytest.importorskip("causaldata")
    columns = ["got", "any", "distvct", "age", "hiv2004"]
    data = sets.thornton_hiv.load_pandas().data[columns].dropna().to_numpy(dtype=float)
    y, treated, x = data[:, 0], data[:, 1], np.column_stack([np.ones(len(data)), data[:, 2:]])
    names = tuple("abcd")
    pooled = fit(
        lambda at: sum_over(
            np.array_split(np.arange(len(y)), 3),
            lambda site: logistic_sums(names, x[site], treated[site], at),
        ),
        names,
        RULE,
    )
    weights = inverse_weights(1 / (1 + np.exp(-x @ pooled.coefficients)), treated)
    design = np.column_stack([np.ones(len(y)), treated])
    expected = sm.GEE(y, design, groups=np.arange(len(y)), weights=weights).fit()
    for parts in at_the_edge(len(y), treated).values():
        sums = sum_over(parts, lambda one: weighted_sums(y[one], treated[one], weights[one]))
        at = solve(sums, RULE)

        def fill(one: np.ndarray, at: np.ndarray = at) -> MeatSums:
            return meat_sums(y[one], treated[one], weights[one], at)

        found = effect(sums, sum_over(parts, fill), RULE)
        assert found.effect.value == pytest.approx(expected.params[1], abs=1e-9)
        assert found.effect.error == pytest.approx(expected.bse[1], abs=1e-9)
