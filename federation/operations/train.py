"""Run one approved study from the proposal to the registry entry.

`Campaign` holds what a run needs and has one method for each thing that happens:
`gather` (propose, wait for sites and their signed decisions), `open`, `play` (one
round), `examine` (evaluation at the sites), `register`, `end`. The Prefect flow
calls them in order, one task each; nothing here knows Prefect.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import TypeVar

import numpy as np

from federation.coordinator.admin import AdminClient
from federation.coordinator.home import CentreHome
from federation.coordinator.sites import SiteView
from federation.domain.audit import AuditEvent, AuditKind
from federation.domain.ids import RunId, Sha256, SiteId
from federation.domain.run import Refusal, RoundState, RunState
from federation.domain.study import STUDY, Study, StudyState
from federation.domain.update import UpdateManifest
from federation.errors.approval import (
    StudyCompletedError,
    StudyQuorumMissedError,
)
from federation.errors.base import PlatformError
from federation.evidence.signing import Signer, sign_dsse
from federation.evidence.statements import PredicateType, Statement, Subject
from federation.evidence.verification import PublicKey, trusted_keys, verify_envelope
from federation.operations.artefacts import Artefacts
from federation.operations.judging import Asked, check_reply
from federation.operations.progress import Emit, EventKind, Progress
from federation.operations.release_book import ReleaseBook
from federation.operations.store.studies import StudyStore
from federation.pki.keys import flower_key_pem
from federation.protocol.mapping import Proposal, RunNotice
from federation.server_app.flat_files import read_flat, write_flat
from federation.server_app.rounds import (
    OpenedRun,
    RoundDriver,
    RoundOrder,
    RoundOutcome,
    SiteReply,
    wait_online,
)
from federation.server_app.superlink import (
    RegisteredSite,
    list_nodes,
    node_of,
    superlink_address,
)
from federation.wire.messages import FlatModel, TaskKind
from federation.wire.study import study_as_json
from strategies.fedavg import FedAvg, Weighting

Opened = TypeVar("Opened")

LONGEST_REASON = 300
NO_REASON = "The hospital refused the study."
PATIENCE_S = 7 * 86_400.0
"""How long to wait for people: sites to connect, staff to decide. Stopping and launching again
goes on with the decisions that were made."""

DEADLINE_S = 3600.0
"""The longest round. A site that is gone is given up long before, see `GRACE_S`."""

GRACE_S = 20.0
"""How long a site may be disconnected before the round goes on without it."""

ONLINE_S = 60.0
"""How long a connected node may take to bring its SuperNode up."""


@dataclass(frozen=True, slots=True)
class SiteResult:
    """What one site contributed, as it stands in the registry entry.

    `statements` are pairs of kind and DSSE envelope (JSON text).
    """

    site: SiteId
    patients: int
    rounds: int
    report: dict[str, object]
    evaluation: dict[str, object] | None
    statements: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class _Contribution:
    patients: int = 0
    rounds: int = 0
    report: dict[str, object] = field(default_factory=dict)
    evaluation: dict[str, object] | None = None
    statements: list[tuple[str, str]] = field(default_factory=list)


class Campaign:
    """One run of one study. Not safe to share between threads."""

    def __init__(
        self,
        home: CentreHome,
        study: Study,
        *,
        store: StudyStore,
        admin: AdminClient,
        emit: Emit,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self.home, self.study = home, study
        self.refused: list[Refusal] = []
        self.rounds_done = 0
        self.run: RunId | None = None
        self.started = time.monotonic()
        self._store, self._admin, self._emit, self._clock = store, admin, emit, clock or utc_now
        self._artefacts = Artefacts(home.artefacts)
        self._signer = Signer.load(home.evidence_key)
        self._releases = ReleaseBook(home, study)
        self._driver: RoundDriver | None = None
        self._opened: OpenedRun | None = None
        self._sites: tuple[SiteId, ...] = ()
        self._contributions: dict[SiteId, _Contribution] = {}
        self._model: FlatModel | None = None
        self._manifest: UpdateManifest | None = None
        self._strategy: FedAvg | None = None
        self._asked: Sha256 | None = None

    # -- before the first round ------------------------------------------------

    def gather(self, *, patience_s: float = PATIENCE_S, at_quorum: bool = False) -> None:
        """Propose the study, wait for the hospitals' decisions, move it to RUNNING.

        Parameters
        ----------
        patience_s
            How long to wait for hospitals that have not decided.
        at_quorum
            Do not wait for them once enough have approved.

        Raises
        ------
        StudyQuorumMissedError
            If fewer than the quorum approved.
        """
        self._propose()
        self._stage("approving")
        self._sites = self._await_decisions(patience_s, at_quorum=at_quorum)
        self._move(StudyState.APPROVED, AuditKind.STUDY_APPROVED)
        self._move(StudyState.RUNNING, AuditKind.RUN_STARTED)

    def open(self) -> RunId:
        """Open the run at Flower with the recipe's initial model; return its id."""
        from federation.recipes import catalogue, flat, networks

        self._stage("opening")
        recipe = catalogue.recipe(self.study.recipe)
        network = networks.build(recipe, seed=self.study.seed)
        self._manifest, self._model = flat.manifest_of(network), flat.flatten(network)
        self._strategy = FedAvg.for_study(self.study, self._manifest.size)
        record: dict[str, object] = {
            "model": str(self.keep_model()),
            "study_digest": str(self.study.digest),
        }
        audit = self._audit(AuditKind.RUN_STARTED, self.study.id)
        self.run = self._store.start_run(self.study.id, record, audit=audit)
        self._driver = RoundDriver(home=self.home.folder, address=self._address)
        self._opened = self._driver.start()
        self._admin.notify(self._notice(over=False), sites=self._sites, wait_s=10.0)
        wait_online(self._nodes, self._sites, timeout_s=ONLINE_S)
        self._stage("training")
        return self.run

    # -- the rounds --------------------------------------------------------------

    def play(self, number: int) -> dict[str, object]:
        """Play one round and keep its checkpoint and record; return the record.

        Raises
        ------
        QuorumNotReachedError
            If fewer than the quorum gave a usable update; the round is FAILED.
        TooFewSitesError
            If fewer than the quorum can be asked at all.
        """
        self._tell(EventKind.ROUND_STARTED, round=number)
        strategy, model = _opened(self._strategy), _opened(self._model)
        available = self._sites
        sites = strategy.select(available, quorum=self.study.quorum, round_number=number)
        outcome = self._run(TaskKind.TRAIN, number, sites)
        if outcome.result is not None:
            self._model = strategy.advance(np.array(read_flat(outcome.result)), model)
            outcome.result.unlink()
        for reply in outcome.accepted:
            self._releases.enter(reply.site, reply.signature, at=self._clock())
        record = self._keep_round(number, outcome)
        outcome.check_quorum()
        self.rounds_done += 1
        for reply in outcome.accepted:
            self._credit(reply)
        self._tell(EventKind.ROUND_DONE, round=number, seconds=outcome.seconds)
        return record

    def examine(self) -> None:
        """Compare the privacy books, then evaluate the final model on patients not trained on.

        Raises
        ------
        BooksDifferError
            If what was released is not what the books say; no model is registered then.
        """
        self._stage("evaluating")
        self._check_books()
        outcome = self._run(TaskKind.EVALUATE, self.study.training.rounds, self._sites)
        for reply in outcome.accepted:
            contribution = self._contributions.setdefault(reply.site, _Contribution())
            self._releases.enter(reply.site, reply.signature, at=self._clock())
            contribution.evaluation = reply.report
            contribution.statements.append(("evaluation", reply.signature))
            headline = _headline(reply.report)
            self._emit(Progress(EventKind.SITE_EVALUATED, reply.site, values=headline))

    def results(self) -> list[SiteResult]:
        """Return what each site contributed, by name."""
        return [
            SiteResult(
                site, one.patients, one.rounds, one.report, one.evaluation, tuple(one.statements)
            )
            for site, one in sorted(self._contributions.items())
            if one.rounds
        ]

    def keep_model(self) -> Sha256:
        """Keep the current model as safetensors; return its content id."""
        return self._artefacts.put_model(_opened(self._model), _opened(self._manifest))

    def parameters(self) -> int:
        """Return how many parameters the model has."""
        return _opened(self._manifest).size

    def model_path(self, digest: Sha256) -> Path:
        """Return where a kept model lies in the artefact store."""
        return self._artefacts.path_of(digest)

    def approvals(self) -> list[tuple[SiteId, str]]:
        """Return the signed decisions of the sites that took part, by name."""
        found = self._admin.decisions(self.study.id)
        return [(site, found[site].decode()) for site in sorted(found) if site in self._sites]

    def end(self, state: RunState, record: dict[str, object]) -> None:
        """Close the run and the study; safe to call when neither was opened."""
        if self._driver is not None:
            self._driver.close()
        if self._opened is not None:
            self._admin.notify(self._notice(over=True), sites=self._sites, wait_s=0.0)
        audit = self._audit(AuditKind.RUN_ENDED, self.study.id)
        if self.run is not None:
            self._store.end_run(self.run, state, record, audit=audit)
        final = StudyState.COMPLETED if state is RunState.COMPLETED else StudyState.FAILED
        if STUDY.allows(self._store.study(self.study.id).state, final):
            self._move(final, AuditKind.RUN_ENDED)
        self._tell(EventKind.ENDED, status=state.value)

    def _check_books(self) -> None:
        results = self.results()
        self._releases.check(
            _opened(self.run),
            {result.site: result.statements for result in results},
            {result.site: result.report.get("epsilon") for result in results},
        )

    # -- parts ---------------------------------------------------------------------

    def _proposal(self) -> Proposal:
        content = json.dumps(study_as_json(self.study), ensure_ascii=False).encode()
        statement = Statement(
            subjects=(Subject(f"study/{self.study.id}", self.study.digest),),
            predicate_type=PredicateType.PROPOSAL,
            predicate={"study": study_as_json(self.study), "at": self._clock().isoformat()},
        )
        return Proposal(
            study=self.study.id,
            content=content,
            study_digest=self.study.digest,
            recipe_digest=self.study.recipe_digest,
            envelope=sign_dsse(statement, self._signer).encode(),
        )

    def _propose(self) -> None:
        """Bring the study to PROPOSED, wherever an earlier launch left it, and send it out."""
        state = self._store.study(self.study.id).state
        if state is StudyState.COMPLETED:
            raise StudyCompletedError(study=self.study.id)
        if state in (StudyState.APPROVED, StudyState.RUNNING):  # its launch was killed
            self._move(StudyState.FAILED, AuditKind.RUN_ENDED)
        if state is not StudyState.PROPOSED:
            self._move(StudyState.PROPOSED, AuditKind.STUDY_PROPOSED)
        self._admin.propose(self._proposal(), sites=self.study.sites)

    def _await_decisions(self, patience_s: float, *, at_quorum: bool) -> tuple[SiteId, ...]:
        approved: dict[SiteId, bool] = {}
        seen: set[SiteId] = set()
        deadline = time.monotonic() + patience_s
        while len(approved) < len(self.study.sites) and time.monotonic() < deadline:
            self._tell_connections(seen)
            for site, envelope in self._admin.decisions(self.study.id).items():
                said = None if site in approved else self._read_decision(site, envelope)
                if said is not None:
                    approved[site] = said
            if at_quorum and sum(approved.values()) >= self.study.quorum:
                break
            time.sleep(0.1)
        saying_yes = tuple(site for site in self.study.sites if approved.get(site))
        if len(saying_yes) < self.study.quorum:
            words = {True: "approved", False: "refused", None: "undecided"}
            missing = [
                f"{site} ({words[approved.get(site)]})"
                for site in self.study.sites
                if site not in saying_yes
            ]
            raise StudyQuorumMissedError(
                study=self.study.id,
                actual=len(saying_yes),
                needed=self.study.quorum,
                missing=", ".join(missing),
            )
        return saying_yes

    def _tell_connections(self, seen: set[SiteId]) -> None:
        for view in self._admin.status(self.study.sites).sites:
            if view.connected and view.site not in seen:
                seen.add(view.site)
                self._tell(EventKind.SITE_CONNECTED, site=view.site)

    def _read_decision(self, site: SiteId, envelope: bytes) -> bool | None:
        """Return what a site said of this very version of the study; None if of another."""
        officer = PublicKey.from_pem(_opened(self.home.roster().entry(site).officer_key).encode())
        statement = verify_envelope(
            envelope, trusted=trusted_keys([officer]), expected=PredicateType.APPROVAL
        )
        if self.study.digest not in {subject.digest for subject in statement.subjects}:
            return None
        decision = str(statement.predicate.get("decision"))
        self._tell(EventKind.SITE_DECIDED, site=site, decision=decision)
        if decision != "approved":
            reason = str(statement.predicate.get("reason") or "")[:LONGEST_REASON]
            said = f"The hospital refused the study: {reason}" if reason else NO_REASON
            self._refuse(Refusal(site, "TF320", said), 0)
        return decision == "approved"

    @property
    def _address(self) -> str:
        return superlink_address(self.home.folder)

    def _nodes(self) -> dict[SiteId, RegisteredSite]:
        keys = {
            entry.site: flower_key_pem(entry.flower_key)
            for entry in self.home.roster().entries()
            if entry.site in self._sites and entry.flower_key
        }
        return list_nodes(self._address, keys)

    def _notice(self, *, over: bool) -> RunNotice:
        opened = _opened(self._opened)
        return RunNotice(
            study=self.study.id,
            run=_opened(self.run),
            flower_run=opened.flower_run,
            bundle_digest=opened.bundle_digest,
            over=over,
        )

    def _run(self, kind: TaskKind, number: int, sites: tuple[SiteId, ...]) -> RoundOutcome:
        driver, nodes = _opened(self._driver), self._nodes()
        folder = self.home.run
        model, result = folder / "model.npy", folder / "mean.npy"
        write_flat(model, _opened(self._model))
        self._asked = Sha256.of(_opened(self._model).tobytes())
        order = RoundOrder(
            number=number,
            kind=kind,
            study=self.study.id,
            run=_opened(self.run),
            study_digest=self.study.digest,
            model=model,
            result=result,
            nodes={site: node_of(site, nodes) for site in sites if site in nodes},
            quorum=self.study.quorum,
            deadline_s=DEADLINE_S,
        )
        with self._watch(driver, number, sites):
            outcome = driver.run_round(
                order,
                judge=lambda reply: self._judge(kind, number, reply),
                wake=lambda asked: _ignore(self._admin.wake(asked)),
            )
        for refusal in outcome.refusals:
            self._refuse(refusal, number)
        return outcome

    def _judge(self, kind: TaskKind, number: int, reply: SiteReply) -> float:
        """Return the weight of a reply that its site signed, about exactly what was asked."""
        key = PublicKey.from_pem(_opened(self.home.roster().entry(reply.site).node_key).encode())
        asked = Asked(kind, self.study, _opened(self.run), number, _opened(self._asked))
        check_reply(reply, asked, key=key)
        if kind is TaskKind.TRAIN:
            values = {key: reply.report.get(key) for key in ("loss", "epsilon", "patients")}
            self._tell(EventKind.SITE_REPLIED, site=reply.site, round=number, **values)
        return self._weight(reply)

    def _weight(self, reply: SiteReply) -> float:
        options = _opened(self._strategy).options
        if options.weighting is Weighting.UNIFORM:
            return 1.0
        return float(min(_whole(reply.report.get("examples")) or 1, options.most_examples))

    @contextmanager
    def _watch(self, driver: RoundDriver, number: int, sites: tuple[SiteId, ...]) -> Iterator[None]:
        """Tell of the sites' progress, and give up those that are gone, while the body runs."""
        over = Event()
        watcher = Thread(target=self._look, args=(driver, number, sites, over), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()

    def _look(
        self, driver: RoundDriver, number: int, sites: tuple[SiteId, ...], over: Event
    ) -> None:
        missing_since: dict[SiteId, float] = {}
        shown: dict[SiteId, int] = {}
        while not over.wait(0.25):
            try:
                views = self._admin.status(sites).sites
            except PlatformError:
                continue
            for view in views:
                self._show_progress(view, number, shown)
                if view.connected:
                    missing_since.pop(view.site, None)
                elif time.monotonic() - missing_since.setdefault(view.site, time.monotonic()) > (
                    GRACE_S
                ):
                    driver.give_up(view.site)

    def _show_progress(self, view: SiteView, number: int, shown: dict[SiteId, int]) -> None:
        doing = view.progress
        if doing.round != number or not doing.batches_total:
            return
        percent = 100 * doing.batches_done // doing.batches_total
        if shown.get(view.site) != percent:
            shown[view.site] = percent
            self._tell(EventKind.SITE_PROGRESS, site=view.site, round=number, percent=percent)

    def _credit(self, reply: SiteReply) -> None:
        contribution = self._contributions.setdefault(reply.site, _Contribution())
        contribution.rounds += 1
        contribution.patients = _whole(reply.report.get("patients"))
        contribution.report = reply.report
        contribution.statements.append(("update", reply.signature))

    def _refuse(self, refusal: Refusal, number: int) -> None:
        if refusal not in self.refused:
            self.refused.append(refusal)
        self._tell(
            EventKind.SITE_REFUSED,
            site=refusal.site,
            round=number,
            code=refusal.code,
            what=refusal.what,
        )

    def _keep_round(self, number: int, outcome: RoundOutcome) -> dict[str, object]:
        record: dict[str, object] = {
            "round": number,
            "model": str(self.keep_model()) if outcome.reached else None,
            "seconds": round(outcome.seconds, 3),
            "reports": {
                reply.site: {"report": reply.report, "update": str(reply.update_digest)}
                for reply in outcome.accepted
            },
            "refused": [
                {"site": one.site, "code": one.code, "what": one.what} for one in outcome.refusals
            ],
        }
        state = RoundState.DONE if outcome.reached else RoundState.FAILED
        kind = AuditKind.ROUND_DONE if outcome.reached else AuditKind.ROUND_FAILED
        run = _opened(self.run)
        audit = self._audit(kind, f"{run}/{number}")
        self._store.put_round(run, number, state, record, audit=audit)
        return record

    def _move(self, state: StudyState, kind: AuditKind) -> None:
        self._store.move_study(self.study.id, state, audit=self._audit(kind, self.study.id))

    def _audit(self, kind: AuditKind, subject: str) -> AuditEvent:
        return AuditEvent(kind, "centre", subject, self._clock())

    def _stage(self, stage: str) -> None:
        self._tell(EventKind.STAGE, stage=stage)

    def tell(self, event: Progress) -> None:
        """Pass an event on to whoever watches."""
        self._emit(event)

    def _tell(
        self,
        kind: EventKind,
        *,
        site: SiteId | None = None,
        round: int | None = None,
        **values: object,
    ) -> None:
        self._emit(Progress(kind, site, round, values))


def _opened(value: Opened | None) -> Opened:
    """Return what `gather` or `open` made; calling a later step first is a bug."""
    if value is None:
        raise ValueError("open() comes first")
    return value


def utc_now() -> datetime:
    """Return the time now, with its zone."""
    return datetime.now(UTC)


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def _ignore(_: object) -> None:
    return None


def _headline(report: dict[str, object]) -> dict[str, object]:
    metrics = report.get("metrics")
    first = metrics[0] if isinstance(metrics, list) and metrics else {}
    return dict(first) if isinstance(first, dict) else {}
