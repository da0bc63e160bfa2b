"""A federation in one process whose hospitals answer with the real client code.

Homes, keys, images, approvals, the campaign, the register and the log are real; Flower and
the control channel are replaced: `Hospitals` hands each task to the node's own handler, as
it would arrive over the wire, and `Channel` brings proposals and decisions.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clients.client_app import HospitalHandler
from clients.decide import approve_study, desk_of
from clients.home import NodeHome
from clients.proposals import take_proposal
from federation.coordinator.home import CentreHome
from federation.domain.evaluation_plan import Explaining
from federation.domain.ids import SiteId
from federation.domain.study import Study
from federation.errors.base import PlatformError
from federation.operations import launch
from federation.operations.campaign import Campaign, link
from federation.operations.evaluations import running
from federation.operations.launch import Result, conduct, submit
from federation.operations.progress import silent
from federation.operations.store.database import Database
from federation.operations.store.queue import Asked, QueueStore
from federation.operations.study_file import parse_study
from federation.protocol.mapping import Proposal
from federation.server_app.flat_files import read_flat
from federation.server_app.rounds import RoundOrder, RoundOutcome, SiteReply
from federation.server_app.superlink import RegisteredSite
from federation.wire.flower import pack_reply, pack_task, unpack_reply, unpack_task
from federation.wire.messages import Refused, Reply, Task
from federation.wire.study import digest_of_study
from tests.operations.fakes import FakeAdmin, FakeDriver, FakeFlower, Fuse, steps
from tests.scenarios.homes import SITES, Homes, make_homes, study_text

TRAINING = "trained"
LIMIT = 1 << 30


@dataclass
class Hospitals(FakeFlower):
    """Flower, with a real hospital at the other end of every message."""

    altered: Callable[[Task], Task] = lambda task: task
    given: dict[SiteId, tuple[SiteReply, Any]] = field(default_factory=dict)

    def ask(self, order: RoundOrder) -> None:
        """Ask every hospital of a round; a coded no is a refusal, as over the wire."""
        self.given, self.refuses = {}, {}
        for site in order.nodes:
            try:
                self.given[site] = self.reply(order, site)
            except PlatformError as error:
                self.refuses[site] = error

    def answer(self, order: RoundOrder, site: SiteId) -> tuple[SiteReply, Any]:
        """Return what a hospital replied when the round was asked."""
        del order
        return self.given[site]

    def reply(self, order: RoundOrder, site: SiteId) -> tuple[SiteReply, Any]:
        """Return what the node's own code replies."""
        task = Task(
            order.kind, order.study, order.run, order.number, order.study_digest,
            np.array(read_flat(order.model)), order.keys,
        )  # fmt: skip
        task = self.altered(unpack_task(pack_task(task), limit_bytes=LIMIT))
        reply = HospitalHandler(self.nodes[site])(task)
        received = unpack_reply(pack_reply(reply), limit_bytes=LIMIT)
        assert not isinstance(received, Refused)
        return _announced(site, received), received.update


def _announced(site: SiteId, reply: Reply) -> SiteReply:
    from clients.gate import digest_of_array

    digest = None if reply.update is None else digest_of_array(reply.update)
    return SiteReply(site, reply.report, reply.signature, digest, 1.0, 0.1)


class Driver(FakeDriver):
    """A round driver that asks `Hospitals`."""

    def run_round(self, order: RoundOrder, **said: Any) -> RoundOutcome:
        """Ask the hospitals, then do the round with what they replied."""
        assert isinstance(self.flower, Hospitals)
        self.flower.ask(order)
        return super().run_round(order, **said)


@dataclass
class Channel(FakeAdmin):
    """The control channel: a proposal reaches every hospital, which approves it at once."""

    nodes: dict[SiteId, NodeHome] = field(default_factory=dict)

    def __init__(self, nodes: dict[SiteId, NodeHome]) -> None:
        super().__init__({}, Fuse())
        self.nodes = nodes

    def propose(self, proposal: Proposal, *, sites: Sequence[SiteId], **_: object) -> None:  # type: ignore[override]
        for site in sites:
            node = self.nodes[site]
            take_proposal(node, proposal)
            decided = desk_of(node).decision_file(proposal.study)
            if not decided.exists():
                approve_study(node, proposal.study, now=datetime.now(UTC))
            self.said[site] = decided.read_bytes()


