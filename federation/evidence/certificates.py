"""Say in X.509 whose key is whose, so that a stranger can ask with tools of their own.

The register's evidence key is the root. It certifies each key that signed a statement:
a site's node or data officer (`trifed://key/<site>/<role>`) or a person
(`trifed://person/<name>`), from when until when. A revocation list says which keys
were revoked since, and when. Profile: RFC 5280; Ed25519 as in RFC 8410. A key whose
end nobody set carries 99991231235959Z (RFC 5280, 4.1.2.5). The same facts give the
same bytes: Ed25519 signs without chance and serials are hashes.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.x509.oid import NameOID

from federation.domain.ids import Sha256, SiteId
from federation.errors.core import InvalidIdError
from federation.errors.evidence import CertificateRefusedError
from federation.evidence.keyring import KeyRole
from federation.evidence.signing import Signer
from federation.evidence.verification import PublicKey
from federation.wording import Text

NO_START = datetime(1970, 1, 1, tzinfo=UTC)
NO_END = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
MOST_BYTES = 4 << 20
_KEY = "trifed://key/"
_PERSON = "trifed://person/"
_CENTRE = "-"
_UNFIT = (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm)
_LIST_LASTS = timedelta(days=397)
_ROOT = Text(en="the trust root is not one that signed itself", zh="信任根並非自簽憑證")
_CHAIN = Text(en="a certificate is not one that the trust root issued", zh="憑證並非由信任根簽發")
_REVOKED = Text(en="the revocation list is not the trust root's", zh="註銷清單並非由信任根簽發")


@dataclass(frozen=True, slots=True)
class KeyOwner:
    """Whose a key is: a site's or the centre's (`site` None) in a role, or a person's."""

    site: SiteId | None = None
    role: KeyRole | None = None
    person: str | None = None

    @property
    def uri(self) -> str:
        """Return the owner as the certificate's name."""
        if self.person is not None or self.role is None:
            return f"{_PERSON}{self.person}"
        return f"{_KEY}{self.site or _CENTRE}/{self.role.value}"

    @classmethod
    def of_uri(cls, uri: str) -> "KeyOwner":
        """Return the owner of that name; raises `ValueError`."""
        if uri.startswith(_PERSON):
            return cls(person=uri.removeprefix(_PERSON))
        site, _, role = uri.removeprefix(_KEY).partition("/")
        try:
            found = cls(None if site == _CENTRE else SiteId(site), KeyRole(role))
        except InvalidIdError as error:
            raise ValueError(uri) from error
        if found.uri != uri:
            raise ValueError(uri)
        return found


@dataclass(frozen=True, slots=True)
class CertifiedKey:
    """A key with its owner, and between which times what it signed counts.

    Parameters
    ----------
    until
        The moment from which it no longer counts.
    revoked
        When it was revoked; what was signed before still counts.
    """

    key: PublicKey
    owner: KeyOwner
    since: datetime = NO_START
    until: datetime = NO_END
    revoked: datetime | None = None

    def was_valid(self, at: datetime) -> bool:
        """Say whether what is known to be signed by `at` was signed by a valid key."""
        is_revoked = self.revoked is not None and self.revoked <= at
        return self.since <= at < self.until and not is_revoked


def root_certificate(signer: Signer) -> bytes:
    """Return the register's own certificate (PEM), signed by itself."""
    builder = _builder(_root_name(signer.public_key), signer.public_key, NO_START, NO_END)
    builder = builder.issuer_name(_root_name(signer.public_key)).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    return _pem(signer.certify(builder.add_extension(_usage(root=True), critical=True)))


def certificates(keys: Iterable[CertifiedKey], signer: Signer) -> bytes:
    """Return the root's certificate and one for each key (PEM, one after the other)."""
    issued = {_serial(key): _certificate(key, signer) for key in keys}
    return root_certificate(signer) + b"".join(issued[serial] for serial in sorted(issued))


