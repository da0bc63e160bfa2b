"""The template for diagnostic AI: a decision tree that feeds a cohort Markov model.

    test -> true positive   -> work-up, treated
            false positive  -> work-up, harm, well
            false negative  -> missed: found later, or dies of it more often
            true negative   -> well

    states: well, treated, missed, dead

Rates are a year; competing events are conditional on survival. Shapes: D draws, K
strategies; a parameter is (D,), what a strategy costs and does is (D, K).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from federation.economics.markov import Cohort, Horizon, Rewards, Totals, run_cohort
from federation.economics.parameters import ValueSet
from federation.economics.uncertainty import Draws
from federation.errors.economics import ModelValueError
from federation.wording import Text, without_fields

Floats = NDArray[np.float64]

STATES = ("well", "treated", "missed", "dead")
SHARES = ("prevalence",)
RATES = (
    "rate_death_well",
    "rate_death_treated",
    "rate_death_missed",
    "rate_recovery",
    "rate_found",
)
COSTS = ("cost_workup", "cost_well", "cost_treated", "cost_missed")
UTILITIES = ("utility_well", "utility_treated", "utility_missed")
HARM = "harm_false_positive"
PARAMETERS = (*SHARES, *RATES, *COSTS, *UTILITIES, HARM)
"""What a model must know besides each strategy's price, sensitivity and specificity."""

_TITLES = {
    "prevalence": Text(en="prevalence", zh="盛行率"),
    "rate_death_well": Text(en="death rate, well", zh="死亡率:健康"),
    "rate_death_treated": Text(en="death rate, treated", zh="死亡率:治療中"),
    "rate_death_missed": Text(en="death rate, missed", zh="死亡率:漏診"),
    "rate_recovery": Text(en="recovery rate", zh="痊癒率"),
    "rate_found": Text(en="rate of later detection", zh="後續發現率"),
    "cost_workup": Text(en="cost of work-up", zh="確診檢查成本"),
    "cost_well": Text(en="cost of a year, well", zh="年成本:健康"),
    "cost_treated": Text(en="cost of a year, treated", zh="年成本:治療中"),
    "cost_missed": Text(en="cost of a year, missed", zh="年成本:漏診"),
    "utility_well": Text(en="utility, well", zh="效用:健康"),
    "utility_treated": Text(en="utility, treated", zh="效用:治療中"),
    "utility_missed": Text(en="utility, missed", zh="效用:漏診"),
    "harm_false_positive": Text(en="harm of a false positive", zh="偽陽性之傷害"),
    "price": Text(en="price", zh="價格"),
    "sensitivity": Text(en="sensitivity", zh="敏感度"),
    "specificity": Text(en="specificity", zh="特異度"),
}

Values = Mapping[str, Floats]
"""Draws of every parameter by name, each (D,)."""


def price_of(strategy: str) -> str:
    """Return the name of the parameter that one examination costs."""
    return f"price:{strategy}"


def sensitivity_of(strategy: str) -> str:
    """Return the name of a strategy's sensitivity."""
    return f"sensitivity:{strategy}"


def specificity_of(strategy: str) -> str:
    """Return the name of a strategy's specificity."""
    return f"specificity:{strategy}"


def title_of(parameter: str) -> Text:
    """Return a parameter's name for people; of a strategy's, with the strategy's name."""
    kind, found, strategy = parameter.partition(":")
    title = _TITLES[kind]
    if not found:
        return title
    plain = without_fields(strategy)
    return Text(en=f"{title.en}, {plain}", zh=f"{title.zh}:{plain}")


@dataclass(frozen=True, slots=True)
class Split:
    """Who is what after the test, each (D, K): shares of all people tested."""

    true_positive: Floats
    false_negative: Floats
    false_positive: Floats
    true_negative: Floats


