"""What passes between centre and hospital before there is a certificate.

The centre gives out an `Invitation` (one site, one time, two weeks). The node
answers with an `EnrolmentRequest`: its public keys, a certificate request, one
signature per key over all of it, and a proof that it held the invitation. The
token itself never travels back, so a stolen request enrols nobody else.
"""

import hmac
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding

from federation.domain.ids import SiteId
from federation.errors.core import InvalidIdError, InvalidValueError
from federation.errors.enrolment import (
    DocumentUnreadableError,
    ForeignKitError,
    InvitationExpiredError,
    InvitationUnknownError,
    RequestTamperedError,
)
from federation.homes import check_display_name, parse_address
from federation.pki.authority import (
    certificate_pem,
    fingerprint,
    load_certificate,
    new_csr,
    verify_csr,
)
from federation.pki.documents import (
    decode,
    encode,
    from_base64,
    instant,
    instant_text,
    signed_bytes,
    to_base64,
)
from federation.pki.expiry import date_note
from federation.pki.keys import (
    TlsPrivateKey,
    TlsPublicKey,
    parse_flower_key,
    parse_signing_key,
    public_openssh,
    public_pem,
    sign,
    signature_holds,
)

TOKEN_BYTES = 32
_INVITATION = "trifed/invitation/v1"
_REQUEST = "trifed/request/v1"


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a hospital needs to ask for enrolment. Secret until used: it holds the token.

    Parameters
    ----------
    centre
        The centre's display name.
    address
        Where nodes connect, `host:port`.
    authority
        The centre's root certificate; the only one the node will ever trust.
    site, name
        The site's short name and what people call it.
    token
        32 random bytes, base64.
    expires
        The last moment the centre signs a request made with it.
    """

    centre: str
    address: str
    authority: x509.Certificate
    site: SiteId
    name: str
    token: str
    expires: datetime

    def to_bytes(self) -> bytes:
        """Return the invitation as a file."""
        return encode(
            {
                "centre": self.centre,
                "address": self.address,
                "site": self.site,
                "name": self.name,
                "token": self.token,
                "expires": instant_text(self.expires),
                "fingerprint": fingerprint(self.authority),
                "authority": certificate_pem(self.authority),
            },
            tag=_INVITATION,
        )

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """Return the invitation in a file.

        Raises
        ------
        DocumentUnreadableError
            If it is not one, or a field is not what it should be.
        ForeignKitError
            If the fingerprint is not that of the certificate inside.
        """
        found = decode(raw, tag=_INVITATION, fields=_INVITATION_FIELDS)
        authority = load_certificate(found["authority"], document="invitation")
        if fingerprint(authority) != found["fingerprint"]:
            raise ForeignKitError(
                document="invitation",
                actual=fingerprint(authority),
                expected=found["fingerprint"][:95],
            )
        if len(from_base64(found["token"], document="invitation", field="token")) != TOKEN_BYTES:
            raise DocumentUnreadableError(document="invitation", why="the token is too short")
        return cls(
            centre=_display(found["centre"], document="invitation"),
            address=_address(found["address"], document="invitation"),
            authority=authority,
            site=_site(found["site"], document="invitation"),
            name=_display(found["name"], document="invitation"),
            token=found["token"],
            expires=instant(found["expires"], document="invitation"),
        )

    def check_not_expired(self, *, now: datetime) -> None:
        """Raise `InvitationExpiredError` after the invitation's last moment."""
        check_not_expired(self.site, expires=self.expires, now=now)


_INVITATION_FIELDS = (
    "centre",
    "address",
    "site",
    "name",
    "token",
    "expires",
    "fingerprint",
    "authority",
)


def check_not_expired(site: SiteId, *, expires: datetime, now: datetime) -> None:
    """Raise `InvitationExpiredError` if an invitation of `site` is over at `now`."""
    if now > expires:
        raise InvitationExpiredError(site=site, expired=date_note(expires).strip(" ()"))


def invitation_key(token: str) -> bytes:
    """Return the 32-byte HMAC key of a token, which the roster keeps in its stead."""
    return hmac.digest(b"trifed/invitation-key/v1", token.encode(), "sha256")


@dataclass(frozen=True, slots=True)
class NodeKeys:
    """The four private keys born at a node."""

    tls: TlsPrivateKey
    flower: ec.EllipticCurvePrivateKey
    node: ed25519.Ed25519PrivateKey
    officer: ed25519.Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class EnrolmentRequest:
    """A node's request to be enrolled, as it travels; `verify_request` makes it trustworthy.

    Parameters
    ----------
    csr
        PKCS #10 PEM for the node's TLS key.
    flower_key
        OpenSSH line of the EC P-384 key the SuperNode authenticates with.
    node_key, officer_key
        Ed25519 PEM: the node's signing key and its data officer's.
    software
        Version of TriFed that made the request.
    proof
        HMAC-SHA256 under the invitation's key over all of the above, base64.
    signed_by_tls, signed_by_flower, signed_by_node, signed_by_officer
        A signature with each key over the same, base64.
    """

    site: str
    name: str
    csr: str
    flower_key: str
    node_key: str
    officer_key: str
    software: str
    proof: str
    signed_by_tls: str
    signed_by_flower: str
    signed_by_node: str
    signed_by_officer: str

    def to_bytes(self) -> bytes:
        """Return the request as a file."""
        return encode(asdict(self), tag=_REQUEST)

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """Return the request in a file, not verified yet.

        Raises
        ------
        DocumentUnreadableError
            If it is not one.
        """
        return cls(**decode(raw, tag=_REQUEST, fields=[field.name for field in fields(cls)]))


