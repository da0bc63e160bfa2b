"""An evaluation through the real code of three hospitals: exact, masked, approved, entered."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from clients import audit_log
from clients.data.catalogue.store import Catalogue
from clients.data.people.lineage import DATABASE
from clients.evaluation_study.counting import statistics_of, unseen_histogram
from clients.evaluation_study.predictions import KeptPredictions
from clients.home import NodeHome
from clients.ledger_store import LedgerStore
from clients.policy import sign_policy
from clients.retention import delete_predictions
from federation.domain.audit import AuditKind
from federation.domain.ids import Sha256, SiteId, StudyId
from federation.domain.study import Study
from federation.errors.approval import PolicyPatientsError, PolicyRefusedError
from federation.errors.evaluating import (
    DisjointnessError,
    EvaluationStepError,
    ProtocolChangedError,
)
from federation.errors.ledger import GateRefusedError
from federation.errors.records import NotItsPlannerError
from federation.evaluation.assessment import assess
from federation.operations.embedded_registry import Actor, desk
from federation.operations.evaluations import showing
from federation.operations.evaluations.concluding import plan_of
from federation.operations.evaluations.plan_file import parse_plan, plan_text
from federation.operations.evaluations.planning import Wanted, plan_study
from federation.operations.evaluations.running import enter_later
from federation.operations.evaluations.submitting import People, submit_plan
from federation.wire.evaluation_plan import protocol_digest
from federation.wire.messages import Task, TaskKind
from federation.wire.statistics import layout_of
from federation.wording import Language
from registry.reports import evaluation_report
from registry.reports.documents import read_evaluation
from tests.control.builders import a_proposal
from tests.evaluate.in_process import Federation, in_a_month, lighter
from tests.operations.fakes import Fuse, Killed

NOW = datetime.now(UTC)
WRITER = Actor("wu", "validation-centre", "VAL-E")
APPROVER = Actor("lin", "validation-board", "VAL-A")


def an_evaluation(fed: Federation, entry: str, name: str = "eval-1") -> Study:
    wanted = Wanted(StudyId(name), [entry], "chest-x-ray", in_a_month(), claims={entry: 0.7})
    return lighter(plan_study(fed.centre, wanted))


def edited(study: Study, old: str, new: str) -> Study:
    """Return the study of an edited plan file."""
    text = plan_text(study)
    assert old in text
    return parse_plan(text.replace(old, new).encode(), now=datetime.now(UTC))


def document(fed: Federation, entry: str) -> dict[str, Any]:
    return showing.show_evaluation(fed.centre, entry).documents[entry]


def pooled(fed: Federation, study: Study) -> Any:
    """Return the assessment of all hospitals' predictions together, which nobody ever has."""
    assert study.evaluation is not None
    rows = []
    for node in fed.nodes.values():
        found = KeptPredictions.of(node, study).read(1)
        assert found is not None
        counted = statistics_of(found, study.evaluation, seed=study.seed)
        rows.append(layout_of(study.evaluation, 1).row(counted))
    total = layout_of(study.evaluation, 1).statistics(np.sum(rows, axis=0))
    return assess({"all": total.scores}, plan_of(study)).as_json()


def test_the_federated_result_equals_the_pooled_one_and_stands_in_the_register(
    fed: Federation, entry: str
) -> None:
    study = an_evaluation(fed, entry)
    assert study.evaluation is not None
    ids = submit_plan(fed.centre, study, People(WRITER, APPROVER))

    result = fed.evaluate(study)

    assert (result.status, result.errors, result.refused) == ("completed", [], [])
    found, exact = document(fed, entry)["assessment"], pooled(fed, study)
    for part in ("slices", "bootstrap", "net_benefit", "fairness"):
        assert found[part] == exact[part]
    evaluation: dict[str, Any] = dict(result.evaluation or {})
    assert evaluation["protocol"] == str(protocol_digest(study.evaluation))
    assert set(evaluation["records"]) == set(ids)
    record = desk(fed.centre).get("evaluation", "eval-1.1.discrimination")
    body: dict[str, Any] = dict(record.body)
    assert body["protocol_hash"] == evaluation["protocol"]
    auroc = next(one for one in body["metrics"] if one["slice"] == "all")
    assert auroc["value"] == exact["slices"]["all"]["auroc"]["value"]
    assert set(body["attestations"]) == {str(site) for site in study.sites}
    assert body["exactness"]["kind"] == "exact-on-grid"


def test_the_document_is_one_that_the_registers_report_is_made_of(
    fed: Federation, entry: str
) -> None:
    fed.evaluate(an_evaluation(fed, entry))
    digest = fed_digest(fed, entry).removeprefix("sha256:")
    content = (fed.centre.artefacts / "reports" / f"{digest}.json").read_bytes()
    assert Sha256.of(content).hex == digest

    for language in Language:
        page = evaluation_report(read_evaluation(content), language)
        assert entry in page and "svg" in page


