"""What a dossier must show, of this version and unexpired; what a change needs."""

import itertools
import json
import sqlite3
from contextlib import closing
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import Field

from federation.domain.ids import Sha256
from federation.errors import PlatformError, ProblemsFound
from federation.errors.evidence_nouns import (
    DossierChangedError,
    DossierGuardError,
    RequirementGapError,
    RulePackError,
)
from federation.errors.guards import ChangePlanError
from federation.errors.moves import RecordNotFoundError
from federation.evidence.model_version import ModelVersionState
from federation.evidence.signing import Signer
from registry import certification, datasets, evaluations, training
from registry.applications.states import ApplicationState
from registry.auditing import audit_log
from registry.certification import change_plans, documents
from registry.certification.changes import Route, classify
from registry.certification.completeness import KINDS, Completeness, Status
from registry.certification.dossier import Dossier
from registry.certification.evidence_found import collect
from registry.certification.routes import certification_routes
from registry.certification.rule_packs import Kind, RulePack, pack_named, pack_names, read_pack
from registry.certification.service import (
    ChangeAsked,
    classify_asked,
    completeness_of,
    item_for,
)
from registry.datasets.noun import CardState
from registry.evaluations.noun import EvaluationState
from registry.models.version_card import MAY_BE_PLANNED, ChangePart
from registry.problems import answer_platform_error
from registry.records.moves import Move, Moves, Seat
from registry.records.ports import Link, StoredRecord
from registry.records.service import Records
from registry.records.shapes import Body, Noun
from registry.roles import Role
from registry.store import SqlStore
from registry.training.noun import RunState
from tests.registry.builders import SITES
from tests.registry.nouns_b.bodies import (
    DIGEST,
    OTHER,
    OTHER_ENTRY,
    change_plan,
    dataset_card,
    document,
    dossier,
    evaluation,
    metric,
    move,
    person,
    put,
    results,
    starting_in,
    training_run,
)
from tests.registry.nouns_b.conftest import desk_with_version
from tests.registry.proofs import Log, signed_record
from tests.registry.record_builders import Desk, TurnableClock
from tests.registry.test_records_api import Client

DEV, VAL_E, VAL_A, TFD = (person(role) for role in (Role.DEV, Role.VAL_E, Role.VAL_A, Role.TFD))
PACK = pack_named("tfda-ai", "2026.1")
Certified = tuple[Desk, str]
SUBMISSION = {"date": "2026-09-01", "number": "1150000001", "result": "pending"}
LICENCE = {"number": "MOHW-MD-006543", "issued": "2026-12-01", "expires": "2031-12-01"}


class Plain(Body):
    """Stands for nouns of other folders: only what it speaks of counts here."""

    entry: str = ""
    card: str = ""
    attributes: dict[str, str] = Field(default_factory=dict)
    mlbom: str | None = None

    def links(self) -> list[Link]:
        about = [Link("is-about", "model-version", self.entry)] if self.entry else []
        return about + ([Link("under", "dataset-card", self.card)] if self.card else [])


def plain(name: str, state: Enum) -> Noun[Plain]:
    other = next(one for one in type(state) if one is not state)
    only = Move("x", state, other, seats=(Seat(Role.HAC),))
    return Noun(name, Plain, Moves(start=state, moves=(only,)), authors=frozenset({Role.DEV}))


