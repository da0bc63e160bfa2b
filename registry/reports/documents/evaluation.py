"""The document of a version's evaluation, as `federation.evaluation.report_document` has it."""

from collections.abc import Collection
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from federation.evaluation.fairness import Figure as GapFigure
from federation.evaluation.fairness import Purpose
from federation.evaluation.policy import RiskClass, Verdict
from federation.evaluation.suppression import Reason
from federation.evidence.model_version import Count, Digest, Line
from registry.records.shapes import Body
from registry.reports.documents.families import Explainability, Paired, Uncertainty
from registry.reports.documents.shapes import (
    Cells,
    Estimated,
    Number,
    Range,
    Rate,
    Share,
    digest_of,
)


class SliceFigures(Body):
    """What is known of everyone, a group or a site."""

    cases: Count
    auroc: Estimated
    average_precision: Number
    brier: Number | None
    ece: Number
    ece_equal_mass: Number
    mce: Number
    rates: Annotated[dict[Line, Rate], Field(max_length=10)]
    in_the_large: Estimated | None
    slope: Estimated | None


class NetBenefit(Body):
    """One point of the decision curve."""

    threshold: Share
    model: Number
    treat_all: Number


class Gap(Body):
    """A group against the reference in one figure."""

    figure: GapFigure = Field(strict=False)
    group: Line
    reference: Line
    gap: Number
    interval: Range
    adjusted_p: Share
    detectable: Number | None


class Fairness(Body):
    """All comparisons of groups."""

    purpose: Purpose = Field(strict=False)
    gaps: Annotated[tuple[Gap, ...], Field(max_length=1000)]


class Heterogeneity(Body):
    """How far sites lie apart, on the logit of the AUROC."""

    scale: Literal["logit AUROC"]
    pooled: Estimated
    tau_squared: Number
    i_squared: Share
    q: Number
    p_value: Share
    prediction: Range | None
    sites: Count


class Refused(Body):
    """What is not shown, and why."""

    name: Line
    refused: Reason = Field(strict=False)
    k: Cells


class Failed(Body):
    """What could not be computed, with the code of the reason."""

    name: Line
    code: Annotated[str, Field(pattern=r"^TF[1-9][0-9]{2}$")]


class Assessment(Body):
    """What `federation.evaluation.assessment` computed."""

    slices: Annotated[dict[Line, SliceFigures], Field(max_length=200)]
    sites: Annotated[dict[Line, SliceFigures], Field(max_length=500)]
    bootstrap: Range | None
    net_benefit: Annotated[tuple[NetBenefit, ...], Field(max_length=200)]
    fairness: Fairness | None
    heterogeneity: Heterogeneity | None
    refusals: Annotated[tuple[Refused, ...], Field(max_length=5000)]
    failures: Annotated[tuple[Failed, ...], Field(max_length=5000)]


class About(Body):
    """What was evaluated, under which logged protocol, where."""

    entry: Line
    weights: Digest
    study: Line
    run: Line
    protocol: Digest
    log_index: Count | None
    sites: Annotated[tuple[Line, ...], Field(min_length=1, max_length=500)]
    exactness: Literal["exact", "exact-on-grid", "bounded", "approximate"]
    masked: bool


class Plan(Body):
    """What the protocol fixed before the run."""

    threshold: Share
    decision_thresholds: Annotated[tuple[Share, ...], Field(max_length=200)]
    purpose: Purpose = Field(strict=False)
    smallest_cell: Cells
    references: Annotated[dict[Line, Line], Field(max_length=100)]


class Finding(Body):
    """What one rule of the policy says."""

    rule: Line
    dimension: Line
    verdict: Verdict = Field(strict=False)
    reason: dict[Literal["en", "zh-Hant-TW"], Line]

    @model_validator(mode="after")
    def _in_both_languages(self) -> Self:
        if len(self.reason) != 2:
            raise ValueError("reason: both languages are needed")
        return self


class Decision(Body):
    """What the policy says of everything."""

    policy_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    risk: RiskClass = Field(strict=False)
    verdict: Verdict = Field(strict=False)
    findings: Annotated[tuple[Finding, ...], Field(max_length=100)]


class Curves(Body):
    """ROC points (score, FPR, TPR, low, high); groups (predicted, observed, low, high, cases)."""

    roc: Annotated[tuple[tuple[Share, Share, Share, Share, Share], ...], Field(max_length=400)]
    reliability: Annotated[
        tuple[tuple[Share, Share, Share, Share, Count], ...], Field(max_length=100)
    ]


