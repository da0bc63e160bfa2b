"""What people say of a version: the card that its moves are decided on.

The signed record of a version says what was trained (federation/evidence/model_version);
the card says for whom it is meant, with what risk, and answers the 31 attributes. It is
a record of the noun ``model-version`` whose id is the entry; it can be written while the
version is a draft and never after.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Annotated, Literal

from pydantic import Field

from federation.evidence.model_version import Bilingual, Digest, EntryId, Line
from registry.exchange.attributes import ATTRIBUTES
from registry.models.attributes import Answer
from registry.records.ports import Link
from registry.records.shapes import Body

NAME = "model-version"

_AttributeName = Annotated[str, Field(pattern=r"^[1-9][a-e]$")]
_Path = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,199}$")]
_RecordName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:+-]{0,119}$")]


class RiskLevel(Enum):
    """How often a version in use is reviewed depends on this (REGISTRY.md B.3)."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class ChangePart(Enum):
    """What a change touches. The first five a plan may cover (TFDA, PCCP 2024), the rest never."""

    SPECIFICATION = "specification"
    ARCHITECTURE = "architecture"
    DESIGN = "design"
    TRAINING_METHOD = "training-method"
    DETECTION_PRINCIPLE = "detection-principle"
    PERFORMANCE_CLAIM = "performance-claim"
    INTENDED_USE = "intended-use"
    SETTING = "setting"
    POPULATION = "population"
    BODY_SITE = "body-site"


MAY_BE_PLANNED = frozenset(
    {
        ChangePart.SPECIFICATION,
        ChangePart.ARCHITECTURE,
        ChangePart.DESIGN,
        ChangePart.TRAINING_METHOD,
        ChangePart.DETECTION_PRINCIPLE,
    }
)


class Code(Body):
    """One code of a published system, for example DICOM's modality ``CR``."""

    kind: Literal["modality", "body-part", "condition", "ai-kind", "task"]
    system: Line
    code: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$")]
    display: Line | None = None


class Organisation(Body):
    """Who answers for the model, and how to reach them."""

    name: Bilingual
    contact: Line | None = None


class Risk(Body):
    """The classes a version was put in; a high risk needs a warning text (AI Basic Act)."""

    level: RiskLevel = Field(strict=False)
    tfda_class: Literal["1", "2", "3", "none"]
    imdrf: Literal["I", "II", "III", "IV"]
    eu: Line | None = None
    warning: Bilingual | None = None


class FileRef(Body):
    """A file in the artefact store."""

    path: _Path
    sha256: Digest


class Change(Body):
    """What was changed since the parent version, and the plan that covers it (PCCP)."""

    parent: EntryId
    parts: Annotated[tuple[ChangePart, ...], Field(min_length=1, max_length=10, strict=False)]
    plan: _RecordName | None = None


class VersionCard(Body):
    """The card of one version. `record` is the digest of the signed record it belongs to."""

    entry: EntryId
    record: Digest
    model: Digest
    name: Bilingual | None = None
    organisation: Organisation | None = None
    intended_use: Bilingual | None = None
    codes: Annotated[tuple[Code, ...], Field(max_length=100)] = ()
    attributes: Annotated[dict[_AttributeName, Answer], Field(max_length=len(ATTRIBUTES))] = Field(
        default_factory=dict
    )
    risk: Risk | None = None
    limitations: Annotated[tuple[Bilingual, ...], Field(max_length=50)] = ()
    licence: Line | None = None
    mlbom: FileRef | None = None
    change: Change | None = None

    def facets(self) -> Mapping[str, Sequence[str]]:
        """Return codes by kind, the organisation and the model."""
        found: dict[str, list[str]] = {"model": [self.entry.partition(".v")[0]]}
        for code in self.codes:
            found.setdefault(code.kind, []).append(code.code)
        if self.organisation is not None:
            both = self.organisation.name
            found["organisation"] = [both.zh[:200], both.en[:200]]
        if self.risk is not None:
            found["risk"] = [self.risk.level.value]
        return found

    def links(self) -> Sequence[Link]:
        """Return the evaluations it rests on, its parent and the change plan."""
        named = {one for answer in self.attributes.values() for one in answer.evaluations}
        links = [Link("rests-on", "evaluation", one) for one in sorted(named)]
        if self.change is not None:
            links.append(Link("changes", NAME, self.change.parent))
            if self.change.plan is not None:
                links.append(Link("under-plan", "change-plan", self.change.plan))
        return links

    def words(self) -> str:
        """Return names, use, organisation and codes."""
        house = None if self.organisation is None else self.organisation.name
        both = [self.name, self.intended_use, house]
        said = [text for one in both if one is not None for text in (one.zh, one.en)]
        codes = [f"{code.code} {code.display or ''}" for code in self.codes]
        return " ".join([self.entry, *said, *codes])
