"""Write and read messages as Flower's content-addressed objects, with few copies.

Flower cuts an array into chunks and names each by its SHA-256; its own code
copies a chunk four times on the way out and three times on the way in. Here a
chunk is hashed in place and copied once, and an arriving one goes straight to
its place in the array. A description that is too large or of another type is
refused before any chunk is fetched.
"""

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict
from flwr.app.message.arraychunk import ArrayChunk
from flwr.supercore.constant import HEAD_BODY_DIVIDER, HEAD_VALUE_DIVIDER
from flwr.supercore.inflatable.inflatable_object import (
    get_object_head_values_from_object_content,
)

from federation.errors.rounds import ModelTooLargeError
from federation.wire.flower import Malformed, check_array

CHUNK_BYTES = 8 << 20
"""Bytes of an array per object. Larger ones save requests and cost memory and,
on a slow line, progress: Flower forgets an upload that stalls for 180 s."""

_MOST_SMALL_BYTES = 4 << 20
_UPLOADS = 2
_CHUNK_NAME = ArrayChunk.__qualname__.encode()
_LONGEST_HEAD = 1 << 20

Fetch = Callable[[str], bytes | memoryview]
"""Return an object's content by its id; waits until it is there."""


class _Chunk(ArrayChunk):  # type: ignore[misc]
    """A chunk that is hashed where it lies and remembers its id."""

    def __init__(self, data: memoryview) -> None:
        super().__init__(data)
        head = HEAD_VALUE_DIVIDER.join((ArrayChunk.__qualname__, "", str(len(data))))
        self._head = head.encode() + HEAD_BODY_DIVIDER
        digest = hashlib.sha256(self._head)
        digest.update(data)
        self._id = digest.hexdigest()

    def deflate(self) -> bytes:
        """Return head and data as one object."""
        return b"".join((self._head, self.data))

    @property
    def object_id(self) -> str:
        """Return the SHA-256 of head and data."""
        return self._id


def prepare(content: RecordDict) -> None:
    """Cut the arrays of some records into chunks, hashed once."""
    for record in content.values():
        if isinstance(record, ArrayRecord):
            for array in record.values():
                chunks = [_Chunk(piece) for piece in _pieces(memoryview(array.data))]
                array.__dict__["_chunks"] = [(chunk.object_id, chunk) for chunk in chunks]


def release(content: RecordDict) -> None:
    """Let go of the arrays' memory now: Flower's records refer to each other in circles."""
    for record in content.values():
        if isinstance(record, ArrayRecord):
            for array in record.values():
                array.data = b""


def _pieces(data: memoryview) -> Iterator[memoryview]:
    for start in range(0, len(data), CHUNK_BYTES):
        yield data[start : start + CHUNK_BYTES]


def push_all(objects: Iterable[tuple[str, Any]], push: Callable[[str, bytes], None]) -> None:
    """Upload objects, two at a time; Flower's own way holds a copy of all of them at once.

    Raises
    ------
    Exception
        Whatever `push` raises first; the rest is not sent then.
    """
    with ThreadPoolExecutor(max_workers=_UPLOADS) as pool:
        under_way: deque[Future[None]] = deque()
        for object_id, item in objects:
            if len(under_way) >= _UPLOADS:
                under_way.popleft().result()
            under_way.append(pool.submit(push, object_id, item.deflate()))
        for upload in under_way:
            upload.result()


def read_message(root: str, fetch: Fetch, *, limit_bytes: int, malformed: Malformed) -> Message:
    """Return the message whose object is `root`.

    Raises
    ------
    TaskMalformedError, ReplyMalformedError
        Whichever is given, if an object is not what its place demands.
    ModelTooLargeError
        If an array would have more than `limit_bytes`.
    """
    content = bytes(fetch(root))
    try:
        children = _children_of(content, Message.__qualname__, malformed)
        records = {child: _read_records(child, fetch, limit_bytes, malformed) for child in children}
        message = Message.inflate(content, records)
    except (ValueError, KeyError, IndexError, TypeError, UnicodeDecodeError) as error:
        raise malformed(field="message", problem="not a Flower message") from error
    message.metadata.__dict__["_message_id"] = root
    return message


