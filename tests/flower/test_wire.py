"""Tasks and replies survive the trip; anything not as agreed is a coded no."""

import json
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict
from flwr.app.message.arraychunk import ArrayChunk
from flwr.supercore.inflatable.inflatable_utils import ObjectPushError
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from federation.domain.ids import RunId, Sha256, StudyId
from federation.errors.core import InvalidValueError
from federation.errors.rounds import (
    BundleRefusedError,
    FlowerRefusedError,
    ModelTooLargeError,
    ReplyMalformedError,
    TaskMalformedError,
)
from federation.wire.flower import (
    RAW_FLOAT32,
    pack_reply,
    pack_task,
    refusal_of,
    unpack_reply,
    unpack_task,
)
from federation.wire.flwr_internals.calls import translated
from federation.wire.flwr_internals.objects import CHUNK_BYTES, prepare, read_message
from federation.wire.messages import Refused, Reply, Task, TaskKind

MODEL = np.arange(7, dtype=np.float32)
TASK = Task(TaskKind.TRAIN, StudyId("cxr"), RunId("cxr.3"), 2, Sha256.of(b"study"), MODEL)
LIMIT = 1 << 20


def changed(content: RecordDict, record: str, **values: object) -> RecordDict:
    fields = {**dict(content[record].items()), **values}
    kept = {name: value for name, value in fields.items() if value is not None}
    return RecordDict({**dict(content.items()), record: ConfigRecord(kept)})


def an_array(*, dtype: str = "float32", shape: tuple[int, ...] = (7,), stype: str = RAW_FLOAT32,
             data: bytes = MODEL.tobytes(), name: str = "flat") -> ArrayRecord:  # fmt: skip
    return ArrayRecord({name: Array(dtype, shape, stype, data)})


def test_task_comes_back_as_it_was_sent() -> None:
    found = unpack_task(pack_task(TASK), limit_bytes=LIMIT)
    assert (found.kind, found.study, found.run, found.round, found.study_digest) == (
        TASK.kind, TASK.study, TASK.run, TASK.round, TASK.study_digest,
    )  # fmt: skip
    np.testing.assert_array_equal(found.model, MODEL)


def test_model_is_not_copied_on_the_way_out() -> None:
    record = pack_task(TASK)["model"]["flat"]
    assert np.shares_memory(np.frombuffer(record.data, np.float32), MODEL)


@given(npst.arrays(np.float32, st.integers(1, 50), elements=st.floats(-1e6, 1e6, width=32)))
def test_update_comes_back_bit_for_bit(update: np.ndarray) -> None:
    found = unpack_reply(pack_reply(Reply(update, {"n": 3}, "sig")), limit_bytes=LIMIT)
    assert isinstance(found, Reply)
    assert found.update is not None
    assert found.update.tobytes() == update.tobytes()
    assert (found.report, found.signature) == ({"n": 3}, "sig")


def test_reply_without_update_comes_back_without_one() -> None:
    found = unpack_reply(pack_reply(Reply(None, {"loss": 0.5})), limit_bytes=LIMIT)
    assert isinstance(found, Reply)
    assert found.update is None


def test_refusal_carries_its_code_and_no_values() -> None:
    refused = refusal_of(BundleRefusedError(digest="patient-name"))
    content = pack_reply(refused)
    assert "patient" not in repr(content)
    found = unpack_reply(content, limit_bytes=LIMIT)
    assert found == Refused("TF416", refused.what)


def test_refusal_with_an_unknown_code_is_malformed() -> None:
    with pytest.raises(ReplyMalformedError):
        unpack_reply(pack_reply(Refused("TF000", "")), limit_bytes=LIMIT)


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "destroy"}, {"study": "../etc"}, {"run": "x"}, {"round": 0}, {"round": "2"},
        {"version": 2}, {"study_digest": "sha256:00"}, {"more": 1}, {"kind": None},
        {"round": 1.0},
    ],
)  # fmt: skip
def test_task_with_a_wrong_field_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(TaskMalformedError):
        unpack_task(changed(pack_task(TASK), "task", **values), limit_bytes=LIMIT)


@pytest.mark.parametrize(
    "record",
    [
        an_array(dtype="float64"), an_array(stype="numpy.ndarray"), an_array(shape=(1, 7)),
        an_array(shape=(8,)), an_array(shape=(0,), data=b""), an_array(name="other"),
        an_array(data=MODEL.tobytes()[:-1]), an_array(shape=()),
    ],
)  # fmt: skip
def test_task_with_another_array_is_refused(record: ArrayRecord) -> None:
    content = RecordDict({**dict(pack_task(TASK).items()), "model": record})
    with pytest.raises(TaskMalformedError):
        unpack_task(content, limit_bytes=LIMIT)


def test_task_with_one_more_record_is_refused() -> None:
    content = RecordDict({**dict(pack_task(TASK).items()), "code": ConfigRecord({"py": "x"})})
    with pytest.raises(TaskMalformedError):
        unpack_task(content, limit_bytes=LIMIT)


