"""Real numbers are rounded once, at the site; their sum is exact."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import reduce
from operator import add

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.errors.secure_sum import SumNumbersRefusedError
from federation.evaluation.cox import CoxSums, Ties, cox_sums, fit_cox
from federation.evaluation.regression import LogisticSums, fit, logistic_sums
from federation.evaluation.sliced import SlicedScores
from federation.evaluation.sums import Sums
from federation.evaluation.suppression import CellRule
from federation.secure_sum import FixedPoint, SummaryForm
from tests.evaluation.federations import Parts, dealt, partitions, sum_over
from tests.secure_sum.sites import NAMES, SUMS, Sites, three

FORM = FixedPoint(length=3, bits=30, most=4e6)
RULE = CellRule(k=3)


def masked_sum(parts: list[Sums], form: SummaryForm) -> Sums:
    """Return the sum of summaries of which nobody saw one."""
    federation = Sites(NAMES[: len(parts)])
    masked = federation.masked([form.encode(one) for one in parts], form.cells)
    return form.decode(SUMS.unmask(masked, sites=federation.names, cells=form.cells))


def ask_masked(
    parts: Parts, send: Callable[[np.ndarray, np.ndarray], Sums], bits: int
) -> Callable[[np.ndarray], Sums]:
    """Return what a fit asks of the sites, each step a sum under masks."""

    def ask(at: np.ndarray) -> Sums:
        sent = [send(site, at) for site in parts]
        return masked_sum(sent, SummaryForm(sent[0], bits=bits, most=2.0 ** (52 - bits)))

    return ask


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-4e6, 4e6), min_size=9, max_size=9))
def test_a_sum_is_off_by_no_more_than_one_rounding_for_each_site(values: list[float]) -> None:
    rows = np.array(values).reshape(3, 3)
    federation = three()
    masked = federation.masked([FORM.encode(row) for row in rows], FORM.cells)
    total = FORM.decode(SUMS.unmask(masked, sites=federation.names, cells=FORM.cells))

    for at in range(3):
        exact = sum(Fraction(float(row[at])) for row in rows)
        decoded_once = Fraction(1, 2**51) * abs(exact)  # the last float64 of a large sum
        assert abs(Fraction(float(total[at])) - exact) <= Fraction(3, 2**31) + decoded_once


def test_values_on_the_grid_are_summed_exactly_in_any_order() -> None:
    values = np.array([0.5, -1.25, 3.0])
    assert FORM.decode(FORM.encode(values)).tolist() == values.tolist()
    whole = [FORM.encode(values * scale) for scale in (1.0, 2.0, 4.0)]
    assert FORM.decode(reduce(add, whole)).tolist() == (values * 7).tolist()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 4e6 + 1, -4e6 - 1])
def test_what_is_no_number_within_the_bound_stays_at_the_site(value: float) -> None:
    with pytest.raises(SumNumbersRefusedError):
        FORM.encode(np.array([0.0, value, 0.0]))


def test_a_value_at_the_bound_is_within_it() -> None:
    form = FixedPoint(length=2, bits=0, most=0.75)
    assert form.encode(np.array([0.75, -0.75])).tolist() == [1, -1]


def test_more_values_than_declared_are_refused() -> None:
    with pytest.raises(SumNumbersRefusedError):
        FORM.encode(np.zeros(4))


@pytest.mark.parametrize(
    ("bits", "most"), [(-1, 1.0), (53, 0.1), (30, 2.0**23), (0, 0.0), (0, np.nan), (0, np.inf)]
)
def test_a_scale_that_does_not_fit_the_ring_is_refused(bits: int, most: float) -> None:
    with pytest.raises(SumNumbersRefusedError):
        FixedPoint(3, bits, most)


# -- summaries of the evaluation ---------------------------------------------------------


@settings(max_examples=10, deadline=None)
@given(partitions)
def test_a_logistic_fit_under_masks_is_that_of_all_cases(how: tuple[int, int]) -> None:
    rng = np.random.default_rng(11)
    x = np.column_stack([np.ones(300), rng.normal(size=(300, 2))])
    y = (rng.random(300) < 1 / (1 + np.exp(-x @ [0.2, 1.0, -0.5]))).astype(float)
    names = ("a", "b", "c")

    def send(site: np.ndarray, at: np.ndarray) -> LogisticSums:
        return logistic_sums(names, x[site], y[site], at)

    thirds = [np.arange(at, 300, 3) for at in range(3)]
    pooled = fit(lambda at: sum_over(thirds, lambda site: send(site, at)), names, RULE)
    found = fit(ask_masked(dealt(300, *how), send, bits=40), names, RULE)

    assert found.coefficients == pytest.approx(pooled.coefficients, abs=1e-9)
    assert found.covariance == pytest.approx(pooled.covariance, abs=1e-9)


def test_a_cox_fit_under_masks_is_that_of_all_cases() -> None:
    rng = np.random.default_rng(3)
    design = rng.normal(size=(240, 1))
    event, times = rng.random(240) < 0.8, np.arange(1.0, 7.0)
    time = np.minimum(np.ceil(rng.exponential(np.exp(-0.7 * design[:, 0]) * 4)), 6.0)
    names = ("x",)

    def send(site: np.ndarray, at: np.ndarray) -> CoxSums:
        return cox_sums(names, design[site], time[site], event[site], times, at)

    parts = dealt(240, 4, 1)
    plain = fit_cox(lambda at: sum_over(parts, lambda s: send(s, at)), names, RULE, Ties.EFRON)
    found = fit_cox(ask_masked(parts, send, bits=36), names, RULE, Ties.EFRON)

    assert found.coefficients == pytest.approx(plain.coefficients, abs=1e-8)


def test_histograms_under_masks_add_up_to_those_of_all_cases() -> None:
    rng = np.random.default_rng(4)
    bins, truths, sex = rng.integers(0, 101, 500), rng.random(500) < 0.3, rng.random(500) < 0.5

    def send(site: np.ndarray) -> SlicedScores:
        masks = {"sex=F": sex[site], "sex=M": ~sex[site]}
        return SlicedScores.of(bins[site], truths[site], masks, bin_count=101)

    parts = [send(site) for site in dealt(500, 5, 2)]
    form = SummaryForm(parts[0], bits=0, most=10_000)

    assert masked_sum(parts, form) == send(np.arange(500))
    assert masked_sum(parts, form) == reduce(add, parts)


def test_sites_that_disagree_on_what_must_agree_have_no_sum() -> None:
    names, x, y = ("a",), np.ones((4, 1)), np.array([0.0, 1.0, 0.0, 1.0])
    here, there = (logistic_sums(names, x, y, np.array([at])) for at in (0.0, 0.5))
    other = logistic_sums(("b",), x, y, np.array([0.0]))
    form = SummaryForm(here, bits=20, most=1e6)

    assert form.cells != SummaryForm(there, bits=20, most=1e6).cells
    for strange in (there, other):
        with pytest.raises(SumNumbersRefusedError, match="another kind"):
            form.encode(strange)


def test_numbers_of_another_form_are_no_summary() -> None:
    here = logistic_sums(("a",), np.ones((4, 1)), np.array([0.0, 1.0, 0.0, 1.0]), np.zeros(1))
    form = SummaryForm(here, bits=20, most=1e6)
    with pytest.raises(SumNumbersRefusedError):
        form.decode(np.zeros(form.cells.length + 1, np.int64))
    again = form.decode(form.encode(here))
    assert again.log_likelihood == pytest.approx(here.log_likelihood, abs=2**-21)
    assert again == replace(here, log_likelihood=again.log_likelihood)


def test_sites_that_count_in_another_scale_have_no_sum() -> None:
    """The same largest whole number at two scales: only the masks tell them apart."""
    x, y = np.column_stack([np.ones(9), np.arange(9.0)]), np.arange(9) % 2.0
    sent = logistic_sums(("a", "b"), x, y, np.zeros(2))
    fine, coarse = SummaryForm(sent, bits=30, most=4e3), SummaryForm(sent, bits=29, most=8e3)
    assert (fine.cells.low, fine.cells.high) == (coarse.cells.low, coarse.cells.high)
    assert fine.cells.about != coarse.cells.about


def test_summaries_of_other_shapes_and_the_same_length_have_no_sum() -> None:
    forms = [
        SummaryForm(SlicedScores(("all",), row, row, np.zeros((1, 1), int)), bits=0, most=1e6)
        for row in (np.zeros((1, 3), int), np.zeros((1, 4), int))
    ]
    assert forms[0].cells.about != forms[1].cells.about
