"""A design as a TOML file, and its power by size: what `trifed impact power` reads.

    kind = "stepped-wedge"               # or "means", "proportions"
    wanted = 0.8
    alpha = 0.05
    sizes = [20, 40, 80]                 # people a cell; two arms: people an arm
    [effect]                             # "means", "stepped-wedge" of means
    difference = -5
    deviation = 18
    [wedge]
    steps = [2, 2, 2]                    # clusters that change over after each period
    between = 3                          # standard deviation of the clusters' means

Of proportions: `one` and `other` in `[effect]`. Two arms of whole wards: `[clusters]` with
`size`, `correlation` and, where sizes differ, `variation`; then `sizes` are clusters an arm.

Other kinds, each with a table of its own (`sizes` are months a side, cases, people an arm
before and as many after, cases with the finding, cases):

    interrupted-series          [series] correlation, seasons; deviation of a month's mean
    reader-study                [readers] count, inference, and a pilot's variances
    difference-in-differences   [change] correlation
    sensitivity                 [effect] one (expected), other (floor)
    auroc                       the same, [cases] share
"""

import math
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from federation.domain.toml_text import parse_toml
from federation.errors.impact import DesignValueError, ProtocolFileError
from federation.impact.plan import listed
from federation.impact.power import (
    ALPHA,
    MOST,
    Wedge,
    design_effect,
    power_above_floor,
    power_of_auroc,
    power_of_changes,
    power_of_means,
    power_of_proportions,
    power_of_wedge,
    smallest,
)
from federation.impact.reader_power import Pilot, power_of_readers
from federation.impact.readers import Inference
from federation.impact.series import FEWEST_EACH_SIDE
from federation.impact.series_power import MOST_MONTHS, power_of_series
from federation.wording import Text

MAX_BYTES = 2**16
MOST_SIZES = 200

_TOO_LARGE = Text(en="it is larger than 64 KiB", zh="檔案大於 64 KiB")
_NOT_TOML = Text(en="it is not TOML in UTF-8", zh="不是 UTF-8 編碼的 TOML")

UNITS = {
    "arm": Text(en="people an arm", zh="每組人數"),
    "clusters": Text(en="clusters an arm", zh="每組群集數"),
    "cell": Text(en="people a cluster and period", zh="每群集每期人數"),
    "months": Text(en="months a side", zh="介入前後各月數"),
    "read": Text(en="cases read by everybody", zh="每位判讀者之個案數"),
    "twice": Text(en="people an arm, before and after each", zh="每組介入前後各人數"),
    "found": Text(en="cases with the finding", zh="陽性個案數"),
    "cases": Text(en="cases", zh="個案數"),
}
"""What a size counts."""

Size = Annotated[int, Field(ge=1, le=10**8)]


class _Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True
    )


KINDS = {
    "means": "arm",
    "proportions": "arm",
    "stepped-wedge": "cell",
    "interrupted-series": "months",
    "reader-study": "read",
    "difference-in-differences": "twice",
    "sensitivity": "found",
    "auroc": "cases",
}
"""The kinds of design, and what a size of each counts."""

_OF_RATES = ("proportions", "sensitivity", "auroc")
_TABLES = {
    "stepped-wedge": "wedge",
    "interrupted-series": "series",
    "reader-study": "readers",
    "difference-in-differences": "change",
    "auroc": "cases",
}
"""The table that a kind needs and no other may have."""


class Effect(_Strict):
    """What is to be seen: a difference of means with its deviation, or two proportions.

    Of a reader study the difference alone: the deviation is that of its pilot.
    """

    difference: float | None = None
    deviation: float | None = None
    one: float | None = None
    other: float | None = None

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        means = self.difference is not None
        rates = self.one is not None and self.other is not None
        mixed = means and (self.one, self.other) != (None, None)
        if means == rates or mixed or (rates and self.deviation is not None):
            raise ValueError("either difference and deviation, or one and other")
        return self

    @property
    def of_means(self) -> tuple[float, float]:
        """Return difference and deviation; of rates by the binomial variance at their middle."""
        if self.difference is not None:
            return self.difference, self.deviation or 0.0
        assert self.one is not None and self.other is not None  # the validator saw to it
        middle = (self.one + self.other) / 2
        return self.other - self.one, math.sqrt(max(middle * (1 - middle), 0.0))


