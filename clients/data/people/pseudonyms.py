"""Give a project's pseudonyms: keyed, so that only the hospital can make or link them.

Every name is HMAC-SHA-256 under the project's key with the purpose as domain
separation, so a patient's pseudonym says nothing of the UIDs, and the same
person has other pseudonyms in another project (another key). The key is 32
random bytes in a file of mode 0600 that never leaves the hospital.
"""

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from federation.errors.data import PseudonymKeyError

KEY_BYTES = 32
SHIFT_DAYS = 1825


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """The pseudonyms of one project. The key is not shown by `repr`."""

    key: bytes = field(repr=False)

    @classmethod
    def open_or_create(cls, path: Path) -> Self:
        """Return the pseudonyms of the key file, making the file on first use.

        Raises
        ------
        PseudonymKeyError
            If the file has another size or can be read by others.
        """
        if not path.exists():
            _create(path)
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Return the pseudonyms of an existing key file.

        Raises
        ------
        PseudonymKeyError
            If it is missing, of another size, or open to others.
        """
        try:
            mode, key = path.stat().st_mode, path.read_bytes()
        except OSError as error:
            raise PseudonymKeyError(why=type(error).__name__) from error
        if mode & 0o077:
            raise PseudonymKeyError(why=f"mode {mode & 0o777:o}, expected 600")
        if len(key) != KEY_BYTES:
            raise PseudonymKeyError(why=f"{len(key)} bytes, expected {KEY_BYTES}")
        return cls(key)

    def patient(self, source: str) -> str:
        """Return the pseudonym of a patient: ``P`` and 32 hexadecimal digits."""
        return "P" + self._digest("patient", source.encode()).hex()[:32]

    def uid(self, source: str) -> str:
        """Return the UID that stands for `source`, under 2.25 (PS3.5 B.2)."""
        return f"2.25.{int.from_bytes(self._digest('uid', source.encode())[:16], 'big')}"

    def shift_days(self, patient: str) -> int:
        """Return by how many days a patient's dates go back: 1 to 1825, a whole number."""
        digest = self._digest("shift", patient.encode())
        return 1 + int.from_bytes(digest[:8], "big") % SHIFT_DAYS

    def content(self, digest: bytes) -> str:
        """Return the key under which a source file's SHA-256 is remembered."""
        return self._digest("content", digest).hex()

    def pixels(self, digest: bytes) -> str:
        """Return the key under which decoded pixels are remembered."""
        return self._digest("pixels", digest).hex()

    def _digest(self, purpose: str, source: bytes) -> bytes:
        return hmac.digest(self.key, purpose.encode() + b"\0" + source, hashlib.sha256)


def _create(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(part, path)  # never replaces a key that another process just made
    except FileExistsError:
        pass
    finally:
        part.unlink()
