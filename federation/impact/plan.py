"""The statistical analysis plan as a TOML file; its digest is what is logged before unblinding.

    study = "impact-2026-001"
    design = "stepped-wedge"
    intervention = "ai"                  # the arm that has it; the other one is
    comparator = "usual"
    periods = 5
    least_cell = 10
    alpha = 0.05
    [[measures]]                         # in the order of the gates, primary first
    id = "turnaround"
    role = "primary"
    analysis = "cluster-robust"
    unit = "min"
    better = "lower"
    [series]                             # for an interrupted time series only
    began = 24
    seasons = 1

The digest is over the canonical JSON of what the file says, so spaces and comments do not
change it and anything else does.
"""

import tomllib
from enum import Enum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from federation.domain.ids import Sha256
from federation.errors.impact import (
    PlanChangedError,
    PlanNotLoggedError,
    ProtocolFileError,
)
from federation.evidence.canonical import canonical
from federation.wording import Text

MAX_BYTES = 2**20

RANDOMISED = frozenset({"individual-rct", "cluster-rct", "stepped-wedge"})
"""Designs in which chance decided who had the intervention."""

_TOO_LARGE = Text(en="it is larger than 1 MiB", zh="檔案大於 1 MiB")
_NOT_TOML = Text(en="it is not TOML in UTF-8", zh="不是 UTF-8 編碼的 TOML")

Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,59}$")]
Line = Annotated[str, Field(pattern=r"^[^\x00-\x1f]{1,120}$")]


class Analysis(Enum):
    """How a measure is analysed; the names are the modules' functions."""

    DIFFERENCE = "difference"
    ADJUSTED = "adjusted-difference"
    RATIO = "ratio"
    CLUSTER_ROBUST = "cluster-robust"
    RANDOM_INTERCEPT = "random-intercept"
    SERIES = "interrupted-series"


class Measure(BaseModel):
    """One measure and its analysis."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Slug
    role: Literal["primary", "secondary"]
    analysis: Analysis
    unit: Line
    better: Literal["higher", "lower"]


class Series(BaseModel):
    """Of an interrupted time series: its first month with the intervention, harmonics, lags."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    began: Annotated[int, Field(ge=1, le=1200)]
    seasons: Annotated[int, Field(ge=0, le=3)] = 0
    lags: Annotated[int, Field(ge=0, le=60)] | None = None


class Plan(BaseModel):
    """A statistical analysis plan."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    study: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,119}$")]
    design: Slug
    intervention: Slug
    comparator: Slug
    periods: Annotated[int, Field(ge=1, le=1200)]
    least_cell: Annotated[int, Field(ge=3, le=100)] = 10
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    measures: Annotated[tuple[Measure, ...], Field(min_length=1, max_length=50)]
    series: Series | None = None

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        names = [one.id for one in self.measures]
        if len(set(names)) < len(names) or self.measures[0].role != "primary":
            raise ValueError("measures have ids of their own, the first is primary")
        if self.intervention == self.comparator:
            raise ValueError("the arms are two")
        if any(one.analysis is Analysis.SERIES for one in self.measures) != (
            self.series is not None
        ):
            raise ValueError("a series and its analysis belong together")
        return self

    @property
    def digest(self) -> Sha256:
        """Return the content id of what the plan says."""
        return Sha256.of(canonical(self.model_dump(mode="json")))

    def check_logged(self, logged: str | None) -> None:
        """Return if this is the plan that was logged.

        Raises
        ------
        PlanNotLoggedError
            If none was.
        PlanChangedError
            If another one was.
        """
        if logged is None:
            raise PlanNotLoggedError(study=self.study)
        if logged != self.digest:
            raise PlanChangedError(found=self.digest, logged=logged)


def read_plan(content: bytes) -> Plan:
    """Return the plan in a file.

    Raises
    ------
    ProtocolFileError
        If it is too large, no TOML, or says something else than a plan; all is listed.
    """
    if len(content) > MAX_BYTES:
        raise ProtocolFileError(why=_TOO_LARGE)
    try:
        raw = tomllib.loads(content.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ProtocolFileError(why=_NOT_TOML) from error
    try:
        return Plan.model_validate(raw)
    except ValidationError as error:
        raise ProtocolFileError(why=listed(error)) from error


def listed(error: ValidationError) -> str:
    """Return what is wrong with a file, place by place; values are not told."""
    return "; ".join(_line(one) for one in error.errors(include_url=False)[:20])


def _line(error: object) -> str:
    assert isinstance(error, dict)
    place = ".".join(map(str, error["loc"])) or "plan"
    said = error["msg"] if error["type"] == "value_error" else error["type"]
    return f"{place} ({said})"
