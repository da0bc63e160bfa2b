"""A card as FHIR R4 resources of HL7's AI Transparency guide (1.0.0-ballot).

A Bundle of type collection: the model as an AI-Device, its CHAI model card in each
language as an AI-ModelCard, and a Provenance of its training. `write_influence`
makes the AI-Provenance that a deployment keeps beside what the model influenced.

The guide is a ballot: the profiles' rules that are checked here are those of
github.com/HL7/aitransparency-ig of August 2026 (CC0). The base resources are
checked by `fhir.resources` against R4B, which has not changed them since R4.
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from federation.errors.exchange import ExportInvalidError
from federation.evidence.canonical import parse
from federation.wording import Language
from registry.exchange.card import Card, Code, CodeKind
from registry.exchange.chai import NOT_RECORDED, write_chai
from registry.exchange.chai_mapping import chai_of
from registry.exchange.rendering import json_bytes, needed, present, uuid_of

NAME = "FHIR R4 AI Transparency"
GUIDE = "http://hl7.org/fhir/uv/aitransparency"
VERSION = "1.0.0-ballot"
_TYPES = f"{GUIDE}/CodeSystem/AIdeviceTypeCS"
_INPUTS = f"{GUIDE}/CodeSystem/AIinputsCS"
_PART = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
_OBSERVED = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
_OPERATION = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"
_TAGS = {Language.EN: "en", Language.ZH_HANT_TW: "zh-TW"}
Resource = dict[str, object]


def write_fhir(card: Card) -> bytes:
    """Return the card as a Bundle; every id follows from the record."""
    cards = [_model_card(card, language) for language in _TAGS]
    resources = [_device(card), *cards, *_training(card)]
    return json_bytes(
        {
            "resourceType": "Bundle",
            "id": str(uuid_of(card, "fhir")),
            "type": "collection",
            "timestamp": card.created,
            "identifier": {"system": "urn:trifed:record", "value": card.digest},
            "entry": [
                {"fullUrl": f"urn:uuid:{resource['id']}", "resource": resource}
                for resource in resources
            ],
        }
    )


def write_influence(card: Card, *, target: str, recorded: str) -> bytes:
    """Return the AI-Provenance of one resource that the model influenced.

    Parameters
    ----------
    target
        Reference to that resource, for example ``Observation/123``.
    recorded
        When that was recorded, an instant (UTC, RFC 3339).
    """
    artificial = _concept(_TYPES, "Artificial-Intelligence")
    who: Resource = {"type": "Device", **_reference(card, "device"), **_named(card)}
    return json_bytes(
        {
            "resourceType": "Provenance",
            "meta": {"profile": [_profile("AI-Provenance")]},
            "target": [{"reference": target}],
            "recorded": recorded,
            "reason": [_concept(_OBSERVED, "AIAST")],
            "agent": [
                {
                    "type": _concept(_PART, "author"),
                    "role": [artificial],
                    "who": who,
                }
            ],
            "entity": [
                {"role": "derivation", "what": _reference(card, f"card/{tag}")}
                for tag in _TAGS.values()
            ],
        }
    )


def check_fhir(content: bytes) -> None:
    """Hold a Bundle or a single resource against FHIR and against the guide's profiles.

    Raises
    ------
    ExportInvalidError
        Naming the first element that is not allowed or missing.
    NotCanonicalError
        If it is not JSON.
    ExchangeUnequippedError
        If `fhir.resources` is not installed.
    """
    found = parse(content)
    kind = found.get("resourceType") if isinstance(found, dict) else None
    if not isinstance(found, dict) or kind not in ("Bundle", "Provenance"):
        raise ExportInvalidError(format=NAME, where="resourceType", why="not a Bundle")
    _check_base(content, str(kind))
    entries = cast(Sequence[Mapping[str, Resource]], found.get("entry", []))
    resources = [found] if kind != "Bundle" else [entry.get("resource", {}) for entry in entries]
    for place, resource in enumerate(resources):
        for where, holds in _rules(resource):
            if not holds:
                at = f"entry[{place}].{resource['resourceType']}.{where}"
                raise ExportInvalidError(format=NAME, where=at, why="not as its profile says")


def _check_base(content: bytes, kind: str) -> None:
    module = needed(f"fhir.resources.R4B.{kind.lower()}", package="fhir.resources", format_=NAME)
    pydantic = needed("pydantic", package="pydantic", format_=NAME)
    try:
        getattr(module, kind).model_validate_json(content)
    except pydantic.ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or kind
        raise ExportInvalidError(format=NAME, where=where, why=str(first["type"])) from error


def _rules(resource: Resource) -> Iterator[tuple[str, bool]]:
    """Yield what the guide's profile says of a resource that claims it, and whether it holds."""
    claimed = cast(Mapping[str, list[str]], resource.get("meta", {})).get("profile", [])
    if _profile("AI-Device") in claimed:
        yield "type", resource.get("type") == _concept(_TYPES, "Artificial-Intelligence")
    if _profile("AI-ModelCard") in claimed:
        content = cast(list[Mapping[str, Resource]], resource.get("content", []))
        kinds = [part["attachment"].get("contentType") for part in content]
        yield "type", resource.get("type") == _concept(_INPUTS, "AIModelCard")
        yield "category", _concept(_INPUTS, "AImodelCardCHAIformat") in _list(resource, "category")
        yield "content", kinds == ["application/xml"]
    if _profile("AI-Provenance") in claimed:
        artificial = [_concept(_TYPES, "Artificial-Intelligence")]
        agents = cast(list[Resource], _list(resource, "agent"))
        yield "target", bool(_list(resource, "target"))
        yield "reason", _concept(_OBSERVED, "AIAST") in _list(resource, "reason")
        yield "agent", any(agent.get("role") == artificial and "type" in agent for agent in agents)


