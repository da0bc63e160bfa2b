"""Watch a folder: take in each file once it stands still, and leave it where it is.

The system's notices (`watchfiles`) say where to look; a full look every few
minutes finds what notices miss, as on network shares. A file counts as finished
when its size and time of change stood still for `settle_s`; it is copied into
the inbox, checked to be still the same, and remembered by a keyed digest, so a
restart does not read it again. Bad, vanishing and unreadable files stop nothing.
"""

import os
import stat
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from watchfiles import watch
from watchfiles._rust_notify import WatchfilesRustInternalError

from clients.data.ways_in.drain import Drainer
from clients.data.ways_in.inbox import MEGABYTE, Inbox
from clients.data.ways_in.transfers import Transfers
from federation.errors.base import PlatformError
from federation.errors.data import CutFileError
from federation.errors.sources import (
    FolderNotWatchableError,
    ObjectTooLargeError,
    WatchedFolderGoneError,
)

UNFINISHED = (".part", ".tmp", ".partial", ".crdownload", ".filepart")
LABELS = "labels.csv"
"""It is read by `trifed node ingest`, which knows the files it names."""
CHUNK = MEGABYTE


@dataclass(frozen=True, slots=True)
class Pace:
    """How patient a watch is.

    `settle_s` is how long a file must stand still, `rescan_s` how often all is
    looked through, `tick_s` how often anything is done at all; at most `pending`
    files are held in mind, the rest is found again by looking.
    """

    settle_s: float = 5.0
    rescan_s: float = 300.0
    tick_s: float = 1.0
    pending: int = 10_000
    batch: int = 256


Standing = tuple[int, int]
"""Size in bytes, time of the last change in nanoseconds."""


@dataclass(slots=True)
class _Seen:
    standing: Standing
    since: float