ATTRIBUTES = {f"{group}{letter}": "told" for group in "123456789" for letter in "abcde"}
DIMENSIONS = (
    "discrimination",
    "operating-point",
    "calibration",
    "fairness",
    "robustness",
    "drift",
    "privacy",
    "security",
)
DOCUMENTS = (
    "reader-study",
    "valid-clinical-association",
    "risk-management",
    "software-life-cycle",
    "usability",
    "qms-certificate",
    "manufacturing-licence",
    "instructions-for-use",
    "adverse-event-process",
    "monitoring-plan",
    "human-oversight",
    "declaration-of-conformity",
    "model-card",
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Signer, str]:
    """A register in which everything is recorded that a dossier of the version needs."""
    folder = tmp_path_factory.mktemp("certified") / "centre"
    desk, entry = desk_with_version(folder)
    put(
        desk,
        plain("model-version", ModelVersionState.REGISTERED),
        entry,
        {"attributes": ATTRIBUTES, "mlbom": DIGEST},
        DEV,
    )
    runs = starting_in(training.NOUN, RunState.VERIFIED)
    put(desk, runs, "cxr-2026.1", training_run(versions=[entry]), DEV)
    cards = starting_in(datasets.NOUN, CardState.IN_USE)
    for site in SITES:
        put(desk, cards, f"card-{site}", dataset_card(site), person(Role.DST))
    there = starting_in(evaluations.NOUN, EvaluationState.JUDGED)
    log = Log(desk.records.store, desk.signer, ("yilan-4", "hualien-9"))
    plan = evaluation(entry=entry)
    proof = log.proven(signed_record(desk.records.store, entry), plan)
    for dimension in DIMENSIONS:
        body = evaluation(dimension, entry=entry) | results() | proof
        put(desk, there, f"ev-{dimension}", body, VAL_E)
    for kind in DOCUMENTS:
        put(desk, documents.NOUN, f"doc-{kind}", document(kind, entry=entry), DEV)
        move(desk, documents.NOUN, f"doc-{kind}", "F1", VAL_E)
    put(
        desk,
        plain("data-application", ApplicationState.ACTIVE),
        "app-1",
        {"card": "card-tainan-1"},
        DEV,
    )
    return folder / "centre.db", desk.signer, entry


@pytest.fixture
def certified(built: tuple[Path, Signer, str], tmp_path: Path) -> Certified:
    """A copy of it for one test."""
    database, signer, entry = built
    with (
        closing(sqlite3.connect(database)) as source,
        closing(sqlite3.connect(tmp_path / "copy.db")) as copy,
    ):
        source.backup(copy)
    store, clock = SqlStore(f"sqlite:///{tmp_path / 'copy.db'}"), TurnableClock()
    return Desk(Records(store, signer, clock), clock, signer), entry


def named(desk: Desk, entry: str, **changes: Any) -> dict[str, Any]:
    """Return a dossier that names everything that is recorded, for every requirement."""
    names = [("signed-version", entry), ("model-version", entry), ("training-run", "cxr-2026.1")]
    names += [("dataset-card", f"card-{site}") for site in SITES]
    names += [("evaluation", f"ev-{dimension}") for dimension in DIMENSIONS]
    names += [("evidence-document", f"doc-{kind}") for kind in DOCUMENTS]
    names += [("data-application", "app-1")]
    items = [item_for(desk.records.store, noun, id).as_json() for noun, id in names]
    answers = [
        {"requirement": one.id, "evidence": [item["id"] for item in items]}
        for one in PACK.requirements
    ]
    return dossier(entry=entry, items=items, answers=answers, bundle=DIGEST) | changes


def kept(desk: Desk, body: dict[str, Any]) -> None:
    put(desk, certification.NOUN, "dossier-1", body, DEV)


def judged(desk: Desk, body: dict[str, Any]) -> Completeness:
    """Return how a dossier of that content would stand, without writing it."""
    record = StoredRecord(
        noun=certification.NOUN.name,
        id="dossier-1",
        revision=1,
        state="open",
        action="put",
        body=body,
        digest=Sha256(DIGEST),
        author=DEV,
        at="2026-09-01T08:00:00Z",
    )
    with desk.records.store.reading() as transaction:
        return collect(transaction, record).at(desk.clock())


def status_of(desk: Desk, body: dict[str, Any], number: int) -> Status:
    findings = judged(desk, body).findings
    return next(one.status for one in findings if one.requirement.id == f"TFDA-AI-{number:02}")


# rule packs


def test_the_catalogue_has_32_requirements_with_words_and_sources() -> None:
    numbers = [f"TFDA-AI-{number:02}" for number in range(1, 33)]
    assert [one.id for one in PACK.requirements] == numbers
    assert pack_names() == [("tfda-ai", "2026.1")]
    for one in PACK.requirements:
        assert one.source.section == "", "no section number was verified"
        assert any("一" <= letter <= "鿿" for letter in one.text.zh)
    assert "not verified" in PACK.note.en
    assert set(KINDS) == set(Kind.__args__)  # type: ignore[attr-defined]


