"""The envelope of a signed statement: DSSE v1, one signature, one spelling.

An envelope is accepted only byte for byte as `as_json` writes it, so no byte
of it can be changed without notice. Free of cryptography: `signing` makes the
signature and `verification` checks it.
"""

import base64
import binascii
from dataclasses import dataclass

from federation.domain.ids import Sha256
from federation.errors.core import InvalidIdError
from federation.errors.signed import (
    MalformedEnvelopeError,
    NotCanonicalError,
    StatementTooLargeError,
)
from federation.evidence.canonical import canonical, parse

PAYLOAD_TYPE = "application/vnd.in-toto+json"
MAX_ENVELOPE_BYTES = 2**20


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return what is signed: DSSE's pre-authentication encoding of type and payload."""
    kind = payload_type.encode()
    return b" ".join((b"DSSEv1", b"%d" % len(kind), kind, b"%d" % len(payload), payload))


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload with one signature, not yet verified.

    Parameters
    ----------
    payload
        The signed bytes, an in-toto statement.
    keyid
        Content id of the signer's SubjectPublicKeyInfo.
    signature
        64 bytes, Ed25519.
    """

    payload: bytes
    keyid: Sha256
    signature: bytes

    def as_json(self) -> str:
        """Return the envelope as canonical JSON text."""
        fields = {
            "payload": base64.b64encode(self.payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"keyid": self.keyid, "sig": base64.b64encode(self.signature).decode()}],
        }
        return canonical(fields).decode()


def read_envelope(envelope_json: str | bytes) -> Envelope:
    """Return the envelope in `envelope_json`, its signature unchecked.

    Raises
    ------
    StatementTooLargeError
        If it is larger than 1 MiB.
    MalformedEnvelopeError
        If it is not exactly what `Envelope.as_json` writes.
    """
    content = envelope_json.encode() if isinstance(envelope_json, str) else envelope_json
    if len(content) > MAX_ENVELOPE_BYTES:
        raise StatementTooLargeError(actual=len(content), limit=MAX_ENVELOPE_BYTES)
    try:
        envelope = _envelope_of(parse(content))
    except (NotCanonicalError, InvalidIdError) as error:
        raise MalformedEnvelopeError(why=error.say_what()) from error
    if envelope.as_json().encode() != content:
        raise MalformedEnvelopeError(why="not in its one canonical spelling")
    return envelope


def _envelope_of(raw: object) -> Envelope:
    match raw:
        case {
            "payload": str(payload),
            "payloadType": str(kind),
            "signatures": [{"keyid": str(keyid), "sig": str(signature), **others}],
            **rest,
        } if not rest and not others:
            if kind != PAYLOAD_TYPE:
                raise MalformedEnvelopeError(why="a payload of another type")
            return Envelope(_decoded(payload), Sha256(keyid), _decoded(signature))
    raise MalformedEnvelopeError(why="not an envelope with one signature")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedEnvelopeError(why="not base64") from error
