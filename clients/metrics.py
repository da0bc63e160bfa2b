"""What Prometheus is told inside a hospital: `python -m clients.metrics --home N`.

Off unless `node.toml` has a table [metrics]; a loopback port of the node's machine,
which the centre cannot reach. Here, and only here, stands what each dataset has spent
of its privacy budget. No number counts patients or images.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from clients.home import NodeHome
from clients.ledger_store import LedgerStore
from clients.policy import policy_in_force
from clients.progress import read_progress
from federation.domain.ids import Sha256
from federation.evidence.verification import PublicKey
from federation.observability.metrics import Kind, Metric, counter, gauge, one, serve_metrics
from federation.observability.settings import metrics_address
from federation.supervision.process import log_to_output, serve_until_stopped

_STATE_FILE = "node.json"


class NodeFigures:
    """Everything that is told of one node."""

    def __init__(self, home: NodeHome) -> None:
        self._home = home
        self._counted: tuple[Sha256, float] | None = None
        self._spent: dict[tuple[str, ...], float] = {}

    def read(self) -> list[Metric]:
        """Return the metrics of now."""
        return [*_process_metrics(self._home), *self._ledger(), *_progress(self._home)]

    def _ledger(self) -> Iterator[Metric]:
        """Yield what was spent; computed anew only when the book or the policy's delta changed."""
        if not self._home.ledger.exists():
            return
        from federation.privacy.accountants import epsilon_of

        officer = PublicKey.load(self._home.officer_public_key)
        library = LedgerStore(self._home.ledger, officer=officer).library()
        delta = policy_in_force(self._home, now=datetime.now(UTC)).policy.dataset_delta
        if self._counted != (library.head.head, delta):
            self._spent = {
                (name,): epsilon_of(book.events(), delta) for name, book in library.books.items()
            }
            self._counted = (library.head.head, delta)
        text = "Epsilon spent on a dataset, at the policy's dataset_delta"
        yield gauge("trifed_ledger_epsilon", text, ("dataset",), self._spent)
        entries = library.head.entries
        yield one("trifed_ledger_entries", "Entries of all books", entries, Kind.COUNTER)


def _process_metrics(home: NodeHome) -> Iterator[Metric]:
    state = _state(home)
    up = float(state is not None)
    yield one("trifed_node_up", "The node's agent runs", up)
    if state is None:
        return
    yield one("trifed_connected", "The control channel is open", float(_is_connected(state)))
    starts = {(name,): float(max(count - 1, 0)) for name, count in state["starts"].items()}
    text = "Times a child of the agent was started again"
    yield counter("trifed_child_restarts", text, ("child",), starts)
    alive = {(name,): float(pid is not None) for name, pid in state["children"].items()}
    yield gauge("trifed_child_up", "A child of the agent runs", ("child",), alive)


def _progress(home: NodeHome) -> Iterator[Metric]:
    progress = read_progress(home.run)
    yield one("trifed_busy", "The executor works on a task", float(progress.busy))
    yield one("trifed_free_disk_bytes", "Free bytes on the home's disk", progress.free_disk_bytes)
    kept = sum(1 for _ in home.replies.glob("*/*-*-*.json"))
    yield one("trifed_kept_replies", "Replies kept for repeated requests", kept)


def _state(home: NodeHome) -> dict[str, Any] | None:
    try:
        found = json.loads((home.run / _STATE_FILE).read_text(encoding="utf-8"))
        return dict(found)
    except (OSError, ValueError):
        return None


def _is_connected(state: dict[str, Any]) -> bool:
    return state.get("state") == "connected"


def metrics_command(home: Path) -> list[str]:
    """Return the command that serves the metrics of a node's home."""
    return [sys.executable, "-m", "clients.metrics", "--home", str(home)]


def main() -> None:
    """Serve the metrics of a node's home until stopped."""
    parser = argparse.ArgumentParser(prog="trifed-node-metrics")
    parser.add_argument("--home", type=Path, required=True)
    home = NodeHome.open(parser.parse_args().home)
    os.umask(0o077)
    log_to_output(home.folder)
    address = metrics_address(home.folder)
    if address is not None:
        serve_until_stopped(serve_metrics(NodeFigures(home).read, address))


if __name__ == "__main__":
    main()
