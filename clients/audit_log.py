"""The node's own record of what it did: append-only lines, each chained to the one before.

One JSON object a line in `audit.log`. Appending takes a file lock, so the agent,
the executor and a command at the terminal can all write. Details hold codes and
digests, never anything of a patient.
"""

import fcntl
import json
import os
from pathlib import Path

from federation.domain.audit import AuditEvent
from federation.domain.ids import Sha256
from federation.errors.ledger import LedgerChainBrokenError

GENESIS = Sha256.of(b"")


def append(path: Path, event: AuditEvent) -> Sha256:
    """Write one event at the end of the chain, synced, and return the new head."""
    with path.open("a+b") as file:
        os.fchmod(file.fileno(), 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        line = _line(event, _head(file.seek(0, os.SEEK_END), path))
        file.write(line + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return Sha256.of(line)


def verify(path: Path) -> list[dict[str, object]]:
    """Return every event of the log, oldest first.

    Raises
    ------
    LedgerChainBrokenError
        At the first line that does not follow the one before.
    """
    head, events = GENESIS, []
    for index, line in enumerate(path.read_bytes().splitlines()):
        try:
            event = json.loads(line)
            follows = event["previous"] == head
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise LedgerChainBrokenError(index=str(index), why="not an audit line") from error
        if not follows:
            raise LedgerChainBrokenError(index=str(index), why="the link to the line before")
        head = Sha256.of(line)
        events.append(event)
    return events


def _line(event: AuditEvent, previous: Sha256) -> bytes:
    content = {
        "kind": event.kind.value,
        "actor": event.actor,
        "subject": event.subject,
        "at": event.at.isoformat(),
        "details": event.details,
        "previous": str(previous),
    }
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def _head(size: int, path: Path) -> Sha256:
    if size == 0:
        return GENESIS
    with path.open("rb") as file:
        file.seek(max(0, size - 65_536))
        return Sha256.of(file.read().rstrip(b"\n").rpartition(b"\n")[2])
