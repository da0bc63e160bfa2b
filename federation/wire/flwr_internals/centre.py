"""Do at the SuperLink what the centre needs: nodes, runs, tasks out, replies in.

One `RunSession` is one run, driven from outside any ServerApp: start the run,
take its task, push messages, pull replies. Flower keeps the task's identity in
a global, so a process drives one run at a time.
"""

import fcntl
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from flwr.app import Message, RecordDict
from flwr.app.message import remove_content_from_message
from flwr.common.constant import SUPERLINK_NODE_ID
from flwr.common.serde import (
    context_from_proto,
    fab_to_proto,
    message_from_proto,
    message_to_proto,
    run_from_proto,
)
from flwr.proto.control_pb2 import (
    ListNodesRequest,
    RegisterNodeRequest,
    StartRunRequest,
    StopRunRequest,
    UnregisterNodeRequest,
)
from flwr.proto.message_pb2 import ConfirmMessageReceivedRequest, PullObjectRequest
from flwr.proto.node_pb2 import Node
from flwr.proto.runtime_pb2 import (
    AcquireTaskRequest,
    PullAppMessagesRequest,
    PullTaskInputRequest,
    PushAppMessagesRequest,
    PushTaskOutputRequest,
    SendTaskHeartbeatRequest,
)
from flwr.supercore.constant import TaskType
from flwr.supercore.fab import Fab
from flwr.supercore.inflatable.inflatable_object import (
    get_all_nested_objects,
    get_object_tree,
    no_object_id_recompute,
)
from flwr.supercore.inflatable.inflatable_protobuf_utils import make_push_object_fn_protobuf
from flwr.supercore.task_identity import TaskIdentity

from federation.errors.base import PlatformError
from federation.errors.rounds import (
    FlowerRefusedError,
    ReplyMalformedError,
    SuperLinkUnreachableError,
)
from federation.errors.transport import ReplyCutShortError
from federation.wire.flwr_internals.calls import (
    PulledObject,
    acquiring_client,
    control_client,
    pull_object,
    task_client,
    translated,
)
from federation.wire.flwr_internals.objects import prepare, push_all, read_message, release

_ACQUIRE_TIMEOUT_S = 20.0
_HEARTBEAT_S = 10.0
_PATIENCE_S = 1.0
"""A SuperLink on this machine that is away for longer has ended, and its runs with it."""
_NEARLY_WHOLE_S = 0.5
_SMALL_BYTES = 64 << 10
_MESSAGE_LIFE_S = 7 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class FlowerNode:
    """A node as the SuperLink knows it; `public_key` is PEM."""

    id: int
    public_key: bytes
    online: bool


def register_nodes(path: Path, public_keys: Iterable[bytes]) -> dict[bytes, int]:
    """Let the nodes with these PEM public keys in; return their Flower ids by key.

    A key that is registered keeps the id it has.

    Raises
    ------
    FlowerRefusedError
        If one is not a key on a NIST curve; those before it are let in.
    SuperLinkUnreachableError
        If the SuperLink does not answer.
    """
    with control_client(path) as client:
        with translated(path, "ListNodes"):
            found = {node.public_key: node.id for node in _listed(client)}
        with translated(path, "RegisterNode"):
            for key in public_keys:
                if key not in found:
                    answer = client.RegisterNode(RegisterNodeRequest(public_key=key))
                    found[key] = int(answer.node_id)
    return found


def list_nodes(path: Path) -> list[FlowerNode]:
    """Return the registered nodes.

    Raises
    ------
    FlowerRefusedError, SuperLinkUnreachableError
        If the SuperLink refuses or does not answer.
    """
    with control_client(path) as client, translated(path, "ListNodes"):
        return _listed(client)


def _listed(client: Any) -> list[FlowerNode]:
    return [
        FlowerNode(int(node.node_id), bytes(node.public_key), node.status == "online")
        for node in client.ListNodes(ListNodesRequest()).nodes_info
        if node.status != "unregistered"
    ]


def unregister_node(path: Path, node_id: int) -> None:
    """Shut a node out.

    Raises
    ------
    FlowerRefusedError, SuperLinkUnreachableError
        If the SuperLink refuses or does not answer.
    """
    with control_client(path) as client, translated(path, "UnregisterNode"):
        client.UnregisterNode(UnregisterNodeRequest(node_id=node_id))


@dataclass(frozen=True, slots=True)
class Announced:
    """A reply that has begun to arrive: its message's object id and whose it is."""

    root: str
    asked: str
    failed: str
    """Flower's error code, or empty."""


