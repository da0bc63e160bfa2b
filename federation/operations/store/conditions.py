"""What a database's own failure means to us: its name becomes a coded error.

Only the name of the condition is kept (SQLITE_FULL, an SQLSTATE): a driver's
message may hold values. Names: sqlite.org/rescode.html and PostgreSQL's
appendix A, "PostgreSQL Error Codes".
"""

from sqlalchemy.exc import DBAPIError, IntegrityError

from federation.errors.base import PlatformError
from federation.errors.storage import (
    StoreBusyError,
    StoreConflictError,
    StoreDamagedError,
    StoreDiskFullError,
    StoreRefusedError,
    StoreUnavailableError,
)

_FULL = ("SQLITE_FULL", "53100")
_BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED", "40001", "40P01", "55P03")
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_IOERR", "58030", "XX001", "XX002")
_PASSING = ("SQLITE_CANTOPEN", "08", "57P", "53", "25P03")
_LOST = "connection lost"
_NO_ENTRY = (
    "authentication failed",
    "does not exist",
    "no password supplied",
    "no pg_hba.conf entry",
    "not permitted to log in",
)
"""PostgreSQL gives no SQLSTATE to a client that it does not let in, only these words."""


def as_coded(error: DBAPIError) -> PlatformError:
    """Return the coded error for a database's failure."""
    condition = name_of(error)
    if isinstance(error, IntegrityError):
        return StoreConflictError(condition=condition)
    if condition.startswith(_FULL):
        return StoreDiskFullError()
    if condition.startswith(_BUSY):
        return StoreBusyError(condition=condition)
    if condition.startswith(_DAMAGED):
        return StoreDamagedError(condition=condition)
    if error.connection_invalidated or condition.startswith((*_PASSING, _LOST)):
        return StoreUnavailableError(condition=condition)
    return StoreRefusedError(condition=condition)


def name_of(error: DBAPIError) -> str:
    """Return the name of a database's condition: SQLITE_FULL, an SQLSTATE, or the error's kind."""
    names = (getattr(error.orig, name, None) for name in ("sqlite_errorname", "sqlstate"))
    found = next((str(name) for name in names if name), None)
    if found is not None:
        return found
    kind = type(error.orig).__name__
    if kind not in ("OperationalError", "InterfaceError"):
        return kind
    return "not let in" if any(words in str(error.orig) for words in _NO_ENTRY) else _LOST
