"""The centre's book of one hospital's releases, exported for it and compared with its own."""

from datetime import datetime

from federation.coordinator.home import CentreHome
from federation.domain.ids import SiteId, StudyId
from federation.errors.heads import ExportRefusedError
from federation.evidence.book_export import read_signed_book, sign_book
from federation.evidence.signing import Signer
from federation.evidence.verification import PublicKey
from federation.operations.embedded_registry import release_books
from federation.privacy.bookkeeping import Library
from federation.privacy.comparison import check_same, export, only, read_export


def released_by(home: CentreHome, site: SiteId) -> Library:
    """Return what the centre wrote down about one hospital's releases, verified.

    Raises
    ------
    UnknownSiteError
        If no such hospital was ever invited.
    """
    home.roster().entry(site)
    return only(release_books(home).library(), site)


def export_site_book(home: CentreHome, site: SiteId, *, now: datetime) -> tuple[bytes, int]:
    """Return the centre's signed book of a hospital, for it alone, and how many entries it has."""
    library = released_by(home, site)
    signer = Signer.load(home.evidence_key)
    signed = sign_book(export(library), site=site, signer=signer, at=now.isoformat())
    return signed, library.head.entries


def compare_site_book(
    home: CentreHome, site: SiteId, content: bytes, *, study: StudyId | None = None
) -> int:
    """Compare a hospital's signed book with the centre's; return the rounds they agree on.

    Without `study`, every study of which the centre knows a release of that hospital:
    a hospital may answer other centres too.

    Raises
    ------
    ExportRefusedError
        If the hospital's enrolled node did not sign the file.
    BooksDifferError
        Naming the first few rounds.
    """
    key = home.roster().entry(site).node_key
    if key is None:
        raise ExportRefusedError(why="the site has no enrolled key")
    signed = read_signed_book(content, site=site, key=PublicKey.from_pem(key.encode()))
    theirs, ours = read_export(signed.book), released_by(home, site)
    studies = [study] if study is not None else studies_of(ours)
    for one in studies:
        check_same(theirs, ours, study=one)
    standing = [entry for book in ours.books.values() for entry in book.standing().values()]
    return sum(entry.study in studies for entry in standing)


def studies_of(library: Library) -> list[StudyId]:
    """Return the studies of which something stands in a library, by name."""
    standing = (entry for book in library.books.values() for entry in book.standing().values())
    return sorted({entry.study for entry in standing if entry.study is not None})
