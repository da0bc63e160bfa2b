"""Keep what arrives until the intake has settled it: the one durable inbox of a node.

```
data/inbox/parts/     being written; a killed sender's rest is swept after a day
data/inbox/ready/     whole objects, named by the SHA-256 of their content
data/inbox/settling/  the batch that the intake works on
```
An object is acknowledged to its sender only after its bytes and its name are on
disk. `drain` gives a batch to the intake and deletes exactly that batch when the
intake has settled it, so a process killed at any moment loses nothing; the name
is the content, so nothing lies there twice. No name in it comes from a patient.
"""

import contextlib
import fcntl
import hashlib
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from threading import Event
from typing import Any, Self
from uuid import uuid4

from clients.data.intake.ingest import IngestReport, ingest
from federation.errors.data import IntakeBusyError, IntakeDiskError
from federation.errors.sources import ObjectTooLargeError
from federation.storage import disk_full_as_error, require_space

INBOX, PARTS, READY, SETTLING = "inbox", "parts", "ready", "settling"
LOCK = "drain.lock"
BATCH = 256
MEGABYTE = 1024 * 1024
RESERVE_BYTES = 256 * MEGABYTE
"""Room that stays free on the disk: below it nothing more is accepted."""
LOOK_BYTES = 32 * MEGABYTE
"""How often the room is looked at while a large object comes."""
PART_LIFE_S = 24 * 3600.0
BUSY_S = 0.5

Take = Callable[[Path, Path], IngestReport]
"""The intake: takes the node's data folder and a folder of files, settles all of them."""


@dataclass(slots=True)
class Drained:
    """What became of everything that was drained. Holds nothing of a patient."""

    given: int = 0
    admitted: int = 0
    new: int = 0
    duplicates: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)

    def add(self, report: IngestReport) -> None:
        """Add one run of the intake."""
        self.given += report.given
        self.admitted += report.admitted
        self.new += report.new
        self.duplicates += report.duplicates
        self.quarantined.update(report.quarantined)

    def as_json(self) -> dict[str, Any]:
        """Return the counts with the names of the intake's JSON contract."""
        return {
            "given": self.given,
            "admitted": self.admitted,
            "new": self.new,
            "duplicates": self.duplicates,
            "quarantined": dict(sorted(self.quarantined.items())),
        }