class NotYetWhole(Exception):
    """Not everything of a reply is there yet."""


class RunSession:
    """One run at the SuperLink, from its start to its end."""

    def __init__(self, path: Path, token: str, run_id: int) -> None:
        self.run_id = run_id
        self._path = path
        self._client = task_client(path, token, patience_s=_PATIENCE_S)
        self._node = Node(node_id=SUPERLINK_NODE_ID)
        self._over = threading.Event()
        self._awaited: dict[str, str] = {}
        self._looked_at: tuple[str, PulledObject] = ("", PulledObject())

    @classmethod
    def open(
        cls, path: Path, *, secret: bytes, bundle: bytes, digest: str, lock: Path
    ) -> "RunSession":
        """Start a run with this bundle and take its task.

        `lock` is a file that keeps two drivers from taking each other's tasks.

        Raises
        ------
        FlowerRefusedError, SuperLinkUnreachableError
            If the SuperLink refuses, does not answer, or offers no task in time.
        """
        with _locked(lock), translated(path, "StartRun"):
            with control_client(path) as control:
                request = StartRunRequest(fab=fab_to_proto(Fab(digest, bundle, {})), federation="")
                run_id = int(control.StartRun(request).run_id)
            token = _acquire(path, secret, run_id)
        session = cls(path, token, run_id)
        session._begin()
        return session

    def _begin(self) -> None:
        with translated(self._path, "PullTaskInput"):
            given = self._client.PullTaskInput(PullTaskInputRequest())
        TaskIdentity.task_id = given.task_id
        TaskIdentity.run_id = run_from_proto(given.run).run_id
        TaskIdentity.node_id = context_from_proto(given.context).node_id
        threading.Thread(target=self._beat, daemon=True, name="run-heartbeat").start()

    def _beat(self) -> None:
        """Tell the SuperLink that the run is driven; it gives up after 60 s of silence."""
        while not self._over.wait(_HEARTBEAT_S):
            with self._unless_lost("SendTaskHeartbeat"):
                self._client.SendTaskHeartbeat(SendTaskHeartbeatRequest())

    @contextmanager
    def _unless_lost(self, request: str) -> Iterator[None]:
        """Go on where the SuperLink is lost: the next round says so."""
        with (
            suppress(FlowerRefusedError, SuperLinkUnreachableError),
            translated(self._path, request),
        ):
            yield

    def push(
        self, content: RecordDict, *, nodes: Iterable[int], kind: str, group: str
    ) -> dict[str, int]:
        """Send the same records to several nodes; return message ids and their nodes.

        The records' objects are uploaded once, whatever the number of nodes;
        their arrays are let go of then.

        Raises
        ------
        FlowerRefusedError, SuperLinkUnreachableError
            If the SuperLink refuses or does not answer.
        """
        prepare(content)
        messages = {
            node: Message(
                content, dst_node_id=node, message_type=kind, group_id=group, ttl=_MESSAGE_LIFE_S
            )
            for node in nodes
        }
        with no_object_id_recompute(), translated(self._path, "PushMessages"):
            asked = self._push(messages)
        release(content)
        return asked

    def _push(self, messages: Mapping[int, Message]) -> dict[str, int]:
        objects = {}
        for message in messages.values():
            message.metadata.__dict__["_message_id"] = message.object_id
            objects.update(get_all_nested_objects(message))
        answer = self._client.PushMessages(
            PushAppMessagesRequest(
                messages_list=[
                    message_to_proto(remove_content_from_message(message))
                    for message in messages.values()
                ],
                message_object_trees=[get_object_tree(message) for message in messages.values()],
            )
        )
        wanted = set(answer.objects_to_push)
        push_all(
            [(key, item) for key, item in objects.items() if key in wanted],
            make_push_object_fn_protobuf(
                self._client.PushObject, self._node, self.run_id, answer.session_id
            ),
        )
        return {
            message_id: node
            for message_id, node in zip(answer.message_ids, messages, strict=True)
            if message_id
        }

    def announced(self, asked: Iterable[str]) -> list[Announced]:
        """Return the replies to these messages that have begun to arrive since the last call.

        Waits at the SuperLink until there is news, a second at most.

        Raises
        ------
        FlowerRefusedError, SuperLinkUnreachableError
            If the SuperLink refuses or does not answer.
        """
        with translated(self._path, "PullMessages"):
            answer = self._client.PullMessages(PullAppMessagesRequest(message_ids=list(asked)))
        found = []
        for proto in answer.messages_list:
            message = message_from_proto(proto)
            failed = str(message.error.code) if message.has_error() else ""
            metadata = message.metadata
            found.append(Announced(metadata.message_id, metadata.reply_to_message_id, failed))
        return found

    def online(self) -> set[int]:
        """Return the nodes that the SuperLink takes for connected.

        Raises
        ------
        FlowerRefusedError, SuperLinkUnreachableError
            If the SuperLink refuses or does not answer.
        """
        with (
            control_client(self._path, patience_s=_PATIENCE_S) as client,
            translated(self._path, "ListNodes"),
        ):
            return {node.id for node in _listed(client) if node.online}

    def pull(self, reply: Announced) -> PulledObject:
        """Return the part of a reply that comes last, as far as is known; tells of the whole."""
        part = self._awaited.get(reply.root, reply.root)
        with translated(self._path, "PullObject"):
            answer = self._pull(part)
        if answer.available and len(answer.content) <= _SMALL_BYTES:
            self._looked_at = (part, answer)
        return answer

    def read(self, reply: Announced, *, limit_bytes: int) -> Message:
        """Return a reply's message and let the SuperLink forget it.

        Raises
        ------
        NotYetWhole
            If a part is still on its way; nothing is forgotten then.
        ReplyCutShortError
            If a part will never come.
        ReplyMalformedError, ModelTooLargeError
            If it is not what the protocol says, or too large.
        FlowerRefusedError, SuperLinkUnreachableError
            If the SuperLink refuses or does not answer.
        """
        try:
            with translated(self._path, "PullObject"):
                message = read_message(
                    reply.root,
                    partial(self._fetch, reply),
                    limit_bytes=limit_bytes,
                    malformed=ReplyMalformedError,
                )
        except PlatformError:
            self.forget(reply)
            raise
        self.forget(reply)
        return message

    def forget(self, reply: Announced) -> None:
        """Let the SuperLink drop a reply's objects."""
        self._awaited.pop(reply.root, None)
        with translated(self._path, "ConfirmMessageReceived"):
            self._client.ConfirmMessageReceived(
                ConfirmMessageReceivedRequest(
                    node=self._node, run_id=self.run_id, message_object_id=reply.root
                )
            )

    def _fetch(self, reply: Announced, object_id: str) -> memoryview:
        """Return one object; nodes send two at a time, so that the last may come before another."""
        end = time.monotonic() + _NEARLY_WHOLE_S
        wait_s = 0.005
        if self._looked_at[0] == object_id:
            return self._looked_at[1].content
        while not (answer := self._pull(object_id)).available:
            if not answer.found:
                raise ReplyCutShortError()
            if time.monotonic() > end:
                self._awaited[reply.root] = object_id
                raise NotYetWhole
            time.sleep(wait_s)
            wait_s = min(2 * wait_s, 0.1)
        return answer.content

    def _pull(self, object_id: str) -> PulledObject:
        request = PullObjectRequest(node=self._node, run_id=self.run_id, object_id=object_id)
        return pull_object(self._client, request)

    def close(self, *, failed: str = "") -> None:
        """End the run, as completed or with a reason; safe to call when it is gone."""
        self._over.set()
        status = "failed" if failed else "completed"
        with self._unless_lost("PushTaskOutput"):
            self._client.PushTaskOutput(PushTaskOutputRequest(sub_status=status, details=failed))
        self._client.close()


def stop_run(path: Path, run_id: int) -> None:
    """Stop a run that nobody drives any more.

    Raises
    ------
    FlowerRefusedError, SuperLinkUnreachableError
        If the SuperLink refuses or does not answer.
    """
    with control_client(path) as client, translated(path, "StopRun"):
        client.StopRun(StopRunRequest(run_id=run_id))


def _acquire(path: Path, secret: bytes, run_id: int) -> str:
    """Take the task of this run; end any other, left behind by a driver that died."""
    end = time.monotonic() + _ACQUIRE_TIMEOUT_S
    with acquiring_client(path, secret) as client:
        while time.monotonic() < end:
            answer = client.AcquireTask(
                AcquireTaskRequest(supported_task_types=[TaskType.SERVER_APP])
            )
            if not answer.HasField("task"):
                time.sleep(0.02)
            elif answer.task.run_id == run_id:
                return str(answer.token)
            else:
                _abandon(path, answer.token)
    raise SuperLinkUnreachableError(address=str(path))


def _abandon(path: Path, token: str) -> None:
    with task_client(path, token) as client:
        client.PushTaskOutput(PushTaskOutputRequest(sub_status="failed", details="abandoned"))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
