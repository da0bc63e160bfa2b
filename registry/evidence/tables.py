"""The evidence log in SQL. The primary keys keep two writers from taking one place.

A proof takes one query, a batch of entries four, however large the log is; reading
the whole log streams it.
"""

from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Integer,
    LargeBinary,
    Row,
    Select,
    String,
    Table,
    Text,
    and_,
    func,
    insert,
    or_,
    select,
)

from federation.domain.ids import Sha256, SiteId
from federation.errors.core import InvalidIdError
from federation.errors.signed import KeyFileError, LogRangeError, LogTamperedError
from federation.evidence.keyring import KeyRole, KnownKey
from federation.evidence.merkle import Node
from federation.evidence.verification import PublicKey
from registry.evidence.ports import LogEntry, StoredCosignature
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
COSIGNATURES = Table(
    "evidence_cosignatures",
    METADATA,
    Column("size", Integer, primary_key=True, autoincrement=False),
    Column("witness", String(120), primary_key=True),
    Column("keyid", String(71), nullable=False),
    Column("line", Text, nullable=False),
)
KEYS = Table(
    "evidence_keys",
    METADATA,
    Column("keyid", String(71), primary_key=True),
    Column("site", String(40)),
    Column("role", String(20), nullable=False),
    Column("pem", LargeBinary, nullable=False),
)

_ROWS_AT_ONCE = 2000
_NAMED_AT_ONCE = 500
_V = TypeVar("_V")


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

    def nodes(self, places: Iterable[tuple[int, int]]) -> Mapping[tuple[int, int], bytes]:
        """Return the hashes of many complete subtrees."""
        wanted = sorted(set(places))
        found: dict[tuple[int, int], bytes] = {}
        for some in _chunks(wanted):
            rows = self._connection.execute(select(NODES).where(_among(some)))
            found |= {(row.level, row.position): bytes(row.hash) for row in rows}
        for level, position in wanted:
            if (level, position) not in found:
                raise LogTamperedError(item=f"log node {level}/{position}", why="it is missing")
        return found

    def level(self, level: int) -> Generator[Node, None, None]:
        """Return all stored subtrees of one level in order."""
        query = select(NODES).where(NODES.c.level == level).order_by(NODES.c.position)
        for row in self._streamed(query):
            yield Node(row.level, row.position, bytes(row.hash))

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

    def entries(self) -> Generator[LogEntry, None, None]:
        """Return all entries in order."""
        for row in self._streamed(select(ENTRIES).order_by(ENTRIES.c.leaf_index)):
            yield _entry_of(row)

    def index_of(self, envelope_digest: Sha256) -> int | None:
        """Return where an envelope lies."""
        query = select(ENTRIES.c.leaf_index).where(ENTRIES.c.envelope_digest == envelope_digest)
        found: int | None = self._connection.execute(query).scalar_one_or_none()
        return found

    def places_of(self, envelope_digests: Sequence[Sha256]) -> dict[Sha256, int]:
        """Return where those of the envelopes lie that are logged."""
        found: dict[Sha256, int] = {}
        columns = (ENTRIES.c.envelope_digest, ENTRIES.c.leaf_index)
        for some in _chunks(list(dict.fromkeys(envelope_digests))):
            query = select(*columns).where(ENTRIES.c.envelope_digest.in_(some))
            rows = self._connection.execute(query)
            found |= {Sha256(digest): place for digest, place in rows}
        return found

    def add_checkpoint(self, size: int, note: str) -> None:
        """Keep the signed note for a size."""
        self._connection.execute(insert(CHECKPOINTS).values(size=size, note=note))

    def checkpoints(self) -> Generator[tuple[int, str], None, None]:
        """Return all sizes and notes, smallest first."""
        for row in self._streamed(select(CHECKPOINTS).order_by(CHECKPOINTS.c.size)):
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

    def add_cosignature(self, cosignature: StoredCosignature) -> None:
        """Keep a witness's signature."""
        values = {name: getattr(cosignature, name) for name in ("size", "witness", "keyid", "line")}
        self._connection.execute(insert(COSIGNATURES).values(**values))

    def cosignatures(self, size: int | None = None) -> Sequence[StoredCosignature]:
        """Return the witnesses' signatures."""
        query = select(COSIGNATURES).order_by(COSIGNATURES.c.size, COSIGNATURES.c.witness)
        query = query if size is None else query.where(COSIGNATURES.c.size == size)
        return [_cosignature_of(row) for row in self._connection.execute(query)]

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

    def _streamed(self, query: Select[Any]) -> Iterator[Row[Any]]:
        """Return rows as they are read, so that a log of any length fits into memory."""
        options = query.execution_options(yield_per=_ROWS_AT_ONCE)
        with self._connection.execute(options) as rows:
            yield from rows


def _chunks(values: Sequence[_V]) -> Iterator[Sequence[_V]]:
    """Return the values in parts that one query can name."""
    for start in range(0, len(values), _NAMED_AT_ONCE):
        yield values[start : start + _NAMED_AT_ONCE]


def _among(places: Iterable[tuple[int, int]]) -> ColumnElement[bool]:
    levels: defaultdict[int, list[int]] = defaultdict(list)
    for level, position in places:
        levels[level].append(position)
    return or_(
        *(
            and_(NODES.c.level == level, NODES.c.position.in_(positions))
            for level, positions in levels.items()
        )
    )


def _cosignature_of(row: Row[Any]) -> StoredCosignature:
    try:
        return StoredCosignature(row.size, row.witness, Sha256(row.keyid), row.line)
    except InvalidIdError as error:
        item = f"co-signature of {row.size} entries"
        raise LogTamperedError(item=item, why="its key is none") from error


def _entry_of(row: Row[Any]) -> LogEntry:
    try:
        return LogEntry(row.leaf_index, Sha256(row.envelope_digest), row.envelope)
    except InvalidIdError as error:
        item = f"log entry {row.leaf_index}"
        raise LogTamperedError(item=item, why="its digest is none") from error


def _key_of(row: Row[Any]) -> KnownKey:
    try:
        site = SiteId(row.site) if row.site else None
        key = PublicKey.from_pem(bytes(row.pem))
        if key.pem != bytes(row.pem):
            raise ValueError("not in its one spelling")
        return KnownKey(site, KeyRole(row.role), key)
    except (InvalidIdError, KeyFileError, ValueError, TypeError) as error:
        raise LogTamperedError(item="key table", why="a key cannot be read") from error
