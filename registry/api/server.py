"""Run the application under TLS: uvicorn, which tells it the client certificate it checked.

uvicorn leaves the certificate out of the scope. `CertifiedProtocol` puts its DER bytes into
the connection's state, where `registry.api.callers` finds it. The TLS context asks for a
certificate of the centre's authority and lets those without one in too (people).
"""

import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from federation.errors.access import RegisterServeError
from registry.api.callers import CERTIFICATE

_STOP_WITHIN_S = 10
_KEEP_ALIVE_S = 15
_AT_ONCE = 512
_HEAD_BYTES = 32 * 1024
_STOPS = (signal.SIGTERM, signal.SIGINT)


class CertifiedProtocol(H11Protocol):
    """HTTP/1.1 that tells each request which client certificate its connection has."""

    def connection_made(self, transport: Any) -> None:  # the base leaves it untyped as well
        """Take the certificate from the TLS layer, which has checked it."""
        super().connection_made(transport)
        tls = transport.get_extra_info("ssl_object")
        der = None if tls is None else tls.getpeercert(binary_form=True)
        self.app_state = {**self.app_state, CERTIFICATE: der}


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a bound socket; port 0 takes a free one.

    Raises
    ------
    RegisterServeError
        If the address cannot be taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=512)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise RegisterServeError(address=f"{host}:{port}", why=why) from error


def serve(
    app: ASGIApp,
    *,
    listener: socket.socket,
    context: ssl.SSLContext,
    on_ready: Callable[[], None],
) -> None:
    """Serve until SIGTERM or SIGINT; answers under way get 10 seconds to finish."""
    config = uvicorn.Config(
        app,
        http=CertifiedProtocol,
        ws="none",
        lifespan="off",
        ssl_context_factory=lambda _config, _default: context,
        log_level="error",  # what a stranger sends fills no log
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_AT_ONCE,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_STOP_WITHIN_S,
        h11_max_incomplete_event_size=_HEAD_BYTES,
    )
    with _signals_answered():
        _Server(config, on_ready).run(sockets=[listener])


@contextmanager
def _signals_answered() -> Iterator[None]:
    """Let a stop by signal be a normal end: uvicorn raises the signal again when it is done."""
    before = {one: signal.signal(one, lambda *_given: None) for one in _STOPS}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


class _Server(uvicorn.Server):
    """Says when it answers."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets=sockets)
        if self.started:
            self._on_ready()
