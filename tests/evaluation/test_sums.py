"""What a site sends is checked, and adds up."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.errors.core import InvalidValueError
from federation.errors.evaluation import SummariesDifferError, SummaryInvalidError
from federation.evaluation.auroc import auroc, delong_variance
from federation.evaluation.calibration import brier, equal_mass, equal_width, recalibration
from federation.evaluation.drift import BinCounts
from federation.evaluation.operating_points import Confusion, confusion
from federation.evaluation.paired import JointHistogram, compare
from federation.evaluation.scores import ScoreHistogram
from federation.evaluation.sliced import SlicedScores
from federation.evaluation.sums import LARGEST_COUNT
from tests.evaluation.federations import dealt, partitions, sum_over

RNG = np.random.default_rng(1)
TRUTHS = RNG.random(400) < 0.3
SCORES = np.clip(RNG.normal(0.35 + 0.3 * TRUTHS, 0.2), 0, 1)


@settings(max_examples=20, deadline=None)
@given(partitions)
def test_every_figure_of_the_sum_is_that_of_all_cases(how: tuple[int, int]) -> None:
    pooled = ScoreHistogram.of(SCORES, TRUTHS)
    summed = sum_over(dealt(400, *how), lambda s: ScoreHistogram.of(SCORES[s], TRUTHS[s]))
    assert summed == pooled
    for figure in (auroc, delong_variance, brier):
        assert figure(summed) == figure(pooled)
    assert equal_width(summed).ece == equal_width(pooled).ece
    assert equal_mass(summed).ece == equal_mass(pooled).ece
    assert (recalibration(summed).coefficients == recalibration(pooled).coefficients).all()
    assert confusion(summed, 0.4) == confusion(pooled, 0.4)


@settings(max_examples=10, deadline=None)
@given(partitions)
def test_joint_counts_of_sites_are_those_of_all_cases(how: tuple[int, int]) -> None:
    first, second = RNG.integers(0, 9, 400), RNG.integers(0, 7, 400)
    pooled = JointHistogram.of_bins(first, second, TRUTHS, (9, 7))
    summed = sum_over(
        dealt(400, *how), lambda s: JointHistogram.of_bins(first[s], second[s], TRUTHS[s], (9, 7))
    )
    assert summed == pooled
    assert compare(summed).difference == compare(pooled).difference


GOOD = ScoreHistogram(np.array([1, 2]), np.array([3, 4])).as_json()


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "joint-scores"},
        {"edition": 2},
        {"extra": 1},
        {"positives": [1, -2]},
        {"positives": [1, 2.5]},
        {"positives": [1, True]},
        {"positives": [1, None]},
        {"positives": [1, "2"]},
        {"positives": [1, 10**30]},
        {"positives": [1, LARGEST_COUNT + 1]},
        {"positives": [[1], [2, 3]]},
        {"positives": [[[[[1]]]]]},
        {"positives": "12"},
        {"positives": {"a": 1}},
    ],
    ids=str,
)
def test_a_summary_that_is_not_one_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(SummaryInvalidError):
        ScoreHistogram.read(json.loads(json.dumps(GOOD | change)))


def test_a_summary_of_another_shape_or_no_object_is_refused() -> None:
    with pytest.raises(InvalidValueError):
        ScoreHistogram.read(GOOD | {"positives": [1, 2, 3]})
    for document in ([], None, "x", {}):
        with pytest.raises(SummaryInvalidError):
            ScoreHistogram.read(document)
    for value in (float("nan"), float("inf")):
        with pytest.raises(SummaryInvalidError):
            BinCounts.read(
                {"kind": "bins", "edition": 1, "variable": "a", "edges": [value], "cases": [1, 2]}
            )


def test_names_are_short_strings() -> None:
    good = {"kind": "bins", "edition": 1, "variable": "a", "edges": [0.5], "cases": [1, 2]}
    assert BinCounts.read(good).variable == "a"
    for name in ("x" * 121, None, ["a", 1]):
        with pytest.raises(SummaryInvalidError):
            BinCounts.read(good | {"variable": name})


def test_two_kinds_or_two_grids_do_not_add() -> None:
    one = ScoreHistogram(np.array([1, 2]), np.array([3, 4]))
    with pytest.raises(SummariesDifferError):
        one + ScoreHistogram(np.array([1, 2, 3]), np.array([3, 4, 5]))
    with pytest.raises(SummariesDifferError):
        one + Confusion(1, 2, 3, 4)  # type: ignore[arg-type]
    with pytest.raises(SummariesDifferError):
        BinCounts.of("a", np.array([1.0]), np.array([0.5])) + BinCounts.of(
            "b", np.array([1.0]), np.array([0.5])
        )


def test_slices_start_with_everyone_and_do_not_share_within_a_family() -> None:
    bins, truths = np.array([0, 1, 1]), np.array([True, False, True])
    masks = {"sex=F": np.array([True, False, False]), "sex=M": np.array([False, True, True])}
    good = SlicedScores.of(bins, truths, masks, bin_count=2)
    assert good.slices == ("all", "sex=F", "sex=M")
    assert good.differing("sex=F", ["all"]) == {"all": 2}
    assert SlicedScores.read(json.loads(json.dumps(good.as_json()))) == good
    both = masks | {"sex=M": np.array([True, True, True])}
    with pytest.raises(SummaryInvalidError, match="overlaps"):
        SlicedScores.of(bins, truths, both, bin_count=2)
    with pytest.raises(SummaryInvalidError, match="slices"):
        SlicedScores.read(good.as_json() | {"slices": ["sex=F", "all", "sex=M"]})
    with pytest.raises(SummaryInvalidError, match="overlaps"):
        SlicedScores.read(good.as_json() | {"overlaps": [[9, 1, 2], [1, 1, 0], [2, 0, 2]]})


@given(st.lists(st.integers(0, 5), min_size=2, max_size=6))
def test_a_summary_survives_json(counts: list[int]) -> None:
    one = ScoreHistogram(np.array(counts), np.array(counts[::-1]))
    assert ScoreHistogram.read(json.loads(json.dumps(one.as_json()))) == one
