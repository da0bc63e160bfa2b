"""One round that any crash may interrupt: its steps, each of them done once in the end.

    row = DurableRound(parts, key, start).play()

The state in the database says what is still to do:

    (nothing)   plan       choose the sites, write down what they are asked
    PLANNED     collect    ask the sites whose reply is not kept; keep each that counts
    DISPATCHED, COLLECTING the same
    AGGREGATED  evidence   enter every kept reply in the privacy book
    EVIDENCED   finish     DONE

`collect` ends with `aggregate`: the mean over the kept updates in the order of the
sites' names, the next model, the checkpoint; of a sum, its total. Nothing but the database
and the artefact store is needed to go on, so another process on the same records does.
"""

import shutil
import time

import numpy as np

from federation import observability as observed
from federation.domain.audit import AuditKind
from federation.domain.ids import Sha256, SiteId
from federation.domain.run import ROUND, RoundKey, RoundKind, RoundState
from federation.errors.base import PlatformError
from federation.errors.durable import RoundStoppedError
from federation.errors.leases import SiteGoneError, SiteKeepsRestartingError, SiteStalledError
from federation.errors.queue import TurnGivenUpError
from federation.errors.rounds import (
    BundleRefusedError,
    DeadlinePassedError,
    QuorumNotReachedError,
    SiteFailedError,
    SiteUnavailableError,
)
from federation.errors.transport import AskedInVainError
from federation.errors.transport import RoundStoppedError as CutShortError
from federation.operations.campaign.asking import Asking, spool_of
from federation.operations.campaign.checkpoints import Checkpoint
from federation.operations.campaign.hiding import EVENTS, enter_hidden, hidden_mean
from federation.operations.campaign.parts import Parts
from federation.operations.campaign.records import (
    failed_record,
    failure_of,
    outcome_record,
    planned_record,
)
from federation.operations.campaign.summing import (
    TOTAL,
    drop_parts,
    keep_total,
    sum_of_round,
)
from federation.operations.progress import EventKind
from federation.operations.store.rounds import StoredRound
from federation.server_app.flat_files import read_flat
from federation.server_app.rounds import RoundOutcome

ABSENT = frozenset({SiteUnavailableError.code, SiteGoneError.code})
"""Not there when asked: as many of them as the quorum lacks are waited for."""

FLEETING = frozenset(
    {
        SiteFailedError.code,
        DeadlinePassedError.code,
        SiteStalledError.code,
        SiteKeepsRestartingError.code,
        AskedInVainError.code,
        BundleRefusedError.code,
        CutShortError.code,
    }
)
"""Failed for a reason that the next attempt may not meet; so often and no more.

A bundle is refused by a node that the task has reached and the notice of the run not yet:
the control channel, over which it comes, may be back later than Flower's connection.
A round is cut short by a stop; that it is asked again means that the stop was taken back.
"""

ATTEMPTS = 3
PAUSE_S, LONGEST_PAUSE_S = 0.5, 5.0
"""Before sites are asked again; it grows, so that one that says it is away asks for no flood."""


