"""What a hospital records of one deployment (REGISTRY.md B.3).

`registry.models.evidence_found` reads `local_acceptance`, `drift_check`, `override_route`,
`licence`, `cases` and `alerts`; their names are fixed.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from enum import Enum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from federation.evidence.model_version import Bilingual, Digest, EntryId, Line
from registry.codes import HospitalCode, RecordName
from registry.datasets.card import SITE
from registry.datasets.fields import Site
from registry.disclosure import OpenBody, Tens
from registry.models.version_card import NAME as MODEL_VERSION
from registry.records.ports import Link
from registry.records.shapes import Body
from registry.roles import Role

NAME = "deployment"

_Figure = Annotated[float, Field(ge=-(10**9), le=10**9)]


class Surface(Enum):
    """Where users meet it."""

    PACS = "PACS"
    EMR = "EMR"
    SMART_APP = "SMART-app"
    CDS_HOOKS = "CDS-Hooks"
    OTHER = "other"


class AlertLimit(Body):
    """A metric with the limits outside which somebody acts."""

    metric: Line
    low: _Figure | None = None
    high: _Figure | None = None

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        if self.low is None and self.high is None:
            raise ValueError("a limit needs low or high")
        return self


class MonitoringPlan(Body):
    """What is watched, how often, and how often a review is due."""

    limits: Annotated[tuple[AlertLimit, ...], Field(min_length=1, max_length=50)]
    every_days: Annotated[int, Field(ge=1, le=366)]
    review_months: Literal[3, 6, 12]


class Trained(Body):
    """That users of a role were trained, by the record's digest."""

    role: Role
    record: Digest


IDENTITY = ("entry", "site", "hospital", "ward", "surface", "config")
"""What a deployment is; none of it changes once it runs."""


class Deployment(OpenBody):
    """One version at one place. `cases` and `overrides` since the start, in tens."""

    entry: EntryId
    site: Site
    hospital: HospitalCode
    ward: Line
    surface: Surface
    config: Digest
    begins: date
    ends: date | None = None
    local_acceptance: RecordName | None = None
    drift_check: RecordName | None = None
    override_route: Bilingual | None = None
    fallback: Bilingual
    licence: Line | None = None
    users: Annotated[tuple[Trained, ...], Field(max_length=20)] = ()
    monitoring: MonitoringPlan
    cases: Tens = 0
    overrides: Tens = 0
    alerts: Annotated[int, Field(ge=0, le=10**9)] = 0

    @model_validator(mode="after")
    def _counts_agree(self) -> Self:
        if self.cases is not None and (self.overrides or 0) > self.cases:
            raise ValueError("overrides: more than cases")
        return self

    def facets(self) -> Mapping[str, Sequence[str]]:
        """Return site, hospital, version and surface."""
        return {
            "site": [self.site],
            "hospital": [self.hospital],
            "entry": [self.entry],
            "surface": [self.surface.value],
        }

    def links(self) -> Sequence[Link]:
        """Return the version, its site and the evaluations it rests on."""
        tests = (self.local_acceptance, self.drift_check)
        rests = [Link("rests-on", "evaluation", one) for one in tests if one is not None]
        return (
            Link("deploys", MODEL_VERSION, self.entry),
            Link("at", SITE, self.site),
            *rests,
        )

    def words(self) -> str:
        """Return site, hospital and ward."""
        return f"{self.entry} {self.site} {self.hospital} {self.ward}"
