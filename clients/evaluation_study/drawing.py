"""Draw patients by a rule that the protocol fixes, the same in every run and for every version.

The SHA-256 of the study's seed, a purpose and the patient's pseudonym decides, so nobody can
choose, and a patient keeps the place when others come or go.
"""

import hashlib

CALIBRATION, EXPLANATION = "calibration", "explanation"
"""What patients are drawn for."""


def draw(seed: int, purpose: str, key: str) -> float:
    """Return a patient's number for a purpose, as good as uniform in [0, 1)."""
    digest = hashlib.sha256(f"{seed}\n{purpose}\n{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
