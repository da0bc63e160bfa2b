"""Many simulated sites in one process, at a real SuperLink: `python -m benchmarks.simulated`.

Each site has Flower's key of its own and speaks the Fleet API as a SuperNode
does (activate, heartbeat, pull, push, with signatures), over the SuperLink's
own socket: front door, fleet gate and TLS are not in the way. It answers a
training task with an update of its own and a statement signed with its node
key. Connections are the front door's own kind; nothing of one answer is kept for the next.

A JSON object on stdin says what to do: `address`, and `sites` with `site`,
`flower_key` and `node_key` (both PEM). One line on stdout says that all are
connected; it ends with its stdin.
"""

import asyncio
import base64
import json
import os
import sys
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from flwr.app import Message, RecordDict
from flwr.app.message import remove_content_from_message
from flwr.common.constant import HEARTBEAT_DEFAULT_INTERVAL, TIMESTAMP_HEADER
from flwr.common.serde import message_from_proto, message_to_proto
from flwr.proto import fleet_pb2, heartbeat_pb2, message_pb2
from flwr.proto.node_pb2 import Node
from flwr.supercore.constant import FLEET_HTTP_PUBLIC_KEY_HEADER, FLEET_HTTP_SIGNATURE_HEADER
from flwr.supercore.inflatable.inflatable_object import (
    get_all_nested_objects,
    get_object_tree,
    iterate_object_tree,
    no_object_id_recompute,
)
from flwr.supercore.primitives.asymmetric import public_key_to_bytes, sign_message
from flwr.supercore.protobuf.constants import PROTOBUF_MEDIA_TYPE
from flwr.supercore.runtime_version_compatibility import RuntimeVersionMetadata

from federation.coordinator.fleet_gate import Upstream
from federation.domain.ids import Sha256, SiteId
from federation.evidence.signing import Signer, sign_dsse
from federation.evidence.statements import PredicateType, Statement, Subject
from federation.wire.flower import pack_reply, unpack_task
from federation.wire.flwr_internals.objects import prepare, read_message
from federation.wire.messages import Reply, Task

LIMIT_BYTES = 1 << 30
SIGNED_S = 20.0
PAUSE_S = 0.02
AGAIN_S = 0.2
HEAD = str(Sha256.of(b"head"))
REPORT: dict[str, object] = {
    "patients": 40,
    "examples": 50,
    "steps": 3,
    "loss": 0.5,
    "epsilon": 500.0,
    "noise_multiplier": 1.0,
    "clip_norm": 1.0,
    "sample_rate": 0.1,
    "dataset_digest": str(Sha256.of(b"data")),
    "events": [
        {
            "kind": "poisson-sampled-gaussian",
            "noise_multiplier": 1.0,
            "sample_rate": 0.1,
            "steps": 3,
        }
    ],
}