def _read_records(object_id: str, fetch: Fetch, limit: int, malformed: Malformed) -> RecordDict:
    content = bytes(fetch(object_id))
    children = _children_of(content, RecordDict.__qualname__, malformed)
    return RecordDict.inflate(
        content, {child: _read_record(child, fetch, limit, malformed) for child in children}
    )


def _read_record(
    object_id: str, fetch: Fetch, limit: int, malformed: Malformed
) -> ConfigRecord | ArrayRecord:
    content = bytes(fetch(object_id))
    kind, children, _ = get_object_head_values_from_object_content(content)
    if kind == ConfigRecord.__qualname__ and not children:
        return ConfigRecord.inflate(content)
    if kind != ArrayRecord.__qualname__ or len(children) != 1:
        raise malformed(field="record", problem="neither settings nor one array")
    array, data = _read_array(children[0], fetch, limit, malformed)
    record = ArrayRecord.inflate(content, {children[0]: array})
    for copy in record.values():
        copy.data = data
    return record


def _read_array(
    object_id: str, fetch: Fetch, limit: int, malformed: Malformed
) -> tuple[Array, memoryview]:
    """Return an array without its data, and the data: Flower would copy it."""
    content = bytes(fetch(object_id))
    chunks = _children_of(content, Array.__qualname__, malformed)
    about = json.loads(_body(content).tobytes())
    size_bytes = check_array(about["dtype"], about["shape"], about["stype"], malformed)
    if size_bytes > limit:
        raise ModelTooLargeError(size_bytes=size_bytes, limit_bytes=limit)
    order = [chunks[int(index)] for index in about["arraychunk_ids"]]
    data = _gather(order, fetch, size_bytes, malformed)
    return Array(about["dtype"], tuple(about["shape"]), about["stype"], b""), data


def _gather(order: list[str], fetch: Fetch, size_bytes: int, malformed: Malformed) -> memoryview:
    """Return the chunks' data one after another; the next is fetched meanwhile."""
    whole = np.empty(size_bytes, dtype=np.uint8).data
    start = 0
    for content in _ahead(fetch, order):
        if content[: len(_CHUNK_NAME)] != _CHUNK_NAME:
            raise malformed(field="model", problem="not made of chunks")
        piece = _body(content)
        if start + len(piece) > size_bytes:
            raise malformed(field="model", problem="longer than its shape says")
        whole[start : start + len(piece)] = piece
        start += len(piece)
    if start != size_bytes:
        raise malformed(field="model", problem="shorter than its shape says")
    return whole


def _ahead(fetch: Fetch, order: Iterable[str]) -> Iterator[bytes | memoryview]:
    """Yield the objects in order, each fetched while the one before is used."""
    wanted = iter(order)
    with ThreadPoolExecutor(max_workers=1) as pool:
        coming = [pool.submit(fetch, object_id) for object_id in _first(wanted)]
        while coming:
            ready = coming.pop().result()
            coming = [pool.submit(fetch, object_id) for object_id in _first(wanted)]
            yield ready


def _first(wanted: Iterator[str]) -> list[str]:
    return [object_id for _, object_id in zip(range(1), wanted, strict=False)]


def _children_of(content: bytes, kind: str, malformed: Malformed) -> list[str]:
    found, children, _ = get_object_head_values_from_object_content(content)
    if found != kind or len(content) > _MOST_SMALL_BYTES:
        raise malformed(field="message", problem=f"no {kind} where one belongs")
    return list(children)


def _body(content: bytes | memoryview) -> memoryview:
    head = bytes(content[:_LONGEST_HEAD])
    return memoryview(content)[head.index(HEAD_BODY_DIVIDER) + len(HEAD_BODY_DIVIDER) :]
