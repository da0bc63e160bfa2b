"""Open the catalogue's database: a SQLite file of the node, or the hospital's PostgreSQL.

A connection is in autocommit; `Rows.begin` opens a transaction explicitly, so a
SQLite writer takes its lock at once and never fails half-way. Every failure of
the database becomes a `CatalogueDatabaseError` that holds a condition's name,
never a statement or a value.
"""

import contextlib
import sqlite3
from functools import lru_cache
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from federation.domain.toml_text import parse_toml
from federation.errors.cohorts import CatalogueDatabaseError
from federation.wording import Text

FILE = "catalogue.db"
SETTING = "catalogue.toml"
WAIT_S = 30
DRIVERS = {"sqlite": "sqlite+pysqlite", "postgresql": "postgresql+psycopg"}


def sqlite_url(data: Path) -> URL:
    """Return the URL of the SQLite file in a data folder."""
    return URL.create(DRIVERS["sqlite"], database=str(data / FILE))


def place_of(data: Path) -> URL:
    """Return where a node's catalogue lies: as `catalogue.toml` of its home says, or in `data`.

    Raises
    ------
    CatalogueDatabaseError
        If the file is not one line ``url = "postgresql://…"``.
    """
    try:
        said = parse_toml((data.parent / SETTING).read_bytes())
    except FileNotFoundError:
        return sqlite_url(data)
    except (OSError, ValueError) as error:
        raise CatalogueDatabaseError(why=f"{SETTING} is not understood") from error
    if said.keys() != {"url"} or not isinstance(said["url"], str):
        raise CatalogueDatabaseError(why=f"{SETTING} holds something else than url")
    return checked_url(said["url"])


def checked_url(url: str) -> URL:
    """Return a database URL with its driver.

    Raises
    ------
    CatalogueDatabaseError
        If it is no URL, or of another database than PostgreSQL or SQLite.
    """
    try:
        found = make_url(url)
    except ArgumentError as error:
        raise CatalogueDatabaseError(
            why=Text(en="the URL is not understood", zh="無法理解 URL")
        ) from error
    kind = found.drivername.partition("+")[0]
    if kind not in DRIVERS:
        raise CatalogueDatabaseError(
            why=Text(en="only sqlite and postgresql are known", zh="僅支援 sqlite 與 postgresql")
        )
    return found.set(drivername=DRIVERS[kind])


@lru_cache(maxsize=16)
def engine_of(url: URL) -> Engine:
    """Return the engine of a URL, kept because it holds the compiled statements.

    It holds no connection: each is opened and closed by its user.
    """
    is_sqlite = url.get_backend_name() == "sqlite"
    arguments = {"timeout": WAIT_S} if is_sqlite else {"connect_timeout": WAIT_S}
    try:
        engine = create_engine(
            url,
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
            hide_parameters=True,
            connect_args=arguments,
        )
    except (NoSuchModuleError, ImportError) as error:
        raise CatalogueDatabaseError(
            why=Text(en="the driver psycopg is not installed", zh="未安裝 psycopg 驅動程式")
        ) from error
    event.listen(engine, "handle_error", _translate)
    if is_sqlite:
        event.listen(engine, "connect", _prepare_sqlite)
    return engine


def connect(url: URL) -> Connection:
    """Return an open connection; its user closes it.

    Raises
    ------
    CatalogueDatabaseError
        If the database does not let us in.
    """
    try:
        return engine_of(url).connect()
    except DBAPIError as error:
        raise CatalogueDatabaseError(why=name_of(error.orig or error)) from error


def name_of(error: BaseException) -> str:
    """Return the name of a database's condition: SQLITE_FULL, an SQLSTATE, or the error's kind."""
    names = (getattr(error, name, None) for name in ("sqlite_errorname", "sqlstate"))
    return next((str(name) for name in names if name), type(error).__name__)


def _prepare_sqlite(raw: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    try:
        with contextlib.closing(raw.cursor()) as cursor:
            cursor.execute("PRAGMA journal_mode = WAL")
            cursor.execute("PRAGMA foreign_keys = ON")
            cursor.execute("PRAGMA synchronous = NORMAL")
    except sqlite3.Error as error:
        raw.close()
        raise CatalogueDatabaseError(why=name_of(error)) from error


def _translate(context: ExceptionContext) -> None:
    """Give the condition's name in place of the driver's message."""
    original = context.original_exception
    if isinstance(original, CatalogueDatabaseError):
        return
    context.chained_exception = CatalogueDatabaseError(why=name_of(original))
