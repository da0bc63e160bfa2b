"""What must hold of any model, whatever its numbers: invariants, limits and a second method."""

import math
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.economics.analysis import MAX_PATHS, analyse, budget_of
from federation.economics.budget import Sector
from federation.economics.diagnostic import PARAMETERS, simulate
from federation.economics.frontier import Standing, Strategy, frontier, net_monetary_benefit
from federation.economics.markov import Cohort, Correction, Horizon, Rewards, run_cohort
from federation.economics.model_file import read_model
from federation.economics.uncertainty import (
    Draws,
    acceptability,
    evpi,
    evppi,
    expected_loss,
    net_benefit,
)
from federation.errors.economics import ModelValueError
from tests.economics.test_analysis import EXAMPLE, counts_of, model

Points = list[tuple[int, int]]
POINTS = st.lists(st.tuples(st.integers(-40, 40), st.integers(-40, 40)), min_size=1, max_size=7)


def strategies(points: Points, *, money: float = 1.0) -> list[Strategy]:
    return [Strategy(f"s{place}", money * c, float(e)) for place, (c, e) in enumerate(points)]


def standing(given_: list[Strategy]) -> dict[str, str]:
    return {one.strategy.name: one.standing.value for one in frontier(given_)}


# the frontier


@given(POINTS, st.randoms(use_true_random=False))
def test_the_order_in_which_strategies_are_given_changes_nothing(points: Points, chance) -> None:  # type: ignore[no-untyped-def]
    given_ = strategies(points)
    shuffled = list(given_)
    chance.shuffle(shuffled)
    assert frontier(shuffled) == frontier(given_)


@given(POINTS, st.sampled_from([2.0, 0.5, 32.0, 1024.0]))
def test_another_currency_scales_ratios_and_moves_nobody(points: Points, rate: float) -> None:
    here, there = frontier(strategies(points)), frontier(strategies(points, money=rate))
    for one, other in zip(here, there, strict=True):
        assert (one.strategy.name, one.standing) == (other.strategy.name, other.standing)
        assert (one.icer is None) == (other.icer is None)
        if one.icer is not None and other.icer is not None:
            assert other.icer == pytest.approx(rate * one.icer)


@given(POINTS)
def test_who_is_best_at_a_threshold_is_told_by_the_ratios(points: Points) -> None:
    given_ = strategies(points)
    ladder = [one for one in frontier(given_) if one.standing is Standing.EFFICIENT]
    for threshold in (0.001, 0.7, 3.1, 90.7):
        chosen = [one for one in ladder if one.icer is None or one.icer <= threshold][-1]
        most = max(net_monetary_benefit(one, threshold) for one in given_)
        assert net_monetary_benefit(chosen.strategy, threshold) == pytest.approx(most)


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([(5, 3)], "ND"),
        ([(5, 3), (5, 3), (5, 3)], "ND D D"),
        ([(5, 1), (5, 2), (5, 3)], "D D ND"),
        ([(1, 3), (2, 3), (3, 3)], "ND D D"),
        ([(0, 9), (1, 8), (2, 7), (3, 6)], "ND D D D"),
        ([(-9, -1), (-5, 2)], "ND ND"),
        ([(0, 0), (10, 1), (20, 2)], "ND ED ND"),
    ],
    ids=["one", "equal", "equal cost", "equal effect", "all dominated", "negative", "in line"],
)
def test_ties_and_edges(points: Points, expected: str) -> None:
    assert " ".join(standing(strategies(points)).get(f"s{n}", "") for n in range(len(points))) == (
        expected
    )


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_is_refused_before_it_is_sorted(number: float) -> None:
    for cost, effect in ((number, 1.0), (1.0, number)):
        with pytest.raises(ModelValueError):
            Strategy("A", cost, effect)


# uncertainty

SEEDS = st.integers(0, 2**32 - 1)


def drawn(seed: int, *, count: int = 400, options: int = 3) -> Draws:
    chance = np.random.default_rng(seed)
    cost = chance.normal(100, 30, (count, options))
    effect = chance.normal(2, 0.4, (count, options))
    return Draws(tuple("abcdefgh"[:options]), cost, effect)


