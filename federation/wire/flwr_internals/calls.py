"""Flower's own HTTP clients, carried over a Unix socket and retried with a limit.

Flower's retry sends SIGINT to its own process on a 401 and waits for ever on a
lost server; here both become coded errors.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpx
from flwr.supercore.control import ControlHttpClient
from flwr.supercore.interceptors import (
    RuntimeTokenHttpInterceptor,
    RuntimeVersionHttpInterceptor,
    SuperExecAuthHttpInterceptor,
)
from flwr.supercore.runtime import RuntimeHttpClient

from federation.errors.rounds import FlowerRefusedError, SuperLinkUnreachableError
from federation.wire.local_http import UnixTransport

_CALL_TIMEOUT_S = 60.0
_ACQUIRE = "/flwr.proto.Runtime/AcquireTask"


class BoundedRetry:
    """Repeat a call while its server is away, for at most `patience_s` seconds."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s

    def invoke(self, call: Callable[..., Any], *arguments: object, **named: object) -> Any:
        """Return what the call returns.

        Raises
        ------
        httpx.TransportError
            If the server stayed away.
        """
        end = time.monotonic() + self._patience_s
        wait_s = 0.05
        while True:
            try:
                return call(*arguments, **named)
            except httpx.TransportError:
                if time.monotonic() + wait_s > end:
                    raise
            time.sleep(wait_s)
            wait_s = min(2 * wait_s, 1.0)


def over_socket(client: Any, path: Path) -> Any:
    """Return one of Flower's HTTP clients, its requests carried to a Unix socket."""
    client._client.close()
    client._client = httpx.Client(transport=UnixTransport(path), timeout=_CALL_TIMEOUT_S)
    return client


def control_client(path: Path, *, patience_s: float = 5.0) -> ControlHttpClient:
    """Return a client of the SuperLink's Control API."""
    return _client(ControlHttpClient, path, [_version("flwr CLI")], patience_s)


def acquiring_client(path: Path, secret: bytes, *, patience_s: float = 5.0) -> RuntimeHttpClient:
    """Return a Runtime client that may take tasks, signed with the SuperExec secret."""
    sign = SuperExecAuthHttpInterceptor(master_secret=secret, protected_methods={_ACQUIRE})
    return _client(RuntimeHttpClient, path, [_version("SuperExec"), sign], patience_s)


def task_client(path: Path, token: str, *, patience_s: float = 30.0) -> RuntimeHttpClient:
    """Return a Runtime client that acts for one task."""
    interceptors = [_version("flwr-serverapp"), RuntimeTokenHttpInterceptor(token=token)]
    return _client(RuntimeHttpClient, path, interceptors, patience_s)


def _version(component: str) -> Any:
    return RuntimeVersionHttpInterceptor(component_name=component)


def _client(kind: Any, path: Path, interceptors: list[Any], patience_s: float) -> Any:
    client = kind.from_server_address(
        server_address="localhost",
        insecure=True,
        root_certificates=None,
        interceptors=interceptors,
        retry_invoker=BoundedRetry(patience_s),
    )
    return over_socket(client, path)


def translated(path: Path, request: str) -> AbstractContextManager[None]:
    """Turn what Flower's clients raise inside into coded errors.

    Raises
    ------
    SuperLinkUnreachableError, FlowerRefusedError
        For a server that is away, and for one that answers with an error.
    """
    return _translated(path, request)


@contextmanager
def _translated(path: Path, request: str) -> Any:
    try:
        yield
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        raise FlowerRefusedError(request=request, status=status) from error
    except httpx.TransportError as error:
        raise SuperLinkUnreachableError(address=str(path)) from error
