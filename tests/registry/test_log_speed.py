"""What the log asks of its database does not grow with it: queries are counted, not seconds."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from federation.evidence import merkle
from federation.evidence.inclusion import Inclusion
from registry.auditing import audit_log
from registry.evidence.service import append, prove_growth, prove_inclusion, seal
from registry.ports import Store, Transaction
from registry.store import SqlStore
from tests.databases import own_schema
from tests.postgres import postgres  # noqa: F401
from tests.registry.record_builders import a_desk, new_signer, sqlite_url

SIZE = 5000


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Store:
    if request.param == "sqlite":
        found = SqlStore(sqlite_url(tmp_path_factory.mktemp("log")))
    else:
        found = SqlStore(own_schema(str(request.getfixturevalue("postgres"))))
    with found.writing() as transaction:
        append(transaction.log, [f"entry {number}" for number in range(SIZE)])
    return found


@contextmanager
def counted() -> Iterator[list[str]]:
    """Count the statements that any engine executes inside the block."""
    asked: list[str] = []

    def note(*given: object) -> None:
        asked.append(str(given[2]))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def queries(store: Store, work: Callable[[Transaction], object]) -> int:
    with store.reading() as transaction, counted() as asked:
        work(transaction)
    return len(asked)


@pytest.mark.parametrize("index", [0, 1234, SIZE - 1])
def test_a_proof_takes_one_query_for_the_size_and_one_for_all_hashes(
    store: Store, index: int
) -> None:
    assert queries(store, lambda one: prove_inclusion(one.log, index)) == 2
    assert queries(store, lambda one: prove_growth(one.log, old=index + 1, new=SIZE)) <= 2


def test_a_batch_takes_as_many_queries_as_its_names_need(store: Store) -> None:
    more = [f"more {number}" for number in range(1500)]
    with pytest.raises(ZeroDivisionError), store.writing() as transaction:
        with counted() as asked:
            places = append(transaction.log, more)
        assert places == list(range(SIZE, SIZE + 1500))
        reading = [one for one in asked if one.lstrip().upper().startswith("SELECT")]
        assert len(reading) == 3 + 1 + 1  # digests by 500, the size, the edge of the tree
        raise ZeroDivisionError  # leave the log as it was


def test_one_entry_and_its_signed_state_take_few_queries(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.writing() as transaction:
        with counted() as asked:
            append(transaction.log, ["one more"])
            seal(transaction.log, signer=new_signer())
        assert len(asked) <= 9
        raise ZeroDivisionError


def test_what_was_read_at_once_proves_every_entry(store: Store) -> None:
    with store.reading() as transaction:
        root = merkle.root_of(SIZE, transaction.log.node)
        for index in range(0, SIZE, 97):
            proof = prove_inclusion(transaction.log, index)
            assert proof == Inclusion.from_json(proof.as_json())
            merkle.verify_inclusion(proof.leaf, index=index, size=SIZE, proof=proof.path, root=root)


def test_an_audit_streams_the_log(tmp_path: Path) -> None:
    desk = a_desk(sqlite_url(tmp_path))
    with counted() as asked:
        audit_log(desk.records.store, key=desk.signer.public_key)
    few = len(asked)
    fill = a_filled(tmp_path / "more")
    with counted() as asked:
        fill()
    assert len(asked) - few < 10 * 4  # records cost a few queries each, hashes none


def a_filled(folder: Path) -> Callable[[], object]:
    from tests.registry.record_builders import DEV, LAMP, Lamp

    folder.mkdir()
    desk = a_desk(sqlite_url(folder))
    for number in range(10):
        desk.records.put(LAMP, f"l-{number}", Lamp(colour="red"), author=DEV)
    return lambda: audit_log(desk.records.store, key=desk.signer.public_key)