def _device(card: Card) -> Resource:
    maker = card.organisation
    return present(
        {
            "resourceType": "Device",
            "id": str(uuid_of(card, "device")),
            "meta": {"profile": [_profile("AI-Device")]},
            "extension": [*_kinds(card), *_described(card)],
            "identifier": [{"system": "urn:trifed:entry", "value": card.entry}],
            "manufacturer": maker and maker.name.en,
            "deviceName": [
                {"name": name, "type": "model-name"}
                for name in dict.fromkeys(card.called(language) for language in _TAGS)
            ],
            "modelNumber": card.model,
            "type": _concept(_TYPES, "Artificial-Intelligence"),
            "version": [{"value": card.version}],
            "property": [
                {"type": {"text": kind.value}, "valueCode": [_coded(code) for code in codes]}
                for kind in (CodeKind.MODALITY, CodeKind.BODY_PART, CodeKind.CONDITION)
                if (codes := card.coded(kind))
            ],
            "contact": maker and maker.contact and [_contact(maker.contact)],
            "safety": [
                {"text": said}
                for language in _TAGS
                if (said := card.answer("3b", language)) is not None
            ],
        }
    )


def _kinds(card: Card) -> Iterator[Resource]:
    url = f"{GUIDE}/StructureDefinition/aitransparency.AIKind"
    for code in card.coded(CodeKind.AI_KIND):
        yield {"url": url, "valueCodeableConcept": _coded(code)}


def _described(card: Card) -> Iterator[Resource]:
    url = f"{GUIDE}/StructureDefinition/aitransparency.modelCardDescription"
    for tag in _TAGS.values():
        yield {"url": url, "valueReference": _reference(card, f"card/{tag}")}


def _model_card(card: Card, language: Language) -> Resource:
    content = write_chai(chai_of(card, language), NOT_RECORDED.say(language))
    attachment = {
        "contentType": "application/xml",
        "language": _TAGS[language],
        "data": base64.b64encode(content).decode(),
        "size": len(content),
        "title": f"{card.entry}.{_TAGS[language]}.chai.xml",
    }
    return {
        "resourceType": "DocumentReference",
        "id": str(uuid_of(card, f"card/{_TAGS[language]}")),
        "meta": {"profile": [_profile("AI-ModelCard")]},
        "identifier": [{"system": "urn:trifed:entry", "value": card.entry}],
        "status": "current",
        "type": _concept(_INPUTS, "AIModelCard"),
        "category": [_concept(_INPUTS, "AImodelCardCHAIformat")],
        "subject": _reference(card, "device"),
        "date": card.created,
        "description": card.called(language),
        "content": [{"attachment": attachment}],
    }


def _training(card: Card) -> Iterator[Resource]:
    """Yield the provenance of the model itself: who trained it, on what. Not an AI-Provenance."""
    for run in card.runs:
        yield present(
            {
                "resourceType": "Provenance",
                "id": str(uuid_of(card, f"run/{run.id}")),
                "target": [_reference(card, "device")],
                "recorded": card.created,
                "activity": {
                    **_concept(_OPERATION, "CREATE"),
                    "text": f"federated training, run {run.id}",
                },
                "agent": [
                    {"type": _concept(_PART, "performer"), "who": _site(part.site)}
                    for part in card.datasets
                ],
                "entity": [
                    {
                        "role": "source",
                        "what": {
                            "identifier": {"system": "urn:trifed:dataset", "value": part.digest},
                            "display": f"training data of site {part.site}",
                        },
                    }
                    for part in card.datasets
                ],
            }
        )


def _site(name: str) -> Resource:
    return {"type": "Organization", "identifier": {"system": "urn:trifed:site", "value": name}}


def _named(card: Card) -> Resource:
    return {"identifier": {"system": "urn:trifed:entry", "value": card.entry}}


def _reference(card: Card, what: str) -> Resource:
    return {"reference": f"urn:uuid:{uuid_of(card, what)}"}


def _contact(address: str) -> Resource:
    return {"system": "email" if "@" in address else "other", "value": address}


def _profile(name: str) -> str:
    return f"{GUIDE}/StructureDefinition/{name}|{VERSION}"


def _concept(system: str, code: str) -> Resource:
    return {"coding": [{"system": system, "code": code}]}


def _coded(code: Code) -> Resource:
    return {
        "coding": [present({"system": code.system, "code": code.code, "display": code.display})]
    }


def _list(resource: Resource, name: str) -> list[object]:
    found = resource.get(name, [])
    return found if isinstance(found, list) else []
