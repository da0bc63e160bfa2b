"""CHAI Applied Model Cards: the typed value, its XML, and the check of that XML.

    content = write_chai(chai_of(card, Language.EN))     # mapping: chai_mapping.py
    imported = read_chai(content)                        # reading: chai_reading.py

What a card requires and the register does not know says `NOT_RECORDED`; reading
turns that back into nothing. One file is in one language.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Any

from federation.errors.exchange import ExportInvalidError
from federation.wording import Text
from registry.exchange.chai_schema import Element, Version, structure, xsd
from registry.exchange.rendering import needed

NAME = "CHAI Applied Model Card"
NOT_RECORDED = Text(en="Not recorded in the register.", zh="登錄系統未記載。")
Node = Any
Schema = Any
"""Of lxml, which comes without types."""
UNKNOWN = frozenset({NOT_RECORDED.en, NOT_RECORDED.zh})
_BIBLIOGRAPHY = "Bibliography"  # BibTeX: words would be wrong there, so unknown is empty


@dataclass(frozen=True, slots=True)
class MetricResult:
    """One result: what was measured, and the JSON of its value as written."""

    label: str
    value: str


@dataclass(frozen=True, slots=True)
class ChaiCard:
    """The known fields of a card; unknown ones are absent.

    Parameters
    ----------
    texts
        By path below the root, for example ``BasicInfo/ModelName``.
    results
        By group of key metrics. Version 0.1 has text instead, at
        ``KeyMetrics/<group>/Result``.
    """

    texts: Mapping[str, str]
    keywords: tuple[str, ...] = ()
    records: tuple[str, ...] = ()
    """Health record systems that the model is compatible with (version 0.2)."""
    results: Mapping[str, tuple[MetricResult, ...]] = field(default_factory=dict)
    version: Version = Version.V0_2

    def __post_init__(self) -> None:
        object.__setattr__(self, "texts", MappingProxyType(dict(self.texts)))
        object.__setattr__(self, "results", MappingProxyType(dict(self.results)))


def write_chai(card: ChaiCard, unknown: str = NOT_RECORDED.en) -> bytes:
    """Return the card's XML in the version it is of; `unknown` stands in required fields."""
    etree = needed("lxml.etree", package="lxml", format_=NAME)
    namespace = card.version.namespace
    root = etree.Element(f"{{{namespace}}}AppliedModelCard", nsmap={None: namespace})
    for part in structure(card.version).parts:
        _write(root, part, "", card, unknown)
    content: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)
    return content


def check_chai(content: bytes) -> None:
    """Hold an exported card against the schema of version 0.2.

    Raises
    ------
    ExportInvalidError
        Naming the first line that the schema refuses.
    """
    etree = needed("lxml.etree", package="lxml", format_=NAME)
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    schema = schema_of(Version.V0_2)
    if not schema.validate(etree.fromstring(content, parser)):
        first = schema.error_log[0]
        raise ExportInvalidError(format=NAME, where=f"line {first.line}", why=first.type_name)


@cache
def schema_of(version: Version) -> Schema:
    """Return the compiled schema of a version."""
    etree = needed("lxml.etree", package="lxml", format_=NAME)
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    return etree.XMLSchema(etree.fromstring(xsd(version), parser))


def _write(parent: Node, element: Element, above: str, card: ChaiCard, unknown: str) -> None:
    path = f"{above}{element.name}"
    if element.name == "Keywords":
        _write_list(parent, element, card.keywords)
    elif element.name == "EHRCompatibility":
        if card.records:
            _write_list(parent, element, card.records)
    elif element.name == "Results":
        _write_results(parent, card.results.get(above.split("/")[-2], ()), unknown)
    elif element.parts:
        inside = _add(parent, element.name, None)
        for part in element.parts:
            _write(inside, part, f"{path}/", card, unknown)
    elif path in card.texts:
        _add(parent, element.name, card.texts[path])
    elif element.required:
        _add(parent, element.name, "" if path == _BIBLIOGRAPHY else unknown)


def _write_list(parent: Node, element: Element, values: tuple[str, ...]) -> None:
    inside = _add(parent, element.name, None)
    for value in values:
        _add(inside, element.parts[0].name, value)


def _write_results(parent: Node, results: tuple[MetricResult, ...], unknown: str) -> None:
    inside = _add(parent, "Results", None)
    for result in results or (MetricResult(unknown, "null"),):
        one = _add(inside, "MetricResult", None)
        _add(one, "Label", result.label)
        _add(one, "ValueJson", result.value)


def _add(parent: Node, name: str, text: str | None) -> Node:
    etree = needed("lxml.etree", package="lxml", format_=NAME)
    namespace = etree.QName(parent).namespace
    child = etree.SubElement(parent, f"{{{namespace}}}{name}")
    child.text = text
    return child
