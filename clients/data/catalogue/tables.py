"""The catalogue's tables, the same in SQLite and in PostgreSQL, and how an old one is brought up.

No column holds an identifier: patients are pseudonyms, UIDs are remapped, dates
are shifted. The one true date is the year of a study (`study_year`), which a
cohort is asked for by; it stays in the hospital's own database. `upgrade` makes
the tables or carries an older schema forward, step by step, in one transaction.
"""

from collections.abc import Callable

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    insert,
    inspect,
    select,
    text,
    update,
)

from federation.errors.data import CatalogueVersionError

SCHEMA = 2

METADATA = MetaData()


def _table(name: str, *columns: Column[str] | Column[int] | Index) -> Table:
    return Table(name, METADATA, *columns, sqlite_strict=True)


def _words(name: str, *rest: ForeignKey, primary_key: bool = False) -> Column[str]:
    return Column(name, Text, *rest, primary_key=primary_key, nullable=False)


def _number(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, Integer, nullable=nullable)


SCHEMA_VERSION = _table("schema_version", _number("version"))
FILES = _table(
    "files",
    _words("content", primary_key=True),
    _words("state"),
    Column("code", Text),
    Column("instance", Text),
    _words("rules"),
)
PATIENTS = _table(
    "patients",
    _words("patient", primary_key=True),
    _words("patient_any_issuer"),
    _words("sex"),
)
STUDIES = _table(
    "studies",
    _words("study", primary_key=True),
    _words("patient", ForeignKey("patients.patient")),
    _words("study_date"),
    _number("study_year", nullable=True),
)
SERIES = _table(
    "series",
    _words("series", primary_key=True),
    _words("study", ForeignKey("studies.study")),
    _words("modality"),
    _words("body_part"),
    _words("manufacturer"),
    _words("model"),
)
INSTANCES = _table(
    "instances",
    _words("instance", primary_key=True),
    _words("series", ForeignKey("series.series")),
    _words("patient", ForeignKey("patients.patient")),
    _words("sop_class"),
    _words("sha256"),
    Column("pixels", Text, nullable=False, unique=True),
    _words("age"),
    _number("rows"),
    _number("columns"),
    _number("frames"),
    _words("photometric"),
    _words("report"),
    _number("age_years", nullable=True),
    Column("view", Text, nullable=False, server_default=""),
    Column("laterality", Text, nullable=False, server_default=""),
)
LABELS = _table(
    "labels",
    _words("instance", ForeignKey("instances.instance"), primary_key=True),
    _words("name", primary_key=True),
    _words("value"),
)
for _index, _column in (
    ("instances_of_patient", INSTANCES.c.patient),
    ("instances_of_series", INSTANCES.c.series),
    ("series_of_study", SERIES.c.study),
    ("studies_of_patient", STUDIES.c.patient),
    ("files_of_instance", FILES.c.instance),
):
    Index(_index, _column)


def years_of(age: str) -> int | None:
    """Return a DICOM age (``045Y``, ``007M``; PS3.5 AS) in whole years, None when it is none."""
    if len(age) != 4 or not (age[:3].isascii() and age[:3].isdecimal()) or age[3] not in "YMWD":
        return None
    in_year = {"Y": 1, "M": 12, "W": 52, "D": 365}
    return int(age[:3]) // in_year[age[3]]


def body_part_of(words: str) -> str:
    """Return a body part in the one spelling that is counted: capitals, single spaces."""
    return " ".join(words.replace("_", " ").upper().split())


def version_of(connection: Connection) -> int:
    """Return the schema of what is there, 0 when nothing is.

    Schema 1 had no table of its version: SQLite's user_version said it.
    """
    names = inspect(connection).get_table_names()
    if SCHEMA_VERSION.name in names:
        return int(connection.execute(select(SCHEMA_VERSION.c.version)).scalar_one())
    if connection.dialect.name == "sqlite":
        return int(connection.execute(text("PRAGMA user_version")).scalar_one())
    return 0


def upgrade(connection: Connection) -> None:
    """Make the tables, or carry an older schema forward; the caller commits.

    Raises
    ------
    CatalogueVersionError
        If what is there is newer than this program.
    """
    found = version_of(connection)
    if found == SCHEMA:
        return
    if found not in {0, *_STEPS}:
        raise CatalogueVersionError(found=found, wanted=SCHEMA)
    if found:
        for step in range(found, SCHEMA):
            _STEPS[step](connection)
        SCHEMA_VERSION.create(connection, checkfirst=True)
        for index in (index for table in METADATA.sorted_tables for index in table.indexes):
            index.create(connection, checkfirst=True)
    else:
        METADATA.create_all(connection)
    if connection.execute(update(SCHEMA_VERSION).values(version=SCHEMA)).rowcount == 0:
        connection.execute(insert(SCHEMA_VERSION).values(version=SCHEMA))
    if connection.dialect.name == "sqlite":  # so that an older program refuses it too
        connection.execute(text(f"PRAGMA user_version = {SCHEMA}"))


def _from_1(connection: Connection) -> None:
    """Add what cohorts are asked for by; years, views and sides of old studies stay unknown."""
    for statement in (
        "ALTER TABLE studies ADD COLUMN study_year INTEGER",
        "ALTER TABLE instances ADD COLUMN age_years INTEGER",
        "ALTER TABLE instances ADD COLUMN view TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE instances ADD COLUMN laterality TEXT NOT NULL DEFAULT ''",
    ):
        connection.execute(text(statement))
    for age in connection.execute(select(INSTANCES.c.age).distinct()).scalars().all():
        connection.execute(
            update(INSTANCES).where(INSTANCES.c.age == age).values(age_years=years_of(age))
        )
    for part in connection.execute(select(SERIES.c.body_part).distinct()).scalars().all():
        connection.execute(
            update(SERIES).where(SERIES.c.body_part == part).values(body_part=body_part_of(part))
        )


_STEPS: dict[int, Callable[[Connection], None]] = {1: _from_1}
"""How a schema becomes the next one."""
