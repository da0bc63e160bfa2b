"""Let nodes through to Flower's Fleet API and to nothing else.

The SuperLink serves its Control and Runtime APIs, which have no login, on the
same socket. So each request is parsed (h11), must be a POST to one of Flower's
Fleet paths spelled exactly so, with one Content-Length and the Flower node key
that was enrolled for the connection's certificate, and is then written anew:
nothing of the original head is passed on but the headers named here. Bodies are
counted while they stream and never held as a whole; `moved` is told of every piece
of a model or update, which is how the centre sees a slow site from a dead one. Everything else is
answered in words and the connection ends.

Used by the front door: `serve_fleet(reader, writer, identity, ...)`.
"""

import asyncio
import base64
import binascii
import hmac
import json
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import h11

from federation.domain.ids import SiteId
from federation.errors.base import PlatformError
from federation.errors.rounds import (
    FleetRequestMalformedError,
    FlowerKeyRefusedError,
    PathRefusedError,
    SuperLinkUnreachableError,
)
from federation.wire.local_sockets import path_of

ROUTES = frozenset(
    f"/v1/fleet/{name}".encode()
    for name in (
        "activate-node",
        "deactivate-node",
        "send-node-heartbeat",
        "pull-messages",
        "push-messages",
        "get-run",
        "get-fab",
        "push-object",
        "pull-object",
        "confirm-message-received",
    )
)
"""What a SuperNode asks. Registering is the centre's own, so it is not here."""

_OBJECT_ROUTES = frozenset({b"/v1/fleet/push-object", b"/v1/fleet/pull-object"})
"""What carries models and updates; the rest is asked all the time."""

MAX_BODY_BYTES = 64 << 20
MAX_HEAD_BYTES = 16 << 10

KEY_HEADER = b"flwr-public-key"
_PASSED = frozenset(
    {
        b"content-type",
        b"accept",
        KEY_HEADER,
        b"flwr-signature",
        b"flwr-timestamp",
        b"flwr-component-name",
        b"flwr-package-name",
        b"flwr-package-version",
    }
)
_RETURNED = frozenset({b"content-type"})
_PIECE = 1 << 18
_IDLE_S = 120.0
_ANSWER_S = 60.0
_KEPT_UPSTREAM = 64
_ON_THE_WAY_BYTES = 16 << 20
"""What the system may hold of all bodies on their way to the SuperLink, which reads all that
lies there before it can stop a connection: a thousand replies at once shall not fill it."""
_LEAST_BYTES, _MOST_BYTES = 8 << 10, 128 << 10

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
EnrolledKey = Callable[[SiteId], bytes | None]
"""Return the Flower key (PEM) enrolled for a site, or None."""

Moved = Callable[[SiteId, int, int], None]
"""Told of a site's bytes of models and updates as they move: in from it, out to it."""


class Identity(Protocol):
    """Who holds the connection's certificate."""

    @property
    def site(self) -> SiteId:
        """Return the site it was issued to."""
        ...


