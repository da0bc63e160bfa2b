"""E5, E18 and E19: fits over sites are the fits of all cases."""

import numpy as np
import pytest
from hypothesis import given, settings

from federation.errors.evaluation import (
    CollinearError,
    NotBinaryError,
    NotConvergedError,
    SummariesDifferError,
    SumTooSmallError,
    TimesInvalidError,
    WeightsError,
)
from federation.evaluation.calibration import in_the_large
from federation.evaluation.cox import CoxSums, Ties, cox_sums, fit_cox, fit_groups
from federation.evaluation.ipw import (
    WeightedEffect,
    effect,
    inverse_weights,
    meat_sums,
    overlap_weights,
    solve,
    weighted_sums,
)
from federation.evaluation.regression import LogisticSums, MaximumLikelihood, fit, logistic_sums
from federation.evaluation.scores import ScoreHistogram
from federation.evaluation.suppression import CellRule
from federation.evaluation.survival import survival_table
from tests.evaluation.federations import Parts, dealt, partitions, sum_over
from tests.evaluation.published import PLACEBO, SIX_MP

RULE = CellRule(k=3)


def fit_over(
    parts: Parts, names: tuple[str, ...], x: np.ndarray, y: np.ndarray
) -> MaximumLikelihood:
    def ask(at: np.ndarray) -> LogisticSums:
        return sum_over(parts, lambda site: logistic_sums(names, x[site], y[site], at))

    return fit(ask, names, RULE)


def spector() -> tuple[np.ndarray, np.ndarray]:
    data = pytest.importorskip("statsmodels.datasets.spector.data").load_pandas().data
    x = np.column_stack([np.ones(len(data)), data[["GPA", "TUCE", "PSI"]].to_numpy()])
    return x, data["GRADE"].to_numpy()


def test_three_sites_fit_the_grades_of_spector_and_mazzeo() -> None:
    """Greene, Econometric Analysis, table 17.1: the logit coefficients and log-likelihood."""
    x, y = spector()
    found = fit_over(dealt(32, 3, 1), ("const", "GPA", "TUCE", "PSI"), x, y)
    assert found.coefficients.round(4).tolist() == [-13.0213, 2.8261, 0.0952, 2.3787]
    assert round(found.log_likelihood, 4) == -12.8896
    assert found.rounds == 7


@settings(max_examples=15, deadline=None)
@given(partitions)
def test_a_logistic_fit_over_sites_is_that_of_all_cases(how: tuple[int, int]) -> None:
    rng = np.random.default_rng(11)
    x = np.column_stack([np.ones(300), rng.normal(size=(300, 2))])
    y = (rng.random(300) < 1 / (1 + np.exp(-x @ [0.2, 1.0, -0.5]))).astype(float)
    names = ("a", "b", "c")
    pooled = fit_over(dealt(300, 3, 0), names, x, y)
    found = fit_over(dealt(300, *how), names, x, y)
    assert found.coefficients == pytest.approx(pooled.coefficients, abs=1e-9)
    assert found.covariance == pytest.approx(pooled.covariance, abs=1e-9)


def test_fits_that_have_no_answer_are_refused() -> None:
    rng = np.random.default_rng(12)
    x = np.column_stack([np.ones(60), rng.normal(size=60)])
    parts = dealt(60, 3, 0)
    with pytest.raises(NotConvergedError):
        fit_over(parts, ("a", "b"), x, (x[:, 1] > 0).astype(float))
    with pytest.raises(CollinearError):
        fit_over(parts, ("a", "b"), np.column_stack([x[:, 0], 2 * x[:, 0]]), rng.random(60) < 0.5)
    with pytest.raises(SumTooSmallError):
        fit_over(dealt(60, 2, 0), ("a", "b"), x, (rng.random(60) < 0.5).astype(float))
    with pytest.raises(NotBinaryError):
        fit_over(parts, ("a", "b"), x, rng.random(60))


def test_calibration_in_the_large_by_rounds_is_that_of_the_bins() -> None:
    """EVALUATION.md E5: y ~ 1 + offset(logit p), by Newton over sites or from the histogram."""
    rng = np.random.default_rng(14)
    scores = rng.integers(1, 1000, 300) / 1000
    truths = rng.random(300) < scores**1.3
    logits = np.log(scores / (1 - scores))

    def ask(at: np.ndarray) -> LogisticSums:
        return sum_over(
            dealt(300, 4, 1),
            lambda s: logistic_sums(("a",), np.ones((len(s), 1)), truths[s], at, offset=logits[s]),
        )

    by_rounds = fit(ask, ("a",), RULE).estimate("a")
    by_bins = in_the_large(ScoreHistogram.of(scores, truths))
    assert by_rounds.value == pytest.approx(by_bins.value, abs=1e-9)
    assert by_rounds.variance == pytest.approx(by_bins.variance, abs=1e-9)


