"""A hospital's node as the centre knows it."""

from dataclasses import dataclass
from enum import Enum

from federation.domain.ids import SiteId
from federation.domain.transitions import Transitions


class SiteState(Enum):
    """Where a site stands in its enrolment."""

    INVITED = "invited"
    ENROLLED = "enrolled"
    SUSPENDED = "suspended"
    REVOKED = "revoked"


SITE = Transitions(
    start=SiteState.INVITED,
    table={
        SiteState.INVITED: frozenset({SiteState.ENROLLED, SiteState.REVOKED}),
        SiteState.ENROLLED: frozenset({SiteState.SUSPENDED, SiteState.REVOKED}),
        SiteState.SUSPENDED: frozenset({SiteState.ENROLLED, SiteState.REVOKED}),
        SiteState.REVOKED: frozenset(),
    },
)


@dataclass(frozen=True, slots=True)
class Site:
    """A hospital's node: its short name, what people call it, and its state."""

    id: SiteId
    name: str
    state: SiteState
