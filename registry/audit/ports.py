"""What a store must offer for the audit trail."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An audit event as kept: its place, its canonical JSON, and the centre's signature."""

    sequence: int
    subject: str
    content: str
    signature: bytes


class AuditTrail(Protocol):
    """Append-only; sequence numbers start at 0 and have no gap."""

    def last(self) -> StoredEvent | None:
        """Return the newest event, None when there is none yet."""

    def add(self, event: StoredEvent) -> None:
        """Keep an event."""

    def events(self) -> Iterator[StoredEvent]:
        """Return all events in order."""

    def about(self, subject: str) -> Iterator[StoredEvent]:
        """Return the events of one subject in order."""
