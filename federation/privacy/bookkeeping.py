"""Apply the rules of the privacy book to whatever keeps it.

A store body is a `Shelf` inside a transaction; the rules are here, once, so that
a file, a database and memory cannot disagree. Every operation reads and verifies
everything under the store's lock, decides, and writes at most one row:

    books = Bookkeeper(MemoryShelves(), verify=officers_statement)
    books.reserve("chest", study=..., key="cxr.1/3", events=..., budget=..., plan=..., ...)
    books.settle("chest", study=..., key="cxr.1/3", kind=EntryKind.COMMITTED, at=...)

Besides the chain of each book one chain runs over all of them in the order of
writing. Its head is what two sides exchange, so that a book that lost its newest
entries is noticed (`check_follows`).
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Protocol, Self

from federation.domain.ids import RunId, Sha256, StudyId
from federation.errors.base import PlatformError
from federation.errors.ledger import (
    BudgetChangeRefusedError,
    LedgerChainBrokenError,
    LedgerRolledBackError,
)
from federation.evidence.statements import Statement
from federation.privacy.budget_change import BudgetChange
from federation.privacy.events import PrivacyEvent
from federation.privacy.ledger import (
    GENESIS,
    Accountant,
    Book,
    Budget,
    Entry,
    EntryKind,
    Limit,
    Scope,
    check_affordable,
    verify_chain,
)

Verify = Callable[[str], Statement]
"""Returns the statement in an envelope if the data officer signed it, or raises."""


@dataclass(frozen=True, slots=True)
class LedgerHead:
    """How long all books together are, and the digest over all of it."""

    entries: int
    head: Sha256


@dataclass(frozen=True, slots=True)
class Row:
    """An entry as stored: its book, its JSON text and its digest."""

    dataset: str
    index: int
    entry: str
    digest: str


@dataclass(frozen=True, slots=True)
class Released:
    """What one round of a study cost a dataset: under which key, by which events."""

    dataset: str
    study: StudyId
    key: str
    events: tuple[PrivacyEvent, ...]

    @classmethod
    def of_round(
        cls, dataset: str, study: StudyId, run: RunId, number: int, events: Sequence[PrivacyEvent]
    ) -> Self:
        """Return the release of one round of a run."""
        return cls(dataset, study, f"{run}/{number}", tuple(events))


class Shelf(Protocol):
    """The rows inside one transaction; append-only."""

    def rows(self) -> Sequence[Row]:
        """Return every row in the order of writing."""
        ...

    def tally(self) -> LedgerHead | None:
        """Return the head as last written, None where nothing ever was."""
        ...

    def add(self, row: Row, tally: LedgerHead) -> None:
        """Write one row and the new head."""
        ...


class Shelves(Protocol):
    """A store body: gives one transaction at a time, over threads and processes."""

    def transaction(self) -> AbstractContextManager[Shelf]:
        """Lock, and keep what was added when the block is left without an exception."""
        ...


@dataclass(frozen=True, slots=True)
class Library:
    """All books, verified, and the head after each entry, oldest first."""

    books: Mapping[str, Book]
    heads: tuple[Sha256, ...]

    @property
    def head(self) -> LedgerHead:
        """Return the head over all books."""
        return LedgerHead(len(self.heads), self.heads[-1] if self.heads else GENESIS)

    def book(self, dataset: str) -> Book:
        """Return a dataset's book; empty when nothing was ever written."""
        return self.books.get(dataset, Book())

    def events(
        self, *, study: StudyId | None = None, since: datetime | None = None
    ) -> tuple[PrivacyEvent, ...]:
        """Return every event that counts, over all books."""
        books = [self.books[dataset] for dataset in sorted(self.books)]
        return tuple(event for book in books for event in book.events(study=study, since=since))


