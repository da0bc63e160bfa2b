"""What the centre remembers of launched studies: their place, what people wish, whose turn it is.

    queue = QueueStore(database)
    queue.put(study, Asked(priority=7), actor="lin")      # WAITING, or as it is when it is live
    queue.wish(study, Wish.PAUSE, actor="lin", reason="")
    queue.take_turn(study, sites, holder, limits)         # True when the study has its turn

The order of asking and of turns is counted by numbers that only grow
(`turns_given`), never by a clock. Their one row is also the lock: whoever
changes the queue touches it first, so two processes never give one place twice.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    Integer,
    Row,
    String,
    Table,
    delete,
    insert,
    select,
    update,
)

from federation.domain.audit import AuditEvent, AuditKind
from federation.domain.ids import SiteId, StudyId
from federation.domain.queue import (
    QUEUE,
    USUAL_PRIORITY,
    Claim,
    Limits,
    QueueState,
    Wish,
    grant,
)
from federation.errors.queue import StudyNotLaunchedError, StudyOverError
from federation.errors.storage import StoreConflictError
from federation.operations.store.database import METADATA, Database
from federation.supervision.identity import ProcessMark, is_alive

Result = TypeVar("Result")

_QUEUE = Table(
    "queue",
    METADATA,
    Column("study", String(40), primary_key=True),
    Column("state", String(20), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("place", Integer, nullable=False),
    Column("asked_at", String(40), nullable=False),
    Column("not_before", String(40)),
    Column("at_quorum", Boolean, nullable=False),
    Column("wish", String(20), nullable=False),
    Column("reason", String(300), nullable=False),
    Column("actor", String(80), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("code", String(10)),
)
_TURNS = Table(
    "turns",
    METADATA,
    Column("study", String(40), primary_key=True),
    Column("sites", JSON, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("ticket", Integer, nullable=False),
    Column("given_before", Integer, nullable=False),
    Column("since", String(40)),
    Column("pid", Integer, nullable=False),
    Column("started", Integer, nullable=False),
    Column("boot", String(40), nullable=False),
)
_SERVED = Table(
    "turns_served",
    METADATA,
    Column("study", String(40), primary_key=True),
    Column("at", Integer, nullable=False),
)
_GIVEN = Table(
    "turns_given",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("count", Integer, nullable=False),
    Column("tickets", Integer, nullable=False),
)
LONGEST_REASON = 300


@dataclass(frozen=True, slots=True)
class Asked:
    """How a study is to be run; `not_before` has its zone."""

    priority: int = USUAL_PRIORITY
    not_before: datetime | None = None
    at_quorum: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """A launched study. `attempts` counts the starts of its campaign since the launch.

    `place` is its order of launching, `code` the last error its campaign ended with.
    """

    study: StudyId
    state: QueueState
    asked: Asked
    place: int
    asked_at: datetime
    wish: Wish
    reason: str
    actor: str
    attempts: int
    code: str | None

    def is_due(self, now: datetime) -> bool:
        """Say whether its time has come."""
        return self.asked.not_before is None or self.asked.not_before <= now


@dataclass(frozen=True, slots=True)
class Turn:
    """A study that has a turn since then, or (None) waits in line for one."""

    claim: Claim
    holder: ProcessMark
    since: datetime | None


class QueueStore:
    """The queue and the turns of one centre. Methods raise what `Database` raises."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.make_tables()

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    def put(self, study: StudyId, asked: Asked, *, actor: str) -> Entry:
        """Put a study at the end of the queue; one that is live stays, with its new priority."""
        now = _now()

        def work(connection: Connection) -> None:
            row = _row(connection, study)
            if row is not None and QueueState(row.state) is not QueueState.ENDED:
                _set(connection, study, priority=asked.priority)
                return
            values = _fresh(connection, asked, actor=actor, now=now)
            if row is None:
                connection.execute(insert(_QUEUE).values(study=str(study), **values))
            else:
                _set(connection, study, **values)

        said = {"priority": str(asked.priority)}
        self._change(_audit(AuditKind.STUDY_LAUNCHED, study, actor, said), work)
        return self.entry(study)

    def entry(self, study: StudyId) -> Entry:
        """Return a launched study.

        Raises
        ------
        StudyNotLaunchedError
            If it was never launched.
        """
        with self._database.read() as connection:
            return _entry(_known(connection, study))

    def entries(self, *, live: bool = False) -> list[Entry]:
        """Return the launched studies in the order of the queue; `live`: without the ended."""
        with self._database.read() as connection:
            rows = connection.execute(select(_QUEUE)).all()
        found = [_entry(row) for row in rows]
        kept = [one for one in found if not live or one.state is not QueueState.ENDED]
        return sorted(kept, key=lambda one: (-one.asked.priority, one.place, one.study))

    def wish(self, study: StudyId, wish: Wish, *, actor: str, reason: str = "") -> Entry:
        """Write down what a person wants of a launched study; asking again changes nothing.

        Raises
        ------
        StudyNotLaunchedError, StudyOverError
            If the study is not in the queue.
        """

        def work(connection: Connection) -> None:
            row = _known(connection, study)
            state = QueueState(row.state)
            if state is QueueState.ENDED:
                raise StudyOverError(study=study)
            wanted = _state_after(state, wish)
            if wanted is not state:
                QUEUE.check(state, wanted)
            said = {"wish": wish.value, "reason": reason[:LONGEST_REASON], "actor": actor}
            _set(connection, study, state=wanted.value, **said)

        self._change(_audit(AuditKind.STUDY_WISHED, study, actor, {"wish": wish.value}), work)
        return self.entry(study)

    def activate(self, study: StudyId) -> Entry | None:
        """Count a start of a study's campaign; None if it has left the queue or was paused."""
        may_start = (QueueState.WAITING, QueueState.ACTIVE)

        def work(connection: Connection) -> Entry | None:
            row = _known(connection, study)
            if QueueState(row.state) not in may_start:
                return None
            active = QueueState.ACTIVE.value
            _set(connection, study, state=active, attempts=row.attempts + 1)
            return _entry(_known(connection, study))

        return self._change(_audit(AuditKind.CAMPAIGN_STARTED, study), work)

    def go_on(self, study: StudyId) -> None:
        """Say of a resumed study that its campaign, which never ended, goes on."""

        def work(connection: Connection) -> None:
            if QueueState(_known(connection, study).state) is QueueState.WAITING:
                _set(connection, study, state=QueueState.ACTIVE.value)

        self._change(_audit(AuditKind.CAMPAIGN_STARTED, study), work)

    def end(self, study: StudyId, *, code: str | None) -> None:
        """Take a study out of the queue, with the error its campaign ended with."""

        def work(connection: Connection) -> None:
            if QueueState(_known(connection, study).state) is not QueueState.ENDED:
                _set(connection, study, state=QueueState.ENDED.value, code=code)

        said = {"code": code or ""}
        self._change(_audit(AuditKind.CAMPAIGN_ENDED, study, said=said), work)

    def take_out(self, study: StudyId, *, actor: str, reason: str, code: str) -> bool:
        """End a study that nobody has begun to work on; False if its campaign was started."""

        def work(connection: Connection) -> bool:
            row = _known(connection, study)
            if row.state == QueueState.ENDED.value or row.attempts:
                return False
            said = {"reason": reason[:LONGEST_REASON], "actor": actor, "code": code}
            _set(connection, study, state=QueueState.ENDED.value, wish=Wish.STOP.value, **said)
            return True

        return self._change(_audit(AuditKind.STUDY_LEFT_QUEUE, study, actor), work)

    # -- turns ------------------------------------------------------------------------

    def turns(self) -> list[Turn]:
        """Return who has a turn and who waits for one; holders that died are left out."""
        with self._database.read() as connection:
            return [turn for turn in _turns(connection) if is_alive(turn.holder)]

    def may_take(self, study: StudyId, sites: Collection[SiteId], limits: Limits) -> bool:
        """Say whether a study would be given its turn just now. Changes nothing."""
        with self._database.read() as connection:
            return _is_granted(connection, study, sites, limits)

    def ask_turn(self, study: StudyId, sites: Collection[SiteId], holder: ProcessMark) -> None:
        """Stand in line for a turn; who stands there already keeps the place."""

        def work(connection: Connection) -> None:
            _put_turn(connection, _claim(connection, study, sites), holder, since=None)
            connection.execute(update(_GIVEN).values(tickets=_GIVEN.c.tickets + 1))

        self._change(_audit(AuditKind.TURN_ASKED, study), work)

    def take_turn(
        self, study: StudyId, sites: Collection[SiteId], holder: ProcessMark, limits: Limits
    ) -> bool:
        """Take a turn for all the sites if it is this study's; return whether it was."""

        def work(connection: Connection) -> None:
            given = _given(connection)
            if not _is_granted(connection, study, sites, limits):
                raise _NotItsTurn
            dead = [turn for turn in _turns(connection) if not is_alive(turn.holder)]
            for turn in dead:
                connection.execute(delete(_TURNS).where(_TURNS.c.study == turn.claim.study))
            _put_turn(connection, _claim(connection, study, sites), holder, since=_now())
            connection.execute(update(_GIVEN).values(count=given + 1))
            _serve(connection, study, given + 1)

        said = {"sites": str(len(sites))}
        try:
            self._change(_audit(AuditKind.TURN_GIVEN, study, said=said), work)
        except _NotItsTurn:
            return False
        return True

    def give_back(self, study: StudyId, holder: ProcessMark) -> None:
        """End a turn, or leave the line; nothing happens if another process has it."""
        mine = (_TURNS.c.study == study) & (_TURNS.c.pid == holder.pid)

        def work(connection: Connection) -> None:
            connection.execute(delete(_TURNS).where(mine & (_TURNS.c.started == holder.started)))

        self._change(_audit(AuditKind.TURN_OVER, study), work)

    def _change(self, audit: AuditEvent, work: Callable[[Connection], Result]) -> Result:
        """Do `work` while no other process changes the queue."""

        def locked(connection: Connection) -> Result:
            _lock(connection)
            return work(connection)

        try:
            return self._database.attempt(audit, locked)
        except StoreConflictError:  # another process made the same row first; now it is there
            return self._database.attempt(audit, locked)


