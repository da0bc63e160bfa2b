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
"""

import math
import tomllib
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from federation.errors.impact import DesignValueError, ProtocolFileError
from federation.impact.plan import listed
from federation.impact.power import (
    ALPHA,
    Wedge,
    design_effect,
    power_of_means,
    power_of_proportions,
    power_of_wedge,
    smallest,
)
from federation.wording import Text

MAX_BYTES = 2**16
MOST_SIZES = 200

_TOO_LARGE = Text(en="it is larger than 64 KiB", zh="檔案大於 64 KiB")
_NOT_TOML = Text(en="it is not TOML in UTF-8", zh="不是 UTF-8 編碼的 TOML")

UNITS = {
    "arm": Text(en="people an arm", zh="每組人數"),
    "clusters": Text(en="clusters an arm", zh="每組群集數"),
    "cell": Text(en="people a cluster and period", zh="每群集每期人數"),
}
"""What a size counts."""

Size = Annotated[int, Field(ge=1, le=10**8)]


class _Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True
    )


class Effect(_Strict):
    """What is to be seen: a difference of means with its deviation, or two proportions."""

    difference: float | None = None
    deviation: float | None = None
    one: float | None = None
    other: float | None = None

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        means = self.difference is not None and self.deviation is not None
        rates = self.one is not None and self.other is not None
        if means == rates or (means and (self.one, self.other) != (None, None)):
            raise ValueError("either difference and deviation, or one and other")
        return self

    @property
    def of_means(self) -> tuple[float, float]:
        """Return difference and deviation; of rates by the binomial variance at their middle."""
        if self.difference is not None and self.deviation is not None:
            return self.difference, self.deviation
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


class Design(_Strict):
    """A design whose power is asked for."""

    kind: Literal["means", "proportions", "stepped-wedge"]
    effect: Effect
    wanted: Annotated[float, Field(gt=0, lt=1)] = 0.8
    alpha: Annotated[float, Field(gt=0, lt=1)] = ALPHA
    sizes: Annotated[tuple[Size, ...], Field(max_length=MOST_SIZES)] = ()
    clusters: Clusters | None = None
    wedge: Steps | None = None

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        if (self.kind == "stepped-wedge") != (self.wedge is not None):
            raise ValueError("wedge: of a stepped wedge, and of no other kind")
        if self.kind == "stepped-wedge" and self.clusters is not None:
            raise ValueError("clusters: a stepped wedge tells its own")
        if self.kind == "proportions" and self.effect.one is None:
            raise ValueError("effect: two proportions are needed")
        if self.kind == "means" and self.effect.difference is None:
            raise ValueError("effect: difference and deviation are needed")
        return self

    @property
    def unit(self) -> str:
        """Return what a size counts, a key of `UNITS`."""
        if self.kind == "stepped-wedge":
            return "cell"
        return "clusters" if self.clusters else "arm"

    def power(self, size: int) -> float:
        """Return the power at a size.

        Raises
        ------
        DesignValueError
            If a number is out of range.
        """
        if self.wedge is not None:
            difference, deviation = self.effect.of_means
            return power_of_wedge(
                Wedge.standard(self.wedge.steps),
                difference,
                deviation=deviation,
                per_cell=size,
                between=self.wedge.between,
                alpha=self.alpha,
            )
        people, inflation = size, 1.0
        if self.clusters is not None:
            given = self.clusters
            people = math.floor(size * given.size)
            inflation = design_effect(given.size, given.correlation, variation=given.variation)
        return self._of_arms(people, inflation)

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
        raw = tomllib.loads(content.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ProtocolFileError(why=_NOT_TOML) from error
    try:
        return Design.model_validate(raw)
    except ValidationError as error:
        raise ProtocolFileError(why=listed(error)) from error


def _needed(design: Design) -> int | None:
    """Return the smallest size, None if more people bring no more power."""
    least = _least(design)
    design.power(least)  # a number out of range is refused here, before the search
    try:
        return smallest(design.power, design.wanted, start=least)
    except DesignValueError:
        return None


def _least(design: Design) -> int:
    return 1 if design.unit != "arm" else 2


def _about(needed: int | None, design: Design) -> tuple[int, ...]:
    """Return six sizes from half to twice what is needed."""
    middle = needed or 100
    shares = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
    return tuple(max(_least(design), round(middle * share)) for share in shares)


def _people(design: Design, size: int) -> int:
    """Return how many people a size means in all."""
    if design.wedge is not None:
        steps = design.wedge.steps
        return size * sum(steps) * (len(steps) + 1)
    per_arm = size if design.clusters is None else math.floor(size * design.clusters.size)
    return 2 * per_arm
