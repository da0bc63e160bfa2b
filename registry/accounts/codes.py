"""One-time codes (TOTP, RFC 6238: SHA-1, six digits, 30 seconds) and recovery codes.

A code counts in its own time step and the one before and after, and only once: the step
of the last code that counted is kept, and only later ones count.
"""

import hmac
import secrets
from datetime import datetime

import pyotp

ISSUER = "TriFed"
STEP_S = 30
RECOVERY_CODES = 10
_WINDOW = 1
_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"


def new_seed() -> str:
    """Return a new TOTP seed: 160 random bits in base 32."""
    return pyotp.random_base32()


def seed_address(seed: str, *, name: str) -> str:
    """Return the `otpauth://` address that an authenticator app reads."""
    return pyotp.TOTP(seed).provisioning_uri(name=name, issuer_name=ISSUER)


def step_of(code: str, seed: str, *, now: datetime, after: int) -> int | None:
    """Return the time step that a code belongs to, None when it does not count.

    Parameters
    ----------
    after
        The step of the last code that counted.
    """
    clock = pyotp.TOTP(seed)
    current = int(now.timestamp()) // STEP_S
    given = "".join(code.split())
    found: int | None = None
    for step in range(current - _WINDOW, current + _WINDOW + 1):
        expected = clock.generate_otp(step)
        if hmac.compare_digest(expected.encode(), given.encode()) and step > after:
            found = step
    return found


def new_recovery_codes() -> list[str]:
    """Return ten codes of 80 random bits each, spelled in four groups."""
    return ["-".join(_group() for _ in range(4)) for _ in range(RECOVERY_CODES)]


def plain_code(code: str) -> str:
    """Return a recovery code as it is compared: capitals, nothing in between."""
    return "".join(letter for letter in code.upper() if letter in _ALPHABET)


def _group() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(4))
