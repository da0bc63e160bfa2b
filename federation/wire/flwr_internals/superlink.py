"""Serve Flower's SuperLink on a Unix socket, and answer pulls when there is news.

Flower's command line insists on TLS as soon as nodes authenticate; inside a
private folder's socket a second TLS would only cost time, so the same app is
served here with the same configuration, node authentication on, no ServerApp
ever spawned (`isolation="process"`).

`AnswerOnNews` holds a node's or a driver's pull until something was pushed, so
that nobody polls: the first answer is milliseconds after the push. The held pull
of a SuperNode that was killed could swallow a task; so a SuperNode that signs on
ends the pulls of the one before, and is given what that one did not receive.
"""

import asyncio
import functools
import logging
from collections import Counter, OrderedDict
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import flwr.superlink.routers.fleet.node_auth as node_auth
import uvicorn
from flwr.common.constant import TRANSPORT_TYPE_GRPC_RERE
from flwr.server.superlink.linkstate.in_memory_linkstate import InMemoryLinkState
from flwr.supercore.constant import (
    FLEET_HTTP_PUBLIC_KEY_HEADER,
    FLWR_IN_MEMORY_DB_NAME,
    TASK_TOKEN_HEADER,
)
from flwr.superlink.cli.flower_superlink import SuperLinkLifespan
from flwr.superlink.config_loader import SuperLinkLifespanConfig, load_control_authn_plugin
from flwr.superlink.main import create_app
from flwr.superlink.servicer.fleet import fleet_handlers

from federation.wire.flwr_internals.bodies import Receive
from federation.wire.flwr_internals.crowd import carry_many_nodes
from federation.wire.flwr_internals.fast_path import (
    App,
    FastPath,
    Scope,
    Send,
    fleet_routes,
    reply,
    runtime_routes,
)

_NODE_WAIT_S = 10.0
_DRIVER_WAIT_S = 1.0
_SMALL_BYTES = 8192
_KEEP_ALIVE_S = 75
_DRIVERS = 64
_REMEMBERED = 4096


class _News:
    """A counter that can be waited on."""

    def __init__(self) -> None:
        self.count = 0
        self._changed = asyncio.Event()

    def tell(self) -> None:
        """Count one piece of news and wake all who wait."""
        self.count += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def wait(self, seen: int, timeout_s: float) -> None:
        """Return as soon as there is more news than `seen`, or after `timeout_s`."""
        if self.count != seen:
            return
        try:
            await asyncio.wait_for(self._changed.wait(), timeout_s)
        except TimeoutError:
            return


