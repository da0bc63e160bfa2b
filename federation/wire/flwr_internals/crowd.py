"""Let one SuperLink carry a thousand nodes: no scan of all for each, no model of each in memory.

Flower's memory state looks at every stored message whenever any node asks for
one, and at every message of a round whenever its driver asks for replies; a
round of n sites costs n squared. Its object store holds every reply that the
driver has not read yet. Here a node's messages are found by its id, a driver's
question looks at what was answered, and at all others only every two seconds,
and what goes over a limit lies in files until it is read. Answers stay Flower's
own; that a node is gone is noticed up to two seconds later than before.

Measured by benchmarks/scale.py.
"""

import contextlib
import functools
import itertools
import shutil
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from flwr.server.superlink.linkstate.in_memory_linkstate import InMemoryLinkState
from flwr.supercore.date import now
from flwr.supercore.object_store.in_memory_object_store import InMemoryObjectStore

MEMORY_BYTES = 32 << 20
"""Objects that are kept in memory at most; each task's model counts once."""

_SMALL_BYTES = 64 << 10
_LOOK_AT_ALL_S = 2.0


class MessagesByNode(dict[str, Any]):
    """Flower's messages by their ids, which also knows each node's."""

    def __init__(self) -> None:
        super().__init__()
        self._of_node: defaultdict[int, dict[str, None]] = defaultdict(dict)

    def of_node(self, node: int) -> list[str]:
        """Return the ids of the messages to one node, oldest first."""
        return list(self._of_node.get(node, ()))

    def __setitem__(self, key: str, message: Any) -> None:
        super().__setitem__(key, message)
        self._of_node[message.metadata.dst_node_id][key] = None

    def __delitem__(self, key: str) -> None:
        node = self[key].metadata.dst_node_id
        super().__delitem__(key)
        del self._of_node[node][key]
        if not self._of_node[node]:
            del self._of_node[node]

    def pop(self, key: str, *default: Any) -> Any:
        """Remove a message and return it, or the default."""
        if key not in self:
            return super().pop(key, *default)
        message = self[key]
        del self[key]
        return message


def carry_many_nodes(folder: Path) -> None:
    """Replace in this process the parts of Flower's memory state that do not scale.

    Parameters
    ----------
    folder
        Where objects lie that memory shall not hold; emptied now.
    """
    _index_messages()
    _ask_seldom_for_the_missing()
    _keep_large_objects_in(folder)


def _index_messages() -> None:
    plain = InMemoryLinkState.__init__

    @functools.wraps(plain)
    def init(self: Any, *arguments: Any, **named: Any) -> None:
        plain(self, *arguments, **named)
        self.message_ins_store = MessagesByNode()

    InMemoryLinkState.__init__ = init
    InMemoryLinkState.get_message_ins = _messages_of_node


def _messages_of_node(
    self: Any, node_id: int, limit: int | None, *, run_id: int | None = None
) -> list[Any]:
    """Return a node's undelivered messages and note them as delivered, as Flower's own does."""
    if limit is not None and limit < 1:
        raise AssertionError("`limit` must be >= 1")
    found: list[Any] = []
    with self.lock:
        for key in self.message_ins_store.of_node(node_id):
            self._check_stored_messages({key})
            message = self.message_ins_store.get(key)
            is_of_run = message and (run_id is None or message.metadata.run_id == run_id)
            if is_of_run and message.metadata.delivered_at == "":
                message.metadata.delivered_at = now().isoformat()
                found.append(message)
            if limit and len(found) == limit:
                break
    return found


def _ask_seldom_for_the_missing() -> None:
    plain = InMemoryLinkState.get_message_res
    looked: dict[int, float] = {}

    @functools.wraps(plain)
    def get(self: Any, message_ids: set[str], run_id: int) -> list[Any]:
        if time.monotonic() - looked.get(run_id, -_LOOK_AT_ALL_S) >= _LOOK_AT_ALL_S:
            answer: list[Any] = plain(self, message_ids, run_id)
            looked[run_id] = time.monotonic()
            return answer
        with self.lock:
            answered = message_ids & self.message_ins_id_to_message_res_id.keys()
        return plain(self, answered, run_id) if answered else []

    InMemoryLinkState.get_message_res = get


def _keep_large_objects_in(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(mode=0o700)
    spill = _Spill(folder)
    plain_put, plain_get = InMemoryObjectStore.put, InMemoryObjectStore.get
    plain_delete = InMemoryObjectStore.delete

    @functools.wraps(plain_put)
    def put(self: Any, object_id: str, object_content: bytes) -> None:
        plain_put(self, object_id, object_content)
        in_file = spill.write(object_id, object_content)  # not under the lock: a disk may be slow
        with self.lock_store:
            entry = self.store.get(object_id)
            if entry is not None and entry.content is object_content:
                entry.content = spill.kept(object_id, object_content, in_file)
            elif in_file is not None:
                in_file.remove()

    @functools.wraps(plain_get)
    def get(self: Any, object_id: str) -> bytes | None:
        content = plain_get(self, object_id)
        return content.read() if isinstance(content, _InFile) else content

    @functools.wraps(plain_delete)
    def delete(self: Any, object_id: str) -> None:
        with self.lock_store:
            plain_delete(self, object_id)
            if object_id not in self.store:
                spill.forget(object_id)

    InMemoryObjectStore.put, InMemoryObjectStore.get = put, get
    InMemoryObjectStore.delete = delete


class _InFile:
    """An object's content in a file, which goes with it."""

    def __init__(self, path: Path, content: bytes) -> None:
        self._path = path
        try:
            path.write_bytes(content)
        except OSError:
            self.remove()
            raise

    def read(self) -> bytes | None:
        """Return the content, or None when it was deleted meanwhile."""
        with contextlib.suppress(FileNotFoundError):
            return self._path.read_bytes()
        return None

    def remove(self) -> None:
        """Remove the file."""
        self._path.unlink(missing_ok=True)


class _Spill:
    """Decide which objects memory holds; `kept` and `forget` are called under the store's lock."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count()
        self._sizes: dict[str, int] = {}
        self._files: dict[str, _InFile] = {}
        self._bytes = 0

    def write(self, object_id: str, content: bytes) -> _InFile | None:
        """Return a file with the content if memory has enough, else None."""
        if len(content) < _SMALL_BYTES or self._bytes + len(content) <= MEMORY_BYTES:
            return None
        with contextlib.suppress(OSError):  # a full disk: memory it is
            return _InFile(self._folder / f"{object_id}.{next(self._numbers)}", content)
        return None

    def kept(self, object_id: str, content: bytes, in_file: _InFile | None) -> bytes | _InFile:
        """Return what the store shall keep, and remember what it takes."""
        if in_file is not None:
            self._files[object_id] = in_file
            return in_file
        self._sizes[object_id] = len(content)
        self._bytes += len(content)
        return content

    def forget(self, object_id: str) -> None:
        """Give up what an object took."""
        self._bytes -= self._sizes.pop(object_id, 0)
        in_file = self._files.pop(object_id, None)
        if in_file is not None:
            in_file.remove()
