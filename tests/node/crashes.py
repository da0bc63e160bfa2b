"""A hospital that answers rounds and can be killed at every step of it."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from clients import audit_log
from clients.gate import Departure, digest_of_array, digest_of_reply, release
from clients.ledger_store import LedgerStore
from clients.one_answer import Charge, OneAnswer
from clients.randomness import SecureRandom
from clients.replies import KeptReplies
from federation.domain.audit import AuditEvent, AuditKind
from federation.domain.ids import RunId, Sha256, SiteId
from federation.evidence.signing import Signer
from federation.privacy.bookkeeping import Bookkeeper
from federation.privacy.events import PoissonSampledGaussian
from federation.privacy.ledger import Budget
from federation.wire.messages import FlatModel, Reply, Task, TaskKind
from tests.builders import a_manifest, a_study

STUDY = a_study()
RUN = RunId.of(STUDY.id, 1)
EVENT = PoissonSampledGaussian(noise_multiplier=1.0, sample_rate=0.1, steps=8)
AT = "2026-11-21T00:00:00+00:00"
POINTS = ("reserve", "train", "gate", "array", "keep", "commit", "record", "send")
"""What is about to happen when the process dies; after the last it has been sent."""


class Killed(BaseException):
    """What SIGKILL is within one process: no handler for errors sees it."""


def one_each(events, delta: float) -> float:
    """Cost one epsilon an event."""
    return float(len(events))


def a_model(number: int) -> FlatModel:
    return np.full(4, number, np.float32)


def a_task(model: int = 0, round_number: int = 1, kind: TaskKind = TaskKind.TRAIN) -> Task:
    return Task(kind, STUDY.id, RUN, round_number, STUDY.digest, a_model(model))


def a_report() -> dict[str, object]:
    said = EVENT.as_json()
    keys = ("noise_multiplier", "sample_rate", "steps")
    return {
        "patients": 120,
        "examples": 150,
        "clip_norm": 1.0,
        "events": [said],
        "epsilon": 1.0,
        **{key: said[key] for key in keys},
    }


@dataclass
class Hospital:
    """A node's stores and the steps of a round, each of which may be its last.

    `on` is told before every step; `left` is what reached the centre.
    """

    folder: Path
    books: Bookkeeper
    signer: Signer
    on: Callable[[str], None] = lambda point: None
    budget: float = 100.0
    left: list[tuple[Task, Reply]] = field(default_factory=list)

    def answer(self, task: Task) -> Reply:
        """Answer as the node does: the crash rule of `OneAnswer` around training and gate."""
        digest = digest_of_array(task.model)
        replies = KeptReplies(self.folder / "replies")
        with replies.working_on(task):
            one = OneAnswer(
                task, digest, self.charge(), self.books, replies, self._record, lambda: AT
            )
            reply = one.kept()
            if reply is None:
                reply = self._work(one, task, digest)
        self.on("send")
        self.left.append((task, reply))
        return reply

    def charge(self) -> Charge:
        limit = Budget(self.budget, 1e-3)
        return Charge("chest", STUDY.id, (EVENT,), limit, limit, one_each)

    def _work(self, one: OneAnswer, task: Task, digest: Sha256) -> Reply:
        self.on("reserve")
        one.reserve()
        self.on("train")
        update = SecureRandom().gaussian(4).astype(np.float32) * np.float32(1e-3)
        self.on("gate")
        reply = release(a_departure(task, digest, update, one), signer=self.signer)
        self.on("array")
        return one.leave(reply)

    def _record(self, reply: Reply) -> None:
        self.on("record")
        details = {"reply": str(digest_of_reply(reply))}
        at = datetime(2026, 11, 21, tzinfo=UTC)
        event = AuditEvent(AuditKind.UPDATE_RELEASED, "executor", "round", at, details)
        audit_log.append(self.folder / "audit.log", event)


def a_departure(task: Task, digest: Sha256, update: FlatModel, one: OneAnswer) -> Departure:
    return Departure(
        kind=TaskKind.TRAIN,
        study=STUDY,
        run=RUN,
        round=task.round,
        site=SiteId("north"),
        model_digest=digest,
        update=update,
        report=a_report(),
        manifest=a_manifest(4),
        is_reserved=one.is_reserved,
        is_approved=lambda: True,
    )


def watch(monkeypatch, on: Callable[[str], None]) -> None:
    """Tell `on` before the reply's file is made and before the book's entry is written."""
    from clients import one_answer, replies

    write_new, settle = replies.write_new, one_answer.OneAnswer._settle

    def told_new(path, content, *, mode):
        on("keep")
        write_new(path, content, mode=mode)

    def told_settle(self, kind):
        on("commit")
        settle(self, kind)

    monkeypatch.setattr(replies, "write_new", told_new)
    monkeypatch.setattr(one_answer.OneAnswer, "_settle", told_settle)


def check_accounted(hospital: Hospital) -> None:
    """Raise unless what left is one reply a round, paid for once, and in the audit log."""
    standing = hospital.books.book("chest").standing()
    log = hospital.folder / "audit.log"
    recorded = (
        {one["details"].get("reply") for one in audit_log.verify(log)} if log.exists() else {}
    )
    sent: dict[str, set[str]] = {}
    for task, reply in hospital.left:
        sent.setdefault(f"{task.run}/{task.round}", set()).add(reply.signature)
        assert str(digest_of_reply(reply)) in recorded, "it left and is not in the audit log"
    for key, different in sent.items():
        assert len(different) == 1, "two releases for one charge"
        assert key in standing, "it left and is not in the book"
    assert len(hospital.books.events()) == len(standing), "a round was charged twice"


def kill_at(folder: Path, key: Path, point: str, visit: int, task: Task) -> None:
    """Answer a task in this process and die by SIGKILL at a step; for a process of its own."""
    seen = 0

    def on(step: str) -> None:
        nonlocal seen
        seen += step == point
        if step == point and seen == visit:
            os.kill(os.getpid(), signal.SIGKILL)

    import pytest

    patch = pytest.MonkeyPatch()
    watch(patch, on)
    hospital = Hospital(folder, LedgerStore(folder / "ledger.db"), Signer.load(key), on=on)
    reply = hospital.answer(task)
    with (folder / "sent").open("a", encoding="ascii") as file:
        file.write(f"{digest_of_reply(reply)}\n")
