"""The node's own record of what it did: append-only lines, each chained to the one before.

One JSON object a line in `audit.log`. Appending takes a file lock, so the agent,
the executor and a command at the terminal can all write. Details hold codes and
digests, never anything of a patient.

A file that has grown to `ROTATE_BYTES` is put aside as `audit.log.000001` and so on;
the next begins with a line that names the one before, and the chain runs on. A last
line that a power cut left unfinished is taken away, and that is written down. Any
other damage is refused. A log that lost whole lines at its end is still a chain:
`check_follows` finds that, against a head that was signed and kept elsewhere.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from federation.domain.audit import AuditEvent
from federation.domain.ids import Sha256
from federation.errors.core import InvalidIdError
from federation.errors.ledger import AuditLogBrokenError, AuditLogRolledBackError
from federation.storage import disk_full_as_error

GENESIS = Sha256.of(b"")

ROTATE_BYTES = 8 << 20
MOST_LINE_BYTES = 65_536
MOST_FILE_BYTES = ROTATE_BYTES + 2 * MOST_LINE_BYTES

CONTINUED = "log-continued"
"""First line of a file that follows a full one."""

RECOVERED = "log-recovered"
"""Written after an unfinished last line was taken away."""

LOSS = "log-loss"
"""Written when the data officer accepts that book or log are lost, and when the centre agrees."""


@dataclass(frozen=True, slots=True)
class LogHead:
    """How many lines a log has over all its files, and the digest of the newest."""

    lines: int
    head: Sha256


_EMPTY = LogHead(0, GENESIS)


def append(path: Path, event: AuditEvent) -> Sha256:
    """Write one event at the end of the chain, synced, and return the new head.

    Raises
    ------
    AuditLogBrokenError
        If the newest line is not one of this log; nothing is written.
    DiskFullError
        If there is no room; nothing is written.
    """
    return _append(path, _content(event))


def note_loss(path: Path, details: dict[str, str]) -> Sha256:
    """Write that a loss was accepted or agreed to, and return the new head; raises as `append`."""
    return _append(path, _of_the_log(LOSS, details))


def verify(path: Path) -> list[dict[str, object]]:
    """Return every event of the log and of the files put aside, oldest first.

    An unfinished last line is not an event; the next `append` takes it away.

    Raises
    ------
    AuditLogBrokenError
        At the first line that does not follow the one before.
    """
    return [event for event, _ in _walk(path)]


def head(path: Path) -> LogHead:
    """Return the verified head of the log; raises as `verify`."""
    digests = [digest for _, digest in _walk(path)]
    return LogHead(len(digests), digests[-1]) if digests else _EMPTY


def check_follows(path: Path, old: LogHead) -> LogHead:
    """Return the present head if the log continues the one of which `old` was the head.

    Raises
    ------
    AuditLogRolledBackError
        If lines were dropped, or replaced by others.
    AuditLogBrokenError
        As `verify`.
    """
    digests = [GENESIS, *(digest for _, digest in _walk(path))]
    if not 0 <= old.lines < len(digests) or digests[old.lines] != old.head:
        raise AuditLogRolledBackError(expected=old.lines, actual=len(digests) - 1)
    return LogHead(len(digests) - 1, digests[-1])


def files_of(path: Path) -> list[Path]:
    """Return the files of a log, oldest first, the one being written last."""
    aside = sorted(path.parent.glob(f"{path.name}.[0-9][0-9][0-9][0-9][0-9][0-9]"))
    return [*aside, path] if path.exists() else aside


def _append(path: Path, content: Mapping[str, object]) -> Sha256:
    with _locked(path, fcntl.LOCK_EX):
        torn = _take_away_torn(path)
        newest = _newest(files_of(path))
        if _size(path) >= ROTATE_BYTES:
            path.rename(path.with_name(f"{path.name}.{len(files_of(path)):06d}"))
        for line in (*_structural(path, torn), content):
            newest = _write(path, line, newest)
        return newest.head


@contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    """Hold the log's lock, a file of its own because the log itself is renamed."""
    lock = path.with_name(f".{path.name}.lock")
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


def _take_away_torn(path: Path) -> bytes:
    """Cut off and return what a power cut left of a line; empty when the file ends as it should."""
    if not path.exists():
        return b""
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - MOST_LINE_BYTES - 1))
        torn = file.read().rpartition(b"\n")[2]
        if torn:
            file.truncate(size - len(torn))
            os.fsync(file.fileno())
    return torn


