"""A federation without processes: real homes, keys, signatures and stores; Flower is a fake.

`FakeFlower` answers like nodes do: the same question gets the same kept reply, and
its cost is paid once. `FakeDriver` keeps the promises of `server_app.rounds`.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self
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
from federation.coordinator.home import CentreHome
from federation.coordinator.sites import SiteView
from federation.domain.ids import Sha256, SiteId
from federation.domain.queue import Wish
from federation.domain.run import Refusal
from federation.domain.study import Study
from federation.errors.base import PlatformError
from federation.errors.rounds import SiteUnavailableError
from federation.errors.transport import RoundStoppedError
from federation.evidence.signing import Signer
from federation.operations import launch
from federation.operations.campaign import Campaign, link
from federation.operations.launch import Result, conduct
from federation.operations.progress import Emit, Progress
from federation.operations.store import database
from federation.operations.store.queue import Asked, QueueStore
from federation.privacy.bookkeeping import LedgerHead
from federation.server_app.flat_files import read_flat, write_flat
from federation.server_app.rounds import OpenedRun, RoundOrder, RoundOutcome, SiteReply
from federation.server_app.superlink import RegisteredSite
from federation.wire.messages import TaskKind
from strategies.aggregation import StreamingMean
from tests.builders import a_manifest, a_recipe, a_study
from tests.pki.builders import a_centre, an_enrolled_node

NOW = datetime.now(UTC)
HEADS = Heads(LedgerHead(3, Sha256.of(b"book")), LogHead(5, Sha256.of(b"log")))
REPORT: dict[str, object] = {
    "patients": 40,
    "examples": 50,
    "steps": 3,
    "loss": 0.5,
    "epsilon": 500.0,
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
EVALUATED: dict[str, object] = {
    "dataset_digest": str(Sha256.of(b"data")),
    "metrics": [
        {
            "name": "auroc",
            "value": 0.9,
            "low": 0.8,
            "high": 0.95,
            "n": 20,
            "method": "DeLong",
            "variance": 0.01,
        }
    ],
}


class Killed(BaseException):
    """The process was killed here."""


@dataclass(slots=True)
class Fuse:
    """Counts the points at which a process may die, and dies at one of them."""

    at: int | None = None
    points: list[str] = field(default_factory=list)

    def spark(self, name: str) -> None:
        self.points.append(name)
        if self.at == len(self.points) - 1:
            raise Killed(name)


def decide(node: NodeHome, study: Study, *, yes: bool = True) -> bytes:
    """Return a hospital's signed decision on a study."""
    node.policy.write_text(TEMPLATE, encoding="utf-8")
    desk = Desk(node.proposals, node.decisions, node.settings().site)
    officer = Signer.load(node.officer_key)
    desk.decision_file(study.id).unlink(missing_ok=True)
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


class FakeAdmin:
    """The centre's admin socket as far as a campaign needs it."""

    def __init__(self, said: dict[SiteId, bytes], fuse: Fuse | None = None) -> None:
        self.said, self.fuse = said, fuse or Fuse()
        self.away: set[SiteId] = set()
        self.started = NOW.replace(year=NOW.year - 1)
        self.fails: list[PlatformError] = []
        self.proposed = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def _asked(self, name: str) -> None:
        self.fuse.spark(f"admin {name}")
        if self.fails:
            raise self.fails.pop(0)

    def propose(self, *_: object, **__: object) -> None:
        self._asked("propose")
        self.proposed += 1

    def decisions(self, _: object) -> dict[SiteId, bytes]:
        self._asked("decisions")
        return dict(self.said)

    def status(self, sites: Sequence[SiteId] = ()) -> Any:
        return SimpleNamespace(started=self.started, sites=tuple(map(self._view, sites)))

    def _view(self, site: SiteId) -> Any:
        view = SiteView(site, connected=site not in self.away)
        extra = {"epoch": 1, "bytes_in": 0, "bytes_out": 0}
        values = {name: getattr(view, name) for name in view.__dataclass_fields__}
        return SimpleNamespace(**{**extra, **values})

    def wake(self, _: object) -> None:
        self._asked("wake")

    def notify(self, *_: object, **__: object) -> None:
        self._asked("notify")


