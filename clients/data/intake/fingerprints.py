"""Fingerprint files ahead of their readers, several at a time, a bounded number in hand.

SHA-256 lets go of Python's lock, so the files' bytes are hashed on all cores
while the parent settles what the readers answered. Nothing here can wait for ever:
pipes and devices are not read, and of a file that is larger than any reader may
take only the size and both ends are.
"""

import hashlib
import os
import stat
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

AHEAD = 4
CHUNK = 1 << 18
_OPEN_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
"""How a file that others may replace by a pipe is opened."""

Stamp = tuple[int, int, int]
"""Size, time of the last change in ns and inode number: the same while nobody writes."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The SHA-256 of a file's content, and the file's stamp; none when it cannot be read."""

    digest: bytes
    stamp: Stamp | None


def fingerprints(
    paths: Iterable[Path], *, threads: int, most_bytes: int
) -> Generator[tuple[Path, Fingerprint]]:
    """Yield every path with the fingerprint of its content, in the order given."""
    with ThreadPoolExecutor(threads, thread_name_prefix="fingerprint") as pool:
        waiting: deque[tuple[Path, Future[Fingerprint]]] = deque()
        try:
            for path in paths:
                waiting.append((path, pool.submit(fingerprint, path, most_bytes=most_bytes)))
                if len(waiting) > AHEAD * threads:
                    first, done = waiting.popleft()
                    yield first, done.result()
            while waiting:
                first, done = waiting.popleft()
                yield first, done.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def fingerprint(path: Path, *, most_bytes: int) -> Fingerprint:
    """Return the SHA-256 of a file's content; of its place when it cannot be read."""
    try:
        with opened(path) as descriptor:
            stamp = stamp_of(descriptor)
            return Fingerprint(_digest(descriptor, stamp[0], most_bytes), stamp)
    except OSError:
        place = hashlib.sha256(b"unreadable\0" + os.fsencode(path)).digest()
        return Fingerprint(place, None)


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """Open a file for reading, never waiting for what is at the other end of a pipe."""
    descriptor = os.open(path, _OPEN_FLAGS)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def stamp_of(descriptor: int) -> Stamp:
    """Return the stamp of an open file.

    Raises
    ------
    OSError
        If it is no regular file.
    """
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise OSError("not a regular file")
    return found.st_size, found.st_mtime_ns, found.st_ino


def _digest(descriptor: int, size: int, most_bytes: int) -> bytes:
    """Return the SHA-256 of the content; of size and ends when that is more than is read."""
    if size > most_bytes:
        ends = os.pread(descriptor, CHUNK, 0) + os.pread(descriptor, CHUNK, size - CHUNK)
        return hashlib.sha256(b"too large\0%d\0" % size + ends).digest()
    digest, left, chunk = hashlib.sha256(), most_bytes, min(CHUNK, size + 1)
    while left > 0 and (part := os.read(descriptor, chunk)):
        digest.update(part)
        left -= len(part)
    return digest.digest()
