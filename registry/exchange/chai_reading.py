"""Read a CHAI Applied Model Card that a stranger sent.

The bytes are refused before they are parsed when they are too many, not UTF-8 or
carry a document type (so there are no entities at all, neither outside nor
multiplying ones); afterwards when they nest too deeply, are too many elements, of
another namespace or not of the schema. Text stays text: whoever shows it escapes it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from federation.domain.ids import Sha256
from federation.errors.exchange import ImportInvalidError, ImportRefusedError
from registry.exchange.chai import NAME, UNKNOWN, ChaiCard, MetricResult, Node, schema_of
from registry.exchange.chai_mapping import attributes_of
from registry.exchange.chai_schema import GROUPS, SIGNATURE, Version
from registry.exchange.rendering import needed

MAX_BYTES = 2**20  # the largest published card has 20 kB
MAX_DEPTH = 8  # the schema has 6 levels, a signature 8
MAX_ELEMENTS = 5_000
MAX_TEXT = 50_000  # characters in one field
_DOCUMENT_TYPE = re.compile(r"<!(?:DOCTYPE|ENTITY)")
_LOCATION = "{http://www.w3.org/2001/XMLSchema-instance}schemaLocation"
_LISTS = ("ModelSummary/Keywords/Keyword", "ReleaseInfo/EHRCompatibility/EHR")


@dataclass(frozen=True, slots=True)
class ImportedCard:
    """A card as it came: the content id of its file, its fields, what they answer.

    `signature_present` says that there is an XML signature, which is not verified.
    """

    source: Sha256
    card: ChaiCard
    attributes: Mapping[str, str]
    signature_present: bool

    def as_json(self, language: str) -> dict[str, object]:
        """Return the import as a draft, said to be in `language`.

        The attributes are shaped as in a version's card (registry/models/version_card.py),
        each without its other language.
        """
        card = self.card
        return {
            "schema": "trifed.chai-import/1",
            "source": self.source,
            "version": card.version.value,
            "signature": "present, not verified" if self.signature_present else "absent",
            "attributes": {
                name: {"text": {language: said}} for name, said in self.attributes.items()
            },
            "fields": dict(card.texts),
            "keywords": list(card.keywords),
            "health_record_systems": list(card.records),
            "results": {
                group: [{"label": one.label, "value_json": one.value} for one in found]
                for group, found in card.results.items()
            },
        }


def read_chai(content: bytes) -> ImportedCard:
    """Return the card in `content`, versions 0.1 and 0.2.

    Raises
    ------
    ImportRefusedError
        If it is not the XML of such a card, or hostile.
    ImportInvalidError
        If it is one but not of the schema; the first twenty problems are listed.
    """
    root = _parsed(_text_of(content))
    version = _version_of(root)
    root.attrib.pop(_LOCATION, None)  # a hint where to fetch a schema; nothing is fetched
    _check_schema(root, version)
    signature = root.find(f"{{{SIGNATURE}}}*")
    if signature is not None:
        root.remove(signature)
    card = _card(root, version)
    return ImportedCard(
        Sha256.of(content), card, MappingProxyType(attributes_of(card)), signature is not None
    )


def _text_of(content: bytes) -> str:
    if len(content) > MAX_BYTES:
        raise ImportRefusedError(why=f"larger than {MAX_BYTES} bytes")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ImportRefusedError(why="not UTF-8") from error
    if _DOCUMENT_TYPE.search(text):
        raise ImportRefusedError(why="it has a document type or entities")
    return text


def _parsed(text: str) -> Node:
    etree = needed("lxml.etree", package="lxml", format_=NAME)
    parser = etree.XMLParser(
        encoding="utf-8",  # whatever the file says: what was looked at is what is parsed
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(text.encode(), parser)
    except etree.XMLSyntaxError as error:
        raise ImportRefusedError(why=f"not well-formed XML at line {error.lineno}") from error
    _check_shape(root)
    return root


def _check_shape(root: Node) -> None:
    elements = 0
    level = [root]
    for _ in range(MAX_DEPTH):
        elements += len(level)
        if elements > MAX_ELEMENTS:
            raise ImportRefusedError(why=f"more than {MAX_ELEMENTS} elements")
        level = [child for parent in level for child in parent]
    if level:
        raise ImportRefusedError(why=f"nested more than {MAX_DEPTH} deep")


def _version_of(root: Node) -> Version:
    for version in Version:
        if root.tag == f"{{{version.namespace}}}AppliedModelCard":
            return version
    raise ImportRefusedError(why="its root is not an AppliedModelCard of version 0.1 or 0.2")


def _check_schema(root: Node, version: Version) -> None:
    schema = schema_of(version)
    if schema.validate(root):
        return
    names = re.compile(rf"\{{{re.escape(version.namespace)}\}}")
    problems = [
        f"line {entry.line}: {names.sub('', entry.message)[:200]}"
        for entry in list(schema.error_log)[:20]
    ]
    raise ImportInvalidError(problems="; ".join(problems))


def _card(root: Node, version: Version) -> ChaiCard:
    leaves = list(_leaves(root, ""))
    by_path = dict(leaves)
    results = {group: _results(leaves, group) for group in GROUPS}
    return ChaiCard(
        texts={
            path: text
            for path, text in by_path.items()
            if path not in _LISTS and "/Results/" not in path and _known(text)
        },
        keywords=tuple(text for path, text in leaves if path == _LISTS[0] and _known(text)),
        records=tuple(text for path, text in leaves if path == _LISTS[1] and _known(text)),
        results={group: found for group, found in results.items() if found},
        version=version,
    )


def _results(leaves: list[tuple[str, str]], group: str) -> tuple[MetricResult, ...]:
    at = f"KeyMetrics/{group}/Results/MetricResult"
    labels = [text for path, text in leaves if path == f"{at}/Label"]
    values = [text for path, text in leaves if path == f"{at}/ValueJson"]
    pairs = zip(labels, values, strict=True)
    return tuple(MetricResult(label, value) for label, value in pairs if _known(label))


def _leaves(parent: Node, above: str) -> Iterator[tuple[str, str]]:
    for child in parent:
        path = f"{above}{child.tag.rpartition('}')[2]}"
        if len(child):
            yield from _leaves(child, f"{path}/")
            continue
        text = child.text or ""
        if len(text) > MAX_TEXT:
            raise ImportRefusedError(why=f"{path} has more than {MAX_TEXT} characters")
        yield path, text


def _known(text: str) -> bool:
    return bool(text.strip()) and text not in UNKNOWN
