"""An economic model as a TOML file: everything in it is named, has a source, and is checked.

    title = { "zh-TW" = "...", en = "..." }
    currency = "TWD"
    price_year = 2026
    perspective = "nhi"                       # or "societal"
    thresholds = [1000000, 3000000]           # money for one QALY
    value_set = { name = "EQ-5D-5L Taiwan (Lin 2018)", low = -1.0259, high = 1.0 }
    [horizon]
    cycles = 20
    [parameters]
    prevalence = { law = "beta", first = 30, second = 970, source = "..." }
    cost_workup = { law = "gamma", first = 4000, second = 400, source = "...",
                    currency = "TWD", price_year = 2026 }
    [[strategies]]
    name = "usual reading"
    price = { law = "fixed", first = 0, source = "..." }
    counts = { true_positives = 80, false_negatives = 20, true_negatives = 870,
               false_positives = 30, source = "..." }
    [[strategies]]
    name = "reading with AI"
    price = { law = "fixed", first = 150, source = "..." }
    evaluation = "ev-2026-001"
    [budget]
    eligible = [100000, 100000, 100000, 100000, 100000]
    share = [0.1, 0.2, 0.3, 0.4, 0.5]
    sector = "hospital"

A strategy with AI names an evaluation in the register; typed counts are for the
comparator, which is the first strategy, only. Costs of another currency or year are refused
unless the file says how to convert them:

    [conversion]
    source = "central bank, DGBAS"
    rates = { "USD 2024" = 32.0 }             # TWD for one USD, in the year of the amount
    index = { "2024" = 100.0, "2026" = 104.0 }
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from federation.domain.ids import Sha256
from federation.domain.toml_text import parse_toml
from federation.economics.budget import Sector, Uptake
from federation.economics.diagnostic import (
    COSTS,
    PARAMETERS,
    price_of,
    sensitivity_of,
    specificity_of,
)
from federation.economics.markov import Correction, Horizon
from federation.economics.money import Conversion, Money, PriceBase
from federation.economics.parameters import (
    LARGEST,
    SMALLEST,
    TAIWAN_EQ5D5L,
    Accuracy,
    Law,
    Parameter,
    ValueSet,
)
from federation.errors.economics import ModelFileError
from federation.evidence.canonical import canonical
from federation.evidence.characters import unseen_in
from federation.wording import Text, without_fields

MAX_BYTES = 2**20
MAX_PARAMETERS = 100

_TOO_LARGE = Text(en="it is larger than 1 MiB", zh="檔案大於 1 MiB")
_NOT_TOML = Text(en="it is not TOML in UTF-8", zh="不是 UTF-8 編碼的 TOML")
_UNSEEN = Text(en="it holds characters that are not seen", zh="內含不可見字元")

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
"""A number; true, false and texts are none."""

Whole = Annotated[int, Field(strict=True, ge=-(2**53), le=2**53)]
Words = Annotated[str, Field(min_length=1, max_length=400)]
Name = Annotated[str, Field(pattern=r"^[^\x00-\x1f:]{1,80}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class GivenParameter(_Strict):
    """A parameter as written, with where it comes from."""

    law: Law
    first: Number
    second: Number = 0.0
    source: Words
    currency: str | None = None
    price_year: Whole | None = None


class GivenCounts(_Strict):
    """Published counts of the comparator at its operating point."""

    true_positives: Whole
    false_negatives: Whole
    true_negatives: Whole
    false_positives: Whole
    source: Words


class GivenStrategy(_Strict):
    """A strategy as written."""

    name: Name
    price: GivenParameter
    evaluation: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,120}$")] | None = None
    counts: GivenCounts | None = None


class GivenHorizon(_Strict):
    """How long, and what later years count."""

    cycles: Whole
    cycle_years: Number = 1.0
    cost_rate: Number = 0.03
    effect_rate: Number = 0.03
    correction: Correction = Correction.HALF_CYCLE


class GivenValueSet(_Strict):
    """Where utilities come from, and their range."""

    name: Words = TAIWAN_EQ5D5L.name
    low: Number = TAIWAN_EQ5D5L.low
    high: Number = TAIWAN_EQ5D5L.high


class GivenBudget(_Strict):
    """Who is eligible, who is reached, and which sector pays."""

    eligible: Annotated[
        tuple[Annotated[Number, Field(le=LARGEST)], ...], Field(min_length=5, max_length=5)
    ]
    share: Annotated[tuple[Number, ...], Field(min_length=5, max_length=5)]
    sector: Sector = Sector.HOSPITAL


Rate = Annotated[Number, Field(ge=SMALLEST, le=LARGEST)]


class GivenConversion(_Strict):
    """How costs come into the model's price base: rates by currency and year, a price index."""

    source: Words
    rates: Annotated[
        dict[Annotated[str, Field(pattern=r"^[A-Z]{3} [0-9]{4}$")], Rate], Field(max_length=100)
    ] = Field(default_factory=dict)
    index: Annotated[
        dict[Annotated[str, Field(pattern=r"^[0-9]{4}$")], Rate], Field(max_length=100)
    ] = Field(default_factory=dict)

    def to(self, base: PriceBase) -> Conversion:
        """Return the conversion into a price base."""
        rates = {(name[:3], int(name[4:])): rate for name, rate in self.rates.items()}
        index = {int(year): value for year, value in self.index.items()}
        return Conversion(base, rates, index, self.source)


