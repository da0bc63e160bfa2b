"""A study that is launched, approved and at its first round, kept as homes to copy.

`prepare` plays it up to there once, with the product's commands, and ends every process as
an init system does; a federation on a copy goes on from there. `undisturbed` plays a copy
to its end. Both are kept in a folder that the workers of a test run share.
"""

import fcntl
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from federation.domain.ids import SiteId
from federation.domain.run import RunState
from tests.scenarios.federation import Federation, Outcome, a_federation
from tests.scenarios.homes import PAIR, Homes, make_homes
from tests.scenarios.words import Moment

ROUNDS = 3
FIRST = Moment.BEFORE_DISPATCH.gate(round=1, site=PAIR[0])


@dataclass(frozen=True)
class Digests:
    """What a run came to: the digest of each round's model, and whose privacy it cost how often.

    `spent` says for each hospital whether its book has every round committed once.
    """

    state: str
    rounds: list[list[object]]
    models: list[str]
    spent: dict[str, bool]

    @classmethod
    def of(cls, outcome: Outcome, fed: Federation) -> Self:
        """Return what an ended run came to."""
        spent = {str(site): fed.spent_once(site, rounds=ROUNDS) for site in fed.sites}
        rounds: list[list[object]] = [list(one) for one in outcome.rounds]
        return cls(outcome.state.value, rounds, outcome.models, spent)

    def check_whole(self) -> None:
        """Fail unless every round was done once, and paid for once."""
        assert self.state == RunState.COMPLETED.value
        assert self.rounds == [[number, "done"] for number in range(1, ROUNDS + 1)]
        assert all(self.spent.values())


def prepare(folder: Path, homes: Homes, *, sites: tuple[SiteId, ...] = PAIR) -> Homes:
    """Return the homes of a study that is launched, approved and about to ask for round 1."""
    with a_federation(homes, folder, sites=sites) as fed:
        fed.gates.close(FIRST)
        fed.start()
        fed.launch(rounds=ROUNDS, quorum=len(sites))
        fed.gates.await_somebody_at(FIRST)
    return fed.homes


def undisturbed(folder: Path, launched: Homes) -> Digests:
    """Return what the study comes to when nothing happens to it."""
    with a_federation(launched, folder, sites=PAIR) as fed:
        fed.start()
        found = Digests.of(fed.finish(), fed)
    found.check_whole()
    return found


@dataclass(frozen=True)
class Shared:
    """What the tests of all workers share, each made by the first that asks for it."""

    folder: Path

    def homes(self) -> Homes:
        """Return the homes of a centre and three hospitals."""
        return Homes(self._once("homes", lambda folder: make_homes(folder / "f")) / "f")

    def launched(self) -> Homes:
        """Return the homes of the launched study of `prepare`."""
        homes = self.homes()
        return Homes(self._once("launched", lambda folder: prepare(folder, homes)) / "f")

    def undisturbed(self) -> Digests:
        """Return what the launched study comes to when nothing happens to it."""
        launched = self.launched()

        def play(folder: Path) -> None:
            found = undisturbed(folder, launched)
            (folder / "digests.json").write_text(json.dumps(asdict(found)))

        folder = self._once("undisturbed", play)
        return Digests(**json.loads((folder / "digests.json").read_text()))

    def _once(self, name: str, make: Callable[[Path], object]) -> Path:
        folder, done = self.folder / name, self.folder / f"{name}.done"
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                folder.mkdir()
                make(folder)
                done.touch()
        return folder
