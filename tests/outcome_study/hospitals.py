"""A centre and three hospitals without images, in one process; tables of outcomes are added.

Homes, keys, approvals, campaign, register and log are real, as in `tests.evaluate.in_process`.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from clients.data.outcomes.reading import read_outcomes
from clients.data.outcomes.store import add_table
from clients.decide import approve_study, desk_of
from clients.home import NodeHome
from clients.policy import TEMPLATE, sign_policy
from clients.proposals import take_proposal
from federation.coordinator.home import CentreHome
from federation.domain.ids import SiteId, StudyId
from federation.domain.study import Study
from federation.operations.campaign import Campaign
from federation.operations.enrolment import init_centre
from federation.operations.evaluations import running as evaluations
from federation.operations.launch import Result, conduct
from federation.operations.outcomes import running
from federation.operations.outcomes.planning import Wanted, plan_study
from federation.operations.progress import silent
from federation.operations.store.database import Database
from federation.operations.store.queue import Asked, QueueStore
from federation.protocol.mapping import Proposal
from federation.storage import write_atomic
from tests.evaluate import in_process as base
from tests.evaluate.in_process import Federation, in_a_month
from tests.outcome_study.published import Data
from tests.scenarios.homes import SITES, Homes, enrol

POLICY = (
    ("fewest_patients = 20", "fewest_patients = 10"),
    ("smallest_sum_cell = 10", "smallest_sum_cell = 3"),
    ("shared_baseline = false", "shared_baseline = true"),
)


class Channel(base.Channel):
    """The control channel; a hospital adds its table when the proposal comes, then approves."""

    def __init__(self, nodes: dict[SiteId, NodeHome]) -> None:
        super().__init__(nodes)
        self.tables: dict[SiteId, bytes] = {}

    def propose(self, proposal: Proposal, *, sites: Sequence[SiteId], **_: object) -> None:  # type: ignore[override]
        for site in sites:
            node = self.nodes[site]
            take_proposal(node, proposal)
            study = desk_of(node).proposal(proposal.study)
            assert study.outcomes is not None
            if site in self.tables:
                lines = read_outcomes(self.tables[site], study.outcomes)
                add_table(node.data, study.cohort, lines)
            decided = desk_of(node).decision_file(proposal.study)
            if not decided.exists():
                approve_study(node, proposal.study, now=datetime.now(UTC))
            self.said[site] = decided.read_bytes()


def bare_homes(folder: Path) -> Homes:
    """Make a centre and three hospitals that have no data yet."""
    now = datetime.now(UTC)
    centre = init_centre(folder / "centre", name="Centre", address="localhost:1", now=now)
    for site in SITES:
        enrol(centre, folder / "hospitals" / site, site, now=now)
        allow(NodeHome.open(folder / "hospitals" / site), POLICY, now=now)
    return Homes(folder)


def allow(node: NodeHome, changes: Sequence[tuple[str, str]], *, now: datetime) -> None:
    """Sign a policy with these changes."""
    text = TEMPLATE.replace("without_privacy = false", "without_privacy = true")
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    write_atomic(node.policy, text.encode(), mode=0o600)
    sign_policy(node, now=now)


@contextmanager
def federation_of(folder: Path, copy: Path) -> Iterator[Federation]:
    """Give a federation over a copy of bare homes."""
    shutil.copytree(folder, copy, symlinks=True)
    with base.in_process(Homes(copy), channel=Channel) as found:
        yield found


def outcome_study(fed: Federation, data: Data, name: str = "fit-1", **changes: Any) -> Study:
    """Return the study of some data."""
    wanted: Mapping[str, Any] = {
        "variables": data.variables,
        "analyses": data.analyses,
        "clock": data.clock,
        "limits": data.limits,
        **changes,
    }
    return plan_study(fed.centre, Wanted(StudyId(name), data.name, in_a_month(), **wanted))


def hand_out(fed: Federation, data: Data) -> None:
    """Put each hospital's part of the data on its desk."""
    assert isinstance(fed.channel, Channel)
    fed.channel.tables = {site: data.csv_of(at) for at, site in enumerate(SITES)}


def outcome_steps(campaign: Campaign, result: Result) -> None:
    """Take the steps of an outcome study in the flow's order."""
    campaign.gather(patience_s=5)
    campaign.open()
    evaluations.begin(campaign)
    for number in range(1, campaign.study.training.rounds + 1):
        campaign.take_step(number)
    result.outcomes = running.finish(campaign).as_json()


def run(fed: Federation, study: Study) -> Result:
    """Submit a study and take it through all its steps."""
    return fed.run(study, outcome_steps)


def document(fed: Federation, name: str = "fit-1") -> dict[str, Any]:
    """Return what a study came to."""
    return running.shown(CentreHome.open(fed.centre.folder), name)[1]


def analysis(fed: Federation, name: str, study: str = "fit-1") -> dict[str, Any]:
    """Return one analysis of a study."""
    found: dict[str, Any] = next(
        one for one in document(fed, study)["analyses"] if one["name"] == name
    )
    return found


def again(fed: Federation, study: Study) -> Result:
    """Launch a study once more that failed or whose process died."""
    with closing(QueueStore(Database.of(fed.centre))) as queue:
        queue.put(study.id, Asked(), actor="lin")
    return conduct(fed.centre, study.id, emit=silent, steps=outcome_steps)
