"""What an approval says (REGISTRY.md B.3)."""

from collections.abc import Mapping, Sequence
from datetime import date
from enum import Enum
from typing import Annotated, Self

from pydantic import Field, model_validator

from federation.evidence.model_version import Bilingual, Digest
from registry.codes import RecordName
from registry.disclosure import OpenBody
from registry.records.ports import Link
from registry.records.shapes import Body
from registry.roles import Role

NAME = "approval"

APPROVERS = (
    Role.HAC,
    Role.IRB,
    Role.DST,
    Role.SEC,
    Role.RAI_A,
    Role.VAL_A,
    Role.NHI_S,
    Role.NHI_C,
)


class Decision(Enum):
    """What is asked of the approver: yes, or yes under the conditions listed."""

    APPROVE = "approve"
    APPROVE_WITH_CONDITIONS = "approve-with-conditions"


class Subject(Body):
    """The record that is approved, with the digest of its content."""

    noun: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,39}$")]
    id: RecordName
    digest: Digest


class Approval(OpenBody):
    """An approval as drafted; who signs it, when and why is in its move."""

    subject: Subject
    role: Role
    decision: Decision
    reason: Bilingual
    conditions: Annotated[tuple[Bilingual, ...], Field(max_length=30)] = ()
    expires: date

    @model_validator(mode="after")
    def _is_an_approval(self) -> Self:
        if self.role not in APPROVERS:
            raise ValueError("role: nobody of this role approves")
        if (self.decision is Decision.APPROVE_WITH_CONDITIONS) != bool(self.conditions):
            raise ValueError("conditions: they go with a decision under conditions, and only then")
        return self

    def facets(self) -> Mapping[str, Sequence[str]]:
        """Return the role and the decision asked for."""
        return {"role": [self.role.value], "decision": [self.decision.value]}

    def links(self) -> Sequence[Link]:
        """Return the record that is approved."""
        return (Link("approves", self.subject.noun, self.subject.id),)

    def words(self) -> str:
        """Return the reason."""
        return f"{self.reason.zh} {self.reason.en}"
