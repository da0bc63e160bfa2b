"""What the centre remembers of sites that are paused in a run, and of who brought them back.

    absences = Absences(database)
    absences.paused(run)                                    # site -> why, by name
    absences.readmit(run, site, actor="centre", at=now)     # its count starts anew

A pause itself is no row: it follows from the kept rounds by the rule in
`federation.domain.strikes`, so it cannot be forgotten or doubled by a crash.
"""

from datetime import datetime

from sqlalchemy import Column, Integer, String, Table, insert, select, update

from federation.domain.audit import AuditEvent, AuditKind
from federation.domain.ids import RunId, SiteId
from federation.domain.run import RoundKind, RoundState
from federation.domain.strikes import Attendance, Pause, paused
from federation.operations.store.database import METADATA, Database
from federation.operations.store.rounds import RoundStore, StoredRound

_READMISSIONS = Table(
    "readmissions",
    METADATA,
    Column("run", String(60), primary_key=True),
    Column("site", String(40), primary_key=True),
    Column("after_round", Integer, nullable=False),
    Column("actor", String(80), nullable=False),
    Column("at", String(40), nullable=False),
)

_ENDED = (RoundState.DONE, RoundState.FAILED)


class Absences:
    """The pauses and readmissions of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rounds = RoundStore(database)
        database.make_tables()

    def paused(self, run: RunId) -> dict[SiteId, Pause]:
        """Return the sites that are paused in a run, with their rounds and codes."""
        replied = self._rounds.repliers(run, RoundKind.TRAIN)
        attended = [
            Attendance(row.key.number, replied.get(row.key.number, frozenset()), _codes(row))
            for row in self._rounds.rounds(run, RoundKind.TRAIN)
            if row.state in _ENDED
        ]
        return paused(attended, self.readmitted(run))

    def readmit(self, run: RunId, site: SiteId, *, actor: str, at: datetime) -> None:
        """Let a site's rounds so far count for nothing; again, and for any site, is allowed."""
        planned = self._rounds.rounds(run, RoundKind.TRAIN)
        after = planned[-1].key.number if planned else 0
        details = {"site": str(site), "after": str(after)}
        audit = AuditEvent(AuditKind.SITE_READMITTED, actor, str(run), at, details)
        row = (_READMISSIONS.c.run == run) & (_READMISSIONS.c.site == site)
        values = {"after_round": after, "actor": actor, "at": at.isoformat()}
        with self._database.write(audit) as connection:
            if connection.execute(select(_READMISSIONS.c.site).where(row)).first():
                connection.execute(update(_READMISSIONS).where(row).values(values))
            else:
                key = {"run": str(run), "site": str(site)}
                connection.execute(insert(_READMISSIONS).values(**key, **values))

    def readmitted(self, run: RunId) -> dict[SiteId, int]:
        """Return the last round before each readmission."""
        asked = select(_READMISSIONS).where(_READMISSIONS.c.run == run)
        with self._database.read() as connection:
            rows = connection.execute(asked)
            return {SiteId(row.site): row.after_round for row in rows}


def _codes(row: StoredRound) -> dict[SiteId, str]:
    listed = row.record.get("refused")
    if not isinstance(listed, list):
        return {}
    return {SiteId(one["site"]): str(one["code"]) for one in listed}
