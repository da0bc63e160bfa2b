"""ICERs and dominance against published examples, and by their definition."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.economics.frontier import (
    Ranked,
    Standing,
    Strategy,
    frontier,
    net_health_benefit,
    net_monetary_benefit,
)
from federation.errors.economics import ModelValueError


def of(names: str, costs: list[float], effects: list[float]) -> list[Strategy]:
    return [Strategy(*one) for one in zip(names.split(), costs, effects, strict=True)]


def standings(ranked: tuple[Ranked, ...]) -> dict[str, str]:
    return {one.strategy.name: one.standing.value for one in ranked}


def test_dominance_as_in_the_herc_example() -> None:
    # US Department of Veterans Affairs, HERC, guidebook on cost-effectiveness; also
    # a test of dampack. EVALUATION.md D.6.
    found = frontier(
        of("E D C B A UC", [55000, 35000, 25000, 10000, 12000, 5000], [5, 4, 3, 2, 1.5, 1])
    )
    assert standings(found) == {
        "UC": "ND", "B": "ND", "D": "ND", "E": "ND", "A": "D", "C": "ED",
    }  # fmt: skip
    icers = {one.strategy.name: one.icer for one in found if one.icer is not None}
    assert icers == {"B": 5000, "D": 12500, "E": 20000}


def test_hiv_screening_as_published() -> None:
    # Paltiel, Ann Intern Med 2006; inputs as in dampack's vignette. EVALUATION.md D.6.
    found = frontier(
        of(
            "status-quo one-time 5yr 3yr annual",
            [26000, 27000, 28020, 28440, 29440],
            [277.25 / 12, 277.57 / 12, 277.78 / 12, 277.83 / 12, 277.76 / 12],
        )
    )
    icers = [round(one.icer) for one in found if one.icer is not None]
    assert icers == [37500, 58286, 100800]
    assert found[-1].strategy.name == "annual" and found[-1].standing is Standing.DOMINATED


def test_benefits_are_two_scales_of_one_thing() -> None:
    one = Strategy("A", 12000.0, 3.0)
    assert net_monetary_benefit(one, 10000) == 18000
    assert net_health_benefit(one, 10000) == 1.8
    with pytest.raises(ModelValueError):
        net_health_benefit(one, 0)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=8))
def test_the_frontier_is_what_is_best_at_some_threshold(points: list[tuple[int, int]]) -> None:
    given_ = [Strategy(f"s{place}", float(c), float(e)) for place, (c, e) in enumerate(points)]
    found = frontier(given_)
    efficient = [one for one in found if one.standing is Standing.EFFICIENT]
    icers = [one.icer for one in efficient[1:]]
    assert all(icer is not None and icer > 0 for icer in icers)
    assert icers == sorted(icers) and len(set(icers)) == len(icers)
    for threshold in [0.0, *(icer * (1 + d) for icer in icers for d in (-1e-6, 1e-6)), 1e9]:
        best = max(net_monetary_benefit(one, threshold) for one in given_)
        on = max(net_monetary_benefit(one.strategy, threshold) for one in efficient)
        assert math.isclose(best, on, rel_tol=1e-9, abs_tol=1e-6)


def test_no_strategy_two_of_one_name_and_nan_are_refused() -> None:
    with pytest.raises(ModelValueError):
        frontier([])
    with pytest.raises(ModelValueError):
        frontier([Strategy("A", 1, 1), Strategy("A", 2, 2)])
    with pytest.raises(ModelValueError):
        Strategy("A", math.nan, 1)
