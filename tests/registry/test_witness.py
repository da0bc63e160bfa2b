"""Witnesses of the register: asked, heard, kept, audited; over files, HTTP and both databases."""

import asyncio
import json
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import typer
from fastapi import FastAPI, Request
from starlette.responses import Response

from federation.commands.evidence_log import log_app
from federation.commands.registry_witness import witness_app
from federation.coordinator.home import CentreHome
from federation.errors import PlatformError
from federation.errors.core import InvalidIdError
from federation.errors.moves import MoveNotListedError
from federation.errors.signed import LogRangeError, LogTamperedError
from federation.errors.witness import (
    CosignatureRefusedError,
    TooFewWitnessesError,
    WitnessForkError,
    WitnessRollbackError,
)
from federation.evidence.checkpoint import checkpoint_of, split_note
from federation.evidence.inclusion import Inclusion
from federation.evidence.signing import Signer, new_key
from federation.evidence.witness import Request as Asked
from federation.evidence.witness import Witness, check_witnessed, cosign, with_cosignatures
from federation.evidence.witness_book import WitnessBook
from federation.operations.embedded_registry import registrar
from federation.operations.enrolment import init_centre
from registry.auditing import audit_log
from registry.evidence.service import prove_inclusion
from registry.problems import answer_platform_error
from registry.records.service import Records
from registry.roles import Author, Role
from registry.witnesses import Witnesses, best_size, cosigned_checkpoint, witnessed_checkpoint
from registry.witnesses.noun import WitnessKind, WitnessState
from registry.witnesses.routes import witness_routes
from tests.databases import own_schema
from tests.postgres import postgres  # noqa: F401
from tests.registry.record_builders import (
    DEV,
    LAMP,
    NOW,
    Desk,
    Lamp,
    a_desk,
    new_signer,
    sqlite_url,
)

SEC = Author("sec-1", Role.SEC, "Centre One")


@pytest.fixture(params=["sqlite", "postgresql"])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Desk:
    if request.param == "sqlite":
        return a_desk(sqlite_url(tmp_path))
    return a_desk(own_schema(str(request.getfixturevalue("postgres"))))


@pytest.fixture
def sqlite_desk(tmp_path: Path) -> Desk:
    return a_desk(sqlite_url(tmp_path))


