"""A book or log that is lost for good: two signatures, and what was released goes on counting."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from clients import audit_log
from clients.centre_word import hear_centre
from clients.heads import check_heads, heads_file, heads_in_reply, heads_now, take_heads
from clients.home import NodeHome
from clients.ledger_store import LedgerStore
from clients.loss_acceptance import SENT_AS, accept_loss, take_agreement
from clients.losses import Agreement, agreement_file, era_of, loss_file
from federation.commands import centre_losses
from federation.commands.node import books as commands
from federation.coordinator.home import CentreHome
from federation.coordinator.records import ControlRecords
from federation.domain.audit import AuditEvent, AuditKind
from federation.domain.ids import RunId, Sha256, StudyId
from federation.errors.base import PlatformError
from federation.errors.heads import LossNotAgreedError, LossRefusedError, NothingLostError
from federation.errors.ledger import (
    AuditLogRolledBackError,
    HeadsRefusedError,
    LedgerDamagedError,
    LedgerRolledBackError,
)
from federation.evidence.signing import Signer, new_key, sign_dsse
from federation.evidence.statements import PredicateType, Statement, Subject
from federation.evidence.verification import PublicKey
from federation.operations.centre_head import CentreHead
from federation.operations.embedded_registry import audit, release_books
from federation.operations.site_losses import agree_to_loss, agreement_path
from federation.privacy.ledger import EntryKind
from federation.protocol.mapping import Card
from registry.ledger.service import enter_release
from tests.control.builders import NORTH, a_centre, a_node
from tests.node.books import EVENT, STUDY, reserve

AT = datetime.now(UTC)


@pytest.fixture
def centre(tmp_path: Path) -> CentreHome:
    return a_centre(tmp_path / "centre")


@pytest.fixture
def node(tmp_path: Path, centre: CentreHome) -> NodeHome:
    """Return a hospital of which the centre accepted two rounds and keeps the heads."""
    home = a_node(tmp_path / "node", centre)
    for number in (1, 2):
        answer(home, centre, number)
    return home


def books(home: NodeHome) -> LedgerStore:
    return LedgerStore(home.ledger, officer=PublicKey.load(home.officer_public_key))


def answer(home: NodeHome, centre: CentreHome, number: int) -> None:
    """Spend, record, sign the heads; the centre enters the release and gives the heads back."""
    key, at = f"cxr-2026.1/{number}", AT.isoformat()
    reserve(books(home), key, at=at)
    books(home).settle("chest", study=STUDY, key=key, kind=EntryKind.COMMITTED, at=at)
    event = AuditEvent(AuditKind.UPDATE_RELEASED, "executor", key, AT)
    audit_log.append(home.audit_log, event)
    reply = a_reply(home)
    ControlRecords(centre.folder).keep_heads(NORTH, reply)
    enter_release(release_books(centre), site=NORTH, study=STUDY, run=RunId("cxr-2026.1"),
                  round_number=number, events=[EVENT], at=at)  # fmt: skip
    take_heads(home, reply)


def a_reply(home: NodeHome) -> bytes:
    heads = heads_now(books(home), home.audit_log, era=era_of(home)).as_json()
    said = {"site": "north", "heads": heads}
    subject = Subject("update/x", Sha256.of(b"x"))
    statement = Statement((subject,), PredicateType.UPDATE, said)
    return sign_dsse(statement, Signer.load(home.node_key)).encode()


def lose_the_book(home: NodeHome) -> None:
    home.ledger.unlink()


def lose_the_log(home: NodeHome) -> None:
    home.audit_log.unlink()


def lose_both(home: NodeHome) -> None:
    lose_the_book(home)
    lose_the_log(home)


def officer(home: NodeHome) -> Signer:
    return Signer.load(home.officer_key)


def accept(home: NodeHome, **changes: bool) -> Path:
    return accept_loss(home, reason="The disk died", officer=officer(home), now=AT, **changes)


def send(home: NodeHome, centre: CentreHome) -> None:
    """Bring the officer's statement to the centre as the agent does."""
    content = (home.cards / SENT_AS).read_bytes()
    ControlRecords(centre.folder).keep_card(NORTH, Card(StudyId(Path(SENT_AS).stem), content))


