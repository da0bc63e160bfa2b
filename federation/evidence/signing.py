"""Sign statements with an Ed25519 key kept in a file only its owner can read.

`new_key` makes the file, `Signer.load` reads it, `sign_dsse` signs. Who may
sign what is decided by the verifier's set of trusted keys, not here.
"""

import os
import stat
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federation.domain.ids import Sha256
from federation.errors.signed import KeyFileError
from federation.evidence.dsse import PAYLOAD_TYPE, Envelope, pae
from federation.evidence.statements import Statement
from federation.evidence.verification import PublicKey

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_MAX_KEY_BYTES = 16_384


class Signer:
    """An Ed25519 private key that can sign and nothing else. It is never printed."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public_key = PublicKey(key.public_key())

    @classmethod
    def load(cls, path: Path) -> "Signer":
        """Return the signer in a PKCS#8 PEM file of mode 0600.

        Raises
        ------
        KeyFileError
            If it is missing, readable by others, or not an Ed25519 key.
        """
        try:
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_mode & _OTHERS:
                    raise KeyFileError(name=path.name, why="others may read or write it")
                content = file.read(_MAX_KEY_BYTES)
        except OSError as error:
            raise KeyFileError(name=path.name, why=error.strerror or "unreadable") from error
        return cls(_private_key(content, path.name))

    @property
    def keyid(self) -> Sha256:
        """Return the content id of the public key."""
        return self.public_key.keyid

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature of `message`."""
        return self._key.sign(message)

    def certify(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        """Return the certificate, signed."""
        return builder.sign(self._key, None)

    def revoke(
        self, builder: x509.CertificateRevocationListBuilder
    ) -> x509.CertificateRevocationList:
        """Return the list of revoked certificates, signed."""
        return builder.sign(self._key, None)

    def __repr__(self) -> str:
        """Return the key id, never the key."""
        return f"Signer({self.keyid})"


def new_key(path: Path) -> Signer:
    """Make a key, write it to `path` (0600) and its public half beside it (`.pub`).

    Raises
    ------
    KeyFileError
        If the file is already there or cannot be written: a key is never replaced.
    """
    key = Ed25519PrivateKey.generate()
    content = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    signer = Signer(key)
    _write_once(path, content, mode=0o600)
    _write_once(path.with_suffix(".pub"), signer.public_key.pem, mode=0o644)
    return signer


def sign_dsse(statement: Statement, signer: Signer) -> str:
    """Return the statement in a signed DSSE envelope, as JSON text."""
    payload = statement.as_bytes()
    return Envelope(payload, signer.keyid, signer.sign(pae(PAYLOAD_TYPE, payload))).as_json()


def _private_key(content: bytes, name: str) -> Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyFileError(name=name, why="not an unencrypted PEM private key") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(name=name, why="not an Ed25519 key")
    return key


def _write_once(path: Path, content: bytes, *, mode: int) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)  # unlike a rename, fails if the name is taken
    except OSError as error:
        raise KeyFileError(name=path.name, why=error.strerror or "unwritable") from error
    finally:
        draft.unlink(missing_ok=True)
