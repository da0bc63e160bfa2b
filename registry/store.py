"""The SQL body of the store: SQLite by default, another database by its URL.

Tables are made and changed by the steps of `registry/migrations`, at start. Writers
queue: SQLite takes its write lock when a writing transaction begins, PostgreSQL locks
the log's table before the transaction's snapshot is taken, so what was read stays true
until it commits and none fails because another one came first. Who waits too long
fails with `WriteConflict`, and the service tries again. Readers never wait.
"""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, NullPool, create_engine, event, text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from federation.errors.registry import RegisterDatabaseError, RequestInvalidError
from registry import sqlite
from registry.accounts.rows import SqlAccountRows
from registry.audit.tables import SqlAuditTrail
from registry.evidence.tables import ENTRIES, SqlEvidenceLog
from registry.migrations import bring_up_to_date
from registry.models.tables import SqlModelVersions
from registry.ports import Transaction, WriteConflict
from registry.records.tables import SqlRecords

_KEPT_OPEN = 4
"""Connections to a server; making one costs more than a proof (benchmarks/registry.py)."""

_SQLITE_BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED")
_SQL_BUSY = frozenset({"40001", "40P01", "55P03"})  # serialization, deadlock, lock timeout


class SqlStore:
    """The registry's tables in one database; `url` is SQLAlchemy's."""

    def __init__(self, url: str) -> None:
        self._engine = _engine(url)
        weakref.finalize(self, self._engine.dispose)
        try:
            bring_up_to_date(self._engine)
        except DBAPIError as error:
            raise RegisterDatabaseError(why=type(error).__name__) from error

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """Open a transaction that commits on leaving."""
        with self._transaction(writing=True) as connection:
            yield _nouns(connection)

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """Open one consistent view."""
        with self._transaction(writing=False) as connection:
            yield _nouns(connection)

    @contextmanager
    def _transaction(self, *, writing: bool) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                connection = connection.execution_options(writing=writing)
                with connection.begin() as transaction:
                    if writing:
                        _take_turn(connection)
                    yield connection
                    if not writing:
                        transaction.rollback()
        except DataError as error:
            raise RequestInvalidError(why="text or a number that no record can hold") from error
        except DBAPIError as error:
            if _is_conflict(error):
                raise WriteConflict from error
            raise RegisterDatabaseError(why=type(error).__name__) from error


def _take_turn(connection: Connection) -> None:
    """Wait for the other writers; a lock takes no snapshot (PostgreSQL, "LOCK", Notes)."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SET LOCAL lock_timeout = {sqlite.LOCK_WAIT_MS}"))
        connection.execute(text(f"LOCK TABLE {ENTRIES.name} IN EXCLUSIVE MODE"))


def _is_conflict(error: DBAPIError) -> bool:
    """Say whether another writer was in the way, so that a second try may do better."""
    if isinstance(error, IntegrityError):
        return True
    code = getattr(error.orig, "sqlite_errorname", "")
    return code.startswith(_SQLITE_BUSY) or getattr(error.orig, "sqlstate", "") in _SQL_BUSY


def _nouns(connection: Connection) -> Transaction:
    return Transaction(
        SqlModelVersions(connection),
        SqlEvidenceLog(connection),
        SqlAuditTrail(connection),
        SqlRecords(connection),
        SqlAccountRows(connection),
    )


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(
            url,
            isolation_level="REPEATABLE READ",
            hide_parameters=True,
            pool_pre_ping=True,
            pool_size=_KEPT_OPEN,
            max_overflow=-1,  # who comes waits for the lock, not for a connection
        )
    engine = create_engine(url, poolclass=NullPool)
    event.listen(engine, "connect", sqlite.prepare)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().get("writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
