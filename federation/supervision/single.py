"""One long-running process per home: a lock the system lets go of when its holder ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from federation.errors.control import AlreadyRunningError


@contextmanager
def only_one(lock_file: Path, *, kind: str) -> Iterator[None]:
    """Hold the lock while the body runs. Children do not inherit it.

    Raises
    ------
    AlreadyRunningError
        If another process holds it.
    """
    descriptor = os.open(lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 20, 0).decode().strip()
            raise AlreadyRunningError(kind=kind, pid=holder or "?") from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
