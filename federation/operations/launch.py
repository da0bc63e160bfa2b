"""Open, close and sum up a campaign: what the flow and the command line share.

`campaign(...)` opens the store and the admin socket, ends the run whatever
happens, and gives back a `Result` in the JSON contract of `trifed demo`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from federation.coordinator.admin import AdminClient
from federation.coordinator.home import CentreHome
from federation.domain.audit import AuditEvent, AuditKind
from federation.domain.ids import RunId, StudyId
from federation.domain.run import RunState
from federation.domain.study import Study
from federation.errors.base import PlatformError
from federation.operations.candidate import candidate_of
from federation.operations.progress import Emit, EventKind, Progress
from federation.operations.registry import register_candidate
from federation.operations.registry_client import Registered
from federation.operations.store.studies import StudyStore
from federation.operations.train import Campaign, SiteResult, utc_now
from federation.supervision.single import only_one
from federation.wire.study import study_as_json, study_from_json


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

    @property
    def status(self) -> str:
        """Return `completed` only when every round was done and the entry is written."""
        finished = not self.errors and self.entry is not None and self.done == self.asked
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
        }


def submit(home: CentreHome, study: Study) -> None:
    """Keep a study at the centre as a draft; the same study kept already stays as it is.

    Raises
    ------
    TransitionRefusedError
        If another version of it is running or has completed.
    """
    store = StudyStore.at(home.database)
    try:
        if store.holds(study.id, study_as_json(study)):
            return
        audit = AuditEvent(AuditKind.STUDY_SUBMITTED, "centre", study.id, utc_now())
        store.add_study(study.id, study_as_json(study), audit=audit)
    finally:
        store.close()


def conduct(
    home: CentreHome, study: StudyId, *, emit: Emit, steps: Callable[[Campaign, Result], None]
) -> Result:
    """Run a campaign through `steps`, which fills in the result; end it whatever happens.

    A coded error ends the run as failed and is in the result; anything else is a
    bug, ends the run as failed too, and is raised on.
    """
    store = StudyStore.at(home.database)
    found = study_from_json(store.study(study).record)
    result, started = Result(asked=found.training.rounds), time.monotonic()
    try:
        lock = only_one(home.run / f"launch-{study}.lock", kind="launch")
        with lock, AdminClient(home.folder) as admin:
            one = Campaign(home, found, store=store, admin=admin, emit=emit)
            try:
                steps(one, result)
            except PlatformError as error:
                result.errors.append(_error_as_json(error))
            finally:
                _sum_up(one, result, started)
                one.end(RunState(result.status), result.as_json())
    finally:
        store.close()
    return result


def register(campaign: Campaign) -> Registered:
    """Register the candidate of a finished campaign over the registry's API."""
    registered = register_candidate(campaign.home.folder, candidate_of(campaign))
    campaign.tell(Progress(EventKind.REGISTERED, values={"entry": registered.entry}))
    return registered


def studies_as_json(home: Path) -> list[dict[str, object]]:
    """Return every study of a centre with its state, by name."""
    store = StudyStore.at(CentreHome.open(home).database)
    try:
        return [{**one.record, "state": one.state.value} for one in store.studies()]
    finally:
        store.close()


def study_as_stored(home: Path, study: StudyId) -> dict[str, object]:
    """Return a study with its runs and their rounds, as stored.

    Raises
    ------
    StudyMissingError
        If the centre knows none of this name.
    """
    store = StudyStore.at(CentreHome.open(home).database)
    try:
        one = store.study(study)
        runs = [
            {
                "run": run.id,
                "state": run.state.value,
                **run.record,
                "played": [
                    {"state": item.state.value, **item.record}
                    for item in store.rounds(RunId(run.id))
                ],
            }
            for run in store.runs(study)
        ]
        return {**one.record, "state": one.state.value, "runs": runs}
    finally:
        store.close()


def _played(store: StudyStore, run: RunId) -> list[dict[str, object]]:
    return [{"state": one.state.value, **one.record} for one in store.rounds(run)]


def _sum_up(campaign: Campaign, result: Result, started: float) -> None:
    result.done, result.sites = campaign.rounds_done, campaign.results()
    result.seconds = time.monotonic() - started
    result.refused = [
        {"site": str(one.site), "code": one.code, "what": one.what} for one in campaign.refused
    ]


def _error_as_json(error: PlatformError) -> dict[str, str | None]:
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
