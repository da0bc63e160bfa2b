"""What a person's key says of itself when it is given to a register: whose it is, and where.

    envelope = claim_key(signer, person="hal", register=keyid, at="2026-09-01T08:00:00Z")
    claim = verify_claim(envelope)              # at the register, which compares the rest

The key signs the claim, so nobody can give a register a key that is another's; it names
person and register, so the claim is good nowhere else. Source: RFC 4211, clause 4 (proof
of possession).
"""

from dataclasses import dataclass

from federation.domain.ids import Sha256
from federation.errors import PlatformError
from federation.errors.signed import MalformedEnvelopeError
from federation.evidence.canonical import canonical, parse
from federation.evidence.dsse import PAYLOAD_TYPE, Envelope, pae, read_envelope
from federation.evidence.revisions import verify_said
from federation.evidence.signing import Signer
from federation.evidence.statements import STATEMENT_TYPE
from federation.evidence.verification import PublicKey

CLAIM = "urn:trifed:predicate:person-key:v1"


@dataclass(frozen=True, slots=True)
class Claim:
    """That a key is a person's at a register; `at` as records write times, unchecked."""

    person: str
    key: PublicKey
    register: str
    at: str


def claim_key(signer: Signer, *, person: str, register: Sha256, at: str) -> str:
    """Return the key's signed claim, a DSSE envelope; runs where the person's key is."""
    key = signer.public_key
    said = {"person": person, "key": key.raw.hex(), "register": register, "at": at}
    payload = canonical(
        {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": f"person/{person}", "digest": {"sha256": key.keyid.hex}}],
            "predicateType": CLAIM,
            "predicate": said,
        }
    )
    return Envelope(payload, signer.keyid, signer.sign(pae(PAYLOAD_TYPE, payload))).as_json()


def verify_claim(envelope: str) -> Claim:
    """Return a claim that the key in it signed.

    Raises
    ------
    PlatformError
        What reading an envelope raises; `MalformedEnvelopeError` if it is no claim.
    """
    match parse(read_envelope(envelope).payload):
        case {"predicate": {"key": str(raw), **_rest}}:
            key = _key(raw)
        case _:
            raise MalformedEnvelopeError(why="it is no claim of a key")
    said, subjects = verify_said(envelope.encode(), key=key, uri=CLAIM)
    match said:
        case {"person": str(person), "register": str(register), "at": str(at)} if len(
            said
        ) == 4 and dict(subjects) == {f"person/{person}": key.keyid}:
            return Claim(person, key, register, at)
    raise MalformedEnvelopeError(why="it is no claim of a key")


def _key(raw: str) -> PublicKey:
    try:
        return PublicKey.from_raw(bytes.fromhex(raw))
    except (ValueError, PlatformError) as error:
        raise MalformedEnvelopeError(why="it names no Ed25519 key") from error
