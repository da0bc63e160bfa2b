"""Keep the keys of a project's pseudonyms behind a port, oldest first.

A `Key` computes HMAC-SHA-256 and never gives itself out, so that a PKCS#11 token
can stand behind it as well as a file. A `KeyProvider` holds the project's keys
in the order they came into use: names go through all of them, one after the
other (`pseudonyms.Names`), and the last one is current. Bodies: `FileKeys` (a
0600 file, 32 bytes a key) and `MemoryKeys` (tests, reader processes).
"""

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from federation.errors.data import PseudonymKeyError
from federation.errors.people import KeyUnknownError, RotationUnfinishedError

KEY_BYTES = 32
MOST_KEYS = 64
SWITCH = "rotation"
"""A file of this name beside the keys: a rotation is switching names, nobody may read them."""
_NAME_OF_KEY = b"trifed pseudonym key id"


class Key(Protocol):
    """One secret key that can be used and not read."""

    @property
    def id(self) -> str:
        """Return the key's name: 16 hexadecimal digits that say nothing of the key."""
        ...

    def hmac(self, purpose: str, data: bytes) -> bytes:
        """Return the 32 bytes of HMAC-SHA-256 over purpose, a zero byte and `data`."""
        ...


class KeyProvider(Protocol):
    """The keys of one project."""

    def ring(self) -> tuple[Key, ...]:
        """Return every key, oldest first; one at least."""
        ...

    def current(self) -> Key:
        """Return the key that came last."""
        ...

    def by_id(self, key_id: str) -> Key:
        """Return the key of that name; raises `KeyUnknownError`."""
        ...


@dataclass(frozen=True, slots=True)
class MemoryKey:
    """A key held in memory. It is not shown by `repr`."""

    secret: bytes = field(repr=False)

    @property
    def id(self) -> str:
        """Return the key's name."""
        return hmac.digest(self.secret, _NAME_OF_KEY, hashlib.sha256).hex()[:16]

    def hmac(self, purpose: str, data: bytes) -> bytes:
        """Return HMAC-SHA-256 over purpose, a zero byte and `data`."""
        return hmac.digest(self.secret, purpose.encode() + b"\0" + data, hashlib.sha256)


@dataclass(frozen=True, slots=True)
class MemoryKeys:
    """Keys in memory, oldest first.

    Raises
    ------
    PseudonymKeyError
        If there is none, too many, or one is not of 32 bytes.
    """

    secrets: tuple[bytes, ...] = field(repr=False)

    def __post_init__(self) -> None:
        if not 1 <= len(self.secrets) <= MOST_KEYS:
            raise PseudonymKeyError(why=f"{len(self.secrets)} keys, expected 1 to {MOST_KEYS}")
        for secret in self.secrets:
            if len(secret) != KEY_BYTES:
                raise PseudonymKeyError(why=f"{len(secret)} bytes, expected {KEY_BYTES}")

    @classmethod
    def of(cls, ring: bytes) -> "MemoryKeys":
        """Return the keys written one after the other in `ring`.

        Raises
        ------
        PseudonymKeyError
            If its length is not a whole number of keys.
        """
        if not ring or len(ring) % KEY_BYTES:
            raise PseudonymKeyError(why=f"{len(ring)} bytes, expected a multiple of {KEY_BYTES}")
        return cls(tuple(ring[n : n + KEY_BYTES] for n in range(0, len(ring), KEY_BYTES)))

    def ring(self) -> tuple[Key, ...]:
        """Return every key, oldest first."""
        return tuple(map(MemoryKey, self.secrets))

    def current(self) -> Key:
        """Return the key that came last."""
        return MemoryKey(self.secrets[-1])

    def by_id(self, key_id: str) -> Key:
        """Return the key of that name; raises `KeyUnknownError`."""
        return _find(self.ring(), key_id)


@dataclass(frozen=True, slots=True)
class FileKeys:
    """Keys in a file of mode 0600 that never leaves the hospital."""

    path: Path

    def ring(self) -> tuple[Key, ...]:
        """Return every key, oldest first; raises `PseudonymKeyError`."""
        return MemoryKeys.of(read_ring(self.path)).ring()

    def current(self) -> Key:
        """Return the key that came last."""
        return self.ring()[-1]

    def by_id(self, key_id: str) -> Key:
        """Return the key of that name; raises `KeyUnknownError`."""
        return _find(self.ring(), key_id)


def read_ring(path: Path, *, switching: bool = False) -> bytes:
    """Return the bytes of a key file: 32 a key, oldest first.

    Raises
    ------
    PseudonymKeyError
        If it is missing, of another size, or open to others.
    RotationUnfinishedError
        If a rotation was interrupted while it switched; `switching` reads on.
    """
    if not switching:
        check_not_switching(path.parent)
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            ring = file.read(KEY_BYTES * MOST_KEYS + 1)
    except OSError as error:
        raise PseudonymKeyError(why=type(error).__name__) from error
    if mode & 0o077:
        raise PseudonymKeyError(why=f"mode {mode & 0o777:o}, expected 600")
    MemoryKeys.of(ring)
    return ring


def check_not_switching(keys: Path) -> None:
    """Raise `RotationUnfinishedError` while the names below a key folder are being switched."""
    if (keys / SWITCH).exists():
        raise RotationUnfinishedError()


def new_key() -> bytes:
    """Return a fresh key from the system's secure generator."""
    return secrets.token_bytes(KEY_BYTES)


def create_ring(path: Path) -> None:
    """Write a file with one fresh key; a file that is there already is left alone."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(new_key())
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(part, path)  # never replaces a key that another process just made
    except FileExistsError:
        pass
    finally:
        part.unlink()


def _find(keys: tuple[Key, ...], key_id: str) -> Key:
    for key in keys:
        if hmac.compare_digest(key.id.encode(), key_id.encode()):
            return key
    raise KeyUnknownError()
