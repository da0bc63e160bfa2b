"""E9, E12, E13 and E14: corruptions, explanations, abstention, membership."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from federation.errors.evaluation import (
    AllTiedError,
    CalibrationTooSmallError,
    EmptySliceError,
    GroupsError,
    NoBaselineError,
    OutOfRangeError,
    ScoreInvalidError,
)
from federation.evaluation.auroc import auroc
from federation.evaluation.conformal import (
    ValueCounts,
    abstention,
    conformal_rank,
    coverage_by,
    search,
    selective_risk,
    threshold,
)
from federation.evaluation.explainability import (
    CaseMoments,
    completeness_gaps,
    deletion_area,
    points_inside,
    rank_similarity,
    structural_similarity,
)
from federation.evaluation.membership import (
    advantage_bound,
    attack,
    loss_histogram,
    tpr_bound,
)
from federation.evaluation.robustness import degradation, rank_stability
from federation.evaluation.scores import ScoreHistogram
from tests.evaluation.federations import dealt, partitions, sum_over

TRUTHS = np.random.default_rng(0).random(2000) < 0.3


def scored(lift: float, seed: int = 1) -> ScoreHistogram:
    noise = np.random.default_rng(seed).normal(0.4, 0.15, 2000)
    return ScoreHistogram.of(np.clip(noise + lift * TRUTHS, 0, 1), TRUTHS)


def test_severity_zero_loses_nothing_bit_for_bit() -> None:
    found = degradation("none", scored(0.3), [scored(0.3)])
    assert found.relative == (0.0,)
    assert found.aurocs[0].value == auroc(scored(0.3))


def test_degradation_grows_and_reaches_chance() -> None:
    found = degradation("noise", scored(0.3), [scored(0.2), scored(0.1), scored(0.0)])
    assert found.is_monotone
    assert found.relative[2] == pytest.approx(1.0, abs=0.1)
    assert 0 < found.mean < 1
    assert not degradation("odd", scored(0.2), [scored(0.3)]).is_monotone


def test_a_model_at_chance_has_nothing_to_lose() -> None:
    tied = ScoreHistogram.of(np.full(4, 0.5), np.arange(4) < 2)
    with pytest.raises(NoBaselineError):
        degradation("noise", tied, [])


def test_ranks_of_models_are_compared_by_name() -> None:
    plain = {"a": 0.9, "b": 0.8, "c": 0.7}
    assert rank_stability(plain, {"c": 0.5, "b": 0.6, "a": 0.8}) == 1.0
    assert rank_stability(plain, {"c": 0.8, "b": 0.6, "a": 0.5}) == -1.0
    with pytest.raises(GroupsError):
        rank_stability(plain, {"a": 0.5})


def test_integrated_gradients_of_a_linear_model_are_complete() -> None:
    """EVALUATION.md E12: attributions w(x-x0), error below 1e-6; and captum's own."""
    torch = pytest.importorskip("torch")
    captum = pytest.importorskip("captum.attr")
    rng = np.random.default_rng(2)
    weights, x = torch.tensor(rng.normal(size=5)), torch.tensor(rng.normal(size=(20, 5)))
    found = captum.IntegratedGradients(lambda v: v @ weights).attribute(x).numpy()
    assert found == pytest.approx((x * weights).numpy(), abs=1e-6)
    assert completeness_gaps(found, (x @ weights).numpy(), np.zeros(20)).max() < 1e-6


def test_completeness_is_the_sum_of_a_linear_models_parts() -> None:
    rng = np.random.default_rng(2)
    weights, x, base = rng.normal(size=5), rng.normal(size=(20, 5)), rng.normal(size=5)
    gaps = completeness_gaps((x - base) * weights, x @ weights, np.full(20, base @ weights))
    assert gaps.max() < 1e-6
    assert completeness_gaps(x * 0, x @ weights, np.zeros(20)).max() > 0.1


def test_identical_maps_are_alike_and_random_ones_are_not() -> None:
    rng = np.random.default_rng(3)
    one, other = rng.normal(size=(32, 32)), rng.normal(size=(32, 32))
    assert rank_similarity(one, one) == pytest.approx(1.0)
    assert structural_similarity(one, one) == pytest.approx(1.0)
    assert abs(rank_similarity(one, other)) < 0.1
    assert structural_similarity(one, other) < 0.2
    expected = spearmanr(np.abs(one).ravel(), np.abs(other).ravel()).statistic
    assert rank_similarity(one, other) == pytest.approx(expected)
    with pytest.raises(AllTiedError):
        rank_similarity(np.ones(4), one)


def test_pointing_and_deletion() -> None:
    saliency = np.zeros((8, 8))
    saliency[2, 3] = 1.0
    box = np.zeros((8, 8), dtype=bool)
    assert not points_inside(saliency, box)
    box[2:4, 3:5] = True
    assert points_inside(saliency, box)
    assert deletion_area(np.array([1.0, 0.0, 0.0])) == pytest.approx(0.25)


@settings(max_examples=15, deadline=None)
@given(partitions)
def test_moments_of_sites_are_those_of_all_cases(how: tuple[int, int]) -> None:
    values = np.random.default_rng(4).normal(0.5, 0.2, 300)
    found = sum_over(dealt(300, *how), lambda s: CaseMoments.of("ssim", values[s], low=0, high=1))
    assert found.mean.value == pytest.approx(values.mean(), abs=1e-9)
    assert found.variance == pytest.approx(values.var(ddof=1), abs=1e-9)
    assert found.cases == 300


def test_one_case_has_no_mean_to_show() -> None:
    with pytest.raises(EmptySliceError):
        _ = CaseMoments.of("ssim", np.array([0.5]), low=0, high=1).mean