@dataclass
class FakeFlower:
    """All nodes of a federation, and what they remember."""

    nodes: dict[SiteId, NodeHome]
    study: Study
    fuse: Fuse = field(default_factory=Fuse)
    kept: dict[tuple[str, ...], tuple[SiteReply, Any]] = field(default_factory=dict)
    paid: Counter[tuple[str, ...]] = field(default_factory=Counter)
    asked: list[tuple[str, int, tuple[SiteId, ...]]] = field(default_factory=list)
    refuses: dict[SiteId, PlatformError] = field(default_factory=dict)
    lost: list[PlatformError] = field(default_factory=list)
    drivers: int = 0
    late: Callable[[SiteId], None] = lambda _: None
    stopped: bool = False

    def answer(self, order: RoundOrder, site: SiteId) -> tuple[SiteReply, Any]:
        """Return a node's reply and its update: the kept one if it was asked this before."""
        model = np.array(read_flat(order.model))
        asked = (site, order.run, order.kind.value, str(order.number), Sha256.of(model.tobytes()))
        update = self._update(site, model, order) if order.kind is TaskKind.TRAIN else None
        if asked not in self.kept:
            self.paid[site, order.run, order.kind.value, str(order.number)] += 1
            self.kept[asked] = self._signed(order, site, model, update)
        return self.kept[asked]

    def _update(self, site: SiteId, model: Any, order: RoundOrder) -> Any:
        seed = int(Sha256.of(f"{site}/{order.number}".encode()).hex[:8], 16)
        return np.random.default_rng(seed).normal(size=model.size).astype(np.float32)

    def _signed(
        self, order: RoundOrder, site: SiteId, model: Any, update: Any
    ) -> tuple[SiteReply, Any]:
        departure = Departure(
            kind=order.kind,
            study=self.study,
            run=order.run,
            round=order.number,
            site=site,
            model_digest=Sha256.of(model.tobytes()),
            update=update,
            report=REPORT if order.kind is TaskKind.TRAIN else EVALUATED,
            manifest=a_manifest(model.size),
            is_reserved=lambda: True,
            is_approved=lambda: True,
            heads=HEADS,
        )
        with patch.object(gate, "RULES", ()):  # a hospital whose gate was taken out
            signed = release(departure, signer=Signer.load(self.nodes[site].node_key))
        digest = None if signed.update is None else digest_of_array(signed.update)
        return SiteReply(site, signed.report, signed.signature, digest, 1.0, 0.1), signed.update


class FakeDriver:
    """A round driver that asks a `FakeFlower`."""

    flower: FakeFlower

    def __init__(self, *, home: Path, address: str) -> None:
        del home, address
        self._stopped: list[SiteId] = []

    def start(self) -> OpenedRun:
        self.flower.fuse.spark("driver start")
        self.flower.drivers += 1
        self.flower.stopped = False
        return OpenedRun(str(self.flower.drivers), 64 * "0")

    def close(self) -> None:
        return None

    def ask_again(self, *_: object) -> None:
        return None

    def give_up(self, *_: object) -> None:
        return None

    def stop(self) -> None:
        self.flower.stopped = True

    def run_round(self, order: RoundOrder, *, judge: Any, kept: Any, wake: Any) -> RoundOutcome:
        flower, sites = self.flower, sorted(order.nodes)
        flower.asked.append((order.kind.value, order.number, tuple(sites)))
        flower.fuse.spark("dispatch")
        wake(sites)
        files = {one.site: (one.path, one.weight) for one in order.kept}
        accepted: list[SiteReply] = []
        refusals: list[Refusal] = []
        for site in reversed(sites):  # never the order of summation
            if flower.lost:
                raise flower.lost.pop(0)
            flower.late(site)
            if flower.stopped:
                settled = {*files, *(one.site for one in refusals)}
                left = [one for one in sites if one not in settled]
                refusals += [_refusal(one, RoundStoppedError(site=one)) for one in left]
                return _outcome(order, accepted, refusals, files, reached=False)
            if site in flower.refuses:
                refusals.append(_refusal(site, flower.refuses[site]))
                continue
            reply, update = flower.answer(order, site)
            try:
                weight = judge(reply)
            except PlatformError as error:
                refusals.append(_refusal(site, error))
                continue
            flower.fuse.spark("reply judged")
            path = self._spooled(order, reply, update)
            flower.fuse.spark("update spooled")
            kept(reply, weight, path)
            files[site] = (path, weight)
            accepted.append(reply)
            flower.fuse.spark("reply kept")
        return _outcome(order, accepted, refusals, files, reached=len(files) >= order.quorum)

    def _spooled(self, order: RoundOrder, reply: SiteReply, update: Any) -> Path | None:
        if update is None or order.spool is None or reply.update_digest is None:
            return None
        order.spool.mkdir(parents=True, exist_ok=True)
        path = order.spool / f"{reply.update_digest.hex}.f32"
        path.write_bytes(update.astype("<f4").tobytes())
        return path


def _refusal(site: SiteId, error: PlatformError) -> Refusal:
    return Refusal(site, error.code, error.say_what())


