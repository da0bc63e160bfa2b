"""Search over the public register in SQL, on connections of its own that only read.

Being apart from the store's transactions, it can be given a database user without the
right to write, or a replica. What it finds is shown only after the reader of an entry
verified it (`reading`).
"""

import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Engine,
    NullPool,
    Select,
    and_,
    create_engine,
    exists,
    func,
    or_,
    select,
)
from sqlalchemy.exc import DBAPIError

from federation.errors.registry import RegisterDatabaseError
from registry.evidence.tables import CHECKPOINTS
from registry.models.version_card import NAME
from registry.pages.ports import Choice, Found, Note, Wanted
from registry.pages.visibility import ENTERED, LEFT, SHOWN_MODES
from registry.records.tables import FACETS, HEADS, LINKS, RECORDS, SqlRecords

HOSPITAL_FACETS = ("site", "hospital")
HOSPITAL_NOUNS = ("deployment", "training-run")
CHOSEN = ("modality", "body-part")
MAX_CHOICES = 200
_KEPT_OPEN = 4


def sql_index(url: str) -> "SqlPublicIndex":
    """Return the search over the database at `url`, whose tables are there already."""
    return SqlPublicIndex(url)


class SqlPublicIndex:
    """The public index in SQL; `url` is SQLAlchemy's."""

    def __init__(self, url: str) -> None:
        self._engine = _engine(url)
        weakref.finalize(self, self._engine.dispose)

    def search(self, wanted: Wanted) -> Found:
        """Return a page of the public entries that fit, last changed first."""
        conditions = list(_conditions(wanted))
        page = (
            select(HEADS.c.id, func.count().over())
            .where(*conditions)
            .order_by(HEADS.c.log_index.desc())
        )
        with self._reading() as connection:
            rows = connection.execute(page.offset(wanted.skip).limit(wanted.limit)).all()
            ids = [row[0] for row in rows]
            total = rows[0][1] if rows else _count(connection, conditions, wanted)
            heads = SqlRecords(connection).heads(NAME, ids)
            return Found(total, [heads[id] for id in ids], _hospitals(connection, ids))

    def choices(self) -> Sequence[Choice]:
        """Return the modalities and body parts of public entries."""
        offered = (
            select(FACETS.c.facet, FACETS.c.value)
            .where(FACETS.c.noun == NAME, FACETS.c.facet.in_(CHOSEN))
            .distinct()
            .limit(MAX_CHOICES)
            .subquery()
        )
        used = and_(
            FACETS.c.noun == NAME,
            FACETS.c.facet == offered.c.facet,
            FACETS.c.value == offered.c.value,
            FACETS.c.id == HEADS.c.id,
        )
        query = select(offered).where(exists().where(used, _is_public()))
        with self._reading() as connection:
            rows = connection.execute(query.order_by(offered.c.facet, offered.c.value))
            return [Choice(*row) for row in rows]

    def notes(self, *, below: int | None, limit: int) -> Sequence[Note]:
        """Return signed states of the log, largest first."""
        query = select(CHECKPOINTS.c.size, CHECKPOINTS.c.note).order_by(CHECKPOINTS.c.size.desc())
        if below is not None:
            query = query.where(CHECKPOINTS.c.size < below)
        with self._reading() as connection:
            return [Note(*row) for row in connection.execute(query.limit(limit))]

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except DBAPIError as error:
            raise RegisterDatabaseError(why=type(error).__name__) from error


def _engine(url: str) -> Engine:
    """Return an engine that keeps connections to a server, which cost more than a search."""
    if url.startswith("sqlite"):
        return create_engine(url, poolclass=NullPool, hide_parameters=True)
    return create_engine(
        url, hide_parameters=True, pool_pre_ping=True, pool_size=_KEPT_OPEN, max_overflow=-1
    )


def _count(
    connection: Connection, conditions: Sequence[ColumnElement[bool]], wanted: Wanted
) -> int:
    """Return how many there are where a page is empty: none, unless it was beyond the last."""
    if wanted.skip == 0:
        return 0
    query = select(func.count()).select_from(HEADS).where(*conditions)
    return connection.execute(query).scalar_one()


def _is_public() -> ColumnElement[bool]:
    """Return the rule of `visibility` for a row of heads."""
    entered = and_(
        RECORDS.c.noun == HEADS.c.noun,
        RECORDS.c.id == HEADS.c.id,
        RECORDS.c.state.in_(ENTERED),
    )
    was_there = and_(HEADS.c.state.in_(LEFT), exists().where(entered))
    return and_(HEADS.c.noun == NAME, or_(HEADS.c.state.in_(ENTERED), was_there))


def _conditions(wanted: Wanted) -> Iterator[ColumnElement[bool]]:
    yield _is_public()
    for word in wanted.text.casefold().split():
        yield _has_word(word)
    if wanted.status:
        yield HEADS.c.state == wanted.status
    if wanted.modality:
        yield _has_facet("modality", wanted.modality)
    if wanted.body_part:
        yield _has_facet("body-part", wanted.body_part)
    if wanted.condition:
        words = [_has_word(word) for word in wanted.condition.casefold().split()]
        yield or_(_has_facet("condition", wanted.condition.upper()), and_(*words))
    if wanted.hospital:
        yield or_(_is_at(wanted.hospital), _is_of(wanted.hospital))


def _has_word(word: str) -> ColumnElement[bool]:
    return HEADS.c.words.contains(word, autoescape=True)


def _has_facet(facet: str, value: str) -> ColumnElement[bool]:
    return _among(FACETS.c.facet == facet, FACETS.c.value == value)


def _is_of(name: str) -> ColumnElement[bool]:
    """Return that the organisation that answers for it has this in its name."""
    return _among(FACETS.c.facet == "organisation", _holds(FACETS.c.value, name))


def _among(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    return HEADS.c.id.in_(select(FACETS.c.id).where(FACETS.c.noun == NAME, *conditions))


def _is_at(name: str) -> ColumnElement[bool]:
    """Return that a hospital of that name uses it or trained it."""
    there = _hospitals_of(HOSPITAL_NOUNS).where(
        FACETS.c.facet.in_(HOSPITAL_FACETS), _holds(FACETS.c.value, name)
    )
    return HEADS.c.id.in_(there.with_only_columns(LINKS.c.to_id))


def _hospitals_of(nouns: Sequence[str]) -> Select[tuple[str, str]]:
    """Return entries with the facets of records about them that the public is told of."""
    theirs = HEADS.alias()
    same = and_(FACETS.c.noun == LINKS.c.noun, FACETS.c.id == LINKS.c.id)
    told = or_(theirs.c.noun != "deployment", theirs.c.state.in_(SHOWN_MODES))
    return (
        select(LINKS.c.to_id, FACETS.c.value)
        .join(FACETS, same)
        .join(theirs, and_(theirs.c.noun == LINKS.c.noun, theirs.c.id == LINKS.c.id, told))
        .where(LINKS.c.to_noun == NAME, LINKS.c.noun.in_(nouns), FACETS.c.noun.in_(nouns))
    )


def _holds(column: Column[str], part: str) -> ColumnElement[bool]:
    return func.lower(column).contains(part.lower(), autoescape=True)


def _hospitals(connection: Connection, ids: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """Return where each of some entries is deployed."""
    query = _hospitals_of(("deployment",)).where(LINKS.c.to_id.in_(ids), FACETS.c.facet == "site")
    query = query.distinct().order_by(LINKS.c.to_id, FACETS.c.value)
    found: dict[str, list[str]] = {}
    for row in connection.execute(query):
        found.setdefault(row.to_id, []).append(row.value)
    return found
