"""Draw every state machine of the domain into ARCHITECTURE.md, from its table.

Usage: `python -m federation.domain.diagrams` in a checkout.
"""

from pathlib import Path

from federation.domain.run import ROUND, RUN
from federation.domain.site import SITE
from federation.domain.study import STUDY

BEGIN, END = "<!-- diagrams -->", "<!-- /diagrams -->"
MACHINES = {"Site": SITE, "Study": STUDY, "Run": RUN, "Round": ROUND}


def drawn() -> str:
    """Return all diagrams as Markdown."""
    return "\n".join(
        f"\n### {name}\n\n```mermaid\n{machine.mermaid()}\n```"  # type: ignore[attr-defined]
        for name, machine in MACHINES.items()
    )


def with_diagrams(page: str) -> str:
    """Return `page` with the diagrams between its two marks."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{drawn()}\n\n{END}{tail}"


if __name__ == "__main__":
    target = Path("ARCHITECTURE.md")
    target.write_text(with_diagrams(target.read_text(encoding="utf-8")), encoding="utf-8")
