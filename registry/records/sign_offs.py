"""Signatures that wait for others: a move of two people is made when the second has signed.

A sign-off is a record like any other. It counts for one revision with one
content: when the record changes, everybody signs anew. After `VALID_FOR` it no
longer counts, and the register's clock says so.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import Annotated, Any

from pydantic import Field

from federation.domain.ids import Sha256
from federation.errors.moves import SignatureRefusedError
from federation.wording import Text
from registry.audit.kinds import RecordKind
from registry.records.moves import Move, Moves, Seat
from registry.records.ports import Link, RecordStore, StoredRecord
from registry.records.shapes import Body, Noun
from registry.records.statements import moment, time_of
from registry.roles import GRANTABLE, Author, Role

VALID_FOR = timedelta(days=30)
NAME = "sign-off"
EXPIRE = "expire"

_TWICE = Text(en="this person already signed it", zh="此人已簽署過")
_TAKEN = Text(en="somebody of this role already signed it", zh="此角色已有人簽署")


class SignOffState(Enum):
    """Whether a sign-off may still count."""

    OPEN = "open"
    EXPIRED = "expired"


MOVES = Moves(
    start=SignOffState.OPEN,
    moves=(
        Move(
            EXPIRE,
            SignOffState.OPEN,
            SignOffState.EXPIRED,
            seats=(Seat(Role.CLOCK, approves=False),),
            kind=RecordKind.EXPIRED,
        ),
    ),
)


class SignedMove(Body):
    """Which move of which revision was signed, for which seat, until when it counts."""

    noun: Annotated[str, Field(max_length=40)]
    id: Annotated[str, Field(max_length=120)]
    revision: Annotated[int, Field(gt=0)]
    digest: Annotated[str, Field(pattern=rf"^{Sha256.pattern.pattern}$")]
    move: Annotated[str, Field(max_length=40)]
    seat: Annotated[int, Field(ge=0, le=20)]
    expires: Annotated[str, Field(max_length=20)]

    def links(self) -> Sequence[Link]:
        """Return the record that was signed."""
        return (Link("signs", self.noun, self.id),)


SIGN_OFF = Noun(NAME, SignedMove, MOVES, authors=GRANTABLE)


def body_of(record: StoredRecord, move: Move[Any], author: Author, now: datetime) -> SignedMove:
    """Return the content of one person's sign-off."""
    return SignedMove(
        noun=record.noun,
        id=record.id,
        revision=record.revision,
        digest=record.digest,
        move=move.number,
        seat=move.seat_of(author.role),
        expires=moment(now + VALID_FOR),
    )


def id_of(body: SignedMove, author: Author, now: datetime) -> str:
    """Return what a sign-off is called."""
    told = f"{body.noun}/{body.id}/{body.revision}/{body.move}/{author.person}/{moment(now)}"
    return Sha256.of(told.encode()).hex[:32]


def waiting(
    records: RecordStore, record: StoredRecord, move: Move[Any], now: datetime
) -> dict[int, StoredRecord]:
    """Return the sign-offs that count for a move of this very revision, by seat."""
    found: dict[int, StoredRecord] = {}
    for given in records.linking(record.noun, record.id, relation="signs", by=NAME):
        body = SIGN_OFF.of(given)
        is_for = (body.revision, body.digest, body.move) == (
            record.revision,
            record.digest,
            move.number,
        )
        if is_for and given.state == SignOffState.OPEN.value and now < time_of(body.expires):
            found[body.seat] = given
    return found


def check_seat(signed: dict[int, StoredRecord], move: Move[Any], author: Author) -> None:
    """Return if the author's seat is free and the author has no other one.

    Raises
    ------
    SignatureRefusedError
        If not.
    """
    if any(given.author.person == author.person for given in signed.values()):
        raise SignatureRefusedError(move=move.number, why=_TWICE)
    if move.seat_of(author.role) in signed:
        raise SignatureRefusedError(move=move.number, why=_TAKEN)
