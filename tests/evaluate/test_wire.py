"""The keys of a sum travel with the task; anything else in their place is refused."""

import json
from typing import Any

import numpy as np
import pytest
from flwr.app import ConfigRecord

from federation.domain.ids import RunId, Sha256, StudyId
from federation.errors.rounds import TaskMalformedError
from federation.wire.flower import MAX_KEYS_BYTES, pack_task, unpack_task
from federation.wire.messages import Task, TaskKind

LIMIT = 1 << 20


def a_task(*keys: str) -> Task:
    return Task(
        TaskKind.EVALUATE, StudyId("eval-1"), RunId("eval-1.1"), 2, Sha256.of(b"study"),
        np.ones(3, np.float32), keys,
    )  # fmt: skip


@pytest.mark.parametrize("keys", [(), ("one", "two", "三")])
def test_keys_arrive_as_they_were_sent(keys: tuple[str, ...]) -> None:
    assert unpack_task(pack_task(a_task(*keys)), limit_bytes=LIMIT).keys == keys


@pytest.mark.parametrize(
    "said", ["", "{", "{}", "[1]", '"key"', "[" * 50_000, json.dumps(["x" * MAX_KEYS_BYTES])]
)
def test_what_is_no_list_of_keys_is_refused(said: str) -> None:
    content: Any = pack_task(a_task("one"))
    content["task"] = ConfigRecord({**content["task"], "keys": said})

    with pytest.raises(TaskMalformedError):
        unpack_task(content, limit_bytes=LIMIT)
