"""Attacks on everything that is published of one evaluation, not on one table alone."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import combinations, product
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from federation.evaluation.assessment import Assessment, Plan, assess
from federation.evaluation.auroc import auroc
from federation.evaluation.bounds import error_narrows, ranking_narrows
from federation.evaluation.calibration import brier, equal_width, joined_width
from federation.evaluation.curves import distribution_of, shown_counts, shown_curves
from federation.evaluation.differencing import least_difference
from federation.evaluation.discrimination import average_precision
from federation.evaluation.drift import BinCounts, drift
from federation.evaluation.fairness import Purpose
from federation.evaluation.membership import attack, shown_attack
from federation.evaluation.operating_points import Confusion, confusion
from federation.evaluation.proportions import Proportion
from federation.evaluation.rounding import coarse
from federation.evaluation.scores import GRID, ScoreHistogram
from federation.evaluation.sliced import SlicedScores
from federation.evaluation.suppression import Band, CellRule, Reason, Refusal

RULE = CellRule()
PLAN = Plan(
    threshold=0.5,
    decision_thresholds=(0.2, 0.3, 0.4),
    purpose=Purpose.CONFIRMATORY,
    rule=RULE,
    seed=7,
    references={},
)


def scored(positives: Mapping[int, int], negatives: Mapping[int, int]) -> ScoreHistogram:
    """Return a histogram from counts by score in thousandths."""
    rows = np.zeros((2, GRID + 1), dtype=np.int64)
    for row, counts in zip(rows, (positives, negatives), strict=True):
        for score, count in counts.items():
            row[score] = count
    return ScoreHistogram(*rows)


def assessed(histogram: ScoreHistogram, **changes: object) -> Assessment:
    """Return the assessment of everyone, without groups."""
    rows = histogram.positives[None], histogram.negatives[None]
    whole = SlicedScores(("all",), *rows, np.array([[histogram.patients]]))
    return assess({"sum": whole}, replace(PLAN, **changes))  # type: ignore[arg-type]


def small_histograms(seed: int, cases: int, skill: float) -> ScoreHistogram:
    rng = np.random.default_rng(seed)
    truths = rng.random(cases) < rng.uniform(0.1, 0.6)
    scores = np.clip(rng.normal(0.5 + skill * (truths - 0.5), 0.15), 0, 1)
    return ScoreHistogram.of(scores, truths)


# Calibration: a largest gap is that of one bar.


def test_the_largest_gap_is_not_that_of_a_bar_of_one_case() -> None:
    """One false alarm at 0.85 alone in its bar: the gap of 0.85 would say so."""
    whole = scored({950: 40, 420: 20}, {50: 60, 410: 30, 850: 1})
    assert equal_width(whole).mce == pytest.approx(0.85)
    shown = assessed(whole).slices["all"]
    assert shown.mce == joined_width(whole, RULE).mce < 0.85


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(40, 900), st.floats(0.1, 1.2))
def test_no_joined_bar_has_few_cases_of_a_class(seed: int, cases: int, skill: float) -> None:
    whole = small_histograms(seed, cases, skill)
    assume(RULE.slice_of("all", whole) is None)
    found = joined_width(whole, RULE)
    for bar in found.bins:
        hits = round(bar.observed * bar.cases)
        assert not RULE.is_small(hits) and not RULE.is_small(bar.cases - hits)
    assert sum(bar.cases for bar in found.bins) == whole.patients
    assert found.ece <= equal_width(whole).ece + 1e-12


def test_bars_without_few_cases_are_those_of_equal_width() -> None:
    whole = scored(dict.fromkeys(range(0, 1001, 7), 20), dict.fromkeys(range(0, 1001, 3), 30))
    assert joined_width(whole, RULE) == equal_width(whole)


# Curves: the operating point is seen, half of it at least.


@settings(max_examples=15, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(60, 900),
    st.floats(0.3, 1.2),
    st.sampled_from([0.1, 0.5, 0.9]),
)
def test_no_cut_lies_few_cases_from_what_is_shown_of_the_operating_point(
    seed: int, cases: int, skill: float, threshold: float
) -> None:
    whole = small_histograms(seed, cases, skill)
    assume(RULE.slice_of("all", whole) is None)
    plan = replace(PLAN, threshold=threshold)
    found = assessed(whole, threshold=threshold)
    curves = shown_curves(whole, plan, found.decision_curve)
    counts, rates = confusion(whole, threshold), found.slices["all"].rates
    seen = [
        (counts.true_positives, 0, rates["sensitivity"]),
        (counts.false_positives, 1, rates["specificity"]),
    ]
    for score in curves.scores:
        cut = confusion(whole, score)
        called = cut.true_positives, cut.false_positives
        for count, place, rate in seen:
            assert not isinstance(rate, Proportion) or not RULE.is_small(abs(count - called[place]))


def test_a_cut_beside_a_hidden_operating_point_is_not_shown() -> None:
    """Three missed are hidden, 44 spared are shown: a cut with 40 spared would tell of four."""
    whole = scored({80: 3, 120: 20, 900: 40}, {20: 40, 70: 4, 150: 60})
    plan = replace(PLAN, threshold=0.1, decision_thresholds=())
    rates = assessed(whole, threshold=0.1, decision_thresholds=()).slices["all"].rates
    assert rates["specificity"] == Proportion(44, 104)
    assert isinstance(rates["sensitivity"], Band)
    spared = {confusion(whole, at).true_negatives for at in shown_curves(whole, plan, ()).scores}
    assert 40 not in spared


# Drift: four distances to six digits say how a joined bin splits.


def splits(shown: BinCounts, fine: BinCounts) -> Iterator[BinCounts]:
    """Yield every way to split the first shown bin into the two fine ones it was made of."""
    for first in range(int(shown.cases[0]) + 1):
        cases = np.array([first, shown.cases[0] - first, *shown.cases[1:]])
        yield BinCounts(fine.variable, fine.edges, cases)


def test_distances_do_not_tell_how_a_joined_bin_splits() -> None:
    edges = np.array([18.0, 40.0, 60.0])
    then = BinCounts("age", edges, np.array([3, 57, 80, 60]))
    now = BinCounts("age", edges, np.array([6, 34, 70, 90]))
    exact = drift(then, now)
    counts = shown_counts(then, now, RULE)
    assert not isinstance(counts, Refusal)
    assert [one.cases.tolist() for one in counts] == [[60, 80, 60], [40, 70, 90]]
    told = [
        pair
        for pair in product(splits(counts[0], then), splits(counts[1], now))
        if round(drift(*pair).psi, 6) == round(exact.psi, 6)
        and round(drift(*pair).jensen_shannon, 6) == round(exact.jensen_shannon, 6)
        and round(drift(*pair).ks, 6) == round(exact.ks, 6)
    ]
    assert len(told) == 2  # one split, and it the other way round: the exact ones told it
    assert drift(*counts) != exact
    assert distribution_of(*counts).reference == (0.3, 0.4, 0.3)


def test_ages_of_unshown_bands_are_not_few_in_a_joined_bin() -> None:
    """60 and over together show what is 75 and over, where the band 60-74 is a slice."""
    edges = np.array([40.0, 60.0, 75.0])
    cases = BinCounts("age", edges, np.array([40, 80, 60, 3]))
    unshown = np.array([40, 0, 0, 3])
    counts = shown_counts(cases, cases, RULE, known=[unshown])
    assert not isinstance(counts, Refusal)
    assert counts[0].edges.size == 0
    few = shown_counts(cases, cases, RULE, known=[np.array([0, 0, 0, 3])])
    assert isinstance(few, Refusal)


# Membership: an advantage is a difference of two rates, and a rate of known many is a count.


def test_an_advantage_does_not_tell_that_few_members_are_found() -> None:
    histogram = scored({900: 3, 500: 97}, {500: 60, 100: 140})
    assert attack(histogram).advantage == pytest.approx(1 - 0.3)
    assert shown_attack(histogram, RULE)[0].advantage == pytest.approx(1 - 0.3)
    few = scored({900: 3, 500: 97}, {500: 100})
    assert attack(few).advantage == pytest.approx(0.03)
    found, refusals = shown_attack(few, RULE)
    assert found.advantage == 0.0
    assert {one.reason for one in refusals} == {Reason.SMALL_CELL}


def test_two_points_of_an_attack_with_few_members_between_are_not_both_shown() -> None:
    histogram = scored({900: 40, 800: 4, 500: 56}, {850: 15, 500: 1985})
    assert [one.true_positives.hits for one in attack(histogram).points] == [40, 44]
    found, refusals = shown_attack(histogram, RULE)
    assert [one.true_positives.hits for one in found.points] == [40]
    assert [one.name for one in refusals] == ["membership 0.01"]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.integers(40, 600), st.floats(0.0, 1.0))
def test_no_cut_of_a_shown_attack_has_few_beside_it(seed: int, cases: int, skill: float) -> None:
    histogram = small_histograms(seed, cases, skill)
    assume(RULE.slice_of("members", histogram) is None)
    found, _ = shown_attack(histogram, RULE)
    m, n = int(histogram.positives.sum()), int(histogram.negatives.sum())
    cuts = [(0, 0), (m, n)]
    cuts += [(one.true_positives.hits, one.false_positives.hits) for one in found.points]
    for one, other in combinations(cuts, 2):
        assert not any(RULE.is_small(abs(a - b)) for a, b in zip(one, other, strict=True))
    assert 0 <= found.advantage <= attack(histogram).advantage


# Bounds: figures that are near their best leave a hidden cell little room.


def possible(truth: Confusion, *, disorder: float, lost: float) -> tuple[set[int], set[int]]:
    """Return which missed and wrong counts some ordering with this disorder could have.

    By trying every count of one class with the other known, and the least and the most
    disorder that any ordering of the rest can have.
    """
    m = truth.true_positives + truth.false_negatives
    n = truth.true_negatives + truth.false_positives
    missed = {
        x for x in range(m + 1)
        if x * truth.false_positives <= disorder + 1e-6
        and disorder <= m * truth.false_positives + x * truth.true_negatives + 1e-6
        and x * truth.false_positives / max(1, m + truth.false_positives) <= lost + 1e-6
    }  # fmt: skip
    wrong = {
        y for y in range(n + 1)
        if y * truth.false_negatives <= disorder + 1e-6
        and disorder <= n * truth.false_negatives + y * truth.true_positives + 1e-6
    }  # fmt: skip
    return missed, wrong


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(40, 600),
    st.floats(0.4, 1.6),
    st.sampled_from([0.2, 0.5, 0.8]),
)
def test_a_banded_cell_of_everyone_could_be_anything_below_k(
    seed: int, cases: int, skill: float, threshold: float
) -> None:
    """A band says 1 to k-1; AUROC and average precision with the other class say no more."""
    whole = small_histograms(seed, cases, skill)
    assume(RULE.slice_of("all", whole) is None)
    found = assessed(whole, threshold=threshold).slices["all"]
    truth = confusion(whole, threshold)
    m, n = int(whole.positives.sum()), int(whole.negatives.sum())
    disorder, lost = (1 - auroc(whole)) * m * n, (1 - average_precision(whole)) * m
    missed, wrong = possible(truth, disorder=disorder, lost=lost)
    small = set(range(1, RULE.k))
    if isinstance(found.rates["sensitivity"], Band) and isinstance(
        found.rates["specificity"], Proportion
    ):
        one = missed if truth.false_negatives < RULE.k else {m - x for x in missed}
        assert small <= one
    if isinstance(found.rates["specificity"], Band) and isinstance(
        found.rates["sensitivity"], Proportion
    ):
        one = wrong if truth.false_positives < RULE.k else {n - y for y in wrong}
        assert small <= one


def test_few_pairs_out_of_order_hide_the_other_class_too() -> None:
    """One miss below forty false alarms: 40 of 5000 pairs out of order, so at most one."""
    whole = scored({900: 49, 50: 1}, {300: 40, 20: 60})
    truth = confusion(whole, 0.1)
    assert ranking_narrows(whole, truth, RULE)
    rates = assessed(whole, threshold=0.1).slices["all"].rates
    assert all(isinstance(one, Refusal) for one in rates.values())


def test_squared_errors_that_add_up_to_little_are_not_shown() -> None:
    """One miss of 200: the Brier score leaves room for one case beyond the threshold."""
    whole = scored({999: 59, 450: 1}, {1: 120, 510: 20})
    truth = confusion(whole, 0.5)
    assert brier(whole) * whole.patients == pytest.approx(5.5, abs=0.01)
    assert error_narrows(whole, truth, 0.5, RULE)
    found = assessed(whole)
    assert found.slices["all"].brier is None
    assert "brier all" in {one.name for one in found.refusals}
    assert found.as_json()["slices"]["all"]["brier"] is None  # type: ignore[index]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(40, 600), st.floats(0.4, 1.6))
def test_a_shown_brier_score_leaves_every_small_cell_its_room(
    seed: int, cases: int, skill: float
) -> None:
    whole = small_histograms(seed, cases, skill)
    assume(RULE.slice_of("all", whole) is None)
    shown = assessed(whole).slices["all"].brier
    truth = confusion(whole, 0.5)
    if shown is None:
        return
    total = shown * whole.patients
    for small, other in (
        (truth.false_negatives, truth.false_positives),
        (truth.false_positives, truth.false_negatives),
    ):
        if RULE.is_small(small):
            assert (total - other * 0.25) / 0.25 >= RULE.k - 1 - 0.1


# Differences: unions of groups of two families.


def least_by_trying(shared: np.ndarray) -> int:
    rows, columns = shared.shape
    found = []
    for inside in product([False, True], repeat=rows + columns):
        first, second = np.array(inside[:rows]), np.array(inside[rows:])
        apart = int(shared[first[:, None] != second[None, :]].sum())
        found.append(apart)
    return min((one for one in found if one), default=0)


tables = st.tuples(st.integers(1, 4), st.integers(1, 4)).flatmap(
    lambda shape: st.lists(
        st.one_of(st.just(0), st.integers(0, 15), st.integers(50, 300)),
        min_size=shape[0] * shape[1],
        max_size=shape[0] * shape[1],
    ).map(lambda flat: np.array(flat).reshape(shape))
)


@settings(max_examples=150, deadline=None)
@given(tables)
def test_the_least_difference_is_that_of_all_unions(shared: np.ndarray) -> None:
    assert least_difference(shared) == least_by_trying(shared)


def test_unions_of_two_families_that_differ_by_few_are_not_both_shown() -> None:
    """Scanners A and B are used for those below 60, but for three older patients."""
    rng = np.random.default_rng(3)
    age = np.repeat([0, 1, 2, 3], [300, 300, 300, 300])
    scanner = np.where(age < 2, rng.integers(0, 2, 1200), 2)
    scanner[[700, 800, 900]] = 0
    scores = rng.beta(1, 1.5, 1200)
    truths = rng.random(1200) < scores
    masks = {f"age-band={name}": age == at for at, name in enumerate("abcd")}
    masks |= {f"scanner={name}": scanner == at for at, name in enumerate("ABC")}
    bins = np.rint(scores * GRID).astype(np.int64)
    sent = SlicedScores.of(bins, truths, masks, bin_count=GRID + 1)
    near = [sent.differing(f"scanner={one}", list(masks)[:4]) for one in "ABC"]
    assert all(count >= RULE.k for one in near for count in one.values())
    found = assess({"a": sent}, PLAN)
    assert Reason.DIFFERENCE in {one.reason for one in found.refusals}
    shown = [name for name in found.slices if name.startswith("scanner")]
    ages = [name for name in found.slices if name.startswith("age")]
    assert not RULE.is_small(least_difference(sent.shared(shown, ages)))


# Digits: of few cases they say everything.


def test_six_decimals_of_few_cases_tell_their_order_and_three_do_not() -> None:
    """Every order of 8 and 8: how many have an AUROC and average precision of their own."""
    orders = Counter[tuple[float, float]]()
    shown = Counter[tuple[float, float]]()
    for places in combinations(range(16), 8):
        precision = sum((i + 1) / (place + 1) for i, place in enumerate(places)) / 8
        area = sum(8 + i - place for i, place in enumerate(places)) / 64
        orders[round(area, 6), round(precision, 6)] += 1
        shown[coarse(area, 16), coarse(precision, 16)] += 1
    alone = [sum(1 for many in found.values() if many == 1) for found in (orders, shown)]
    assert alone[0] > 0.9 * orders.total()
    assert alone[1] < 0.2 * orders.total()


def test_figures_of_few_cases_have_three_decimals_and_those_of_many_six() -> None:
    for cases, decimals in ((90, 3), (900, 6)):
        whole = small_histograms(5, cases, 0.5)
        document = assessed(whole).as_json()
        figures = document["slices"]["all"]  # type: ignore[index]
        for name in ("average_precision", "brier", "ece", "ece_equal_mass", "mce"):
            assert figures[name] == round(figures[name], decimals)
        assert figures["auroc"]["value"] == round(auroc(whole), decimals)


def test_a_group_of_one_class_and_few_cases_is_refused_and_not_an_error() -> None:
    bins = np.array([100, 900] * 60 + [700] * 10 + [800] * 3)
    truths = np.array([False, True] * 60 + [False] * 10 + [True] * 3)
    inside = {"sex=X": np.arange(133) >= 120, "sex=F": np.arange(133) < 120}
    found = assess({"a": SlicedScores.of(bins, truths, inside, bin_count=GRID + 1)}, PLAN)
    lone = {"age-band=a": (np.arange(133) >= 120) & ~truths, "age-band=b": np.arange(133) < 120}
    again = assess({"a": SlicedScores.of(bins, truths, lone, bin_count=GRID + 1)}, PLAN)
    for one in (found, again):
        assert set(one.slices) == {"all"}


# Everything at once: three families of slices, and the cells in which all of them cross.

FAMILIES = {"sex": 2, "age-band": 4, "scanner": 3}
CELLS = list(product(*(range(size) for size in FAMILIES.values()), ("tp", "fn", "fp", "tn")))
MADE_OF = {
    "sensitivity": ("tp", "fn"),
    "specificity": ("tn", "fp"),
    "positive_predictive_value": ("tp", "fp"),
    "negative_predictive_value": ("tn", "fn"),
}


def of(name: str, *kinds: str) -> np.ndarray:
    """Return which crossed cells a slice's cells of some kinds are made of."""
    family, _, value = name.partition("=")
    place = list(FAMILIES).index(family) if value else None
    inside = [place is None or cell[place] == int(value) for cell in CELLS]
    return np.array([yes and cell[3] in kinds for yes, cell in zip(inside, CELLS, strict=True)])


