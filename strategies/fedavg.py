"""Decide who takes part in a round and what the sites' updates do to the model.

`Strategy` is the seam: whoever drives rounds (Prefect, a test, a replay) knows
these five methods and nothing else. `FedAvg` (McMahan et al. 2017) is its first
body; with `momentum` it is FedAvgM (Hsu, Qi & Brown 2019).

    strategy = FedAvg(size, seed=study.seed, weighting=Weighting.UNIFORM)
    chosen = strategy.select(connected, quorum=study.quorum, round_number=7)
    folding = strategy.begin()
    folding.fold(site, CheckedUpdate(update, site=site), examples=140)   # as each arrives
    outcome = folding.finish(model)
    checkpoint = strategy.state()
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Protocol

import numpy as np

from federation.domain.ids import SiteId
from federation.domain.study import Study
from federation.errors.core import InvalidValueError, UnreadableRecordError
from federation.errors.rounds import DuplicateReplyError, TooFewSitesError
from strategies.aggregation import CheckedUpdate, Flat, OrderFreeMean, StreamingMean

STATE_VERSION = 1

MOST_EXAMPLES = 500
"""No site weighs more than so many images; otherwise the largest drowns the others."""

MOST_SITES = 64
"""Sites for whose full weights the order-free grid is laid out. More sites fit too, as long as
their updates are not also unusually large."""


class Weighting(Enum):
    """How much a site counts in the mean."""

    EXAMPLES = "examples"
    UNIFORM = "uniform"


@dataclass(frozen=True, slots=True, eq=False)
class RoundOutcome:
    """What a round did to the model.

    Parameters
    ----------
    model
        The next model, flat float32, finite.
    folded
        The sites in the order their updates were added; a replay that adds them
        in this order gets the same bits.
    total_weight
        Sum of the weights.
    mean_norm
        L2 norm of the mean update; zero means that nothing was learned.
    """

    model: Flat
    folded: tuple[SiteId, ...]
    total_weight: float
    mean_norm: float


@dataclass(frozen=True, slots=True, eq=False)
class StrategyState:
    """What a strategy must find again after a restart: plain JSON and named flat arrays."""

    values: dict[str, object]
    arrays: dict[str, Flat] = field(default_factory=dict)


class Folding(Protocol):
    """One round's updates being combined; dropping it leaves the strategy as it was."""

    def fold(self, site: SiteId, update: CheckedUpdate, *, examples: int) -> None:
        """Add one site's update (the difference to the round's model)."""

    def finish(self, model: Flat) -> RoundOutcome:
        """Return the next model and advance the strategy."""


