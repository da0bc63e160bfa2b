"""Reader studies: published analyses digit by digit, definitions, and what is refused.

What is reproduced. All of the published Van Dyke analysis from its ratings where
TRIFED_VAN_DYKE names a file of them (`case,reader,arm,truth,rating`; arm 1 and 2): the data
come with GPL software only and are not kept here. Without the file, everything after the
covariances from the printed numbers. All of iMRMC's own example from its CC0 ratings.
"""

import csv
import functools
import math
import operator
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from federation.errors.evaluation import AllTiedError, SummaryInvalidError
from federation.errors.impact import TooFewClustersError
from federation.errors.privacy import SingleClassError
from federation.evaluation.paired import JointHistogram, compare
from federation.impact.inference import Inferred
from federation.impact.readers import (
    Covariance,
    Figure,
    Inference,
    Readings,
    compare_figures,
    compare_readers,
)
from tests.impact.imrmc_example import ratings

Ratings = NDArray[np.int64]
Truths = NDArray[np.bool_]

FIVE = tuple(f"reader-{number}" for number in range(1, 6))

# Van Dyke et al. 1993 (cine against spin-echo MRI), trapezoidal AUC, as printed by OR-DBM MRMC
# 2.5 (Schartz, Hillis, Pesce, Berbaum): RJafroc, inst/obumrm2/VanDyke-traparea-jackknife-
# obuch-anova.txt. Treatment 1, then 2.
VAN_DYKE = np.array(
    [
        [0.91964573, 0.85877617, 0.90386473, 0.97310789, 0.82979066],
        [0.94782609, 0.90531401, 0.92173913, 0.99935588, 0.92995169],
    ]
)
# error, Cov1, Cov2, Cov3: jackknife (OR-DBM MRMC), DeLong and unbiased (Smith and Hillis,
# MRMCaov, docs/jss/MRMCaov.tex).
PUBLISHED = {
    Covariance.JACKKNIFE: (0.00080229, 0.00034661, 0.00034407, 0.00023903),
    Covariance.DELONG: (0.0007921325, 0.0003420090, 0.0003395265, 0.0002358497),
    Covariance.UNBIASED: (0.0007883925, 0.0003416706, 0.0003390650, 0.0002356148),
}
# standard error, degrees of freedom, p, low, high of treatment 1 less 2
TESTS = {
    (Covariance.JACKKNIFE, Inference.RANDOM): (0.02075, 15.26, 0.0517, -0.08796, 0.00036),
    (Covariance.JACKKNIFE, Inference.FIXED_READERS): (
        0.01872, math.inf, 0.0193, -0.08049, -0.00711,
    ),
    (Covariance.JACKKNIFE, Inference.FIXED_CASES): (0.01485, 4, 0.0420, -0.08502, -0.00258),
    (Covariance.DELONG, Inference.RANDOM): (
        0.0206825, 15.06611, 0.05123303, -0.0878671960, 0.0002665519,
    ),
    (Covariance.UNBIASED, Inference.RANDOM): (
        0.02067154, 15.03418, 0.0511618, -0.0878519409, 0.0002512968,
    ),
}  # fmt: skip
# MRMCaov, DeLong: mean of a treatment alone, standard error, degrees of freedom, low, high
ARMS = (
    (0.8970370, 0.03307642, 12.59597, 0.8253461, 0.9687280),
    (0.9408374, 0.02150464, 12.56530, 0.8942155, 0.9874592),
)


def blocks(
    error: float, same_reader: float, same_arm: float, neither: float
) -> NDArray[np.float64]:
    """Return the covariance matrix whose averages are these."""
    own = np.full((5, 5), same_arm) + np.eye(5) * (error - same_arm)
    across = np.full((5, 5), neither) + np.eye(5) * (same_reader - neither)
    return np.block([[own, across], [across, own]])


