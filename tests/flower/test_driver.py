"""The driver keeps what is good, refuses what is not, asks for what was lost, and goes on."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, Error, Message, RecordDict
from flwr.supercore.task_identity import TaskIdentity

from federation.domain.ids import Sha256
from federation.errors.machine import DiskFullError
from federation.errors.transport import KeptUpdateDamagedError
from federation.server_app import waiting
from federation.server_app.driver import Driver
from federation.server_app.flat_files import read_flat, write_flat
from federation.server_app.parent_line import ParentGone, ParentLine
from federation.wire.flower import pack_reply
from federation.wire.flwr_internals.centre import Announced
from federation.wire.messages import Refused, Reply

SIZE = 1000
MODEL = np.linspace(-1, 1, SIZE, dtype=np.float32)


Answer = RecordDict | Error | None
"""What a node says to one message: records, a Flower error, or nothing."""


class FakeSession:
    """A SuperLink whose nodes answer at once: the last answer of each is repeated."""

    def __init__(self, answers: dict[int, list[Answer]], *, online: set[int]) -> None:
        self._answers = answers
        self._online = online
        self._sent: dict[str, Answer] = {}
        self._told: set[str] = set()
        self.asked: list[int] = []
        self.forgotten: list[str] = []
        self.found = True
        TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = 1, 1, 1

    def push(self, content: RecordDict, *, nodes: Any, kind: str, group: str) -> dict[str, int]:
        sent = {}
        for node in nodes:
            earlier = self.asked.count(node)
            self.asked.append(node)
            answers = self._answers[node]
            sent[f"m{len(self.asked)}"] = node
            self._sent[f"m{len(self.asked)}"] = answers[min(earlier, len(answers) - 1)]
        return sent

    def announced(self, asked: list[str]) -> list[Announced]:
        found = []
        for message in asked:
            answer = self._sent[message]
            if answer is None or message in self._told:
                continue
            self._told.add(message)
            code = str(answer.code) if isinstance(answer, Error) else ""
            found.append(Announced(f"r{message}", message, code))
        return found

    def pull(self, reply: Announced) -> SimpleNamespace:
        return SimpleNamespace(available=self.found, found=self.found)

    def online(self) -> set[int]:
        return self._online

    def read(self, reply: Announced, *, limit_bytes: int) -> Message:
        answer = self._sent[reply.asked]
        assert isinstance(answer, RecordDict)
        return Message(fresh(answer), dst_node_id=1, message_type="train")

    def forget(self, reply: Announced) -> None:
        self.forgotten.append(reply.root)


def fresh(answer: RecordDict) -> RecordDict:
    """Return a copy: the driver lets go of the arrays it has read."""
    copied = RecordDict()
    for name, record in answer.items():
        copied[name] = record
        if isinstance(record, ArrayRecord):
            (flat,) = record.values()
            copied[name] = ArrayRecord({"flat": Array(flat.dtype, flat.shape, flat.stype, b"")})
            copied[name]["flat"].data = flat.data
    return copied


class FakeParent(ParentLine):
    """A parent that accepts every reply with the weight it names."""

    def __init__(self, events: list[dict[str, Any]]) -> None:
        super().__init__()
        self._events = events

    def next(self) -> dict[str, Any]:
        site = self._events[-1]["site"]
        weight = self._events[-1]["report"].get("examples", 1)
        return {"do": "verdict", "site": site, "accept": True, "weight": weight}


@dataclass
class Scene:
    """A driver between a fake SuperLink and a fake parent."""

    folder: Path
    answers: Mapping[int, Answer | list[Answer]]
    online: set[int] = field(default_factory=set)
    events: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        write_flat(self.folder / "model.npy", MODEL)
        answers = {n: a if isinstance(a, list) else [a] for n, a in self.answers.items()}
        self.session = FakeSession(answers, online=self.online)
        self.parent = FakeParent(self.events)
        self.driver = Driver(self.session, self.parent, self._emit)  # type: ignore[arg-type]

    def _emit(self, event: str, **values: object) -> None:
        self.events.append({"event": event, **values})

    def run(self, **order: object) -> list[dict[str, Any]]:
        self.driver.run_round(
            {
                "kind": "train",
                "study": "cxr",
                "run": "cxr.1",
                "number": 1,
                "study_digest": str(Sha256.of(b"s")),
                "model": str(self.folder / "model.npy"),
                "result": str(self.folder / "result.npy"),
                "quorum": 1,
                "deadline_s": 0.3,
                "sites": {f"site-{node}": str(node) for node in self.answers},
                "spool": None,
                "kept": [],
                "keys": [],
                "shared": None,
                **order,
            }
        )
        return self.events

    def kept(self) -> list[dict[str, Any]]:
        """Return what the parent would order as kept after the round."""
        replies = {e["site"]: e for e in self.events if e["event"] == "reply"}
        return [
            {
                "site": event["site"],
                "path": event["path"],
                "weight": replies[event["site"]]["report"].get("examples", 1),
                "digest": replies[event["site"]]["update_digest"],
            }
            for event in self.events
            if event["event"] == "kept"
        ]


def run(
    folder: Path, answers: Mapping[int, Answer | list[Answer]], **order: object
) -> list[dict[str, Any]]:
    return Scene(folder, answers).run(**order)


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
    tmp_path: Path, answer: Answer, code: str
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
    answers: dict[int, Answer] = {
        1: pack_reply(Reply(None, {"auroc": 0.8})),
        2: update(1.0),
    }
    events = run(tmp_path, answers, kind="evaluate")
    assert refused(events) == {"site-2": "TF411"}
    assert events[-1]["accepted"] == ["site-1"]
    assert events[-1]["result"] is None


def noisy(number: int) -> RecordDict:
    values = np.random.default_rng(number).standard_normal(SIZE).astype(np.float32)
    return pack_reply(Reply(values, {"examples": number}, "s"))


def test_kept_updates_give_the_same_bits_in_any_order_and_after_any_crash(tmp_path: Path) -> None:
    answers = {number: noisy(number) for number in (1, 2, 3, 4)}
    found = set()
    for first in ([], [1], [3], [4, 2], [2, 3, 1], [1, 2, 3, 4]):
        folder = tmp_path / f"{first}"
        folder.mkdir()
        before = Scene(folder, {number: answers[number] for number in first})
        kept = before.run(spool=str(folder / "s")) and before.kept() if first else []
        after = Scene(folder, dict(reversed(answers.items())))
        after.run(spool=str(folder / "s"), kept=kept)
        assert set(after.session.asked) == set(answers) - set(first)
        assert after.events[-1]["accepted"] == ["site-1", "site-2", "site-3", "site-4"]
        found.add(read_flat(folder / "result.npy").tobytes())
    assert len(found) == 1


def test_kept_file_is_what_the_site_signed(tmp_path: Path) -> None:
    scene = Scene(tmp_path, {1: noisy(1)})
    scene.run(spool=str(tmp_path / "s"))
    (kept,) = scene.kept()
    content = Path(kept["path"]).read_bytes()
    assert kept["digest"] == str(Sha256.of(content))
    assert Path(kept["path"]).name == f"{hashlib.sha256(content).hexdigest()}.f32"
    assert Path(kept["path"]).stat().st_mode & 0o777 == 0o600


def test_update_may_be_moved_as_soon_as_it_is_kept(tmp_path: Path) -> None:
    scene = Scene(tmp_path, {1: update(2.0), 2: update(4.0)})
    emit = scene.driver._emit

    def adopting(event: str, **values: Any) -> None:
        if event == "kept":
            Path(values["path"]).unlink()
        emit(event, **values)

    scene.driver._emit = adopting
    scene.run(spool=str(tmp_path / "s"))
    np.testing.assert_array_equal(read_flat(tmp_path / "result.npy"), 3.0)


@pytest.mark.parametrize("harm", ["flip", "cut", "remove"])
def test_damaged_kept_update_is_refused_before_anybody_is_asked(tmp_path: Path, harm: str) -> None:
    scene = Scene(tmp_path, {1: noisy(1)})
    scene.run(spool=str(tmp_path / "s"))
    kept = scene.kept()
    path = Path(kept[0]["path"])
    content = bytearray(path.read_bytes())
    content[7] ^= 1
    path.write_bytes(content[:-4] if harm == "cut" else content)
    if harm == "remove":
        path.unlink()
    again = Scene(tmp_path, {1: noisy(1), 2: noisy(2)})
    with pytest.raises(KeptUpdateDamagedError) as caught:
        again.run(spool=str(tmp_path / "s"), kept=kept)
    assert caught.value.values == {"site": "site-1"}
    assert again.session.asked == []


def test_full_disk_loses_nothing_that_was_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from federation.server_app import driver

    scene = Scene(tmp_path, {1: noisy(1), 2: noisy(2)})
    keep = driver.keep_raw

    def until_full(folder: Path, *rest: Any) -> Path:
        if list(folder.glob("*.f32")):
            raise DiskFullError(needed="1.0", free="0.0")
        return keep(folder, *rest)

    monkeypatch.setattr(driver, "keep_raw", until_full)
    with pytest.raises(DiskFullError):
        scene.run(spool=str(tmp_path / "s"))
    (kept,) = scene.kept()
    monkeypatch.undo()
    scene.run(spool=str(tmp_path / "s"), kept=[kept])
    assert scene.events[-1]["accepted"] == ["site-1", "site-2"]
    assert sorted(scene.session.asked) == sorted([1, 2, 2 if kept["site"] == "site-1" else 1])


def test_lost_task_is_asked_again_when_the_node_is_there(tmp_path: Path) -> None:
    lost = [Error(5, ""), update(2.0)]
    scene = Scene(tmp_path, {1: lost}, online={1})
    scene.run(deadline_s=5.0)
    assert scene.session.asked == [1, 1]
    assert scene.events[-1]["accepted"] == ["site-1"]
    assert [e["sites"] for e in scene.events if e["event"] == "dispatched"] == 2 * [["site-1"]]


def test_site_that_loses_every_task_is_given_up_at_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_LONGEST_PAUSE_S", 0.0)
    scene = Scene(tmp_path, {1: Error(8, ""), 2: update(1.0)}, online={1})
    scene.run(deadline_s=None)
    assert refused(scene.events) == {"site-1": "TF419"}
    assert scene.session.asked.count(1) == waiting.MOST_ASKS


def test_reply_that_is_cut_short_is_asked_for_again(tmp_path: Path) -> None:
    scene = Scene(tmp_path, {1: update(2.0)})
    scene.session.found = False
    scene.run()
    assert refused(scene.events) == {"site-1": "TF425"}


def test_of_two_replies_of_a_site_the_first_counts(tmp_path: Path) -> None:
    scene = Scene(tmp_path, {1: [None, update(2.0), update(9.0)], 2: [None]})
    scene.parent.take({"do": "round"})
    for _ in range(2):
        scene.parent.take({"do": "ask_again", "site": "site-1", "node": "1"})
    scene.run(quorum=1)
    assert scene.session.asked == [1, 2, 1, 1]
    np.testing.assert_array_equal(read_flat(tmp_path / "result.npy"), 2.0)
    scene.run(number=2)
    assert "rm4" in scene.session.forgotten


def test_given_up_site_is_refused_with_the_reason_given(tmp_path: Path) -> None:
    scene = Scene(tmp_path, {1: update(2.0), 2: None})
    scene.parent.take({"do": "give_up", "site": "site-2", "code": "TF462", "what": "late"})
    scene.parent.take({"do": "give_up", "site": "site-9", "code": "TF462", "what": "unknown"})
    scene.run(deadline_s=None)
    assert refused(scene.events) == {"site-2": "TF462"}
    assert scene.events[-1]["reached"]


def test_stopped_round_ends_at_once_and_reaches_nothing(tmp_path: Path) -> None:
    scene = Scene(tmp_path, {1: update(2.0), 2: None})
    scene.parent.take({"do": "stop"})
    scene.run(deadline_s=None, spool=str(tmp_path / "s"))
    assert refused(scene.events)["site-2"] == "TF424"
    assert not scene.events[-1]["reached"]
    assert not (tmp_path / "result.npy").exists()


def test_what_was_said_before_a_round_is_not_about_it() -> None:
    line = ParentLine()
    line.take({"do": "stop"})
    line.take({"do": "round"})
    line.take({"do": "give_up", "site": "a"})
    assert line.next() == {"do": "round"}
    assert line.asides() == [{"do": "give_up", "site": "a"}]


@pytest.mark.parametrize("last", ["close", "gone"])
def test_round_ends_when_its_parent_does(tmp_path: Path, last: str) -> None:
    scene = Scene(tmp_path, {1: None})
    scene.parent.take({"do": last})
    with pytest.raises(ParentGone):
        scene.run(deadline_s=None)


def test_update_that_no_sum_could_bear_is_refused(tmp_path: Path) -> None:
    events = run(tmp_path, {1: update(1e37), 2: update(1.0)}, spool=str(tmp_path / "s"))
    assert refused(events) == {"site-1": "TF451"}
    assert len(list((tmp_path / "s").iterdir())) == 1


def test_kept_evaluation_is_not_asked_for_again(tmp_path: Path) -> None:
    scene = Scene(tmp_path, {1: pack_reply(Reply(None, {})), 2: pack_reply(Reply(None, {}))})
    kept = [{"site": "site-1", "path": None, "weight": 1.0, "digest": None}]
    scene.run(kind="evaluate", kept=kept, quorum=2)
    assert scene.session.asked == [2]
    assert scene.events[-1]["reached"]
