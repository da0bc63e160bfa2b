"""A hospital's executor with the test's noise and gates: `python -m tests.scenarios.executor`.

The noise of a round is drawn from a generator seeded by site, run and round, so that
a run that was disturbed can be compared bit for bit with one that was not. Gates:
`training.SITE.ROUND` after the first step, `replying.SITE.ROUND` when the reply is
kept and not yet sent, `evaluating.SITE` and `answering.SITE` likewise.
"""

import hashlib
from pathlib import Path

import numpy as np

from clients import client_app
from clients.flower import executor
from clients.home import NodeHome
from federation.privacy.randomness import Numbers
from federation.wire.messages import Reply, Task, TaskKind
from tests.scenarios.gates import gates_of


class SeededRandom:
    """Random numbers that a test can repeat; never in the product."""

    task = ""
    made = 0

    def __init__(self) -> None:
        SeededRandom.made += 1
        seed = hashlib.sha256(f"{self.task}/{self.made}".encode()).digest()
        self._numbers = np.random.default_rng(int.from_bytes(seed[:8], "little"))

    @classmethod
    def begin(cls, task: str) -> None:
        """Draw what follows for this task."""
        cls.task, cls.made = task, 0

    def uniform(self, size: int) -> Numbers:
        return self._numbers.random(size)

    def gaussian(self, size: int) -> Numbers:
        return self._numbers.standard_normal(size)


def build_handler(home: Path) -> executor.Handler:
    """Return the product's handler with gates around its steps."""
    node, gates = NodeHome.open(home), gates_of(home)
    site = node.settings().site
    tell = client_app._tell_agent(node.run)

    def progress(task: Task, done: int, total: int) -> None:
        tell(task, done, total)
        if done and (done < total or total == 1):
            gates.pass_through(f"training.{site}.{task.round}")

    inner = client_app.build_handler(home, progress=progress)

    def handle(task: Task) -> Reply:
        SeededRandom.begin(f"{site}/{task.run}/{task.round}")
        trains = task.kind is TaskKind.TRAIN
        if not trains:
            gates.pass_through(f"evaluating.{site}")
        reply = inner(task)
        gates.pass_through(f"replying.{site}.{task.round}" if trains else f"answering.{site}")
        return reply

    return handle


def main() -> None:
    """Answer until stopped, as the product's executor does."""
    client_app.SecureRandom = SeededRandom  # type: ignore[assignment,attr-defined]
    executor._handler_of = build_handler
    executor.main()


if __name__ == "__main__":
    main()
