"""The centre gives a node its own newest heads back; a book or log from before them is noticed."""

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from clients import audit_log
from clients.heads import Heads, check_heads, heads_file, heads_now, known_heads, take_heads
from clients.home import NodeHome
from clients.ledger_store import LedgerStore
from federation.coordinator.home import CentreHome
from federation.coordinator.records import ControlRecords
from federation.domain.audit import AuditEvent, AuditKind
from federation.domain.ids import Sha256, SiteId
from federation.errors import PlatformError
from federation.errors.core import UnreadableRecordError
from federation.errors.ledger import (
    AuditLogBrokenError,
    AuditLogRolledBackError,
    HeadsRefusedError,
    LedgerRolledBackError,
)
from federation.evidence.signing import Signer, sign_dsse
from federation.evidence.statements import PredicateType, Statement, Subject
from federation.privacy.bookkeeping import LedgerHead
from tests.control.builders import (
    NORTH,
    a_centre,
    a_node,
    connected,
    connecting,
    run,
    serving,
)


def write_something(node: NodeHome, name: str) -> None:
    """Add an entry to the book and a line to the log."""
    LedgerStore(node.ledger).open_book(name, at=datetime.now(UTC).isoformat())
    event = AuditEvent(AuditKind.UPDATE_RELEASED, "executor", name, datetime.now(UTC))
    audit_log.append(node.audit_log, event)


def heads_of(node: NodeHome) -> Heads:
    return heads_now(LedgerStore(node.ledger), node.audit_log)


def a_reply(
    node: NodeHome,
    heads: object = None,
    *,
    key: Path | None = None,
    kind: PredicateType = PredicateType.EVALUATION,
    site: str = NORTH,
) -> bytes:
    """Return the signed statement of a reply with the node's heads, as the gate signs it."""
    said = {"site": site, "heads": heads_of(node).as_json() if heads is None else heads}
    statement = Statement((Subject("model/x", Sha256.of(b"x")),), kind, said)
    return sign_dsse(statement, Signer.load(key or node.node_key)).encode()


@pytest.fixture
def node(tmp_path: Path) -> NodeHome:
    """Return a node that wrote something, with a copy of book and log from before that."""
    home = a_node(tmp_path / "n", a_centre(tmp_path / "c"))
    write_something(home, "first")
    for path in (home.ledger, home.audit_log):
        shutil.copy(path, path.with_suffix(".old"))
    write_something(home, "second")
    return home


def put_the_old_book_back(node: NodeHome) -> None:
    node.ledger.with_suffix(".old").replace(node.ledger)


def lose_the_book(node: NodeHome) -> None:
    node.ledger.unlink()


def put_the_old_log_back(node: NodeHome) -> None:
    node.audit_log.with_suffix(".old").replace(node.audit_log)


def lose_the_log(node: NodeHome) -> None:
    node.audit_log.unlink()


def write_other_lines(node: NodeHome) -> None:
    """Put the old log back and write a new line, so that the number of lines is right."""
    put_the_old_log_back(node)
    event = AuditEvent(AuditKind.DATA_INGESTED, "staff", "x", datetime.now(UTC))
    audit_log.append(node.audit_log, event)


def flip_a_byte(node: NodeHome) -> None:
    content = bytearray(node.audit_log.read_bytes())
    content[20] ^= 1
    node.audit_log.write_bytes(content)


CHANGES = [
    (put_the_old_book_back, LedgerRolledBackError),
    (lose_the_book, LedgerRolledBackError),
    (put_the_old_log_back, AuditLogRolledBackError),
    (lose_the_log, AuditLogRolledBackError),
    (write_other_lines, AuditLogRolledBackError),
    (flip_a_byte, AuditLogBrokenError),
]


@pytest.mark.parametrize(("change", "refusal"), CHANGES)
def test_a_changed_book_or_log_is_noticed_when_the_node_connects_and_told_to_staff(
    tmp_path: Path,
    node: NodeHome,
    change: Callable[[NodeHome], None],
    refusal: type[PlatformError],
) -> None:
    centre = CentreHome.open(tmp_path / "c")
    ControlRecords(centre.folder).keep_heads(NORTH, a_reply(node))
    change(node)

    async def work() -> None:
        async with serving(centre), connecting(node) as client:
            await connected(client)
            assert isinstance(client.status.error, refusal)

    run(work())
    with pytest.raises(refusal):
        check_heads(node, books=LedgerStore(node.ledger))