def check_values(values: Values, value_set: ValueSet) -> None:
    """Return if every draw can be used.

    Raises
    ------
    UtilityRangeError, ModelValueError
        Naming the parameter.
    """
    for name in UTILITIES:
        value_set.check(name, values[name])
    for name, drawn in values.items():
        low, high = float(drawn.min()), float(drawn.max())  # finite: `Parameter` saw to it
        is_share = name in SHARES or name.startswith(("sensitivity:", "specificity:"))
        if is_share and (low < 0 or high > 1):
            raise ModelValueError(name=name, actual=f"{low:g} to {high:g}", expected="0 to 1")
        if not is_share and name not in UTILITIES and low < 0:
            raise ModelValueError(name=name, actual=f"{low:g}", expected="zero or more")


def split(values: Values, strategies: Sequence[str]) -> Split:
    """Return the decision tree's ends."""
    ill = values["prevalence"][:, None]
    found = _columns(values, [sensitivity_of(one) for one in strategies])
    spared = _columns(values, [specificity_of(one) for one in strategies])
    return Split(ill * found, ill * (1 - found), (1 - ill) * (1 - spared), (1 - ill) * spared)


def tree_cost(values: Values, strategies: Sequence[str]) -> Floats:
    """Return what test and work-up cost a person, (D, K)."""
    ends = split(values, strategies)
    prices = _columns(values, [price_of(one) for one in strategies])
    worked_up = ends.true_positive + ends.false_positive
    return prices + worked_up * values["cost_workup"][:, None]


def transitions(values: Values, years: float) -> Floats:
    """Return the probabilities of one cycle, (D, 4, 4)."""
    dies = [_probability(values[f"rate_death_{state}"], years) for state in STATES[:3]]
    recovers = _probability(values["rate_recovery"], years)
    is_found = _probability(values["rate_found"], years)
    matrix = np.zeros((len(recovers), 4, 4))
    for place, dying in enumerate(dies):
        matrix[:, place, 3] = dying
    alive = [1 - dying for dying in dies]
    matrix[:, 0, 0] = alive[0]
    matrix[:, 1, 0], matrix[:, 1, 1] = alive[1] * recovers, alive[1] * (1 - recovers)
    matrix[:, 2, 1], matrix[:, 2, 2] = alive[2] * is_found, alive[2] * (1 - is_found)
    matrix[:, 3, 3] = 1.0
    return matrix


def cohort_of(values: Values, strategies: Sequence[str], years: float) -> Cohort:
    """Return the cohort after the test: starts of (K, D, 4)."""
    ends = split(values, strategies)
    start = np.zeros((len(strategies), len(values["prevalence"]), 4))
    start[..., 1], start[..., 2] = ends.true_positive.T, ends.false_negative.T
    start[..., 0] = 1 - start[..., 1] - start[..., 2]
    return Cohort(start, transitions(values, years), STATES)


def rewards_of(values: Values) -> Rewards:
    """Return what a year in each state costs and is worth, (D, 4)."""
    none = np.zeros_like(values["prevalence"])
    cost = [values[f"cost_{state}"] for state in STATES[:3]]
    utility = [values[f"utility_{state}"] for state in STATES[:3]]
    return Rewards(np.stack([*cost, none], axis=-1), np.stack([*utility, none], axis=-1))


def simulate(values: Values, strategies: Sequence[str], horizon: Horizon) -> Draws:
    """Return what each strategy costs and does in each draw.

    Raises
    ------
    TransitionRowError, ModelValueError
        If drawn numbers make no model.
    """
    cohort = cohort_of(values, strategies, horizon.cycle_years)
    later: Totals = run_cohort(cohort, rewards_of(values), horizon)
    harm = split(values, strategies).false_positive * values[HARM][:, None]
    return Draws(
        tuple(strategies),
        tree_cost(values, strategies) + later.cost.T,
        later.effect.T - harm,
    )


def _columns(values: Values, names: Sequence[str]) -> Floats:
    return np.stack([values[name] for name in names], axis=-1)


def _probability(rate: Floats, years: float) -> Floats:
    return cast(Floats, -np.expm1(-rate * years))
