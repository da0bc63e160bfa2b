"""Bring the register's tables from any earlier form to today's, in SQLite and PostgreSQL.

    bring_up_to_date(engine)                 # at every start; costs one small query when done
    print(offline_sql("postgresql"))         # what an administrator runs by hand instead

Each file in `versions/` is one step and is never changed once released. A new table
or column: add it to the noun's `tables.py`, write the next step beside the others,
set `HEAD`; tests/registry/test_migrations.py fails while the two disagree. A database
made before there were steps (by `create_all`) is recognised, stamped as `FIRST`, and
brought on from there. Tables are never moved back: restore a backup instead.
"""

import io
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text

from federation.errors.registry import SchemaVersionError

if TYPE_CHECKING:
    from alembic.config import Config

FIRST = "0001"
HEAD = "0004"
VERSION_TABLE = "registry_schema"

_OLDEST_TABLE = "evidence_entries"
_FOLDER = Path(__file__).parent
_LOCK = 0x7472696665640001 & (2**62 - 1)
"""PostgreSQL's advisory lock that starting processes take turns with; any number of ours."""


def bring_up_to_date(engine: Engine) -> None:
    """Make or change the register's tables until they are today's; other tables stay untouched.

    Raises
    ------
    SchemaVersionError
        If the tables are of a version this program does not know.
    """
    with engine.connect() as connection, connection.begin():
        if version_of(connection) == HEAD:
            return
    with engine.connect() as connection:
        connection = _alone(connection)
        with connection.begin():
            _take_turn(connection)
            _upgrade(connection)


def version_of(connection: Connection) -> str | None:
    """Return the version of the tables; `FIRST` for those older than versions, None for none."""
    tables = inspect(connection)
    if tables.has_table(VERSION_TABLE):
        found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608
        version: str | None = found.scalar_one_or_none()
        return version
    return FIRST if tables.has_table(_OLDEST_TABLE) else None


def known_versions() -> list[str]:
    """Return the versions there are steps to, oldest first."""
    return sorted(path.name.split("_")[0] for path in (_FOLDER / "versions").glob("[0-9]*.py"))


def offline_sql(dialect: str) -> str:
    """Return the SQL that makes today's tables in an empty database (`sqlite`, `postgresql`)."""
    from alembic import command

    written = io.StringIO()
    config = _config(written)
    config.attributes["dialect"] = dialect
    command.upgrade(config, HEAD, sql=True)
    return written.getvalue()


def _alone(connection: Connection) -> Connection:
    if connection.dialect.name == "sqlite":
        return connection.execution_options(writing=True)
    return connection.execution_options(isolation_level="READ COMMITTED")


def _take_turn(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


def _upgrade(connection: Connection) -> None:
    from alembic import command

    found = version_of(connection)
    if found is not None and found not in known_versions():
        raise SchemaVersionError(found=repr(found[:20]), known=HEAD)
    config = _config(io.StringIO())
    config.attributes["connection"] = connection
    if found == FIRST and not inspect(connection).has_table(VERSION_TABLE):
        command.stamp(config, FIRST)
    command.upgrade(config, HEAD)


def _config(written: io.StringIO) -> "Config":
    from alembic.config import Config

    config = Config(output_buffer=written, stdout=io.StringIO())
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    return config