def agrees(found: Inferred, printed: tuple[float, ...], method: Covariance) -> None:
    """Return if all that is printed is the same, to the digits printed."""
    digits = 6e-5 if method is Covariance.JACKKNIFE else 6e-7
    ends = found.interval()
    told = (found.estimate.error, found.freedom, found.p_value(), ends.low, ends.high)
    for mine, theirs in zip(told, printed, strict=True):
        assert mine == pytest.approx(theirs, abs=digits * (1 if theirs < 1 else 100))


@pytest.mark.parametrize(("method", "inference"), TESTS)
def test_the_printed_figures_of_van_dyke_give_the_printed_tests(
    method: Covariance, inference: Inference
) -> None:
    found = compare_figures(VAN_DYKE, blocks(*PUBLISHED[method]), inference)
    assert found.difference.value == pytest.approx(-0.04380032, abs=1e-8)
    assert found.components.interaction == pytest.approx(0.00055103, abs=5e-9)
    assert found.components.readers == pytest.approx(0.00383620, abs=5e-9)
    agrees(found.difference, TESTS[method, inference], method)


def van_dyke() -> tuple[Ratings, Truths]:
    name = os.environ.get("TRIFED_VAN_DYKE")
    if name is None:
        pytest.skip("TRIFED_VAN_DYKE names no file of the Van Dyke ratings (GPL, not kept here)")
    lines = list(csv.DictReader(Path(name).read_text("utf-8").splitlines()))
    cases = sorted({line["case"] for line in lines})
    found = np.zeros((len(cases), 2, 5), dtype=np.int64)
    truths = np.zeros(len(cases), bool)
    for line in lines:
        place = cases.index(line["case"])
        found[place, int(line["arm"]) - 1, FIVE.index(line["reader"])] = int(line["rating"]) - 1
        truths[place] = line["truth"] == "1"
    return found, truths


@pytest.mark.parametrize(("method", "inference"), TESTS)
def test_the_ratings_of_van_dyke_give_all_that_is_printed(
    method: Covariance, inference: Inference
) -> None:
    readings = Readings.of(*van_dyke(), FIVE, 5)
    found = compare_readers(readings, covariance=method, inference=inference)
    assert np.allclose(found.figures, VAN_DYKE, atol=5e-9, rtol=0)
    parts = found.components
    told = (parts.error, parts.same_reader, parts.same_arm, parts.neither)
    digits = 5e-9 if method is Covariance.JACKKNIFE else 6e-11
    assert np.allclose(told, PUBLISHED[method], atol=digits, rtol=0)
    agrees(found.difference, TESTS[method, inference], method)
    if (method, inference) == (Covariance.DELONG, Inference.RANDOM):
        for arm, printed in zip(found.arms, ARMS, strict=True):
            assert arm.value == pytest.approx(printed[0], abs=5e-8)
            ends = arm.interval()
            told_arm = (arm.estimate.error, arm.freedom, ends.low, ends.high)
            assert np.allclose(told_arm, printed[1:], atol=6e-6, rtol=0)


def test_the_example_of_imrmc_is_analysed_as_imrmc_does() -> None:
    # DIDSR/iMRMC, tests/testthat/drafts/test_doIMRMC.Rdata (U-statistics, BDG): AUCs of both
    # modalities, variance of the difference, Hillis's degrees of freedom, interval, p-value.
    readings = Readings.of(*ratings(), FIVE, 80)
    found = compare_readers(readings, covariance=Covariance.UNBIASED)
    assert found.figures[0] == pytest.approx((0.631875, 0.72625, 0.893125, 0.484375, 0.78625))
    assert found.figures[1] == pytest.approx((0.675, 0.839375, 0.76375, 0.721875, 0.7925))
    assert found.difference.value == pytest.approx(-0.054125, abs=1e-12)
    assert found.difference.estimate.variance == pytest.approx(0.00498950905, abs=5e-12)
    assert found.difference.freedom == pytest.approx(7.43533593, abs=5e-9)
    whole = Inferred(found.difference.estimate, 7)  # iMRMC takes whole degrees of freedom
    assert whole.p_value() == pytest.approx(0.468575984, abs=5e-10)
    ends = whole.interval()
    assert (ends.low, ends.high) == pytest.approx((-0.221153679, 0.112903679), abs=5e-10)


