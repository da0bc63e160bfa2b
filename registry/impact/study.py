"""A study of what a version changes for patients, staff and costs.

The statistical analysis plan is named by its digest. Results can only stand beside it,
and each names the measure it is of, so nothing can be reported that was not planned.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from federation.domain.cells import SMALL_CELL
from federation.evidence.model_version import (
    Bilingual,
    Count,
    Digest,
    EntryId,
    Line,
    Positive,
)
from registry.codes import RecordName
from registry.datasets.card import SITE
from registry.datasets.fields import Day, Enough, Fraction, Site, Slug, When
from registry.disclosure import OpenBody, People
from registry.models.version_card import NAME as VERSION
from registry.records.ports import Link
from registry.records.shapes import Body

NAME = "impact-study"


class Pico(Body):
    """Population, intervention, comparator and outcome of the question."""

    population: Bilingual
    intervention: Bilingual
    comparator: Bilingual
    outcome: Bilingual


class Measure(Body):
    """What is measured: its code and unit (UCUM where there is one), and what is better."""

    id: Slug
    title: Bilingual
    code: Line | None = None
    unit: Line
    better: Literal["higher", "lower"]
    role: Literal["primary", "secondary"]


class SampleSize(Body):
    """How many are needed, for which power at which two-sided level, and why."""

    needed: Enough
    power: Fraction
    alpha: Fraction
    assumptions: Bilingual


class DataCut(Body):
    """What was frozen for analysis: when, its content id, of how many patients."""

    at: When
    digest: Digest
    patients: People


class ReaderFigure(Body):
    """What one reader reached in one arm."""

    reader: Slug
    value: float


class ArmFigure(Body):
    """One arm's figure with its interval: a median, or the readers' mean and each of them."""

    arm: Slug
    value: float
    low: float
    high: float
    readers: Annotated[tuple[ReaderFigure, ...], Field(max_length=100)] = ()


class Series(Body):
    """The mean of each month, and the first one with the intervention, counted from 0."""

    began: Count
    months: Annotated[tuple[float, ...], Field(min_length=2, max_length=1200)]

    @model_validator(mode="after")
    def _begins_within(self) -> Self:
        if not 0 < self.began < len(self.months):
            raise ValueError("series: it begins within its months")
        return self


class Result(Body):
    """An effect with its interval; `plan` is the digest of the plan it follows.

    `confirmed` says that its p-value and those of all measures before it are below alpha.
    """

    measure: Slug
    plan: Digest
    estimate: float
    low: float
    high: float
    method: Line
    n: Enough
    p_value: Fraction | None = None
    confirmed: bool | None = None
    arms: Annotated[tuple[ArmFigure, ...], Field(max_length=2)] = ()
    series: Series | None = None

    @model_validator(mode="after")
    def _holds(self) -> Self:
        if not self.low <= self.estimate <= self.high:
            raise ValueError("the interval does not hold the estimate")
        return self


class Harm(Body):
    """A kind of harm and how many patients had it; null from one to nine."""

    kind: Line
    patients: People


class Money(Body):
    """One strategy's cost and effect, and its ratio against the next cheaper one."""

    strategy: Line
    cost_twd: float
    effect: float
    icer_twd: float | None = None


class BudgetYear(Body):
    """What a year of introducing it costs more, below zero less; `people` are modelled."""

    year: Annotated[int, Field(ge=1, le=5)]
    people: float
    total_twd: float
    insurance_twd: float


class Economic(Body):
    """The economic evaluation; `discount` is a rate per year, `evaluations` give its accuracy.

    `document` is the content id of everything that was computed, with draws and figures' data.
    """

    perspective: Literal["nhi", "societal"]
    horizon_years: Positive
    discount: Fraction
    threshold_twd: Positive | None
    model: Digest
    psa_seed: Count
    evaluations: Annotated[tuple[RecordName, ...], Field(max_length=50)]
    results: Annotated[tuple[Money, ...], Field(max_length=50)] = ()
    budget: Annotated[tuple[BudgetYear, ...], Field(max_length=5)] = ()
    document: Digest | None = None

    @property
    def has_results(self) -> bool:
        """Say whether anything was computed yet."""
        return bool(self.results or self.budget or self.document)


