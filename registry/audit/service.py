"""Record audit events so that none can be changed, dropped or put in between.

Each holds the digest of the one before it and is signed by the centre.
"""

from federation.domain.audit import AuditEvent
from federation.domain.ids import Sha256
from federation.errors.signed import BadSignatureError, LogTamperedError, NotCanonicalError
from federation.evidence.canonical import canonical, parse
from federation.evidence.signing import Signer
from federation.evidence.trail import EVENT_CONTEXT
from federation.evidence.verification import PublicKey
from registry.audit.kinds import RegisterEvent
from registry.audit.ports import AuditTrail, StoredEvent


def record(event: AuditEvent | RegisterEvent, trail: AuditTrail, *, signer: Signer) -> StoredEvent:
    """Append `event` to the trail, signed."""
    last = trail.last()
    sequence = last.sequence + 1 if last else 0
    content = canonical(
        {
            "sequence": sequence,
            "previous": Sha256.of(last.content.encode()) if last else None,
            "kind": event.kind.value,
            "actor": event.actor,
            "subject": event.subject,
            "at": event.at.isoformat(),
            "details": event.details,
        }
    )
    stored = StoredEvent(
        sequence, event.subject, content.decode(), signer.sign(EVENT_CONTEXT + content)
    )
    trail.add(stored)
    return stored


def verify_trail(trail: AuditTrail, *, key: PublicKey) -> list[dict[str, object]]:
    """Return all events if none was changed, dropped from the middle or put in between.

    Raises
    ------
    LogTamperedError
        Naming the first event that does not hold.
    """
    verified: list[dict[str, object]] = []
    previous: Sha256 | None = None
    for place, stored in enumerate(trail.events()):
        item = f"audit event {place}"
        content = _verified(stored, item, key)
        if (stored.sequence, content["sequence"]) != (place, place):
            raise LogTamperedError(item=item, why="an event before it is missing")
        if content["previous"] != previous or content["subject"] != stored.subject:
            raise LogTamperedError(item=item, why="it does not follow the one before it")
        previous = Sha256.of(stored.content.encode())
        verified.append(content)
    return verified


def _verified(stored: StoredEvent, item: str, key: PublicKey) -> dict[str, object]:
    try:
        key.verify(stored.signature, EVENT_CONTEXT + stored.content.encode())
        content = parse(stored.content)
    except (BadSignatureError, NotCanonicalError) as error:
        raise LogTamperedError(item=item, why="its signature does not fit") from error
    assert isinstance(content, dict)  # signed by us, so written by `record`
    return content