class Clusters(_Strict):
    """Of a trial of whole wards or hospitals: their size, and how alike their people are."""

    size: Annotated[float, Field(ge=2)]
    correlation: Annotated[float, Field(ge=0, lt=1)]
    variation: Annotated[float, Field(ge=0)] = 0.0


class Steps(_Strict):
    """Of a stepped wedge: clusters for each step, and tau."""

    steps: Annotated[tuple[Annotated[int, Field(ge=1, le=1000)], ...], Field(min_length=1)]
    between: Annotated[float, Field(ge=0)]


class Series(_Strict):
    """Of an interrupted series: how a month's error follows the one before, and harmonics."""

    correlation: Annotated[float, Field(gt=-1, lt=1)] = 0.0
    seasons: Annotated[int, Field(ge=0, le=3)] = 0


class Change(_Strict):
    """Of a difference in differences: of a person's two values, 0 for other people after."""

    correlation: Annotated[float, Field(ge=0, lt=1)] = 0.0


class Mixture(_Strict):
    """Of an AUROC: the share of cases with the finding."""

    share: Annotated[float, Field(gt=0, lt=1)]


class Readers(_Strict):
    """Of a reader study: how many readers, and a pilot's (or conjectured) variances."""

    count: Annotated[int, Field(ge=1, le=1000)]
    inference: Inference = Inference.RANDOM
    pilot_cases: Annotated[int, Field(ge=2, le=10**6)]
    error: Annotated[float, Field(gt=0)]
    same_reader: float
    same_arm: float
    neither: float
    interaction: Annotated[float, Field(ge=0)] = 0.0

    @property
    def pilot(self) -> Pilot:
        """Return the pilot; DesignValueError if its numbers cannot be."""
        return Pilot(
            self.pilot_cases,
            self.error,
            self.same_reader,
            self.same_arm,
            self.neither,
            self.interaction,
        )


class Design(_Strict):
    """A design whose power is asked for."""

    kind: Literal[
        "means",
        "proportions",
        "stepped-wedge",
        "interrupted-series",
        "reader-study",
        "difference-in-differences",
        "sensitivity",
        "auroc",
    ]
    effect: Effect
    wanted: Annotated[float, Field(gt=0, lt=1)] = 0.8
    alpha: Annotated[float, Field(gt=0, lt=1)] = ALPHA
    sizes: Annotated[tuple[Size, ...], Field(max_length=MOST_SIZES)] = ()
    clusters: Clusters | None = None
    wedge: Steps | None = None
    series: Series | None = None
    readers: Readers | None = None
    change: Change | None = None
    cases: Mixture | None = None

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        for kind, table in _TABLES.items():
            if (self.kind == kind) != (getattr(self, table) is not None):
                raise ValueError(f"{table}: of the kind {kind}, and of no other kind")
        if self.clusters is not None and self.kind not in ("means", "proportions"):
            raise ValueError("clusters: of means and proportions only")
        if self.kind in _OF_RATES and self.effect.one is None:
            raise ValueError("effect: two proportions are needed")
        means = self.kind not in (*_OF_RATES, "stepped-wedge", "reader-study")
        if means and (self.effect.difference is None or self.effect.deviation is None):
            raise ValueError("effect: difference and deviation are needed")
        if self.kind == "stepped-wedge" and self.effect.one is None and not self.effect.deviation:
            raise ValueError("effect: difference and deviation are needed")
        if self.kind == "reader-study" and self.effect.difference is None:
            raise ValueError("effect: a difference is needed")
        return self

    @property
    def unit(self) -> str:
        """Return what a size counts, a key of `UNITS`."""
        return "clusters" if self.clusters else KINDS[self.kind]

    @property
    def range(self) -> tuple[int, int]:
        """Return the smallest and the largest size that is looked at."""
        match self.unit:
            case "months":
                return FEWEST_EACH_SIDE, MOST_MONTHS
            case "cell" | "clusters":
                return 1, MOST
            case "cases" if self.cases is not None:  # two of a kind at least
                return math.ceil(2 / min(self.cases.share, 1 - self.cases.share)), MOST
        return 2, MOST

    def power(self, size: int) -> float:
        """Return the power at a size.

        Raises
        ------
        DesignValueError
            If a number is out of range.
        """
        if self.unit not in ("arm", "clusters"):
            return self._of_kind(size)
        people, inflation = size, 1.0
        if self.clusters is not None:
            given = self.clusters
            people = math.floor(size * given.size)
            inflation = design_effect(given.size, given.correlation, variation=given.variation)
        return self._of_arms(people, inflation)

    def _of_kind(self, size: int) -> float:
        (difference, deviation), alpha = self.effect.of_means, self.alpha
        if self.wedge is not None:
            return power_of_wedge(
                Wedge.standard(self.wedge.steps),
                difference,
                deviation=deviation,
                per_cell=size,
                between=self.wedge.between,
                alpha=alpha,
            )
        if self.series is not None:
            given = self.series.model_dump()
            return power_of_series(difference, deviation, size, **given, alpha=alpha)
        if self.readers is not None:
            return power_of_readers(
                self.readers.pilot,
                difference,
                readers=self.readers.count,
                cases=size,
                alpha=alpha,
                inference=self.readers.inference,
            )
        if self.change is not None:
            given = self.change.model_dump()
            return power_of_changes(difference, deviation, size, **given, alpha=alpha)
        return self._above_floor(size)

    def _above_floor(self, size: int) -> float:
        expected, floor = self.effect.one, self.effect.other
        assert expected is not None and floor is not None  # the validator saw to it
        if self.cases is None:
            return power_above_floor(expected, floor, size, alpha=self.alpha)
        return power_of_auroc(expected, floor, size, share=self.cases.share, alpha=self.alpha)

    def _of_arms(self, people: int, inflation: float) -> float:
        effect, level = self.effect, {"alpha": self.alpha, "inflation": inflation}
        if effect.one is not None and effect.other is not None:
            return power_of_proportions(effect.one, effect.other, people, **level)
        difference, deviation = effect.of_means
        return power_of_means(difference, deviation, people, **level)


