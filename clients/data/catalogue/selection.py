"""Say a cohort's question in SQL: one statement for SQLite and PostgreSQL."""

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, func, select

from clients.data.catalogue.tables import (
    INSTANCES,
    LABELS,
    PATIENTS,
    SERIES,
    STUDIES,
    body_part_of,
)
from clients.data.cohort.query import OLDEST_Y, CohortQuery

Condition = ColumnElement[bool]

JOINED = (
    INSTANCES.join(SERIES).join(STUDIES).join(PATIENTS, INSTANCES.c.patient == PATIENTS.c.patient)
)


def conditions(connection: Connection, query: CohortQuery) -> list[Condition]:
    """Return what an image must fulfil to be in the answer."""
    parts = tuple(map(body_part_of, query.body_parts))
    youngest = query.age_from_y if query.age_to_y is None else query.age_from_y or 0
    oldest = None if query.age_to_y == OLDEST_Y else query.age_to_y
    return [
        *_any_of(SERIES.c.modality, query.modalities),
        *_any_of(SERIES.c.body_part, parts),
        *_any_of(PATIENTS.c.sex, query.sexes),
        *_any_of(INSTANCES.c.view, query.views),
        *_any_of(INSTANCES.c.laterality, query.lateralities),
        *_named(connection, SERIES.c.manufacturer, query.manufacturers),
        *_named(connection, SERIES.c.model, query.models),
        *_between(INSTANCES.c.age_years, youngest, oldest),
        *_between(STUDIES.c.study_year, query.year_from, query.year_to),
        *_between(INSTANCES.c.frames, query.frames_from, None),
        *([] if query.slices_from is None else [_volume_of(query.slices_from)]),
        *(_labelled(one.name, tuple(map(str, one.values))) for one in query.labels),
    ]


def images(label: str, wanted: Iterable[Condition]) -> Select[Any]:
    """Return the statement of a cohort's images with the value of one label, in no order."""
    labelled = JOINED.outerjoin(
        LABELS, and_(LABELS.c.instance == INSTANCES.c.instance, LABELS.c.name == label)
    )
    return (
        select(
            INSTANCES.c.instance,
            INSTANCES.c.series,
            INSTANCES.c.patient,
            PATIENTS.c.patient_any_issuer,
            INSTANCES.c.sha256,
            LABELS.c.value,
            INSTANCES.c.frames,
            INSTANCES.c.rows,
            INSTANCES.c.columns,
        )
        .select_from(labelled)
        .where(*wanted)
    )


def _any_of(column: ColumnElement[str], wanted: tuple[str, ...]) -> Iterator[Condition]:
    if wanted:
        yield column.in_(wanted)


def _named(
    connection: Connection, column: ColumnElement[str], wanted: tuple[str, ...]
) -> Iterator[Condition]:
    """Match names capitals or not, which databases do differently beyond ASCII."""
    if wanted:
        folded = {name.casefold().strip() for name in wanted}
        there = connection.execute(select(column).distinct()).scalars()
        yield column.in_([name for name in there if name.casefold().strip() in folded])


def _between(column: ColumnElement[Any], low: int | None, high: int | None) -> Iterator[Condition]:
    if low is not None:
        yield column >= low
    if high is not None:
        yield column <= high
    if low is not None or high is not None:
        yield column.is_not(None)


def _volume_of(slices: int) -> Condition:
    series = select(INSTANCES.c.series).group_by(INSTANCES.c.series)
    return SERIES.c.series.in_(series.having(func.sum(INSTANCES.c.frames) >= slices))


def _labelled(name: str, values: tuple[str, ...]) -> Condition:
    inner = LABELS.alias("asked")
    found = select(inner.c.instance).where(
        inner.c.instance == INSTANCES.c.instance, inner.c.name == name
    )
    if values:
        found = found.where(inner.c.value.in_(values))
    return exists(found.correlate(INSTANCES))
