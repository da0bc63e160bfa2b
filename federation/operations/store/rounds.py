"""What the centre remembers of rounds: their states, and every reply that was accepted.

    rounds = RoundStore(database, claim)
    row = rounds.plan(key, asked, audit=...)                    # PLANNED, or what is there
    rounds.keep_reply(key, reply, state=..., audit=...)         # once for each site
    rounds.move(key, RoundState.AGGREGATED, found, audit=...)   # along ROUND's table

Every step is one transaction with its audit event, and may be repeated: what is
there already is left as it is. A process whose run was taken over (`Claim`) is
refused at its next write, so that two can never both go on. Reading needs no claim.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Float,
    Integer,
    Row,
    String,
    Table,
    Text,
    and_,
    insert,
    select,
    update,
)

from federation.domain.audit import AuditEvent
from federation.domain.ids import RunId, Sha256, SiteId
from federation.domain.run import ROUND, RoundKey, RoundKind, RoundState
from federation.operations.store.claims import Claim, check_claim
from federation.operations.store.database import METADATA, Database

_ROUNDS = Table(
    "run_rounds",
    METADATA,
    Column("run", String(60), primary_key=True),
    Column("kind", String(20), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("state", String(20), nullable=False),
    Column("record", JSON, nullable=False),
)
_REPLIES = Table(
    "replies",
    METADATA,
    Column("run", String(60), primary_key=True),
    Column("kind", String(20), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("site", String(40), primary_key=True),
    Column("update_digest", String(71)),
    Column("weight", Float, nullable=False),
    Column("report", JSON, nullable=False),
    Column("signature", Text, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("at", String(40), nullable=False),
)


_BEFORE_EVIDENCE = (
    RoundState.PLANNED,
    RoundState.DISPATCHED,
    RoundState.COLLECTING,
    RoundState.AGGREGATED,
)


@dataclass(frozen=True, slots=True)
class StoredRound:
    """A round as kept. `record` holds what was asked, then what came of it."""

    key: RoundKey
    state: RoundState
    record: dict[str, object]


@dataclass(frozen=True, slots=True)
class StoredReply:
    """An accepted reply as kept; `update` is None for an evaluation.

    `update` is the content id of the update's little-endian float32 bytes, which
    the site signed and under which the artefact store holds them.
    """

    site: SiteId
    update: Sha256 | None
    weight: float
    report: dict[str, object]
    signature: str
    seconds: float
    at: datetime


class RoundStore:
    """The rounds and replies of one database; `claim` gives the right to write."""

    def __init__(self, database: Database, claim: Claim | None = None) -> None:
        self._database = database
        self._claim = claim
        database.make_tables()

    def plan(self, key: RoundKey, record: dict[str, object], *, audit: AuditEvent) -> StoredRound:
        """Write down what a round will ask; a plan that is there already stays.

        Raises
        ------
        RunTakenOverError
            If another process went on with the run.
        """
        found = self.round(key)
        if found is not None:
            return found
        with self._writing(audit) as connection:
            values = {"state": ROUND.start.value, "record": record}
            connection.execute(insert(_ROUNDS).values(**_columns(key), **values))
        return StoredRound(key, ROUND.start, record)

    def move(
        self, key: RoundKey, wanted: RoundState, record: dict[str, object], *, audit: AuditEvent
    ) -> StoredRound:
        """Move a round to its next state and add to its record; again changes nothing.

        Raises
        ------
        TransitionRefusedError
            If the state may not follow.
        RunTakenOverError
            If another process went on with the run.
        """
        found = self._known(key)
        if found.state is wanted:
            return found
        ROUND.check(found.state, wanted)
        moved = StoredRound(key, wanted, {**found.record, **record})
        with self._writing(audit) as connection:
            _put(connection, moved)
        return moved

    def keep_reply(self, key: RoundKey, reply: StoredReply, *, audit: AuditEvent) -> None:
        """Keep an accepted reply; the round is COLLECTING from the first one on.

        A site's second reply to the same round is forgotten.

        Raises
        ------
        RunTakenOverError
            If another process went on with the run.
        """
        found = self._known(key)
        if self._has_replied(key, reply.site):
            return
        with self._writing(audit) as connection:
            if found.state is RoundState.DISPATCHED:
                _put(connection, StoredRound(key, RoundState.COLLECTING, found.record))
            connection.execute(insert(_REPLIES).values(**_columns(key), **_values(reply)))

    def round(self, key: RoundKey) -> StoredRound | None:
        """Return a round, or None before it was planned."""
        with self._database.read() as connection:
            row = connection.execute(select(_ROUNDS).where(_at(_ROUNDS, key))).first()
        return None if row is None else _round_of(row)

    def rounds(self, run: RunId, kind: RoundKind) -> list[StoredRound]:
        """Return the rounds of a run of one kind, in order."""
        wanted = and_(_ROUNDS.c.run == run, _ROUNDS.c.kind == kind.value)
        with self._database.read() as connection:
            rows = connection.execute(select(_ROUNDS).where(wanted).order_by(_ROUNDS.c.number))
            return [_round_of(row) for row in rows]

    def replies(self, key: RoundKey) -> list[StoredReply]:
        """Return the accepted replies of a round, by site: the order in which they are summed."""
        asked = select(_REPLIES).where(_at(_REPLIES, key))
        with self._database.read() as connection:
            found = [_reply_of(row) for row in connection.execute(asked)]
        return sorted(found, key=lambda reply: reply.site)

    def unlogged(self, site: SiteId) -> list[StoredReply]:
        """Return a site's accepted replies in rounds that are not yet in evidence."""
        same = and_(*(_REPLIES.c[name] == _ROUNDS.c[name] for name in ("run", "kind", "number")))
        open_ = _ROUNDS.c.state.in_([state.value for state in _BEFORE_EVIDENCE])
        asked = select(_REPLIES).join(_ROUNDS, same).where(_REPLIES.c.site == site, open_)
        with self._database.read() as connection:
            return [_reply_of(row) for row in connection.execute(asked)]

    def repliers(self, run: RunId, kind: RoundKind) -> dict[int, frozenset[SiteId]]:
        """Return which sites' replies were accepted, by round; rounds without any are left out."""
        columns = (_REPLIES.c.number, _REPLIES.c.site)
        wanted = and_(_REPLIES.c.run == run, _REPLIES.c.kind == kind.value)
        found: dict[int, set[SiteId]] = {}
        with self._database.read() as connection:
            for number, site in connection.execute(select(*columns).where(wanted)):
                found.setdefault(number, set()).add(SiteId(site))
        return {number: frozenset(sites) for number, sites in found.items()}

    def _has_replied(self, key: RoundKey, site: SiteId) -> bool:
        asked = select(_REPLIES.c.site).where(_at(_REPLIES, key), _REPLIES.c.site == site)
        with self._database.read() as connection:
            return connection.execute(asked).first() is not None

    def _known(self, key: RoundKey) -> StoredRound:
        found = self.round(key)
        if found is None:
            raise ValueError(f"{key} was not planned")
        return found

    def _writing(self, audit: AuditEvent) -> "_Held":
        return _Held(self._database, audit, self._claim)