class AnswerOnNews:
    """Hold each pull for messages until there may be one."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._tasks = _News()
        self._replies = _News()
        self._pushing: set[bytes] = set()
        self._signed_on: Counter[bytes] = Counter()
        self._seen_tasks: dict[bytes, int] = {}
        self._seen_replies: dict[bytes, int] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path = scope.get("path", "")
        if path == "/v1/fleet/pull-messages":
            await self._node_pulls(scope, receive, send)
        elif path == "/v1/runtime/pull-messages":
            await self._driver_pulls(scope, receive, send)
        else:
            if path == "/v1/fleet/activate-node":
                self._signed_on[_node_of(scope)] += 1
                self._seen_tasks.pop(_node_of(scope), None)
            if path == "/v1/runtime/push-messages":
                self._pushing.add(_header(scope, TASK_TOKEN_HEADER.encode()))
            await self._app(scope, receive, send)
            if _is_news_for_driver(path, scope):
                self._replies.tell()

    async def _node_pulls(self, scope: Scope, receive: Receive, send: Send) -> None:
        node = _node_of(scope)
        signed_on = self._signed_on[node]
        await self._tasks.wait(self._seen_tasks.get(node, -1), _NODE_WAIT_S)
        if self._signed_on[node] != signed_on:
            await reply(send, b"")
            return
        seen = self._tasks.count
        was_empty = await self._pass(scope, receive, send)
        if was_empty:
            self._seen_tasks[node] = seen

    async def _driver_pulls(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A driver that pushed pulls when it has pushed all: the nodes may look now."""
        driver = _header(scope, TASK_TOKEN_HEADER.encode())
        if driver not in self._seen_replies:
            self._seen_replies = {driver: -1} | dict(list(self._seen_replies.items())[-_DRIVERS:])
        if driver in self._pushing:
            self._pushing.discard(driver)
            self._tasks.tell()
        await self._replies.wait(self._seen_replies[driver], _DRIVER_WAIT_S)
        self._seen_replies[driver] = self._replies.count
        await self._app(scope, receive, send)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Serve the request; tell whether the answer was 200 with an empty body."""
        empty = False

        async def watch(event: MutableMapping[str, Any]) -> None:
            nonlocal empty
            if event["type"] == "http.response.start" and event["status"] == 200:
                empty = (b"content-length", b"0") in [tuple(pair) for pair in event["headers"]]
            await send(event)

        await self._app(scope, receive, watch)
        return empty


class _VerifiedOnce:
    """Verify each signed timestamp once; a node sends the same one for some seconds.

    Flower's signature covers the timestamp alone and is good for 300 s, so a
    repeated one says no less. Its age is checked at every request, before this.
    """

    def __init__(self, verify: Any) -> None:
        self._verify = verify
        self._good: OrderedDict[tuple[object, bytes, bytes], None] = OrderedDict()

    def __call__(self, public_key: Any, message: bytes, signature: bytes) -> bool:
        """Return whether the signature fits; only good ones are remembered."""
        key = (public_key.public_numbers(), message, signature)
        if key in self._good:
            return True
        if not self._verify(public_key, message, signature):
            return False
        self._good[key] = None
        while len(self._good) > _REMEMBERED:
            self._good.popitem(last=False)
        return True


def _sign_on_anew(activate: Any) -> Any:
    """Let a node sign on that is still taken for connected.

    Flower refuses it for up to a minute after its SuperNode was killed. That the
    request is the node's own was checked before: its key signed it.
    """

    @functools.wraps(activate)
    def wrapped(request: Any, state: Any) -> Any:
        node = state.get_node_id_by_public_key(request.public_key)
        if node is not None:
            state.deactivate_node(node)
            _take_back(state, node)
        return activate(request=request, state=state)

    return wrapped


def _take_back(state: Any, node: int) -> None:
    """Let a SuperNode have what the one before it was given and did not receive as a whole.

    What was received is asked again by the centre, which sees that the node started anew.
    """
    if not isinstance(state, InMemoryLinkState):
        return
    with state.lock:
        for key, message in state.message_ins_store.items():
            is_for_it = message.metadata.dst_node_id == node
            if is_for_it and key in state.object_store:
                message.metadata.delivered_at = ""


def serve_superlink(socket: Path, *, database: Path | None, secret: bytes) -> None:
    """Serve until stopped; `database` None keeps everything in memory."""
    folder = socket.with_name("objects")
    logging.getLogger("flwr").setLevel(logging.WARNING)  # a line for each message otherwise
    carry_many_nodes(folder)
    app = create_app(_config(database, secret), SuperLinkLifespan)
    node_auth.verify_signature = _VerifiedOnce(node_auth.verify_signature)
    fleet_handlers.activate_node = _sign_on_anew(fleet_handlers.activate_node)
    routes = fleet_routes() | runtime_routes()
    uvicorn.run(
        AnswerOnNews(FastPath(app, routes, inline=database is None, folder=folder)),
        uds=str(socket),
        access_log=False,
        log_level="warning",
        workers=1,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=1,
    )


def _config(database: Path | None, secret: bytes) -> SuperLinkLifespanConfig:
    return SuperLinkLifespanConfig(
        control_address="",
        health_server_address=None,
        host="127.0.0.1",
        port=0,
        insecure=True,
        certificates=None,
        superexec_auth_secret=secret,
        authn_plugin=load_control_authn_plugin(),
        event_log_plugin=None,
        fleet_event_log_plugin=None,
        enable_event_log=False,
        artifact_provider=None,
        enable_supernode_auth=True,
        fleet_api_type=TRANSPORT_TYPE_GRPC_RERE,
        fleet_api_address=None,
        simulation=False,
        ssl_ca_certfile=None,
        ssl_certfile=None,
        ssl_keyfile=None,
        database=FLWR_IN_MEMORY_DB_NAME if database is None else str(database),
        isolation="process",
        runtime_dependency_install=False,
    )


def _is_news_for_driver(path: str, scope: Scope) -> bool:
    """A reply begins with its message and ends with a small object, its message again."""
    is_end = path == "/v1/fleet/push-object" and _length(scope) < _SMALL_BYTES
    return is_end or path == "/v1/fleet/push-messages"


def _node_of(scope: Scope) -> bytes:
    """Return the key that a node's request names."""
    return _header(scope, FLEET_HTTP_PUBLIC_KEY_HEADER.encode())


def _header(scope: Scope, name: bytes) -> bytes:
    return next((bytes(value) for key, value in scope["headers"] if key == name), b"")


def _length(scope: Scope) -> int:
    text = _header(scope, b"content-length")
    return int(text) if text.isdigit() else _SMALL_BYTES
