"""How a SQLite connection of the register is set up, for every table it keeps.

Who begins a transaction says whether it writes: SQLite takes its one write lock then.
"""

from typing import Any

from federation.storage import switch_to_wal

LOCK_WAIT_MS = 20_000
"""How long a writer waits for the others."""


def prepare(raw: Any, _record: object) -> None:
    """Set up a new connection of the driver; for SQLAlchemy's event ``connect``."""
    raw.isolation_level = None  # the driver's own BEGIN comes too late to be a lock
    raw.execute(f"PRAGMA busy_timeout = {LOCK_WAIT_MS}")
    switch_to_wal(raw, wait_ms=LOCK_WAIT_MS)
    raw.execute("PRAGMA synchronous = FULL")
    raw.execute("PRAGMA foreign_keys = ON")
