"""The centre believes only what the enrolled keys signed, about this study, run and round."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

import numpy as np
import pytest

from clients import gate
from clients.gate import Departure, digest_of_array, release
from clients.home import NodeHome
from federation.coordinator.admin import AdminClient
from federation.coordinator.home import CentreHome
from federation.domain.audit import AuditEvent, AuditKind
from federation.domain.ids import RunId, Sha256, SiteId
from federation.domain.run import RoundKey, RoundKind, RoundState
from federation.domain.study import StudyState
from federation.errors.approval import (
    SignatureNotEnrolledError,
    StudyCompletedError,
    StudyQuorumMissedError,
)
from federation.errors.base import PlatformError
from federation.errors.durable import ReplyChangedError
from federation.errors.rounds import ReplyMalformedError
from federation.evidence.signing import Signer
from federation.operations.campaign import Campaign
from federation.operations.campaign.asking import Asking
from federation.operations.campaign.checkpoints import Checkpoint
from federation.operations.campaign.parts import Parts
from federation.operations.campaign.records import planned_record
from federation.operations.launch import submit
from federation.operations.progress import Progress
from federation.operations.store.rounds import StoredRound
from federation.operations.store.studies import StudyStore
from federation.server_app.rounds import SiteReply
from federation.wire.messages import TaskKind
from strategies.fedavg import FedAvg
from tests.builders import a_manifest, a_study
from tests.operations.fakes import HEADS, FakeAdmin, decide
from tests.operations.fakes import REPORT as FAKE_REPORT
from tests.pki.builders import a_centre, an_enrolled_node

NOW = datetime.now(UTC)
RUN = RunId("cxr-2026.1")
UPDATE = np.ones(4, np.float32)
REPORT: dict[str, object] = {**FAKE_REPORT, "epsilon": 1.0}


@pytest.fixture
def centre(tmp_path: Path) -> CentreHome:
    return a_centre(tmp_path / "c")


@pytest.fixture
def nodes(tmp_path: Path, centre: CentreHome) -> dict[SiteId, NodeHome]:
    return {site: an_enrolled_node(tmp_path / site, centre, site=site) for site in a_study().sites}


def a_campaign(
    centre: CentreHome, admin: FakeAdmin, told: list[Progress] | None = None
) -> Campaign:
    submit(centre, a_study())
    return Campaign(
        centre,
        a_study(),
        store=StudyStore.of(centre),
        admin=cast(AdminClient, admin),
        emit=(told if told is not None else []).append,
    )


def an_asking(centre: CentreHome, *earlier: object) -> Asking:
    """Return the first round of training being asked, with replies that were kept before."""
    model = SimpleNamespace(model=lambda _: (UPDATE, a_manifest(4)))
    parts = SimpleNamespace(
        home=centre,
        study=a_study(),
        checkpoints=model,
        strategy=FedAvg.for_study(a_study(), 4),
        store=SimpleNamespace(replies=lambda _: list(earlier)),
    )
    record = planned_record(
        1,
        available=a_study().sites,
        sites=a_study().sites,
        seed=7,
        start=Checkpoint(Sha256.of(b"start"), Sha256.of(b"state")),
        asked=Sha256.of(b"model"),
        at=NOW.isoformat(),
    )
    key = RoundKey(RUN, RoundKind.TRAIN, 1)
    return Asking(cast(Parts, parts), StoredRound(key, RoundState.PLANNED, record))


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
    assert an_asking(centre).judge(a_reply(nodes[SiteId("north")])) == 1.0


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
    reply = tampered(nodes[SiteId("north")], nodes[SiteId("south")])

    with pytest.raises(PlatformError) as refused:
        an_asking(centre).judge(reply)

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
    reply = a_reply(nodes[SiteId("north")], report={**REPORT, field: value})

    with pytest.raises(ReplyMalformedError, match=field):
        an_asking(centre).judge(reply)


@pytest.mark.parametrize("heads", [None, {"ledger": 3}])
def test_a_reply_without_the_heads_of_book_and_log_costs_its_site_the_round(
    centre: CentreHome, nodes: dict[SiteId, NodeHome], heads: object
) -> None:
    forged = None if heads is None else type("Forged", (), {"as_json": lambda self: heads})()
    reply = a_reply(nodes[SiteId("north")], heads=forged)

    with pytest.raises(ReplyMalformedError, match="heads"):
        an_asking(centre).judge(reply)


def test_a_second_answer_that_differs_from_the_accepted_one_is_refused(
    centre: CentreHome, nodes: dict[SiteId, NodeHome]
) -> None:
    earlier = SimpleNamespace(site=SiteId("north"), update=Sha256.of(b"the first one"))

    with pytest.raises(ReplyChangedError):
        an_asking(centre, earlier).judge(a_reply(nodes[SiteId("north")]))


def test_sites_that_approved_take_part_and_one_that_refused_does_not(
    centre: CentreHome, nodes: dict[SiteId, NodeHome]
) -> None:
    said = {site: decide(node, a_study(), yes=site != "south") for site, node in nodes.items()}
    campaign = a_campaign(centre, FakeAdmin(said))

    campaign.gather(patience_s=5)

    assert [site for site, _ in campaign.approvals()] == ["centre", "north"]
    assert [(one.site, one.code) for one in campaign.refused] == [(SiteId("south"), "TF320")]


def test_an_approval_of_an_earlier_version_does_not_count(
    centre: CentreHome, nodes: dict[SiteId, NodeHome]
) -> None:
    earlier = a_study(title="an earlier version")
    said = {site: decide(node, earlier) for site, node in nodes.items()}

    with pytest.raises(StudyQuorumMissedError):
        a_campaign(centre, FakeAdmin(said)).gather(patience_s=0.3)


def test_a_decision_signed_by_another_hospitals_officer_is_refused(
    centre: CentreHome, nodes: dict[SiteId, NodeHome]
) -> None:
    said = {SiteId("north"): decide(nodes[SiteId("south")], a_study())}

    with pytest.raises(PlatformError, match=r"key"):
        a_campaign(centre, FakeAdmin(said)).gather(patience_s=0.3)


def test_the_quorum_is_enough_when_asked_so(
    centre: CentreHome, nodes: dict[SiteId, NodeHome]
) -> None:
    said = {site: decide(nodes[site], a_study()) for site in (SiteId("north"), SiteId("south"))}
    campaign = a_campaign(centre, FakeAdmin(said))

    campaign.gather(patience_s=60, at_quorum=True)

    assert [site for site, _ in campaign.approvals()] == ["north", "south"]


def test_a_completed_study_is_not_run_again(
    centre: CentreHome, nodes: dict[SiteId, NodeHome]
) -> None:
    admin = FakeAdmin({site: decide(node, a_study()) for site, node in nodes.items()})
    a_campaign(centre, admin).gather(patience_s=5)
    store = StudyStore.of(centre)
    audit = AuditEvent(AuditKind.RUN_ENDED, "centre", a_study().id, NOW)
    store.move_study(a_study().id, StudyState.COMPLETED, audit=audit)
    store.close()

    with pytest.raises(StudyCompletedError):
        a_campaign(centre, admin).gather(patience_s=5)


def test_a_launch_after_a_killed_one_goes_on_without_proposing_again(
    centre: CentreHome, nodes: dict[SiteId, NodeHome]
) -> None:
    admin = FakeAdmin({site: decide(node, a_study()) for site, node in nodes.items()})
    a_campaign(centre, admin).gather(patience_s=5)  # and killed here, before a run was opened

    a_campaign(centre, admin).gather(patience_s=5)

    store = StudyStore.of(centre)
    assert store.study(a_study().id).state is StudyState.RUNNING
    assert admin.proposed == 1
    store.close()
