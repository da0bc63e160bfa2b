"""What left is in the centre's book, and a hospital that counts less of it stops the study."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from clients.home import NodeHome
from federation.coordinator.home import CentreHome
from federation.coordinator.records import ControlRecords
from federation.domain.ids import RunId, SiteId
from federation.domain.study import Study
from federation.errors.ledger import BooksDifferError, LedgerEntryRefusedError
from federation.operations.embedded_registry import release_books
from federation.operations.release_book import ReleaseBook
from federation.privacy.accountants import epsilon_of
from federation.privacy.events import event_from_json
from federation.privacy.ledger import EntryKind
from federation.server_app.rounds import SiteReply
from federation.wire.messages import TaskKind
from tests.builders import a_study
from tests.operations.fakes import a_federation, prepared
from tests.operations.test_campaign import REPORT, RUN, a_reply
from tests.pki.builders import a_centre, an_enrolled_node

NORTH = SiteId("north")
NOW = datetime.now(UTC)
DELTA = 1e-3


@pytest.fixture
def centre(tmp_path: Path) -> CentreHome:
    return a_centre(tmp_path / "c")


@pytest.fixture
def node(tmp_path: Path, centre: CentreHome) -> NodeHome:
    return an_enrolled_node(tmp_path / "n", centre, site=NORTH)


def an_update(node: NodeHome, *, noise: float = 1.0, **changes: Any) -> SiteReply:
    event = {**REPORT["events"][0], "noise_multiplier": noise}  # type: ignore[index]
    return a_reply(node, report={**REPORT, "events": [event]}, **changes)


def epsilon(rounds: int) -> float:
    return epsilon_of([event_from_json(REPORT["events"][0])] * rounds, DELTA)  # type: ignore[index]


def kinds(centre: CentreHome, site: SiteId = NORTH) -> list[EntryKind]:
    return [entry.kind for entry in release_books(centre).book(site).entries]


def check(book: ReleaseBook, signed: list[SiteReply], *, told: object) -> None:
    book.check(RUN, {NORTH: [("update", one.signature) for one in signed]}, {NORTH: told})


def enter(book: ReleaseBook, *replies: SiteReply) -> None:
    for reply in replies:
        book.enter({NORTH: reply.signature}, at=NOW)


def test_an_accepted_update_is_entered_once_with_its_heads(
    centre: CentreHome, node: NodeHome
) -> None:
    reply = an_update(node)
    for _ in range(2):
        enter(ReleaseBook(centre, a_study()), reply)

    assert kinds(centre) == [EntryKind.RESERVED, EntryKind.COMMITTED]
    assert ControlRecords(centre.folder).heads(NORTH) == reply.signature.encode()


def test_a_round_is_not_entered_a_second_time_with_other_events(
    centre: CentreHome, node: NodeHome
) -> None:
    book = ReleaseBook(centre, a_study())
    enter(book, an_update(node))

    with pytest.raises(LedgerEntryRefusedError):
        enter(book, an_update(node, noise=2.0))


def test_books_that_agree_let_the_study_go_on(centre: CentreHome, node: NodeHome) -> None:
    book, replies = ReleaseBook(centre, a_study()), [an_update(node), an_update(node, round=2)]
    enter(book, *replies)

    check(book, replies, told=epsilon(2))


def test_a_round_lost_on_the_way_counts_at_the_hospital_alone_and_stops_nothing(
    centre: CentreHome, node: NodeHome
) -> None:
    book, replies = ReleaseBook(centre, a_study()), [an_update(node)]
    enter(book, *replies)

    check(book, replies, told=epsilon(2))


@pytest.mark.parametrize("told", [0.9 * epsilon(2), epsilon(1), None, float("nan"), "much"])
def test_a_hospital_that_counts_less_than_was_released_stops_the_study(
    centre: CentreHome, node: NodeHome, told: object
) -> None:
    book, replies = ReleaseBook(centre, a_study()), [an_update(node), an_update(node, round=2)]
    enter(book, *replies)

    with pytest.raises(BooksDifferError, match="north"):
        check(book, replies, told=told)


def test_what_an_earlier_run_released_counts_too(centre: CentreHome, node: NodeHome) -> None:
    book = ReleaseBook(centre, a_study())
    enter(book, an_update(node, run=RunId("cxr-2026.7")), an_update(node))

    with pytest.raises(BooksDifferError):
        check(book, [an_update(node)], told=epsilon(1))
    check(book, [an_update(node)], told=epsilon(2))


def test_a_signed_update_that_the_book_lacks_stops_the_study(
    centre: CentreHome, node: NodeHome
) -> None:
    book, replies = ReleaseBook(centre, a_study()), [an_update(node), an_update(node, round=2)]
    enter(book, replies[0])

    with pytest.raises(BooksDifferError, match=r"cxr-2026\.1/2 only in the first"):
        check(book, replies, told=epsilon(2))


def test_an_entry_that_no_site_signed_stops_the_study(centre: CentreHome, node: NodeHome) -> None:
    book, replies = ReleaseBook(centre, a_study()), [an_update(node), an_update(node, round=2)]
    enter(book, *replies)

    with pytest.raises(BooksDifferError, match=r"cxr-2026\.1/2 only in the second"):
        check(book, replies[:1], told=epsilon(2))


def test_an_update_signed_with_other_events_than_the_book_has_stops_the_study(
    centre: CentreHome, node: NodeHome
) -> None:
    book = ReleaseBook(centre, a_study())
    enter(book, an_update(node))

    with pytest.raises(BooksDifferError, match="other events"):
        check(book, [an_update(node, noise=2.0)], told=epsilon(1))


def test_training_without_privacy_and_evaluations_are_in_no_book(
    centre: CentreHome, node: NodeHome
) -> None:
    study: Study = a_study(privacy=None)
    book = ReleaseBook(centre, study)
    evaluation = a_reply(node, kind=TaskKind.EVALUATE, update=None, report={"metrics": []})
    plain = a_reply(node, report={**REPORT, "events": []})
    enter(book, plain, evaluation)

    check(book, [plain], told=None)

    assert kinds(centre) == []


def test_a_campaign_whose_books_differ_evaluates_and_registers_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ReleaseBook, "enter", lambda *_, **__: None)  # entries go missing
    with a_federation(*prepared(tmp_path)) as fed:
        result = fed.run()

    assert [error["code"] for error in result.errors] == [BooksDifferError.code]
    assert result.status == "failed" and result.entry is None
    assert "evaluate" not in {kind for kind, _, _ in fed.flower.asked}
