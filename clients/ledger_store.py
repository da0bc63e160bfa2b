"""Keep the hospital's privacy book on disk, one SQLite file for all datasets.

The centre chooses a dataset's name, and the hospital's patients are the same under
any name: what may be spent is decided over all books of the file together.

Every operation is one immediate transaction: all of it is read and verified, the
rules of `federation.privacy` decide, the entry is written and synced. Two processes
can therefore not spend the same budget. A file that was cut or changed is refused
with a code; one that is whole but old is found by `check_follows`.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from federation.domain.ids import Sha256
from federation.errors.ledger import LedgerBusyError, LedgerDamagedError
from federation.evidence.statements import PredicateType, Statement
from federation.evidence.verification import PublicKey, verify_envelope
from federation.privacy.bookkeeping import Bookkeeper, LedgerHead, Row, Shelf, Verify, tally_of
from federation.storage import no_room

_ENTRIES = """CREATE TABLE IF NOT EXISTS entries (
    dataset TEXT NOT NULL, idx INTEGER NOT NULL, entry TEXT NOT NULL, digest TEXT NOT NULL,
    PRIMARY KEY (dataset, idx))"""
_TALLY = """CREATE TABLE IF NOT EXISTS tally (
    one INTEGER PRIMARY KEY CHECK (one = 1), entries INTEGER NOT NULL, head TEXT NOT NULL)"""

WAIT_S = 30
_NEEDED_BYTES = 65_536
MOST_ENTRY_BYTES = 1 << 20


class LedgerStore(Bookkeeper):
    """The books of one hospital, in a file.

    Parameters
    ----------
    path
        The file; made where it is missing.
    officer
        Checks budgets that are signed into a book; a book with one is refused
        without it.
    """

    def __init__(self, path: Path, *, officer: PublicKey | None = None) -> None:
        super().__init__(_SqliteShelves(path), verify=_verifier(officer))


class _SqliteShelves:
    """One SQLite file; an immediate transaction is the lock between processes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._connection() as connection:
            _make_tables(connection)

    @contextmanager
    def transaction(self) -> Iterator[Shelf]:
        """Lock the file; leaving the block commits and syncs, an exception rolls back."""
        with self._connection() as connection:
            yield _SqliteShelf(connection)

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with _coded(self._path):
            connection = sqlite3.connect(self._path, timeout=WAIT_S, isolation_level=None)
            try:
                connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MOST_ENTRY_BYTES)
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=FULL")
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            finally:
                connection.close()


class _SqliteShelf:
    """The rows of the file inside one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def rows(self) -> Sequence[Row]:
        found = self._connection.execute(
            "SELECT dataset, idx, entry, digest FROM entries ORDER BY rowid"
        ).fetchall()
        return [_row(raw) for raw in found]

    def tally(self) -> LedgerHead | None:
        found = self._connection.execute("SELECT entries, head FROM tally").fetchone()
        return None if found is None else _head(found)

    def add(self, row: Row, tally: LedgerHead) -> None:
        values = (row.dataset, row.index, row.entry, row.digest)
        self._connection.execute("INSERT INTO entries VALUES (?, ?, ?, ?)", values)
        _write_tally(self._connection, tally)


def _make_tables(connection: sqlite3.Connection) -> None:
    """Make the tables; a file from before the tally gets one over what it holds."""
    names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    connection.execute(_ENTRIES)
    connection.execute(_TALLY)
    if "entries" in names and "tally" not in names:
        rows = _SqliteShelf(connection).rows()
        if rows:
            _write_tally(connection, tally_of(rows))


def _write_tally(connection: sqlite3.Connection, tally: LedgerHead) -> None:
    connection.execute("REPLACE INTO tally VALUES (1, ?, ?)", (tally.entries, tally.head))


def _row(raw: tuple[object, ...]) -> Row:
    match raw:
        case (str(dataset), int(index), str(entry), str(digest)):
            return Row(dataset, index, entry, digest)
    raise LedgerDamagedError(why="a row of another form")


def _head(raw: tuple[object, ...]) -> LedgerHead:
    match raw:
        case (int(entries), str(head)) if Sha256.pattern.fullmatch(head):
            return LedgerHead(entries, Sha256(head))
    raise LedgerDamagedError(why="a tally of another form")


@contextmanager
def _coded(path: Path) -> Iterator[None]:
    """Turn what SQLite says of a full disk, a lock or a damaged file into coded errors."""
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "") or type(error).__name__
        if name == "SQLITE_FULL":
            raise no_room(path.parent, _NEEDED_BYTES) from error
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise LedgerBusyError(seconds=WAIT_S) from error
        raise LedgerDamagedError(why=name) from error
    except UnicodeDecodeError as error:
        raise LedgerDamagedError(why="text that is not text") from error


def _verifier(officer: PublicKey | None) -> Verify | None:
    if officer is None:
        return None

    def verify(envelope: str) -> Statement:
        trusted = {officer.keyid: officer}
        return verify_envelope(envelope, trusted=trusted, expected=PredicateType.LEDGER)

    return verify
