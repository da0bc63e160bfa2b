"""The hospital's book of what was admitted, in SQLite, without any identifier.

One row per file that was ever given (by a keyed digest of its content), one per
admitted instance with its patient's pseudonym, one per label. A file and its
outcome are written in one transaction, so an interrupted intake goes on where
it stopped. Counts that leave this module are suppressed below ten.
"""

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from federation.domain.ids import Sha256
from federation.errors.data import CatalogueVersionError

SCHEMA = 1
SMALLEST_CELL = 10
SMALL = f"<{SMALLEST_CELL}"
DATABASE = "catalogue.db"

_TABLES = """
CREATE TABLE IF NOT EXISTS files (
    content TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    code TEXT,
    instance TEXT,
    rules TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS patients (
    patient TEXT PRIMARY KEY,
    patient_any_issuer TEXT NOT NULL,
    sex TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS studies (
    study TEXT PRIMARY KEY,
    patient TEXT NOT NULL REFERENCES patients(patient),
    study_date TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS series (
    series TEXT PRIMARY KEY,
    study TEXT NOT NULL REFERENCES studies(study),
    modality TEXT NOT NULL,
    body_part TEXT NOT NULL,
    manufacturer TEXT NOT NULL,
    model TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS instances (
    instance TEXT PRIMARY KEY,
    series TEXT NOT NULL REFERENCES series(series),
    patient TEXT NOT NULL REFERENCES patients(patient),
    sop_class TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    pixels TEXT NOT NULL UNIQUE,
    age TEXT NOT NULL,
    rows INTEGER NOT NULL,
    columns INTEGER NOT NULL,
    frames INTEGER NOT NULL,
    photometric TEXT NOT NULL,
    report TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS instances_of_patient ON instances(patient);
CREATE TABLE IF NOT EXISTS labels (
    instance TEXT NOT NULL REFERENCES instances(instance),
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (instance, name)
) STRICT;
"""


@dataclass(frozen=True, slots=True)
class Instance:
    """One admitted image as a cohort needs it. `label` is None when there is none."""

    instance: str
    series: str
    patient: str
    sha256: str
    label: str | None


@dataclass(frozen=True, slots=True)
class KnownFile:
    """What became of a file's content when it was last read, and under which rules."""

    state: str
    code: str | None
    instance: str | None
    rules: str


