"""The noun ``evidence-document``: what a dossier rests on that is a document, not a record.

The file itself stays with its owner or in the bundle; the register keeps its digest, what
it is, and until when it is valid. Somebody else than its author confirms it.
"""

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Literal, Self

from pydantic import Field, model_validator

from federation.errors import PlatformError
from federation.errors.evidence_nouns import DossierGuardError
from federation.evidence.canonical import canonical
from federation.evidence.model_version import Bilingual, Digest, EntryId, Line
from federation.wording import Text
from registry.datasets.fields import Day, Slug, end_of, start_of
from registry.disclosure import OpenBody
from registry.models.version_card import NAME as VERSION
from registry.records.moves import Case, Move, Moves, Seat
from registry.records.ports import Link
from registry.records.shapes import Noun
from registry.roles import Role
from registry.timers.rules import expiry

NAME = "evidence-document"


class Document(OpenBody):
    """One document of one version: what it is, who issued it, its digest and last day."""

    entry: EntryId
    document: Slug
    title: Bilingual
    issuer: Line
    sha256: Digest
    issued: Day
    valid_until: Day | None = None
    standard: Line | None = None
    schema_: Literal["trifed.evidence-document/1"] = Field(
        default="trifed.evidence-document/1", alias="schema"
    )

    @model_validator(mode="after")
    def _ends_after_it_began(self) -> Self:
        if self.valid_until is not None and self.valid_until < self.issued:
            raise ValueError("valid_until: before it was issued")
        return self

    def facets(self) -> Mapping[str, Sequence[str]]:
        """Return version and kind."""
        return {"entry": [self.entry], "document": [self.document]}

    def links(self) -> Sequence[Link]:
        """Return the version it documents."""
        return (Link("documents", VERSION, self.entry),)

    def words(self) -> str:
        """Return title, kind and issuer."""
        return " ".join([self.title.zh, self.title.en, self.document, self.issuer])


class DocumentState(Enum):
    """Whether a document was confirmed."""

    FILED = "filed"
    CONFIRMED = "confirmed"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class DocumentDeed(Enum):
    """What the audit trail calls the moves of a document. Meanings never change."""

    CONFIRMED = "evidence-document-confirmed"
    EXPIRED = "evidence-document-expired"
    WITHDRAWN = "evidence-document-withdrawn"


_EXPIRED = Text(en="it has expired", zh="已逾有效期限")
_NOT_YET = Text(en="the day of its issue has not come", zh="尚未到核發日期")
_USE = Text(en="Dossiers may name it.", zh="文件可列為證據。")
_END = Text(en="File a new one.", zh="請另行登錄新文件。")


def in_force(case: Case) -> Iterator[PlatformError]:
    """F1: it has been issued, and its last day has not passed."""
    body = Document.model_validate_json(canonical(dict(case.record.body)))
    if body.valid_until is not None and end_of(body.valid_until) < case.now:
        yield DossierGuardError(dossier=case.record.id, why=_EXPIRED)
    if case.now < start_of(body.issued):
        yield DossierGuardError(dossier=case.record.id, why=_NOT_YET)


MOVES = Moves(
    start=DocumentState.FILED,
    moves=(
        Move(
            "F1",
            DocumentState.FILED,
            DocumentState.CONFIRMED,
            seats=(Seat(Role.VAL_E, Role.RAI_R),),
            guards=(in_force,),
            kind=DocumentDeed.CONFIRMED,
            follows=_USE,
        ),
        Move(
            "F2",
            DocumentState.CONFIRMED,
            DocumentState.EXPIRED,
            seats=(Seat(Role.CLOCK, approves=False),),
            kind=DocumentDeed.EXPIRED,
            follows=_END,
        ),
        Move(
            "F3",
            (DocumentState.FILED, DocumentState.CONFIRMED),
            DocumentState.WITHDRAWN,
            seats=(Seat(Role.DEV, Role.HAO, Role.VAL_E, Role.RAI_R, approves=False),),
            kind=DocumentDeed.WITHDRAWN,
            follows=_END,
        ),
    ),
)
NOUN = Noun(NAME, Document, MOVES, authors=frozenset({Role.DEV, Role.HAO}))
RULES = (expiry(NOUN, DocumentState.CONFIRMED.value, "F2", field="valid_until"),)
