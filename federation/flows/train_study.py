"""The Prefect flow of a study: one task for each thing that happens, one per round.

Bodies are one call into `federation.operations`. Arrays stay out of Prefect: a
task takes and returns small JSON, the model lives in the campaign and on disk.
Importing this module imports Prefect; set its environment first
(`federation.settings.prefect_environment`).
"""

from contextvars import ContextVar
from pathlib import Path

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from federation.coordinator.home import CentreHome
from federation.domain.ids import StudyId
from federation.operations import launch
from federation.operations.launch import Result
from federation.operations.progress import Emit, silent
from federation.operations.train import Campaign

LISTENER: ContextVar[Emit] = ContextVar("listener", default=silent)
"""Who is told of the progress; a flow's parameters must be plain JSON."""


@task(name="gather", cache_policy=NO_CACHE, persist_result=False)
def gather(campaign: Campaign, at_quorum: bool) -> None:
    """Propose the study and wait for the hospitals."""
    campaign.gather(at_quorum=at_quorum)


@task(name="open", cache_policy=NO_CACHE, persist_result=False)
def open_run(campaign: Campaign) -> str:
    """Open the run at Flower."""
    return campaign.open()


@task(name="round", task_run_name="round-{number:02d}", cache_policy=NO_CACHE, persist_result=False)
def play_round(campaign: Campaign, number: int) -> dict[str, object]:
    """Play one round."""
    return campaign.play(number)


@task(name="evaluate", cache_policy=NO_CACHE, persist_result=False)
def examine(campaign: Campaign) -> None:
    """Evaluate at the sites."""
    campaign.examine()


@task(name="register", cache_policy=NO_CACHE, persist_result=False)
def register(campaign: Campaign) -> dict[str, str]:
    """Write the registry entry."""
    found = launch.register(campaign)
    return {"entry": found.entry, "id": found.id, "version": found.version}


@flow(name="train_study", flow_run_name="{study}", persist_result=False)
def train_study(home: str, study: str, at_quorum: bool = False) -> Result:
    """Run a study that the centre keeps, from proposal to registry entry."""

    def steps(campaign: Campaign, result: Result) -> None:
        gather(campaign, at_quorum)
        _train(campaign, result)

    return launch.conduct(
        CentreHome.open(Path(home)), StudyId(study), emit=LISTENER.get(), steps=steps
    )


def _train(campaign: Campaign, result: Result) -> None:
    open_run(campaign)
    for number in range(1, campaign.study.training.rounds + 1):
        play_round(campaign, number)
    examine(campaign)
    entry = register(campaign)
    result.entry = entry["entry"]
    result.model = {
        "id": entry["id"],
        "version": entry["version"],
        "sha256": campaign.keep_model().hex,
    }


def run(home: Path, study: StudyId, *, emit: Emit, at_quorum: bool = False) -> Result:
    """Run the flow in this process and return what became of it."""
    token = LISTENER.set(emit)
    try:
        return train_study(str(home), str(study), at_quorum)
    finally:
        LISTENER.reset(token)
