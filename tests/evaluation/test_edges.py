"""Numbers at the edge of what there is: too many, too few, none, and no numbers at all."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.optimize import brentq

from federation.errors import PlatformError
from federation.errors.evaluation import (
    AllTiedError,
    CollinearError,
    GroupsError,
    OutOfRangeError,
    PolicyInvalidError,
    ScoreInvalidError,
    SummariesDifferError,
    SummaryInvalidError,
    SumTooSmallError,
    TimesInvalidError,
    TooFewEstimatesError,
    WeightsError,
)
from federation.evaluation.auroc import auroc, delong_variance
from federation.evaluation.calibration import in_the_large
from federation.evaluation.conformal import ValueCounts, threshold
from federation.evaluation.cox import fit_groups
from federation.evaluation.discrimination import auroc_bounds, auroc_estimate, ranking
from federation.evaluation.drift import BinCounts
from federation.evaluation.explainability import (
    CaseMoments,
    deletion_area,
    points_inside,
    rank_similarity,
    structural_similarity,
)
from federation.evaluation.heterogeneity import combine
from federation.evaluation.ipw import inverse_weights, overlap_weights, weighted_sums
from federation.evaluation.membership import attack, tpr_bound
from federation.evaluation.monitoring import Cusum, PeriodCounts, breached, ewma
from federation.evaluation.policy import read_policy
from federation.evaluation.robustness import degradation, rank_stability
from federation.evaluation.scores import GRID, ScoreHistogram, quantise_to
from federation.evaluation.suppression import CellRule, Reason, Refusal
from federation.evaluation.survival import SurvivalTable, survival_table
from federation.evaluation.tables import publish
from federation.evaluation.tails import Estimate

RULE = CellRule()
NAN = math.nan


def ends(positives: tuple[int, int], negatives: tuple[int, int]) -> ScoreHistogram:
    """Return a histogram of cases that score exactly 0 and exactly 1."""
    rows = np.zeros((2, GRID + 1), dtype=np.int64)
    rows[0, [0, -1]], rows[1, [0, -1]] = positives, negatives
    return ScoreHistogram(*rows)


def test_more_pairs_than_63_bits_count_have_an_auroc() -> None:
    """10^12 cases of a class, so 10^24 pairs: half of them are won."""
    row = np.full(GRID + 1, 10**9, dtype=np.int64)
    found = ScoreHistogram(row, row)
    assert auroc(found) == pytest.approx(0.5, abs=1e-12)
    assert 0 < delong_variance(found) < 1e-12
    assert auroc_bounds(found).high == pytest.approx(0.5 + 0.5 / (GRID + 1), abs=1e-9)


def test_scores_of_exactly_0_and_1_are_calibrated_in_the_large() -> None:
    """Undamped, Newton's steps leave the range of numbers; the answer is one root."""
    for positives, negatives in [((2, 30), (40, 1)), ((20, 300), (40, 10)), ((1, 30), (4000, 30))]:
        histogram = ends(positives, negatives)
        p = np.clip(histogram.probabilities, 0.0005, 0.9995)
        logits = np.log(p / (1 - p))
        hits, totals = int(histogram.positives.sum()), histogram.totals

        def surplus(at: float, hits: int = hits, totals: np.ndarray = totals,
                    logits: np.ndarray = logits) -> float:  # fmt: skip
            return hits - float((totals / (1 + np.exp(-logits - at))).sum())

        root = brentq(surplus, -20, 20, xtol=1e-13)
        assert in_the_large(histogram).value == pytest.approx(root, abs=1e-9)


def test_images_so_bad_that_all_score_the_same_are_a_finding_not_an_end() -> None:
    plain, blind = ends((5, 30), (40, 5)), ends((0, 35), (0, 45))
    with pytest.raises(AllTiedError):
        auroc_estimate(blind)
    found = degradation("contrast", plain, [plain, blind])
    assert [one.value for one in found.aurocs] == [auroc(plain), 0.5]
    assert found.relative == (0.0, 1.0)
    assert ranking(blind).variance == 0.0
    assert attack(blind).advantage == 0.0


def test_no_number_is_hidden_not_shown() -> None:
    assert RULE.is_small(NAN)
    for total, largest in ((NAN, 1.0), (100.0, NAN), (math.inf, 1.0), (100.0, -1.0)):
        found = RULE.cost("c", cases=20, total=total, largest=largest)
        assert found is not None and found.reason is Reason.ONE_CONTRIBUTOR
    assert isinstance(RULE.quantile("q", cases=100, probability=NAN), Refusal)
    with pytest.raises(SumTooSmallError):
        RULE.check_sum(sites=3, smallest=NAN)  # type: ignore[arg-type]
    with pytest.raises(OutOfRangeError):
        CellRule(k=10.5)  # type: ignore[arg-type]


def test_a_table_whose_total_no_hospital_has_is_protected_too() -> None:
    table = publish(np.array([[10**9, 10**9], [3, 5]]), ["a", "b"], ["x", "y"], RULE)
    assert table.cells[1][0] is None and table.cells[1][1] is None
    assert publish(np.array([[10**9, 10**9]]), ["a"], ["x", "y"], RULE).cells[0][2] == 2 * 10**9


