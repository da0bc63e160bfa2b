"""The executor answers announced runs only, and nothing of an error leaves but its code."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from flwr.app import RecordDict

from clients.flower import executor
from clients.flower.executor import announced_bundles, ping
from federation.domain.ids import RunId, Sha256, StudyId
from federation.errors.core import InvalidValueError
from federation.wire.flower import pack_task, unpack_reply
from federation.wire.flwr_internals.runtime import RunningTask
from federation.wire.messages import Refused, Reply, Task, TaskKind

TASK = Task(
    TaskKind.PING, StudyId("cxr"), RunId("cxr.1"), 1, Sha256.of(b"s"), np.ones(3, np.float32)
)


class GivenTask(RunningTask):
    """A task that needs no SuperNode."""

    def __init__(self, content: RecordDict, *, digest: str = "aa") -> None:
        self.assignment = SimpleNamespace(bundle_digest=digest, flower_run=7, root="r")
        self._content = content
        self.answered: list[RecordDict] = []

    def read(self, *, limit_bytes: int) -> Any:
        return SimpleNamespace(content=self._content)

    def confirm(self) -> None:
        return None

    def answer(self, content: RecordDict) -> None:
        self.answered.append(content)


def answer_to(
    task: GivenTask, handler: executor.Handler, folder: Path, *, announced: str = "aa"
) -> Reply | Refused:
    notice = {"flower_run": "7", "bundle_digest": announced}
    (folder / "cxr.1.json").write_text(json.dumps(notice))
    executor._answer(task, handler, folder, 1 << 20)
    (content,) = task.answered
    return unpack_reply(content, limit_bytes=1 << 20)


def test_announced_task_is_handled(tmp_path: Path) -> None:
    reply = answer_to(GivenTask(pack_task(TASK)), ping, tmp_path)
    assert isinstance(reply, Reply)
    assert reply.update is not None
    np.testing.assert_array_equal(reply.update, TASK.model)


def test_task_with_another_bundle_is_refused_unread(tmp_path: Path) -> None:
    task = GivenTask(pack_task(TASK), digest="bb")
    task.read = None  # type: ignore[assignment, method-assign]
    reply = answer_to(task, ping, tmp_path)
    assert isinstance(reply, Refused)
    assert reply.code == "TF416"


def test_malformed_task_is_refused(tmp_path: Path) -> None:
    reply = answer_to(GivenTask(RecordDict()), ping, tmp_path)
    assert isinstance(reply, Refused)
    assert reply.code == "TF410"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidValueError(field="x", actual="Chen Mei-Hua", expected="y"), "TF103"),
        (RuntimeError("/data/Chen Mei-Hua/1.dcm"), "TF417"),
        (MemoryError("Chen Mei-Hua"), "TF417"),
    ],
)
def test_of_an_error_only_its_code_leaves(tmp_path: Path, error: Exception, code: str) -> None:
    def handler(task: Task) -> Reply:
        raise error

    task = GivenTask(pack_task(TASK))
    reply = answer_to(task, handler, tmp_path)
    assert isinstance(reply, Refused)
    assert reply.code == code
    sent = b"".join(record.deflate() for record in task.answered[0].values())
    assert b"Chen" not in sent
    assert b"Traceback" not in sent


def test_unreadable_notice_announces_nothing(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "odd.json").write_text('["flower_run"]')
    assert announced_bundles(tmp_path) == {}


def test_executor_without_a_handler_of_its_own_does_not_import_torch() -> None:
    import subprocess
    import sys

    code = (
        "import sys, clients.flower.executor, federation.wire.flwr_internals.runtime;"
        "print('torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert found.stdout.decode().strip() == "False"
