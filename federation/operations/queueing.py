"""What people do with launched studies: launch, pause, resume, stop, list, bring a site back.

Each is one call; the conductor and the campaign see it in the database. Nothing
here waits: `EventLog.follow` does.
"""

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from federation.coordinator.home import CentreHome
from federation.domain.ids import RunId, SiteId, StudyId
from federation.domain.queue import QueueState, Wish
from federation.domain.run import RoundKind, RoundState
from federation.domain.study import StudyState
from federation.errors.approval import StudyCompletedError
from federation.errors.base import PlatformError
from federation.errors.queue import (
    SiteNotInStudyError,
    StudyNotLaunchedError,
    StudyOverError,
    StudyTakenOutError,
)
from federation.operations.events import EventLog, Outcome
from federation.operations.progress import EventKind, Progress
from federation.operations.store.absences import Absences
from federation.operations.store.database import Database
from federation.operations.store.queue import Asked, Entry, QueueStore, Turn
from federation.operations.store.rounds import RoundStore
from federation.operations.store.studies import Stored, StudyStore

QUEUED = "queued"
NO_REASON = "no reason given"


@dataclass(frozen=True, slots=True)
class Launched:
    """A study in the queue; `is_new` is False when it was there before."""

    entry: Entry
    is_new: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """One study of the centre as `trifed study list` shows it.

    `position` counts the studies that wait for their campaign, from 1; `behind`
    are the studies whose turn it waits for; `paused_sites` come back by `readmit`.
    """

    study: StudyId
    title: str
    state: StudyState
    entry: Entry | None
    position: int | None
    run: RunId | None
    rounds_done: int
    rounds: int
    behind: tuple[StudyId, ...]
    has_turn: bool
    paused_sites: tuple[SiteId, ...]


