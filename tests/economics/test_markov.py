"""The cohort model against a published one, against its limits, and refusing what is none."""

import numpy as np
import pytest

from federation.economics.frontier import Strategy, frontier
from federation.economics.markov import (
    Cohort,
    Correction,
    Horizon,
    Rewards,
    probability,
    run_cohort,
    trace,
)
from federation.errors.economics import ModelValueError, TransitionRowError

STATES = ("healthy", "sick", "sicker", "dead")
HEALTHY = np.array([1.0, 0, 0, 0])


def sick_sicker(progression: float) -> np.ndarray:
    """Yearly transitions of the Sick-Sicker model (Alarid-Escudero 2023, table 1)."""
    falls_ill, recovers = probability(0.15), probability(0.5)
    dies = [probability(0.002 * ratio) for ratio in (1, 3, 10)]
    worse = probability(progression)
    matrix = np.zeros((4, 4))
    matrix[0, :2] = (1 - dies[0]) * np.array([1 - falls_ill, falls_ill])
    matrix[1, :3] = (1 - dies[1]) * np.array([recovers, 1 - recovers - worse, worse])
    matrix[2, 2] = 1 - dies[2]
    matrix[:3, 3] = dies
    matrix[3, 3] = 1
    return matrix


STRATEGIES = {
    "SoC": (0.105, [2000, 4000, 15000, 0], [1, 0.75, 0.5, 0]),
    "A": (0.105, [2000, 16000, 27000, 0], [1, 0.95, 0.5, 0]),
    "B": (0.105 * 0.6, [2000, 17000, 28000, 0], [1, 0.75, 0.5, 0]),
    "AB": (0.105 * 0.6, [2000, 29000, 40000, 0], [1, 0.95, 0.5, 0]),
}
# EVALUATION.md D.6: Sick-Sicker, 75 cycles, 3 %.
PUBLISHED = {
    Correction.SIMPSON: (
        {"SoC": (151580, 20.711), "A": (284805, 21.499), "B": (259100, 22.184),
         "AB": (378875, 23.137)},
        {"B": 72988, "AB": 125764},
    ),
    Correction.HALF_CYCLE: (
        {"SoC": (152262, 21.038), "B": (259992, 22.511), "AB": (379955, 23.467)},
        {"B": 73134, "AB": 125532},
    ),
}  # fmt: skip


@pytest.mark.parametrize("correction", PUBLISHED)
def test_sick_sicker_as_published(correction: Correction) -> None:
    totals, icers = PUBLISHED[correction]
    horizon = Horizon(75, correction=correction)
    found = []
    for name, (progression, cost, utility) in STRATEGIES.items():
        cohort = Cohort(HEALTHY, sick_sicker(progression), STATES)
        one = run_cohort(cohort, Rewards(np.array(cost, float), np.array(utility)), horizon)
        found.append(Strategy(name, float(one.cost), float(one.effect)))
    rounded = {one.name: (round(one.cost), round(one.effect, 3)) for one in found}
    assert rounded | totals == rounded
    ranked = frontier(found)
    steps = {one.strategy.name: round(one.icer) for one in ranked if one.icer is not None}
    assert steps == icers
    assert [one.strategy.name for one in ranked if one.standing.value == "D"] == ["A"]


def test_many_draws_at_once_are_each_what_one_alone_is() -> None:
    rates = np.linspace(0.05, 0.3, 7)
    matrices = np.stack([sick_sicker(rate) for rate in rates])
    rewards = Rewards(np.array([1.0, 2, 3, 0]), np.array([1, 0.75, 0.5, 0]))
    together = run_cohort(Cohort(HEALTHY, matrices, STATES), rewards, Horizon(30))
    assert together.cost.shape == (7,)
    for place, rate in enumerate(rates):
        alone = run_cohort(Cohort(HEALTHY, sick_sicker(rate), STATES), rewards, Horizon(30))
        assert together.cost[place] == pytest.approx(float(alone.cost), rel=1e-13)


def test_life_years_of_a_constant_rate_come_near_their_closed_form() -> None:
    rate, cycles = 0.1, 400
    dies = probability(rate, 0.25)
    cohort = Cohort(np.array([1.0, 0]), np.array([[1 - dies, dies], [0, 1]]), ("alive", "dead"))
    rewards = Rewards(np.zeros(2), np.array([1.0, 0]))
    horizon = Horizon(cycles, cycle_years=0.25, effect_rate=0.0)
    assert float(run_cohort(cohort, rewards, horizon).effect) == pytest.approx(1 / rate, rel=1e-3)


def test_transitions_may_change_from_cycle_to_cycle() -> None:
    still, gone = np.eye(2), np.array([[0.0, 1.0], [0.0, 1.0]])
    cohort = Cohort(np.array([1.0, 0]), np.stack([still, gone]), ("here", "gone"), varies=True)
    assert [list(one) for one in trace(cohort, 2)] == [[1, 0], [1, 0], [0, 1]]
    with pytest.raises(ModelValueError):
        list(trace(cohort, 3))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ([0.5, 0.4, 0, 0], "sum to 0.9"),
        ([0.5, 0.6, 0, -0.1], "-0.1"),
        ([1.2, -0.2, 0, 0], "-0.2"),
        ([float("nan"), 1, 0, 0], "NaN"),
    ],
)
def test_a_row_that_is_no_distribution_is_named(row: list[float], said: str) -> None:
    matrix = np.stack([sick_sicker(0.1)] * 3)
    matrix[1, 2] = row
    with pytest.raises(TransitionRowError) as refused:
        Cohort(HEALTHY, matrix, STATES)
    assert "sicker" in refused.value.say() and said in refused.value.say()


@pytest.mark.parametrize(
    "changes",
    [
        {"cycles": 0},
        {"cycles": 10**6},
        {"cycle_years": 0.0},
        {"cost_rate": 3.0},
        {"effect_rate": -0.01},
        {"cost_rate": float("nan")},
    ],
)
def test_a_horizon_out_of_range_is_refused(changes: dict[str, float]) -> None:
    with pytest.raises(ModelValueError):
        Horizon(**({"cycles": 10} | changes))  # type: ignore[arg-type]


def test_a_start_that_is_no_distribution_and_wrong_shapes_are_refused() -> None:
    with pytest.raises(ModelValueError):
        Cohort(np.array([0.5, 0, 0, 0]), sick_sicker(0.1), STATES)
    with pytest.raises(ModelValueError):
        Cohort(HEALTHY, sick_sicker(0.1), STATES[:3])
    with pytest.raises(ModelValueError):
        run_cohort(
            Cohort(HEALTHY, sick_sicker(0.1), STATES),
            Rewards(np.array([1, np.nan, 1, 1]), np.ones(4)),
            Horizon(5),
        )
