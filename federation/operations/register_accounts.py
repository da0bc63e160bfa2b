"""The accounts of a centre's register: their key, their provider, certificates for programs.

`accounts_in` opens them; the key `keys/accounts.key` is made with the first account and
never again, so that a home restored without it says so (TF777) instead of starting anew.
Registry and web framework are imported inside the functions only.
"""

import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from federation.coordinator.home import CentreHome
from federation.errors.access import AccountKeyError, AccountTamperedError, IdentitySettingError
from federation.errors.core import UnreadableRecordError
from federation.errors.enrolment import KeyFileUnsafeError
from federation.evidence.signing import Signer
from federation.homes import parse_address, read_private, read_settings
from federation.pki.authority import CLOCK_SKEW, LEAF_LIFETIME, certificate_pem
from federation.pki.keys import new_tls_key, private_pem
from federation.storage import write_new

if TYPE_CHECKING:
    from registry.accounts.identity import Provider
    from registry.accounts.sealing import Sealing
    from registry.accounts.service import Accounts

KEY_FILE = "accounts.key"
PROVIDER_FILE = "oidc.toml"
PORT = 8480
_TABLE = "oidc"
_NEEDED = ("issuer", "client_id", "client_secret_file")
_KNOWN = {*_NEEDED, "acr", "authority"}


def own_origin(home: CentreHome, *, port: int = PORT) -> str:
    """Return the register's own address: the centre's host name with the register's port."""
    host, _ = parse_address(home.settings().address)
    shown = f"[{host}]" if ":" in host else host
    return f"https://{shown}" if port == 443 else f"https://{shown}:{port}"


def accounts_in(home: CentreHome, *, origin: str) -> "Accounts":
    """Return the accounts of a home, for a register that people reach at `origin`.

    Raises
    ------
    AccountKeyError, IdentitySettingError
        If the key or the provider's file cannot be used.
    """
    from registry.accounts.passkeys import Site
    from registry.accounts.service import accounts_of

    host = urlsplit(origin).hostname or "localhost"
    return accounts_of(
        database_url=home.database_url,
        signer=Signer.load(home.evidence_key),
        sealing=sealing_of(home),
        site=Site(host, origin, home.settings().name),
        provider=provider_of(home),
    )


def sealing_of(home: CentreHome) -> "Sealing":
    """Return what the accounts' key does; the key is made if there is no account yet.

    Raises
    ------
    AccountKeyError
        If it is missing although there are accounts, unsafe, or no such key.
    """
    from registry.accounts.sealing import Sealing, new_key

    path = home.evidence_key.with_name(KEY_FILE)
    if not path.exists():
        _check_no_accounts(home)
        with suppress(FileExistsError):  # another process was first; its key counts
            write_new(path, new_key())
    try:
        return Sealing.of_file(read_private(path))
    except KeyFileUnsafeError as error:
        raise AccountKeyError(why=str(error.values["why"])) from error


def _check_no_accounts(home: CentreHome) -> None:
    from registry.accounts.items import Account
    from registry.accounts.sealing import Sealing, new_key
    from registry.accounts.tables import SqlAccountStore

    another = Sealing.of_file(new_key())
    try:
        with SqlAccountStore(home.database_url, another).looking() as books:
            books.items.page(Account, after="", limit=1)
    except AccountTamperedError as error:
        raise AccountKeyError(why="missing, although there are accounts") from error


def provider_of(home: CentreHome) -> "Provider | None":
    """Return the identity provider that `oidc.toml` names, None where there is no such file.

    Raises
    ------
    IdentitySettingError
        If the file, or what it names, cannot be used.
    """
    from registry.accounts.identity import Provider

    path = home.folder / PROVIDER_FILE
    if not path.exists():
        return None
    try:
        given = read_settings(path).get(_TABLE, {})
    except UnreadableRecordError as error:
        raise _setting("it is not TOML with a table [oidc]") from error
    _check_provider(given)
    return Provider(
        issuer=str(given["issuer"]),
        client_id=str(given["client_id"]),
        client_secret=_secret(home.folder / str(given["client_secret_file"])),
        acr=str(given["acr"]) if "acr" in given else None,
        trust=_trust(home.folder, given),
    )


def _check_provider(given: Mapping[str, object]) -> None:
    missing = [name for name in _NEEDED if not isinstance(given.get(name), str)]
    if missing or not given.keys() <= _KNOWN:
        named = ", ".join(missing or sorted(given.keys() - _KNOWN))
        raise _setting(f"missing or unknown: {named}")
    if urlsplit(str(given["issuer"])).scheme != "https":
        raise _setting("the issuer is not an https address")


def _secret(path: Path) -> str:
    try:
        return read_private(path).decode("utf-8").strip()
    except (KeyFileUnsafeError, UnicodeDecodeError) as error:
        raise _setting("the client secret's file is missing or may be read by others") from error


def _trust(folder: Path, given: Mapping[str, object]) -> ssl.SSLContext | bool:
    if "authority" not in given:
        return True
    try:
        return ssl.create_default_context(cafile=folder / str(given["authority"]))
    except (OSError, ssl.SSLError) as error:
        raise _setting("the authority's file cannot be read") from error


def _setting(why: str) -> IdentitySettingError:
    return IdentitySettingError(file=PROVIDER_FILE, why=why)


@dataclass(frozen=True, slots=True)
class ServiceCertificate:
    """A program's new certificate with its key, as PEM, and the certificate as DER."""

    key: bytes
    certificate: str
    der: bytes
    expires: datetime


def issue_service_certificate(
    home: CentreHome, *, name: str, now: datetime | None = None
) -> ServiceCertificate:
    """Return a new client certificate of the centre's authority for a program.

    It names the program as `trifed://service/NAME`, never a site, so that the hospitals'
    doors do not take it for a node's.
    """
    authority, key = home.authority(), new_tls_key()
    now = (now or datetime.now(UTC)).replace(microsecond=0)
    expires = min(now + LEAF_LIFETIME, authority.certificate.not_valid_after_utc)
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    issuer_key = authority.key.public_key()
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])]))
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(expires)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.UniformResourceIdentifier(f"trifed://service/{name}")]
            ),
            critical=False,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False
        )
        .sign(authority.key, hashes.SHA256())
    )
    der = made.public_bytes(serialization.Encoding.DER)
    return ServiceCertificate(private_pem(key), certificate_pem(made), der, expires)