class _NotItsTurn(Exception):
    """Undoes a transaction that found somebody else first in line."""


def _audit(
    kind: AuditKind, study: StudyId, actor: str = "centre", said: dict[str, str] | None = None
) -> AuditEvent:
    return AuditEvent(kind, actor, study, _now(), said or {})


def _now() -> datetime:
    return datetime.now(UTC)


def _state_after(state: QueueState, wish: Wish) -> QueueState:
    if wish is Wish.PAUSE:
        return QueueState.PAUSED
    return QueueState.WAITING if state is QueueState.PAUSED else state


def _row(connection: Connection, study: StudyId) -> "Row[Any] | None":
    return connection.execute(select(_QUEUE).where(_QUEUE.c.study == study)).first()


def _known(connection: Connection, study: StudyId) -> "Row[Any]":
    row = _row(connection, study)
    if row is None:
        raise StudyNotLaunchedError(study=study)
    return row


def _set(connection: Connection, study: StudyId, **values: object) -> None:
    connection.execute(update(_QUEUE).where(_QUEUE.c.study == study).values(values))


def _fresh(connection: Connection, asked: Asked, *, actor: str, now: datetime) -> dict[str, object]:
    places = connection.execute(select(_QUEUE.c.place)).scalars()
    return {
        "state": QUEUE.start.value,
        "priority": asked.priority,
        "place": max(places, default=0) + 1,
        "asked_at": now.isoformat(),
        "not_before": None if asked.not_before is None else asked.not_before.isoformat(),
        "at_quorum": asked.at_quorum,
        "wish": Wish.GO_ON.value,
        "reason": "",
        "actor": actor,
        "attempts": 0,
        "code": None,
    }