def studies(*, levels: int = 5) -> st.SearchStrategy[tuple[Ratings, Truths, list[int]]]:
    """Draw a study of three readers, and the hospital of each case."""

    def made(seed: int) -> tuple[Ratings, Truths, list[int]]:
        chance = np.random.default_rng(seed)
        truths = np.arange(24) < 10
        latent = chance.normal(size=(24, 1, 1)) + truths[:, None, None]
        latent = latent + chance.normal(size=(24, 2, 3))
        found = np.clip(np.floor(latent + levels / 2), 0, levels - 1).astype(np.int64)
        return found, truths, chance.integers(0, 4, 24).tolist()

    return st.integers(0, 2**32 - 1).map(made)


NAMES = ("a", "b", "c")


@given(studies())
@settings(max_examples=60, deadline=None)
def test_hospitals_together_are_all_cases_in_one_place(
    study: tuple[Ratings, Truths, list[int]],
) -> None:
    found, truths, places = study
    parts = [
        Readings.of(found[own], truths[own], NAMES, 5)
        for own in (np.array(places) == site for site in range(4))
    ]
    sent = [Readings.read(one.as_json()) for one in parts]
    assert functools.reduce(operator.add, sent) == Readings.of(found, truths, NAMES, 5)


def beats(one: Ratings, other: Ratings) -> NDArray[np.float64]:
    above = (one[:, None] > other).astype(np.float64)
    return np.where(one[:, None] == other, 0.5, above)


@given(studies())
@settings(max_examples=40, deadline=None)
def test_covariances_are_those_of_their_definitions(
    study: tuple[Ratings, Truths, list[int]],
) -> None:
    found, truths, _ = study
    flat = found.reshape(24, 6)
    with_it, without = flat[truths], flat[~truths]
    scores = [beats(with_it[:, one], without[:, one]) for one in range(6)]
    areas = np.array([one.mean() for one in scores])
    above, below = np.cov([one.mean(1) for one in scores]), np.cov([one.mean(0) for one in scores])
    delong = above / 10 + below / 14

    def area(kept: Truths, one: int) -> float:
        mine, has_it = flat[kept][:, one], truths[kept]
        return float(beats(mine[has_it], mine[~has_it]).mean())

    left_out = [[area(np.arange(24) != case, one) for case in range(24)] for one in range(6)]
    jackknife = np.cov(left_out, ddof=0) * 23
    # unbiased: E[A A'] less an estimate of the product of means from disjoint cases
    products = np.zeros((6, 6))
    for i in range(6):
        for j in range(6):
            whole = np.einsum("ab,cd->", scores[i], scores[j])
            same = (scores[i].sum(1) * scores[j].sum(1)).sum()
            same += (scores[i].sum(0) * scores[j].sum(0)).sum() - (scores[i] * scores[j]).sum()
            products[i, j] = (whole - same) / (10 * 14 * 9 * 13)
    unbiased = np.outer(areas, areas) - products
    expected = {
        Covariance.DELONG: delong,
        Covariance.JACKKNIFE: jackknife,
        Covariance.UNBIASED: unbiased,
    }
    for method, matrix in expected.items():
        mine = compare_readers(Readings.of(found, truths, NAMES, 5), covariance=method)
        theirs = compare_figures(areas.reshape(2, 3), matrix, Inference.RANDOM)
        assert np.allclose(mine.figures, theirs.figures)
        assert mine.difference.estimate.variance == pytest.approx(
            theirs.difference.estimate.variance, rel=1e-9
        )
        assert mine.components.same_reader == pytest.approx(theirs.components.same_reader)


