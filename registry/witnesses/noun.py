"""A witness as a record: its name is the record's id, its key may change, it may retire.

So who may vouch for the log is itself signed, logged and audited. What a witness signed
stays good under the key it had; a retired one is not asked any more.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Annotated

from pydantic import Field

from federation.evidence.model_version import Line
from registry.records.moves import Move, Moves, Seat
from registry.records.shapes import Body, Noun
from registry.roles import Role

NAME = "witness"
RETIRE = "retire"


class WitnessKind(Enum):
    """What kind of house a witness is of."""

    CENTRE = "centre"
    NODE = "node"


class WitnessState(Enum):
    """Whether a witness is asked."""

    ACTIVE = "active"
    RETIRED = "retired"


class WitnessCard(Body):
    """A witness: of which house, and its Ed25519 key (32 bytes, hexadecimal)."""

    kind: WitnessKind
    organisation: Line
    key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

    def facets(self) -> Mapping[str, Sequence[str]]:
        """Return its kind."""
        return {"kind": [self.kind.value]}

    def words(self) -> str:
        """Return its house."""
        return self.organisation


WITNESS = Noun(
    NAME,
    WitnessCard,
    Moves(
        start=WitnessState.ACTIVE,
        moves=(
            Move(
                RETIRE,
                WitnessState.ACTIVE,
                WitnessState.RETIRED,
                seats=(Seat(Role.SEC, Role.AUD, approves=False),),
            ),
        ),
    ),
    authors=frozenset({Role.SEC}),
)
