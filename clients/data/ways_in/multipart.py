"""Take a multipart/related body apart as it comes, within limits (RFC 2046 5.1, PS3.18 8.6.1).

Without I/O: `feed(bytes)` yields what was found, so the STOW receiver and the
WADO client share it. `PartBegins`, then any number of `PartBytes`, then
`PartEnds`. Never holds more than one piece of the input and one boundary.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto

from federation.errors.sources import MultipartError

LONGEST_BOUNDARY = 200
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? \-]{1,200}")
_PARAMETER = re.compile(r';\s*([A-Za-z\-]+)\s*=\s*(?:"([^"]*)"|([^\s;"]+))')


@dataclass(frozen=True, slots=True)
class PartLimits:
    """How much one multipart message may be.

    `part_bytes` bounds the content of a part, `total_bytes` the whole message.
    """

    part_bytes: int = 512 * 1024 * 1024
    total_bytes: int = 4 * 1024**3
    parts: int = 10_000
    header_bytes: int = 8 * 1024


@dataclass(frozen=True, slots=True)
class PartBegins:
    """A part begins; header names are in lower case."""

    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class PartBytes:
    """Bytes of the current part."""

    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class PartEnds:
    """The current part is whole."""


Found = PartBegins | PartBytes | PartEnds


class _At(Enum):
    PREAMBLE = auto()
    AFTER_BOUNDARY = auto()
    HEADERS = auto()
    BODY = auto()
    END = auto()


def boundary_of(content_type: str, *, kind: str = "application/dicom") -> str:
    """Return the boundary of a multipart/related content type.

    Raises
    ------
    MultipartError
        If it is another type, of other parts than `kind`, or has no usable boundary.
    """
    media, _, _ = content_type.partition(";")
    given: dict[str, str] = {
        name.lower(): quoted or bare for name, quoted, bare in _PARAMETER.findall(content_type)
    }
    if media.strip().lower() != "multipart/related":
        raise MultipartError(why="it is not multipart/related")
    if given.get("type", kind).lower() != kind:
        raise MultipartError(why=f"its parts are not {kind}")
    if not _BOUNDARY.fullmatch(given.get("boundary", "")):
        raise MultipartError(why="it names no boundary")
    return given["boundary"]


class Multipart:
    """Takes one message apart. `feed` as bytes come, `close` at the end.

    Raises
    ------
    MultipartError
        From `feed` and `close`, when the message is malformed or passes a limit.
    """

    def __init__(self, boundary: str, limits: PartLimits) -> None:
        self._mark = b"\r\n--" + boundary.encode("ascii")
        self._limits = limits
        self._held = b"\r\n"  # a message may begin with its boundary at once
        self._at = _At.PREAMBLE
        self._parts = self._part_bytes = self._total = 0

    def feed(self, chunk: bytes) -> Iterator[Found]:
        """Yield what these bytes complete."""
        self._total += len(chunk)
        if self._total > self._limits.total_bytes:
            raise MultipartError(why=f"it is longer than {self._limits.total_bytes} bytes")
        self._held += chunk
        step = True
        while step:
            step = False
            for found in self._step():
                step = True
                if found is not None:
                    yield found

    def close(self) -> None:
        """Check that the message was whole."""
        if self._at is not _At.END:
            raise MultipartError(why="it ends before its last boundary")

    def _step(self) -> Iterator[Found | None]:
        """Yield once or more if anything could be taken from what is held."""
        if self._at is _At.PREAMBLE:
            yield from self._preamble()
        elif self._at is _At.AFTER_BOUNDARY:
            yield from self._after_boundary()
        elif self._at is _At.HEADERS:
            yield from self._headers()
        elif self._at is _At.BODY:
            yield from self._body()
        else:
            self._held = b""  # the epilogue is ignored (RFC 2046 5.1.1)

    def _preamble(self) -> Iterator[None]:
        before, mark, rest = self._held.partition(self._mark)
        if mark:
            self._held, self._at = rest, _At.AFTER_BOUNDARY
            yield None
        elif len(before) > self._limits.header_bytes:
            raise MultipartError(why="it does not begin with its boundary")

    def _after_boundary(self) -> Iterator[None]:
        if len(self._held) < 2:
            return
        if self._held.startswith(b"--"):
            self._at = _At.END
            yield None
            return
        padding, line_end, rest = self._held.partition(b"\r\n")
        if padding.strip(b" \t") or len(padding) > LONGEST_BOUNDARY:
            raise MultipartError(why="a boundary is followed by something else")
        if line_end:
            self._held, self._at = b"\r\n" + rest, _At.HEADERS
            yield None

    def _headers(self) -> Iterator[PartBegins]:
        block, end, rest = self._held.partition(b"\r\n\r\n")
        if len(block) > self._limits.header_bytes:
            raise MultipartError(why="the headers of a part are too long")
        if not end:
            return
        self._parts += 1
        if self._parts > self._limits.parts:
            raise MultipartError(why=f"it has more than {self._limits.parts} parts")
        self._held, self._at, self._part_bytes = rest, _At.BODY, 0
        yield PartBegins(_headers_of(block))

    def _body(self) -> Iterator[Found]:
        at = self._held.find(self._mark)
        sure = at if at >= 0 else len(self._held) - len(self._mark) + 1
        if sure > 0:
            content, self._held = self._held[:sure], self._held[sure:]
            self._part_bytes += len(content)
            if self._part_bytes > self._limits.part_bytes:
                raise MultipartError(why=f"a part is longer than {self._limits.part_bytes} bytes")
            yield PartBytes(content)
        if at >= 0:
            self._held = self._held[len(self._mark) :]
            self._at = _At.AFTER_BOUNDARY
            yield PartEnds()


def _headers_of(block: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in block.decode("latin-1").split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            found[name.strip().lower()] = value.strip()
    return found
