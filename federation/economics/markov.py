"""A cohort Markov model, run for all draws at once.

    totals = run_cohort(Cohort(start, transitions), Rewards(cost, utility), Horizon(75))

Shapes: S states, T cycles, `...` any leading dimensions (draws, strategies) that NumPy
can broadcast. Transitions are (..., S, S), or (T, ..., S, S) when they change with time
(`Cohort.varies`). Formulas: Alarid-Escudero et al., Med Decis Making 2023; 43(1):3.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from federation.errors.economics import ModelValueError, TransitionRowError
from federation.wording import Text

Floats = NDArray[np.float64]

ROUNDING = 1e-9
"""So far may a row's sum be from one."""

MAX_CYCLES = 10_000

_NOT_FINITE = Text(en="one is NaN or infinite", zh="其一為 NaN 或無限大")


class Correction(Enum):
    """How a cycle's reward is taken from the states at both of its ends.

    `START` and `END` count each cycle by the states at its one end, as many published models
    do. `NONE` counts both ends of the horizon whole, one time more than there are cycles.
    `SIMPSON` is the 1/3 rule where the number of cycles is even. The rule does not exist for
    an odd number; there the weights are those of the published Sick-Sicker model (75 cycles),
    a third of a cycle short: choose an even number.
    """

    NONE = "none"
    START = "start-of-cycle"
    END = "end-of-cycle"
    HALF_CYCLE = "half-cycle"
    SIMPSON = "simpson"


@dataclass(frozen=True, slots=True)
class Horizon:
    """How long the cohort is followed, and what later years count.

    Parameters
    ----------
    cycles
        How many.
    cycle_years
        Length of one cycle in years.
    cost_rate, effect_rate
        Discount rates a year, 0.03 for three percent.
    correction
        Within-cycle correction.

    Raises
    ------
    ModelValueError
        If a number is out of range.
    """

    cycles: int
    cycle_years: float = 1.0
    cost_rate: float = 0.03
    effect_rate: float = 0.03
    correction: Correction = Correction.HALF_CYCLE

    def __post_init__(self) -> None:
        if not 1 <= self.cycles <= MAX_CYCLES:
            raise ModelValueError(name="cycles", actual=self.cycles, expected=f"1 to {MAX_CYCLES}")
        if self.correction is Correction.SIMPSON and self.cycles < 2:
            raise ModelValueError(
                name="cycles", actual=self.cycles, expected="2 or more for Simpson's rule"
            )
        if not 0 < self.cycle_years <= 10:
            raise ModelValueError(
                name="cycle length", actual=self.cycle_years, expected="above 0, at most 10 years"
            )
        for name in ("cost_rate", "effect_rate"):
            if not 0 <= getattr(self, name) < 0.5:
                raise ModelValueError(
                    name=name, actual=getattr(self, name), expected="from 0 to below 0.5 a year"
                )

    def weights(self, rate: float) -> Floats:
        """Return what each of the (T + 1,) traces counts: correction times discount times years."""
        ends = np.arange(self.cycles + 1)
        discount = (1.0 + rate) ** -(ends * self.cycle_years)
        counted: Floats = _corrected(self.correction, self.cycles) * discount * self.cycle_years
        return counted


@dataclass(frozen=True, slots=True)
class Cohort:
    """Where people start, shape (..., S), and how they move, shape (..., S, S).

    Raises
    ------
    TransitionRowError
        If a row of transitions is no distribution.
    ModelValueError
        If the start is none, or shapes do not fit.
    """

    start: Floats
    transitions: Floats
    states: tuple[str, ...]
    varies: bool = False

    def __post_init__(self) -> None:
        size = len(self.states)
        if self.transitions.shape[-2:] != (size, size) or self.start.shape[-1:] != (size,):
            raise ModelValueError(
                name="transitions",
                actual=f"{self.transitions.shape} with a start of {self.start.shape}",
                expected=f"{size} by {size} for {size} states",
            )
        check_rows(self.transitions, self.states)
        total = self.start.sum(axis=-1)
        if not (np.isfinite(self.start).all() and (self.start >= 0).all() and _is_one(total)):
            raise ModelValueError(
                name="start", actual="no distribution", expected="shares that sum to 1"
            )


