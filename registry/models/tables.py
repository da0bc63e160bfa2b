"""Model versions in SQL. Unique constraints, not checks beforehand, keep ids apart."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    Row,
    Select,
    String,
    Table,
    Text,
    UniqueConstraint,
    func,
    insert,
    select,
)

from federation.domain.ids import Sha256
from federation.errors.core import InvalidIdError
from federation.errors.signed import LogTamperedError
from registry.metadata import METADATA
from registry.models.ports import StoredModel, StoredVersion

MODELS = Table(
    "registered_models",
    METADATA,
    Column("id", String(20), primary_key=True),
    Column("year", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("study", String(40), nullable=False, unique=True),
    UniqueConstraint("year", "number"),
)
VERSIONS = Table(
    "model_versions",
    METADATA,
    Column("log_index", Integer, primary_key=True, autoincrement=False),
    Column("log_size", Integer, nullable=False),
    Column("entry", String(60), nullable=False, unique=True),
    Column("model", ForeignKey(MODELS.c.id), nullable=False),
    Column("version", String(40), nullable=False),
    Column("study", String(40), nullable=False),
    Column("run", String(60), nullable=False, index=True),
    Column("state", String(20), nullable=False),
    Column("candidate_digest", String(71), nullable=False, unique=True),
    Column("supersedes", String(60), unique=True),
    Column("record", Text, nullable=False),
    UniqueConstraint("model", "version"),
    Index("model_versions_place", "log_index"),  # narrow: pages are found without the records
)


class SqlModelVersions:
    """The versions inside one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def numbered(self, year: int) -> int:
        """Return how many models a year has."""
        query = select(func.count()).select_from(MODELS).where(MODELS.c.year == year)
        return self._connection.execute(query).scalar_one()

    def model_of(self, study: str) -> str | None:
        """Return the model of a study."""
        query = select(MODELS.c.id).where(MODELS.c.study == study)
        found: str | None = self._connection.execute(query).scalar_one_or_none()
        return found

    def models(self) -> Sequence[StoredModel]:
        """Return all models."""
        rows = self._connection.execute(select(MODELS).order_by(MODELS.c.id))
        return [StoredModel(row.id, row.year, row.number, row.study) for row in rows]

    def add_model(self, model: str, *, year: int, number: int, study: str) -> None:
        """Keep a new model."""
        values = {"id": model, "year": year, "number": number, "study": study}
        self._connection.execute(insert(MODELS).values(**values))

    def add(self, version: StoredVersion) -> None:
        """Keep a new version."""
        values = {column.name: getattr(version, column.name) for column in VERSIONS.columns}
        self._connection.execute(insert(VERSIONS).values(**values))

    def versions(self, model: str) -> Sequence[StoredVersion]:
        """Return all versions of a model, oldest first."""
        return self._all(select(VERSIONS).where(VERSIONS.c.model == model))

    def of_run(self, run: str) -> Sequence[StoredVersion]:
        """Return what is registered of a run, oldest first."""
        return self._all(select(VERSIONS).where(VERSIONS.c.run == run))

    def of_candidate(self, digest: Sha256) -> StoredVersion | None:
        """Return the version made from exactly this candidate."""
        found = self._all(select(VERSIONS).where(VERSIONS.c.candidate_digest == digest))
        return found[0] if found else None

    def get(self, entry: str) -> StoredVersion | None:
        """Return the version with that full id."""
        found = self._all(select(VERSIONS).where(VERSIONS.c.entry == entry))
        return found[0] if found else None

    def successor_of(self, entry: str) -> str | None:
        """Return the entry that supersedes this one."""
        query = select(VERSIONS.c.entry).where(VERSIONS.c.supersedes == entry)
        found: str | None = self._connection.execute(query).scalar_one_or_none()
        return found

    def page(self, *, offset: int, limit: int) -> Sequence[StoredVersion]:
        """Return versions, newest first."""
        place = VERSIONS.c.log_index
        chosen = select(place).order_by(place.desc()).offset(offset).limit(limit)
        query = select(VERSIONS).where(place.in_(chosen)).order_by(place.desc())
        return [_version_of(row) for row in self._connection.execute(query)]

    def count(self) -> int:
        """Return the number of versions."""
        return self._connection.execute(select(func.count()).select_from(VERSIONS)).scalar_one()

    def _all(self, query: Select[Any]) -> list[StoredVersion]:
        rows = self._connection.execute(query.order_by(VERSIONS.c.log_index))
        return [_version_of(row) for row in rows]


def _version_of(row: Row[Any]) -> StoredVersion:
    values = dict(row._mapping)
    try:
        values["candidate_digest"] = Sha256(values["candidate_digest"])
    except InvalidIdError as error:
        item = f"entry {values['entry']}"
        raise LogTamperedError(item=item, why="a digest of it is none") from error
    return StoredVersion(**values)
