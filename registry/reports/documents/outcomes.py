"""The results of an outcome study: survival, regressions, weighting, summed over hospitals."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from federation.domain.cells import SMALL_CELL
from federation.evidence.model_version import Count, Digest, Line
from registry.records.shapes import Body
from registry.reports.documents.shapes import Number, Share, Spoken, digest_of

Names = Annotated[tuple[Line, ...], Field(max_length=100)]
Steps = Annotated[tuple[Number, ...], Field(max_length=2000)]


class Refused(Body):
    """Why an analysis has no result, with the code of the reason."""

    code: Annotated[str, Field(pattern=r"^TF[1-9][0-9]{2}$")]
    what: Spoken
    next: Spoken


class Curve(Body):
    """Survival just after each time, 1 before the first, up to where enough are followed."""

    group: Line
    patients: Count
    ends: Number
    times: Steps
    survival: Annotated[tuple[Share, ...], Field(max_length=2000)]
    low: Annotated[tuple[Share, ...], Field(max_length=2000)]
    high: Annotated[tuple[Share, ...], Field(max_length=2000)]

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if len({len(self.times), len(self.survival), len(self.low), len(self.high)}) != 1:
            raise ValueError("times: a survival with its interval for each")
        return self


class RiskCounts(Body):
    """How many of a group are followed at each time; null below k."""

    group: Line
    counts: Annotated[tuple[Count | None, ...], Field(max_length=100)]


class AtRisk(Body):
    """Numbers at risk below the curves."""

    times: Annotated[tuple[Number, ...], Field(max_length=100)]
    groups: Annotated[tuple[RiskCounts, ...], Field(max_length=50)]

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if any(len(one.counts) != len(self.times) for one in self.groups):
            raise ValueError("at_risk: a count for each time")
        return self


class Hidden(Body):
    """A group without a curve, and why."""

    group: Line
    reason: Spoken


class LogRank(Body):
    """The test that all groups have the same hazard."""

    statistic: Number
    freedom: Count
    p: Share


class RestrictedMean(Body):
    """Mean time without the event up to a horizon."""

    group: Line
    horizon: Number
    value: Number
    error: Number
    low: Number
    high: Number


class MeanDifference(Body):
    """The second group's restricted mean minus the first's."""

    groups: tuple[Line, Line]
    horizon: Number
    value: Number
    error: Number
    low: Number
    high: Number
    p: Share


class Survival(Body):
    """Time until an event, by group."""

    kind: Literal["survival"]
    name: Line
    unit: Literal["day", "week", "month", "year"]
    group: Line | None
    refused: Refused | None
    curves: Annotated[tuple[Curve, ...], Field(max_length=50)] = ()
    at_risk: AtRisk | None = None
    hidden: Annotated[tuple[Hidden, ...], Field(max_length=50)] = ()
    log_rank: LogRank | None = None
    means: Annotated[tuple[RestrictedMean, ...], Field(max_length=50)] = ()
    difference: MeanDifference | None = None


class Ratio(Body):
    """A hazard or odds ratio with its interval."""

    value: Annotated[Number, Field(gt=0)]
    low: Annotated[Number, Field(gt=0)]
    high: Annotated[Number, Field(gt=0)]


class Term(Body):
    """One coefficient; `reference` is the category it is against, ratio null for an intercept."""

    term: Line
    reference: Line | None
    value: Number
    error: Number
    low: Number
    high: Number
    z: Number
    p: Share
    ratio: Ratio | None


class Regression(Body):
    """A Cox or logistic regression fitted by rounds."""

    kind: Literal["cox", "logistic"]
    name: Line
    ratio: Literal["hazard", "odds"]
    outcome: Line | None
    ties: Line | None
    baseline: Line | None
    refused: Refused | None
    patients: Count | None = None
    events: Count | None = None
    rounds: Count | None = None
    tolerance: Number | None = None
    last_step: Number | None = None
    log_likelihood: Number | None = None
    terms: Annotated[tuple[Term, ...], Field(max_length=200)] = ()


class Arms(Body):
    """A number of each arm."""

    untreated: Number
    treated: Number


class Mean(Body):
    """A weighted mean with its robust interval."""

    value: Number
    error: Number
    low: Number
    high: Number


class Effect(Mean):
    """A weighted difference, with its test."""

    z: Number
    p: Share


class Weighted(Body):
    """An effect by inverse-probability or overlap weights."""

    kind: Literal["weighted"]
    name: Line
    treatment: Line
    outcome: Line
    weights: Literal["inverse", "stabilised", "overlap"]
    refused: Refused | None
    patients: Arms | None = None
    effective: Arms | None = None
    rounds: Count | None = None
    tolerance: Number | None = None
    last_step: Number | None = None
    untreated: Mean | None = None
    treated: Mean | None = None
    effect: Effect | None = None


Analysis = Annotated[Survival | Regression | Weighted, Field(discriminator="kind")]


class About(Body):
    """Which study, under which logged protocol, at which hospitals."""

    study: Line
    run: Line
    title: Line
    table: Line
    protocol: Digest
    log_index: Count | None
    sites: Annotated[tuple[Line, ...], Field(min_length=1, max_length=500)]
    impact_study: Line | None


class OutcomeDocument(Body):
    """All analyses of one run of an outcome study; `plan` is its protocol as it was logged."""

    schema_: Literal["trifed.outcomes/1"] = Field(alias="schema")
    about: About
    plan: dict[str, Any]
    patients: Count
    analyses: Annotated[tuple[Analysis, ...], Field(min_length=1, max_length=50)]

    @property
    def smallest_cell(self) -> int:
        """Return the k of its plan, that of the platform where it names none."""
        limits = self.plan.get("limits")
        k = limits.get("smallest_cell") if isinstance(limits, dict) else None
        return k if isinstance(k, int) and 3 <= k <= 20 else SMALL_CELL

    @property
    def digest(self) -> str:
        """Return the content id of the document."""
        return digest_of(self)
