"""What a mechanism did, as the books keep it: parameters, never an epsilon.

An epsilon follows from events (`accountants.py`); an event never changes its
meaning. A new mechanism is a new class with a new `kind` in `EVENT_KINDS`, and a
line in the accountant. What is not in the table is refused, because an event
that cannot be read cannot be added up.

The relation is add/remove of one patient everywhere.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from federation.errors.privacy import InvalidPrivacyEventError, UnknownPrivacyEventError

MAX_COUNT = 10**9
"""More steps than this in one event is a mistake, not a plan."""


@dataclass(frozen=True, slots=True)
class PoissonSampledGaussian:
    """`steps` Gaussian sums, each over a fresh Poisson sample of the patients.

    Parameters
    ----------
    noise_multiplier
        Standard deviation of the noise divided by one patient's largest L2
        influence; above 0.
    sample_rate
        The chance of each patient, independent of all others, to be in a step;
        in (0, 1].
    steps
        How many steps, empty samples included.

    Raises
    ------
    InvalidPrivacyEventError
        If a number is outside its range or not finite.
    """

    kind: ClassVar[str] = "poisson-sampled-gaussian"

    noise_multiplier: float
    sample_rate: float
    steps: int

    def __post_init__(self) -> None:
        _check_positive(self.kind, "noise_multiplier", self.noise_multiplier)
        _check_positive(self.kind, "sample_rate", self.sample_rate)
        if self.sample_rate > 1:
            raise _invalid(self.kind, "sample_rate", self.sample_rate, "a number in (0, 1]")
        _check_count(self.kind, "steps", self.steps)

    def as_json(self) -> dict[str, object]:
        """Return the event as the books store it."""
        return {
            "kind": self.kind,
            "noise_multiplier": self.noise_multiplier,
            "sample_rate": self.sample_rate,
            "steps": self.steps,
        }


@dataclass(frozen=True, slots=True)
class Gaussian:
    """`count` Gaussian releases that every patient may be part of.

    Parameters
    ----------
    noise_multiplier
        Standard deviation of the noise divided by the L2 sensitivity; above 0.
    count
        How many releases.

    Raises
    ------
    InvalidPrivacyEventError
        If a number is outside its range or not finite.
    """

    kind: ClassVar[str] = "gaussian"

    noise_multiplier: float
    count: int

    def __post_init__(self) -> None:
        _check_positive(self.kind, "noise_multiplier", self.noise_multiplier)
        _check_count(self.kind, "count", self.count)

    def as_json(self) -> dict[str, object]:
        """Return the event as the books store it."""
        return {
            "kind": self.kind,
            "noise_multiplier": self.noise_multiplier,
            "count": self.count,
        }


@dataclass(frozen=True, slots=True)
class DiscreteGaussian:
    """`count` releases of whole numbers with discrete Gaussian noise on each.

    Parameters
    ----------
    sigma
        The parameter of the noise, in patients; above 0.
    cells
        How many of the numbers of one release one patient moves at most, each by one.
    count
        How many releases.

    Raises
    ------
    InvalidPrivacyEventError
        If a number is outside its range or not finite.
    """

    kind: ClassVar[str] = "discrete-gaussian"

    sigma: float
    cells: int
    count: int

    def __post_init__(self) -> None:
        _check_positive(self.kind, "sigma", self.sigma)
        _check_count(self.kind, "cells", self.cells)
        _check_count(self.kind, "count", self.count)

    def as_json(self) -> dict[str, object]:
        """Return the event as the books store it."""
        return {
            "kind": self.kind,
            "sigma": self.sigma,
            "cells": self.cells,
            "count": self.count,
        }


PrivacyEvent = PoissonSampledGaussian | Gaussian | DiscreteGaussian

EVENT_KINDS: Mapping[str, tuple[type[PrivacyEvent], frozenset[str]]] = {
    PoissonSampledGaussian.kind: (
        PoissonSampledGaussian,
        frozenset({"noise_multiplier", "sample_rate", "steps"}),
    ),
    Gaussian.kind: (Gaussian, frozenset({"noise_multiplier", "count"})),
    DiscreteGaussian.kind: (DiscreteGaussian, frozenset({"sigma", "cells", "count"})),
}
"""Every kind the books know, with exactly the fields it has."""


def event_from_json(raw: object) -> PrivacyEvent:
    """Return the event that `as_json` wrote.

    Raises
    ------
    UnknownPrivacyEventError
        If it names no kind, or one this version does not know.
    InvalidPrivacyEventError
        If a field is missing, too many, not a number or out of range.
    """
    kind = raw.get("kind") if isinstance(raw, Mapping) else None
    if not isinstance(raw, Mapping) or not isinstance(kind, str) or kind not in EVENT_KINDS:
        raise UnknownPrivacyEventError(kind=repr(kind)[:60], known=", ".join(sorted(EVENT_KINDS)))
    made, fields = EVENT_KINDS[kind]
    if set(raw) - {"kind"} != fields:
        raise _invalid(kind, "fields", sorted(map(str, raw))[:9], ", ".join(sorted(fields)))
    return made(**{field: raw[field] for field in fields})


def _check_positive(kind: str, field: str, value: object) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value <= 0:  # type: ignore[arg-type,operator]
        raise _invalid(kind, field, value, "a finite number above 0")


def _check_count(kind: str, field: str, value: object) -> None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or not 1 <= value <= MAX_COUNT:  # type: ignore[operator]
        raise _invalid(kind, field, value, f"a whole number from 1 to {MAX_COUNT}")


def _invalid(kind: str, field: str, value: object, expected: str) -> InvalidPrivacyEventError:
    return InvalidPrivacyEventError(
        kind=kind, field=field, actual=repr(value)[:60], expected=expected
    )
