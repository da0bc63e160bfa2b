"""Decide what is due: pure functions of records and a time.

A `Rule` says for one noun in some states when a move is due; `due` applies rules to
standing records. A rule without a move only reminds people.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from federation.wording import Text
from registry.records.ports import StoredRecord
from registry.records.shapes import Noun
from registry.records.statements import time_of


@dataclass(frozen=True, slots=True)
class Standing:
    """A record as it stands: its history, and the newest revisions that link to it."""

    history: Sequence[StoredRecord]
    linking: Sequence[StoredRecord] = ()

    @property
    def record(self) -> StoredRecord:
        """Return the newest revision."""
        return self.history[-1]

    def since(self, states: Collection[str]) -> datetime | None:
        """Return since when it is in any of these states, without a break; None if it is not."""
        began: datetime | None = None
        for record in self.history:
            if record.state not in states:
                began = None
            elif began is None:
                began = time_of(record.at)
        return began


@dataclass(frozen=True, slots=True)
class Rule:
    """When a record in one of `states` is due for a move.

    Parameters
    ----------
    noun
        Whose records.
    states
        The states it looks at; in others nothing is due.
    move
        The number of the clock's move, None to remind only.
    at
        Returns when it is due, None for never.
    reason
        Recorded with the move.
    linked_by
        The noun whose links `at` looks at, if any.
    """

    noun: Noun[Any]
    states: frozenset[str]
    move: str | None
    at: Callable[[Standing], datetime | None]
    reason: Text
    linked_by: str | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """One thing that is due: a move by the clock, or (None) a reminder to people."""

    rule: Rule
    id: str
    revision: int
    since: datetime

    @property
    def name(self) -> str:
        """Return the record's name, for reports."""
        return f"{self.rule.noun.name}/{self.id}"


def due(rule: Rule, records: Iterable[Standing], now: datetime) -> Iterator[Due]:
    """Yield what a rule asks for at `now`, in the order of the records."""
    for standing in records:
        record = standing.record
        if record.noun != rule.noun.name or record.state not in rule.states:
            continue
        at = rule.at(standing)
        if at is not None and at <= now:
            yield Due(rule, record.id, record.revision, at)