def _newest(files: list[Path]) -> LogHead:
    """Return the head that the newest line of the newest file with lines gives."""
    for file in reversed(files):
        with file.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - MOST_LINE_BYTES - 1))
            line = stream.read().removesuffix(b"\n").rpartition(b"\n")[2]
        if line:
            return LogHead(_number_of(line, files), Sha256.of(line))
    return _EMPTY


def _number_of(line: bytes, files: list[Path]) -> int:
    """Return a line's number from 1; files from before lines had numbers are counted."""
    number = _parsed(line, "newest").get("line")
    if isinstance(number, int):
        return number
    return sum(file.read_bytes().count(b"\n") for file in files)


def _write(path: Path, content: Mapping[str, object], head: LogHead) -> LogHead:
    chained = {**content, "previous": str(head.head), "line": head.lines + 1}
    line = json.dumps(chained, sort_keys=True, separators=(",", ":")).encode()
    if len(line) >= MOST_LINE_BYTES:
        raise AuditLogBrokenError(line=head.lines + 1, why="it would be too long")
    _append_synced(path, line + b"\n")
    return LogHead(head.lines + 1, Sha256.of(line))


def _append_synced(path: Path, line: bytes) -> None:
    """Write a whole line or, when the disk is full, nothing."""
    with disk_full_as_error(path.parent, len(line)), path.open("ab", buffering=0) as file:
        os.fchmod(file.fileno(), 0o600)
        before = os.fstat(file.fileno()).st_size
        try:
            left = memoryview(line)
            while left:
                left = left[file.write(left) :]
            os.fsync(file.fileno())
        except OSError:
            os.ftruncate(file.fileno(), before)
            raise


def _walk(path: Path) -> Iterator[tuple[dict[str, object], Sha256]]:
    """Yield every event with its line's digest, the chain verified."""
    with _locked(path, fcntl.LOCK_SH):
        files = files_of(path)
        head, number = GENESIS, 0
        for place, file in enumerate(files):
            lines = _lines(file, is_newest=place == len(files) - 1)
            for first, line in enumerate(lines):
                number += 1
                event = _parsed(line, number)
                if event.get("previous") != head or event.get("line", number) != number:
                    why = "the link to the line before"
                    raise AuditLogBrokenError(line=number, why=why)
                if (place > 0 and first == 0) != (event["kind"] == CONTINUED):
                    raise AuditLogBrokenError(line=number, why="where a file begins")
                head = Sha256.of(line)
                yield event, head


def _lines(file: Path, *, is_newest: bool) -> list[bytes]:
    with file.open("rb") as stream:
        content = stream.read(MOST_FILE_BYTES + 1)
    if len(content) > MOST_FILE_BYTES:
        raise AuditLogBrokenError(line="?", why="a file beyond the size at which they rotate")
    whole, _, torn = content.rpartition(b"\n")
    if torn and not is_newest:
        raise AuditLogBrokenError(line="?", why="a file put aside ends inside a line")
    return whole.split(b"\n") if whole else []


def _parsed(line: bytes, number: int | str) -> dict[str, object]:
    try:
        event = json.loads(line)
        if isinstance(event, dict) and isinstance(event["kind"], str):
            Sha256(event["previous"])
            return event
    except (ValueError, KeyError, TypeError, RecursionError, InvalidIdError) as error:
        raise AuditLogBrokenError(line=number, why="not an audit line") from error
    raise AuditLogBrokenError(line=number, why="not an audit line")


def _content(event: AuditEvent) -> dict[str, object]:
    return {
        "kind": event.kind.value,
        "actor": event.actor,
        "subject": event.subject,
        "at": event.at.isoformat(),
        "details": event.details,
    }


def _structural(path: Path, torn: bytes) -> Iterator[dict[str, object]]:
    """Yield the lines about the log itself that come before the next event."""
    aside = [file for file in files_of(path) if file != path]
    if aside and _size(path) == 0:
        yield _of_the_log(CONTINUED, {"file": str(len(aside) + 1)})
    if torn:
        yield _of_the_log(RECOVERED, {"bytes": str(len(torn)), "digest": str(Sha256.of(torn))})


def _of_the_log(kind: str, details: dict[str, str]) -> dict[str, object]:
    """Return a line about the log itself; its time is the machine's."""
    at = datetime.now(UTC).isoformat()
    return {"kind": kind, "actor": "log", "subject": "log", "at": at, "details": details}


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