@dataclass(slots=True)
class Upstream:
    """Kept connections to one SuperLink, whose buffers get smaller the more are in use."""

    address: str
    _idle: list[Streams] = field(default_factory=list)
    _in_use: int = 0

    async def take(self) -> Streams:
        """Return a connection, a kept one if there is one.

        Raises
        ------
        SuperLinkUnreachableError
            If the SuperLink does not listen.
        """
        reader, writer = self._kept() or await self._opened()
        self._in_use += 1
        share = min(max(_ON_THE_WAY_BYTES // self._in_use, _LEAST_BYTES), _MOST_BYTES)
        channel: socket.socket = writer.get_extra_info("socket")
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, share)
        return reader, writer

    def _kept(self) -> Streams | None:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.close()
        return None

    async def _opened(self) -> Streams:
        path: Path = path_of(self.address)
        try:
            return await asyncio.open_unix_connection(path, limit=_PIECE)
        except OSError as error:
            raise SuperLinkUnreachableError(address=self.address) from error

    def drop(self, streams: Streams) -> None:
        """Close a connection that is not to be used again."""
        self._in_use -= 1
        streams[1].close()

    def keep(self, streams: Streams) -> None:
        """Keep a connection whose last answer was read to its end."""
        self._in_use -= 1
        if len(self._idle) < _KEPT_UPSTREAM:
            self._idle.append(streams)
        else:
            streams[1].close()

    def close(self) -> None:
        """Close the kept connections."""
        while self._idle:
            self._idle.pop()[1].close()


async def serve_fleet(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    identity: Identity,
    upstream: Upstream,
    *,
    enrolled_key: EnrolledKey,
    moved: Moved,
) -> None:
    """Serve one node's connection until it ends or says something it may not.

    Parameters
    ----------
    identity
        From the connection's client certificate.
    upstream
        The SuperLink; shared by all connections of a front door.
    enrolled_key
        Asked at every request, so that a changed roster counts at once.
    moved
        Told while models and updates pass.
    """
    gate = _Connection(reader, writer, identity.site, upstream, enrolled_key, moved)
    with suppress(ConnectionError, asyncio.IncompleteReadError, TimeoutError):
        while await gate.serve_one():
            pass
    with suppress(OSError):
        writer.close()


@dataclass(frozen=True, slots=True)
class _Head:
    path: bytes
    headers: list[tuple[bytes, bytes]]
    length: int


class _Connection:
    """One node's connection: request after request."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        site: SiteId,
        upstream: Upstream,
        enrolled_key: EnrolledKey,
        moved: Moved,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._site = site
        self._upstream = upstream
        self._enrolled_key = enrolled_key
        self._moved = moved
        self._ahead = b""

    async def serve_one(self) -> bool:
        """Serve one request; tell whether another may follow."""
        try:
            head = await self._read_head()
            if head is None:
                return False
            await self._relay(head)
        except PlatformError as error:
            status = 502 if isinstance(error, SuperLinkUnreachableError) else 403
            await self._refuse(error, status)
            return False
        return True

    async def _read_head(self) -> _Head | None:
        """Return the next request's head, checked, or None at the connection's end."""
        parser = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        content, self._ahead = self._ahead, b""
        while True:
            try:
                if content:
                    parser.receive_data(content)
                event = parser.next_event()
            except h11.RemoteProtocolError as error:
                raise FleetRequestMalformedError(problem="not HTTP/1.1 as it should be") from error
            if isinstance(event, h11.Request):
                self._ahead = parser.trailing_data[0]
                return self._checked(event)
            content = await asyncio.wait_for(self._reader.read(_PIECE), _IDLE_S)
            if not content:
                return None

    def _checked(self, request: h11.Request) -> _Head:
        """Raise unless this is a request that Flower's SuperNode would send."""
        if request.method != b"POST" or request.target not in ROUTES:
            raise PathRefusedError(path=_printable(request.method + b" " + request.target))
        if request.http_version != b"1.1":
            raise FleetRequestMalformedError(problem="not HTTP/1.1")
        names = [name for name, _ in request.headers]
        if sum(len(name) + len(value) for name, value in request.headers) > MAX_HEAD_BYTES:
            raise FleetRequestMalformedError(problem="headers too long")
        for name in (b"transfer-encoding", b"upgrade", b"expect", b"trailer", b"te"):
            if name in names:
                raise FleetRequestMalformedError(problem=f"header {name.decode()}")
        if any(names.count(name) > 1 for name in (*_PASSED, b"content-length", b"host")):
            raise FleetRequestMalformedError(problem="a header twice")
        headers = dict(request.headers)
        length = headers.get(b"content-length", b"")
        if not length.isdigit() or len(length) > 12 or int(length) > MAX_BODY_BYTES:
            raise FleetRequestMalformedError(problem="no usable Content-Length")
        self._check_key(headers.get(KEY_HEADER, b""))
        passed = [(name, value) for name, value in request.headers if name in _PASSED]
        return _Head(bytes(request.target), passed, int(length))

    def _check_key(self, header: bytes) -> None:
        enrolled = self._enrolled_key(self._site)
        try:
            shown = base64.b64decode(header, validate=True)
        except (binascii.Error, ValueError) as error:
            raise FlowerKeyRefusedError(site=self._site) from error
        if enrolled is None or not hmac.compare_digest(shown, enrolled):
            raise FlowerKeyRefusedError(site=self._site)

    async def _relay(self, head: _Head) -> None:
        """Send the request on and the answer back; the node repeats what failed with 502."""
        streams = await self._upstream.take()
        reader, writer = streams
        try:
            writer.write(_request_head(head))
            await self._pass_body(head, writer)
            closing = await self._pass_answer(head, reader)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            self._upstream.drop(streams)
            raise SuperLinkUnreachableError(address=self._upstream.address) from error
        except BaseException:
            self._upstream.drop(streams)
            raise
        if closing:
            self._upstream.drop(streams)
        else:
            self._upstream.keep(streams)

    def _note(self, head: _Head, *, came: int = 0, went: int = 0) -> None:
        if head.path in _OBJECT_ROUTES:
            self._moved(self._site, came, went)

    async def _pass_body(self, head: _Head, writer: asyncio.StreamWriter) -> None:
        left = head.length
        while left:
            content = self._ahead or await asyncio.wait_for(self._reader.read(_PIECE), _IDLE_S)
            if not content:
                raise asyncio.IncompleteReadError(b"", left)
            piece, self._ahead = content[:left], content[left:]
            writer.write(piece)
            left -= len(piece)
            self._note(head, came=len(piece))
            await writer.drain()
        await writer.drain()

    async def _pass_answer(self, head: _Head, reader: asyncio.StreamReader) -> bool:
        """Write the answer anew; tell whether the SuperLink closes after it."""
        answer, begun = await asyncio.wait_for(_read_answer(reader), _ANSWER_S)
        headers = dict(answer.headers)
        length = int(headers.get(b"content-length", b"0"))
        returned = [(name, value) for name, value in answer.headers if name in _RETURNED]
        self._writer.write(_answer_head(answer.status_code, returned, length))
        await self._pass_back(head, length, begun, reader)
        return headers.get(b"connection", b"").lower() == b"close"

    async def _pass_back(
        self, head: _Head, length: int, content: bytes, reader: asyncio.StreamReader
    ) -> None:
        """Pass the answer's body on; a slow line may take its time, as long as bytes move."""
        left = length
        while left:
            content = content or await asyncio.wait_for(reader.read(min(_PIECE, left)), _ANSWER_S)
            if not content or len(content) > left:
                raise asyncio.IncompleteReadError(b"", left)
            self._writer.write(content)
            left -= len(content)
            await asyncio.wait_for(self._writer.drain(), _IDLE_S)
            self._note(head, went=len(content))
            content = b""
        await asyncio.wait_for(self._writer.drain(), _IDLE_S)

    async def _refuse(self, error: PlatformError, status: int) -> None:
        body = json.dumps({"error": error.as_json()}, ensure_ascii=False).encode()
        headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
        self._writer.write(_answer_head(status, headers, len(body)) + body)
        with suppress(OSError):
            await self._writer.drain()


async def _read_answer(reader: asyncio.StreamReader) -> tuple[h11.Response, bytes]:
    """Return the head of the SuperLink's answer and what of its body came with it."""
    parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
    parser.send(h11.Request(method="POST", target="/", headers=[("host", "superlink")]))
    parser.send(h11.EndOfMessage())
    while not isinstance(event := parser.next_event(), h11.Response):
        content = await reader.read(_PIECE)
        if not content:
            raise asyncio.IncompleteReadError(b"", None)
        parser.receive_data(content)
    return event, parser.trailing_data[0]


def _request_head(head: _Head) -> bytes:
    lines = [b"POST " + head.path + b" HTTP/1.1", b"host: superlink"]
    lines += _lines(head.headers)
    lines.append(b"content-length: %d" % head.length)
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _answer_head(status: int, headers: Iterable[tuple[bytes, bytes]], length: int) -> bytes:
    lines = [b"HTTP/1.1 %d -" % status, *_lines(headers), b"content-length: %d" % length]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _lines(headers: Iterable[tuple[bytes, bytes]]) -> list[bytes]:
    return [name + b": " + value for name, value in headers]


def _printable(content: bytes) -> str:
    return ascii(content[:120].decode("latin-1"))
