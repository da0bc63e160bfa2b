"""Proportional hazards over hospitals: sums at each event time, Newton at the centre.

Cox 1972, ties by Breslow or Efron 1977. Sites agree on the grid of times; at the asked
coefficients each sends, for every time, the sums over who is at risk and over who had
the event. These tell of single cases where few are at risk, so they are summed only
under the rule (EVALUATION.md C.1): end the follow-up before that.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from federation.evaluation.regression import MaximumLikelihood, NewtonTerms, newton
from federation.evaluation.scores import binary
from federation.evaluation.sums import (
    AGREED,
    COUNTED,
    SUMMED,
    Counts,
    Floats,
    Sums,
    refuse_shape,
)
from federation.evaluation.suppression import CellRule
from federation.evaluation.survival import SurvivalTable, time_places

_MODEL = "Cox model"
_AT_ONCE = 1000
"""Cases whose squares are in memory at once; of many cases and covariates all are not."""


class Ties(Enum):
    """How events at the same time are counted."""

    BRESLOW = "breslow"
    EFRON = "efron"


@dataclass(frozen=True, eq=False)
class CoxSums(Sums):
    """One site's part of a Newton step, by time.

    Parameters
    ----------
    names, times, at
        Covariates (p,), grid (t,) and coefficients (p,), agreed.
    events, at_risk
        Counts, shape (t,).
    event_covariates
        Sum of the covariates of all events, shape (p,).
    risk0, risk1, risk2
        Sums of exp(xb), x exp(xb), x xᵀ exp(xb) over who is at risk: (t,), (t, p), (t, p, p).
    event0, event1, event2
        The same over who has the event at that time, for Efron.
    sites
        How many the sums are over.
    """

    kind = "cox"
    names: tuple[str, ...] = field(metadata=AGREED)
    times: Floats = field(metadata=AGREED)
    at: Floats = field(metadata=AGREED)
    events: Counts = field(metadata=COUNTED)
    at_risk: Counts = field(metadata=COUNTED)
    event_covariates: Floats = field(metadata=SUMMED)
    risk0: Floats = field(metadata=SUMMED)
    risk1: Floats = field(metadata=SUMMED)
    risk2: Floats = field(metadata=SUMMED)
    event0: Floats = field(metadata=SUMMED)
    event1: Floats = field(metadata=SUMMED)
    event2: Floats = field(metadata=SUMMED)
    sites: int = field(metadata=COUNTED)

    def check_shapes(self) -> None:
        """Raise SummaryInvalidError unless all fit the times and covariates."""
        t, p = len(self.times), len(self.names)
        wanted: dict[str, tuple[int, ...]] = {
            "events": (t,),
            "at_risk": (t,),
            "at": (p,),
            "event_covariates": (p,),
        }
        for part in ("risk", "event"):
            wanted |= {f"{part}0": (t,), f"{part}1": (t, p), f"{part}2": (t, p, p)}
        for name, shape in wanted.items():
            if np.shape(getattr(self, name)) != shape:
                raise refuse_shape(name, f"shape {shape}")


def cox_sums(
    names: tuple[str, ...],
    design: Floats,
    time_on_grid: Floats,
    event: NDArray[np.generic],
    times: Floats,
    at: Floats,
) -> CoxSums:
    """Return a site's sums at the coefficients `at`; `design` has shape (n, p).

    Raises
    ------
    TimesInvalidError
        If a time is missing, negative or not on the grid.
    NotBinaryError
        If an event is neither 0 nor 1.
    """
    place, happened = time_places(time_on_grid, times), binary("event", event)
    size, hazard = len(times), np.exp(np.clip(design @ at, -300, 300))
    leaving = _by_time(design, hazard, place, size)
    ending = _by_time(design[happened], hazard[happened], place[happened], size)
    return _sums(
        names,
        np.asarray(times, dtype=np.float64),
        np.asarray(at, dtype=np.float64),
        events=np.bincount(place[happened], minlength=size),
        at_risk=_from_here_on(np.bincount(place, minlength=size)),
        event_covariates=design[happened].sum(axis=0),
        risk=_Moments(*(_from_here_on(part) for part in leaving)),
        ending=ending,
    )


def fit_cox(
    ask: Callable[[Floats], CoxSums],
    names: tuple[str, ...],
    rule: CellRule,
    ties: Ties = Ties.EFRON,
) -> MaximumLikelihood:
    """Return the fit over sites; `ask` gives the sum over all of them at coefficients.

    Raises
    ------
    SumTooSmallError
        If it is over too few sites, or few are at risk at an event.
    CollinearError
        If the covariates repeat each other.
    NotConvergedError
        If it does not settle.
    """

    def guarded(at: Floats) -> CoxSums:
        sums = ask(at)
        rule.check_sum(sites=sums.sites, smallest=fewest_at_risk(sums))
        return sums

    return _fit(guarded, names, ties)


def fit_groups(table: SurvivalTable, ties: Ties = Ties.EFRON) -> MaximumLikelihood:
    """Return the fit whose covariate is the group, the first group being the reference.

    One pass: counts of events and losses by group say everything, so nothing more is
    asked of sites.

    Raises
    ------
    CollinearError
        If a group has nobody at risk when events happen.
    NotConvergedError
        If a group has no event at all.
    """
    return _fit(lambda at: _sums_of_groups(table, at), table.groups[1:], ties)


def _fit(ask: Callable[[Floats], CoxSums], names: tuple[str, ...], ties: Ties) -> MaximumLikelihood:
    return newton(lambda at: newton_terms(ask(at), ties), names, _MODEL)


def fewest_at_risk(sums: CoxSums) -> int:
    """Return how many are at risk at the last event, 0 if there is no event."""
    at_events = sums.at_risk[sums.events > 0]
    return int(at_events.min()) if at_events.size else 0


def _sums_of_groups(table: SurvivalTable, at: Floats) -> CoxSums:
    """Return the sums of a model whose covariates are the groups after the first."""
    design = np.vstack([np.zeros(len(at)), np.eye(len(at))])
    hazard = np.exp(design @ at)
    return _sums(
        table.groups[1:],
        table.times,
        at,
        events=table.events.sum(axis=0),
        at_risk=table.at_risk.sum(axis=0),
        event_covariates=table.events.sum(axis=1) @ design,
        risk=_of_groups(table.at_risk, design, hazard),
        ending=_of_groups(table.events, design, hazard),
    )


class _Moments(NamedTuple):
    """Sums of exp(xb) times 1, x and x xᵀ by time: (t,), (t, p), (t, p, p)."""

    zero: Floats
    one: Floats
    two: Floats


def _sums(
    names: tuple[str, ...],
    times: Floats,
    at: Floats,
    *,
    events: Counts,
    at_risk: Counts,
    event_covariates: Floats,
    risk: _Moments,
    ending: _Moments,
) -> CoxSums:
    return CoxSums(
        names,
        times,
        at,
        events,
        at_risk,
        event_covariates,
        risk0=risk.zero,
        risk1=risk.one,
        risk2=risk.two,
        event0=ending.zero,
        event1=ending.one,
        event2=ending.two,
        sites=1,
    )


def _from_here_on(values: NDArray[Any]) -> NDArray[Any]:
    """Return sums over this time and all later ones, along the first axis."""
    return np.cumsum(values[::-1], axis=0)[::-1]


def _of_groups(counts: Counts, design: Floats, hazard: Floats) -> _Moments:
    """Return the moments of cases that are all like their group; counts (groups, t)."""
    squares = design[:, :, None] * design[:, None, :]
    return _Moments(
        counts.T @ hazard,
        counts.T @ (hazard[:, None] * design),
        np.einsum("gt,g,gpq->tpq", counts, hazard, squares),
    )


def _by_time(design: Floats, hazard: Floats, place: Counts, size: int) -> _Moments:
    """Return sums of exp(xb) times 1, x and x xᵀ at each time."""
    p = design.shape[1]
    zero, one, two = np.zeros(size), np.zeros((size, p)), np.zeros((size, p, p))
    np.add.at(zero, place, hazard)
    np.add.at(one, place, hazard[:, None] * design)
    for first in range(0, len(place), _AT_ONCE):
        some = slice(first, first + _AT_ONCE)
        outer = design[some, :, None] * design[some, None, :]
        np.add.at(two, place[some], hazard[some, None, None] * outer)
    return _Moments(zero, one, two)


def newton_terms(sums: CoxSums, ties: Ties) -> NewtonTerms:
    """Return a step of the partial likelihood: score, information and log-likelihood."""
    gradient, likelihood = sums.event_covariates.copy(), float(sums.event_covariates @ sums.at)
    information = np.zeros((len(sums.names), len(sums.names)))
    for time in np.flatnonzero(sums.events):
        deaths = int(sums.events[time])
        for event in range(deaths):
            share = event / deaths if ties is Ties.EFRON else 0.0
            s0 = sums.risk0[time] - share * sums.event0[time]
            mean = (sums.risk1[time] - share * sums.event1[time]) / s0
            second = (sums.risk2[time] - share * sums.event2[time]) / s0
            gradient -= mean
            information += second - np.outer(mean, mean)
            likelihood -= float(np.log(s0))
    return NewtonTerms(gradient, information, likelihood)
