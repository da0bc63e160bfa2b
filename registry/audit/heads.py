"""Enter the audit trail's head in the evidence log, so that its end cannot be cut off unnoticed.

    log_head(store, signer=signer, at=now)          # hourly, and before a bundle is written

The log's own states go to witnesses, hospitals and readers; a head in it is as hard to
take back as they are. Between two heads the newest events can still be dropped by whoever
holds the database, so the interval is what may be lost.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from federation.domain.ids import Sha256
from federation.errors import PlatformError
from federation.errors.signed import LogTamperedError
from federation.evidence.canonical import canonical, parse
from federation.evidence.signing import Signer
from federation.evidence.trail import Head
from federation.evidence.verification import PublicKey
from registry.audit.kinds import LogKind, RegisterEvent
from registry.audit.service import record
from registry.evidence.service import append, seal
from registry.ports import Store, Transaction
from registry.retrying import in_one_transaction

CLOCK = "clock"
_TRAIL = "audit trail"


def log_head(store: Store, *, signer: Signer, at: datetime, actor: str = CLOCK) -> int | None:
    """Return the place of the trail's head in the log; None where nothing happened since the last.

    Raises
    ------
    BusyRegisterError
        If other writers were always faster.
    """
    with store.reading() as transaction:
        if not _has_grown(transaction):
            return None

    def work(transaction: Transaction) -> int | None:
        if not _has_grown(transaction):
            return None
        return _log_head(transaction, signer, at, actor)

    return in_one_transaction(store.writing, work)


def verify_heads(
    envelopes: Sequence[str], events: Sequence[dict[str, object]], *, key: PublicKey
) -> None:
    """Return if the trail still has every event that the log shows it had.

    Parameters
    ----------
    envelopes
        The heads in the log.
    events
        The trail's events, verified.

    Raises
    ------
    LogTamperedError
        If the trail was cut or replaced, or a head has no event of its own.
    """
    for envelope in envelopes:
        head = _head_of(envelope, key)
        if head.events > len(events):
            why = f"it was cut: the log shows {head.events} events, it has {len(events)}"
            raise LogTamperedError(item=_TRAIL, why=why)
        if Sha256.of(canonical(events[head.events - 1])) != head.last:
            why = f"the log shows another event in place {head.events - 1}"
            raise LogTamperedError(item=_TRAIL, why=why)
    logged = [event for event in events if event["kind"] == LogKind.TRAIL_LOGGED.value]
    if len(logged) != len(envelopes):
        why = "it was cut: it has not one event for every head of it in the log"
        raise LogTamperedError(item=_TRAIL, why=why)


def _head_of(envelope: str, key: PublicKey) -> Head:
    try:
        return Head.of(envelope, key=key)
    except (PlatformError, ValueError) as error:
        raise LogTamperedError(item=_TRAIL, why="a head of it in the log is malformed") from error


def _has_grown(transaction: Transaction) -> bool:
    """Say whether anything happened since the last head was logged."""
    last = transaction.audit.last()
    if last is None:
        return False
    said: Any = parse(last.content)
    return bool(said["kind"] != LogKind.TRAIL_LOGGED.value)


def _log_head(transaction: Transaction, signer: Signer, at: datetime, actor: str) -> int:
    last = transaction.audit.last()
    assert last is not None  # it has grown
    events, now = last.sequence + 1, at.astimezone(UTC).replace(microsecond=0)
    written = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    head = Head(events, Sha256.of(last.content.encode()), written)
    (place,) = append(transaction.log, [head.signed(signer)])
    seal(transaction.log, signer=signer)
    details = {"log_size": str(transaction.log.size()), "events": str(events)}
    event = RegisterEvent(LogKind.TRAIL_LOGGED, actor, "log", now, details)
    record(event, transaction.audit, signer=signer)
    return place
