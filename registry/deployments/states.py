"""The moves of a deployment: the modes of REGISTRY.md B.3, by the signatures of T6-T11.

A deployment may never be further than its version. Suspending and withdrawing have no
guard and take one signature.
"""

from enum import Enum

from federation.wording import Text
from registry.deployments import guards
from registry.records.moves import Move, Moves, Seat
from registry.roles import Role


class DeploymentState(Enum):
    """The mode it is used in; planned: not yet."""

    PLANNED = "planned"
    SILENT = "silent"
    PILOT = "pilot"
    LIVE = "live"
    RESTRICTED = "restricted"
    SUSPENDED = "suspended"
    WITHDRAWN = "withdrawn"


State = DeploymentState
RUNNING = frozenset({State.SILENT, State.PILOT, State.LIVE, State.RESTRICTED})
IN_USE = frozenset(state.value for state in RUNNING - {State.SILENT})
EDITABLE = frozenset(state.value for state in State if state is not State.WITHDRAWN)

_COMMITTEE = Seat(Role.HAC)
_LEAD = Seat(Role.CLI)

_SILENT = Text(
    en="After 30 days or 500 cases here it may go to pilot.", zh="於此處滿 30 天或 500 例後可試行。"
)
_PILOT = Text(en="The committee decides on routine use.", zh="由 AI 委員會決定是否正式使用。")
_LIVE = Text(en="Watch its limits and review it in time.", zh="請監測警示界限並如期審查。")
_CORRECT = Text(en="Correct the cause, or suspend it.", zh="請矯正原因,或暫停使用。")
_STOP = Text(
    en="Do not use it here; close the incident and evaluate again.",
    zh="請停止使用;完成事件結案並重新評估。",
)
_END = Text(en="Nothing; its record stays.", zh="無後續;紀錄永久保留。")

MOVES: Moves[State] = Moves(
    start=State.PLANNED,
    moves=(
        Move(
            "start",
            State.PLANNED,
            State.SILENT,
            seats=(_COMMITTEE,),
            guards=(
                guards.own_hospital,
                guards.may_be_silent,
                guards.accepted_here,
                guards.reviewed_often_enough,
            ),
            follows=_SILENT,
        ),
        Move(
            "pilot",
            State.SILENT,
            State.PILOT,
            seats=(_COMMITTEE, _LEAD),
            guards=(
                guards.own_hospital,
                guards.as_started,
                guards.may_be_pilot,
                guards.silent_long_enough,
                guards.users_ready,
                guards.lawful,
                guards.reviewed_often_enough,
            ),
            follows=_PILOT,
        ),
        Move(
            "go-live",
            State.PILOT,
            State.LIVE,
            seats=(_COMMITTEE, _LEAD),
            guards=(
                guards.own_hospital,
                guards.as_started,
                guards.may_be_live,
                guards.users_ready,
                guards.lawful,
                guards.reviewed_often_enough,
            ),
            follows=_LIVE,
        ),
        Move(
            "restrict",
            {State.PILOT, State.LIVE},
            State.RESTRICTED,
            seats=(Seat(Role.HAC, Role.RAI_A),),
            guards=(guards.own_hospital, guards.ground_recorded),
            follows=_CORRECT,
        ),
        Move(
            "suspend",
            RUNNING,
            State.SUSPENDED,
            seats=(Seat(Role.HAC, Role.RAI_A, Role.TFD, approves=False),),
            follows=_STOP,
        ),
        Move(
            "suspend",
            RUNNING,
            State.SUSPENDED,
            seats=(Seat(Role.CLOCK, approves=False),),
            follows=_STOP,
        ),
        Move(
            "resume",
            State.SUSPENDED,
            State.LIVE,
            seats=(_COMMITTEE, Seat(Role.RAI_A)),
            guards=(
                guards.own_hospital,
                guards.as_started,
                guards.was_in_use,
                guards.may_be_live,
                guards.corrected,
                guards.evaluated_again,
                guards.lawful,
                guards.users_ready,
                guards.reviewed_often_enough,
            ),
            follows=_LIVE,
        ),
        Move(
            "withdraw",
            {*RUNNING, State.PLANNED, State.SUSPENDED},
            State.WITHDRAWN,
            seats=(Seat(Role.HAC, Role.HAO, approves=False),),
            follows=_END,
        ),
    ),
)
