"""The evidence log in SQL. The primary keys keep two writers from taking one place."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Integer,
    LargeBinary,
    Row,
    String,
    Table,
    Text,
    func,
    insert,
    select,
)

from federation.domain.ids import Sha256, SiteId
from federation.errors.core import InvalidIdError
from federation.errors.registry import KeyFileError, LogRangeError, LogTamperedError
from federation.evidence.keyring import KeyRole, KnownKey
from federation.evidence.merkle import Node
from federation.evidence.verification import PublicKey
from registry.evidence.ports import LogEntry
from registry.metadata import METADATA

ENTRIES = Table(
    "evidence_entries",
    METADATA,
    Column("leaf_index", Integer, primary_key=True, autoincrement=False),
    Column("envelope_digest", String(71), nullable=False, unique=True),
    Column("envelope", Text, nullable=False),
)
NODES = Table(
    "evidence_nodes",
    METADATA,
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
)
CHECKPOINTS = Table(
    "evidence_checkpoints",
    METADATA,
    Column("size", Integer, primary_key=True, autoincrement=False),
    Column("note", Text, nullable=False),
)
KEYS = Table(
    "evidence_keys",
    METADATA,
    Column("keyid", String(71), primary_key=True),
    Column("site", String(40)),
    Column("role", String(20), nullable=False),
    Column("pem", LargeBinary, nullable=False),
)


class SqlEvidenceLog:
    """The log inside one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def size(self) -> int:
        """Return the number of entries: places have no gap, so the last one tells."""
        last = self._connection.execute(select(func.max(ENTRIES.c.leaf_index))).scalar_one()
        return 0 if last is None else last + 1

    def node(self, level: int, position: int) -> bytes:
        """Return the hash of a complete subtree."""
        query = select(NODES.c.hash).where(NODES.c.level == level, NODES.c.position == position)
        found = self._connection.execute(query).scalar_one_or_none()
        if found is None:
            raise LogTamperedError(item=f"log node {level}/{position}", why="it is missing")
        return bytes(found)

    def add(self, entries: Sequence[LogEntry], nodes: Sequence[Node]) -> None:
        """Keep entries and the subtrees they complete."""
        if not entries:
            return
        self._connection.execute(
            insert(ENTRIES),
            [
                {
                    "leaf_index": entry.index,
                    "envelope_digest": entry.envelope_digest,
                    "envelope": entry.envelope,
                }
                for entry in entries
            ],
        )
        self._connection.execute(
            insert(NODES),
            [{"level": node.level, "position": node.position, "hash": node.hash} for node in nodes],
        )

    def entry(self, index: int) -> LogEntry:
        """Return one entry."""
        query = select(ENTRIES).where(ENTRIES.c.leaf_index == index)
        row = self._connection.execute(query).one_or_none()
        if row is None:
            raise LogRangeError(size=self.size(), asked=index)
        return _entry_of(row)

    def entries(self) -> Iterator[LogEntry]:
        """Return all entries in order."""
        for row in self._connection.execute(select(ENTRIES).order_by(ENTRIES.c.leaf_index)):
            yield _entry_of(row)

    def index_of(self, envelope_digest: Sha256) -> int | None:
        """Return where an envelope lies."""
        query = select(ENTRIES.c.leaf_index).where(ENTRIES.c.envelope_digest == envelope_digest)
        found: int | None = self._connection.execute(query).scalar_one_or_none()
        return found

    def add_checkpoint(self, size: int, note: str) -> None:
        """Keep the signed note for a size."""
        self._connection.execute(insert(CHECKPOINTS).values(size=size, note=note))

    def checkpoints(self) -> Iterator[tuple[int, str]]:
        """Return all sizes and notes, smallest first."""
        for row in self._connection.execute(select(CHECKPOINTS).order_by(CHECKPOINTS.c.size)):
            yield row.size, row.note

    def checkpoint(self, size: int) -> str | None:
        """Return the note for a size."""
        query = select(CHECKPOINTS.c.note).where(CHECKPOINTS.c.size == size)
        found: str | None = self._connection.execute(query).scalar_one_or_none()
        return found

    def latest_checkpoint(self) -> str | None:
        """Return the note of the largest size."""
        query = select(CHECKPOINTS.c.note).order_by(CHECKPOINTS.c.size.desc()).limit(1)
        found: str | None = self._connection.execute(query).scalar_one_or_none()
        return found

    def add_key(self, key: KnownKey) -> None:
        """Keep a key unless it is there."""
        query = select(KEYS.c.keyid).where(KEYS.c.keyid == key.key.keyid)
        if self._connection.execute(query).one_or_none() is None:
            self._connection.execute(
                insert(KEYS).values(
                    keyid=key.key.keyid, site=key.site, role=key.role.value, pem=key.key.pem
                )
            )

    def keys(self) -> dict[Sha256, KnownKey]:
        """Return all kept keys by id."""
        return {Sha256(row.keyid): _key_of(row) for row in self._connection.execute(select(KEYS))}


def _entry_of(row: Row[Any]) -> LogEntry:
    try:
        return LogEntry(row.leaf_index, Sha256(row.envelope_digest), row.envelope)
    except InvalidIdError as error:
        item = f"log entry {row.leaf_index}"
        raise LogTamperedError(item=item, why="its digest is none") from error


def _key_of(row: Row[Any]) -> KnownKey:
    try:
        site = SiteId(row.site) if row.site else None
        return KnownKey(site, KeyRole(row.role), PublicKey.from_pem(bytes(row.pem)))
    except (InvalidIdError, KeyFileError, ValueError, TypeError) as error:
        raise LogTamperedError(item="key table", why="a key cannot be read") from error
