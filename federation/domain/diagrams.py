"""Draw the state machines of the domain into the documents, from their tables.

Usage: `python -m federation.domain.diagrams` in a checkout; a test fails when a
document differs from the tables.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from federation.domain.queue import QUEUE
from federation.domain.run import ROUND, RUN
from federation.domain.site import SITE
from federation.domain.study import STUDY
from federation.domain.transitions import Transitions

BEGIN, END = "<!-- diagrams -->", "<!-- /diagrams -->"

Machines = Mapping[str, Transitions[Any]]

MACHINES: Machines = {"Site": SITE, "Study": STUDY, "Queue": QUEUE, "Run": RUN, "Round": ROUND}

PAGES: Mapping[str, Machines] = {
    "ARCHITECTURE.md": MACHINES,
    "docs/rounds.md": {name: MACHINES[name] for name in ("Queue", "Run", "Round")},
}
"""Which machines stand in which document, by its path in a checkout."""


def drawn(machines: Machines = MACHINES) -> str:
    """Return diagrams as Markdown."""
    return "\n".join(
        f"\n### {name}\n\n```mermaid\n{machine.mermaid()}\n```"
        for name, machine in machines.items()
    )


def with_diagrams(page: str, machines: Machines = MACHINES) -> str:
    """Return `page` with the diagrams between its two marks."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{drawn(machines)}\n\n{END}{tail}"


def draw(checkout: Path) -> None:
    """Draw all documents of a checkout."""
    for name, machines in PAGES.items():
        page = checkout / name
        page.write_text(with_diagrams(page.read_text(encoding="utf-8"), machines), encoding="utf-8")


if __name__ == "__main__":
    draw(Path())
