"""What happens in a launched study, as lines of JSON in a file that others follow.

    log = EventLog(home, study)
    log.begin()                 # at a launch: a new file, the last one stays beside it
    log.emit(event)             # the campaign: an `Emit`, one line for each event
    log.end(result.as_json())   # the last line, once: the result contract
    for said in log.follow():   # any process: events, then the `Outcome`, and over

Lines are only ever added. A line that a killed writer cut short is skipped by
readers and closed by the next writer. The file stays small: beyond `PLENTY_BYTES`
the percentages are left out, beyond `MOST_BYTES` everything but the outcome.
Nothing must survive here: the truth is in the database. What cannot be written, to a
full disk or a folder taken away, is left out, and the study goes on.
"""

import errno
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from federation.coordinator.home import CentreHome
from federation.domain.ids import StudyId
from federation.errors.base import PlatformError
from federation.operations.progress import EventKind, Progress
from federation.storage import coded

log = logging.getLogger(__name__)

PLENTY_BYTES = 4 * 2**20
MOST_BYTES = 8 * 2**20
LONGEST_LINE = 4 * 2**20
_LOOK_S = 0.1


@dataclass(frozen=True, slots=True)
class Outcome:
    """The last line of a launched study: the result contract of `trifed demo`."""

    result: dict[str, object]

    @property
    def completed(self) -> bool:
        """Say whether the study reached its registry entry."""
        return self.result.get("status") == "completed"

    @classmethod
    def of_error(cls, error: PlatformError, status: str, *, asked: int = 0) -> "Outcome":
        """Return the outcome of a launch that ended without a campaign's own result."""
        said = {
            "code": error.code,
            "site": None,
            "what": error.say_what(),
            "next_step": error.say_next_step(),
        }
        return cls(
            {
                "status": status,
                "rounds": {"asked": asked, "done": 0},
                "seconds": 0.0,
                "sites": [],
                "model": {},
                "registry": {"entry": None, "bundle": None},
                "refused": [],
                "errors": [said],
            }
        )

    @property
    def code(self) -> str | None:
        """Return the code of the first error, or None."""
        errors = self.result.get("errors")
        first = errors[0] if isinstance(errors, list) and errors else {}
        code = first.get("code") if isinstance(first, dict) else None
        return code if isinstance(code, str) else None

    def as_line(self) -> str:
        """Return the outcome as one line of JSON."""
        return json.dumps({"result": self.result}, ensure_ascii=False)


Said = Progress | Outcome


class EventLog:
    """The events of the last launch of one study. Safe to use from several threads."""

    def __init__(self, home: CentreHome, study: StudyId) -> None:
        self.path = home.logs / "events" / f"{study}.jsonl"
        self._adding = threading.Lock()

    def begin(self) -> None:
        """Start a new file; the last launch's is kept once, for those who still read it.

        Raises
        ------
        DiskFullError, FilesRefusedError
            If it cannot be: an old outcome would be taken for the new launch's.
        """
        try:
            self._begin()
        except OSError as error:
            found = coded(error)
            if found is None:
                raise
            raise found from error

    def _begin(self) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            self.path.replace(self.path.with_suffix(".old.jsonl"))
        os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))

    def emit(self, event: Progress) -> None:
        """Add one event; what does not fit any more is left out."""
        limit = PLENTY_BYTES if event.kind is EventKind.SITE_PROGRESS else MOST_BYTES
        self._add(event.as_line(), limit_bytes=limit)

    def end(self, result: dict[str, object]) -> None:
        """Add the outcome, after which nothing follows; a second one is left out."""
        if self.outcome() is None:
            self._add(Outcome(result).as_line(), limit_bytes=None)

    def outcome(self) -> Outcome | None:
        """Return how the last launch ended, or None while it has not."""
        return next((said for said in self.read() if isinstance(said, Outcome)), None)

    def read(self) -> Iterator[Said]:
        """Give what is there now, oldest first."""
        return self.follow(until=lambda: True)

    def follow(
        self, *, from_start: bool = True, until: Callable[[], bool] = lambda: False
    ) -> Iterator[Said]:
        """Give what is said until the outcome, or until `until` once all was given.

        Parameters
        ----------
        from_start
            Begin with the launch; else only what is said from now on.
        """
        reader = _Reader(self.path, from_start=from_start)
        with reader:
            while True:
                is_last_look = until()
                for line in reader.lines():
                    said = _said(line)
                    if said is not None:
                        yield said
                    if isinstance(said, Outcome):
                        return
                if is_last_look:
                    return
                time.sleep(_LOOK_S)

    def _add(self, line: str, *, limit_bytes: int | None) -> None:
        try:
            self._add_line(line.encode() + b"\n", limit_bytes=limit_bytes)
        except OSError as error:
            name = errno.errorcode.get(error.errno or 0, "?")
            log.warning("an event could not be written: %s", name)

    def _add_line(self, content: bytes, *, limit_bytes: int | None) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._adding:
            descriptor = os.open(self.path, flags, 0o600)
            try:
                size = os.fstat(descriptor).st_size
                if limit_bytes is not None and size + len(content) > limit_bytes:
                    return
                is_cut = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
                os.write(descriptor, b"\n" + content if is_cut else content)
            finally:
                os.close(descriptor)


class _Reader:
    """Whole new lines of a file that grows; waits for a file that is not there yet."""

    def __init__(self, path: Path, *, from_start: bool) -> None:
        self._path, self._from_start = path, from_start
        self._descriptor: int | None = None
        self._rest = b""

    def __enter__(self) -> "_Reader":
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    def lines(self) -> Iterator[bytes]:
        if self._descriptor is None and not self._open():
            return
        assert self._descriptor is not None
        while content := os.read(self._descriptor, 2**16):
            *whole, self._rest = (self._rest + content).split(b"\n")
            yield from whole
            self._rest = self._rest[:LONGEST_LINE]
        self._leave_if_replaced()

    def _leave_if_replaced(self) -> None:
        """Read the file that took this one's place from its start, once this one is read."""
        assert self._descriptor is not None
        mine = os.fstat(self._descriptor)
        try:
            is_mine = os.path.samestat(mine, self._path.stat())
        except OSError:
            return
        if not is_mine:
            os.close(self._descriptor)
            self._descriptor, self._rest, self._from_start = None, b"", True

    def _open(self) -> bool:
        try:
            self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._from_start = True  # what comes then is new
            return False
        if not self._from_start:
            os.lseek(self._descriptor, 0, os.SEEK_END)
        return True


def _said(line: bytes) -> Said | None:
    """Return what a line says, or None when it is cut or of a newer version."""
    try:
        text = line.decode()
        raw = json.loads(text)
    except (UnicodeDecodeError, json.JSONDecodeError):
        return None
    if not isinstance(raw, dict):
        return None
    result = raw.get("result")
    if isinstance(result, dict) and "event" not in raw:
        return Outcome(result)
    return Progress.from_line(text)
