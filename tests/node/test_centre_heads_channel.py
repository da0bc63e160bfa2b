"""Over the real channel: the centre shows its log, and every node notices a rewritten one."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from clients.centre_heads import read_centre_heads
from clients.control import ControlClient
from clients.heads import check_heads, heads_now, take_heads
from clients.home import NodeHome
from clients.ledger_store import LedgerStore
from clients.loss_acceptance import accept_loss
from clients.losses import era_of
from federation.coordinator.home import CentreHome
from federation.coordinator.records import ControlRecords
from federation.domain.ids import Sha256, SiteId
from federation.errors.heads import CentreLogForkedError, CentreLogRolledBackError
from federation.evidence.signing import Signer, sign_dsse
from federation.evidence.statements import PredicateType, Statement, Subject
from federation.operations.evidence_entries import log_statements
from federation.operations.site_losses import agree_to_loss
from tests.control.builders import NORTH, a_centre, a_node, connecting, run, serving
from tests.node.books import reserve
from tests.node.hospital import NOW

SITES = (NORTH, SiteId("south"), SiteId("west"))


def log(centre: CentreHome, number: int) -> None:
    subject = Subject(f"thing/{number}", Sha256.of(b"thing"))
    said = Statement((subject,), PredicateType.TRAINING_RUN, {"number": number})
    log_statements(centre, [sign_dsse(said, Signer.load(centre.evidence_key))])


async def until(holds: object) -> None:
    while not holds():  # type: ignore[operator]
        await asyncio.sleep(0.05)


def kept(node: NodeHome) -> str:
    return read_centre_heads(node).note


def test_every_connected_node_keeps_what_the_log_grows_to_and_notices_a_rewritten_one(
    tmp_path: Path,
) -> None:
    centre = a_centre(tmp_path / "c")
    nodes = [a_node(tmp_path / site, centre, site=site) for site in SITES]
    log(centre, 1)

    async def grow() -> None:
        async with serving(centre), AsyncExitStack() as stack:
            for node in nodes:
                await stack.enter_async_context(connecting(node))
            await until(lambda: all("\n1\n" in kept(node) for node in nodes))
            log(centre, 2)
            await until(lambda: all("\n2\n" in kept(node) for node in nodes))

    async def notice(kind: type[Exception]) -> None:
        async with serving(centre), AsyncExitStack() as stack:
            clients: list[ControlClient] = []
            for node in nodes:
                clients.append(await stack.enter_async_context(connecting(node)))
            await until(lambda: all(isinstance(one.status.error, kind) for one in clients))

    run(grow())
    centre.database.unlink()
    run(notice(CentreLogRolledBackError))
    for number in (7, 8, 9):
        log(centre, number)
    run(notice(CentreLogForkedError))
    assert all("\n2\n" in kept(node) for node in nodes)


def test_a_loss_goes_to_the_centre_and_its_agreement_comes_back_by_itself(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)
    store = LedgerStore(node.ledger)
    reserve(store, "cxr-2026.1/1")
    heads = heads_now(store, node.audit_log).as_json()
    reply = Statement((Subject("update/x", Sha256.of(b"x")),), PredicateType.UPDATE,
                      {"site": "north", "heads": heads})  # fmt: skip
    envelope = sign_dsse(reply, Signer.load(node.node_key)).encode()
    ControlRecords(centre.folder).keep_heads(NORTH, envelope)
    take_heads(node, envelope)
    node.ledger.unlink()
    accept_loss(node, reason="The disk died", officer=Signer.load(node.officer_key), now=NOW)

    async def work() -> None:
        async with serving(centre), connecting(node):
            sent = centre.folder / "cards" / "north" / "ledger-loss.json"
            await until(sent.exists)
            await asyncio.to_thread(agree_to_loss, centre, NORTH, reason="told", now=NOW)
            await until(lambda: era_of(node) == 1)

    run(work())
    check_heads(node, books=LedgerStore(node.ledger))
