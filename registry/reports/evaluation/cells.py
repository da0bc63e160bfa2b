"""Cells and tables that several parts of an evaluation's report share."""

from collections.abc import Iterator, Mapping
from typing import TypeVar

from federation.evaluation.sliced import EVERYONE
from federation.figures.canvas import filled
from federation.figures.numerals import NONE, estimate, number
from federation.wording import Text
from registry.reports import wording
from registry.reports.documents.evaluation import SliceFigures
from registry.reports.documents.shapes import Rate
from registry.reports.layout import Cell, Chip, Table, Tone

VALUE = Text(en="value (95 % interval)", zh="數值(95% 區間)")
NOT_COMPUTED = Text(en="not computed", zh="未計算")
T = TypeVar("T")
HIDDEN = Chip(Text(en="not shown", zh="不予顯示"), Tone.WAITING)
_BAND = Text(en="between {low} and {high}", zh="介於 {low} 與 {high}")
CASES = Text(en="cases", zh="個案數")
MEASURE = Text(en="measure", zh="指標")
WHERE = Text(en="group", zh="組別")


def known_rates(whole: SliceFigures) -> Iterator[tuple[str, Text]]:
    """Yield every rate of a group that is known, with its name."""
    return ((rate, name) for rate, name in wording.RATES.items() if rate in whole.rates)


def estimated(one: SliceFigures) -> str:
    """Return a group's AUROC with its interval."""
    return estimate(one.auroc.value, *one.auroc.ends)


def rate_cell(rate: Rate) -> Cell:
    """Return a rate as shown: with its interval, as a band, or not at all."""
    if rate.value is not None and rate.interval is not None:
        return estimate(rate.value, *rate.interval)
    if rate.band is not None:
        low, high = (number(one, 2) for one in rate.band)
        return filled(_BAND, low=low, high=high)
    return HIDDEN


def parts_table(parts: Mapping[str, SliceFigures]) -> Table:
    """Return the table of AUROC and rates of groups or hospitals."""
    columns = (WHERE, CASES, Text(en="AUROC", zh="AUROC"), *wording.RATES.values())
    rows = [
        (
            wording.slice_named(name),
            f"{one.cases:,}",
            estimated(one),
            *(rate_cell(one.rates[rate]) if rate in one.rates else NONE for rate in wording.RATES),
        )
        for name, one in everyone_first(parts)
    ]
    caption = Text(en="With 95 % intervals.", zh="附 95% 區間。")
    return Table(caption, columns, rows, frozenset(range(1, 7)))


def everyone_first(parts: Mapping[str, T]) -> list[tuple[str, T]]:
    """Return the parts by name, everyone first."""
    return sorted(parts.items(), key=lambda one: (one[0] != EVERYONE, one[0]))
