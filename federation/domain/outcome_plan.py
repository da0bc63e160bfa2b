"""What an outcome study fixes before it runs: variables, time grid, analyses, how they are fitted.

Patients' outcomes lie in a table at each hospital; curves, hazard ratios, odds ratios and
weighted effects of all hospitals together are computed by sums. The protocol is part of
the study that hospitals approve (`Study.outcomes`), so nothing of it can change after
the approval or after a look at the data.

The rounds: one `prepare` (a key for the first sum), then the sums. Each sum takes every
fit one Newton step on, and its reply brings the key of the next one. All are over the
sites of the first.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from federation.domain.evaluation_plan import Peer

EDITION = 1
SQUARED = "^2"
"""Ends a covariate that is a variable's square."""


class Unit(Enum):
    """In what times are counted."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


class TiesBy(Enum):
    """How events at the same time are counted in a Cox model."""

    BRESLOW = "breslow"
    EFRON = "efron"


class Baseline(Enum):
    """Whether all hospitals share one baseline hazard, or each has its own.

    For a shared one sums at every time leave, masked; for one by hospital only the
    gradient and the information, of which no single patient can be read.
    """

    SHARED = "shared"
    BY_HOSPITAL = "by-hospital"


class Weights(Enum):
    """How patients are weighted by their propensity of being treated."""

    INVERSE = "inverse"
    STABILISED = "stabilised"
    OVERLAP = "overlap"


@dataclass(frozen=True, slots=True)
class Numeric:
    """A number with the bounds that every value lies within."""

    name: str
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Binary:
    """0 or 1."""

    name: str


@dataclass(frozen=True, slots=True)
class Category:
    """One of some words; the first is what the others are compared with."""

    name: str
    levels: tuple[str, ...]


Variable = Numeric | Binary | Category


@dataclass(frozen=True, slots=True)
class Clock:
    """The grid of times: 0, step, 2 step, ... to the end, in a unit.

    A time is rounded up to the grid; whoever is followed beyond the end is lost there.
    """

    unit: Unit
    step: float
    end: float

    @property
    def times(self) -> tuple[float, ...]:
        """Return the grid, ascending."""
        return tuple(place * self.step for place in range(round(self.end / self.step) + 1))


@dataclass(frozen=True, slots=True)
class Survival:
    """Kaplan-Meier by group (None: all together), log-rank, mean up to the horizon."""

    name: str
    group: str | None
    horizon: float


@dataclass(frozen=True, slots=True)
class Cox:
    """Proportional hazards of the time to the event."""

    name: str
    covariates: tuple[str, ...]
    ties: TiesBy
    baseline: Baseline


@dataclass(frozen=True, slots=True)
class Logistic:
    """Odds of a binary outcome."""

    name: str
    outcome: str
    covariates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Weighted:
    """Difference that a binary treatment makes, patients weighted by their propensity."""

    name: str
    treatment: str
    outcome: str
    covariates: tuple[str, ...]
    weights: Weights


Analysis = Survival | Cox | Logistic | Weighted
Fit = Cox | Logistic | Weighted


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds the numbers and the questions of the sums.

    Parameters
    ----------
    newton_rounds, tolerance
        How many steps each fit gets, and the largest last one of a fit that is settled,
        relative to the coefficient's size or 1.
    largest_coefficient
        Of covariates scaled to -1..1 by their bounds; beyond it no site answers.
    largest_weight
        Of one patient; beyond it no site answers.
    most_patients
        Of one site: what the numbers' scale is made for.
    smallest_cell
        k of the cell rule.
    """

    newton_rounds: int = 8
    tolerance: float = 1e-6
    largest_coefficient: float = 5.0
    largest_weight: float = 100.0
    most_patients: int = 100_000
    smallest_cell: int = 10


@dataclass(frozen=True, slots=True)
class OutcomePlan:
    """The protocol. `clock` is None where no analysis is of a time.

    `impact_study` names the study of the register whose record the result belongs to.
    """

    variables: tuple[Variable, ...]
    clock: Clock | None
    analyses: tuple[Analysis, ...]
    limits: Limits
    impact_study: str | None
    peers: tuple[Peer, ...]

    @property
    def smallest_cell(self) -> int:
        """Return k of the cell rule."""
        return self.limits.smallest_cell

    @property
    def fits(self) -> tuple[Fit, ...]:
        """Return the analyses that are fitted by steps, in their order."""
        return tuple(one for one in self.analyses if not isinstance(one, Survival))

    @property
    def fitting(self) -> int:
        """Return how many sums take the fits on; one where there are none."""
        return self.limits.newton_rounds if self.fits else 1

    @property
    def sums(self) -> int:
        """Return how many sums it takes: weighted effects need two after the propensity."""
        has_weights = any(isinstance(one, Weighted) for one in self.analyses)
        return self.fitting + (2 if has_weights else 0)

    @property
    def rounds(self) -> int:
        """Return how many rounds it takes."""
        return 1 + self.sums

    def variable(self, name: str) -> Variable:
        """Return a variable by its name; raises `KeyError` if there is none."""
        return {one.name: one for one in self.variables}[name]

    def step(self, number: int) -> "OutcomeStep":
        """Return what a round, counted from 1, asks; raises `IndexError` beyond the last."""
        if not 1 <= number <= self.rounds:
            raise IndexError(number)
        return OutcomeStep(number, self.rounds)


@dataclass(frozen=True, slots=True)
class OutcomeStep:
    """One round of an outcome study, of so many."""

    number: int
    rounds: int

    @property
    def is_sum(self) -> bool:
        """Say whether a sum is asked; else sites prepare."""
        return self.number > 1

    @property
    def sum(self) -> int:
        """Return which sum it is, from 1; 0 for `prepare`."""
        return self.number - 1

    @property
    def prepared(self) -> int:
        """Return in which round the keys of its sum were given."""
        return max(1, self.number - 1)

    @property
    def key_for(self) -> int | None:
        """Return for which sum the reply brings a key, by the round that gives it."""
        return self.number if self.number < self.rounds else None


def covariates_of(analysis: Analysis) -> tuple[str, ...]:
    """Return an analysis' covariates as the protocol names them."""
    return () if isinstance(analysis, Survival) else analysis.covariates


def variables_of(analysis: Analysis) -> Iterator[str]:
    """Yield the names of the variables that an analysis uses."""
    match analysis:
        case Survival(group=str(group)):
            yield group
        case Logistic(outcome=outcome):
            yield outcome
        case Weighted(treatment=treatment, outcome=outcome):
            yield from (treatment, outcome)
    yield from (one.removesuffix(SQUARED) for one in covariates_of(analysis))
