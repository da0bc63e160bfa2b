"""Write files whole or not at all.

Readers see the old file or the new one, never half of one; the bytes are on
disk before the name changes. A full disk is a coded error and leaves nothing.
"""

import contextlib
import errno
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from federation.errors.base import PlatformError
from federation.errors.durable import FilesRefusedError
from federation.errors.machine import DiskFullError

PRIVATE = 0o600

_AGAIN_S = 0.01

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""What the system says when a disk or a quota is full."""


REFUSED = frozenset(
    {
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.EIO,
        errno.ENOMEM,
        errno.EAGAIN,
        errno.EMFILE,
        errno.ENFILE,
    }
)
"""What a machine in trouble answers to a program in which nothing is wrong."""


def write_atomic(path: Path, content: bytes, *, mode: int = PRIVATE) -> None:
    """Write `content` to `path` in one step, with file permissions `mode`.

    Raises
    ------
    DiskFullError
        If the disk has no room; the old file is untouched.
    OSError
        If the folder is missing or may not be written.
    """
    with disk_full_as_error(path.parent, len(content)):
        temporary = _written(path, content, mode)
        with _removed_on_failure(temporary):
            temporary.replace(path)
            keep_names(path.parent)


def write_new(path: Path, content: bytes, *, mode: int = PRIVATE) -> None:
    """Write `content` to `path` in one step, which must not exist yet.

    Raises
    ------
    FileExistsError
        If something is there; it is untouched.
    DiskFullError, OSError
        As `write_atomic`.
    """
    with disk_full_as_error(path.parent, len(content)):
        temporary = _written(path, content, mode)
        try:
            path.hardlink_to(temporary)
            keep_names(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def require_space(folder: Path, needed_bytes: int) -> None:
    """Raise `DiskFullError` unless the disk of an existing folder has that much room."""
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise _disk_full(needed_bytes, free)


def _written(path: Path, content: bytes, mode: int) -> Path:
    """Return a temporary file beside `path` that holds `content`, all of it on disk."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    with _removed_on_failure(Path(name)), os.fdopen(descriptor, "wb") as stream:
        os.fchmod(stream.fileno(), mode)
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    return Path(name)


@contextlib.contextmanager
def _removed_on_failure(path: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def keep_names(folder: Path) -> None:
    """Bring the folder itself to disk, so that a power cut does not undo a rename."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def disk_full_as_error(folder: Path, needed_bytes: int) -> Iterator[None]:
    """Turn the system's "no space left" inside the block into a `DiskFullError`."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise no_room(folder, needed_bytes) from error


def coded(error: OSError) -> PlatformError | None:
    """Return what a machine in trouble said as an error with a code; None if it is our fault."""
    if error.errno in FULL:
        return DiskFullError(needed="?", free="0")
    if error.errno in REFUSED:
        return FilesRefusedError(condition=errno.errorcode[error.errno])
    return None


def no_room(folder: Path, needed_bytes: int) -> DiskFullError:
    """Return the error for bytes that do not fit on the disk of `folder`."""
    return _disk_full(needed_bytes, shutil.disk_usage(folder).free)


def _disk_full(needed_bytes: int, free_bytes: int) -> DiskFullError:
    return DiskFullError(needed=f"{needed_bytes / 1e6:.1f}", free=f"{free_bytes / 1e6:.1f}")


def switch_to_wal(raw: Any, *, wait_ms: int) -> None:
    """Switch a SQLite connection to the write-ahead log; SQLite does not wait by itself for it.

    Raises
    ------
    sqlite3.OperationalError
        If others keep the file busy for longer than `wait_ms`.
    """
    end = time.monotonic() + wait_ms / 1000
    while True:
        try:
            raw.execute("PRAGMA journal_mode = WAL").close()
            return
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > end:
                raise
            time.sleep(_AGAIN_S)