_BODY = ("site", "name", "csr", "flower_key", "node_key", "officer_key", "software")


@dataclass(frozen=True, slots=True)
class VerifiedRequest:
    """A request whose every key was proved to be in the sender's hands."""

    site: SiteId
    name: str
    csr: str
    tls_key: TlsPublicKey
    flower_key: str
    node_key: str
    officer_key: str
    software: str
    message: bytes
    proof: bytes

    def check_proof(self, key: bytes) -> None:
        """Raise `InvitationUnknownError` unless the request was made with this invitation key."""
        if not hmac.compare_digest(self.proof, hmac.digest(key, self.message, "sha256")):
            raise InvitationUnknownError(site=self.site)


def new_request(
    invitation: Invitation, keys: NodeKeys, *, name: str, software: str
) -> EnrolmentRequest:
    """Return a node's answer to an invitation."""
    body = {
        "site": str(invitation.site),
        "name": check_display_name(name, field="site name"),
        "csr": _csr_pem(keys.tls, site=invitation.site),
        "flower_key": public_openssh(keys.flower.public_key()),
        "node_key": public_pem(keys.node.public_key()),
        "officer_key": public_pem(keys.officer.public_key()),
        "software": software,
    }
    message = signed_bytes(body, tag=_REQUEST)
    proof = hmac.digest(invitation_key(invitation.token), message, "sha256")
    return EnrolmentRequest(
        **body,
        proof=to_base64(proof),
        signed_by_tls=to_base64(sign(keys.tls, message)),
        signed_by_flower=to_base64(sign(keys.flower, message)),
        signed_by_node=to_base64(sign(keys.node, message)),
        signed_by_officer=to_base64(sign(keys.officer, message)),
    )


def verify_request(request: EnrolmentRequest) -> VerifiedRequest:
    """Return the request once all that can be checked without the roster holds.

    1. site and display name are spelled as such; 2. the certificate request is
    self-signed, of an allowed key, for the same site; 3. the other keys are of
    their kind; 4. each of the four keys signed the whole request.

    Raises
    ------
    DocumentUnreadableError, KeyRefusedError, WrongSiteError, RequestTamperedError
        Naming what does not hold.
    """
    site = _site(request.site, document="request")
    name = _display(request.name, document="request")
    tls = verify_csr(request.csr, site=site)
    flower = parse_flower_key(request.flower_key)
    node = parse_signing_key(request.node_key, key="node")
    officer = parse_signing_key(request.officer_key, key="data officer")
    message = signed_bytes({field: getattr(request, field) for field in _BODY}, tag=_REQUEST)
    _check_signature(tls, request.signed_by_tls, message, site=site, part="TLS")
    _check_signature(flower, request.signed_by_flower, message, site=site, part="Flower")
    _check_signature(node, request.signed_by_node, message, site=site, part="node")
    _check_signature(officer, request.signed_by_officer, message, site=site, part="data officer")
    return VerifiedRequest(
        site=site,
        name=name,
        csr=request.csr,
        tls_key=tls,
        flower_key=public_openssh(flower),
        node_key=public_pem(node),
        officer_key=public_pem(officer),
        software=_display(request.software, document="request"),
        message=message,
        proof=from_base64(request.proof, document="request", field="proof"),
    )


def _check_signature(
    key: TlsPublicKey, signature: str, message: bytes, *, site: SiteId, part: str
) -> None:
    raw = from_base64(signature, document="request", field=f"the {part} signature")
    if not signature_holds(key, raw, message):
        raise RequestTamperedError(
            document="request", site=site, part=f"the signature of the {part} key"
        )


def _csr_pem(key: TlsPrivateKey, *, site: SiteId) -> str:
    return new_csr(key, site=site).public_bytes(Encoding.PEM).decode()


def _site(text: str, *, document: str) -> SiteId:
    try:
        return SiteId(text)
    except InvalidIdError as error:
        raise DocumentUnreadableError(document=document, why=error.say_what()) from error


def _display(text: str, *, document: str) -> str:
    try:
        return check_display_name(text, field="name")
    except InvalidValueError as error:
        raise DocumentUnreadableError(document=document, why=error.say_what()) from error


def _address(text: str, *, document: str) -> str:
    try:
        parse_address(text)
    except InvalidValueError as error:
        raise DocumentUnreadableError(document=document, why=error.say_what()) from error
    return text
