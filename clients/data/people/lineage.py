"""Write down which rounds saw whom, inside the hospital only.

``data/lineage.db`` (SQLite, 0600) holds one row a round and, once for each set of
training patients, who they were, as pseudonyms. A round is written down before it
touches a patient and marked when its update left; a round of which that is not
known counts as having seen them. Models of a run carry everybody its earlier
rounds saw, so the answer names the model digests a person may be in.
"""

import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path

from federation.domain.ids import RunId, Sha256
from federation.errors.people import LineageError
from federation.wording import Text

DATABASE = "lineage.db"
WAIT_S = 30

_SCHEMA = """
CREATE TABLE IF NOT EXISTS keys (version INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS patients (
    id INTEGER PRIMARY KEY, pseudonym TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE IF NOT EXISTS cohorts (
    id INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE IF NOT EXISTS members (
    cohort INTEGER NOT NULL REFERENCES cohorts(id),
    patient INTEGER NOT NULL REFERENCES patients(id),
    PRIMARY KEY (cohort, patient)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS cohorts_of_patient ON members(patient);
CREATE TABLE IF NOT EXISTS rounds (
    id INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    study TEXT NOT NULL,
    run TEXT NOT NULL,
    round INTEGER NOT NULL,
    model_in TEXT NOT NULL,
    state TEXT NOT NULL,
    model_out TEXT,
    dataset TEXT NOT NULL,
    optout_version TEXT NOT NULL,
    cohort INTEGER NOT NULL REFERENCES cohorts(id)
) STRICT;
CREATE INDEX IF NOT EXISTS rounds_of_run ON rounds(run, id);
CREATE TABLE IF NOT EXISTS versions (
    run TEXT PRIMARY KEY, version TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS made (
    model TEXT NOT NULL, run TEXT NOT NULL, PRIMARY KEY (model, run)
) STRICT, WITHOUT ROWID;
"""


_Row = tuple[str, int, str, int]


class RoundState(Enum):
    """What became of a round's update."""

    TRAINING = "training"
    """Not known: the process ended before it said so."""
    RELEASED = "released"
    WITHHELD = "withheld"


@dataclass(frozen=True, slots=True)
class TrainedRound:
    """One round that touched patients: which, on what, under which opt-out register.

    `model_in` and `model_out` are digests of the model received and the update sent.
    """

    study: str
    run: RunId
    round: int
    model_in: Sha256
    dataset: Sha256
    optout_version: str
    patients: Sequence[str]


@dataclass(frozen=True, slots=True)
class Sighting:
    """One round that saw a person, and the version its run became where that is known."""

    study: str
    run: str
    round: int
    at: str
    state: str
    model_in: str
    model_out: str | None
    version: str | None


@dataclass(frozen=True, slots=True)
class RegisterChange:
    """How the people of a round differ from those of the round before it, for the hospital.

    `left` counts who trained in the round before and not in this one; `joined`
    the other way round. Both are None for the first round of a run.
    """

    run: str
    round: int
    optout_version: str
    register_changed: bool
    left: int | None
    joined: int | None


