"""Ask and change the catalogue by person: what is held of whom, forgotten, renamed.

Works on the tables as they are found (SQLite or PostgreSQL), so a column that the
catalogue gains is carried along. Nothing is decided here: purging, reporting and
key rotation decide, and each of their changes is one transaction.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import (
    Column,
    Integer,
    MetaData,
    RowMapping,
    Table,
    delete,
    func,
    insert,
    select,
    tuple_,
    update,
)

from clients.data.catalogue.store import Catalogue
from clients.data.labels.table import MASK
from federation.errors.data import OptedOutError

BATCH = 500
READ_AGAIN = ""
"""The rules of a file whose outcome is not kept: the next intake reads it again."""
KEY_VERSION = "key_version"

Step = Callable[[str], str]
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class HeldImage:
    """One admitted image and whose it is. `any_issuer` is the pseudonym without issuer."""

    instance: str
    series: str
    study: str
    patient: str
    any_issuer: str
    sha256: str


@dataclass(frozen=True, slots=True)
class PatientFacts:
    """What a patient is counted by; of several values the one of most images."""

    patient: str
    any_issuer: str
    sex: str
    age: str
    modality: str
    scanner: str


class Holdings:
    """An open catalogue, by person; use `open_holdings`."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.connection = catalogue.connection
        self.meta = MetaData()
        self.meta.reflect(bind=self.connection)

    def images(self) -> Iterator[HeldImage]:
        """Yield every admitted image by name."""
        instances, series, patients = map(self._table, ("instances", "series", "patients"))
        query = (
            select(
                instances.c.instance,
                instances.c.series,
                series.c.study,
                instances.c.patient,
                patients.c.patient_any_issuer,
                instances.c.sha256,
            )
            .join(series, series.c.series == instances.c.series)
            .join(patients, patients.c.patient == instances.c.patient)
            .order_by(instances.c.instance)
        )
        for row in self.connection.execute(query):
            yield HeldImage(*row)

    def patients(self) -> list[PatientFacts]:
        """Return what every person is counted by, in order of pseudonym.

        A person is a Patient ID without its issuer, as in the catalogue's counts.
        """
        instances, series, patients = map(self._table, ("instances", "series", "patients"))
        facts = (
            instances.c.patient,
            patients.c.patient_any_issuer,
            patients.c.sex,
            instances.c.age,
            series.c.modality,
            series.c.manufacturer,
            series.c.model,
        )
        query = (
            select(*facts, func.count())
            .join(series, series.c.series == instances.c.series)
            .join(patients, patients.c.patient == instances.c.patient)
            .group_by(*facts)
            .order_by(*facts)
        )
        found: dict[str, list[Any]] = defaultdict(list)
        for row in self.connection.execute(query):
            found[row[1]].append(row)
        return [_facts(rows) for rows in found.values()]

    def forget(self, images: Iterable[HeldImage]) -> None:
        """Delete the rows of images, and of series, studies and patients left empty.

        Their files are read again by the next intake, which then says what they are.
        """
        labels, instances = self._table("labels"), self._table("instances")
        with self.catalogue.transaction():
            for names in _batches(image.instance for image in images):
                files = self._table("files")
                again = {"rules": READ_AGAIN, "instance": None, "state": "quarantined"}
                self.connection.execute(
                    update(files)
                    .where(files.c.instance.in_(names))
                    .values(**again, code=OptedOutError.code)
                )
                self.connection.execute(delete(labels).where(labels.c.instance.in_(names)))
                self.connection.execute(delete(instances).where(instances.c.instance.in_(names)))
            self._drop_empty()

    def masks(self) -> frozenset[str]:
        """Return the content names of the masks that a label names."""
        labels = self._table("labels")
        query = select(labels.c.value).where(labels.c.name == MASK)
        return frozenset(self.connection.execute(query).scalars())

    def read_opted_out_again(self) -> None:
        """Let the next intake look again at files that were kept out by an opt-out."""
        files = self._table("files")
        with self.catalogue.transaction():
            self.connection.execute(
                update(files).where(files.c.code == OptedOutError.code).values(rules=READ_AGAIN)
            )

    def key_version(self) -> int | None:
        """Return under how many keys the names are, None when no rotation ever said so."""
        table = self.meta.tables.get(KEY_VERSION)
        return None if table is None else self.connection.execute(select(table)).scalar_one()

    def rename(
        self, steps: Mapping[str, Step], *, contents: Mapping[str, str], version: int
    ) -> None:
        """Rename what every column of `steps` holds, in one transaction.

        Parameters
        ----------
        contents
            The new SHA-256 of each image, by its new name.
        version
            Under how many keys the names are afterwards; written with them.
        """
        with self.catalogue.transaction():
            tables = self.meta.sorted_tables
            moved = [(table, self._copy(table, steps, contents)) for table in tables]
            for table, old in reversed(moved):
                self._delete(table, old)
            self._write_version(version)

    def _copy(
        self, table: Table, steps: Mapping[str, Step], contents: Mapping[str, str]
    ) -> list[tuple[Any, ...]]:
        """Insert every row under its new names; return the primary keys of the old ones."""
        named = [column.name for column in table.columns if column.name in steps]
        if not named:
            return []
        key = list(table.primary_key.columns)
        old = [tuple(row) for row in self.connection.execute(select(*key))]
        for some in _batches(old):
            rows = self.connection.execute(select(table).where(_in(key, some))).mappings()
            renamed = [_renamed(row, named, steps, contents) for row in rows]
            self.connection.execute(insert(table), renamed)
        return old

    def _delete(self, table: Table, old: list[tuple[Any, ...]]) -> None:
        key = list(table.primary_key.columns)
        for some in _batches(old):
            self.connection.execute(delete(table).where(_in(key, some)))

    def _write_version(self, version: int) -> None:
        table = self.meta.tables.get(KEY_VERSION)
        if table is None:
            table = Table(KEY_VERSION, self.meta, Column("version", Integer, nullable=False))
            table.create(self.connection)
            self.connection.execute(insert(table).values(version=version))
        else:
            self.connection.execute(update(table).values(version=version))

    def _drop_empty(self) -> None:
        """Delete series, studies and patients of which nothing is left."""
        order = (("series", "instances"), ("studies", "series"), ("patients", "studies"))
        for name, held_by in order:
            table, below = self._table(name), self._table(held_by)
            column = next(iter(table.primary_key.columns))
            there = select(below.c[column.name])
            self.connection.execute(delete(table).where(column.not_in(there)))

    def _table(self, name: str) -> Table:
        return self.meta.tables[name]


