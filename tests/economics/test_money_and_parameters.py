"""Price bases that differ, utilities beyond their set, and draws that repeat."""

import math

import numpy as np
import pytest

from federation.economics.money import Conversion, Money, PriceBase
from federation.economics.parameters import (
    TAIWAN_EQ5D5L,
    Accuracy,
    Law,
    Parameter,
    draw_all,
)
from federation.errors.economics import ModelValueError, PriceBaseError, UtilityRangeError

TWD = PriceBase("TWD", 2026)


def test_an_amount_of_another_currency_or_year_is_refused() -> None:
    assert Money(100, TWD).in_(TWD, name="visit") == 100
    for base in (PriceBase("USD", 2026), PriceBase("TWD", 2024)):
        with pytest.raises(PriceBaseError) as refused:
            Money(100, base).in_(TWD, name="visit")
        assert "visit" in refused.value.say() and str(base) in refused.value.say()


def test_it_is_converted_at_its_own_years_rate_and_then_inflated() -> None:
    to = Conversion(TWD, {("USD", 2024): 32.0}, {2024: 100.0, 2026: 104.0}, "central bank, DGBAS")
    assert to.of(Money(10, PriceBase("USD", 2024)), name="visit") == Money(332.8, TWD)
    assert to.of(Money(10, PriceBase("TWD", 2024)), name="visit").amount == pytest.approx(10.4)
    assert to.of(Money(10, TWD), name="visit") == Money(10, TWD)
    for base in (PriceBase("EUR", 2024), PriceBase("TWD", 2020)):
        with pytest.raises(PriceBaseError):
            to.of(Money(10, base), name="visit")


@pytest.mark.parametrize(("currency", "year"), [("NT", 2026), ("twd", 2026), ("TWD", 26)])
def test_a_price_base_that_is_none_is_refused(currency: str, year: int) -> None:
    with pytest.raises(ModelValueError):
        PriceBase(currency, year)


def test_an_amount_is_finite() -> None:
    with pytest.raises(ModelValueError):
        Money(math.inf, TWD)


@pytest.mark.parametrize(
    ("law", "first", "second", "mean"),
    [
        (Law.FIXED, 3.0, 0.0, 3.0),
        (Law.BETA, 30.0, 70.0, 0.3),
        (Law.GAMMA, 400.0, 40.0, 400.0),
        (Law.NORMAL, -2.0, 0.5, -2.0),
        (Law.LOGNORMAL, 2.0, 0.25, 2.0 * math.exp(0.25**2 / 2)),
        (Law.UNIFORM, 1.0, 4.0, 2.5),
    ],
)
def test_a_law_has_the_mean_it_is_given_and_draws_around_it(
    law: Law, first: float, second: float, mean: float
) -> None:
    one = Parameter("p", law, first, second)
    drawn = one.draw(20_000, np.random.default_rng(1))
    assert one.mean == pytest.approx(mean)
    assert drawn.mean() == pytest.approx(mean, rel=0.02)
    assert one.quantile(0.025) <= mean <= one.quantile(0.975)
    below = (drawn < one.quantile(0.975)).mean()
    assert law is Law.FIXED or below == pytest.approx(0.975, abs=0.005)


@pytest.mark.parametrize(
    ("law", "first", "second"),
    [
        (Law.BETA, 0.0, 5.0),
        (Law.GAMMA, -4.0, 1.0),
        (Law.GAMMA, 4.0, 0.0),
        (Law.LOGNORMAL, 0.0, 1.0),
        (Law.NORMAL, 1.0, 0.0),
        (Law.UNIFORM, 2.0, 2.0),
        (Law.FIXED, math.nan, 0.0),
    ],
)
def test_numbers_that_make_no_distribution_are_refused(
    law: Law, first: float, second: float
) -> None:
    with pytest.raises(ModelValueError):
        Parameter("p", law, first, second)


def test_accuracy_keeps_the_uncertainty_of_its_counts() -> None:
    few, many = Accuracy("e1", 8, 2, 90, 10), Accuracy("e2", 800, 200, 9000, 1000)
    assert few.sensitivity("se").mean == pytest.approx(8.5 / 11)
    width = [
        one.sensitivity("se").quantile(0.975) - one.sensitivity("se").quantile(0.025)
        for one in (few, many)
    ]
    assert width[0] > 5 * width[1]
    assert many.specificity("sp").mean == pytest.approx(0.9, abs=1e-3)


@pytest.mark.parametrize("counts", [(0, 0, 5, 5), (5, 5, 0, 0), (-1, 5, 5, 5)])
def test_counts_without_positives_or_negatives_are_refused(
    counts: tuple[int, int, int, int],
) -> None:
    with pytest.raises(ModelValueError):
        Accuracy("e1", *counts)


def test_a_utility_beyond_the_value_set_names_the_worst_draw() -> None:
    TAIWAN_EQ5D5L.check("utility_missed", np.array([-1.0259, 0.4, 1.0]))
    for values, worst in (([0.2, -1.03], "-1.0300"), ([1.2, -1.03], "1.2000")):
        with pytest.raises(UtilityRangeError) as refused:
            TAIWAN_EQ5D5L.check("utility_missed", np.array(values))
        assert worst in refused.value.say()


def test_a_parameter_is_drawn_alike_whoever_else_is_drawn() -> None:
    one, other = Parameter("a", Law.BETA, 3, 7), Parameter("b", Law.GAMMA, 5, 1)
    alone = draw_all({"a": one}, 50, seed=9)["a"]
    assert np.array_equal(alone, draw_all({"b": other, "a": one}, 50, seed=9)["a"])
    assert not np.array_equal(alone, draw_all({"a": one}, 50, seed=10)["a"])
    for count in (0, 10**7):
        with pytest.raises(ModelValueError):
            draw_all({"a": one}, count, seed=1)
