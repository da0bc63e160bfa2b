"""Run one approved study from the proposal to the registry entry, and go on after any crash.

`Campaign` has one method for each thing that happens: `gather` (propose, wait for
sites and their signed decisions), `open`, `play` (one round), `examine` (evaluation
at the sites), `register`, `end`. The Prefect flow calls them in order, one task each;
nothing here knows Prefect. Each may be called again by another process after a crash
at any line: what was done is found in the database and done no second time.
"""

import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from federation import observability as observed
from federation import provenance
from federation.coordinator.admin import AdminClient
from federation.coordinator.home import CentreHome
from federation.domain.audit import AuditEvent, AuditKind
from federation.domain.ids import RunId, Sha256, SiteId
from federation.domain.outcome_plan import OutcomeStep
from federation.domain.queue import Wish
from federation.domain.run import Refusal, RoundKey, RoundKind, RunState
from federation.domain.study import STUDY, Study, StudyState
from federation.errors.durable import RunNotContinuableError
from federation.operations.artefacts import Artefacts
from federation.operations.campaign.checkpoints import Checkpoint, Checkpoints
from federation.operations.campaign.contributions import (
    SiteResult,
    finished,
    refusals_of,
    results_of,
)
from federation.operations.campaign.crew import Crew
from federation.operations.campaign.gathering import Gathering
from federation.operations.campaign.link import Link
from federation.operations.campaign.opening import begin_record
from federation.operations.campaign.outcome_steps import start_of_outcome_step
from federation.operations.campaign.parts import Parts, Turn, at_once
from federation.operations.campaign.playing import DurableRound
from federation.operations.campaign.records import start_of
from federation.operations.campaign.recovery import Patience
from federation.operations.campaign.summing import start_of_step, step_of
from federation.operations.campaign.voice import Clock, Voice, utc_now
from federation.operations.campaign.wishes import Wishes
from federation.operations.evidence_entries import log_statements
from federation.operations.progress import Emit, EventKind, Progress
from federation.operations.release_book import ReleaseBook
from federation.operations.store.absences import Absences
from federation.operations.store.claims import Claim
from federation.operations.store.rounds import RoundStore, StoredRound
from federation.operations.store.studies import StudyStore
from federation.operations.watch import Watch, go_on
from federation.wording import Text
from strategies.fedavg import FedAvg

Result = TypeVar("Result")

CONTINUED = AuditKind.RUN_CONTINUED

PATIENCE_S = 7 * 86_400.0
"""How long to wait for people: sites to connect, staff to decide. Stopping and launching again
goes on with the decisions that were made."""


