"""Carry the SuperNode's connections to the centre, wrapped in mutual TLS.

Flower's SuperNode has no client certificate. It connects to a Unix socket in
the node's private run folder, which only the node's own user can open; each
connection gets a TLS connection of its own to the centre's one port, and bytes
are copied in both directions. When the centre is away the connection is closed,
and the SuperNode tries again by itself. A line that fell silent, as when a cable is
pulled, is closed after half a minute, or when the control channel is back before.

One thread per connection with blocking sockets and large buffers: measured
faster here than asyncio, and a model in transit does not delay the control
channel's loop.
"""

import select
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from clients.home import NodeHome, NodeSettings
from federation.errors.base import PlatformError
from federation.errors.control import CentreUnreachableError
from federation.homes import parse_address
from federation.pki.handshakes import Side, client_context, explain_handshake_failure
from federation.wire.local_sockets import socket_path

ALPN_FLEET = "trifed-fleet/1"

_CONNECT_S = 10.0
_SILENT_S = 30
_BUFFER_BYTES = 1 << 18
_SOCKET_BUFFER = 1 << 20

OnError = Callable[[PlatformError], None]


def fleet_socket(home: Path) -> Path:
    """Return the socket that the forwarder of this node's home listens on."""
    return socket_path(home / "run", "fleet.sock")


class Forwarder:
    """The node's way out for Flower.

    Parameters
    ----------
    home, settings
        The node's home, and where its centre is.
    on_error
        Told, once per failure, why the centre cannot be reached.
    """

    def __init__(self, home: NodeHome, settings: NodeSettings, *, on_error: OnError) -> None:
        self._home = home
        self._settings = settings
        self._on_error = on_error
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    @property
    def path(self) -> Path:
        """Return the socket it listens on."""
        return fleet_socket(self._home.folder)

    def start(self) -> None:
        """Listen; returns at once."""
        self.path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(self.path))
        self.path.chmod(0o600)
        listener.listen(16)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True, name="fleet").start()

    def close(self) -> None:
        """Stop listening and end what is open."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        _shut(listener)
        self.path.unlink(missing_ok=True)
        with self._lock:
            for connection in list(self._open):
                _shut(connection)

    def drop(self) -> None:
        """End the connections that are open, so that they are made anew."""
        with self._lock:
            for connection in list(self._open):
                _hang_up(connection)

    def _accept(self, listener: socket.socket) -> None:
        while self._listener is listener:
            try:
                local, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(local,), daemon=True, name="fleet").start()

    def _serve(self, local: socket.socket) -> None:
        local.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BUFFER)
        with local:
            try:
                centre = self._connect()
            except PlatformError as error:
                self._on_error(error)
                return
            with centre:
                self._watch(local, centre)

    def _watch(self, local: socket.socket, centre: ssl.SSLSocket) -> None:
        with self._lock:
            self._open |= {local, centre}
        try:
            _splice(local, centre)
        except (OSError, ValueError):
            pass  # one side went away: both are closed, the SuperNode comes back
        finally:
            with self._lock:
                self._open -= {local, centre}

    def _connect(self) -> ssl.SSLSocket:
        """Return a TLS connection to the centre's fleet gate.

        Raises
        ------
        CentreUnreachableError
            If nothing answers.
        PlatformError
            Of enrolment, if a certificate is not good.
        """
        host, port = parse_address(self._settings.address)
        try:
            raw = socket.create_connection((host, port), timeout=_CONNECT_S)
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise CentreUnreachableError(address=self._settings.address, why=why) from error
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _notice_silence(raw)
        try:
            centre = self._tls().wrap_socket(raw, server_hostname=host)
        except (ssl.SSLError, OSError) as error:
            raw.close()
            raise explain_handshake_failure(
                error,
                seen_by=Side.NODE,
                node=self._settings.site,
                centre=self._settings.address,
            ) from error
        centre.settimeout(None)
        return centre

    def _tls(self) -> ssl.SSLContext:
        """Read anew for each connection: a renewed certificate counts at once."""
        return client_context(
            certificate=self._home.tls_certificate,
            key=self._home.tls_key,
            authority=self._home.authority_certificate,
            alpn=[ALPN_FLEET],
        )


def _splice(local: socket.socket, centre: ssl.SSLSocket) -> None:
    """Copy in both directions until either side ends."""
    buffer = bytearray(_BUFFER_BYTES)
    view = memoryview(buffer)
    while True:
        readable = [centre] if centre.pending() else select.select([local, centre], [], [])[0]
        if local in readable:
            count = local.recv_into(buffer)
            if not count:
                return
            centre.sendall(view[:count])
        if centre in readable:
            count = centre.recv_into(buffer)
            if not count:
                return
            local.sendall(view[:count])


def _notice_silence(line: socket.socket) -> None:
    """Let the system end a line on which nothing comes through any more (Linux; else later)."""
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    wanted = {
        "TCP_KEEPIDLE": _SILENT_S // 2,
        "TCP_KEEPINTVL": _SILENT_S // 6,
        "TCP_KEEPCNT": 3,
        "TCP_USER_TIMEOUT": 1000 * _SILENT_S,
    }
    for name, value in wanted.items():
        if hasattr(socket, name):
            line.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _hang_up(connection: socket.socket) -> None:
    """End a connection that another thread uses; that thread closes it.

    Not by `SSLSocket.shutdown`: it takes the TLS away first, and what the other thread
    sends in that moment would leave in the clear.
    """
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _shut(connection: socket.socket) -> None:
    _hang_up(connection)
    connection.close()