def revocations(keys: Iterable[CertifiedKey], signer: Signer, *, at: datetime) -> bytes:
    """Return the list of revoked certificates (PEM) as of a time."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(_root_name(signer.public_key))
        .last_update(at)
        .next_update(at + _LIST_LASTS)
    )
    gone = {_serial(key): key.revoked for key in keys if key.revoked is not None}
    for serial, revoked in sorted(gone.items()):
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(revoked)
        builder = builder.add_revoked_certificate(entry.build())
    return signer.revoke(builder).public_bytes(serialization.Encoding.PEM)


def verify_root(content: bytes) -> PublicKey:
    """Return the key of a root certificate that signed itself, in its one spelling.

    Raises
    ------
    CertificateRefusedError
        If it is anything else.
    """
    try:
        root = x509.load_pem_x509_certificate(content)
        root.verify_directly_issued_by(root)
        if _pem(root) != content:
            raise CertificateRefusedError(what=_ROOT)
        return _key_of(root)
    except _UNFIT as error:
        raise CertificateRefusedError(what=_ROOT) from error


def verify_chain(content: bytes, root: bytes) -> dict[int, CertifiedKey]:
    """Return each certified key by its certificate's serial number.

    Raises
    ------
    CertificateRefusedError
        If one was not issued by the root, or they are not in their one spelling.
    """
    try:
        issuer = x509.load_pem_x509_certificate(root)
        found = x509.load_pem_x509_certificates(content)
        if found[0] != issuer or b"".join(_pem(one) for one in found) != content:
            raise CertificateRefusedError(what=_CHAIN)
        for one in found[1:]:
            one.verify_directly_issued_by(issuer)
        by_serial = {one.serial_number: _certified(one) for one in found[1:]}
        if len(by_serial) != len(found) - 1:
            raise CertificateRefusedError(what=_CHAIN)
        return by_serial
    except (*_UNFIT, x509.ExtensionNotFound) as error:
        raise CertificateRefusedError(what=_CHAIN) from error


def verify_revocations(content: bytes, root: bytes) -> Mapping[int, datetime]:
    """Return when which certificates were revoked, by serial number.

    Raises
    ------
    CertificateRefusedError
        If the root did not sign it, or it is not in its one spelling.
    """
    try:
        issuer = x509.load_pem_x509_certificate(root)
        listed = x509.load_pem_x509_crl(content)
        key = issuer.public_key()
        is_ours = isinstance(key, Ed25519PublicKey) and listed.is_signature_valid(key)
        if not is_ours or listed.public_bytes(serialization.Encoding.PEM) != content:
            raise CertificateRefusedError(what=_REVOKED)
        return {one.serial_number: one.revocation_date_utc for one in listed}
    except _UNFIT as error:
        raise CertificateRefusedError(what=_REVOKED) from error


def _certificate(key: CertifiedKey, signer: Signer) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, key.owner.uri[-64:])])
    builder = _builder(name, key.key, key.since, key.until, serial=_serial(key))
    builder = (
        builder.issuer_name(_root_name(signer.public_key))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(root=False), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(key.owner.uri)]),
            critical=False,
        )
    )
    return _pem(signer.certify(builder))


def _certified(one: x509.Certificate) -> CertifiedKey:
    names = one.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    (uri,) = names.get_values_for_type(x509.UniformResourceIdentifier)
    since, until = one.not_valid_before_utc, one.not_valid_after_utc
    return CertifiedKey(_key_of(one), KeyOwner.of_uri(uri), since, until)


def _key_of(one: x509.Certificate) -> PublicKey:
    key = one.public_key()
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("not an Ed25519 key")
    return PublicKey(key)


def _builder(
    name: x509.Name, key: PublicKey, since: datetime, until: datetime, serial: int | None = None
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .public_key(serialization.load_pem_public_key(key.pem))  # type: ignore[arg-type]
        .serial_number(serial or int.from_bytes(hashlib.sha256(key.raw).digest()[:19]))
        .not_valid_before(since)
        .not_valid_after(until)
    )


def _serial(key: CertifiedKey) -> int:
    """Return a number for exactly this key, owner and time: 152 bits, RFC 5280 allows 160."""
    told = f"{key.key.keyid}\n{key.owner.uri}\n{key.since}\n{key.until}".encode()
    return int.from_bytes(hashlib.sha256(told).digest()[:19])


def _root_name(key: PublicKey) -> x509.Name:
    name = f"trifed register {Sha256(key.keyid).hex[:16]}"
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _usage(*, root: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=not root,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=root,
        crl_sign=root,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
