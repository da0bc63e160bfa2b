"""The accounts' key: seals rows, encrypts seeds, turns secrets into what may be stored.

Whoever can write to the database but does not have `keys/accounts.key` can neither make
a session nor give a role: every row's seal is HMAC-SHA256 over its table name and all its
values, and a secret's stored form is HMAC-SHA256 over it. Seeds of one-time codes are
encrypted by AES-256-GCM, bound to their account's name.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from federation.errors.access import AccountKeyError, AccountTamperedError
from federation.evidence.canonical import canonical

KEY_BYTES = 32
SECRET_BYTES = 32
_NONCE_BYTES = 12


def new_key() -> bytes:
    """Return a new key as its file holds it: 64 hexadecimal digits."""
    return secrets.token_hex(KEY_BYTES).encode()


def new_secret() -> str:
    """Return a secret of 256 random bits that can stand in a cookie, a link or a header."""
    return secrets.token_urlsafe(SECRET_BYTES)


@dataclass(frozen=True, slots=True)
class Sealing:
    """What can be done with the key; the key itself is not shown."""

    _key: bytes = field(repr=False)

    @classmethod
    def of_file(cls, content: bytes) -> "Sealing":
        """Return the sealing of a key file.

        Raises
        ------
        AccountKeyError
            If it is not what `new_key` writes.
        """
        try:
            key = bytes.fromhex(content.decode("ascii").strip())
        except ValueError as error:
            raise AccountKeyError(why="not 64 hexadecimal digits") from error
        if len(key) != KEY_BYTES:
            raise AccountKeyError(why="not 64 hexadecimal digits")
        return cls(key)

    def digest(self, purpose: str, secret: str) -> str:
        """Return what is stored of a secret, 64 hexadecimal digits; another for each purpose."""
        return self._mac("digest", purpose.encode() + b"\0" + secret.encode()).hex()

    def seal(self, values: dict[str, object]) -> bytes:
        """Return the seal of a row (32 bytes)."""
        return self._mac("seal", canonical(values))

    def check(self, values: dict[str, object], seal: bytes, *, name: str) -> None:
        """Return if a row is as sealed.

        Raises
        ------
        AccountTamperedError
            If it is not; `name` says whose it is.
        """
        if not hmac.compare_digest(self.seal(values), seal):
            raise AccountTamperedError(name=name)

    def encrypt(self, text: str, *, name: str) -> str:
        """Return a text readable only with the key and for the same account name (hexadecimal)."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return (nonce + self._cipher().encrypt(nonce, text.encode(), name.encode())).hex()

    def decrypt(self, content: str, *, name: str) -> str:
        """Return what `encrypt` was given; raises `AccountTamperedError`."""
        raw = bytes.fromhex(content)
        try:
            plain = self._cipher().decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], name.encode())
        except InvalidTag as error:
            raise AccountTamperedError(name=name) from error
        return plain.decode()

    def _cipher(self) -> AESGCM:
        return AESGCM(self._mac("encrypt", b""))

    def _mac(self, use: str, content: bytes) -> bytes:
        """Return the code of a content under the key of one use only."""
        key = hmac.new(self._key, f"trifed.accounts/1 {use}".encode(), hashlib.sha256).digest()
        return hmac.new(key, content, hashlib.sha256).digest()
