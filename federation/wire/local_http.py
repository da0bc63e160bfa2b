"""Speak HTTP/1.1 over a Unix socket fast enough for models of 100 MB.

httpx and h11 move a body in steps of 64 KiB and copy each several times. This
transport sends a body with one system call after another straight from its
buffer and reads an answer of known length into one buffer. It plugs into an
`httpx.Client`, so Flower's own clients use it unchanged.
"""

import http.client
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx

_BUFFER_BYTES = 1 << 20
_PIECE_BYTES = 1 << 20


def _pieces(body: bytes) -> Iterator[memoryview]:
    """Yield a body in pieces, each of which has the whole timeout: a line may be slow."""
    whole = memoryview(body)
    for start in range(0, len(body), _PIECE_BYTES):
        yield whole[start : start + _PIECE_BYTES]


class _UnixConnection(http.client.HTTPConnection):
    """A connection to a Unix socket; what it speaks to is in the path alone."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path
        self.is_fresh = True

    def connect(self) -> None:
        """Open the socket, with buffers that hold a large part of a chunk."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
        self.sock.connect(str(self._path))


class UnixTransport(httpx.BaseTransport):
    """Carry httpx requests over kept connections to one Unix socket.

    Safe to use from several threads; each request has a connection of its own
    while it lasts. A kept connection that the server closed meanwhile is
    replaced once, before anything of the answer was read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[_UnixConnection] = []
        self._lock = threading.Lock()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request and return its whole answer.

        Raises
        ------
        httpx.TransportError
            ConnectError, ReadTimeout or ReadError, as Flower's retries expect.
        """
        timeout_s = float((request.extensions.get("timeout") or {}).get("read") or 30.0)
        connection = self._take(timeout_s)
        if not connection.is_fresh:
            try:
                return self._exchange(connection, request)
            except (httpx.ReadError, httpx.ConnectError):
                connection = _UnixConnection(self._path, timeout_s)
        return self._exchange(connection, request)

    def _exchange(self, connection: _UnixConnection, request: httpx.Request) -> httpx.Response:
        try:
            answer = self._send(connection, request)
            body = answer.read()
        except TimeoutError as error:
            connection.close()
            raise httpx.ReadTimeout(str(error), request=request) from error
        except (ConnectionRefusedError, FileNotFoundError) as error:
            connection.close()
            raise httpx.ConnectError(str(error), request=request) from error
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise httpx.ReadError(str(error), request=request) from error
        self._keep(connection, closing=answer.will_close)
        return httpx.Response(answer.status, headers=answer.getheaders(), content=body)

    @staticmethod
    def _send(connection: _UnixConnection, request: httpx.Request) -> http.client.HTTPResponse:
        headers = {name.decode("ascii"): value for name, value in request.headers.raw}
        body = request.read()
        connection.request(
            request.method,
            request.url.raw_path.decode("ascii"),
            body=_pieces(body) if body else None,
            headers=headers,
        )
        return connection.getresponse()

    def _take(self, timeout_s: float) -> _UnixConnection:
        with self._lock:
            if not self._idle:
                return _UnixConnection(self._path, timeout_s)
            connection = self._idle.pop()
        connection.is_fresh = False
        connection.timeout = timeout_s
        if connection.sock is not None:
            connection.sock.settimeout(timeout_s)
        return connection

    def _keep(self, connection: _UnixConnection, *, closing: bool) -> None:
        if closing:
            connection.close()
            return
        with self._lock:
            self._idle.append(connection)

    def close(self) -> None:
        """Close the connections that are not in use."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
