"""CHAI cards: what we write we read back, and the structure is the published one."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.errors.exchange import ExportInvalidError
from federation.wording import Language
from registry.exchange.attributes import ATTRIBUTES
from registry.exchange.card import Card
from registry.exchange.chai import (
    NOT_RECORDED,
    ChaiCard,
    MetricResult,
    check_chai,
    write_chai,
)
from registry.exchange.chai_mapping import FIELDS, chai_of
from registry.exchange.chai_reading import read_chai
from registry.exchange.chai_schema import Element, Version, structure
from tests.registry.exchange.builders import bare, full, words

LANGUAGES = pytest.mark.parametrize("language", list(Language))


def exported(card: Card, language: Language = Language.EN) -> bytes:
    return write_chai(chai_of(card, language), NOT_RECORDED.say(language))


@LANGUAGES
@pytest.mark.parametrize("make", [bare, full])
def test_an_exported_card_comes_back_whole(make: type[Card], language: Language) -> None:
    card = make()

    imported = read_chai(exported(card, language))

    assert imported.card == chai_of(card, language)
    assert imported.attributes == {
        name: said for name in sorted(ATTRIBUTES) if (said := card.answer(name, language))
    }
    assert not imported.signature_present


def test_every_attribute_has_one_field() -> None:
    assert sorted(name for held in FIELDS.values() for name in held) == sorted(ATTRIBUTES)


def test_every_field_that_is_mapped_is_in_the_structure() -> None:
    assert FIELDS.keys() <= set(paths(structure(Version.V0_2)))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.text(
            st.sampled_from("*[]4ac\\ \n\r\tx中<&]>"),
            min_size=1,
            max_size=30,
        ).filter(str.strip),
        min_size=4,
        max_size=4,
    )
)
def test_no_text_of_one_answer_becomes_another(texts: list[str]) -> None:
    said = dict(zip(("4a", "4c", "4d", "2a"), texts, strict=True))
    given_ = {name: {"text": words(text, text)} for name, text in said.items()}
    card = full(attributes=given_, limitations=[])

    assert read_chai(exported(card)).attributes == dict(sorted(said.items()))


def test_a_heading_inside_an_answer_stays_inside_it() -> None:
    trick = {"4a": {"text": words("a\n**[4d]** not mine\nb", "x")}}

    assert read_chai(exported(full(attributes=trick))).attributes["4a"].count("**[4d]**") == 1
    assert "4d" not in read_chai(exported(full(attributes=trick))).attributes


def test_what_is_not_known_says_so_and_is_read_as_unknown() -> None:
    content = exported(bare(), Language.ZH_HANT_TW)

    assert content.decode().count("登錄系統未記載。") > 20
    assert "Warnings/ClinicalRiskLevel" not in read_chai(content).card.texts
    assert read_chai(content).attributes == {}


def test_an_estimate_keeps_its_interval_and_no_level_that_nobody_gave() -> None:
    result = chai_of(full(), Language.EN).results["UsefulnessUsabilityEfficacy"][0]

    assert json.loads(result.value) == {
        "kind": "estimate_ci",
        "estimate": 0.87,
        "lower": 0.8,
        "upper": 0.92,
    }
    assert "n=60" in result.label and "patient bootstrap" in result.label


def test_who_answers_the_risk_and_the_limitations_are_there() -> None:
    texts = chai_of(full(), Language.EN).texts

    assert "Hospital A. Contact: ai@example.org" in texts["ModelSummary/Summary"]
    assert texts["Warnings/ClinicalRiskLevel"].startswith("medium (TFDA class 2")
    assert "Read the film too" in texts["Warnings/ClinicalRiskLevel"]
    assert "Not for children" in texts["Warnings/KnownRisksAndLimitations"]


@pytest.mark.parametrize("version", list(Version))
def test_a_strangers_card_is_read_in_both_versions(version: Version) -> None:
    results = {"FairnessEquity": (MetricResult("gap", '{"kind":"single","value":1}'),)}
    theirs = ChaiCard(
        texts={
            "BasicInfo/ModelName": "M",
            "UsesAndDirections/IntendedUseAndWorkflow": "**bold** use",
            "TrustIngredients/AISystemFacts/DevelopmentDataCharacterization": "see **[4d]** there",
            **({"KeyMetrics/FairnessEquity/Result": "fair"} if version is Version.V0_1 else {}),
        },
        keywords=("a", "b"),
        records=("Epic",) if version is Version.V0_2 else (),
        results=results if version is Version.V0_2 else {},
        version=version,
    )

    imported = read_chai(write_chai(theirs))

    assert imported.card == theirs
    assert imported.attributes == {"2a": "**bold** use", "4a": "see **[4d]** there"}


def test_an_export_that_breaks_the_schema_is_named() -> None:
    broken = (
        exported(full()).replace(b"<ModelName>", b"<Model>").replace(b"</ModelName>", b"</Model>")
    )

    with pytest.raises(ExportInvalidError, match="line 4: SCHEMAV_ELEMENT_CONTENT"):
        check_chai(broken)


def paths(element: Element, above: str = "") -> list[str]:
    found = []
    for part in element.parts:
        found += [f"{above}{part.name}", *paths(part, f"{above}{part.name}/")]
    return found
