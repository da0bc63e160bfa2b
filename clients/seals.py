"""What is signed inside a hospital and stays there: a policy, a person, an endorsement.

A seal is a DSSE statement by a person of the hospital over one thing's content id.
It says which kind of matter it is about, its name and its site, all three signed:
a seal of one matter, name or site never passes for another. `seal` writes one,
`open_seal` gives back what was sealed or raises.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path

from federation.domain.ids import Sha256, SiteId
from federation.errors.signed import MalformedEnvelopeError
from federation.evidence.dsse import MAX_ENVELOPE_BYTES
from federation.evidence.signing import Signer, sign_dsse
from federation.evidence.statements import PredicateType, Statement, Subject
from federation.evidence.verification import PublicKey, Trusted, verify_signed

PREDICATE = PredicateType.SEAL


class Matter(Enum):
    """What a seal is about; the first part of its subject's name. `study` is a decision's."""

    POLICY = "policy"
    PERSON = "person"
    ENDORSEMENT = "endorsement"


@dataclass(frozen=True, slots=True)
class Seal:
    """A verified seal: what it stands on, what it says, who made it and when."""

    digest: Sha256
    said: Mapping[str, object]
    signer: PublicKey
    at: datetime


def seal(
    matter: Matter,
    name: str,
    digest: Sha256,
    *,
    site: SiteId,
    signer: Signer,
    now: datetime,
    said: Mapping[str, object] | None = None,
) -> bytes:
    """Return a signed seal over the thing `name` with this content id."""
    statement = Statement(
        subjects=(Subject(f"{matter.value}/{name}", digest),),
        predicate_type=PREDICATE,
        predicate={**(said or {}), "site": str(site), "at": now.isoformat()},
    )
    return sign_dsse(statement, signer).encode()


def open_seal(content: bytes, matter: Matter, name: str, *, site: SiteId, trusted: Trusted) -> Seal:
    """Return the seal in `content`.

    Raises
    ------
    PlatformError
        As `verify_envelope`, if it is not a statement that a trusted key signed.
    MalformedEnvelopeError
        If it is about another matter, name or site, or says no time.
    """
    statement, signer = verify_signed(content, trusted=trusted, expected=PREDICATE)
    subject, said = statement.subjects[0], statement.predicate
    if len(statement.subjects) != 1 or subject.name != f"{matter.value}/{name}":
        raise MalformedEnvelopeError(why=f"it is not about this {matter.value}")
    if said.get("site") != str(site):
        raise MalformedEnvelopeError(why="it is of another site")
    return Seal(subject.digest, said, signer, instant_in(said, "at"))


def instant_in(said: Mapping[str, object], field: str) -> datetime:
    """Return a time with its offset that a statement says.

    Raises
    ------
    MalformedEnvelopeError
        If the field is not one.
    """
    try:
        found = datetime.fromisoformat(str(said.get(field)))
    except ValueError as error:
        raise MalformedEnvelopeError(why=f"{field} is not a time") from error
    if found.tzinfo is None:
        raise MalformedEnvelopeError(why=f"{field} has no offset")
    return found


def read_limited(path: Path, limit: int = MAX_ENVELOPE_BYTES) -> bytes:
    """Return a file's bytes, one more than `limit` at most, so that a reader sees it is too large.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    with path.open("rb") as file:
        return file.read(limit + 1)
