"""The one path from a task to a reply: what the approval and the book do not cover stays inside."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from clients import client_app
from clients.client_app import HospitalHandler
from clients.data.people.lineage import Lineage
from clients.decide import approve_study
from clients.gate import digest_of_array
from clients.home import NodeHome
from federation.domain.ids import RunId
from federation.domain.study import PrivacyPlan
from federation.errors.approval import (
    NotApprovedError,
    PolicyRefusedError,
    ProposalChangedError,
)
from federation.errors.ledger import BudgetExceededError
from federation.errors.people import LineageError
from federation.errors.privacy import TrainingDivergedError
from federation.privacy.ledger import EntryKind
from tests.node.handling import PATIENT, a_home, a_task, an_evaluation, change_policy, hold, states
from tests.node.handling import PLAN as PLAN
from tests.node.handling import RECIPE as RECIPE
from tests.node.handling import a_model as a_model
from tests.node.handling import approve as approve
from tests.node.handling import our_study as our_study
from tests.training.arrays import a_cohort


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NodeHome:
    """Return a hospital with forty patients that approved the study."""
    node = a_home(tmp_path)
    hold(monkeypatch, a_cohort(patients=40, images_each=1, side=64))
    return node


def test_an_approved_round_leaves_once_and_is_kept(home: NodeHome) -> None:
    first = HospitalHandler(home)(a_task())
    again = HospitalHandler(home)(a_task())

    assert first.signature == again.signature
    assert states(home) == [EntryKind.OPENED, EntryKind.RESERVED, EntryKind.COMMITTED]


def test_a_run_of_another_study_is_refused(home: NodeHome) -> None:
    with pytest.raises(NotApprovedError, match=r"run other\.1"):
        HospitalHandler(home)(a_task(run=RunId("other.1")))


def test_a_policy_that_became_stricter_ends_what_was_approved_under_the_old_one(
    home: NodeHome,
) -> None:
    change_policy(home, "largest_epsilon = 8.0", "largest_epsilon = 1.0")

    with pytest.raises(PolicyRefusedError, match="epsilon"):
        HospitalHandler(home)(a_task())


def test_the_loss_of_training_leaves_in_two_decimals_at_most(home: NodeHome) -> None:
    loss = HospitalHandler(home)(a_task()).report["loss"]

    assert isinstance(loss, float)
    assert loss == round(loss, 2) <= 20


def test_the_loss_of_training_stays_inside_where_the_policy_says_so(home: NodeHome) -> None:
    change_policy(home, "share_loss = true", "share_loss = false")

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


def test_a_round_is_written_down_with_who_was_in_it(home: NodeHome) -> None:
    reply = HospitalHandler(home)(a_task())

    (seen,) = Lineage(home.data).sightings([PATIENT])
    assert (seen.run, seen.round, seen.state) == ("cxr-2026.1", 1, "released")
    assert seen.model_in == digest_of_array(a_model())
    assert reply.update is not None
    assert seen.model_out == digest_of_array(reply.update)


def test_a_round_that_failed_saw_nobody(home: NodeHome, monkeypatch: pytest.MonkeyPatch) -> None:
    def diverge(*_: object, **__: object) -> None:
        raise TrainingDivergedError(step=1, quantity="loss")

    monkeypatch.setattr(client_app, "train_privately", diverge)

    with pytest.raises(TrainingDivergedError):
        HospitalHandler(home)(a_task())

    assert Lineage(home.data).sightings([PATIENT]) == []


def test_no_round_trains_when_it_cannot_be_written_down(home: NodeHome) -> None:
    (home.data / "lineage.db").write_bytes(b"not a database" * 100)

    with pytest.raises(LineageError):
        HospitalHandler(home)(a_task())

    assert states(home) == []


def test_a_round_asked_again_is_not_another_sighting(home: NodeHome) -> None:
    for _ in range(2):
        HospitalHandler(home)(a_task())

    assert len(Lineage(home.data).sightings([PATIENT])) == 1


@pytest.mark.parametrize("digest", ["", "0123456789ab", "sha256"])
def test_a_proposal_other_than_the_one_read_is_not_approved(home: NodeHome, digest: str) -> None:
    with pytest.raises(ProposalChangedError):
        approve_study(home, a_task().study, now=datetime.now(UTC), digest=digest)
