"""Compare strategies: ICERs along the efficient frontier, strong and extended dominance.

A strategy is dominated (D) when another costs no more and does at least as much, one of
both strictly; of two that are equal in both, the first by name stays. It is extendedly
dominated (ED) when a mix of two others would do more for less, that is, when its ICER is
not below that of the next better one (Cantor 1994).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from federation.errors.economics import ModelValueError


class Standing(Enum):
    """Where a strategy stands; the codes are the literature's."""

    EFFICIENT = "ND"
    DOMINATED = "D"
    EXTENDEDLY_DOMINATED = "ED"


@dataclass(frozen=True, slots=True)
class Strategy:
    """What a strategy costs and does, both per person and discounted.

    Raises
    ------
    ModelValueError
        If a number is not finite.
    """

    name: str
    cost: float
    effect: float

    def __post_init__(self) -> None:
        for field in ("cost", "effect"):
            value = getattr(self, field)
            if not math.isfinite(value):
                raise ModelValueError(
                    name=f"{field} of {self.name}", actual=value, expected="a finite number"
                )


@dataclass(frozen=True, slots=True)
class Ranked:
    """A strategy on (or off) the frontier; increments are to the one before it on it."""

    strategy: Strategy
    standing: Standing
    incremental_cost: float | None = None
    incremental_effect: float | None = None

    @property
    def icer(self) -> float | None:
        """Return the cost of one more unit of effect; None for the first and off the frontier."""
        if self.incremental_cost is None or self.incremental_effect is None:
            return None
        return self.incremental_cost / self.incremental_effect

    def as_json(self) -> dict[str, object]:
        """Return the row as JSON."""
        return {
            "strategy": self.strategy.name,
            "cost": self.strategy.cost,
            "effect": self.strategy.effect,
            "standing": self.standing.value,
            "incremental_cost": self.incremental_cost,
            "incremental_effect": self.incremental_effect,
            "icer": self.icer,
        }


def frontier(strategies: Iterable[Strategy]) -> tuple[Ranked, ...]:
    """Return all strategies, the frontier first by cost, then the others by cost.

    Raises
    ------
    ModelValueError
        If there is none, or two have the same name.
    """
    given = sorted(strategies, key=lambda one: (one.cost, -one.effect, one.name))
    names = {one.name for one in given}
    if not given or len(names) != len(given):
        raise ModelValueError(
            name="strategies", actual=f"{len(given)}", expected="one or more, of different names"
        )
    strong, standing = _undominated(given)
    efficient, extended = _hull(strong)
    standing |= {one.name: Standing.EXTENDEDLY_DOMINATED for one in extended}
    off = [Ranked(one, standing[one.name]) for one in given if one not in efficient]
    return (*_ladder(efficient), *off)


def net_monetary_benefit(strategy: Strategy, threshold: float) -> float:
    """Return lambda E - C, in money per person."""
    return threshold * strategy.effect - strategy.cost


def net_health_benefit(strategy: Strategy, threshold: float) -> float:
    """Return E - C / lambda, in units of effect per person.

    Raises
    ------
    ModelValueError
        If the threshold is not above zero.
    """
    if not threshold > 0:
        raise ModelValueError(name="threshold", actual=threshold, expected="above zero")
    return strategy.effect - strategy.cost / threshold


def _undominated(given: Sequence[Strategy]) -> tuple[list[Strategy], dict[str, Standing]]:
    """Split strategies sorted by cost (ties: the better first)."""
    kept: list[Strategy] = []
    lost: dict[str, Standing] = {}
    for one in given:
        if kept and one.effect <= kept[-1].effect:
            lost[one.name] = Standing.DOMINATED
        else:
            kept.append(one)
    return kept, lost


def _hull(strong: Sequence[Strategy]) -> tuple[list[Strategy], list[Strategy]]:
    """Return those whose ICERs rise from step to step, and those that a mix beats."""
    kept: list[Strategy] = []
    beaten: list[Strategy] = []
    for one in strong:
        while len(kept) > 1 and _icer(kept[-2], kept[-1]) >= _icer(kept[-1], one):
            beaten.append(kept.pop())
        kept.append(one)
    return kept, beaten


def _icer(old: Strategy, new: Strategy) -> float:
    return (new.cost - old.cost) / (new.effect - old.effect)


def _ladder(efficient: Sequence[Strategy]) -> list[Ranked]:
    first, *rest = efficient
    ranked = [Ranked(first, Standing.EFFICIENT)]
    for old, new in zip(efficient, rest, strict=False):
        steps = (new.cost - old.cost, new.effect - old.effect)
        ranked.append(Ranked(new, Standing.EFFICIENT, *steps))
    return ranked
