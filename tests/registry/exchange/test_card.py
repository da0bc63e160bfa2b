"""A card says what the record and people said, and nothing else."""

from dataclasses import replace

import pytest

from federation.errors.exchange import CardRefusedError
from federation.evidence.model_version import Bilingual
from federation.wording import Language
from registry.exchange.attributes import ATTRIBUTES
from registry.exchange.card import Answer, DatasetCard, card_of
from tests.registry.exchange.builders import SITES, answers, bare, full, record, said


def test_the_card_of_a_record_alone_invents_nothing() -> None:
    card = bare()

    assert card.attributes == {} and card.codes == () and card.limitations == ()
    assert card.name is card.organisation is card.intended_use is card.risk is card.licence is None
    assert all(card.answer(name, Language.EN) is None for name in ATTRIBUTES)


def test_the_card_holds_the_facts_of_the_record() -> None:
    card, signed = bare(), record()

    assert (card.entry, card.digest, card.title) == (
        signed.entry,
        signed.digest,
        "Pneumonia on chest films",
    )
    assert card.artefacts[0].sha256 == signed.model.sha256.removeprefix("sha256:")
    assert [(part.site, part.patients) for part in card.datasets] == [
        (SITES[0], 120),
        (SITES[1], 120),
        (SITES[2], None),
    ]
    assert [(found.site, found.n) for found in card.evaluations] == [
        (None, 60),
        (SITES[0], 30),
        (SITES[1], 30),
    ]
    assert card.runs[0].privacy == signed.privacy


def test_the_card_says_where_the_version_stands_now() -> None:
    assert bare().state == "draft"
    assert card_of(record(), said(), state="live").state == "live"


def test_none_is_an_answer_with_its_reason() -> None:
    card = full()

    assert card.answer("7d", Language.EN) == "None: no external data yet"
    assert card.answer("7d", Language.ZH_HANT_TW) == "無:尚無外部資料"
    assert card.answer("7a", Language.EN) == "eval-1"


def test_the_intended_use_answers_2a_only_where_2a_has_no_answer() -> None:
    without = {name: answer for name, answer in answers().items() if name != "2a"}

    assert full(attributes=without).answer("2a", Language.EN) == "Triage of chest films"
    assert full().answer("2a", Language.EN) == "answer 2a\nsecond line"


def test_there_are_31_attributes_in_nine_groups() -> None:
    groups = [attribute.group.en for attribute in ATTRIBUTES.values()]

    assert len(ATTRIBUTES) == 31
    assert [sum(one == group for one in groups) for group in dict.fromkeys(groups)] == [
        4, 4, 2, 4, 2, 4, 5, 4, 2,
    ]  # fmt: skip


@pytest.mark.parametrize("count", [1, 9])
def test_a_small_count_never_reaches_an_export(count: int) -> None:
    part = DatasetCard("site-1", "sha256:" + "0" * 64, count, 1)

    with pytest.raises(CardRefusedError, match="a count below 10"):
        replace(bare(), datasets=(part,))
    with pytest.raises(CardRefusedError, match="a count below 10"):
        replace(bare(), evaluations=(replace(bare().evaluations[0], n=count),))


@pytest.mark.parametrize("bad", ["\x00", "\x0b", "\x1b[2J", "\ufffe"])
def test_text_that_xml_cannot_hold_is_refused_and_not_shown(bad: str) -> None:
    text = Bilingual(en=f"secret{bad}", zh="x")

    with pytest.raises(CardRefusedError, match=r"card\.limitations\.0\.en: a character") as refused:
        replace(bare(), limitations=(text,))
    assert "secret" not in str(refused.value)


def test_an_unknown_attribute_is_refused() -> None:
    with pytest.raises(CardRefusedError, match="'10a' is not one of the 31"):
        replace(bare(), attributes={"10a": Answer()})


def test_two_datasets_of_one_site_are_refused() -> None:
    parts = bare().datasets

    with pytest.raises(CardRefusedError, match="datasets: two of one name"):
        replace(bare(), datasets=(parts[0], parts[0]))


def test_the_attributes_of_a_card_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        full().attributes["1a"] = Answer()  # type: ignore[index]
