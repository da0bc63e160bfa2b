"""Turn events into an epsilon, by two accountants at once.

The only module that knows dp-accounting. The Renyi accountant works at fixed
orders, so it also stays right when later plans depend on earlier results
(Feldman & Zrnic 2021); the privacy loss distribution (PLD) is the tighter one
for plans fixed beforehand. Both are shown; the larger one binds.

Imports numpy and scipy through dp-accounting: import this module lazily.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import dp_accounting
import dp_accounting.rdp
import numpy as np
from dp_accounting.pld import privacy_loss_distribution as pld

from federation.errors.privacy import InvalidPrivacyEventError, PrivacyPlanUnreachableError
from federation.privacy.events import (
    DiscreteGaussian,
    Gaussian,
    PoissonSampledGaussian,
    PrivacyEvent,
)

RDP_ORDERS = (
    *(1 + step / 10 for step in range(1, 100)),
    *range(11, 64),
    *(80, 96, 128, 192, 256, 512, 1024),
)
"""Fixed for ever: a Renyi filter may not choose its orders by what it sees."""

POINTS_PER_SIGMA = 32
TAIL_SIGMAS = 14
LEAST_SAMPLED_NOISE = 0.05
"""With less noise than this the sampling is left out of the Renyi figure, which is safe."""

PLD_INTERVAL = 5e-4
"""Width of a privacy loss bucket; rounding is pessimistic, so any width is safe."""

PLD_EPSILON_LIMIT = 60.0
"""Beyond this Renyi epsilon the PLD is not computed: nothing there is a guarantee."""

MAX_NOISE_MULTIPLIER = 1e4
NOISE_RESOLUTION = 1e-3

_RELATION = dp_accounting.NeighboringRelation.ADD_OR_REMOVE_ONE


@dataclass(frozen=True, slots=True)
class Spent:
    """What events cost one patient, add/remove, at a given delta.

    Parameters
    ----------
    epsilon
        The larger of the two; it binds.
    accountant
        Which one that was.
    epsilon_rdp, epsilon_pld
        Both figures.
    """

    epsilon: float
    accountant: Literal["rdp", "pld"]
    epsilon_rdp: float
    epsilon_pld: float


def spent(events: Iterable[PrivacyEvent], delta: float) -> Spent:
    """Return what all the events cost together.

    Raises
    ------
    InvalidPrivacyEventError
        If delta is not in (0, 1).
    """
    _check_delta(delta)
    return _spent(_merged(events), delta)


def epsilon_of(events: Sequence[PrivacyEvent], delta: float) -> float:
    """Return the binding epsilon alone, as the privacy book wants it."""
    return spent(events, delta).epsilon


def smallest_noise(
    *,
    epsilon: float,
    delta: float,
    sample_rate: float,
    steps: int,
    besides: tuple[PrivacyEvent, ...] = (),
) -> float:
    """Return the smallest noise multiplier that keeps the steps within epsilon.

    Rounded up to `NOISE_RESOLUTION`; checked by both accountants. `besides` is what the
    same plan spends on other things, such as noisy counts.

    Raises
    ------
    PrivacyPlanUnreachableError
        If `MAX_NOISE_MULTIPLIER` is not enough.
    InvalidPrivacyEventError
        If a number is out of range.
    """
    _check_delta(delta)
    if not math.isfinite(epsilon) or epsilon <= 0:
        raise _invalid("epsilon", epsilon, "a finite number above 0")
    return _smallest_noise(epsilon, delta, sample_rate, steps, besides)


@lru_cache(maxsize=256)
def _smallest_noise(
    epsilon: float,
    delta: float,
    sample_rate: float,
    steps: int,
    besides: tuple[PrivacyEvent, ...],
) -> float:
    def plan(units: int) -> tuple[PrivacyEvent, ...]:
        return (PoissonSampledGaussian(units * NOISE_RESOLUTION, sample_rate, steps), *besides)

    def enough(units: int) -> bool:
        return _epsilon_rdp(plan(units), delta) <= epsilon

    most = round(MAX_NOISE_MULTIPLIER / NOISE_RESOLUTION)
    low, high = 0, round(1 / NOISE_RESOLUTION)
    while high < most and not enough(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    while high < most and spent(plan(high), delta).epsilon > epsilon:
        high += 1 + high // 100  # only where the PLD is the larger figure, which is rare
    if high >= most:
        raise PrivacyPlanUnreachableError(
            limit=f"{MAX_NOISE_MULTIPLIER:g}",
            steps=steps,
            rate=f"{sample_rate:.4g}",
            epsilon=f"{epsilon:g}",
            delta=f"{delta:g}",
        )
    return round(high * NOISE_RESOLUTION, 6)


def _merged(events: Iterable[PrivacyEvent]) -> tuple[PrivacyEvent, ...]:
    """Add up events with equal parameters; composition does not depend on the order."""
    sampled: Counter[tuple[float, float]] = Counter()
    discrete: Counter[float] = Counter()
    for event in events:
        match event:
            case PoissonSampledGaussian(noise, rate, steps):
                sampled[noise, rate] += steps
            case Gaussian(noise, count):
                sampled[noise, 1.0] += count
            case DiscreteGaussian(sigma, cells, count):
                discrete[sigma] += cells * count
    return (
        *(PoissonSampledGaussian(*key, steps) for key, steps in sorted(sampled.items())),
        *(DiscreteGaussian(sigma, 1, moves) for sigma, moves in sorted(discrete.items())),
    )


@lru_cache(maxsize=1024)
def _spent(events: tuple[PrivacyEvent, ...], delta: float) -> Spent:
    if not events:
        return Spent(0.0, "rdp", 0.0, 0.0)
    by_rdp = _epsilon_rdp(events, delta)
    by_pld = _epsilon_pld(events, delta) if by_rdp <= PLD_EPSILON_LIMIT else by_rdp
    return Spent(
        epsilon=max(by_rdp, by_pld),
        accountant="rdp" if by_rdp >= by_pld else "pld",
        epsilon_rdp=by_rdp,
        epsilon_pld=by_pld,
    )


@lru_cache(maxsize=4096)
def _rdp_of_one_step(noise_multiplier: float, sample_rate: float) -> tuple[float, ...]:
    """Return the Renyi divergence of one step at every order.

    By quadrature of A_alpha (Mironov, Talwar & Zhang 2019, section 3, whose
    direction is the larger of the two): dp-accounting 0.6 adds the series for
    fractional orders without its signs and gives up to half as much again.
    """
    if sample_rate == 1 or noise_multiplier < LEAST_SAMPLED_NOISE:
        return tuple(order / (2 * noise_multiplier**2) for order in RDP_ORDERS)
    return tuple(
        _log_moment(noise_multiplier, sample_rate, order) / (order - 1) for order in RDP_ORDERS
    )


def _log_moment(sigma: float, rate: float, order: float) -> float:
    """Return log E[(1 - q + q exp((2x - 1) / (2 sigma^2)))^order] over x ~ N(0, sigma^2).

    The trapezoid rule on an analytic integrand that vanishes at both ends: its
    error is far below rounding at this step.
    """
    step = sigma / POINTS_PER_SIGMA
    x = np.arange(-TAIL_SIGMAS * sigma, order + TAIL_SIGMAS * sigma, step)
    ratio = np.logaddexp(math.log1p(-rate), math.log(rate) + (2 * x - 1) / (2 * sigma**2))
    terms = order * ratio - x**2 / (2 * sigma**2)
    largest = float(terms.max())
    total = math.log(float(np.exp(terms - largest).sum()) * step)
    return max(0.0, largest + total - math.log(sigma * math.sqrt(2 * math.pi)))


def _epsilon_rdp(events: tuple[PrivacyEvent, ...], delta: float) -> float:
    total = [0.0] * len(RDP_ORDERS)
    for event in _merged(events):
        one, times = _rdp_of_one(event)
        total = [before + times * now for before, now in zip(total, one, strict=True)]
    return float(dp_accounting.rdp.compute_epsilon(RDP_ORDERS, total, delta)[0])


def _rdp_of_one(event: PrivacyEvent) -> tuple[tuple[float, ...], int]:
    """Return one step's Renyi divergence at every order, and how many steps there are."""
    match event:
        case PoissonSampledGaussian(noise, rate, steps):
            return _rdp_of_one_step(noise, rate), steps
        case Gaussian(noise, count):
            return _rdp_of_one_step(noise, 1.0), count
        case DiscreteGaussian(sigma, cells, count):  # CKS 2020, theorem 4: as the continuous one
            return _rdp_of_one_step(sigma, 1.0), cells * count