def agree(home: NodeHome, centre: CentreHome) -> None:
    send(home, centre)
    agree_to_loss(centre, NORTH, reason="Told by phone", now=AT)
    hear_centre(home, CentreHead(centre)(NORTH), now=AT)


def test_nothing_that_stands_can_be_given_up(node: NodeHome) -> None:
    with pytest.raises(NothingLostError):
        accept(node)

    assert not loss_file(node).exists()


@pytest.mark.parametrize(
    ("lose", "refusal"),
    [
        (lose_the_book, LedgerRolledBackError),
        (lose_the_log, AuditLogRolledBackError),
        (lose_both, LedgerRolledBackError),
    ],
)
def test_only_with_both_signatures_the_node_goes_on(
    node: NodeHome,
    centre: CentreHome,
    lose: Callable[[NodeHome], None],
    refusal: type[PlatformError],
) -> None:
    lose(node)
    with pytest.raises(refusal):
        check_heads(node, books=books(node))
    accept(node)
    with pytest.raises(LossNotAgreedError):
        check_heads(node, books=books(node))

    agree(node, centre)

    check_heads(node, books=books(node))
    assert era_of(node) == 1
    answer(node, centre, 3)
    check_heads(node, books=books(node))


def test_what_the_centre_accepted_goes_on_counting_in_the_new_book(
    node: NodeHome, centre: CentreHome
) -> None:
    before = sorted(map(str, books(node).events(study=STUDY)))
    lose_the_book(node)
    accept(node)
    agree(node, centre)

    assert sorted(map(str, books(node).events(study=STUDY))) == before
    assert books(node).head().entries == 4
    again = Agreement.from_bytes(agreement_path(centre, NORTH).read_bytes())
    assert not take_agreement(node, again, now=AT)
    assert books(node).head().entries == 4


def test_the_old_heads_given_back_again_change_nothing(node: NodeHome, centre: CentreHome) -> None:
    old = heads_file(node).read_bytes()
    lose_both(node)
    accept(node)
    agree(node, centre)
    take_heads(node, old)

    check_heads(node, books=books(node))
    answer(node, centre, 3)
    key = PublicKey.load(node.node_public_key)
    newest = heads_in_reply(heads_file(node).read_bytes(), site=NORTH, key=key)
    assert newest.era == 1


def test_a_second_rollback_is_noticed_as_the_first_was(node: NodeHome, centre: CentreHome) -> None:
    lose_the_book(node)
    accept(node)
    agree(node, centre)
    copy = node.ledger.read_bytes()
    answer(node, centre, 3)
    node.ledger.write_bytes(copy)

    with pytest.raises(LedgerRolledBackError):
        check_heads(node, books=books(node))
    accept(node)
    agree(node, centre)
    check_heads(node, books=books(node))
    assert era_of(node) == 2


def test_without_its_agreement_heads_from_after_the_loss_are_refused(
    node: NodeHome, centre: CentreHome
) -> None:
    lose_the_book(node)
    accept(node)
    agree(node, centre)
    answer(node, centre, 3)
    loss_file(node).unlink()

    with pytest.raises(HeadsRefusedError):
        check_heads(node, books=books(node))


def test_a_node_with_a_new_key_goes_on_after_both_accepted(
    node: NodeHome, centre: CentreHome
) -> None:
    node.node_key.unlink()
    node.node_public_key.unlink()
    new_key(node.node_key)
    with pytest.raises(HeadsRefusedError):
        check_heads(node, books=books(node))

    accept(node)
    agree(node, centre)

    check_heads(node, books=books(node))
    assert ControlRecords(centre.folder).heads(NORTH) is None
    answer(node, centre, 3)
    check_heads(node, books=books(node))


