"""Keep the hospital's privacy book on disk, one SQLite file for all datasets.

The centre chooses a dataset's name, and the hospital's patients are the same under
any name: what may be spent is decided over all books of the file together.

Every operation is one immediate transaction: the chain is read and verified,
the rules of `federation.privacy.ledger` decide, the entry is written and synced.
Two processes can therefore not spend the same budget.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from federation.domain.ids import StudyId
from federation.privacy.events import PrivacyEvent
from federation.privacy.ledger import (
    Accountant,
    Book,
    Budget,
    Entry,
    EntryKind,
    check_affordable,
    verify_chain,
)

_SCHEMA = """CREATE TABLE IF NOT EXISTS entries (
    dataset TEXT NOT NULL, idx INTEGER NOT NULL, entry TEXT NOT NULL, digest TEXT NOT NULL,
    PRIMARY KEY (dataset, idx))"""


class LedgerStore:
    """The books of one hospital, by dataset name."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._transaction() as connection:
            connection.execute(_SCHEMA)

    def book(self, dataset: str) -> Book:
        """Return the verified book of a dataset; empty when nothing was ever spent.

        Raises
        ------
        LedgerChainBrokenError
            If the file was changed behind the platform's back.
        """
        with self._transaction() as connection:
            return _read(connection, dataset)

    def datasets(self) -> list[str]:
        """Return the names of the datasets that have a book."""
        with self._transaction() as connection:
            return _datasets(connection)

    def events(self, *, study: StudyId | None = None) -> tuple[PrivacyEvent, ...]:
        """Return every event that counts, of one study or of all, over all books.

        Raises
        ------
        LedgerChainBrokenError
            If the file was changed behind the platform's back.
        """
        with self._transaction() as connection:
            return _events(connection, study)

    def reserve(
        self,
        dataset: str,
        *,
        study: StudyId,
        key: str,
        events: Sequence[PrivacyEvent],
        budget: Budget,
        plan: Budget,
        accountant: Accountant,
        at: str,
    ) -> float:
        """Reserve events before a patient is touched; return epsilon including them.

        `budget` is for all that is in the file, `plan` for this study alone. A key
        that is already reserved with the same events costs nothing more: it is the
        same round asked again after a crash.

        Raises
        ------
        BudgetExceededError
            If one of the two does not allow it; nothing is written.
        LedgerEntryRefusedError
            If the key was settled before, or reserved for something else.
        """
        with self._transaction() as connection:
            book, wanted = _read(connection, dataset), tuple(events)
            if book.is_open(key, study=study, events=wanted):
                return accountant(_events(connection), budget.delta)
            own = (*_events(connection, study), *wanted)
            check_affordable(own, budget=plan, accountant=accountant)
            everything = (*_events(connection), *wanted)
            after = check_affordable(everything, budget=budget, accountant=accountant)
            entry = book.next_entry(
                EntryKind.RESERVED,
                dataset=dataset,
                study=study,
                key=key,
                events=wanted,
                at=at,
            )
            _append(connection, book, entry)
            return after

    def settle(self, dataset: str, *, study: StudyId, key: str, kind: EntryKind, at: str) -> None:
        """Commit or void a reservation.

        Raises
        ------
        LedgerEntryRefusedError
            If the key has no open reservation.
        """
        with self._transaction() as connection:
            book = _read(connection, dataset)
            entry = book.next_entry(kind, dataset=dataset, study=study, key=key, at=at)
            _append(connection, book, entry)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self._path, timeout=30, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        finally:
            connection.close()


def _datasets(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute("SELECT DISTINCT dataset FROM entries ORDER BY dataset")
    return [row[0] for row in rows]


def _events(
    connection: sqlite3.Connection, study: StudyId | None = None
) -> tuple[PrivacyEvent, ...]:
    books = [_read(connection, dataset) for dataset in _datasets(connection)]
    return tuple(event for book in books for event in book.events(study=study))


def _read(connection: sqlite3.Connection, dataset: str) -> Book:
    rows = connection.execute(
        "SELECT entry FROM entries WHERE dataset = ? ORDER BY idx", (dataset,)
    )
    return verify_chain(Entry.from_json(json.loads(row[0])) for row in rows)


def _append(connection: sqlite3.Connection, book: Book, entry: Entry) -> None:
    book.with_entry(entry)
    connection.execute(
        "INSERT INTO entries VALUES (?, ?, ?, ?)",
        (entry.dataset, entry.index, json.dumps(entry.as_json()), entry.digest),
    )
