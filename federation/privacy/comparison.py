"""Compare two privacy books about the same patients, the hospital's and the registry's.

Each knows something the other cannot: the hospital what it reserved, the registry
what arrived. A round that only the hospital counts may have been lost on the way;
it is spent all the same. A round that only the registry knows, or that the two say
differently, means that one book is wrong. A flow stops the study on any of these.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from federation.domain.ids import Sha256, StudyId
from federation.errors.ledger import BooksDifferError, LedgerChainBrokenError
from federation.privacy.bookkeeping import Bookkeeper, Library, MemoryShelves, Row
from federation.privacy.ledger import Entry

FORMAT = "trifed.ledger/1"
MOST_EXPORT_BYTES = 64 << 20
LISTED = 5


class Side(Enum):
    """What is wrong with a round."""

    ONLY_FIRST = "only in the first book"
    ONLY_SECOND = "only in the second book"
    UNLIKE = "with other events"


@dataclass(frozen=True, slots=True)
class Difference:
    """One round on which two books do not agree."""

    study: StudyId
    key: str
    side: Side

    def __str__(self) -> str:
        """Return it in a few words."""
        return f"{self.key} {self.side.value}"


def compare(
    first: Library, second: Library, *, study: StudyId | None = None
) -> tuple[Difference, ...]:
    """Return every round that counts in one library and not, or otherwise, in the other.

    Books are compared by study and round, over all datasets: the two sides may
    call a dataset differently. `study` leaves out all other studies, which the
    registry of one centre cannot know.
    """
    ours, theirs = _rounds(first, study), _rounds(second, study)
    return tuple(
        Difference(one, key, side)
        for one, key in sorted(ours.keys() | theirs.keys())
        if (side := _side(ours.get((one, key)), theirs.get((one, key)))) is not None
    )


def check_same(first: Library, second: Library, *, study: StudyId | None = None) -> None:
    """Raise unless two libraries agree on every round.

    Raises
    ------
    BooksDifferError
        Naming the first few rounds.
    """
    found = compare(first, second, study=study)
    if found:
        listed = "; ".join(str(one) for one in found[:LISTED])
        more = "; …" if len(found) > LISTED else ""
        raise BooksDifferError(count=len(found), listed=listed + more)


def only(library: Library, dataset: str) -> Library:
    """Return a library of one dataset's book, with heads of its own."""
    entries = library.book(dataset).entries
    return Bookkeeper(MemoryShelves(_rows([entry.as_json() for entry in entries]))).library()


def export(library: Library) -> bytes:
    """Return all books as one JSON file that `read_export` verifies and reads."""
    entries = [entry for name in sorted(library.books) for entry in library.books[name].entries]
    content = {
        "format": FORMAT,
        "head": {"entries": library.head.entries, "head": library.head.head},
        "entries": [entry.as_json() for entry in entries],
    }
    return json.dumps(content, indent=1, sort_keys=True).encode()


def read_export(content: bytes) -> Library:
    """Return the books in an exported file, every chain verified.

    Raises
    ------
    LedgerChainBrokenError
        If it is not such a file, is too large, or a chain does not hold.
    """
    if len(content) > MOST_EXPORT_BYTES:
        raise LedgerChainBrokenError(index="?", why="a file beyond all books")
    try:
        raw = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise LedgerChainBrokenError(index="?", why="not JSON") from error
    listed = raw.get("entries") if isinstance(raw, Mapping) else None
    if not isinstance(listed, list) or raw.get("format") != FORMAT:
        raise LedgerChainBrokenError(index="?", why="not an exported book")
    return Bookkeeper(MemoryShelves(_rows(listed))).library()


def _rows(listed: Sequence[object]) -> list[Row]:
    entries = [Entry.from_json(raw) for raw in listed]
    return [
        Row(entry.dataset, entry.index, json.dumps(entry.as_json()), Sha256(entry.digest))
        for entry in entries
    ]


def _rounds(library: Library, study: StudyId | None) -> dict[tuple[StudyId, str], Entry]:
    return {
        (entry.study, key): entry
        for book in library.books.values()
        for key, entry in book.standing().items()
        if entry.study is not None and study in (None, entry.study)
    }


def _side(ours: Entry | None, theirs: Entry | None) -> Side | None:
    if ours is None:
        return Side.ONLY_SECOND
    if theirs is None:
        return Side.ONLY_FIRST
    return None if ours.events == theirs.events else Side.UNLIKE