def test_a_book_that_cannot_be_read_is_put_aside_only_when_asked(
    node: NodeHome, centre: CentreHome
) -> None:
    node.ledger.write_bytes(b"SQLite no more" * 400)
    with pytest.raises(LedgerDamagedError):
        accept(node)
    accept(node, start_anew=True)
    agree(node, centre)

    check_heads(node, books=books(node))
    assert (node.folder / "ledger.db.lost-1").exists()


def test_the_loss_and_the_agreement_are_in_the_nodes_log_and_in_the_centres(
    node: NodeHome, centre: CentreHome
) -> None:
    lose_the_book(node)
    statement = accept(node)
    agree(node, centre)

    lines = [event["details"] for event in audit_log.verify(node.audit_log)
             if event["kind"] == audit_log.LOSS]  # fmt: skip
    assert lines[0]["digest"] == str(Sha256.of(statement.read_bytes()))
    assert set(lines[1]) == {"era", "agreed"}
    assert audit(centre)["entries"] == 2
    assert not (node.cards / SENT_AS).exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda node: new_key(node.folder / "other.key"),
        lambda node: Signer.load(node.node_key),
    ],
    ids=["a stranger", "the node"],
)
def test_nobody_but_the_data_officer_accepts_a_loss(
    node: NodeHome, change: Callable[[NodeHome], Signer]
) -> None:
    lose_the_book(node)
    with pytest.raises(LossRefusedError):
        accept_loss(node, reason="x", officer=change(node), now=AT)


def test_a_statement_that_the_officer_did_not_sign_moves_no_centre(
    node: NodeHome, centre: CentreHome
) -> None:
    lose_the_book(node)
    accept(node)
    with pytest.raises(LossRefusedError, match="sent none"):
        agree_to_loss(centre, NORTH, reason="x", now=AT)
    envelope = json.loads(loss_file(node).read_bytes())
    envelope["signatures"][0]["sig"] = "A" * 86 + "=="

    with pytest.raises(LossRefusedError):
        agree_to_loss(centre, NORTH, reason="x", now=AT, statement=json.dumps(envelope).encode())
    assert ControlRecords(centre.folder).heads(NORTH) is not None


def test_an_agreement_to_another_loss_or_with_another_book_is_refused(
    node: NodeHome, centre: CentreHome
) -> None:
    lose_the_book(node)
    accept(node)
    send(node, centre)
    agreement = json.loads(agree_to_loss(centre, NORTH, reason="x", now=AT).read_bytes())

    other = Agreement(agreement["agreed"], agreement["book"].replace("cxr", "cxs"))
    with pytest.raises(LossRefusedError, match="another book"):
        take_agreement(node, other, now=AT)
    accept(node)  # signed anew: the agreement was to the first
    accept_loss(node, reason="Another", officer=officer(node), now=AT)
    with pytest.raises(LossRefusedError, match="another loss"):
        take_agreement(node, Agreement.from_json(agreement), now=AT)
    assert not agreement_file(node).exists()
    assert books(node).head().entries == 0


def test_both_commands_say_what_comes_next(node: NodeHome, centre: CentreHome) -> None:
    def run(app: object, *words: str) -> str:
        done = CliRunner().invoke(app, [*words], env={"TRIFED_LANG": "en"})  # type: ignore[arg-type]
        assert done.exit_code == 0, done.output
        return done.output

    lose_the_book(node)
    here, there = ("--home", str(node.folder)), ("--home", str(centre.folder))
    said = run(commands.ledger_app, "accept-loss", "--reason", "The disk died", *here)
    assert "trifed centre accept-loss north" in said
    words = ("north", "--reason", "agreed", "--statement", str(loss_file(node)), *there)
    assert "--agreement" in run(centre_losses.app, *words)
    file = str(agreement_path(centre, NORTH))
    assert "The node answers" in run(commands.ledger_app, "accept-loss", "--agreement", file, *here)
    assert "Nothing waits" in run(commands.ledger_app, "accept-loss", "--agreement", file, *here)
    check_heads(node, books=books(node))
