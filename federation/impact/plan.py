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

What else a plan may say, each where its analysis needs it:

    imputations = 20                     # completed tables of each hospital, pooled by Rubin
    sealed = true                        # tables leave as masked sums (`sealed.py`)
    [[measures]]
    analysis = "median-difference"
    grid = { step = 5, top = 240 }       # values are rounded to it at the hospital
    [change]                             # of a difference in differences
    began = 6                            # first period of the arm that changes
    [cohort]                             # comparable people, chosen at each hospital
    method = "caliper"                   # or "overlap", with weighted-difference
    covariates = ["age", "sex"]
    [readers]                            # of a reader study, and nothing else then
    names = ["reader-1", "reader-2"]
    ratings = 5                          # 1 to 5

The digest is over the canonical JSON of what the file says, so spaces and comments do not
change it and anything else does.
"""

import math
import re
from enum import Enum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from federation.domain.ids import Sha256
from federation.domain.toml_text import parse_toml
from federation.errors.impact import (
    PlanChangedError,
    PlanNotLoggedError,
    ProtocolFileError,
)
from federation.evaluation.sums import LARGEST_SIZE
from federation.evidence.canonical import canonical
from federation.impact.readers import ARMS, Covariance, Figure, Inference
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
    MEDIAN = "median-difference"
    CHANGES = "difference-in-differences"
    ADJUSTED_CLUSTERS = "adjusted-cluster-robust"
    WEIGHTED = "weighted-difference"
    READERS = "reader-study"
    AUTOREGRESSIVE = "autoregressive-series"


BASELINE = frozenset({Analysis.ADJUSTED, Analysis.ADJUSTED_CLUSTERS})
"""The analyses for which a hospital tells sums of a baseline too."""

MOST_BINS = 5_000
"""Values of a grid: minutes of three days, or costs in steps."""


class _Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True
    )


class Grid(_Strict):
    """The values 0, step, ..., top to which a skewed measure is rounded at the hospital."""

    step: Annotated[float, Field(gt=0)]
    top: Annotated[float, Field(gt=0)]

    @model_validator(mode="after")
    def _is_a_grid(self) -> Self:
        bins = self.top / self.step
        if abs(bins - round(bins)) > 1e-9 or not 1 <= round(bins) < MOST_BINS:
            raise ValueError(f"top is a multiple of step, and there are {MOST_BINS} at most")
        return self

    @property
    def bins(self) -> int:
        """Return how many values there are."""
        return round(self.top / self.step) + 1

    def bin_of(self, value: float) -> int | None:
        """Return the nearest value's place, None where the value is beyond the grid."""
        place = round(value / self.step)
        return place if 0 <= place < self.bins else None


class Measure(_Strict):
    """One measure and its analysis; `figure` and `threshold` are of a reader study."""

    id: Slug
    role: Literal["primary", "secondary"]
    analysis: Analysis
    unit: Line
    better: Literal["higher", "lower"]
    grid: Grid | None = None
    figure: Figure | None = None
    threshold: Annotated[int, Field(ge=2, le=101)] | None = None
    range: tuple[float, float] | None = None
    """What a value can be, such as of a utility; others are refused at the hospital."""

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        if (self.analysis is Analysis.MEDIAN) != (self.grid is not None):
            raise ValueError("a grid belongs to a median, and a median needs one")
        of_readers = self.analysis is Analysis.READERS
        if of_readers != (self.figure is not None):
            raise ValueError("a figure belongs to a reader study, which needs one")
        needs = self.figure in (Figure.SENSITIVITY, Figure.SPECIFICITY)
        if needs != (self.threshold is not None):
            raise ValueError("a threshold belongs to sensitivity and specificity")
        if self.range is not None and (of_readers or self.range[0] >= self.range[1]):
            raise ValueError("a range goes from low to high, of values that people have")
        return self


class Change(_Strict):
    """Of a difference in differences: the first period in which one arm has it."""

    began: Annotated[int, Field(ge=1, le=1200)]


class Cohort(_Strict):
    """How each hospital makes its arms comparable, before anything leaves it.

    `caliper`: pairs, nearest in the logit of the hospital's own propensity and nearer than
    `caliper` standard deviations of it; the others are left out. `overlap`: everybody, weighted
    by the propensity of the other arm. A hospital whose arms still differ by more than
    `largest_gap` standard deviations in a covariate is told to stop.
    """

    method: Literal["caliper", "overlap"]
    covariates: Annotated[tuple[Slug, ...], Field(min_length=1, max_length=20)]
    caliper: Annotated[float, Field(gt=0, le=2)] = 0.2
    largest_gap: Annotated[float, Field(gt=0, le=1)] = 0.1

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len(set(self.covariates)) < len(self.covariates):
            raise ValueError("covariates: each is named once")
        return self


