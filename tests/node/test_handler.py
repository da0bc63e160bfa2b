"""The one path from a task to a reply: what the approval and the book do not cover stays inside."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from clients import approvals, client_app
from clients.approvals import Desk
from clients.client_app import HospitalHandler
from clients.data.cohort.load import Cohort
from clients.decide import approve_study
from clients.home import FOLDERS, NodeHome, NodeSettings
from clients.ledger_store import LedgerStore
from clients.policy import TEMPLATE, read_policy
from federation.domain.ids import RunId, Sha256, SiteId
from federation.domain.study import PrivacyPlan, Study, TrainingPlan
from federation.errors.approval import NotApprovedError, PolicyRefusedError, ProposalChangedError
from federation.errors.ledger import BudgetExceededError
from federation.errors.privacy import TrainingDivergedError
from federation.evidence.signing import Signer, new_key
from federation.privacy.ledger import EntryKind
from federation.recipes import catalogue, flat, networks
from federation.wire.messages import FlatModel, Task, TaskKind
from federation.wire.study import study_as_json
from tests.builders import NOW, a_study
from tests.training.arrays import a_cohort

RECIPE = catalogue.recipe("cxr-pneumonia-small")
PLAN = TrainingPlan(
    rounds=2, local_epochs=1.0, learning_rate=0.1, batch_size=20, optimizer="sgd", momentum=0.0
)


def our_study(**changes: object) -> Study:
    return a_study(**{"recipe_digest": RECIPE.digest, "training": PLAN, **changes})


def approve(home: NodeHome, study: Study) -> None:
    home.proposal(study.id).write_text(json.dumps(study_as_json(study)))
    approvals.approve(
        Desk(home.proposals, home.decisions, SiteId("north")),
        study,
        policy=read_policy(home.policy),
        recipe=RECIPE,
        manifest_digest=Sha256.of(b"manifest"),
        dataset_digest=Sha256.of(b"data"),
        officer=Signer.load(home.officer_key),
        now=NOW,
    )


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NodeHome:
    """Return a hospital with forty patients, half of them held out, that approved the study."""
    node = NodeHome(tmp_path)
    for folder in FOLDERS:
        (tmp_path / folder).mkdir()
    node.write_settings(NodeSettings(SiteId("north"), "North", "Centre", "localhost:1"))
    node.policy.write_text(TEMPLATE, encoding="utf-8")
    new_key(node.node_key)
    officer = new_key(node.officer_key)
    node.officer_public_key.write_bytes(officer.public_key.pem)
    part = a_cohort(patients=40, images_each=1, side=64)
    cohort = Cohort(part, part, Sha256.of(b"data"), 0)
    monkeypatch.setattr(client_app, "load_cohort", lambda *_, **__: cohort)
    approve(node, our_study())
    return node


def a_model(shift: float = 0.0) -> FlatModel:
    return flat.flatten(networks.build(RECIPE, seed=7)) + np.float32(shift)


def a_task(study: Study | None = None, **changes: object) -> Task:
    study = study or our_study()
    task = Task(TaskKind.TRAIN, study.id, RunId.of(study.id, 1), 1, study.digest, a_model())
    return replace(task, **changes)  # type: ignore[arg-type]


def an_evaluation(**changes: object) -> Task:
    return a_task(**{"kind": TaskKind.EVALUATE, "round": PLAN.rounds, **changes})  # type: ignore[arg-type]


def states(home: NodeHome) -> list[EntryKind]:
    return [entry.kind for entry in LedgerStore(home.ledger).book("chest-xray").entries]


def test_an_approved_round_leaves_once_and_is_kept(home: NodeHome) -> None:
    first = HospitalHandler(home)(a_task())
    again = HospitalHandler(home)(a_task())

    assert first.signature == again.signature
    assert states(home) == [EntryKind.RESERVED, EntryKind.COMMITTED]


def test_a_run_of_another_study_is_refused(home: NodeHome) -> None:
    with pytest.raises(NotApprovedError, match=r"run other\.1"):
        HospitalHandler(home)(a_task(run=RunId("other.1")))


def test_a_policy_that_became_stricter_ends_what_was_approved_under_the_old_one(
    home: NodeHome,
) -> None:
    stricter = TEMPLATE.replace("largest_epsilon = 8.0", "largest_epsilon = 1.0")
    home.policy.write_text(stricter, encoding="utf-8")

    with pytest.raises(PolicyRefusedError, match="epsilon"):
        HospitalHandler(home)(a_task())


def test_the_loss_of_training_leaves_in_two_decimals_at_most(home: NodeHome) -> None:
    loss = HospitalHandler(home)(a_task()).report["loss"]

    assert isinstance(loss, float)
    assert loss == round(loss, 2) <= 20


def test_the_loss_of_training_stays_inside_where_the_policy_says_so(home: NodeHome) -> None:
    text = home.policy.read_text(encoding="utf-8")
    home.policy.write_text(text.replace("share_loss = true", "share_loss = false"))

    assert HospitalHandler(home)(a_task()).report["loss"] is None


def test_a_round_that_failed_while_training_counts_as_spent(
    home: NodeHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverge(*_: object, **__: object) -> None:
        raise TrainingDivergedError(step=1, quantity="loss")

    monkeypatch.setattr(client_app, "train_privately", diverge)

    with pytest.raises(TrainingDivergedError):
        HospitalHandler(home)(a_task())

    assert states(home)[-1] is EntryKind.COMMITTED


def test_a_study_may_not_spend_more_under_new_run_names(home: NodeHome) -> None:
    for number in (1, 2):
        HospitalHandler(home)(a_task(run=RunId(f"cxr-2026.{number}")))

    with pytest.raises(BudgetExceededError):
        HospitalHandler(home)(a_task(run=RunId("cxr-2026.3")))


def test_another_name_for_the_cohort_gives_no_new_budget(home: NodeHome) -> None:
    for number in (1, 2):
        HospitalHandler(home)(a_task(round=number))
    other = our_study(id="other", cohort="fresh", privacy=PrivacyPlan(4.0, 1e-3, 1.0))
    approve(home, other)

    with pytest.raises(BudgetExceededError):
        HospitalHandler(home)(a_task(other))


def test_a_run_is_evaluated_once_with_one_model(home: NodeHome) -> None:
    handler = HospitalHandler(home)
    handler(a_task())
    first = handler(an_evaluation())

    assert handler(an_evaluation()) == first
    with pytest.raises(NotApprovedError, match="evaluated"):
        handler(an_evaluation(model=a_model(1.0)))


def test_an_evaluation_that_failed_is_not_tried_with_another_model(home: NodeHome) -> None:
    handler = HospitalHandler(home)
    handler(a_task())
    with pytest.raises(TrainingDivergedError):
        handler(an_evaluation(model=a_model(1e38)))

    with pytest.raises(NotApprovedError, match="evaluated"):
        handler(an_evaluation())


def test_a_run_this_hospital_did_not_train_in_is_not_evaluated(home: NodeHome) -> None:
    with pytest.raises(NotApprovedError, match="did not train"):
        HospitalHandler(home)(an_evaluation())


def test_only_the_last_round_is_evaluated(home: NodeHome) -> None:
    handler = HospitalHandler(home)
    handler(a_task())

    with pytest.raises(NotApprovedError, match="last round"):
        handler(an_evaluation(round=1))


@pytest.mark.parametrize("digest", ["", "0123456789ab", "sha256"])
def test_a_proposal_other_than_the_one_read_is_not_approved(home: NodeHome, digest: str) -> None:
    with pytest.raises(ProposalChangedError):
        approve_study(home, a_task().study, now=datetime.now(UTC), digest=digest)
