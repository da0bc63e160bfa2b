"""Write files whole or not at all.

Readers see the old file or the new one, never half of one; the bytes are on
disk before the name changes. A full disk is a coded error and leaves nothing.
"""

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from federation.errors.machine import DiskFullError

PRIVATE = 0o600


def write_atomic(path: Path, content: bytes, *, mode: int = PRIVATE) -> None:
    """Write `content` to `path` in one step, with file permissions `mode`.

    Raises
    ------
    DiskFullError
        If the disk has no room; the old file is untouched.
    OSError
        If the folder is missing or may not be written.
    """
    with _disk_full_as_error(path.parent, len(content)):
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                os.fchmod(stream.fileno(), mode)
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def _disk_full_as_error(folder: Path, needed_bytes: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        free = shutil.disk_usage(folder).free
        needed = f"{needed_bytes / 1e6:.1f}"
        raise DiskFullError(needed=needed, free=f"{free / 1e6:.1f}") from error
