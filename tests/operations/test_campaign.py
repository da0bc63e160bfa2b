"""The centre believes only what the enrolled keys signed, about this study, run and round."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import numpy as np
import pytest

from clients import approvals, gate
from clients.approvals import Desk
from clients.audit_log import LogHead
from clients.gate import Departure, digest_of_array, release
from clients.heads import Heads
from clients.home import NodeHome
from clients.policy import TEMPLATE, read_policy
from federation.coordinator.admin import AdminClient
from federation.coordinator.home import CentreHome
from federation.domain.audit import AuditKind
from federation.domain.ids import RunId, Sha256, SiteId
from federation.domain.study import Study, StudyState
from federation.errors.approval import (
    SignatureNotEnrolledError,
    StudyCompletedError,
    StudyQuorumMissedError,
)
from federation.errors.base import PlatformError
from federation.errors.rounds import ReplyMalformedError
from federation.evidence.signing import Signer
from federation.operations.launch import submit
from federation.operations.progress import Progress
from federation.operations.store.studies import StudyStore
from federation.operations.train import Campaign
from federation.privacy.bookkeeping import LedgerHead
from federation.server_app.rounds import SiteReply
from federation.wire.messages import TaskKind
from strategies.fedavg import FedAvg
from tests.builders import a_manifest, a_recipe, a_study
from tests.pki.builders import a_centre, an_enrolled_node

NOW = datetime.now(UTC)
RUN = RunId("cxr-2026.1")
UPDATE = np.ones(4, np.float32)
REPORT: dict[str, object] = {
    "patients": 40,
    "examples": 50,
    "steps": 3,
    "loss": 0.5,
    "epsilon": 1.0,
    "noise_multiplier": 1.0,
    "clip_norm": 1.0,
    "sample_rate": 0.1,
    "dataset_digest": str(Sha256.of(b"data")),
    "events": [
        {
            "kind": "poisson-sampled-gaussian",
            "noise_multiplier": 1.0,
            "sample_rate": 0.1,
            "steps": 3,
        }
    ],
}


HEADS = Heads(LedgerHead(3, Sha256.of(b"book")), LogHead(5, Sha256.of(b"log")))


class Admin:
    """The centre's admin socket as far as a campaign needs it, with decisions to hand out."""

    def __init__(self) -> None:
        self.said: dict[SiteId, bytes] = {}

    def propose(self, *_: object, **__: object) -> None:
        return None

    def decisions(self, _: object) -> dict[SiteId, bytes]:
        return self.said

    def status(self, _: object) -> Any:
        return type("Live", (), {"sites": ()})


@pytest.fixture
def centre(tmp_path: Path) -> CentreHome:
    return a_centre(tmp_path / "c")


@pytest.fixture
def nodes(tmp_path: Path, centre: CentreHome) -> dict[SiteId, NodeHome]:
    return {site: an_enrolled_node(tmp_path / site, centre, site=site) for site in a_study().sites}


def a_campaign(centre: CentreHome, admin: Admin, told: list[Progress] | None = None) -> Campaign:
    submit(centre, a_study())
    campaign = Campaign(
        centre,
        a_study(),
        store=StudyStore.at(centre.database),
        admin=cast(AdminClient, admin),
        emit=(told if told is not None else []).append,
    )
    campaign.run = RUN
    campaign._asked = Sha256.of(b"model")
    campaign._strategy = FedAvg.for_study(a_study(), 4)
    return campaign


def decide(node: NodeHome, study: Study, *, yes: bool = True) -> bytes:
    node.policy.write_text(TEMPLATE, encoding="utf-8")
    desk = Desk(node.proposals, node.decisions, node.settings().site)
    officer = Signer.load(node.officer_key)
    if not yes:
        return approvals.refuse(desk, study, reason="no", officer=officer, now=NOW).read_bytes()
    return approvals.approve(
        desk,
        study,
        policy=read_policy(node.policy),
        recipe=a_recipe(),
        manifest_digest=Sha256.of(b"m"),
        dataset_digest=Sha256.of(b"d"),
        officer=officer,
        now=NOW,
    ).read_bytes()


def a_reply(node: NodeHome, *, key: Path | None = None, **changes: Any) -> SiteReply:
    departure = Departure(
        kind=TaskKind.TRAIN,
        study=a_study(),
        run=RUN,
        round=1,
        site=node.settings().site,
        model_digest=Sha256.of(b"model"),
        update=UPDATE,
        report=REPORT,
        manifest=a_manifest(4),
        is_reserved=lambda: True,
        is_approved=lambda: True,
        heads=HEADS,
    )
    with patch.object(gate, "RULES", ()):  # a hospital whose gate was taken out
        signed = release(replace(departure, **changes), signer=Signer.load(key or node.node_key))
    return SiteReply(
        site=node.settings().site,
        report=signed.report,
        signature=signed.signature,
        update_digest=None if signed.update is None else digest_of_array(signed.update),
        update_norm=2.0,
        seconds=0.1,
    )


def test_a_reply_signed_by_its_site_counts(
    centre: CentreHome, nodes: dict[SiteId, NodeHome]
) -> None:
    campaign = a_campaign(centre, Admin())

    assert campaign._judge(TaskKind.TRAIN, 1, a_reply(nodes[SiteId("north")])) == 1.0