def test_sums_at_other_coefficients_are_not_added() -> None:
    x, y = np.ones((5, 1)), np.zeros(5)
    one = logistic_sums(("a",), x, y, np.zeros(1))
    with pytest.raises(SummariesDifferError, match="at"):
        one + logistic_sums(("a",), x, y, np.ones(1))


def leukaemia() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return weeks, relapse, and group with 1 for placebo."""
    weeks = np.array([abs(one) for one in SIX_MP] + PLACEBO, dtype=float)
    relapse = np.array([one > 0 for one in SIX_MP] + [True] * len(PLACEBO))
    return weeks, relapse, np.repeat([0, 1], 21)


def cox_over(
    parts: Parts, names: tuple[str, ...], x: np.ndarray, times: np.ndarray, event: np.ndarray,
    ties: Ties, rule: CellRule = RULE,
) -> MaximumLikelihood:  # fmt: skip
    grid = np.unique(times)

    def ask(at: np.ndarray) -> CoxSums:
        return sum_over(
            parts, lambda site: cox_sums(names, x[site], times[site], event[site], grid, at)
        )

    return fit_cox(ask, names, rule, ties)


@pytest.mark.parametrize(
    ("ties", "value", "error"),
    [(Ties.BRESLOW, 1.509191, 0.409564), (Ties.EFRON, 1.572125, 0.412397)],
)
def test_leukaemia_has_the_hazard_ratio_of_r(ties: Ties, value: float, error: float) -> None:
    """EVALUATION.md E18; R survival's coxph gives the same on Freireich 1963."""
    weeks, relapse, group = leukaemia()
    found = cox_over(dealt(42, 3, 3), ("Rx",), group[:, None], weeks, relapse, ties).estimate("Rx")
    table = survival_table(
        weeks, relapse, group, groups=("6-MP", "placebo"), times=np.unique(weeks)
    )
    in_one_pass = fit_groups(table, ties).estimate("placebo")
    for one in (found, in_one_pass):
        assert round(one.value, 6) == value
        assert round(one.error, 6) == error


def test_rossi_equals_lifelines() -> None:
    lifelines = pytest.importorskip("lifelines")
    rossi = pytest.importorskip("lifelines.datasets").load_rossi()
    names = ("fin", "age", "race", "wexp", "mar", "paro", "prio")
    expected = lifelines.CoxPHFitter().fit(rossi, "week", "arrest")
    found = cox_over(
        dealt(len(rossi), 4, 4),
        names,
        rossi[list(names)].to_numpy(dtype=float),
        rossi["week"].to_numpy(dtype=float),
        rossi["arrest"].to_numpy(),
        Ties.EFRON,
        CellRule(),
    )
    assert found.coefficients == pytest.approx(expected.params_.to_numpy(), abs=1e-6)
    errors = np.sqrt(np.diag(found.covariance))
    assert errors == pytest.approx(expected.standard_errors_.to_numpy(), abs=1e-6)
    assert found.log_likelihood == pytest.approx(expected.log_likelihood_, abs=1e-6)


@settings(max_examples=10, deadline=None)
@given(partitions)
def test_a_cox_fit_over_sites_is_that_of_all_cases(how: tuple[int, int]) -> None:
    rng = np.random.default_rng(13)
    x = rng.normal(size=(200, 2))
    times = np.ceil(rng.exponential(np.exp(-x @ [0.5, -0.3])) * 6).clip(1, 12)
    event = (times < 12) & (rng.random(200) < 0.8)
    pooled = cox_over(dealt(200, 3, 0), ("a", "b"), x, times, event, Ties.EFRON)
    found = cox_over(dealt(200, *how), ("a", "b"), x, times, event, Ties.EFRON)
    assert found.coefficients == pytest.approx(pooled.coefficients, abs=1e-9)
    assert found.covariance == pytest.approx(pooled.covariance, abs=1e-9)


def test_few_at_risk_at_an_event_are_not_summed() -> None:
    weeks, relapse, group = leukaemia()
    with pytest.raises(SumTooSmallError):
        cox_over(dealt(42, 3, 3), ("Rx",), group[:, None], weeks, relapse, Ties.EFRON, CellRule(10))


def test_a_covariate_that_tells_the_first_to_fail_has_no_hazard_ratio() -> None:
    weeks, _, _ = leukaemia()
    first = (weeks <= 8).astype(float)
    with pytest.raises((NotConvergedError, CollinearError)):
        cox_over(dealt(42, 3, 3), ("first",), first[:, None], weeks, first == 1, Ties.EFRON)
    times = np.arange(3.0)
    table = survival_table(
        times, np.array([1, 1, 0]), np.array([0, 0, 1]), groups=("a", "none"), times=times
    )
    with pytest.raises((NotConvergedError, CollinearError)):
        fit_groups(table)