class Board(Body):
    """The ethics board's approval; `central` says that it is the joint board (C-IRB)."""

    board: Line
    number: Line
    expires: Day
    central: bool


class Registration(Body):
    """Where the study is registered for everybody to see, for example ClinicalTrials.gov."""

    registry: Line
    number: Line


class ImpactStudy(OpenBody):
    """One study. What a later state needs may be null before it.

    `outcomes` are the content ids of what outcome studies over hospitals found for it.
    """

    title: Bilingual
    entry: EntryId
    design: Literal[
        "individual-rct",
        "cluster-rct",
        "stepped-wedge",
        "before-after",
        "interrupted-time-series",
        "matched-cohort",
        "reader-study",
        "silent-accuracy",
    ]
    pico: Pico
    estimand: Bilingual
    sites: Annotated[tuple[Site, ...], Field(min_length=1, max_length=500)]
    clusters: Annotated[int, Field(ge=0, le=10_000)] = 0
    measures: Annotated[tuple[Measure, ...], Field(min_length=1, max_length=100)]
    sample_size: SampleSize
    checklists: Annotated[
        dict[Literal["CONSORT-AI", "SPIRIT-AI", "DECIDE-AI", "CHEERS-AI"], Digest],
        Field(min_length=1),
    ]
    irb: Board | None = None
    registration: Registration | None = None
    randomisation_hash: Digest | None = None
    sap_hash: Digest | None = None
    data_cuts: Annotated[tuple[DataCut, ...], Field(max_length=100)] = ()
    results: Annotated[tuple[Result, ...], Field(max_length=500)] = ()
    harms: Annotated[tuple[Harm, ...], Field(max_length=200)] = ()
    economic: Economic | None = None
    outcomes: Annotated[tuple[Digest, ...], Field(max_length=50)] = ()
    report: Digest | None = None
    schema_: Literal["trifed.impact-study/1"] = Field(
        default="trifed.impact-study/1", alias="schema"
    )

    @model_validator(mode="after")
    def _follows_its_plan(self) -> Self:
        known = [one.id for one in self.measures]
        if len(set(known)) != len(known) or not any(m.role == "primary" for m in self.measures):
            raise ValueError("measures: each has an id of its own, and one is primary")
        if len(set(self.sites)) != len(self.sites):
            raise ValueError("sites: one is there twice")
        told = [one.measure for one in self.results]
        if len(set(told)) != len(told):
            raise ValueError("results: a measure has one result")
        if any(one.measure not in known or one.plan != self.sap_hash for one in self.results):
            raise ValueError("results: each is of a measure, under the plan that is named")
        if self.has_results and self.sap_hash is None:
            raise ValueError("results: the analysis plan comes first")
        return self

    @model_validator(mode="after")
    def _cuts_tell_nobody_apart(self) -> Self:
        sizes = sorted({one.patients for one in self.data_cuts if one.patients is not None})
        if any(0 < more - fewer < SMALL_CELL for fewer, more in pairwise(sizes)):
            raise ValueError(
                "data_cuts: two differ by a few patients, whose values they would tell"
            )
        return self

    @property
    def has_results(self) -> bool:
        """Say whether anything of the outcome stands in it."""
        return bool(self.results or (self.economic and self.economic.has_results))

    def facets(self) -> Mapping[str, Sequence[str]]:
        """Return design, sites and version."""
        return {"design": [self.design], "site": list(self.sites), "entry": [self.entry]}

    def links(self) -> Sequence[Link]:
        """Return the version it studies, its sites, and the evaluations its costs rest on."""
        rests = self.economic.evaluations if self.economic else ()
        return (
            Link("studies", VERSION, self.entry),
            *(Link("at", SITE, site) for site in self.sites),
            *(Link("rests-on", "evaluation", one) for one in rests),
        )

    def words(self) -> str:
        """Return title, version and measures."""
        titles = [text for one in self.measures for text in (one.title.zh, one.title.en)]
        return " ".join([self.title.zh, self.title.en, self.entry, *titles])
