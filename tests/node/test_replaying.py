"""A hospital computes its own rounds once more: nothing leaves, and a changed record is found."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from clients import client_app, computed_with, replaying, training
from clients.client_app import HospitalHandler
from clients.data.cohort.arrays import PatientArrays
from clients.data.cohort.load import Cohort
from clients.decide import withdraw_study
from clients.home import NodeHome
from clients.replaying import replay, trained_again
from clients.replies import KeptReplies
from clients.standing import Asked
from clients.training import Precision
from federation.commands import replay as commands
from federation.domain.ids import RunId
from federation.domain.replay import Finding, Outcome, Replayed, Thing
from federation.domain.study import Study
from federation.errors import PlatformError
from federation.errors.approval import ApprovalWithdrawnError
from federation.errors.ledger import KeptReplyDamagedError
from federation.errors.replay import (
    ModelFileRefusedError,
    NoiseNotKeptError,
    ReplayDiffersError,
    ReplyNotKeptError,
    RoundModelMissingError,
)
from federation.errors.signed import UnknownSignerError
from federation.evidence.signing import Signer, new_key
from federation.operations.artefacts import model_bytes
from federation.wire.messages import FlatModel
from tests.node.handling import (
    MANIFEST,
    PLAN,
    a_home,
    a_model,
    a_task,
    an_evaluation,
    approve,
    change_policy,
    hold,
    our_study,
    states,
)
from tests.training.arrays import a_cohort

RUN = RunId("cxr-2026.1")
PLAIN = our_study(privacy=None, training=replace(PLAN, optimizer="adamw", learning_rate=0.001))
PRIVATE = our_study()
"""What `a_home` has approved already."""


@pytest.fixture
def patients() -> PatientArrays:
    made: PatientArrays = a_cohort(patients=40, images_each=1, side=64)
    return made


@pytest.fixture
def home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patients: PatientArrays
) -> Iterator[NodeHome]:
    """Return a hospital that approved the study with and the one without privacy."""
    (tmp_path / "node").mkdir()
    node = a_home(tmp_path / "node")
    node.node_public_key.write_bytes(Signer.load(node.node_key).public_key.pem)
    change_policy(node, "without_privacy = false", "without_privacy = true")
    hold(monkeypatch, patients)
    monkeypatch.setattr(replaying, "load_cohort", _held)
    yield node


def _held(*arguments: Any, **options: Any) -> Cohort:
    """Return the cohort that `hold` put in place of the hospital's images."""
    cohort: Cohort = vars(client_app)["load_cohort"](*arguments, **options)
    return cohort


def answered(home: NodeHome, study: Study = PLAIN, *, rounds: int = 1) -> list[FlatModel]:
    """Let the hospital train some rounds; return the models that it was asked with."""
    if study != PRIVATE:
        approve(home, study)
    models, handler = [a_model()], HospitalHandler(home)
    for number in range(1, rounds + 1):
        reply = handler(a_task(study, round=number, model=models[-1]))
        assert reply.update is not None
        models.append(models[-1] + reply.update)
    return models


def outcomes(found: Replayed, number: int = 1) -> dict[Thing, Outcome]:
    return {one.thing: one.outcome for one in found.of_round(number)}


def exported(folder: Path, model: FlatModel) -> Path:
    path = folder / "model.safetensors"
    path.write_bytes(model_bytes(model, MANIFEST))
    return path


def heads(home: NodeHome) -> list[bytes]:
    """Return everything of the home that a replay must leave as it is."""
    kept = sorted((home.replies / RUN).rglob("*"))
    return [path.read_bytes() for path in [home.audit_log, *kept] if path.is_file()]


def test_training_again_gives_the_bits_that_left(home: NodeHome) -> None:
    answered(home)

    found = replay(home, PLAIN.id, RUN)

    assert found.status == "same"
    assert outcomes(found) == dict.fromkeys(
        (Thing.SIGNATURE, Thing.UPDATE, Thing.GATE, Thing.COHORT, Thing.TRAINING), Outcome.SAME
    )


def test_a_replay_changes_nothing_in_the_hospital(home: NodeHome) -> None:
    answered(home)
    before = heads(home)

    replay(home, PLAIN.id, RUN)

    assert heads(home) == before


