"""The hospital's book of what was admitted, in SQLite or PostgreSQL, without any identifier.

One row per file that was ever given (by a keyed digest of its content), one per
admitted instance with its patient's pseudonym, one per label. A file and its
outcome are written in one transaction, so an interrupted intake goes on where
it stopped. Counts that leave this module are suppressed below ten.

A person is counted and split by Patient ID alone, whatever the issuer: the same
ID under two issuers may be one person, who must not be on both sides of a split.
"""

import contextlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from sqlalchemy import (
    BindParameter,
    Connection,
    Select,
    bindparam,
    delete,
    func,
    select,
    text,
    update,
)

from clients.data.catalogue import database
from clients.data.catalogue.counting import Counted, counts_of
from clients.data.catalogue.rows import Rows
from clients.data.catalogue.selection import JOINED, Condition, conditions, images
from clients.data.catalogue.suppression import SMALL, suppressed
from clients.data.catalogue.tables import (
    FILES,
    INSTANCES,
    LABELS,
    PATIENTS,
    SCHEMA,
    SERIES,
    STUDIES,
    body_part_of,
    upgrade,
    version_of,
    years_of,
)
from clients.data.cohort.query import EVERYTHING, CohortQuery
from federation.domain.ids import Sha256

__all__ = [
    "SMALL",
    "Catalogue",
    "Instance",
    "KnownFile",
    "cohort_digest",
    "suppressed",
]

UPGRADE_LOCK = 0x7472_6966
"""Number of the advisory lock under which PostgreSQL makes the tables."""
CHUNK = 500


@dataclass(frozen=True, slots=True)
class Instance:
    """One admitted image as a cohort needs it.

    `patient` is the pseudonym of the Patient ID without its issuer. `label` is None
    when there is none. `shape` is (frames, rows, columns) of the stored image.
    """

    instance: str
    series: str
    patient: str
    sha256: str
    label: str | None
    shape: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class KnownFile:
    """What became of a file's content when it was last read, and under which rules."""

    state: str
    code: str | None
    instance: str | None
    rules: str


