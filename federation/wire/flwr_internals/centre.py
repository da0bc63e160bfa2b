"""Do at the SuperLink what the centre needs: nodes, runs, tasks out, replies in.

One `RunSession` is one run, driven from outside any ServerApp: start the run,
take its task, push messages, pull replies. Flower keeps the task's identity in
a global, so a process drives one run at a time.
"""

import fcntl
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

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

from federation.errors.rounds import (
    FlowerRefusedError,
    ReplyMalformedError,
    SuperLinkUnreachableError,
)
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
_STALLED_S = 170.0
_MESSAGE_LIFE_S = 7 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class FlowerNode:
    """A node as the SuperLink knows it; `public_key` is PEM."""

    id: int
    public_key: bytes
    online: bool


def register_node(path: Path, public_key: bytes) -> int:
    """Let the node with this PEM public key in; return its Flower id.

    Registering a key again returns the id it has.

    Raises
    ------
    FlowerRefusedError
        If it is not a key on a NIST curve.
    SuperLinkUnreachableError
        If the SuperLink does not answer.
    """
    for node in list_nodes(path):
        if node.public_key == public_key:
            return node.id
    with control_client(path) as client, translated(path, "RegisterNode"):
        return int(client.RegisterNode(RegisterNodeRequest(public_key=public_key)).node_id)


def list_nodes(path: Path) -> list[FlowerNode]:
    """Return the registered nodes.

    Raises
    ------
    FlowerRefusedError, SuperLinkUnreachableError
        If the SuperLink refuses or does not answer.
    """
    with control_client(path) as client, translated(path, "ListNodes"):
        found = client.ListNodes(ListNodesRequest()).nodes_info
    return [
        FlowerNode(int(node.node_id), bytes(node.public_key), node.status == "online")
        for node in found
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


class RunSession:
    """One run at the SuperLink, from its start to its end."""

    def __init__(self, path: Path, token: str, run_id: int) -> None:
        self.run_id = run_id
        self._path = path
        self._client = task_client(path, token)
        self._node = Node(node_id=SUPERLINK_NODE_ID)
        self._over = threading.Event()
        self.lost: FlowerRefusedError | SuperLinkUnreachableError | None = None

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
            try:
                with translated(self._path, "SendTaskHeartbeat"):
                    self._client.SendTaskHeartbeat(SendTaskHeartbeatRequest())
            except (FlowerRefusedError, SuperLinkUnreachableError) as error:
                self.lost = error

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

    def has_arrived(self, reply: Announced) -> bool:
        """Tell whether a reply is there as a whole; its message object comes last."""
        with translated(self._path, "PullObject"):
            return self._pull(reply.root).available

    def read(self, reply: Announced, *, limit_bytes: int) -> Message:
        """Return a reply's message and let the SuperLink forget it.

        Raises
        ------
        ReplyMalformedError, ModelTooLargeError
            If it is not what the protocol says, or too large.
        FlowerRefusedError, SuperLinkUnreachableError
            If the SuperLink refuses or does not answer.
        """
        with translated(self._path, "PullObject"):
            try:
                return read_message(
                    reply.root, self._fetch, limit_bytes=limit_bytes, malformed=ReplyMalformedError
                )
            finally:
                self.forget(reply)

    def forget(self, reply: Announced) -> None:
        """Let the SuperLink drop a reply's objects."""
        with translated(self._path, "ConfirmMessageReceived"):
            self._client.ConfirmMessageReceived(
                ConfirmMessageReceivedRequest(
                    node=self._node, run_id=self.run_id, message_object_id=reply.root
                )
            )

    def _fetch(self, object_id: str) -> memoryview:
        end = time.monotonic() + _STALLED_S
        wait_s = 0.005
        while time.monotonic() < end:
            answer = self._pull(object_id)
            if answer.available:
                return answer.content
            if not answer.found:
                break
            time.sleep(wait_s)
            wait_s = min(2 * wait_s, 0.5)
        raise ReplyMalformedError(field="reply", problem="incomplete")

    def _pull(self, object_id: str) -> PulledObject:
        request = PullObjectRequest(node=self._node, run_id=self.run_id, object_id=object_id)
        return pull_object(self._client, request)

    def close(self, *, failed: str = "") -> None:
        """End the run, as completed or with a reason; safe to call when it is gone."""
        self._over.set()
        status = "failed" if failed else "completed"
        try:
            with translated(self._path, "PushTaskOutput"):
                self._client.PushTaskOutput(
                    PushTaskOutputRequest(sub_status=status, details=failed)
                )
        except (FlowerRefusedError, SuperLinkUnreachableError) as error:
            self.lost = error
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