class Bookkeeper:
    """The books of one hospital, or of one registry, by dataset name.

    Parameters
    ----------
    shelves
        What keeps the rows.
    verify
        Checks what the data officer signed. Without it a book that holds a signed
        budget is refused: an unread limit would be no limit.
    """

    def __init__(self, shelves: Shelves, *, verify: Verify | None = None) -> None:
        self._shelves = shelves
        self._verify = verify
        self._entered: Library | None = None

    def library(self) -> Library:
        """Return every book, verified.

        Raises
        ------
        LedgerChainBrokenError
            If anything was changed behind the platform's back.
        """
        with self._shelves.transaction() as shelf:
            return read_library(shelf)

    def book(self, dataset: str) -> Book:
        """Return the verified book of a dataset; raises as `library`."""
        return self.library().book(dataset)

    def datasets(self) -> list[str]:
        """Return the names of the datasets that have a book; raises as `library`."""
        return sorted(self.library().books)

    def events(self, *, study: StudyId | None = None) -> tuple[PrivacyEvent, ...]:
        """Return every event that counts, of one study or of all; raises as `library`."""
        return self.library().events(study=study)

    def head(self) -> LedgerHead:
        """Return the head over all books; raises as `library`."""
        return self.library().head

    def check_follows(self, old: LedgerHead) -> LedgerHead:
        """Return the present head if the books continue those of which `old` was the head.

        Raises
        ------
        LedgerRolledBackError
            If entries were dropped, or replaced by others.
        """
        found = self.library()
        heads = (GENESIS, *found.heads)
        if not 0 <= old.entries < len(heads) or heads[old.entries] != old.head:
            raise LedgerRolledBackError(expected=old.entries, actual=len(found.heads))
        return found.head

    def reserve(
        self,
        dataset: str,
        *,
        study: StudyId,
        key: str,
        events: Sequence[PrivacyEvent],
        budget: Budget,
        plan: Budget,
        limits: Sequence[Limit] = (),
        accountant: Accountant,
        at: str,
    ) -> float:
        """Reserve events before a patient is touched; return epsilon of all books with them.

        `budget` is for all that was ever spent here, `plan` for this study alone,
        `limits` are further ones, such as a year's; a budget the officer signed
        into this book holds besides. A key that is already reserved with the same
        events costs nothing more: it is the same round asked again after a crash.

        Raises
        ------
        BudgetExceededError
            If one limit does not allow it; nothing is written.
        LedgerEntryRefusedError
            If the key was settled before, or reserved for something else.
        BudgetChangeRefusedError
            If the book holds a budget that cannot be verified.
        LedgerClockError
            If the clock is behind the book.
        """
        with self._shelves.transaction() as shelf:
            found, wanted = read_library(shelf), tuple(events)
            book = found.book(dataset)
            if book.is_open(key, study=study, events=wanted):
                return accountant(found.events(), budget.delta)
            entry = book.next_entry(
                EntryKind.RESERVED, dataset=dataset, study=study, key=key, events=wanted, at=at
            )
            always = (Limit(Scope.STUDY, plan), Limit(Scope.HOSPITAL, budget))
            for limit in (*always, *limits, *self._signed_limits(dataset, book)):
                spent = _in_scope(found, limit, study=study, dataset=dataset, now=entry.moment)
                check_affordable((*spent, *wanted), budget=limit.budget, accountant=accountant)
            _append(shelf, found, entry)
            return accountant((*found.events(), *wanted), budget.delta)

    def settle(self, dataset: str, *, study: StudyId, key: str, kind: EntryKind, at: str) -> None:
        """Commit or void a reservation.

        Raises
        ------
        LedgerEntryRefusedError
            If the key has no open reservation.
        """
        self._write(kind, dataset, study=study, key=key, at=at)

    def enter(self, released: Iterable[Released], *, at: str) -> None:
        """Write down what was released already: reserved and committed, all in one step.

        Nobody asks whether it may be spent: it was. What stands committed with the same
        events is written no second time. Between two calls, books whose head is still
        the same are not read again; every other method reads them.

        Raises
        ------
        LedgerEntryRefusedError
            If a key stands for something else; nothing is written.
        LedgerClockError
            If the clock is behind the book; nothing is written.
        LedgerChainBrokenError
            If anything was changed behind the platform's back.
        """
        with self._shelves.transaction() as shelf:
            found = self._entered
            if found is None or found.head != shelf.tally():
                found = read_library(shelf)
            for one in released:
                found = _enter(shelf, found, one, at)
        self._entered = found

    def open_book(self, dataset: str, *, at: str) -> None:
        """Write the first entry of a dataset's book; one that has entries is left alone."""
        with self._shelves.transaction() as shelf:
            found = read_library(shelf)
            if found.book(dataset).entries:
                return
            entry = found.book(dataset).next_entry(EntryKind.OPENED, dataset=dataset, at=at)
            _append(shelf, found, entry)

    def close_book(self, dataset: str, *, at: str) -> None:
        """End a book: nothing can be reserved in it again, and what was spent goes on counting.

        Raises
        ------
        LedgerEntryRefusedError
            If it is closed already, or a reservation is open.
        """
        self._write(EntryKind.CLOSED, dataset, at=at)

    def change_budget(self, dataset: str, envelope: str, *, at: str) -> BudgetChange:
        """Write a budget that the data officer signed for this book as it stands.

        Raises
        ------
        BudgetChangeRefusedError
            If it is not signed by the officer, or is about another book or an
            older state of this one.
        """
        with self._shelves.transaction() as shelf:
            found = read_library(shelf)
            book = found.book(dataset)
            change = self._verified(envelope)
            if (change.dataset, change.head) != (dataset, book.head):
                raise BudgetChangeRefusedError(why="it was signed for another state of the book")
            kind = EntryKind.BUDGET_CHANGED
            entry = book.next_entry(kind, dataset=dataset, at=at, statement=envelope)
            _append(shelf, found, entry)
            return change

    def budget_of(self, dataset: str) -> BudgetChange | None:
        """Return the budget signed into a book, None where there is none.

        Raises
        ------
        BudgetChangeRefusedError
            If it cannot be verified.
        """
        statement = self.book(dataset).budget_statement
        return None if statement is None else self._verified(statement)

    def _signed_limits(self, dataset: str, book: Book) -> tuple[Limit, ...]:
        statement = book.budget_statement
        if statement is None:
            return ()
        change = self._verified(statement)
        if change.dataset != dataset:
            raise BudgetChangeRefusedError(why="the book holds the budget of another")
        return (change.limit,)

    def _verified(self, envelope: str) -> BudgetChange:
        if self._verify is None:
            raise BudgetChangeRefusedError(why="there is no officer's key to check it with")
        try:
            return BudgetChange.from_statement(self._verify(envelope))
        except BudgetChangeRefusedError:
            raise
        except PlatformError as error:
            raise BudgetChangeRefusedError(why=f"it does not verify ({error.code})") from error

    def _write(
        self,
        kind: EntryKind,
        dataset: str,
        *,
        study: StudyId | None = None,
        key: str = "",
        at: str,
    ) -> None:
        with self._shelves.transaction() as shelf:
            found = read_library(shelf)
            entry = found.book(dataset).next_entry(
                kind, dataset=dataset, study=study, key=key, at=at
            )
            _append(shelf, found, entry)


