"""The noun ``change-plan``: a predetermined change control plan (PCCP) in its three parts.

Guards of model versions read `parts` and the state ``approved`` (T12). A plan can only
hold parts that a plan may cover; it is approved with the authority's decision in it.
"""

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from federation.errors import PlatformError
from federation.errors.guards import ChangePlanError
from federation.evidence.canonical import canonical
from federation.evidence.model_version import Bilingual, Digest, EntryId, Line
from federation.wording import Text
from registry.certification.changes import Route, classify
from registry.datasets.fields import Day
from registry.disclosure import OpenBody
from registry.models.version_card import NAME as VERSION
from registry.models.version_card import ChangePart
from registry.records.moves import Case, Move, Moves, Seat
from registry.records.ports import Link
from registry.records.shapes import Body, Noun
from registry.roles import Role

NAME = "change-plan"


class Decision(Body):
    """The authority's decision on the plan."""

    authority: Literal["TFDA", "FDA", "EU"]
    number: Line
    date: Day


class ChangePlan(OpenBody):
    """A plan for changes of one version: what changes, how it is proven, what it may do."""

    entry: EntryId
    parts: Annotated[tuple[ChangePart, ...], Field(min_length=1, max_length=5, strict=False)]
    description: Bilingual
    protocol: Bilingual
    protocol_hash: Digest
    impact: Bilingual
    decision: Decision | None = None
    schema_: Literal["trifed.change-plan/1"] = Field(default="trifed.change-plan/1", alias="schema")

    @model_validator(mode="after")
    def _may_be_planned(self) -> Self:
        if classify(self.parts, planned=self.parts).route is not Route.PLAN:
            raise ValueError("parts: one of them may never be planned")
        return self

    def facets(self) -> Mapping[str, Sequence[str]]:
        """Return version and parts."""
        return {"entry": [self.entry], "part": [part.value for part in self.parts]}

    def links(self) -> Sequence[Link]:
        """Return the version whose changes it plans."""
        return (Link("plans-changes-of", VERSION, self.entry),)

    def words(self) -> str:
        """Return version and description."""
        return " ".join([self.entry, self.description.zh, self.description.en])


class PlanState(Enum):
    """Whether a plan may be used."""

    DRAFT = "draft"
    APPROVED = "approved"
    WITHDRAWN = "withdrawn"


class PlanDeed(Enum):
    """What the audit trail calls the moves of a plan. Meanings never change."""

    APPROVED = "change-plan-approved"
    WITHDRAWN = "change-plan-withdrawn"


_NO_DECISION = Text(en="the authority's decision is not in it", zh="未載明主管機關的決定")
_USE = Text(en="New versions may be made under it (T12).", zh="可依計畫製作新版本(T12)。")
_END = Text(en="Changes need a registration again.", zh="變更須另行申請登記。")


def decided(case: Case) -> Iterator[PlatformError]:
    """V1: the authority decided on it."""
    plan = ChangePlan.model_validate_json(canonical(dict(case.record.body)))
    if plan.decision is None:
        yield ChangePlanError(why=_NO_DECISION)


MOVES = Moves(
    start=PlanState.DRAFT,
    moves=(
        Move(
            "V1",
            PlanState.DRAFT,
            PlanState.APPROVED,
            seats=(Seat(Role.VAL_A), Seat(Role.TFD)),
            guards=(decided,),
            kind=PlanDeed.APPROVED,
            follows=_USE,
        ),
        Move(
            "V2",
            (PlanState.DRAFT, PlanState.APPROVED),
            PlanState.WITHDRAWN,
            seats=(Seat(Role.DEV, Role.HAO, Role.VAL_A, Role.TFD, approves=False),),
            kind=PlanDeed.WITHDRAWN,
            follows=_END,
        ),
    ),
)
NOUN = Noun(NAME, ChangePlan, MOVES, authors=frozenset({Role.DEV, Role.HAO}))
