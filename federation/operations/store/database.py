"""The centre's database: SQLite in a file by default, PostgreSQL by its address.

    database = Database.at(home.database)          # or Database("postgresql+psycopg://...")
    with database.write(audit) as connection: ...  # commits with its audit event
    with database.read() as connection: ...

Every table of the centre is registered in `METADATA`; the files beside this one
declare theirs and are the only ones that name them.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

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
)

from federation.domain.audit import AuditEvent

METADATA = MetaData()

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
    """One database of one centre; safe to share between threads."""

    def __init__(self, url: str) -> None:
        self._engine: Engine = create_engine(url)
        if self._engine.dialect.name == "sqlite":
            event.listen(self._engine, "connect", _make_sqlite_durable)

    @classmethod
    def at(cls, path: Path) -> Self:
        """Return the database in a SQLite file."""
        return cls(f"sqlite:///{path}")

    def make_tables(self) -> None:
        """Make the tables that are not there yet."""
        METADATA.create_all(self._engine)

    def close(self) -> None:
        """Let go of every connection."""
        self._engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection for reading."""
        with self._engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self, audit: AuditEvent) -> Iterator[Connection]:
        """Give a transaction that commits with its audit event, or not at all."""
        with self._engine.begin() as connection:
            yield connection
            connection.execute(
                insert(_AUDIT).values(
                    kind=audit.kind.value,
                    actor=audit.actor,
                    subject=audit.subject,
                    at=audit.at.isoformat(),
                    details=json.loads(json.dumps(audit.details)),
                )
            )

    def audit_events(self) -> list[dict[str, object]]:
        """Return the audit trail, oldest first."""
        with self.read() as connection:
            rows = connection.execute(select(_AUDIT).order_by(_AUDIT.c.seq))
            return [dict(row._mapping) for row in rows]


def _make_sqlite_durable(connection: object, _record: object) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined]
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
