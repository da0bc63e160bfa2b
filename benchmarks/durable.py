"""What durability costs: rounds of a campaign beside plain rounds of the same driver.

Both have three sites that answer at once, with the same model, at the same centre:
`trifed centre serve` with its SuperLink, database and admin socket. A plain round is
`RoundDriver.run_round` with every reply believed and folded in at once. A durable one
is `Campaign.play`, the body of the flow's task: plan, dispatch and every reply
committed, signatures checked, updates and checkpoint brought to disk, the privacy book,
the audit trail. They take turns, so that what else runs on the machine meets both.

The sites are simulated (benchmarks/simulated.py) at the SuperLink's own socket. What the
centre would see of their control channels is made up here, after asking it all the same.
"""

import dataclasses
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_ssh_private_key,
)

from benchmarks.fleet import ROOT, Fleet
from clients.home import NodeHome
from federation.coordinator.admin import AdminClient, LiveCentre
from federation.domain.ids import RunId, SiteId
from federation.domain.study import Study
from federation.operations.campaign import Campaign
from federation.operations.launch import submit
from federation.operations.progress import Progress
from federation.operations.store.studies import StudyStore
from federation.protocol.mapping import RunNotice
from federation.server_app.flat_files import write_flat
from federation.server_app.rounds import RoundDriver, RoundOrder, SiteReply
from federation.settings import CHILD_THREADS
from federation.wire.child_environment import LARGE_BUFFERS
from federation.wire.local_sockets import path_of
from federation.wire.messages import TaskKind
from tests.builders import a_study
from tests.operations.fakes import decide

PLAIN = RunId("plain.1")


@dataclasses.dataclass(frozen=True)
class Durable:
    """Medians: a plain round, a durable one, and what the second takes more than the first."""

    plain_s: float
    durable_s: float
    extra_s: float


class Admin(AdminClient):
    """The centre's real admin socket; sites without a control channel count as connected."""

    def __init__(self, home: Path, said: dict[SiteId, bytes]) -> None:
        super().__init__(home)
        self._said = said

    def status(self, sites: Any = ()) -> LiveCentre:
        found = super().status(sites)
        views = tuple(dataclasses.replace(view, connected=True, epoch=1) for view in found.sites)
        return dataclasses.replace(found, sites=views)

    def decisions(self, study: Any) -> dict[SiteId, bytes]:
        super().decisions(study)
        return dict(self._said)

    def notify(self, notice: RunNotice, *, sites: Any, wait_s: float = 0.0) -> tuple[SiteId, ...]:
        del wait_s
        return super().notify(notice, sites=sites, wait_s=0.0)


def measured(folder: Path, *, rounds: int) -> Durable:
    """Play so many rounds of either kind; the first of each, which warms up, does not count."""
    study = a_study()
    plan = dataclasses.replace(study.training, rounds=rounds + 1)
    study = a_study(training=plan)
    with ExitStack() as stack:
        fleet = stack.enter_context(_centre(folder, study.sites))
        stack.enter_context(simulated_sites(fleet))
        fleet.wait_online(study.sites)
        submit(fleet.centre, study)
        said = {site: decide(node, study) for site, node in fleet.nodes.items()}
        admin = stack.enter_context(Admin(fleet.centre.folder, said))
        store = stack.enter_context(closing(StudyStore.of(fleet.centre)))
        campaign = Campaign(fleet.centre, study, store=store, admin=admin, emit=_ignore)
        stack.callback(campaign.leave)
        campaign.gather(patience_s=5)
        campaign.open()
        driver = stack.enter_context(fleet.driver())
        driver.start()
        order = _plain_order(fleet, study, campaign)
        return _taking_turns(driver, order, campaign, rounds)


def _taking_turns(
    driver: RoundDriver, order: RoundOrder, campaign: Campaign, rounds: int
) -> Durable:
    plain, durable = [], []
    for number in range(1, rounds + 2):
        started = time.perf_counter()
        driver.run_round(dataclasses.replace(order, number=number), judge=_believe).check_quorum()
        between = time.perf_counter()
        campaign.play(number)
        plain.append(between - started)
        durable.append(time.perf_counter() - between)
        if "--profile" in sys.argv:
            print(f"plain {plain[-1]:.3f} durable {durable[-1]:.3f}", file=sys.stderr, flush=True)
    extra = [one - other for one, other in zip(durable, plain, strict=True)]
    return Durable(*(statistics.median(values[1:]) for values in (plain, durable, extra)))


def _plain_order(fleet: Fleet, study: Study, campaign: Campaign) -> RoundOrder:
    model = fleet.folder / "model.npy"
    write_flat(model, campaign.artefacts.get_model(campaign.keep_model())[0])
    order = fleet.ping_order(model, 1, study.sites)
    return dataclasses.replace(
        order, kind=TaskKind.TRAIN, study=study.id, run=PLAIN, study_digest=study.digest
    )


@contextmanager
def _centre(folder: Path, sites: Sequence[SiteId]) -> Iterator[Fleet]:
    fleet = Fleet(folder, sites)
    try:
        fleet.make_homes()
        fleet.start_centre()
        yield fleet
    finally:
        fleet.stop()


@contextmanager
def simulated_sites(fleet: Fleet) -> Iterator[None]:
    """Connect a fleet's sites to its SuperLink, all in one process, with their own keys."""
    with (fleet.folder / "sites.log").open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.simulated"], cwd=ROOT, text=True, stderr=log,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, **LARGE_BUFFERS, **CHILD_THREADS},
        )  # fmt: skip
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        sites = [_keys_of(site, node) for site, node in fleet.nodes.items()]
        order = {"socket": str(path_of(fleet.address)), "sites": sites}
        child.stdin.write(json.dumps(order) + "\n")
        child.stdin.flush()
        if child.stdout.readline() != "connected\n":
            raise ConnectionError(f"the sites did not connect, see {fleet.folder / 'sites.log'}")
        yield
    finally:
        child.kill()
        child.wait()
        child.stdin.close()
        child.stdout.close()


def _keys_of(site: SiteId, node: NodeHome) -> dict[str, str]:
    flower = load_ssh_private_key(node.flower_key.read_bytes(), None)
    private = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return {
        "site": site,
        "flower_key": flower.private_bytes(*private).decode(),
        "node_key": node.node_key.read_text(encoding="ascii"),
    }


def _believe(_reply: SiteReply) -> float:
    return 1.0


def _ignore(_event: Progress) -> None:
    return None
