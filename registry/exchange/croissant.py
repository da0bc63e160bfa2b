"""One site's dataset card as Croissant 1.1 JSON-LD (mlcommons.org/croissant/1.1).

The data never leave their hospital, so there is no `distribution`: the one place
where this departs from what Croissant requires. What else it requires and the
register does not know (a licence) is said to be unknown, in words. Counts are
annotations of the record set; a suppressed one is left out.
"""

from collections.abc import Iterator

from federation.errors.exchange import ExportInvalidError, SiteUnclearError
from federation.evidence.canonical import parse
from federation.wording import Language
from registry.exchange.card import Card, CodeKind, DatasetCard
from registry.exchange.rendering import json_bytes, present

NAME = "Croissant 1.1"
CONFORMS_TO = "http://mlcommons.org/croissant/1.1"
REQUIRED = (
    "@context",
    "@type",
    "conformsTo",
    "creator",
    "datePublished",
    "description",
    "license",
    "name",
    "url",
)
"""Croissant 1.1, Dataset-level Information, Required."""

_CONTEXT = {
    "@language": "en",
    "@vocab": "http://schema.org/",
    "sc": "http://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "annotation": "cr:annotation",
    "conformsTo": "dct:conformsTo",
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "recordSet": "cr:recordSet",
    "sdVersion": "cr:sdVersion",
    "value": "cr:value",
}
_CARDINALITY = "http://www.wikidata.org/entity/Q4049983"
_NO_LICENCE = {"@type": "CreativeWork", "name": "Not recorded in the register."}
_STAYS = "The data stay at the hospital. Only what its officers approved was computed there."


def write_croissant(card: Card, site: str | None = None) -> bytes:
    """Return one site's dataset card; `site` may be left out where there is only one.

    Raises
    ------
    SiteUnclearError
        If no site is named and there are several, or there is none of that name.
    """
    part = _part(card, site)
    return json_bytes(
        present(
            {
                "@context": _CONTEXT,
                "@type": "sc:Dataset",
                "@id": _id(part),
                "conformsTo": CONFORMS_TO,
                "name": f"Training data of site {part.site} for {card.entry}",
                "description": _description(card, part),
                "url": _id(part),
                "identifier": part.digest,
                "creator": {"@type": "Organization", "name": part.site},
                "datePublished": card.created,
                "license": _NO_LICENCE,
                "conditionsOfAccess": _STAYS,
                "sdVersion": card.version,
                "keywords": [
                    f"DICOM {code.code}"
                    for kind in (CodeKind.MODALITY, CodeKind.BODY_PART)
                    for code in card.coded(kind)
                ],
                "variableMeasured": list(_facts(part)),
                "recordSet": _records(part),
            }
        )
    )


def check_croissant(content: bytes) -> None:
    """Hold a file against what Croissant 1.1 requires of a dataset, `distribution` apart.

    Raises
    ------
    ExportInvalidError
        Naming the first property that is missing or of a wrong type.
    NotCanonicalError
        If it is not JSON.
    """
    match parse(content):
        case dict(found):
            missing = [name for name in REQUIRED if not found.get(name)]
        case _:
            missing = ["@type"]
    if missing:
        raise ExportInvalidError(format=NAME, where=missing[0], why="required")
    for name, wanted in (("@type", "sc:Dataset"), ("conformsTo", CONFORMS_TO)):
        if found[name] != wanted:
            raise ExportInvalidError(format=NAME, where=name, why=f"not {wanted}")
    _check_records(found.get("recordSet", []))


def _check_records(records: object) -> None:
    match records:
        case list(found):
            for record in found:
                match record:
                    case {"@type": "cr:RecordSet", "@id": str(), "name": str()}:
                        continue
                raise ExportInvalidError(format=NAME, where="recordSet", why="not a RecordSet")
        case _:
            raise ExportInvalidError(format=NAME, where="recordSet", why="not a list")


def _part(card: Card, site: str | None) -> DatasetCard:
    found = [part for part in card.datasets if site in (None, part.site)]
    if len(found) == 1:
        return found[0]
    sites = ", ".join(part.site for part in card.datasets)
    raise SiteUnclearError(asked=repr((site or "")[:60]), sites=sites)


def _id(part: DatasetCard) -> str:
    return f"urn:trifed:dataset:{part.digest}"


def _description(card: Card, part: DatasetCard) -> str:
    return (
        f"What site {part.site} contributed to {card.called(Language.EN)} ({card.entry}): "
        f"{part.rounds} rounds of federated training."
    )


def _facts(part: DatasetCard) -> Iterator[dict[str, str]]:
    for name, said in sorted(part.facts.items()):
        yield {"@type": "PropertyValue", "name": name, "value": said}


def _records(part: DatasetCard) -> list[dict[str, object]]:
    counted: list[object] = []
    if part.patients is not None:
        counted.append(
            {
                "@type": "cr:Field",
                "@id": "patients/count",
                "name": "patients/count",
                "value": part.patients,
                "dataType": _CARDINALITY,
            }
        )
    few = " Their number is suppressed: fewer than 10." if part.patients is None else ""
    return [
        present(
            {
                "@type": "cr:RecordSet",
                "@id": "patients",
                "name": "patients",
                "description": f"One record for each patient.{few}",
                "annotation": counted,
            }
        )
    ]
