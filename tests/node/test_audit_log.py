"""The node's record: one chain, any number of writers, no silent edits."""

import json
import multiprocessing
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from clients import audit_log
from clients.audit_log import CONTINUED, RECOVERED, LogHead
from clients.heads import (
    Heads,
    check_not_rolled_back,
    heads_now,
    read_heads,
    sign_heads,
)
from federation.domain.audit import AuditEvent, AuditKind
from federation.domain.ids import Sha256, SiteId
from federation.errors.ledger import (
    AuditLogBrokenError,
    AuditLogRolledBackError,
    HeadsRefusedError,
    LedgerRolledBackError,
)
from federation.errors.machine import DiskFullError
from federation.evidence.signing import Signer, new_key, sign_dsse
from federation.evidence.statements import PredicateType, Statement, Subject
from federation.privacy.bookkeeping import Bookkeeper, MemoryShelves
from tests.node.books import reserve

NORTH = SiteId("north")
AT = "2026-11-21T00:00:00+00:00"


def an_event(subject: str, **details: str) -> AuditEvent:
    at = datetime(2026, 11, 21, tzinfo=UTC)
    return AuditEvent(AuditKind.UPDATE_RELEASED, "executor", subject, at, details)


def a_log(folder: Path, events: int = 3) -> Path:
    log = folder / "audit.log"
    for number in range(events):
        audit_log.append(log, an_event(f"run/{number}"))
    return log


def kinds(log: Path) -> list[object]:
    return [event["kind"] for event in audit_log.verify(log)]


def test_events_come_back_in_order(tmp_path: Path) -> None:
    log = a_log(tmp_path)

    assert [event["subject"] for event in audit_log.verify(log)] == ["run/0", "run/1", "run/2"]
    assert log.stat().st_mode & 0o777 == 0o600


def test_a_log_that_was_never_written_is_empty(tmp_path: Path) -> None:
    assert audit_log.verify(tmp_path / "audit.log") == []
    assert audit_log.head(tmp_path / "audit.log") == LogHead(0, audit_log.GENESIS)


@pytest.mark.parametrize("victim", [0, 1])
def test_a_changed_line_is_found(tmp_path: Path, victim: int) -> None:
    log = a_log(tmp_path)
    lines = log.read_bytes().splitlines(keepends=True)
    lines[victim] = lines[victim].replace(b"executor", b"nobody!!")
    log.write_bytes(b"".join(lines))

    with pytest.raises(AuditLogBrokenError):
        audit_log.verify(log)


def test_a_missing_line_is_found(tmp_path: Path) -> None:
    log = a_log(tmp_path)
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[1:]))

    with pytest.raises(AuditLogBrokenError):
        audit_log.verify(log)


@pytest.mark.parametrize(
    "line", [b"{}", b"not json", b'{"kind":1,"previous":"x"}', b"[" * 60_000, b'{"kind":"x"}']
)
def test_a_newest_line_that_is_none_stops_writing(tmp_path: Path, line: bytes) -> None:
    log = a_log(tmp_path)
    with log.open("ab") as file:
        file.write(line + b"\n")

    with pytest.raises(AuditLogBrokenError):
        audit_log.append(log, an_event("run/9"))


# A power cut.


@pytest.mark.parametrize("torn", [b'{"actor":"exe', b"\0" * 512, b"x"])
def test_an_unfinished_last_line_is_taken_away_and_that_is_written_down(
    tmp_path: Path, torn: bytes
) -> None:
    log = a_log(tmp_path)
    with log.open("ab") as file:
        file.write(torn)
    assert len(audit_log.verify(log)) == 3

    audit_log.append(log, an_event("run/3"))

    assert kinds(log)[3:] == [RECOVERED, "update-released"]
    assert audit_log.verify(log)[3]["details"] == {
        "bytes": str(len(torn)),
        "digest": str(Sha256.of(torn)),
    }


def test_a_log_cut_at_any_byte_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_log.os, "fsync", lambda descriptor: None)
    whole = a_log(tmp_path, events=2).read_bytes()
    for length in range(len(whole)):
        folder = tmp_path / str(length)
        folder.mkdir()
        (folder / "audit.log").write_bytes(whole[:length])
        audit_log.append(folder / "audit.log", an_event("run/9"))
        assert audit_log.verify(folder / "audit.log")[-1]["subject"] == "run/9"


def test_a_full_disk_is_a_coded_error_and_leaves_the_log_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = a_log(tmp_path)
    before = log.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(audit_log.os, "fsync", full)
    with pytest.raises(DiskFullError):
        audit_log.append(log, an_event("run/3"))
    monkeypatch.undo()

    assert log.read_bytes() == before


# Rotation.


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_log, "ROTATE_BYTES", 1500)


@pytest.mark.usefixtures("small")
def test_the_chain_runs_on_over_the_files_put_aside(tmp_path: Path) -> None:
    log = a_log(tmp_path, events=30)

    assert len(audit_log.files_of(log)) > 3
    subjects = [one["subject"] for one in audit_log.verify(log) if one["kind"] != CONTINUED]
    assert subjects == [f"run/{number}" for number in range(30)]
    assert audit_log.head(log).lines == 30 + len(audit_log.files_of(log)) - 1


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("victim", [0, 1, 2])
def test_a_file_put_aside_cannot_be_taken_away(tmp_path: Path, victim: int) -> None:
    log = a_log(tmp_path, events=30)
    audit_log.files_of(log)[victim].unlink()

    with pytest.raises(AuditLogBrokenError):
        audit_log.verify(log)