def _entry(row: "Row[Any]") -> Entry:
    not_before = row.not_before and datetime.fromisoformat(row.not_before)
    return Entry(
        study=StudyId(row.study),
        state=QueueState(row.state),
        asked=Asked(row.priority, not_before or None, row.at_quorum),
        place=row.place,
        asked_at=datetime.fromisoformat(row.asked_at),
        wish=Wish(row.wish),
        reason=row.reason,
        actor=row.actor,
        attempts=row.attempts,
        code=row.code,
    )


def _lock(connection: Connection) -> None:
    """Let no other process change the queue until this transaction ends."""
    if connection.execute(update(_GIVEN).values(count=_GIVEN.c.count)).rowcount == 0:
        connection.execute(insert(_GIVEN).values(id=1, count=0, tickets=0))


def _given(connection: Connection) -> int:
    return connection.execute(select(_GIVEN.c.count)).scalar() or 0


def _turns(connection: Connection) -> list[Turn]:
    given, rows = _given(connection), connection.execute(select(_TURNS))
    return [_turn(row, given) for row in rows]


def _turn(row: "Row[Any]", given: int) -> Turn:
    sites = frozenset(SiteId(site) for site in row.sites)
    claim = Claim(StudyId(row.study), sites, row.priority, row.ticket, given - row.given_before)
    since = None if row.since is None else datetime.fromisoformat(row.since)
    return Turn(claim, ProcessMark(row.pid, row.started, row.boot), since)


