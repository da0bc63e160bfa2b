"""The ML-BOM satisfies CycloneDX 1.6 and says where each part comes from."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from federation.errors.exchange import ExportInvalidError
from registry.exchange.mlbom import check_mlbom, write_mlbom
from tests.registry.exchange.builders import SITES, bare, full

Break = Callable[[dict[str, Any]], object]


def bom(**changes: object) -> dict[str, Any]:
    value = json.loads(write_mlbom(full(**changes)))
    assert isinstance(value, dict)
    return value


def test_the_model_is_a_machine_learning_model_with_its_card() -> None:
    model = bom()["components"][0]

    assert model["type"] == "machine-learning-model"
    assert (model["name"], model["version"]) == ("Chest X", "0.1.0")
    considerations = model["modelCard"]["considerations"]
    assert considerations["users"] == ["answer 2c\nsecond line", "答覆 2c\n第二行"]
    assert "Not for children" in considerations["technicalLimitations"]
    metric = model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"][1]
    assert metric == {
        "type": "auroc",
        "value": "0.87",
        "slice": f"site {SITES[0]}",
        "confidenceInterval": {"lowerBound": "0.8", "upperBound": "0.92"},
    }


def test_each_sites_data_are_a_component_without_data() -> None:
    data = [part for part in bom()["components"] if part["type"] == "data"]
    patients = [
        fact["value"]
        for part in data
        for fact in part["properties"]
        if fact["name"] == "trifed:patients"
    ]

    assert [
        part["data"][0]["governance"]["custodians"][0]["organization"]["name"] for part in data
    ] == list(SITES)
    assert patients == ["120", "120", "suppressed, fewer than 10"]
    assert all("contents" not in entry for part in data for entry in part["data"])


def test_everything_the_model_rests_on_is_there() -> None:
    value = bom()
    refs = {part["bom-ref"] for part in value["components"]}

    assert len(refs) == len(value["components"])
    assert refs == {line["ref"] for line in value["dependencies"]}
    assert set(value["dependencies"][0]["dependsOn"]) == refs - {value["components"][0]["bom-ref"]}


def test_privacy_is_said_with_its_mechanism() -> None:
    facts = {fact["name"]: fact["value"] for fact in bom()["components"][0]["properties"]}

    assert facts[f"trifed:run:cxr-2026.1:privacy:{SITES[0]}:epsilon"] == "7.5"
    assert facts[f"trifed:run:cxr-2026.1:privacy:{SITES[2]}:mechanism"] == "none"


@pytest.mark.parametrize(
    ("licence", "said"),
    [
        ("Apache-2.0", {"expression": "Apache-2.0"}),
        ("Our own words", {"license": {"name": "Our own words"}}),
    ],
)
def test_a_licence_is_an_expression_only_if_it_is_one(
    licence: str, said: dict[str, object]
) -> None:
    assert bom(licence=licence)["components"][0]["licenses"] == [said]


def test_what_is_not_known_is_left_out() -> None:
    model = json.loads(write_mlbom(bare()))["components"][0]

    assert "licenses" not in model and model["modelCard"]["considerations"] == {}
    assert "inputs" not in model["modelCard"]["modelParameters"]
    assert "manufacturer" not in json.loads(write_mlbom(bare()))["metadata"]


@pytest.mark.parametrize(
    ("where", "broken"),
    [
        ("components/0/type", lambda value: value["components"][0].update(type="robot")),
        ("components/0", lambda value: value["components"][0].update(colour="red")),
        ("serialNumber", lambda value: value.update(serialNumber="1")),
        (
            "components/1/hashes/0/content",
            lambda value: value["components"][1]["hashes"][0].update(content="00"),
        ),
    ],
)
def test_a_document_that_breaks_the_schema_is_named(where: str, broken: Break) -> None:
    value = bom()
    broken(value)

    with pytest.raises(ExportInvalidError, match=f"at {where}:"):
        check_mlbom(json.dumps(value).encode())


def test_something_that_is_no_json_is_refused() -> None:
    with pytest.raises(ExportInvalidError):
        check_mlbom(b"{")