def test_sites_whose_variance_is_none_do_not_outweigh_the_others() -> None:
    sites = [Estimate(1.0, 0.04), Estimate(1.2, 0.05), Estimate(-9.0, 1e-300)]
    assert combine(sites) == combine(sites[:2])
    with pytest.raises(TooFewEstimatesError):
        combine([Estimate(1.0, 0.04), Estimate(1.0, 1e300)])


def test_an_empty_site_adds_nothing_to_a_weighted_mean() -> None:
    none = np.zeros(0)
    assert weighted_sums(none, none, inverse_weights(none, none)).arms.tolist() == [0, 0]


times = np.array([1.0, 2.0])
one, ones = np.array([1]), np.ones(1)
REFUSED: list[tuple[str, type[PlatformError], Callable[[], object]]] = [
    ("an empty map", ScoreInvalidError, lambda: structural_similarity(np.zeros(0), np.zeros(0))),
    ("a map of no numbers", ScoreInvalidError,
     lambda: rank_similarity(np.array([NAN, 1.0]), np.array([1.0, 2.0]))),
    ("maps of two sizes", ScoreInvalidError,
     lambda: rank_similarity(np.arange(3.0), np.arange(4.0))),
    ("a map that points nowhere", ScoreInvalidError,
     lambda: points_inside(np.array([NAN, 1.0]), np.array([True, False]))),
    ("a deletion of one step", ScoreInvalidError, lambda: deletion_area(ones)),
    ("a scale without a range", ScoreInvalidError, lambda: quantise_to(ones, low=1, high=1)),
    ("a span the wrong way", ScoreInvalidError,
     lambda: CaseMoments.of("x", ones, low=1.0, high=0.0)),
    ("models without an order", AllTiedError,
     lambda: rank_stability({"a": 0.5, "b": 0.5}, {"a": 0.5, "b": 0.6})),
    ("edges that fall", SummaryInvalidError,
     lambda: BinCounts("v", np.array([2.0, 1.0]), np.array([1, 2, 3]))),
    ("times that fall", SummaryInvalidError,
     lambda: SurvivalTable(("a",), times[::-1], np.array([[1, 1]]), np.array([[0, 0]]))),
    ("a group there twice", SummaryInvalidError,
     lambda: SurvivalTable(("a", "a"), times, np.ones((2, 2), int), np.ones((2, 2), int))),
    ("a grid without times", TimesInvalidError,
     lambda: survival_table(ones, one, one - 1, groups=("a",), times=np.zeros(0))),
    ("a case of no group", GroupsError,
     lambda: survival_table(ones, one, one + 4, groups=("a",), times=times)),
    ("a model without covariates", CollinearError,
     lambda: fit_groups(SurvivalTable(("a",), times, np.array([[4, 4]]), np.array([[2, 2]])))),
    ("a chart without a limit", OutOfRangeError, lambda: Cusum(0.9, 0.5, math.inf)),
    ("a limit that is none", OutOfRangeError,
     lambda: breached(PeriodCounts("tpr", one, one), limit=NAN)),
    ("a width that is none", OutOfRangeError,
     lambda: ewma(PeriodCounts("tpr", one, one), expected=0.9, width=NAN)),
    ("a lag below zero", OutOfRangeError, lambda: PeriodCounts("tpr", one, one).matured(-1)),
    ("no runs", OutOfRangeError,
     lambda: Cusum(0.9, 0.5, 2.0).run_length(rate=0.5, judged=10, seed=1, runs=0)),
    ("weights beyond all numbers", WeightsError,
     lambda: inverse_weights(np.array([5e-324, 0.5]), np.array([1, 0]))),
    ("an overlap beyond 1", WeightsError, lambda: overlap_weights(np.array([2.0]), one)),
    ("a rate beyond 1", OutOfRangeError, lambda: tpr_bound(NAN, epsilon=1, delta=0)),
    ("a test on another grid", SummariesDifferError,
     lambda: threshold(ValueCounts(np.array([0, 9, 9])), 0.1).covers(ValueCounts(one))),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@pytest.mark.parametrize(("error", "asked"), [case[1:] for case in REFUSED],
                         ids=[case[0] for case in REFUSED])  # fmt: skip
def test_what_is_no_number_or_nothing_has_a_code(
    error: type[PlatformError], asked: Callable[[], object]
) -> None:
    with pytest.raises(error):
        asked()


def test_a_rule_under_a_name_that_nobody_asks_for_is_no_policy() -> None:
    """With a misspelt dimension the rule would be asked for by nobody, and so passed."""
    rule = b"""edition = 1
name = "ours"
k = 10
[rules.claim]
dimension = "%s"
test = "low-end-near-claim"
high = { limit = 0.05, miss = "fail" }
medium = { limit = 0.05, miss = "fail" }
low = { limit = 0.05, miss = "fail" }
"""
    assert read_policy(rule % b"discrimination").name == "ours"
    for name in (b"discriminaton", b"calibration"):
        with pytest.raises(PolicyInvalidError):
            read_policy(rule % name)