class GivenTitle(_Strict):
    """What the model is of, in both languages."""

    zh: Words = Field(alias="zh-TW")
    en: Words


class GivenModel(_Strict):
    """The file."""

    title: GivenTitle
    currency: str
    price_year: Whole
    perspective: Annotated[str, Field(pattern="^(nhi|societal)$")] = "nhi"
    thresholds: Annotated[
        tuple[Annotated[Number, Field(gt=0, le=LARGEST)], ...], Field(min_length=1, max_length=200)
    ]
    value_set: GivenValueSet = GivenValueSet()
    horizon: GivenHorizon
    parameters: Annotated[dict[str, GivenParameter], Field(max_length=MAX_PARAMETERS)]
    strategies: Annotated[tuple[GivenStrategy, ...], Field(min_length=2, max_length=10)]
    budget: GivenBudget | None = None
    conversion: GivenConversion | None = None

    @property
    def digest(self) -> Sha256:
        """Return the content id of what the file says: remarks and spaces do not change it."""
        return Sha256.of(canonical(self.model_dump(mode="json", by_alias=True)))


@dataclass(frozen=True, slots=True)
class Model:
    """A model ready to be computed. `parameters` has everything, by name."""

    digest: Sha256
    title: Text
    base: PriceBase
    perspective: str
    thresholds: tuple[float, ...]
    value_set: ValueSet
    horizon: Horizon
    strategies: tuple[str, ...]
    parameters: Mapping[str, Parameter]
    sources: Mapping[str, str]
    evaluations: Mapping[str, str]
    uptake: Uptake | None
    sector: Sector


AccuracyOf = Callable[[str, str], Accuracy]
"""Returns the counts of an evaluation; takes the strategy's name and the evaluation's id."""


def read_model(content: bytes, accuracy_of: AccuracyOf) -> Model:
    """Return the model in a file.

    Parameters
    ----------
    accuracy_of
        Looks an evaluation up; raises `AccuracyMissingError` if it has no counts.

    Raises
    ------
    ModelFileError
        If it is too large, no TOML, or has unknown or missing fields; all are listed.
    PriceBaseError, ModelValueError, AccuracyMissingError
        If a number cannot be used.
    """
    given = read_given(content)
    base = PriceBase(given.currency, given.price_year)
    horizon = Horizon(**given.horizon.model_dump())
    costs = _Costs(base, given.conversion.to(base) if given.conversion else None)
    parameters = {
        name: costs.read(name, one) if name in COSTS else _parameter(name, one)
        for name, one in given.parameters.items()
    }
    sources = {
        name: costs.source_of(one) if name in COSTS else one.source
        for name, one in given.parameters.items()
    }
    for one in given.strategies:
        price = price_of(one.name)
        parameters[price] = costs.read(price, one.price)
        sources[price] = costs.source_of(one.price)
        accuracy, source = _accuracy(one, accuracy_of)
        se, sp = sensitivity_of(one.name), specificity_of(one.name)
        parameters |= {se: accuracy.sensitivity(se), sp: accuracy.specificity(sp)}
        sources |= {se: source, sp: source}
    return Model(
        digest=given.digest,
        title=Text(en=given.title.en, zh=given.title.zh),
        base=base,
        perspective=given.perspective,
        thresholds=tuple(given.thresholds),
        value_set=ValueSet(**given.value_set.model_dump()),
        horizon=horizon,
        strategies=tuple(one.name for one in given.strategies),
        parameters=parameters,
        sources=sources,
        evaluations={one.name: one.evaluation for one in given.strategies if one.evaluation},
        uptake=Uptake(given.budget.eligible, given.budget.share) if given.budget else None,
        sector=given.budget.sector if given.budget else Sector.HOSPITAL,
    )