PACK_TOML = Path("registry/certification/packs/tfda-ai-2026.1.toml")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("shows_probability = [true]", "no_such_question = [true]"),
        ('doc = "tfda-cyber"', 'doc = "no-such-document"'),
        ('id = "TFDA-AI-02"', 'id = "TFDA-AI-01"'),
        ('dimensions = ["fairness"]', 'dimensions = ["beauty"]'),
        ('any_of = ["training-run"]', 'any_of = ["rumour"]'),
        ('severity = "should"', 'severity = "maybe"'),
        ('schema = "trifed', "schema = trifed"),
    ],
)
def test_a_pack_that_asks_what_cannot_be_told_is_not_read(old: str, new: str) -> None:
    content = (Path(__file__).parents[3] / PACK_TOML).read_text(encoding="utf-8")
    assert read_pack(content, name="x") == PACK and old in content
    with pytest.raises(RulePackError):
        read_pack(content.replace(old, new, 1), name="x")


@pytest.mark.parametrize("name", ["../secrets", "tfda-ai-2026", "no-such"])
def test_a_pack_that_is_not_installed_is_not_looked_for_elsewhere(name: str) -> None:
    with pytest.raises(RulePackError):
        pack_named(name, "2026.1")


# completeness


def test_a_dossier_that_names_everything_is_complete(certified: Certified) -> None:
    desk, entry = certified
    kept(desk, named(desk, entry))
    found = completeness_of(desk.records, "dossier-1")
    assert found.gaps == () and found.is_complete
    said = found.as_json()
    assert (said["met"], said["applicable"]) == (28, 28)
    skipped = [one.requirement.id[-2:] for one in found.findings if one.status.value != "met"]
    assert skipped == ["19", "23", "24", "27"], "heat maps, plan, earlier licence, RWD"


def test_an_empty_dossier_says_of_every_requirement_what_to_do(certified: Certified) -> None:
    desk, entry = certified
    found = judged(desk, dossier(entry=entry))
    open_ = [one for one in found.findings if one.status is Status.MISSING]
    assert len(open_) == 28 and len(found.open_musts) == 27
    for gap in found.gaps:
        assert gap.next_step.en.startswith(("Name ", "Record ")) and "列為" in gap.next_step.zh
    assert json.dumps(found.as_json(), ensure_ascii=False)


def test_what_is_recorded_but_not_named_is_told_by_its_id(certified: Certified) -> None:
    desk, entry = certified
    body = named(desk, entry)
    others = [one for one in body["answers"] if one["requirement"] != "TFDA-AI-12"]
    (gap,) = judged(desk, body | {"answers": others}).gaps
    assert gap.status is Status.MISSING
    assert gap.next_step.en == "Name ev-calibration as evidence for it."
    assert "ev-calibration" in gap.next_step.zh


def test_what_is_recorded_but_does_not_count_yet_is_told_with_its_state(
    certified: Certified,
) -> None:
    desk, entry = certified
    plan = evaluation("explainability", entry=entry)
    put(desk, evaluations.NOUN, "ev-maps", plan, VAL_E)
    body = named(desk, entry)
    shown = body | {"device": body["device"] | {"shows_heat_map": True}}
    (gap,) = judged(desk, shown).gaps
    assert (gap.requirement, gap.status) == ("TFDA-AI-19", Status.NOT_IN_FORCE)
    assert "ev-maps" in gap.why.en and "planned" in gap.why.en and "ev-maps" in gap.next_step.zh


def test_each_need_of_each_requirement_is_missed_by_name(certified: Certified) -> None:
    desk, entry = certified
    body = named(desk, entry)
    tried = 0
    for one in PACK.requirements:
        for need in one.needs if one.applies(body["device"]) else ():
            left = [item["id"] for item in body["items"] if item["noun"] not in need.any_of]
            others = [given for given in body["answers"] if given["requirement"] != one.id]
            mine = [{"requirement": one.id, "evidence": left}] if left else []
            found = judged(desk, body | {"answers": [*others, *mine]})
            (finding,) = [given for given in found.findings if given.gaps]
            assert (finding.requirement.id, finding.status) == (one.id, Status.MISSING)
            tried += 1
    assert tried == sum(len(one.needs) for one in PACK.requirements) - 4