class MemoryShelves:
    """Rows in memory, for tests and for reading an exported book."""

    def __init__(self, rows: Sequence[Row] = ()) -> None:
        self._rows = list(rows)
        self._tally = LedgerHead(len(self._rows), _fold(self._rows)[-1]) if rows else None
        self._lock = Lock()

    @contextmanager
    def transaction(self) -> Iterator[Shelf]:
        """Lock; an exception undoes what was added."""
        with self._lock:
            draft = _MemoryShelf(list(self._rows), self._tally)
            yield draft
            self._rows, self._tally = draft.kept, draft.newest


@dataclass(slots=True)
class _MemoryShelf:
    kept: list[Row]
    newest: LedgerHead | None

    def rows(self) -> Sequence[Row]:
        return tuple(self.kept)

    def tally(self) -> LedgerHead | None:
        return self.newest

    def add(self, row: Row, tally: LedgerHead) -> None:
        self.kept.append(row)
        self.newest = tally


def read_library(shelf: Shelf) -> Library:
    """Return everything on a shelf, verified.

    Raises
    ------
    LedgerChainBrokenError
        If a row is not the entry it says, a chain is broken, or the rows are not
        as many as the tally says.
    """
    rows = shelf.rows()
    entries: dict[str, list[Entry]] = {}
    for row in rows:
        entries.setdefault(row.dataset, []).append(_entry_of(row))
    heads = _fold(rows)
    found = Library({name: verify_chain(listed) for name, listed in entries.items()}, heads)
    if (shelf.tally() or LedgerHead(0, GENESIS)) != found.head:
        why = "the number of entries, or their order"
        raise LedgerChainBrokenError(index=str(len(rows)), why=why)
    return found


