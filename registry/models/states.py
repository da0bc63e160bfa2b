"""The moves of a model version, as the table of the design (REGISTRY B.5, T1-T13).

`MOVES` is the only place a move is written: states, who signs, what holds it back,
what follows. T1 is the entry itself: a trained candidate enters as DRAFT when it is
registered. Suspending approves nothing, so an author's house may do it too; it has no
guard and takes one signature. `MODEL_VERSION` is the bare states, for diagrams.
"""

from collections.abc import Sequence
from enum import Enum

from federation.evidence.model_version import ModelVersionState as State
from federation.wording import Text
from registry.models import guards
from registry.records.moves import Guard, Move, Moves, Seat
from registry.roles import Role


class VersionDeed(Enum):
    """What the audit trail calls the moves of a version. Meanings never change."""

    REGISTERED = "version-registered"
    EVALUATING = "version-internal-evaluation"
    EVALUATED = "version-external-evaluation"
    APPROVED = "version-approved"
    SILENT = "version-silent"
    PILOT = "version-pilot"
    LIVE = "version-live"
    RESTRICTED = "version-restricted"
    SUSPENDED = "version-suspended"
    RESUMED = "version-resumed"
    RETIRED = "version-retired"
    CHANGED = "version-approved-under-plan"
    REJECTED = "version-rejected"


FINAL = frozenset({State.RETIRED, State.REJECTED})
_OPEN = frozenset(State) - FINAL

_T2 = Text(
    en="Log the evaluation protocol, then start the internal evaluation.",
    zh="請登錄評估方案,再開始內部評估。",
)
_T3 = Text(
    en="Evaluate at two hospitals or more that did not train it.",
    zh="請在兩家以上未參與訓練的醫院進行外部評估。",
)
_T4 = Text(
    en="The reviewer and the hospital's committee decide on approval.",
    zh="由審查人員與醫院 AI 委員會共同決定是否核可。",
)
_T5 = Text(
    en="Hospitals may accept it locally and run it silently.",
    zh="醫院可進行院內驗收並靜默執行。",
)
_T6 = Text(
    en="After 30 days or 500 cases it may go to pilot.", zh="滿 30 天或 500 例後可進入試行。"
)
_PILOT = Text(en="The committee decides on routine use.", zh="由 AI 委員會決定是否正式使用。")
_LIVE = Text(
    en="Review it in time: 3, 6 or 12 months by risk.", zh="請依風險每 3、6 或 12 個月定期審查。"
)
_T8 = Text(
    en="Correct the cause; suspend, retire or replace it.", zh="請矯正原因,並決定暫停、退場或更換。"
)
_T9 = Text(
    en="Do not use it. Close the corrective action and evaluate again.",
    zh="請停止使用;完成矯正預防措施並重新評估。",
)
_END = Text(en="Nothing; its record stays.", zh="無後續;紀錄永久保留。")


def _seats(*roles: Role) -> tuple[Seat, ...]:
    """Return one seat for each role: different people with one role each."""
    return tuple(Seat(role) for role in roles)


def _rejection(before: State, *deciding: Role) -> Move[State]:
    return Move(
        "T13",
        before,
        State.REJECTED,
        seats=(Seat(*deciding),),
        kind=VersionDeed.REJECTED,
        follows=_END,
    )


def _move(
    number: str,
    before: State,
    after: State,
    seats: Sequence[Seat],
    held_by: Sequence[Guard],
    kind: VersionDeed,
    follows: Text,
) -> Move[State]:
    return Move(number, before, after, seats=seats, guards=held_by, kind=kind, follows=follows)


