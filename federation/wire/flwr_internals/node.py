"""Run Flower's SuperNode with its waits replaced by events.

Flower's loop sleeps 3 s when there is no task and 0.5 s while its reply is
being made, and for up to 20 s while its centre is away. Here these waits end when
something happens: a wake from the agent, which has the centre back first, or a
reply stored by the executor. The executor's request for a task is held until
a whole task is there. TLS is the forwarder's; both sockets lie in the node's
private run folder, so the client's `insecure` is overridden.
"""

import functools
import importlib
import os
import threading
import time
import types
from pathlib import Path
from typing import Any

import flwr.supernode.fleet_http_connection as connection
import flwr.supernode.servicer.runtime.runtime_handlers as handlers
import flwr.supernode.start_client_internal as loop
import uvicorn
from flwr.common.constant import TIMESTAMP_HEADER
from flwr.proto.runtime_pb2 import AcquireTaskResponse
from flwr.supercore.constant import FLEET_HTTP_PUBLIC_KEY_HEADER, FLEET_HTTP_SIGNATURE_HEADER
from flwr.supercore.object_store.in_memory_object_store import InMemoryObjectStore
from flwr.supernode.nodestate.in_memory_nodestate import InMemoryNodeState

from federation.wire.flwr_internals.calls import over_socket
from federation.wire.flwr_internals.fast_path import FastPath, runtime_routes

command: Any = importlib.import_module("flwr.supernode.cli.flower_supernode")
"""Imported by name: its package hides the module behind the function of that name."""

_EXECUTOR_WAIT_S = 10.0
_KEEP_ALIVE_S = 75
_IDLE_S = 3.0
_LONGEST_AWAY_S = 10.0
_LINE_S = 300.0
"""What lies in buffers on the way takes minutes on a line of 1 Mbit/s. A line that is
dead is noticed by the forwarder, and by the agent, much earlier."""
_BETWEEN_PULLS_S = 0.02
_SIGNED_S = 20.0
_NOT_RECEIVED = "Pulling message objects failed"
_TEMPORARY_FAILURE = 75
_SIGNED = (FLEET_HTTP_PUBLIC_KEY_HEADER, TIMESTAMP_HEADER, FLEET_HTTP_SIGNATURE_HEADER)


class Waits:
    """The events that Flower's waits are replaced by."""

    def __init__(self) -> None:
        self._happened = threading.Event()
        self._woken = threading.Condition()
        self._ready = threading.Condition()
        self._receiving = False

    def wake(self) -> None:
        """End the loop's present wait, or its next one."""
        self._happened.set()

    def sleep(self, longest_s: float) -> None:
        """Wait like `time.sleep`, but only until something happens.

        An idle loop hardly waits at all: its next pull waits at the SuperLink.
        """
        self._happened.wait(_BETWEEN_PULLS_S if longest_s >= _IDLE_S else longest_s)
        self._happened.clear()

    def redial(self) -> None:
        """End every wait for a centre that was away, and look for a task."""
        with self._woken:
            self._woken.notify_all()
        self.wake()

    def while_away(self, longest_s: float) -> None:
        """Wait before the centre is tried again, but no longer than until `redial`."""
        with self._woken:
            self._woken.wait(min(longest_s, _LONGEST_AWAY_S))

    def while_receiving(self, pull: Any) -> Any:
        """Wrap Flower's pull of one task: no executor may take a half of it."""

        @functools.wraps(pull)
        def wrapped(*arguments: object, **named: object) -> Any:
            with self._ready:
                self._receiving = True
            try:
                return pull(*arguments, **named)
            finally:
                with self._ready:
                    self._receiving = False
                    self._ready.notify_all()

        return wrapped

    def when_ready(self, acquire: Any) -> Any:
        """Wrap the executor's request for a task: hold it until there may be one.

        While a task is being received, which takes minutes on a slow line, there is none.
        """

        @functools.wraps(acquire)
        def wrapped(request: Any, state: Any) -> Any:
            end = time.monotonic() + _EXECUTOR_WAIT_S
            with self._ready:
                while True:
                    answer = AcquireTaskResponse() if self._receiving else acquire(request, state)
                    if answer.HasField("task") or time.monotonic() > end:
                        return answer
                    self._ready.wait(end - time.monotonic())

        return wrapped