class Campaign:
    """One run of one study. Not safe to share between threads.

    Parameters
    ----------
    wish
        What somebody asked for last; cheap, asked several times a second.
    turn
        Gives the study its turn at a round's sites.
    """

    def __init__(
        self,
        home: CentreHome,
        study: Study,
        *,
        store: StudyStore,
        admin: AdminClient,
        emit: Emit,
        clock: Clock = utc_now,
        wish: Callable[[], Wish] = go_on,
        turn: Turn = at_once,
    ) -> None:
        self.home, self.study = home, study
        self.rounds_done = 0
        self._store, self._admin, self._turn = store, admin, turn
        self._voice = Voice(emit, clock)
        self.artefacts = Artefacts.of(home)
        self._gathering = Gathering(home, study, store=store, admin=admin, voice=self._voice)
        self._link = Link(home, study.id, admin)
        self._wishes = Wishes(
            study,
            self._voice,
            wish=wish,
            pause=self._pause,
            resume=self._resume,
            rounds=lambda: self.rounds_done,
        )
        self._patience = Patience(
            self._voice,
            lose=self._link.lose,
            heed=self._wishes.heed,
            pause=self._pause,
            resume=self._resume,
        )
        self._claim: Claim | None = None
        self._parts: Parts | None = None
        self._start: Checkpoint | None = None

    # -- before the first round ------------------------------------------------

    def gather(self, *, patience_s: float = PATIENCE_S, at_quorum: bool = False) -> None:
        """Propose the study, wait for the hospitals' decisions, move it to RUNNING.

        A study whose run is open was proposed before; its decisions are read and
        nobody is waited for.

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
        self._patience.with_(lambda: self._gather(patience_s, at_quorum=at_quorum))

    def open(self) -> RunId:
        """Open the study's next run, or go on with the one that is open; return its id.

        Raises
        ------
        RunNotContinuableError
            If the open run was begun with another version of the study.
        """
        run = self._patience.with_(self._open)
        self._patience.with_(self._meet)
        self._voice.stage("training" if self.study.protocol is None else "evaluating")
        return run

    # -- the rounds --------------------------------------------------------------

    def play(self, number: int) -> dict[str, object]:
        """Play one round from wherever it stands and return its record; a done one at once.

        Raises
        ------
        QuorumNotReachedError
            If fewer than the quorum gave a usable update; the round is FAILED.
        TooFewSitesError
            If fewer than the quorum can be asked at all.
        StudyStoppedError, RoundStoppedError
            If somebody asked for the study to stop.
        """
        key = RoundKey(self._opened.run, RoundKind.TRAIN, number)
        row = self._patience.with_(lambda: self._play(key))
        self.rounds_done = max(self.rounds_done, number)
        return row.record

    def take_step(self, number: int) -> dict[str, object]:
        """Play one step of a protocol and return its record; a done one at once.

        Raises
        ------
        QuorumNotReachedError, TooFewInSumError
            If too few prepared a version, or a site of a sum is gone.
        StudyStoppedError, RoundStoppedError
            If somebody asked for the study to stop.
        """
        key = RoundKey(self._opened.run, RoundKind.EVALUATE, number)
        row = self._patience.with_(lambda: self._play(key))
        self.rounds_done = max(self.rounds_done, number)
        return row.record

    def examine(self) -> None:
        """Compare the privacy books, then evaluate the final model on patients not trained on.

        Raises
        ------
        BooksDifferError
            If what was released is not what the books say; no model is registered then.
        """
        self._voice.stage("evaluating")
        self._patience.with_(self._check_books)
        key = RoundKey(self._opened.run, RoundKind.EVALUATE, self.study.training.rounds)
        self._patience.with_(lambda: self._play(key))

    def patiently(self, work: Callable[[], Result]) -> Result:
        """Return what `work` returns; it is done again after what passes."""
        return self._patience.with_(work)

    # -- what it came to ------------------------------------------------------------

    @property
    def run(self) -> RunId | None:
        """Return the run's id, once opened."""
        return None if self._claim is None else self._claim.run

    @property
    def refused(self) -> list[Refusal]:
        """Return every refusal: of the study by hospitals, then those of the rounds."""
        rounds = refusals_of(self._rounds, self._claim.run) if self._claim else []
        return [*self._gathering.refusals, *rounds]

    @property
    def kept(self) -> RoundStore:
        """Return the rounds of the run with their replies, for what is made of them."""
        return self._rounds

    def results(self) -> list[SiteResult]:
        """Return what each site contributed, by name."""
        return results_of(self._rounds, self._claim.run) if self._claim else []

    def keep_model(self) -> Sha256:
        """Return the content id of the current model, which is kept as safetensors."""
        return self._checkpoint().model

    def parameters(self) -> int:
        """Return how many parameters the model has."""
        return self._opened_parts.strategy.size

    def model_path(self, digest: Sha256) -> Path:
        """Return where a kept model lies in the artefact store."""
        return self.artefacts.path_of(digest)

    def approvals(self) -> list[tuple[SiteId, str]]:
        """Return the signed decisions of the sites that took part, by name."""
        return self._gathering.approvals()

    def note(self, kind: AuditKind, record: dict[str, object]) -> None:
        """Add to the run's record."""
        audit = self._audit(kind)
        self._store.note_run(self._opened, record, audit=audit)

    def noted(self) -> dict[str, object]:
        """Return the open run's record."""
        found = self._store.open_run(self.study.id)
        return {} if found is None else found.record

    # -- the end ---------------------------------------------------------------------

    def end(self, state: RunState, record: dict[str, object]) -> None:
        """Close the run and the study; safe to call when neither was opened."""
        self._patience.with_(lambda: self._end(state, record))
        self._voice.tell(EventKind.ENDED, status=state.value)

    def leave(self) -> None:
        """Let go of what this process holds; the run stays open for the next one."""
        self._link.lose()

    def now(self) -> datetime:
        """Return the time now, with its zone."""
        return self._voice.now()

    def stage(self, stage: str) -> None:
        """Say which stage the run has reached."""
        self._voice.stage(stage)

    def tell(self, event: Progress) -> None:
        """Pass an event on to whoever watches."""
        self._voice.emit(event)

    # -- parts ---------------------------------------------------------------------

    def _gather(self, patience_s: float, *, at_quorum: bool) -> None:
        if self._store.open_run(self.study.id) is not None:
            self._gathering.approved()
        else:
            self._gathering.propose()
            self._voice.stage("approving")
            self._gathering.wait(patience_s, at_quorum=at_quorum, heed=self._wishes.heed)
        self._gathering.settle()
        log_statements(self.home, [envelope for _, envelope in self.approvals()])

    def _open(self) -> RunId:
        found = self._store.open_run(self.study.id)
        if found is None:
            self._voice.stage("opening")
            record = begin_record(self.study, self.artefacts)
            self._store.start_run(self.study.id, record, audit=self._audit(AuditKind.RUN_STARTED))
            found = self._store.open_run(self.study.id)
            assert found is not None
        if found.record.get("study_digest") != str(self.study.digest):
            raise RunNotContinuableError(run=found.id, thing=_STUDY)
        audit = self._audit(CONTINUED)
        self._claim = self._store.claim(self.study.id, self._here(), audit=audit)
        self._start = Checkpoint.from_json(found.record.get("start"))
        self._parts = self._made_parts(self._claim, self._start)
        self._resume()
        kind = RoundKind.TRAIN if self.study.protocol is None else RoundKind.EVALUATE
        self.rounds_done = len(finished(self._rounds, self._claim.run, kind))
        return self._claim.run

    def _meet(self) -> None:
        """Open the way to the sites before the first round needs it."""
        run = self._opened.run
        if self.rounds_done < self.study.training.rounds:
            self._link.open(run, self._opened_parts.crew.members())

    def _made_parts(self, claim: Claim, start: Checkpoint) -> Parts:
        checkpoints = Checkpoints(self.artefacts)
        _, manifest = checkpoints.model(start)
        rounds = RoundStore(self._store.database, claim)
        absences = Absences(self._store.database)
        crew = Crew(
            self._gathering,
            self._admin,
            self._voice,
            quorum=self.study.quorum,
            paused=lambda: frozenset(absences.paused(claim.run)),
            heed=self._wishes.heed,
        )
        watch = Watch(
            look=lambda sites: self._admin.status(sites).sites,
            node_of=self._link.node_of,
            tell=self._voice.emit,
            wish=self._wishes.now,
        )
        return Parts(
            home=self.home,
            study=self.study,
            store=rounds,
            artefacts=self.artefacts,
            checkpoints=checkpoints,
            strategy=FedAvg.for_study(self.study, manifest.size),
            crew=crew,
            link=self._link,
            watch=watch,
            releases=ReleaseBook(self.home, self.study),
            voice=self._voice,
            wishes=self._wishes,
            turn=self._turn,
        )

    def _play(self, key: RoundKey) -> StoredRound:
        parts = self._opened_parts
        with observed.study(self.study.id, run=key.run):
            known = parts.store.round(key)
            if known is None:
                self._wishes.heed()
            step = step_of(self.study, key)
            if key.kind is RoundKind.TRAIN or step is not None:
                self._voice.tell(EventKind.ROUND_STARTED, round=key.number)
            start = self._start_of(key, known)
            return DurableRound(parts, key, start).play()

    def _start_of(self, key: RoundKey, known: StoredRound | None) -> Checkpoint:
        """Return what a round starts from: what it was planned with, where it was."""
        step = step_of(self.study, key)
        if step is None:
            return self._checkpoint(before=key)
        if known is not None:
            return start_of(known)
        if isinstance(step, OutcomeStep):
            assert self.study.outcomes is not None  # it is a step of it
            return start_of_outcome_step(
                self._rounds, self.artefacts, self.study, self.study.outcomes, key
            )
        return start_of_step(self.artefacts, self.study, step)

    def _checkpoint(self, *, before: RoundKey | None = None) -> Checkpoint:
        """Return the newest checkpoint: of the last round done, or of the beginning."""
        done = finished(self._rounds, self._opened.run, RoundKind.TRAIN)
        if before is not None and before.kind is RoundKind.TRAIN:
            done = [row for row in done if row.key.number < before.number]
        if not done:
            assert self._start is not None
            return self._start
        return Checkpoint.from_json(done[-1].record)

    def _check_books(self) -> None:
        results = self.results()
        self._opened_parts.releases.check(
            self._opened.run,
            {result.site: result.statements for result in results},
            {result.site: result.report.get("epsilon") for result in results},
        )

    def _end(self, state: RunState, record: dict[str, object]) -> None:
        final = _STUDY_AFTER[state]
        audit = self._audit(AuditKind.RUN_ENDED)
        ended = {**record, "ended": self._voice.now().isoformat()}
        self._claim = self._claim or self._left_open()
        if self._claim is not None:
            if self._store.open_run(self.study.id) is not None:
                self._resume()  # a pause of which the end could not be written
                self._store.end_run(self._claim, state, ended, study=final, audit=audit)
            self._link.end(self._claim.run)
            shutil.rmtree(self.home.folder / "spool" / self._claim.run, ignore_errors=True)
        elif STUDY.allows(self._store.study(self.study.id).state, final):
            self._store.move_study(self.study.id, final, audit=audit)

    def _left_open(self) -> Claim | None:
        """Claim the run that an earlier process opened and this one could not go on with.

        Its study must not end without it: nobody could launch that any more.
        """
        if self._store.open_run(self.study.id) is None:
            return None
        return self._store.claim(self.study.id, self._here(), audit=self._audit(CONTINUED))

    def _here(self) -> dict[str, object]:
        """Return what a run's record keeps of each process that went on with it."""
        now = self._voice.now().isoformat()
        return {"at": now, "code": str(provenance.code_digest())}

    def _pause(self, reason: str) -> None:
        if self._claim is not None:
            audit = self._audit(AuditKind.RUN_PAUSED)
            paused = {"paused": {"reason": reason, "at": self._voice.now().isoformat()}}
            self._store.move_run(self._claim, RunState.PAUSED, paused, audit=audit)

    def _resume(self) -> None:
        found = self._store.open_run(self.study.id)
        if self._claim is not None and found is not None and found.state is RunState.PAUSED:
            audit = self._audit(AuditKind.RUN_RESUMED)
            self._store.move_run(self._claim, RunState.RUNNING, {"paused": None}, audit=audit)

    def _audit(self, kind: AuditKind) -> AuditEvent:
        return self._voice.audit(kind, self.study.id)

    @property
    def _rounds(self) -> RoundStore:
        return self._opened_parts.store

    @property
    def _opened(self) -> Claim:
        if self._claim is None:
            raise ValueError("open() comes first")
        return self._claim

    @property
    def _opened_parts(self) -> Parts:
        if self._parts is None:
            raise ValueError("open() comes first")
        return self._parts


_STUDY = Text(en="study", zh="研究")
_STUDY_AFTER = {
    RunState.COMPLETED: StudyState.COMPLETED,
    RunState.FAILED: StudyState.FAILED,
    RunState.STOPPED: StudyState.STOPPED,
}