TABLE: Moves[State] = Moves(
    start=State.DRAFT,
    moves=(
        _move(
            "T2",
            State.DRAFT,
            State.REGISTERED,
            _seats(Role.RAI_R),
            (
                guards.attributes_complete,
                guards.artefacts_verify,
                guards.only_safetensors,
                guards.mlbom_valid,
            ),
            VersionDeed.REGISTERED,
            _T2,
        ),
        _move(
            "T3",
            State.REGISTERED,
            State.INTERNAL_EVAL,
            (Seat(Role.VAL_E, Role.HAC),),
            (guards.protocol_logged_first,),
            VersionDeed.EVALUATING,
            _T3,
        ),
        _move(
            "T4",
            State.INTERNAL_EVAL,
            State.EXTERNAL_EVAL,
            _seats(Role.VAL_A),
            (guards.two_external_sites, guards.patients_disjoint, guards.dimensions_done),
            VersionDeed.EVALUATED,
            _T4,
        ),
        _move(
            "T5",
            State.EXTERNAL_EVAL,
            State.RAI_APPROVED,
            _seats(Role.RAI_A, Role.HAC),
            (guards.thresholds_met, guards.privacy_stated, guards.risk_classified),
            VersionDeed.APPROVED,
            _T5,
        ),
        _move(
            "T6",
            State.RAI_APPROVED,
            State.SILENT,
            _seats(Role.HAC),
            (guards.accepted_locally,),
            VersionDeed.SILENT,
            _T6,
        ),
        _move(
            "T7",
            State.SILENT,
            State.PILOT,
            _seats(Role.HAC, Role.CLI),
            (guards.silent_long_enough, guards.override_route, guards.lawful_use),
            VersionDeed.PILOT,
            _PILOT,
        ),
        _move(
            "T7",
            State.PILOT,
            State.LIVE,
            _seats(Role.HAC, Role.CLI),
            (guards.override_route, guards.lawful_use),
            VersionDeed.LIVE,
            _LIVE,
        ),
        _move(
            "T8",
            State.LIVE,
            State.RESTRICTED,
            (Seat(Role.HAC, Role.RAI_A),),
            (guards.alert_recorded,),
            VersionDeed.RESTRICTED,
            _T8,
        ),
        Move(
            "T9",
            _OPEN - {State.SUSPENDED},
            State.SUSPENDED,
            seats=(Seat(Role.HAC, Role.RAI_A, Role.TFD, approves=False),),
            kind=VersionDeed.SUSPENDED,
            follows=_T9,
        ),
        Move(
            "T9",
            {State.PILOT, State.LIVE, State.RESTRICTED},
            State.SUSPENDED,
            seats=(Seat(Role.CLOCK, approves=False),),
            kind=VersionDeed.SUSPENDED,
            follows=_T9,
        ),
        _move(
            "T10",
            State.SUSPENDED,
            State.LIVE,
            _seats(Role.HAC, Role.RAI_A),
            (guards.was_in_use, guards.incidents_closed, guards.evaluated_again),
            VersionDeed.RESUMED,
            _LIVE,
        ),
        Move(
            "T11",
            _OPEN,
            State.RETIRED,
            seats=(Seat(Role.HAO, Role.DEV, approves=False),),
            kind=VersionDeed.RETIRED,
            follows=_END,
        ),
        _move(
            "T12",
            State.DRAFT,
            State.RAI_APPROVED,
            (Seat(Role.DEV, approves=False), Seat(Role.VAL_A)),
            (
                guards.attributes_complete,
                guards.artefacts_verify,
                guards.only_safetensors,
                guards.mlbom_valid,
                guards.change_within_plan,
                guards.thresholds_met,
            ),
            VersionDeed.CHANGED,
            _T5,
        ),
        _rejection(State.DRAFT, Role.RAI_R),
        _rejection(State.REGISTERED, Role.VAL_E, Role.HAC),
        _rejection(State.INTERNAL_EVAL, Role.VAL_A),
        _rejection(State.EXTERNAL_EVAL, Role.RAI_A, Role.HAC),
        _rejection(State.RAI_APPROVED, Role.HAC),
        _rejection(State.SILENT, Role.HAC),
        _rejection(State.PILOT, Role.HAC),
        _rejection(State.LIVE, Role.HAC, Role.RAI_A),
        _rejection(State.RESTRICTED, Role.HAC, Role.RAI_A),
        _rejection(State.SUSPENDED, Role.HAC, Role.RAI_A),
    ),
)
MOVES = TABLE.moves
MODEL_VERSION = TABLE.as_transitions()
