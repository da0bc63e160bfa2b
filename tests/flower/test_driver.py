"""The driver folds in what is good, refuses what is not, and goes on."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Error, Message, RecordDict
from flwr.supercore.task_identity import TaskIdentity

from federation.domain.ids import Sha256
from federation.server_app.driver import Commands, Driver
from federation.server_app.flat_files import read_flat, write_flat
from federation.wire.flower import pack_reply
from federation.wire.flwr_internals.centre import Announced
from federation.wire.messages import Refused, Reply

SIZE = 1000
MODEL = np.linspace(-1, 1, SIZE, dtype=np.float32)


class FakeSession:
    """A SuperLink whose nodes have all answered: node id -> records, Flower error or nothing."""

    def __init__(self, answers: dict[int, RecordDict | Error | None]) -> None:
        self._answers = answers
        self.read_at_once = 0
        TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = 1, 1, 1

    def push(self, content: RecordDict, *, nodes: Any, kind: str, group: str) -> dict[str, int]:
        self._told: set[str] = set()
        return {f"m{node}": node for node in nodes}

    def announced(self, asked: list[str]) -> list[Announced]:
        found = []
        for message in asked:
            answer = self._answers[int(message[1:])]
            if answer is None or message in self._told:
                continue
            self._told.add(message)
            code = str(answer.code) if isinstance(answer, Error) else ""
            found.append(Announced(f"r{message[1:]}", message, code))
        return found

    def has_arrived(self, reply: Announced) -> bool:
        return True

    def read(self, reply: Announced, *, limit_bytes: int) -> Message:
        answer = self._answers[int(reply.root[1:])]
        assert isinstance(answer, RecordDict)
        return Message(answer, dst_node_id=1, message_type="train")

    def forget(self, reply: Announced) -> None:
        return None


class FakeCommands(Commands):
    """A parent that accepts every reply with the weight it names."""

    def __init__(self, events: list[dict[str, Any]]) -> None:
        self._events = events
        self._given_up = set()

    def next(self) -> dict[str, Any]:
        site = self._events[-1]["site"]
        weight = self._events[-1]["report"].get("examples", 1)
        return {"do": "verdict", "site": site, "accept": True, "weight": weight}


def run(
    folder: Path, answers: dict[int, RecordDict | Error | None], **order: object
) -> list[dict[str, Any]]:
    write_flat(folder / "model.npy", MODEL)
    events: list[dict[str, Any]] = []

    def emit(event: str, **values: object) -> None:
        events.append({"event": event, **values})

    driver = Driver(FakeSession(answers), FakeCommands(events), emit)  # type: ignore[arg-type]
    driver.run_round(
        {
            "kind": "train",
            "study": "cxr",
            "run": "cxr.1",
            "number": 1,
            "study_digest": str(Sha256.of(b"s")),
            "model": str(folder / "model.npy"),
            "result": str(folder / "result.npy"),
            "quorum": 1,
            "deadline_s": 0.3,
            "sites": {f"site-{node}": str(node) for node in answers},
            **order,
        }
    )
    return events


def update(value: float, *, size: int = SIZE, examples: int = 1) -> RecordDict:
    return pack_reply(Reply(np.full(size, value, np.float32), {"examples": examples}, "sig"))


def refused(events: list[dict[str, Any]]) -> dict[str, str]:
    return {event["site"]: event["code"] for event in events if event["event"] == "refused"}


def test_result_is_the_weighted_mean(tmp_path: Path) -> None:
    events = run(tmp_path, {1: update(1.0, examples=3), 2: update(5.0, examples=1)})
    np.testing.assert_allclose(read_flat(tmp_path / "result.npy"), 2.0)
    assert events[-1]["accepted"] == ["site-1", "site-2"]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (update(float("nan")), "TF414"),
        (update(float("inf")), "TF414"),
        (update(1.0, size=SIZE - 1), "TF413"),
        (update(1.0, size=SIZE + 1), "TF413"),
        (pack_reply(Reply(None)), "TF411"),
        (RecordDict(), "TF411"),
        (pack_reply(Refused("TF416", "")), "TF416"),
        (Error(5, ""), "TF422"),
        (Error(8, "ClientApp stopped responding."), "TF415"),
        (None, "TF423"),
    ],
)
def test_bad_reply_is_refused_with_a_code_and_the_round_goes_on(
    tmp_path: Path, answer: RecordDict | Error | None, code: str
) -> None:
    events = run(tmp_path, {1: update(2.0), 2: answer})
    assert refused(events) == {"site-2": code}
    assert events[-1]["reached"]
    np.testing.assert_array_equal(read_flat(tmp_path / "result.npy"), 2.0)


def test_too_few_good_replies_leave_no_result(tmp_path: Path) -> None:
    events = run(tmp_path, {1: update(2.0), 2: update(float("nan"))}, quorum=2)
    assert not events[-1]["reached"]
    assert not (tmp_path / "result.npy").exists()


def test_evaluation_with_an_update_is_refused(tmp_path: Path) -> None:
    answers: dict[int, RecordDict | Error | None] = {
        1: pack_reply(Reply(None, {"auroc": 0.8})),
        2: update(1.0),
    }
    events = run(tmp_path, answers, kind="evaluate")
    assert refused(events) == {"site-2": "TF411"}
    assert events[-1]["accepted"] == ["site-1"]
    assert events[-1]["result"] is None


def test_fixed_ceiling_gives_the_same_bits_in_any_order(tmp_path: Path) -> None:
    values = np.random.default_rng(1).standard_normal((4, SIZE)).astype(np.float32)
    found = set()
    for order in ([0, 1, 2, 3], [3, 1, 0, 2]):
        answers: dict[int, RecordDict | Error | None] = {
            number: pack_reply(Reply(values[number], {"examples": number + 1}, "s"))
            for number in order
        }
        run(tmp_path, answers, ceiling=10.0)
        found.add(read_flat(tmp_path / "result.npy").tobytes())
    assert len(found) == 1
