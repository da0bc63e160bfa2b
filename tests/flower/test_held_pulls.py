"""A SuperNode that was killed takes no task with it: its held pull is ended, its task given on."""

import asyncio
import threading
from collections.abc import MutableMapping
from types import SimpleNamespace
from typing import Any

from flwr.server.superlink.linkstate.in_memory_linkstate import InMemoryLinkState
from flwr.supercore.constant import FLEET_HTTP_PUBLIC_KEY_HEADER

from federation.wire.flwr_internals.fast_path import reply
from federation.wire.flwr_internals.superlink import AnswerOnNews, _sign_on_anew

NODE, OTHER = 1, 2
TASK = b"a task"


class Tasks:
    """An app with one task for whoever pulls first after `there`."""

    def __init__(self) -> None:
        self.there = False

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
        is_pull = scope["path"].endswith("pull-messages")
        gives, self.there = is_pull and self.there, self.there and not is_pull
        await reply(send, TASK if gives else b"")


async def ask(app: AnswerOnNews, name: str) -> bytes:
    """Ask as a node; return what it was answered."""
    answered: list[bytes] = []

    async def send(event: MutableMapping[str, Any]) -> None:
        if event["type"] == "http.response.body":
            answered.append(event["body"])

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b""}

    headers = [(FLEET_HTTP_PUBLIC_KEY_HEADER.encode(), b"key")]
    await app({"path": f"/v1/fleet/{name}", "headers": headers}, receive, send)
    return b"".join(answered)


def test_the_pull_of_a_killed_supernode_gets_nothing_once_the_next_one_has_signed_on() -> None:
    async def story() -> tuple[bytes, bytes]:
        tasks = Tasks()
        app = AnswerOnNews(tasks)
        await ask(app, "pull-messages")
        dead = asyncio.ensure_future(ask(app, "pull-messages"))
        await asyncio.sleep(0.01)
        await ask(app, "activate-node")
        await ask(app, "pull-messages")
        alive = asyncio.ensure_future(ask(app, "pull-messages"))
        await asyncio.sleep(0.01)
        tasks.there = True
        app._tasks.tell()
        return await dead, await alive

    assert asyncio.run(story()) == (b"", TASK)


def test_what_was_not_received_as_a_whole_is_given_to_the_next_supernode() -> None:
    lost, received, others = _given_to(NODE), _given_to(NODE), _given_to(OTHER)
    state: Any = InMemoryLinkState.__new__(InMemoryLinkState)
    state.lock = threading.RLock()
    state.message_ins_store = {"lost": lost, "received": received, "others": others}
    state._object_store = {"lost": b"", "others": b""}
    state.get_node_id_by_public_key = lambda _: NODE
    state.deactivate_node = lambda _: True

    _sign_on_anew(lambda *, request, state: None)(SimpleNamespace(public_key=b"key"), state)

    assert lost.metadata.delivered_at == ""
    assert received.metadata.delivered_at == others.metadata.delivered_at == "before"


def _given_to(node: int) -> SimpleNamespace:
    return SimpleNamespace(metadata=SimpleNamespace(dst_node_id=node, delivered_at="before"))