def test_a_time_beside_the_grid_is_refused() -> None:
    with pytest.raises(TimesInvalidError):
        cox_sums(("a",), np.ones((1, 1)), np.array([1.5]), np.ones(1), np.arange(3.0), np.zeros(1))
    with pytest.raises(TimesInvalidError):
        cox_sums(
            ("a",), np.ones((1, 1)), np.array([np.nan]), np.ones(1), np.arange(3.0), np.ones(1)
        )


CATEGORIES = ("education", "exercise", "active")
SQUARED = ("age", "smokeintensity", "smokeyrs", "wt71")


def nhefs() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the propensity design, quitting and weight gain (Hernán and Robins, chapter 12)."""
    module = pytest.importorskip("causaldata.nhefs_complete")
    data = module.load_pandas().data
    columns = [np.ones(len(data)), data["sex"].astype(float), data["race"].astype(float)]
    for name in CATEGORIES:
        values = data[name].astype(float).to_numpy()
        columns += [(values == level).astype(float) for level in np.unique(values)[1:]]
    for name in SQUARED:
        values = data[name].astype(float).to_numpy()
        columns += [values, values**2]
    return np.column_stack(columns), data["qsmk"].to_numpy(float), data["wt82_71"].to_numpy(float)


def effect_over(parts: Parts, outcome: np.ndarray, treated: np.ndarray, weights: np.ndarray):
    sums = sum_over(parts, lambda s: weighted_sums(outcome[s], treated[s], weights[s]))
    at = solve(sums, RULE)
    meat = sum_over(parts, lambda s: meat_sums(outcome[s], treated[s], weights[s], at))
    return effect(sums, meat, RULE)


def test_quitting_smoking_has_the_effect_of_the_pooled_gee() -> None:
    """Hernán and Robins, program 12.2: 3.4 kg; and statsmodels GEE to 1e-9."""
    sm = pytest.importorskip("statsmodels.api")
    x, quit_smoking, gain = nhefs()
    parts = dealt(len(x), 5, 6)
    names = tuple(f"x{at}" for at in range(x.shape[1]))
    fitted = fit_over(parts, names, x, quit_smoking)
    pooled = sm.GLM(quit_smoking, x, family=sm.families.Binomial()).fit(tol=1e-14, maxiter=100)
    propensity = 1 / (1 + np.exp(-x @ fitted.coefficients))
    assert propensity == pytest.approx(pooled.predict(x), abs=1e-9)

    weights = inverse_weights(propensity, quit_smoking)
    found: WeightedEffect = effect_over(parts, gain, quit_smoking, weights)
    design = sm.add_constant(quit_smoking)
    gee = sm.GEE(gain, design, groups=np.arange(len(gain)), weights=weights).fit()
    assert found.effect.value == pytest.approx(gee.params[1], abs=1e-9)
    assert found.untreated.value == pytest.approx(gee.params[0], abs=1e-9)
    assert found.effect.error == pytest.approx(gee.bse[1], abs=1e-9)
    assert round(found.effect.value, 1) == 3.4
    assert found.effective[1] < quit_smoking.sum()


def test_stabilised_weights_average_one_and_leave_the_effect_alone() -> None:
    x, quit_smoking, gain = nhefs()
    parts = dealt(len(x), 3, 7)
    fitted = fit_over(parts, tuple(f"x{at}" for at in range(x.shape[1])), x, quit_smoking)
    propensity = 1 / (1 + np.exp(-x @ fitted.coefficients))
    plain = inverse_weights(propensity, quit_smoking)
    stable = inverse_weights(propensity, quit_smoking, prevalence=quit_smoking.mean())
    assert stable.mean() == pytest.approx(1.0, abs=0.01)
    one, other = (effect_over(parts, gain, quit_smoking, w) for w in (plain, stable))
    assert one.effect.value == pytest.approx(other.effect.value, abs=1e-9)
    overlap = effect_over(parts, gain, quit_smoking, overlap_weights(propensity, quit_smoking))
    assert overlap.effect.error < one.effect.error * 1.1


def test_weights_that_cannot_be_used_are_refused() -> None:
    with pytest.raises(WeightsError):
        inverse_weights(np.array([0.2, 1.0]), np.array([0, 1]))
    with pytest.raises(WeightsError, match="sum to zero"):
        weighted_sums(np.ones(4), np.array([0, 1, 0, 1]), np.zeros(4))
    even = np.split(np.arange(40), 4)
    one_arm = sum_over(even, lambda s: weighted_sums(np.ones(len(s)), s % 2, 1.0 - s % 2))
    with pytest.raises(WeightsError):
        solve(one_arm, RULE)
    with pytest.raises(SummariesDifferError):
        good = sum_over(
            dealt(40, 4, 0), lambda s: weighted_sums(np.ones(len(s)), s % 2, np.ones(len(s)))
        )
        meat = sum_over(
            dealt(40, 4, 0),
            lambda s: meat_sums(np.ones(len(s)), s % 2, np.ones(len(s)), np.array([5.0, 5.0])),
        )
        effect(good, meat, RULE)