def tally_of(rows: Sequence[Row]) -> LedgerHead:
    """Return the head over rows in the order of writing."""
    heads = _fold(rows)
    return LedgerHead(len(heads), heads[-1] if heads else GENESIS)


def _fold(rows: Sequence[Row]) -> tuple[Sha256, ...]:
    heads, head = [], GENESIS
    for row in rows:
        head = Sha256.of(f"{head}\n{row.digest}".encode())
        heads.append(head)
    return tuple(heads)


def _entry_of(row: Row) -> Entry:
    try:
        raw = json.loads(row.entry)
    except (ValueError, RecursionError) as error:
        raise LedgerChainBrokenError(index=str(row.index), why="not JSON") from error
    entry = Entry.from_json(raw)
    if (entry.dataset, entry.index, entry.digest) != (row.dataset, row.index, row.digest):
        raise LedgerChainBrokenError(index=str(row.index), why="its digest, book or place")
    return entry


def _enter(shelf: Shelf, found: Library, one: Released, at: str) -> Library:
    """Reserve and commit as far as that was not done; return the books with it."""
    book = found.book(one.dataset)
    standing = book.standing().get(one.key)
    is_same = standing is not None and (standing.study, standing.events) == (one.study, one.events)
    if is_same and book.state_of(one.key) is EntryKind.COMMITTED:
        return found
    if not is_same:
        found = _append(shelf, found, _entry_for(found, one, EntryKind.RESERVED, at))
    return _append(shelf, found, _entry_for(found, one, EntryKind.COMMITTED, at))


def _entry_for(found: Library, one: Released, kind: EntryKind, at: str) -> Entry:
    events = one.events if kind is EntryKind.RESERVED else ()
    return found.book(one.dataset).next_entry(
        kind, dataset=one.dataset, study=one.study, key=one.key, events=events, at=at
    )


def _append(shelf: Shelf, found: Library, entry: Entry) -> Library:
    """Write an entry; return the books with it."""
    book = found.book(entry.dataset).with_entry(entry)
    row = Row(entry.dataset, entry.index, json.dumps(entry.as_json()), entry.digest)
    head = Sha256.of(f"{found.head.head}\n{row.digest}".encode())
    shelf.add(row, LedgerHead(found.head.entries + 1, head))
    return Library({**found.books, entry.dataset: book}, (*found.heads, head))


def _in_scope(
    found: Library, limit: Limit, *, study: StudyId, dataset: str, now: datetime
) -> tuple[PrivacyEvent, ...]:
    since = limit.since(now)
    match limit.scope:
        case Scope.STUDY:
            return found.events(study=study, since=since)
        case Scope.DATASET:
            return found.book(dataset).events(since=since)
        case Scope.HOSPITAL:
            return found.events(since=since)