def _claim(connection: Connection, study: StudyId, sites: Collection[SiteId]) -> Claim:
    """Return a study's claim: with the ticket it has when it stands in line already."""
    row = connection.execute(select(_TURNS).where(_TURNS.c.study == study)).first()
    if row is not None and row.since is None:
        return replace(_turn(row, _given(connection)).claim, sites=frozenset(sites))
    queued = _row(connection, study)
    priority = USUAL_PRIORITY if queued is None else queued.priority
    last = connection.execute(select(_GIVEN.c.tickets)).scalar() or 0
    return Claim(study, frozenset(sites), priority, ticket=last + 1)


def _is_granted(
    connection: Connection, study: StudyId, sites: Collection[SiteId], limits: Limits
) -> bool:
    others = [turn for turn in _turns(connection) if turn.claim.study != study]
    alive = [turn for turn in others if is_alive(turn.holder)]
    waiting = [turn.claim for turn in alive if turn.since is None]
    running = [turn.claim for turn in alive if turn.since is not None]
    served = {StudyId(row.study): row.at for row in connection.execute(select(_SERVED))}
    return study in grant([*waiting, _claim(connection, study, sites)], running, limits, served)


def _put_turn(
    connection: Connection, claim: Claim, holder: ProcessMark, *, since: datetime | None
) -> None:
    connection.execute(delete(_TURNS).where(_TURNS.c.study == claim.study))
    connection.execute(
        insert(_TURNS).values(
            study=str(claim.study),
            sites=sorted(claim.sites),
            priority=claim.priority,
            ticket=claim.ticket,
            given_before=_given(connection) - claim.passed,
            since=None if since is None else since.isoformat(),
            pid=holder.pid,
            started=holder.started,
            boot=holder.boot,
        )
    )


def _serve(connection: Connection, study: StudyId, at: int) -> None:
    key = _SERVED.c.study == study
    if connection.execute(update(_SERVED).where(key).values(at=at)).rowcount == 0:
        connection.execute(insert(_SERVED).values(study=str(study), at=at))
