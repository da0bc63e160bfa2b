"""Release counts of patients with exact discrete Gaussian noise.

Unit one patient, add/remove: one patient moves at most `cells` of the counts, each by
one. Noise of the integers needs no floating point, so its low bits tell nothing
(Canonne, Kamath & Steinke 2020, algorithms 1 to 3, exact with rational parameters).

    release = NoisyCounts(sigma=Fraction(5), cells=1).release([812, 97], source=SecureRandom())
    release.counts, release.events

A noisy count may be negative, and needs no small-cell rule: that it is wrong is its
protection. Round or cut it afterwards as you like, it costs nothing more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from federation.domain.study import CountsPlan
from federation.errors.privacy import InvalidPrivacyEventError
from federation.privacy.events import DiscreteGaussian, PrivacyEvent
from federation.privacy.randomness import IntegerSource

MOST_DENOMINATOR = 1000
CELLS_OF_A_CARD = 3
"""How many of a dataset card's noisy counts one patient is part of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoisyCounts:
    """The mechanism of one release of counts.

    Parameters
    ----------
    sigma
        The noise's parameter in patients; above 0, at most three decimals.
    cells
        How many of the counts one patient can be part of, at most.

    Raises
    ------
    InvalidPrivacyEventError
        If the event it stands for cannot be.
    """

    sigma: Fraction
    cells: int = 1

    def __post_init__(self) -> None:
        DiscreteGaussian(float(self.sigma), self.cells, 1)
        if self.sigma.denominator > MOST_DENOMINATOR:
            raise InvalidPrivacyEventError(
                kind=DiscreteGaussian.kind,
                field="sigma",
                actual=str(self.sigma)[:60],
                expected="a number with at most three decimals",
            )

    @property
    def events(self) -> tuple[PrivacyEvent, ...]:
        """Return what one release costs."""
        return (DiscreteGaussian(float(self.sigma), self.cells, 1),)

    def release(self, counts: Sequence[int], *, source: IntegerSource) -> "NoisyCountsRelease":
        """Return the counts with fresh noise on each, with what it costs."""
        noisy = tuple(count + discrete_gaussian(self.sigma, source) for count in counts)
        return NoisyCountsRelease(noisy, self)


def mechanism_of_counts(plan: CountsPlan) -> NoisyCounts:
    """Return the mechanism of the counts that a study asks of each hospital.

    A patient is in three of them: all, one sex, one age band. The plan's sigma is
    rounded to three decimals.
    """
    return NoisyCounts(
        sigma=Fraction(plan.sigma).limit_denominator(MOST_DENOMINATOR), cells=CELLS_OF_A_CARD
    )


@dataclass(frozen=True, slots=True)
class NoisyCountsRelease:
    """Noisy counts and, inseparably, their mechanism."""

    counts: tuple[int, ...]
    mechanism: NoisyCounts

    @property
    def events(self) -> tuple[PrivacyEvent, ...]:
        """Return what these counts cost."""
        return self.mechanism.events


def discrete_gaussian(sigma: Fraction, source: IntegerSource) -> int:
    """Return a draw with chance proportional to exp(-x^2 / 2 sigma^2) (algorithm 3)."""
    scale = int(sigma) + 1
    variance = sigma * sigma
    while True:
        found = _discrete_laplace(scale, source)
        excess = abs(found) - variance / scale
        if _bernoulli_exp(excess * excess / (2 * variance), source):
            return found


def _discrete_laplace(scale: int, source: IntegerSource) -> int:
    """Return a draw with chance proportional to exp(-|x| / scale) (algorithm 2)."""
    while True:
        rest = source.below(scale)
        if not _bernoulli_exp(Fraction(rest, scale), source):
            continue
        whole = 0
        while _bernoulli_exp(Fraction(1), source):
            whole += 1
        size, negative = rest + scale * whole, source.below(2) == 1
        if size or not negative:
            return -size if negative else size


def _bernoulli_exp(gamma: Fraction, source: IntegerSource) -> bool:
    """Return True with chance exp(-gamma), gamma at least 0 (algorithm 1)."""
    while gamma > 1:
        if not _bernoulli_exp(Fraction(1), source):
            return False
        gamma -= 1
    turns = 1
    while source.below(turns * gamma.denominator) < gamma.numerator:
        turns += 1
    return turns % 2 == 1
