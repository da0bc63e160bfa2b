"""Count a catalogue by modality and body part, the way the NHI image warehouse is listed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from clients.data.catalogue.suppression import (
    SMALL,
    SUPPRESSED,
    Sum,
    hidden_cells,
    suppressed,
)
from federation.domain.cells import SMALL_CELL

Place = tuple[str | None, str | None]
"""Modality and body part; None means all of them."""
ALL: Place = (None, None)


@dataclass(frozen=True, slots=True)
class Counted:
    """What one patient has of one modality and body part."""

    modality: str
    body_part: str
    patient: str
    studies: int
    series: int
    images: int


def counts_of(rows: Sequence[Counted], *, studies: int) -> dict[str, Any]:
    """Return totals, the table, and its margins, each suppressed against the others.

    `studies` is the number of studies in all: one may be in several rows.
    """
    people: dict[Place, set[str]] = {ALL: set()}
    images: dict[Place, int] = {ALL: 0}
    for row in rows:
        for place in _places(row):
            people.setdefault(place, set()).add(row.patient)
            images[place] = images.get(place, 0) + row.images
    hidden = hidden_cells(people, _sums(set(people)))
    shown = {place: _shown(place, people, images, place in hidden) for place in people}
    few = 0 < len(people[ALL]) < SMALL_CELL
    totals = {"studies": studies, "series": sum(row.series for row in rows)}
    return {
        "patients": shown[ALL]["patients"],
        **{name: SMALL if few else suppressed(count) for name, count in totals.items()},
        "instances": shown[ALL]["images"],
        "by_modality_and_body_part": [shown[p] for p in _ordered(people) if None not in p],
        "by_modality": [shown[p] for p in _ordered(people) if p[0] is not None and p[1] is None],
        "by_body_part": [shown[p] for p in _ordered(people) if p[0] is None and p[1] is not None],
    }


def _places(row: Counted) -> tuple[Place, ...]:
    return ((row.modality, row.body_part), (row.modality, None), (None, row.body_part), ALL)


def _ordered(places: dict[Place, set[str]]) -> list[Place]:
    return sorted(places, key=lambda place: (place[0] or "", place[1] or ""))


def _sums(places: set[Place]) -> list[Sum[Place]]:
    """Return every row, column and margin with the total that is shown beside it."""
    cells = {place for place in places if None not in place}
    rows = {place for place in places if place[0] is not None and place[1] is None}
    columns = {place for place in places if place[0] is None and place[1] is not None}
    return [
        *(Sum(row, frozenset(cell for cell in cells if cell[0] == row[0])) for row in rows),
        *(Sum(column, frozenset(c for c in cells if c[1] == column[1])) for column in columns),
        Sum(ALL, frozenset(rows)),
        Sum(ALL, frozenset(columns)),
    ]


def _shown(
    place: Place, people: dict[Place, set[str]], images: dict[Place, int], is_hidden: bool
) -> dict[str, Any]:
    """Return a cell as it is shown. An empty body part means that the files named none."""
    named = dict(zip(("modality", "body_part"), place, strict=True))
    count = len(people[place])
    word = SMALL if count < SMALL_CELL else SUPPRESSED
    return {
        **{name: value for name, value in named.items() if value is not None},
        "patients": word if is_hidden else count,
        "images": word if is_hidden else images[place],
    }
