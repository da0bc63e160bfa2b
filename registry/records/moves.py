"""Tables of moves: from which state to which, by whose signatures, held back by what.

    MOVES = Moves(start=State.OPEN, moves=(
        Move("close", State.OPEN, State.CLOSED, seats=(Seat(Role.HAC),), guards=(cause_known,)),))

A table is data: what is not in it is refused, and the diagram and the tests are
drawn from it. A guard is a named pure function of a `Case`; it returns the coded
reasons that hold the move back, none when nothing does. A seat is one signature;
the seats of a move are filled by different people.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Generic, TypeVar

from federation.domain.transitions import Transitions
from federation.errors import PlatformError
from federation.errors.moves import MoveNotListedError
from federation.wording import Text
from registry.audit.kinds import RecordKind
from registry.records.ports import StoredRecord
from registry.roles import Author, Role

State = TypeVar("State", bound=Enum)


@dataclass(frozen=True, slots=True)
class Case:
    """What a guard judges: the record, the evidence its noun collected, the time, the signer."""

    record: StoredRecord
    evidence: object
    now: datetime
    signer: Author


Guard = Callable[[Case], Iterable[PlatformError]]


class Seat:
    """One signature: which roles may give it, and whether it approves or only asks.

    Raises
    ------
    ValueError
        If it has no role, or a developer would approve.
    """

    __slots__ = ("approves", "roles")

    def __init__(self, *roles: Role, approves: bool = True) -> None:
        self.roles = frozenset(roles)
        self.approves = approves
        if not roles or (approves and Role.DEV in self.roles):
            raise ValueError("a seat needs a role, and a developer never approves")

    def __repr__(self) -> str:
        names = "/".join(sorted(role.value for role in self.roles))
        return f"Seat({names}, approves={self.approves})"


class Move(Generic[State]):
    """One numbered move of a table.

    Parameters
    ----------
    number
        Its name, for example ``T5``; one state has at most one move of a number.
    before
        The state, or states, it leaves.
    after
        The state it ends in.
    seats
        The signatures it takes, no role in two of them.
    guards
        What may hold it back; a move without guards is immediate.
    kind
        What the audit trail calls it.
    follows
        What people should do next.

    Raises
    ------
    ValueError
        If there is no seat, or two share a role.
    """

    __slots__ = ("after", "before", "follows", "guards", "kind", "number", "seats")

    def __init__(
        self,
        number: str,
        before: State | Iterable[State],
        after: State,
        *,
        seats: Sequence[Seat],
        guards: Sequence[Guard] = (),
        kind: Enum = RecordKind.MOVED,
        follows: Text | None = None,
    ) -> None:
        self.number = number
        self.before = frozenset([before]) if isinstance(before, Enum) else frozenset(before)
        self.after = after
        self.seats = tuple(seats)
        self.guards = tuple(guards)
        self.kind = kind
        self.follows = follows
        if not seats or sum(len(seat.roles) for seat in seats) != len(self.roles):
            raise ValueError(f"{number}: seats are needed, and no two share a role")

    @property
    def roles(self) -> frozenset[Role]:
        """Return every role that has a seat."""
        return frozenset(role for seat in self.seats for role in seat.roles)

    @property
    def signatures(self) -> int:
        """Return how many different people must sign."""
        return len(self.seats)

    def seat_of(self, role: Role) -> int:
        """Return the place of the seat a role may take; raises `StopIteration` if none."""
        return next(place for place, seat in enumerate(self.seats) if role in seat.roles)

    def held_back(self, case: Case) -> list[PlatformError]:
        """Return every coded reason that holds it back just now."""
        return [reason for guard in self.guards for reason in guard(case)]

    def __repr__(self) -> str:
        return f"Move({self.number} -> {self.after.value})"


class Moves(Generic[State]):
    """A noun's whole table.

    Raises
    ------
    ValueError
        If a state has two moves of one number that share a role.
    """

    def __init__(self, *, start: State, moves: Sequence[Move[State]]) -> None:
        self.start = start
        self.moves = tuple(moves)
        for state in type(start):
            taken = [(move.number, role) for move in self.of(state) for role in move.roles]
            if len(taken) != len(set(taken)):
                raise ValueError(f"{state}: one role has two moves of one number")

    @property
    def states(self) -> type[State]:
        """Return the enum of states."""
        return type(self.start)

    @property
    def numbers(self) -> tuple[str, ...]:
        """Return every number once, in the table's order."""
        return tuple(dict.fromkeys(move.number for move in self.moves))

    def of(self, state: State) -> Iterator[Move[State]]:
        """Yield the moves that leave a state."""
        return (move for move in self.moves if state in move.before)

    def find(self, noun: str, state: str, number: str, role: Role) -> Move[State]:
        """Return the listed move; default is refusal.

        Raises
        ------
        MoveNotListedError
            If the table has none of that number, from that state, for that role.
        """
        for move in self.moves:
            states = {str(one.value) for one in move.before}
            if move.number == number and state in states and role in move.roles:
                return move
        raise MoveNotListedError(noun=noun, state=state, move=repr(number[:20]), role=role.value)

    def as_transitions(self) -> Transitions[State]:
        """Return the bare states, for diagrams and checks."""
        table = {state: frozenset(move.after for move in self.of(state)) for state in self.states}
        return Transitions(start=self.start, table=table)
