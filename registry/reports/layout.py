"""What a report is made of: sections of words, tables and figures, said in either language."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from federation.wording import Language, Text

Words = Text | str
"""Our own words in both languages, or a name as it was given."""


_FEW_ROWS = 10


class Tone(Enum):
    """How a verdict is coloured; the word beside it says the same."""

    GOOD = "good"
    CARE = "care"
    STOP = "stop"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Chip:
    """A verdict: its word and tone."""

    words: Words
    tone: Tone


Cell = Text | str | Chip


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under named columns; `numeric` are the places of columns set as numbers."""

    caption: Words
    columns: Sequence[Words]
    rows: Sequence[Sequence[Cell]]
    numeric: frozenset[int] = frozenset()

    @property
    def is_wide(self) -> bool:
        """Say whether it has so many columns that numbers must break on paper."""
        return len(self.columns) > 5

    @property
    def is_whole(self) -> bool:
        """Say whether it has so few rows that it stays on one page."""
        return len(self.rows) <= _FEW_ROWS

    @property
    def has_short_names(self) -> bool:
        """Say whether its rows' names are so short that they need not break."""
        return all(len(_longest(row[0])) <= 14 for row in self.rows)


def _longest(cell: Cell) -> str:
    words = cell.words if isinstance(cell, Chip) else cell
    return words if isinstance(words, str) else max(words.en, words.zh, key=len)


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence that must not be missed."""

    words: Words
    tone: Tone = Tone.CARE


@dataclass(frozen=True, slots=True)
class Facts:
    """Named values."""

    rows: Sequence[tuple[Words, Cell]]


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing and the numbers in it.

    Parameters
    ----------
    name
        Of its files: letters, digits, hyphens.
    draw
        Returns the SVG in a language.
    columns, rows
        The data, as they stand in the CSV and JSON beside it.
    """

    name: str
    draw: Callable[[Language], bytes]
    columns: Sequence[str]
    rows: Sequence[Sequence[str | float | None]]

    def as_csv(self) -> bytes:
        """Return the data as CSV in UTF-8; a name that a spreadsheet would compute is quoted."""
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([_inert(name) for name in self.columns])
        writer.writerows([[_inert(cell) for cell in row] for row in self.rows])
        return file.getvalue().encode()

    def as_json(self) -> bytes:
        """Return the data as JSON."""
        rows = [dict(zip(self.columns, row, strict=True)) for row in self.rows]
        told = {"figure": self.name, "rows": rows}
        return json.dumps(told, ensure_ascii=False, indent=1).encode() + b"\n"


Block = Text | str | Notice | Facts | Table | Figure


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a report under its heading."""

    id: str
    title: Words
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class Report:
    """A whole report.

    Parameters
    ----------
    kind
        What sort of report it is, above its title.
    verdict
        The result in one word, with the sentence that explains it.
    source
        What it was made from, for the foot of every printed page.
    """

    kind: Text
    title: Words
    under: str
    source: str
    sections: Sequence[Section]
    verdict: tuple[Chip, Words] | None = None
    facts: Facts | None = field(default=None)

    def figures(self) -> Mapping[str, Figure]:
        """Return every figure by its name."""
        blocks = (block for section in self.sections for block in section.blocks)
        return {block.name: block for block in blocks if isinstance(block, Figure)}


def named(name: str) -> Text:
    """Return a given name as a text that is the same in both languages."""
    plain = name.replace("{", "(").replace("}", ")")
    return Text(en=plain, zh=plain)


def _inert(cell: str | float | None) -> str | float | None:
    """Return a cell that no spreadsheet takes for a formula."""
    if isinstance(cell, str) and cell[:1] in {"=", "+", "-", "@", "\t", "\r"}:
        return f"'{cell}"
    return cell
