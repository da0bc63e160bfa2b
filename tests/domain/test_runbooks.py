"""The pages on rounds and failures say what the rules do, in the same numbers."""

from pathlib import Path

import pytest

from federation.domain import leases, pace, strikes
from federation.domain.diagrams import MACHINES, PAGES, with_diagrams

DOCS = Path(__file__).resolve().parents[2] / "docs"
RUNBOOKS = sorted(set((DOCS / "runbooks").glob("*.md")) - {DOCS / "runbooks" / "README.md"})
PARTS = ["## What you see", "## What the system does by itself", "## What you do"]


@pytest.mark.parametrize("page", RUNBOOKS, ids=lambda page: page.stem)
def test_a_runbook_says_what_is_seen_what_happens_and_what_to_do(page: Path) -> None:
    lines = page.read_text(encoding="utf-8").splitlines()

    assert [line for line in lines if line.startswith("## ")][:3] == PARTS
    assert any(line.startswith("Tested by: ") for line in lines)


def test_the_index_names_every_runbook() -> None:
    index = (DOCS / "runbooks" / "README.md").read_text(encoding="utf-8")

    assert len(RUNBOOKS) >= 12
    assert [page.name for page in RUNBOOKS if f"({page.name})" not in index] == []


@pytest.mark.parametrize(
    "sentence",
    [
        f"disconnected, and no byte moves | {leases.GRACE_S:.0f} s |",
        f"at least {leases.SILENT_S:.0f} s; {leases.FIRST_S / 60:.0f} min where nothing is known",
        "ten times the longest pause" if leases.FAR_LONGER == 10 else "?",
        "after five times in one round" if leases.MOST_RESTARTS == 5 else "?",
        f"{leases.SLOWER:.0f} times as long as the slowest reply took, plus "
        f"{leases.WORTH_WAITING_S:.0f} s",
        f"to save less than {leases.WORTH_WAITING_S:.0f} seconds",
        f"After more than {leases.BLIND_S:.0f} seconds without a look",
        "the site's last five rounds" if pace.RECENT == 5 else "?",
        "in three rounds in a row" if strikes.STRIKES == 3 else "?",
    ],
)
def test_the_page_on_rounds_says_the_numbers_of_the_rules(sentence: str) -> None:
    page = " ".join((DOCS / "rounds.md").read_text(encoding="utf-8").split())

    assert sentence in page


@pytest.mark.parametrize("page", PAGES)
def test_the_diagrams_are_those_of_the_tables(page: str) -> None:
    text = (DOCS.parent / page).read_text(encoding="utf-8")

    assert with_diagrams(text, PAGES[page]) == text, "python -m federation.domain.diagrams"


def test_a_diagram_names_every_state_of_its_machine() -> None:
    for name, machine in MACHINES.items():
        drawn = with_diagrams("<!-- diagrams --><!-- /diagrams -->", {name: machine})
        assert [one.value for one in type(machine.start) if one.value not in drawn] == []
