"""Hide one hospital in a round: central differential privacy over the sites' updates.

Unit one hospital, add/remove. Each update is looked at for NaN and infinity, cut to L2
norm S, weighted, summed, and divided by a *fixed* denominator: the hospitals declared
beforehand, never those that answered. On the mean goes Gaussian noise of standard
deviation z S w / n for the largest weight w. Result and event are one value.

    mechanism = CentralDp(clip_norm=1.0, noise_multiplier=1.1, declared=12)
    release = mechanism.release({site: update, ...}, noise=SecureRandom())
    release.mean, release.events

    mechanism = central_mechanism_of(study)     # what a study asks for; None at patient level

This is on top of what each hospital does for its patients, and kept in a book of its
own: its unit is another. The noise is float64 and follows Holohan & Braghin
(`randomness.py`); the discrete Gaussian is for counts (`counts.py`).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from federation.domain.ids import SiteId
from federation.domain.study import CentralPlan, Study
from federation.errors.privacy import CentralReleaseRefusedError
from federation.privacy.events import Gaussian, PrivacyEvent
from federation.privacy.randomness import RandomSource

Flat = NDArray[np.float32]

CLIP_MARGIN = 1e-6
"""Updates are cut this much shorter than S, which covers the rounding of norms and sums."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CentralDp:
    """The mechanism of one round: everything its guarantee depends on.

    Parameters
    ----------
    clip_norm
        S, the largest L2 norm of one hospital's update.
    noise_multiplier
        z, the noise's standard deviation divided by one hospital's largest influence.
    declared
        n, the hospitals that may take part, fixed before the round.
    largest_weight
        w, the most one hospital may count; 1 means that all count the same. Weights
        above it are refused: they are part of the sensitivity and were not charged.

    Raises
    ------
    CentralReleaseRefusedError
        If a number cannot be.
    InvalidPrivacyEventError
        If the event it stands for cannot be.
    """

    clip_norm: float
    noise_multiplier: float
    declared: int
    largest_weight: float = 1.0

    def __post_init__(self) -> None:
        Gaussian(self.noise_multiplier, 1)
        numbers = (self.clip_norm, self.largest_weight)
        if not all(math.isfinite(number) and number > 0 for number in numbers):
            raise CentralReleaseRefusedError(why="clip norm and weight must be above 0")
        if self.declared < 1:
            raise CentralReleaseRefusedError(why="no hospital was declared")

    @property
    def spread(self) -> float:
        """Return the standard deviation of the noise on each number of the mean."""
        return self.noise_multiplier * self.clip_norm * self.largest_weight / self.declared

    @property
    def events(self) -> tuple[PrivacyEvent, ...]:
        """Return what one release costs each hospital."""
        return (Gaussian(self.noise_multiplier, 1),)

    def release(
        self,
        updates: Mapping[SiteId, Flat],
        *,
        size: int,
        noise: RandomSource,
        weights: Mapping[SiteId, float] | None = None,
    ) -> "CentralRelease":
        """Return the noisy mean of the updates that arrived, with what it costs.

        An update with a NaN or infinity is a refused reply: its site is named and
        counts as zero, as one that did not answer. All-zero updates are legal.

        Parameters
        ----------
        updates
            Float32 of shape (size,), by site.
        noise
            `SecureRandom` everywhere but in tests.
        weights
            How much each site counts, in (0, `largest_weight`]; None counts all as 1.

        Raises
        ------
        CentralReleaseRefusedError
            If more sites answered than were declared, a weight is missing or too
            large, or an update has another shape.
        """
        if len(updates) > self.declared:
            raise CentralReleaseRefusedError(why="more hospitals answered than were declared")
        refused = tuple(sorted(s for s, one in updates.items() if not np.isfinite(one).all()))
        total = np.zeros(size)
        for site in sorted(updates.keys() - set(refused)):
            total += self._weight(site, weights) * self._cut(updates[site], size)
        mean = total / self.declared + self.spread * noise.gaussian(size)
        return CentralRelease(mean.astype(np.float32), self, refused)

    def _weight(self, site: SiteId, weights: Mapping[SiteId, float] | None) -> float:
        weight = 1.0 if weights is None else weights.get(site, math.nan)
        if not 0 < weight <= self.largest_weight:
            raise CentralReleaseRefusedError(why="a weight is missing or above the one charged")
        return weight

    def _cut(self, update: Flat, size: int) -> NDArray[np.float64]:
        if update.shape != (size,) or update.dtype != np.float32:
            raise CentralReleaseRefusedError(why="an update of another form")
        values = update.astype(np.float64)
        norm = float(np.linalg.norm(values))
        return values * min(1.0, self.clip_norm * (1 - CLIP_MARGIN) / max(norm, 1e-300))


def central_mechanism_of(study: Study) -> CentralDp | None:
    """Return the mechanism with which the centre hides one hospital; None if none is asked.

    The denominator is the number of the study's sites, whoever approved or answered.
    """
    plan = None if study.privacy is None else study.privacy.central
    if plan is None:
        return None
    return CentralDp(
        clip_norm=plan.clip_norm,
        noise_multiplier=plan.noise_multiplier,
        declared=len(study.sites),
    )


def central_events_of(plan: CentralPlan, *, rounds: int) -> tuple[PrivacyEvent, ...]:
    """Return what all rounds of a study cost each hospital, unit one hospital."""
    return (Gaussian(plan.noise_multiplier, rounds),)


@dataclass(frozen=True)
class CentralRelease:
    """One round's noisy mean and, inseparably, its mechanism.

    Parameters
    ----------
    mean
        Float32, shape (size,).
    mechanism
        What ran; `events` follow from it.
    refused
        The sites whose updates were not finite.
    """

    mean: Flat
    mechanism: CentralDp
    refused: tuple[SiteId, ...]
    unit: Literal["hospital"] = "hospital"

    @property
    def events(self) -> tuple[PrivacyEvent, ...]:
        """Return what this release cost each hospital."""
        return self.mechanism.events
