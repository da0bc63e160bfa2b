"""What may happen to a record next, what holds it back, and who can do something about it.

Read for one record and one visitor: every move of its table from its state, the seats
with those who signed, the guards' findings, and in which of the visitor's roles the next
signature would be taken. Pages show it; the register decides again when somebody signs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from federation.errors import PlatformError
from federation.errors import guards as errors
from federation.errors.registry import ArtefactError
from registry.accounts.ports import Session
from registry.ports import Transaction
from registry.records import sign_offs
from registry.records.moves import Case, Move
from registry.records.ports import StoredRecord
from registry.records.shapes import Noun
from registry.roles import Author, Role, check_author, check_signer

_MAKERS = (Role.DEV, Role.HAO)
WHO: dict[type[PlatformError], tuple[Role, ...]] = {
    errors.AttributeMissingError: _MAKERS,
    errors.CardIncompleteError: _MAKERS,
    errors.ArtefactGuardError: _MAKERS,
    ArtefactError: _MAKERS,
    errors.UnsafeFormatError: _MAKERS,
    errors.MlBomError: _MAKERS,
    errors.ChangePlanError: _MAKERS,
    errors.AttributeNotLinkedError: (Role.VAL_E, *_MAKERS),
    errors.ProtocolNotLoggedError: (Role.VAL_E,),
    errors.TooFewSitesError: (Role.VAL_E,),
    errors.DisjointnessMissingError: (Role.VAL_E,),
    errors.EvaluationMissingError: (Role.VAL_E,),
    errors.ThresholdMissedError: (Role.VAL_E, Role.VAL_A),
    errors.LocalUseError: (Role.HAC, Role.HAO),
    errors.SafetyGuardError: (Role.HAC, Role.RAI_A),
}
"""Who can supply what a guard misses; for others it is whoever writes the record."""


@dataclass(frozen=True, slots=True)
class SeatStanding:
    """One seat of a move: the roles that may take it, and who took it."""

    roles: Sequence[Role]
    signed: Author | None


@dataclass(frozen=True, slots=True)
class Held:
    """One thing that holds a move back, and the roles that can do something about it."""

    problem: PlatformError
    who: Sequence[Role]


@dataclass(frozen=True, slots=True)
class MoveStanding:
    """One move as it stands for one visitor.

    `mine` are the visitor's roles that may sign now; `refused` says why a role of theirs
    may not, None where they hold none that signs it.
    """

    move: Move[Any]
    seats: Sequence[SeatStanding]
    held: Sequence[Held]
    mine: Sequence[Role]
    refused: PlatformError | None

    @property
    def number(self) -> str:
        """Return what the table calls it."""
        return self.move.number

    @property
    def after(self) -> str:
        """Return the state it leads to."""
        return str(self.move.after.value)

    @property
    def may_sign(self) -> bool:
        """Say whether the visitor's signature would be taken now."""
        return bool(self.mine) and not self.held


@dataclass(frozen=True, slots=True)
class People:
    """Who already acted on a record: those who wrote it, and everybody who did anything."""

    wrote: tuple[Author, ...]
    acted: tuple[Author, ...]


def standings(
    transaction: Transaction,
    noun: Noun[Any],
    history: Sequence[StoredRecord],
    session: Session,
    now: datetime,
) -> list[MoveStanding]:
    """Return every move that people may make from a record's state, in the table's order."""
    record = history[-1]
    people = people_of(transaction, history)
    evidence: object = None
    found = []
    for move in moves_of(noun, record.state):
        if move.guards and evidence is None:
            evidence = noun.evidence(transaction, record)
        signed = sign_offs.waiting(transaction.records, record, move, now)
        mine, refused = signing(move, signed, people, session)
        signer = _signer(move, record, session)
        problems = move.held_back(Case(record, evidence, now, signer))
        held = [Held(one, who_can(one, noun)) for one in problems]
        found.append(MoveStanding(move, _seats(move, signed), held, mine, refused))
    return found


def moves_of(noun: Noun[Any], state: str) -> list[Move[Any]]:
    """Return the moves that leave a state and that people, not the clock, make."""
    return [
        move
        for move in noun.moves.moves
        if state in {str(one.value) for one in move.before} and move.roles != {Role.CLOCK}
    ]


def signing(
    move: Move[Any],
    signed: dict[int, StoredRecord],
    people: People,
    session: Session,
) -> tuple[list[Role], PlatformError | None]:
    """Return in which roles a visitor may sign a move, and why not in the others."""
    mine: list[Role] = []
    refused: PlatformError | None = None
    for role in (one for one in Role if one in session.roles & move.roles):
        try:
            _check(move, signed, people, session.author(role))
            mine.append(role)
        except PlatformError as error:
            refused = error
    return mine, refused


def people_of(transaction: Transaction, history: Sequence[StoredRecord]) -> People:
    """Return who wrote a record and who acted on it, also where nothing came of it."""
    head = history[-1]
    given = transaction.records.linking(head.noun, head.id, relation="signs", by=sign_offs.NAME)
    signers = [one.author for record in history for one in record.signatures]
    return People(
        tuple(record.author for record in history if record.action == "put"),
        (*(record.author for record in (*history, *given)), *signers),
    )


def who_can(problem: PlatformError, noun: Noun[Any]) -> list[Role]:
    """Return who can supply what is missing, in a fixed order."""
    known = WHO.get(type(problem))
    return list(known) if known else _in_order(noun.authors)


def _check(
    move: Move[Any], signed: dict[int, StoredRecord], people: People, author: Author
) -> None:
    """Return if the register would take this signature, by its own rules."""
    if move.seats[move.seat_of(author.role)].approves:
        check_signer(author, wrote=people.wrote, acted=people.acted)
    else:
        check_author(author, people.acted)
    sign_offs.check_seat(signed, move, author)


def _signer(move: Move[Any], record: StoredRecord, session: Session) -> Author:
    """Return as whom guards are asked: the visitor, or somebody of the author's house."""
    mine = [role for role in _in_order(move.roles) if role in session.roles]
    if mine:
        return session.author(mine[0])
    return Author("nobody", _in_order(move.roles)[0], record.author.organisation)


def _seats(move: Move[Any], signed: dict[int, StoredRecord]) -> list[SeatStanding]:
    return [
        SeatStanding(_in_order(seat.roles), signed[place].author if place in signed else None)
        for place, seat in enumerate(move.seats)
    ]


def _in_order(roles: Iterable[Role]) -> list[Role]:
    wanted = frozenset(roles)
    return [role for role in Role if role in wanted and role is not Role.CLOCK]
