"""Both sides compare their books with a signed file each way, without handwork."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from clients.home import NodeHome
from clients.ledger_store import LedgerStore
from federation.commands import registry_ledger
from federation.commands.node import books
from federation.coordinator.home import CentreHome
from federation.domain.ids import RunId, SiteId, StudyId
from federation.errors.base import PlatformError
from federation.errors.ledger import LedgerEntryRefusedError
from federation.operations.embedded_registry import release_books
from federation.privacy.events import Gaussian
from federation.privacy.ledger import EntryKind
from registry.ledger.service import enter_central_release, enter_release
from tests.control.builders import NORTH, a_centre, a_node
from tests.node.books import EVENT, STUDY, reserve

SOUTH = SiteId("south")
AT = datetime.now(UTC).isoformat()


@pytest.fixture
def centre(tmp_path: Path) -> CentreHome:
    return a_centre(tmp_path / "centre")


@pytest.fixture
def node(tmp_path: Path, centre: CentreHome) -> NodeHome:
    """Return a hospital that committed two rounds, both accepted by the centre."""
    home = a_node(tmp_path / "north", centre)
    a_node(tmp_path / "south", centre, site=SOUTH)
    for number in (1, 2):
        spend(home, f"cxr-2026.1/{number}")
        enter(centre, NORTH, number)
    enter(centre, SOUTH, 1)
    return home


def spend(home: NodeHome, key: str, *, study: StudyId = STUDY) -> None:
    store = LedgerStore(home.ledger)
    reserve(store, key, study=study, at=AT)
    store.settle("chest", study=study, key=key, kind=EntryKind.COMMITTED, at=AT)


def enter(centre: CentreHome, site: SiteId, number: int) -> None:
    enter_release(release_books(centre), site=site, study=STUDY, run=RunId("cxr-2026.1"),
                  round_number=number, events=[EVENT], at=AT)  # fmt: skip


def here(home: NodeHome, *words: str) -> Result:
    return _run(books.ledger_app, *words, "--home", str(home.folder))


def there(centre: CentreHome, *words: str) -> Result:
    return _run(registry_ledger.ledger_app, *words, "--home", str(centre.folder))


def _run(app: Any, *words: str) -> Result:
    return CliRunner().invoke(app, list(words), env={"TRIFED_LANG": "en"})


def code_of(result: Result) -> str | None:
    error = result.exception
    return error.code if isinstance(error, PlatformError) else None


def test_the_centres_book_of_a_hospital_compares_there(
    centre: CentreHome, node: NodeHome, tmp_path: Path
) -> None:
    file = str(tmp_path / "centre-book.json")

    assert "4 entries about north" in there(centre, "export", "north", file).output
    assert "agree on 2 rounds" in here(node, "compare", file).output
    assert Path(file).stat().st_mode & 0o777 == 0o600
    assert "south" not in json.loads(Path(file).read_text())["book"]


def test_the_hospitals_book_compares_at_the_centre(
    centre: CentreHome, node: NodeHome, tmp_path: Path
) -> None:
    file = str(tmp_path / "north-book.json")
    here(node, "export", file)

    assert "agree on 2 rounds" in there(centre, "compare", "north", file).output
    assert json.loads(there(centre, "compare", "north", file, "--json").output)["same"] is True


@pytest.mark.parametrize(
    "change",
    [
        lambda centre, node: spend(node, "cxr-2026.1/3"),
        lambda centre, node: enter(centre, NORTH, 3),
    ],
    ids=["only the hospital", "only the centre"],
)
def test_a_round_that_one_side_does_not_know_is_found_by_both(
    centre: CentreHome,
    node: NodeHome,
    tmp_path: Path,
    change: Callable[[CentreHome, NodeHome], None],
) -> None:
    change(centre, node)
    ours, theirs = str(tmp_path / "ours.json"), str(tmp_path / "theirs.json")
    here(node, "export", ours)
    there(centre, "export", "north", theirs)

    found = [there(centre, "compare", "north", ours), here(node, "compare", theirs)]
    assert [code_of(one) for one in found] == ["TF635", "TF635"]
    assert all("cxr-2026.1/3" in str(one.exception) for one in found)


def test_what_the_hospital_does_for_other_centres_is_not_the_centres_business(
    centre: CentreHome, node: NodeHome, tmp_path: Path
) -> None:
    spend(node, "other.1/1", study=StudyId("other"))
    file = str(tmp_path / "book.json")
    here(node, "export", file)

    assert there(centre, "compare", "north", file).exit_code == 0
    assert code_of(there(centre, "compare", "north", file, "--study", "other")) == "TF635"


def test_the_book_of_another_hospital_is_refused(
    centre: CentreHome, node: NodeHome, tmp_path: Path
) -> None:
    file = str(tmp_path / "book.json")
    here(node, "export", file)

    assert code_of(there(centre, "compare", "south", file)) == "TF654"
    there(centre, "export", "south", file)
    assert code_of(here(node, "compare", file)) == "TF654"
    assert code_of(there(centre, "export", "nowhere", file)) is not None


def test_the_centres_noise_has_a_book_of_its_own_that_no_hospital_is_charged_for(
    centre: CentreHome, node: NodeHome
) -> None:
    shelf, run = release_books(centre), RunId("cxr-2026.1")
    for _ in range(2):
        enter_central_release(
            shelf, study=STUDY, run=run, round_number=1, events=[Gaussian(2.0, 1)], at=AT
        )

    assert shelf.book("hospitals:cxr-2026").events() == (Gaussian(2.0, 1),)
    assert shelf.book(NORTH).events() == (EVENT, EVENT)
    with pytest.raises(LedgerEntryRefusedError):
        enter_central_release(
            shelf, study=STUDY, run=run, round_number=1, events=[Gaussian(1.0, 1)], at=AT
        )
