"""The privacy book's rows in SQL, in any database that SQLAlchemy opens.

    books = Bookkeeper(SqlShelves(url))

SQLite locks when the transaction begins; elsewhere the tally's one row is locked
first, so that the next writer waits and then reads what the last one wrote.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import (
    CheckConstraint,
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    NullPool,
    String,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    event,
    insert,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError

from federation.domain.ids import Sha256
from federation.errors.registry import RegisterDatabaseError
from federation.privacy.bookkeeping import LedgerHead, Row, Shelf
from registry import sqlite

METADATA = MetaData()
ENTRIES = Table(
    "ledger_entries",
    METADATA,
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("dataset", String(80), nullable=False),
    Column("idx", Integer, nullable=False),
    Column("entry", Text, nullable=False),
    Column("digest", String(71), nullable=False),
    UniqueConstraint("dataset", "idx"),
)
TALLY = Table(
    "ledger_tally",
    METADATA,
    Column("one", Integer, CheckConstraint("one = 1"), primary_key=True, autoincrement=False),
    Column("entries", Integer, nullable=False),
    Column("head", String(71), nullable=False),
)

_FIRST = LedgerHead(0, Sha256.of(b""))


class SqlShelves:
    """The book's tables in one database; `url` is SQLAlchemy's."""

    def __init__(self, url: str) -> None:
        self._engine = _engine(url)
        try:
            self._make_tables()
        except RegisterDatabaseError:  # where another process makes them at the same moment
            self._make_tables()

    def _make_tables(self) -> None:
        with self._connection() as connection:
            METADATA.create_all(connection)
            if connection.execute(select(TALLY.c.one)).first() is None:
                values = {"one": 1, "entries": _FIRST.entries, "head": _FIRST.head}
                connection.execute(insert(TALLY).values(**values))

    @contextmanager
    def transaction(self) -> Iterator[Shelf]:
        """Lock the tally; leaving the block commits, an exception rolls back.

        Raises
        ------
        RegisterDatabaseError
            If the database cannot be read or written.
        """
        with self._connection() as connection:
            connection.execute(select(TALLY.c.one).with_for_update())
            yield _SqlShelf(connection)

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            raise RegisterDatabaseError(why=type(error).__name__) from error


class _SqlShelf:
    """The rows inside one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def rows(self) -> Sequence[Row]:
        columns = (ENTRIES.c.dataset, ENTRIES.c.idx, ENTRIES.c.entry, ENTRIES.c.digest)
        found = self._connection.execute(select(*columns).order_by(ENTRIES.c.place))
        return [Row(dataset, index, entry, digest) for dataset, index, entry, digest in found]

    def tally(self) -> LedgerHead | None:
        entries, head = self._connection.execute(select(TALLY.c.entries, TALLY.c.head)).one()
        return LedgerHead(entries, Sha256(head))

    def add(self, row: Row, tally: LedgerHead) -> None:
        values = {
            "place": tally.entries - 1,
            "dataset": row.dataset,
            "idx": row.index,
            "entry": row.entry,
            "digest": row.digest,
        }
        self._connection.execute(insert(ENTRIES).values(**values))
        self._connection.execute(update(TALLY).values(entries=tally.entries, head=tally.head))


def _engine(url: str) -> Engine:
    engine = create_engine(url, poolclass=NullPool, hide_parameters=True)
    if engine.dialect.name != "sqlite":
        return engine
    event.listen(engine, "connect", sqlite.prepare)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