class ReaderPlan(_Strict):
    """Of a reader study: who reads, how cases are rated, to whom the result applies."""

    names: Annotated[tuple[Slug, ...], Field(min_length=1, max_length=100)]
    ratings: Annotated[int, Field(ge=2, le=101)]
    covariance: Covariance = Covariance.DELONG
    inference: Inference = Inference.RANDOM

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len(set(self.names)) < len(self.names):
            raise ValueError("names: each reader is named once")
        if len(self.names) == 1 and self.inference is not Inference.FIXED_READERS:
            raise ValueError("inference: one reader is fixed")
        if math.comb(ARMS * len(self.names), 2) * self.ratings**2 > LARGEST_SIZE:
            raise ValueError("ratings: too many for so many readers; use a coarser scale")
        return self


class Series(_Strict):
    """Of an interrupted time series: its first month with the intervention, harmonics, lags."""

    began: Annotated[int, Field(ge=1, le=1200)]
    seasons: Annotated[int, Field(ge=0, le=3)] = 0
    lags: Annotated[int, Field(ge=0, le=60)] | None = None


SHORT = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
"""A study's name in the keys of a sum."""

_LATER = ("sealed", "imputations", "change", "cohort", "readers")
_LATER_OF_MEASURES = ("grid", "figure", "threshold", "range")
"""Fields that the first plans had not; where a plan does not use them its digest is theirs."""


class Plan(_Strict):
    """A statistical analysis plan."""

    study: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,119}$")]
    design: Slug
    intervention: Slug
    comparator: Slug
    periods: Annotated[int, Field(ge=1, le=1200)]
    least_cell: Annotated[int, Field(ge=3, le=100)] = 10
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    measures: Annotated[tuple[Measure, ...], Field(min_length=1, max_length=50)]
    series: Series | None = None
    imputations: Annotated[int, Field(ge=2, le=100)] | None = None
    sealed: bool | None = None
    change: Change | None = None
    cohort: Cohort | None = None
    readers: ReaderPlan | None = None

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        names = [one.id for one in self.measures]
        if len(set(names)) < len(names) or self.measures[0].role != "primary":
            raise ValueError("measures have ids of their own, the first is primary")
        if self.intervention == self.comparator:
            raise ValueError("the arms are two")
        for analyses, table in _TABLES.items():
            if any(one.analysis in analyses for one in self.measures) != (
                getattr(self, table) is not None
            ):
                raise ValueError(f"a {table} and its analysis belong together")
        return self

    @model_validator(mode="after")
    def _is_one_kind_of_table(self) -> Self:
        kinds = {one.analysis for one in self.measures}
        if self.readers is not None and kinds != {Analysis.READERS}:
            raise ValueError("a reader study has nothing but readings")
        weighted = self.cohort is not None and self.cohort.method == "overlap"
        if (Analysis.WEIGHTED in kinds) != weighted or (weighted and len(kinds) > 1):
            raise ValueError("weights belong to weighted differences, and to all measures then")
        if self.imputations and (self.readers or self.cohort or self.sealed):
            raise ValueError("imputed tables are of plain cases")
        if self.cohort and self.series:
            raise ValueError("a series has no cohort of two arms")
        if self.sealed and not kinds <= {Analysis.READERS, Analysis.MEDIAN}:
            raise ValueError("sealed are readings and medians, which are counts")
        if self.sealed and not SHORT.fullmatch(self.study):
            raise ValueError("study: of a sealed plan a short name of a to z, 0 to 9 and hyphens")
        if self.change is not None and self.change.began >= self.periods:
            raise ValueError("change: it begins in a period of the plan")
        if self.readers and any(
            (one.threshold or 2) > self.readers.ratings for one in self.measures
        ):
            raise ValueError("a threshold is one of the ratings")
        return self

    @property
    def digest(self) -> Sha256:
        """Return the content id of what the plan says."""
        said = self.model_dump(mode="json")
        _without_defaults(said, _LATER)
        for one in said["measures"]:
            _without_defaults(one, _LATER_OF_MEASURES)
        return Sha256.of(canonical(said))

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


_TABLES = {
    (Analysis.SERIES, Analysis.AUTOREGRESSIVE): "series",
    (Analysis.CHANGES,): "change",
    (Analysis.READERS,): "readers",
}


def _without_defaults(said: dict[str, object], names: tuple[str, ...]) -> None:
    for name in names:
        if said[name] is None:
            del said[name]


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
        raw = parse_toml(content)
    except ValueError as error:
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
