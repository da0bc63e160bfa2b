"""Checklists say what they were checked against, and answer only what a record holds."""

import re
from typing import Any

import pytest

from registry.reports import impact
from registry.reports.checklists import NAMES, checklist
from registry.reports.checklists.answers import answer_of
from registry.reports.layout import Facts, Table
from tests.reports.examples import a_study

COUNTED = {"CONSORT-AI": (51, 14), "DECIDE-AI": (38, 28), "CHEERS-AI": (38, 10)}
"""All items; those on AI: Liu 2020 (14), Vasey 2022 (17 in 28 parts), Elvidge 2024 (10)."""


@pytest.mark.parametrize("name", NAMES)
def test_a_checklist_has_as_many_items_as_its_publication(name: str) -> None:
    found = checklist(name)
    assert (len(found.item), sum(one.ai for one in found.item)) == COUNTED[name]


def test_numbers_follow_the_publications() -> None:
    numbers = {name: [one.id for one in checklist(name).item] for name in NAMES}
    roman = [one for one in numbers["DECIDE-AI"] if re.fullmatch("[IVX]+", one)]
    assert roman == ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X"]
    arabic = {re.sub("[a-c]$", "", one) for one in numbers["DECIDE-AI"] if one not in roman}
    assert arabic == {str(one) for one in range(1, 18)}
    assert numbers["CHEERS-AI"] == [
        *(str(one) for one in range(1, 29)), *(f"AI {one}" for one in range(1, 11)),
    ]  # fmt: skip
    of_ai = [one.id for one in checklist("CONSORT-AI").item if one.ai]
    assert [one for one in of_ai if one.startswith("5 ")] == [
        f"5 ({one})" for one in ("i", "ii", "iii", "iv", "v", "vi")
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_checklist_says_what_it_was_held_against_and_what_not(name: str) -> None:
    found = checklist(name)
    assert "own words" in found.note.en and found.checked.against
    assert "doi:" in found.checked.publication
    (section,) = [
        one for one in impact.layout(a_study()).sections if one.id == f"checklist-{name.lower()}"
    ]
    (facts,) = [one for one in section.blocks if isinstance(one, Facts)]
    assert str(found.checked.on) in [value for _, value in facts.rows]


@pytest.mark.parametrize("name", NAMES)
def test_an_item_is_answered_from_the_record_or_says_who_writes_it(name: str) -> None:
    study = a_study()
    (section,) = [
        one for one in impact.layout(study).sections if one.id == f"checklist-{name.lower()}"
    ]
    (table,) = [one for one in section.blocks if isinstance(one, Table)]
    for item, row in zip(checklist(name).item, table.rows, strict=True):
        writer = str(getattr(row[3], "en", row[3]))
        if answer_of(item.field, study) is None:
            assert getattr(row[2], "en", "") == "nothing"
            assert writer == item.who.title.en
        else:
            assert item.field
            assert writer == (f"{item.who.title.en}, the rest" if item.part else "–")


def test_what_the_record_does_not_hold_is_not_answered() -> None:
    bare: dict[str, Any] = {"sap_hash": None, "results": [], "irb": None, "registration": None}
    study = a_study()
    empty = type(study)(study.id, study.body.model_copy(update=bare | {"results": ()}))
    for field in ("plan", "results", "governance", "registration", "strategies", "accuracy"):
        assert answer_of(field, empty) is None, field


def test_no_item_on_the_output_of_the_ai_is_answered_by_the_outcome_of_the_study() -> None:
    items = {(name, one.id): one.field for name in NAMES for one in checklist(name).item}
    for place in (("CONSORT-AI", "5 (v)"), ("DECIDE-AI", "4c"), ("DECIDE-AI", "11")):
        assert items[place] == ""
