"""What a round works with; all of it belongs to one run of one study."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from federation.coordinator.home import CentreHome
from federation.domain.ids import SiteId
from federation.domain.study import Study
from federation.operations.artefacts import Artefacts
from federation.operations.campaign.checkpoints import Checkpoints
from federation.operations.campaign.crew import Crew
from federation.operations.campaign.link import Link
from federation.operations.campaign.voice import Voice
from federation.operations.campaign.wishes import Wishes
from federation.operations.release_book import ReleaseBook
from federation.operations.store.rounds import RoundStore
from federation.operations.watch import Watch
from strategies.fedavg import FedAvg

Turn = Callable[[Sequence[SiteId]], AbstractContextManager[None]]
"""Gives the study its turn at some sites while the body runs; waits for it first."""


def at_once(_: Sequence[SiteId]) -> AbstractContextManager[None]:
    """Give a turn without waiting; for a study that has the centre to itself."""
    return nullcontext()


@dataclass(frozen=True, slots=True)
class Parts:
    """The collaborators of a run's rounds."""

    home: CentreHome
    study: Study
    store: RoundStore
    artefacts: Artefacts
    checkpoints: Checkpoints
    strategy: FedAvg
    crew: Crew
    link: Link
    watch: Watch
    releases: ReleaseBook
    voice: Voice
    wishes: Wishes
    turn: Turn