def test_a_condition_of_the_device_brings_its_requirement(certified: Certified) -> None:
    desk, entry = certified
    body = named(desk, entry)
    asked = {
        "shows_heat_map": 19,
        "has_change_plan": 23,
        "was_licensed_before": 24,
        "uses_real_world_data": 27,
    }
    for name, number in asked.items():
        told = body | {"device": body["device"] | {name: True}}
        assert status_of(desk, told, number) is Status.MISSING
    other = body | {"device": body["device"] | {"shows_probability": False, "task": "other"}}
    assert status_of(desk, other, 12) is Status.NOT_APPLICABLE
    assert status_of(desk, other, 13) is Status.NOT_APPLICABLE


def changed(body: dict[str, Any], item: str, changes: dict[str, Any]) -> dict[str, Any]:
    items = [one | changes | {"id": item} if one["id"] == item else one for one in body["items"]]
    return body | {"items": items}


FAIRNESS = "evaluation-ev-fairness"


def test_evidence_that_is_not_as_recorded_does_not_count(certified: Certified) -> None:
    desk, entry = certified
    body = named(desk, entry)
    assert status_of(desk, body, 11) is Status.MET
    lies: list[dict[str, Any]] = [
        {"sha256": OTHER},
        {"signer": "somebody"},
        {"log_index": 0},
        {"revision": 7},
        {"signed_at": "2026-08-01T08:00:00Z"},
        {"record": "ev-no-such"},
    ]
    for lie in lies:
        assert status_of(desk, changed(body, FAIRNESS, lie), 11) is Status.NOT_AS_RECORDED


def test_evidence_changed_since_does_not_count(certified: Certified) -> None:
    desk, entry = certified
    before = named(desk, entry)
    there = starting_in(evaluations.NOUN, EvaluationState.JUDGED)
    body = evaluation("fairness", entry=entry) | results() | {"metrics": [metric(value=0.88)]}
    put(desk, there, "ev-fairness", body, VAL_E)
    assert status_of(desk, before, 11) is Status.NOT_AS_RECORDED
    assert status_of(desk, named(desk, entry), 11) is Status.MET


def test_evidence_of_another_version_does_not_count(certified: Certified) -> None:
    desk, entry = certified
    there = starting_in(evaluations.NOUN, EvaluationState.JUDGED)
    cards = ["card-tainan-1"]  # the same data: still not this version's evaluation
    other = evaluation("fairness", entry=OTHER_ENTRY, dataset_cards=cards) | results()
    put(desk, there, "ev-other", other, VAL_E)
    item = item_for(desk.records.store, "evaluation", "ev-other").as_json()
    body = changed(named(desk, entry), FAIRNESS, item)
    assert status_of(desk, body, 11) is Status.OTHER_VERSION


def test_another_versions_signed_record_does_not_count(certified: Certified) -> None:
    desk, entry = certified
    body, id = named(desk, entry), item_for(desk.records.store, "signed-version", entry).id
    other = changed(body, id, {"record": OTHER_ENTRY})
    assert status_of(desk, other, 30) is Status.OTHER_VERSION
    forged = changed(body, id, {"sha256": OTHER})
    assert status_of(desk, forged, 30) is Status.NOT_AS_RECORDED
    assert status_of(desk, body | {"entry": OTHER_ENTRY}, 30) is Status.NOT_AS_RECORDED


def test_expired_evidence_does_not_count(certified: Certified) -> None:
    desk, entry = certified
    body = named(desk, entry)
    past = changed(body, FAIRNESS, {"valid_until": "2026-08-31"})
    assert status_of(desk, past, 11) is Status.EXPIRED, "the dossier may say until when"
    assert status_of(desk, body, 15) is Status.MET
    desk.clock.turn(days=3 * 365)
    assert status_of(desk, body, 15) is Status.EXPIRED, "so may the document itself"


def test_evidence_that_was_withdrawn_does_not_count(certified: Certified) -> None:
    desk, entry = certified
    body = named(desk, entry)
    move(desk, documents.NOUN, "doc-risk-management", "F3", DEV)
    assert status_of(desk, body, 15) is Status.NOT_IN_FORCE


def test_one_external_site_is_not_several(certified: Certified) -> None:
    desk, entry = certified
    there = starting_in(evaluations.NOUN, EvaluationState.JUDGED)
    for sites in (["yilan-4"], ["yilan-4", "tainan-1"]):
        body = evaluation("discrimination", entry=entry, sites=sites) | results()
        put(desk, there, "ev-discrimination", body, VAL_E)
        assert status_of(desk, named(desk, entry), 10) is Status.MISSING


