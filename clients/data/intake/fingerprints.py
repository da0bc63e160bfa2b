"""Fingerprint files ahead of their readers, several at a time, a bounded number in hand.

SHA-256 lets go of Python's lock, so the files' bytes are hashed on all cores
while the parent settles what the readers answered.
"""

import hashlib
import os
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

AHEAD = 4


def fingerprints(paths: Iterable[Path], *, threads: int) -> Generator[tuple[Path, bytes]]:
    """Yield every path with the SHA-256 of its content, in the order given."""
    with ThreadPoolExecutor(threads, thread_name_prefix="fingerprint") as pool:
        waiting: deque[tuple[Path, Future[bytes]]] = deque()
        try:
            for path in paths:
                waiting.append((path, pool.submit(fingerprint, path)))
                if len(waiting) > AHEAD * threads:
                    first, done = waiting.popleft()
                    yield first, done.result()
            while waiting:
                first, done = waiting.popleft()
                yield first, done.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def fingerprint(path: Path) -> bytes:
    """Return the SHA-256 of a file's content; of its place when it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return hashlib.sha256(b"unreadable\0" + os.fsencode(path)).digest()
