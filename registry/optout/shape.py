"""What an opt-out list and its application at a site say (REGISTRY.md B.3)."""

from collections.abc import Mapping, Sequence
from datetime import date
from enum import Enum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from federation.evidence.model_version import Bilingual, Digest, Line
from registry.codes import RecordName
from registry.datasets.fields import Site, When
from registry.disclosure import OpenBody, Tens
from registry.records.ports import Link
from registry.records.shapes import Body

LIST = "opt-out-list"
PROPAGATION = "opt-out-propagation"

_Difference = Annotated[float, Field(ge=-1000, le=1000)]


class Use(Enum):
    """A use that a person may opt out of; a list names the ones it is about."""

    RESEARCH = "research"
    AI_TRAINING = "ai-training"
    AI_EVALUATION = "ai-evaluation"
    STATISTICS = "statistics"


class OptOutList(OpenBody):
    """One version of the list: whom it holds is known by a keyed digest alone.

    `list_digest` is over keyed pseudonyms, so that nobody can try identifiers against it.
    `sites` must report that they applied it, by `apply_by`.
    """

    version: Annotated[int, Field(ge=1, le=10**9)]
    list_digest: Digest
    method: Literal["hmac-sha256"]
    key: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    scope: Literal["all", "part"]
    uses: Annotated[tuple[Use, ...], Field(max_length=len(Use))] = ()
    effective: date
    apply_by: date
    sites: Annotated[tuple[Site, ...], Field(min_length=1, max_length=1000)]

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if (self.scope == "part") != bool(self.uses):
            raise ValueError("uses: named when the scope is part, and only then")
        if self.apply_by < self.effective:
            raise ValueError("apply_by: it is before the list takes effect")
        if len(set(self.sites)) != len(self.sites):
            raise ValueError("sites: one occurs twice")
        return self

    def facets(self) -> Mapping[str, Sequence[str]]:
        """Return scope, uses and sites."""
        return {
            "scope": [self.scope],
            "use": [use.value for use in self.uses],
            "site": list(self.sites),
        }


class Difference(Body):
    """How those who remain differ from all, in one variable: SMD and PSI (docs/opt-out.md)."""

    variable: Line
    smd: _Difference
    psi: Annotated[float, Field(ge=0, le=1000)]


class Representativeness(Body):
    """How well those who remain stand for all; suppressed where it would show somebody (R40)."""

    suppressed: bool
    differences: Annotated[tuple[Difference, ...], Field(max_length=50)] = ()
    note: Bilingual | None = None

    @model_validator(mode="after")
    def _says_or_suppresses(self) -> Self:
        if self.suppressed == bool(self.differences):
            raise ValueError("differences: given, or suppressed, not both")
        return self

    @property
    def worst(self) -> float:
        """Return the largest absolute standardised difference, 0 where suppressed."""
        return max((abs(one.smd) for one in self.differences), default=0.0)


class OptOutPropagation(OpenBody):
    """One site's word that a list was applied to one data set, and with what effect.

    People are counted in whole tens, each group by itself and without a total, for lists
    follow each other and differ by few.
    """

    list: RecordName
    list_digest: Digest
    site: Site
    dataset: Digest
    applied_at: When
    remaining: Tens
    excluded: Tens
    representativeness: Representativeness

    def facets(self) -> Mapping[str, Sequence[str]]:
        """Return site and data set."""
        return {"site": [self.site], "dataset": [self.dataset]}

    def links(self) -> Sequence[Link]:
        """Return the list it applies."""
        return (Link("applies", LIST, self.list),)
