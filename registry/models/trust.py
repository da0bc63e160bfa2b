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
from federation.errors.signed import UnknownSignerError
from federation.evidence.canonical import parse
from federation.evidence.keyring import KnownKey
from registry.audit.ports import StoredEvent
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
    revoked = times_of(retired)
    for statement in statements:
        keyid = statement.signer.key.keyid
        if keyid not in revoked:
            continue
        place = transaction.log.index_of(Sha256.of(statement.envelope.encode()))
        if place is None or dated_by(transaction, place, before=revoked[keyid]) is None:
            raise UnknownSignerError(keyid=keyid)


def dated_by(transaction: Transaction, place: int, *, before: datetime) -> StoredEvent | None:
    """Return the first event that shows a place of the log to be taken, if it is early enough."""
    for event in transaction.audit.events():
        match parse(event.content):
            case {"at": str(at), "details": {"log_size": str(size), **_rest}}:
                if int(size) > place:
                    return event if datetime.fromisoformat(at) < before else None
    return None


def times_of(retired: Iterable[RetiredKey]) -> dict[Sha256, datetime]:
    """Return when each key was revoked; where it was several times, the first."""
    times: dict[Sha256, datetime] = {}
    for one in retired:
        keyid = one.known.key.keyid
        times[keyid] = min(one.at, times.get(keyid, one.at))
    return times
