"""Where privacy noise and patient sampling come from: the operating system.

A guarantee is worth no more than its random numbers: a seeded generator can be
run again by whoever learns the seed, and the noise taken off. `SecureRandom`
reads the kernel's cryptographic generator (ChaCha20 on Linux) for every number
and keeps no state. Tests inject a seeded one through the protocol.
"""

import os
import secrets
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

_DRAWS = 4
_MANTISSA = 53
_CHUNK = 1 << 18


class RandomSource(Protocol):
    """Gives independent random numbers."""

    def uniform(self, size: int) -> Numbers:
        """Return float64 in [0, 1), shape (size,)."""
        ...

    def gaussian(self, size: int) -> Numbers:
        """Return float64 of mean 0 and standard deviation 1, shape (size,)."""
        ...


class IntegerSource(Protocol):
    """Gives independent whole numbers, for noise that is exact."""

    def below(self, bound: int) -> int:
        """Return a whole number from 0 to `bound` - 1, each with the same chance."""
        ...


class SecureRandom:
    """Random numbers from the operating system's cryptographic generator."""

    def uniform(self, size: int) -> Numbers:
        """Return float64 in [0, 1) on the grid of 2^-53, shape (size,)."""
        words = np.frombuffer(os.urandom(8 * size), dtype=np.uint64)
        return np.asarray((words >> np.uint64(64 - _MANTISSA)) * 2.0**-_MANTISSA)

    def below(self, bound: int) -> int:
        """Return a whole number from 0 to `bound` - 1, exactly uniform."""
        return secrets.randbelow(bound)

    def gaussian(self, size: int) -> Numbers:
        """Return standard normal float64, shape (size,).

        One draw of a float Gaussian has holes that show what it was added to
        (Mironov 2012). As Holohan & Braghin 2021 ("Secure Random Sampling in
        Differential Privacy", n = 2) each number is the sum of four independent
        draws divided by two: to undo it one must solve for all of them at once.
        """
        result = np.empty(size)
        for start in range(0, size, _CHUNK):
            count = min(_CHUNK, size - start)
            total = sum((self._box_muller(count) for _ in range(_DRAWS)), np.zeros(count))
            result[start : start + count] = total / np.sqrt(_DRAWS)
        return result

    def _box_muller(self, size: int) -> Numbers:
        pairs = (size + 1) // 2
        uniform = self.uniform(2 * pairs)
        radius = np.sqrt(-2 * np.log1p(-uniform[:pairs]))
        angle = 2 * np.pi * uniform[pairs:]
        return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:size]