class Catalogue:
    """An open catalogue; use it as a context manager, in one thread.

    Parameters
    ----------
    data
        The node's data folder, which holds the SQLite file.
    url
        Another database (``postgresql://…``); as the home's `catalogue.toml` says, or SQLite in
        `data`, when None. Let the server know the node by its user (peer, pgpass), not
        by a password here.

    Raises
    ------
    CatalogueVersionError
        If a newer program wrote it.
    CatalogueDatabaseError
        If the database does not answer; also from every method.
    """

    def __init__(self, data: Path, url: str | None = None) -> None:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        place = database.place_of(data) if url is None else database.checked_url(url)
        self.connection: Connection = database.connect(place)
        self._rows = Rows(self.connection)
        try:
            if place == database.sqlite_url(data):
                (data / database.FILE).chmod(0o600)
            self._upgrade()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the connection back."""
        self._rows.close()
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _upgrade(self) -> None:
        if version_of(self.connection) == SCHEMA:
            return
        with self.transaction():
            if self.connection.dialect.name == "postgresql":
                lock = text("SELECT pg_advisory_xact_lock(:number)")
                self.connection.execute(lock, {"number": UPGRADE_LOCK})
            upgrade(self.connection)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what happens inside, all or nothing."""
        self._rows.begin()
        try:
            yield
            self._rows.commit()
        except BaseException:
            self._rows.roll_back()
            raise

    def known(self, content: str) -> KnownFile | None:
        """Return what became of a file's content, None when it was never read."""
        row = self._rows.find(_KNOWN, content)
        return None if row is None else KnownFile(*row)

    def remember(self, content: str, known: KnownFile) -> None:
        """Write what became of a file's content."""
        row = (content, known.state, known.code, known.instance, known.rules)
        self._rows.write(FILES, row, replace=True)

    def pixels_of(self, instance: str) -> str | None:
        """Return the pixel key of an admitted instance, None when it is not there."""
        return self._one(_PIXELS, instance)

    def instance_of_pixels(self, pixels: str) -> str | None:
        """Return the admitted instance with these pixels, None when there is none."""
        return self._one(_OF_PIXELS, pixels)

    def owner_of_study(self, study: str) -> str | None:
        """Return whose study it is, None when the study is new."""
        return self._one(_OWNER, study)

    def study_of_series(self, series: str) -> str | None:
        """Return the study of a series, None when the series is new."""
        return self._one(_STUDY, series)

    def admit(self, found: Mapping[str, Any]) -> None:
        """Write an admitted instance: the worker's answer as it came.

        The facts `study_year`, `view` and `laterality` may be left out.
        """
        facts, once = found["facts"], self._rows.write_once
        patient, study, series = found["patient"], found["study"], found["series"]
        once(PATIENTS, (patient, found["patient_any_issuer"], facts["sex"]))
        once(STUDIES, (study, patient, facts["study_date"], facts.get("study_year")))
        machine = (facts["manufacturer"], facts["model"])
        part = body_part_of(facts["body_part"])
        once(SERIES, (series, study, facts["modality"], part, *machine))
        identity = (found["instance"], series, patient, facts["sop_class"])
        content = (found["sha256"], found["pixels"])
        picture = tuple(facts[name] for name in ("age", "rows", "columns", "frames"))
        report = json.dumps(found["report"], separators=(",", ":"))
        said = (years_of(facts["age"]), facts.get("view", ""), facts.get("laterality", ""))
        row = (*identity, *content, *picture, facts["photometric"], report, *said)
        self._rows.write(INSTANCES, row)

    def complete(self, found: Mapping[str, Any]) -> None:
        """Fill in what an older version did not write of an instance that is given again."""
        facts = found["facts"]
        self.connection.execute(
            update(STUDIES)
            .where(STUDIES.c.study == found["study"], STUDIES.c.study_year.is_(None))
            .values(study_year=facts.get("study_year"))
        )
        for name in ("view", "laterality"):
            column = INSTANCES.c[name]
            self.connection.execute(
                update(INSTANCES)
                .where(INSTANCES.c.instance == found["instance"], column == "")
                .values({name: facts.get(name, "")})
            )

    def label_rows(self) -> dict[tuple[str, str], str]:
        """Return every label: {(instance, name): value}."""
        rows = self.connection.execute(select(LABELS.c.instance, LABELS.c.name, LABELS.c.value))
        return {(instance, name): value for instance, name, value in rows}

    def set_label(self, instance: str, name: str, value: str) -> None:
        """Write one label of one instance, replacing what was there."""
        self._rows.write(LABELS, (instance, name, value), replace=True)

    def drop_label(self, instance: str, name: str) -> None:
        """Take a label back."""
        self.connection.execute(
            delete(LABELS).where(LABELS.c.instance == instance, LABELS.c.name == name)
        )

    def instances_of_patients(self) -> dict[str, list[str]]:
        """Return {pseudonym: instances}; a patient is also found without issuer."""
        found: dict[str, list[str]] = {}
        rows = self.connection.execute(
            select(INSTANCES.c.instance, INSTANCES.c.patient, PATIENTS.c.patient_any_issuer).join(
                PATIENTS
            )
        )
        for instance, patient, any_issuer in sorted(map(tuple, rows)):
            for name in {patient, any_issuer}:
                found.setdefault(name, []).append(instance)
        return found

    def owners(self, instances: Collection[str]) -> dict[str, tuple[str, str]]:
        """Return {instance: (series, patient without issuer)} of those that are admitted."""
        asked = select(
            INSTANCES.c.instance, INSTANCES.c.series, PATIENTS.c.patient_any_issuer
        ).join(PATIENTS)
        rows = self._in_chunks(asked, instances)
        return {instance: (series, patient) for instance, series, patient in rows}

    def instances_of_series(self, series: str) -> list[str]:
        """Return the admitted instances of a series."""
        wanted = select(INSTANCES.c.instance).where(INSTANCES.c.series == series)
        return sorted(self.connection.execute(wanted).scalars())

    def select(
        self,
        *,
        modalities: tuple[str, ...],
        label: str,
        opted_out: frozenset[str],
        query: CohortQuery = EVERYTHING,
    ) -> tuple[list[Instance], int]:
        """Return the images of a cohort in a fixed order, and how many patients opted out of it.

        `label` of an instance is None when it has none of that name. An empty
        `modalities` means any.
        """
        wanted = conditions(self.connection, query)
        if modalities:
            wanted.append(SERIES.c.modality.in_(modalities))
        kept: list[Instance] = []
        left: set[str] = set()
        for issued, item in self._images(label, wanted):
            if {issued, item.patient} & opted_out:
                left.add(item.patient)
            else:
                kept.append(item)
        return kept, len(left)

    def described(self, instances: list[str]) -> list[dict[str, Any]]:
        """Return what is known of each instance: patient, study, scanner, age and so on.

        Keys: instance, patient, study, sex, age, manufacturer, model, modality,
        body_part, view, study_year (a number or None). In the instances' own order
        of names.
        """
        wanted = set(instances)
        rows = self.connection.execute(_DESCRIBED).mappings()
        found = [dict(row) for row in rows if row["instance"] in wanted]
        return sorted(found, key=lambda row: str(row["instance"]))

    def cleaning_reports(self, instance: str | None = None) -> Iterator[dict[str, dict[str, int]]]:
        """Yield the de-identification report of one image, or of each: {action: {tag path: n}}."""
        asked = select(INSTANCES.c.report)
        if instance is not None:
            asked = asked.where(INSTANCES.c.instance == instance)
        with self.connection.execution_options(yield_per=CHUNK).execute(asked) as rows:
            for packed in rows.scalars():
                yield json.loads(packed)

    def label_names(self) -> list[str]:
        """Return the names of the labels that any image has."""
        return sorted(self.connection.execute(select(LABELS.c.name).distinct()).scalars())

    def counts(self) -> dict[str, Any]:
        """Return totals and counts by modality and body part, suppressed below ten.

        A suppressed count is the text ``<10``, or ``suppressed`` where it would give
        a smaller one away.
        """
        by_kind = self.connection.execute(
            select(
                *(SERIES.c.modality, SERIES.c.body_part, PATIENTS.c.patient_any_issuer),
                *(func.count(SERIES.c.study.distinct()), func.count(SERIES.c.series.distinct())),
                func.count(),
            )
            .select_from(JOINED)
            .group_by(SERIES.c.modality, SERIES.c.body_part, PATIENTS.c.patient_any_issuer)
        )
        studies = self.connection.execute(select(func.count()).select_from(STUDIES)).scalar_one()
        return counts_of([Counted(*row) for row in by_kind], studies=studies)

    def quarantined(self) -> dict[str, int]:
        """Return how many known files each code holds; for the hospital's own eyes."""
        rows = self.connection.execute(
            select(FILES.c.code, func.count())
            .where(FILES.c.code.is_not(None))
            .group_by(FILES.c.code)
        )
        return {str(code): int(count) for code, count in sorted(map(tuple, rows))}

    def content_digest(self) -> Sha256:
        """Return the content id of the whole catalogue: images, patients and labels."""
        labels: dict[str, dict[str, str]] = defaultdict(dict)
        for (instance, name), value in sorted(self.label_rows().items()):
            labels[instance][name] = value
        rows = self.connection.execute(
            select(INSTANCES.c.instance, INSTANCES.c.patient, INSTANCES.c.sha256)
        )
        listed = [[*row, labels.get(row[0], {})] for row in sorted(map(tuple, rows))]
        return Sha256.of(json.dumps(listed, separators=(",", ":")).encode())

    def _images(self, label: str, wanted: list[Condition]) -> list[tuple[str, Instance]]:
        """Return images in a fixed order, each with its patient's pseudonym with issuer."""
        rows = self.connection.execute(images(label, wanted))
        found = [
            (issued, Instance(name, series, patient, sha256, value, (frames, height, width)))
            for name, series, issued, patient, sha256, value, frames, height, width in rows
        ]
        return sorted(found, key=lambda row: (row[1].patient, row[1].series, row[1].instance))

    def _one(self, question: Select[Any], wanted: str) -> str | None:
        row = self._rows.find(question, wanted)
        return None if row is None else str(row[0])

    def _in_chunks(self, statement: Select[Any], instances: Iterable[str]) -> Iterator[Any]:
        for chunk in _chunks(sorted(set(instances))):
            yield from self.connection.execute(statement.where(INSTANCES.c.instance.in_(chunk)))


