"""Read DICOM structured reports for labels: any content tree, TID 1500 or another.

A content item whose concept name is mapped gives a label: CODE, NUM and TEXT
items (PS3.3 C.17.3). It is about the images named below it, else below the nearest
container, else the report's evidence; a report that names no image is about the
patient. Words are compared with the mapping and never kept.
"""

from collections.abc import Iterator

from clients.data.dicom.elements import Part10
from clients.data.labels.mapping import Answer, LabelMapping
from clients.data.labels.sequences import (
    Item,
    code_in,
    element_of,
    every_item,
    items_of,
    patient_id,
    text_of,
)
from clients.data.labels.statements import Finding, Statement
from federation.errors.cohorts import LabelDocumentError

SR_CLASSES = "1.2.840.10008.5.1.4.1.1.88."
SOP_CLASS = 0x00080016
CONTENT, VALUE_TYPE, CONCEPT = 0x0040A730, 0x0040A040, 0x0040A043
CODED, TEXT = 0x0040A168, 0x0040A160
MEASURED, NUMERIC, UNITS = 0x0040A300, 0x0040A30A, 0x004008EA
REFERENCED_SOP, REFERENCED_UID = 0x00081199, 0x00081155
EVIDENCE = (0x0040A375, 0x0040A385)
PRELIMINARY = 0x0040A496


def is_report(file: Part10) -> bool:
    """Say whether a file is a structured report."""
    return file.text(SOP_CLASS).startswith(SR_CLASSES)


def read_report(file: Part10, mapping: LabelMapping) -> Statement:
    """Return what a report says of the mapped labels.

    Raises
    ------
    LabelDocumentError
        If it does not say whose it is, or is preliminary.
    """
    patient = patient_id(file)
    if not patient or file.text(PRELIMINARY) == "PRELIMINARY":
        raise LabelDocumentError(count=1)
    evidence = _evidence(file)
    findings: list[Finding] = []
    unmapped = 0
    for item, groups in _walk(file.dataset, ()):
        concept = code_in(item, CONCEPT)
        for rule in mapping.rules_for(() if concept is None else (concept,)):
            answer = _answer(item)
            if answer is None:
                continue
            value = rule.class_of(answer)
            unmapped += value is None
            if value is not None:
                named = tuple(group for group in (*groups, evidence) if group)
                findings.append(Finding(rule.name, value, named))
    everything = _images(file.dataset) | evidence
    return Statement((patient,), tuple(findings), everything, unmapped)


def _walk(
    item: Item, groups: tuple[frozenset[str], ...]
) -> Iterator[tuple[Item, tuple[frozenset[str], ...]]]:
    """Yield every content item with the images below it and below its containers."""
    nearest = (_images(item), *groups)
    yield item, nearest
    for inner in items_of(item, CONTENT):
        yield from _walk(inner, nearest)


def _images(item: Item) -> frozenset[str]:
    """Return the instances that the content items of a tree refer to."""
    return frozenset(
        text_of(named, REFERENCED_UID)
        for content in (item, *_contents(item))
        if text_of(content, VALUE_TYPE) == "IMAGE"
        for named in items_of(content, REFERENCED_SOP)
    ) - {""}


def _contents(item: Item) -> Iterator[Item]:
    for inner in items_of(item, CONTENT):
        yield inner
        yield from _contents(inner)


def _evidence(file: Part10) -> frozenset[str]:
    return frozenset(
        text_of(item, REFERENCED_UID)
        for tag in EVIDENCE
        for study in items_of(file.dataset, tag)
        for item in every_item(study)
    ) - {""}


def _answer(item: Item) -> Answer | None:
    """Return the answer of a CODE, NUM or TEXT item, None for any other kind."""
    kind = text_of(item, VALUE_TYPE)
    if kind == "CODE":
        coded = code_in(item, CODED)
        return Answer(codes=() if coded is None else (coded,))
    if kind == "NUM":
        for measured in items_of(item, MEASURED)[:1]:
            unit = code_in(measured, UNITS)
            return Answer(number=_decimal(measured), unit="" if unit is None else unit.value)
        return Answer()
    if kind == "TEXT":
        element = element_of(item, TEXT)
        return Answer(words="" if element is None else _words(element.value))
    return None


def _words(value: bytes) -> str:
    """Return a text that is only compared with the mapping: in UTF-8, else in Big5."""
    for charset in ("utf-8", "cp950"):
        try:
            return value.decode(charset)
        except UnicodeDecodeError:
            continue
    return value.decode("latin-1")


def _decimal(item: Item) -> float | None:
    try:
        return float(text_of(item, NUMERIC).split("\\")[0])
    except ValueError:
        return None
