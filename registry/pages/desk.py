"""What the pages are given: readers, the search, the records with their nouns, and a bundle."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from federation.errors.moves import RecordNotFoundError
from registry.api.rules import readers
from registry.lineage.service import Lineage
from registry.models.version_card import NAME
from registry.pages.ports import PublicIndex
from registry.pages.reading import Reading
from registry.pages.report_reading import Documents, ReportReading, no_documents
from registry.records.service import Records
from registry.records.shapes import Noun
from registry.roles import Role

Bundle = Callable[[str, Path], Path]
"""Writes the evidence of an entry to a path and returns it, as `registry.bundle.export` does."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything pages read and the one thing they write through, `records`.

    Parameters
    ----------
    records
        The records as whoever asks may see them (`registry.api.visibility.SeenRecords`); its
        signer's key is the one entries are verified with.
    index
        The search over the public register.
    nouns
        Every kind of record that reviewers handle.
    bundle
        Writes an entry's evidence.
    documents
        Returns what reports are made of, by digest (`registry.pages.report_reading.kept_in`).
    """

    records: Records
    index: PublicIndex
    nouns: Sequence[Noun[Any]]
    bundle: Bundle
    documents: Documents = no_documents
    by_name: Mapping[str, Noun[Any]] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {noun.name: noun for noun in self.nouns})
        if NAME not in self.by_name:
            raise ValueError(f"the pages need the noun {NAME}")

    @property
    def lineage(self) -> Lineage:
        """Return who answers where versions came from."""
        return Lineage(self.records.store, self.records.signer.public_key)

    def named(self, name: str, roles: frozenset[Role]) -> Noun[Any]:
        """Return a noun that somebody with these roles may read.

        Raises
        ------
        RecordNotFoundError
            If there is none, or not for them: the same error.
        """
        noun = self.by_name.get(name)
        if noun is None or not readers(noun) & roles:
            raise RecordNotFoundError(noun=repr(name[:40]), id="–")
        return noun

    @property
    def reading(self) -> Reading:
        """Return the verifying reader."""
        return Reading(self.records.store, self.records.signer.public_key)

    @property
    def reports(self) -> ReportReading:
        """Return who makes reports of records."""
        return ReportReading(self.reading, self.documents)