def test_a_later_round_is_trained_again_from_the_file_of_its_model(
    home: NodeHome, tmp_path: Path
) -> None:
    models = answered(home, rounds=2)

    without = replay(home, PLAIN.id, RUN, number=2)
    found = replay(home, PLAIN.id, RUN, number=2, models=[exported(tmp_path, models[1])])

    (missing,) = [one for one in without.findings if one.thing is Thing.TRAINING]
    assert (missing.outcome, missing.code) == (Outcome.UNCHECKED, RoundModelMissingError.code)
    assert outcomes(found, 2)[Thing.TRAINING] is Outcome.SAME


def test_the_model_of_another_round_is_not_trained_from(home: NodeHome, tmp_path: Path) -> None:
    models = answered(home, rounds=2)

    found = replay(home, PLAIN.id, RUN, number=2, models=[exported(tmp_path, models[2])])

    assert outcomes(found, 2)[Thing.TRAINING] is Outcome.UNCHECKED


@pytest.mark.parametrize("content", [b"", b"\x80\x04K\x01.", model_bytes(a_model(), MANIFEST)[:99]])
def test_a_file_that_is_no_model_is_refused(home: NodeHome, tmp_path: Path, content: bytes) -> None:
    answered(home, rounds=2)
    (tmp_path / "other").write_bytes(content)

    with pytest.raises(ModelFileRefusedError):
        replay(home, PLAIN.id, RUN, number=2, models=[tmp_path / "other"])


def test_the_evaluation_is_done_again_with_the_final_model(home: NodeHome, tmp_path: Path) -> None:
    models = answered(home, rounds=2)
    HospitalHandler(home)(an_evaluation(study=PLAIN, model=models[2]))

    found = replay(home, PLAIN.id, RUN, number=2, models=[exported(tmp_path, models[2])])

    assert outcomes(found, 2)[Thing.EVALUATION] is Outcome.SAME


