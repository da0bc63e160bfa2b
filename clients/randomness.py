"""Where a hospital's noise and sampling come from: `federation.privacy.randomness`.

The generator is there because the centre's own mechanism needs the same one; this is
the name it has at a hospital.
"""

from federation.privacy.randomness import Numbers, RandomSource, SecureRandom

__all__ = ["Numbers", "RandomSource", "SecureRandom"]
