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
from flwr.proto.message_pb2 import PullObjectRequest
from flwr.supercore.control import ControlHttpClient
from flwr.supercore.inflatable.inflatable_utils import ObjectPushError
from flwr.supercore.interceptors import (
    RuntimeTokenHttpInterceptor,
    RuntimeVersionHttpInterceptor,
    SuperExecAuthHttpInterceptor,
)
from flwr.supercore.runtime import RuntimeHttpClient
from google.protobuf.message import DecodeError

from federation.errors.rounds import FlowerRefusedError, SuperLinkUnreachableError
from federation.wire.local_http import UnixTransport

_CALL_TIMEOUT_S = 60.0
_FOUND, _AVAILABLE, _CONTENT = 0x08, 0x10, 0x1A
_ACQUIRE = "/flwr.proto.Runtime/AcquireTask"


class PulledObject:
    """Flower's `PullObjectResponse`, its content a view of the answer instead of two copies.

    Fields 1 and 2 are booleans, 3 is bytes; any other is refused.
    """

    def __init__(self) -> None:
        self.found = False
        self.available = False
        self.content = memoryview(b"")

    def ParseFromString(self, data: bytes) -> None:  # noqa: N802
        """Read the answer; Flower's client calls this as it would protobuf's.

        Raises
        ------
        DecodeError
            If it is not spelled as a `PullObjectResponse`.
        """
        view, at = memoryview(data), 0
        while at < len(view):
            tag = view[at]
            value, at = _varint(view, at + 1)
            if tag == _FOUND:
                self.found = bool(value)
            elif tag == _AVAILABLE:
                self.available = bool(value)
            elif tag == _CONTENT and at + value <= len(view):
                self.content = view[at : at + value]
                at += value
            else:
                raise DecodeError("not a PullObjectResponse")


def pull_object(client: RuntimeHttpClient, request: PullObjectRequest) -> PulledObject:
    """Return an object of the Runtime API, without copying its content."""
    pulled: PulledObject = client._unary_unary(
        path="/v1/runtime/pull-object",
        rpc_method="/flwr.proto.Runtime/PullObject",
        request=request,
        response_type=PulledObject,
    )
    return pulled


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(view):
            break
        byte = view[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise DecodeError("a number without an end")


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


def over_socket(client: Any, path: Path, *, timeout_s: float = _CALL_TIMEOUT_S) -> Any:
    """Return one of Flower's HTTP clients, its requests carried to a Unix socket.

    `timeout_s` is for each piece that is sent or received, not for the whole.
    """
    client._client.close()
    client._client = httpx.Client(transport=UnixTransport(path), timeout=timeout_s)
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
    except ObjectPushError as error:  # it has dropped the session that the object belongs to
        raise FlowerRefusedError(request=request, status="object not taken") from error
