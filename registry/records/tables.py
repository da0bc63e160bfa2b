"""Records in SQL: revisions that are only ever added, and an index of the newest.

`registry_records` holds what is signed; a trigger refuses to change or delete a
row. The other tables say where to find the newest revisions and can be made
again from it. Two writers of one revision meet at its primary key.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Index,
    Integer,
    Row,
    Select,
    String,
    Table,
    Text,
    and_,
    delete,
    exists,
    func,
    insert,
    select,
    update,
)

from federation.domain.ids import Sha256
from federation.errors.core import InvalidIdError, InvalidValueError
from federation.errors.signed import LogTamperedError, NotCanonicalError
from federation.evidence.canonical import canonical, parse
from registry.metadata import METADATA
from registry.records.ports import Found, Link, Page, Query, Signed, StoredRecord
from registry.roles import Author

RECORDS = Table(
    "registry_records",
    METADATA,
    Column("noun", String(40), primary_key=True),
    Column("id", String(120), primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("state", String(40), nullable=False),
    Column("action", String(40), nullable=False),
    Column("body", Text, nullable=False),
    Column("digest", String(71), nullable=False),
    Column("author", Text, nullable=False),
    Column("at", String(20), nullable=False),
    Column("reason", Text, nullable=False),
    Column("supersedes", String(120)),
    Column("previous", String(71)),
    Column("signatures", Text, nullable=False),
    Column("log_index", Integer, nullable=False, unique=True),
    Column("log_size", Integer, nullable=False),
)
HEADS = Table(
    "registry_heads",
    METADATA,
    Column("noun", String(40), primary_key=True),
    Column("id", String(120), primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("state", String(40), nullable=False),
    Column("log_index", Integer, nullable=False, unique=True),
    Column("words", Text, nullable=False),
    Index("registry_heads_newest", "noun", "log_index"),
    Index("registry_heads_state", "noun", "state", "log_index"),
)
FACETS = Table(
    "registry_facets",
    METADATA,
    Column("noun", String(40), primary_key=True),
    Column("id", String(120), primary_key=True),
    Column("facet", String(40), primary_key=True),
    Column("value", String(200), primary_key=True),
    Index("registry_facets_value", "noun", "facet", "value"),
)
LINKS = Table(
    "registry_links",
    METADATA,
    Column("noun", String(40), primary_key=True),
    Column("id", String(120), primary_key=True),
    Column("relation", String(40), primary_key=True),
    Column("to_noun", String(40), primary_key=True),
    Column("to_id", String(120), primary_key=True),
    Index("registry_links_to", "to_noun", "to_id"),
)


class SqlRecords:
    """The records inside one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def head(self, noun: str, id: str) -> StoredRecord | None:
        """Return the newest revision."""
        return self.heads(noun, [id]).get(id)

    def heads(self, noun: str, ids: Sequence[str]) -> dict[str, StoredRecord]:
        """Return the newest revisions of those that are there."""
        query = _newest().where(HEADS.c.noun == noun, HEADS.c.id.in_(ids))
        return {record.id: record for record in self._all(query)}

    def revision(self, noun: str, id: str, revision: int) -> StoredRecord | None:
        """Return one revision."""
        key = and_(RECORDS.c.noun == noun, RECORDS.c.id == id, RECORDS.c.revision == revision)
        found = self._all(select(RECORDS).where(key))
        return found[0] if found else None

    def history(self, noun: str, id: str) -> Sequence[StoredRecord]:
        """Return all revisions, oldest first."""
        query = select(RECORDS).where(RECORDS.c.noun == noun, RECORDS.c.id == id)
        return self._all(query.order_by(RECORDS.c.revision))

    def add(self, record: StoredRecord, found: Found) -> None:
        """Keep a revision and make it the newest."""
        self._connection.execute(insert(RECORDS).values(**_values(record)))
        head = {
            "revision": record.revision,
            "state": record.state,
            "log_index": record.log_index,
            "words": found.words,
        }
        key = {"noun": record.noun, "id": record.id}
        if record.revision == 1:
            self._connection.execute(insert(HEADS).values(**key, **head))
        else:
            mine = and_(HEADS.c.noun == record.noun, HEADS.c.id == record.id)
            self._connection.execute(update(HEADS).where(mine).values(**head))
        self._index(key, found)

    def find(self, query: Query) -> Page:
        """Return the records asked for, last changed first."""
        asked = _newest().where(*_conditions(query)).order_by(HEADS.c.log_index.desc())
        items = self._all(asked.limit(query.limit + 1))
        more = len(items) > query.limit
        kept = tuple(items[: query.limit])
        return Page(kept, kept[-1].log_index if more else None)

    def linking(
        self, noun: str, id: str, *, relation: str | None = None, by: str | None = None
    ) -> Sequence[StoredRecord]:
        """Return the records whose newest revision links to one, oldest first."""
        link = [LINKS.c.to_noun == noun, LINKS.c.to_id == id]
        link += [LINKS.c.relation == relation] if relation else []
        link += [LINKS.c.noun == by] if by else []
        same = and_(LINKS.c.noun == HEADS.c.noun, LINKS.c.id == HEADS.c.id)
        query = _newest().where(exists().where(same, *link))
        return self._all(query.order_by(HEADS.c.log_index))

    def links_of(self, noun: str, id: str) -> Sequence[Link]:
        """Return what the newest revision links to."""
        columns = (LINKS.c.relation, LINKS.c.to_noun, LINKS.c.to_id)
        query = select(*columns).where(LINKS.c.noun == noun, LINKS.c.id == id)
        return [Link(*row) for row in self._connection.execute(query.order_by(*columns))]

    def count(self, noun: str, state: str | None = None) -> int:
        """Return how many records there are."""
        query = select(func.count()).select_from(HEADS).where(HEADS.c.noun == noun)
        query = query.where(HEADS.c.state == state) if state is not None else query
        return self._connection.execute(query).scalar_one()

    def everything(self) -> Sequence[StoredRecord]:
        """Return every revision, in the order of the log."""
        return self._all(select(RECORDS).order_by(RECORDS.c.log_index))

    def indexed(self) -> dict[tuple[str, str], tuple[int, Found]]:
        """Return what the index says of every record."""
        heads = {(row.noun, row.id): row for row in self._connection.execute(select(HEADS))}
        facets: defaultdict[tuple[str, str], dict[str, tuple[str, ...]]] = defaultdict(dict)
        for row in self._connection.execute(select(FACETS)):
            mine = facets[row.noun, row.id]
            mine[row.facet] = tuple(sorted((*mine.get(row.facet, ()), row.value)))
        links: defaultdict[tuple[str, str], list[Link]] = defaultdict(list)
        for row in self._connection.execute(select(LINKS)):
            links[row.noun, row.id].append(Link(row.relation, row.to_noun, row.to_id))
        return {
            key: _indexed(heads.get(key), facets.get(key, {}), links.get(key, []))
            for key in {**heads, **facets, **links}
        }

    def head_rows(self) -> dict[tuple[str, str], tuple[int, str]]:
        """Return revision and state of every newest revision."""
        rows = self._connection.execute(select(HEADS))
        return {(row.noun, row.id): (row.revision, row.state) for row in rows}

    def _index(self, key: dict[str, str], found: Found) -> None:
        for table in (FACETS, LINKS):
            mine = and_(table.c.noun == key["noun"], table.c.id == key["id"])
            self._connection.execute(delete(table).where(mine))
        facets = {(name, value) for name, values in found.facets.items() for value in values}
        rows = [key | {"facet": name, "value": value} for name, value in sorted(facets)]
        if rows:
            self._connection.execute(insert(FACETS), rows)
        links = [
            key | {"relation": link.relation, "to_noun": link.noun, "to_id": link.id}
            for link in dict.fromkeys(found.links)
        ]
        if links:
            self._connection.execute(insert(LINKS), links)

    def _all(self, query: Select[Any]) -> list[StoredRecord]:
        return [_record_of(row) for row in self._connection.execute(query)]


