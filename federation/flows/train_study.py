"""The Prefect flow of a study: one task for each thing that happens, one per round.

Bodies are one call into `federation.operations`. Arrays stay out of Prefect: a
task takes and returns small JSON, the model lives in the campaign and on disk.
Prefect keeps nothing that must survive: when it is lost, or this process dies,
the next flow run goes on with the same run of the study. Importing this module
imports Prefect; set its environment first (`federation.settings.prefect_environment`).
"""

import logging
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from prefect import State, Task, flow, tags, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import TaskRun
from prefect.states import Cancelled, Completed, Failed

from federation.coordinator.home import CentreHome
from federation.domain.ids import StudyId
from federation.domain.queue import Wish
from federation.domain.run import RunState
from federation.errors.base import PlatformError
from federation.errors.durable import FlowLostError, ProgramFaultError
from federation.flows.prefect_side import PrefectSide
from federation.operations import launch
from federation.operations.campaign import Campaign
from federation.operations.campaign.parts import Turn, at_once
from federation.operations.campaign.recovery import PASSING
from federation.operations.evaluations import running
from federation.operations.launch import Result
from federation.operations.outcomes import running as outcomes
from federation.operations.progress import Emit, Progress, silent
from federation.operations.watch import go_on

log = logging.getLogger(__name__)
Value = TypeVar("Value")


@dataclass(slots=True)
class Ride:
    """What a flow run is given besides its parameters, which must be plain JSON.

    `result` is there once the study is over for this process, whatever Prefect
    does after that; `refusal` is why it could not even begin.
    """

    home: Path
    emit: Emit = silent
    wish: Callable[[], Wish] = go_on
    turn: Turn = at_once
    side: PrefectSide = field(default_factory=PrefectSide)
    result: Result | None = None
    refusal: PlatformError | None = None

    def wishes(self) -> Wish:
        """Return the strongest of what people want, here and on Prefect's pages."""
        return max(self.wish(), self.side.wish(), key=list(Wish).index)

    def tell(self, event: Progress) -> None:
        """Pass an event on, and show it on Prefect's pages."""
        self.emit(event)
        self.side.tell(event)


RIDE: ContextVar[Ride] = ContextVar("ride")


def _may_pass(_task: Task, _run: TaskRun, state: State) -> bool:  # type: ignore[type-arg]
    """Say whether Prefect should try a task again: the campaign did for long already."""
    return isinstance(state.result(raise_on_failure=False), PASSING)


def _own(campaign: Campaign, body: Callable[[], Value]) -> Value:
    """Return what a body returns; its own faults get a code, so that the rest is Prefect's."""
    try:
        return body()
    except PlatformError:
        raise
    except Exception as error:
        log.exception("the campaign of %s failed", campaign.study.id)
        kind = type(error).__name__
        raise ProgramFaultError(study=campaign.study.id, kind=kind) from error


_STEP: dict[str, Any] = {"cache_policy": NO_CACHE, "persist_result": False}
_TRIED_AGAIN: dict[str, Any] = {
    "retries": 2,
    "retry_delay_seconds": 5,
    "retry_condition_fn": _may_pass,
}


@task(name="gather", **_STEP)
def gather(campaign: Campaign, at_quorum: bool) -> None:
    """Propose the study and wait for the hospitals."""
    _own(campaign, lambda: campaign.gather(at_quorum=at_quorum))


@task(name="open", **_STEP, **_TRIED_AGAIN)
def open_run(campaign: Campaign) -> str:
    """Open the run, or go on with the one that is open."""
    return str(_own(campaign, campaign.open))


@task(name="round", task_run_name="round-{number:02d}", **_STEP, **_TRIED_AGAIN)
def play_round(campaign: Campaign, number: int) -> dict[str, object]:
    """Play one round, from wherever it stands."""
    return _own(campaign, lambda: campaign.play(number))


@task(name="evaluate", **_STEP, **_TRIED_AGAIN)
def examine(campaign: Campaign) -> None:
    """Evaluate at the sites."""
    _own(campaign, campaign.examine)


@task(name="register", **_STEP, **_TRIED_AGAIN)
def register(campaign: Campaign) -> dict[str, str]:
    """Write the registry entry."""
    found = _own(campaign, lambda: launch.register(campaign))
    return {"entry": found.entry, "id": found.id, "version": found.version}