@pytest.mark.parametrize(
    "tampered",
    [
        lambda node, other: a_reply(node, key=other.node_key),
        lambda node, other: a_reply(node, key=node.officer_key),
        lambda node, other: replace(a_reply(node), site=SiteId("south")),
        lambda node, other: replace(a_reply(node), update_digest=Sha256.of(b"other")),
        lambda node, other: replace(a_reply(node), report={**REPORT, "epsilon": 0.1}),
        lambda node, other: replace(a_reply(node), signature="{}"),
        lambda node, other: a_reply(node, round=2),
        lambda node, other: a_reply(node, run=RunId("cxr-2026.2")),
        lambda node, other: a_reply(node, study=a_study(title="another study")),
        lambda node, other: a_reply(node, model_digest=Sha256.of(b"another model")),
    ],
    ids=["other site's key", "officer's key", "other site's name", "other update", "other report",
         "no signature", "other round", "other run", "other study", "other model"],
)  # fmt: skip
def test_a_reply_that_its_site_did_not_sign_is_refused(
    centre: CentreHome,
    nodes: dict[SiteId, NodeHome],
    tampered: Callable[[NodeHome, NodeHome], SiteReply],
) -> None:
    campaign = a_campaign(centre, Admin())
    reply = tampered(nodes[SiteId("north")], nodes[SiteId("south")])

    with pytest.raises(PlatformError) as refused:
        campaign._judge(TaskKind.TRAIN, 1, reply)

    assert refused.value.code.startswith(("TF7", SignatureNotEnrolledError.code))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("dataset_digest", None),
        ("epsilon", None),
        ("epsilon", -1.0),
        ("noise_multiplier", 0.0),
        ("sample_rate", 2.0),
        ("patients", -20),
        ("examples", -50),
        ("steps", 0),
        ("events", []),
        ("events", [{"kind": "wishful"}]),
        ("events", "none"),
    ],
)
def test_a_signed_report_that_no_entry_could_be_written_from_costs_its_site_the_round(
    centre: CentreHome, nodes: dict[SiteId, NodeHome], field: str, value: object
) -> None:
    campaign = a_campaign(centre, Admin())
    reply = a_reply(nodes[SiteId("north")], report={**REPORT, field: value})

    with pytest.raises(ReplyMalformedError, match=field):
        campaign._judge(TaskKind.TRAIN, 1, reply)


@pytest.mark.parametrize("heads", [None, {"ledger": 3}])
def test_a_reply_without_the_heads_of_book_and_log_costs_its_site_the_round(
    centre: CentreHome, nodes: dict[SiteId, NodeHome], heads: object
) -> None:
    forged = None if heads is None else type("Forged", (), {"as_json": lambda self: heads})()
    reply = a_reply(nodes[SiteId("north")], heads=forged)

    with pytest.raises(ReplyMalformedError, match="heads"):
        a_campaign(centre, Admin())._judge(TaskKind.TRAIN, 1, reply)


def test_sites_that_approved_take_part_and_one_that_refused_does_not(
    centre: CentreHome, nodes: dict[SiteId, NodeHome]
) -> None:
    admin = Admin()
    admin.said = {
        site: decide(node, a_study(), yes=site != "south") for site, node in nodes.items()
    }
    campaign = a_campaign(centre, admin)

    campaign.gather(patience_s=5)

    assert campaign._sites == (SiteId("north"), SiteId("centre"))
    assert [(one.site, one.code) for one in campaign.refused] == [(SiteId("south"), "TF320")]


def test_an_approval_of_an_earlier_version_does_not_count(
    centre: CentreHome, nodes: dict[SiteId, NodeHome]
) -> None:
    admin = Admin()
    admin.said = {
        site: decide(node, a_study(title="an earlier version")) for site, node in nodes.items()
    }

    with pytest.raises(StudyQuorumMissedError):
        a_campaign(centre, admin).gather(patience_s=0.3)


def test_a_decision_signed_by_another_hospitals_officer_is_refused(
    centre: CentreHome, nodes: dict[SiteId, NodeHome]
) -> None:
    admin = Admin()
    admin.said = {SiteId("north"): decide(nodes[SiteId("south")], a_study())}

    with pytest.raises(PlatformError, match=r"key"):
        a_campaign(centre, admin).gather(patience_s=0.3)


def test_the_quorum_is_enough_when_asked_so(
    centre: CentreHome, nodes: dict[SiteId, NodeHome]
) -> None:
    admin = Admin()
    admin.said = {
        site: decide(nodes[site], a_study()) for site in (SiteId("north"), SiteId("south"))
    }
    campaign = a_campaign(centre, admin)

    campaign.gather(patience_s=60, at_quorum=True)

    assert campaign._sites == (SiteId("north"), SiteId("south"))


def test_a_completed_study_is_not_run_again(
    centre: CentreHome, nodes: dict[SiteId, NodeHome]
) -> None:
    admin = Admin()
    admin.said = {site: decide(node, a_study()) for site, node in nodes.items()}
    first = a_campaign(centre, admin)
    first.gather(patience_s=5)
    first._move(StudyState.COMPLETED, AuditKind.RUN_ENDED)

    with pytest.raises(StudyCompletedError):
        a_campaign(centre, admin).gather(patience_s=5)


def test_a_launch_after_a_killed_one_proposes_again(
    centre: CentreHome, nodes: dict[SiteId, NodeHome]
) -> None:
    admin = Admin()
    admin.said = {site: decide(node, a_study()) for site, node in nodes.items()}
    a_campaign(centre, admin).gather(patience_s=5)  # and killed here: RUNNING for ever

    a_campaign(centre, admin).gather(patience_s=5)

    store = StudyStore.at(centre.database)
    assert store.study(a_study().id).state is StudyState.RUNNING
    store.close()
