"""The moves of a model version, as the table of the design (REGISTRY B.5, T1-T13).

`MOVES` is the only place a move is written; `MODEL_VERSION` is derived from it.
Who may move (`roles`) is recorded beside each move. Only T1 has a command yet:
a trained candidate enters as DRAFT.
"""

from dataclasses import dataclass
from enum import Enum

from federation.domain.transitions import Transitions
from federation.evidence.model_version import ModelVersionState as State


class Role(Enum):
    """Who may move a version (REGISTRY B.4)."""

    DEV = "DEV"
    HAO = "HAO"
    HAC = "HAC"
    RAI_R = "RAI-R"
    RAI_A = "RAI-A"
    VAL_E = "VAL-E"
    VAL_A = "VAL-A"
    TFD = "TFD"
    CLI = "CLI"


@dataclass(frozen=True, slots=True)
class Move:
    """One numbered move; `signatures` of different people with one of `roles` each."""

    number: str
    before: frozenset[State]
    after: State
    roles: frozenset[Role]
    signatures: int = 1


FINAL = frozenset({State.RETIRED, State.REJECTED})
_OPEN = frozenset(State) - FINAL
_ANY = frozenset(Role)


def _move(number: str, before: State, after: State, *roles: Role, signatures: int = 1) -> Move:
    return Move(number, frozenset({before}), after, frozenset(roles), signatures)


MOVES: tuple[Move, ...] = (
    _move("T2", State.DRAFT, State.REGISTERED, Role.RAI_R),
    _move("T3", State.REGISTERED, State.INTERNAL_EVAL, Role.VAL_E, Role.HAC),
    _move("T4", State.INTERNAL_EVAL, State.EXTERNAL_EVAL, Role.VAL_A),
    _move("T5", State.EXTERNAL_EVAL, State.RAI_APPROVED, Role.RAI_A, Role.HAC, signatures=2),
    _move("T6", State.RAI_APPROVED, State.SILENT, Role.HAC),
    _move("T7", State.SILENT, State.PILOT, Role.HAC, Role.CLI, signatures=2),
    _move("T7", State.PILOT, State.LIVE, Role.HAC, Role.CLI, signatures=2),
    _move("T8", State.LIVE, State.RESTRICTED, Role.HAC, Role.RAI_A),
    Move(
        "T9",
        _OPEN - {State.SUSPENDED},
        State.SUSPENDED,
        frozenset({Role.HAC, Role.RAI_A, Role.TFD}),
    ),
    _move("T10", State.SUSPENDED, State.LIVE, Role.HAC, Role.RAI_A, signatures=2),
    Move("T11", _OPEN, State.RETIRED, frozenset({Role.HAO, Role.DEV})),
    _move("T12", State.DRAFT, State.RAI_APPROVED, Role.DEV, Role.VAL_A, signatures=2),
    Move("T13", _OPEN, State.REJECTED, _ANY - {Role.DEV}),
)

MODEL_VERSION = Transitions(
    start=State.DRAFT,
    table={
        state: frozenset(move.after for move in MOVES if state in move.before) for state in State
    },
)
