"""The centre's own account of what left the hospitals: every accepted update, and their heads.

An update is entered in the registry's privacy book the moment it is accepted, with the
events that its site signed; the reply with the site's newest heads is kept for the site
to compare with (`clients.heads`). When a run has trained, `check` stops the study if

1. the book and the signed updates of the run do not say the same, or
2. a hospital's own book counts less for the study than what was released from it.

A hospital may count more: a round that was lost on the way is spent all the same. The
hospital compares round by round with an exported book (`trifed node ledger compare`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from federation.coordinator.home import CentreHome
from federation.coordinator.records import ControlRecords, age_of_heads
from federation.domain.ids import RunId, SiteId
from federation.domain.study import Study
from federation.errors.base import PlatformError
from federation.errors.core import UnreadableRecordError
from federation.errors.ledger import BooksDifferError
from federation.errors.rounds import ReplyMalformedError
from federation.evidence.dsse import read_envelope
from federation.evidence.statements import Statement
from federation.operations.embedded_registry import (
    enter_central_release,
    release_books,
)
from federation.operations.evidence_entries import EvidenceEntries
from federation.privacy.bookkeeping import Bookkeeper, Library, MemoryShelves, Released
from federation.privacy.comparison import check_same
from federation.privacy.events import PrivacyEvent, event_from_json
from federation.privacy.ledger import Book

ROUNDING = 1e-6
"""So much may two sums of the same events differ."""

UPDATE = "update"


class ReleaseBook:
    """What a centre wrote down about releases of one study."""

    def __init__(self, home: CentreHome, study: Study) -> None:
        self._study = study
        self._log = EvidenceEntries(home)
        self._books = release_books(home)
        self._records = ControlRecords(home.folder)

    def enter(self, signed: Mapping[SiteId, str], *, at: datetime) -> None:
        """Write down a round's accepted replies, verified before; again changes nothing.

        Parameters
        ----------
        signed
            What each site signed, a DSSE envelope.

        Raises
        ------
        LedgerEntryRefusedError
            If this round of a site was entered with other events; nothing is entered then.
        LedgerClockError
            If the centre's clock is behind its book.
        """
        for site, envelope in signed.items():
            self._records.keep_heads(site, envelope.encode())
        self._books.enter(self._released(signed.items()), at=at.isoformat())

    def log(self, signatures: Iterable[str]) -> None:
        """Enter accepted replies in the evidence log; raises as `EvidenceEntries.enter`."""
        self._log.enter(signatures)

    def enter_central(
        self, run: RunId, number: int, events: Sequence[PrivacyEvent], *, at: datetime
    ) -> None:
        """Write down what the centre's own noise cost each hospital; again changes nothing.

        Raises
        ------
        LedgerEntryRefusedError
            If this round was entered with other events.
        """
        enter_central_release(
            self._books,
            study=self._study.id,
            run=run,
            round_number=number,
            events=events,
            at=at.isoformat(),
        )

    def check(
        self,
        run: RunId,
        sites: Mapping[SiteId, Sequence[tuple[str, str]]],
        told: Mapping[SiteId, object],
    ) -> None:
        """Raise unless the books agree about a run that has trained.

        Parameters
        ----------
        sites
            What each site signed in this run: pairs of kind and DSSE envelope.
        told
            The epsilon that each site's own book gave for this study in its last update.

        Raises
        ------
        BooksDifferError
            Naming the first few rounds, or the site whose book counts too little.
        """
        if self._study.privacy is None:
            return
        library = self._books.library()
        for site, signed in sites.items():
            ours = Library({site: _of_run(library.book(site), run)}, ())
            check_same(self._signed(site, signed), ours, study=self._study.id)
            self._check_counted(site, library.book(site), told.get(site))

    def _check_counted(self, site: SiteId, book: Book, told: object) -> None:
        from federation.privacy.accountants import spent

        privacy = self._study.privacy
        assert privacy is not None
        released = spent(book.events(study=self._study.id), privacy.delta).epsilon
        if not isinstance(told, int | float) or not told >= released - ROUNDING:
            listed = f"{site} counts epsilon {told}, {released:.3f} was released"
            raise BooksDifferError(count=1, listed=listed)

    def _signed(self, site: SiteId, statements: Iterable[tuple[str, str]]) -> Library:
        """Return a book of nothing but what a site signed."""
        books, at = Bookkeeper(MemoryShelves()), datetime.fromtimestamp(0, UTC)
        updates = [(site, envelope) for kind, envelope in statements if kind == UPDATE]
        books.enter(self._released(updates), at=at.isoformat())
        return books.library()

    def _released(self, signed: Iterable[tuple[SiteId, str]]) -> Iterator[Released]:
        """Yield what replies cost; an evaluation, or training without privacy, costs nothing."""
        for site, envelope in signed:
            said = Statement.from_bytes(read_envelope(envelope).payload).predicate
            report = said.get("report")
            events = events_of(report) if isinstance(report, Mapping) else ()
            if events:
                run, number = RunId(str(said["run"])), int(str(said["round"]))
                yield Released.of_round(site, self._study.id, run, number, events)


def events_of(report: Mapping[str, object]) -> tuple[PrivacyEvent, ...]:
    """Return what a report says its update cost.

    Raises
    ------
    ReplyMalformedError
        If that is not a list of events of known kinds.
    """
    raw = report.get("events", [])
    if not isinstance(raw, list | tuple):
        raise ReplyMalformedError(field="report events", problem="list_type")
    try:
        return tuple(event_from_json(one) for one in raw)
    except PlatformError as error:
        raise ReplyMalformedError(field="report events", problem=error.code) from error


def check_bookable(
    said: Mapping[str, object], report: Mapping[str, object], *, costs: bool
) -> None:
    """Raise unless a signed reply can be entered: it has heads and, if it costs, its events.

    Raises
    ------
    ReplyMalformedError
        Naming what is missing.
    """
    try:
        age_of_heads(said)
    except UnreadableRecordError as error:
        raise ReplyMalformedError(field="heads", problem=str(error.values["why"])) from error
    if costs and not events_of(report):
        raise ReplyMalformedError(field="report events", problem="missing")


def _of_run(book: Book, run: RunId) -> Book:
    return Book(tuple(entry for entry in book.entries if entry.key.startswith(f"{run}/")))
