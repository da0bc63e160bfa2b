"""Open, close and sum up a campaign: what the flow and the command line share.

`conduct(...)` opens the store and the admin socket, takes the study through `steps`
and gives back a `Result` in the JSON contract of `trifed demo`. Only a coded error
ends the run; a process that is told to end, or that loses Prefect, leaves it open
and the next one goes on with it.
"""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from federation.coordinator.admin import AdminClient
from federation.coordinator.home import CentreHome
from federation.domain.audit import AuditEvent, AuditKind
from federation.domain.ids import RunId, Sha256, StudyId
from federation.domain.queue import Wish
from federation.domain.run import RoundKind, RunState
from federation.domain.study import Study
from federation.errors.base import PlatformError
from federation.errors.control import CentreNotRunningError
from federation.errors.durable import RoundStoppedError, RunTakenOverError, StudyStoppedError
from federation.errors.queue import StudyNotLaunchedError
from federation.evidence.model_version import Candidate
from federation.operations.campaign import Campaign, SiteResult, utc_now
from federation.operations.campaign.parts import Turn, at_once
from federation.operations.candidate import candidate_of
from federation.operations.progress import Emit, EventKind, Progress
from federation.operations.registry import register_candidate
from federation.operations.registry_client import Registered
from federation.operations.store.queue import QueueStore
from federation.operations.store.rounds import RoundStore
from federation.operations.store.studies import StudyStore
from federation.operations.watch import go_on
from federation.supervision.single import only_one
from federation.wire.study import study_as_json, study_from_json

LAUNCHED = "launched_as"
"""Under which key a run's record names the launch that it ended: its place in the queue.

Places only grow. Comparing times would take an old result for a new one when the
centre's clock is set.
"""

EVALUATION = "evaluation"
OUTCOMES = "outcomes"
"""Under which key a run's record holds what an evaluation came to."""

CANDIDATE = "candidate"
"""Under which key a run's record names the candidate that was handed to the registry."""


@dataclass(slots=True)
class Result:
    """What became of a campaign; filled as it goes, also when it fails."""

    asked: int
    done: int = 0
    seconds: float = 0.0
    sites: list[SiteResult] = field(default_factory=list)
    model: dict[str, str] = field(default_factory=dict)
    entry: str | None = None
    refused: list[dict[str, str]] = field(default_factory=list)
    errors: list[dict[str, str | None]] = field(default_factory=list)
    stopped: bool = False
    evaluation: dict[str, object] | None = None
    outcomes: dict[str, object] | None = None

    @property
    def status(self) -> str:
        """Return `completed` only when every round was done and what it came to is kept."""
        if self.stopped:
            return RunState.STOPPED.value
        is_kept = any(one is not None for one in (self.entry, self.evaluation, self.outcomes))
        finished = not self.errors and is_kept and self.done == self.asked
        return RunState.COMPLETED.value if finished else RunState.FAILED.value

    def as_json(self) -> dict[str, object]:
        """Return the contract's object; the caller adds process ids and paths it knows."""
        return {
            "status": self.status,
            "rounds": {"asked": self.asked, "done": self.done},
            "seconds": round(self.seconds, 1),
            "sites": [_site_as_json(site) for site in self.sites],
            "model": self.model,
            "registry": {"entry": self.entry, "bundle": None},
            "refused": self.refused,
            "errors": self.errors,
            **({} if self.evaluation is None else {EVALUATION: self.evaluation}),
            **({} if self.outcomes is None else {OUTCOMES: self.outcomes}),
        }


def submit(home: CentreHome, study: Study) -> None:
    """Keep a study at the centre as a draft; the same study kept already stays as it is.

    Raises
    ------
    TransitionRefusedError
        If another version of it is running or has completed.
    """
    with closing(StudyStore.of(home)) as store:
        if store.holds(study.id, study_as_json(study)):
            return
        audit = AuditEvent(AuditKind.STUDY_SUBMITTED, "centre", study.id, utc_now())
        store.add_study(study.id, study_as_json(study), audit=audit)


Steps = Callable[[Campaign, Result], None]


def conduct(
    home: CentreHome,
    study: StudyId,
    *,
    emit: Emit,
    steps: Steps,
    wish: Callable[[], Wish] = go_on,
    turn: Turn = at_once,
) -> Result:
    """Take a campaign through `steps`, which fills in the result, and close it.

    A coded error ends the run as failed, or stopped, and is in the result. Anything
    else, and a centre that does not answer, leaves the run open for another process
    to go on with, and is raised.

    Parameters
    ----------
    wish, turn
        As `Campaign` takes them.

    Raises
    ------
    AlreadyRunningError
        If another process conducts this study.
    CentreNotRunningError
        If the centre's own process was away for long.
    """
    with closing(StudyStore.of(home)) as store:
        launched = _launch_of(store, study)
        found = study_from_json(store.study(study).record)
        result, started = Result(asked=found.training.rounds), time.monotonic()
        lock = only_one(home.run / f"launch-{study}.lock", kind="launch")
        with lock, AdminClient(home.folder) as admin:
            one = Campaign(home, found, store=store, admin=admin, emit=emit, wish=wish, turn=turn)
            try:
                _go_through(one, steps, result)
                _sum_up(one, result, started)
                one.end(RunState(result.status), {**result.as_json(), LAUNCHED: launched})
            except RunTakenOverError as error:  # it is not ours to end any more
                result.errors.append(error_as_json(error))
            finally:
                one.leave()
    return result