class Site:
    """A witness elsewhere: its key and its book."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.signer = name, new_signer()
        self.book = WitnessBook(folder / name)
        self.book.begin()

    def sign(self, asked: Asked, desk: Desk) -> str:
        key = desk.signer.public_key
        line = self.book.answer(asked, log=key, witness=self.name, signer=self.signer, at=NOW)
        return with_cosignatures(asked.note, [line])

    @property
    def known(self) -> Witness:
        return Witness(self.name, self.signer.public_key)


def enter(desk: Desk, *sites: Site) -> Witnesses:
    witnesses = Witnesses(desk.records)
    for site in sites:
        witnesses.enter(
            site.name,
            site.signer.public_key,
            kind=WitnessKind.CENTRE,
            organisation="Hualien",
            author=SEC,
        )
    return witnesses


def grow(desk: Desk, name: str) -> None:
    desk.records.put(LAMP, name, Lamp(colour="red"), author=DEV)


def audit(desk: Desk) -> dict[str, int]:
    return audit_log(desk.records.store, key=desk.signer.public_key).as_json()


def test_witnesses_follow_a_growing_log_and_all_of_it_is_audited(
    desk: Desk, tmp_path: Path
) -> None:
    one, two = Site("hualien-ai", tmp_path), Site("tainan-1", tmp_path)
    witnesses = enter(desk, one, two)
    for number in range(3):
        for site in (one, two):
            asked = witnesses.request(site.name)
            assert witnesses.take(site.sign(asked, desk), actor="centre") == (site.name,)
        grow(desk, f"l-{number}")
    assert [standing.size for standing in witnesses.standing()] == [4, 4]
    found = audit(desk)
    assert found["cosignatures"] == 6
    with desk.records.store.reading() as transaction:
        note = cosigned_checkpoint(transaction.log, 4)
        assert best_size(transaction.log, at_least=1) == 2
        assert best_size(transaction.log, at_least=3) == 3
        assert best_size(transaction.log, at_least=5) == 5
        inclusion = prove_inclusion(transaction.log, 1, size=4)
        envelope = transaction.log.entry(1).envelope
    assert note is not None
    assert len(check_witnessed(note, [one.known, two.known], needed=2)) == 2
    Inclusion.from_json(inclusion.as_json()).verify(envelope, checkpoint_of(split_note(note)[0]))


def test_taking_a_signature_twice_changes_nothing(sqlite_desk: Desk, tmp_path: Path) -> None:
    site = Site("hualien-ai", tmp_path)
    witnesses = enter(sqlite_desk, site)
    note = site.sign(witnesses.request(site.name), sqlite_desk)
    assert witnesses.take(note, actor="centre") == (site.name,)
    before = audit(sqlite_desk)
    assert witnesses.take(note, actor="centre") == ()
    assert audit(sqlite_desk) == before


def test_nothing_is_kept_of_strangers_of_retired_ones_and_of_other_logs(
    sqlite_desk: Desk, tmp_path: Path
) -> None:
    site, stranger = Site("hualien-ai", tmp_path), Site("nobody", tmp_path)
    witnesses = enter(sqlite_desk, site)
    asked = witnesses.request(site.name)
    text = split_note(asked.note)[0]
    forged = cosign(text, witness=site.name, signer=stranger.signer, at=NOW)
    bad = {
        "a stranger": stranger.sign(asked, sqlite_desk),
        "a stranger under a known name": with_cosignatures(asked.note, [forged]),
        "nobody": asked.note,
        "another size": with_cosignatures(asked.note.replace("\n1\n", "\n2\n"), [forged]),
        "another log": with_cosignatures(asked.note.replace("trifed/", "trifed/x"), [forged]),
        "no note": "x",
        "too long": "x" * 50_000,
    }
    for note in bad.values():
        with pytest.raises(CosignatureRefusedError):
            witnesses.take(note, actor="centre")
    good = site.sign(asked, sqlite_desk)
    witnesses.retire(site.name, author=Author("aud-1", Role.AUD, "Audit"), reason="moved away")
    with pytest.raises(CosignatureRefusedError):
        witnesses.take(good, actor="centre")
    with pytest.raises(CosignatureRefusedError):
        witnesses.request(site.name)
    with pytest.raises(CosignatureRefusedError):
        witnesses.request("nobody")
    assert witnesses.standing()[0].state is WitnessState.RETIRED
    assert audit(sqlite_desk)["cosignatures"] == 0


def test_a_broken_signature_of_a_known_witness_is_refused(
    sqlite_desk: Desk, tmp_path: Path
) -> None:
    site = Site("hualien-ai", tmp_path)
    witnesses = enter(sqlite_desk, site)
    asked = witnesses.request(site.name)
    grow(sqlite_desk, "l-1")
    later = witnesses.request(site.name)
    line = site.sign(asked, sqlite_desk).removeprefix(asked.note)
    with pytest.raises(CosignatureRefusedError):
        witnesses.take(with_cosignatures(later.note, [line]), actor="centre")


def test_a_new_key_of_a_witness_leaves_its_old_signatures_good(
    sqlite_desk: Desk, tmp_path: Path
) -> None:
    site = Site("hualien-ai", tmp_path)
    witnesses = enter(sqlite_desk, site)
    witnesses.take(site.sign(witnesses.request(site.name), sqlite_desk), actor="centre")
    site.signer = new_signer()
    enter(sqlite_desk, site)
    witnesses.take(site.sign(witnesses.request(site.name), sqlite_desk), actor="centre")
    assert audit(sqlite_desk)["cosignatures"] == 2


def test_only_the_custodian_of_keys_enters_a_witness(sqlite_desk: Desk) -> None:
    key = new_signer().public_key
    witnesses = Witnesses(sqlite_desk.records)
    kind = WitnessKind.NODE
    with pytest.raises(MoveNotListedError):
        witnesses.enter("w", key, kind=kind, organisation="X", author=DEV)
    for name in ("two words", "a+b", ""):
        with pytest.raises(CosignatureRefusedError):
            witnesses.enter(name, key, kind=kind, organisation="X", author=SEC)
    with pytest.raises(InvalidIdError):
        witnesses.enter("witness/1", key, kind=kind, organisation="X", author=SEC)


def test_an_empty_log_has_nothing_to_sign(sqlite_desk: Desk) -> None:
    with (
        sqlite_desk.records.store.reading() as transaction,
        pytest.raises(LogRangeError),
    ):
        witnessed_checkpoint(transaction.log, at_least=1)


def test_a_register_put_back_from_a_backup_is_noticed_by_its_witness(
    sqlite_desk: Desk, tmp_path: Path
) -> None:
    site = Site("hualien-ai", tmp_path)
    witnesses = enter(sqlite_desk, site)
    backup = sqlite3.connect(":memory:")
    database = sqlite3.connect(tmp_path / "registry.db")
    database.backup(backup)
    for number in range(3):
        grow(sqlite_desk, f"l-{number}")
    witnesses.take(site.sign(witnesses.request(site.name), sqlite_desk), actor="centre")
    backup.backup(database)
    with pytest.raises(WitnessRollbackError):
        site.sign(witnesses.request(site.name), sqlite_desk)
    for number in range(4):
        grow(sqlite_desk, f"other-{number}")
    with pytest.raises((WitnessForkError, CosignatureRefusedError)):
        site.sign(witnesses.request(site.name), sqlite_desk)
    audit(sqlite_desk)  # by itself the register cannot know
    (kept,) = site.book.kept().values()
    assert kept.note is not None
    with pytest.raises(LogTamperedError):
        audit_log(sqlite_desk.records.store, key=sqlite_desk.signer.public_key, seen=[kept.note])
    backup.close()
    database.close()


def app_of(desk: Desk) -> FastAPI:
    app = FastAPI()
    app.include_router(witness_routes(desk.records, actor_of=_actor))

    @app.exception_handler(PlatformError)
    async def answer(request: Request, error: PlatformError) -> Response:
        return await answer_platform_error(request, error)

    return app


def _actor(_request: Request) -> str:
    return "hualien-ai"


def test_a_witness_signs_over_http(sqlite_desk: Desk, tmp_path: Path) -> None:
    site = Site("hualien-ai", tmp_path)
    enter(sqlite_desk, site)

    async def go() -> None:
        transport = httpx.ASGITransport(app_of(sqlite_desk), raise_app_exceptions=False)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://r/v1/cosignatures"
        ) as http:
            asked = await http.get("witnesses/hualien-ai/request")
            note = site.sign(Asked.from_text(asked.text), sqlite_desk)
            assert (await http.post("checkpoint", content=note)).json() == {"new": ["hualien-ai"]}
            assert (await http.get("checkpoint")).text == note
            (listed,) = (await http.get("witnesses")).json()["items"]
            assert (listed["name"], listed["size"]) == ("hualien-ai", 1)
            for content in (b"\xff", b"x" * 60_000, asked.content):
                assert (await http.post("checkpoint", content=content)).status_code == 422
            assert (await http.get("witnesses/nobody/request")).status_code == 422
            assert (await http.get("checkpoint?at_least=99")).status_code == 404

    asyncio.run(go())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    init_centre(tmp_path / "C", name="Centre", address="localhost:7443", now=datetime.now(UTC))
    return tmp_path / "C"


def enter_node(home: Path, name: str) -> Signer:
    """Enter a witness in a centre's home; return the key of its log."""
    keeper = registrar(CentreHome.open(home))
    records = Records(keeper.store, keeper.signer, lambda: datetime.now(UTC))
    key, kind = new_signer().public_key, WitnessKind.NODE
    Witnesses(records).enter(name, key, kind=kind, organisation="Hualien", author=SEC)
    return keeper.signer


