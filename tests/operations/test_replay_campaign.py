"""What a campaign keeps is enough: its run, killed and continued or not, replays to the entry."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from clients.home import NodeHome
from federation.coordinator.home import CentreHome
from federation.domain.ids import RunId, SiteId
from federation.domain.replay import Outcome, Replayed, Thing
from federation.operations.replaying.centre import Replay
from federation.operations.replaying.stored import StoredRun, key_in
from tests.builders import a_study
from tests.operations.fakes import Federation, Killed, a_federation, decide, prepared
from tests.operations.replayed_runs import wrong

RUN = RunId("cxr-2026.1")
REGISTRY = (Thing.REGISTRY_MODEL, Thing.REGISTRY_STATEMENTS, Thing.REGISTRY_SUMMARY)


@dataclass(frozen=True)
class Homes:
    folder: Path
    said: dict[SiteId, bytes]


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Homes:
    folder = tmp_path_factory.mktemp("homes")
    _, nodes = prepared(folder)
    return Homes(folder, {site: decide(node, a_study()) for site, node in nodes.items()})


@pytest.fixture
def federation(tmp_path: Path, homes: Homes) -> Iterator[Federation]:
    shutil.copytree(homes.folder, tmp_path / "homes")
    centre, nodes = CentreHome.open(tmp_path / "homes" / "c"), _nodes(tmp_path / "homes")
    with a_federation(centre, nodes, said=homes.said) as one:
        yield one


def test_a_private_run_replays_from_its_records_to_its_registry_entry(
    federation: Federation,
) -> None:
    assert federation.run().status == "completed"

    found = replayed(federation.centre)

    assert (wrong(found), found.rounds) == ([], 3)
    assert {one.thing for one in found.findings if one.outcome is Outcome.SAME} >= {
        Thing.INITIAL_MODEL, Thing.SITES, Thing.SIGNATURE, Thing.UPDATE, Thing.MODEL,
        Thing.STRATEGY, Thing.EVALUATION, *REGISTRY,
    }  # fmt: skip


def test_a_run_that_was_killed_and_continued_replays_too(federation: Federation) -> None:
    federation.fuse.at = 20
    with pytest.raises(Killed):
        federation.run()
    federation.fuse.at = None
    assert federation.run().status == "completed"

    assert wrong(replayed(federation.centre)) == []


def test_a_run_replays_while_it_is_still_going(federation: Federation) -> None:
    found: list[Replayed] = []

    def at_the_third_round(event: object) -> None:
        if getattr(event, "round", None) == 3 and not found:
            found.append(replayed(federation.centre))

    federation.run(emit=at_the_third_round)

    assert (wrong(found[0]), found[0].rounds) == ([], 2)


def replayed(centre: CentreHome) -> Replayed:
    with StoredRun.open(centre, RUN) as kept:
        return Replay(kept, key_of=key_in(centre)).run()


def _nodes(folder: Path) -> dict[SiteId, NodeHome]:
    return {site: NodeHome.open(folder / site) for site in a_study().sites}
