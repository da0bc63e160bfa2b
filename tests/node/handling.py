"""A hospital whose handler answers tasks, without images: what its staff and its centre did."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from clients import approvals, audit_log, client_app
from clients.approvals import Desk, Terms
from clients.approved_data import ApprovedData
from clients.data.catalogue.store import Instance, cohort_digest
from clients.data.cohort.arrays import PatientArrays
from clients.data.cohort.choice import choose
from clients.data.cohort.load import Cohort
from clients.endorsements import Proposer
from clients.home import FOLDERS, NodeHome, NodeSettings
from clients.ledger_store import LedgerStore
from clients.policy import TEMPLATE, sign_policy
from federation.domain.audit import AuditKind
from federation.domain.ids import RunId, SiteId
from federation.domain.study import Study, TrainingPlan
from federation.evidence.signing import Signer, new_key, sign_dsse
from federation.evidence.statements import PredicateType, Statement, Subject
from federation.privacy.ledger import EntryKind
from federation.recipes import catalogue, flat, networks
from federation.wire.messages import FlatModel, Task, TaskKind
from federation.wire.study import study_as_json
from tests.builders import a_study

PATIENT = f"P{0:032x}"
RECIPE = catalogue.recipe("cxr-pneumonia-small")
PLAN = TrainingPlan(
    rounds=2, local_epochs=1.0, learning_rate=0.1, batch_size=20, optimizer="sgd", momentum=0.0
)
MANIFEST = flat.manifest_of(networks.build(RECIPE, seed=7))
IMAGES = tuple(
    Instance(f"1.{n}", "1", f"P{n:032x}", f"{n:064x}", str(n % 2), (1, 64, 64)) for n in range(40)
)


def our_study(**changes: object) -> Study:
    return a_study(**{"recipe_digest": RECIPE.digest, "training": PLAN, **changes})


def centre_of(home: NodeHome) -> Signer:
    """Return the key of the centre that a home belongs to; made at the first call."""
    path = home.run / "centre.key"
    signer = Signer.load(path) if path.exists() else new_key(path)
    home.centre_evidence_key.write_bytes(signer.public_key.pem)
    return signer


def propose(home: NodeHome, study: Study) -> None:
    statement = Statement(
        (Subject(f"study/{study.id}", study.digest),), PredicateType.PROPOSAL, {"by": "Chen"}
    )
    home.proposal(study.id).write_text(json.dumps(study_as_json(study)))
    (home.proposals / f"{study.id}.dsse").write_text(sign_dsse(statement, centre_of(home)))


def approve(home: NodeHome, study: Study) -> None:
    """Propose a study, sign the policy and approve as the desk does, over what is here."""
    propose(home, study)
    now, desk = datetime.now(UTC), Desk(home.proposals, home.decisions, SiteId("north"))
    signed = sign_policy(home, now=now)
    images = choose(home.data, RECIPE).images if home.catalogue.exists() else IMAGES
    data = ApprovedData.of(images)
    data.write(desk.instances_file(study.id))
    approvals.approve(
        desk,
        study,
        policy=signed.policy,
        recipe=RECIPE,
        manifest_digest=MANIFEST.digest,
        dataset_digest=cohort_digest(list(images)),
        officer=Signer.load(home.officer_key),
        now=now,
        terms=Terms(Proposer(centre_of(home).keyid), signed.number, signed.digest, data.digest),
    )


def write_policy(home: NodeHome, old: str, new: str) -> None:
    text = home.policy.read_text(encoding="utf-8")
    assert old in text
    home.policy.write_text(text.replace(old, new), encoding="utf-8")


def change_policy(home: NodeHome, old: str, new: str) -> None:
    write_policy(home, old, new)
    sign_policy(home, now=datetime.now(UTC))


def hold(
    monkeypatch: pytest.MonkeyPatch, part: PatientArrays, images: tuple[Instance, ...] = IMAGES
) -> None:
    """Let the hospital have these patients, half of them held out, as these images."""
    keys = tuple(f"P{number:032x}" for number in range(part.patients))
    cohort = Cohort(part, part, cohort_digest(list(images)), 0, keys, "sha256:list")
    monkeypatch.setattr(client_app, "load_cohort", lambda *_, **__: cohort)


def a_home(folder: Path) -> NodeHome:
    node = NodeHome(folder)
    for part in FOLDERS:
        (folder / part).mkdir()
    node.write_settings(NodeSettings(SiteId("north"), "North", "Centre", "localhost:1"))
    node.policy.write_text(TEMPLATE, encoding="utf-8")
    new_key(node.node_key)
    officer = new_key(node.officer_key)
    node.officer_public_key.write_bytes(officer.public_key.pem)
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


def details(home: NodeHome, kind: AuditKind) -> list[dict[str, str]]:
    events = audit_log.verify(home.audit_log)
    return [one["details"] for one in events if one["kind"] == kind.value]  # type: ignore[misc]
