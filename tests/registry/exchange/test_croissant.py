"""A dataset card as Croissant: what is required is there, and no data are."""

import json
from typing import Any

import pytest

from federation.errors.exchange import ExportInvalidError
from registry.exchange.croissant import REQUIRED, check_croissant, write_croissant
from tests.registry.exchange.builders import SITES, full


def croissant(site: str = SITES[0]) -> dict[str, Any]:
    value = json.loads(write_croissant(full(), site))
    assert isinstance(value, dict)
    return value


def test_what_croissant_requires_is_there() -> None:
    value = croissant()

    assert value.keys() >= set(REQUIRED)
    assert value["creator"]["name"] == SITES[0]
    assert value["license"]["name"] == "Not recorded in the register."


def test_no_data_can_be_downloaded() -> None:
    assert "distribution" not in croissant()
    assert "stay at the hospital" in croissant()["conditionsOfAccess"]


def test_a_count_is_an_annotation_and_a_suppressed_one_is_left_out() -> None:
    assert croissant()["recordSet"][0]["annotation"][0]["value"] == 120
    assert "annotation" not in croissant(SITES[2])["recordSet"][0]
    assert "suppressed" in croissant(SITES[2])["recordSet"][0]["description"]


def test_what_the_site_said_of_its_data_is_there_as_it_said_it() -> None:
    facts = {fact["name"]: fact["value"] for fact in croissant()["variableMeasured"]}

    assert facts == {"label": "x", "studies": "<10"}
    assert "variableMeasured" not in croissant(SITES[1])


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_property_is_named(name: str) -> None:
    value = {key: item for key, item in croissant().items() if key != name}

    with pytest.raises(ExportInvalidError, match=f"at {name}: required"):
        check_croissant(json.dumps(value).encode())


@pytest.mark.parametrize(
    ("where", "changed"),
    [
        ("@type", {"@type": "Person"}),
        ("conformsTo", {"conformsTo": "http://mlcommons.org/croissant/0.1"}),
        ("recordSet", {"recordSet": [{}]}),
        ("recordSet", {"recordSet": {}}),
    ],
)
def test_a_wrong_property_is_named(where: str, changed: dict[str, object]) -> None:
    with pytest.raises(ExportInvalidError, match=f"at {where}:"):
        check_croissant(json.dumps(croissant() | changed).encode())


def test_a_list_is_no_dataset() -> None:
    with pytest.raises(ExportInvalidError):
        check_croissant(b"[]")
