"""The centre's certificate authority: one EC P-256 root, two kinds of leaves.

The root is made once by `trifed centre init` and signs the centre's server
certificate and one client certificate per enrolled node. A node's certificate
carries its site as a URI (`trifed://site/<id>`); nothing else in it is trusted.
Dates come from the caller's clock; serials are random. Profile: RFC 5280 with
critical BasicConstraints and KeyUsage, EKU, and both key identifiers.
"""

import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from federation.domain.ids import SiteId
from federation.errors.core import InvalidIdError, UnreadableRecordError
from federation.errors.enrolment import (
    DocumentUnreadableError,
    RequestTamperedError,
    WrongSiteError,
)
from federation.pki.keys import TlsPrivateKey, TlsPublicKey, check_tls_key

CA_LIFETIME = timedelta(days=3653)
LEAF_LIFETIME = timedelta(days=397)
CLOCK_SKEW = timedelta(minutes=5)
_URI = "trifed://site/"


@dataclass(frozen=True, slots=True)
class Authority:
    """The root certificate together with its private key; exists at the centre only."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def issue_server(
        self,
        key: TlsPublicKey,
        *,
        host_names: Sequence[str],
        loopback: bool,
        now: datetime,
        lifetime: timedelta = LEAF_LIFETIME,
    ) -> x509.Certificate:
        """Return the centre's server certificate.

        `host_names` may hold DNS names and IP addresses; `loopback` adds
        localhost, 127.0.0.1 and ::1, for a centre that is tried on one machine.
        """
        names = dict.fromkeys(
            [*host_names, *(("localhost", "127.0.0.1", "::1") if loopback else ())]
        )
        return self._issue(
            key,
            common_name=next(iter(names)),
            names=[_general_name(name) for name in names],
            usage=ExtendedKeyUsageOID.SERVER_AUTH,
            now=now,
            lifetime=lifetime,
        )

    def issue_node(
        self,
        key: TlsPublicKey,
        *,
        site: SiteId,
        now: datetime,
        lifetime: timedelta = LEAF_LIFETIME,
    ) -> x509.Certificate:
        """Return a node's client certificate for a key that `verify_csr` returned."""
        return self._issue(
            key,
            common_name=site,
            names=node_names(site),
            usage=ExtendedKeyUsageOID.CLIENT_AUTH,
            now=now,
            lifetime=lifetime,
        )

    def _issue(
        self,
        key: TlsPublicKey,
        *,
        common_name: str,
        names: Sequence[x509.GeneralName],
        usage: x509.ObjectIdentifier,
        now: datetime,
        lifetime: timedelta,
    ) -> x509.Certificate:
        checked = check_tls_key(key)
        ends = min(_seconds(now) + lifetime, self.certificate.not_valid_after_utc)
        return (
            _builder(checked, common_name=common_name, now=now, ends=ends)
            .issuer_name(self.certificate.subject)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(ca=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
            .sign(self.key, hashes.SHA256())
        )


def new_authority(
    key: ec.EllipticCurvePrivateKey, *, name: str, now: datetime, lifetime: timedelta = CA_LIFETIME
) -> Authority:
    """Return a new self-signed root for `key`; it may sign leaves only."""
    builder = _builder(key.public_key(), common_name=name, now=now, ends=_seconds(now) + lifetime)
    certificate = (
        builder.issuer_name(_name(name))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(ca=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate, key)


def node_names(site: SiteId) -> list[x509.GeneralName]:
    """Return the names a node asks for and gets: its URI and a DNS name."""
    return [x509.UniformResourceIdentifier(_URI + site), x509.DNSName(f"{site}.site.internal")]


def new_csr(key: TlsPrivateKey, *, site: SiteId) -> x509.CertificateSigningRequest:
    """Return a node's request for a certificate, signed with its own key."""
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return (
        x509.CertificateSigningRequestBuilder()
        .subject_name(_name(site))
        .add_extension(x509.SubjectAlternativeName(node_names(site)), critical=False)
        .sign(key, algorithm)
    )


def verify_csr(pem: str, *, site: SiteId) -> TlsPublicKey:
    """Return the key of a request that its owner signed for `site`.

    Raises
    ------
    DocumentUnreadableError
        If it is not a certificate request.
    RequestTamperedError
        If its own signature does not hold.
    KeyRefusedError
        If the key is not EC P-256, EC P-384 or Ed25519.
    WrongSiteError
        If it asks for another site, or for no site.
    """
    try:
        csr = x509.load_pem_x509_csr(pem.encode())
        key = csr.public_key()
        found = _site_in(csr.extensions)
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension) as error:
        raise DocumentUnreadableError(document="certificate request", why="not PKCS #10") from error
    checked = check_tls_key(key)
    if not _csr_signature_holds(csr):
        raise RequestTamperedError(
            document="request", site=site, part="the signature of the certificate request"
        )
    if found != site:
        raise WrongSiteError(
            document="certificate request", actual=found or "no site", expected=site
        )
    return checked


def _csr_signature_holds(csr: x509.CertificateSigningRequest) -> bool:
    try:
        return csr.is_signature_valid
    except (InvalidSignature, UnsupportedAlgorithm):
        return False


def load_certificate(pem: str, *, document: str) -> x509.Certificate:
    """Return one certificate from PEM; `document` names where it was found.

    Raises
    ------
    DocumentUnreadableError
        If it is not exactly one X.509 certificate.
    """
    try:
        (certificate,) = x509.load_pem_x509_certificates(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise DocumentUnreadableError(
            document=document, why="it does not hold one X.509 certificate"
        ) from error
    return certificate


def read_certificate(path: Path) -> x509.Certificate:
    """Return the certificate in a PEM file.

    Raises
    ------
    UnreadableRecordError
        If it is missing or not one certificate.
    """
    try:
        return load_certificate(path.read_text(encoding="utf-8"), document=path.name)
    except (OSError, UnicodeDecodeError, DocumentUnreadableError) as error:
        raise UnreadableRecordError(kind=f"certificate {path.name}", why=str(error)) from error


def certificate_pem(certificate: x509.Certificate) -> str:
    """Return a certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of the DER form as people read it: AB:CD:... (32 bytes)."""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def key_digest(key: TlsPublicKey) -> str:
    """Return the SHA-256 of a public key's SubjectPublicKeyInfo, in hexadecimal."""
    encoded = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(encoded).hexdigest()


def serial_text(certificate: x509.Certificate) -> str:
    """Return a certificate's serial in hexadecimal."""
    return f"{certificate.serial_number:x}"


def is_issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Return whether `authority` signed `certificate`."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def site_of(certificate: x509.Certificate) -> SiteId | None:
    """Return the site a certificate names, or None if it names none or several."""
    try:
        return _site_in(certificate.extensions)
    except (ValueError, x509.DuplicateExtension):
        return None


def _site_in(extensions: x509.Extensions) -> SiteId | None:
    try:
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    if len(uris) != 1 or not uris[0].startswith(_URI):
        return None
    try:
        return SiteId(uris[0].removeprefix(_URI))
    except InvalidIdError:
        return None


def _builder(
    key: TlsPublicKey, *, common_name: str, now: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(common_name))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_seconds(now) - CLOCK_SKEW)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _seconds(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )
