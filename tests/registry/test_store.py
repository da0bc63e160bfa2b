"""Every body of the store keeps the same promises, on SQLite and on PostgreSQL."""

import sqlite3
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from federation.domain.ids import Sha256
from federation.errors.registry import BusyRegisterError, RegisterDatabaseError
from federation.errors.signed import LogRangeError
from federation.evidence import merkle
from registry.auditing import audit_log
from registry.evidence.ports import LogEntry
from registry.evidence.service import append, prove_growth, prove_inclusion, seal
from registry.models.ports import StoredVersion
from registry.models.service import Registrar
from registry.ports import Store, WriteConflict
from registry.store import SqlStore
from tests.databases import own_schema
from tests.postgres import postgres  # noqa: F401
from tests.registry.builders import Centre, candidate_of_study, make_centre


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "sqlite":
        return SqlStore(f"sqlite:///{tmp_path / 'registry.db'}")
    return SqlStore(own_schema(str(request.getfixturevalue("postgres"))))


def a_version(entry: str, /, **changes: object) -> StoredVersion:
    model, _, version = entry.partition(".v")
    fields = {
        "entry": entry,
        "model": model,
        "version": version,
        "study": "cxr",
        "run": "cxr.1",
        "state": "draft",
        "candidate_digest": Sha256.of(entry.encode()),
        "supersedes": None,
        "log_index": 0,
        "log_size": 1,
        "record": "{}",
    }
    return StoredVersion(**(fields | changes))  # type: ignore[arg-type]


def test_what_is_written_is_read_again(store: Store) -> None:
    version = a_version("A.v0.1.0")
    with store.writing() as transaction:
        transaction.models.add_model("A", year=2026, number=1, study="cxr")
        transaction.models.add(version)
    with store.reading() as transaction:
        assert transaction.models.get("A.v0.1.0") == version
        assert transaction.models.versions("A") == [version]
        assert transaction.models.of_run("cxr.1") == [version]
        assert transaction.models.of_candidate(version.candidate_digest) == version
        assert transaction.models.model_of("cxr") == "A"
        assert transaction.models.numbered(2026) == transaction.models.count() == 1
        assert transaction.models.get("B.v0.1.0") is None
        assert transaction.models.successor_of("A.v0.1.0") is None