class Lineage:
    """The lineage book of a data folder."""

    def __init__(self, data: Path) -> None:
        self.path = data / DATABASE

    def begin(self, trained: TrainedRound, *, now: datetime) -> None:
        """Write down a round before it touches a patient.

        Raises
        ------
        LineageError
            If it cannot be written, or nobody is in it; the round must not take place.
        """
        if not trained.patients:
            raise LineageError(
                why=Text(en="it is not said who is in the round", zh="未說明該輪包含哪些人")
            )
        names = sorted(set(trained.patients))
        digest = hashlib.sha256("\n".join(names).encode()).hexdigest()
        with self._open() as db:
            cohort = _cohort(db, digest, names)
            db.execute(
                "INSERT INTO rounds VALUES (NULL, ?, ?, ?, ?, ?, ?, NULL, ?, ?, ?)",
                (
                    now.isoformat(timespec="seconds"),
                    *(trained.study, trained.run, trained.round, trained.model_in),
                    RoundState.TRAINING.value,
                    *(trained.dataset, trained.optout_version, cohort),
                ),
            )

    def end(
        self, run: RunId, number: int, state: RoundState, *, model_out: Sha256 | None = None
    ) -> None:
        """Write down what became of the update of a round's newest attempt.

        Raises
        ------
        LineageError
            If it cannot be written; the round stands as one that may have left.
        """
        with self._open() as db:
            db.execute(_END, (state.value, model_out, run, number))

    def name_version(self, *, run: RunId, version: str) -> None:
        """Write down which model version a run became; raises `LineageError`."""
        with self._open() as db:
            db.execute("INSERT OR REPLACE INTO versions VALUES (?, ?)", (run, version))

    def name_model(self, *, run: RunId, model: Sha256) -> None:
        """Write down a model that a run's rounds made, by its digest; raises `LineageError`."""
        with self._open() as db:
            db.execute("INSERT OR IGNORE INTO made VALUES (?, ?)", (model, run))

    def line_of(self, run: RunId) -> tuple[RunId, ...]:
        """Return a run and every earlier run whose model it went on with, by name.

        Known is what came here: the models that a run sent in its later rounds and for
        evaluation. An earlier run in which this hospital took no part is not known, and
        saw nobody of this hospital.
        """
        with self._open() as db:
            return tuple(RunId(str(row[0])) for row in db.execute(_LINE, (run,)))

    def dataset_of(self, study: str) -> Sha256 | None:
        """Return the content id of the data of a study's newest round that left, if any."""
        with self._open() as db:
            row = db.execute(_DATASET, (study,)).fetchone()
        return None if row is None else Sha256(str(row[0]))

    def runs_of(self, study: str) -> tuple[RunId, ...]:
        """Return every run of a study that saw somebody here, by name."""
        with self._open() as db:
            return tuple(RunId(str(row[0])) for row in db.execute(_RUNS, (study,)))

    def sightings(self, pseudonyms: Sequence[str]) -> list[Sighting]:
        """Return every round that saw one of these pseudonyms of a person, oldest first.

        Withheld rounds are left out: nothing of them is in any model.
        """
        marks = ",".join("?" * len(pseudonyms))
        with self._open() as db:
            rows = db.execute(_SIGHTINGS.format(marks=marks), tuple(pseudonyms)).fetchall()
        return [Sighting(*row) for row in rows]

    def members(self, run: RunId) -> frozenset[str]:
        """Return the pseudonyms of everybody a run's rounds saw, those withheld left out."""
        with self._open() as db:
            return frozenset(str(row[0]) for row in db.execute(_MEMBERS, (run,)))

    def last_round(self, run: RunId) -> RegisterChange:
        """Return the newest round of a run and what changed with it.

        Raises
        ------
        LineageError
            If the run has no round here.
        """
        with self._open() as db:
            rows = db.execute(f"{_ROUNDS} AND run = ? ORDER BY id DESC LIMIT 2", (run,)).fetchall()
            if not rows:
                raise LineageError(why=Text(en="the run has no round", zh="該次執行沒有任何輪次"))
            return _change(db, rows[0], rows[1] if len(rows) > 1 else None)

    def changes(self) -> list[RegisterChange]:
        """Return every round that was not withheld, and how its people differ from the last."""
        with self._open() as db:
            found: list[RegisterChange] = []
            before: dict[str, _Row] = {}
            for row in db.execute(f"{_ROUNDS} ORDER BY id").fetchall():
                found.append(_change(db, row, before.get(row[0])))
                before[row[0]] = row
        return found

    def rename(self, step: Callable[[str], str], *, keys: int) -> None:
        """Rename everybody under a new key, once for each number of keys."""
        with self._open() as db:
            row = db.execute("SELECT version FROM keys").fetchone()
            if row == (keys,):
                return
            db.create_function("renamed", 1, step, deterministic=True)
            db.execute("UPDATE patients SET pseudonym = renamed(pseudonym)")
            db.execute("DELETE FROM keys")
            db.execute("INSERT INTO keys VALUES (?)", (keys,))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Yield the database inside one synced transaction."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            db = sqlite3.connect(self.path, timeout=WAIT_S, isolation_level=None)
            try:
                self.path.chmod(0o600)
                db.execute("PRAGMA journal_mode = WAL")
                db.execute("PRAGMA synchronous = FULL")
                db.executescript(_SCHEMA)
                db.execute("BEGIN IMMEDIATE")
                yield db
                db.execute("COMMIT")
            finally:
                db.close()
        except (sqlite3.Error, OSError) as error:
            why = getattr(error, "sqlite_errorname", type(error).__name__)
            raise LineageError(why=why) from error


