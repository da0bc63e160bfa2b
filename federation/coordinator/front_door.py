"""The one public port of the centre: mutual TLS, then the right room or none.

Every connection must show a certificate of this centre's authority. What it
wants to speak is told by ALPN: `h2` is spliced to the control service on
loopback, `trifed-fleet/1` goes to the fleet gate, anything else is closed. The
control service learns who speaks from `callers`, filled before the first byte
passes, so a program that finds the loopback port by itself gets nothing. A
revoked node passes TLS and is then refused in words; revoking closes what is
open. This module moves bytes and asks `identify`; it decides nothing else.
"""

import asyncio
import errno
import json
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol

from federation.domain.ids import SiteId
from federation.errors import PlatformError
from federation.errors.control import NoProtocolChosenError
from federation.errors.core import UnreadableRecordError
from federation.errors.machine import PortTakenError

log = logging.getLogger(__name__)

ALPN_CONTROL = "h2"
ALPN_FLEET = "trifed-fleet/1"
ALPN = (ALPN_CONTROL, ALPN_FLEET)

_HANDSHAKE_S = 10.0
_BUFFER_BYTES = 2**20
_MAX_CONNECTIONS = 4096
_ALERT_S = 1.0
_CLOSE_S = 1.5
_WORDS_S = 0.5  # how long a revoked connection may still carry the refusal


class PeerIdentity(Protocol):
    """Who holds a certificate."""

    @property
    def site(self) -> SiteId:
        """Return the site it was issued to."""
        ...


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is at the other end of a connection: an identity, or why there is none."""

    address: str
    site: SiteId | None
    refusal: PlatformError | None = None


Callers = MutableMapping[str, Caller]
"""Callers by the name gRPC gives the front door's own end: `ipv4:127.0.0.1:PORT`."""

Identify = Callable[[bytes], PeerIdentity]
"""Return who holds a certificate (DER), or raise a coded error: revoked, unknown."""

