"""Write down what every accepted update cost, beside the hospital's own book.

A release is entered when it is accepted, with the events its site signed; the
same release twice is one entry. `federation.privacy.comparison` then says where
this book and a hospital's differ.
"""

from collections.abc import Sequence

from federation.domain.ids import RunId, SiteId, StudyId
from federation.privacy.bookkeeping import Bookkeeper
from federation.privacy.events import PrivacyEvent
from federation.privacy.ledger import Budget, EntryKind

HOSPITALS = "hospitals:"
"""Begins the names of books whose unit is one hospital; no site is called so."""

NO_LIMIT = Budget(epsilon=float("inf"), delta=0.5)
"""The hospital decides what may be spent; this book says what was."""


def enter_release(
    books: Bookkeeper,
    *,
    site: SiteId,
    study: StudyId,
    run: RunId,
    round_number: int,
    events: Sequence[PrivacyEvent],
    at: str,
) -> None:
    """Write one accepted update; the same one again changes nothing.

    Raises
    ------
    LedgerEntryRefusedError
        If this round of this site was entered with other events.
    """
    _enter(books, site, study=study, key=f"{run}/{round_number}", events=events, at=at)


def _enter(
    books: Bookkeeper,
    dataset: str,
    *,
    study: StudyId,
    key: str,
    events: Sequence[PrivacyEvent],
    at: str,
) -> None:
    book = books.book(dataset)
    standing, wanted = book.standing().get(key), (study, tuple(events))
    known = standing is not None and (standing.study, standing.events) == wanted
    if known and book.state_of(key) is EntryKind.COMMITTED:
        return
    books.reserve(
        dataset,
        study=study,
        key=key,
        events=events,
        budget=NO_LIMIT,
        plan=NO_LIMIT,
        accountant=_uncounted,
        at=at,
    )
    books.settle(dataset, study=study, key=key, kind=EntryKind.COMMITTED, at=at)


def enter_central_release(
    books: Bookkeeper,
    *,
    study: StudyId,
    run: RunId,
    round_number: int,
    events: Sequence[PrivacyEvent],
    at: str,
) -> None:
    """Write what one round's central noise cost each hospital; again changes nothing.

    In a book of its own per study: its unit is one hospital, that of all others one
    patient, and events of two units are never added up.

    Raises
    ------
    LedgerEntryRefusedError
        If this round was entered with other events.
    """
    _enter(
        books,
        f"{HOSPITALS}{study}",
        study=study,
        key=f"{run}/{round_number}",
        events=events,
        at=at,
    )


def _uncounted(_events: Sequence[PrivacyEvent], _delta: float) -> float:
    """Return nothing: an unlimited book needs no accountant."""
    return 0.0
