"""Tables come to today's form from nothing and from before there were steps, on both databases."""

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, NullPool, create_engine, event, inspect, text

import registry.store  # noqa: F401  (its imports fill METADATA)
from federation.errors.registry import SchemaVersionError
from registry.auditing import audit_log
from registry.metadata import METADATA
from registry.migrations import (
    FIRST,
    HEAD,
    VERSION_TABLE,
    bring_up_to_date,
    known_versions,
    offline_sql,
    version_of,
)
from registry.store import SqlStore
from tests.databases import own_schema
from tests.postgres import postgres  # noqa: F401
from tests.registry.builders import candidate_of_study, make_centre
from tests.registry.record_builders import DEV, LAMP, Lamp, a_desk, sqlite_url

OLD_TABLES = {
    "registered_models",
    "model_versions",
    "evidence_entries",
    "evidence_nodes",
    "evidence_checkpoints",
    "evidence_keys",
    "registry_audit",
}


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return sqlite_url(tmp_path)
    return own_schema(str(request.getfixturevalue("postgres")))


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    found = create_engine(url, poolclass=NullPool)
    yield found
    found.dispose()


def make_the_old_way(engine: Engine) -> None:
    """Make the tables as `create_all` did before there were steps, by the first step alone."""
    from alembic import command
    from alembic.config import Config

    import registry.migrations as migrations

    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, FIRST)
        connection.execute(text(f"DROP TABLE {VERSION_TABLE}"))
    assert set(inspect(engine).get_table_names()) == OLD_TABLES


def differences(engine: Engine) -> list[object]:
    """What the tables of the database lack or have over what the program declares."""

    def ours(found: object, name: str | None, kind: str, reflected: bool, other: object) -> bool:
        return not (kind == "table" and reflected and name not in METADATA.tables)

    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"include_object": ours, "compare_type": True}
        )
        return list(compare_metadata(context, METADATA))


def test_steps_and_tables_agree(engine: Engine) -> None:
    bring_up_to_date(engine)
    assert differences(engine) == []


def test_a_table_without_a_step_is_noticed(engine: Engine) -> None:
    bring_up_to_date(engine)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE registry_links"))
    assert differences(engine)


def test_the_newest_step_is_the_head() -> None:
    assert known_versions()[0] == FIRST and known_versions()[-1] == HEAD


def test_a_database_from_before_steps_is_stamped_and_brought_on(engine: Engine) -> None:
    make_the_old_way(engine)
    with engine.connect() as connection:
        assert version_of(connection) == FIRST
    bring_up_to_date(engine)
    with engine.connect() as connection:
        assert version_of(connection) == HEAD
    assert differences(engine) == []


def test_what_was_registered_before_is_still_there_and_verifies(tmp_path: Path) -> None:
    centre = make_centre(tmp_path / "centre")
    stored, _ = centre.registrar.register(candidate_of_study(centre, "cxr"), actor="centre")
    database = sqlite3.connect(centre.database)
    database.execute("DROP INDEX model_versions_place")  # of a later step, on an old table
    tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    for (table,) in tables:
        if table not in OLD_TABLES | {VERSION_TABLE}:
            database.execute(f"DROP TABLE {table}")
    database.execute(f"DROP TABLE {VERSION_TABLE}")
    database.close()
    store = SqlStore(f"sqlite:///{centre.database}")
    with store.reading() as transaction:
        assert transaction.models.get(stored.entry) == stored
    audit_log(store, key=centre.signer.public_key)


def _last_commits_tables(folder: Path) -> bool:
    """Make a database with the code of the commit before there were steps, in its own process."""
    root = Path(__file__).resolve().parents[2]
    first = ["git", "log", "--format=%H", "--diff-filter=A", "--", "registry/migrations/env.py"]
    added = subprocess.run(first, cwd=root, capture_output=True, text=True, check=False)
    commit = f"{added.stdout.split()[-1]}~1" if added.stdout.split() else "HEAD"
    archive = subprocess.run(
        ["git", "archive", commit, "registry", "federation"],
        cwd=root,
        capture_output=True,
        check=False,
    )
    if archive.returncode:
        return False
    old = folder / "old"
    old.mkdir()
    subprocess.run(["tar", "-x", "-C", str(old)], input=archive.stdout, check=True)
    code = "import sys; from registry.store import SqlStore; SqlStore(sys.argv[1])"
    subprocess.run(
        [sys.executable, "-c", code, sqlite_url(folder)],
        cwd=old,
        env={"PYTHONPATH": str(old)},
        check=True,
    )
    return True


def test_a_database_of_the_code_before_steps_is_brought_on(tmp_path: Path) -> None:
    if not _last_commits_tables(tmp_path):
        pytest.skip("there is no git history here")
    engine = create_engine(sqlite_url(tmp_path), poolclass=NullPool)
    assert set(inspect(engine).get_table_names()) >= OLD_TABLES
    assert VERSION_TABLE not in inspect(engine).get_table_names()
    bring_up_to_date(engine)
    assert differences(engine) == []
    engine.dispose()


def test_other_tables_in_the_database_stay_untouched(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE studies (id INTEGER)"))
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('of another')"))
    bring_up_to_date(engine)
    with engine.connect() as connection:
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
        assert found == "of another" and version_of(connection) == HEAD


def test_tables_of_a_newer_program_are_refused(engine: Engine) -> None:
    bring_up_to_date(engine)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(SchemaVersionError):
        bring_up_to_date(engine)


def test_a_second_start_asks_little_and_writes_nothing(engine: Engine) -> None:
    bring_up_to_date(engine)
    asked: list[str] = []

    @event.listens_for(engine, "before_cursor_execute")
    def note(*given: object) -> None:
        asked.append(str(given[2]))

    bring_up_to_date(engine)
    assert not any(word in one.upper() for one in asked for word in ("CREATE", "INSERT", "LOCK"))


def test_processes_that_start_at_once_make_the_tables_once(url: str) -> None:
    failures: list[BaseException] = []

    def start() -> None:
        try:
            SqlStore(url)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    desk = a_desk(url)
    assert desk.records.put(LAMP, "l-1", Lamp(colour="red"), author=DEV).revision == 1


def test_offline_sql_makes_the_same_tables_on_sqlite(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "registry.db")
    database.executescript(offline_sql("sqlite"))
    database.close()
    engine = create_engine(sqlite_url(tmp_path), poolclass=NullPool)
    assert differences(engine) == []
    with engine.connect() as connection:
        assert version_of(connection) == HEAD
    engine.dispose()


def test_offline_sql_makes_the_same_tables_on_postgresql(
    request: pytest.FixtureRequest,
) -> None:
    import psycopg

    url = own_schema(str(request.getfixturevalue("postgres")))
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.execute(offline_sql("postgresql").encode())
    connection.close()
    engine = create_engine(url, poolclass=NullPool)
    assert differences(engine) == []
    engine.dispose()
    desk = a_desk(url)
    desk.records.put(LAMP, "l-1", Lamp(colour="red"), author=DEV)
    audit_log(desk.records.store, key=desk.signer.public_key)
