"""The rules of the privacy book: what may be written, and what may be spent.

A book is a chain of entries about one dataset. A round *reserves* its events
before it may touch a patient, *commits* them when its update leaves, and may
*void* them only with proof that nothing left. Entries record events, never an
epsilon: epsilon is computed from all events that are reserved or committed, over
every study that used the dataset, because the patients are the same.

Pure: no file, no clock, no database. `clients/ledger_store.py` keeps the chain.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from federation.domain.ids import Sha256, StudyId
from federation.errors.ledger import (
    BudgetExceededError,
    LedgerChainBrokenError,
    LedgerEntryRefusedError,
)
from federation.privacy.events import PrivacyEvent, event_from_json

GENESIS = Sha256.of(b"")


class EntryKind(Enum):
    """What an entry says. Meanings never change; unknown kinds are refused."""

    RESERVED = "reserved"
    COMMITTED = "committed"
    VOIDED = "voided"


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be spent at most: epsilon at this delta, one patient added or removed."""

    epsilon: float
    delta: float


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the book.

    `key` names what was reserved, `run/round`; COMMITTED and VOIDED repeat the
    key of the reservation they settle and carry no events of their own.
    """

    index: int
    kind: EntryKind
    dataset: str
    study: StudyId
    key: str
    events: tuple[PrivacyEvent, ...]
    at: str
    previous: Sha256

    @property
    def digest(self) -> Sha256:
        """Return the content id over everything in the entry."""
        text = json.dumps(self.as_json(), sort_keys=True, separators=(",", ":"))
        return Sha256.of(text.encode())

    def as_json(self) -> dict[str, object]:
        """Return the entry as stored."""
        return {
            "index": self.index,
            "kind": self.kind.value,
            "dataset": self.dataset,
            "study": str(self.study),
            "key": self.key,
            "events": [event.as_json() for event in self.events],
            "at": self.at,
            "previous": str(self.previous),
        }

    @classmethod
    def from_json(cls, raw: dict[str, object]) -> "Entry":
        """Return the entry that `as_json` wrote.

        Raises
        ------
        LedgerChainBrokenError
            If a field is missing or unknown in kind.
        """
        try:
            events = tuple(event_from_json(item) for item in raw["events"])  # type: ignore[attr-defined]
            return cls(
                index=int(str(raw["index"])),
                kind=EntryKind(raw["kind"]),
                dataset=str(raw["dataset"]),
                study=StudyId(str(raw["study"])),
                key=str(raw["key"]),
                events=events,
                at=str(raw["at"]),
                previous=Sha256(str(raw["previous"])),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise LedgerChainBrokenError(
                index=str(raw.get("index", "?")), why=type(error).__name__
            ) from error


Accountant = Callable[[Sequence[PrivacyEvent], float], float]
"""Gives the epsilon of events at a delta."""


@dataclass(frozen=True, slots=True)
class Book:
    """A verified chain of entries, oldest first."""

    entries: tuple[Entry, ...] = ()

    @property
    def head(self) -> Sha256:
        """Return the digest of the newest entry."""
        return self.entries[-1].digest if self.entries else GENESIS

    def state_of(self, key: str) -> EntryKind | None:
        """Return what last happened to a key, or None when it was never reserved."""
        states = [entry.kind for entry in self.entries if entry.key == key]
        return states[-1] if states else None

    def events(self, *, study: StudyId | None = None) -> tuple[PrivacyEvent, ...]:
        """Return every event that counts: reserved or committed, not voided.

        A reservation whose fate is unknown after a crash counts as spent.
        """
        standing: dict[str, tuple[PrivacyEvent, ...]] = {}
        for entry in self.entries:
            if entry.kind is EntryKind.VOIDED:
                standing.pop(entry.key, None)
            elif entry.kind is EntryKind.RESERVED and study in (None, entry.study):
                standing[entry.key] = entry.events
        return tuple(event for events in standing.values() for event in events)

    def is_open(self, key: str, *, study: StudyId, events: tuple[PrivacyEvent, ...]) -> bool:
        """Say whether what stands reserved under a key is exactly this."""
        last = next((entry for entry in reversed(self.entries) if entry.key == key), None)
        if last is None or last.kind is not EntryKind.RESERVED:
            return False
        return (last.study, last.events) == (study, events)

    def next_entry(
        self,
        kind: EntryKind,
        *,
        dataset: str,
        study: StudyId,
        key: str,
        events: tuple[PrivacyEvent, ...] = (),
        at: str,
    ) -> Entry:
        """Return the entry that may follow, chained to the head.

        Raises
        ------
        LedgerEntryRefusedError
            If a key is reserved twice, or settled without an open reservation.
        """
        current = self.state_of(key)
        if kind not in _MAY_FOLLOW[current]:
            raise LedgerEntryRefusedError(
                key=key, wanted=kind.value, current=current.value if current else "nothing"
            )
        return Entry(len(self.entries), kind, dataset, study, key, events, at, self.head)

    def with_entry(self, entry: Entry) -> "Book":
        """Return the book with one more entry, its link verified.

        Raises
        ------
        LedgerChainBrokenError
            If the entry does not continue this chain.
        """
        if entry.index != len(self.entries) or entry.previous != self.head:
            raise LedgerChainBrokenError(index=str(entry.index), why="it does not follow")
        return Book((*self.entries, entry))


def check_affordable(
    events: Iterable[PrivacyEvent], *, budget: Budget, accountant: Accountant
) -> float:
    """Return the epsilon of `events`, or refuse before anything is spent.

    Raises
    ------
    BudgetExceededError
        If they cost more than the budget, or their cost is not a number.
    """
    after = accountant(tuple(events), budget.delta)
    if not after <= budget.epsilon:
        raise BudgetExceededError(
            after=f"{after:.3f}", allowed=f"{budget.epsilon:.3f}", delta=f"{budget.delta:g}"
        )
    return after


_MAY_FOLLOW: dict[EntryKind | None, frozenset[EntryKind]] = {
    None: frozenset({EntryKind.RESERVED}),
    EntryKind.RESERVED: frozenset({EntryKind.COMMITTED, EntryKind.VOIDED}),
    EntryKind.VOIDED: frozenset({EntryKind.RESERVED}),
    EntryKind.COMMITTED: frozenset(),
}


def verify_chain(entries: Iterable[Entry]) -> Book:
    """Return the book of these entries, or raise at the first broken link.

    Raises
    ------
    LedgerChainBrokenError
        If an entry is missing, out of order or was changed.
    """
    listed = tuple(entries)
    head = GENESIS
    for index, entry in enumerate(listed):
        if entry.index != index or entry.previous != head:
            raise LedgerChainBrokenError(index=str(index), why="the link to the line before")
        head = entry.digest
    return Book(listed)
