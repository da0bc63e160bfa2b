"""Turn tasks and replies into Flower records and back, trusting nothing.

The model is one raw little-endian float32 array (`RAW_FLOAT32`): no header, no
pickle, no copy on the way out. Everything else is one config record of fixed
keys. Whatever is unknown, missing or of another type is a coded error; the
reader never guesses. Imports Flower (public names only); import it lazily.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict
from numpy.typing import NDArray

from federation.domain.ids import RunId, Sha256, StudyId
from federation.errors import error_of_code
from federation.errors.base import PlatformError
from federation.errors.rounds import (
    ModelTooLargeError,
    ReplyMalformedError,
    TaskMalformedError,
)
from federation.wire.messages import FlatModel, Refused, Reply, Task, TaskKind

RAW_FLOAT32 = "trifed.float32.le"
WIRE_VERSION = 1
MAX_REPORT_BYTES = 1 << 20
MAX_SIGNATURE_BYTES = 1 << 20
MAX_KEYS_BYTES = 4 << 20
"""A thousand sites with a signed key of four kilobytes."""

Malformed = type[TaskMalformedError] | type[ReplyMalformedError]
Fields = dict[str, type]

_TASK_FIELDS: Fields = {
    "version": int, "kind": str, "study": str, "run": str, "round": int, "study_digest": str,
    "keys": str,
}  # fmt: skip
_REPLY_FIELDS: Fields = {"version": int, "status": str, "report": str, "signature": str}
_REFUSED_FIELDS: Fields = {"version": int, "status": str, "code": str}


def pack_task(task: Task) -> RecordDict:
    """Return a task's records; the model's memory is shared, not copied."""
    about = ConfigRecord(
        {
            "version": WIRE_VERSION,
            "kind": task.kind.value,
            "study": str(task.study),
            "run": str(task.run),
            "round": task.round,
            "study_digest": str(task.study_digest),
            "keys": json.dumps(task.keys),
        }
    )
    return RecordDict({"model": _array_record(task.model), "task": about})


def unpack_task(content: RecordDict, *, limit_bytes: int) -> Task:
    """Return the task in some records.

    Raises
    ------
    TaskMalformedError
        If a record or key is missing, unknown or of another type.
    ModelTooLargeError
        If the model has more than `limit_bytes`.
    """
    _check_names(content, {"model", "task"}, TaskMalformedError)
    about = _fields(content["task"], _TASK_FIELDS, TaskMalformedError)
    try:
        kind = TaskKind(about["kind"])
        study, run = StudyId(str(about["study"])), RunId(str(about["run"]))
        digest = Sha256(str(about["study_digest"]))
    except (ValueError, PlatformError) as error:
        raise TaskMalformedError(field="task", problem="not a known kind, name or digest") from (
            error
        )
    if int(about["round"]) < 1:
        raise TaskMalformedError(field="round", problem="below 1")
    model = _flat(content["model"], limit_bytes, TaskMalformedError)
    keys = _keys(str(about["keys"]))
    return Task(kind, study, run, int(about["round"]), digest, model, keys)


def pack_reply(reply: Reply | Refused) -> RecordDict:
    """Return a reply's records. A refusal carries its code and nothing else."""
    if isinstance(reply, Refused):
        refused = {"version": WIRE_VERSION, "status": "refused", "code": reply.code}
        return RecordDict({"reply": ConfigRecord(refused)})
    report = json.dumps(reply.report, separators=(",", ":"), allow_nan=False)
    about = ConfigRecord(
        {
            "version": WIRE_VERSION,
            "status": "done",
            "report": report,
            "signature": reply.signature,
        }
    )
    if reply.update is None:
        return RecordDict({"reply": about})
    return RecordDict({"update": _array_record(reply.update), "reply": about})


def unpack_reply(content: RecordDict, *, limit_bytes: int) -> Reply | Refused:
    """Return the reply in some records.

    Raises
    ------
    ReplyMalformedError
        If a record or key is missing, unknown or of another type, or a code
        is none of this platform's.
    ModelTooLargeError
        If the update has more than `limit_bytes`.
    """
    about = content.get("reply")
    if isinstance(about, ConfigRecord) and about.get("status") == "refused":
        _check_names(content, {"reply"}, ReplyMalformedError)
        return _refused(_fields(about, _REFUSED_FIELDS, ReplyMalformedError))
    wanted = {"reply", "update"} if "update" in content else {"reply"}
    _check_names(content, wanted, ReplyMalformedError)
    fields = _fields(about, _REPLY_FIELDS, ReplyMalformedError)
    if fields["status"] != "done":
        raise ReplyMalformedError(field="status", problem="unknown")
    update = (
        _flat(content["update"], limit_bytes, ReplyMalformedError) if "update" in content else None
    )
    return Reply(update, _report(str(fields["report"])), _signature(str(fields["signature"])))


