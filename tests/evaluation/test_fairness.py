"""E7 and E8: groups and sites."""

import math

import numpy as np
import pytest

from federation.errors.evaluation import GroupsError, TooFewEstimatesError
from federation.evaluation.fairness import Figure, Purpose, compare_groups, compare_rates
from federation.evaluation.heterogeneity import BetweenSites, combine
from federation.evaluation.operating_points import Confusion
from federation.evaluation.scores import ScoreHistogram
from federation.evaluation.suppression import CellRule
from federation.evaluation.tails import Estimate
from tests.evaluation.published import BCG

# ProPublica COMPAS two-year data: true negatives, false positives, false negatives, true positives.
BLACK = Confusion(1369, 805, 990, 532)
WHITE = Confusion(505, 349, 1139, 461)


def a_group(rng: np.random.Generator, cases: int, lift: float) -> ScoreHistogram:
    truths = rng.random(cases) < 0.3
    return ScoreHistogram.of(np.clip(rng.normal(0.4 + lift * truths, 0.15), 0, 1), truths)


def compared(groups: dict[str, ScoreHistogram], **changes: object):
    said: dict[str, object] = {
        "threshold": 0.5,
        "rule": CellRule(),
        "purpose": Purpose.CONFIRMATORY,
        "references": {},
        "withheld": {},
    }
    return compare_groups({"sex": groups}, **(said | changes))  # type: ignore[arg-type]


def test_compas_has_the_published_rates() -> None:
    assert round(BLACK.false_positive_rate.rate, 4) == 0.4485
    assert round(WHITE.false_positive_rate.rate, 4) == 0.2345
    assert round(1 - BLACK.sensitivity.rate, 4) == 0.2799
    assert round(1 - WHITE.sensitivity.rate, 4) == 0.4772
    gaps = [abs(compare_rates(one, BLACK, WHITE).value) for one in (Figure.TPR, Figure.FPR)]
    assert round(max(gaps), 4) == 0.2139


def test_groups_are_compared_with_the_largest_and_corrected_together() -> None:
    rng = np.random.default_rng(6)
    found = compared({"F": a_group(rng, 3000, 0.3), "M": a_group(rng, 2500, 0.1)})
    assert {one.reference for one in found.gaps} == {"F"}
    assert [one.figure for one in found.gaps] == list(Figure)
    auroc = next(one for one in found.gaps if one.figure is Figure.AUROC)
    assert auroc.gap < -0.1
    assert auroc.excludes_zero
    assert all(one.adjusted >= one.p_value for one in found.gaps)
    assert found.equalised_odds == pytest.approx(
        max(abs(one.gap) for one in found.gaps if one.figure in (Figure.TPR, Figure.FPR))
    )


def test_the_smallest_visible_gap_stands_beside_rates_only() -> None:
    rng = np.random.default_rng(7)
    found = compared({"F": a_group(rng, 900, 0.3), "M": a_group(rng, 900, 0.3)})
    assert {one.figure for one in found.gaps if one.detectable is not None} == {
        Figure.TPR,
        Figure.FPR,
        Figure.PPV,
    }


def test_a_small_group_is_refused_by_name_not_left_out() -> None:
    rng = np.random.default_rng(8)
    found = compared({"F": a_group(rng, 900, 0.3), "M": a_group(rng, 12, 0.3)})
    assert found.gaps == ()
    assert {one.name for one in found.refusals} == {f"{one.value} M" for one in Figure}


def test_one_group_or_a_missing_reference_is_a_named_failure() -> None:
    rng = np.random.default_rng(9)
    one = {"F": a_group(rng, 900, 0.3)}
    two = one | {"M": a_group(rng, 900, 0.3)}
    for groups, references in ((one, {}), (two, {"sex": "X"})):
        (failure,) = compared(groups, references=references).failures
        assert isinstance(failure, GroupsError)


def bcg() -> list[Estimate]:
    """Return log risk ratios with their variances."""
    return [
        Estimate(
            math.log(a / (a + b)) - math.log(c / (c + d)), 1 / a - 1 / (a + b) + 1 / c - 1 / (c + d)
        )
        for a, b, c, d in BCG
    ]


def test_the_bcg_trials_by_dersimonian_and_laird() -> None:
    """EVALUATION.md E8: log RR -0.7141 (SE 0.1787), tau² 0.3088, I² 92.12 %, Q 152.233."""
    found = combine(bcg())
    assert round(found.pooled.value, 4) == -0.7141
    assert round(found.pooled.error, 4) == 0.1787
    assert round(found.tau_squared, 4) == 0.3088
    assert round(100 * found.i_squared, 2) == 92.12
    assert round(found.q, 3) == 152.233


def test_the_bcg_trials_by_reml() -> None:
    """Viechtbauer, metafor (2010), rma(dat.bcg): tau² 0.3132, -0.7145 (SE 0.1798)."""
    found = combine(bcg(), BetweenSites.REML)
    assert round(found.tau_squared, 4) == 0.3132
    assert round(found.pooled.value, 4) == -0.7145
    assert round(found.pooled.error, 4) == 0.1798


def test_dersimonian_and_laird_equal_statsmodels() -> None:
    oracle = pytest.importorskip("statsmodels.stats.meta_analysis")
    values, variances = [one.value for one in bcg()], [one.variance for one in bcg()]
    expected = oracle.combine_effects(np.array(values), np.array(variances), method_re="dl")
    found = combine(bcg())
    assert found.tau_squared == pytest.approx(expected.tau2, rel=1e-12)
    assert found.pooled.value == pytest.approx(expected.mean_effect_re, rel=1e-12)
    assert found.fixed.value == pytest.approx(expected.mean_effect_fe, rel=1e-12)


def test_equal_sites_have_no_heterogeneity_and_one_site_no_answer() -> None:
    found = combine([Estimate(0.8, 0.01)] * 4)
    assert (found.tau_squared, found.i_squared) == (0.0, 0.0)
    assert combine([Estimate(0.8, 0.01)] * 2).prediction is None
    with pytest.raises(TooFewEstimatesError):
        combine([Estimate(0.8, 0.01), Estimate(0.8, math.inf), Estimate(0.8, 0.0)])