class Catalogue:
    """An open catalogue; use it as a context manager.

    Raises
    ------
    CatalogueVersionError
        If the file was written with another schema.
    """

    def __init__(self, data: Path) -> None:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = data / DATABASE
        self.db = sqlite3.connect(self.path, isolation_level=None, timeout=30)
        self.path.chmod(0o600)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA foreign_keys = ON")
        self.db.execute("PRAGMA synchronous = NORMAL")
        self._check_version()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.db.close()

    def _check_version(self) -> None:
        (found,) = self.db.execute("PRAGMA user_version").fetchone()
        if found not in (0, SCHEMA):
            self.db.close()
            raise CatalogueVersionError(found=found, wanted=SCHEMA)
        self.db.executescript(_TABLES)
        self.db.execute(f"PRAGMA user_version = {SCHEMA}")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what happens inside, all or nothing."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    def known(self, content: str) -> KnownFile | None:
        """Return what became of a file's content, None when it was never read."""
        row = self.db.execute(
            "SELECT state, code, instance, rules FROM files WHERE content = ?", (content,)
        ).fetchone()
        return None if row is None else KnownFile(*row)

    def remember(self, content: str, known: KnownFile) -> None:
        """Write what became of a file's content."""
        self.db.execute(
            "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)",
            (content, known.state, known.code, known.instance, known.rules),
        )

    def pixels_of(self, instance: str) -> str | None:
        """Return the pixel key of an admitted instance, None when it is not there."""
        row = self.db.execute(
            "SELECT pixels FROM instances WHERE instance = ?", (instance,)
        ).fetchone()
        return None if row is None else str(row[0])

    def instance_of_pixels(self, pixels: str) -> str | None:
        """Return the admitted instance with these pixels, None when there is none."""
        row = self.db.execute(
            "SELECT instance FROM instances WHERE pixels = ?", (pixels,)
        ).fetchone()
        return None if row is None else str(row[0])

    def owner_of_study(self, study: str) -> str | None:
        """Return whose study it is, None when the study is new."""
        row = self.db.execute("SELECT patient FROM studies WHERE study = ?", (study,)).fetchone()
        return None if row is None else str(row[0])

    def study_of_series(self, series: str) -> str | None:
        """Return the study of a series, None when the series is new."""
        row = self.db.execute("SELECT study FROM series WHERE series = ?", (series,)).fetchone()
        return None if row is None else str(row[0])

    def admit(self, found: Mapping[str, Any]) -> None:
        """Write an admitted instance: the worker's answer as it came."""
        facts = found["facts"]
        execute = self.db.execute
        execute(
            "INSERT OR IGNORE INTO patients VALUES (?, ?, ?)",
            (found["patient"], found["patient_any_issuer"], facts["sex"]),
        )
        execute(
            "INSERT OR IGNORE INTO studies VALUES (?, ?, ?)",
            (found["study"], found["patient"], facts["study_date"]),
        )
        series = [facts[name] for name in ("modality", "body_part", "manufacturer", "model")]
        execute(
            "INSERT OR IGNORE INTO series VALUES (?, ?, ?, ?, ?, ?)",
            (found["series"], found["study"], *series),
        )
        picture = [facts[name] for name in ("age", "rows", "columns", "frames", "photometric")]
        execute(
            "INSERT INTO instances VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(found["instance"], found["series"], found["patient"], facts["sop_class"]),
                *(found["sha256"], found["pixels"], *picture),
                json.dumps(found["report"], separators=(",", ":")),
            ),
        )

    def label_rows(self) -> dict[tuple[str, str], str]:
        """Return every label: {(instance, name): value}."""
        rows = self.db.execute("SELECT instance, name, value FROM labels")
        return {(instance, name): value for instance, name, value in rows}

    def set_label(self, instance: str, name: str, value: str) -> None:
        """Write one label of one instance, replacing what was there."""
        self.db.execute("INSERT OR REPLACE INTO labels VALUES (?, ?, ?)", (instance, name, value))

    def drop_label(self, instance: str, name: str) -> None:
        """Take a label back."""
        self.db.execute("DELETE FROM labels WHERE instance = ? AND name = ?", (instance, name))

    def instances_of_patients(self) -> dict[str, list[str]]:
        """Return {pseudonym: instances}; a patient is also found without issuer."""
        found: dict[str, list[str]] = {}
        rows = self.db.execute(
            "SELECT instance, patient, patient_any_issuer FROM instances JOIN patients"
            " USING (patient) ORDER BY instance"
        )
        for instance, patient, any_issuer in rows:
            for name in {patient, any_issuer}:
                found.setdefault(name, []).append(instance)
        return found

    def select(
        self, *, modalities: tuple[str, ...], label: str, opted_out: frozenset[str]
    ) -> tuple[list[Instance], int]:
        """Return the images of a cohort in a fixed order, and how many patients opted out of it.

        `label` of an instance is None when it has none of that name.
        """
        marks = ",".join("?" * len(modalities))
        kept: list[Instance] = []
        left: set[str] = set()
        for row in self.db.execute(_SELECT.format(marks=marks), (label, *modalities)):
            *fields, any_issuer = row
            if {fields[2], any_issuer} & opted_out:
                left.add(fields[2])
            else:
                kept.append(Instance(*fields))
        return kept, len(left)

    def described(self, instances: list[str]) -> list[dict[str, str]]:
        """Return patient, study, sex, age, manufacturer and model of each instance."""
        rows = self.db.execute(_DESCRIBED, (json.dumps(instances),))
        names = ("patient", "study", "sex", "age", "manufacturer", "model")
        return [dict(zip(names, row, strict=True)) for row in rows]

    def label_names(self) -> list[str]:
        """Return the names of the labels that any image has."""
        rows = self.db.execute("SELECT DISTINCT name FROM labels ORDER BY name")
        return [row[0] for row in rows]

    def counts(self) -> dict[str, Any]:
        """Return totals and counts by modality and body part, suppressed below ten.

        A suppressed count is the text ``<10``.
        """
        totals = {
            name: suppressed(self._count(f"SELECT count(*) FROM {name}"))  # noqa: S608
            for name in ("patients", "studies", "series", "instances")
        }
        by_kind = self.db.execute(
            "SELECT modality, body_part, count(DISTINCT patient), count(*) FROM instances"
            " JOIN series USING (series) GROUP BY modality, body_part ORDER BY 1, 2"
        )
        cells = [
            {
                "modality": modality,
                "body_part": body_part,
                "patients": suppressed(patients),
                "images": suppressed(images) if patients >= SMALLEST_CELL else SMALL,
            }
            for modality, body_part, patients, images in by_kind
        ]
        return {**totals, "by_modality_and_body_part": cells}

    def quarantined(self) -> dict[str, int]:
        """Return how many known files each code holds; for the hospital's own eyes."""
        rows = self.db.execute(
            "SELECT code, count(*) FROM files WHERE code IS NOT NULL GROUP BY code ORDER BY code"
        )
        return dict(rows.fetchall())

    def content_digest(self) -> Sha256:
        """Return the content id of the whole catalogue: images, patients and labels."""
        rows = self.db.execute(
            "SELECT instance, patient, sha256, coalesce((SELECT json_group_object(name, value)"
            " FROM (SELECT name, value FROM labels WHERE labels.instance = instances.instance"
            " ORDER BY name)), '{}') FROM instances ORDER BY instance"
        )
        return Sha256.of(json.dumps([list(row) for row in rows]).encode())

    def _count(self, query: str) -> int:
        return int(self.db.execute(query).fetchone()[0])


_SELECT = """
SELECT instances.instance, series, instances.patient, sha256, value, patient_any_issuer
FROM instances JOIN series USING (series)
JOIN patients ON patients.patient = instances.patient
LEFT JOIN labels ON labels.instance = instances.instance AND labels.name = ?
WHERE modality IN ({marks})
ORDER BY instances.patient, series, instances.instance
"""


_DESCRIBED = """
SELECT instances.patient, study, sex, age, manufacturer, model
FROM instances JOIN series USING (series)
JOIN patients ON patients.patient = instances.patient
WHERE instance IN (SELECT value FROM json_each(?))
ORDER BY instance
"""


def suppressed(count: int) -> int | str:
    """Return a count, or ``<10`` when it is from 1 to 9."""
    return SMALL if 0 < count < SMALLEST_CELL else count


def cohort_digest(instances: list[Instance]) -> Sha256:
    """Return the content id of a cohort: content, whose it is, names and labels.

    Swapping the labels of two images changes it, as does moving an image to
    another patient.
    """
    rows = sorted(
        [item.instance, item.series, item.patient, item.sha256, item.label] for item in instances
    )
    return Sha256.of(json.dumps(rows, separators=(",", ":")).encode())
