"""The queue of launched studies: what people wish, and whose turn it is.

A study is put into the queue, its campaign is started, and around each round the
campaign takes a *turn* for the sites it asks. `grant` says who may have a turn:
it is pure, the numbers come from the database (`federation.operations.store.queue`).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from federation.domain.ids import SiteId, StudyId
from federation.domain.transitions import Transitions

LOWEST_PRIORITY, USUAL_PRIORITY, HIGHEST_PRIORITY = 0, 5, 9
PASSED_PER_STEP = 4
"""A study that was passed over this many times stands one priority higher, so nobody starves."""


class Wish(Enum):
    """What somebody asked for last.

    PAUSE and STOP let the round in flight end first; STOP_NOW gives it up. What a
    hospital has already spent on it stays spent.
    """

    GO_ON = "go-on"
    PAUSE = "pause"
    STOP = "stop"
    STOP_NOW = "stop-now"


class QueueState(Enum):
    """Where a launched study stands in the queue.

    WAITING: for its time, or for room. ACTIVE: its campaign runs, or is started
    again. PAUSED: a person paused it; its campaign, if it runs, ends its round
    and waits. ENDED: completed, failed or stopped.
    """

    WAITING = "waiting"
    ACTIVE = "active"
    PAUSED = "paused"
    ENDED = "ended"


QUEUE = Transitions(
    start=QueueState.WAITING,
    table={
        QueueState.WAITING: frozenset({QueueState.ACTIVE, QueueState.PAUSED, QueueState.ENDED}),
        QueueState.ACTIVE: frozenset({QueueState.PAUSED, QueueState.ENDED}),
        QueueState.PAUSED: frozenset({QueueState.WAITING, QueueState.ACTIVE, QueueState.ENDED}),
        QueueState.ENDED: frozenset({QueueState.WAITING}),
    },
)


@dataclass(frozen=True, slots=True)
class Limits:
    """How many rounds may be under way at once, and how many campaigns may run.

    Raises
    ------
    ValueError
        If a limit is below one: nothing would ever run.
    """

    per_site: int = 1
    per_centre: int = 4
    campaigns: int = 16

    def __post_init__(self) -> None:
        if min(self.per_site, self.per_centre, self.campaigns) < 1:
            raise ValueError("every limit is at least one")


@dataclass(frozen=True, slots=True)
class Claim:
    """A study that wants, or has, a turn for all of its round's sites at once.

    Parameters
    ----------
    ticket
        Its place in the order of asking; smaller came first.
    passed
        How many turns were given to others since it asked.
    """

    study: StudyId
    sites: frozenset[SiteId]
    priority: int = USUAL_PRIORITY
    ticket: int = 0
    passed: int = 0


def grant(
    waiting: Iterable[Claim],
    running: Sequence[Claim],
    limits: Limits,
    served: Mapping[StudyId, int],
) -> tuple[StudyId, ...]:
    """Return which of the waiting may have their turn now, best first.

    Priority first (growing while it is passed over), then whoever was served
    longest ago, then whoever asked first. A study gets all its sites or none. One
    that must wait keeps its places: a later one takes no site that it waits for.

    Parameters
    ----------
    served
        When each study had its last turn, as any growing number; never: not in it.
    """
    load = Counter(site for claim in running for site in claim.sites)
    granted: list[StudyId] = []
    for claim in in_order(waiting, served):
        has_room = len(running) + len(granted) < limits.per_centre
        if has_room and all(load[site] < limits.per_site for site in claim.sites):
            granted.append(claim.study)
        load.update(claim.sites)
    return tuple(granted)


def in_order(waiting: Iterable[Claim], served: Mapping[StudyId, int]) -> list[Claim]:
    """Return the waiting, first in line first."""
    return sorted(
        waiting,
        key=lambda claim: (
            -(claim.priority + claim.passed // PASSED_PER_STEP),
            served.get(claim.study, -1),
            claim.ticket,
            claim.study,
        ),
    )
