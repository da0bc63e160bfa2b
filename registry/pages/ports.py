"""What the pages need besides the records: search over the public register, and the log's list."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from registry.records.ports import StoredRecord


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries are searched for; empty fields ask for nothing.

    `text` and `condition` may be words; `hospital` a part of a name. `skip` and `limit`
    are the page.
    """

    text: str = ""
    modality: str = ""
    body_part: str = ""
    condition: str = ""
    status: str = ""
    hospital: str = ""
    skip: int = 0
    limit: int = 20


@dataclass(frozen=True, slots=True)
class Found:
    """One page of the entries found, last changed first, and how many there are in all.

    `hospitals` are the sites of their deployments, by entry.
    """

    total: int
    items: Sequence[StoredRecord]
    hospitals: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Choice:
    """A code that public entries have."""

    facet: str
    value: str


@dataclass(frozen=True, slots=True)
class Note:
    """A signed state of the log: its size and its note."""

    size: int
    text: str


class PublicIndex(Protocol):
    """Answers about public entries only."""

    def search(self, wanted: Wanted) -> Found:
        """Return a page of the public entries that fit."""

    def choices(self) -> Sequence[Choice]:
        """Return the modalities and body parts that public entries have."""

    def notes(self, *, below: int | None, limit: int) -> Sequence[Note]:
        """Return signed states of the log, largest first, smaller than `below`."""
