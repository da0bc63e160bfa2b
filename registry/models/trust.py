"""Keys that were revoked still count for what they had signed by then, and for nothing later.

A statement carries no time that anybody vouches for; the log does. An entry that the
audit trail shows to be in the log at a time was signed before it. So a statement of a
revoked key counts only when it was logged before the revocation; else it is as if the
key were unknown.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from federation.domain.ids import Sha256
from federation.errors.registry import UnknownSignerError
from federation.evidence.canonical import parse
from federation.evidence.keyring import KnownKey
from registry.models.checks import Vouched
from registry.ports import Transaction


@dataclass(frozen=True, slots=True)
class RetiredKey:
    """A key that was revoked, and when."""

    known: KnownKey
    at: datetime


def no_retired_keys() -> tuple[RetiredKey, ...]:
    """Return none: what is not among today's keys is unknown."""
    return ()


def check_retired(
    transaction: Transaction, statements: Iterable[Vouched], retired: Iterable[RetiredKey]
) -> None:
    """Return if every statement by a revoked key was logged before its revocation.

    Raises
    ------
    UnknownSignerError
        If one was not, or nothing shows that it was.
    """
    revoked = {one.known.key.keyid: one.at for one in retired}
    for statement in statements:
        keyid = statement.signer.key.keyid
        if keyid not in revoked:
            continue
        logged = _logged_by(transaction, Sha256.of(statement.envelope.encode()))
        if logged is None or logged >= revoked[keyid]:
            raise UnknownSignerError(keyid=keyid)


def _logged_by(transaction: Transaction, digest: Sha256) -> datetime | None:
    """Return the earliest time at which the audit trail shows an envelope to be in the log."""
    place = transaction.log.index_of(digest)
    if place is None:
        return None
    for event in transaction.audit.events():
        match parse(event.content):
            case {"at": str(at), "details": {"log_size": str(size), **_rest}}:
                if int(size) > place:
                    return datetime.fromisoformat(at)
    return None