class _Held:
    """A write that is refused unless the claim still holds."""

    def __init__(self, database: Database, audit: AuditEvent, claim: Claim | None) -> None:
        if claim is None:
            raise ValueError("writing a round needs the run's claim")
        self._writing, self._claim = database.write(audit), claim

    def __enter__(self) -> Connection:
        connection = self._writing.__enter__()
        try:
            check_claim(connection, self._claim)
        except BaseException as error:
            self._writing.__exit__(type(error), error, error.__traceback__)
            raise
        return connection

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool | None:
        return self._writing.__exit__(kind, error, trace)


def _put(connection: Connection, found: StoredRound) -> None:
    values = {"state": found.state.value, "record": found.record}
    connection.execute(update(_ROUNDS).where(_at(_ROUNDS, found.key)).values(values))


def _columns(key: RoundKey) -> dict[str, object]:
    return {"run": str(key.run), "kind": key.kind.value, "number": key.number}


def _at(table: Table, key: RoundKey) -> Any:
    return and_(*(table.c[name] == value for name, value in _columns(key).items()))


def _values(reply: StoredReply) -> dict[str, object]:
    return {
        "site": str(reply.site),
        "update_digest": None if reply.update is None else str(reply.update),
        "weight": reply.weight,
        "report": reply.report,
        "signature": reply.signature,
        "seconds": reply.seconds,
        "at": reply.at.isoformat(),
    }


def _round_of(row: Row[Any]) -> StoredRound:
    key = RoundKey(RunId(row.run), RoundKind(row.kind), row.number)
    return StoredRound(key, RoundState(row.state), row.record)


def _reply_of(row: Row[Any]) -> StoredReply:
    return StoredReply(
        site=SiteId(row.site),
        update=None if row.update_digest is None else Sha256(row.update_digest),
        weight=row.weight,
        report=row.report,
        signature=row.signature,
        seconds=row.seconds,
        at=datetime.fromisoformat(row.at),
    )
