"""E5 and E6: calibration in the large, slope, Brier, ECE."""

import csv
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from federation.errors.evaluation import AllTiedError, EmptySliceError, NotConvergedError
from federation.errors.privacy import SingleClassError
from federation.evaluation.calibration import (
    brier,
    equal_mass,
    equal_width,
    in_the_large,
    recalibration,
)
from federation.evaluation.scores import ScoreHistogram


def a_histogram(scores: list[float], truths: list[int]) -> ScoreHistogram:
    return ScoreHistogram.of(np.array(scores), np.array(truths))


def test_the_example_of_torchmetrics() -> None:
    """torchmetrics, BinaryCalibrationError, 2 bins: l1 0.2900, l2 0.2918, max 0.3167."""
    found = equal_width(a_histogram([0.25, 0.25, 0.55, 0.75, 0.75], [0, 0, 1, 1, 1]), 2)
    figures = (found.ece, found.root_mean_square, found.mce)
    assert [round(one, 4) for one in figures] == [0.2900, 0.2918, 0.3167]


def df_binary() -> tuple[np.ndarray, np.ndarray]:
    spec = importlib.util.find_spec("dcurves")
    if spec is None or spec.origin is None:
        pytest.skip("dcurves, which ships df_binary, is not installed")
    path = Path(spec.origin).parent / "data" / "df_binary.csv"
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    scores = np.array([float(row["cancerpredmarker"]) for row in rows])
    return scores, np.array([row["cancer"] == "TRUE" for row in rows])


def test_a_models_own_cases_have_slope_one_and_intercept_zero() -> None:
    """EVALUATION.md E5, E6: dcurves df_binary; on the grid to what rounding allows."""
    histogram = ScoreHistogram.of(*df_binary())
    fit = recalibration(histogram)
    assert fit.estimate("slope").value == pytest.approx(1.0000, abs=2e-3)
    assert fit.estimate("intercept").value == pytest.approx(0.0000, abs=3e-3)
    assert brier(histogram) == pytest.approx(0.084929, abs=1e-5)


def test_the_brier_score_of_df_binary_to_all_digits_on_a_finer_grid() -> None:
    scores, truths = df_binary()
    bins = np.rint(scores * 1_000_000).astype(int)
    assert round(brier(ScoreHistogram.of_bins(bins, truths, 1_000_001)), 6) == 0.084929
    fit = recalibration(ScoreHistogram.of_bins(bins, truths, 1_000_001))
    assert round(fit.estimate("slope").value, 4) == 1.0000
    assert round(fit.estimate("intercept").value, 4) == 0.0000


def test_a_fit_on_bins_is_the_glm_on_cases() -> None:
    sm = pytest.importorskip("statsmodels.api")
    rng = np.random.default_rng(4)
    scores = rng.integers(1, 1000, 900) / 1000
    truths = rng.random(900) < scores**1.4
    logits = np.log(scores / (1 - scores))
    histogram = ScoreHistogram.of(scores, truths)
    expected = sm.GLM(truths, sm.add_constant(logits), family=sm.families.Binomial()).fit(tol=1e-14)
    fit = recalibration(histogram)
    assert fit.coefficients == pytest.approx(expected.params, abs=1e-9)
    assert np.sqrt(np.diag(fit.covariance)) == pytest.approx(expected.bse, rel=1e-6)
    large = sm.GLM(truths, np.ones(900), family=sm.families.Binomial(), offset=logits).fit(
        tol=1e-14
    )
    assert in_the_large(histogram).value == pytest.approx(large.params[0], abs=1e-9)


def test_equal_mass_bins_hold_about_the_same_number() -> None:
    rng = np.random.default_rng(5)
    found = equal_mass(ScoreHistogram.of(rng.beta(1, 8, 5000), rng.random(5000) < 0.1))
    assert [one.cases for one in found.bins] == pytest.approx([500] * 10, abs=40)
    assert sum(one.cases for one in found.bins) == 5000


def test_the_brier_score_is_its_definition() -> None:
    assert brier(a_histogram([0.2, 0.9], [0, 1])) == pytest.approx((0.04 + 0.01) / 2)


def test_scores_that_cannot_be_calibrated_are_refused() -> None:
    with pytest.raises(AllTiedError):
        recalibration(a_histogram([0.3] * 4, [0, 1, 0, 1]))
    with pytest.raises(SingleClassError):
        in_the_large(a_histogram([0.3, 0.4], [1, 1]))
    with pytest.raises(NotConvergedError):
        recalibration(a_histogram([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1]))
    with pytest.raises(EmptySliceError):
        equal_width(ScoreHistogram(np.zeros(1001, int), np.zeros(1001, int)))
