"""A small noun with its moves, people of several houses, and records over any database."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federation.errors import PlatformError
from federation.errors.guards import SafetyGuardError
from federation.evidence.signing import Signer
from federation.wording import Text
from registry.records.moves import Case, Move, Moves, Seat
from registry.records.ports import Link
from registry.records.service import Records
from registry.records.shapes import Body, Noun
from registry.records.statements import PersonKey
from registry.roles import Author, Centre, Role
from registry.store import SqlStore

NOW = datetime(2026, 9, 1, 8, 0, tzinfo=UTC)


@dataclass
class TurnableClock:
    """A clock that tests can turn."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def turn(self, **by: float) -> None:
        self.now += timedelta(**by)


class LampState(Enum):
    """The states of a lamp."""

    NEW = "new"
    LIT = "lit"
    BROKEN = "broken"


class Lamp(Body):
    """A thing to record."""

    colour: str
    watts: int = 5
    house: str = "ward-1"

    def facets(self) -> dict[str, list[str]]:
        return {"colour": [self.colour]}

    def links(self) -> list[Link]:
        return [Link("lights", "house", self.house)]

    def words(self) -> str:
        return f"Lamp {self.colour}"


def not_too_hot(case: Case) -> Iterator[PlatformError]:
    if int(str(case.record.body["watts"])) > 100:
        yield SafetyGuardError(why=Text(en="it is hot", zh="過熱"))


LAMP = Noun(
    "lamp",
    Lamp,
    Moves(
        start=LampState.NEW,
        moves=(
            Move(
                "light",
                LampState.NEW,
                LampState.LIT,
                seats=(Seat(Role.RAI_A), Seat(Role.HAC)),
                guards=(not_too_hot,),
            ),
            Move("break", list(LampState)[:2], LampState.BROKEN, seats=(Seat(Role.HAC, Role.TFD),)),
        ),
    ),
    authors=frozenset({Role.DEV, Role.HAO}),
)

DEV = Author("dev-1", Role.DEV, "Lamp Works")
OTHER_DEV = Author("dev-2", Role.DEV, "Lamp Works")
HAC = Author("hac-1", Role.HAC, "Tainan Hospital")
TFD = Author("tfd-1", Role.TFD, "TFDA")
RAI_A = Author("rai-1", Role.RAI_A, "Centre One", Centre.RESPONSIBLE_AI)
RAI_R = Author("rai-2", Role.RAI_R, "Centre One", Centre.RESPONSIBLE_AI)
VAL_E = Author("val-1", Role.VAL_E, "Centre Two", Centre.VALIDATION)
VAL_A = Author("val-2", Role.VAL_A, "Centre Two", Centre.VALIDATION)
HAO = Author("hao-1", Role.HAO, "Tainan Hospital")
CLI = Author("cli-1", Role.CLI, "Tainan Hospital")


@dataclass
class Desk:
    """Records with everything a test wants to turn."""

    records: Records
    clock: TurnableClock
    signer: Signer
    people: dict[str, list[PersonKey]] = field(default_factory=dict)

    def key_of(self, author: Author, **changes: object) -> Signer:
        """Give a person a key of a year; return what signs with it."""
        signer = new_signer()
        fields: dict[str, object] = {
            "person": author.person,
            "key": signer.public_key,
            "roles": frozenset({author.role}),
            "valid_from": NOW - timedelta(days=1),
            "valid_until": NOW + timedelta(days=365),
        }
        key = PersonKey(**(fields | changes))  # type: ignore[arg-type]
        self.people.setdefault(author.person, []).append(key)
        return signer


def new_signer() -> Signer:
    return Signer(Ed25519PrivateKey.generate())


def a_desk(url: str) -> Desk:
    clock, signer = TurnableClock(), new_signer()
    desk = Desk(None, clock, signer)  # type: ignore[arg-type]
    desk.records = Records(
        SqlStore(url), signer, clock, keys=lambda person: desk.people.get(person, [])
    )
    return desk


def sqlite_url(folder: Path) -> str:
    return f"sqlite:///{folder / 'registry.db'}"