@given(SEEDS, st.integers(1, 5))
@settings(max_examples=30)
def test_shares_losses_and_information_belong_together(seed: int, options: int) -> None:
    draws, thresholds = drawn(seed, options=options), (0.0, 20.0, 55.5, 1e6)
    shares, losses = acceptability(draws, thresholds), expected_loss(draws, thresholds)
    assert shares.sum(axis=1) == pytest.approx(np.ones(4))
    assert (shares >= 0).all() and (losses >= -1e-9).all()
    for threshold, lost in zip(thresholds, losses, strict=True):
        benefit = net_benefit(draws, threshold)
        known = evpi(benefit)
        assert lost.min() == pytest.approx(known, abs=1e-6 * max(1.0, abs(benefit).max()))
        about = draws.effect[:, :1] + 0.1 * draws.cost[:, :1]
        assert 0 <= evppi(benefit, about) <= known + 1e-9


@given(SEEDS)
@settings(max_examples=15)
def test_another_currency_scales_information_and_leaves_shares(seed: int) -> None:
    here = drawn(seed)
    there = Draws(here.strategies, 4.0 * here.cost, here.effect)
    assert acceptability(there, [200.0]) == pytest.approx(acceptability(here, [50.0]))
    assert evpi(net_benefit(there, 200.0)) == pytest.approx(4 * evpi(net_benefit(here, 50.0)))


def test_both_benefits_are_told_and_belong_together() -> None:
    found = analyse(model(), draws=1000, seed=3)
    said = found.as_json()
    rows = zip(found.model.thresholds, said["net_benefit"], said["net_health_benefit"], strict=True)  # type: ignore[call-overload]
    for place, (threshold, money, health) in enumerate(rows):
        assert money == pytest.approx([threshold * one for one in health])
        assert found.model.strategies[int(np.argmax(money))] == found.best[place]


def test_knowing_everything_is_worth_nothing_without_a_choice_or_without_doubt() -> None:
    assert evpi(net_benefit(drawn(1, options=1), 50.0)) == 0
    sure = Draws(("a", "b"), np.full((9, 2), [1.0, 2.0]), np.full((9, 2), [1.0, 1.5]))
    assert evpi(net_benefit(sure, 50.0)) == 0


# time


def dying(rate: float) -> Cohort:
    steps = np.array([[1 - rate, rate], [0, 1.0]])
    return Cohort(np.array([1.0, 0.0]), steps, ("alive", "dead"))


@pytest.mark.parametrize("correction", Correction)
def test_without_discount_a_cohort_that_lives_counts_every_year(correction: Correction) -> None:
    horizon = Horizon(10, cost_rate=0, effect_rate=0, correction=correction)
    found = run_cohort(dying(0.0), Rewards(np.ones(2), np.ones(2)), horizon)
    assert found.effect == pytest.approx(11 if correction is Correction.NONE else 10)
    odd = Horizon(9, cost_rate=0, effect_rate=0, correction=correction)
    lost = {Correction.NONE: -1.0, Correction.SIMPSON: 1 / 3}.get(correction, 0.0)
    assert run_cohort(dying(0.0), Rewards(np.ones(2), np.ones(2)), odd).effect == (
        pytest.approx(9 - lost)
    )


def test_simpsons_rule_needs_two_cycles() -> None:
    with pytest.raises(ModelValueError):
        Horizon(1, correction=Correction.SIMPSON)


@given(st.floats(0, 0.2), st.floats(0.01, 0.4))
def test_discounting_only_takes_away(rate: float, death: float) -> None:
    rewards = Rewards(np.array([1.0, 0.0]), np.array([1.0, 0.0]))
    plain = run_cohort(dying(death), rewards, Horizon(30, cost_rate=0, effect_rate=0))
    later = run_cohort(dying(death), rewards, Horizon(30, cost_rate=rate, effect_rate=rate))
    assert later.effect <= plain.effect + 1e-12


