"""What one review says."""

from collections.abc import Mapping, Sequence
from datetime import date
from enum import Enum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from federation.evidence.model_version import Bilingual, EntryId
from registry.codes import RecordName
from registry.disclosure import OpenBody
from registry.models.version_card import NAME as MODEL_VERSION
from registry.models.version_card import RiskLevel
from registry.records.ports import Link
from registry.timers.clocks import REVIEW_MONTHS

NAME = "review-cycle"


class Decision(Enum):
    """What follows for the deployment."""

    KEEP = "keep"
    RESTRICT = "restrict"
    RETRAIN = "retrain"
    RETIRE = "retire"


class ReviewCycle(OpenBody):
    """One review of one deployment: on what it rests and, once known, what was decided."""

    deployment: RecordName
    entry: EntryId
    risk: RiskLevel
    every_months: Literal[3, 6, 12]
    due: date
    evaluations: Annotated[tuple[RecordName, ...], Field(max_length=50)] = ()
    decision: Decision | None = None
    rationale: Bilingual | None = None

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.every_months > REVIEW_MONTHS[self.risk]:
            raise ValueError("every_months: rarer than the risk allows (high 3, medium 6, low 12)")
        if (self.decision is None) != (self.rationale is None):
            raise ValueError("rationale: goes with a decision, and only with one")
        return self

    def facets(self) -> Mapping[str, Sequence[str]]:
        """Return risk and decision."""
        decided = [] if self.decision is None else [self.decision.value]
        return {"risk": [self.risk.value], "decision": decided}

    def links(self) -> Sequence[Link]:
        """Return the deployment and version reviewed and the evaluations it rests on."""
        rests = [Link("rests-on", "evaluation", one) for one in self.evaluations]
        return (
            Link("reviews", "deployment", self.deployment),
            Link("reviews", MODEL_VERSION, self.entry),
            *rests,
        )
