"""What was released is entered in one step: all of it or nothing, and never twice."""

from collections.abc import Sequence

import pytest

from federation.domain.ids import RunId, StudyId
from federation.errors.ledger import LedgerEntryRefusedError
from federation.privacy.bookkeeping import Bookkeeper, MemoryShelves, Released, Row, Shelf
from federation.privacy.events import Gaussian, PrivacyEvent
from federation.privacy.ledger import EntryKind

STUDY, RUN = StudyId("cxr"), RunId("cxr.1")
AT = "2026-01-01T00:00:00+00:00"


def released(site: str, number: int, *, noise: float = 1.0) -> Released:
    events: Sequence[PrivacyEvent] = [Gaussian(noise_multiplier=noise, count=1)]
    return Released.of_round(site, STUDY, RUN, number, events)


def kinds(books: Bookkeeper, site: str) -> list[EntryKind]:
    return [entry.kind for entry in books.book(site).entries]


def rows(shelves: MemoryShelves) -> Sequence[Row]:
    with shelves.transaction() as shelf:
        return shelf.rows()


def test_a_round_is_entered_reserved_and_committed_for_each_site() -> None:
    books = Bookkeeper(MemoryShelves())
    books.enter([released("north", 1), released("south", 1)], at=AT)

    assert kinds(books, "north") == kinds(books, "south") == [
        EntryKind.RESERVED,
        EntryKind.COMMITTED,
    ]  # fmt: skip
    assert books.book("north").state_of(f"{RUN}/1") is EntryKind.COMMITTED


def test_the_same_release_again_changes_nothing() -> None:
    shelves = MemoryShelves()
    for books in (Bookkeeper(shelves), Bookkeeper(shelves)):
        for _ in range(2):
            books.enter([released("north", 1), released("north", 2)], at=AT)

    assert len(rows(shelves)) == 4


def test_one_refused_release_leaves_all_of_them_out() -> None:
    shelves = MemoryShelves()
    books = Bookkeeper(shelves)
    books.enter([released("south", 1)], at=AT)

    with pytest.raises(LedgerEntryRefusedError):
        books.enter([released("north", 1), released("south", 1, noise=2.0)], at=AT)

    assert kinds(books, "north") == []
    books.enter([released("north", 1)], at=AT)
    assert len(rows(shelves)) == 4


def test_a_reservation_that_a_crash_left_open_is_committed() -> None:
    shelves = MemoryShelves()
    books = Bookkeeper(shelves)
    books.enter([released("north", 1)], at=AT)
    first = MemoryShelves(rows(shelves)[:1])

    Bookkeeper(first).enter([released("north", 1)], at=AT)
    assert rows(first) == rows(shelves)


def test_what_another_writer_entered_meanwhile_is_read() -> None:
    shelves = MemoryShelves()
    one, other = Bookkeeper(shelves), Bookkeeper(shelves)
    for number in range(1, 7):
        (one if number % 2 else other).enter([released("north", number)], at=AT)

    assert len(one.book("north").entries) == 12


def test_books_are_read_once_while_nobody_else_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    from federation.privacy import bookkeeping

    read, plain = [], bookkeeping.read_library

    def counted(shelf: Shelf) -> object:
        read.append(shelf)
        return plain(shelf)

    monkeypatch.setattr(bookkeeping, "read_library", counted)
    books = Bookkeeper(MemoryShelves())
    for number in range(1, 6):
        books.enter([released("north", number)], at=AT)

    assert len(read) == 1
