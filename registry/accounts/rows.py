"""The table of accounts and what belongs to them, and its rows read as they lie, unsealed.

Whoever audits the register has no key of the accounts: a row's content can be read without
it, its seal cannot be checked.
"""

from collections.abc import Iterator

from sqlalchemy import Column, Connection, LargeBinary, String, Table, Text, select

from registry.metadata import METADATA
from registry.ports import AccountRow

ITEMS = Table(
    "registry_access",
    METADATA,
    Column("kind", String(20), primary_key=True),
    Column("key", String(120), primary_key=True),
    Column("owner", String(120), nullable=False, index=True),
    Column("ends", String(20), nullable=False, index=True),
    Column("content", Text, nullable=False),
    Column("seal", LargeBinary, nullable=False),
)


class SqlAccountRows:
    """The rows inside one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def rows(self, *kinds: str) -> Iterator[AccountRow]:
        """Return the rows of some kinds, as they lie."""
        query = select(ITEMS.c.kind, ITEMS.c.key, ITEMS.c.owner, ITEMS.c.content)
        query = query.where(ITEMS.c.kind.in_(kinds)).order_by(ITEMS.c.kind, ITEMS.c.key)
        for row in self._connection.execute(query):
            yield AccountRow(*row)
