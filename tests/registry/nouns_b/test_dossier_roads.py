"""Dossiers: editions, bundles, licences, drafts that count for nothing, plans of others."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from federation.errors.evidence_nouns import DossierGuardError, RulePackError
from federation.errors.moves import RecordShapeError, SeparationError
from registry import certification
from registry.applications.states import ApplicationState
from registry.certification import change_plans, documents, rule_packs
from registry.certification.changes import Route
from registry.certification.completeness import Status
from registry.certification.rule_packs import pack_named, pack_names
from registry.certification.service import ChangeAsked, classify_asked, item_for
from registry.models.cards import new_card, submit_card, version_noun
from registry.models.version_card import ChangePart
from registry.records.service import Records
from registry.roles import Role
from registry.timers.clocks import TAIPEI
from tests.registry.builders import Centre, candidate
from tests.registry.nouns_b.bodies import (
    ENTRY,
    OTHER,
    OTHER_ENTRY,
    PACK_DIGEST,
    change_plan,
    document,
    dossier,
    move,
    person,
    put,
    read,
)
from tests.registry.nouns_b.test_certification import (
    DEV,
    LICENCE,
    SUBMISSION,
    TFD,
    VAL_A,
    VAL_E,
    Certified,
    built,
    certified,
    kept,
    named,
    plain,
    refused,
    status_of,
)
from tests.registry.record_builders import Desk, TurnableClock

__all__ = ["built", "certified"]  # fixtures


# rule packs


def test_the_shipped_edition_is_what_dossiers_named() -> None:
    assert (
        PACK_DIGEST == "sha256:a3df2f537afe97139c0b90a86ca6fa86b35017c36af4c37a574519325d7bba45"
    ), "an edition is never edited after its release: write a new file, with the next number"


@pytest.mark.parametrize(
    ("digest", "error"), [(OTHER, RulePackError), (None, DossierGuardError)], ids=["edited", "none"]
)
def test_a_dossier_is_judged_by_the_edition_it_named(
    certified: Certified, digest: str | None, error: type
) -> None:
    desk, entry = certified
    kept(desk, named(desk, entry, pack={"id": "tfda-ai", "version": "2026.1", "digest": digest}))
    assert [type(one) for one in refused(desk, "C1", VAL_E)] == [error]


def test_the_tenth_edition_of_a_year_is_newer_than_the_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("tfda-ai-2026.2", "tfda-ai-2026.10", "tfda-ai-2025.11", "fda-2026.3"):
        (tmp_path / f"{name}.toml").write_text("", "utf-8")
    monkeypatch.setattr(rule_packs, "files", lambda _: tmp_path)
    assert pack_names()[1:] == [
        ("tfda-ai", "2025.11"), ("tfda-ai", "2026.2"), ("tfda-ai", "2026.10"),
    ]  # fmt: skip
    with pytest.raises(RulePackError):
        rule_packs.newest("eu-ai")


# evidence that is none yet


@pytest.mark.parametrize("state", ApplicationState)
def test_an_application_counts_once_it_is_approved(
    certified: Certified, state: ApplicationState
) -> None:
    desk, entry = certified
    put(desk, plain("data-application", state), "app-2", {"card": "card-tainan-1"}, DEV)
    item = item_for(desk.records.store, "data-application", "app-2").as_json()
    body = named(desk, entry)
    others = [one for one in body["items"] if one["noun"] != "data-application"]
    answers = [
        one | {"evidence": [item["id"], *(i for i in one["evidence"] if "application" not in i)]}
        for one in body["answers"]
    ]
    undecided = {"draft", "submitted", "deficient", "returned", "council-review", "sanctioned"}
    expected = Status.NOT_IN_FORCE if state.value in undecided else Status.MET
    assert status_of(desk, body | {"items": [*others, item], "answers": answers}, 29) is expected


def test_a_document_is_not_confirmed_by_its_maker_or_their_house(desk: Desk) -> None:
    put(desk, documents.NOUN, "doc", document(), DEV)
    own = replace(VAL_E, person=DEV.person)
    neighbour = replace(VAL_E, organisation=DEV.organisation)
    for signer in (own, neighbour):
        with pytest.raises(SeparationError):
            move(desk, documents.NOUN, "doc", "F1", signer)
    assert move(desk, documents.NOUN, "doc", "F1", VAL_E).state == "confirmed"


def test_a_document_of_tomorrow_or_that_ends_before_it_began_is_refused(desk: Desk) -> None:
    today = desk.clock().astimezone(TAIPEI).date().isoformat()
    put(desk, documents.NOUN, "soon", document(issued="2026-09-02"), DEV)
    assert [DossierGuardError] == [type(one) for one in held(desk, "soon")]
    put(desk, documents.NOUN, "today", document(issued=today), DEV)
    assert move(desk, documents.NOUN, "today", "F1", VAL_E).state == "confirmed"
    for noun, body in (
        (documents.NOUN, document(issued="2027-01-01", valid_until="2026-12-31")),
        (certification.NOUN, dossier(licence=LICENCE | {"expires": "2026-11-30"})),
    ):
        with pytest.raises(RecordShapeError):
            read(noun, body)


def held(desk: Desk, name: str) -> list[Exception]:
    with pytest.raises(DossierGuardError) as found:
        move(desk, documents.NOUN, name, "F1", VAL_E)
    return [found.value]


def test_who_says_it_is_complete_does_not_also_sign_it(certified: Certified) -> None:
    desk, entry = certified
    kept(desk, named(desk, entry))
    for signer in (
        replace(VAL_E, person=DEV.person),
        replace(VAL_E, organisation=DEV.organisation),
    ):
        with pytest.raises(SeparationError):
            move(desk, certification.NOUN, "dossier-1", "C1", signer)
    move(desk, certification.NOUN, "dossier-1", "C1", VAL_E)
    with pytest.raises(SeparationError):
        move(desk, certification.NOUN, "dossier-1", "C2", replace(VAL_A, person=VAL_E.person))
    assert move(desk, certification.NOUN, "dossier-1", "C2", VAL_A).state == "signed"


# bundles and licences


@pytest.mark.parametrize(
    "changes",
    [{"device_id": "d-2"}, {"answers": []}, {"target": "FDA"}],
    ids=lambda one: next(iter(one)),
)
def test_a_bundle_is_of_what_the_dossier_says(
    certified: Certified, changes: dict[str, Any]
) -> None:
    desk, entry = certified
    body = named(desk, entry)
    kept(desk, body | changes)  # exported now
    kept(desk, body)
    move(desk, certification.NOUN, "dossier-1", "C1", VAL_E)
    assert [type(one) for one in refused(desk, "C2", VAL_A)] == [DossierGuardError]
    kept(desk, body | {"bundle": OTHER})
    assert move(desk, certification.NOUN, "dossier-1", "C2", VAL_A).state == "signed"


def test_a_licence_is_in_force_on_its_days(certified: Certified) -> None:
    desk, entry = certified
    body = named(desk, entry)
    kept(desk, body)
    move(desk, certification.NOUN, "dossier-1", "C1", VAL_E)
    move(desk, certification.NOUN, "dossier-1", "C2", VAL_A)
    kept(desk, body | {"submissions": [SUBMISSION]})
    move(desk, certification.NOUN, "dossier-1", "C3", DEV)
    for licence in (
        {"number": "MD-1", "issued": "2026-09-02", "expires": "2031-09-01"},
        {"number": "MD-1", "issued": "2021-09-01", "expires": "2026-08-31"},
    ):
        kept(desk, body | {"submissions": [SUBMISSION], "licence": licence})
        assert [type(one) for one in refused(desk, "C6", TFD)] == [DossierGuardError]
    today = {"number": "MD-1", "issued": "2026-09-01", "expires": "2026-09-01"}
    kept(desk, body | {"submissions": [SUBMISSION], "licence": today})
    assert move(desk, certification.NOUN, "dossier-1", "C6", TFD).state == "licensed"


# change control


def test_a_plan_of_another_version_covers_nothing(desk: Desk) -> None:
    put(desk, change_plans.NOUN, "plan", change_plan(), DEV)
    move(desk, change_plans.NOUN, "plan", "V1", VAL_A, TFD)
    for entry, route in ((None, Route.PLAN), (ENTRY, Route.PLAN), (OTHER_ENTRY, Route.AMENDMENT)):
        asked = ChangeAsked(parts=(ChangePart.ARCHITECTURE,), plan="plan", entry=entry)
        assert classify_asked(desk.records, asked).route is route


@pytest.mark.parametrize(
    ("parent", "covered"), [(ENTRY, True), (OTHER_ENTRY, False)], ids=["its own", "another's"]
)
def test_the_move_under_a_plan_asks_for_a_plan_of_the_changed_version(
    centre: Centre, parent: str, covered: bool
) -> None:
    stored, _ = centre.registrar.register(candidate(centre), actor="centre")
    clock = TurnableClock()
    desk = Desk(Records(centre.registrar.store, centre.signer, clock), clock, centre.signer)
    put(desk, change_plans.NOUN, "plan", change_plan(), DEV)
    move(desk, change_plans.NOUN, "plan", "V1", VAL_A, TFD)
    noun = version_noun(artefacts=centre.registrar.artefacts, key=centre.signer.public_key)
    card = new_card(centre.registrar.store, stored.entry)
    record = submit_card(desk.records, noun, card, author=person(Role.DEV))
    change = {"parent": parent, "parts": ["architecture"], "plan": "plan"}
    with desk.records.store.reading() as transaction:
        found: Any = noun.evidence(
            transaction, replace(record, body={**record.body, "change": change})
        )
    assert (found.planned_parts is not None) is covered


def test_the_installed_edition_is_found_by_name() -> None:
    assert pack_named("tfda-ai", "2026.1").digest == rule_packs.newest("tfda-ai").digest
