"""What can happen to the file of the privacy book: cut, changed, full, held, replaced."""

import multiprocessing
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from clients import ledger_store
from clients.ledger_store import LedgerStore
from federation.errors.base import PlatformError
from federation.errors.ledger import (
    LedgerBusyError,
    LedgerChainBrokenError,
    LedgerDamagedError,
    LedgerRolledBackError,
)
from federation.errors.machine import DiskFullError
from federation.evidence.signing import new_key
from tests.node.books import (
    SERVED,
    a_body,
    name_of,
    reserve,
    spend,
)


def a_file(folder: Path, rounds: int = 2) -> Path:
    store = LedgerStore(folder / "ledger.db")
    for number in range(rounds):
        reserve(store, f"cxr-2026.1/{number}")
    return folder / "ledger.db"


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM entries WHERE idx = 0",
        "DELETE FROM entries WHERE idx = 1",
        "DELETE FROM entries",
        "DELETE FROM tally",
        "UPDATE entries SET entry = replace(entry, '\"steps\": 10', '\"steps\": 1') WHERE idx = 0",
        "UPDATE entries SET entry = replace(entry, '\"steps\": 10', '\"steps\": 1') WHERE idx = 1",
        "UPDATE entries SET dataset = 'other'",
        "UPDATE entries SET rowid = 99 WHERE idx = 0",
        "UPDATE entries SET entry = 'not JSON' WHERE idx = 1",
        "UPDATE entries SET digest = x'00' WHERE idx = 1",
        "UPDATE tally SET head = 'other'",
        "UPDATE tally SET entries = 1",
    ],
)
def test_an_edit_behind_the_back_is_found(tmp_path: Path, statement: str) -> None:
    path = a_file(tmp_path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute(statement).rowcount >= 1
        connection.commit()

    with pytest.raises((LedgerChainBrokenError, LedgerDamagedError)):
        LedgerStore(path).book("chest")


def test_a_file_cut_anywhere_is_refused_or_empty_and_then_not_followed(tmp_path: Path) -> None:
    path = a_file(tmp_path)
    head, whole = LedgerStore(path).head(), path.read_bytes()
    for length in range(0, len(whole), 512):
        path.write_bytes(whole[:length])
        with pytest.raises(PlatformError):
            LedgerStore(path).check_follows(head)


def test_a_flipped_byte_is_refused_or_changes_nothing(tmp_path: Path) -> None:
    path = a_file(tmp_path)
    books, whole = LedgerStore(path).library(), path.read_bytes()
    refused = 0
    for place in range(0, len(whole), 41):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x5A]) + whole[place + 1 :])
        for extra in ("-wal", "-shm"):
            path.with_name(path.name + extra).unlink(missing_ok=True)
        try:
            assert LedgerStore(path).library() == books
        except PlatformError:
            refused += 1
    assert refused > 10


def test_an_older_copy_of_the_file_is_found_by_the_head_kept_elsewhere(tmp_path: Path) -> None:
    path = a_file(tmp_path, rounds=1)
    shutil.copy(path, tmp_path / "older.db")
    store = LedgerStore(path)
    reserve(store, "cxr-2026.1/9")
    head = store.head()
    shutil.copy(tmp_path / "older.db", path)

    assert LedgerStore(path).head().entries == 1  # by itself it is a whole book
    with pytest.raises(LedgerRolledBackError):
        LedgerStore(path).check_follows(head)


def test_a_file_from_before_the_tally_gets_one(tmp_path: Path) -> None:
    path = a_file(tmp_path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE tally")
        connection.commit()

    assert LedgerStore(path).head().entries == 2


def test_a_full_disk_is_a_coded_error_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite itself says that it is full, at a limit of pages instead of a real disk's."""
    path = a_file(tmp_path, rounds=1)
    connect = sqlite3.connect

    def small(*args: object, **kwargs: object) -> sqlite3.Connection:
        connection = connect(*args, **kwargs)  # type: ignore[call-overload]
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
        return connection

    monkeypatch.setattr(ledger_store.sqlite3, "connect", small)
    store = LedgerStore(path)
    with pytest.raises(DiskFullError):
        for number in range(200):
            reserve(store, f"cxr-2026.2/{number}", epsilon=1e9)
    monkeypatch.undo()

    written = LedgerStore(path).book("chest").entries
    assert reserve(LedgerStore(path), f"cxr-2026.2/{len(written) - 1}", epsilon=1e9) > 0


def test_a_file_another_process_holds_is_a_coded_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = a_file(tmp_path)
    store = LedgerStore(path)
    monkeypatch.setattr(ledger_store, "WAIT_S", 0.1)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerBusyError):
            reserve(store, "cxr-2026.3/1")


@pytest.mark.parametrize(
    "kind",
    [
        "file",
        pytest.param("registry", marks=pytest.mark.slow),
        pytest.param(SERVED, marks=pytest.mark.slow),
    ],
)
def test_six_processes_cannot_spend_a_budget_of_three_six_times(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    body = name_of(kind, request)
    a_body(body, tmp_path, new_key(tmp_path / "officer.key"))
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[str] = context.Queue()
    workers = [
        context.Process(target=spend, args=(body, tmp_path, f"cxr.1/{n}", results))
        for n in range(1, 7)
    ]
    for worker in workers:
        worker.start()
    outcomes = sorted(results.get(timeout=60) for _ in workers)
    for worker in workers:
        worker.join()

    assert outcomes == ["TF630"] * 3 + ["spent"] * 3
