import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from torch import nn

from clients.data.cohort.arrays import PatientArrays
from clients.evaluation import evaluate
from federation.domain.recipe import Task
from federation.errors.core import InvalidValueError
from federation.errors.privacy import NoPatientsError, SingleClassError
from federation.evaluation.auroc import (
    ScoreHistogram,
    auroc,
    bootstrap,
    delong,
    delong_variance,
    pooled_within_site,
)
from tests.training.arrays import a_cohort, a_network

WFNS = ScoreHistogram(np.array([2, 12, 1, 8, 18]), np.array([37, 20, 3, 8, 4]))
"""pROC's aSAH data: WFNS grade by poor (positive) and good outcome, 41 and 72 patients."""


def a_histogram(seed: int = 0, n: int = 60, shift: float = 0.2) -> ScoreHistogram:
    rng = np.random.default_rng(seed)
    truths = np.arange(n) % 2 == 0
    return ScoreHistogram.of(np.clip(rng.random(n) * 0.8 + shift * truths, 0, 1), truths)


def test_the_auroc_of_asah_is_that_of_proc():
    assert auroc(WFNS) == pytest.approx(0.823678861788618, abs=1e-14)
    assert delong_variance(WFNS) == pytest.approx(0.00146991470882363, abs=1e-15)


def test_the_delong_interval_is_symmetric_below_095_and_inside_above():
    metric = delong(WFNS)
    assert metric.high - metric.value == pytest.approx(metric.value - metric.low)
    high = delong(a_histogram(shift=0.78, n=400))
    assert high.value > 0.95
    assert 0.5 < high.low < high.value < high.high < 1


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 1000), st.booleans()), min_size=2, max_size=60).filter(
        lambda rows: len({truth for _, truth in rows}) == 2
    )
)
def test_the_auroc_agrees_with_scikit_learn(rows):
    scores = np.array([score / 1000 for score, _ in rows])
    truths = np.array([truth for _, truth in rows])
    expected = roc_auc_score(truths, scores)
    assert auroc(ScoreHistogram.of(scores, truths)) == pytest.approx(expected, abs=1e-12)


def test_the_bootstrap_agrees_with_delong_and_is_repeatable():
    histogram = a_histogram(n=400)
    by_bootstrap, by_delong = bootstrap(histogram, seed=1), delong(histogram)
    assert by_bootstrap == bootstrap(histogram, seed=1)
    assert by_bootstrap.low == pytest.approx(by_delong.low, abs=0.01)
    assert by_bootstrap.high == pytest.approx(by_delong.high, abs=0.01)
    assert by_bootstrap.method == "patient bootstrap, B=2000"


def test_the_bootstrap_of_counts_has_the_law_of_drawing_patients_again():
    histogram = a_histogram(n=60)
    bins = np.arange(1001)
    with_it = np.repeat(bins, histogram.positives)
    without = np.repeat(bins, histogram.negatives)
    rng = np.random.default_rng(3)
    drawn = []
    for _ in range(2000):
        p, n = rng.choice(with_it, len(with_it)), rng.choice(without, len(without))
        drawn.append(((p[:, None] > n) + 0.5 * (p[:, None] == n)).mean())
    metric = bootstrap(histogram, seed=4)
    assert np.quantile(drawn, 0.025) == pytest.approx(metric.low, abs=0.015)
    assert np.quantile(drawn, 0.975) == pytest.approx(metric.high, abs=0.015)


def test_the_federations_figure_does_not_reward_telling_sites_apart():
    truths = np.array([0] * 45 + [1] * 5 + [0] * 5 + [1] * 45, dtype=bool)
    scores = np.array([0.1] * 50 + [0.9] * 50)
    pooled = auroc(ScoreHistogram.of(scores, truths))
    sites = [
        ScoreHistogram.of(scores[:50], truths[:50]),
        ScoreHistogram.of(scores[50:], truths[50:]),
    ]
    assert pooled == pytest.approx(0.9)
    assert pooled_within_site(sites, seed=1).value == pytest.approx(0.5)


