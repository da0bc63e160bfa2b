"""Amounts with their currency and price year; nothing is converted unless asked."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from federation.errors.economics import ModelValueError, PriceBaseError


@dataclass(frozen=True, slots=True)
class PriceBase:
    """A currency (ISO 4217 code) and a year of prices.

    Raises
    ------
    ModelValueError
        If the code is not three capitals or the year is not one of this century.
    """

    currency: str
    year: int

    def __post_init__(self) -> None:
        if not (len(self.currency) == 3 and self.currency.isascii() and self.currency.isupper()):
            raise ModelValueError(
                name="currency", actual=repr(self.currency[:20]), expected="a code such as TWD"
            )
        if not 2000 <= self.year < 2100:
            raise ModelValueError(name="price year", actual=self.year, expected="2000 to 2099")

    def __str__(self) -> str:
        return f"{self.currency} {self.year}"


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in a price base.

    Raises
    ------
    ModelValueError
        If the amount is not finite.
    """

    amount: float
    base: PriceBase

    def __post_init__(self) -> None:
        if not math.isfinite(self.amount):
            raise ModelValueError(name="amount", actual=self.amount, expected="a finite number")

    def in_(self, base: PriceBase, *, name: str) -> float:
        """Return the amount if it stands in `base`.

        Raises
        ------
        PriceBaseError
            If it stands in another.
        """
        if self.base != base:
            raise PriceBaseError(name=name, given=self.base, wanted=base)
        return self.amount


@dataclass(frozen=True, slots=True)
class Conversion:
    """How amounts come into one base: rates to its currency, then an index of its prices.

    Parameters
    ----------
    base
        Where amounts end.
    rates
        Units of the base's currency for one unit of another, in the year of the amount.
    index
        The price index of the base's country by year, for example the consumer price
        index of health care.
    source
        Where both come from; it is part of the evidence.
    """

    base: PriceBase
    rates: Mapping[tuple[str, int], float]
    index: Mapping[int, float]
    source: str

    def of(self, money: Money, *, name: str) -> Money:
        """Return the amount in the base: changed at its own year's rate, then inflated.

        Raises
        ------
        PriceBaseError
            If a rate or an index is not given.
        """
        here = money.base.currency == self.base.currency
        rate = 1.0 if here else self.rates.get((money.base.currency, money.base.year))
        old, new = self.index.get(money.base.year), self.index.get(self.base.year)
        if money.base.year == self.base.year:
            old = new = 1.0
        if rate is None or old is None or new is None:
            raise PriceBaseError(name=name, given=money.base, wanted=self.base)
        return Money(money.amount * rate * new / old, self.base)