def test_an_object_that_the_superlink_does_not_take_is_a_coded_no() -> None:
    with pytest.raises(FlowerRefusedError), translated(Path("superlink.sock"), "PushObject"):
        raise ObjectPushError("object", 1, "session")


def test_oversize_model_is_refused() -> None:
    with pytest.raises(ModelTooLargeError):
        unpack_task(pack_task(TASK), limit_bytes=27)


@pytest.mark.parametrize("text", ["[]", "{", '{"a": NaN}', '{"a": Infinity}', "[" * 100_000])
def test_report_that_is_not_a_json_object_is_refused(text: str) -> None:
    content = changed(pack_reply(Reply(None)), "reply", report=text)
    with pytest.raises(ReplyMalformedError):
        unpack_reply(content, limit_bytes=LIMIT)


def test_report_with_nan_cannot_be_sent() -> None:
    with pytest.raises(ValueError, match="JSON"):
        pack_reply(Reply(None, {"loss": float("nan")}))


def objects_of(content: RecordDict) -> tuple[str, dict[str, bytes]]:
    from flwr.app import Message
    from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects
    from flwr.supercore.task_identity import TaskIdentity

    TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = 1, 1, 1
    prepare(content)
    message = Message(content, dst_node_id=5, message_type="train")
    found = {key: value.deflate() for key, value in get_all_nested_objects(message).items()}
    return message.object_id, found


def test_message_read_from_objects_is_the_message_written() -> None:
    root, objects = objects_of(pack_task(TASK))
    message = read_message(
        root, objects.__getitem__, limit_bytes=LIMIT, malformed=TaskMalformedError
    )
    found = unpack_task(message.content, limit_bytes=LIMIT)
    np.testing.assert_array_equal(found.model, MODEL)


def test_chunks_of_a_large_model_are_flowers_own_bytes() -> None:
    size = CHUNK_BYTES // 4 + 10
    content = pack_reply(Reply(np.zeros(size, np.float32)))
    prepare(content)
    for object_id, chunk in content["update"]["flat"].slice_array():
        plain = ArrayChunk(chunk.data)
        assert plain.deflate() == chunk.deflate()
        assert plain.object_id == chunk.object_id == object_id


def test_oversize_array_is_refused_before_a_chunk_is_fetched() -> None:
    root, objects = objects_of(pack_task(TASK))
    fetched: list[str] = []

    def fetch(object_id: str) -> bytes:
        fetched.append(object_id)
        return objects[object_id]

    with pytest.raises(ModelTooLargeError):
        read_message(root, fetch, limit_bytes=27, malformed=TaskMalformedError)
    assert not any(objects[key].startswith(b"ArrayChunk") for key in fetched)


def test_objects_that_lie_about_their_size_are_refused() -> None:
    root, objects = objects_of(pack_task(TASK))
    array = next(key for key, value in objects.items() if value.startswith(b"Array "))
    head, body = objects[array].split(b"\0")
    about = {**json.loads(body), "shape": [6]}
    objects[array] = head + b"\0" + json.dumps(about).encode()
    with pytest.raises(TaskMalformedError):
        read_message(root, objects.__getitem__, limit_bytes=LIMIT, malformed=TaskMalformedError)


def test_garbage_instead_of_an_object_is_refused() -> None:
    root, objects = objects_of(pack_task(TASK))
    for key in objects:
        broken = {**objects, key: b"\xff\xfe garbage"}
        with pytest.raises((TaskMalformedError, ModelTooLargeError)):
            read_message(root, broken.__getitem__, limit_bytes=LIMIT, malformed=TaskMalformedError)


def test_an_address_that_is_no_unix_socket_is_refused() -> None:
    from federation.wire.local_sockets import path_of

    with pytest.raises(InvalidValueError):
        path_of("http://127.0.0.1:8000")


@given(st.booleans(), st.booleans(), st.binary(max_size=400))
def test_pulled_object_is_read_as_protobuf_reads_it(
    found: bool, available: bool, content: bytes
) -> None:
    from flwr.proto.message_pb2 import PullObjectResponse

    from federation.wire.flwr_internals.calls import PulledObject

    sent = PullObjectResponse(
        object_found=found, object_available=available, object_content=content
    ).SerializeToString()
    pulled = PulledObject()
    pulled.ParseFromString(sent)
    assert (pulled.found, pulled.available, bytes(pulled.content)) == (found, available, content)


@pytest.mark.parametrize("sent", [b"\x1a\x05abc", b"\x1a", b"\x22\x00", b"\x08" + 10 * b"\xff"])
def test_broken_answer_is_not_read(sent: bytes) -> None:
    from google.protobuf.message import DecodeError

    from federation.wire.flwr_internals.calls import PulledObject

    with pytest.raises(DecodeError):
        PulledObject().ParseFromString(sent)
