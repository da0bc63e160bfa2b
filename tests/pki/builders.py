"""A centre and nodes in a temporary folder, and one real TLS handshake on loopback."""

import json
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from clients.enrolment import init_node, join_node
from clients.home import NodeHome
from federation.coordinator.home import CentreHome
from federation.domain.ids import SiteId
from federation.operations.enrolment import init_centre, invite_site, sign_request
from federation.pki.handshakes import client_context, server_context
from federation.pki.requests import EnrolmentRequest, Invitation

NOW = datetime.now(UTC).replace(microsecond=0)
YEARS = timedelta(days=800)
TAINAN = SiteId("tainan-1")
ADDRESS = "localhost:8443"
ALPN = ("trifed-test/1",)


def a_centre(folder: Path, *, now: datetime = NOW) -> CentreHome:
    return init_centre(folder, name="國家執行中心", address=ADDRESS, now=now)


def an_invitation(centre: CentreHome, *, site: SiteId = TAINAN, now: datetime = NOW) -> Invitation:
    return invite_site(centre, site=site, name="成大醫院", now=now)


def a_node(
    folder: Path, centre: CentreHome, *, site: SiteId = TAINAN, now: datetime = NOW
) -> NodeHome:
    return init_node(folder, invitation=an_invitation(centre, site=site, now=now), now=now)


def request_of(node: NodeHome) -> EnrolmentRequest:
    return EnrolmentRequest.from_bytes(node.request_file.read_bytes())


def an_enrolled_node(
    folder: Path, centre: CentreHome, *, site: SiteId = TAINAN, now: datetime = NOW
) -> NodeHome:
    node = a_node(folder, centre, site=site, now=now)
    join_node(node, sign_request(centre, request_of(node), now=now), now=now)
    return node


def changed(raw: bytes, **values: object) -> bytes:
    return json.dumps({**json.loads(raw), **values}, ensure_ascii=False).encode()


@dataclass(frozen=True)
class Outcome:
    at_node: BaseException | None
    at_centre: BaseException | None
    certificate: bytes | None


def server_side(home: CentreHome) -> ssl.SSLContext:
    return server_context(
        certificate=home.server_certificate,
        key=home.server_key,
        authority=home.authority_certificate,
        alpn=ALPN,
    )


def client_side(home: NodeHome) -> ssl.SSLContext:
    return client_context(
        certificate=home.tls_certificate,
        key=home.tls_key,
        authority=home.authority_certificate,
        alpn=ALPN,
    )


def shake_hands(
    server: ssl.SSLContext, client: ssl.SSLContext | None, *, host: str = "localhost"
) -> Outcome:
    """Connect over loopback; `client` None speaks plain HTTP instead of TLS."""
    seen: list[BaseException | None] = [None]
    certificate: list[bytes | None] = [None]

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(5)
            seen[0] = _attempt(lambda: _serve(server, connection, certificate))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        port = listener.getsockname()[1]
        failure = _attempt(lambda: _connect(client, port=port, host=host))
        thread.join(10)
    return Outcome(failure, seen[0], certificate[0])


def _serve(
    context: ssl.SSLContext, connection: socket.socket, certificate: list[bytes | None]
) -> None:
    with context.wrap_socket(connection, server_side=True) as tls:
        certificate[0] = tls.getpeercert(binary_form=True)
        tls.sendall(b"welcome")
        tls.recv(1)


def _connect(context: ssl.SSLContext | None, *, port: int, host: str) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as plain:
        if context is None:
            plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
            plain.recv(64)
            return
        with context.wrap_socket(plain, server_hostname=host) as tls:
            assert tls.recv(7) == b"welcome"
            tls.sendall(b".")


def _attempt(action: Callable[[], None]) -> BaseException | None:
    try:
        action()
    except OSError as error:  # ssl.SSLError is one
        return error
    return None
