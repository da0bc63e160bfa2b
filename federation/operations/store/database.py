"""The centre's database: SQLite in its home by default, PostgreSQL by its URL.

    database = Database.of(home)                       # as centre.toml says
    with database.write(audit) as connection: ...      # commits with its audit event
    with database.read() as connection: ...
    database.attempt(audit, lambda connection: ...)    # the same, tried again while it may help

Every table of the centre is registered in `METADATA`; the files beside this one
declare theirs and are the only ones that name them.

**What a commit means.** `write` returns after the database's own fsync (SQLite:
write-ahead log with synchronous=FULL; PostgreSQL: its defaults). What returned is
there after kill -9 or a power cut; what raised `StoreUnavailableError` is not
there and may be repeated. Only when the connection breaks *at* the commit is the
answer not known at once: PostgreSQL is then asked what became of the transaction,
and `CommitUnknownError` is raised when it cannot be asked. Writers queue, also at
PostgreSQL: what a transaction has read stays true until it commits, and none fails
half-way because another one came first.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    insert,
    select,
    text,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from federation.domain.audit import AuditEvent
from federation.errors.storage import (
    CommitUnknownError,
    DatabaseSettingError,
    StoreUnavailableError,
)
from federation.operations.store.conditions import as_coded
from federation.storage import switch_to_wal
from federation.wording import Text

if TYPE_CHECKING:
    from federation.coordinator.home import CentreHome

Result = TypeVar("Result")

METADATA = MetaData()

BUSY_WAIT_MS = 30_000
"""How long a writer waits for another one."""

CONNECT_WAIT_S = 10
"""How long PostgreSQL may take to let us in."""

RESOLVE_S = 10.0
"""How long to ask PostgreSQL what became of a commit whose answer was lost."""

PATIENCE_S = 30.0
"""How long `attempt` tries before it gives up."""

_WRITER_LOCK = 7_420_107
"""The number that writers at PostgreSQL queue for; any constant of our own."""

_QUEUE = text(
    "SELECT set_config('lock_timeout', :wait, true),"
    " set_config('idle_in_transaction_session_timeout', :idle, true)"
)
_TAKE = text("SELECT pg_advisory_xact_lock(:number)")

_KEEPALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
"""A server whose machine vanished is noticed after 25 s, not after two hours."""

_PAUSES_S = (0.05, 0.1, 0.2, 0.5, 1.0)

_AUDIT = Table(
    "audit",
    METADATA,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("kind", String(40), nullable=False),
    Column("actor", String(80), nullable=False),
    Column("subject", String(120), nullable=False),
    Column("at", String(40), nullable=False),
    Column("details", JSON, nullable=False),
)


class Database:
    """One database of one centre; safe to share between threads, not across a fork.

    Raises
    ------
    DatabaseSettingError
        If the URL is not understood or its driver is not installed.
    """

    def __init__(self, url: str) -> None:
        self._engine = _engine(url)
        self._writing: dict[str, Any] = {"writing": True}
        self._reading: dict[str, Any] = {"writing": False}
        if self._engine.dialect.name == "postgresql":
            self._reading["isolation_level"] = "REPEATABLE READ"

    @classmethod
    def of(cls, home: "CentreHome") -> Self:
        """Return the database that a centre's settings name; raises as they do."""
        return cls(home.database_url)

    @classmethod
    def at(cls, path: Path) -> Self:
        """Return the database in a SQLite file."""
        return cls(f"sqlite:///{path}")

    def make_tables(self) -> None:
        """Make the tables that are not there yet; raises as `write`."""
        with self._transaction(writing=True) as connection:
            METADATA.create_all(connection)

    def close(self) -> None:
        """Let go of every connection."""
        self._engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection for reading: one consistent view.

        Raises
        ------
        StoreUnavailableError
            If the database does not answer; trying again may help.
        StoreDamagedError, StoreRefusedError
            If it never will.
        """
        with self._transaction(writing=False) as connection:
            yield connection

    @contextmanager
    def write(self, audit: AuditEvent) -> Iterator[Connection]:
        """Give a transaction that commits with its audit event, or not at all.

        Whatever the block raises undoes the transaction. A context manager cannot
        run its block again: use `attempt` for that.

        Raises
        ------
        StoreUnavailableError
            If the database does not answer or is kept busy; nothing was committed.
        CommitUnknownError
            If the connection was lost at the commit and PostgreSQL could not be
            asked what became of it (a `StoreUnavailableError` too: repeat the step
            if doing it twice is refused or changes nothing).
        StoreConflictError
            If a constraint of a table says no; nothing was committed.
        StoreDiskFullError
            If the database's disk is full (a `DiskFullError`); nothing was committed.
        StoreDamagedError, StoreRefusedError
            If it never will work; nothing was committed.
        """
        with self._transaction(writing=True) as connection:
            yield connection
            connection.execute(insert(_AUDIT).values(_audit_row(audit)))

    def attempt(
        self,
        audit: AuditEvent,
        work: Callable[[Connection], Result],
        *,
        patience_s: float = PATIENCE_S,
    ) -> Result:
        """Run `work` in one `write`, again while nothing was committed; return what it returns.

        Parameters
        ----------
        work
            Takes the connection; may run several times, its effects commit once.
        patience_s
            How long to go on trying.

        Raises
        ------
        StoreUnavailableError
            If the database did not come back in time; nothing was committed.
        CommitUnknownError
            At once: what was perhaps committed is not tried again here.
        StoreConflictError, StoreDiskFullError, StoreDamagedError, StoreRefusedError
            As `write`, at once.
        """
        end = time.monotonic() + patience_s
        for pause_s in _pauses():
            try:
                with self.write(audit) as connection:
                    result = work(connection)
            except CommitUnknownError:
                raise
            except StoreUnavailableError:
                if time.monotonic() + pause_s > end:
                    raise
                time.sleep(pause_s)
            else:
                return result
        raise AssertionError("the pauses never end")

    def audit_events(self) -> list[dict[str, object]]:
        """Return the audit trail, oldest first."""
        with self.read() as connection:
            rows = connection.execute(select(_AUDIT).order_by(_AUDIT.c.seq))
            return [dict(row._mapping) for row in rows]

    @contextmanager
    def _transaction(self, *, writing: bool) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                options = self._writing if writing else self._reading
                yield from self._committed(connection.execution_options(**options), writing)
        except DBAPIError as error:
            raise as_coded(error) from error

    def _committed(self, connection: Connection, writing: bool) -> Iterator[Connection]:
        """Give the connection inside a transaction; commit if writing, else undo."""
        transaction = connection.begin()
        try:
            yield connection
            if not writing:
                transaction.rollback()
                return
            number = _number_of(connection)
        except BaseException:
            transaction.rollback()
            raise
        try:
            transaction.commit()
        except DBAPIError as error:
            if number is None or not error.connection_invalidated:
                raise
            self._resolve(number, error)

    def _resolve(self, number: str, lost: DBAPIError) -> None:
        """Return if a transaction whose commit was not answered is there; else raise."""
        end = time.monotonic() + RESOLVE_S
        for pause_s in _pauses():
            status = self._status(number)
            if status == "committed":
                return
            if status == "aborted":
                raise StoreUnavailableError(condition="connection lost") from lost
            if time.monotonic() > end:
                raise CommitUnknownError(condition="connection lost") from lost
            time.sleep(pause_s)

    def _status(self, number: str) -> str | None:
        """Return what PostgreSQL says of a transaction, or None when it does not answer."""
        try:
            with self._engine.connect() as connection:
                asked = text("SELECT pg_xact_status(CAST(:number AS xid8))")
                return connection.execute(asked, {"number": number}).scalar()
        except DBAPIError:
            return None


def _pauses() -> Iterator[float]:
    yield from _PAUSES_S
    while True:
        yield _PAUSES_S[-1]


def _audit_row(audit: AuditEvent) -> dict[str, object]:
    return {
        "kind": audit.kind.value,
        "actor": audit.actor,
        "subject": audit.subject,
        "at": audit.at.isoformat(),
        "details": json.loads(json.dumps(audit.details)),
    }


def _number_of(connection: Connection) -> str | None:
    """Return PostgreSQL's number of this transaction; SQLite's commits are never in doubt."""
    if connection.dialect.name != "postgresql":
        return None
    asked = text("SELECT CAST(pg_current_xact_id_if_assigned() AS text)")
    return connection.execute(asked).scalar()


def _begin_postgresql(connection: Connection) -> None:
    """Let one writer in at a time, as SQLite does; one that hangs is thrown out by the server."""
    if not connection.get_execution_options().get("writing", False):
        return
    connection.execute(_QUEUE, {"wait": str(BUSY_WAIT_MS), "idle": str(2 * BUSY_WAIT_MS)})
    connection.execute(_TAKE, {"number": _WRITER_LOCK})


def _engine(url: str) -> Engine:
    arguments: dict[str, Any] = {"hide_parameters": True}
    if not url.startswith("sqlite"):
        arguments |= {
            "pool_pre_ping": True,
            "connect_args": {"connect_timeout": CONNECT_WAIT_S, **_KEEPALIVE},
        }
    try:
        engine = create_engine(url, **arguments)
    except ArgumentError as error:
        why = Text(en="the URL is not understood", zh="無法理解 URL")
        raise DatabaseSettingError(why=why) from error
    except (NoSuchModuleError, ImportError) as error:
        why = Text(en="the driver psycopg is not installed", zh="未安裝 psycopg 驅動程式")
        raise DatabaseSettingError(why=why) from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        event.listen(engine, "begin", _begin_postgresql)
    return engine


def _prepare_sqlite(raw: Any, _record: object) -> None:
    raw.isolation_level = None  # the driver's own BEGIN comes too late to be a lock
    raw.execute(f"PRAGMA busy_timeout = {BUSY_WAIT_MS}").close()
    switch_to_wal(raw, wait_ms=BUSY_WAIT_MS)
    for pragma in ("synchronous = FULL", "foreign_keys = ON"):
        raw.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().get("writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
