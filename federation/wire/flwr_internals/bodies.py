"""Hold the bodies of many requests and answers at once without holding each in memory.

A thousand sites may send and fetch at the same time, some over slow lines, and nobody
shall wait for another one. While little is on its way a body is read into memory, else
into a file as it comes; an object that many fetch is kept once for all their answers.
"""

import tempfile
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from threading import Lock
from typing import IO, Any

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

MEMORY_BYTES = 32 << 20
"""Bytes of unfinished bodies that memory holds, whatever the number of requests."""

MOST_BYTES = 80 << 20
"""Most that one body may have."""

_SMALL_BYTES = 64 << 10
_SHARED_BYTES = 32 << 20


class Bodies:
    """The bodies that are being read at one server; for one event loop.

    Parameters
    ----------
    folder
        Where files may be made that nobody sees; None keeps everything in memory.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.held_bytes = 0

    async def read(self, receive: Receive) -> "Body | None":
        """Return a request's body, to be closed; None if the peer went away or sent too much."""
        body = Body(self)
        while (more := await _take_part(receive, body)) is not None:
            if not more:
                return body
        body.close()
        return None

    def is_full(self) -> bool:
        """Say whether memory has enough."""
        return self.folder is not None and self.held_bytes > MEMORY_BYTES


async def _take_part(receive: Receive, body: "Body") -> bool | None:
    """Add the next part to a body; say whether more follow, None if the rest is not wanted.

    A function of its own: nothing may hold a part that is in its file while the next is
    awaited, which a slow line keeps a thousand readers doing.
    """
    event = await receive()
    if event["type"] != "http.request":
        return None
    body.add(event.get("body", b""))
    return bool(event.get("more_body")) if body.size <= MOST_BYTES else None


class Body:
    """One body: first what lies in its file, if there is one, then what memory holds."""

    def __init__(self, bodies: Bodies) -> None:
        self.size = 0
        self._bodies = bodies
        self._parts: list[bytes] = []
        self._file: IO[bytes] | None = None
        self._in_file = 0

    def add(self, part: bytes) -> None:
        """Take the next part."""
        self.size += len(part)
        self._parts.append(part)
        self._bodies.held_bytes += len(part)
        if self._file is not None or (self.size > _SMALL_BYTES and self._bodies.is_full()):
            while self._parts and self._is_written(self._parts[0]):
                self._bodies.held_bytes -= len(self._parts.pop(0))

    def content(self) -> bytes:
        """Return all of it."""
        if self._file is not None:
            self._file.seek(0)
            return b"".join((self._file.read(self._in_file), *self._parts))
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)

    def close(self) -> None:
        """Let go of it."""
        self._bodies.held_bytes -= sum(map(len, self._parts))
        self._parts = []
        if self._file is not None:
            self._file.close()
            self._file = None

    def _is_written(self, part: bytes) -> bool:
        """Write a part to the file; where the disk is full, memory it is."""
        try:
            if self._file is None:
                folder = self._bodies.folder
                self._file = tempfile.TemporaryFile(buffering=0, dir=folder)  # noqa: SIM115
            self._file.seek(self._in_file)
            whole = self._file.write(part) == len(part)
        except OSError:
            return False
        self._in_file += len(part) if whole else 0
        return whole


class SharedAnswers:
    """The last large objects that were asked for, each as the one answer all askers get.

    Objects are named by their content, so the same name is the same answer.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._lock = Lock()

    def same(self, name: str, answer: bytes) -> bytes:
        """Return the answer kept under this name, which this one may become."""
        if len(answer) < _SMALL_BYTES:
            return answer
        with self._lock:
            found = self._kept.setdefault(name, answer)
            self._kept.move_to_end(name)
            while len(self._kept) > 1 and sum(map(len, self._kept.values())) > _SHARED_BYTES:
                self._kept.popitem(last=False)
        return found
