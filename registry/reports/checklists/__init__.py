"""Reporting checklists as data, answered from the register's records where these can.

    for one in checklists(("CONSORT-AI",)): rows = [answered(item, study) for item in one.item]

The items are in this platform's own words; each file says which publication it follows and
what of it was held against which source. An item that the record cannot answer is left to
people, who are named, never guessed.
"""

import tomllib
from collections.abc import Iterable
from datetime import date
from enum import Enum
from functools import cache
from importlib import resources
from typing import Annotated, Self

from pydantic import Field, model_validator

from federation.evidence.model_version import Bilingual, Line
from federation.wording import Text
from registry.records.shapes import Body

NAMES = ("CONSORT-AI", "DECIDE-AI", "CHEERS-AI")


class Writer(Enum):
    """Who writes what no record answers."""

    LEAD = "lead"
    DEVELOPER = "developer"
    CLINICIANS = "clinicians"
    STATISTICIAN = "statistician"
    SPONSOR = "sponsor"

    @property
    def title(self) -> Text:
        """Return them in words."""
        return _TITLES[self]


_TITLES = {
    Writer.LEAD: Text(en="the study's lead", zh="研究主持人"),
    Writer.DEVELOPER: Text(en="the developer of the AI", zh="AI 開發者"),
    Writer.CLINICIANS: Text(en="the clinicians who used it", zh="臨床使用者"),
    Writer.STATISTICIAN: Text(en="the statistician", zh="統計人員"),
    Writer.SPONSOR: Text(en="the authors, on funding and interests", zh="作者(經費與利益)"),
}


class Item(Body):
    """One item: its number, what it asks, the field that answers it, and who writes the rest.

    `part` says that the field answers only a part of it.
    """

    id: Line
    asks: Bilingual
    who: Writer = Field(strict=False)
    ai: bool = False
    field: str = ""
    part: bool = False


class Checked(Body):
    """What of a checklist was held against which source, and when."""

    on: date
    numbers: bool
    subjects: bool
    items: int
    publication: Line
    against: Annotated[tuple[Bilingual, ...], Field(min_length=1)]


class Checklist(Body):
    """One checklist; `note` says in words what was checked and what was not."""

    id: Line
    title: Bilingual
    note: Bilingual
    checked: Checked
    item: tuple[Item, ...]

    @model_validator(mode="after")
    def _has_all_its_items(self) -> Self:
        if len(self.item) != self.checked.items or len({one.id for one in self.item}) != len(
            self.item
        ):
            raise ValueError("item: as many as were counted, each with a number of its own")
        return self


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