def test_a_site_without_its_data_card_is_missed(certified: Certified) -> None:
    desk, entry = certified
    body = named(desk, entry)
    answers = [
        one | {"evidence": [id for id in one["evidence"] if id != "dataset-card-card-tainan-1"]}
        for one in body["answers"]
    ]
    assert status_of(desk, body | {"answers": answers}, 6) is Status.MISSING
    assert status_of(desk, body | {"answers": answers}, 8) is Status.MET


# the dossier's way


def refused(desk: Desk, number: str, *signers: Any) -> list[PlatformError]:
    with pytest.raises(PlatformError) as found:
        move(desk, certification.NOUN, "dossier-1", number, *signers)
    error = found.value
    return list(error.problems) if isinstance(error, ProblemsFound) else [error]


def test_a_dossier_goes_from_open_to_licensed(certified: Certified) -> None:
    desk, entry = certified
    body = named(desk, entry)
    kept(desk, body)
    move(desk, certification.NOUN, "dossier-1", "C1", VAL_E)
    move(desk, certification.NOUN, "dossier-1", "C2", VAL_A)
    assert [type(one) for one in refused(desk, "C3", DEV)] == [DossierGuardError]
    body |= {"submissions": [SUBMISSION]}
    kept(desk, body)
    move(desk, certification.NOUN, "dossier-1", "C3", DEV)
    assert [type(one) for one in refused(desk, "C6", TFD)] == [DossierGuardError]
    move(desk, certification.NOUN, "dossier-1", "C4", TFD)
    assert [type(one) for one in refused(desk, "C5", DEV)] == [DossierGuardError]
    body |= {"submissions": [SUBMISSION, SUBMISSION | {"result": "answered"}], "device_id": "d-2"}
    kept(desk, body)
    assert [type(one) for one in refused(desk, "C5", DEV)] == [DossierGuardError], "an old bundle"
    body |= {"bundle": OTHER}
    kept(desk, body)
    move(desk, certification.NOUN, "dossier-1", "C5", DEV, VAL_A)
    kept(desk, body | {"licence": LICENCE})
    assert [type(one) for one in refused(desk, "C6", TFD)] == [DossierGuardError], "not yet issued"
    desk.clock.turn(days=120)
    assert move(desk, certification.NOUN, "dossier-1", "C6", TFD).state == "licensed"
    audit_log(desk.records.store, key=desk.signer.public_key)


def test_gaps_hold_a_dossier_back_and_say_what_to_do(certified: Certified) -> None:
    desk, entry = certified
    kept(desk, dossier(entry=entry))
    problems = refused(desk, "C1", VAL_E)
    assert {type(one) for one in problems} == {RequirementGapError}
    names = {str(one.values["requirement"]) for one in problems}
    assert len(names) == 27 and "TFDA-AI-32" not in names, "what should be there does not block"


def test_what_expires_between_check_and_signature_is_seen(certified: Certified) -> None:
    desk, entry = certified
    kept(desk, named(desk, entry))
    move(desk, certification.NOUN, "dossier-1", "C1", VAL_E)
    desk.clock.turn(days=3 * 365)
    assert {type(one) for one in refused(desk, "C2", VAL_A)} == {RequirementGapError}
    assert move(desk, certification.NOUN, "dossier-1", "C8", VAL_E).state == "open"


def test_a_dossier_without_its_bundle_is_not_signed(certified: Certified) -> None:
    desk, entry = certified
    kept(desk, named(desk, entry, bundle=None))
    move(desk, certification.NOUN, "dossier-1", "C1", VAL_E)
    assert [type(one) for one in refused(desk, "C2", VAL_A)] == [DossierGuardError]


@pytest.mark.parametrize(
    "changes", [{"device_id": "d-2"}, {"bundle": OTHER}, {"items": [], "answers": []}]
)
def test_what_was_signed_cannot_be_changed_on_the_way(
    certified: Certified, changes: dict[str, Any]
) -> None:
    desk, entry = certified
    body = named(desk, entry)
    kept(desk, body)
    move(desk, certification.NOUN, "dossier-1", "C1", VAL_E)
    move(desk, certification.NOUN, "dossier-1", "C2", VAL_A)
    kept(desk, body | {"submissions": [SUBMISSION]} | changes)
    assert [type(one) for one in refused(desk, "C3", DEV)] == [DossierChangedError]
    kept(desk, body | {"submissions": [SUBMISSION]})
    move(desk, certification.NOUN, "dossier-1", "C3", DEV)
    desk.clock.turn(days=120)
    kept(desk, body | {"submissions": [SUBMISSION], "licence": LICENCE} | changes)
    assert [type(one) for one in refused(desk, "C6", TFD)] == [DossierChangedError]


