"""The results of an economic model, as `federation.economics.analysis` writes them."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from federation.economics.budget import Sector
from federation.economics.diagnostic import title_of
from federation.evidence.model_version import Bilingual, Count, Digest, Line
from registry.records.shapes import Body
from registry.reports.documents.shapes import Number, Sentence, Share, digest_of


class Ranked(Body):
    """One strategy and where it stands."""

    strategy: Line
    cost: Number
    effect: Number
    standing: Literal["ND", "D", "ED"]
    incremental_cost: Number | None
    incremental_effect: Number | None
    icer: Number | None


class Best(Body):
    """The frontier of acceptability at one threshold."""

    best: Line
    share: Share


class Information(Body):
    """The value of knowing more at one threshold."""

    threshold: Number
    evpi: Number
    evppi: Annotated[dict[Line, Number], Field(max_length=50)]


class Bar(Body):
    """One parameter from its low to its high end."""

    parameter: Line
    low: Number
    high: Number
    at_low: Number
    at_high: Number

    @model_validator(mode="after")
    def _is_known(self) -> Self:
        try:
            title_of(self.parameter)
        except KeyError:
            raise ValueError("parameter: the platform has none of that name") from None
        return self


class Tornado(Body):
    """The outcome at all means, and what it depends on."""

    outcome: Number
    bars: Annotated[tuple[Bar, ...], Field(max_length=200)]


class Year(Body):
    """One year of the budget."""

    year: int
    people: Number
    by_sector: dict[Annotated[Sector, Field(strict=False)], Number]
    total: Number
    insurance: Number


class Horizon(Body):
    """How long, and what later years count."""

    years: Number
    cost_rate: Number
    effect_rate: Number
    correction: Line


Strategies = Annotated[tuple[Line, ...], Field(min_length=2, max_length=10)]


class EconomicDocument(Body):
    """All results of one economic model; `study` and `model` say where it belongs."""

    study: Line | None = None
    model: Digest | None = None
    title: Bilingual
    price_base: Line
    perspective: Literal["nhi", "societal"]
    horizon: Horizon
    strategies: Strategies
    evaluations: Annotated[dict[Line, Line], Field(max_length=10)]
    sources: Annotated[dict[Line, Sentence], Field(max_length=200)]
    draws: Count
    seed: Count
    base_case: Annotated[tuple[Ranked, ...], Field(min_length=2, max_length=10)]
    mean_case: Annotated[tuple[Ranked, ...], Field(min_length=2, max_length=10)]
    thresholds: Annotated[tuple[Number, ...], Field(min_length=1, max_length=200)]
    acceptability: Annotated[tuple[tuple[Share, ...], ...], Field(max_length=200)]
    frontier: Annotated[tuple[Best, ...], Field(max_length=200)]
    expected_loss: Annotated[tuple[tuple[Number, ...], ...], Field(max_length=200)]
    net_benefit: Annotated[tuple[tuple[Number, ...], ...], Field(max_length=200)] = ()
    net_health_benefit: Annotated[tuple[tuple[Number, ...], ...], Field(max_length=200)] = ()
    information: Annotated[tuple[Information, ...], Field(max_length=200)]
    tornado: Tornado
    threshold_price: Number | None
    budget: Annotated[tuple[Year, ...], Field(max_length=20)]
    plane: Annotated[tuple[tuple[Number, Number], ...], Field(min_length=1, max_length=5000)]

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        by_threshold = (self.acceptability, self.frontier, self.expected_loss, self.information)
        told = [one for one in (self.net_benefit, self.net_health_benefit) if one]
        if any(len(one) != len(self.thresholds) for one in (*by_threshold, *told)):
            raise ValueError("thresholds: a row for each is needed everywhere")
        rows = [*self.acceptability, *self.expected_loss, *(row for one in told for row in one)]
        widths = {len(row) for row in rows}
        if widths != {len(self.strategies)}:
            raise ValueError("acceptability: a share for each strategy")
        if any(one.best not in self.strategies for one in self.frontier):
            raise ValueError("frontier: one of the strategies")
        return self

    @property
    def digest(self) -> str:
        """Return the content id of the document."""
        return digest_of(self)