@dataclass(frozen=True, slots=True)
class Rewards:
    """What a year in each state costs and is worth, both shape (..., S)."""

    cost: Floats
    utility: Floats


@dataclass(frozen=True, slots=True)
class Totals:
    """What one person costs and gains over the horizon, discounted; shape (...)."""

    cost: Floats
    effect: Floats


def trace(cohort: Cohort, cycles: int) -> Iterator[Floats]:
    """Yield the share of people in each state at both ends of each cycle: T + 1 times (..., S).

    Raises
    ------
    ModelValueError
        If transitions that vary are given for another number of cycles.
    """
    if cohort.varies and len(cohort.transitions) != cycles:
        raise ModelValueError(
            name="transitions", actual=f"{len(cohort.transitions)} cycles", expected=f"{cycles}"
        )
    steps = cohort.transitions[0] if cohort.varies else cohort.transitions
    leading = np.broadcast_shapes(cohort.start.shape[:-1], steps.shape[:-2])
    shares = np.broadcast_to(cohort.start, (*leading, len(cohort.states)))
    yield shares
    for cycle in range(cycles):
        steps = cohort.transitions[cycle] if cohort.varies else cohort.transitions
        shares = np.einsum("...i,...ij->...j", shares, steps)
        yield shares


def run_cohort(cohort: Cohort, rewards: Rewards, horizon: Horizon) -> Totals:
    """Return cost and effect of one person.

    Raises
    ------
    ModelValueError
        If shapes do not fit or a reward is not finite.
    """
    for name, given in (("state costs", rewards.cost), ("utilities", rewards.utility)):
        if not np.isfinite(given).all():
            raise ModelValueError(name=name, actual="not finite", expected="finite numbers")
    costs, effects = (horizon.weights(rate) for rate in (horizon.cost_rate, horizon.effect_rate))
    years_of_cost: Floats = np.zeros(())
    years_of_effect: Floats = np.zeros(())
    for place, shares in enumerate(trace(cohort, horizon.cycles)):
        years_of_cost = years_of_cost + costs[place] * shares
        years_of_effect = years_of_effect + effects[place] * shares
    return Totals(
        (years_of_cost * rewards.cost).sum(axis=-1),
        (years_of_effect * rewards.utility).sum(axis=-1),
    )


def check_rows(transitions: Floats, states: tuple[str, ...]) -> None:
    """Return if every row is a distribution.

    Raises
    ------
    TransitionRowError
        Naming the first state whose row is none, and why.
    """
    for place, state in enumerate(states):
        rows = transitions[..., place, :]
        if not np.isfinite(rows).all():
            raise TransitionRowError(state=state, why=_NOT_FINITE)
        low, high = float(rows.min()), float(rows.max())
        if low < -ROUNDING or high > 1 + ROUNDING:
            value = f"{low if low < -ROUNDING else high:.6g}"
            raise TransitionRowError(
                state=state, why=Text(en=f"one is {value}", zh=f"其一為 {value}")
            )
        sums = rows.sum(axis=-1)
        if not _is_one(sums):
            worst = float(np.ravel(sums)[np.argmax(np.abs(np.ravel(sums) - 1))])
            why = Text(en=f"they sum to {worst:.9g}", zh=f"總和為 {worst:.9g}")
            raise TransitionRowError(state=state, why=why)


def probability(rate: float, years: float = 1.0) -> float:
    """Return the probability of an event within `years` at a constant rate a year."""
    return float(-np.expm1(-rate * years))


def _corrected(correction: Correction, cycles: int) -> Floats:
    """Return the weight of each trace, shape (T + 1,)."""
    ends = np.ones(cycles + 1)
    match correction:
        case Correction.START:
            ends[-1] = 0.0
        case Correction.END:
            ends[0] = 0.0
        case Correction.HALF_CYCLE:
            ends[[0, -1]] = 0.5
        case Correction.SIMPSON:
            inner = (4 / 3, 2 / 3) if cycles % 2 == 0 else (2 / 3, 4 / 3)
            ends[1::2], ends[2::2] = inner
            ends[[0, -1]] = 1 / 3
    return ends


def _is_one(sums: Floats) -> bool:
    return bool(np.abs(sums - 1).max() <= ROUNDING)