class Queueing:
    """The centre's queue as a person sees it. Use as a context manager.

    Parameters
    ----------
    actor
        Who asks, as the audit trail names them.
    """

    def __init__(self, home: CentreHome, *, actor: str) -> None:
        self._home, self._actor = home, actor
        self._database = Database.of(home)
        self._queue, self._studies = QueueStore(self._database), StudyStore(self._database)

    def __enter__(self) -> "Queueing":
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def launch(self, study: StudyId, asked: Asked) -> Launched:
        """Put a study into the queue; one that is there stays, with its new priority.

        Raises
        ------
        StudyMissingError
            If the centre keeps none of this name.
        StudyCompletedError
            If it was trained already.
        """
        kept = self._studies.study(study)
        with _one_at_a_time(self._home.run / f"queue-{study}.lock"):
            is_new = not self._is_live(study)
            if is_new and kept.state is StudyState.COMPLETED:
                raise StudyCompletedError(study=study)
            if is_new:
                log = EventLog(self._home, study)
                log.begin()
                log.emit(Progress(EventKind.STAGE, values={"stage": QUEUED}))
            return Launched(self._queue.put(study, asked, actor=self._actor), is_new)

    def rounds_spent(self, study: StudyId) -> int:
        """Return how many private rounds were paid for in runs that a launch would not continue.

        They count against the study's own epsilon at each hospital, beside the new run's.
        """
        is_private = self._studies.study(study).record.get("privacy") is not None
        if not is_private or self._studies.open_run(study) is not None:
            return 0
        rounds = RoundStore(self._database)
        runs = [RunId(run.id) for run in self._studies.runs(study)]
        return sum(len(rounds.repliers(run, RoundKind.TRAIN)) for run in runs)

    def pause(self, study: StudyId, *, reason: str) -> Entry:
        """Let the round in flight end, then wait for `resume`."""
        return self._wish(study, Wish.PAUSE, reason)

    def resume(self, study: StudyId) -> Entry:
        """Let a paused study go on; one that is not paused goes on anyway."""
        return self._wish(study, Wish.GO_ON, "")

    def stop(self, study: StudyId, *, now: bool, reason: str) -> Entry:
        """End a study after the round in flight, or at once; one that never began, at once."""
        if not self._is_live(study):
            self._queue.entry(study)
            raise StudyOverError(study=study)
        if self._studies.open_run(study) is None:
            error = StudyTakenOutError(study=study, actor=self._actor, reason=reason or NO_REASON)
            if self._queue.take_out(study, actor=self._actor, reason=reason, code=error.code):
                asked = _rounds_of(self._studies.study(study))
                EventLog(self._home, study).end(
                    Outcome.of_error(error, "stopped", asked=asked).result
                )
                return self._queue.entry(study)
        return self._wish(study, Wish.STOP_NOW if now else Wish.STOP, reason)

    def readmit(self, study: StudyId, site: SiteId) -> RunId:
        """Bring a site back that was paused in a study's last run; return the run.

        Raises
        ------
        SiteNotInStudyError
            If the study does not ask this site.
        StudyNotLaunchedError
            If the study has no run.
        """
        sites = _sites_of(self._studies.study(study))
        if site not in sites:
            raise SiteNotInStudyError(site=site, study=study, sites=", ".join(sites))
        run = self._last_run(study)
        if run is None:
            raise StudyNotLaunchedError(study=study)
        Absences(self._database).readmit(run, site, actor=self._actor, at=datetime.now(UTC))
        return run

    def outcome(self, study: StudyId) -> Outcome | None:
        """Return how the last launch of a study ended; None while it has not.

        Raises
        ------
        StudyMissingError, StudyNotLaunchedError
            If the centre keeps none of this name; if it was never launched.
        """
        self._studies.study(study)
        said = EventLog(self._home, study).outcome()
        if said is not None:
            return said
        return None if self._is_live(study) else self.kept_outcome(study)

    def has_ended(self, study: StudyId) -> bool:
        """Say whether a launched study has left the queue; unknown means no."""
        try:
            return self._queue.entry(study).state is QueueState.ENDED
        except PlatformError:
            return False

    def kept_outcome(self, study: StudyId) -> Outcome:
        """Return how a study's last run ended, as the database has it.

        Raises
        ------
        StudyNotLaunchedError
            If no run of it has ended.
        """
        runs = self._studies.runs(study)
        if not runs or "status" not in runs[-1].record:
            raise StudyNotLaunchedError(study=study)
        return Outcome(dict(runs[-1].record))

    def standings(self) -> list[Standing]:
        """Return every study of the centre: the queue in its order, then the others by name."""
        entries = {entry.study: entry for entry in self._queue.entries()}
        turns = self._queue.turns()
        waiting = [entry.study for entry in entries.values() if entry.state is QueueState.WAITING]
        kept = {StudyId(one.id): one for one in self._studies.studies()}
        live = [study for study in entries if entries[study].state is not QueueState.ENDED]
        order = [*live, *(study for study in kept if study not in live)]
        return [
            self._standing(kept[study], entries.get(study), waiting, turns)
            for study in order
            if study in kept
        ]

    def _standing(
        self,
        kept: Stored[StudyState],
        entry: Entry | None,
        waiting: list[StudyId],
        turns: list[Turn],
    ) -> Standing:
        study = StudyId(kept.id)
        run = self._last_run(study)
        mine = next((turn for turn in turns if turn.claim.study == study), None)
        return Standing(
            study=study,
            title=str(kept.record.get("title", "")),
            state=kept.state,
            entry=entry,
            position=waiting.index(study) + 1 if study in waiting else None,
            run=run,
            rounds_done=0 if run is None else self._rounds_done(run),
            rounds=_rounds_of(kept),
            behind=() if mine is None or mine.since else _ahead(mine, turns),
            has_turn=mine is not None and mine.since is not None,
            paused_sites=() if run is None else tuple(sorted(self._paused(study, run))),
        )

    def _wish(self, study: StudyId, wish: Wish, reason: str) -> Entry:
        return self._queue.wish(study, wish, actor=self._actor, reason=reason)

    def _is_live(self, study: StudyId) -> bool:
        try:
            return self._queue.entry(study).state is not QueueState.ENDED
        except StudyNotLaunchedError:
            return False

    def _last_run(self, study: StudyId) -> RunId | None:
        runs = self._studies.runs(study)
        return RunId(runs[-1].id) if runs else None

    def _rounds_done(self, run: RunId) -> int:
        rounds = RoundStore(self._database).rounds(run, RoundKind.TRAIN)
        return sum(one.state is RoundState.DONE for one in rounds)

    def _paused(self, study: StudyId, run: RunId) -> Mapping[SiteId, object]:
        if self._studies.open_run(study) is None:
            return {}
        return Absences(self._database).paused(run)


def _ahead(mine: Turn, turns: list[Turn]) -> tuple[StudyId, ...]:
    """Return the studies that have a turn at a site that this one waits for; else all with one."""
    holding = [turn.claim for turn in turns if turn.since is not None]
    sharing = [claim.study for claim in holding if claim.sites & mine.claim.sites]
    return tuple(sorted(sharing or [claim.study for claim in holding]))


def _rounds_of(kept: Stored[StudyState]) -> int:
    training = kept.record.get("training")
    rounds = training.get("rounds") if isinstance(training, dict) else None
    return rounds if isinstance(rounds, int) else 0


def _sites_of(kept: Stored[StudyState]) -> list[str]:
    sites = kept.record.get("sites")
    return [str(site) for site in sites] if isinstance(sites, list) else []


@contextmanager
def _one_at_a_time(lock_file: Path) -> Iterator[None]:
    """Let two launches of one study follow each other."""
    descriptor = os.open(lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
