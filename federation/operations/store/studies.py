"""What the centre remembers of studies and their runs, with its audit trail.

SQLAlchemy Core over any database it speaks; SQLite by default. Every write takes
an `AuditEvent` and commits with it in one transaction. Records are kept as JSON
beside the few columns that are searched. A run that is open is found again after
any crash (`open_run`) and gone on with by the one process that holds its claim.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    String,
    Table,
    func,
    insert,
    select,
    update,
)

from federation.domain.audit import AuditEvent
from federation.domain.ids import RunId, StudyId
from federation.domain.run import RUN, RunState
from federation.domain.study import STUDY, StudyState
from federation.errors.approval import StudyMissingError
from federation.operations.store.claims import (
    Claim,
    check_claim,
    close_claim,
    open_claim,
    open_run_of,
    take_claim,
)
from federation.operations.store.database import METADATA, Database

if TYPE_CHECKING:
    from federation.coordinator.home import CentreHome

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


@dataclass(frozen=True, slots=True)
class Stored(Generic[State]):
    """A record as kept: its id, its state and its JSON."""

    id: str
    state: State
    record: dict[str, object]


class StudyStore:
    """Studies and runs of one centre."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.make_tables()

    @classmethod
    def of(cls, home: "CentreHome") -> "StudyStore":
        """Return the store in the database that a centre's settings name."""
        return cls(Database.of(home))

    @classmethod
    def at(cls, path: Path) -> "StudyStore":
        """Return the store in a SQLite file."""
        return cls(Database.at(path))

    @property
    def database(self) -> Database:
        """Return the database, for the stores of other nouns."""
        return self._database

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
            self._move(connection, study, wanted)

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
        """Open the next run of a study and return its id.

        Raises
        ------
        RunOpenError
            If one is open already.
        """
        with self._database.write(audit) as connection:
            count = connection.execute(
                select(func.count()).select_from(_RUNS).where(_RUNS.c.study == study)
            ).scalar_one()
            run = RunId.of(study, count + 1)
            open_claim(connection, study, run)
            state = RunState.RUNNING.value
            connection.execute(
                insert(_RUNS).values(id=str(run), study=str(study), state=state, record=record)
            )
            return run

    def open_run(self, study: StudyId) -> Stored[RunState] | None:
        """Return the run of a study that is not over, or None."""
        with self._database.read() as connection:
            run = open_run_of(connection, study)
            return None if run is None else self._run(connection, run)

    def claim(self, study: StudyId, record: Mapping[str, object], *, audit: AuditEvent) -> Claim:
        """Take the right to go on with a study's open run; whoever had it loses it.

        `record` is added to the list `continued` of the run's record.

        Raises
        ------
        ValueError
            If no run is open.
        """
        with self._database.write(audit) as connection:
            claim = take_claim(connection, study)
            if claim is None:
                raise ValueError(f"no run of {study} is open")
            found = self._run(connection, claim.run)
            earlier = found.record.get("continued")
            listed = [*(earlier if isinstance(earlier, list) else []), dict(record)]
            self._put_run(connection, claim.run, found.state, {"continued": listed})
            return claim

    def note_run(self, claim: Claim, record: dict[str, object], *, audit: AuditEvent) -> None:
        """Add to the record of an open run.

        Raises
        ------
        RunTakenOverError
            If another process went on with it.
        """
        with self._database.write(audit) as connection:
            check_claim(connection, claim)
            state = self._run(connection, claim.run).state
            self._put_run(connection, claim.run, state, record)

    def move_run(
        self, claim: Claim, wanted: RunState, record: Mapping[str, object], *, audit: AuditEvent
    ) -> None:
        """Pause an open run or let it go on; again changes nothing.

        Raises
        ------
        TransitionRefusedError
            If the state may not follow.
        RunTakenOverError
            If another process went on with it.
        """
        with self._database.write(audit) as connection:
            check_claim(connection, claim)
            current = self._run(connection, claim.run).state
            if current is not wanted:
                RUN.check(current, wanted)
            self._put_run(connection, claim.run, wanted, record)

    def end_run(
        self,
        claim: Claim,
        wanted: RunState,
        record: dict[str, object],
        *,
        study: StudyState | None = None,
        audit: AuditEvent,
    ) -> None:
        """Close a run with its final record and move its study, in one step.

        Raises
        ------
        TransitionRefusedError
            If the state may not follow.
        RunTakenOverError
            If another process went on with it, or it was closed before.
        """
        with self._database.write(audit) as connection:
            close_claim(connection, claim)
            RUN.check(self._run(connection, claim.run).state, wanted)
            self._put_run(connection, claim.run, wanted, record)
            if study is not None:
                self._move(connection, claim.study, study)

    def runs(self, study: StudyId) -> list[Stored[RunState]]:
        """Return the runs of a study, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(select(_RUNS).where(_RUNS.c.study == study))
            found = [Stored(row.id, RunState(row.state), row.record) for row in rows]
        return sorted(found, key=lambda run: int(run.id.rpartition(".")[2]))

    def audit_events(self) -> list[dict[str, object]]:
        """Return the audit trail, oldest first."""
        return self._database.audit_events()

    def _study(self, connection: Connection, study: StudyId) -> Stored[StudyState]:
        row = connection.execute(select(_STUDIES).where(_STUDIES.c.id == study)).first()
        if row is None:
            known = connection.execute(select(_STUDIES.c.id).order_by(_STUDIES.c.id)).scalars()
            raise StudyMissingError(study=study, known=", ".join(known) or "none")
        return Stored(row.id, StudyState(row.state), row.record)

    def _move(self, connection: Connection, study: StudyId, wanted: StudyState) -> None:
        STUDY.check(self._study(connection, study).state, wanted)
        connection.execute(
            update(_STUDIES).where(_STUDIES.c.id == study).values(state=wanted.value)
        )

    def _run(self, connection: Connection, run: RunId) -> Stored[RunState]:
        row = connection.execute(select(_RUNS).where(_RUNS.c.id == run)).one()
        return Stored(row.id, RunState(row.state), row.record)

    def _put_run(
        self, connection: Connection, run: RunId, state: RunState, record: Mapping[str, object]
    ) -> None:
        merged = {**self._run(connection, run).record, **record}
        values = {"state": state.value, "record": merged}
        connection.execute(update(_RUNS).where(_RUNS.c.id == run).values(values))
