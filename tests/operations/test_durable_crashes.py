"""A campaign may be killed at any point; the next one goes on, and nothing is done twice.

Every commit, every file kept, every word to the centre, Flower and the registry is a
point before and after which the process dies here, once. What comes out must be what
an undisturbed campaign makes, to the last bit.
"""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from federation.coordinator.home import CentreHome
from federation.domain.audit import AuditKind
from federation.domain.ids import RunId, SiteId
from federation.domain.run import RoundKind, RoundState, RunState
from federation.domain.study import StudyState
from federation.operations import launch
from federation.operations.artefacts import Artefacts
from federation.operations.launch import Result, result_of_launch
from federation.operations.registry import list_entries, register_candidate
from federation.operations.release_book import ReleaseBook
from federation.operations.store.database import Database
from federation.operations.store.rounds import RoundStore
from federation.operations.store.studies import StudyStore
from tests.builders import a_study
from tests.operations.fakes import (
    SITES,
    FakeFlower,
    Federation,
    Fuse,
    Killed,
    a_federation,
    decide,
    prepared,
)

RUN = RunId("cxr-2026.1")
STRIDE = 7
SOME = 17
"""Every so many points are tried where all of them would take too long."""


@dataclass(frozen=True)
class Homes:
    """Homes that each test takes a copy of, and their hospitals' decisions."""

    folder: Path
    nodes: dict[SiteId, Any]
    said: dict[SiteId, bytes]


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Homes:
    folder = tmp_path_factory.mktemp("homes")
    _, nodes = prepared(folder)
    return Homes(folder, nodes, {site: decide(node, a_study()) for site, node in nodes.items()})


@contextmanager
def a_copy(homes: Homes, folder: Path) -> Iterator[Federation]:
    """Give a federation over a fresh copy of the centre, with a fuse at every point."""
    shutil.copytree(homes.folder / "c", folder)
    centre, fuse = CentreHome.open(folder), Fuse()
    flower = FakeFlower(homes.nodes, a_study())
    with ExitStack() as stack:
        fed = stack.enter_context(
            a_federation(centre, homes.nodes, fuse=fuse, flower=flower, said=homes.said)
        )
        stack.enter_context(sparks_at_every_point(fuse))
        yield fed
    shutil.rmtree(folder)


@contextmanager
def sparks_at_every_point(fuse: Fuse) -> Iterator[None]:
    """Make every lasting deed a point: before it, and after it."""
    with pytest.MonkeyPatch.context() as patched:
        for kind, name in ((Artefacts, "put"), (Artefacts, "adopt"), (ReleaseBook, "enter")):
            patched.setattr(kind, name, _around(fuse, name, getattr(kind, name)))
        registering = _around(fuse, "register", register_candidate)
        patched.setattr(launch, "register_candidate", registering)
        patched.setattr(Database, "write", _committing(fuse, Database.write))
        yield


def _around(fuse: Fuse, name: str, deed: Any) -> Any:
    def done(*given: Any, **named: Any) -> Any:
        fuse.spark(f"before {name}")
        result = deed(*given, **named)
        fuse.spark(f"after {name}")
        return result

    return done


def _committing(fuse: Fuse, write: Any) -> Any:
    @contextmanager
    def written(self: Database, audit: Any) -> Iterator[Any]:
        with write(self, audit) as connection:
            yield connection
            fuse.spark(f"before commit {audit.kind.value}")
        fuse.spark(f"after commit {audit.kind.value}")

    return written


def undisturbed(homes: Homes, folder: Path) -> tuple[Result, list[str]]:
    with a_copy(homes, folder) as fed:
        return fed.run(), fed.fuse.points


@pytest.fixture(scope="module")
def expected(homes: Homes, tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, list[str]]:
    result, points = undisturbed(homes, tmp_path_factory.mktemp("once") / "c")
    assert result.status == "completed"
    return result, points


def check(fed: Federation, found: dict[str, Any], expected: Result) -> None:
    """Fail unless everything is as if nothing had happened."""
    assert found["status"] == "completed", found["errors"]
    assert found["model"]["sha256"] == expected.model["sha256"]
    assert found["rounds"] == {"asked": 3, "done": 3}
    assert set(fed.flower.paid.values()) == {1}, "a node trained twice for one round"
    store = StudyStore.of(fed.centre)
    rounds = RoundStore(store.database)
    assert [one.state for one in store.runs(fed.study.id)] == [RunState.COMPLETED]
    assert store.study(fed.study.id).state is StudyState.COMPLETED
    for row in rounds.rounds(RUN, RoundKind.TRAIN) + rounds.rounds(RUN, RoundKind.EVALUATE):
        assert row.state is RoundState.DONE
        assert [one.site for one in rounds.replies(row.key)] == sorted(SITES)
    assert [one["rounds"] for one in found["sites"]] == [3, 3, 3]
    accepted = [one for one in store.audit_events() if one["kind"] == "reply-accepted"]
    assert len(accepted) == 12
    done = [one for one in store.audit_events() if one["kind"] == AuditKind.ROUND_DONE.value]
    assert len(done) == 4
    store.close()
    assert list_entries(fed.centre.folder).total == 1


def killed_at(fed: Federation, *points: int) -> dict[str, Any]:
    """Run until a point, die there, go on as another process until the next; return the result."""
    for point in points:
        fed.fuse.at = len(fed.fuse.points) + point
        try:
            return fed.run().as_json()
        except Killed:
            fed.fuse.at = None
    over = result_of_launch(fed.centre, fed.study.id)  # as `federation.flows.campaign` asks
    return over or fed.run().as_json()


def test_an_undisturbed_campaign_passes_every_kind_of_point(
    expected: tuple[Result, list[str]],
) -> None:
    kinds = set(expected[1])

    assert {f"before commit {kind}" for kind in (
        "run-started", "round-planned", "round-dispatched", "reply-accepted",
        "round-aggregated", "round-evidenced", "round-done", "run-ended",
    )} <= kinds  # fmt: skip
    assert {"after adopt", "after enter", "after register", "update spooled"} <= kinds


def test_killed_at_some_points_the_study_completes_as_if_nothing_happened(
    homes: Homes, expected: tuple[Result, list[str]], tmp_path: Path
) -> None:
    result, points = expected
    for point in range(5, len(points), SOME):
        with a_copy(homes, tmp_path / "c") as fed:
            check(fed, killed_at(fed, point), result)


@pytest.mark.slow
@pytest.mark.parametrize("phase", range(STRIDE))
def test_killed_at_any_point_the_study_completes_as_if_nothing_happened(
    homes: Homes, expected: tuple[Result, list[str]], tmp_path: Path, phase: int
) -> None:
    result, points = expected
    for point in range(phase, len(points), STRIDE):
        with a_copy(homes, tmp_path / "c") as fed:
            check(fed, killed_at(fed, point), result)


def test_killed_again_and_again_it_completes_all_the_same(
    homes: Homes, expected: tuple[Result, list[str]], tmp_path: Path
) -> None:
    with a_copy(homes, tmp_path / "c") as fed:
        check(fed, killed_at(fed, *[23] * 12), expected[0])
