"""Fetch what a report is made of and hold it against what was signed, before it is drawn.

The record is verified like any other; the document it names is taken from the register's
files by digest and must be of the record's version and protocol. A record that the public
may not know of has no report, and neither has one whose results nobody judged.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from federation.domain.ids import Sha256
from federation.errors.reports import ReportMissingError
from federation.errors.signed import LogTamperedError
from federation.evidence.canonical import canonical
from registry.certification import dossier as dossiers
from registry.certification.completeness import Completeness
from registry.certification.dossier import Dossier
from registry.evaluations import evaluation as evaluations
from registry.evaluations.evaluation import Evaluation
from registry.impact import study as studies
from registry.impact.study import ImpactStudy
from registry.models.version_card import NAME as VERSION
from registry.pages.reading import Reading
from registry.pages.visibility import TOLD_FIGURES, TOLD_STUDIES, is_public
from registry.records.ports import StoredRecord
from registry.reports import dossier, evaluation, impact
from registry.reports.checklists.answers import Study
from registry.reports.documents import (
    EconomicDocument,
    OutcomeDocument,
    read_economics,
    read_evaluation,
    read_outcomes,
)
from registry.reports.layout import Report

FOLDER = "reports"
MAX_DOCUMENT_BYTES = 4 * 2**20
SHOWN = frozenset({evaluations.NAME, studies.NAME, dossiers.NAME})
"""Kinds of records that have a report."""

Documents = Callable[[str], bytes | None]
"""Returns the document of a digest, None where it is not kept here."""


Hides = Callable[[Collection[str]], frozenset[str]]
"""Returns those of some versions that a reader may not know of."""


def no_documents(_digest: str) -> bytes | None:
    """Return nothing: no documents are kept."""
    return None


def kept_in(artefacts: Path) -> Documents:
    """Return the documents in a register's files, ``reports/<hex>.json``."""

    def document(digest: str) -> bytes | None:
        path = artefacts / FOLDER / f"{Sha256(digest).hex}.json"
        if not path.is_file() or path.stat().st_size > MAX_DOCUMENT_BYTES:
            return None
        return path.read_bytes()

    return document


def has_report(record: StoredRecord) -> bool:
    """Say whether a record has a report: an evaluation only once it names its document."""
    if record.noun == evaluations.NAME:
        return isinstance(record.body.get("report"), str)
    return record.noun in SHOWN


@dataclass(frozen=True, slots=True)
class Made:
    """A report and the data it was made from, as JSON; `revision` names the record's.

    One that is not whole leaves out versions that its reader may not know of; the data
    would tell them.
    """

    revision: str
    layout: Report
    content: bytes
    is_whole: bool = True

    @property
    def key(self) -> tuple[str, ...]:
        """Return what a drawing of it depends on."""
        return (self.revision, str(Sha256.of(self.content)), *sorted(self.layout.figures()))


@dataclass(frozen=True, slots=True)
class ReportReading:
    """Makes the reports of records; raises `ReportMissingError` where there is none."""

    reading: Reading
    documents: Documents

    def public(self, noun: str, id: str) -> Made:
        """Return the report of a record that the public is told of."""
        told = TOLD_FIGURES if noun == evaluations.NAME else TOLD_STUDIES
        with self.reading.store.reading() as transaction:
            record = transaction.records.head(noun, id)
            if record is None or record.state not in told:
                raise ReportMissingError(id=repr(id[:60]))
            entry = str(record.body.get("entry", ""))
            if not is_public(transaction.records.history(VERSION, entry)):
                raise ReportMissingError(id=repr(id[:60]))
            (record,) = self.reading.verified(transaction, [record])
        return self.of(record, hides=self._hides)

    def of(self, record: StoredRecord, *, hides: Hides) -> Made:
        """Return the report of a verified evaluation or study, without what `hides` says."""
        if record.noun == evaluations.NAME:
            return self._evaluation(record, hides)
        if record.noun == studies.NAME:
            return self._study(record)
        raise ReportMissingError(id=repr(record.id[:60]))

    def _hides(self, entries: Collection[str]) -> frozenset[str]:
        """Return those of some versions that the public is not told of."""
        with self.reading.store.reading() as transaction:
            return frozenset(
                entry
                for entry in entries
                if not is_public(transaction.records.history(VERSION, entry))
            )

    def _evaluation(self, record: StoredRecord, hides: Hides) -> Made:
        body = Evaluation.model_validate_json(canonical(dict(record.body)))
        content = self._document(record, body.report)
        document = read_evaluation(content)
        if (document.about.entry, document.about.protocol) != (body.entry, body.protocol_hash):
            why = "its document is of another version or protocol"
            raise LogTamperedError(item=f"record {record.name}", why=why)
        hidden = hides(document.others)
        if not hidden:
            return Made(_revision(record), evaluation.layout(document), content)
        told = evaluation.layout(document.without(hidden), document.digest)
        revision = "/".join([_revision(record), *sorted(hidden)])
        return Made(revision, told, content, is_whole=False)

    def _study(self, record: StoredRecord) -> Made:
        body = ImpactStudy.model_validate_json(canonical(dict(record.body)))
        money = body.economic.document if body.economic else None
        economics = None if money is None else self._economics(record, money)
        outcomes = tuple(self._outcomes(record, body.outcomes))
        content = canonical(dict(record.body))
        layout = impact.layout(Study(record.id, body, economics, outcomes))
        return Made(_revision(record), layout, content)

    def _economics(self, record: StoredRecord, digest: str) -> EconomicDocument | None:
        """Return a study's economic results, None where they are not kept here."""
        if self.documents(digest) is None:
            return None
        return read_economics(self._document(record, digest))

    def _outcomes(self, record: StoredRecord, digests: Sequence[str]) -> Iterator[OutcomeDocument]:
        """Yield the outcome studies that a study names, as far as they are kept here."""
        for digest in digests:
            if self.documents(digest) is not None:
                yield read_outcomes(self._document(record, digest))

    def _document(self, record: StoredRecord, digest: str | None) -> bytes:
        content = None if digest is None else self.documents(digest)
        if content is None:
            raise ReportMissingError(id=repr(record.id[:60]))
        if Sha256.of(content) != digest:
            why = "its document is not the one that it names"
            raise LogTamperedError(item=f"record {record.name}", why=why)
        return content


def of_dossier(record: StoredRecord, found: Completeness) -> Made:
    """Return the status report of a verified dossier."""
    body = Dossier.model_validate_json(canonical(dict(record.body)))
    layout = dossier.layout(record.id, body, found)
    return Made(_revision(record), layout, canonical(found.as_json()))


def _revision(record: StoredRecord) -> str:
    return f"{record.noun}/{record.id}/{record.revision}"
