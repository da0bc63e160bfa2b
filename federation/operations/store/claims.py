"""Which run of a study is open, and which process may write to it.

A study has at most one open run: the study's name is the key of `open_runs`. The
process that goes on with it takes a claim with a number that grows; a process
that was thought dead and was not finds its number outdated at its next write and
is refused. Locks of the operating system stop a second one before; this stops it
also where the database is shared by machines.
"""

from dataclasses import dataclass

from sqlalchemy import Column, Connection, Integer, String, Table, and_, delete, insert, select
from sqlalchemy import update as change

from federation.domain.ids import RunId, StudyId
from federation.errors.durable import RunOpenError, RunTakenOverError
from federation.operations.store.database import METADATA

_OPEN = Table(
    "open_runs",
    METADATA,
    Column("study", String(40), primary_key=True),
    Column("run", String(60), nullable=False, unique=True),
    Column("turn", Integer, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to write to an open run, until another process takes the next turn."""

    study: StudyId
    run: RunId
    turn: int


def open_run_of(connection: Connection, study: StudyId) -> RunId | None:
    """Return the open run of a study, or None."""
    asked = select(_OPEN.c.run).where(_OPEN.c.study == study)
    run = connection.execute(asked).scalar()
    return None if run is None else RunId(run)


def open_claim(connection: Connection, study: StudyId, run: RunId) -> None:
    """Write down that a run is open.

    Raises
    ------
    RunOpenError
        If another one is.
    """
    found = open_run_of(connection, study)
    if found is not None:
        raise RunOpenError(study=study, run=found)
    connection.execute(insert(_OPEN).values(study=str(study), run=str(run), turn=0))


def take_claim(connection: Connection, study: StudyId) -> Claim | None:
    """Take the next turn of a study's open run; None if none is open."""
    raised = change(_OPEN).where(_OPEN.c.study == study).values(turn=_OPEN.c.turn + 1)
    connection.execute(raised)
    row = connection.execute(select(_OPEN).where(_OPEN.c.study == study)).first()
    return None if row is None else Claim(study, RunId(row.run), row.turn)


def check_claim(connection: Connection, claim: Claim) -> None:
    """Return if the claim holds, and keep it until the transaction ends.

    Raises
    ------
    RunTakenOverError
        If another process took a later turn, or the run is over.
    """
    mine = and_(_OPEN.c.study == claim.study, _OPEN.c.run == claim.run, _OPEN.c.turn == claim.turn)
    held = connection.execute(change(_OPEN).where(mine).values(turn=claim.turn))
    if held.rowcount != 1:
        raise RunTakenOverError(study=claim.study)


def close_claim(connection: Connection, claim: Claim) -> None:
    """Write down that a run is over; raises as `check_claim`."""
    check_claim(connection, claim)
    connection.execute(delete(_OPEN).where(_OPEN.c.study == claim.study))
