"""The rules of the privacy book: what may be written, and what may be spent.

A book is a chain of entries about one dataset. A round *reserves* its events
before it may touch a patient, *commits* them when its update leaves, and may
*void* them only with proof that nothing left. Entries record events, never an
epsilon: epsilon is computed from all events that are reserved or committed, over
every study that used the dataset, because the patients are the same.

Pure: no file, no clock, no database. `bookkeeping.py` applies the rules to a store.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from federation.domain.ids import Sha256, StudyId
from federation.errors.base import PlatformError
from federation.errors.ledger import (
    BudgetExceededError,
    LedgerChainBrokenError,
    LedgerClockError,
    LedgerEntryRefusedError,
)
from federation.privacy.events import PrivacyEvent, event_from_json

GENESIS = Sha256.of(b"")

CLOCK_SLACK = timedelta(minutes=5)
"""So much may a clock be set back between two entries, as time servers do."""

OF_THE_BOOK = ""
"""The key of entries about the book itself."""


class EntryKind(Enum):
    """What an entry says. Meanings never change; unknown kinds are refused.

    OPENED and CLOSED are a book's first and last entry, where it has them: what
    was spent in a closed book goes on counting. BUDGET_CHANGED carries what the
    data officer signed.
    """

    OPENED = "opened"
    RESERVED = "reserved"
    COMMITTED = "committed"
    VOIDED = "voided"
    BUDGET_CHANGED = "budget-changed"
    CLOSED = "closed"


_OF_A_ROUND = frozenset({EntryKind.RESERVED, EntryKind.COMMITTED, EntryKind.VOIDED})


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be spent at most: epsilon at this delta, one patient added or removed."""

    epsilon: float
    delta: float


class Scope(Enum):
    """Whose events a limit adds up."""

    STUDY = "study"
    DATASET = "dataset"
    HOSPITAL = "hospital"