_WANTED: BindParameter[str] = bindparam("wanted")
_KNOWN = select(FILES.c.state, FILES.c.code, FILES.c.instance, FILES.c.rules).where(
    FILES.c.content == _WANTED
)
_PIXELS = select(INSTANCES.c.pixels).where(INSTANCES.c.instance == _WANTED)
_OF_PIXELS = select(INSTANCES.c.instance).where(INSTANCES.c.pixels == _WANTED)
_OWNER = select(STUDIES.c.patient).where(STUDIES.c.study == _WANTED)
_STUDY = select(SERIES.c.study).where(SERIES.c.series == _WANTED)
_DESCRIBED = select(
    INSTANCES.c.instance,
    PATIENTS.c.patient_any_issuer.label("patient"),
    *(SERIES.c.study, PATIENTS.c.sex, INSTANCES.c.age, SERIES.c.manufacturer, SERIES.c.model),
    *(SERIES.c.modality, SERIES.c.body_part, INSTANCES.c.view, STUDIES.c.study_year),
).select_from(JOINED)


def cohort_digest(instances: list[Instance]) -> Sha256:
    """Return the content id of a cohort: content, whose it is, names and labels.

    Swapping the labels of two images changes it, as does moving an image to
    another patient.
    """
    rows = sorted(
        [item.instance, item.series, item.patient, item.sha256, item.label] for item in instances
    )
    return Sha256.of(json.dumps(rows, separators=(",", ":")).encode())


def _chunks(names: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(names), CHUNK):
        yield names[start : start + CHUNK]
