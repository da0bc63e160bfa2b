"""A hospital's node whose executor has the test's noise: `python -m tests.scenarios.node`.

Its clock is as many minutes off as the file `clock.SITE` beside the gates says.
"""

import argparse
import sys
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from clients import agent
from clients.control import ControlClient
from clients.flower.supernode import secret_file
from clients.home import NodeHome
from tests.scenarios.gates import gates_of


def executor_command(home: Path, *, ping_only: bool = False) -> list[str]:
    """Return the command of the test's executor; `ping_only` is never asked here."""
    assert not ping_only
    secret_file(home)
    return [sys.executable, "-m", "tests.scenarios.executor", "--home", str(home)]


def clock_file(home: Path, site: str) -> Path:
    """Return the file that says how many minutes a node's clock is off."""
    return gates_of(home).folder / f"clock.{site}"


def clock_of(home: Path) -> datetime:
    """Return the time on a node's clock."""
    file = clock_file(home, NodeHome.open(home).settings().site)
    minutes = int(file.read_text()) if file.exists() else 0
    return datetime.now(UTC) + timedelta(minutes=minutes)


def main() -> None:
    """Serve the node until stopped."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path, required=True)
    given = parser.parse_args()
    agent.executor_command = executor_command  # type: ignore[attr-defined]
    control = partial(ControlClient, clock=partial(clock_of, given.home))
    agent.ControlClient = control  # type: ignore[assignment,attr-defined]
    agent.serve_node(given.home)


if __name__ == "__main__":
    main()