def _indexed(
    head: Row[Any] | None, facets: dict[str, tuple[str, ...]], links: list[Link]
) -> tuple[int, Found]:
    ordered = sorted(links, key=lambda one: (one.relation, one.noun, one.id))
    words, place = (head.words, head.log_index) if head else ("", -1)
    return place, Found(words, facets, tuple(ordered))


def _newest() -> Select[Any]:
    same = and_(
        RECORDS.c.noun == HEADS.c.noun,
        RECORDS.c.id == HEADS.c.id,
        RECORDS.c.revision == HEADS.c.revision,
    )
    return select(RECORDS).join(HEADS, same)


def _conditions(query: Query) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [HEADS.c.noun == query.noun]
    if query.state is not None:
        found.append(HEADS.c.state == query.state)
    if query.before is not None:
        found.append(HEADS.c.log_index < query.before)
    for word in query.text.casefold().split():
        found.append(HEADS.c.words.contains(word, autoescape=True))
    for name, value in query.facets.items():
        mine = and_(FACETS.c.noun == HEADS.c.noun, FACETS.c.id == HEADS.c.id)
        found.append(exists().where(mine, FACETS.c.facet == name, FACETS.c.value == value))
    return found


def _values(record: StoredRecord) -> dict[str, object]:
    plain = record.as_json()
    texts = {name: canonical(plain[name]).decode() for name in ("body", "author", "signatures")}
    places = {"log_index": record.log_index, "log_size": record.log_size}
    del plain["schema"]
    return plain | texts | places


def _record_of(row: Row[Any]) -> StoredRecord:
    values = dict(row._mapping)
    try:
        values["body"] = _object(values["body"])
        values["author"] = Author.of_json(_object(values["author"]))
        values["signatures"] = _signatures(values["signatures"])
        values["digest"] = Sha256(values["digest"])
        values["previous"] = Sha256(values["previous"]) if values["previous"] else None
    except (NotCanonicalError, InvalidIdError, InvalidValueError, ValueError, KeyError) as error:
        item = f"record {row.noun}/{row.id}/{row.revision}"
        raise LogTamperedError(item=item, why="it cannot be read") from error
    return StoredRecord(**values)


def _object(text: str) -> dict[str, object]:
    value = parse(text)
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def _signatures(text: str) -> tuple[Signed, ...]:
    value = parse(text)
    if not isinstance(value, list):
        raise ValueError("not a list")
    return tuple(
        Signed(
            Author.of_json(one["author"]),
            str(one["at"]),
            Sha256(one["envelope"]) if one["envelope"] else None,
            None if one["key"] is None else str(one["key"]),
        )
        for one in value
    )
