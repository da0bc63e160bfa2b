"""The figures of an economic model's report, each with its numbers."""

from collections.abc import Mapping, Sequence

import numpy as np

from federation.economics.budget import Sector, YearImpact
from federation.economics.diagnostic import title_of
from federation.economics.sensitivity import Bar
from federation.figures import studies as drawn
from federation.wording import Text
from registry.reports.documents.economics import EconomicDocument
from registry.reports.layout import Figure, named

_GROUPS: Mapping[str, Text] = {
    "prevalence": Text(en="prevalence", zh="盛行率"),
    "death": Text(en="death rates", zh="死亡率"),
    "course": Text(en="course of disease", zh="病程"),
    "costs": Text(en="costs", zh="成本"),
    "utilities": Text(en="utilities", zh="效用值"),
}
_EVERYTHING = Text(en="everything", zh="全部參數")


def group_named(name: str) -> Text:
    """Return a group of parameters for people; of an accuracy, with its strategy."""
    kind, found, strategy = name.partition(":")
    if found and kind == "accuracy":
        plain = named(strategy)
        return Text(en=f"accuracy, {plain.en}", zh=f"準確度:{plain.zh}")
    return _GROUPS.get(name, named(name))


def parameter_named(name: str) -> Text:
    """Return a parameter's name for people, or as it was given where it is not known."""
    try:
        return title_of(name)
    except KeyError:
        return named(name)


def plane(document: EconomicDocument) -> Figure:
    """Return increments of effect and cost, the last strategy against the first."""
    points = np.array(document.plane)
    threshold, base = document.thresholds[0], document.price_base
    return Figure(
        "plane",
        lambda language: drawn.plane(points, threshold, base, language),
        ("incremental_effect", "incremental_cost"),
        document.plane,
    )


def acceptability(document: EconomicDocument) -> Figure:
    """Return how often each strategy is best, and the frontier."""
    best = [document.strategies.index(one.best) for one in document.frontier]
    thresholds, shares = np.array(document.thresholds), np.array(document.acceptability)
    rows: list[Sequence[str | float]] = [
        (threshold, *row, one.best)
        for threshold, row, one in zip(
            document.thresholds, document.acceptability, document.frontier, strict=True
        )
    ]
    return Figure(
        "acceptability",
        lambda language: drawn.acceptability(
            thresholds, document.strategies, shares, best, document.price_base, language
        ),
        ("threshold", *document.strategies, "frontier"),
        rows,
    )


def information(document: EconomicDocument) -> Figure:
    """Return what knowing more is worth at the first threshold."""
    first = document.information[0]
    groups = sorted(first.evppi.items(), key=lambda one: (-one[1], one[0]))
    bars = [(_EVERYTHING, first.evpi), *((group_named(name), value) for name, value in groups)]
    rows = [
        (one.threshold, name, value)
        for one in document.information
        for name, value in (("everything", one.evpi), *sorted(one.evppi.items()))
    ]
    return Figure(
        "information",
        lambda language: drawn.information(bars, document.price_base, language),
        ("threshold", "parameters", "value"),
        rows,
    )


def tornado(document: EconomicDocument) -> Figure:
    """Return the longest bars."""
    given = document.tornado
    bars = [Bar(one.parameter, one.low, one.high, one.at_low, one.at_high) for one in given.bars]
    rows = [(one.parameter, one.low, one.high, one.at_low, one.at_high) for one in given.bars]
    return Figure(
        "tornado",
        lambda language: drawn.tornado(given.outcome, bars, document.price_base, language),
        ("parameter", "low", "high", "net_benefit_at_low", "net_benefit_at_high"),
        rows,
    )


def budget(document: EconomicDocument) -> Figure:
    """Return what each sector pays more by year."""
    years = [YearImpact(one.year, one.people, dict(one.by_sector)) for one in document.budget]
    sectors = sectors_of(document)
    rows = [
        (one.year, one.people, *(one.by_sector.get(sector, 0.0) for sector in sectors), one.total)
        for one in document.budget
    ]
    return Figure(
        "budget",
        lambda language: drawn.budget(years, document.price_base, language),
        ("year", "people", *(sector.value for sector in sectors), "total"),
        rows,
    )


def sectors_of(document: EconomicDocument) -> list[Sector]:
    """Return the sectors that pay or save anything."""
    return [one for one in Sector if any(one in year.by_sector for year in document.budget)]