@contextmanager
def open_holdings(data: Path) -> Iterator[Holdings]:
    """Yield the holdings of a data folder."""
    with Catalogue(data) as catalogue:
        yield Holdings(catalogue)


def _facts(rows: list[Any]) -> PatientFacts:
    def most(place: Callable[[Any], str]) -> str:
        counted: dict[str, int] = defaultdict(int)
        for row in rows:
            counted[place(row)] += row[-1]
        return min(counted, key=lambda name: (-counted[name], name))

    patient, any_issuer, sex = rows[0][:3]
    return PatientFacts(
        patient=patient,
        any_issuer=any_issuer,
        sex=sex or "unknown",
        age=most(lambda row: row[3]),
        modality=most(lambda row: row[4]) or "unknown",
        scanner=most(lambda row: f"{row[5] or 'unknown'} {row[6]}".strip()),
    )


def _renamed(
    row: RowMapping, named: list[str], steps: Mapping[str, Step], contents: Mapping[str, str]
) -> dict[str, Any]:
    values = dict(row)
    for name in named:
        if values[name] is not None:
            values[name] = steps[name](values[name])
    if "sha256" in values and "instance" in values:
        values["sha256"] = contents[values["instance"]]
    return values


def _in(key: list[Column[Any]], some: list[tuple[Any, ...]]) -> Any:
    if len(key) == 1:
        return key[0].in_([row[0] for row in some])
    return tuple_(*key).in_(some)


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    left = iter(items)
    while some := list(islice(left, BATCH)):
        yield some