async def ask(upstream: Upstream, path: str, headers: dict[str, str], body: bytes) -> bytes:
    """Return the answer to one HTTP/1.1 request, on a connection as the front door's are."""
    streams = await upstream.take()
    reader, writer = streams
    lines = [f"POST {path} HTTP/1.1", "host: localhost", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    writer.write(body)
    await writer.drain()
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
    length = next(int(line[15:]) for line in head if line.startswith("content-length:"))
    content = await reader.readexactly(length)
    if " 200 " not in head[0] + " ":
        raise ConnectionError(f"{path}: {head[0]} {content[:200]!r}")
    upstream.keep(streams)
    return content


@dataclass(frozen=True)
class Keys:
    site: SiteId
    flower: ec.EllipticCurvePrivateKey
    signer: Signer

    @classmethod
    def read(cls, said: dict[str, str]) -> "Keys":
        flower = load_pem_private_key(said["flower_key"].encode(), None)
        node = load_pem_private_key(said["node_key"].encode(), None)
        assert isinstance(flower, ec.EllipticCurvePrivateKey)
        assert isinstance(node, Ed25519PrivateKey)
        return cls(SiteId(said["site"]), flower, Signer(node))


class Site:
    """One simulated hospital."""

    def __init__(self, keys: Keys, upstream: Upstream, number: int) -> None:
        self._keys, self._number = keys, number
        self._upstream = upstream
        self._public = public_key_to_bytes(keys.flower.public_key())
        self._headers: dict[str, str] = {}
        self._signed_at = -SIGNED_S
        self._node = Node()

    async def connect(self) -> None:
        request = fleet_pb2.ActivateNodeRequest(
            public_key=self._public, heartbeat_interval=HEARTBEAT_DEFAULT_INTERVAL
        )
        answer = await self._ask(request, fleet_pb2.ActivateNodeResponse, "activate-node")
        self._node = Node(node_id=answer.node_id)

    async def beat(self) -> None:
        await asyncio.sleep(HEARTBEAT_DEFAULT_INTERVAL * (self._number % 100) / 100)
        while True:
            request = heartbeat_pb2.SendNodeHeartbeatRequest(
                node=self._node, heartbeat_interval=HEARTBEAT_DEFAULT_INTERVAL
            )
            kind = heartbeat_pb2.SendNodeHeartbeatResponse
            await self._ask(request, kind, "send-node-heartbeat")
            await asyncio.sleep(HEARTBEAT_DEFAULT_INTERVAL)

    async def serve(self) -> None:
        while True:
            request = fleet_pb2.PullMessagesRequest(node=self._node)
            answer = await self._ask(request, fleet_pb2.PullMessagesResponse, "pull-messages")
            if answer.messages_list:
                await self._work(answer.messages_list[0], answer.message_object_trees[0])
            else:
                await asyncio.sleep(PAUSE_S)

    async def _work(self, about: Any, tree: Any) -> None:
        asked = message_from_proto(about)
        run, root = asked.metadata.run_id, tree.object_id
        asked.metadata.__dict__["_message_id"] = root
        wanted = {one.object_id for one in iterate_object_tree(tree)}
        objects = {name: await self._pull(run, name) for name in wanted}
        await self._ask(
            message_pb2.ConfirmMessageReceivedRequest(
                node=self._node, run_id=run, message_object_id=root
            ),
            message_pb2.ConfirmMessageReceivedResponse,
            "confirm-message-received",
        )
        await self._send(asked, self._answer(objects, root))

    async def _pull(self, run: int, name: str) -> bytes:
        """Return one object of a task; the centre may still be sending the others'."""
        while True:
            request = message_pb2.PullObjectRequest(node=self._node, run_id=run, object_id=name)
            answer = await self._ask(request, message_pb2.PullObjectResponse, "pull-object")
            if answer.object_available:
                return bytes(answer.object_content)
            if not answer.object_found:
                raise ConnectionError(f"{self._keys.site}: a task went away")
            await asyncio.sleep(AGAIN_S)

    def _answer(self, objects: dict[str, bytes], root: str) -> RecordDict:
        from federation.errors.rounds import TaskMalformedError

        message = read_message(
            root, objects.__getitem__, limit_bytes=LIMIT_BYTES, malformed=TaskMalformedError
        )
        task = unpack_task(message.content, limit_bytes=LIMIT_BYTES)
        update = np.full(task.model.size, self._number + task.round, dtype=np.float32)
        return pack_reply(Reply(update, REPORT, self._sign(task, update)))

    def _sign(self, task: Task, update: np.ndarray) -> str:
        """Sign what a hospital signs (`clients.gate`), so that a campaign takes it."""
        about = f"{task.run}/{task.round}"
        statement = Statement(
            subjects=(
                Subject(f"study/{task.study}", task.study_digest),
                Subject(f"model/{about}", Sha256.of(task.model.tobytes())),
                Subject(f"update/{about}", Sha256.of(update.tobytes())),
            ),
            predicate_type=PredicateType.UPDATE,
            predicate={
                "site": str(self._keys.site),
                "run": str(task.run),
                "round": task.round,
                "report": REPORT,
                "heads": {
                    "ledger": {"entries": 2 * task.round, "head": HEAD},
                    "audit": {"lines": 4 * task.round, "head": HEAD},
                },
            },
        )
        return sign_dsse(statement, self._keys.signer)

    async def _send(self, asked: Message, content: RecordDict) -> None:
        prepare(content)
        message = Message(content, reply_to=asked)
        message.metadata.__dict__["_message_id"] = message.object_id
        with no_object_id_recompute():
            request = fleet_pb2.PushMessagesRequest(
                node=self._node,
                messages_list=[message_to_proto(remove_content_from_message(message))],
                message_object_trees=[get_object_tree(message)],
                clientapp_runtime_list=[1.0],
            )
            objects = get_all_nested_objects(message)
        answer = await self._ask(request, fleet_pb2.PushMessagesResponse, "push-messages")
        wanted = set(answer.objects_to_push)
        for name in [key for key in objects if key in wanted]:
            piece = message_pb2.PushObjectRequest(
                node=self._node,
                run_id=asked.metadata.run_id,
                session_id=answer.session_id,
                object_id=name,
                object_content=objects[name].deflate(),
            )
            await self._ask(piece, message_pb2.PushObjectResponse, "push-object")

    async def _ask(self, request: Any, kind: Any, name: str) -> Any:
        content = await ask(
            self._upstream,
            f"/v1/fleet/{name}",
            self._signed_headers(),
            request.SerializeToString(),
        )
        answer = kind()
        answer.ParseFromString(content)
        return answer

    def _signed_headers(self) -> dict[str, str]:
        """Return the headers of a request; signed seldom, as our SuperNode does."""
        now = asyncio.get_running_loop().time()
        if now - self._signed_at >= SIGNED_S:
            stamp = datetime.now(UTC).isoformat()
            signature = sign_message(self._keys.flower, stamp.encode("ascii"))
            self._headers = {
                **VERSION,
                "content-type": PROTOBUF_MEDIA_TYPE,
                FLEET_HTTP_PUBLIC_KEY_HEADER: base64.b64encode(self._public).decode(),
                TIMESTAMP_HEADER: stamp,
                FLEET_HTTP_SIGNATURE_HEADER: base64.b64encode(signature).decode(),
            }
            self._signed_at = now
        return self._headers


VERSION = dict(RuntimeVersionMetadata.from_local_component("SuperNode").as_metadata())


async def run(order: dict[str, Any]) -> None:
    upstream = Upstream(order["address"])
    sites = [
        Site(Keys.read(said), upstream, number)
        for number, said in enumerate(order["sites"], start=1)
    ]
    for site in sites:
        await site.connect()
    print("connected", flush=True)
    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(one) for site in sites for one in (site.serve(), site.beat())]
    over = loop.run_in_executor(None, sys.stdin.read)
    done, _ = await asyncio.wait([*tasks, over], return_when=asyncio.FIRST_COMPLETED)
    if over not in done:  # a site failed: say why; the thread that reads stdin never ends
        traceback.print_exception(next(iter(done)).exception())
        sys.stderr.flush()
        os._exit(1)


def main() -> None:
    asyncio.run(run(json.loads(sys.stdin.readline())))


if __name__ == "__main__":
    main()
