"""The centre's database on SQLite and on PostgreSQL: every store's tests run on both.

    from tests.databases import a_database, database_url  # in conftest.py, with `postgres`

`a_database` is an open `Database`; `database_url` is where it lies, for tests
that close it and open it again. Each test has its own file or schema.
"""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from federation.operations.store.database import Database

BOTH = ("sqlite", "postgresql")

_schemas = itertools.count(1)


@pytest.fixture(params=BOTH)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'centre.db'}"
    return own_schema(str(request.getfixturevalue("postgres")))


@pytest.fixture
def a_database(database_url: str) -> Iterator[Database]:
    """An open database of each kind, its tables made."""
    database = Database(database_url)
    database.make_tables()
    yield database
    database.close()


def own_schema(server: str) -> str:
    """Make a schema of its own at a server; return the URL that works in it."""
    import psycopg

    name = f"t{os.getpid()}_{next(_schemas)}"
    with psycopg.connect(server) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
    connection.close()
    scheme, _, rest = server.partition("://")
    return f"{scheme}+psycopg://{rest}&options=-csearch_path%3D{name}"
