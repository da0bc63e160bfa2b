"""The moves of a data application (REGISTRY.md B.5).

What the design leaves open is decided here: the council may ask for more or refuse; an
applicant may withdraw before approval; a fee that is late only reminds people, for the
directions name no consequence; a sanction approves nothing and takes one signature.
"""

from enum import Enum

from federation.wording import Text
from registry.applications import guards
from registry.records.moves import Move, Moves, Seat
from registry.roles import Role


class ApplicationState(Enum):
    """Where an application stands."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    DEFICIENT = "deficient"
    RETURNED = "returned"
    COUNCIL_REVIEW = "council-review"
    APPROVED = "approved"
    FEE_DUE = "fee-due"
    CONTRACTED = "contracted"
    ACTIVE = "active"
    EXPIRED = "expired"
    CLOSED = "closed"
    SANCTIONED = "sanctioned"


APPLICANTS = (Role.HAO, Role.DEV, Role.IMP_P)
State = ApplicationState

_ASKS = Seat(*APPLICANTS, approves=False)
_STAFF = Seat(Role.NHI_S)
_COUNCIL = Seat(Role.NHI_C)
_CLOCK = Seat(Role.CLOCK, approves=False)
_UNTIL_APPROVED = {State.DRAFT, State.SUBMITTED, State.DEFICIENT, State.COUNCIL_REVIEW}

_CHECK = Text(en="Staff check the documents.", zh="由承辦人員檢核文件。")
_CORRECT = Text(
    en="Correct it within 7 working days, or it is returned.",
    zh="請於七個工作日內補正,逾期退件。",
)
_AGAIN = Text(en="Nothing; a new application may supersede it.", zh="無後續;可另提新申請。")
_DECIDE = Text(en="The council decides.", zh="由審議會審議。")
_FEE = Text(en="Staff notify the applicant of the fee.", zh="由承辦人員通知繳費。")
_PAY = Text(en="Pay within two weeks and sign the contract.", zh="請於兩週內繳費並簽訂使用契約。")
_ENTER = Text(en="Staff check pledges and software, then open it.", zh="確認保密切結與軟體後開放。")
_USE = Text(en="Use the data as applied for, until the period ends.", zh="請依申請內容使用至期滿。")
_REPORT = Text(
    en="Clear accounts and files and hand in the report.", zh="請清除帳號與檔案並繳交成果報告。"
)
_END = Text(en="Nothing; its record stays.", zh="無後續;紀錄永久保留。")
_STOP = Text(en="Use stops at once.", zh="立即停止使用。")

MOVES: Moves[State] = Moves(
    start=State.DRAFT,
    moves=(
        Move(
            "submit",
            State.DRAFT,
            State.SUBMITTED,
            seats=(_ASKS,),
            guards=guards.ON_SUBMISSION,
            follows=_CHECK,
        ),
        Move("find-deficient", State.SUBMITTED, State.DEFICIENT, seats=(_STAFF,), follows=_CORRECT),
        Move(
            "correct",
            State.DEFICIENT,
            State.SUBMITTED,
            seats=(_ASKS,),
            guards=(*guards.ON_SUBMISSION, guards.corrected),
            follows=_CHECK,
        ),
        Move("return", State.DEFICIENT, State.RETURNED, seats=(_STAFF,), follows=_AGAIN),
        Move("return", State.DEFICIENT, State.RETURNED, seats=(_CLOCK,), follows=_AGAIN),
        Move("withdraw", _UNTIL_APPROVED, State.RETURNED, seats=(_ASKS,), follows=_AGAIN),
        Move(
            "accept",
            State.SUBMITTED,
            State.COUNCIL_REVIEW,
            seats=(_STAFF,),
            guards=guards.ON_SUBMISSION,
            follows=_DECIDE,
        ),
        Move(
            "ask",
            State.COUNCIL_REVIEW,
            State.DEFICIENT,
            seats=(_COUNCIL,),
            follows=_CORRECT,
        ),
        Move("refuse", State.COUNCIL_REVIEW, State.RETURNED, seats=(_COUNCIL,), follows=_AGAIN),
        Move(
            "approve",
            State.COUNCIL_REVIEW,
            State.APPROVED,
            seats=(_COUNCIL,),
            guards=(*guards.ON_SUBMISSION, guards.not_banned),
            follows=_FEE,
        ),
        Move("notify-fee", State.APPROVED, State.FEE_DUE, seats=(_STAFF,), follows=_PAY),
        Move("return", State.FEE_DUE, State.RETURNED, seats=(_STAFF,), follows=_AGAIN),
        Move(
            "contract",
            State.FEE_DUE,
            State.CONTRACTED,
            seats=(_STAFF,),
            guards=(guards.as_approved, guards.fee_settled, guards.contract_signed),
            follows=_ENTER,
        ),
        Move(
            "activate",
            State.CONTRACTED,
            State.ACTIVE,
            seats=(_STAFF,),
            guards=guards.ON_ACTIVATION,
            follows=_USE,
        ),
        Move("expire", State.ACTIVE, State.EXPIRED, seats=(_CLOCK,), follows=_REPORT),
        Move("expire", State.ACTIVE, State.EXPIRED, seats=(_STAFF,), follows=_REPORT),
        Move(
            "close",
            State.EXPIRED,
            State.CLOSED,
            seats=(_STAFF,),
            guards=(guards.as_approved, guards.reported, guards.exports_decided),
            follows=_END,
        ),
        Move(
            "sanction",
            set(State) - {State.SANCTIONED},
            State.SANCTIONED,
            seats=(Seat(Role.NHI_S, Role.NHI_C, approves=False),),
            follows=_STOP,
        ),
    ),
)

EDITABLE = frozenset(
    state.value
    for state in (State.DRAFT, State.DEFICIENT, State.FEE_DUE, State.CONTRACTED, State.EXPIRED)
)
"""Where the form may be written anew; after approval only what is still to be handed in."""
