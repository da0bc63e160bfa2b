"""Two books of the same patients: the hospital's and the registry's must say the same."""

from collections.abc import Callable

import pytest

from federation.domain.ids import RunId, SiteId, StudyId
from federation.errors.ledger import (
    BooksDifferError,
    LedgerChainBrokenError,
    LedgerEntryRefusedError,
)
from federation.privacy.bookkeeping import Bookkeeper, MemoryShelves
from federation.privacy.comparison import Side, check_same, compare, export, read_export
from federation.privacy.events import PrivacyEvent
from federation.privacy.ledger import (
    EntryKind,
)
from registry.ledger.service import enter_release
from tests.node.books import (
    AT,
    COSTLIER,
    EVENT,
    STUDY,
    reserve,
    settle,
)


def both() -> tuple[Bookkeeper, Bookkeeper]:
    """Return a hospital's and a registry's book of one round that both know."""
    hospital, registry = Bookkeeper(MemoryShelves()), Bookkeeper(MemoryShelves())
    reserve(hospital, "cxr-2026.1/1")
    settle(hospital, "cxr-2026.1/1", EntryKind.COMMITTED)
    enter(registry)
    return hospital, registry


def enter(registry: Bookkeeper, *, event: PrivacyEvent = EVENT, number: int = 1) -> None:
    enter_release(
        registry,
        site=SiteId("north"),
        study=STUDY,
        run=RunId("cxr-2026.1"),
        round_number=number,
        events=[event],
        at=AT,
    )


def test_the_registrys_book_agrees_with_the_hospitals() -> None:
    hospital, registry = both()
    enter(registry)

    assert compare(hospital.library(), registry.library()) == ()
    assert len(registry.book("north").entries) == 2


def test_a_release_entered_again_with_other_events_is_refused() -> None:
    _, registry = both()

    with pytest.raises(LedgerEntryRefusedError):
        enter(registry, event=COSTLIER)


@pytest.mark.parametrize(
    ("change", "side"),
    [
        (lambda hospital, registry: reserve(hospital, "cxr-2026.1/2"), Side.ONLY_FIRST),
        (lambda hospital, registry: enter(registry, number=2), Side.ONLY_SECOND),
    ],
)
def test_a_round_that_one_side_does_not_know_is_a_difference(
    change: Callable[[Bookkeeper, Bookkeeper], object], side: Side
) -> None:
    hospital, registry = both()
    change(hospital, registry)

    (found,) = compare(hospital.library(), registry.library())
    assert (found.key, found.side) == ("cxr-2026.1/2", side)
    with pytest.raises(BooksDifferError, match=r"cxr-2026\.1/2"):
        check_same(hospital.library(), registry.library())


def test_other_events_for_the_same_round_are_a_difference() -> None:
    hospital, registry = Bookkeeper(MemoryShelves()), Bookkeeper(MemoryShelves())
    reserve(hospital, "cxr-2026.1/1")
    enter(registry, event=COSTLIER)

    (found,) = compare(hospital.library(), registry.library())
    assert found.side is Side.UNLIKE


def test_studies_of_other_centres_are_left_out_when_one_is_compared() -> None:
    hospital, registry = both()
    reserve(hospital, "other.1/1", study=StudyId("other"))

    assert compare(hospital.library(), registry.library(), study=STUDY) == ()
    assert len(compare(hospital.library(), registry.library())) == 1


def test_an_exported_book_is_read_back_and_verified() -> None:
    hospital, registry = both()

    assert compare(read_export(export(hospital.library())), registry.library()) == ()


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-20],
        lambda content: content.replace(b'"steps": 10', b'"steps": 1'),
        lambda content: b"[]",
        lambda content: content.replace(b"trifed.ledger/1", b"trifed.ledger/9"),
        lambda content: b"[" * 100_000,
    ],
)
def test_a_damaged_export_is_refused(damage: Callable[[bytes], bytes]) -> None:
    hospital, _ = both()

    with pytest.raises(LedgerChainBrokenError):
        read_export(damage(export(hospital.library())))