def _cohort(db: sqlite3.Connection, digest: str, names: Sequence[str]) -> int:
    row = db.execute("SELECT id FROM cohorts WHERE digest = ?", (digest,)).fetchone()
    if row is not None:
        return int(row[0])
    number = db.execute("INSERT INTO cohorts VALUES (NULL, ?)", (digest,)).lastrowid
    db.executemany(
        "INSERT OR IGNORE INTO patients (pseudonym) VALUES (?)", ((name,) for name in names)
    )
    db.executemany(
        "INSERT INTO members SELECT ?, id FROM patients WHERE pseudonym = ?",
        ((number, name) for name in names),
    )
    return int(number or 0)


def _change(db: sqlite3.Connection, row: _Row, last: _Row | None) -> RegisterChange:
    run, number, version, cohort = row
    before = None if last is None else last[3]
    return RegisterChange(
        run=run,
        round=number,
        optout_version=version,
        register_changed=last is not None and last[2] != version,
        left=None if before is None else _only_in(db, before, cohort),
        joined=None if before is None else _only_in(db, cohort, before),
    )


def _only_in(db: sqlite3.Connection, cohort: int, other: int) -> int:
    if cohort == other:
        return 0
    return int(db.execute(_ONLY_IN, (cohort, other)).fetchone()[0])


_SIGHTINGS = """
SELECT DISTINCT study, rounds.run, round, at, state, model_in, model_out, version
FROM rounds JOIN members USING (cohort) JOIN patients ON patients.id = members.patient
LEFT JOIN versions ON versions.run = rounds.run
WHERE pseudonym IN ({marks}) AND state <> 'withheld'
ORDER BY rounds.id
"""
_MEMBERS = """
SELECT DISTINCT pseudonym FROM rounds JOIN members USING (cohort)
JOIN patients ON patients.id = members.patient WHERE run = ? AND state <> 'withheld'
"""
_LINE = """
WITH RECURSIVE
products(model, run) AS (
    SELECT model, run FROM made UNION SELECT model_in, run FROM rounds WHERE round > 1
),
line(run) AS (
    SELECT ? UNION
    SELECT products.run FROM line JOIN rounds ON rounds.run = line.run
    JOIN products ON products.model = rounds.model_in
)
SELECT run FROM line ORDER BY run
"""
_DATASET = """
SELECT dataset FROM rounds WHERE study = ? AND state = 'released' ORDER BY id DESC LIMIT 1
"""
_RUNS = "SELECT DISTINCT run FROM rounds WHERE study = ? AND state <> 'withheld' ORDER BY run"
_ROUNDS = "SELECT run, round, optout_version, cohort FROM rounds WHERE state <> 'withheld'"
_ONLY_IN = """
SELECT count(*) FROM members WHERE cohort = ?
AND patient NOT IN (SELECT patient FROM members WHERE cohort = ?)
"""
_END = """
UPDATE rounds SET state = ?, model_out = ?
WHERE id = (SELECT max(id) FROM rounds WHERE run = ? AND round = ?)
"""