def _go_through(campaign: Campaign, steps: Steps, result: Result) -> None:
    try:
        steps(campaign, result)
    except (RunTakenOverError, CentreNotRunningError):  # what ends a process ends no run
        raise
    except PlatformError as error:
        result.stopped = isinstance(error, StudyStoppedError | RoundStoppedError)
        result.errors.append(error_as_json(error))


def register(campaign: Campaign) -> Registered:
    """Register the candidate of a finished campaign over the registry's API.

    The candidate is kept before it is handed in, and a process that goes on hands in
    the same again: the registry answers with the same entry, whoever died in between.
    """
    campaign.stage("registering")
    registered = campaign.patiently(lambda: _registered(campaign))
    campaign.tell(Progress(EventKind.REGISTERED, values={"entry": registered.entry}))
    return registered


def _registered(campaign: Campaign) -> Registered:
    return register_candidate(campaign.home.folder, _kept_candidate(campaign))


def _kept_candidate(campaign: Campaign) -> Candidate:
    artefacts, kept = campaign.artefacts, campaign.noted().get(CANDIDATE)
    if kept is None:
        candidate = candidate_of(campaign)
        digest = artefacts.put(candidate.model_dump_json().encode())
        campaign.note(AuditKind.CANDIDATE_KEPT, {CANDIDATE: str(digest)})
        return candidate
    return Candidate.from_json(artefacts.get(Sha256(str(kept))))


def studies_as_json(home: Path) -> list[dict[str, object]]:
    """Return every study of a centre with its state, by name."""
    with closing(StudyStore.of(CentreHome.open(home))) as store:
        return [{**one.record, "state": one.state.value} for one in store.studies()]


def study_as_stored(home: Path, study: StudyId) -> dict[str, object]:
    """Return a study with its runs and their rounds, as stored.

    Raises
    ------
    StudyMissingError
        If the centre knows none of this name.
    """
    with closing(StudyStore.of(CentreHome.open(home))) as store:
        one, rounds = store.study(study), RoundStore(store.database)
        runs = [
            {
                "run": run.id,
                "state": run.state.value,
                **run.record,
                "played": _rounds_as_json(rounds, RunId(run.id), RoundKind.TRAIN),
                "evaluated": _rounds_as_json(rounds, RunId(run.id), RoundKind.EVALUATE),
            }
            for run in store.runs(study)
        ]
        return {**one.record, "state": one.state.value, "runs": runs}


def result_of_launch(home: CentreHome, study: StudyId) -> dict[str, object] | None:
    """Return the result of the run that a study's present launch has ended, else None.

    For a process that was killed after it closed the run and before it could say so.

    Raises
    ------
    StudyMissingError
        If the centre knows none of this name.
    """
    with closing(StudyStore.of(home)) as store:
        store.study(study)
        return closed_by_launch(store, study)


def closed_by_launch(store: StudyStore, study: StudyId) -> dict[str, object] | None:
    """Return what `result_of_launch` does, from an open store."""
    launched, last = _launch_of(store, study), next(reversed(store.runs(study)), None)
    if launched is None or last is None or last.record.get(LAUNCHED) != launched:
        return None
    keys = (*Result(asked=0).as_json(), EVALUATION, OUTCOMES)
    return {key: last.record[key] for key in keys if key in last.record}


def _launch_of(store: StudyStore, study: StudyId) -> int | None:
    """Return the number of a study's launch, or None if it was begun without the queue."""
    try:
        return QueueStore(store.database).entry(study).place
    except StudyNotLaunchedError:
        return None


def _rounds_as_json(store: RoundStore, run: RunId, kind: RoundKind) -> list[dict[str, object]]:
    return [
        {
            **row.record,
            "state": row.state.value,
            "kept": {
                reply.site: None if reply.update is None else str(reply.update)
                for reply in store.replies(row.key)
            },
        }
        for row in store.rounds(run, kind)
    ]


def _sum_up(campaign: Campaign, result: Result, started: float) -> None:
    result.done, result.sites = campaign.rounds_done, campaign.results()
    result.seconds = time.monotonic() - started
    result.refused = [
        {"site": str(one.site), "code": one.code, "what": one.what} for one in campaign.refused
    ]


def error_as_json(error: PlatformError) -> dict[str, str | None]:
    """Return an error as it stands in the contract's list."""
    site = error.values.get("site")
    return {
        "code": error.code,
        "site": None if site is None else str(site),
        "what": error.say_what(),
        "next_step": error.say_next_step(),
    }


def _site_as_json(result: SiteResult) -> dict[str, object]:
    found = (result.evaluation or {}).get("metrics")
    metric = found[0] if isinstance(found, list) and found else {}
    auroc = metric if metric.get("name") == "auroc" else {}
    return {
        "suppressed": (result.evaluation or {}).get("refused"),
        "site": str(result.site),
        "patients": result.patients,
        "epsilon": result.report.get("epsilon"),
        "delta": result.report.get("delta"),
        "auroc": auroc.get("value"),
        "auroc_low": auroc.get("low"),
        "auroc_high": auroc.get("high"),
        "metrics": found if isinstance(found, list) else [],
        "rounds": result.rounds,
    }
