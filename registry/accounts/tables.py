"""Accounts and what belongs to them in SQL: one table of sealed items.

A row's seal covers kind, key, owner and content, so a row edited by hand, or moved to
another owner, is refused when it is read (TF779).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from sqlalchemy import Connection, Row, delete, insert, select

from registry.accounts.items import Item
from registry.accounts.rows import ITEMS
from registry.accounts.sealing import Sealing
from registry.audit.ports import AuditTrail
from registry.audit.tables import SqlAuditTrail
from registry.store import SqlStore

_NEVER = "9999"

Kept = TypeVar("Kept", bound=Item)


class SqlAccounts:
    """The items inside one transaction."""

    def __init__(self, connection: Connection, sealing: Sealing) -> None:
        self._connection = connection
        self._sealing = sealing

    def get(self, kind: type[Kept], key: str) -> Kept | None:
        """Return the item of that key; raises `AccountTamperedError`."""
        query = select(ITEMS).where(ITEMS.c.kind == kind.table, ITEMS.c.key == key)
        row = self._connection.execute(query).one_or_none()
        return None if row is None else self._read(kind, row)

    def of(self, kind: type[Kept], owner: str) -> list[Kept]:
        """Return an owner's items of a kind, by key."""
        query = select(ITEMS).where(ITEMS.c.kind == kind.table, ITEMS.c.owner == owner)
        found = self._connection.execute(query.order_by(ITEMS.c.key))
        return [self._read(kind, row) for row in found]

    def page(self, kind: type[Kept], *, after: str, limit: int) -> list[Kept]:
        """Return items of a kind with a key after one, by key."""
        query = select(ITEMS).where(ITEMS.c.kind == kind.table, ITEMS.c.key > after)
        found = self._connection.execute(query.order_by(ITEMS.c.key).limit(limit))
        return [self._read(kind, row) for row in found]

    def put(self, item: Item) -> None:
        """Keep an item, in place of the one of its key."""
        self.drop(item)
        values = _values(item)
        self._connection.execute(insert(ITEMS).values(**values, seal=self._sealing.seal(values)))

    def drop(self, item: Item) -> bool:
        """Forget an item; say whether it was there."""
        where = (ITEMS.c.kind == item.table, ITEMS.c.key == item.key)
        return self._connection.execute(delete(ITEMS).where(*where)).rowcount > 0

    def drop_of(self, kind: type[Item], owner: str) -> int:
        """Forget an owner's items of a kind; return how many."""
        where = (ITEMS.c.kind == kind.table, ITEMS.c.owner == owner)
        return self._connection.execute(delete(ITEMS).where(*where)).rowcount

    def prune(self, now: datetime) -> None:
        """Forget what ended."""
        self._connection.execute(delete(ITEMS).where(ITEMS.c.ends < _moment(now)))

    def _read(self, kind: type[Kept], row: Row[tuple[object, ...]]) -> Kept:
        values = dict(row._mapping)
        self._sealing.check(values, values.pop("seal"), name=str(values["owner"]))
        return kind.model_validate_json(str(values["content"]))


@dataclass(frozen=True, slots=True)
class Books:
    """Accounts and the audit trail inside one transaction."""

    items: SqlAccounts
    audit: AuditTrail


class SqlAccountStore(SqlStore):
    """The register's database, opened for accounts as well."""

    def __init__(self, url: str, sealing: Sealing) -> None:
        super().__init__(url)
        self._sealing = sealing

    @contextmanager
    def changing(self) -> Iterator[Books]:
        """Open a transaction that commits on leaving."""
        with self._transaction(writing=True) as connection:
            yield self._books(connection)

    @contextmanager
    def looking(self) -> Iterator[Books]:
        """Open one consistent view."""
        with self._transaction(writing=False) as connection:
            yield self._books(connection)

    def _books(self, connection: Connection) -> Books:
        return Books(SqlAccounts(connection, self._sealing), SqlAuditTrail(connection))


def _values(item: Item) -> dict[str, object]:
    return {
        "kind": item.table,
        "key": item.key,
        "owner": item.owner,
        "ends": _NEVER if item.ends is None else _moment(item.ends),
        "content": item.model_dump_json(),
    }


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
