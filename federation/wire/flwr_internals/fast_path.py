"""Answer Flower's few hot requests without its twelve layers of middleware.

A round is some hundred small requests, and each costs Flower's web stack about
4 ms. Here the requests that carry messages and objects are authenticated by
Flower's own functions and answered by Flower's own handlers, in a tenth of the
time. Whatever is not plainly good, a failed authentication included, is handed
to Flower's own stack as it came: this path only ever says yes, and only where
Flower's own functions did.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn.protocols.http.httptools_impl as http_protocol
from fastapi import HTTPException, Request
from flwr.proto import fleet_pb2, heartbeat_pb2, message_pb2, runtime_pb2
from flwr.supercore.constant import TASK_TOKEN_HEADER
from flwr.supercore.dependencies.task import authenticate_task
from flwr.supercore.error import FlowerError
from flwr.supercore.protobuf.constants import PROTOBUF_MEDIA_TYPE
from flwr.supercore.servicer.runtime import runtime_handlers
from google.protobuf.message import DecodeError, Message

from federation.wire.flwr_internals.bodies import Bodies, Body, Receive, SharedAnswers

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Answer = Callable[[Request, Any], Message]

_INLINE_BYTES = 64 << 10
_MEDIA_TYPE = PROTOBUF_MEDIA_TYPE.encode()
_HIGH_WATER_BYTES = 64 << 10
"""What of a body may lie unread at its connection: uvicorn's own limit, times a thousand."""


@dataclass(frozen=True, slots=True)
class Hot:
    """A request type and what authenticates and answers it.

    `is_shared`: many ask for the same large object.
    """

    request: type[Message]
    answer: Answer
    is_shared: bool = False


def runtime_routes() -> dict[str, Hot]:
    """Return the hot part of the Runtime API, for a SuperLink or a SuperNode."""

    def by_task(name: str) -> Answer:
        def answer(request: Request, message: Any) -> Message:
            state = request.app.state.runtime_state_factory.state()
            task = authenticate_task(request, request.headers.get(TASK_TOKEN_HEADER), state)
            handler = getattr(request.app.state.runtime_handlers, name)
            result: Message = handler(message, state, task)
            return result

        return answer

    def by_core(name: str) -> Answer:
        def answer(request: Request, message: Any) -> Message:
            state = request.app.state.runtime_state_factory.state()
            task = authenticate_task(request, request.headers.get(TASK_TOKEN_HEADER), state)
            result: Message = getattr(runtime_handlers, name)(message, state, task)
            return result

        return answer

    kinds = {
        "push_messages": runtime_pb2.PushAppMessagesRequest,
        "pull_messages": runtime_pb2.PullAppMessagesRequest,
        "push_object": message_pb2.PushObjectRequest,
        "pull_object": message_pb2.PullObjectRequest,
        "confirm_message_received": message_pb2.ConfirmMessageReceivedRequest,
        "pull_task_input": runtime_pb2.PullTaskInputRequest,
        "push_task_output": runtime_pb2.PushTaskOutputRequest,
    }
    core = {"send_task_heartbeat": runtime_pb2.SendTaskHeartbeatRequest}
    return {
        f"/v1/runtime/{name.replace('_', '-')}": Hot(kind, by_core(name))
        for name, kind in core.items()
    } | {
        f"/v1/runtime/{name.replace('_', '-')}": Hot(kind, by_task(name))
        for name, kind in kinds.items()
    }


def fleet_routes() -> dict[str, Hot]:
    """Return the hot part of the SuperLink's Fleet API."""
    from flwr.superlink.dependencies.linkstate import get_linkstate
    from flwr.superlink.routers.fleet.node_auth import authenticate_node
    from flwr.superlink.servicer.fleet import fleet_handlers

    def by_node(handler: Callable[..., Message], *, with_store: bool = False) -> Answer:
        def answer(request: Request, message: Any) -> Message:
            request.state.protobuf_request = message
            authenticate_node(request)
            state = get_linkstate(request)
            named = {"store": state.object_store} if with_store else {}
            return handler(request=message, state=state, **named)

        return answer

    return {
        "/v1/fleet/pull-messages": Hot(
            fleet_pb2.PullMessagesRequest, by_node(fleet_handlers.pull_messages, with_store=True)
        ),
        "/v1/fleet/push-messages": Hot(
            fleet_pb2.PushMessagesRequest, by_node(fleet_handlers.push_messages)
        ),
        "/v1/fleet/push-object": Hot(
            message_pb2.PushObjectRequest, by_node(fleet_handlers.push_object)
        ),
        "/v1/fleet/pull-object": Hot(
            message_pb2.PullObjectRequest, by_node(fleet_handlers.pull_object), is_shared=True
        ),
        "/v1/fleet/send-node-heartbeat": Hot(
            heartbeat_pb2.SendNodeHeartbeatRequest, by_node(fleet_handlers.send_node_heartbeat)
        ),
        "/v1/fleet/confirm-message-received": Hot(
            message_pb2.ConfirmMessageReceivedRequest,
            by_node(fleet_handlers.confirm_message_received, with_store=True),
        ),
    }


class FastPath:
    """Serve the hot requests here and all others by Flower's app.

    Parameters
    ----------
    app
        Flower's app; its handlers find their state in it.
    routes
        What is served here.
    inline
        Answer small requests in the event loop; for a state kept in memory.
    folder
        Where bodies may lie that memory shall not hold (`Bodies`).
    """

    def __init__(
        self, app: Any, routes: dict[str, Hot], *, inline: bool, folder: Path | None = None
    ) -> None:
        self._app = app
        self._routes = routes
        self._inline = inline
        self._bodies = Bodies(folder)
        self._shared = SharedAnswers()
        setattr(http_protocol, "HIGH_WATER_LIMIT", _HIGH_WATER_BYTES)  # noqa: B010

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        hot = self._routes.get(scope.get("path", ""))
        if hot is None or scope.get("method") != "POST" or not _is_protobuf(scope):
            await self._app(scope, receive, send)
            return
        body = await self._bodies.read(receive)
        if body is None:
            return
        with closing(body):
            content = await self._try(hot, scope, body)
            if content is None:
                await self._app(scope, _again(body.content(), receive), send)
                return
        await reply(send, content)

    async def _try(self, hot: Hot, scope: Scope, body: Body) -> bytes | None:
        """Return the answer, or None where Flower's own stack shall speak."""
        if self._inline and body.size < _INLINE_BYTES:
            return self._answer(hot, scope, body)
        return await asyncio.to_thread(self._answer, hot, scope, body)

    def _answer(self, hot: Hot, scope: Scope, body: Body) -> bytes | None:
        request = Request({**scope, "app": self._app, "state": {}})
        try:
            message: Any = hot.request.FromString(body.content())
            answer = bytes(hot.answer(request, message).SerializeToString())
        except (DecodeError, FlowerError, HTTPException):
            return None
        return self._shared.same(message.object_id, answer) if hot.is_shared else answer


def _again(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body once more."""
    given = False

    async def once_more() -> MutableMapping[str, Any]:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once_more


async def reply(send: Send, content: bytes) -> None:
    """Answer with 200 and a message of Flower's; no bytes are an empty one."""
    headers = [(b"content-type", _MEDIA_TYPE), (b"content-length", b"%d" % len(content))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def _is_protobuf(scope: Scope) -> bool:
    return (b"content-type", _MEDIA_TYPE) in [tuple(pair) for pair in scope["headers"]]
