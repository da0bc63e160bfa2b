"""Believe an opt-out list only when its issuer signed it: a DSSE envelope of our own type.

The payload is canonical JSON: ``{"issued", "mode", "patient_ids", "serial"}``. The
signature is Ed25519 over DSSE's pre-authentication encoding, so a signed list can
never be taken for another kind of statement. An issuer counts its lists upwards;
the register refuses one that is older than the last it accepted.
"""

import base64
import binascii
from dataclasses import dataclass, field
from datetime import datetime

from clients.data.people.register import Mode
from federation.domain.ids import Sha256
from federation.errors.core import InvalidIdError
from federation.errors.people import OptOutSignatureError
from federation.errors.signed import BadSignatureError, NotCanonicalError
from federation.evidence.canonical import canonical, parse
from federation.evidence.dsse import pae
from federation.evidence.signing import Signer
from federation.evidence.verification import Trusted
from federation.wording import Text

PAYLOAD_TYPE = "application/vnd.trifed.opt-out-list+json"
ENVELOPE_MARK = b'"payloadType"'


@dataclass(frozen=True, slots=True)
class SignedList:
    """A list whose signature was checked."""

    patient_ids: tuple[str, ...] = field(repr=False)
    mode: Mode
    serial: int
    issuer: str


def sign_list(
    patient_ids: list[str], *, mode: Mode, serial: int, issued: datetime, signer: Signer
) -> bytes:
    """Return a signed list, as its issuer makes it."""
    payload = canonical(
        {
            "issued": issued.isoformat(timespec="seconds"),
            "mode": mode.value,
            "patient_ids": patient_ids,
            "serial": serial,
        }
    )
    signature = signer.sign(pae(PAYLOAD_TYPE, payload))
    return canonical(
        {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [
                {"keyid": signer.keyid, "sig": base64.b64encode(signature).decode()},
            ],
        }
    )


def read_signed(content: bytes, *, trusted: Trusted) -> SignedList:
    """Return the list in an envelope that one of the `trusted` issuers signed.

    Raises
    ------
    OptOutSignatureError
        If the envelope is not one, its key is not trusted, the signature does not
        fit, or the payload is not a list; the payload is read last.
    """
    payload, keyid, signature = _envelope(content)
    key = trusted.get(keyid)
    if key is None:
        raise OptOutSignatureError(
            why=Text(
                en="its key is none of the issuers in optout.toml",
                zh="簽署金鑰不屬於 optout.toml 所列的發行者",
            )
        )
    try:
        key.verify(signature, pae(PAYLOAD_TYPE, payload))
    except BadSignatureError as error:
        raise OptOutSignatureError(
            why=Text(en="the signature does not fit", zh="簽章不符")
        ) from error
    return _list(payload, issuer=str(keyid))


def _envelope(content: bytes) -> tuple[bytes, Sha256, bytes]:
    try:
        match parse(content):
            case {
                "payload": str(payload),
                "payloadType": str(kind),
                "signatures": [{"keyid": str(keyid), "sig": str(signature), **others}],
                **rest,
            } if kind == PAYLOAD_TYPE and not rest and not others:
                decoded = base64.b64decode(payload, validate=True)
                return decoded, Sha256(keyid), base64.b64decode(signature, validate=True)
    except (NotCanonicalError, InvalidIdError, binascii.Error, ValueError) as error:
        raise OptOutSignatureError(
            why=Text(en="not an envelope of a list", zh="不是已簽署的名單")
        ) from error
    raise OptOutSignatureError(why=Text(en="not an envelope of a list", zh="不是已簽署的名單"))


def _list(payload: bytes, *, issuer: str) -> SignedList:
    try:
        match parse(payload):
            case {
                "issued": str(),
                "mode": str(mode),
                "patient_ids": list(names),
                "serial": int(serial),
                **rest,
            } if not rest and serial > 0 and all(isinstance(name, str) for name in names):
                return SignedList(tuple(names), Mode(mode), serial, issuer)
    except (NotCanonicalError, ValueError) as error:
        raise OptOutSignatureError(
            why=Text(en="what was signed is not a list", zh="簽署的內容不是名單")
        ) from error
    raise OptOutSignatureError(
        why=Text(en="what was signed is not a list", zh="簽署的內容不是名單")
    )
