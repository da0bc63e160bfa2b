"""What was committed is there; what was not is not: on SQLite and on PostgreSQL."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, Integer, String, Table, func, insert, select, text
from sqlalchemy.exc import OperationalError

from federation.coordinator.home import CentreHome, CentreSettings
from federation.coordinator.places import DatabasePlace
from federation.domain.audit import AuditEvent, AuditKind
from federation.errors.core import InvalidValueError
from federation.errors.machine import DiskFullError
from federation.errors.storage import (
    CommitUnknownError,
    DatabaseSettingError,
    StoreBusyError,
    StoreConflictError,
    StoreDamagedError,
    StoreDiskFullError,
    StoreRefusedError,
    StoreUnavailableError,
)
from federation.operations.store import database as module
from federation.operations.store.database import METADATA, Database
from tests.databases import own_schema
from tests.machine.test_storage import a_disk
from tests.postgres import OWNER, Server, a_killable_server

NOW = datetime(2026, 3, 1, tzinfo=UTC)
AUDIT = AuditEvent(AuditKind.ROUND_DONE, "centre", "s.1/1", NOW)

MARKS = Table(
    "test_marks", METADATA, Column("number", Integer, primary_key=True), Column("word", String(9))
)


@pytest.fixture
def two(a_database: Database, database_url: str) -> Iterator[tuple[Database, Database]]:
    """Two processes' views of one database."""
    other = Database(database_url)
    yield a_database, other
    other.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with a_killable_server() as server:
        yield server


def mark(connection: Connection, number: int, word: str = "") -> None:
    connection.execute(insert(MARKS).values(number=number, word=word))


def marks(database: Database) -> list[int]:
    with database.read() as connection:
        return list(connection.execute(select(MARKS.c.number).order_by(MARKS.c.number)).scalars())


# -- one transaction ---------------------------------------------------------------


def test_what_is_written_is_there_with_its_audit_event(a_database: Database) -> None:
    with a_database.write(AUDIT) as connection:
        mark(connection, 1)

    assert marks(a_database) == [1]
    assert [(event["kind"], event["subject"]) for event in a_database.audit_events()] == [
        (AUDIT.kind.value, "s.1/1")
    ]


def test_what_a_block_raises_undoes_it_with_its_audit_event(a_database: Database) -> None:
    with (
        pytest.raises(InvalidValueError),
        a_database.write(AUDIT) as connection,
    ):
        mark(connection, 1)
        raise InvalidValueError(field="x", actual=1, expected="2")

    assert marks(a_database) == []
    assert a_database.audit_events() == []


def test_a_reader_never_writes(a_database: Database) -> None:
    with a_database.read() as connection:
        mark(connection, 1)

    assert marks(a_database) == []


def test_a_reader_sees_one_moment(two: tuple[Database, Database]) -> None:
    one, other = two
    count = select(func.count()).select_from(MARKS)
    with one.read() as connection:
        before = connection.execute(count).scalar_one()
        with other.write(AUDIT) as writing:
            mark(writing, 1)
        assert connection.execute(count).scalar_one() == before


def test_a_second_row_of_the_same_key_is_a_coded_conflict(a_database: Database) -> None:
    with a_database.write(AUDIT) as connection:
        mark(connection, 1)
    with pytest.raises(StoreConflictError), a_database.write(AUDIT) as connection:
        mark(connection, 1)

    assert len(a_database.audit_events()) == 1


