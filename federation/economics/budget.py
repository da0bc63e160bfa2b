"""Five-year budget impact by sector of National Health Insurance, undiscounted.

For each year: people eligible x uptake x (cost with - cost without), and what is saved
elsewhere. The sectors are those of the global budget (總額部門).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from federation.errors.economics import ModelValueError
from federation.wording import Text

YEARS = 5


class Sector(Enum):
    """A sector of the global budget, and who else pays."""

    HOSPITAL = "hospital"
    CLINIC = "western-clinic"
    DENTAL = "dental"
    CHINESE_MEDICINE = "chinese-medicine"
    OTHER = "other"
    PATIENT = "patient"

    @property
    def title(self) -> Text:
        """Return the sector's name for people."""
        return _TITLES[self]


_TITLES = {
    Sector.HOSPITAL: Text(en="hospitals", zh="醫院總額"),
    Sector.CLINIC: Text(en="Western-medicine clinics", zh="西醫基層總額"),
    Sector.DENTAL: Text(en="dental care", zh="牙醫門診總額"),
    Sector.CHINESE_MEDICINE: Text(en="Chinese medicine", zh="中醫門診總額"),
    Sector.OTHER: Text(en="other NHI budgets", zh="其他預算"),
    Sector.PATIENT: Text(en="out of pocket", zh="病人自付"),
}


@dataclass(frozen=True, slots=True)
class Uptake:
    """Who is eligible and what share is reached, a number for each of five years.

    Raises
    ------
    ModelValueError
        If there are not five of each, people are negative, or shares not within 0 and 1.
    """

    eligible: tuple[float, ...]
    share: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.eligible) != YEARS or len(self.share) != YEARS:
            raise ModelValueError(
                name="uptake",
                actual=f"{len(self.eligible)} and {len(self.share)} years",
                expected=f"{YEARS} years",
            )
        if not all(math.isfinite(people) and people >= 0 for people in self.eligible):
            raise ModelValueError(
                name="eligible", actual=self.eligible, expected="0 or more people"
            )
        if not all(0 <= one <= 1 for one in self.share):
            raise ModelValueError(name="share", actual=self.share, expected="0 to 1")

    def reached(self, year: int) -> float:
        """Return how many people are reached in a year, 0 to 4."""
        return self.eligible[year] * self.share[year]


@dataclass(frozen=True, slots=True)
class YearImpact:
    """One year: people reached, and what each sector pays more (below zero: less)."""

    year: int
    people: float
    by_sector: Mapping[Sector, float]

    @property
    def total(self) -> float:
        """Return what all sectors pay more, patients among them."""
        return math.fsum(self.by_sector.values())

    @property
    def insurance(self) -> float:
        """Return what the insurance pays more."""
        return math.fsum(
            amount for sector, amount in self.by_sector.items() if sector is not Sector.PATIENT
        )


def budget_impact(
    uptake: Uptake,
    increments: Mapping[Sector, Sequence[float]],
    offsets: Mapping[Sector, Sequence[float]] = MappingProxyType({}),
) -> tuple[YearImpact, ...]:
    """Return the impact of five years, year 1 first.

    Parameters
    ----------
    increments
        What one person reached costs more in each sector, a number for each year: device
        and work-up, less what they replace.
    offsets
        What else each sector pays more (below zero: saves), in money a year, for example
        for people reached in the years before.

    Raises
    ------
    ModelValueError
        If a sector has not five finite numbers.
    """
    for sector, amounts in (*increments.items(), *offsets.items()):
        if len(amounts) != YEARS or not all(math.isfinite(one) for one in amounts):
            raise ModelValueError(
                name=sector.value, actual=str(tuple(amounts)), expected=f"{YEARS} finite amounts"
            )
    return tuple(_year(uptake, increments, offsets, year) for year in range(YEARS))


def _year(
    uptake: Uptake,
    increments: Mapping[Sector, Sequence[float]],
    offsets: Mapping[Sector, Sequence[float]],
    year: int,
) -> YearImpact:
    people = uptake.reached(year)
    none = (0.0,) * YEARS
    amounts = {
        sector: people * increments.get(sector, none)[year] + offsets.get(sector, none)[year]
        for sector in Sector
        if sector in increments or sector in offsets
    }
    return YearImpact(year + 1, people, amounts)