def test_rank_450_of_499_covers_nine_in_ten() -> None:
    """EVALUATION.md E13: n=499, alpha=.1: rank 450, coverage in [.900, .902]."""
    found = threshold(ValueCounts.of(np.arange(499) / 1000), 0.1)
    assert (found.rank, found.bin) == (450, 449)
    assert (round(found.coverage.low, 3), round(found.coverage.high, 3)) == (0.900, 0.902)


def test_mean_coverage_of_simulations_is_inside_what_is_promised() -> None:
    rng = np.random.default_rng(5)
    covered = []
    for _ in range(400):
        found = threshold(ValueCounts.of(rng.random(499)), 0.1)
        rate = found.covers(ValueCounts.of(rng.random(2000))).rate
        covered.append(rate)
    assert np.mean(covered) == pytest.approx(0.901, abs=0.003)


@given(st.integers(10, 300), st.integers(0, 99), st.floats(0.02, 0.5))
def test_bisection_on_counts_finds_the_same_threshold(cases: int, seed: int, alpha: float) -> None:
    values = ValueCounts.of(np.random.default_rng(seed).random(cases))
    if math.ceil((cases + 1) * (1 - alpha)) > cases:
        return
    questions = []

    def ask(at: int) -> int:
        questions.append(at)
        return int(values.cases[: at + 1].sum())

    assert search(ask, cases, alpha) == threshold(values, alpha)
    assert len(questions) <= 10


def test_the_conformal_threshold_is_that_of_mapie() -> None:
    regression = pytest.importorskip("mapie.regression")
    linear = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(6)
    x, y = np.zeros((200, 1)), np.rint(rng.random(200) * 1000) / 1000
    flat = linear.LinearRegression().fit(x, np.zeros(200))
    mapie = regression.SplitConformalRegressor(flat, confidence_level=0.9, prefit=True)
    mapie.conformalize(x, y)
    _, ends = mapie.predict_interval(np.zeros((1, 1)))
    assert threshold(ValueCounts.of(y), 0.1).bin == pytest.approx(ends[0, 1, 0] * 1000)


def test_coverage_is_told_by_class_and_risk_by_answering() -> None:
    found = threshold(ValueCounts.of(np.arange(99) / 1000), 0.1)
    by = coverage_by(found, {"b": ValueCounts.of(np.ones(3)), "a": ValueCounts.of(np.zeros(4))})
    assert [(name, rate.rate) for name, rate in by.items()] == [("a", 1.0), ("b", 0.0)]
    confidence = ScoreHistogram.of(np.array([0.6, 0.7, 0.9, 0.9]), np.array([0, 1, 1, 1]) == 1)
    points = selective_risk(confidence)
    assert [(one.answered, one.risk) for one in points] == [(1.0, 0.25), (0.75, 0.0), (0.5, 0.0)]


def test_strange_cases_are_left_unanswered() -> None:
    known = ValueCounts.of(np.linspace(0, 0.5, 200))
    assert abstention(known, ValueCounts.of(np.full(10, 0.9)), alpha=0.05).rate == 1.0
    assert abstention(known, known, alpha=0.05).rate == pytest.approx(0.05, abs=0.01)
    with pytest.raises(EmptySliceError):
        abstention(known, ValueCounts.of(np.array([])), alpha=0.05)


def test_a_calibration_set_too_small_for_its_promise_is_refused() -> None:
    with pytest.raises(CalibrationTooSmallError, match="9 cases"):
        conformal_rank(8, 0.1)
    assert conformal_rank(9, 0.1) == 9


@pytest.mark.parametrize(
    ("epsilon", "bound"), [(0.1, 0.04996), (1, 0.46212), (3, 0.90515), (8, 0.99933)]
)
def test_the_bound_on_an_attacks_advantage(epsilon: float, bound: float) -> None:
    """EVALUATION.md E14: (e^eps - 1)/(e^eps + 1)."""
    assert round(advantage_bound(epsilon), 5) == bound


@given(st.floats(0, 12), st.floats(0, 0.01), st.floats(0, 1))
def test_the_tpr_bound_gives_the_advantage_bound(eps: float, delta: float, fpr: float) -> None:
    assert fpr <= tpr_bound(fpr, epsilon=eps, delta=delta) + 1e-12
    gap = tpr_bound(fpr, epsilon=eps, delta=delta) - fpr
    assert gap <= advantage_bound(eps, delta) + 1e-9


def test_random_membership_is_not_found_and_overfitting_is() -> None:
    rng = np.random.default_rng(7)
    members = np.arange(4000) < 2000
    losses = rng.exponential(1.0, 4000)
    blind = attack(loss_histogram(losses, members))
    assert blind.auroc.value == pytest.approx(0.5, abs=0.03)
    assert not blind.exceeds(epsilon=0.1, delta=1e-5)
    told = attack(loss_histogram(np.where(members, losses / 1e3, losses), members))
    assert told.advantage > 0.9
    assert told.exceeds(epsilon=1.0, delta=1e-5)
    point = told.points[0]
    assert point.false_positives.rate <= 0.001
    assert point.interval.low < point.true_positives.rate < point.interval.high


def test_a_negative_or_missing_loss_is_refused() -> None:
    for loss in (-0.1, float("nan")):
        with pytest.raises(ScoreInvalidError):
            loss_histogram(np.array([0.5, loss]), np.array([True, False]))
    assert loss_histogram(np.array([0.0, 1e9]), np.array([True, False])).positives[-1] == 1


def test_a_privacy_that_is_none_is_refused() -> None:
    with pytest.raises(OutOfRangeError):
        advantage_bound(-1.0)
    with pytest.raises(OutOfRangeError):
        tpr_bound(0.1, epsilon=float("nan"), delta=0.0)
