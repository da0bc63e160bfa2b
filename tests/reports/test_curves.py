"""Curves are cut only where no few cases lie between any two points that are shown."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.errors.privacy import SingleClassError
from federation.evaluation.assessment import Plan, assess
from federation.evaluation.curves import distribution_of, shown_counts, shown_curves
from federation.evaluation.discrimination import roc
from federation.evaluation.drift import BinCounts
from federation.evaluation.operating_points import confusion
from federation.evaluation.scores import GRID, ScoreHistogram, quantise
from federation.evaluation.sliced import SlicedScores
from federation.evaluation.suppression import CellRule, Refusal
from tests.reports.examples import PLAN, a_site, scored

K = PLAN.rule.k


def histogram(seed: int, cases: int) -> ScoreHistogram:
    _, scores, truths = scored(seed, cases)
    return ScoreHistogram.of(scores, truths)


def thresholds_shown(whole: ScoreHistogram, plan: Plan) -> list[float]:
    """The thresholds at which an assessment shows counts beside the curves."""
    found = assess({"a": _everyone(whole)}, plan)
    curve = [one.threshold for one in found.decision_curve]
    counts = confusion(whole, plan.threshold)
    cells = (
        counts.true_positives, counts.false_positives, counts.true_negatives, counts.false_negatives
    )  # fmt: skip
    return curve + ([] if any(0 < one < K for one in cells) else [plan.threshold])


def _everyone(whole: ScoreHistogram) -> SlicedScores:
    rows = whole.positives[None], whole.negatives[None]
    return SlicedScores(("all",), *rows, np.array([[whole.patients]]))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), cases=st.integers(40, 3000))
def test_no_two_shown_cuts_have_few_cases_between_them(seed: int, cases: int) -> None:
    whole = histogram(seed, cases)
    if min(whole.positives.sum(), whole.negatives.sum()) < K:
        return
    found = assess({"a": _everyone(whole)}, PLAN)
    curves = shown_curves(whole, PLAN, found.decision_curve)
    m, n = int(whole.positives.sum()), int(whole.negatives.sum())
    points = [
        (round(one.true_positive_rate * m), round(one.false_positive_rate * n))
        for one in curves.roc
    ]
    for at in thresholds_shown(whole, PLAN):
        counts = confusion(whole, at)
        points.append((counts.true_positives, counts.false_positives))
    for one, other in combinations(points, 2):
        for first, second in zip(one, other, strict=True):
            assert abs(first - second) == 0 or abs(first - second) >= K
    for group in curves.reliability:
        hits = round(group.observed * group.cases)
        assert all(part == 0 or part >= K for part in (hits, group.cases - hits))
    assert sum(group.cases for group in curves.reliability) == whole.patients


def test_the_curve_lies_on_the_exact_one_and_reaches_both_corners() -> None:
    whole = histogram(1, 4000)
    exact, shown = roc(whole), shown_curves(whole, PLAN, ()).roc
    points = set(zip(exact.false_positive_rate, exact.true_positive_rate, strict=True))
    assert {(one.false_positive_rate, one.true_positive_rate) for one in shown} <= points
    ends = [(one.false_positive_rate, one.true_positive_rate) for one in (shown[0], shown[-1])]
    assert ends == [(0.0, 0.0), (1.0, 1.0)] and len(shown) > 20
    assert all(one.low <= one.true_positive_rate <= one.high for one in shown)


def test_a_curve_of_one_class_is_refused() -> None:
    only = ScoreHistogram(np.zeros(GRID + 1, dtype=np.int64), np.ones(GRID + 1, dtype=np.int64))
    with pytest.raises(SingleClassError):
        shown_curves(only, PLAN, ())


def test_a_distribution_joins_neighbours_until_no_count_is_small() -> None:
    edges = np.array([0.2, 0.4, 0.6])
    old = BinCounts("age", edges, np.array([40, 3, 30, 27]))
    new = BinCounts("age", edges, np.array([50, 30, 4, 16]))
    counts = shown_counts(old, new, CellRule())
    assert not isinstance(counts, Refusal)
    found = distribution_of(*counts)
    assert found.edges == (0.2, 0.6)
    assert found.reference == (0.4, 0.33, 0.27) and found.now == (0.5, 0.34, 0.16)


def test_a_distribution_of_few_cases_is_refused() -> None:
    few = BinCounts("age", np.array([50.0]), np.array([4, 3]))
    assert isinstance(shown_counts(few, few, CellRule()), Refusal)


def test_scores_are_cut_only_where_the_curves_are() -> None:
    edges = np.arange(1, 10) / 10
    whole = histogram(2, 1500)
    curves = shown_curves(whole, replace(PLAN, decision_thresholds=()), ())
    now = BinCounts.of("score", quantise(scored(2, 1500)[1]) / GRID, edges)
    found = shown_counts(now, now, PLAN.rule, curves.scores)
    assert not isinstance(found, Refusal)
    assert set(found[0].edges) <= set(curves.scores)


def test_sites_add_up_to_the_curve_of_all() -> None:
    sites = {name: a_site(at, 900) for at, name in enumerate("abc")}
    whole = sites["a"] + sites["b"] + sites["c"]
    once = shown_curves(whole.histogram("all"), PLAN, ())
    again = shown_curves((sites["c"] + sites["a"] + sites["b"]).histogram("all"), PLAN, ())
    assert once == again