def test_training_that_comes_out_different_is_named_with_what_changed(
    home: NodeHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered(home)
    computed_with.remember(home.replies, RUN, 1)
    path = home.replies / RUN / "environment-00001.json"
    then = json.loads(path.read_text())
    path.write_text(json.dumps({**then, "packages": {**then["packages"], "torch": "1.0"}}))
    other = _the_other(training.fastest_precision())
    monkeypatch.setattr(replaying, "precision_of", lambda _plan: other)

    found = replay(home, PLAIN.id, RUN)

    assert outcomes(found)[Thing.TRAINING] is Outcome.DIFFERENT
    assert [(one.name, one.then) for one in found.changes] == [("torch", "1.0")]
    with pytest.raises(ReplayDiffersError, match=r"round 1: training again.*torch 1\.0 -> "):
        found.check()


def test_a_private_round_says_why_it_cannot_be_trained_again(home: NodeHome) -> None:
    answered(home, PRIVATE)
    before = states(home)

    found = replay(home, PRIVATE.id, RUN)

    assert found.status == "same"
    assert outcomes(found) == {
        **dict.fromkeys(
            (Thing.SIGNATURE, Thing.UPDATE, Thing.GATE, Thing.LEDGER, Thing.COHORT), Outcome.SAME
        ),
        Thing.TRAINING: Outcome.UNCHECKED,
    }
    assert found.findings[-1].code == NoiseNotKeptError.code
    assert states(home) == before


def test_a_private_round_is_never_trained_again_for_the_centre(home: NodeHome) -> None:
    answered(home, PRIVATE)

    with pytest.raises(NoiseNotKeptError):
        trained_again(home, Asked(PRIVATE.id, PRIVATE.digest, RUN, 1), a_model())


def test_a_round_that_the_privacy_book_does_not_count_is_found(home: NodeHome) -> None:
    answered(home, PRIVATE)
    home.ledger.unlink()
    for part in home.folder.glob("ledger.db-*"):
        part.unlink()

    found = replay(home, PRIVATE.id, RUN)

    assert _first(found).thing is Thing.LEDGER


def test_patients_who_left_since_are_no_fault_and_nobody_is_trained_on(
    home: NodeHome, monkeypatch: pytest.MonkeyPatch, patients: PatientArrays
) -> None:
    answered(home)
    hold(monkeypatch, patients, images=())
    monkeypatch.setattr(replaying, "train", lambda *_, **__: pytest.fail("trained"))

    found = replay(home, PLAIN.id, RUN)

    assert found.status == "same"
    assert outcomes(found)[Thing.COHORT] is Outcome.UNCHECKED
    assert outcomes(found)[Thing.TRAINING] is Outcome.UNCHECKED


def test_patients_are_not_touched_once_the_approval_was_withdrawn(
    home: NodeHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered(home)
    withdraw_study(home, PLAIN.id, reason="enough", now=datetime.now(UTC))
    monkeypatch.setattr(replaying, "load_cohort", lambda *_, **__: pytest.fail("looked"))

    with pytest.raises(ApprovalWithdrawnError):
        replay(home, PLAIN.id, RUN)


def test_a_kept_update_with_one_byte_changed_is_refused(home: NodeHome) -> None:
    answered(home)
    (array,) = (home.replies / RUN).glob("*.npy")
    content = bytearray(array.read_bytes())
    content[-1] ^= 1
    array.write_bytes(content)

    with pytest.raises(KeptReplyDamagedError):
        replay(home, PLAIN.id, RUN)


def test_another_report_beside_the_same_signature_is_refused(home: NodeHome) -> None:
    answered(home)
    _rewrite(home, report={"patients": 50})

    with pytest.raises(KeptReplyDamagedError):
        replay(home, PLAIN.id, RUN)


def test_a_reply_that_this_node_did_not_sign_is_refused(home: NodeHome, tmp_path: Path) -> None:
    answered(home)
    home.node_public_key.write_bytes(new_key(tmp_path / "other.key").public_key.pem)

    with pytest.raises(UnknownSignerError):
        replay(home, PLAIN.id, RUN)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"signature": 1}', "{" * 100_000])
def test_a_kept_file_of_nonsense_is_a_coded_error(home: NodeHome, content: str) -> None:
    answered(home)
    (path,) = (home.replies / RUN).glob("train-*.json")
    path.write_text(content)

    with pytest.raises(PlatformError):
        replay(home, PLAIN.id, RUN)


def test_a_low_bit_that_was_put_back_is_found(
    home: NodeHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clients.gate.without_low_bits", lambda update: update)
    answered(home)

    assert _first(replay(home, PLAIN.id, RUN)).thing is Thing.GATE


def test_a_round_that_was_not_answered_is_refused_with_those_that_were(home: NodeHome) -> None:
    answered(home)

    with pytest.raises(ReplyNotKeptError, match="kept: 1"):
        replay(home, PLAIN.id, RUN, number=2)
    with pytest.raises(ReplyNotKeptError, match="kept: none"):
        replay(home, PLAIN.id, RunId("cxr-2026.2"))


def test_what_a_round_was_computed_with_is_kept_and_forgotten_with_its_run(home: NodeHome) -> None:
    computed_with.remember(home.replies, RUN, 3)

    kept = computed_with.remembered(home.replies, RUN, 3)
    KeptReplies(home.replies).forget(RUN)

    assert isinstance(kept["arithmetic"], str)
    assert not computed_with.remembered(home.replies, RUN, 3)


def _first(found: Replayed) -> Finding:
    assert found.first is not None
    return found.first


def _the_other(precision: Precision) -> Precision:
    return Precision.FLOAT32 if precision is Precision.BFLOAT16 else Precision.BFLOAT16


def _rewrite(home: NodeHome, **changes: object) -> None:
    (path,) = (home.replies / RUN).glob("train-*.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_updates_are_compared_by_their_bits(home: NodeHome) -> None:
    model = answered(home)[0]
    asked = Asked(PLAIN.id, PLAIN.digest, RUN, 1)

    assert trained_again(home, asked, model) == trained_again(home, asked, model.copy())
    assert trained_again(home, asked, model) != trained_again(
        home, asked, np.nextafter(model, np.float32(1))
    )


def test_staff_replay_by_a_command_that_says_what_was_not_compared(
    home: NodeHome, tmp_path: Path
) -> None:
    models = answered(home, rounds=2)
    app = typer.Typer()
    app.command()(commands.replay_rounds)

    def say(*more: object) -> str:
        asked = [PLAIN.id, RUN, "--home", home.folder, *more]
        told = CliRunner().invoke(app, [str(one) for one in asked])
        assert told.exit_code == 0, told.output
        return told.output

    without, found = say(), say("--model", exported(tmp_path, models[1]))
    (told,) = [json.loads(line) for line in say("--round", 1, "--json").splitlines()]

    assert "Round 2: same (" in without
    assert f"not compared: training again at a site [{RoundModelMissingError.code}]" in without
    assert "not compared" not in found
    assert found.splitlines()[-1].startswith("cxr-2026.1: 2 rounds computed once more")
    assert (told["status"], told["rounds"]) == ("same", 1)