def test_tables_may_be_made_again_and_by_two_at_once(database_url: str) -> None:
    makers = [Database(database_url) for _ in range(3)]
    threads = [threading.Thread(target=maker.make_tables) for maker in makers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for maker in makers:
        assert marks(maker) == []
        maker.close()


def test_two_writers_that_read_first_serialise(two: tuple[Database, Database]) -> None:
    """Each adds one to the greatest number, fifty times; none is lost and none fails."""
    greatest = select(func.coalesce(func.max(MARKS.c.number), 0))

    def add(connection: Connection) -> None:
        mark(connection, connection.execute(greatest).scalar_one() + 1)

    def run(database: Database) -> None:
        for _ in range(50):
            database.attempt(AUDIT, add)

    threads = [threading.Thread(target=run, args=(one,)) for one in two]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert marks(two[0]) == list(range(1, 101))
    assert len(two[0].audit_events()) == 100


def test_a_writer_that_waits_too_long_for_another_is_told_that_it_is_busy(
    two: tuple[Database, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = two
    monkeypatch.setattr(module, "BUSY_WAIT_MS", 200)
    with other.read() as connection:  # SQLite: the wait is set when the connection is made
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA busy_timeout = 200")
    with one.write(AUDIT) as connection:
        mark(connection, 1)
        with pytest.raises(StoreBusyError), other.write(AUDIT):
            pass

    assert marks(other) == [1]


def test_no_value_is_in_an_error(a_database: Database) -> None:
    with a_database.write(AUDIT) as connection:
        mark(connection, 1, "Chen")
    with pytest.raises(StoreConflictError) as caught, a_database.write(AUDIT) as connection:
        mark(connection, 1, "Chen")

    assert "Chen" not in str(caught.value)


# -- tried again -------------------------------------------------------------------


class Flaky:
    """Work that is refused as passing a number of times before it works."""

    def __init__(self, failures: int) -> None:
        self.failures, self.calls = failures, 0

    def __call__(self, connection: Connection) -> str:
        self.calls += 1
        mark(connection, self.calls)
        if self.calls <= self.failures:
            raise StoreUnavailableError(condition="test")
        return "done"


def test_an_attempt_is_tried_again_and_commits_once(a_database: Database) -> None:
    work = Flaky(2)

    assert a_database.attempt(AUDIT, work) == "done"
    assert (work.calls, marks(a_database)) == (3, [3])
    assert len(a_database.audit_events()) == 1


def test_an_attempt_gives_up_when_its_patience_ends(a_database: Database) -> None:
    with pytest.raises(StoreUnavailableError):
        a_database.attempt(AUDIT, Flaky(99), patience_s=0.2)

    assert marks(a_database) == []


@pytest.mark.parametrize(
    "error", [CommitUnknownError(condition="test"), StoreConflictError(condition="test")]
)
def test_what_may_be_there_or_never_will_be_is_not_tried_again(
    a_database: Database, error: Exception
) -> None:
    calls = []

    def work(_: Connection) -> None:
        calls.append(1)
        raise error

    with pytest.raises(type(error)):
        a_database.attempt(AUDIT, work)
    assert len(calls) == 1


# -- kill -9 -----------------------------------------------------------------------

CHILD = """
import sys
from datetime import UTC, datetime
from federation.domain.audit import AuditEvent, AuditKind
from federation.operations.store.database import Database
from tests.operations.test_database import mark
database = Database(sys.argv[1])
for number in range(1, 100_000):
    audit = AuditEvent(AuditKind.ROUND_DONE, "centre", str(number), datetime.now(UTC))
    with database.write(audit) as connection:
        mark(connection, number)
    print(number, flush=True)
"""


def killed_after(url: str, commits: int) -> int:
    """Let a child commit; kill it in the middle; return the last number that it acknowledged."""
    child = subprocess.Popen([sys.executable, "-c", CHILD, url], stdout=subprocess.PIPE)
    assert child.stdout is not None
    last = 0
    for line in child.stdout:
        last = int(line)
        if last >= commits and child.poll() is None:
            child.send_signal(signal.SIGKILL)
    child.stdout.close()
    assert child.wait() == -signal.SIGKILL
    return last


def test_every_acknowledged_commit_is_there_after_kill_9(
    a_database: Database, database_url: str
) -> None:
    acknowledged = killed_after(database_url, 40)

    found = marks(a_database)
    assert found == list(range(1, len(found) + 1))
    assert len(found) in (acknowledged, acknowledged + 1)  # the last answer may be lost
    assert [event["subject"] for event in a_database.audit_events()] == [str(n) for n in found]
    with a_database.write(AUDIT) as connection:  # and the next writer is not held up
        mark(connection, 0)


# -- PostgreSQL goes away ----------------------------------------------------------


def test_a_server_killed_in_the_middle_undoes_the_transaction_and_the_next_attempt_works(
    server: Server,
) -> None:
    database = Database(own_schema(server.url))
    database.make_tables()
    calls = []

    def work(connection: Connection) -> None:
        calls.append(1)
        mark(connection, len(calls))
        if len(calls) == 1:
            server.kill()
            threading.Thread(target=server.start).start()

    database.attempt(AUDIT, work)

    assert len(calls) > 1
    assert marks(database) == [len(calls)]
    assert len(database.audit_events()) == 1
    database.close()


def test_a_connection_that_died_while_idle_is_not_noticed(server: Server) -> None:
    database = Database(own_schema(server.url))
    database.make_tables()
    server.kill()
    server.start()

    with database.write(AUDIT) as connection:
        mark(connection, 1)
    assert marks(database) == [1]
    database.close()


def test_a_server_that_is_down_is_a_passing_coded_error(server: Server) -> None:
    database = Database(own_schema(server.url))
    database.make_tables()
    server.kill()
    try:
        with pytest.raises(StoreUnavailableError), database.write(AUDIT):
            pass
        with pytest.raises(StoreUnavailableError), database.read():
            pass
        with pytest.raises(StoreUnavailableError):
            database.attempt(AUDIT, lambda _: None, patience_s=0.2)
    finally:
        server.start()
        database.close()


def lose_the_answer(monkeypatch: pytest.MonkeyPatch, server: Server, *, before: bool) -> None:
    """Cut the connection at the first commit: before the server has it, or after."""
    from sqlalchemy.engine.default import DefaultDialect

    original, left = DefaultDialect.do_commit, [1]

    def cut(dialect: DefaultDialect, connection: object) -> None:
        if not left:
            original(dialect, connection)  # type: ignore[arg-type]
            return
        left.pop()
        if not before:
            original(dialect, connection)  # type: ignore[arg-type]
        cut_connections(server)
        connection.execute("SELECT 1")  # type: ignore[attr-defined]

    monkeypatch.setattr(DefaultDialect, "do_commit", cut)


def cut_connections(server: Server) -> None:
    import psycopg

    with psycopg.connect(server.url) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
    connection.close()


def test_a_commit_whose_answer_was_lost_is_found_to_be_there(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(own_schema(server.url))
    database.make_tables()
    lose_the_answer(monkeypatch, server, before=False)

    with database.write(AUDIT) as connection:
        mark(connection, 1)
    assert marks(database) == [1]
    database.close()


def test_a_commit_that_never_arrived_is_known_not_to_be_there_and_tried_again(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(own_schema(server.url))
    database.make_tables()
    lose_the_answer(monkeypatch, server, before=True)
    with pytest.raises(StoreUnavailableError) as caught, database.write(AUDIT) as connection:
        mark(connection, 1)
    assert not isinstance(caught.value, CommitUnknownError)
    assert marks(database) == []

    lose_the_answer(monkeypatch, server, before=True)
    database.attempt(AUDIT, lambda connection: mark(connection, 2))
    assert marks(database) == [2]
    database.close()


def test_a_commit_that_nobody_can_tell_of_says_so(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(own_schema(server.url))
    database.make_tables()
    lose_the_answer(monkeypatch, server, before=False)
    monkeypatch.setattr(module, "RESOLVE_S", 0.1)
    monkeypatch.setattr(Database, "_status", lambda *_: None)
    with pytest.raises(CommitUnknownError), database.write(AUDIT) as connection:
        mark(connection, 1)
    database.close()


@pytest.mark.parametrize("wrong", ["nobody@/postgres", "postgres@/nothing"])
def test_a_server_that_says_no_is_not_a_passing_error(server: Server, wrong: str) -> None:
    host = server.url.partition("?")[2]
    database = Database(f"postgresql+psycopg://{wrong}?{host}")
    with pytest.raises(StoreRefusedError), database.read():
        pass
    database.close()


def test_a_writer_that_hangs_is_thrown_out_by_the_server(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUSY_WAIT_MS", 100)
    url = own_schema(server.url)
    one, other = Database(url), Database(url)
    one.make_tables()
    with pytest.raises(StoreUnavailableError), one.write(AUDIT) as connection:
        mark(connection, 1)
        other.attempt(AUDIT, lambda connection: mark(connection, 2), patience_s=10)

    assert marks(other) == [2]
    one.close()
    other.close()


def test_a_table_that_is_not_there_is_refused(server: Server) -> None:
    with pytest.raises(StoreRefusedError):
        database = Database(server.url.replace("postgresql:", "postgresql+psycopg:"))
        try:
            with database.read() as connection:
                connection.execute(text("SELECT * FROM no_such_table"))
        finally:
            database.close()


# -- SQLite ------------------------------------------------------------------------


def test_sqlite_syncs_every_commit(tmp_path: Path) -> None:
    database = Database.at(tmp_path / "centre.db")
    with database.read() as connection:
        for pragma, wanted in (("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)):
            assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == wanted
    database.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system with room for the tables, and not for much more."""
    with a_disk(tmp_path / "small", kib=1024) as folder:
        yield folder


def test_a_full_disk_undoes_the_transaction(small_disk: Path) -> None:
    database = Database.at(small_disk / "centre.db")
    filler = small_disk / "filler"
    try:
        database.make_tables()
        with pytest.raises(OSError, match="28"):
            filler.write_bytes(b"x" * 2_000_000)
        with pytest.raises(StoreDiskFullError) as caught:
            for number in range(10_000):
                database.attempt(AUDIT, lambda connection, n=number: mark(connection, n, "x" * 9))
        assert isinstance(caught.value, DiskFullError)
        before = marks(database)

        filler.unlink()
        database.attempt(AUDIT, lambda connection: mark(connection, 10_001))
        assert marks(database) == [*before, 10_001]
    finally:
        database.close()


def test_a_file_that_is_no_database_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "centre.db").write_bytes(os.urandom(8192))
    database = Database.at(tmp_path / "centre.db")
    with pytest.raises(StoreDamagedError):
        database.make_tables()
    database.close()


def test_a_page_that_was_overwritten_is_damage_and_not_an_answer(tmp_path: Path) -> None:
    path = tmp_path / "centre.db"
    database = Database.at(path)
    database.make_tables()
    with database.write(AUDIT) as connection:
        connection.execute(insert(MARKS), [{"number": n, "word": "x" * 9} for n in range(2_000)])
    database.close()
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)

    again = Database.at(path)
    with pytest.raises(StoreDamagedError):
        marks(again)
    again.close()


def test_a_folder_that_is_not_there_may_come_back(tmp_path: Path) -> None:
    database = Database.at(tmp_path / "unmounted" / "centre.db")
    with pytest.raises(StoreUnavailableError), database.read():
        pass
    database.close()


def test_an_unknown_failure_of_the_driver_keeps_its_kind_and_no_message() -> None:
    from federation.operations.store.conditions import as_coded

    error = as_coded(OperationalError("SELECT 'Chen'", {}, sqlite3.OperationalError("Chen")))

    assert "Chen" not in str(error)


# -- the setting -------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path) -> CentreHome:
    home = CentreHome(tmp_path)
    home.write_settings(CentreSettings("Centre", "centre.example:1", NOW))
    return home


def say(home: CentreHome, database: str) -> CentreHome:
    plain = home.settings_file.read_text()
    home.settings_file.write_text(f"{plain}\n[database]\n{database}\n")
    return home


def test_a_centre_that_says_nothing_keeps_sqlite_in_its_home(home: CentreHome) -> None:
    assert home.database_url == f"sqlite:///{home.database}"
    database = Database.of(home)
    database.make_tables()
    database.close()
    assert home.database.is_file()


def test_a_postgresql_url_gets_its_driver(home: CentreHome) -> None:
    say(home, 'url = "postgresql://trifed@db.example/trifed"')

    assert home.database_url == "postgresql+psycopg://trifed@db.example/trifed"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://trifed:hush@db/x",
        "postgresql://db/x?password=hush",
        "postgresql://db/x?user=a&sslpassword=hush",
    ],
)
def test_a_password_in_the_settings_is_refused_and_not_repeated(home: CentreHome, url: str) -> None:
    say(home, f'url = "{url}"')
    with pytest.raises(DatabaseSettingError) as caught:
        _ = home.database_url

    assert "hush" not in str(caught.value)


def test_a_url_with_a_password_comes_from_a_private_file(home: CentreHome) -> None:
    say(home, 'url_file = "database.url"')
    file = home.folder / "database.url"
    file.write_text("postgresql://trifed:hush@db.example/trifed\n")
    file.chmod(0o600)

    assert home.database_url == "postgresql+psycopg://trifed:hush@db.example/trifed"


def test_a_url_file_that_others_can_read_is_refused(home: CentreHome) -> None:
    say(home, 'url_file = "database.url"')
    file = home.folder / "database.url"
    with pytest.raises(DatabaseSettingError):
        _ = home.database_url
    file.write_text("postgresql://trifed:hush@db.example/trifed\n")
    file.chmod(0o644)
    with pytest.raises(DatabaseSettingError, match="others may read"):
        _ = home.database_url


@pytest.mark.parametrize(
    "said",
    [
        'url = "mysql://db/x"',
        'url = "postgresql"',
        'url = "postgresql://[db/x"',
        "url = 3",
        'uri = "postgresql://db/x"',
        'url = "postgresql://db/x"\nurl_file = "x"',
    ],
)
def test_what_is_not_understood_is_refused(home: CentreHome, said: str) -> None:
    say(home, said)
    with pytest.raises(DatabaseSettingError):
        _ = home.database_url


def test_settings_that_are_written_again_keep_the_database(home: CentreHome) -> None:
    place = DatabasePlace(url="postgresql://db.example/trifed")
    home.write_settings(CentreSettings("Centre", "centre.example:1", NOW, place))

    assert home.settings().database == place


def test_the_whole_centre_works_on_postgresql_by_its_settings(
    home: CentreHome, server: Server
) -> None:
    url = own_schema(server.url).replace("postgresql+psycopg", "postgresql")
    say(home, f'url = "{url}"')
    database = Database.of(home)
    database.make_tables()
    database.attempt(AUDIT, lambda connection: mark(connection, 1))
    database.close()

    assert OWNER in home.database_url
    assert not home.database.exists()
