"""The audit trail in SQL."""

from collections.abc import Iterator

from sqlalchemy import Column, Connection, Integer, LargeBinary, String, Table, Text, insert, select

from registry.audit.ports import StoredEvent
from registry.metadata import METADATA

EVENTS = Table(
    "registry_audit",
    METADATA,
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("subject", String(200), nullable=False, index=True),
    Column("content", Text, nullable=False),
    Column("signature", LargeBinary, nullable=False),
)


class SqlAuditTrail:
    """The trail inside one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def last(self) -> StoredEvent | None:
        """Return the newest event."""
        query = select(EVENTS).order_by(EVENTS.c.sequence.desc()).limit(1)
        row = self._connection.execute(query).one_or_none()
        return StoredEvent(*row) if row else None

    def add(self, event: StoredEvent) -> None:
        """Keep an event."""
        self._connection.execute(
            insert(EVENTS).values(
                sequence=event.sequence,
                subject=event.subject,
                content=event.content,
                signature=event.signature,
            )
        )

    def events(self) -> Iterator[StoredEvent]:
        """Return all events in order."""
        for row in self._connection.execute(select(EVENTS).order_by(EVENTS.c.sequence)):
            yield StoredEvent(*row)

    def about(self, subject: str) -> Iterator[StoredEvent]:
        """Return the events of one subject in order."""
        query = select(EVENTS).where(EVENTS.c.subject == subject)
        for row in self._connection.execute(query.order_by(EVENTS.c.sequence)):
            yield StoredEvent(*row)