@dataclass(frozen=True, slots=True)
class PowerTable:
    """Power by size, and the smallest size with the wanted power (None: none reaches it)."""

    design: Design
    rows: tuple[tuple[int, float], ...]
    needed: int | None
    people: int | None
    """How many people that is; None also for months, which are of no certain number."""

    def as_json(self) -> dict[str, object]:
        """Return the table as JSON."""
        unit = UNITS[self.design.unit]
        return {
            "kind": self.design.kind,
            "unit": {"en": unit.en, "zh-TW": unit.zh},
            "alpha": self.design.alpha,
            "wanted": self.design.wanted,
            "needed": self.needed,
            "people": self.people,
            "table": [{"size": size, "power": power} for size, power in self.rows],
        }


def power_table(design: Design) -> PowerTable:
    """Return a design's power at its sizes; at sizes about the needed one if it names none.

    Raises
    ------
    DesignValueError
        If a number is out of range.
    """
    needed = _needed(design)
    sizes = design.sizes or _about(needed, design)
    rows = tuple((size, design.power(size)) for size in sorted(set(sizes)))
    return PowerTable(design, rows, needed, None if needed is None else _people(design, needed))


def read_design(content: bytes) -> Design:
    """Return the design in a file.

    Raises
    ------
    ProtocolFileError
        If it is too large, no TOML, or no design; all is listed.
    """
    if len(content) > MAX_BYTES:
        raise ProtocolFileError(why=_TOO_LARGE)
    try:
        raw = parse_toml(content)
    except ValueError as error:
        raise ProtocolFileError(why=_NOT_TOML) from error
    try:
        return Design.model_validate(raw)
    except ValidationError as error:
        raise ProtocolFileError(why=listed(error)) from error


def _needed(design: Design) -> int | None:
    """Return the smallest size, None if more people bring no more power."""
    least, most = design.range
    design.power(least)  # a number out of range is refused here, before the search
    try:
        return smallest(design.power, design.wanted, start=least, most=most)
    except DesignValueError:
        return None


def _about(needed: int | None, design: Design) -> tuple[int, ...]:
    """Return six sizes from half to twice what is needed."""
    least, most = design.range
    middle = needed or 100
    shares = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
    return tuple(min(max(least, round(middle * share)), most) for share in shares)


def _people(design: Design, size: int) -> int | None:
    """Return how many people a size means in all, None where months say nothing of it."""
    match design.unit:
        case "months":
            return None
        case "found" | "cases" | "read":
            return size
        case "twice":
            return size * (2 if design.change and design.change.correlation else 4)
    if design.wedge is not None:
        steps = design.wedge.steps
        return size * sum(steps) * (len(steps) + 1)
    per_arm = size if design.clusters is None else math.floor(size * design.clusters.size)
    return 2 * per_arm
