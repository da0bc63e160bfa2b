"""A run without privacy is replayed from the patients on: training, means, models, bit for bit."""

from dataclasses import replace
from pathlib import Path

import pytest

from clients import client_app, replaying
from clients.client_app import HospitalHandler
from clients.home import NodeHome
from clients.standing import Asked
from clients.training import Precision, fastest_precision
from federation.domain.ids import Sha256, SiteId
from federation.domain.replay import Outcome, Thing
from federation.evidence.signing import Signer
from federation.operations.artefacts import Artefacts
from federation.operations.environment import record_of_run
from federation.operations.replaying.centre import Retrain
from federation.operations.replaying.kept import KeptReply, KeptRound
from federation.recipes.model_files import digest_of_flat
from federation.wire.messages import FlatModel
from tests.node.handling import a_home, a_task, approve, change_policy, hold
from tests.operations.replayed_runs import PLAN, PlayedRun, a_run_study, wrong
from tests.training.arrays import a_cohort

NORTH = SiteId("north")


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NodeHome:
    (tmp_path / "node").mkdir()
    home = a_home(tmp_path / "node")
    change_policy(home, "without_privacy = false", "without_privacy = true")
    change_policy(home, "fewest_sites = 2", "fewest_sites = 1")
    hold(monkeypatch, a_cohort(patients=40, images_each=1, side=64))
    monkeypatch.setattr(
        replaying, "load_cohort", lambda *a, **k: vars(client_app)["load_cohort"](*a, **k)
    )
    return home


@pytest.fixture
def run(tmp_path: Path, node: NodeHome) -> PlayedRun:
    """Return two rounds that a hospital really trained, as the centre keeps them."""
    training = replace(PLAN, optimizer="adamw", learning_rate=0.001)
    study = a_run_study(quorum=1, training=training)
    approve(node, study)
    signers = {NORTH: Signer.load(node.node_key)}
    played = PlayedRun(Artefacts(tmp_path / "artefacts"), signers, study, a_task(study).run)
    played.record = record_of_run(study, initial_model=digest_of_flat(played.models[0]))
    handler = HospitalHandler(node)
    for number in (1, 2):
        reply = handler(a_task(study, round=number, model=played.models[-1]))
        played.keep([played.accept(NORTH, reply)])
    return played


def test_a_whole_run_is_computed_again_from_the_patients_on(node: NodeHome, run: PlayedRun) -> None:
    found = run.replayed(retrain=_at(node, run))

    trained = [one for one in found.findings if one.thing is Thing.TRAINING]
    assert [(one.round, one.outcome) for one in trained] == [(1, Outcome.SAME), (2, Outcome.SAME)]
    assert found.status == "same"


def test_a_hospital_that_computes_otherwise_is_named_with_its_first_round(
    node: NodeHome, run: PlayedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_fast = fastest_precision() is Precision.BFLOAT16
    other = Precision.FLOAT32 if is_fast else Precision.BFLOAT16
    monkeypatch.setattr(replaying, "precision_of", lambda _plan: other)

    found = wrong(run.replayed(retrain=_at(node, run)))

    assert [(one.round, one.thing, one.site) for one in found] == [
        (1, Thing.TRAINING, NORTH),
        (2, Thing.TRAINING, NORTH),
    ]


def _at(node: NodeHome, run: PlayedRun) -> Retrain:
    def retrain(played: KeptRound, reply: KeptReply, model: FlatModel) -> Sha256 | None:
        asked = Asked(run.study.id, run.study.digest, run.run, played.number)
        return replaying.trained_again(node, asked, model)

    return retrain
