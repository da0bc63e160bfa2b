"""One evaluation of one version: what was planned, what was found, at which sites.

It is written first without metrics, as a plan: protocol by its digest, sites, data and
thresholds. `passed` follows from metrics and thresholds and cannot be claimed otherwise.
Guards of model versions read these field names (registry/models/evidence_found.py).
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from federation.domain.cells import SMALL_CELL
from federation.evidence.model_version import Bilingual, Digest, EntryId, Line
from federation.wording import Text
from registry.codes import RecordName
from registry.datasets.card import NAME as CARD
from registry.datasets.card import SITE
from registry.datasets.fields import Enough, Site, Slug
from registry.disclosure import OpenBody
from registry.models.version_card import NAME as VERSION
from registry.records.ports import Link
from registry.records.shapes import Body

NAME = "evaluation"


class Dimension(Enum):
    """What of a version is evaluated."""

    DISCRIMINATION = "discrimination"
    OPERATING_POINT = "operating-point"
    CALIBRATION = "calibration"
    FAIRNESS = "fairness"
    ROBUSTNESS = "robustness"
    DRIFT = "drift"
    EXPLAINABILITY = "explainability"
    UNCERTAINTY = "uncertainty"
    PRIVACY = "privacy"
    NET_BENEFIT = "net-benefit"
    USABILITY = "usability"
    SECURITY = "security"


class Principle(Enum):
    """The seven principles of Taiwan's Artificial Intelligence Basic Act (2025)."""

    SUSTAINABILITY = "sustainability"
    AUTONOMY = "human-autonomy"
    PRIVACY = "privacy-and-data-governance"
    SECURITY = "security-and-safety"
    TRANSPARENCY = "transparency"
    FAIRNESS = "fairness"
    ACCOUNTABILITY = "accountability"

    @property
    def title(self) -> Text:
        """Return the principle's name for people."""
        return _TITLES[self]


_TITLES: dict[Principle, Text] = {
    Principle.SUSTAINABILITY: Text(en="sustainable development", zh="永續發展與福祉"),
    Principle.AUTONOMY: Text(en="human autonomy", zh="人類自主"),
    Principle.PRIVACY: Text(en="privacy and data governance", zh="隱私保護與資料治理"),
    Principle.SECURITY: Text(en="security and safety", zh="資安與安全"),
    Principle.TRANSPARENCY: Text(en="transparency", zh="透明與可解釋"),
    Principle.FAIRNESS: Text(en="fairness", zh="公平與不歧視"),
    Principle.ACCOUNTABILITY: Text(en="accountability", zh="問責"),
}

PRINCIPLE_OF: dict[Dimension, Principle] = {
    Dimension.DISCRIMINATION: Principle.SECURITY,
    Dimension.OPERATING_POINT: Principle.SECURITY,
    Dimension.CALIBRATION: Principle.TRANSPARENCY,
    Dimension.FAIRNESS: Principle.FAIRNESS,
    Dimension.ROBUSTNESS: Principle.SECURITY,
    Dimension.DRIFT: Principle.ACCOUNTABILITY,
    Dimension.EXPLAINABILITY: Principle.TRANSPARENCY,
    Dimension.UNCERTAINTY: Principle.TRANSPARENCY,
    Dimension.PRIVACY: Principle.PRIVACY,
    Dimension.NET_BENEFIT: Principle.SUSTAINABILITY,
    Dimension.USABILITY: Principle.AUTONOMY,
    Dimension.SECURITY: Principle.SECURITY,
}
"""Which principle an evaluation serves first; the register's own reading, not the act's words."""


class Plugin(Body):
    """The program that evaluates, its version, and its arguments by content id."""

    id: Slug
    version: Line
    arguments: Digest


class Threshold(Body):
    """What a metric's estimate or end of interval must be at least, or at most."""

    metric: Slug
    slice: Line = "all"
    bound: Literal["value", "low", "high"]
    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _has_a_limit(self) -> Self:
        if self.at_least is None and self.at_most is None:
            raise ValueError("a threshold needs a limit")
        return self

    def is_met(self, metric: "Metric") -> bool:
        """Say whether a metric keeps to it."""
        found: float = getattr(metric, self.bound)
        return (self.at_least is None or found >= self.at_least) and (
            self.at_most is None or found <= self.at_most
        )


class Metric(Body):
    """An estimate with its interval on `n` patients, at least ten; `slice` names the group."""

    name: Slug
    value: float
    low: float
    high: float
    method: Line
    n: Enough
    slice: Line = "all"

    @model_validator(mode="after")
    def _holds(self) -> Self:
        if not self.low <= self.value <= self.high:
            raise ValueError("the interval does not hold the value")
        return self


