"""Aggregated feedback of one deployment over one period."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from enum import Enum
from typing import Annotated, Self

from pydantic import Field, model_validator

from federation.evidence.model_version import Digest
from registry.codes import Coded, RecordName
from registry.disclosure import CountTable, OpenBody, gives_away
from registry.records.ports import Link
from registry.records.shapes import Body
from registry.roles import Role

NAME = "feedback"
_Count = Annotated[int, Field(ge=0, le=2**53 - 1)]


class Opinion(Enum):
    """What a user may say of an answer."""

    AGREE = "agree"
    DISAGREE = "disagree"
    UNSURE = "unsure"


class RoleCounts(Body):
    """How the users of one role answered; the cells are the three opinions."""

    role: Role
    counts: CountTable

    @model_validator(mode="after")
    def _counts_opinions(self) -> Self:
        if set(self.counts.as_mapping()) != {opinion.value for opinion in Opinion}:
            raise ValueError("counts: the cells are agree, disagree and unsure")
        return self


class Correction(Body):
    """How often a label was given instead of the model's."""

    label: Coded
    n: _Count | None


class Feedback(OpenBody):
    """Counts of one period, both days included. `software` aggregated them at the site.

    `corrected` are the labels given among all who disagreed; they add up to that number,
    so they are looked at beside it.
    """

    deployment: RecordName
    begins: date
    ends: date
    by_role: Annotated[tuple[RoleCounts, ...], Field(min_length=1, max_length=20)]
    corrected: Annotated[tuple[Correction, ...], Field(max_length=100)] = ()
    software: Digest

    @model_validator(mode="after")
    def _shows_nobody(self) -> Self:
        if self.ends < self.begins:
            raise ValueError("ends: before it begins")
        roles = [one.role for one in self.by_role]
        if len(set(roles)) != len(roles):
            raise ValueError("by_role: a role occurs twice")
        labels = [(one.label.system, one.label.code) for one in self.corrected]
        if len(set(labels)) != len(labels):
            raise ValueError("corrected: a label occurs twice")
        why = gives_away(self.disagreed, [one.n for one in self.corrected], smallest=self.smallest)
        if why is not None:
            raise ValueError(f"corrected: {why}")
        return self

    @property
    def smallest(self) -> int:
        """Return the largest k that any of its tables is under."""
        return max(one.counts.smallest for one in self.by_role)

    @property
    def disagreed(self) -> int | None:
        """Return how many disagreed over all roles, None where a part is hidden."""
        return total(one.counts.as_mapping()[Opinion.DISAGREE.value] for one in self.by_role)

    def facets(self) -> Mapping[str, Sequence[str]]:
        """Return the roles that answered."""
        return {"role": [one.role.value for one in self.by_role]}

    def links(self) -> Sequence[Link]:
        """Return the deployment it is about."""
        return (Link("is-feedback-on", "deployment", self.deployment),)


def total(parts: Iterable[int | None]) -> int | None:
    """Return the sum of counts, None when one of them is hidden."""
    listed = list(parts)
    known = [part for part in listed if part is not None]
    return sum(known) if len(known) == len(listed) else None
