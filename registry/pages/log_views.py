"""What the pages of the evidence log show: pure functions over signed notes."""

from collections.abc import Sequence
from dataclasses import dataclass

from federation.errors.signed import CheckpointError
from registry.pages.ports import Note


@dataclass(frozen=True, slots=True)
class LogLine:
    """One signed state: its size, that of the state before it, its root, how many signed."""

    size: int
    before: int | None
    root: str
    signatures: int


@dataclass(frozen=True, slots=True)
class LogView:
    """The page of the log: the newest size, and states with the largest first."""

    size: int
    origin: str
    keyid: str
    lines: Sequence[LogLine]
    older: int | None


def log_view(notes: Sequence[Note], *, newest: int, keyid: str, per_page: int) -> LogView:
    """Return the page for some notes, one more than it shows where there are older ones.

    Raises
    ------
    CheckpointError
        If a note is not one.
    """
    shown = notes[:per_page]
    sizes = [note.size for note in notes[1:]] + [None]
    lines = [_line(note, before) for note, before in zip(shown, sizes, strict=False)]
    return LogView(
        size=newest,
        origin=_head(notes[0].text)[0] if notes else "",
        keyid=keyid,
        lines=lines,
        older=shown[-1].size if len(notes) > per_page else None,
    )


def signatures_of(note: str) -> int:
    """Return how many signature lines a note has."""
    return sum(line.startswith("\u2014 ") for line in note.partition("\n\n")[2].split("\n"))


def _line(note: Note, before: int | None) -> LogLine:
    return LogLine(note.size, before, _head(note.text)[2], signatures_of(note.text))


def _head(note: str) -> list[str]:
    lines = note.split("\n")
    if len(lines) < 4:
        raise CheckpointError(why="not an origin, a size and a root")
    return lines
