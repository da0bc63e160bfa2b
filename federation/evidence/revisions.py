"""What the register recorded of an entry after it was registered, as a stranger reads it.

Each revision of a record is one statement by the register's key, of which a move is
signed by persons with keys of their own (`registry.records.statements` writes both). A
reader needs no table of moves to see that nothing is missing between two revisions,
and that a person's signature is of exactly the move that was made.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from federation.domain.ids import Sha256
from federation.errors.core import InvalidIdError
from federation.errors.signed import MalformedEnvelopeError, NotCanonicalError
from federation.evidence.canonical import canonical, digest_of, parse
from federation.evidence.dsse import PAYLOAD_TYPE, pae, read_envelope
from federation.evidence.statements import STATEMENT_TYPE
from federation.evidence.verification import PublicKey

RECORD = "urn:trifed:predicate:record:v1"
SIGN_OFF = "urn:trifed:predicate:sign-off:v1"
_SIGN_OFF_NOUN = "sign-off"
_SIGNED = ("noun", "id", "revision", "digest", "move")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z")

Predicate = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class GivenSignature:
    """A person's own signature that a revision rests on: whose, in which role, when."""

    person: str
    role: str
    at: datetime
    envelope: Sha256
    key: PublicKey


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision as the register signed it.

    Parameters
    ----------
    thing
        Noun and id of the record.
    move
        What a person who signed its move must have signed.
    """

    thing: tuple[str, str]
    number: int
    previous: str | None
    digest: str
    at: datetime
    move: Predicate
    signatures: tuple[GivenSignature, ...]


def verify_said(content: bytes, *, key: PublicKey, uri: str) -> tuple[Predicate, dict[str, Sha256]]:
    """Return predicate and subjects of the statement of kind `uri` that `key` signed.

    Raises
    ------
    StatementTooLargeError, MalformedEnvelopeError, BadSignatureError
        If it is not one, in its one spelling, by that key.
    """
    read = read_envelope(content)
    if read.keyid != key.keyid:
        raise MalformedEnvelopeError(why="another key signed it")
    key.verify(read.signature, pae(PAYLOAD_TYPE, read.payload))
    try:
        return _said(read.payload, uri)
    except (NotCanonicalError, InvalidIdError) as error:
        raise MalformedEnvelopeError(why=error.say_what()) from error


def revision_of(said: Predicate, subjects: Mapping[str, Sha256]) -> Revision:
    """Return the revision that a predicate says.

    Raises
    ------
    ValueError, KeyError, TypeError, PlatformError
        If it is none, or not about what its subject names.
    """
    thing, number = (said["noun"], said["id"]), said["revision"]
    about = {f"record/{thing[0]}/{thing[1]}/{number}": said["digest"]}
    if dict(subjects) != about or digest_of(said["body"]) != said["digest"]:
        raise ValueError("a revision of another record")
    given = tuple(_signature(one) for one in said["signatures"] if one["envelope"])
    at, previous = moment(said["at"]), said["previous"]
    return Revision(thing, number, previous, said["digest"], at, _move(said), given)


def moment(text: str) -> datetime:
    """Return the time that a record says; raises `ValueError`."""
    if not _MOMENT.fullmatch(text):
        raise ValueError("not a time in UTC")
    return datetime.fromisoformat(text)


def _said(payload: bytes, uri: str) -> tuple[Predicate, dict[str, Sha256]]:
    value = parse(payload)
    match value:
        case {"subject": list(listed), "predicate": dict(predicate), **_rest}:
            pairs = [_subject(one) for one in listed]
            subjects = dict(pairs)
            again = {
                "_type": STATEMENT_TYPE,
                "subject": [{"name": n, "digest": {"sha256": d.hex}} for n, d in subjects.items()],
                "predicateType": uri,
                "predicate": predicate,
            }
            if subjects and canonical(again) == payload:
                return predicate, subjects
    raise MalformedEnvelopeError(why="it is another statement")


def _subject(raw: object) -> tuple[str, Sha256]:
    match raw:
        case {"name": str(name), "digest": {"sha256": str(digest)}} if name:
            return name, Sha256(f"sha256:{digest}")
    raise MalformedEnvelopeError(why="a subject without name and digest")


def _signature(raw: Mapping[str, Any]) -> GivenSignature:
    author, key = raw["author"], PublicKey.from_raw(bytes.fromhex(raw["key"]))
    envelope, at = Sha256(raw["envelope"]), moment(raw["at"])
    return GivenSignature(author["person"], author["role"], at, envelope, key)


def _move(said: Predicate) -> Predicate:
    """Return what the people of a revision signed: a sign-off's move, or the record's own."""
    if said["noun"] == _SIGN_OFF_NOUN:
        return {name: said["body"][name] for name in _SIGNED}
    before = (said["noun"], said["id"], said["revision"] - 1, said["previous"], said["action"])
    return dict(zip(_SIGNED, before, strict=True))
