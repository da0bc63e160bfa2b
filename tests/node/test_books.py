"""`trifed node ledger|audit|refusals` as staff use them."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from clients import audit_log
from clients.heads import heads_now, take_heads
from clients.home import NodeHome, NodeSettings
from clients.ledger_store import LedgerStore
from clients.policy import TEMPLATE
from federation.commands.node import books
from federation.domain.audit import AuditEvent, AuditKind
from federation.domain.ids import Sha256, SiteId
from federation.errors.base import PlatformError
from federation.evidence.book_export import read_signed_book, sign_book
from federation.evidence.signing import Signer, new_key, sign_dsse
from federation.evidence.statements import PredicateType, Statement, Subject
from federation.evidence.verification import PublicKey
from federation.privacy.bookkeeping import Bookkeeper, MemoryShelves
from federation.privacy.comparison import export, read_export
from tests.node.books import reserve


@pytest.fixture
def home(tmp_path: Path) -> NodeHome:
    node = NodeHome(tmp_path / "node")
    (node.folder / "keys").mkdir(parents=True)
    node.write_settings(NodeSettings(SiteId("north"), "North", "Centre", "localhost:1"))
    node.policy.write_text(TEMPLATE, encoding="utf-8")
    officer = new_key(node.officer_key)
    node.officer_public_key.write_bytes(officer.public_key.pem)
    new_key(node.node_key)
    centre = new_key(tmp_path / "centre.key")
    node.centre_evidence_key.parent.mkdir()
    node.centre_evidence_key.write_bytes(centre.public_key.pem)
    return node


def by_the_centre(home: NodeHome, book: bytes, *, site: str = "north") -> bytes:
    """Return a book as the centre exports it for a hospital."""
    signer = Signer.load(home.folder.parent / "centre.key")
    return sign_book(book, site=SiteId(site), signer=signer, at="2026-11-21T00:00:00+00:00")


def ledger(home: NodeHome, *words: str, language: str = "en") -> Result:
    return run(books.ledger_app, home, *words, language=language)


def run(app, home: NodeHome, *words: str, language: str = "en") -> Result:
    line = [*words, "--home", str(home.folder)]
    return CliRunner().invoke(app, line, env={"TRIFED_LANG": language})


def code_of(result: Result) -> str | None:
    error = result.exception
    return error.code if isinstance(error, PlatformError) else None


def store(home: NodeHome) -> LedgerStore:
    return LedgerStore(home.ledger)


def test_an_empty_book_says_that_nothing_was_spent(home: NodeHome) -> None:
    assert "Nothing was ever spent" in ledger(home, "show").output
    assert "尚未消耗" in ledger(home, "show", language="zh-Hant-TW").output


def test_both_figures_are_shown_and_the_larger_one_is_the_one(home: NodeHome) -> None:
    reserve(store(home), "cxr-2026.1/1")
    (shown,) = json.loads(ledger(home, "show", "--json").output)

    assert shown["epsilon"] == max(shown["epsilon_rdp"], shown["epsilon_pld"]) > 0
    assert shown["epsilon_period"] == shown["epsilon_all"] == shown["epsilon"]
    said = ledger(home, "show").output
    assert "last 365 days" in said
    assert "Renyi" in said
    assert "PLD" in said


def test_verify_gives_both_heads_and_fails_on_a_broken_book(home: NodeHome) -> None:
    reserve(store(home), "cxr-2026.1/1")
    found = json.loads(ledger(home, "verify", "--json").output)
    assert (found["ledger"]["entries"], found["audit"]["lines"]) == (1, 0)
    assert "1 entries" in ledger(home, "verify").output

    home.ledger.write_bytes(home.ledger.read_bytes()[:5000])
    assert code_of(ledger(home, "verify")) == "TF633"


def test_the_centres_book_compares_equal_and_another_does_not(
    home: NodeHome, tmp_path: Path
) -> None:
    reserve(store(home), "cxr-2026.1/1")
    file = tmp_path / "book.json"
    file.write_bytes(by_the_centre(home, export(store(home).library())))
    assert "agree on 1 rounds" in ledger(home, "compare", str(file)).output

    file.write_bytes(by_the_centre(home, export(Bookkeeper(MemoryShelves()).library())))
    assert code_of(ledger(home, "compare", str(file))) == "TF635"
    assert ledger(home, "compare", str(file), "--study", "other").exit_code == 0


def test_the_own_book_is_exported_with_the_nodes_signature(home: NodeHome, tmp_path: Path) -> None:
    reserve(store(home), "cxr-2026.1/1")
    file = tmp_path / "book.json"
    assert "1 entries" in ledger(home, "export", str(file)).output
    assert file.stat().st_mode & 0o777 == 0o600

    key = PublicKey.load(home.node_public_key)
    signed = read_signed_book(file.read_bytes(), site=SiteId("north"), key=key)
    assert read_export(signed.book).books == store(home).library().books
    assert code_of(ledger(home, "compare", str(file))) == "TF654"  # not the centre's


@pytest.mark.parametrize(
    "change",
    [
        lambda home, book: book,
        lambda home, book: by_the_centre(home, book, site="south"),
        lambda home, book: by_the_centre(home, book).replace(b"cxr-2026", b"cxr-2027", 1),
        lambda home, book: b"[",
        lambda home, book: b"{}",
    ],
    ids=["unsigned", "of another site", "changed", "no JSON", "no book"],
)
def test_a_book_that_the_centre_did_not_sign_for_this_site_is_refused(
    home: NodeHome, tmp_path: Path, change: Callable[[NodeHome, bytes], bytes]
) -> None:
    reserve(store(home), "cxr-2026.1/1")
    file = tmp_path / "book.json"
    file.write_bytes(change(home, export(store(home).library())))

    assert code_of(ledger(home, "compare", str(file))) == "TF654"


def test_verify_fails_on_a_book_that_does_not_continue_what_was_signed(home: NodeHome) -> None:
    reserve(store(home), "cxr-2026.1/1")
    subject = Subject("update/x", Sha256.of(b"x"))
    heads = heads_now(store(home), home.audit_log).as_json()
    said = Statement((subject,), PredicateType.UPDATE, {"site": "north", "heads": heads})
    take_heads(home, sign_dsse(said, Signer.load(home.node_key)).encode())
    assert ledger(home, "verify").exit_code == 0

    home.ledger.unlink()
    assert code_of(ledger(home, "verify")) == "TF634"


def test_a_budget_is_signed_into_the_book_and_binds(home: NodeHome) -> None:
    words = ("budget", "chest", "--epsilon", "0.5", "--delta", "1e-3", "--days", "365")
    assert "in any 365 days" in ledger(home, *words).output

    assert code_of(ledger(home, "budget", "chest", "--epsilon", "0", "--delta", "1e-3")) == "TF636"
    with pytest.raises(PlatformError) as refused:
        reserve(books._store(home), "cxr-2026.1/1", at=datetime.now(UTC).isoformat())
    assert refused.value.code == "TF630"


def test_a_closed_book_is_closed(home: NodeHome) -> None:
    store(home).open_book("chest", at="2026-11-21T00:00:00+00:00")
    assert "is closed" in ledger(home, "close", "chest").output

    with pytest.raises(PlatformError) as refused:
        reserve(store(home), "cxr-2026.1/1", at=datetime.now(UTC).isoformat())
    assert refused.value.code == "TF632"


def test_refusals_are_shown_with_what_their_code_says(home: NodeHome) -> None:
    assert "Nothing was ever kept inside" in run(books.app, home, "refusals").output
    at = datetime(2026, 11, 21, tzinfo=UTC)
    for kind, details in (
        (AuditKind.UPDATE_RELEASED, {"code": ""}),
        (AuditKind.UPDATE_WITHHELD, {"code": "TF640", "rule": "has_no_free_text"}),
    ):
        event = AuditEvent(kind, "executor", "cxr-2026.1/1", at, details)
        audit_log.append(home.audit_log, event)

    said = run(books.app, home, "refusals").output
    assert "TF640" in said
    assert "has_no_free_text" in said
    (shown,) = json.loads(run(books.app, home, "refusals", "--json").output)
    assert (
        "閘道"
        in json.loads(run(books.app, home, "refusals", "--json", language="zh-Hant-TW").output)[0][
            "what"
        ]
    )
    assert shown["subject"] == "cxr-2026.1/1"
    assert len(json.loads(run(books.app, home, "audit", "--json").output)) == 2
