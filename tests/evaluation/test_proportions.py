"""E4, E7, E16: rates, differences, many comparisons, net benefit."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.errors.evaluation import EmptySliceError, OutOfRangeError
from federation.evaluation.multiplicity import benjamini_hochberg, bonferroni, holm, holm_levels
from federation.evaluation.operating_points import Confusion, confusion, net_benefit
from federation.evaluation.proportions import Proportion, RateGap, detectable_gap
from federation.evaluation.scores import ScoreHistogram

# Benjamini and Hochberg, JRSS B 57:289 (1995), section 3.2.
BH_1995 = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344,
           0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000]  # fmt: skip


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"), [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605)]
)
def test_wilson_is_newcombes_table(hits: int, of: int, low: float, high: float) -> None:
    """Newcombe, Statistics in Medicine 17:857 (1998), table I, method 3."""
    found = Proportion(hits, of).wilson()
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


def test_medchex_on_873_cases_has_the_stated_interval() -> None:
    """REGISTRY.md: 92 % of 873 NHI cases, about 0.900 to 0.936."""
    found = Proportion(803, 873).wilson()
    assert (round(found.low, 3), round(found.high, 3)) == (0.900, 0.936)


def test_newcombe_method_10_is_his_first_example() -> None:
    """Newcombe, Statistics in Medicine 17:873 (1998): 56/70 - 48/80."""
    found = RateGap(Proportion(56, 70), Proportion(48, 80)).interval()
    assert (round(found.low, 4), round(found.high, 4)) == (0.0524, 0.3339)


@given(st.integers(1, 200), st.integers(1, 200), st.data())
def test_the_gaps_p_value_and_interval_never_disagree(m: int, n: int, data: st.DataObject) -> None:
    gap = RateGap(
        Proportion(data.draw(st.integers(0, m)), m), Proportion(data.draw(st.integers(0, n)), n)
    )
    p = gap.p_value()
    if 1e-9 < p < 0.999:
        assert gap.interval(1 - p * 0.999).contains(0.0)
        assert not gap.interval(1 - min(0.9999, p * 1.001)).contains(0.0)


def test_clopper_pearson_equals_statsmodels_and_never_leaves_the_unit() -> None:
    oracle = pytest.importorskip("statsmodels.stats.proportion")
    for hits, of in [(0, 10), (10, 10), (3, 27), (81, 263)]:
        found = Proportion(hits, of).clopper_pearson()
        low, high = oracle.proportion_confint(hits, of, method="beta")
        low, high = (0.0 if math.isnan(low) else low), (1.0 if math.isnan(high) else high)
        assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def test_benjamini_hochberg_rejects_four_and_holm_three() -> None:
    assert (benjamini_hochberg(BH_1995) <= 0.05).sum() == 4
    assert (holm(BH_1995) <= 0.05).sum() == (bonferroni(BH_1995) <= 0.05).sum() == 3


def test_corrections_equal_statsmodels() -> None:
    oracle = pytest.importorskip("statsmodels.stats.multitest")
    shuffled = list(np.random.default_rng(2).permutation(BH_1995))
    for ours, name in ((holm, "holm"), (benjamini_hochberg, "fdr_bh")):
        expected = oracle.multipletests(shuffled, method=name)[1]
        assert ours(shuffled) == pytest.approx(expected)


def test_holms_smallest_p_value_is_tested_at_the_highest_level() -> None:
    assert holm_levels([0.5, 0.001], 0.95) == pytest.approx([0.95, 0.975])


def test_the_smallest_visible_gap_shrinks_with_the_groups() -> None:
    seen = [
        detectable_gap(rate=0.8, first=n, second=n, level=0.95, power=0.8) for n in (20, 200, 2000)
    ]
    assert seen[0] > seen[1] > seen[2]
    assert seen[1] == pytest.approx((1.959964 + 0.841621) * math.sqrt(0.16 * 2 / 200), abs=1e-6)


def test_a_family_history_has_the_net_benefit_of_dcurves() -> None:
    """dcurves R benchmark, df_binary: 750 cases, 105 cancers, 115 with family history (24)."""
    counts = Confusion(24, 91, 554, 81)
    found = {pt: net_benefit(counts, pt) for pt in (0.05, 0.10, 0.20)}
    assert round(found[0.05].model, 7) == 0.0256140
    assert round(found[0.10].model, 7) == 0.0185185
    assert round(found[0.20].model, 7) == 0.0016667
    assert round(found[0.05].treat_all, 7) == 0.0947368
    assert round(found[0.10].treat_all, 7) == 0.0444444
    assert not found[0.05].is_best


def test_a_threshold_on_the_grid_calls_the_case_on_it() -> None:
    histogram = ScoreHistogram.of(np.array([0.299, 0.3, 0.301]), np.array([True, True, False]))
    counts = confusion(histogram, 0.3)
    assert (counts.true_positives, counts.false_positives) == (1, 1)
    assert counts.sensitivity == Proportion(1, 2)
    assert counts.negative_predictive_value == Proportion(0, 1)


def test_nobody_has_no_rate_and_a_threshold_is_inside_the_unit() -> None:
    with pytest.raises(EmptySliceError):
        Proportion(0, 0).wilson()
    with pytest.raises(EmptySliceError):
        confusion(ScoreHistogram(np.zeros(11, int), np.zeros(11, int)), 0.5)
    with pytest.raises(OutOfRangeError):
        net_benefit(Confusion(1, 1, 1, 1), 1.0)
    with pytest.raises(OutOfRangeError):
        Proportion(3, 2)