def test_a_finer_cycle_comes_nearer_to_continuous_time() -> None:
    rate, truth = 0.2, (1 - math.exp(-0.23 * 10)) / 0.23  # discounted continuously at 3 %
    errors = []
    for parts in (1, 4, 12):
        horizon = Horizon(10 * parts, cycle_years=1 / parts, effect_rate=math.expm1(0.03))
        cohort = dying(-math.expm1(-rate / parts))
        found = run_cohort(cohort, Rewards(np.zeros(2), np.array([1.0, 0])), horizon)
        errors.append(abs(float(found.effect) - truth))
    assert errors[0] > errors[1] > errors[2] and errors[2] < 1e-3


# the diagnostic template, by hand


def by_hand(values: Mapping[str, float], strategy: str, cycles: int) -> tuple[float, float]:
    """Return cost and effect of one strategy, person shares and years one after the other."""
    ill, se = values["prevalence"], values[f"sensitivity:{strategy}"]
    false_alarms = (1 - ill) * (1 - values[f"specificity:{strategy}"])
    cost = values[f"price:{strategy}"] + (ill * se + false_alarms) * values["cost_workup"]
    effect = -false_alarms * values["harm_false_positive"]
    well, treated, missed = 1 - ill, ill * se, ill * (1 - se)
    stays = {
        name: math.exp(-values[f"rate_death_{name}"]) for name in ("well", "treated", "missed")
    }
    heals, is_found = math.exp(-values["rate_recovery"]), math.exp(-values["rate_found"])
    for year in range(cycles + 1):
        counts = (0.5 if year in (0, cycles) else 1.0) * 1.03**-year
        for share, state in ((well, "well"), (treated, "treated"), (missed, "missed")):
            cost += counts * share * values[f"cost_{state}"]
            effect += counts * share * values[f"utility_{state}"]
        well, treated, missed = (
            stays["well"] * well + stays["treated"] * (1 - heals) * treated,
            stays["treated"] * heals * treated + stays["missed"] * (1 - is_found) * missed,
            stays["missed"] * is_found * missed,
        )
    return cost, effect


def test_the_template_is_what_a_person_computes_by_hand() -> None:
    given_ = model()
    values = {name: one.mean for name, one in given_.parameters.items()}
    assert set(values) >= set(PARAMETERS)
    arrays = {name: np.array([value]) for name, value in values.items()}
    found = simulate(arrays, given_.strategies, given_.horizon)
    for place, strategy in enumerate(given_.strategies):
        cost, effect = by_hand(values, strategy, given_.horizon.cycles)
        assert found.cost[0, place] == pytest.approx(cost, rel=1e-12)
        assert found.effect[0, place] == pytest.approx(effect, rel=1e-12)


@pytest.mark.parametrize(("cycles", "years"), [(20, 1.0), (4, 5.0), (2, 10.0), (8, 2.5)])
def test_a_long_cycle_is_not_all_paid_in_its_first_year(cycles: int, years: float) -> None:
    text = EXAMPLE.replace("cycles = 20", f"cycles = {cycles}")
    text = text.replace("cycle_years = 1.0", f"cycle_years = {years}")
    text = text.replace("share = [0.1, 0.2, 0.3, 0.4, 0.5]", "share = [0.1, 0, 0, 0, 0]")
    found = budget_of(read_model(text.encode(), counts_of))
    later = [one.by_sector[Sector.HOSPITAL] for one in found[1:]]
    assert all(later)
    if years >= 5:
        assert later == pytest.approx([later[0]] * 4), "one cycle, paid evenly"
    assert (len({round(one) for one in later}) > 1) == (years < 5)


def test_what_would_take_all_day_is_refused_before_anything_is_drawn() -> None:
    with pytest.raises(ModelValueError, match="strategies times draws"):
        analyse(model(), draws=MAX_PATHS // 2 + 1)
    with pytest.raises(ModelValueError, match="over these cycles"):
        analyse(model("cycles = 20", "cycles = 10000"), draws=20_000)
