"""C.0: every rule of suppression, and an attack that tries to undo them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from federation.errors.evaluation import OutOfRangeError, SumTooSmallError, TableInvalidError
from federation.evaluation.operating_points import Confusion
from federation.evaluation.parts import CELLS, hidden_cells, shown_parts
from federation.evaluation.proportions import Proportion
from federation.evaluation.scores import ScoreHistogram
from federation.evaluation.suppression import REASONS, Band, CellRule, Reason, Refusal
from federation.evaluation.tables import ShownTable, publish
from federation.wording import Language

RULE = CellRule()


def refused(found: object, reason: Reason) -> bool:
    return isinstance(found, Refusal) and found.reason is reason


def a_histogram(positives: list[int], negatives: list[int]) -> ScoreHistogram:
    return ScoreHistogram(np.array(positives), np.array(negatives))


def test_k_is_three_to_twenty_and_a_sum_has_three_sites() -> None:
    for k in (2, 21):
        with pytest.raises(OutOfRangeError):
            CellRule(k=k)
    with pytest.raises(OutOfRangeError):
        CellRule(sites=2)


def test_a_count_below_k_is_refused_and_zero_is_shown() -> None:
    assert RULE.count("n", 0) == 0
    assert RULE.count("n", 10) == 10
    assert refused(RULE.count("n", 9), Reason.SMALL_CELL)


def test_a_rate_needs_both_parts_or_becomes_a_band() -> None:
    assert RULE.rate("r", Proportion(20, 80)) == Proportion(20, 80)
    assert RULE.rate("r", Proportion(0, 80)) == Proportion(0, 80)
    assert RULE.rate("r", Proportion(80, 80)) == Proportion(80, 80)
    assert refused(RULE.rate("r", Proportion(3, 9)), Reason.SMALL_TOTAL)


def test_a_band_is_the_same_whatever_it_hides() -> None:
    low = {RULE.rate("r", Proportion(hits, 80)) for hits in range(1, 10)}
    high = {RULE.rate("r", Proportion(80 - hits, 80)) for hits in range(1, 10)}
    assert low == {Band(0.0, 0.125, 80)}
    assert high == {Band(0.875, 1.0, 80)}
    assert RULE.rate("r", Proportion(6, 12)) == Band(0.0, 1.0, 12)


def test_a_slices_ranking_needs_k_of_each_class() -> None:
    assert RULE.slice_of("s", a_histogram([5, 5], [10, 0])) is None
    assert refused(RULE.slice_of("s", a_histogram([5, 4], [50, 0])), Reason.FEW_OF_A_CLASS)


@given(st.lists(st.tuples(st.integers(0, 15), st.integers(0, 15)), min_size=2, max_size=40))
def test_merged_bins_hide_no_small_class_and_lose_no_case(rows: list[tuple[int, int]]) -> None:
    histogram = a_histogram([p for p, _ in rows], [n for _, n in rows])
    merged = RULE.bins("h", histogram)
    totals = int(histogram.positives.sum()), int(histogram.negatives.sum())
    if any(RULE.is_small(total) for total in totals):
        assert refused(merged, Reason.FEW_OF_A_CLASS)
        return
    assert not isinstance(merged, Refusal)
    assert not any(RULE.is_small(n) for one in merged for n in (one.positives, one.negatives))
    assert (sum(one.positives for one in merged), sum(one.negatives for one in merged)) == totals
    assert [one.first for one in merged] == [0, *(one.last + 1 for one in merged[:-1])]
    assert merged[-1].last == len(rows) - 1


def test_a_curve_stops_and_one_sites_weeks_are_refused() -> None:
    assert RULE.curve_length(np.array([40, 12, 10, 9, 2])) == 3
    assert RULE.curve_length(np.array([40, 12])) == 2
    assert refused(RULE.time_step("c", step_days=7, is_one_site=True), Reason.FINE_TIME)
    assert RULE.time_step("c", step_days=30, is_one_site=True) is None
    assert RULE.time_step("c", step_days=1, is_one_site=False) is None


def test_no_minimum_maximum_or_extreme_quantile() -> None:
    for probability in (0.0, 1.0, 0.05, 0.95):
        assert refused(
            RULE.quantile("q", cases=100, probability=probability), Reason.EXTREME_QUANTILE
        )
    assert RULE.quantile("q", cases=100, probability=0.5) is None
    assert RULE.quantile("q", cases=19, probability=0.5) is not None


def test_a_cost_of_few_or_of_mostly_one_is_refused() -> None:
    assert refused(RULE.cost("c", cases=9, total=100, largest=10), Reason.SMALL_TOTAL)
    assert refused(RULE.cost("c", cases=90, total=100, largest=50), Reason.ONE_CONTRIBUTOR)
    assert refused(RULE.cost("c", cases=90, total=0, largest=0), Reason.ONE_CONTRIBUTOR)
    assert RULE.cost("c", cases=90, total=100, largest=49) is None


def test_a_slice_that_differs_by_few_cases_is_refused() -> None:
    assert refused(RULE.difference("s", {"all": 400, "age=70+": 4}), Reason.DIFFERENCE)
    assert RULE.difference("s", {"all": 400, "the same again": 0}) is None


def test_a_sum_over_two_sites_or_a_small_point_is_refused() -> None:
    RULE.check_sum(sites=3, smallest=10)
    for sites, smallest in ((2, 100), (3, 9)):
        with pytest.raises(SumTooSmallError):
            RULE.check_sum(sites=sites, smallest=smallest)


def test_every_refusal_is_said_in_both_languages_and_logged_without_its_number() -> None:
    assert REASONS.keys() == set(Reason)
    for reason in Reason:
        one = RULE.refuse("auroc sex=F", reason)
        assert "10" in one.say() and "10" in one.say(Language.ZH_HANT_TW)
        assert one.as_json() == {"name": "auroc sex=F", "refused": reason.value, "k": 10}


# The attack: everything a reader of a published table knows, given to a solver.


def extremes(table: ShownTable, cell: tuple[int, int]) -> tuple[float, float]:
    """Return the least and greatest whole count that the published cells allow."""
    rows, columns = len(table.rows), len(table.columns)
    count = rows * columns
    equations = [np.zeros(count)]
    if columns > 1:
        equations += [line(count, [i * columns + j for j in range(columns)]) for i in range(rows)]
    if rows > 1:
        equations += [line(count, [i * columns + j for i in range(rows)]) for j in range(columns)]
    known = [
        (value, value) if value is not None else (0, 10_000) for row in table.cells for value in row
    ]
    low, high = (np.array(side, dtype=float) for side in zip(*known, strict=True))
    aim = np.zeros(count)
    aim[cell[0] * columns + cell[1]] = 1
    found = []
    for sign in (1, -1):
        solved = milp(
            sign * aim,
            constraints=LinearConstraint(np.array(equations), 0, 0),
            bounds=Bounds(low, high),
            integrality=np.ones(count),
        )
        assert solved.success
        found.append(sign * solved.fun)
    return found[0], found[1]


def line(count: int, cells: list[int]) -> np.ndarray:
    """Return the equation that cells but the last add up to the last."""
    weights = np.zeros(count)
    weights[cells[:-1]] = 1
    weights[cells[-1]] = -1
    return weights


cells = st.one_of(st.just(0), st.integers(1, 9), st.integers(10, 60), st.integers(200, 900))
tables = st.tuples(st.integers(1, 5), st.integers(2, 4)).flatmap(
    lambda shape: st.lists(cells, min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]).map(
        lambda flat: np.array(flat).reshape(shape)
    )
)


@settings(max_examples=60, deadline=None)
@given(tables, st.sampled_from([3, 5, 10]))
def test_no_solver_can_narrow_a_small_cell(counts: np.ndarray, k: int) -> None:
    names = [f"r{i}" for i in range(counts.shape[0])], [f"c{j}" for j in range(counts.shape[1])]
    table = publish(counts, *names, CellRule(k=k))
    full = np.column_stack([counts, counts.sum(axis=1)])
    full = np.vstack([full, full.sum(axis=0)]) if len(counts) > 1 else full
    for i, j in np.argwhere((full > 0) & (full < k)):
        assert table.cells[i][j] is None
        low, high = extremes(table, (int(i), int(j)))
        assert low == 0
        assert high >= k
    for i, j in np.ndindex(*full.shape):
        assert table.cells[i][j] in (None, full[i, j])


def test_a_table_hides_as_little_as_a_hidden_cell_needs() -> None:
    counts = np.array([[4, 50, 60], [70, 80, 90], [55, 65, 75]])
    table = publish(counts, ["a", "b", "c"], ["x", "y", "z"], RULE)
    assert table.cells[0][0] is None
    assert sum(value is None for row in table.cells for value in row) == 4
    assert table.cells[-1][-1] == counts.sum()
    assert len(table.refusals) == 4
    assert {one.reason for one in table.refusals} == {Reason.HIDDEN_CELL}


def test_a_table_without_small_cells_is_shown_whole_and_null_is_not_zero() -> None:
    table = publish(np.array([[0, 20]]), ["a"], ["x", "y"], RULE)
    assert table.cells == ((0, 20, 20),)
    hidden = publish(np.array([[0, 4, 30, 40]]), ["a"], ["w", "x", "y", "z"], RULE).as_json()
    assert hidden["cells"] == [[0, None, None, 40, 74]]
    assert publish(np.array([[4]]), ["a"], ["x"], RULE).cells == ((None,),)


def test_what_is_no_table_is_refused() -> None:
    for counts, rows in (([[1, -1]], ["a"]), ([[1, 2]], ["a", "b"]), ([[0.5, 1.0]], ["a"])):
        with pytest.raises(TableInvalidError):
            publish(np.array(counts), rows, ["x", "y"], RULE)


def test_the_last_group_cannot_be_computed_from_everyone_and_the_others() -> None:
    parts = {
        "sex=F": a_histogram([40], [400]),
        "sex=M": a_histogram([30], [300]),
        "sex=X": a_histogram([4], [40]),
    }
    whole = a_histogram([74], [740])
    found = shown_parts(whole, parts, RULE)
    assert found.names == ("sex=F",)
    assert {one.name: one.reason for one in found.refusals} == {
        "sex=X": Reason.FEW_OF_A_CLASS,
        "sex=M": Reason.HIDDEN_CELL,
    }


def test_a_small_cell_of_one_group_hides_one_of_another() -> None:
    parts = {"a": Confusion(95, 30, 300, 5), "b": Confusion(60, 40, 200, 40),
             "c": Confusion(70, 50, 210, 30)}  # fmt: skip
    whole = Confusion(225, 120, 710, 75)
    hidden = hidden_cells(whole, parts, RULE)
    assert hidden["a"] == set(CELLS[:2])
    assert hidden["b"] | hidden["c"] == set(CELLS[:2])
    assert not hidden["b"] & hidden["c"]


def test_a_small_cell_of_everyone_hides_the_cells_of_all_groups() -> None:
    parts = {"a": Confusion(95, 30, 300, 4), "b": Confusion(60, 40, 200, 4)}
    hidden = hidden_cells(Confusion(155, 70, 500, 8), parts, RULE)
    assert all(set(CELLS[:2]) <= one for one in hidden.values())