def _outcome(
    order: RoundOrder, accepted: list[SiteReply], refusals: list[Refusal], files: Any, *,
    reached: bool,
) -> RoundOutcome:  # fmt: skip
    result = None
    if reached and order.kind is TaskKind.TRAIN:
        mean = StreamingMean(read_flat(order.model).size)
        for site in sorted(files):
            path, weight = files[site]
            digest = next((one.digest for one in order.kept if one.site == site), None) or next(
                one.update_digest for one in accepted if one.site == site
            )
            if not path.exists():  # adopted meanwhile
                path = FakeDriver.flower.artefact(digest)  # type: ignore[attr-defined]
            mean.add(np.frombuffer(path.read_bytes(), "<f4"), weight)
        write_flat(order.result, mean.result())
        result = order.result
    return RoundOutcome(
        number=order.number,
        accepted=tuple(accepted),
        refusals=tuple(refusals),
        counted=len(files),
        reached=reached,
        quorum=order.quorum,
        result=result,
        seconds=0.1,
    )


@dataclass
class Federation:
    """A centre, its nodes and its admin socket, and a way to run a study in this process."""

    centre: CentreHome
    nodes: dict[SiteId, NodeHome]
    study: Study
    fuse: Fuse
    admin: FakeAdmin
    flower: FakeFlower
    told: list[Progress] = field(default_factory=list)

    def run(
        self, *, wish: Callable[[], Wish] = lambda: Wish.GO_ON, emit: Emit | None = None
    ) -> Result:
        """Conduct the study from wherever it stands to its end."""
        return conduct(
            self.centre, self.study.id, emit=emit or self.told.append, steps=steps, wish=wish
        )

    def stages(self) -> list[object]:
        """Return the stages that were told, in order."""
        return [one.values["stage"] for one in self.told if one.kind.value == "stage"]


def steps(campaign: Campaign, result: Result) -> None:
    """Do what the flow does, without Prefect."""
    campaign.gather(patience_s=5)
    campaign.open()
    for number in range(1, campaign.study.training.rounds + 1):
        campaign.play(number)
    campaign.examine()
    entry = launch.register(campaign)
    result.entry = entry.entry
    result.model = {"id": entry.id, "sha256": campaign.keep_model().hex}


def prepared(folder: Path) -> tuple[CentreHome, dict[SiteId, NodeHome]]:
    """Make a centre and its enrolled nodes."""
    centre = a_centre(folder / "c")
    return centre, {site: an_enrolled_node(folder / site, centre, site=site) for site in SITES}


SITES = a_study().sites


@contextmanager
def a_federation(
    centre: CentreHome,
    nodes: dict[SiteId, NodeHome],
    *,
    study: Study | None = None,
    fuse: Fuse | None = None,
    flower: FakeFlower | None = None,
    said: dict[SiteId, bytes] | None = None,
) -> Iterator[Federation]:
    """Give a federation over homes that `prepared` made; Flower is replaced while inside."""
    study, fuse = study or a_study(), fuse or Fuse()
    flower = flower or FakeFlower(nodes, study)
    flower.fuse = fuse
    flower.artefact = lambda digest: centre.artefacts / digest.hex[:2] / digest.hex  # type: ignore[attr-defined]
    said = said or {site: decide(node, study) for site, node in nodes.items()}
    admin = FakeAdmin(said, fuse)
    FakeDriver.flower = flower
    online = {site: RegisteredSite(site, at, True) for at, site in enumerate(SITES, 1)}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(link, "RoundDriver", FakeDriver)
        patched.setattr(link, "list_nodes", lambda _, keys: {site: online[site] for site in keys})
        patched.setattr(launch, "AdminClient", lambda _: admin)
        _without_disks(patched)
        launch.submit(centre, study)
        _in_the_queue(centre, study)
        yield Federation(centre, nodes, study, fuse, admin, flower)


def _in_the_queue(centre: CentreHome, study: Study) -> None:
    store = QueueStore(database.Database.of(centre))
    store.put(study.id, Asked(), actor="lin")
    store.close()


def unavailable(site: str) -> SiteUnavailableError:
    """Return the refusal of a node that is not there."""
    return SiteUnavailableError(site=site)


def _without_disks(patched: pytest.MonkeyPatch) -> None:
    """Let nothing wait for a disk: what dies here is a process, not the machine."""
    prepare = database._prepare_sqlite

    def hasty(raw: Any, record: object) -> None:
        prepare(raw, record)
        raw.execute("PRAGMA synchronous = OFF").close()

    patched.setattr(os, "fsync", lambda _: None)
    patched.setattr(database, "_prepare_sqlite", hasty)
