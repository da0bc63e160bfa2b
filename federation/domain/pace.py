"""Measure how fast a site works and how fast its line is, from what the centre sees of it.

Counts of batches and bytes come in with each look; seconds per batch, bytes per
second and the longest gap between two movements come out. Recent rounds are
remembered and their median is believed, so that one bad round changes little.
"""

import statistics
from dataclasses import dataclass, replace

from federation.domain.ids import RunId

IDLE_BYTES_S = 1000.0
"""What an idle SuperNode's polls may amount to, in each direction."""

IDLE_BYTES = 4096
"""What may come at once without being part of a model."""

MEASURED_BYTES = 1 << 18
"""The fewest bytes that say something about a line's speed."""

RECENT = 5
"""How many rounds a pace remembers."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What the centre sees of a site at one look.

    `epoch` changes when the site's SuperNode or executor started anew; 0: not said.
    `bytes_in` and `bytes_out` count Flower's traffic from and to the site and may begin
    again from 0. `run` and `round` are those it works on, with its batches; an empty
    `run` says nothing.
    """

    connected: bool = False
    epoch: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    busy: bool = False
    run: str = ""
    round: int = 0
    batches_done: int = 0
    batches_total: int = 0

    @property
    def work(self) -> "Work":
        """Return what changes when the site gets on with something."""
        return self.busy, self.run, self.round, self.batches_done, self.batches_total


Work = tuple[bool, str, int, int, int]


@dataclass(frozen=True, slots=True)
class RoundPlan:
    """What a round asks. `kind` names the task; sizes are bytes that travel to and from a site."""

    run: RunId
    kind: str
    number: int
    quorum: int
    model_bytes: int
    reply_bytes: int


@dataclass(frozen=True, slots=True)
class Flow:
    """One direction of a site's traffic since it was asked.

    Polls trickle, models stream: what exceeds `IDLE_BYTES_S` fills `held`, and when
    that runs over, something moved. `streamed` bytes in `streaming_s` seconds are
    the line's measured speed.
    """

    counter: int
    at: float
    since: float
    total: int = 0
    held: float = 0.0
    streamed: float = 0.0
    streaming_s: float = 0.0

    @property
    def speed(self) -> float | None:
        """Return bytes a second, or None while too little came to tell."""
        if self.streamed < MEASURED_BYTES or self.streaming_s <= 0.0:
            return None
        return self.streamed / self.streaming_s

    def seen(self, counter: int, at: float) -> "tuple[Flow, bool]":
        """Return the flow after a look, and whether something moved."""
        came = counter - self.counter if counter >= self.counter else counter
        held = self.held + came - IDLE_BYTES_S * (at - self.at)
        now = replace(self, counter=counter, at=at, total=self.total + came, held=max(held, 0.0))
        if held <= 0.0:
            return replace(now, since=at), False
        return (now._measured(), True) if held > IDLE_BYTES else (now, False)

    def _measured(self) -> "Flow":
        took = self.at - self.since
        streamed = self.streamed + self.held + IDLE_BYTES_S * took
        return replace(
            self,
            held=0.0,
            since=self.at,
            streamed=streamed,
            streaming_s=self.streaming_s + took,
        )


@dataclass(frozen=True, slots=True)
class Steps:
    """The batches that a site was seen to do in this round."""

    done: int = 0
    total: int = 0
    first_at: float = 0.0
    first_done: int = 0
    at: float = 0.0

    @property
    def batch_s(self) -> float | None:
        """Return measured seconds per batch, or None before two looks differ."""
        did = self.done - self.first_done
        return (self.at - self.first_at) / did if did > 0 else None

    @property
    def left(self) -> int:
        """Return how many batches are still to do."""
        return max(self.total - self.done, 0)

    def seen(self, sight: Sight, at: float) -> "Steps":
        """Return the steps after a look at a site that works on this round."""
        if not self.total or sight.batches_done < self.done:  # begun, or begun anew
            return Steps(sight.batches_done, sight.batches_total, at, sight.batches_done, at)
        if sight.batches_done == self.done:
            return self
        return replace(self, done=sight.batches_done, total=sight.batches_total, at=at)


@dataclass(frozen=True, slots=True)
class Measured:
    """What a round showed of a site: its steps, its line, its longest gap in seconds."""

    steps: Steps
    incoming: Flow
    outgoing: Flow
    longest_gap_s: float


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a site was in its recent rounds of one kind, newest last.

    `batch_s`: seconds per batch. `batches`: batches in a round. `in_bytes_s`,
    `out_bytes_s`: speed of its line from and to it. `gap_s`: longest time in which
    nothing moved. A round that measured nothing adds nothing.
    """

    batch_s: tuple[float, ...] = ()
    batches: tuple[float, ...] = ()
    in_bytes_s: tuple[float, ...] = ()
    out_bytes_s: tuple[float, ...] = ()
    gap_s: tuple[float, ...] = ()

    def after(self, measured: Measured) -> "Pace":
        """Return the pace with one more round that ended in a reply."""
        return Pace(
            batch_s=_recent(self.batch_s, measured.steps.batch_s),
            batches=_recent(self.batches, measured.steps.total or None),
            in_bytes_s=_recent(self.in_bytes_s, measured.incoming.speed),
            out_bytes_s=_recent(self.out_bytes_s, measured.outgoing.speed),
            gap_s=_recent(self.gap_s, measured.longest_gap_s),
        )


def expected_s(pace: Pace, plan: RoundPlan) -> float | None:
    """Return how long a site is expected to take for a whole round; None if never measured."""
    incoming, outgoing = _usual(pace.in_bytes_s), _usual(pace.out_bytes_s)
    model = _over(plan.model_bytes, outgoing or incoming)
    return model + _training_s(pace) + _over(plan.reply_bytes, incoming or outgoing) or None


def left_s(pace: Pace, plan: RoundPlan, now: Measured) -> float:
    """Return the seconds that model, batches and update still to come will take.

    What was measured in this round counts before what is known from earlier ones. A
    direction of the line that was never measured is taken to be as fast as the other
    one; what else was never measured counts as nothing.
    """
    incoming = now.incoming.speed or _usual(pace.in_bytes_s)
    outgoing = now.outgoing.speed or _usual(pace.out_bytes_s)
    reply = _over(plan.reply_bytes - now.incoming.total, incoming or outgoing)
    if now.steps.total:
        batch_s = now.steps.batch_s or _usual(pace.batch_s) or 0.0
        return now.steps.left * batch_s + reply
    model = _over(plan.model_bytes - now.outgoing.total, outgoing or incoming)
    return model + _training_s(pace) + reply


def _training_s(pace: Pace) -> float:
    return (_usual(pace.batches) or 0.0) * (_usual(pace.batch_s) or 0.0)


def _over(size: int, speed: float | None) -> float:
    return max(size, 0) / speed if speed else 0.0


def _usual(values: tuple[float, ...]) -> float | None:
    return statistics.median(values) if values else None


def _recent(values: tuple[float, ...], newest: float | None) -> tuple[float, ...]:
    return values if newest is None else (*values, newest)[-RECENT:]