def told_by(name: str, document: Mapping[str, Any]) -> Iterator[tuple[np.ndarray, int]]:
    """Yield the equations that a slice's rates in a document say of its cells."""
    for rate, (hits, others) in MADE_OF.items():
        said = document["slices"][name]["rates"][rate]
        if "of" not in said:
            continue
        yield of(name, hits, others), said["of"]
        if said["value"] is not None:
            right = round(said["value"] * said["of"])
            yield of(name, hits), right
            yield of(name, others), said["of"] - right


def ends(rows: np.ndarray, sides: np.ndarray, aim: np.ndarray) -> tuple[float, float]:
    """Return the least and greatest sum of cells that the equations allow."""
    found = [
        milp(
            sign * aim.astype(float),
            constraints=LinearConstraint(rows, sides, sides),
            bounds=Bounds(0, 2000),
            integrality=np.ones(len(aim)),
        ).fun
        for sign in (1, -1)
    ]
    return found[0], -found[1]


@pytest.mark.parametrize(("seed", "k"), [(1, 10), (2, 20), (3, 10), (8, 20), (12, 10)])
def test_a_solver_with_all_families_at_once_narrows_no_small_cell(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    cases = int(rng.integers(80, 700))
    truths = rng.random(cases) < rng.uniform(0.15, 0.5)
    scores = np.clip(rng.normal(0.4 + rng.uniform(0.1, 0.5) * truths, 0.15), 0, 1)
    sex = rng.choice(2, cases, p=[0.6, 0.4])
    scanner = np.where(rng.random(cases) < 0.8, sex, rng.choice(3, cases))
    crossed = {"sex": sex, "age-band": rng.choice(4, cases, p=rng.dirichlet([1.0] * 4)),
               "scanner": scanner}  # fmt: skip
    masks = {f"{name}={at}": crossed[name] == at for name, size in FAMILIES.items()
             for at in range(size)}  # fmt: skip
    bins = np.rint(scores * GRID).astype(np.int64)
    sent = SlicedScores.of(bins, truths, masks, bin_count=GRID + 1)
    document: Any = assess({"sum": sent}, replace(PLAN, rule=CellRule(k=k))).as_json()
    kinds = np.where(truths, np.where(bins >= 500, "tp", "fn"), np.where(bins >= 500, "fp", "tn"))
    rows = zip(*crossed.values(), kinds.tolist(), strict=True)
    truth = Counter((int(a), int(b), int(c), kind) for a, b, c, kind in rows)
    counts = np.array([truth[cell] for cell in CELLS])  # type: ignore[index]
    told = [one for name in document["slices"] for one in told_by(name, document)]
    lines, sides = np.array([line for line, _ in told], dtype=float), np.array([n for _, n in told])
    assert (lines @ counts == sides).all()
    kinds_of_cells = (("tp",), ("fn",), ("fp",), ("tn",), ("tp", "fn"), ("fp", "tn"))
    aims = [of(name, *wanted) for name, wanted in product(("all", *masks), kinds_of_cells)]
    for aim in (one for one in aims if 0 < one @ counts < k):
        low, high = ends(lines, sides, aim)
        assert low <= 1 and high >= k - 1
