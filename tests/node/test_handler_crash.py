"""The handler itself, killed by SIGKILL before each step: paid once, the same bytes leave."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clients import audit_log, client_app, one_answer, replies
from clients.client_app import HospitalHandler
from clients.data.people.lineage import Lineage
from clients.gate import digest_of_reply
from clients.home import NodeHome
from clients.ledger_store import LedgerStore
from federation.privacy.ledger import EntryKind
from federation.wire.messages import Reply
from tests.node.handling import PATIENT, a_home, a_task, hold, states
from tests.training.arrays import a_cohort

pytestmark = pytest.mark.slow

STEPS: dict[str, tuple[Any, str]] = {
    "who is in it is written down": (Lineage, "begin"),
    "reserve": (one_answer.OneAnswer, "reserve"),
    "train": (client_app, "train_privately"),
    "gate": (client_app, "release"),
    "keep the array": (replies, "_keep_array"),
    "keep the reply": (replies, "write_new"),
    "commit": (one_answer.OneAnswer, "_settle"),
    "lineage": (HospitalHandler, "_record_release"),
    "audit line": (Lineage, "end"),
    "send": (sys.modules[__name__], "send"),
}
"""What is about to happen when the process dies, and the function that would do it."""


def die_before(patch: pytest.MonkeyPatch, step: str) -> None:
    """Kill this process when a step is about to be made; `write_new` only for the reply."""
    place, name = STEPS[step]
    real: Callable[..., Any] = getattr(place, name)

    def die(*given: Any, **named: Any) -> Any:
        if name == "write_new" and not str(given[0]).endswith(".json"):
            return real(*given, **named)
        os.kill(os.getpid(), signal.SIGKILL)
        return None

    patch.setattr(place, name, die)


def answer(folder: Path, step: str | None) -> None:
    """Answer the same task as the executor does, in a process of its own."""
    patch = pytest.MonkeyPatch()
    hold(patch, a_cohort(patients=40, images_each=1, side=64))
    if step is not None:
        die_before(patch, step)
    reply = HospitalHandler(NodeHome(folder))(a_task())
    send(folder, reply)


def send(folder: Path, reply: Reply) -> None:
    """Write down what reached the centre."""
    with (folder / "sent").open("a", encoding="ascii") as file:
        file.write(f"{digest_of_reply(reply)}\n")


@pytest.mark.parametrize("step", STEPS)
def test_a_node_killed_before_any_step_pays_once_and_sends_one_reply(
    tmp_path: Path, step: str
) -> None:
    home = a_home(tmp_path)
    context = multiprocessing.get_context("spawn")
    for when in (step, None, None):
        worker = context.Process(target=answer, args=(tmp_path, when))
        worker.start()
        worker.join(120)
        assert worker.exitcode == (0 if when is None else -signal.SIGKILL)

    first, second = (tmp_path / "sent").read_text(encoding="ascii").split()
    assert first == second
    assert states(home) == [EntryKind.OPENED, EntryKind.RESERVED, EntryKind.COMMITTED]
    assert len(LedgerStore(home.ledger).events()) == 1
    recorded = [one["details"].get("reply") for one in audit_log.verify(home.audit_log)]  # type: ignore[attr-defined]
    assert recorded.count(first) >= 2, "one line for each sending"
    assert Lineage(home.data).sightings([PATIENT])[-1].state == "released"
