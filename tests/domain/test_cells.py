"""The smallest count that may be seen is one number, written down once."""

import re
from pathlib import Path

from federation.domain import cells
from federation.evaluation.suppression import CellRule

ROOT = Path(cells.__file__).parents[2]
PACKAGES = ("federation", "clients", "strategies", "registry")
DEFINED = re.compile(r"^SMALL(?:EST)?_CELL = \d", re.MULTILINE)


def test_the_smallest_cell_is_defined_in_one_place() -> None:
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py")]
    found = [
        file.relative_to(ROOT).as_posix() for file in files if DEFINED.search(file.read_text())
    ]
    assert found == ["federation/domain/cells.py"]


def test_the_cell_rule_of_evaluations_starts_from_it() -> None:
    assert CellRule().k == cells.SMALL_CELL == 10
