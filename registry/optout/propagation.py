"""The noun ``opt-out-propagation``: one site's word that a list was applied to a data set."""

from enum import Enum

from federation.wording import Text
from registry.optout import guards
from registry.optout.shape import PROPAGATION as NAME
from registry.optout.shape import OptOutPropagation
from registry.records.moves import Move, Moves, Seat
from registry.records.shapes import Noun
from registry.roles import Role


class PropagationState(Enum):
    """Where a site's word stands."""

    REPORTED = "reported"
    CONFIRMED = "confirmed"
    WITHDRAWN = "withdrawn"


_CONFIRMED = Text(en="The list counts as applied there.", zh="視為該院已套用名單。")
_WITHDRAWN = Text(en="Apply the list and report again.", zh="請重新套用並回報。")

MOVES: Moves[PropagationState] = Moves(
    start=PropagationState.REPORTED,
    moves=(
        Move(
            "confirm",
            PropagationState.REPORTED,
            PropagationState.CONFIRMED,
            seats=(Seat(Role.SEC, Role.NHI_S),),
            guards=(
                guards.of_the_list_in_force,
                guards.applied_by_now,
                guards.difference_explained,
            ),
            follows=_CONFIRMED,
        ),
        Move(
            "withdraw",
            {PropagationState.REPORTED, PropagationState.CONFIRMED},
            PropagationState.WITHDRAWN,
            seats=(Seat(Role.DST, Role.SEC, Role.NHI_S, approves=False),),
            follows=_WITHDRAWN,
        ),
    ),
)

PROPAGATION = Noun(
    NAME,
    OptOutPropagation,
    MOVES,
    authors=frozenset({Role.DST}),
    evidence=guards.collect_propagation,
)
