"""Read a statement of the evidence log that a record names, with its signer checked."""

from federation.domain.ids import Sha256, SiteId
from federation.errors import PlatformError
from federation.errors.core import InvalidIdError
from federation.errors.records import StatementNotLoggedError
from federation.evidence.keyring import keys_for
from federation.evidence.statements import PredicateType, Statement
from federation.evidence.verification import verify_envelope
from registry.ports import Transaction


def logged_statement(
    transaction: Transaction, digest: str, kind: PredicateType, *, site: str | None = None
) -> Statement:
    """Return a statement of the log, signed by the site's own key or, for None, the centre's.

    Raises
    ------
    StatementNotLoggedError
        If the log has none of this digest, kind and signer.
    """
    missing = StatementNotLoggedError(digest=digest[:80], kind=kind.short, signer=site or "centre")
    log = transaction.log
    try:
        place = log.index_of(Sha256(digest))
        owner = None if site is None else SiteId(site)
    except InvalidIdError as error:
        raise missing from error
    if place is None:
        raise missing
    trusted = keys_for(kind, site=owner, keys=log.keys().values())
    try:
        return verify_envelope(log.entry(place).envelope, trusted=trusted, expected=kind)
    except PlatformError as error:
        raise missing from error