def refusal_of(error: PlatformError) -> Refused:
    """Return what the centre may see of an error: its code and its class's first line."""
    return Refused(error.code, _first_line(type(error)))


def _refused(about: Mapping[str, object]) -> Refused:
    code = str(about["code"])
    kind = error_of_code(code)
    if kind is None:
        raise ReplyMalformedError(field="code", problem="none of this platform's")
    return Refused(code, _first_line(kind))


def _first_line(kind: type[PlatformError]) -> str:
    return (kind.__doc__ or kind.__name__).strip().splitlines()[0]


def _array_record(flat: FlatModel) -> ArrayRecord:
    if flat.ndim != 1 or flat.size < 1:
        raise ValueError(f"a model is one flat array, got shape {flat.shape}")
    raw = np.ascontiguousarray(flat, dtype="<f4")
    record = ArrayRecord({"flat": Array("float32", (raw.size,), RAW_FLOAT32, b"")})
    record["flat"].data = raw.view(np.uint8).data
    return record


def _flat(record: object, limit_bytes: int, malformed: Malformed) -> NDArray[np.float32]:
    if not isinstance(record, ArrayRecord) or list(record.keys()) != ["flat"]:
        raise malformed(field="model", problem="not one flat array")
    array = record["flat"]
    size_bytes = check_array(array.dtype, array.shape, array.stype, malformed)
    if size_bytes > limit_bytes:
        raise ModelTooLargeError(size_bytes=size_bytes, limit_bytes=limit_bytes)
    if len(array.data) != size_bytes:
        raise malformed(field="model", problem="shorter or longer than its shape says")
    return np.frombuffer(array.data, dtype="<f4")


def check_array(dtype: object, shape: object, stype: object, malformed: Malformed) -> int:
    """Return the bytes of an array of this description, a flat float32 one.

    Raises
    ------
    TaskMalformedError, ReplyMalformedError
        Whichever is given, if it is anything else.
    """
    if dtype != "float32" or stype != RAW_FLOAT32:
        raise malformed(field="model", problem="not raw float32")
    is_flat = isinstance(shape, tuple | list) and len(shape) == 1 and type(shape[0]) is int
    if not is_flat or shape[0] < 1:  # type: ignore[index]
        raise malformed(field="model", problem="not one-dimensional")
    return int(shape[0]) * 4  # type: ignore[index]


def _check_names(content: RecordDict, wanted: set[str], malformed: Malformed) -> None:
    if set(content.keys()) != wanted:
        raise malformed(field="records", problem=f"not exactly {', '.join(sorted(wanted))}")


def _fields(record: object, wanted: Fields, malformed: Malformed) -> dict[str, Any]:
    if not isinstance(record, ConfigRecord) or set(record.keys()) != set(wanted):
        raise malformed(field="config", problem=f"not exactly {', '.join(sorted(wanted))}")
    for name, kind in wanted.items():
        if type(record[name]) is not kind:
            raise malformed(field=name, problem=f"not {kind.__name__}")
    if record["version"] != WIRE_VERSION:
        raise malformed(field="version", problem=f"not {WIRE_VERSION}")
    return dict(record.items())


def _keys(text: str) -> tuple[str, ...]:
    """Return the signed keys of a sum, unverified."""
    if len(text) > MAX_KEYS_BYTES:
        raise TaskMalformedError(field="keys", problem="too long")
    try:
        keys = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TaskMalformedError(field="keys", problem="not JSON") from error
    if not isinstance(keys, list) or not all(isinstance(one, str) for one in keys):
        raise TaskMalformedError(field="keys", problem="not a list of texts")
    return tuple(keys)


def _report(text: str) -> dict[str, object]:
    if len(text) > MAX_REPORT_BYTES:
        raise ReplyMalformedError(field="report", problem="too long")
    try:
        report = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ReplyMalformedError(field="report", problem="not JSON") from error
    if not isinstance(report, dict):
        raise ReplyMalformedError(field="report", problem="not an object")
    return report


def _refuse_constant(name: str) -> float:
    raise ValueError(name)


def _signature(text: str) -> str:
    if len(text) > MAX_SIGNATURE_BYTES:
        raise ReplyMalformedError(field="signature", problem="too long")
    return text