@dataclass(frozen=True, slots=True)
class Limit:
    """A budget over what is in scope, in the last `days` days or, with None, ever.

    The period slides: no day exists on which an old one ends and all is new. What
    is dated after now, because the clock was wrong, counts in every period.
    """

    scope: Scope
    budget: Budget
    days: int | None = None

    def since(self, now: datetime) -> datetime | None:
        """Return when the period began that ends now; None for always."""
        return None if self.days is None else now - timedelta(days=self.days)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the book.

    `key` names what was reserved, `run/round`; COMMITTED and VOIDED repeat the
    key of the reservation they settle and carry no events of their own. Entries
    about the book itself have no study and the key `OF_THE_BOOK`. `at` is an ISO
    8601 time with its zone. `statement` is the officer's DSSE envelope of a
    BUDGET_CHANGED, empty for all others.
    """

    index: int
    kind: EntryKind
    dataset: str
    study: StudyId | None
    key: str
    events: tuple[PrivacyEvent, ...]
    at: str
    previous: Sha256
    statement: str = ""

    @property
    def digest(self) -> Sha256:
        """Return the content id over everything in the entry."""
        text = json.dumps(self.as_json(), sort_keys=True, separators=(",", ":"))
        return Sha256.of(text.encode())

    @property
    def moment(self) -> datetime:
        """Return `at` as a time.

        Raises
        ------
        LedgerChainBrokenError
            If it is not one, or has no zone.
        """
        try:
            moment = datetime.fromisoformat(self.at)
        except ValueError as error:
            raise LedgerChainBrokenError(index=str(self.index), why="its time") from error
        if moment.tzinfo is None:
            raise LedgerChainBrokenError(index=str(self.index), why="a time without a zone")
        return moment

    def as_json(self) -> dict[str, object]:
        """Return the entry as stored."""
        content: dict[str, object] = {
            "index": self.index,
            "kind": self.kind.value,
            "dataset": self.dataset,
            "study": None if self.study is None else str(self.study),
            "key": self.key,
            "events": [event.as_json() for event in self.events],
            "at": self.at,
            "previous": str(self.previous),
        }
        return content | ({"statement": self.statement} if self.statement else {})

    @classmethod
    def from_json(cls, raw: object) -> "Entry":
        """Return the entry that `as_json` wrote.

        Raises
        ------
        LedgerChainBrokenError
            If a field is missing, too many, or unknown in kind.
        """
        if not isinstance(raw, Mapping):
            raise LedgerChainBrokenError(index="?", why="not an entry")
        index = str(raw.get("index", "?"))[:12]
        if set(raw) - {"statement"} != _FIELDS:
            raise LedgerChainBrokenError(index=index, why="another set of fields")
        try:
            entry = cls(
                index=int(str(raw["index"])),
                kind=EntryKind(raw["kind"]),
                dataset=str(raw["dataset"]),
                study=None if raw["study"] is None else StudyId(str(raw["study"])),
                key=str(raw["key"]),
                events=tuple(event_from_json(item) for item in raw["events"]),
                at=str(raw["at"]),
                previous=Sha256(str(raw["previous"])),
                statement=str(raw.get("statement", "")),
            )
        except (TypeError, ValueError, PlatformError) as error:
            raise LedgerChainBrokenError(index=index, why=type(error).__name__) from error
        _check_form(entry)
        return entry


_FIELDS = frozenset({"index", "kind", "dataset", "study", "key", "events", "at", "previous"})

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

    @property
    def is_closed(self) -> bool:
        """Say whether nothing may be spent any more."""
        return bool(self.entries) and self.entries[-1].kind is EntryKind.CLOSED

    @property
    def budget_statement(self) -> str | None:
        """Return the newest budget the officer signed for this book, None where there is none."""
        signed = [one.statement for one in self.entries if one.kind is EntryKind.BUDGET_CHANGED]
        return signed[-1] if signed else None

    def state_of(self, key: str) -> EntryKind | None:
        """Return what last happened to a key, or None when it was never reserved."""
        states = [entry.kind for entry in self.entries if entry.key == key]
        return states[-1] if states else None

    def standing(self) -> dict[str, Entry]:
        """Return the reservations that count, by key: all that were not voided.

        A reservation whose fate is unknown after a crash counts as spent.
        """
        standing: dict[str, Entry] = {}
        for entry in self.entries:
            if entry.kind is EntryKind.VOIDED:
                standing.pop(entry.key, None)
            elif entry.kind is EntryKind.RESERVED:
                standing[entry.key] = entry
        return standing

    def events(
        self, *, study: StudyId | None = None, since: datetime | None = None
    ) -> tuple[PrivacyEvent, ...]:
        """Return every event that counts, of one study or all, since a time or ever."""
        return tuple(
            event
            for entry in self.standing().values()
            if study in (None, entry.study) and (since is None or entry.moment >= since)
            for event in entry.events
        )

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
        study: StudyId | None = None,
        key: str = OF_THE_BOOK,
        events: tuple[PrivacyEvent, ...] = (),
        at: str,
        statement: str = "",
    ) -> Entry:
        """Return the entry that may follow, chained to the head.

        Raises
        ------
        LedgerEntryRefusedError
            If a key is reserved twice, or settled without an open reservation; if
            the book is closed, or opened a second time.
        LedgerClockError
            If it reserves before the newest entry was written.
        """
        entry = Entry(
            len(self.entries), kind, dataset, study, key, events, at, self.head, statement
        )
        self._check_may_follow(entry)
        if kind is EntryKind.RESERVED:
            self._check_clock(entry)
        return entry

    def with_entry(self, entry: Entry) -> "Book":
        """Return the book with one more entry, its link and its place in the story verified.

        Raises
        ------
        LedgerChainBrokenError
            If the entry does not continue this chain.
        """
        if entry.index != len(self.entries) or entry.previous != self.head:
            why = "the link to the line before"
            raise LedgerChainBrokenError(index=str(entry.index), why=why)
        try:
            self._check_may_follow(entry)
        except LedgerEntryRefusedError as error:
            raise LedgerChainBrokenError(index=str(entry.index), why="it may not follow") from error
        return Book((*self.entries, entry))

    def _check_may_follow(self, entry: Entry) -> None:
        _check_form(entry)
        last, current = self.entries[-1].kind if self.entries else None, self.state_of(entry.key)
        if not _may_follow(entry.kind, last=last, current=current):
            of_key = current.value if current else "nothing"
            raise _refused(entry, "closed" if self.is_closed else of_key)
        if entry.kind is EntryKind.CLOSED and (unsettled := self._unsettled()):
            raise _refused(entry, f"{unsettled} open reservations")

    def _check_clock(self, entry: Entry) -> None:
        newest = max((one.moment for one in self.entries), default=None)
        if newest is not None and entry.moment < newest - CLOCK_SLACK:
            raise LedgerClockError(now=entry.at, newest=newest.isoformat())

    def _unsettled(self) -> int:
        states: dict[str, EntryKind] = {entry.key: entry.kind for entry in self.entries}
        return sum(state is EntryKind.RESERVED for state in states.values())


_MAY_FOLLOW: dict[EntryKind | None, frozenset[EntryKind]] = {
    None: frozenset({EntryKind.RESERVED}),
    EntryKind.RESERVED: frozenset({EntryKind.COMMITTED, EntryKind.VOIDED}),
    EntryKind.VOIDED: frozenset({EntryKind.RESERVED}),
    EntryKind.COMMITTED: frozenset(),
}


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


def verify_chain(entries: Iterable[Entry]) -> Book:
    """Return the book of these entries, or raise at the first broken link.

    Raises
    ------
    LedgerChainBrokenError
        If an entry is missing, out of order, was changed, or may not follow.
    """
    kept: list[Entry] = []
    states: dict[str, EntryKind] = {}
    head = GENESIS
    for index, entry in enumerate(entries):
        if entry.index != index or entry.previous != head:
            raise LedgerChainBrokenError(index=str(index), why="the link to the line before")
        _check_form(entry)
        last = kept[-1].kind if kept else None
        if not _may_follow(entry.kind, last=last, current=states.get(entry.key)):
            raise LedgerChainBrokenError(index=str(index), why="it may not follow")
        states[entry.key] = entry.kind
        head = entry.digest
        kept.append(entry)
    return Book(tuple(kept))


def _may_follow(kind: EntryKind, *, last: EntryKind | None, current: EntryKind | None) -> bool:
    """Say whether a kind may follow the book's last entry and the last one of its key."""
    if last is EntryKind.CLOSED or (kind is EntryKind.OPENED and last is not None):
        return False
    return kind not in _OF_A_ROUND or kind in _MAY_FOLLOW[current]


def _check_form(entry: Entry) -> None:
    """Refuse an entry whose fields do not belong to its kind."""
    of_a_round = entry.kind in _OF_A_ROUND
    fits = (
        (entry.study is not None) == of_a_round
        and (entry.key != OF_THE_BOOK) == of_a_round
        and (not entry.events or entry.kind is EntryKind.RESERVED)
        and bool(entry.statement) == (entry.kind is EntryKind.BUDGET_CHANGED)
    )
    if not fits:
        raise LedgerChainBrokenError(index=str(entry.index), why="fields of another kind")


def _refused(entry: Entry, current: str) -> LedgerEntryRefusedError:
    return LedgerEntryRefusedError(
        key=entry.key or entry.dataset, wanted=entry.kind.value, current=current
    )
