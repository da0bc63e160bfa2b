"""What of an evaluation leaves: few digits, and nothing of a small group."""

import numpy as np
import pytest

from clients.disclosure import LARGEST_LOSS, report_of
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
