"""The moves of an export request (REGISTRY.md B.5)."""

from enum import Enum

from federation.wording import Text
from registry.exports import guards
from registry.records.moves import Move, Moves, Seat
from registry.roles import Role


class ExportState(Enum):
    """Where a request stands."""

    SUBMITTED = "submitted"
    SCANNED = "scanned"
    NHIA_REVIEW = "nhia-review"
    COUNCIL_REVIEW = "council-review"
    RELEASED = "released"
    REFUSED = "refused"


State = ExportState
_STAFF = (Seat(Role.NHI_S),)
_COUNCIL = (Seat(Role.NHI_C),)

_SCANNED = Text(en="Staff review it.", zh="由承辦人員審查。")
_REVIEW = Text(
    en="Staff release it, or pass models and results on to the council.",
    zh="由承辦人員同意攜出;模型、參數與測試結果送審議會。",
)
_COUNCIL_NEXT = Text(en="The council decides.", zh="由審議會審議。")
_RELEASED = Text(en="Exactly this file may leave.", zh="僅此檔案得攜出。")
_REFUSED = Text(en="Nothing leaves; a new request may follow.", zh="不得攜出;可另行申請。")

MOVES: Moves[State] = Moves(
    start=State.SUBMITTED,
    moves=(
        Move(
            "scan",
            State.SUBMITTED,
            State.SCANNED,
            seats=(Seat(Role.NHI_S, Role.SEC),),
            guards=(guards.application_in_use, guards.scanned),
            follows=_SCANNED,
        ),
        Move(
            "review",
            State.SCANNED,
            State.NHIA_REVIEW,
            seats=_STAFF,
            guards=(guards.application_in_use,),
            follows=_REVIEW,
        ),
        Move("refer", State.NHIA_REVIEW, State.COUNCIL_REVIEW, seats=_STAFF, follows=_COUNCIL_NEXT),
        Move(
            "release",
            State.NHIA_REVIEW,
            State.RELEASED,
            seats=_STAFF,
            guards=(
                guards.application_in_use,
                guards.staff_decide,
                guards.scanned,
                guards.clean,
            ),
            follows=_RELEASED,
        ),
        Move(
            "release",
            State.COUNCIL_REVIEW,
            State.RELEASED,
            seats=_COUNCIL,
            guards=(
                guards.application_in_use,
                guards.when_it_says,
                guards.scanned,
                guards.clean,
            ),
            follows=_RELEASED,
        ),
        Move(
            "refuse",
            {State.SUBMITTED, State.SCANNED, State.NHIA_REVIEW},
            State.REFUSED,
            seats=_STAFF,
            follows=_REFUSED,
        ),
        Move(
            "refuse",
            State.COUNCIL_REVIEW,
            State.REFUSED,
            seats=_COUNCIL,
            follows=_REFUSED,
        ),
    ),
)
