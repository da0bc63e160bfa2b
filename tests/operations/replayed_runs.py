"""A whole run with keys, updates and models, played as the platform does, to be replayed.

The mean is taken here by plain NumPy, one site after the other by name: the second
way that the replay must agree with.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from unittest.mock import patch

import numpy as np

from clients import gate
from clients.audit_log import LogHead
from clients.gate import Departure, digest_of_array, release
from clients.heads import Heads
from federation.domain.ids import RunId, Sha256, SiteId
from federation.domain.replay import Finding, Outcome, Replayed
from federation.domain.run import RoundKind
from federation.domain.study import Study, TrainingPlan
from federation.domain.update import UpdateManifest
from federation.evidence.model_version import Record
from federation.evidence.signing import Signer, new_key
from federation.evidence.verification import PublicKey
from federation.operations.artefacts import Artefacts
from federation.operations.campaign.checkpoints import keep_state
from federation.operations.environment import record_of_run
from federation.operations.replaying.centre import Replay, Retrain
from federation.operations.replaying.kept import KeptReply, KeptRound
from federation.privacy.bookkeeping import LedgerHead
from federation.recipes import catalogue, flat, networks
from federation.wire.messages import FlatModel, Reply, TaskKind
from strategies.fedavg import FedAvg
from tests.builders import a_study

RECIPE = catalogue.recipe("cxr-pneumonia-small")
MANIFEST = flat.manifest_of(networks.build(RECIPE, seed=7))
PLAN = TrainingPlan(
    rounds=2, local_epochs=1.0, learning_rate=0.1, batch_size=20, optimizer="sgd", momentum=0.0
)
HEADS = Heads(LedgerHead(3, Sha256.of(b"book")), LogHead(5, Sha256.of(b"log")))
EXAMPLES = {"north": 50, "centre": 700, "south": 30}
TRAINED: dict[str, object] = {
    "patients": 40, "steps": 3, "loss": 0.5, "dataset_digest": str(Sha256.of(b"data")),
}  # fmt: skip
PRIVATE: dict[str, object] = {
    "epsilon": 1.0, "noise_multiplier": 1.0, "clip_norm": 1.0, "sample_rate": 0.1,
    "events": [{"kind": "poisson-sampled-gaussian", "noise_multiplier": 1.0, "sample_rate": 0.1,
                "steps": 3}],
}  # fmt: skip


def a_run_study(*, private: bool = False, **changes: object) -> Study:
    privacy = a_study().privacy if private else None
    return a_study(
        **{"recipe_digest": RECIPE.digest, "training": PLAN, "privacy": privacy, **changes}
    )


@dataclass
class PlayedRun:
    """A run held in memory (a `KeptRun`), with the hands to play and to spoil it."""

    artefacts: Artefacts
    signers: Mapping[SiteId, Signer]
    study: Study
    run: RunId
    record: dict[str, object] = field(default_factory=dict)
    played: list[KeptRound] = field(default_factory=list)
    entry: Record | None = None
    models: list[FlatModel] = field(init=False)
    manifest: UpdateManifest = field(init=False)
    strategy: FedAvg = field(init=False)

    def __post_init__(self) -> None:
        network = networks.build(catalogue.recipe(self.study.recipe), seed=self.study.seed)
        self.models, self.manifest = [flat.flatten(network)], flat.manifest_of(network)
        self.strategy = FedAvg.for_study(self.study, self.manifest.size)

    # -- the port ------------------------------------------------------------------

    def rounds(self) -> Iterator[KeptRound]:
        return iter(self.played)

    def path_of(self, digest: Sha256) -> Path:
        return self.artefacts.path_of(digest)

    def registered(self) -> Record | None:
        return self.entry

    # -- playing -------------------------------------------------------------------

    def train(self, *, updates: Mapping[SiteId, FlatModel] | None = None) -> KeptRound:
        """Play the next round with made-up updates of every site."""
        number = len(self.models)
        random = np.random.default_rng(number)
        replies = []
        for site in self.study.sites:
            made = random.normal(0, 1e-3, self.manifest.size).astype(np.float32)
            update = made if updates is None else updates[site]
            replies.append(self.reply(site, number, TaskKind.TRAIN, update))
        return self.keep(replies)

    def keep(self, replies: list[KeptReply]) -> KeptRound:
        """Keep the next round of training, made of these replies."""
        number, following = len(self.models), self.models[-1] + self._mean(replies)
        self.strategy.rounds = number
        sites = tuple(sorted(reply.site for reply in replies))
        kept = KeptRound(
            kind=RoundKind.TRAIN,
            number=number,
            model=digest_of_array(self.models[-1]),
            available=sites,
            selected=sites,
            replies=tuple(replies),
            checkpoint=self.artefacts.put_model(following, self.manifest),
            strategy=keep_state(self.artefacts, self.strategy.state()),
        )
        self.models.append(following)
        self.played.append(kept)
        return kept

    def evaluate(self) -> KeptRound:
        """Play the evaluation of the last model."""
        number = self.study.training.rounds
        replies = [self.reply(site, number, TaskKind.EVALUATE, None) for site in self.study.sites]
        kept = KeptRound(
            kind=RoundKind.EVALUATE,
            number=number,
            model=digest_of_array(self.models[-1]),
            available=None,
            selected=tuple(sorted(self.study.sites)),
            replies=tuple(replies),
        )
        self.played.append(kept)
        return kept

    def reply(
        self, site: SiteId, number: int, kind: TaskKind, update: FlatModel | None
    ) -> KeptReply:
        """Return a reply signed by its site, its update kept by its digest."""
        trains = kind is TaskKind.TRAIN
        private = PRIVATE if self.study.privacy is not None else {}
        report = (
            {**TRAINED, **private, "examples": EXAMPLES[site]} if trains else evaluation_of(site)
        )
        departure = Departure(
            kind=kind,
            study=self.study,
            run=self.run,
            round=number,
            site=site,
            model_digest=digest_of_array(self.models[-1]),
            update=update,
            report=report,
            manifest=self.manifest,
            is_reserved=lambda: True,
            is_approved=lambda: True,
            heads=HEADS,
        )
        with patch.object(gate, "RULES", ()):
            said = release(departure, signer=self.signers[site])
        return self.accept(site, said)

    def accept(self, site: SiteId, said: Reply) -> KeptReply:
        """Return a reply as the centre keeps it."""
        digest = None
        if said.update is not None:
            digest = self.artefacts.put(said.update.astype("<f4").tobytes())
        return KeptReply(site, digest, self._weight(said.report), said.report, said.signature)

    # -- spoiling ------------------------------------------------------------------

    def change(self, place: int, **changes: object) -> None:
        """Replace something of a kept round."""
        self.played[place] = replace(self.played[place], **changes)  # type: ignore[arg-type]

    def change_reply(self, place: int, of: int, **changes: object) -> None:
        """Replace something of a kept reply."""
        replies = list(self.played[place].replies)
        replies[of] = replace(replies[of], **changes)  # type: ignore[arg-type]
        self.change(place, replies=tuple(replies))

    def key_of(self, site: SiteId) -> PublicKey:
        return self.signers[site].public_key

    def replayed(self, *, retrain: Retrain | None = None) -> Replayed:
        return Replay(self, key_of=self.key_of, retrain=retrain).run()

    def _weight(self, report: Mapping[str, object]) -> float:
        images = report.get("examples", 1)
        assert isinstance(images, int)
        return 1.0 if self.study.privacy is not None else float(min(images, 500))

    def _mean(self, replies: list[KeptReply]) -> FlatModel:
        total, weights = np.zeros(0, np.float32), 0.0
        for reply in sorted(replies, key=lambda one: one.site):
            assert reply.update is not None
            update = np.frombuffer(self.artefacts.get(reply.update), "<f4")
            scaled = update * np.float32(reply.weight)
            total = total + scaled if total.size else scaled
            weights += reply.weight
        mean: FlatModel = total / np.float32(weights)
        return mean


def evaluation_of(site: SiteId) -> dict[str, object]:
    """Return a report of an evaluation; every site's figures are its own."""
    value = 0.7 + 0.05 * (len(site) - 4)
    metric = {"name": "auroc", "value": value, "low": value - 0.1, "high": value + 0.1, "n": 40,
              "method": "patient bootstrap, B=2000", "variance": 0.00123}  # fmt: skip
    return {
        "heldout_patients": 40, "loss": 0.4, "metrics": [metric], "refused": None,
        "dataset_digest": str(Sha256.of(b"data")),
    }  # fmt: skip


def a_run(
    folder: Path,
    *,
    private: bool = False,
    signers: Mapping[SiteId, Signer] | None = None,
    artefacts: Artefacts | None = None,
    **changes: object,
) -> PlayedRun:
    """Return a run that has not played yet."""
    study = a_run_study(private=private, **changes)
    if signers is None:
        signers = {site: new_key(folder / f"{site}.key") for site in study.sites}
    run = PlayedRun(
        artefacts=artefacts or Artefacts(folder / "artefacts"),
        signers=signers,
        study=study,
        run=RunId.of(study.id, 1),
    )
    run.record = record_of_run(study, initial_model=digest_of_array(run.models[0]))
    return run


def a_played_run(folder: Path, *, private: bool = False) -> PlayedRun:
    """Return a run of two rounds and their evaluation."""
    run = a_run(folder, private=private)
    run.train()
    run.train()
    run.evaluate()
    return run


def wrong(found: Replayed) -> list[Finding]:
    """Return what does not hold."""
    return [one for one in found.findings if one.outcome in (Outcome.DIFFERENT, Outcome.MISSING)]
