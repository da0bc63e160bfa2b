"""Know the private attributes that the standard lists as safe (option 113111).

`ps315_table_e3_10_1.json` holds those rows of PS3.15 Table E.3.10-1 whose values are
numbers, with edition and checksum; text, code strings, sequences and bulk data of
that table are left out. A private element is found by its creator and the last two
digits of its tag; the block that the creator reserved is resolved (PS3.5 7.8.1).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from clients.data.deidentification.facts import read_facts
from clients.data.dicom.elements import Element

TABLE = "ps315_table_e3_10_1.json"


@dataclass(frozen=True, slots=True)
class SafeAttribute:
    """A private attribute that may stay: its creator, its VR and how many values it has."""

    creator: str
    vr: str
    most_values: int


@dataclass(frozen=True, slots=True)
class SafeTable:
    """The list: edition, checksum, and attributes by (group, creator, element in its block)."""

    edition: str
    sha256: str
    rows: dict[tuple[int, str, int], SafeAttribute]


@cache
def load_safe_table() -> SafeTable:
    """Return the list that comes with the wheel.

    Raises
    ------
    ProfileTableError
        If its rows do not have the checksum written beside them.
    """
    facts = read_facts(TABLE)
    rows = {
        (int(tag[:4], 16), creator, int(tag[-2:], 16)): SafeAttribute(creator, vr, most)
        for tag, creator, vr, most in facts.rows
    }
    return SafeTable(edition=facts.edition, sha256=facts.sha256, rows=rows)


def creators_in(elements: Sequence[Element]) -> dict[int, str]:
    """Return {group and block: creator} of the blocks reserved in one dataset or item."""
    return {
        element.tag: element.text()
        for element in elements
        if element.tag & 0x10000 and 0x10 <= element.tag & 0xFFFF <= 0xFF
    }


def creator_tag(tag: int) -> int:
    """Return the tag of the creator that reserved a private element's block."""
    return tag & 0xFFFF0000 | (tag >> 8) & 0xFF


def safe_attribute(tag: int, creators: dict[int, str]) -> SafeAttribute | None:
    """Return what the list says of a private element, None when it is not on it."""
    if tag & 0xFFFF < 0x1000:
        return None
    creator = creators.get(creator_tag(tag), "")
    return load_safe_table().rows.get((tag >> 16, creator, tag & 0xFF))
