"""Take a node's tasks from its SuperNode and hand back the replies.

The bundle that comes with a task is looked at for its digest only; nothing of
it is unpacked or run.
"""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flwr.app import Error, Message, RecordDict
from flwr.app.message import remove_content_from_message
from flwr.common.serde import (
    context_from_proto,
    fab_from_proto,
    message_from_proto,
    message_to_proto,
    run_from_proto,
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
from flwr.supercore.inflatable.inflatable_object import (
    get_all_nested_objects,
    get_object_tree,
    no_object_id_recompute,
)
from flwr.supercore.inflatable.inflatable_protobuf_utils import make_push_object_fn_protobuf
from flwr.supercore.task_identity import TaskIdentity

from federation.errors.rounds import (
    FlowerRefusedError,
    SuperLinkUnreachableError,
    TaskMalformedError,
)
from federation.wire.flwr_internals.calls import (
    acquiring_client,
    pull_object,
    task_client,
    translated,
)
from federation.wire.flwr_internals.objects import prepare, push_all, read_message, release

_HEARTBEAT_S = 10.0
_FAILED_CODE = 1000


@dataclass(frozen=True, slots=True)
class Assignment:
    """A task that was taken: the bundle's digest (hex), Flower's run, and its message's id."""

    bundle_digest: str
    flower_run: int
    root: str


class TaskSource:
    """The tasks of one SuperNode.

    Parameters
    ----------
    path
        The SuperNode's socket.
    secret
        The SuperExec secret that both were started with.
    """

    def __init__(self, path: Path, secret: bytes) -> None:
        self._path = path
        self._acquiring = acquiring_client(path, secret)

    def next_token(self) -> str | None:
        """Return the next task's token; waits at the SuperNode, then None.

        Raises
        ------
        SuperLinkUnreachableError, FlowerRefusedError
            If the SuperNode is away or refuses.
        """
        with translated(self._path, "AcquireTask"):
            answer = self._acquiring.AcquireTask(
                AcquireTaskRequest(supported_task_types=[TaskType.CLIENT_APP])
            )
        return str(answer.token) if answer.HasField("task") else None

    @contextmanager
    def begin(self, token: str) -> Iterator["RunningTask"]:
        """Hold a task, with its heartbeat, until it is answered.

        Raises
        ------
        SuperLinkUnreachableError, FlowerRefusedError
            If the SuperNode is away or refuses.
        """
        task = RunningTask(self._path, token)
        try:
            task.start()
            yield task
        finally:
            task.finish()


class RunningTask:
    """One taken task: read it, answer it."""

    def __init__(self, path: Path, token: str) -> None:
        self._path = path
        self._client = task_client(path, token)
        self._over = threading.Event()
        self._status = "failed"

    def start(self) -> None:
        """Take over the task's input, its message excepted."""
        with translated(self._path, "PullTaskInput"):
            given = self._client.PullTaskInput(PullTaskInputRequest())
            answer = self._client.PullMessages(PullAppMessagesRequest())
        TaskIdentity.task_id = given.task_id
        TaskIdentity.run_id = given.run.run_id
        TaskIdentity.node_id = given.context.node_id
        if not answer.messages_list:
            raise TaskMalformedError(field="task", problem="without a message")
        self._context = context_from_proto(given.context)
        self._run_id = int(run_from_proto(given.run).run_id)
        self._node = Node(node_id=self._context.node_id)
        content = fab_from_proto(given.fab).content
        root = answer.message_object_trees[0].object_id
        self.assignment = Assignment(hashlib.sha256(content).hexdigest(), self._run_id, root)
        self._metadata_only = answer.messages_list[0]
        threading.Thread(target=self._beat, daemon=True, name="task-heartbeat").start()

    def _beat(self) -> None:
        while not self._over.wait(_HEARTBEAT_S):
            try:
                with translated(self._path, "SendTaskHeartbeat"):
                    self._client.SendTaskHeartbeat(SendTaskHeartbeatRequest())
            except (FlowerRefusedError, SuperLinkUnreachableError):
                return

    def read(self, *, limit_bytes: int) -> Message:
        """Return the task's message.

        Raises
        ------
        TaskMalformedError, ModelTooLargeError
            If it is not what the protocol says, or too large.
        """
        with translated(self._path, "PullObject"):
            return read_message(
                self.assignment.root,
                self._fetch,
                limit_bytes=limit_bytes,
                malformed=TaskMalformedError,
            )

    def _fetch(self, object_id: str) -> memoryview:
        request = PullObjectRequest(node=self._node, run_id=self._run_id, object_id=object_id)
        answer = pull_object(self._client, request)
        if not answer.available:
            raise TaskMalformedError(field="task", problem="incomplete")
        return answer.content

    def confirm(self) -> None:
        """Let the SuperNode forget the task's objects."""
        with translated(self._path, "ConfirmMessageReceived"):
            self._client.ConfirmMessageReceived(
                ConfirmMessageReceivedRequest(
                    node=self._node,
                    run_id=self._run_id,
                    message_object_id=self.assignment.root,
                )
            )

    def answer(self, content: RecordDict) -> None:
        """Hand in the reply; its arrays are let go of then.

        Raises
        ------
        SuperLinkUnreachableError, FlowerRefusedError
            If the SuperNode is away or refuses.
        """
        prepare(content)
        self._push(Message(content, reply_to=self._asked()))
        release(content)
        self._status = "completed"

    def fail(self) -> None:
        """Answer with Flower's bare error; for a task that cannot be read."""
        self._push(Message(Error(code=_FAILED_CODE, reason=""), reply_to=self._asked()))

    def _asked(self) -> Message:
        asked = message_from_proto(self._metadata_only)
        asked.metadata.__dict__["_message_id"] = self.assignment.root
        return asked

    def _push(self, message: Message) -> None:
        message.metadata.__dict__["_message_id"] = message.object_id
        with no_object_id_recompute(), translated(self._path, "PushMessages"):
            answer = self._client.PushMessages(
                PushAppMessagesRequest(
                    messages_list=[message_to_proto(remove_content_from_message(message))],
                    message_object_trees=[get_object_tree(message)],
                )
            )
            wanted = set(answer.objects_to_push)
            push_all(
                [
                    (key, item)
                    for key, item in get_all_nested_objects(message).items()
                    if key in wanted
                ],
                make_push_object_fn_protobuf(
                    self._client.PushObject, self._node, self._run_id, answer.session_id
                ),
            )

    def finish(self) -> None:
        """Tell the SuperNode that the task is over."""
        self._over.set()
        try:
            with translated(self._path, "PushTaskOutput"):
                self._client.PushTaskOutput(
                    PushTaskOutputRequest(sub_status=self._status, details="")
                )
        except (FlowerRefusedError, SuperLinkUnreachableError):
            pass
        self._client.close()
