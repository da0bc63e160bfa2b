"""Write down what every accepted update cost, beside the hospital's own book.

A release is entered when it is accepted, with the events its site signed; the
same release twice is one entry. `federation.privacy.comparison` then says where
this book and a hospital's differ.
"""

from collections.abc import Sequence

from federation.domain.ids import RunId, SiteId, StudyId
from federation.privacy.bookkeeping import Bookkeeper, Released
from federation.privacy.events import PrivacyEvent

HOSPITALS = "hospitals:"
"""Begins the names of books whose unit is one hospital; no site is called so."""


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
    books.enter([Released.of_round(site, study, run, round_number, events)], at=at)


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
    book = f"{HOSPITALS}{study}"
    books.enter([Released.of_round(book, study, run, round_number, events)], at=at)