def test_one_fixed_reader_is_the_paired_comparison_of_delong() -> None:
    found, truths = ratings()
    own = found[:, :, :1]
    mine = compare_readers(
        Readings.of(own, truths, ("one",), 80), inference=Inference.FIXED_READERS
    )
    joint = JointHistogram.of_bins(own[:, 0, 0], own[:, 1, 0], truths, (80, 80))
    theirs = compare(joint)
    assert mine.difference.value == pytest.approx(theirs.difference.value)
    assert mine.difference.p_value() == pytest.approx(theirs.p_value)


def test_sensitivity_and_specificity_are_shares_at_a_threshold() -> None:
    found, truths = ratings()
    five = np.minimum(found // 16, 4)
    readings = Readings.of(five, truths, FIVE, 5)
    for figure, called, of in (
        (Figure.SENSITIVITY, five >= 3, truths),
        (Figure.SPECIFICITY, five < 3, ~truths),
    ):
        mine = compare_readers(
            readings, figure=figure, threshold=3, inference=Inference.FIXED_READERS
        )
        shares = called[of].mean(axis=0)
        assert np.allclose(mine.figures, shares)
        gaps = called[of].astype(float).mean(axis=2) @ np.array([1.0, -1.0])
        # all readers fixed: the variance of the mean of a case's gap
        assert mine.difference.estimate.variance == pytest.approx(gaps.var(ddof=1) / of.sum())


def test_readers_as_good_with_as_without_are_seldom_called_better() -> None:
    chance, wrong, runs = np.random.default_rng(20), 0, 300
    for _ in range(runs):
        truths = np.arange(80) < 40
        latent = chance.normal(size=(80, 1, 1)) + 1.2 * truths[:, None, None]
        latent = (
            latent + 0.6 * chance.normal(size=(80, 1, 4)) + chance.normal(size=(80, 2, 4)) * 0.6
        )
        found = np.clip(np.floor(latent + 2), 0, 4).astype(np.int64)
        p = compare_readers(
            Readings.of(found, truths, ("a", "b", "c", "d"), 5)
        ).difference.p_value()
        wrong += p < 0.05
    assert wrong / runs < 0.08


def test_one_reader_is_no_sample_of_readers() -> None:
    found, truths = ratings()
    readings = Readings.of(found[:, :, :1], truths, ("one",), 80)
    for inference in (Inference.RANDOM, Inference.FIXED_CASES):
        with pytest.raises(TooFewClustersError):
            compare_readers(readings, inference=inference)


def test_cases_of_one_kind_only_are_refused() -> None:
    found, _ = ratings()
    with pytest.raises(SingleClassError):
        compare_readers(Readings.of(found, np.ones(80, bool), FIVE, 80))


def test_readers_who_say_the_same_of_every_case_are_refused() -> None:
    _, truths = ratings()
    with pytest.raises(AllTiedError):
        compare_readers(Readings.of(np.full((80, 2, 5), 2), truths, FIVE, 5))


@pytest.mark.parametrize("wrong", ["pairs", "square", "margins", "negative"])
def test_counts_that_are_of_no_readers_are_refused(wrong: str) -> None:
    said = Readings.of(np.minimum(ratings()[0], 4), ratings()[1], FIVE, 5).as_json()
    counts = np.array(said["positives"])
    if wrong == "pairs":
        said["positives"] = counts[1:].tolist()
    if wrong == "square":
        said["positives"] = counts[:, :, :4].tolist()
    if wrong == "margins":
        counts[3] = counts[3].T + np.eye(5, dtype=np.int64)
        said["positives"] = counts.tolist()
    if wrong == "negative":
        counts[0, 0, 0] -= 1000
        said["positives"] = counts.tolist()
    with pytest.raises(SummaryInvalidError):
        Readings.read(said)
