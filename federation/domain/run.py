"""A run of a study and its rounds: what states they pass through."""

from dataclasses import dataclass
from enum import Enum

from federation.domain.ids import RunId, Sha256, SiteId
from federation.domain.transitions import Transitions


class RunState(Enum):
    """Where a run stands."""

    PLANNED = "planned"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    STOPPED = "stopped"


RUN = Transitions(
    start=RunState.PLANNED,
    table={
        RunState.PLANNED: frozenset({RunState.RUNNING, RunState.FAILED, RunState.STOPPED}),
        RunState.RUNNING: frozenset({RunState.COMPLETED, RunState.FAILED, RunState.STOPPED}),
        RunState.COMPLETED: frozenset(),
        RunState.FAILED: frozenset(),
        RunState.STOPPED: frozenset(),
    },
)


class RoundState(Enum):
    """Where a round stands."""

    PLANNED = "planned"
    DISPATCHED = "dispatched"
    COLLECTING = "collecting"
    AGGREGATED = "aggregated"
    EVIDENCED = "evidenced"
    DONE = "done"
    FAILED = "failed"


ROUND = Transitions(
    start=RoundState.PLANNED,
    table={
        RoundState.PLANNED: frozenset({RoundState.DISPATCHED, RoundState.FAILED}),
        RoundState.DISPATCHED: frozenset({RoundState.COLLECTING, RoundState.FAILED}),
        RoundState.COLLECTING: frozenset({RoundState.AGGREGATED, RoundState.FAILED}),
        RoundState.AGGREGATED: frozenset({RoundState.EVIDENCED, RoundState.FAILED}),
        RoundState.EVIDENCED: frozenset({RoundState.DONE, RoundState.FAILED}),
        RoundState.DONE: frozenset(),
        RoundState.FAILED: frozenset(),
    },
)


@dataclass(frozen=True, slots=True)
class SiteReport:
    """What one site said of one round, without its arrays."""

    site: SiteId
    examples: int
    loss: float | None
    epsilon: float | None
    seconds: float
    update_digest: Sha256 | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A site's coded no, or the centre's coded no to a site."""

    site: SiteId
    code: str
    what: str


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """One finished round: who took part, who did not and why, and the result."""

    run: RunId
    number: int
    state: RoundState
    reports: tuple[SiteReport, ...]
    refusals: tuple[Refusal, ...]
    model_digest: Sha256 | None
    seconds: float
