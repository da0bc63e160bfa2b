"""Reporting checklists as data, answered from the register's records where these can.

    for one in checklists(("CONSORT-AI",)): rows = answered(one, study)

The items are in this platform's own words, from general knowledge of the published
checklists; numbering and completeness were not verified against the publications, and
each file says so. An item the record cannot answer is left to the authors, never guessed.
"""

import tomllib
from collections.abc import Iterable
from functools import cache
from importlib import resources

from federation.evidence.model_version import Bilingual, Line
from registry.records.shapes import Body

NAMES = ("CONSORT-AI", "DECIDE-AI", "CHEERS-AI")


class Item(Body):
    """One item: its number, what it asks, and the field of the record that answers it."""

    id: Line
    asks: Bilingual
    ai: bool = False
    field: str = ""


class Checklist(Body):
    """One checklist; `note` says what of it was not verified."""

    id: Line
    title: Bilingual
    note: Bilingual
    verified: bool
    item: tuple[Item, ...]


@cache
def checklist(name: str) -> Checklist:
    """Return a checklist by its name; KeyError for one that is not here."""
    if name not in NAMES:
        raise KeyError(name)
    file = resources.files(__package__).joinpath(f"{name.lower()}.toml")
    return Checklist.model_validate(tomllib.loads(file.read_text(encoding="utf-8")), strict=False)


def checklists(names: Iterable[str]) -> list[Checklist]:
    """Return those of the checklists that are here, in their fixed order."""
    wanted = set(names)
    return [checklist(name) for name in NAMES if name in wanted]
