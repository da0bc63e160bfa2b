"""Ask the sites of a round whose reply is not kept, and keep each reply that counts.

May be done again after any crash: what was kept is neither asked nor counted
again, and a site that had answered gives the same bytes at no cost.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from federation import observability as observed
from federation.domain.audit import AuditKind
from federation.domain.ids import SiteId
from federation.domain.pace import RoundPlan
from federation.domain.run import Refusal, RoundKey, RoundKind, RoundState
from federation.domain.site import SiteState
from federation.errors.durable import ReplyChangedError
from federation.errors.enrolment import NodeCertificateRevokedError
from federation.errors.machine import ArtefactMissingError
from federation.errors.rounds import SiteUnavailableError
from federation.errors.transport import KeptUpdateDamagedError
from federation.evidence.verification import PublicKey
from federation.operations.campaign.parts import Parts
from federation.operations.campaign.records import asked_model, sites_of, start_of
from federation.operations.campaign.summing import (
    check_part,
    keys_of,
    quorum_of,
    shared_of,
    step_of,
)
from federation.operations.judging import Asked, check_reply, weight_of
from federation.operations.progress import EventKind, Progress
from federation.operations.store.rounds import StoredReply, StoredRound
from federation.operations.watch import WatchedRound
from federation.server_app.flat_files import write_flat
from federation.server_app.rounds import KeptUpdate, RoundOrder, RoundOutcome, SiteReply
from federation.storage import disk_full_as_error, require_space
from federation.wire.messages import FlatModel, TaskKind

TASKS = {RoundKind.TRAIN: TaskKind.TRAIN, RoundKind.EVALUATE: TaskKind.EVALUATE}

MORE_MODELS = 3
"""Models that a round writes beside the updates: what is asked, the mean, the next one."""


class Asking:
    """One round's way to its sites. Made anew for every attempt at the round."""

    def __init__(self, parts: Parts, row: StoredRound) -> None:
        self._parts, self._key = parts, row.key
        self._sites, self._asked = sites_of(row), asked_model(row)
        self._quorum, self._keys = quorum_of(row, parts.study), keys_of(row)
        self._shared = shared_of(row)
        self._model: FlatModel = parts.checkpoints.model(start_of(row))[0]
        self._replies = {reply.site: reply for reply in parts.store.replies(row.key)}
        self._damaged: set[SiteId] = set()

    @property
    def folder(self) -> Path:
        """Return where the round's files lie while it runs."""
        return spool_of(self._parts, self._key)

    def ask(self) -> RoundOutcome:
        """Ask who has not replied; return what came of it, with what was kept before.

        Raises
        ------
        SuperLinkUnreachableError, FlowerRefusedError, RoundDriverDiedError, StoreUnavailableError
            If something was lost on the way: ask again.
        DiskFullError
            If the disk has no room for the round.
        """
        kept = self._kept()
        missing = [site for site in self._sites if site not in {one.site for one in kept}]
        self._check_room(len(missing))
        with self._parts.turn(self._sites):
            nodes = self._parts.link.nodes(missing)
            try:
                outcome = self._drive(nodes, kept)
            except KeptUpdateDamagedError as error:
                self._damaged.add(SiteId(str(error.values["site"])))
                return self.ask()
        absent = [_absent(site) for site in missing if site not in nodes]
        return _with(outcome, absent)

    def judge(self, reply: SiteReply) -> float:
        """Return the weight of a reply that its site signed, about exactly what was asked.

        Raises
        ------
        PlatformError
            The coded reason for which it does not count.
        """
        study = self._parts.study
        asked = Asked(TASKS[self._key.kind], study, self._key.run, self._key.number, self._asked)
        node = self._key_of(reply.site)
        check_reply(reply, asked, key=node)
        step = step_of(study, self._key)
        if step is not None:
            check_part(reply.report, step, study, self._key, site=reply.site, node=node)
        earlier = self._replies.get(reply.site)
        if earlier is not None and earlier.update != reply.update_digest:
            raise ReplyChangedError(site=reply.site, round=self._key.number)
        return weight_of(reply.report, self._parts.strategy.options)

    # -- parts ---------------------------------------------------------------------

    def _kept(self) -> list[KeptUpdate]:
        """Return the accepted replies whose bytes are here; the others are asked once more."""
        found = []
        for site, reply in self._replies.items():
            try:
                path = None if reply.update is None else self._parts.artefacts.path_of(reply.update)
            except ArtefactMissingError:
                continue
            if site not in self._damaged:
                found.append(KeptUpdate(site, path, reply.weight, reply.update))
        return found

    def _check_room(self, replies: int) -> None:
        """Raise `DiskFullError` unless the updates that may come, and the checkpoint, fit."""
        updates = replies if self._key.kind is RoundKind.TRAIN else 0
        require_space(self._parts.home.folder, self._model.nbytes * (updates + MORE_MODELS))

    def _drive(self, nodes: dict[SiteId, int], kept: list[KeptUpdate]) -> RoundOutcome:
        parts = self._parts
        driver = parts.link.open(self._key.run, self._sites)
        before = {one.site: self._replies[one.site].seconds for one in kept}
        with parts.watch.over(driver, self._plan(), [*nodes, *before], before=before) as watched:
            return driver.run_round(
                self._order(nodes, kept),
                judge=self.judge,
                kept=lambda reply, weight, path: self._keep(reply, weight, path, watched),
                wake=self._dispatched,
            )

    def _plan(self) -> RoundPlan:
        key, size_bytes = self._key, self._model.nbytes
        return RoundPlan(
            run=key.run,
            kind=key.kind.value,
            number=key.number,
            quorum=self._quorum,
            model_bytes=size_bytes,
            reply_bytes=size_bytes if key.kind is RoundKind.TRAIN else 0,
        )

    def _order(self, nodes: dict[SiteId, int], kept: list[KeptUpdate]) -> RoundOrder:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with disk_full_as_error(self.folder, self._model.nbytes):
            write_flat(self.folder / "model.npy", self._model)
        return RoundOrder(
            number=self._key.number,
            kind=TASKS[self._key.kind],
            study=self._parts.study.id,
            run=self._key.run,
            study_digest=self._parts.study.digest,
            model=self.folder / "model.npy",
            result=self.folder / "mean.npy",
            nodes=nodes,
            quorum=self._quorum,
            spool=self.folder,
            kept=tuple(kept),
            shared=self._shared,
            keys=self._keys,
        )

    def _dispatched(self, sites: Sequence[SiteId]) -> None:
        parts = self._parts
        row = parts.store.round(self._key)
        if row is not None and row.state is RoundState.PLANNED:
            audit = parts.voice.audit(AuditKind.ROUND_DISPATCHED, str(self._key))
            parts.store.move(self._key, RoundState.DISPATCHED, {}, audit=audit)
        parts.link.wake(sites)

    def _keep(
        self, reply: SiteReply, weight: float, path: Path | None, watched: WatchedRound
    ) -> None:
        """Keep a reply that counts: its update's bytes first, then the row that names them."""
        parts = self._parts
        if path is not None and reply.update_digest is not None:
            parts.artefacts.adopt(path, reply.update_digest)
        stored = StoredReply(
            site=reply.site,
            update=reply.update_digest,
            weight=weight,
            report=reply.report,
            signature=reply.signature,
            seconds=reply.seconds,
            at=parts.voice.now(),
        )
        audit = parts.voice.audit(AuditKind.REPLY_ACCEPTED, str(self._key), site=reply.site)
        parts.store.keep_reply(self._key, stored, audit=audit)
        watched.replied(reply.site)
        observed.answered(reply.site, seconds=reply.seconds)
        self._tell(reply)

    def _tell(self, reply: SiteReply) -> None:
        voice, site = self._parts.voice, reply.site
        is_last = self._parts.study.protocol is None  # of a run that trained
        if self._key.kind is RoundKind.EVALUATE and is_last:
            voice.emit(Progress(EventKind.SITE_EVALUATED, site, values=_headline(reply.report)))
            return
        values = numbers_in(reply.report, "loss", "epsilon", "patients")
        voice.tell(EventKind.SITE_REPLIED, site=site, round=self._key.number, **values)

    def _key_of(self, site: SiteId) -> PublicKey:
        """Return the key that a reply must be signed with.

        Raises
        ------
        NodeCertificateRevokedError
            If the site was revoked since it was asked.
        """
        entry = self._parts.home.roster().entry(site)
        if entry.state is SiteState.REVOKED:
            raise NodeCertificateRevokedError(node=site, when="")
        return PublicKey.from_pem(str(entry.node_key).encode())


def spool_of(parts: Parts, key: RoundKey) -> Path:
    """Return the folder of a round's files: of one run, one kind and one number."""
    return parts.home.folder / "spool" / key.run / f"{key.kind.value}-{key.number}"


def _absent(site: SiteId) -> Refusal:
    error = SiteUnavailableError(site=site)
    return Refusal(site, error.code, error.say_what())


def _with(outcome: RoundOutcome, absent: list[Refusal]) -> RoundOutcome:
    return replace(outcome, refusals=(*outcome.refusals, *absent))


def _headline(report: dict[str, object]) -> dict[str, object]:
    metrics = report.get("metrics")
    first = metrics[0] if isinstance(metrics, list) and metrics else {}
    if not isinstance(first, dict):
        return {}
    return {"name": first.get("name"), **numbers_in(first, "value", "low", "high", "n")}


def numbers_in(said: Mapping[str, object], *names: str) -> dict[str, object]:
    """Return the numbers that a site said under these names; None for whatever is no number."""
    found = {name: said.get(name) for name in names}
    return {
        name: value if isinstance(value, int | float) else None for name, value in found.items()
    }