@task(name="protocol", **_STEP, **_TRIED_AGAIN)
def log_protocol(campaign: Campaign) -> None:
    """Log a protocol before anybody is asked."""
    _own(campaign, lambda: running.begin(campaign))


@task(name="step", task_run_name="step-{number:02d}", **_STEP, **_TRIED_AGAIN)
def take_step(campaign: Campaign, number: int) -> dict[str, object]:
    """Take one step of a protocol, from wherever it stands."""
    return _own(campaign, lambda: campaign.take_step(number))


@task(name="conclude", **_STEP, **_TRIED_AGAIN)
def conclude(campaign: Campaign) -> dict[str, object]:
    """Add the sums up, decide, keep the documents and enter the results."""
    finish = running.finish if campaign.study.outcomes is None else outcomes.finish
    return _own(campaign, lambda: finish(campaign).as_json())


@flow(name="train_study", flow_run_name="{study}", persist_result=False, validate_parameters=False)
def train_study(study: str, at_quorum: bool = False) -> State:
    """Run a study that the centre keeps, from proposal to registry entry.

    Its parameters stand on Prefect's pages, which may be outside; so no path is one.
    """
    ride = RIDE.get()
    ride.side.begin(study)

    def steps(campaign: Campaign, result: Result) -> None:
        gather(campaign, at_quorum)
        if campaign.study.protocol is None:
            _train(campaign, result, ride.side)
        else:
            _evaluate(campaign, result, ride.side)

    try:
        ride.result = launch.conduct(
            CentreHome.open(ride.home),
            StudyId(study),
            emit=ride.tell,
            steps=steps,
            wish=ride.wishes,
            turn=ride.turn,
        )
    except PlatformError as error:
        ride.refusal = error
        raise
    return _state_of(ride.result)


def _train(campaign: Campaign, result: Result, side: PrefectSide) -> None:
    open_run(campaign)
    rounds = campaign.study.training.rounds
    side.expect(rounds)
    for number in range(1, rounds + 1):
        side.show_round(play_round(campaign, number))
    examine(campaign)
    entry = register(campaign)
    side.show_end(campaign.results(), entry)
    result.entry = entry["entry"]
    result.model = {
        "id": entry["id"],
        "version": entry["version"],
        "sha256": campaign.keep_model().hex,
    }


def _evaluate(campaign: Campaign, result: Result, side: PrefectSide) -> None:
    """Take the steps of a study that trains nothing: what it prepares, then what it sums."""
    open_run(campaign)
    log_protocol(campaign)
    rounds = campaign.study.training.rounds
    side.expect(rounds)
    for number in range(1, rounds + 1):
        take_step(campaign, number)
    found = conclude(campaign)
    if campaign.study.outcomes is None:
        result.evaluation = found
    else:
        result.outcomes = found


def _state_of(result: Result) -> State:
    """Return the end of the flow run as Prefect's pages show it."""
    codes = ", ".join(str(error["code"]) for error in result.errors)
    match RunState(result.status):
        case RunState.COMPLETED:
            return Completed(message=str(result.entry or "evaluated"))
        case RunState.STOPPED:
            return Cancelled(message=codes)
        case _:
            return Failed(message=codes)


def run(
    home: Path,
    study: StudyId,
    *,
    emit: Emit,
    at_quorum: bool = False,
    wish: Callable[[], Wish] = go_on,
    turn: Turn = at_once,
) -> Result:
    """Run the flow in this process and return what became of the study.

    Raises
    ------
    FlowLostError
        If Prefect was lost; the run stays open and the next call goes on with it.
    PlatformError
        If the study cannot be begun.
    """
    centre = CentreHome.open(home).settings().name
    ride = Ride(home, emit, wish, turn)
    token = RIDE.set(ride)
    try:
        ride.side.reconcile(study, centre=centre)
        with tags("trifed", f"study:{study}", f"centre:{centre}"):
            train_study(str(study), at_quorum, return_state=True)
    except PlatformError:
        raise
    except Exception as error:
        if ride.result is None:
            raise FlowLostError(study=study, kind=type(error).__name__) from error
    finally:
        RIDE.reset(token)
        ride.side.close()
    if ride.result is None:
        raise ride.refusal or FlowLostError(study=study, kind="no result")
    return ride.result
