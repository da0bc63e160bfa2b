"""The centre's answer to a request: everything a node needs to connect.

The kit is signed with the centre's root key, so a courier can change neither
the address nor the evidence key. It holds no secret. `verify_kit` is all that
`trifed node join` has to trust.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from federation.domain.ids import SiteId
from federation.errors.core import InvalidIdError, InvalidValueError
from federation.errors.enrolment import (
    DocumentUnreadableError,
    ForeignKitError,
    ForeignNodeCertificateError,
    KitKeyMismatchError,
    NodeCertificateExpiredError,
    NodeCertificateNotYetValidError,
    RequestTamperedError,
    WrongSiteError,
)
from federation.homes import check_display_name, parse_address
from federation.pki.authority import (
    Authority,
    certificate_pem,
    fingerprint,
    is_issued_by,
    key_digest,
    load_certificate,
    site_of,
)
from federation.pki.documents import decode, encode, from_base64, signed_bytes, to_base64
from federation.pki.expiry import date_note
from federation.pki.keys import TlsPublicKey, parse_signing_key, sign, signature_holds

_KIT = "trifed/kit/v1"


@dataclass(frozen=True, slots=True)
class Kit:
    """A node's certificate and what it needs to know of its centre.

    `evidence_key` is the Ed25519 PEM the centre signs statements with;
    `signature` is the root key's, over all other fields, base64.
    """

    site: SiteId
    centre: str
    address: str
    certificate: x509.Certificate
    authority: x509.Certificate
    evidence_key: str
    signature: str

    def to_bytes(self) -> bytes:
        """Return the kit as a file."""
        return encode({**self._body(), "signature": self.signature}, tag=_KIT)

    def signed_by(self, authority: Authority) -> Self:
        """Return the kit with the root key's signature."""
        return replace(self, signature=to_base64(sign(authority.key, self.message())))

    def message(self) -> bytes:
        """Return what the signature covers."""
        return signed_bytes(self._body(), tag=_KIT)

    def _body(self) -> dict[str, str]:
        return {
            "site": self.site,
            "centre": self.centre,
            "address": self.address,
            "certificate": certificate_pem(self.certificate),
            "authority": certificate_pem(self.authority),
            "evidence_key": self.evidence_key,
        }

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """Return the kit in a file, not verified yet.

        Raises
        ------
        DocumentUnreadableError, KeyRefusedError
            If it is not one, or a field is not what it should be.
        """
        found = decode(raw, tag=_KIT, fields=_FIELDS)
        try:
            site = SiteId(found["site"])
            parse_address(found["address"])
            check_display_name(found["centre"], field="centre name")
        except (InvalidIdError, InvalidValueError) as error:
            raise DocumentUnreadableError(document="kit", why=error.say_what()) from error
        parse_signing_key(found["evidence_key"], key="evidence")
        return cls(
            site=site,
            centre=found["centre"],
            address=found["address"],
            certificate=load_certificate(found["certificate"], document="kit"),
            authority=load_certificate(found["authority"], document="kit"),
            evidence_key=found["evidence_key"],
            signature=found["signature"],
        )


_FIELDS = ("site", "centre", "address", "certificate", "authority", "evidence_key", "signature")


def verify_kit(
    kit: Kit, *, site: SiteId, authority: x509.Certificate, key: TlsPublicKey, now: datetime
) -> Kit:
    """Return the kit if this node may use it.

    1. it is for this site; 2. its root is the one of the invitation; 3. that
    root signed the kit and 4. the certificate; 5. the certificate names this
    site, 6. was made for this node's key and 7. is valid now.

    Raises
    ------
    WrongSiteError, ForeignKitError, RequestTamperedError
    ForeignNodeCertificateError, KitKeyMismatchError
        In the order above.
    NodeCertificateExpiredError, NodeCertificateNotYetValidError
        If the certificate's dates do not hold at `now`.
    """
    if kit.site != site:
        raise WrongSiteError(document="kit", actual=kit.site, expected=site)
    if fingerprint(kit.authority) != fingerprint(authority):
        raise ForeignKitError(
            document="kit", actual=fingerprint(kit.authority), expected=fingerprint(authority)
        )
    _check_signature(kit, authority)
    if not is_issued_by(kit.certificate, authority):
        raise ForeignNodeCertificateError(node=site, centre=kit.centre)
    named = site_of(kit.certificate)
    if named != site:
        raise WrongSiteError(document="certificate", actual=named or "no site", expected=site)
    if key_digest(key) != _key_digest_of(kit.certificate):
        raise KitKeyMismatchError(site=site)
    check_dates(kit.certificate, node=site, now=now)
    return kit


def check_dates(certificate: x509.Certificate, *, node: str, now: datetime) -> None:
    """Raise unless a node's certificate is valid at `now`.

    Raises
    ------
    NodeCertificateExpiredError, NodeCertificateNotYetValidError
        By which end it misses.
    """
    if now > certificate.not_valid_after_utc:
        raise NodeCertificateExpiredError(
            node=node, when=date_note(certificate.not_valid_after_utc)
        )
    if now < certificate.not_valid_before_utc:
        raise NodeCertificateNotYetValidError(
            node=node, when=date_note(certificate.not_valid_before_utc)
        )


def _check_signature(kit: Kit, authority: x509.Certificate) -> None:
    signature = from_base64(kit.signature, document="kit", field="signature")
    key = authority.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not signature_holds(
        key, signature, kit.message()
    ):
        raise RequestTamperedError(document="kit", site=kit.site, part="the centre's signature")


def _key_digest_of(certificate: x509.Certificate) -> str:
    key = certificate.public_key()
    return key_digest(key)  # type: ignore[arg-type]  # any kind of key has a digest