def test_what_leaves_a_hospital_is_masked_and_stands_in_its_book_without_cost(
    fed: Federation, entry: str
) -> None:
    study = an_evaluation(fed, entry)

    assert fed.evaluate(study).status == "completed"

    for site, node in fed.nodes.items():
        keys = [one.key for one in _book(node, study) if one.study == study.id]
        assert keys == ["eval-1.1/1", "eval-1.1/1", "eval-1.1/2", "eval-1.1/2"], site
        assert not any(one.events for one in _book(node, study) if one.study == study.id)
        kinds = [one["kind"] for one in audit_log.verify(node.audit_log)]
        assert AuditKind.PREDICTIONS_KEPT.value in kinds
        row = KeptPredictions.of(node, study).row(1)
        sent = np.load(next((node.replies / "eval-1.1").glob("*.npy")))
        assert row is not None
        shared = sent[: 4 * len(row)].astype(np.uint64).reshape(-1, 4)
        assert (shared[:, 3] > 0).mean() > 0.99, "masked numbers fill the ring"


def _book(node: NodeHome, study: Study) -> Any:
    from federation.evidence.verification import PublicKey

    books = LedgerStore(node.ledger, officer=PublicKey.load(node.officer_public_key))
    return books.book(study.cohort).entries


def test_the_protocol_is_in_the_log_before_a_hospital_is_asked(fed: Federation, entry: str) -> None:
    study = an_evaluation(fed, entry)
    result = fed.evaluate(study)
    evaluation: dict[str, Any] = dict(result.evaluation or {})
    register = desk(fed.centre)

    with register.records.store.reading() as transaction:
        logged = transaction.log.entry(evaluation["log_index"]).envelope
        size = transaction.log.size()

    assert study.evaluation is not None
    for digest in (study.digest, protocol_digest(study.evaluation)):
        assert digest.hex in _payload(logged)
    assert evaluation["log_index"] <= size - 1 - 2 * len(fed.nodes), "the replies came after it"


def _payload(envelope: str) -> str:
    import base64

    return base64.b64decode(json.loads(envelope)["payload"]).decode()


def test_a_protocol_changed_after_the_run_gets_no_results(fed: Federation, entry: str) -> None:
    study = an_evaluation(fed, entry)
    submit_plan(fed.centre, study, People(WRITER, APPROVER))
    other = edited(study, "threshold = 0.5\n", "threshold = 0.3\n")

    with pytest.raises(ProtocolChangedError):
        submit_plan(fed.centre, other, People(WRITER, APPROVER))


def test_results_wait_until_the_plan_is_logged(fed: Federation, entry: str) -> None:
    study = an_evaluation(fed, entry)
    submit_plan(fed.centre, study, People(WRITER))
    fed.evaluate(study)
    register = desk(fed.centre)
    id = "eval-1.1.discrimination"
    assert register.get("evaluation", id).body["metrics"] == []

    head = register.get("evaluation", id)
    register.move("evaluation", id, "E1", APPROVER, reason="as planned", revision=head.revision)
    revision = register.get("evaluation", id).revision
    for other in (APPROVER, replace(WRITER, person="lin"), replace(WRITER, organisation="x")):
        with pytest.raises(NotItsPlannerError, match=r"wu \(validation-centre, VAL-E\)"):
            enter_later(fed.centre, study.id, by=other)
    assert register.get("evaluation", id).revision == revision
    found = enter_later(fed.centre, study.id, by=WRITER)

    assert found.records[id] == "logged"
    assert register.get("evaluation", id).body["metrics"] != []
    assert found.documents[entry] == fed_digest(fed, entry)


def fed_digest(fed: Federation, entry: str) -> str:
    return str(showing.show_evaluation(fed.centre, entry).summary["documents"][entry])


def refusals(fed: Federation, study: Study) -> set[str]:
    """Return the codes with which hospitals refused an evaluation, which then failed."""
    result = fed.evaluate(study)
    assert result.status == "failed" and result.evaluation is None
    return {one["code"] for one in result.refused}


def test_weights_of_another_version_are_not_scored(fed: Federation, entry: str) -> None:
    fed.hospitals.altered = lambda task: replace(task, model=task.model + np.float32(1))

    assert refusals(fed, an_evaluation(fed, entry)) == {EvaluationStepError.code}


def test_a_sum_is_not_answered_before_its_version_was_prepared(fed: Federation, entry: str) -> None:
    fed.hospitals.altered = lambda task: replace(task, round=2)

    assert refusals(fed, an_evaluation(fed, entry)) == {EvaluationStepError.code}


def test_an_evaluation_is_never_asked_to_train(fed: Federation, entry: str) -> None:
    fed.hospitals.altered = lambda task: replace(task, kind=TaskKind.TRAIN)

    assert refusals(fed, an_evaluation(fed, entry)) == {EvaluationStepError.code}