class Incoming:
    """One object on its way into the inbox: write its bytes, then `keep` or `discard`.

    Use it as a context manager: what was not kept is discarded.
    """

    def __init__(self, inbox: "Inbox", largest_bytes: int) -> None:
        self._inbox, self._largest = inbox, largest_bytes
        self._path = inbox.parts / uuid4().hex
        self._digest = hashlib.sha256()
        self.size_bytes = 0
        with _on_disk(inbox.folder, 0):
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._out = os.fdopen(descriptor, "wb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()

    def write(self, chunk: bytes | memoryview) -> None:
        """Add bytes.

        Raises
        ------
        ObjectTooLargeError
            If the object grows past its limit.
        DiskFullError, IntakeDiskError
            If the disk has no room, or does not take it.
        """
        before, self.size_bytes = self.size_bytes, self.size_bytes + len(chunk)
        if self.size_bytes > self._largest:
            raise ObjectTooLargeError(megabytes=self._largest // MEGABYTE)
        if before // LOOK_BYTES != self.size_bytes // LOOK_BYTES:
            require_space(self._inbox.folder, self._inbox.reserve_bytes)
        with _on_disk(self._inbox.folder, self.size_bytes):
            self._out.write(chunk)
        self._digest.update(chunk)

    def keep(self) -> str:
        """Bring the object to disk under its name and return the name.

        Raises
        ------
        DiskFullError, IntakeDiskError
            If the disk has no room, or does not take it.
        """
        name = self._digest.hexdigest()
        with _on_disk(self._inbox.folder, self.size_bytes):
            self._out.flush()
            os.fsync(self._out.fileno())
            self._out.close()
            if self._inbox.holds(name):
                self._path.unlink()
            else:
                self._path.replace(self._inbox.folder / READY / name)
            self._inbox.names_to_disk(READY)
        return name

    def discard(self) -> None:
        """Forget the bytes, unless they were kept."""
        with contextlib.suppress(OSError):  # a full disk may refuse the last bytes once more
            self._out.close()
        self._path.unlink(missing_ok=True)


class Inbox:
    """The inbox of a data folder; opening it makes its folders.

    Parameters
    ----------
    data
        The node's data folder.
    largest_bytes
        The largest object that is accepted.
    reserve_bytes
        Room that stays free on the disk.
    """

    def __init__(
        self, data: Path, *, largest_bytes: int = 512 * MEGABYTE, reserve_bytes: int = RESERVE_BYTES
    ) -> None:
        self.data, self.folder = data, data / INBOX
        self.largest_bytes, self.reserve_bytes = largest_bytes, reserve_bytes
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self.folder, *(self.folder / part for part in (PARTS, READY, SETTLING))):
            folder.mkdir(mode=0o700, exist_ok=True)

    @property
    def parts(self) -> Path:
        """Return the folder of what is still being written."""
        return self.folder / PARTS

    def receive(self) -> Incoming:
        """Return a new object to write.

        Raises
        ------
        DiskFullError, IntakeDiskError
            If less than the reserve is free on the disk, or it takes nothing.
        """
        with _on_disk(self.folder, self.reserve_bytes):
            require_space(self.folder, self.reserve_bytes)
        return Incoming(self, self.largest_bytes)

    def put(self, chunks: Iterable[bytes | memoryview]) -> str:
        """Keep one object given in pieces and return its name.

        Raises
        ------
        ObjectTooLargeError, DiskFullError, IntakeDiskError
            As `Incoming.write`; nothing is kept then.
        """
        with self.receive() as incoming:
            for chunk in chunks:
                incoming.write(chunk)
            return incoming.keep()

    def holds(self, name: str) -> bool:
        """Say whether an object lies here; one that is being settled counts."""
        return (self.folder / READY / name).exists() or (self.folder / SETTLING / name).exists()

    def waiting(self) -> int:
        """Return how many objects are not settled yet."""
        return sum(1 for part in (READY, SETTLING) for _ in _entries(self.folder / part))

    def names_to_disk(self, part: str) -> None:
        """Bring a folder itself to disk, so that a power cut does not undo a rename."""
        descriptor = os.open(self.folder / part, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def drain(
        self,
        *,
        take: Take = ingest,
        stop: Event | None = None,
        settled: Callable[[IngestReport], None] | None = None,
    ) -> Drained:
        """Give everything that waits to the intake, batch by batch, and return the counts.

        Another process that drains, or another intake, is waited out; `stop` ends
        the waiting and the work after the current batch. An error of the intake is
        raised as it comes; everything not settled stays for the next time.
        """
        stop, done = stop or Event(), Drained()
        self._sweep_parts()
        with self._alone(stop) as alone:
            while alone and not stop.is_set() and self._gather():
                report = self._settle(take, stop)
                if report is None:
                    break
                done.add(report)
                if settled is not None:
                    settled(report)
        return done

    def _gather(self) -> list[str]:
        """Move a batch to where the intake looks; what a killed run left goes first."""
        settling, ready = self.folder / SETTLING, self.folder / READY
        if not any(_entries(settling)):
            for entry in islice(_entries(ready), BATCH):
                (ready / entry.name).replace(settling / entry.name)
            self.names_to_disk(SETTLING)
        return [entry.name for entry in _entries(settling)]

    def _settle(self, take: Take, stop: Event) -> IngestReport | None:
        """Return the intake's report of the batch, which is deleted; None when stopped."""
        settling = self.folder / SETTLING
        names = [entry.name for entry in _entries(settling)]
        while True:
            try:
                report = take(self.data, settling)
                break
            except IntakeBusyError:
                if stop.wait(BUSY_S):
                    return None
        for name in names:
            (settling / name).unlink()
        return report

    @contextmanager
    def _alone(self, stop: Event) -> Iterator[bool]:
        """Hold the lock of those who drain; yield False if stopped before it was free."""
        descriptor = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            yield _locked(descriptor, stop)
        finally:
            os.close(descriptor)

    def _sweep_parts(self) -> None:
        """Delete what killed processes left half-written a day ago."""
        oldest = time.time() - PART_LIFE_S
        for entry in _entries(self.folder / PARTS):
            try:
                if entry.stat(follow_symlinks=False).st_mtime < oldest:
                    Path(entry.path).unlink()
            except FileNotFoundError:
                continue  # its writer finished it meanwhile


@contextmanager
def _on_disk(folder: Path, needed_bytes: int) -> Iterator[None]:
    """Turn what the disk answers inside the block into a coded error; it names no path."""
    try:
        with disk_full_as_error(folder, needed_bytes):
            yield
    except OSError as error:
        raise IntakeDiskError(why=error.strerror or type(error).__name__) from error


def _locked(descriptor: int, stop: Event) -> bool:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if stop.wait(BUSY_S):
                return False


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as found:
        yield from found
