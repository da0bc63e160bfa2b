"""A site's X25519 key for one sum, signed by the site's node: a DSSE envelope of our own type.

The payload is canonical JSON: session, site and the key in hexadecimal. DSSE's
pre-authentication encoding covers the payload's type, so a signed key is never taken
for an in-toto statement, nor one for a key. The payload is read after its signature fits.
"""

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from federation.domain.ids import Sha256, SiteId
from federation.errors.core import InvalidIdError
from federation.errors.secure_sum import SumKeyRefusedError, SumPeersRefusedError
from federation.errors.signed import BadSignatureError, NotCanonicalError
from federation.evidence.canonical import canonical, parse
from federation.evidence.dsse import pae
from federation.evidence.signing import Signer
from federation.evidence.verification import PublicKey
from federation.secure_sum.port import Session, SignedKey
from federation.wording import Text

PAYLOAD_TYPE = "application/vnd.trifed.sum-key+json"
MOST_BYTES = 4_096
KEY_BYTES = 32
PRIME = 2**255 - 19
"""X25519 ignores the last bit and counts modulo this; a larger number is another spelling."""

SOMEBODY = Text(en="of an unnamed site", zh="未具名院所")
NOT_ONE = Text(en="it is not an envelope of such a key", zh="不是此類金鑰的封套")
NOT_PINNED = Text(
    en="its signer is none of the node keys in the approved study",
    zh="簽署者不屬於已核准研究所列的節點金鑰",
)
NOT_SIGNED = Text(en="the signature does not fit", zh="簽章不符")
OTHER_SITE = Text(
    en="one site's node signed it in the name of another", zh="由某院節點以他院名義簽署"
)
OTHER_SESSION = Text(
    en="it was given for another study, run or round", zh="屬於另一研究、執行或回合"
)
ONE_KEY = Text(en="two sites have the same node key", zh="兩家院所使用同一節點金鑰")


@dataclass(frozen=True, slots=True)
class _Envelope:
    payload: bytes
    keyid: Sha256
    signature: bytes

    def as_json(self) -> str:
        fields = {
            "payload": base64.b64encode(self.payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"keyid": self.keyid, "sig": base64.b64encode(self.signature).decode()}],
        }
        return canonical(fields).decode()


def sign_key(key: bytes, *, session: Session, site: SiteId, signer: Signer) -> str:
    """Return a site's public key for a session in its signed envelope."""
    payload = canonical({"session": session.as_json(), "site": str(site), "key": key.hex()})
    signature = signer.sign(pae(PAYLOAD_TYPE, payload))
    return _Envelope(payload, signer.keyid, signature).as_json()


def verify_key(envelope: str, *, session: Session, owners: Mapping[Sha256, "Owner"]) -> SignedKey:
    """Return the key in an envelope.

    1. it is small and in its one spelling; 2. one of the `owners` signed it; 3. the
    signature fits; 4. it is a key, 5. of this session, 6. of the site that signed.

    Raises
    ------
    SumKeyRefusedError
        By the first that does not hold.
    """
    read = _read(envelope)
    owner = owners.get(read.keyid)
    if owner is None:
        raise SumKeyRefusedError(site=SOMEBODY, why=NOT_PINNED)
    try:
        owner.key.verify(read.signature, pae(PAYLOAD_TYPE, read.payload))
    except BadSignatureError as error:
        raise SumKeyRefusedError(site=owner.site, why=NOT_SIGNED) from error
    said, site, key = _payload(read.payload, owner.site)
    if said != session.as_json():
        raise SumKeyRefusedError(site=owner.site, why=OTHER_SESSION)
    if site != owner.site:
        raise SumKeyRefusedError(site=owner.site, why=OTHER_SITE)
    return SignedKey(owner.site, key)


@dataclass(frozen=True, slots=True)
class Owner:
    """A site with its node's key."""

    site: SiteId
    key: PublicKey


def owners_of(pinned: Mapping[SiteId, PublicKey]) -> dict[Sha256, Owner]:
    """Return the sites by their keys' ids.

    Raises
    ------
    SumPeersRefusedError
        If two sites have one key: then they are one.
    """
    found = {key.keyid: Owner(site, key) for site, key in pinned.items()}
    if len(found) != len(pinned):
        raise SumPeersRefusedError(why=ONE_KEY)
    return found


def doubles(values: Iterable[object]) -> bool:
    """Say whether something occurs twice."""
    listed = list(values)
    return len(set(listed)) != len(listed)


def _read(envelope: str) -> _Envelope:
    if len(envelope) > MOST_BYTES:
        raise SumKeyRefusedError(site=SOMEBODY, why=NOT_ONE)
    try:
        read = _fields(parse(envelope))
        if read is not None and read.as_json() == envelope:
            return read
    except (NotCanonicalError, InvalidIdError, binascii.Error, ValueError) as error:
        raise SumKeyRefusedError(site=SOMEBODY, why=NOT_ONE) from error
    raise SumKeyRefusedError(site=SOMEBODY, why=NOT_ONE)


def _fields(raw: object) -> _Envelope | None:
    match raw:
        case {
            "payload": str(payload),
            "payloadType": str(kind),
            "signatures": [{"keyid": str(keyid), "sig": str(signature), **others}],
            **rest,
        } if kind == PAYLOAD_TYPE and not rest and not others:
            return _Envelope(_decoded(payload), Sha256(keyid), _decoded(signature))
    return None


def _is_least(key: bytes) -> bool:
    """Say whether a key is in its one spelling: two of it would look like two sites' keys."""
    return int.from_bytes(key, "little") < PRIME


def _decoded(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _payload(payload: bytes, owner: SiteId) -> tuple[object, str, bytes]:
    try:
        match parse(payload):
            case {"session": dict(session), "site": str(site), "key": str(key), **rest} if not rest:
                raw = bytes.fromhex(key)
                if len(raw) == KEY_BYTES and raw.hex() == key and _is_least(raw):
                    return session, site, raw
    except (NotCanonicalError, ValueError) as error:
        raise SumKeyRefusedError(site=owner, why=NOT_ONE) from error
    raise SumKeyRefusedError(site=owner, why=NOT_ONE)
