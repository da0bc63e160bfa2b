"""Records that the platform makes of what it knows: proof, training run, dataset cards, dossier."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from clients.card_words import CARD_WORDS, read_words
from clients.data.catalogue.cards import without_counts
from clients.data.people.lineage import Lineage, RoundState, TrainedRound
from clients.evaluation_study.disjointness import digest_of_people, left_out_of
from clients.evaluation_study.predictions import KeptPredictions
from clients.home import NodeHome
from clients.signed_cards import sign_card
from federation.commands import registry
from federation.commands.evidence_rehearsal.dossier import DOSSIER, open_with_evidence
from federation.commands.evidence_rehearsal.evaluation import judge, plan_evaluation
from federation.commands.evidence_rehearsal.records import RecordsOf, Written
from federation.commands.node import cards
from federation.coordinator.records import ControlRecords
from federation.domain.evaluation_plan import EvaluatedVersion
from federation.domain.ids import RunId, Sha256, SiteId, StudyId
from federation.errors.evaluating import DisjointnessError
from federation.errors.evidence_nouns import DataGuardError
from federation.errors.records import (
    CardDataError,
    CardNotSignedError,
    CardWordsError,
    RunRecordError,
)
from federation.evidence.dsse import read_envelope
from federation.evidence.signing import Signer, sign_dsse
from federation.evidence.statements import Statement
from federation.operations.dataset_cards import SIGNED, import_cards
from federation.operations.embedded_registry import Actor, audit, desk
from federation.operations.evaluations.planning import record_of
from federation.operations.evaluations.submitting import People, submit_plan
from federation.operations.training_runs import RunWords, newest_run, write_training_run
from federation.protocol.mapping import Card
from registry.models.disjointness import is_disjoint
from tests.evaluate.in_process import TRAINING, Federation
from tests.evaluate.test_commands import typed
from tests.evaluate.test_federated import APPROVER, NOW, WRITER, an_evaluation

STUDY = StudyId(TRAINING)
OWNER = Actor("lee", "Tainan-Hospital", "HAO")
VAL_E = Actor("kuo", "Validation-Centre", "VAL-E")
COMMITTEE = Actor("hsu", "Tainan-Hospital", "HAC")
BLANK = '{ "zh-TW" = "", en = "" }'


def words(**changes: str) -> bytes:
    """Return the file of words, filled in; `changes` replace text in it."""
    filled = {
        BLANK: '{ "zh-TW" = "合成影像", en = "generated" }',
        'person = ""': 'person = "chen"',
        'organisation = ""': 'organisation = "Taipei-Hospital"',
        'legal_basis = ""': 'legal_basis = "research-exemption"',
        'application = ""': 'application = "app-1"',
        'board = ""': 'board = "C-IRB"',
        '# exemption = ""': 'exemption = "generated-images"',
    }
    text = CARD_WORDS.format(study=STUDY)
    for old, new in (filled | changes).items():
        text = text.replace(old, new)
    return text.encode()


def bring(fed: Federation, study: StudyId = STUDY) -> None:
    """Do what the agents do: bring every offered card to the centre."""
    for site, node in fed.nodes.items():
        content = (node.cards / f"{study}.json").read_bytes()
        ControlRecords(fed.centre.folder).keep_card(site, Card(study, content))


def sign_all(fed: Federation) -> None:
    for node in fed.nodes.values():
        sign_card(node, STUDY, read_words(words(), name="words"), now=NOW)
    bring(fed)


# disjointness


def test_an_evaluation_brings_the_proof_that_nobody_of_it_was_trained_on(
    fed: Federation, entry: str
) -> None:
    study = an_evaluation(fed, entry)
    submit_plan(fed.centre, study, People(WRITER, APPROVER))
    fed.evaluate(study)

    register, signed = desk(fed.centre), record_of(fed.centre, entry)
    record = register.get("evaluation", "eval-1.1.discrimination")
    private = register.get("evaluation", "eval-1.1.privacy")

    with register.records.store.reading() as transaction:
        assert is_disjoint(transaction, record, signed)
        assert not is_disjoint(transaction, record, replace_run(signed)), "not of another run"
    assert private.body["disjointness"] is None, "that one is about those who were trained on"
    audit(fed.centre)
    for site, node in fed.nodes.items():
        said = prepared(fed, node, study.id)
        found = KeptPredictions.of(node, study).read(1)
        assert found is not None
        trained = Lineage(node.data).members(RunId(signed.run))
        counted = [key for key, left in zip(found.keys, found.members, strict=True) if not left]
        assert not trained & {str(key) for key in counted}, site
        assert said["runs"] == [signed.run]
        assert said["trained"] == str(digest_of_people(trained, study=study.digest))
        assert said["counted"] == str(digest_of_people(map(str, counted), study=study.digest))
        assert said["left_out"] is None or said["left_out"] % 10 == 0


def replace_run(signed: Any) -> Any:
    return signed.model_copy(update={"run": "another.1"})


def prepared(fed: Federation, node: NodeHome, study: StudyId) -> Mapping[str, Any]:
    """Return what a hospital signed when it prepared the version."""
    del fed
    (kept,) = (node.replies / f"{study}.1").glob("*00001*.json")
    said = Statement.from_bytes(read_envelope(json.loads(kept.read_text())["signature"]).payload)
    report: Mapping[str, Any] = said.predicate["report"]  # type: ignore[assignment]
    found: Mapping[str, Any] = report["disjointness"]
    return found


def a_round(run: str, number: int, model: str, *people: str) -> TrainedRound:
    return TrainedRound(
        study=run.partition(".")[0],
        run=RunId(run),
        round=number,
        model_in=Sha256.of(model.encode()),
        dataset=Sha256.of(b"data"),
        optout_version="v1",
        patients=people,
    )


def a_version(run: str, *trained_at: str) -> EvaluatedVersion:
    digest = Sha256.of(b"weights")
    sites = tuple(SiteId(site) for site in trained_at)
    return EvaluatedVersion("entry", digest, digest, RunId(run), sites, 0.8)


def test_runs_that_a_version_went_on_from_are_left_out_too(fed: Federation) -> None:
    node = fed.nodes[SiteId("taipei")]
    book = Lineage(node.data)
    for one in (
        a_round("first.1", 1, "seed", "a"),
        a_round("first.1", 2, "first, half done", "b"),
        a_round("second.1", 1, "first, done", "c"),
        a_round("third.1", 1, "first, half done", "d"),
        a_round("other.1", 1, "seed", "e"),
    ):
        book.begin(one, now=NOW)
    book.name_model(run=RunId("first.1"), model=Sha256.of(b"first, done"))

    def left(run: str) -> set[str]:
        return set(left_out_of(node, book, a_version(run, "taipei")).people)

    assert left("second.1") == {"a", "b", "c"}
    assert left("third.1") == {"a", "b", "d"}, "also from a model in the middle of a run"
    assert left("first.1") == {"a", "b"}
    assert left("other.1") == {"e"}, "the same beginning is no earlier run"
    with pytest.raises(DisjointnessError):
        left_out_of(node, book, a_version("unknown.1", "taipei"))
    assert left_out_of(node, book, a_version("unknown.1", "tainan")).people == frozenset()


def test_the_final_model_of_a_run_is_in_the_lineage(fed: Federation, entry: str) -> None:
    study = an_evaluation(fed, entry)
    assert study.evaluation is not None
    version = study.evaluation.versions[0]
    for node in fed.nodes.values():
        book = Lineage(node.data)
        later = a_round("later.1", 1, "-", "somebody")
        book.begin(replace(later, model_in=version.array), now=NOW)
        assert version.run in book.line_of(RunId("later.1"))


# training runs


def test_the_record_of_a_run_is_verified_against_the_log(fed: Federation, entry: str) -> None:
    run = newest_run(fed.centre, STUDY)
    kept = write_training_run(fed.centre, run, RunWords(energy_kwh=1.5), actor=OWNER)
    body: dict[str, Any] = dict(kept.body)

    assert (kept.id, body["versions"], body["energy_kwh"]) == (run, [entry], 1.5)
    assert {one["site"] for one in body["participants"]} == {str(site) for site in fed.nodes}
    assert sum(one["weight"] for one in body["participants"]) == pytest.approx(1, abs=1e-5)
    assert "hospitals: not recorded" in body["hardware"]
    moved = desk(fed.centre).move(
        "training-run", run, "R1", VAL_E, reason="checked", revision=kept.revision
    )
    assert moved.record.state == "verified"
    audit(fed.centre)


def test_a_run_that_is_not_there_has_no_record(fed: Federation) -> None:
    with pytest.raises(RunRecordError):
        write_training_run(fed.centre, RunId(f"{STUDY}.9"), RunWords(), actor=OWNER)


def test_a_run_that_trained_nothing_has_no_record(fed: Federation, entry: str) -> None:
    study = an_evaluation(fed, entry)
    fed.evaluate(study)
    with pytest.raises(RunRecordError):
        write_training_run(fed.centre, newest_run(fed.centre, study.id), RunWords(), actor=OWNER)


def test_a_run_written_again_names_the_cards_that_came_since(fed: Federation) -> None:
    run = newest_run(fed.centre, STUDY)
    first = write_training_run(fed.centre, run, RunWords(), actor=OWNER)
    sign_all(fed)
    import_cards(fed.centre, STUDY)
    again = write_training_run(fed.centre, run, RunWords(), actor=OWNER)

    cards = {one["dataset_card"] for one in again.body["participants"]}  # type: ignore[attr-defined]
    assert cards == {f"{site}.{STUDY}" for site in fed.nodes}
    assert first.body["attestation"] == again.body["attestation"]


# dataset cards


def test_signed_cards_are_taken_and_used_as_they_were_signed(fed: Federation, entry: str) -> None:
    sign_all(fed)
    taken = import_cards(fed.centre, STUDY)
    again = import_cards(fed.centre, STUDY)
    register, data = (
        desk(fed.centre),
        {one.site: one.dataset_digest for one in record_of(fed.centre, entry).participants},
    )

    assert [one.refusal for one in (*taken, *again)] == 6 * [None]
    for one in taken:
        assert one.record is not None
        body: dict[str, Any] = dict(one.record.body)
        assert (one.record.revision, one.record.author.role.value) == (1, "DST")
        assert one.record.author.person == "chen"
        assert body["prepared_data_hash"] == data[str(one.site)]
        assert body["patients"] == 40 and body["opt_out"]["excluded"] == 0
        cells = [cell["n"] for cell in body["age_band"]["cells"]]
        assert all(n is None or n >= 10 for n in cells)
        moved = register.move(
            "dataset-card", one.record.id, "D1", COMMITTEE, reason="agreed", revision=1
        )
        assert moved.record.state == "in-use"
    audit(fed.centre)


def test_a_card_changed_after_it_was_signed_is_not_used(fed: Federation) -> None:
    sign_all(fed)
    (first, *_) = import_cards(fed.centre, STUDY)
    assert first.record is not None
    steward = Actor("chen", "Taipei-Hospital", "DST")
    body = {**first.record.body, "images": 9000}
    register = desk(fed.centre)
    register.put("dataset-card", first.record.id, body, steward, revision=1, reason="more")

    with pytest.raises(DataGuardError, match="signed"):
        register.move("dataset-card", first.record.id, "D1", COMMITTEE, reason="x", revision=2)


def forged(fed: Federation, **said: object) -> bytes:
    """Return a card of Taipei, signed by another node, or saying something else."""
    node = fed.nodes[SiteId("taipei")]
    path = sign_card(node, STUDY, read_words(words(), name="words"), now=NOW)
    sent = json.loads(path.read_text())
    honest = Statement.from_bytes(read_envelope(sent[SIGNED]).payload)
    by = fed.nodes[SiteId("tainan")] if not said else node
    statement = replace(honest, predicate={**honest.predicate, **said})
    return json.dumps({**sent, SIGNED: sign_dsse(statement, Signer.load(by.node_key))}).encode()


FORGED: dict[str, dict[str, object]] = {
    "another key": {},
    "another site": {"site": "tainan"},
    "another study": {"study": "other"},
    "no steward": {"by": None},
    "another thing": {"what": "noisy-counts"},
}


def test_a_card_that_its_node_did_not_sign_is_not_taken(fed: Federation) -> None:
    for wrong, said in FORGED.items():
        content = forged(fed, **said)
        ControlRecords(fed.centre.folder).keep_card(SiteId("taipei"), Card(STUDY, content))
        (found,) = import_cards(fed.centre, STUDY)
        assert isinstance(found.refusal, CardNotSignedError), wrong


def test_an_offered_card_that_nobody_signed_is_said_to_be_unsigned(fed: Federation) -> None:
    bring(fed)
    assert {type(one.refusal) for one in import_cards(fed.centre, STUDY)} == {CardNotSignedError}


def test_data_that_changed_since_the_last_round_get_no_card(fed: Federation) -> None:
    node = fed.nodes[SiteId("taipei")]
    book, run = Lineage(node.data), RunId(f"{STUDY}.2")
    book.begin(replace(a_round(run, 1, "x", "somebody"), study=STUDY), now=NOW)
    book.end(run, 1, RoundState.RELEASED, model_out=Sha256.of(b"out"))
    with pytest.raises(CardDataError):
        sign_card(node, STUDY, read_words(words(), name="words"), now=NOW)


def test_people_to_be_kept_apart_who_were_trained_on_hold_the_card_back(fed: Federation) -> None:
    node = fed.nodes[SiteId("taipei")]
    from clients.data.catalogue.store import Catalogue

    with Catalogue(node.data) as catalogue:
        found, _ = catalogue.select(modalities=(), label="", opted_out=frozenset())
    everybody = sorted({one.patient for one in found})
    book, run = Lineage(node.data), RunId(f"{STUDY}.2")
    book.begin(replace(a_round(run, 1, "x", *everybody), study=STUDY), now=NOW)
    with pytest.raises(CardDataError):
        sign_card(node, STUDY, read_words(words(), name="words"), now=NOW)


def test_a_study_that_was_not_approved_has_no_card(fed: Federation) -> None:
    node = fed.nodes[SiteId("taipei")]
    (node.cards / f"{STUDY}.json").unlink()
    with pytest.raises(CardDataError):
        sign_card(node, STUDY, read_words(words(), name="words"), now=NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {'person = ""': 'person = " "'},
        {BLANK: BLANK},
        {'legal_basis = ""': 'legal_basis = "because"'},
        {'application = ""': 'application = "no such id!"'},
        {"annotators = 0": "annotators = -1"},
        {"# kappa = 0.8": 'kappa = "much"'},
        {"# destroy_by = 2030-12-31": 'destroy_by = "2030-12-31"'},
        {'# number = ""': 'number = "7"'},
        {'source_systems = ["PACS"]': "source_systems = []"},
        {'title = { "zh-TW" = "合成影像"': 'titel = { "zh-TW" = "合成影像"'},
        {"[labels]": "[lables]"},
        {"[ethics]": "[ethics"},
    ],
    ids=lambda one: next(iter(one)),
)
def test_words_that_are_missing_or_of_another_form_are_refused(changes: dict[str, str]) -> None:
    text = words(**changes)
    if "titel" in str(changes):
        text = text.replace(b"title =", b"titel =")
    with pytest.raises(CardWordsError):
        read_words(text, name="words")


def test_where_a_study_asked_for_noise_the_card_has_the_noisy_number_alone(
    fed: Federation,
) -> None:
    node = fed.nodes[SiteId("taipei")]
    offered = node.cards / f"{STUDY}.json"
    noisy = {"counts": {"patients": 37, "sex F": 21}, "sigma": 3.0, "events": []}
    kept = without_counts(json.loads(offered.read_text()))
    offered.write_text(json.dumps({**kept, "noisy_counts": noisy}))
    period = "period = { begin = 2025-01-01, end = 2025-12-31 }"
    with pytest.raises(CardDataError):
        sign_card(node, STUDY, read_words(words(), name="words"), now=NOW)
    typed_in = read_words(words(**{"[ethics]": f"{period}\n[ethics]"}), name="words")

    sign_card(node, STUDY, typed_in, now=NOW)
    ControlRecords(fed.centre.folder).keep_card(SiteId("taipei"), Card(STUDY, offered.read_bytes()))
    (taken,) = import_cards(fed.centre, STUDY)

    assert taken.record is not None
    body: dict[str, Any] = dict(taken.record.body)
    assert (body["patients"], body["images"], body["opt_out"]["excluded"]) == (37, None, None)
    assert not any(body[name]["cells"] for name in ("sex", "age_band", "scanner"))
    register = desk(fed.centre)
    register.move("dataset-card", taken.record.id, "D1", COMMITTEE, reason="x", revision=1)


def test_cards_and_runs_are_made_as_a_person_types_it(fed: Federation, tmp_path: Path) -> None:
    home, file = fed.centre.folder, tmp_path / "words.toml"
    said = json.loads(typed("new", STUDY, "-o", file, "--json", app=cards.card_app))
    assert said["study"] == STUDY and "legal_basis" in file.read_text("utf-8")
    node = fed.nodes[SiteId("taipei")].folder
    with pytest.raises(CardWordsError):
        typed("sign", STUDY, file, "--home", node, app=cards.card_app)

    file.write_bytes(words())
    typed("sign", STUDY, file, "--home", node, app=cards.card_app)
    bring(fed)
    listed = CliRunner().invoke(registry.app, ["dataset-cards", STUDY, "--home", str(home)])
    actor = ("--person", "lee", "--organisation", "Tainan-Hospital")
    made = json.loads(
        typed("training-run", STUDY, "--home", home, *actor, "--json", app=registry.app)
    )

    assert listed.exit_code == 1 and f"taipei: card taipei.{STUDY} is draft" in listed.output
    assert f"tainan: [{CardNotSignedError.code}]" in listed.output
    assert (made["id"], made["state"]) == (f"{STUDY}.1", "recorded")


# all of it, as the demo does it


@pytest.mark.slow
def test_the_dossier_of_a_version_names_all_that_the_platform_knows(
    fed: Federation, entry: str, tmp_path: Path
) -> None:
    register = desk(fed.centre)
    study = plan_evaluation(
        fed.centre.folder, entry, cohort="chest-x-ray", threshold=0.5, now=datetime.now(UTC)
    )
    result = fed.evaluate(study)
    assert result.status == "completed", result.errors
    judged = judge(fed.centre.folder, register, entry, result.as_json()).judged
    homes = {str(site): node.folder for site, node in fed.nodes.items()}
    folder = tmp_path / "records"

    found = RecordsOf(
        fed.centre.folder, register, STUDY, entry, homes, folder, lambda: bring(fed)
    ).write(judged, now=datetime.now(UTC))
    opened = open_with_evidence(register, entry)

    assert isinstance(found, Written)
    assert set(found.cards.values()) == {"in-use"} and len(found.cards) == 3
    assert found.run_state == "verified"
    met = {
        one.requirement.id.removeprefix("TFDA-AI-")
        for one in register.completeness(DOSSIER).findings
        if one.status.value == "met"
    }
    assert {"02", "03", "04", "06", "08", "29", "30", "32"} <= met
    assert {"15", "16", "20", "21", "22", "26", "31"}.isdisjoint(met), "only people have these"
    assert len(met) == opened.met
    audit(fed.centre)