class Suppression(Body):
    """The smallest cell that was shown, and how many slices were hidden for it."""

    smallest_cell: Annotated[int, Field(ge=SMALL_CELL, le=1000)]
    slices_hidden: Annotated[int, Field(ge=0, le=10**6)]


class Exactness(Body):
    """Whether figures equal those of a central run; `low` and `high` bound a ``bounded`` one."""

    kind: Literal["exact", "exact-on-grid", "bounded", "approximate"]
    low: float | None = None
    high: float | None = None

    @model_validator(mode="after")
    def _has_its_bounds(self) -> Self:
        if (self.kind == "bounded") != (self.low is not None and self.high is not None):
            raise ValueError("bounds belong to bounded figures")
        return self


class Evaluation(OpenBody):
    """One evaluation. `acceptance` says in writing why a missed threshold is accepted.

    `absent` are planned sites that gave nothing: the rest stayed enough for the protocol.

    `report` is the content id of the document of all figures (registry/reports); the
    records of one run's dimensions name the same.
    """

    entry: EntryId
    dimension: Dimension = Field(strict=False)
    protocol_id: RecordName
    protocol_hash: Digest
    plugin: Plugin
    dataset_cards: Annotated[tuple[RecordName, ...], Field(max_length=500)]
    sites: Annotated[tuple[Site, ...], Field(min_length=1, max_length=500)]
    thresholds: Annotated[tuple[Threshold, ...], Field(max_length=100)]
    runner: Line
    metrics: Annotated[tuple[Metric, ...], Field(max_length=1000)] = ()
    statistics: Annotated[dict[Site, Digest], Field(max_length=500)] = Field(default_factory=dict)
    attestations: Annotated[dict[Site, Digest], Field(max_length=500)] = Field(default_factory=dict)
    suppression: Suppression | None = None
    exactness: Exactness | None = None
    disjointness: Digest | None = None
    passed: bool | None = None
    acceptance: Bilingual | None = None
    absent: Annotated[tuple[Site, ...], Field(max_length=500)] = ()
    report: Digest | None = None
    schema_: Literal["trifed.evaluation/1"] = Field(default="trifed.evaluation/1", alias="schema")

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        named = [(one.name, one.slice) for one in self.metrics]
        if len(set(named)) != len(named):
            raise ValueError("metrics: one is there twice")
        if self.metrics and (self.suppression is None or self.exactness is None):
            raise ValueError("results need their suppression and exactness")
        if len(set(self.absent)) != len(self.absent) or not set(self.absent) <= set(self.sites):
            raise ValueError("absent: not sites of the plan, or one twice")
        if set(self.absent) & (self.statistics.keys() | self.attestations.keys()):
            raise ValueError("absent: a site gave something")
        if self.passed is not outcome(self.thresholds, self.metrics):
            raise ValueError("passed: the metrics and thresholds say otherwise")
        if self.acceptance is not None and self.passed is not False:
            raise ValueError("acceptance: only a missed threshold is accepted")
        return self

    @property
    def present(self) -> tuple[str, ...]:
        """Return the sites that took part, before the run all that are planned."""
        return tuple(site for site in self.sites if site not in self.absent)

    def facets(self) -> Mapping[str, Sequence[str]]:
        """Return dimension, principle, sites and version."""
        return {
            "dimension": [self.dimension.value],
            "principle": [PRINCIPLE_OF[self.dimension].value],
            "site": list(self.present),
            "entry": [self.entry],
        }

    def links(self) -> Sequence[Link]:
        """Return the version it evaluates, the data cards it used and its sites."""
        return (
            Link("evaluates", VERSION, self.entry),
            *(Link("evaluated-on", CARD, card) for card in self.dataset_cards),
            *(Link("at", SITE, site) for site in self.present),
        )

    def words(self) -> str:
        """Return version, dimension, protocol and metrics."""
        return " ".join(
            [self.entry, self.dimension.value, self.protocol_id, *(m.name for m in self.metrics)]
        )


def outcome(thresholds: Sequence[Threshold], metrics: Sequence[Metric]) -> bool | None:
    """Say whether every threshold was met; None where there is nothing to say yet.

    A threshold whose metric is not there is missed.
    """
    if not metrics or not thresholds:
        return None
    found = {(one.name, one.slice): one for one in metrics}
    asked = [(limit, found.get((limit.metric, limit.slice))) for limit in thresholds]
    return all(metric is not None and limit.is_met(metric) for limit, metric in asked)