@dataclass
class Federation:
    """A centre with three hospitals that answer in this process."""

    centre: CentreHome
    nodes: dict[SiteId, NodeHome]
    hospitals: Hospitals
    channel: Channel

    def train(self, study: str = TRAINING, *, seed: int = 5) -> str:
        """Train a version for one round and return its entry in the register."""
        text = study_text(rounds=1, sites=tuple(self.nodes), quorum=3, private=False, study=study)
        text = text.replace("heldout_fraction = 0.3", "heldout_fraction = 0.5")
        text = text.replace("seed = 5", f"seed = {seed}")
        found = parse_study(text.encode(), now=datetime.now(UTC))
        result = self.run(found, steps)
        assert result.entry is not None, result.errors
        return result.entry

    def run(self, study: Study, take: Callable[[Campaign, Result], None]) -> Result:
        """Submit a study and take it through its steps."""
        submit(self.centre, study)
        with closing(QueueStore(Database.of(self.centre))) as queue:
            queue.put(study.id, Asked(), actor="lin")
        self.channel.said.clear()
        self.hospitals.study = study
        return conduct(self.centre, study.id, emit=silent, steps=take)

    def evaluate(self, study: Study) -> Result:
        """Do what the flow does with a study that evaluates, without Prefect."""
        return self.run(study, evaluation_steps)

    def again(self, study: Study) -> Result:
        """Launch a study once more that failed."""
        with closing(QueueStore(Database.of(self.centre))) as queue:
            queue.put(study.id, Asked(), actor="lin")
        return conduct(self.centre, study.id, emit=silent, steps=evaluation_steps)


def evaluation_steps(campaign: Campaign, result: Result) -> None:
    """Take the steps of an evaluation in the flow's order."""
    campaign.gather(patience_s=5)
    campaign.open()
    running.begin(campaign)
    for number in range(1, campaign.study.training.rounds + 1):
        campaign.take_step(number)
    result.evaluation = running.finish(campaign).as_json()


def trained_homes(folder: Path) -> tuple[Homes, str]:
    """Make homes with images, train one version there, and return its entry."""
    homes = make_homes(folder, sites=SITES)
    with in_process(homes) as fed:
        return homes, fed.train()


@contextmanager
def in_process(homes: Homes, *, channel: "type[Channel] | None" = None) -> Iterator[Federation]:
    """Give a federation over homes; Flower and the channel are replaced while inside."""
    centre = CentreHome.open(homes.centre)
    nodes = {site: NodeHome.open(homes.node(site)) for site in SITES}
    hospitals = Hospitals(nodes, study=None)  # type: ignore[arg-type]
    hospitals.artefact = lambda digest: centre.artefacts / digest.hex[:2] / digest.hex  # type: ignore[attr-defined]
    brings = (channel or Channel)(nodes)
    FakeDriver.flower = hospitals
    online = {site: RegisteredSite(site, at, True) for at, site in enumerate(SITES, 1)}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(link, "RoundDriver", Driver)
        patched.setattr(link, "list_nodes", lambda _, keys: {site: online[site] for site in keys})
        patched.setattr(launch, "AdminClient", lambda _: brings)
        yield Federation(centre, nodes, hospitals, brings)


def lighter(study: Study) -> Study:
    """Return a study that evaluates with short explanations, so that a test waits less."""
    assert study.evaluation is not None
    plan = replace(study.evaluation, explainability=Explaining(cases=12, steps=8))
    shorter = replace(study, evaluation=plan)
    return replace(shorter, digest=digest_of_study(shorter))


def in_a_month() -> datetime:
    """Return a last day for a study."""
    return (datetime.now(UTC) + timedelta(days=30)).replace(microsecond=0)
