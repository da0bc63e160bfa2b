"""Passwords: what is accepted, and argon2id over them (RFC 9106, second recommended option).

A check takes as long for an account without a password as for one with it. At most four
run at once: each takes 64 MiB, and a crowd at the log-in must not take the machine.
"""

import threading
from dataclasses import dataclass, field

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from federation.errors.access import PasswordRefusedError
from federation.wording import Text

MIN_LENGTH = 12
MAX_LENGTH = 256
_AT_ONCE = 4

_SHORT = Text(en="it has fewer than 12 characters", zh="少於 12 個字元")
_LONG = Text(en="it has more than 256 characters", zh="超過 256 個字元")
_NAME = Text(en="it holds the account's name", zh="包含帳號名稱")
_COMMON = Text(en="it is among those tried first", zh="屬於最常被嘗試的密碼")

_COMMON_PARTS = (
    "password",
    "passw0rd",
    "qwertyuiop",
    "1qaz2wsx",
    "letmein",
    "iloveyou",
    "administrator",
    "welcome123",
    "trifed",
)
"""What remains of a common password when digits and repetition are taken away."""


def check_password(password: str, *, name: str) -> None:
    """Return if a new password is fit (NIST SP 800-63B 5.1.1.2: length and a list, no recipes).

    Raises
    ------
    PasswordRefusedError
        With the first reason against it.
    """
    plain = password.casefold()
    left = plain
    for part in _COMMON_PARTS:
        left = left.replace(part, "")
    for why, refused in (
        (_SHORT, len(password) < MIN_LENGTH),
        (_LONG, len(password) > MAX_LENGTH),
        (_NAME, name.casefold() in plain),
        (_COMMON, len(set(plain)) < 5 or len(left.strip("0123456789!.-_ ")) < 4),
    ):
        if refused:
            raise PasswordRefusedError(why=why)


def _hasher() -> PasswordHasher:
    return PasswordHasher(time_cost=3, memory_cost=64 * 1024, parallelism=4, type=Type.ID)


@dataclass(frozen=True, slots=True)
class Passwords:
    """Hash and compare passwords; `hasher` holds the costs."""

    hasher: PasswordHasher = field(default_factory=_hasher)
    _turn: threading.BoundedSemaphore = field(
        default_factory=lambda: threading.BoundedSemaphore(_AT_ONCE)
    )
    _decoy: list[str] = field(default_factory=list)

    def hash(self, password: str) -> str:
        """Return what is stored: algorithm, costs, salt and hash (PHC string)."""
        with self._turn:
            return self.hasher.hash(password)

    def fits(self, password: str, stored: str | None) -> bool:
        """Say whether a password is the stored one; never, and as slowly, where none is stored."""
        with self._turn:
            try:
                self.hasher.verify(stored or self._nobodys(), password[: MAX_LENGTH + 1])
            except (VerificationError, InvalidHashError):
                return False
        return stored is not None

    def renewed(self, password: str, stored: str) -> str:
        """Return the hash to keep after a log-in: a new one where today's costs are others."""
        return self.hash(password) if self.hasher.check_needs_rehash(stored) else stored

    def _nobodys(self) -> str:
        """Return the hash of a password that nobody has."""
        if not self._decoy:
            self._decoy.append(self.hasher.hash("\0nobody's password"))
        return self._decoy[0]
