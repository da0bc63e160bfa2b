"""The register's audit trail as others see it: its head in the log, and one of its events.

The trail is a chain of events that the register signs one by one; who holds the database
could cut its end off. So its head goes into the evidence log from time to time
(`Head`), and what the log shows to have been there cannot be dropped unnoticed. An event
of the trail that says how large the log was dates a state of the log (`Dated`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from federation.domain.ids import Sha256
from federation.evidence.canonical import canonical, parse
from federation.evidence.signing import Signer, sign_dsse
from federation.evidence.statements import PredicateType, Statement, Subject
from federation.evidence.verification import PublicKey, verify_envelope

EVENT_CONTEXT = b"trifed.registry-audit/1\n"
"""Comes before what is signed of an event, so that the signature can mean nothing else."""


@dataclass(frozen=True, slots=True)
class Head:
    """That the trail has so many events, the last of this digest; `at` is UTC, whole seconds."""

    events: int
    last: Sha256
    at: str

    def signed(self, signer: Signer) -> str:
        """Return the statement for the log, a DSSE envelope."""
        subject = Subject(f"audit-trail/{self.events}", self.last)
        said = {"events": self.events, "at": self.at}
        return sign_dsse(Statement((subject,), PredicateType.AUDIT_TRAIL, said), signer)

    @classmethod
    def of(cls, envelope: str, *, key: PublicKey) -> "Head":
        """Return what a logged statement says.

        Raises
        ------
        PlatformError
            What `verify_envelope` raises.
        ValueError
            If it is signed and says no head.
        """
        statement = verify_envelope(
            envelope, trusted={key.keyid: key}, expected=PredicateType.AUDIT_TRAIL
        )
        subjects = [(one.name, one.digest) for one in statement.subjects]
        match statement.predicate, subjects:
            case {"events": int(events), "at": str(at), **rest}, [(name, last)] if (
                not rest and events > 0 and name == f"audit-trail/{events}"
            ):
                return cls(events, last, at)
        raise ValueError("not the head of a trail")


@dataclass(frozen=True, slots=True)
class Dated:
    """That the log had `size` entries at a time, by an event of the trail."""

    size: int
    at: datetime


def event_member(content: str, signature: bytes) -> bytes:
    """Return an event with the register's signature of it, as a bundle holds it."""
    return canonical({"event": parse(content), "signature": signature.hex()})


def verify_event(content: bytes, *, key: PublicKey) -> Dated:
    """Return what state of the log an event of a bundle dates.

    Raises
    ------
    ValueError, LookupError, TypeError, PlatformError
        If it is none, is not in its one spelling, or `key` did not sign it.
    """
    raw: Any = parse(content)
    event: Mapping[str, Any] = raw["event"]
    again = {"event": event, "signature": raw["signature"]}
    size, at = event["details"]["log_size"], datetime.fromisoformat(event["at"])
    if canonical(again) != content or at.tzinfo is None or not _is_size(size):
        raise ValueError("not an event that dates the log")
    key.verify(bytes.fromhex(raw["signature"]), EVENT_CONTEXT + canonical(event))
    return Dated(int(size), at)


def _is_size(text: object) -> bool:
    return isinstance(text, str) and text.isascii() and text.isdigit() and 0 < len(text) <= 16
