"""A privacy book that travels: its text and the signature of the side it comes from.

`federation.privacy.comparison.export` writes the text; here it is signed, by a node's
key for a hospital's book and by the evidence key for the centre's book of a hospital.
"""

import json
from dataclasses import dataclass

from federation.domain.ids import Sha256, SiteId
from federation.errors.base import PlatformError
from federation.errors.heads import ExportRefusedError
from federation.evidence.signing import Signer, sign_dsse
from federation.evidence.statements import PredicateType, Statement, Subject
from federation.evidence.verification import PublicKey, verify_envelope

FORMAT = "trifed.signed-ledger/1"
MOST_BYTES = 96 << 20
_WHAT = "book"


@dataclass(frozen=True, slots=True)
class SignedBook:
    """An exported book whose signature holds.

    Parameters
    ----------
    book
        What `read_export` reads.
    site
        The hospital that it is about.
    at
        When it was exported, as the exporting side says.
    """

    book: bytes
    site: SiteId
    at: str


def sign_book(book: bytes, *, site: SiteId, signer: Signer, at: str) -> bytes:
    """Return an exported book with a signature over it, one JSON file."""
    subject = Subject(f"ledger/{site}", Sha256.of(book))
    said = {"what": _WHAT, "site": str(site), "at": at}
    envelope = sign_dsse(Statement((subject,), PredicateType.LEDGER, said), signer)
    content = {"format": FORMAT, "book": book.decode(), "envelope": envelope}
    return json.dumps(content).encode()


def read_signed_book(content: bytes, *, site: SiteId, key: PublicKey) -> SignedBook:
    """Return the book of this site in a file that `key` signed.

    Raises
    ------
    ExportRefusedError
        If it is another file, of another site, changed, or not signed by that key.
    """
    book, envelope = _parts(content)
    try:
        statement = verify_envelope(
            envelope, trusted={key.keyid: key}, expected=PredicateType.LEDGER
        )
    except PlatformError as error:
        raise ExportRefusedError(why=f"its signature does not hold ({error.code})") from error
    said = statement.predicate
    if (said.get("what"), said.get("site")) != (_WHAT, str(site)):
        raise ExportRefusedError(why="it is not the book of this site")
    if [subject.digest for subject in statement.subjects] != [Sha256.of(book)]:
        raise ExportRefusedError(why="it was changed after it was signed")
    return SignedBook(book, site, str(said.get("at")))


def _parts(content: bytes) -> tuple[bytes, str]:
    if len(content) > MOST_BYTES:
        raise ExportRefusedError(why="it is too large")
    try:
        raw = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ExportRefusedError(why="it is not JSON") from error
    match raw:
        case {"format": str(said), "book": str(book), "envelope": str(envelope), **rest} if (
            said == FORMAT and not rest
        ):
            return book.encode(), envelope
    raise ExportRefusedError(why="it is not a signed book")
