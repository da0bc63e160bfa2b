"""What reports are made of, read strictly: every field known, every number finite, within limits.

    document = read_evaluation(content)        # federation/evaluation/report_document.py wrote it
    economics = read_economics(content)        # federation/economics/analysis.py wrote it

A document comes from elsewhere. One that cannot be read is refused with a list of what is
wrong; one that tells of fewer cases than its own rule allows is refused as a whole, before
anything of it is drawn.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, Self, TypeVar

from pydantic import Field, ValidationError, model_validator

from federation.domain.ids import Sha256
from federation.economics.budget import Sector
from federation.economics.diagnostic import title_of
from federation.errors.registry import NotCanonicalError
from federation.errors.reports import ReportCellError, ReportDocumentError
from federation.evaluation.fairness import Figure as GapFigure
from federation.evaluation.fairness import Purpose
from federation.evaluation.policy import RiskClass, Verdict
from federation.evaluation.suppression import Reason
from federation.evidence.canonical import canonical, parse
from federation.evidence.model_version import Bilingual, Count, Digest, Line
from federation.wording import Text
from registry.records.shapes import Body, listed

MAX_BYTES = 4 * 2**20
_EVALUATION = Text(en="evaluation", zh="評估")
_ECONOMIC = Text(en="economic analysis", zh="經濟分析")
_TOO_LARGE = Text(en="it is larger than 4 MiB", zh="檔案大於 4 MiB")
_NOT_JSON = Text(en="it is not JSON as the platform writes it", zh="不是平台所寫的 JSON")

Share = Annotated[float, Field(ge=0, le=1)]
Cells = Annotated[int, Field(ge=3, le=20)]
Range = tuple[float, float]
M = TypeVar("M", bound=Body)


class Estimated(Body):
    """An estimate and its 95 % interval."""

    value: float
    interval: Range

    @property
    def ends(self) -> Range:
        """Return both ends of the interval."""
        return self.interval


class Rate(Body):
    """A rate that is shown, lies in a band, or is refused."""

    value: Share | None
    interval: Range | None = None
    band: Range | None = None
    of: Count | None = None
    name: Line | None = None
    refused: Reason | None = Field(default=None, strict=False)
    k: Cells | None = None


class SliceFigures(Body):
    """What is known of everyone, a group or a site."""

    cases: Count
    auroc: Estimated
    average_precision: float
    brier: float
    ece: float
    ece_equal_mass: float
    mce: float
    rates: Annotated[dict[Line, Rate], Field(max_length=10)]
    in_the_large: Estimated | None
    slope: Estimated | None


class NetBenefit(Body):
    """One point of the decision curve."""

    threshold: Share
    model: float
    treat_all: float


class Gap(Body):
    """A group against the reference in one figure."""

    figure: GapFigure = Field(strict=False)
    group: Line
    reference: Line
    gap: float
    interval: Range
    adjusted_p: Share
    detectable: float | None


class Fairness(Body):
    """All comparisons of groups."""

    purpose: Purpose = Field(strict=False)
    gaps: Annotated[tuple[Gap, ...], Field(max_length=1000)]


class Heterogeneity(Body):
    """How far sites lie apart, on the logit of the AUROC."""

    scale: Literal["logit AUROC"]
    pooled: Estimated
    tau_squared: float
    i_squared: Share
    q: float
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
    relative: Annotated[tuple[float, ...], Field(max_length=20)]
    monotone: bool


class Distribution(Body):
    """Shares of cases by bin, then and now; one inner edge fewer."""

    edges: Annotated[tuple[float, ...], Field(max_length=100)]
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
    psi: float
    ks: float
    jensen_shannon: float
    p_value: Share
    distribution: Distribution | None


class AttackPoint(Body):
    """The membership attack at one false positive rate; null where it found few members."""

    allowed: Share
    interval: Range | None


class Attack(Body):
    """What a membership attack achieves."""

    auroc: Estimated
    advantage: float
    points: Annotated[tuple[AttackPoint, ...], Field(max_length=20)]


class Matrix(Body):
    """A figure of versions at sites."""

    figure: Line
    versions: Annotated[tuple[Line, ...], Field(min_length=1, max_length=50)]
    sites: Annotated[tuple[Line, ...], Field(min_length=1, max_length=100)]
    values: Annotated[tuple[tuple[float | None, ...], ...], Field(max_length=50)]

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        widths = {len(row) for row in self.values}
        if len(self.values) != len(self.versions) or widths != {len(self.sites)}:
            raise ValueError("values: a row for each version, a number for each site")
        return self


class OwnFigure(Body):
    """The AUROC that a site showed of itself; null where it may not be shown."""

    site: Line
    value: Share | None
    low: float | None
    high: float | None


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

    @property
    def digest(self) -> str:
        """Return the content id of the document."""
        return _digest(self)


class Ranked(Body):
    """One strategy and where it stands."""

    strategy: Line
    cost: float
    effect: float
    standing: Literal["ND", "D", "ED"]
    incremental_cost: float | None
    incremental_effect: float | None
    icer: float | None


class Best(Body):
    """The frontier of acceptability at one threshold."""

    best: Line
    share: Share


class Information(Body):
    """The value of knowing more at one threshold."""

    threshold: float
    evpi: float
    evppi: Annotated[dict[Line, float], Field(max_length=50)]


class Bar(Body):
    """One parameter from its low to its high end."""

    parameter: Line
    low: float
    high: float
    at_low: float
    at_high: float

    @model_validator(mode="after")
    def _is_known(self) -> Self:
        try:
            title_of(self.parameter)
        except KeyError:
            raise ValueError("parameter: the platform has none of that name") from None
        return self


class Tornado(Body):
    """The outcome at all means, and what it depends on."""

    outcome: float
    bars: Annotated[tuple[Bar, ...], Field(max_length=200)]


class Year(Body):
    """One year of the budget."""

    year: int
    people: float
    by_sector: dict[Annotated[Sector, Field(strict=False)], float]
    total: float
    insurance: float


class Horizon(Body):
    """How long, and what later years count."""

    years: float
    cost_rate: float
    effect_rate: float
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
    sources: Annotated[dict[Line, str], Field(max_length=200)]
    draws: Count
    seed: Count
    base_case: Annotated[tuple[Ranked, ...], Field(min_length=2, max_length=10)]
    mean_case: Annotated[tuple[Ranked, ...], Field(min_length=2, max_length=10)]
    thresholds: Annotated[tuple[float, ...], Field(min_length=1, max_length=200)]
    acceptability: Annotated[tuple[tuple[Share, ...], ...], Field(max_length=200)]
    frontier: Annotated[tuple[Best, ...], Field(max_length=200)]
    expected_loss: Annotated[tuple[tuple[float, ...], ...], Field(max_length=200)]
    information: Annotated[tuple[Information, ...], Field(max_length=200)]
    tornado: Tornado
    threshold_price: float | None
    budget: Annotated[tuple[Year, ...], Field(max_length=20)]
    plane: Annotated[tuple[tuple[float, float], ...], Field(min_length=1, max_length=5000)]

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        by_threshold = (self.acceptability, self.frontier, self.expected_loss, self.information)
        if any(len(one) != len(self.thresholds) for one in by_threshold):
            raise ValueError("thresholds: a row for each is needed everywhere")
        widths = {len(row) for row in (*self.acceptability, *self.expected_loss)}
        if widths != {len(self.strategies)}:
            raise ValueError("acceptability: a share for each strategy")
        if any(one.best not in self.strategies for one in self.frontier):
            raise ValueError("frontier: one of the strategies")
        return self

    @property
    def digest(self) -> str:
        """Return the content id of the document."""
        return _digest(self)


def _digest(document: Body) -> str:
    """Return the content id of the bytes that a document was read from, or would be."""
    return str(Sha256.of(canonical(document.model_dump(mode="json", exclude_unset=True))))


def read_evaluation(content: bytes | Mapping[str, object]) -> EvaluationDocument:
    """Return the document of an evaluation.

    Raises
    ------
    ReportDocumentError
        If it is too large, not JSON, or not such a document; all problems are listed.
    ReportCellError
        If it tells of fewer cases than its own rule allows.
    """
    document = _read(content, EvaluationDocument, _EVALUATION)
    for where, count in _counts(document):
        if 0 < count < document.plan.smallest_cell:
            raise ReportCellError(where=where, k=document.plan.smallest_cell)
    return document


def read_economics(content: bytes | Mapping[str, object]) -> EconomicDocument:
    """Return the results of an economic model.

    Raises
    ------
    ReportDocumentError
        If it is too large, not JSON, or not such a document; all problems are listed.
    """
    return _read(content, EconomicDocument, _ECONOMIC)


def _read(content: bytes | Mapping[str, object], shape: type[M], kind: Text) -> M:
    if not isinstance(content, bytes):
        content = canonical(dict(content))
    if len(content) > MAX_BYTES:
        raise ReportDocumentError(kind=kind, problems=_TOO_LARGE)
    try:
        parse(content)
    except NotCanonicalError as error:
        raise ReportDocumentError(kind=kind, problems=_NOT_JSON) from error
    try:
        return shape.model_validate_json(content)
    except ValidationError as error:
        raise ReportDocumentError(kind=kind, problems=listed(error)) from error


def _counts(document: EvaluationDocument) -> Iterator[tuple[str, int]]:
    """Yield every number of cases the document tells, or that follows from one rate."""
    found = document.assessment
    for part in (found.slices, found.sites):
        for name, one in part.items():
            yield f"cases of {name}", one.cases
            for rate, shown in one.rates.items():
                yield from _parts(f"{rate} of {name}", shown.value, shown.of)
    for number, group in enumerate(document.curves.reliability if document.curves else ()):
        yield from _parts(f"reliability group {number}", group[1], group[4])


def _parts(where: str, rate: float | None, of: int | None) -> Iterator[tuple[str, int]]:
    if of is None:
        return
    yield where, of
    if rate is not None:
        hits = round(rate * of)
        yield from ((where, hits), (where, of - hits))
