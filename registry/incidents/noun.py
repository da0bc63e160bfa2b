"""The noun ``incident``: its moves, and whom the clock reminds.

`registry.models.evidence_found` counts an incident as open until its state is ``closed``.
"""

from datetime import date, datetime
from enum import Enum

from federation.wording import Text
from registry.applications.working_days import ends
from registry.incidents import guards
from registry.incidents.shape import NAME, Incident
from registry.records.moves import Move, Moves, Seat
from registry.records.shapes import Noun
from registry.roles import Role
from registry.timers.due import Rule, Standing


class IncidentState(Enum):
    """Where an incident stands."""

    OPEN = "open"
    ALERTED = "alerted"
    CORRECTING = "correcting"
    CLOSED = "closed"


State = IncidentState
_EITHER = (Seat(Role.HAC, Role.RAI_A),)

_CAUSE = Text(en="Find the root cause and plan the correction.", zh="請查明根本原因並規劃矯正。")
_CARRY_OUT = Text(en="Carry it out and show that it worked.", zh="請執行矯正並提出有效證據。")
_END = Text(en="Evaluate again before use goes on.", zh="恢復使用前請重新評估。")
_OPEN = Text(en="Work on it again.", zh="請重新處理。")
_LATE = Text(
    en="the authority was not told within 7 days from the day after discovery",
    zh="未於發現次日起七日內通報主管機關",
)

MOVES: Moves[State] = Moves(
    start=State.OPEN,
    moves=(
        Move(
            "alert",
            State.OPEN,
            State.ALERTED,
            seats=_EITHER,
            guards=(guards.of_this_deployment, guards.alerted),
            follows=_CAUSE,
        ),
        Move(
            "correct",
            State.ALERTED,
            State.CORRECTING,
            seats=_EITHER,
            guards=(guards.of_this_deployment, guards.cause_known),
            follows=_CARRY_OUT,
        ),
        Move(
            "correct-without-alert",
            State.OPEN,
            State.CORRECTING,
            seats=(Seat(Role.HAC), Seat(Role.RAI_A)),
            guards=(guards.of_this_deployment, guards.no_hazard, guards.cause_known),
            follows=_CARRY_OUT,
        ),
        Move(
            "close",
            State.CORRECTING,
            State.CLOSED,
            seats=(Seat(Role.HAC), Seat(Role.RAI_A)),
            guards=(
                guards.of_this_deployment,
                guards.told_of_hazard,
                guards.cause_known,
                guards.action_worked,
            ),
            follows=_END,
        ),
        Move(
            "reopen",
            {State.CORRECTING, State.CLOSED},
            State.OPEN,
            seats=(Seat(Role.HAC, Role.RAI_A, Role.TFD, approves=False),),
            follows=_OPEN,
        ),
    ),
)

NOUN = Noun(
    NAME,
    Incident,
    MOVES,
    authors=frozenset({Role.HAO, Role.CLI, Role.DEV}),
    editable=frozenset(state.value for state in State if state is not State.CLOSED),
    evidence=guards.collect,
)


def _due(standing: Standing) -> datetime | None:
    """Return when the authority's days are over, where a hazard was found and not told."""
    body = standing.record.body
    told = body.get("alert") is not None
    return ends(date.fromisoformat(str(body["due"]))) if body.get("hazard") and not told else None


RULES = (Rule(NOUN, frozenset({State.OPEN.value, State.CORRECTING.value}), None, _due, _LATE),)