def read_given(content: bytes) -> GivenModel:
    """Return what a model's file says, its evaluations not looked up.

    Raises
    ------
    ModelFileError
        As `read_model`.
    """
    if len(content) > MAX_BYTES:
        raise ModelFileError(why=_TOO_LARGE)
    try:
        raw = parse_toml(content)
    except ValueError as error:
        raise ModelFileError(why=_NOT_TOML) from error
    try:
        given = GivenModel.model_validate(raw)
    except ValidationError as error:
        raise ModelFileError(why=_listed(error)) from error
    if unseen_in(given.model_dump(mode="json")):
        raise ModelFileError(why=_UNSEEN)
    _check_names(given)
    return given


def _listed(error: ValidationError) -> str:
    lines = (
        ".".join(map(str, one["loc"]))[:120] + f" ({one['type']})" for one in error.errors()[:20]
    )
    return "; ".join(lines)


def _check_names(given: GivenModel) -> None:
    """Refuse what is missing, unknown or twice there, and counts where evidence is needed."""
    missing = sorted(set(PARAMETERS) - set(given.parameters))
    unknown = sorted(set(given.parameters) - set(PARAMETERS))
    names = [one.name for one in given.strategies]
    wrong = [
        one.name for one in given.strategies if (one.evaluation is None) == (one.counts is None)
    ]
    typed = [one.name for one in given.strategies[1:] if one.counts is not None]
    no_money = sorted(name for name, one in given.parameters.items() if _is_priced(one, name))
    rises = all(low < high for low, high in pairwise(given.thresholds))
    problems = [
        *(Text(en=f"{name} is missing", zh=f"缺少 {name}") for name in missing),
        *(Text(en=f"{name[:40]} is unknown", zh=f"{name[:40]} 不是已知的參數") for name in unknown),
        *(Text(en=f"{name} is no amount of money", zh=f"{name} 不是金額") for name in no_money),
        *(
            Text(
                en=f"{name} needs an evaluation, or (the first one only) counts",
                zh=f"{name} 須有評估編號,或(僅限第一項策略)計數",
            )
            for name in sorted({*wrong, *typed})
        ),
    ]
    if len(set(names)) < len(names):
        problems.append(Text(en="two strategies have one name", zh="有兩項策略同名"))
    if not rises:
        problems.append(Text(en="thresholds do not rise", zh="閾值未由小到大排列"))
    if problems:
        both = ("; ".join(one.en for one in problems), ";".join(one.zh for one in problems))
        raise ModelFileError(why=Text(en=without_fields(both[0]), zh=without_fields(both[1])))


def _is_priced(given: GivenParameter, name: str) -> bool:
    """Say whether something that is no cost has a currency or a price year."""
    return (
        name in PARAMETERS
        and name not in COSTS
        and (given.currency, given.price_year) != (None, None)
    )


def _parameter(name: str, given: GivenParameter) -> Parameter:
    return Parameter(name, given.law, given.first, given.second)


@dataclass(frozen=True, slots=True)
class _Costs:
    """Reads costs in the model's price base; without a conversion others are refused."""

    base: PriceBase
    conversion: Conversion | None

    def read(self, name: str, given: GivenParameter) -> Parameter:
        stands, found = self._stands(given), _parameter(name, given)
        if self.conversion is None or stands == self.base:
            Money(given.first, stands).in_(self.base, name=name)
            return found
        return found.times(self.conversion.of(Money(1.0, stands), name=name).amount)

    def source_of(self, given: GivenParameter) -> str:
        if self.conversion is None or self._stands(given) == self.base:
            return given.source
        return f"{given.source}; {self._stands(given)} -> {self.base}: {self.conversion.source}"

    def _stands(self, given: GivenParameter) -> PriceBase:
        currency = self.base.currency if given.currency is None else given.currency
        return PriceBase(currency, self.base.year if given.price_year is None else given.price_year)


def _accuracy(given: GivenStrategy, accuracy_of: AccuracyOf) -> tuple[Accuracy, str]:
    if given.evaluation is not None:
        return accuracy_of(given.name, given.evaluation), f"evaluation {given.evaluation}"
    assert given.counts is not None  # `_check_names` saw to it
    counts = given.counts.model_dump(exclude={"source"})
    return Accuracy(given.name, **counts), given.counts.source
