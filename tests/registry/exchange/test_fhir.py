"""FHIR resources hold as FHIR and as the AI Transparency guide's profiles."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from federation.errors.exchange import ExportInvalidError
from federation.wording import Language
from registry.exchange.chai_mapping import chai_of
from registry.exchange.chai_reading import read_chai
from registry.exchange.fhir import GUIDE, check_fhir, write_fhir, write_influence
from tests.registry.exchange.builders import SITES, bare, full

RECORDED = "2026-10-01T00:00:00Z"
Break = Callable[[dict[str, Any]], object]


def bundle() -> dict[str, Any]:
    value = json.loads(write_fhir(full()))
    assert isinstance(value, dict)
    return value


def resources(kind: str) -> list[dict[str, Any]]:
    entries = [entry["resource"] for entry in bundle()["entry"]]
    return [resource for resource in entries if resource["resourceType"] == kind]


def test_the_model_is_an_ai_device_described_by_its_cards() -> None:
    (device,) = resources("Device")
    described = [
        extension["valueReference"]["reference"]
        for extension in device["extension"]
        if extension["url"].endswith("aitransparency.modelCardDescription")
    ]

    assert device["type"]["coding"] == [
        {"system": f"{GUIDE}/CodeSystem/AIdeviceTypeCS", "code": "Artificial-Intelligence"}
    ]
    assert described == [f"urn:uuid:{card['id']}" for card in resources("DocumentReference")]
    assert device["manufacturer"] == "Hospital A"


def test_each_model_card_is_the_chai_card_of_one_language() -> None:
    for language, resource in zip(Language, resources("DocumentReference"), strict=True):
        (content,) = resource["content"]
        attached = base64.b64decode(content["attachment"]["data"])

        assert content["attachment"]["contentType"] == "application/xml"
        assert content["attachment"]["size"] == len(attached)
        assert read_chai(attached).card == chai_of(full(), language)


def test_the_provenance_of_training_names_sites_and_their_data() -> None:
    (training,) = resources("Provenance")

    assert [agent["who"]["identifier"]["value"] for agent in training["agent"]] == list(SITES)
    assert len(training["entity"]) == 3
    assert "meta" not in training  # it is not an AI-Provenance: nothing was made by the model yet


def test_every_reference_inside_is_there() -> None:
    value = bundle()
    there = {entry["fullUrl"] for entry in value["entry"]}
    found = set(_references(value))

    assert found and found <= there


def test_what_is_not_known_is_left_out() -> None:
    device = json.loads(write_fhir(bare()))["entry"][0]["resource"]

    assert not {"manufacturer", "contact", "safety", "property"} & device.keys()
    assert [extension["url"][-4:] for extension in device["extension"]] == ["tion", "tion"]


def test_an_influence_is_an_ai_provenance() -> None:
    content = write_influence(full(), target="Observation/1", recorded=RECORDED)
    value = json.loads(content)

    check_fhir(content)
    assert value["meta"]["profile"] == [f"{GUIDE}/StructureDefinition/AI-Provenance|1.0.0-ballot"]
    assert value["reason"][0]["coding"][0]["code"] == "AIAST"
    assert value["agent"][0]["who"]["identifier"]["value"] == "TWAI-2026-00001-4.v0.1.0"


def _device(value: dict[str, Any]) -> dict[str, Any]:
    found = value["entry"][0]["resource"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    ("where", "broken"),
    [
        ("Device.type", lambda value: _device(value)["type"]["coding"][0].update(code="Robot")),
        ("Device.type", lambda value: _device(value).pop("type")),
        ("colour", lambda value: _device(value).update(colour="red")),
        ("DocumentReference.category", lambda v: v["entry"][1]["resource"].pop("category")),
        (
            "DocumentReference.content",
            lambda v: v["entry"][1]["resource"]["content"][0]["attachment"].update(
                contentType="text/html"
            ),
        ),
        ("recorded", lambda v: v["entry"][3]["resource"].update(recorded="yesterday")),
    ],
)
def test_a_resource_that_breaks_fhir_or_its_profile_is_named(where: str, broken: Break) -> None:
    value = bundle()
    broken(value)

    with pytest.raises(ExportInvalidError, match=where):
        check_fhir(json.dumps(value).encode())


@pytest.mark.parametrize("part", ["reason", "agent"])
def test_an_influence_without_what_its_profile_asks_is_refused(part: str) -> None:
    value = json.loads(write_influence(full(), target="Observation/1", recorded=RECORDED))
    value[part] = [{"text": "x"}] if part == "reason" else [{"who": {"display": "x"}}]

    with pytest.raises(ExportInvalidError, match=part):
        check_fhir(json.dumps(value).encode())


def _references(value: object) -> list[str]:
    if isinstance(value, dict):
        own = [value["reference"]] if "reference" in value else []
        return own + [found for item in value.values() for found in _references(item)]
    if isinstance(value, list):
        return [found for item in value for found in _references(item)]
    return []
