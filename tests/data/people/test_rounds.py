"""A person who opts out between round 3 and round 4 is not in round 4; nobody is named."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from clients import audit_log
from clients.client_app import HospitalHandler
from clients.data.cohort.load import load_cohort
from clients.data.layout import KEY_FILE
from clients.data.people.lineage import Lineage
from clients.data.people.optout import import_optouts, optout_report
from clients.data.people.pseudonyms import Pseudonyms
from clients.data.people.sightings import of_patient_ids
from clients.home import FOLDERS, NodeHome, NodeSettings
from clients.policy import TEMPLATE
from federation.domain.ids import RunId, SiteId
from federation.domain.study import Study
from federation.errors.people import OptOutChainError
from federation.evidence.signing import new_key
from federation.wire.messages import Reply, Task, TaskKind
from tests.data.people.conftest import Fill, a_list
from tests.node.test_handler import PLAN, RECIPE, a_model, approve, our_study

PATIENTS = 40


@pytest.fixture
def node(tmp_path: Path, fill: Fill) -> NodeHome:
    """A hospital with forty patients that approved a study of four rounds."""
    home = NodeHome(tmp_path)
    for folder in FOLDERS:
        (tmp_path / folder).mkdir()
    home.write_settings(NodeSettings(SiteId("north"), "North", "Centre", "localhost:1"))
    home.policy.write_text(TEMPLATE, encoding="utf-8")
    new_key(home.node_key)
    officer = new_key(home.officer_key)
    home.officer_public_key.write_bytes(officer.public_key.pem)
    fill(PATIENTS)
    approve(home, four_rounds())
    return home


def four_rounds() -> Study:
    return our_study(training=replace(PLAN, rounds=4))


def a_round(handler: HospitalHandler, number: int) -> Reply:
    study = four_rounds()
    run = RunId.of(study.id, 1)
    return handler(Task(TaskKind.TRAIN, study.id, run, number, study.digest, a_model()))


def somebody_who_trains(data: Path) -> str:
    """Return the Patient ID of one training patient."""
    names = Pseudonyms.open(data / KEY_FILE)
    keys = load_cohort(data, RECIPE, study=four_rounds()).keys
    return next(f"PID{n:04d}" for n in range(1, PATIENTS) if names.patient(f"PID{n:04d}") in keys)


def test_who_opts_out_between_round_3_and_4_is_not_in_round_4(
    node: NodeHome, tmp_path: Path
) -> None:
    handler, person = HospitalHandler(node), somebody_who_trains(node.data)
    replies = [a_round(handler, number) for number in (1, 2, 3)]
    import_optouts(node.data, a_list(tmp_path / "list.txt", person))
    replies.append(a_round(handler, 4))

    (seen,) = of_patient_ids(node.data, [person])
    assert [one.round for one in seen] == [1, 2, 3]
    assert [one.left for one in Lineage(node.data).changes()] == [None, 0, 0, 1]
    assert replies[3].report["dataset_digest"] != replies[2].report["dataset_digest"]

    rounds = optout_report(node.data)["rounds"]
    assert [one["register_changed"] for one in rounds] == [False, False, False, True]
    assert rounds[3]["no_longer_trained"] == "<10"
    events = [one for one in audit_log.verify(node.audit_log) if one["kind"] == "opt-out-applied"]
    assert [one["details"]["changed"] for one in events] == ["no", "no", "no", "yes"]  # type: ignore[index]

    name = Pseudonyms.open(node.data / KEY_FILE).patient(person)
    said = json.dumps([rounds, events, [reply.report for reply in replies]])
    assert person not in said
    assert name not in said


def test_a_register_that_cannot_be_read_stops_the_round(node: NodeHome, tmp_path: Path) -> None:
    handler = HospitalHandler(node)
    import_optouts(node.data, a_list(tmp_path / "list.txt", "PID0001"))
    for path in (node.data / "optout").glob("*.csv"):
        path.write_text("pseudonym\n")
    with pytest.raises(OptOutChainError):
        a_round(handler, 1)