def _epsilon_pld(events: tuple[PrivacyEvent, ...], delta: float) -> float:
    total = pld.identity(value_discretization_interval=PLD_INTERVAL)
    for event in events:
        total = total.compose(_pld_of(event))
    return max(0.0, float(total.get_epsilon_for_delta(delta)))


def _pld_of(event: PrivacyEvent) -> pld.PrivacyLossDistribution:
    """Return the privacy loss distribution of all steps of an event as `_merged` gives it."""
    match event:
        case PoissonSampledGaussian(noise, rate, steps) if rate == 1:
            return _gaussian_pld(noise / math.sqrt(steps), 1.0)
        case PoissonSampledGaussian(noise, rate, steps):
            return _gaussian_pld(noise, rate).self_compose(steps)
        case DiscreteGaussian(sigma, cells, count):
            interval = PLD_INTERVAL
            one = pld.from_discrete_gaussian_mechanism(
                sigma, value_discretization_interval=interval
            )
            return one.self_compose(cells * count)
        case Gaussian(noise, count):
            return _gaussian_pld(noise / math.sqrt(count), 1.0)


def _gaussian_pld(noise: float, rate: float) -> pld.PrivacyLossDistribution:
    return pld.from_gaussian_mechanism(
        standard_deviation=noise,
        value_discretization_interval=PLD_INTERVAL,
        sampling_prob=rate,
        neighboring_relation=_RELATION,
    )


def _check_delta(delta: float) -> None:
    if not 0 < delta < 1:
        raise _invalid("delta", delta, "a number between 0 and 1, for example 1e-5")


def _invalid(field: str, value: float, expected: str) -> InvalidPrivacyEventError:
    return InvalidPrivacyEventError(
        kind="accountant", field=field, actual=f"{value!r}", expected=expected
    )