class Degradation(Body):
    """One corruption's AUROC by severity, mildest first."""

    corruption: Line
    aurocs: Annotated[tuple[Estimated, ...], Field(min_length=1, max_length=20)]
    relative: Annotated[tuple[Number, ...], Field(max_length=20)]
    monotone: bool


class Distribution(Body):
    """Shares of cases by bin, then and now; one inner edge fewer."""

    edges: Annotated[tuple[Number, ...], Field(max_length=100)]
    reference: Annotated[tuple[Share, ...], Field(max_length=101)]
    now: Annotated[tuple[Share, ...], Field(max_length=101)]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not len(self.reference) == len(self.now) == len(self.edges) + 1:
            raise ValueError("edges: one fewer than bins")
        return self


class Drifted(Body):
    """One variable's distances from the reference."""

    variable: Line
    psi: Number
    ks: Number
    jensen_shannon: Number
    p_value: Share
    distribution: Distribution | None


class AttackPoint(Body):
    """The membership attack at one false positive rate; null where it found few members."""

    allowed: Share
    interval: Range | None


class Attack(Body):
    """What a membership attack achieves."""

    auroc: Estimated
    advantage: Number
    points: Annotated[tuple[AttackPoint, ...], Field(max_length=20)]


class Matrix(Body):
    """A figure of versions at sites."""

    figure: Line
    versions: Annotated[tuple[Line, ...], Field(min_length=1, max_length=50)]
    sites: Annotated[tuple[Line, ...], Field(min_length=1, max_length=100)]
    values: Annotated[tuple[tuple[Share | None, ...], ...], Field(max_length=50)]

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        widths = {len(row) for row in self.values}
        if len(self.values) != len(self.versions) or widths != {len(self.sites)}:
            raise ValueError("values: a row for each version, a number for each site")
        return self

    def without(self, entries: Collection[str]) -> "Matrix | None":
        """Return it without the rows of some versions, None where none is left."""
        rows = [
            (version, row)
            for version, row in zip(self.versions, self.values, strict=True)
            if version not in entries
        ]
        if not rows:
            return None
        versions, values = zip(*rows, strict=True)
        return self.model_copy(update={"versions": versions, "values": values})


class OwnFigure(Body):
    """The AUROC that a site showed of itself; null where it may not be shown."""

    site: Line
    value: Share | None
    low: Number | None
    high: Number | None


class EvaluationDocument(Body):
    """The document of one version's evaluation."""

    schema_: Literal["trifed.evaluation-report/1"] = Field(alias="schema")
    about: About
    plan: Plan
    assessment: Assessment
    decision: Decision
    curves: Curves | None
    robustness: Annotated[tuple[Degradation, ...], Field(max_length=50)]
    drift: Annotated[tuple[Drifted, ...], Field(max_length=100)]
    attack: Attack | None
    matrix: Matrix | None
    own: Annotated[tuple[OwnFigure, ...], Field(max_length=500)] = ()
    paired: Annotated[tuple[Paired, ...], Field(max_length=50)] = ()
    uncertainty: Uncertainty | None = None
    explainability: Explainability | None = None

    @property
    def digest(self) -> str:
        """Return the content id of the document."""
        return digest_of(self)

    @property
    def others(self) -> frozenset[str]:
        """Return every other version that it names."""
        compared = {one.against for one in self.paired}
        beside = set(self.matrix.versions) if self.matrix else set()
        return frozenset((compared | beside) - {self.about.entry})

    def without(self, entries: Collection[str]) -> Self:
        """Return it without what it tells of some versions."""
        paired = tuple(one for one in self.paired if one.against not in entries)
        refused = tuple(one for one in self.assessment.refusals if not _is_of(one.name, entries))
        failed = tuple(one for one in self.assessment.failures if not _is_of(one.name, entries))
        kept = {"refusals": refused, "failures": failed}
        return self.model_copy(
            update={
                "paired": paired,
                "matrix": self.matrix and self.matrix.without(entries),
                "assessment": self.assessment.model_copy(update=kept),
            }
        )


def _is_of(name: str, entries: Collection[str]) -> bool:
    first, _, entry = name.partition(" ")
    return first == "paired" and entry in entries