@pytest.mark.usefixtures("small")
def test_a_power_cut_while_a_file_is_put_aside_loses_nothing(tmp_path: Path) -> None:
    log = a_log(tmp_path, events=3)
    log.rename(tmp_path / "audit.log.000001")
    assert len(audit_log.verify(log)) == 3

    audit_log.append(log, an_event("run/3"))
    assert kinds(log)[3:] == [CONTINUED, "update-released"]

    log.write_bytes(b'{"torn')
    audit_log.append(log, an_event("run/4"))
    assert kinds(log)[3:] == [CONTINUED, RECOVERED, "update-released"]


@pytest.mark.usefixtures("small")
def test_a_line_about_a_file_that_stands_elsewhere_is_refused(tmp_path: Path) -> None:
    log = a_log(tmp_path, events=30)
    whole = b"".join(file.read_bytes() for file in audit_log.files_of(log))
    for file in audit_log.files_of(log):
        file.unlink()
    log.write_bytes(whole)

    with pytest.raises(AuditLogBrokenError, match="where a file begins"):
        audit_log.verify(log)


def _write(log: Path, name: str) -> None:
    audit_log.ROTATE_BYTES = 4000
    for number in range(20):
        audit_log.append(log, an_event(f"{name}/{number}"))


def test_four_processes_write_one_chain(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_write, args=(log, f"p{n}")) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0

    found = [one["subject"] for one in audit_log.verify(log) if one["kind"] != CONTINUED]
    assert sorted(map(str, found)) == sorted(f"p{n}/{i}" for n in range(4) for i in range(20))
    assert len(audit_log.files_of(log)) > 1


# Heads.


def test_a_log_continues_the_one_its_head_was_signed_of(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    heads = [audit_log.head(log)]
    for number in range(3):
        audit_log.append(log, an_event(f"run/{number}"))
        heads.append(audit_log.head(log))

    assert {audit_log.check_follows(log, old) for old in heads} == {heads[-1]}


def test_a_log_that_lost_its_end_or_has_another_does_not(tmp_path: Path) -> None:
    log = a_log(tmp_path)
    head, whole = audit_log.head(log), log.read_bytes()
    log.write_bytes(b"".join(whole.splitlines(keepends=True)[:-1]))

    assert len(audit_log.verify(log)) == 2  # by itself it is a whole chain
    with pytest.raises(AuditLogRolledBackError):
        audit_log.check_follows(log, head)
    audit_log.append(log, an_event("another"))
    with pytest.raises(AuditLogRolledBackError):
        audit_log.check_follows(log, head)


def test_lines_without_numbers_from_before_are_counted(tmp_path: Path) -> None:
    log, head = tmp_path / "audit.log", audit_log.GENESIS
    with log.open("wb") as file:
        for _ in range(3):
            line = json.dumps({"kind": "x", "previous": head}).encode()
            file.write(line + b"\n")
            head = Sha256.of(line)

    audit_log.append(log, an_event("run/3"))
    assert audit_log.head(log).lines == 4


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return new_key(tmp_path / "node.key")


def test_heads_are_signed_read_and_followed(tmp_path: Path, signer: Signer) -> None:
    log, books = a_log(tmp_path), Bookkeeper(MemoryShelves())
    reserve(books, "cxr-2026.1/1")
    signed = sign_heads(heads_now(books, log), site=NORTH, signer=signer, at=AT)
    audit_log.append(log, an_event("run/9"))
    reserve(books, "cxr-2026.1/2")

    old = read_heads(signed, site=NORTH, key=signer.public_key)
    now = check_not_rolled_back(old, books=books, log=log)

    assert (now.ledger.entries, now.audit.lines) == (2, 4)


def test_an_older_book_or_log_is_noticed_against_the_centres_heads(
    tmp_path: Path, signer: Signer
) -> None:
    log, books = a_log(tmp_path), Bookkeeper(MemoryShelves())
    shutil.copy(log, tmp_path / "older.log")
    audit_log.append(log, an_event("run/9"))
    reserve(books, "cxr-2026.1/1")
    old = heads_now(books, log)

    with pytest.raises(LedgerRolledBackError):
        check_not_rolled_back(old, books=Bookkeeper(MemoryShelves()), log=log)
    shutil.copy(tmp_path / "older.log", log)
    with pytest.raises(AuditLogRolledBackError):
        check_not_rolled_back(old, books=books, log=log)


def test_heads_of_another_signer_site_or_kind_are_refused(tmp_path: Path, signer: Signer) -> None:
    heads = heads_now(Bookkeeper(MemoryShelves()), a_log(tmp_path))
    stranger = new_key(tmp_path / "stranger.key")
    forged = sign_heads(heads, site=NORTH, signer=stranger, at=AT)
    elsewhere = sign_heads(heads, site=SiteId("south"), signer=signer, at=AT)
    subject = Subject("ledger/chest", heads.ledger.head)
    other = sign_dsse(Statement((subject,), PredicateType.LEDGER, {"what": "budget"}), signer)

    for envelope in (forged, elsewhere, other, "", "{}"):
        with pytest.raises(HeadsRefusedError):
            read_heads(envelope, site=NORTH, key=signer.public_key)


@pytest.mark.parametrize(
    "change",
    [
        {"ledger": {"entries": -1, "head": str(audit_log.GENESIS)}},
        {"ledger": {"entries": 1, "head": "x"}},
        {"audit": 3},
        {"more": 1},
    ],
)
def test_heads_of_another_form_are_refused(tmp_path: Path, change: dict[str, object]) -> None:
    raw = heads_now(Bookkeeper(MemoryShelves()), tmp_path / "audit.log").as_json()
    assert Heads.from_json(raw).as_json() == raw

    with pytest.raises(HeadsRefusedError):
        Heads.from_json({**raw, **change})