def test_an_unknown_pack_holds_a_dossier_back(certified: Certified) -> None:
    desk, entry = certified
    kept(desk, named(desk, entry, pack={"id": "tfda-ai", "version": "2031.1", "digest": DIGEST}))
    assert [type(one) for one in refused(desk, "C1", VAL_E)] == [RulePackError]


def test_an_expired_document_is_not_confirmed_and_a_plan_needs_its_decision(desk: Desk) -> None:
    put(desk, documents.NOUN, "old", document(valid_until="2026-08-31"), DEV)
    with pytest.raises(DossierGuardError):
        move(desk, documents.NOUN, "old", "F1", VAL_E)
    put(desk, change_plans.NOUN, "plan", change_plan(decision=None), DEV)
    with pytest.raises(ChangePlanError):
        move(desk, change_plans.NOUN, "plan", "V1", VAL_A)
    put(desk, change_plans.NOUN, "plan", change_plan(), DEV)
    assert move(desk, change_plans.NOUN, "plan", "V1", VAL_A, TFD).state == "approved"


# changes


def test_every_change_is_classified_as_the_guide_says() -> None:
    for size in (1, 2):
        for parts in itertools.combinations(ChangePart, size):
            never = set(parts) - MAY_BE_PLANNED
            whole, half = classify(parts, planned=parts), classify(parts, planned=parts[1:])
            assert whole.route is (Route.AMENDMENT if never else Route.PLAN)
            assert half.route is Route.AMENDMENT
            assert classify(parts, planned=None).route is Route.AMENDMENT
            assert whole.never_planned == never
    assert classify((), planned=None).route is Route.RECORD


def test_only_an_approved_plan_covers_a_change(desk: Desk) -> None:
    asked = ChangeAsked(parts=(ChangePart.ARCHITECTURE,), plan="plan")
    with pytest.raises(RecordNotFoundError):
        classify_asked(desk.records, asked)
    put(desk, change_plans.NOUN, "plan", change_plan(), DEV)
    assert classify_asked(desk.records, asked).not_in_plan == {ChangePart.ARCHITECTURE}
    move(desk, change_plans.NOUN, "plan", "V1", VAL_A, TFD)
    assert classify_asked(desk.records, asked).route is Route.PLAN
    move(desk, change_plans.NOUN, "plan", "V2", TFD)
    assert classify_asked(desk.records, asked).route is Route.AMENDMENT


# over HTTP


def test_gaps_items_packs_and_changes_are_answered_over_http(certified: Certified) -> None:
    desk, entry = certified
    kept(desk, dossier(entry=entry))
    app = FastAPI()
    app.include_router(certification_routes(desk.records))
    app.add_exception_handler(PlatformError, answer_platform_error)
    client = Client(app)
    (line,) = client.get("/v1/certification/packs").json()["items"]
    assert (line["id"], line["requirements"], line["digest"]) == ("tfda-ai", 32, PACK.digest)
    whole = client.get("/v1/certification/packs/tfda-ai/2026.1").json()
    assert RulePack.model_validate_json(json.dumps(whole)) == PACK
    said = client.get("/v1/certification/dossiers/dossier-1/completeness").json()
    assert said["complete"] is False and len(said["requirements"]) == 32
    item = client.get("/v1/certification/items/evaluation/ev-fairness").json()
    assert Dossier.model_validate_json(json.dumps(dossier(items=[item])))
    asked = {"parts": ["architecture", "population"]}
    answer = client.post("/v1/certification/changes", json=asked).json()
    assert answer["route"] == "amendment" and answer["never_planned"] == ["population"]
    for path in ("dossiers/none/completeness", "items/evaluation/none", "packs/x/2026.1"):
        assert client.get(f"/v1/certification/{path}").status_code in (404, 422)
    for bad in (b"{", b'{"parts": ["beauty"]}', b"[]", b"{}", b'{"parts": []}'):
        assert 400 <= client.post("/v1/certification/changes", content=bad).status_code < 500