def test_a_hospital_that_cannot_tell_whom_it_trained_with_scores_nobody(
    fed: Federation, entry: str
) -> None:
    (fed.nodes[SiteId("taipei")].data / DATABASE).unlink()

    assert refusals(fed, an_evaluation(fed, entry)) == {DisjointnessError.code}


def test_a_hospital_with_too_few_unseen_patients_refuses(fed: Federation, entry: str) -> None:
    change_policy(fed, "fewest_patients = 10", "fewest_patients = 39")

    assert refusals(fed, an_evaluation(fed, entry)) == {PolicyPatientsError.code}


def test_a_policy_that_forbids_evaluation_is_asked_before_anything_leaves(
    fed: Federation, entry: str
) -> None:
    study = an_evaluation(fed, entry)
    change_policy(fed, "evaluation = true ", "evaluation = false")

    with pytest.raises(PolicyRefusedError):  # of the officer who would approve
        fed.channel.propose(a_proposal(fed.centre, study), sites=study.sites)


def test_a_sum_over_fewer_sites_than_three_is_given_by_nobody(fed: Federation, entry: str) -> None:
    """All but one hospital would show the one."""
    fed.hospitals.altered = lambda task: replace(task, keys=task.keys[:2])

    assert refusals(fed, an_evaluation(fed, entry)) == {GateRefusedError.code}


def test_a_second_run_says_the_same_to_the_bit(fed: Federation, entry: str) -> None:
    """The first fails for want of one answer; what the others gave is then no sum at all."""
    study = an_evaluation(fed, entry)
    fed.hospitals.altered = lambda task: replace(task, round=9) if task.keys else task
    assert fed.evaluate(study).status == "failed"
    fed.hospitals.altered = lambda task: task

    result = fed.again(study)
    assert (result.status, result.errors, result.refused) == ("completed", [], [])
    assert document(fed, entry)["assessment"]["slices"] == pooled(fed, study)["slices"]


def change_policy(fed: Federation, old: str, new: str) -> None:
    for node in fed.nodes.values():
        text = node.policy.read_text(encoding="utf-8")
        assert old in text
        node.policy.write_text(text.replace(old, new), encoding="utf-8")
        sign_policy(node, now=datetime.now(UTC))


def test_deleted_predictions_are_gone_and_the_log_says_so(fed: Federation, entry: str) -> None:
    study = an_evaluation(fed, entry)
    fed.evaluate(study)
    node = fed.nodes[SiteId("tainan")]

    deleted = delete_predictions(node, study.id, actor="lin", now=datetime.now(UTC))

    assert deleted == 3 and KeptPredictions.of(node, study).read(1) is None
    assert audit_log.verify(node.audit_log)[-1]["kind"] == AuditKind.PREDICTIONS_DELETED.value


@pytest.mark.parametrize(
    "at", [14, *(pytest.param(one, marks=pytest.mark.slow) for one in (4, 9, 19, 23))]
)
def test_a_campaign_killed_anywhere_goes_on_and_comes_to_the_same(
    fed: Federation, entry: str, at: int
) -> None:
    study = an_evaluation(fed, entry)
    fuse = Fuse(at)
    fed.hospitals.fuse = fed.channel.fuse = fuse
    with pytest.raises(Killed):
        fed.evaluate(study)
    fed.hospitals.fuse = fed.channel.fuse = Fuse()

    result = fed.again(study)

    assert (result.status, result.errors, result.refused) == ("completed", [], [])
    assert document(fed, entry)["assessment"]["slices"] == pooled(fed, study)["slices"]
    for node in fed.nodes.values():
        keys = [one.key for one in _book(node, study) if one.study == study.id]
        assert keys == ["eval-1.1/1", "eval-1.1/1", "eval-1.1/2", "eval-1.1/2"]


def test_who_is_gone_between_scoring_and_the_sum_is_not_in_it(fed: Federation, entry: str) -> None:
    study, node = an_evaluation(fed, entry), fed.nodes[SiteId("taichung")]
    gone: list[str] = []

    def withdraw(task: Task) -> Task:
        if task.keys and not gone:
            found = KeptPredictions.of(node, study).read(1)
            assert found is not None
            gone.append(str(found.keys[~found.members][0]))
            with Catalogue(node.data) as catalogue, catalogue.transaction():
                images = catalogue.instances_of_patients()[gone[0]]
                for instance, name in catalogue.label_rows():
                    if instance in images:
                        catalogue.drop_label(instance, name)
        return task

    fed.hospitals.altered = withdraw

    assert fed.evaluate(study).status == "completed"

    scored = [KeptPredictions.of(one, study).read(1) for one in fed.nodes.values()]
    everybody = sum(unseen_histogram(one).patients for one in scored if one is not None)
    of_them = sum(unseen_histogram(one.without(gone)).patients for one in scored if one is not None)
    assert document(fed, entry)["assessment"]["slices"]["all"]["cases"] == of_them < everybody