@dataclass(slots=True)
class Watcher:
    """A folder under watch; `run` until `stop` is set.

    `told` hears once of each thing that a person should know (coded errors).
    """

    folder: Path
    inbox: Inbox
    transfers: Transfers
    drainer: Drainer
    pace: Pace = field(default_factory=Pace)
    told: Callable[[PlatformError], None] = lambda _: None
    stop: threading.Event = field(default_factory=threading.Event)
    counts: Counter[str] = field(default_factory=Counter)
    _pending: dict[Path, _Seen] = field(default_factory=dict)
    _next_look: float = 0.0
    _last_told: str = ""

    def run(self) -> None:
        """Watch until stopped; then settle what was taken in."""
        while not self.stop.is_set():
            self.drainer.check()
            if not self.folder.is_dir():
                self._say(WatchedFolderGoneError())
                self.stop.wait(self.pace.tick_s)
                continue
            self._next_look = 0.0
            try:
                self._watch()
                self._last_told = ""
            except (OSError, WatchfilesRustInternalError):
                self._say(FolderNotWatchableError(seconds=int(self.pace.rescan_s)))
                self._look_only()

    def _watch(self) -> None:
        """Work on the system's notices until stopped or the folder is gone."""
        for changes in watch(
            self.folder,
            watch_filter=None,
            debounce=400,
            rust_timeout=int(self.pace.tick_s * 1000),
            yield_on_timeout=True,
            stop_event=self.stop,
            raise_interrupt=False,
            ignore_permission_denied=True,
        ):
            for _, path in changes:
                self._look_below(Path(path))
            self._tick()
            if not self.folder.is_dir():
                return

    def _look_only(self) -> None:
        """Work without notices until stopped or the folder is gone."""
        while not self.stop.wait(self.pace.tick_s) and self.folder.is_dir():
            self._tick()

    def _tick(self) -> None:
        self.drainer.check()
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + self.pace.rescan_s
            self._look_below(self.folder)
        self._take_settled()

    def _look_below(self, path: Path) -> None:
        """Look at a file, or at all files of a folder."""
        for found in files_below(path):
            if len(self._pending) >= self.pace.pending:
                self._next_look = 0.0  # more are waiting than can be held in mind
                return
            self._look_at(found)

    def _look_at(self, path: Path) -> None:
        """Hold a file in mind unless it is known as it stands."""
        if path in self._pending or not is_wanted(path.relative_to(self.folder)):
            return
        standing = _standing(path)
        if standing is not None and not self._is_known(path, standing):
            self._pending[path] = _Seen(standing, time.monotonic())

    def _take_settled(self) -> None:
        """Take in every file that stood still for long enough, batch by batch."""
        taken = 0
        for path, seen in list(self._pending.items()):
            if self.stop.is_set():
                break
            if time.monotonic() - seen.since < self.pace.settle_s:
                continue
            standing = _standing(path)
            if standing != seen.standing:
                del self._pending[path]
                if standing is not None:
                    self._pending[path] = _Seen(standing, time.monotonic())
            elif self._take(path, seen.standing):
                taken += 1
                if taken % self.pace.batch == 0:
                    self._keep_up()
        if taken:
            self.drainer.nudge()

    def _keep_up(self) -> None:
        """Wait until the intake has settled most of what was copied."""
        self.drainer.nudge()
        while not self.stop.is_set():
            try:
                self.drainer.keep_up(self.stop)
            except PlatformError as error:  # the intake cannot work now: nothing more is copied
                self._say(error)
                self.stop.wait(self.pace.tick_s)
            else:
                return

    def _take(self, path: Path, standing: Standing) -> bool:
        """Copy one file into the inbox; return whether it lies there now."""
        del self._pending[path]
        try:
            whole = self._copy(path, standing)
        except ObjectTooLargeError as error:
            self.counts[error.code] += 1
            self._remember(path, standing)
            return False
        except PlatformError as error:  # the disk is full: the file is found again by looking
            self._say(error)
            return False
        except OSError:  # vanished, or not to be read: tried again at the next look
            self.counts[CutFileError.code] += 1
            return False
        if whole:
            self.counts["received"] += 1
            self._remember(path, standing)
        else:
            self._look_at(path)
        return whole

    def _copy(self, path: Path, standing: Standing) -> bool:
        """Copy a file that stays as it stands; return False when it changed meanwhile."""
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb", buffering=0) as source, self.inbox.receive() as incoming:
            if _of(os.fstat(descriptor)) != standing:
                return False
            while chunk := source.read(CHUNK):
                incoming.write(chunk)
            if _of(os.fstat(descriptor)) != standing or incoming.size_bytes != standing[0]:
                return False
            incoming.keep()
        return True

    def _is_known(self, path: Path, standing: Standing) -> bool:
        return self.transfers.has_file(path, size_bytes=standing[0], changed_ns=standing[1])

    def _remember(self, path: Path, standing: Standing) -> None:
        self.transfers.add_file(path, size_bytes=standing[0], changed_ns=standing[1])

    def _say(self, error: PlatformError) -> None:
        if error.code != self._last_told:
            self._last_told = error.code
            self.told(error)


def is_wanted(path: Path) -> bool:
    """Say whether a path below the watched folder names a finished file that may be an image."""
    name = path.name.lower()
    hidden = any(part.startswith(".") for part in path.parts)
    return not hidden and not name.endswith(UNFINISHED) and name != LABELS


def files_below(folder: Path) -> Iterator[Path]:
    """Yield a file, or the files below a folder, links left out; however deep it goes."""
    if _standing(folder) is not None:
        yield folder
        return
    folders = [folder]
    while folders:
        with suppress(OSError), os.scandir(folders.pop()) as entries:  # it may vanish any time
            for entry in entries:
                if entry.is_file(follow_symlinks=False):
                    yield Path(entry.path)
                elif entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                    folders.append(Path(entry.path))


def _standing(path: Path) -> Standing | None:
    """Return size and time of change of a regular file, None when there is none."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return _of(found) if stat.S_ISREG(found.st_mode) else None


def _of(found: os.stat_result) -> Standing:
    return found.st_size, found.st_mtime_ns