def run_supernode(*, fleet: Path, runtime: Path, waits: Waits) -> None:
    """Run Flower's `flower-supernode` with the arguments in `sys.argv` until stopped.

    Parameters
    ----------
    fleet
        Socket of the forwarder, which carries to the centre.
    runtime
        Socket to serve the executor on.
    """
    _carry_fleet_over(fleet)
    _replace_patience(waits)
    _serve_runtime_on(runtime)
    _replace_waits(waits)
    command.flower_supernode()


def _carry_fleet_over(socket: Path) -> None:
    plain = connection.http_request_response

    class SocketClient(connection.FleetHttpClient):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            over_socket(self, socket, timeout_s=_LINE_S)

    def over(address: str, _insecure: bool, _roots: object, *rest: object) -> Any:
        return plain(address, True, None, *rest)

    connection.FleetHttpClient = SocketClient
    connection.NodeAuthHttpInterceptor = _signing_seldom(connection.NodeAuthHttpInterceptor)
    loop.http_request_response = over


def _replace_patience(waits: Waits) -> None:
    """Let requests and heartbeats be tried again as soon as the agent has the centre back."""
    retry_of = connection.make_simple_http_retry_invoker

    def impatient() -> Any:
        invoker = retry_of()
        invoker.wait_function = waits.while_away
        return invoker

    class Sender(connection.HeartbeatSender):  # type: ignore[misc]
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self._retry_invoker.wait_function = waits.while_away

    connection.make_simple_http_retry_invoker = impatient
    connection.HeartbeatSender = Sender


def _signing_seldom(kind: Any) -> Any:
    """Return Flower's signing of requests, with one signature for some seconds."""

    class Seldom(kind):  # type: ignore[misc]
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self._headers: dict[str, str] = {}
            self._until = 0.0

        def intercept(self, context: Any, call_next: Any) -> Any:
            if time.monotonic() < self._until:
                context.request.headers.update(self._headers)
                return call_next(context)
            return super().intercept(context, self._remembering(call_next))

        def _remembering(self, call_next: Any) -> Any:
            def call(context: Any) -> Any:
                signed = context.request.headers
                self._headers = {name: signed[name] for name in _SIGNED}
                self._until = time.monotonic() + _SIGNED_S
                return call_next(context)

            return call

    return Seldom


def _serve_runtime_on(socket: Path) -> None:
    def config(*, app: Any, **named: Any) -> uvicorn.Config:
        for name in ("host", "port", "access_log"):
            named.pop(name, None)
        return uvicorn.Config(
            app=FastPath(app, runtime_routes(), inline=True),
            uds=str(socket),
            access_log=False,
            log_level="warning",
            timeout_keep_alive=_KEEP_ALIVE_S,
            **named,
        )

    command.uvicorn = types.SimpleNamespace(Config=config, Server=uvicorn.Server)


def _replace_waits(waits: Waits) -> None:
    loop.time = types.SimpleNamespace(sleep=waits.sleep)
    loop.pull_objects = functools.partial(loop.pull_objects, initial_backoff=0.01, backoff_cap=1.0)
    loop._pull_and_store_message = waits.while_receiving(loop._pull_and_store_message)
    handlers.acquire_task = waits.when_ready(handlers.acquire_task)
    _after(InMemoryNodeState, "store_message_and_object_tree", waits.wake)
    _after(InMemoryNodeState, "finish_task", waits.wake)
    InMemoryNodeState.finish_task = _ending_when_lost(InMemoryNodeState.finish_task)
    _after(InMemoryObjectStore, "put", waits.wake)
    InMemoryObjectStore.__init__ = functools.partialmethod(
        InMemoryObjectStore.__init__, verify=False
    )


def _ending_when_lost(finish: Any) -> Any:
    """End the SuperNode when a task could not be received: Flower would forget it in silence.

    It is started again, its new epoch tells the centre, and the centre asks again.
    """

    @functools.wraps(finish)
    def wrapped(self: object, task_id: int, sub_status: str, details: str) -> bool:
        if details.startswith(_NOT_RECEIVED):
            os._exit(_TEMPORARY_FAILURE)
        return bool(finish(self, task_id, sub_status, details))

    return wrapped


def _after(kind: type, name: str, told: Any) -> None:
    """Call `told` after each call of a method."""
    method = getattr(kind, name)

    @functools.wraps(method)
    def wrapped(self: object, *arguments: object, **named: object) -> Any:
        result = method(self, *arguments, **named)
        told()
        return result

    setattr(kind, name, wrapped)
