"""What the documents name is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_test_and_file_that_a_page_names_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    lost = [
        f"{file}::{name}"
        for file, name in TEST.findall(text)
        if f"def {name}(" not in _text_of(ROOT / file)
    ]
    lost += [target for target in LINK.findall(text) if not (page.parent / target).exists()]
    assert lost == []


def test_the_walk_through_names_a_test_for_every_claim() -> None:
    rows = [
        line
        for line in (ROOT / "docs" / "trust.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("| ") and not line.startswith("| claim")
    ]
    assert len(rows) > 20
    assert [row for row in rows if not TEST.search(row)] == []


def _text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


@pytest.mark.parametrize(
    "folder", ["clients", "clients/data", "federation", "registry", "strategies"]
)
def test_a_map_names_every_room_and_module(folder: str) -> None:
    page = _text_of(ROOT / folder / "README.md")
    there = {
        path.stem
        for path in (ROOT / folder).iterdir()
        if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    named = set(re.findall(r"\w+", page))
    assert sorted(there - named - {"__init__"}) == []


def test_the_table_of_the_house_names_every_room_of_the_core() -> None:
    page = _text_of(ROOT / "ARCHITECTURE.md")
    rooms = [path.parent.name for path in (ROOT / "federation").glob("*/__init__.py")]
    table = page.partition("## One round")[0]
    assert [room for room in rooms if f"{room}`" not in table] == []