def test_a_failure_inside_a_transaction_leaves_nothing_behind(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.writing() as transaction:
        transaction.models.add_model("A", year=2026, number=1, study="cxr")
        append(transaction.log, ["one"])
        raise ZeroDivisionError
    with store.reading() as transaction:
        assert transaction.models.numbered(2026) == transaction.log.size() == 0


def test_a_reading_transaction_writes_nothing(store: Store) -> None:
    with store.reading() as transaction:
        transaction.models.add_model("A", year=2026, number=1, study="cxr")
    with store.reading() as transaction:
        assert transaction.models.numbered(2026) == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"entry": "A.v0.1.0", "version": "0.9.0"},
        {"version": "0.1.0"},
        {"candidate_digest": Sha256.of(b"A.v0.1.0")},
        {"log_index": 0},
        {"model": "no such model"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_two_versions_never_share_what_tells_them_apart(
    store: Store, changes: dict[str, object]
) -> None:
    with store.writing() as transaction:
        transaction.models.add_model("A", year=2026, number=1, study="cxr")
        transaction.models.add(a_version("A.v0.1.0"))
    with pytest.raises(WriteConflict), store.writing() as transaction:
        transaction.models.add(a_version("A.v0.2.0", **({"log_index": 1} | changes)))


def test_two_writers_never_take_the_same_place_of_the_log(store: Store) -> None:
    entry = LogEntry(0, Sha256.of(b"one"), "one")
    with store.writing() as transaction:
        transaction.log.add([entry], [merkle.Node(0, 0, b"x" * 32)])
    with pytest.raises(WriteConflict), store.writing() as transaction:
        transaction.log.add([LogEntry(0, Sha256.of(b"two"), "two")], [merkle.Node(0, 0, b"y" * 32)])


def test_the_stored_log_has_the_root_of_its_entries(store: Store) -> None:
    texts = [f"entry {number}" for number in range(23)]
    for start, end in ((0, 1), (1, 8), (8, 9), (9, 23)):
        with store.writing() as transaction:
            assert append(transaction.log, texts[start:end]) == list(range(start, end))
    leaves = [merkle.leaf_hash(text.encode()) for text in texts]
    with store.reading() as transaction:
        root = merkle.root_of(23, transaction.log.node)
        assert root == merkle.root_of(23, merkle.in_memory(leaves))
        proof = prove_inclusion(transaction.log, 11, size=20)
        merkle.verify_inclusion(
            leaves[11],
            index=11,
            size=20,
            proof=proof.path,
            root=merkle.root_of(20, transaction.log.node),
        )
        merkle.verify_consistency(
            old=9,
            old_root=merkle.root_of(9, transaction.log.node),
            new=23,
            new_root=root,
            proof=prove_growth(transaction.log, old=9, new=23),
        )


def test_an_entry_that_is_logged_already_keeps_its_place(store: Store) -> None:
    with store.writing() as transaction:
        assert append(transaction.log, ["a", "b", "a"]) == [0, 1, 0]
        assert append(transaction.log, ["c", "b"]) == [2, 1]
        assert transaction.log.size() == 3


def test_nothing_is_proved_beyond_the_end_of_the_log(store: Store) -> None:
    with store.writing() as transaction:
        append(transaction.log, ["a", "b"])
    with store.reading() as transaction:
        for index, size in ((2, None), (-1, None), (1, 1), (0, 3)):
            with pytest.raises(LogRangeError):
                prove_inclusion(transaction.log, index, size=size)
        with pytest.raises(LogRangeError):
            transaction.log.entry(2)
        with pytest.raises(LogRangeError):
            prove_growth(transaction.log, old=1, new=3)


def test_each_size_has_one_checkpoint(store: Store, centre: Centre) -> None:
    with store.writing() as transaction:
        append(transaction.log, ["a"])
        note = seal(transaction.log, signer=centre.signer)
    with store.reading() as transaction:
        assert transaction.log.latest_checkpoint() == transaction.log.checkpoint(1) == note
        assert transaction.log.checkpoint(2) is None
    with pytest.raises(WriteConflict), store.writing() as transaction:
        seal(transaction.log, signer=centre.signer)


def test_threads_that_register_at_once_get_different_ids(centre: Centre) -> None:
    candidates = [candidate_of_study(centre, f"study-{number}") for number in range(8)]
    entries: list[str] = []

    def register(number: int) -> None:
        stored, _ = centre.registrar.register(candidates[number], actor="centre")
        entries.append(stored.entry)

    threads = [threading.Thread(target=register, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(entries)) == 8
    audited = audit_log(centre.registrar.store, key=centre.signer.public_key)
    assert audited.versions == audited.events == audited.checkpoints == 8


def _register_elsewhere(folder: str, content: str) -> str:
    """Register in a process of its own; runs in a child, so it takes only plain values."""
    from federation.evidence.model_version import Candidate
    from federation.evidence.signing import Signer
    from tests.registry.builders import NOW

    home = Path(folder)
    registrar = Registrar(
        SqlStore(f"sqlite:///{home / 'centre.db'}"),
        Signer.load(home / "evidence.key"),
        home / "artefacts",
        list,
        lambda: NOW,
    )
    stored, _ = registrar.register(Candidate.from_json(content.encode()), actor="centre")
    return stored.entry


def test_processes_that_register_at_once_lose_nothing(tmp_path: Path) -> None:
    centre = make_centre(tmp_path / "centre")
    contents = [
        candidate_of_study(centre, f"study-{number}").model_dump_json() for number in range(6)
    ]
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        folders = [str(centre.folder)] * len(contents)
        entries = list(pool.map(_register_elsewhere, folders, contents))
    assert len(set(entries)) == 6
    assert audit_log(centre.registrar.store, key=centre.signer.public_key).versions == 6


def test_a_register_that_is_always_busy_says_so(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy() -> None:
        raise WriteConflict

    given = candidate_of_study(centre, "cxr")
    monkeypatch.setattr(centre.registrar.store, "writing", busy)
    monkeypatch.setattr("registry.retrying.TRIES", 2)
    with pytest.raises(BusyRegisterError):
        centre.registrar.register(given, actor="centre")


def test_a_file_that_is_no_database_is_a_coded_error(tmp_path: Path) -> None:
    (tmp_path / "registry.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(RegisterDatabaseError):
        SqlStore(f"sqlite:///{tmp_path / 'registry.db'}")


def test_a_lost_table_is_a_coded_error_and_not_a_busy_register(centre: Centre) -> None:
    database = sqlite3.connect(centre.database)
    database.execute("DROP TABLE registry_audit")
    database.close()
    with pytest.raises(RegisterDatabaseError):
        centre.registrar.register(candidate_of_study(centre, "cxr"), actor="centre")
    with centre.registrar.store.reading() as transaction:
        assert transaction.models.count() == transaction.log.size() == 0
