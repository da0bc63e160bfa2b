"""Draw the state machines of the evidence nouns into their page.

Usage: `python -m registry.evidence_diagrams` in a checkout; a test fails when the page
differs from the tables.
"""

from pathlib import Path

from federation.domain.diagrams import Machines, with_diagrams
from registry.nouns import EVIDENCE

PAGE = Path("docs/registry-evidence-nouns.md")


def machines() -> Machines:
    """Return the state machines by the names of their nouns."""
    return {noun.name: noun.moves.as_transitions() for noun in EVIDENCE}


def draw(checkout: Path) -> None:
    """Draw the page's diagrams anew."""
    page = checkout / PAGE
    page.write_text(with_diagrams(page.read_text(encoding="utf-8"), machines()), encoding="utf-8")


if __name__ == "__main__":
    draw(Path())
