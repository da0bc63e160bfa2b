"""Play on while Prefect starts: after a crash of the centre nobody waits for its pages.

A run that is open goes on at once, as plain calls of the campaign; when Prefect answers,
the round in flight is finished and the flow takes over. Every step may be repeated, so
the flow finds the rounds that were played here done, and shows them.
"""

from collections.abc import Callable
from contextlib import closing, suppress

from federation.coordinator.home import CentreHome
from federation.domain.ids import StudyId
from federation.domain.queue import Wish
from federation.operations import launch
from federation.operations.campaign import Campaign
from federation.operations.campaign.parts import Turn
from federation.operations.evaluations import running
from federation.operations.launch import Result
from federation.operations.progress import Emit
from federation.operations.store.studies import StudyStore


class _FlowsTurn(Exception):
    """The flow goes on from here; leaves the run open."""


def play_until(
    is_there: Callable[[], bool],
    home: CentreHome,
    study: StudyId,
    *,
    emit: Emit,
    wish: Callable[[], Wish],
    turn: Turn,
) -> Result | None:
    """Play the rounds of an open run until `is_there` says so; None where the flow goes on.

    Returns
    -------
    Result
        If the run ended as failed or stopped meanwhile; evaluation and registration
        are the flow's.

    Raises
    ------
    PlatformError
        As `launch.conduct`.
    """

    def steps(campaign: Campaign, _: Result) -> None:
        campaign.gather()
        campaign.open()
        play = campaign.play if campaign.study.protocol is None else _begun(campaign)
        for number in range(1, campaign.study.training.rounds + 1):
            if is_there():
                break
            play(number)
        raise _FlowsTurn

    if is_there() or not _is_open(home, study):
        return None
    with suppress(_FlowsTurn):
        return launch.conduct(home, study, emit=emit, steps=steps, wish=wish, turn=turn)
    return None


def _begun(campaign: Campaign) -> Callable[[int], dict[str, object]]:
    """Return what takes a step of a protocol, once that is logged."""
    running.begin(campaign)
    return campaign.take_step


def _is_open(home: CentreHome, study: StudyId) -> bool:
    with closing(StudyStore.of(home)) as store:
        return store.open_run(study) is not None
