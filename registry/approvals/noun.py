"""The noun ``approval``, its moves, and its end by the clock."""

from enum import Enum

from federation.wording import Text
from registry.approvals import guards
from registry.approvals.shape import APPROVERS, NAME, Approval
from registry.records.moves import Move, Moves, Seat
from registry.records.shapes import Noun
from registry.roles import GRANTABLE, Role
from registry.timers.due import Rule
from registry.timers.rules import expiry


class ApprovalState(Enum):
    """Where an approval stands."""

    ASKED = "asked"
    GIVEN = "given"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


State = ApprovalState
_APPROVER = (Seat(*APPROVERS),)

_COUNTS = Text(en="It counts until it expires.", zh="於效期內有效。")
_NO = Text(en="Change the subject, then ask anew.", zh="請修改標的後重新申請。")
_OVER = Text(en="It no longer counts; ask anew if needed.", zh="已失效;必要時請重新申請。")

MOVES: Moves[State] = Moves(
    start=State.ASKED,
    moves=(
        Move(
            "give",
            State.ASKED,
            State.GIVEN,
            seats=_APPROVER,
            guards=(
                guards.role_asked,
                guards.not_the_author,
                guards.content_as_named,
                guards.not_expired,
            ),
            follows=_COUNTS,
        ),
        Move(
            "refuse",
            State.ASKED,
            State.REFUSED,
            seats=_APPROVER,
            guards=(guards.role_asked, guards.not_the_author),
            follows=_NO,
        ),
        Move(
            "withdraw",
            State.GIVEN,
            State.WITHDRAWN,
            seats=(Seat(*APPROVERS, approves=False),),
            guards=(guards.role_asked,),
            follows=_OVER,
        ),
        Move(
            "expire",
            State.GIVEN,
            State.EXPIRED,
            seats=(Seat(Role.CLOCK, approves=False),),
            follows=_OVER,
        ),
    ),
)

NOUN = Noun(
    NAME,
    Approval,
    MOVES,
    authors=GRANTABLE - {Role.AUD, Role.SUB},
    evidence=guards.collect,
)
RULES: tuple[Rule, ...] = (expiry(NOUN, State.GIVEN.value, "expire"),)
