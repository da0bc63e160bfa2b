"""E1 to E3: AUROC, its variance, bounds, and two scores of the same cases."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from federation.errors.evaluation import AllTiedError, NotBinaryError, ScoreInvalidError
from federation.errors.privacy import SingleClassError
from federation.evaluation.auroc import auroc, bootstrap
from federation.evaluation.discrimination import (
    auroc_bounds,
    auroc_estimate,
    auroc_interval,
    average_precision,
    average_precision_interval,
    roc,
)
from federation.evaluation.paired import JointHistogram, compare
from federation.evaluation.scores import ScoreHistogram, quantise_to
from federation.evaluation.tails import Estimate
from tests.evaluation.published import asah, asah_joint, s100b_histogram, wfns_histogram


def test_wfns_has_the_auroc_and_variance_of_proc() -> None:
    """pROC tests: aSAH wfns."""
    found = auroc_estimate(wfns_histogram())
    assert found.value == pytest.approx(0.823678861788618, abs=1e-15)
    assert found.variance == pytest.approx(0.00146991470882363, abs=1e-15)


def test_wfns_is_the_embedded_table() -> None:
    """EVALUATION.md E1: good 37, 20, 3, 8, 4; poor 2, 12, 1, 8, 18."""
    assert wfns_histogram().negatives.tolist() == [37, 20, 3, 8, 4]
    assert wfns_histogram().positives.tolist() == [2, 12, 1, 8, 18]


def test_s100b_has_the_variance_of_proc() -> None:
    """pROC tests: aSAH s100b."""
    found = auroc_estimate(s100b_histogram())
    assert found.variance == pytest.approx(0.00266868245717244, abs=1e-15)
    assert found.value == pytest.approx(0.731369, abs=5e-7)


def test_two_scores_are_compared_as_proc_does() -> None:
    """pROC tests: roc.test(wfns, s100b), paired DeLong."""
    found = compare(asah_joint())
    assert found.z == pytest.approx(2.20898359144091, abs=1e-13)
    assert found.p_value == pytest.approx(0.0271757822291882, abs=1e-13)
    assert found.interval.low == pytest.approx(0.0104061769564846, abs=1e-13)
    assert found.interval.high == pytest.approx(0.174214419249478, abs=1e-13)


@pytest.mark.parametrize(
    ("bins", "value", "low", "high"),
    [(1024, 0.731369, 0.7195, 0.7432), (50, 0.7344, 0.6867, 0.7822)],
)
def test_bins_bound_the_auroc_of_finer_scores(
    bins: int, value: float, low: float, high: float
) -> None:
    """EVALUATION.md C.0, 1: s100b in 1,024 and in 50 bins."""
    _, s100b, poor = asah()
    placed = np.minimum((s100b - s100b.min()) * bins // (s100b.max() - s100b.min()), bins - 1)
    histogram = ScoreHistogram.of_bins(placed, poor, bins)
    found = auroc_bounds(histogram)
    assert auroc(histogram) == pytest.approx(value, abs=5e-7 if bins == 1024 else 5e-5)
    assert (found.low, found.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_the_bootstrap_is_within_a_hundredth_of_delong() -> None:
    """EVALUATION.md E3."""
    metric = bootstrap(wfns_histogram(), seed=20260101)
    delong = auroc_interval(auroc_estimate(wfns_histogram()))
    assert metric.low == pytest.approx(delong.low, abs=0.01)
    assert metric.high == pytest.approx(delong.high, abs=0.01)


def test_the_interval_of_a_high_auroc_stays_below_one() -> None:
    found = auroc_interval(Estimate(0.99, 0.02**2))
    assert 0.6 < found.low < 0.99 < found.high < 1
    assert auroc_interval(Estimate(0.94, 0.06**2)).high == 1.0


def test_figures_equal_scikit_learn_on_rounded_scores() -> None:
    rng = np.random.default_rng(1)
    truths = rng.random(700) < 0.2
    scores = np.rint(np.clip(rng.normal(0.4 + 0.2 * truths, 0.2), 0, 1) * 1000) / 1000
    histogram = ScoreHistogram.of(scores, truths)
    assert auroc(histogram) == pytest.approx(roc_auc_score(truths, scores), abs=1e-12)
    expected = average_precision_score(truths, scores)
    assert average_precision(histogram) == pytest.approx(expected, abs=1e-12)
    fpr, tpr, _ = roc_curve(truths, scores, drop_intermediate=False)
    curve = roc(histogram)
    points = np.column_stack([curve.false_positive_rate, curve.true_positive_rate])
    expected_points = np.column_stack([fpr, tpr]).round(12)
    assert np.array_equal(np.unique(points.round(12), axis=0), np.unique(expected_points, axis=0))
    band = average_precision_interval(histogram, seed=3)
    assert band.low < expected < band.high


@pytest.mark.parametrize("score", [float("nan"), float("inf"), -0.1, 1.1])
def test_a_score_that_is_no_probability_is_refused(score: float) -> None:
    with pytest.raises(ScoreInvalidError) as caught:
        ScoreHistogram.of(np.array([0.5, score]), np.array([True, False]))
    assert caught.value.code == "TF850"


def test_a_missing_truth_and_a_missing_loss_are_refused() -> None:
    with pytest.raises(NotBinaryError):
        ScoreHistogram.of(np.array([0.5, 0.5]), np.array([1.0, np.nan]))
    with pytest.raises(ScoreInvalidError):
        quantise_to(np.array([np.nan]), low=0, high=1)


def test_one_class_and_all_tied_have_no_auroc() -> None:
    with pytest.raises(SingleClassError):
        auroc_estimate(ScoreHistogram.of(np.array([0.1, 0.2]), np.array([True, True])))
    with pytest.raises(AllTiedError):
        auroc_estimate(ScoreHistogram.of(np.full(6, 0.4), np.arange(6) < 3))


def test_a_score_compared_with_itself_is_refused() -> None:
    wfns, _, poor = asah()
    with pytest.raises(AllTiedError):
        compare(JointHistogram.of_bins(wfns, wfns, poor, (5, 5)))
    with pytest.raises(SingleClassError):
        compare(JointHistogram.of_bins(wfns, wfns, np.ones(113, dtype=bool), (5, 5)))