def test_a_whole_home_put_back_from_a_copy_is_noticed_when_it_reconnects(
    tmp_path: Path, node: NodeHome
) -> None:
    centre = CentreHome.open(tmp_path / "c")
    records = ControlRecords(centre.folder)
    records.keep_heads(NORTH, a_reply(node))

    async def work() -> None:
        async with serving(centre):
            async with connecting(node) as client:
                await connected(client)
                assert client.status.error is None
            copy = tmp_path / "copy"
            await asyncio.to_thread(shutil.copytree, node.folder, copy)
            write_something(node, "third")
            records.keep_heads(NORTH, a_reply(node))
            async with connecting(NodeHome.open(copy)) as client:
                await connected(client)
                assert isinstance(client.status.error, LedgerRolledBackError)

    run(work())


def test_the_heads_come_back_after_the_centre_restarted(tmp_path: Path, node: NodeHome) -> None:
    centre = CentreHome.open(tmp_path / "c")
    ControlRecords(centre.folder).keep_heads(NORTH, a_reply(node))
    given = heads_of(node)
    write_something(node, "third")

    async def work() -> None:
        for _ in range(2):
            async with serving(centre), connecting(node) as client:
                await connected(client)
                assert client.status.error is None
                assert known_heads(node) == given

    run(work())


def test_a_node_that_never_replied_is_given_nothing_and_writes_nothing(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")
    fresh = a_node(tmp_path / "n", centre)

    async def work() -> None:
        async with serving(centre), connecting(fresh) as client:
            await connected(client)
            assert client.status.error is None

    run(work())
    assert not heads_file(fresh).exists()
    assert not fresh.ledger.exists()


@pytest.mark.parametrize(
    "make",
    [
        lambda node: a_reply(node, key=node.officer_key),
        lambda node: a_reply(node, site="south"),
        lambda node: a_reply(node, kind=PredicateType.LEDGER),
        lambda node: a_reply(node, heads={"ledger": 3}),
        lambda node: b"{}",
    ],
    ids=["another key", "another site", "no reply", "other heads", "no envelope"],
)
def test_heads_that_this_node_did_not_sign_are_refused_and_change_nothing(
    node: NodeHome, make: Callable[[NodeHome], bytes]
) -> None:
    take_heads(node, a_reply(node))
    before = heads_file(node).read_bytes()

    with pytest.raises(HeadsRefusedError):
        take_heads(node, make(node))

    assert heads_file(node).read_bytes() == before
    check_heads(node, books=LedgerStore(node.ledger))


def test_a_centre_that_keeps_the_newest_heads_back_does_not_make_the_node_forget_them(
    node: NodeHome,
) -> None:
    old = a_reply(node)
    write_something(node, "third")
    take_heads(node, a_reply(node))
    newest = known_heads(node)

    take_heads(node, old)

    assert known_heads(node) == newest


def test_heads_that_were_damaged_here_stop_training_until_the_centre_gives_them_again(
    node: NodeHome,
) -> None:
    take_heads(node, a_reply(node))
    heads_file(node).write_bytes(b"{}")
    with pytest.raises(HeadsRefusedError):
        check_heads(node, books=LedgerStore(node.ledger))

    take_heads(node, a_reply(node))

    check_heads(node, books=LedgerStore(node.ledger))


def test_the_centre_keeps_each_sites_newest_heads(tmp_path: Path, node: NodeHome) -> None:
    records = ControlRecords(tmp_path / "records")
    old, now = a_reply(node), heads_of(node)
    newer = replace(now, ledger=LedgerHead(now.ledger.entries + 2, Sha256.of(b"later")))
    new = a_reply(node, newer.as_json())
    for reply in (old, new, old):
        records.keep_heads(NORTH, reply)

    assert records.heads(NORTH) == new
    assert records.heads(SiteId("south")) is None


@pytest.mark.parametrize("heads", [{"ledger": 3}, "x", {"audit": {"lines": "y"}}])
def test_the_centre_keeps_no_reply_without_heads(
    tmp_path: Path, node: NodeHome, heads: object
) -> None:
    records = ControlRecords(tmp_path / "records")

    with pytest.raises(UnreadableRecordError):
        records.keep_heads(NORTH, a_reply(node, heads))

    assert records.heads(NORTH) is None