@pytest.fixture
def logged(home: Path) -> Signer:
    """One entry in the log of a centre's home."""
    return enter_node(home, "first")


def trifed(app: typer.Typer, *words: str | Path) -> None:
    app([*map(str, words)], standalone_mode=False)


def said(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    found: dict[str, object] = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    return found


def test_the_commands_lead_from_a_new_witness_to_a_proof_it_signed(
    home: Path, logged: Signer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new_key(tmp_path / "w.key")
    centre_key = CentreHome.open(home).evidence_public_key
    at = ("--home", home, "--json")
    who = ("--person", "sec-1", "--organisation", "Centre One")
    trifed(witness_app, "add", "hualien-ai", "--key", tmp_path / "w.pub", *who, "--house", "H", *at)
    trifed(witness_app, "request", "hualien-ai", "--out", tmp_path / "r", *at)
    signing = (
        *("sign", tmp_path / "r", "--name", "hualien-ai", "--key", tmp_path / "w.key"),
        *("--centre-key", centre_key, "--state", tmp_path / "state"),
        *("--out", tmp_path / "cosigned", "--json"),
    )
    with pytest.raises(CosignatureRefusedError, match="--begin"):
        trifed(witness_app, *signing)
    trifed(witness_app, *signing, "--begin")
    trifed(witness_app, "take", tmp_path / "cosigned", *at)
    assert said(capsys)["new"] == ["hualien-ai"]
    trifed(witness_app, "list", "--home", home)
    assert "hualien-ai" in capsys.readouterr().out
    trifed(log_app, "prove", "0", "--out", tmp_path / "proof.json", *at)
    assert said(capsys)["witnesses"] == 1
    checking = ("check", tmp_path / "proof.json", "--centre-key", centre_key)
    trifed(log_app, *checking, "--witness", f"hualien-ai={tmp_path / 'w.pub'}", "--json")
    assert said(capsys)["witnesses"] == ["hualien-ai"]
    with pytest.raises(TooFewWitnessesError):
        trifed(log_app, *checking, "--needed", "1")
    trifed(log_app, "audit", "--seen", tmp_path / "state" / "witness.json", *at)
    assert said(capsys)["cosignatures"] == 1
    trifed(log_app, "show", *at)
    assert "hualien-ai" in str(said(capsys)["checkpoint"])
    trifed(log_app, "show", "0", *at)
    assert said(capsys)["index"] == 0


def test_an_edited_database_fails_the_command(
    home: Path, logged: Signer, capsys: pytest.CaptureFixture[str]
) -> None:
    database = sqlite3.connect(CentreHome.open(home).folder / "centre.db")
    database.execute("UPDATE registry_heads SET words = 'nothing to see'")
    database.commit()
    database.close()
    with pytest.raises(LogTamperedError, match="index of witness/first"):
        trifed(log_app, "audit", "--home", home)


def test_a_log_cut_back_fails_the_command_that_knows_a_witness(
    home: Path, logged: Signer, tmp_path: Path
) -> None:
    store = registrar(CentreHome.open(home)).store
    with store.reading() as transaction:
        kept = transaction.log.latest_checkpoint()
        assert kept is not None
    (tmp_path / "kept").write_text(kept, encoding="utf-8")
    database = sqlite3.connect(CentreHome.open(home).folder / "centre.db")
    for trigger in ("update", "delete"):
        database.execute(f"DROP TRIGGER registry_records_no_{trigger}")
    for table in ("evidence_entries", "evidence_nodes", "evidence_checkpoints", "registry_audit"):
        database.execute(f"DELETE FROM {table}")
    for table in ("records", "heads", "facets", "links"):
        database.execute(f"DELETE FROM registry_{table}")
    database.commit()
    database.close()
    with pytest.raises(LogTamperedError, match="it once had 1 entries"):
        trifed(log_app, "audit", "--home", home, "--seen", tmp_path / "kept")
    enter_node(home, "second")
    trifed(log_app, "audit", "--home", home)  # by itself the new log is whole
    with pytest.raises(LogTamperedError, match="its root is another"):
        trifed(log_app, "audit", "--home", home, "--seen", tmp_path / "kept")
