"""A run of a study and its rounds: what states they pass through."""

from dataclasses import dataclass
from enum import Enum

from federation.domain.ids import RunId, SiteId
from federation.domain.transitions import Transitions


class RunState(Enum):
    """Where a run stands."""

    PLANNED = "planned"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    STOPPED = "stopped"


RUN = Transitions(
    start=RunState.PLANNED,
    table={
        RunState.PLANNED: frozenset({RunState.RUNNING, RunState.FAILED, RunState.STOPPED}),
        RunState.RUNNING: frozenset(
            {RunState.PAUSED, RunState.COMPLETED, RunState.FAILED, RunState.STOPPED}
        ),
        RunState.PAUSED: frozenset({RunState.RUNNING, RunState.FAILED, RunState.STOPPED}),
        RunState.COMPLETED: frozenset(),
        RunState.FAILED: frozenset(),
        RunState.STOPPED: frozenset(),
    },
)


class RoundState(Enum):
    """Where a round stands. Each step may be repeated after a crash at any line of it.

    PLANNED: what is asked of whom is written down. DISPATCHED: the tasks lie at the
    SuperLink. COLLECTING: at least one reply is kept. AGGREGATED: the checkpoint is
    kept. EVIDENCED: every reply is in the privacy book. DONE, FAILED: it is over.
    """

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


class RoundKind(Enum):
    """What a round of a run asks: an update, or how good the model is."""

    TRAIN = "train"
    EVALUATE = "evaluate"


@dataclass(frozen=True, slots=True)
class RoundKey:
    """Which round: of which run, of which kind, and its number from 1."""

    run: RunId
    kind: RoundKind
    number: int

    def __str__(self) -> str:
        return f"{self.run}/{self.kind.value}/{self.number}"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A site's coded no, or the centre's coded no to a site."""

    site: SiteId
    code: str
    what: str
