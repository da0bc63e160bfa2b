"""Read labels from whatever a hospital has: a CSV, reports, segmentations, observations.

`take_labels` finds out by itself what it was given, reads it under limits and
writes labels and masks of admitted images in one transaction. Run again it
changes nothing. What does not fit is counted by code and names nobody.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from clients.data.catalogue.store import Catalogue
from clients.data.deidentification.deidentify import patient_source
from clients.data.dicom.elements import Limits, Part10, read_part10
from clients.data.labels import fhir
from clients.data.labels.labelling import apply_labels, store_mask, write_labels
from clients.data.labels.mapping import NO_MAPPING, LabelMapping, read_mapping
from clients.data.labels.seg import Segmentation, is_segmentation, paint, read_segmentation
from clients.data.labels.sr import is_report, read_report
from clients.data.labels.statements import Finding, Statement
from clients.data.labels.table import MASK, read_labels
from clients.data.layout import KEY_FILE, stored_path
from clients.data.people.pseudonyms import Pseudonyms
from federation.errors.base import PlatformError
from federation.errors.cohorts import (
    AnswerNotMappedError,
    LabelDocumentError,
    LabelOfAnotherPatientError,
    LabelSourceError,
    SegmentationUnusableError,
)
from federation.errors.data import (
    LabelConflictError,
    LabelWithoutImageError,
    PixelsUndecodableError,
    VolumeGapError,
)
from federation.wording import Text

MAGIC_AT = 128
COUNTED = (
    LabelWithoutImageError,
    LabelConflictError,
    LabelOfAnotherPatientError,
    SegmentationUnusableError,
    AnswerNotMappedError,
    LabelDocumentError,
)


def take_labels(data: Path, source: Path, *, mapping: Path | None = None) -> dict[str, int]:
    """Write the labels of `source` to the admitted images of `data`; return counts by code.

    Parameters
    ----------
    source
        A CSV, a DICOM SR or SEG, FHIR JSON or NDJSON, or a folder of the last three.
    mapping
        What codes mean; needed for reports and observations.

    Raises
    ------
    LabelSourceError
        If it is none of these, or needs a mapping and has none.
    LabelFileError, LabelMappingError
        If the CSV or the mapping is not understood.
    """
    rules = NO_MAPPING if mapping is None else read_mapping(mapping)
    pseudonyms = Pseudonyms.open_or_create(data / KEY_FILE)
    if source.suffix.casefold() == ".csv":
        table = read_labels(source)
        with Catalogue(data) as catalogue:
            return apply_labels(
                data,
                catalogue,
                table,
                folder=source.parent,
                root=source.parent,
                instance_of={},
                pseudonyms=pseudonyms,
            )
    with Catalogue(data) as catalogue:
        reader = _Reader(data, catalogue, pseudonyms, rules)
        reader.read(source)
        with catalogue.transaction():
            conflicts = write_labels(catalogue, reader.given)
    reader.counted[LabelConflictError.code] = conflicts
    codes = {error.code: reader.counted[error.code] for error in COUNTED}
    return {"applied": len(reader.given) - conflicts, **codes}


@dataclass
class _Reader:
    """One run: what was given for which image, and what did not fit."""

    data: Path
    catalogue: Catalogue
    pseudonyms: Pseudonyms
    mapping: LabelMapping
    given: dict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    counted: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.of_patient = self.catalogue.instances_of_patients()

    def read(self, source: Path) -> None:
        """Read a file or every file of a folder."""
        paths = list(_files(source))
        observations = [path for path in paths if path.suffix.casefold() in fhir.SUFFIXES]
        for path in paths:
            if path not in observations:
                self._dicom(path)
        if observations:
            self._need_mapping()
            observed = fhir.read_observations(observations, self.mapping)
            self.counted[LabelDocumentError.code] += observed.unusable
            for statement in observed.statements:
                self._state(statement)

    def _dicom(self, path: Path) -> None:
        try:
            file = _opened(path)
            if file is None:
                self.counted[LabelDocumentError.code] += 1
            elif is_report(file):
                self._need_mapping()
                self._state(read_report(file, self.mapping))
            elif is_segmentation(file):
                self._draw(read_segmentation(file, self.mapping))
        except LabelSourceError:
            raise
        except (SegmentationUnusableError, VolumeGapError, PixelsUndecodableError):
            self.counted[SegmentationUnusableError.code] += 1
        except PlatformError:  # of the strict reader, or of nobody
            self.counted[LabelDocumentError.code] += 1

    def _need_mapping(self) -> None:
        if not self.mapping.rules:
            raise LabelSourceError(
                why=Text(
                    en="reports and observations need a mapping of their codes",
                    zh="報告與 Observation 需要編碼對照檔(--mapping)",
                )
            )

    def _state(self, statement: Statement) -> None:
        """Give a document's findings to the images they are about."""
        self.counted[AnswerNotMappedError.code] += statement.unmapped
        if not statement.findings:
            return
        persons = {self._person(name) for name in statement.patients}
        here = [person for person in persons if person in self.of_patient]
        if len(here) != 1:
            self.counted[LabelWithoutImageError.code] += len(statement.findings)
            return
        owners = self._owners(statement.refers_to)
        if any(patient != here[0] for _, patient in owners.values()):
            self.counted[LabelOfAnotherPatientError.code] += 1
            return
        for finding in statement.findings:
            meant = self._meant(finding, owners, self.of_patient[here[0]])
            self.counted[LabelWithoutImageError.code] += not meant
            for instance in meant:
                self.given[instance, finding.label].add(str(finding.value))

    def _meant(
        self, finding: Finding, owners: Mapping[str, tuple[str, str]], everything: list[str]
    ) -> list[str]:
        """Return the admitted images of the nearest group that has one."""
        if not finding.images:
            return everything
        groups = ([self.pseudonyms.uid(uid) for uid in group] for group in finding.images)
        admitted = ([name for name in names if name in owners] for names in groups)
        return next((names for names in admitted if names), [])

    def _draw(self, drawn: Segmentation) -> None:
        """Store a segmentation as the mask of the one series it was drawn on."""
        owners = self._owners(drawn.refers_to)
        if any(patient != self._person(drawn.patient) for _, patient in owners.values()):
            self.counted[LabelOfAnotherPatientError.code] += 1
            return
        series = {name for name, _ in owners.values()} or {
            self.pseudonyms.uid(uid) for uid in drawn.series
        }
        if len(series) != 1:
            raise SegmentationUnusableError(count=1)
        instances = self.catalogue.instances_of_series(series.pop())
        theirs = self.catalogue.owners(instances).values()
        if not instances or any(patient != self._person(drawn.patient) for _, patient in theirs):
            raise SegmentationUnusableError(count=1)
        source_of = {self.pseudonyms.uid(uid): uid for uid in drawn.refers_to}
        files = [_stored(self.data, instance) for instance in instances]
        mask = paint(drawn, files, [source_of.get(name, "") for name in instances])
        stored = store_mask(self.data, mask)
        for instance in instances:
            self.given[instance, MASK].add(stored)

    def _person(self, name: str) -> str:
        return self.pseudonyms.patient(patient_source(name))

    def _owners(self, uids: frozenset[str]) -> dict[str, tuple[str, str]]:
        return self.catalogue.owners([self.pseudonyms.uid(uid) for uid in uids])


def _files(source: Path) -> Iterator[Path]:
    if source.is_file():
        yield source
    elif source.is_dir():
        yield from (path for path in sorted(source.rglob("*")) if path.is_file())
    else:
        raise LabelSourceError(
            why=Text(en="there is no such file or folder", zh="沒有這個檔案或資料夾")
        )


def _opened(path: Path) -> Part10 | None:
    """Return a DICOM file, None when it is none or too large."""
    limits = Limits()
    try:
        with path.open("rb") as file:
            head = file.read(MAGIC_AT + 4)
            if head[MAGIC_AT:] != b"DICM" or path.stat().st_size > limits.file_bytes:
                return None
            return read_part10(head + file.read(), limits)
    except OSError:
        return None


def _stored(data: Path, instance: str) -> Part10:
    try:
        return read_part10(stored_path(data, instance).read_bytes(), Limits())
    except OSError as error:
        raise SegmentationUnusableError(count=1) from error
