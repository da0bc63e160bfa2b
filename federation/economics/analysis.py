"""All results of one model, reproducible from its file, the evaluations, draws and seed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from federation.economics.budget import YEARS, Sector, YearImpact, budget_impact
from federation.economics.diagnostic import (
    Floats,
    check_values,
    cohort_of,
    price_of,
    rewards_of,
    sensitivity_of,
    simulate,
    specificity_of,
    tree_cost,
)
from federation.economics.frontier import (
    Ranked,
    Strategy,
    frontier,
    net_health_benefit,
    net_monetary_benefit,
)
from federation.economics.markov import trace
from federation.economics.model_file import Model
from federation.economics.parameters import draw_all
from federation.economics.sensitivity import Bar, threshold_price, tornado
from federation.economics.uncertainty import (
    Draws,
    acceptability,
    acceptability_frontier,
    evpi,
    evppi,
    expected_loss,
    net_benefit,
)
from federation.errors.economics import ModelValueError

MAX_PRICE_TIMES = 1000.0
PLANE_POINTS = 1000
MAX_STEPS = 2 * 10**8
"""So many strategies times draws times cycles are computed, in about two minutes."""

MAX_PATHS = 2 * 10**6
"""So many strategies times draws, in about two gigabytes."""


@dataclass(frozen=True, slots=True)
class Groups:
    """The value of knowing groups of parameters better, money a person at one threshold."""

    threshold: float
    evpi: float
    evppi: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Analysis:
    """Everything a report shows. `draws` are the probabilistic ones."""

    model: Model
    seed: int
    draws: Draws
    base_case: tuple[Ranked, ...]
    mean_case: tuple[Ranked, ...]
    acceptability: Floats
    best: tuple[str, ...]
    best_share: Floats
    loss: Floats
    information: tuple[Groups, ...]
    outcome: float
    tornado: tuple[Bar, ...]
    price: float | None
    budget: tuple[YearImpact, ...]

    def as_json(self) -> dict[str, object]:
        """Return the results as JSON; of the draws at most 1,000 increments, for the plane."""
        model = self.model
        return {
            "title": {"en": model.title.en, "zh-TW": model.title.zh},
            "price_base": str(model.base),
            "perspective": model.perspective,
            "horizon": {
                "years": model.horizon.cycles * model.horizon.cycle_years,
                "cost_rate": model.horizon.cost_rate,
                "effect_rate": model.horizon.effect_rate,
                "correction": model.horizon.correction.value,
            },
            "strategies": list(model.strategies),
            "evaluations": dict(model.evaluations),
            "sources": dict(model.sources),
            "draws": len(self.draws.cost),
            "seed": self.seed,
            "base_case": [one.as_json() for one in self.base_case],
            "mean_case": [one.as_json() for one in self.mean_case],
            "thresholds": list(model.thresholds),
            "acceptability": self.acceptability.tolist(),
            "frontier": [
                {"best": name, "share": float(share)}
                for name, share in zip(self.best, self.best_share, strict=True)
            ],
            "expected_loss": self.loss.tolist(),
            "net_benefit": self._benefits(net_monetary_benefit),
            "net_health_benefit": self._benefits(net_health_benefit),
            "information": [
                {"threshold": one.threshold, "evpi": one.evpi, "evppi": dict(one.evppi)}
                for one in self.information
            ],
            "tornado": {
                "outcome": self.outcome,
                "bars": [
                    {
                        "parameter": bar.parameter,
                        "low": bar.low,
                        "high": bar.high,
                        "at_low": bar.at_low,
                        "at_high": bar.at_high,
                    }
                    for bar in self.tornado
                ],
            },
            "threshold_price": self.price,
            "budget": [
                {
                    "year": one.year,
                    "people": one.people,
                    "by_sector": {sector.value: paid for sector, paid in one.by_sector.items()},
                    "total": one.total,
                    "insurance": one.insurance,
                }
                for one in self.budget
            ],
            "plane": self._plane(),
        }

    def _benefits(self, of: Callable[[Strategy, float], float]) -> list[list[float]]:
        """Return a row a threshold, a column a strategy, over the means of the draws."""
        means = {one.strategy.name: one.strategy for one in self.mean_case}
        named = [means[name] for name in self.model.strategies]
        return [[of(one, threshold) for one in named] for threshold in self.model.thresholds]

    def _plane(self) -> list[list[float]]:
        """Return pairs of incremental effect and cost, last strategy against the first."""
        effect = self.draws.effect[:PLANE_POINTS, -1] - self.draws.effect[:PLANE_POINTS, 0]
        cost = self.draws.cost[:PLANE_POINTS, -1] - self.draws.cost[:PLANE_POINTS, 0]
        return np.stack([effect, cost], axis=-1).tolist()  # type: ignore[no-any-return]


def analyse(model: Model, *, draws: int = 10_000, seed: int = 1) -> Analysis:
    """Return all results of a model.

    The tornado, the threshold price and the budget are of the last strategy against the
    first; thresholds at which they are looked at is the first of the model's.

    Raises
    ------
    UtilityRangeError, TransitionRowError, ModelValueError
        If a draw of a parameter makes no model, or more is asked for than can be computed.
    """
    _check_size(model, draws)
    values = draw_all(model.parameters, draws, seed=seed)
    check_values(values, model.value_set)
    drawn = simulate(values, model.strategies, model.horizon)
    best, shares = acceptability_frontier(drawn, model.thresholds)
    outcome, bars = tornado(model.parameters, lambda point: _increment(model, point))
    return Analysis(
        model=model,
        seed=seed,
        draws=drawn,
        base_case=frontier(_strategies(_at(model, _means(model)))),
        mean_case=frontier(_strategies(drawn)),
        acceptability=acceptability(drawn, model.thresholds),
        best=tuple(model.strategies[place] for place in best),
        best_share=shares,
        loss=expected_loss(drawn, model.thresholds),
        information=tuple(_groups(drawn, values, one) for one in model.thresholds),
        outcome=outcome,
        tornado=bars,
        price=_price(model),
        budget=budget_of(model),
    )


def _check_size(model: Model, draws: int) -> None:
    paths = draws * len(model.strategies)
    most = min(MAX_PATHS, MAX_STEPS // model.horizon.cycles)
    if paths > most:
        raise ModelValueError(
            name="strategies times draws",
            actual=paths,
            expected=f"at most {most} over these cycles",
        )


def _means(model: Model) -> dict[str, float]:
    return {name: one.mean for name, one in model.parameters.items()}


def _at(model: Model, point: Mapping[str, float]) -> Draws:
    """Return the model at one value of each parameter."""
    values = {name: np.array([value]) for name, value in point.items()}
    return simulate(values, model.strategies, model.horizon)


def _strategies(draws: Draws) -> list[Strategy]:
    return [
        Strategy(name, float(cost), float(effect))
        for name, cost, effect in zip(
            draws.strategies, draws.cost.mean(axis=0), draws.effect.mean(axis=0), strict=True
        )
    ]


def _increment(model: Model, point: Mapping[str, float]) -> float:
    """Return the last strategy's net benefit over the first's, at the first threshold."""
    (benefit,) = net_benefit(_at(model, point), model.thresholds[0])
    return float(benefit[-1] - benefit[0])


def _groups(draws: Draws, values: Mapping[str, Floats], threshold: float) -> Groups:
    benefit = net_benefit(draws, threshold)
    found = {
        name: evppi(benefit, np.stack([values[one] for one in members], axis=-1))
        for name, members in _members(draws.strategies).items()
        if any(np.ptp(values[one]) > 0 for one in members)
    }
    return Groups(threshold, evpi(benefit), found)


def _members(strategies: Sequence[str]) -> dict[str, list[str]]:
    accuracy = {f"accuracy:{one}": [sensitivity_of(one), specificity_of(one)] for one in strategies}
    return {
        **accuracy,
        "prevalence": ["prevalence"],
        "death": ["rate_death_well", "rate_death_treated", "rate_death_missed"],
        "course": ["rate_recovery", "rate_found"],
        "costs": ["cost_workup", "cost_well", "cost_treated", "cost_missed"],
        "utilities": ["utility_well", "utility_treated", "utility_missed"],
    }


def _price(model: Model) -> float | None:
    """Return up to which price of one examination the last strategy is worth it."""
    means, name = _means(model), price_of(model.strategies[-1])
    highest = MAX_PRICE_TIMES * max(1.0, *(means[price_of(one)] for one in model.strategies))
    return threshold_price(lambda price: _increment(model, {**means, name: price}), highest=highest)


def budget_of(model: Model) -> tuple[YearImpact, ...]:
    """Return what introducing the last strategy beside the first costs, and what it saves later."""
    if model.uptake is None:
        return ()
    values = {name: np.array([value]) for name, value in _means(model).items()}
    (now,) = tree_cost(values, model.strategies)
    increments = {model.sector: [float(now[-1] - now[0])] * YEARS}
    return budget_impact(model.uptake, increments, {Sector.HOSPITAL: _later(model, values)})


def _later(model: Model, values: Mapping[str, Floats]) -> list[float]:
    """Return what care costs more in each calendar year for all who were reached by then."""
    assert model.uptake is not None
    years = model.horizon.cycle_years
    cycles = min(model.horizon.cycles, int(np.ceil(YEARS / years)))
    cohort, rewards = cohort_of(values, model.strategies, years), rewards_of(values)
    ends = [float(((at[-1] - at[0]) * rewards.cost).sum()) for at in trace(cohort, cycles)]
    since = [0.0] * YEARS
    for cycle, (old, new) in enumerate(pairwise(ends)):
        for year in range(YEARS):
            since[year] += _shared(cycle * years, (cycle + 1) * years, year) * (old + new) / 2
    return [
        sum(model.uptake.reached(began) * since[year - began] for began in range(year + 1))
        for year in range(YEARS)
    ]


def _shared(start: float, end: float, year: int) -> float:
    """Return how much of a cycle, in years, falls into a calendar year, 0 the first."""
    return max(0.0, min(end, year + 1.0) - max(start, float(year)))
