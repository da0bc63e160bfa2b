"""What the centre remembers of studies, runs and rounds, with its audit trail.

SQLAlchemy Core over any database it speaks; SQLite by default. Every write takes
an `AuditEvent` and commits with it in one transaction. Records are kept as JSON
beside the few columns that are searched.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Integer,
    String,
    Table,
    func,
    insert,
    select,
    update,
)

from federation.domain.audit import AuditEvent
from federation.domain.ids import RunId, StudyId
from federation.domain.run import RUN, RoundState, RunState
from federation.domain.study import STUDY, StudyState
from federation.errors.approval import StudyMissingError
from federation.operations.store.database import METADATA, Database

State = TypeVar("State")

_STUDIES = Table(
    "studies",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column("state", String(20), nullable=False),
    Column("record", JSON, nullable=False),
)
_RUNS = Table(
    "runs",
    METADATA,
    Column("id", String(60), primary_key=True),
    Column("study", String(40), nullable=False, index=True),
    Column("state", String(20), nullable=False),
    Column("record", JSON, nullable=False),
)
_ROUNDS = Table(
    "rounds",
    METADATA,
    Column("run", String(60), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("state", String(20), nullable=False),
    Column("record", JSON, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Stored(Generic[State]):
    """A record as kept: its id, its state and its JSON."""

    id: str
    state: State
    record: dict[str, object]


class StudyStore:
    """Studies, runs and rounds of one centre."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.make_tables()

    @classmethod
    def at(cls, path: Path) -> "StudyStore":
        """Return the store in a SQLite file."""
        return cls(Database.at(path))

    def close(self) -> None:
        """Let go of every connection."""
        self._database.close()

    def add_study(self, study: StudyId, record: dict[str, object], *, audit: AuditEvent) -> None:
        """Keep a new draft, or replace one that was never proposed or has failed."""
        with self._database.write(audit) as connection:
            row = connection.execute(select(_STUDIES).where(_STUDIES.c.id == study)).first()
            values = {"state": StudyState.DRAFT.value, "record": record}
            if row is None:
                connection.execute(insert(_STUDIES).values(id=study, **values))
                return
            STUDY.check(StudyState(row.state), StudyState.PROPOSED)
            connection.execute(update(_STUDIES).where(_STUDIES.c.id == study).values(values))

    def move_study(self, study: StudyId, wanted: StudyState, *, audit: AuditEvent) -> None:
        """Move a study along its state machine.

        Raises
        ------
        TransitionRefusedError
            If the state may not follow.
        """
        with self._database.write(audit) as connection:
            current = self._study(connection, study).state
            STUDY.check(current, wanted)
            connection.execute(
                update(_STUDIES).where(_STUDIES.c.id == study).values(state=wanted.value)
            )

    def study(self, study: StudyId) -> Stored[StudyState]:
        """Return a study.

        Raises
        ------
        StudyMissingError
            If there is none of this name.
        """
        with self._database.read() as connection:
            return self._study(connection, study)

    def holds(self, study: StudyId, record: dict[str, object]) -> bool:
        """Say whether exactly this record is kept under that name."""
        with self._database.read() as connection:
            row = connection.execute(select(_STUDIES).where(_STUDIES.c.id == study)).first()
            return row is not None and row.record == record

    def studies(self) -> list[Stored[StudyState]]:
        """Return every study by name."""
        with self._database.read() as connection:
            rows = connection.execute(select(_STUDIES).order_by(_STUDIES.c.id))
            return [Stored(row.id, StudyState(row.state), row.record) for row in rows]

    def start_run(self, study: StudyId, record: dict[str, object], *, audit: AuditEvent) -> RunId:
        """Open the next run of a study and return its id."""
        with self._database.write(audit) as connection:
            count = connection.execute(
                select(func.count()).select_from(_RUNS).where(_RUNS.c.study == study)
            ).scalar_one()
            run = RunId.of(study, count + 1)
            state = RunState.RUNNING.value
            connection.execute(
                insert(_RUNS).values(id=run, study=study, state=state, record=record)
            )
            return run

    def end_run(
        self, run: RunId, wanted: RunState, record: dict[str, object], *, audit: AuditEvent
    ) -> None:
        """Close a run with its final record.

        Raises
        ------
        TransitionRefusedError
            If it was closed before.
        """
        with self._database.write(audit) as connection:
            row = connection.execute(select(_RUNS).where(_RUNS.c.id == run)).one()
            RUN.check(RunState(row.state), wanted)
            connection.execute(
                update(_RUNS)
                .where(_RUNS.c.id == run)
                .values(state=wanted.value, record={**row.record, **record})
            )

    def runs(self, study: StudyId) -> list[Stored[RunState]]:
        """Return the runs of a study, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(select(_RUNS).where(_RUNS.c.study == study))
            found = [Stored(row.id, RunState(row.state), row.record) for row in rows]
        return sorted(found, key=lambda run: int(run.id.rpartition(".")[2]))

    def put_round(
        self,
        run: RunId,
        number: int,
        state: RoundState,
        record: dict[str, object],
        *,
        audit: AuditEvent,
    ) -> None:
        """Keep a round's outcome; the same round asked again replaces it."""
        key = (_ROUNDS.c.run == run) & (_ROUNDS.c.number == number)
        with self._database.write(audit) as connection:
            values = {"state": state.value, "record": record}
            if connection.execute(select(_ROUNDS.c.number).where(key)).first():
                connection.execute(update(_ROUNDS).where(key).values(values))
            else:
                connection.execute(insert(_ROUNDS).values(run=run, number=number, **values))

    def rounds(self, run: RunId) -> list[Stored[RoundState]]:
        """Return the rounds of a run in order."""
        with self._database.read() as connection:
            rows = connection.execute(
                select(_ROUNDS).where(_ROUNDS.c.run == run).order_by(_ROUNDS.c.number)
            )
            return [Stored(str(row.number), RoundState(row.state), row.record) for row in rows]

    def audit_events(self) -> list[dict[str, object]]:
        """Return the audit trail, oldest first."""
        return self._database.audit_events()

    def _study(self, connection: Connection, study: StudyId) -> Stored[StudyState]:
        row = connection.execute(select(_STUDIES).where(_STUDIES.c.id == study)).first()
        if row is None:
            known = connection.execute(select(_STUDIES.c.id).order_by(_STUDIES.c.id)).scalars()
            raise StudyMissingError(study=study, known=", ".join(known) or "none")
        return Stored(row.id, StudyState(row.state), row.record)