Explain = Callable[[Exception, str], PlatformError]
"""Return the coded error of a failed handshake with a peer's address."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
ServeFleet = Callable[[asyncio.StreamReader, asyncio.StreamWriter, PeerIdentity], Awaitable[None]]


class _Connection:
    """One open connection: whose, and how to end it with words."""

    def __init__(self, caller: Caller, certificate: bytes, writer: asyncio.StreamWriter) -> None:
        self.caller = caller
        self.certificate = certificate
        self.inner_name: str | None = None
        self._transport = writer.transport

    def close(self) -> None:
        self._transport.abort()


class FrontDoor:
    """Listen, authenticate, and hand each connection to its room."""

    def __init__(
        self,
        *,
        tls: Callable[[], ssl.SSLContext],
        identify: Identify,
        explain: Explain,
        callers: Callers,
        control_port: int,
        serve_fleet: ServeFleet,
        on_revoked: Callable[[str, PlatformError], None],
    ) -> None:
        self._tls = tls
        self._identify = identify
        self._explain = explain
        self._callers = callers
        self._control_port = control_port
        self._serve_fleet = serve_fleet
        self._on_revoked = on_revoked
        self._open: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listeners: list[socket.socket] = []

    def bind(self, host: str, port: int) -> int:
        """Take the port and return it (the one asked for, or chosen when 0).

        Connections wait in the queue until `open`.

        Raises
        ------
        PortTakenError
            If another program listens there.
        """
        listener = _listening_socket(host, port)
        self._listeners.append(listener)
        return int(listener.getsockname()[1])

    def open(self) -> None:
        """Start to serve the connections of every bound port."""
        for listener in self._listeners:
            self._spawn(self._accept(listener))

    def recheck(self) -> int:
        """Ask again who every open connection is; end those now refused; return how many."""
        ended = 0
        for connection in list(self._open):
            try:
                self._identify(connection.certificate)
            except UnreadableRecordError as error:  # says nothing of this peer
                log.error("[%s] %s", error.code, error.say())
            except PlatformError as refusal:
                if connection.caller.refusal is None:
                    self._end(connection, refusal)
                    ended += 1
        return ended

    async def close(self) -> None:
        """Stop listening and drop every connection."""
        for listener in self._listeners:
            listener.close()
        for connection in list(self._open):
            connection.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a connection ended with a defect", exc_info=error)

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                peer, address = await loop.sock_accept(listener)
            except OSError as error:
                if error.errno == errno.EBADF:  # closed
                    return
                log.error("cannot accept a connection: %s", error.strerror)
                await asyncio.sleep(0.2)
                continue
            if len(self._tasks) > _MAX_CONNECTIONS:
                peer.close()
                continue
            self._spawn(self._serve(peer, f"{address[0]}:{address[1]}"))

    async def _serve(self, peer: socket.socket, address: str) -> None:
        try:
            reader, writer = await self._handshake(peer)
        except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError
            peer.close()
            _log_refusal(self._explain(error, address), address)
            return
        try:
            await self._route(reader, writer, address)
        except (ConnectionError, TimeoutError, ssl.SSLError):
            pass  # the peer went away
        finally:
            await _close(writer)

    async def _handshake(self, peer: socket.socket) -> Streams:
        loop = asyncio.get_running_loop()
        _tune(peer)
        context = self._tls()
        alerts = _keep_alert(context)
        reader = asyncio.StreamReader(limit=_BUFFER_BYTES, loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        with peer.dup() as spare:
            try:
                transport, _ = await loop.connect_accepted_socket(
                    lambda: protocol,
                    peer,
                    ssl=context,
                    ssl_handshake_timeout=_HANDSHAKE_S,
                    ssl_shutdown_timeout=1.0,
                )
            except (OSError, TimeoutError):
                await _send_alert(spare, alerts)
                raise
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)

    async def _route(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: str
    ) -> None:
        tls = writer.get_extra_info("ssl_object")
        certificate = tls.getpeercert(binary_form=True) or b""
        identity, caller = self._caller(certificate, address)
        with self._entered(_Connection(caller, certificate, writer)) as connection:
            protocol = tls.selected_alpn_protocol()
            if protocol == ALPN_CONTROL:
                await self._splice(connection, reader, writer)
            elif protocol == ALPN_FLEET and identity is not None:
                await self._serve_fleet(reader, writer, identity)
            elif protocol == ALPN_FLEET and caller.refusal is not None:
                await _refuse_fleet(reader, writer, caller.refusal)
            else:
                _log_refusal(NoProtocolChosenError(peer=caller.site or address), address)

    def _caller(self, certificate: bytes, address: str) -> tuple[PeerIdentity | None, Caller]:
        try:
            identity = self._identify(certificate)
        except PlatformError as refusal:
            _log_refusal(refusal, address)
            return None, Caller(address, None, refusal)
        return identity, Caller(address, identity.site)

    @contextmanager
    def _entered(self, connection: _Connection) -> Iterator[_Connection]:
        self._open.add(connection)
        try:
            yield connection
        finally:
            self._open.discard(connection)

    async def _splice(
        self, connection: _Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        inner = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        inner.setblocking(False)
        inner.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        inner.bind(("127.0.0.1", 0))  # known before the service can see it
        name = f"ipv4:127.0.0.1:{inner.getsockname()[1]}"
        connection.inner_name = name
        self._callers[name] = connection.caller
        inner_writer: asyncio.StreamWriter | None = None
        try:
            loop = asyncio.get_running_loop()
            await loop.sock_connect(inner, ("127.0.0.1", self._control_port))
            inner_reader, inner_writer = await asyncio.open_connection(sock=inner)
            await _both_ways((reader, writer), (inner_reader, inner_writer))
        finally:
            del self._callers[name]
            inner_writer.transport.abort() if inner_writer else inner.close()

    def _end(self, connection: _Connection, refusal: PlatformError) -> None:
        _log_refusal(refusal, connection.caller.address)
        connection.caller = replace(connection.caller, site=None, refusal=refusal)
        if connection.inner_name is None:
            connection.close()
            return
        self._callers[connection.inner_name] = connection.caller
        self._on_revoked(connection.inner_name, refusal)
        asyncio.get_running_loop().call_later(_WORDS_S, connection.close)


def _keep_alert(context: ssl.SSLContext) -> list[bytes]:
    """Return a list that gets the TLS alert of a handshake that fails in this context.

    Event loops close a failed connection without sending it.
    """
    alerts: list[bytes] = []

    def wrap_bio(incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, **options: Any) -> ssl.SSLObject:
        session = ssl.SSLContext.wrap_bio(context, incoming, outgoing, **options)
        shake = session.do_handshake

        def do_handshake() -> None:
            try:
                shake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise
            except ssl.SSLError:
                alerts.append(outgoing.read())
                raise

        session.do_handshake = do_handshake  # type: ignore[method-assign]
        return session

    context.wrap_bio = wrap_bio  # type: ignore[method-assign,assignment]
    return alerts


async def _send_alert(spare: socket.socket, alerts: list[bytes]) -> None:
    """Tell a refused peer why, in TLS's own words.

    Reads what it still sends for a moment, or the system would reset the
    connection and the peer would never see the alert.
    """
    loop = asyncio.get_running_loop()
    spare.setblocking(False)
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(_ALERT_S):
            await loop.sock_sendall(spare, b"".join(alerts))
            spare.shutdown(socket.SHUT_WR)
            while await loop.sock_recv(spare, 4096):
                pass


async def _both_ways(left: Streams, right: Streams) -> None:
    """Copy bytes in both directions until either side ends."""
    copies = [
        asyncio.ensure_future(_copy(left[0], right[1])),
        asyncio.ensure_future(_copy(right[0], left[1])),
    ]
    try:
        await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(1.0):
                await left[1].drain()
    finally:
        for copy in copies:
            copy.cancel()
        await asyncio.gather(*copies, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while content := await reader.read(_BUFFER_BYTES):
        writer.write(content)
        await writer.drain()


async def _refuse_fleet(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, refusal: PlatformError
) -> None:
    """Answer the first request with 403 and the coded reason, then close."""
    body = json.dumps({"error": refusal.as_json()}).encode()
    with suppress(TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        async with asyncio.timeout(_HANDSHAKE_S):
            await reader.readuntil(b"\r\n\r\n")
    head = (
        "HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    writer.write(head.encode() + body)
    await writer.drain()


async def _close(writer: asyncio.StreamWriter) -> None:
    """Close politely: what was written is sent, but not waited for much longer than a second."""
    writer.close()
    try:
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(_CLOSE_S):
                await writer.wait_closed()
    finally:
        writer.transport.abort()


def _listening_socket(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(256)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTakenError(port=port) from error
        raise
    return listener


def _tune(peer: socket.socket) -> None:
    """Send small messages at once (a wake waited 40 ms without); notice a dead line."""
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, name):
            peer.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _log_refusal(error: PlatformError, address: str) -> None:
    log.warning("[%s] %s (from %s)", error.code, error.say(), address)