def test_a_site_with_one_class_is_left_out_of_the_mean():
    one_class = ScoreHistogram.of(np.array([0.5, 0.6]), np.array([True, True]))
    metric = pooled_within_site([WFNS, one_class], seed=1)
    assert metric.value == pytest.approx(auroc(WFNS))
    assert metric.n == 113
    with pytest.raises(SingleClassError):
        pooled_within_site([one_class], seed=1)


@pytest.mark.parametrize("call", [auroc, delong, lambda h: bootstrap(h, seed=1)])
def test_one_class_has_no_auroc(call):
    with pytest.raises(SingleClassError, match="3 patients with"):
        call(ScoreHistogram.of(np.array([0.1, 0.2, 0.3]), np.array([True] * 3)))


@pytest.mark.parametrize("score", [float("nan"), -0.1, 1.1, float("inf")])
def test_a_score_that_is_no_probability_is_refused(score):
    with pytest.raises(InvalidValueError):
        ScoreHistogram.of(np.array([0.5, score]), np.array([True, False]))


def test_counts_that_are_none_are_refused():
    with pytest.raises(InvalidValueError):
        ScoreHistogram(np.array([1, -1]), np.array([1, 1]))
    with pytest.raises(InvalidValueError):
        ScoreHistogram(np.array([1, 1]), np.array([1]))


class Brightness(nn.Module):
    def forward(self, images):
        level = images.flatten(1).mean(1)
        return torch.stack([torch.zeros_like(level), level], dim=1)


def test_a_patients_score_is_the_mean_over_the_images():
    level = np.array([-2.0, 4.0, 0.5, 0.5, 0.0], np.float32)
    images = np.broadcast_to(level[:, None, None, None], (5, 1, 4, 4)).copy()
    data = PatientArrays(images, np.array([1, 1, 0, 0, 0]), np.array([0, 0, 1, 1, 2]), 3)
    result = evaluate(Brightness(), data, task=Task.CLASSIFICATION)
    means = [(1 / (1 + np.exp(2)) + 1 / (1 + np.exp(-4))) / 2, 1 / (1 + np.exp(-0.5)), 0.5]
    bins = np.rint(1000 * np.array(means)).astype(int)
    assert result.patients == result.histogram.patients == 3
    assert result.histogram.positives[bins[0]] == 1
    assert all(result.histogram.negatives[place] == 1 for place in bins[1:])


def test_a_patient_with_images_of_both_kinds_counts_in_both():
    data = a_cohort(patients=4, images_each=2)
    data.targets[0] = 1
    result = evaluate(a_network(), data, task=Task.CLASSIFICATION)
    assert result.histogram.patients == 5


def test_an_evaluation_of_one_class_is_a_result_with_a_code():
    data = a_cohort(patients=6)
    data.targets[:] = 1
    result = evaluate(a_network(), data, task=Task.CLASSIFICATION)
    assert result.auroc is None
    assert result.as_report()["no_auroc"] == "TF605"


def test_a_report_is_json_and_holds_no_histogram():
    report = evaluate(a_network(), a_cohort(), task=Task.CLASSIFICATION).as_report()
    assert "histogram" not in json.dumps(report)
    assert report["auroc_low"] <= report["auroc"] <= report["auroc_high"]


def test_nobody_to_evaluate_on_is_refused():
    with pytest.raises(NoPatientsError):
        evaluate(a_network(), a_cohort().subset(np.array([], np.int64)), task=Task.CLASSIFICATION)


class Painter(nn.Module):
    """Paints class 1 where the image is above 0.5."""

    def forward(self, images):
        inside = (images > 0.5).float()
        return torch.cat([1 - inside, inside], dim=1)


def test_the_dice_of_a_patient_is_the_overlap():
    images = np.zeros((2, 1, 4, 4, 4), np.float32)
    images[0, 0, :2] = 1
    masks = np.zeros((2, 4, 4, 4), np.int64)
    masks[0, 1:3] = 1
    data = PatientArrays(images, masks, np.array([0, 1]), 2)
    result = evaluate(Painter(), data, task=Task.SEGMENTATION)
    # half overlaps at the first patient; nothing is there and nothing painted at the second
    assert result.dice.value == pytest.approx((0.5 + 1.0) / 2)
    assert result.auroc is None
    assert result.as_report()["dice"] == result.dice.value