class DurableRound:
    """One round of one run. `start` is the checkpoint it starts from."""

    def __init__(self, parts: Parts, key: RoundKey, start: Checkpoint) -> None:
        self._parts, self._key, self._start = parts, key, start
        self._failures: dict[SiteId, int] = {}
        self._pause_s = PAUSE_S
        self._seconds = 0.0

    def play(self) -> StoredRound:
        """Return the round once it is DONE, from wherever it stood.

        Raises
        ------
        QuorumNotReachedError, RoundStoppedError
            If it FAILED, now or before.
        TooFewSitesError
            If fewer than the quorum may be asked at all.
        PlatformError
            What passes (`recovery.PASSING`): call it again.
        """
        with observed.round(self._key.number, kind=self._key.kind.value):
            row = self._parts.store.round(self._key) or self.plan()
            while row.state not in (RoundState.DONE, RoundState.FAILED):
                row = self._step(row)
        if row.state is RoundState.FAILED:
            raise failure_of(row)
        return row

    def _step(self, row: StoredRound) -> StoredRound:
        match row.state:
            case RoundState.AGGREGATED:
                return self.evidence(row)
            case RoundState.EVIDENCED:
                return self.finish(row)
            case _:
                return self.collect(row)

    # -- the steps -----------------------------------------------------------------

    def plan(self) -> StoredRound:
        """Choose the sites and write down what they are asked, from which model."""
        parts, number = self._parts, self._key.number
        summing = sum_of_round(parts.store, parts.study, self._key)
        if summing is not None:
            parts.crew.wait_for(summing.sites, count=len(summing.sites))
        available, quorum = parts.crew.gather(), parts.study.quorum
        if summing is not None:
            sites = summing.sites
        elif self._key.kind is RoundKind.EVALUATE:
            sites = tuple(sorted(available))
        else:
            sites = parts.strategy.select(available, quorum=quorum, round_number=number)
        model, _ = parts.checkpoints.model(self._start)
        record = planned_record(
            number,
            available=available,
            sites=sites,
            seed=parts.study.seed,
            start=self._start,
            asked=Sha256.of(model.tobytes()),
            at=parts.voice.now().isoformat(),
        )
        record |= {} if summing is None else summing.as_record()
        audit = parts.voice.audit(AuditKind.ROUND_PLANNED, str(self._key))
        return parts.store.plan(self._key, record, audit=audit)

    def collect(self, row: StoredRound) -> StoredRound:
        """Ask the sites whose reply is not kept, until the round has what it needs, or cannot."""
        while True:
            outcome = self._ask(row)
            row = self._known()
            if self._parts.wishes.is_stop_now and not outcome.reached:
                error = RoundStoppedError(round=self._key.number, study=self._parts.study.id)
                return self._fail(row, outcome, error)
            if _was_cut_short(outcome):  # by a stop that somebody took back meanwhile
                continue
            if outcome.counted >= outcome.quorum:
                return self.aggregate(row, outcome)
            if not self._may_wait(outcome):
                return self._give_in(row, outcome)

    def aggregate(self, row: StoredRound, outcome: RoundOutcome) -> StoredRound:
        """Make the next model from the mean of the kept updates and keep the checkpoint."""
        parts = self._parts
        record = self._outcome(outcome)
        record |= keep_total(parts.store, parts.artefacts, parts.study, self._key)
        if outcome.result is not None:
            with observed.step("aggregate"):
                model, manifest = parts.checkpoints.model(self._start)
                parts.checkpoints.restore(self._start, parts.strategy)
                mean = np.array(read_flat(outcome.result))
                hidden = hidden_mean(parts, self._key, size=mean.size)
                if hidden is not None:
                    mean, record[EVENTS] = hidden.mean, [one.as_json() for one in hidden.events]
                following = parts.strategy.advance(mean, model)
                record |= parts.checkpoints.keep(following, manifest, parts.strategy).as_json()
        return self._move(row, RoundState.AGGREGATED, AuditKind.ROUND_AGGREGATED, record)

    def evidence(self, row: StoredRound) -> StoredRound:
        """Enter every kept reply in the registry's privacy book; again changes nothing."""
        with observed.step("evidence"):
            self._enter()
            enter_hidden(self._parts, row)
        return self._move(row, RoundState.EVIDENCED, AuditKind.ROUND_EVIDENCED)

    def finish(self, row: StoredRound) -> StoredRound:
        """Say that the round is over and tidy up after it."""
        if TOTAL in row.record:
            drop_parts(self._parts.store, self._parts.artefacts, row)
        row = self._move(row, RoundState.DONE, AuditKind.ROUND_DONE)
        shutil.rmtree(spool_of(self._parts, self._key), ignore_errors=True)
        if self._key.kind is RoundKind.TRAIN or self._parts.study.protocol is not None:
            seconds = row.record.get("seconds")
            self._parts.voice.tell(EventKind.ROUND_DONE, round=self._key.number, seconds=seconds)
        return row

    # -- when it is not enough -----------------------------------------------------

    def _may_wait(self, outcome: RoundOutcome) -> bool:
        """Wait for sites that were away or failed by chance, if that can make the quorum."""
        coming = [one.site for one in outcome.refusals if self._may_come(one.site, one.code)]
        lacking = outcome.quorum - outcome.counted
        if len(coming) < lacking:
            return False
        time.sleep(self._pause_s)
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        self._parts.wishes.heed()
        self._parts.crew.wait_for(coming, count=lacking)
        return True

    def _may_come(self, site: SiteId, code: str) -> bool:
        if code in FLEETING:
            self._failures[site] = self._failures.get(site, 0) + 1
            return self._failures[site] < ATTEMPTS
        return code in ABSENT

    def _give_in(self, row: StoredRound, outcome: RoundOutcome) -> StoredRound:
        """Fail a round; the evaluation of a trained model goes on with whoever answered."""
        if self._key.kind is RoundKind.TRAIN or self._parts.study.protocol is not None:
            error = QuorumNotReachedError(
                round=self._key.number, accepted=outcome.counted, quorum=outcome.quorum
            )
            return self._fail(row, outcome, error)
        for wanted in (RoundState.DISPATCHED, RoundState.COLLECTING):  # nobody may have answered
            if ROUND.allows(row.state, wanted):
                row = self._move(row, wanted, AuditKind.ROUND_DISPATCHED)
        return self.aggregate(row, outcome)

    def _fail(self, row: StoredRound, outcome: RoundOutcome, error: PlatformError) -> StoredRound:
        """Close the round as failed; what sites released in it is entered all the same."""
        self._enter()
        drop_parts(self._parts.store, self._parts.artefacts, row)
        record = {**self._outcome(outcome), **failed_record(error)}
        return self._move(row, RoundState.FAILED, AuditKind.ROUND_FAILED, record)

    # -- parts ---------------------------------------------------------------------

    def _enter(self) -> None:
        signed = {reply.site: reply.signature for reply in self._parts.store.replies(self._key)}
        self._parts.releases.enter(signed, at=self._parts.voice.now())
        self._parts.releases.log(signed.values())

    def _outcome(self, outcome: RoundOutcome) -> dict[str, object]:
        return outcome_record(outcome, self._parts.store.replies(self._key), self._seconds)

    def _ask(self, row: StoredRound) -> RoundOutcome:
        while True:
            try:
                with observed.step("collect"):
                    outcome = Asking(self._parts, row).ask()
            except TurnGivenUpError:  # somebody paused or stopped the study while it stood in line
                self._parts.wishes.heed()
            else:
                self._tell(outcome)
                return outcome

    def _tell(self, outcome: RoundOutcome) -> None:
        self._seconds += outcome.seconds
        for refusal in outcome.refusals:
            observed.refused(refusal.site, refusal.code, seconds=outcome.seconds)
            self._parts.voice.refuse(refusal, self._key.number)

    def _known(self) -> StoredRound:
        row = self._parts.store.round(self._key)
        assert row is not None  # it was planned
        return row

    def _move(
        self,
        row: StoredRound,
        wanted: RoundState,
        kind: AuditKind,
        record: dict[str, object] | None = None,
    ) -> StoredRound:
        audit = self._parts.voice.audit(kind, str(row.key))
        return self._parts.store.move(row.key, wanted, record or {}, audit=audit)


def _was_cut_short(outcome: RoundOutcome) -> bool:
    """Say whether enough replied and the driver, told to stop, made no mean of it."""
    return outcome.counted >= outcome.quorum and not outcome.reached