class Strategy(Protocol):
    """Selects sites, combines their updates, and survives a restart."""

    def select(
        self, available: Sequence[SiteId], *, quorum: int, round_number: int
    ) -> tuple[SiteId, ...]:
        """Return the sites to ask in this round, sorted."""

    def begin(self) -> Folding:
        """Return an empty folding for one round."""

    def state(self) -> StrategyState:
        """Return what a checkpoint must keep."""

    def restore(self, state: StrategyState) -> None:
        """Go on from a checkpoint of a strategy with the same options."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FedAvgOptions:
    """The choices of FedAvg.

    Parameters
    ----------
    seed
        Decides which sites are asked when `fraction` is below one.
    weighting
        UNIFORM under differential privacy, where a number of patients may not
        leave a site unprotected.
    most_examples
        A site counts as having at most so many, so that one large hospital
        cannot drown the others.
    fraction
        Part of the available sites asked in a round, in (0, 1].
    server_learning_rate, momentum
        next = model + server_learning_rate * velocity, where velocity =
        momentum * velocity + mean update. 1 and 0 are plain FedAvg.
    order_free
        Make the bits independent of the order of arrival (`OrderFreeMean`).

    Raises
    ------
    InvalidValueError
        If one is outside its range.
    """

    seed: int
    weighting: Weighting = Weighting.EXAMPLES
    most_examples: int = MOST_EXAMPLES
    fraction: float = 1.0
    server_learning_rate: float = 1.0
    momentum: float = 0.0
    order_free: bool = False

    def __post_init__(self) -> None:
        _check("most_examples", self.most_examples, self.most_examples >= 1, "1 or more")
        _check("fraction", self.fraction, 0 < self.fraction <= 1, "a number in (0, 1]")
        rate = self.server_learning_rate
        _check("server_learning_rate", rate, 0 < rate <= 100, "a number in (0, 100]")
        _check("momentum", self.momentum, 0 <= self.momentum < 1, "a number in [0, 1)")

    def as_json(self) -> dict[str, object]:
        """Return the choices as plain JSON."""
        return {**asdict(self), "weighting": self.weighting.value}


class FedAvg:
    """Federated averaging, with server learning rate and momentum.

    Parameters
    ----------
    size
        Number of parameters.
    options
        See `FedAvgOptions`.
    """

    def __init__(self, size: int, options: FedAvgOptions) -> None:
        self.size = size
        self.options = options
        self.rounds = 0
        self._velocity: Flat | None = None

    @classmethod
    def for_study(cls, study: Study, size: int) -> "FedAvg":
        """Return the strategy of a study: uniform weights where it is private."""
        weighting = Weighting.UNIFORM if study.privacy else Weighting.EXAMPLES
        return cls(size, FedAvgOptions(seed=study.seed, weighting=weighting))

    def select(
        self, available: Sequence[SiteId], *, quorum: int, round_number: int
    ) -> tuple[SiteId, ...]:
        """Return the sites to ask, sorted; the same for the same seed, round and sites.

        Raises
        ------
        TooFewSitesError
            If fewer than the quorum are available.
        """
        sites = set(available)
        if len(sites) < max(quorum, 1):
            raise TooFewSitesError(available=len(sites), quorum=max(quorum, 1))
        wanted = max(quorum, math.ceil(self.options.fraction * len(sites)))
        lot = sorted(sites, key=lambda site: _lot(self.options.seed, round_number, site))
        return tuple(sorted(lot[:wanted]))

    def begin(self) -> "FedAvgFolding":
        """Return an empty folding for one round."""
        return FedAvgFolding(self)

    def state(self) -> StrategyState:
        """Return what a checkpoint must keep: options, round counter, velocity."""
        values: dict[str, object] = {
            "strategy": "fedavg",
            "version": STATE_VERSION,
            "size": self.size,
            "rounds": self.rounds,
            "options": self.options.as_json(),
        }
        return StrategyState(values, {} if self._velocity is None else {"velocity": self._velocity})

    def restore(self, state: StrategyState) -> None:
        """Go on from a checkpoint; unchanged when it is refused.

        Raises
        ------
        UnreadableRecordError
            If it was made by another strategy, version, size or choice of options.
        UpdateNotFiniteError, UpdateFormError
            If its velocity is not a finite flat float32 array.
        """
        rounds = _rounds_of(state.values, self.state().values)
        velocity = _velocity_of(state.arrays, self.size)
        if (velocity is not None) != (self.options.momentum > 0 and rounds > 0):
            raise UnreadableRecordError(kind="strategy state", why="its arrays do not fit")
        self.rounds, self._velocity = rounds, velocity

    def advance(self, mean: Flat, model: Flat) -> Flat:
        """Return the next model, float32 of shape (size,), and count the round.

        `mean` is used up: without momentum the next model is built in its place.

        Raises
        ------
        UpdateNotFiniteError
            If the next model would not be finite; the strategy is unchanged.
        """
        keeps = self.options.momentum > 0
        velocity = mean
        if self._velocity is not None:
            velocity = self._velocity * np.float32(self.options.momentum)
            velocity += mean
        rate = np.float32(self.options.server_learning_rate)
        with np.errstate(over="ignore"):
            step = np.multiply(velocity, rate, out=None if keeps else velocity)
            step += model
        following = CheckedUpdate(step, site="the next model").values
        self._velocity = velocity if keeps else None
        self.rounds += 1
        return following


class FedAvgFolding:
    """One round of FedAvg: a weighted mean that grows as replies arrive."""

    def __init__(self, strategy: FedAvg) -> None:
        self._strategy = strategy
        self._mean = _empty_mean(strategy)
        self._folded: list[SiteId] = []

    def fold(self, site: SiteId, update: CheckedUpdate, *, examples: int) -> None:
        """Add one site's update; a refused one leaves the round as it was.

        Parameters
        ----------
        update
            The difference to the round's model, shape (size,).
        examples
            What the site trained on; ignored when weights are uniform.

        Raises
        ------
        DuplicateReplyError
            If this site was folded already.
        UpdateShapeError, UpdateTooLargeError, WeightInvalidError
            As `StreamingMean.add`.
        """
        if site in self._folded:
            raise DuplicateReplyError(site=site)
        self._mean.add(update, self._weight(examples))
        self._folded.append(site)

    def finish(self, model: Flat) -> RoundOutcome:
        """Return the next model and advance the strategy.

        Raises
        ------
        NothingToAggregateError
            If nothing was folded.
        UpdateFormError, UpdateShapeError
            If `model` is not a flat float32 array of the strategy's size.
        """
        current = CheckedUpdate(model, site="the current model").of_size(self._strategy.size)
        total = self._mean.total
        mean = self._mean.result()
        norm = CheckedUpdate(mean, site="the mean").norm
        following = self._strategy.advance(mean, current.values)
        return RoundOutcome(following, tuple(self._folded), total, norm)

    def _weight(self, examples: int) -> float:
        options = self._strategy.options
        if options.weighting is Weighting.UNIFORM:
            return 1.0
        return float(min(examples, options.most_examples))


def _empty_mean(strategy: FedAvg) -> StreamingMean | OrderFreeMean:
    options = strategy.options
    if not options.order_free:
        return StreamingMean(strategy.size)
    heaviest = 1 if options.weighting is Weighting.UNIFORM else options.most_examples
    return OrderFreeMean(strategy.size, ceiling=float(heaviest * MOST_SITES))


def _lot(seed: int, round_number: int, site: SiteId) -> bytes:
    return hashlib.sha256(f"{seed}/{round_number}/{site}".encode()).digest()


def _rounds_of(values: Mapping[str, object], own: Mapping[str, object]) -> int:
    rounds = values.get("rounds")
    if not isinstance(rounds, int) or isinstance(rounds, bool) or rounds < 0:
        raise UnreadableRecordError(kind="strategy state", why="it counts no rounds")
    for key in sorted(own.keys() | values.keys()):
        if key != "rounds" and values.get(key) != own.get(key):
            raise UnreadableRecordError(kind="strategy state", why=f"another {key}")
    return rounds


def _velocity_of(arrays: Mapping[str, Flat], size: int) -> Flat | None:
    if not arrays:
        return None
    if arrays.keys() != {"velocity"} or arrays["velocity"].size != size:
        raise UnreadableRecordError(kind="strategy state", why="its arrays do not fit")
    return CheckedUpdate(arrays["velocity"], site="the checkpoint").values


def _check(name: str, value: object, fine: bool, expected: str) -> None:
    if not fine:
        raise InvalidValueError(field=name, actual=value, expected=expected)
