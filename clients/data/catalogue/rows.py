"""Write and find single rows fast: one statement each, rendered once for its database.

An intake asks five questions and writes five rows a file, one file after another
in one process. So these few statements are rendered by SQLAlchemy once and then
given to the driver as they are; everything else goes the ordinary way.
"""

import contextlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Select, Table, bindparam
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect

from clients.data.catalogue.database import name_of
from federation.errors.cohorts import CatalogueDatabaseError

AnyInsert = sqlite.Insert | postgresql.Insert
INSERTS: dict[str, Callable[[Table], AnyInsert]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}
Value = str | int | None


class Rows:
    """Rows over one open connection, and its transactions; `close` it first.

    Every method raises `CatalogueDatabaseError` when the database does not answer.
    """

    def __init__(self, connection: Connection) -> None:
        self._dialect = connection.dialect
        self._cursor = connection.connection.cursor()
        self._there: set[tuple[str, Value]] = set()
        assert self._dialect.dbapi is not None
        self._failure: type[Exception] = self._dialect.dbapi.Error

    def close(self) -> None:
        """Give the cursor back."""
        self._cursor.close()

    def begin(self) -> None:
        """Begin a transaction; SQLite takes its write lock now, not half-way."""
        self._send("BEGIN IMMEDIATE" if self._dialect.name == "sqlite" else "BEGIN", ())

    def commit(self) -> None:
        """Make what was written last."""
        self._send("COMMIT", ())

    def roll_back(self) -> None:
        """Undo what was written since `begin`; SQLite may have done so by itself (disk full)."""
        self._there.clear()
        with contextlib.suppress(CatalogueDatabaseError):
            self._send("ROLLBACK", ())

    def find(self, question: Select[Any], wanted: str) -> Sequence[Any] | None:
        """Return the one row of a statement with the one parameter ``wanted``, or None."""
        self._send(_question(question, self._dialect), (wanted,))
        row: Sequence[Any] | None = self._cursor.fetchone()
        return row

    def write(self, table: Table, values: tuple[Value, ...], *, replace: bool = False) -> None:
        """Write a row, its columns in the table's order; replace one with its key if asked."""
        self._send(_insert(table, "replace" if replace else "insert", self._dialect), values)

    def write_once(self, table: Table, values: tuple[Value, ...]) -> None:
        """Write a row unless one with its key (the first column) is there."""
        if (table.name, values[0]) not in self._there:
            self._send(_insert(table, "ignore", self._dialect), values)
            self._there.add((table.name, values[0]))

    def _send(self, statement: str, values: tuple[Value, ...]) -> None:
        try:
            self._cursor.execute(statement, values)
        except self._failure as error:
            raise CatalogueDatabaseError(why=name_of(error)) from error


@lru_cache(maxsize=64)
def _question(question: Select[Any], dialect: Dialect) -> str:
    return _by_place(str(question.compile(dialect=dialect)), ["wanted"], dialect)


@lru_cache(maxsize=64)
def _insert(table: Table, mode: str, dialect: Dialect) -> str:
    """Return INSERT as this database spells it."""
    named: dict[str, Any] = {column.name: bindparam(column.name) for column in table.columns}
    statement = INSERTS[dialect.name](table).values(named)
    key = [column.name for column in table.primary_key.columns]
    if mode == "ignore":
        statement = statement.on_conflict_do_nothing(index_elements=key)
    elif mode == "replace":
        rest = {name: statement.excluded[name] for name in named if name not in key}
        statement = statement.on_conflict_do_update(index_elements=key, set_=rest)
    return _by_place(str(statement.compile(dialect=dialect)), list(named), dialect)


def _by_place(text: str, names: list[str], dialect: Dialect) -> str:
    """Return a statement with its parameters by place, as drivers take them fastest."""
    if not dialect.positional:
        for name in names:
            text = text.replace(f"%({name})s", "%s")
    return text
