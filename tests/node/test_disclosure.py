"""What of an evaluation leaves: few digits, and nothing of a small group."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.disclosure import (
    LARGEST_LOSS,
    report_of,
    shared_count,
    shared_report,
    shared_seconds,
)
from clients.evaluation import SiteEvaluation
from federation.errors.ledger import SmallGroupError
from federation.evaluation.auroc import ScoreHistogram, bootstrap, delong_variance


def an_evaluation(*, positives: int = 30, negatives: int = 30, loss: float = 0.5) -> SiteEvaluation:
    truths = np.arange(positives + negatives) < positives
    scores = np.random.default_rng(0).random(len(truths)) * 0.8 + 0.2 * truths
    histogram = ScoreHistogram.of(scores, truths)
    auroc = bootstrap(histogram, seed=1)
    return SiteEvaluation(len(truths), loss, auroc=auroc, histogram=histogram)


def test_a_loss_made_huge_by_the_model_says_no_more_than_useless() -> None:
    report = report_of(an_evaluation(loss=123456789.123456))

    assert report["loss"] == LARGEST_LOSS


def test_a_variance_leaves_with_three_digits() -> None:
    evaluation = an_evaluation()
    assert evaluation.histogram is not None
    metrics = report_of(evaluation)["metrics"]

    assert isinstance(metrics, list)
    exact, told = delong_variance(evaluation.histogram), metrics[0]["variance"]
    assert told == float(f"{told:.2e}")
    assert told == pytest.approx(exact, rel=5e-3)


@pytest.mark.parametrize(("positives", "negatives"), [(9, 30), (30, 9)])
def test_a_small_group_keeps_the_metric_inside(positives: int, negatives: int) -> None:
    report = report_of(an_evaluation(positives=positives, negatives=negatives))

    assert (report["metrics"], report["refused"]) == ([], SmallGroupError.code)


def test_of_fewer_than_ten_patients_not_even_the_loss_leaves() -> None:
    report = report_of(an_evaluation(positives=4, negatives=5))

    assert (report["heldout_patients"], report["loss"]) == (None, None)


@pytest.mark.parametrize(
    ("exact", "said"),
    [(0, 0), (1, None), (9, None), (10, 10), (19, 10), (127, 120), (999, 990), (1289, 1200),
     (98_765, 98_000)],
)  # fmt: skip
def test_a_count_leaves_with_two_digits_and_never_finer_than_tens(
    exact: int, said: int | None
) -> None:
    assert shared_count(exact) == said


@given(st.integers(10, 10**9))
def test_a_coarse_count_stays_what_it_is_and_loses_less_than_half(count: int) -> None:
    said = shared_count(count)
    assert said is not None
    assert shared_count(said) == said
    assert said <= count < 2 * said


def test_one_patient_fewer_is_mostly_not_to_be_seen() -> None:
    seen = sum(shared_count(count) != shared_count(count - 1) for count in range(11, 1000))

    assert seen < 100


@pytest.mark.parametrize(
    ("exact", "said"), [(0.0, 1), (0.9, 1), (1.5, 2), (31.4, 50), (51, 100), (9000, 10_000)]
)
def test_a_time_leaves_rounded_up_to_one_two_or_five(exact: float, said: int) -> None:
    assert shared_seconds(exact) == said


def test_counts_inside_metrics_are_coarse_too_and_small_ones_are_left_to_the_gate() -> None:
    report = shared_report({"metrics": [{"n": 127, "value": 0.5}], "heldout_patients": 9})

    assert report == {"metrics": [{"n": 120, "value": 0.5}], "heldout_patients": 9}
