"""Flower's memory state, made to scale, gives the answers that it gave before."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from flwr.server.superlink.linkstate.in_memory_linkstate import InMemoryLinkState
from flwr.supercore.inflatable.inflatable_object import get_object_id
from flwr.supercore.object_store.in_memory_object_store import InMemoryObjectStore, ObjectEntry

from federation.wire.flwr_internals import crowd
from federation.wire.flwr_internals.crowd import MessagesByNode, carry_many_nodes

LARGE = b"x" * (1 << 20)
RUN = 7


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where objects spill to; Flower's own methods are put back afterwards."""
    for kind, names in (
        (InMemoryLinkState, ("__init__", "get_message_ins", "get_message_res")),
        (InMemoryObjectStore, ("put", "get", "delete")),
    ):
        for name in names:
            monkeypatch.setattr(kind, name, getattr(kind, name))
    monkeypatch.setattr(crowd, "MEMORY_BYTES", 2 << 20)
    carry_many_nodes(tmp_path / "objects")
    return tmp_path / "objects"


def a_message(node: int, run: int = RUN) -> SimpleNamespace:
    metadata = SimpleNamespace(dst_node_id=node, run_id=run, delivered_at="")
    return SimpleNamespace(metadata=metadata)


def filled(store: InMemoryObjectStore, count: int) -> list[str]:
    names = []
    for number in range(count):
        content = LARGE + bytes([number])
        name = get_object_id(content)
        store.store[name] = ObjectEntry(b"", False, [], 0, {RUN})
        store.run_objects_mapping.setdefault(RUN, set()).add(name)
        store.put(name, content)
        names.append(name)
    return names


def test_messages_are_found_by_their_node_oldest_first() -> None:
    messages = MessagesByNode()
    for key, node in (("b", 1), ("c", 2), ("a", 1)):
        messages[key] = a_message(node)

    assert messages.of_node(1) == ["b", "a"]
    assert messages.of_node(9) == []


def test_a_message_that_is_gone_is_not_found_by_its_node() -> None:
    messages = MessagesByNode()
    for key in "abc":
        messages[key] = a_message(1)
    del messages["a"]
    messages.pop("b")

    assert messages.of_node(1) == ["c"]
    assert messages.pop("b", None) is None
    with pytest.raises(KeyError):
        del messages["a"]


def test_a_node_gets_its_own_messages_once_and_in_order(folder: Path) -> None:
    import threading

    state = SimpleNamespace(
        lock=threading.RLock(),
        message_ins_store=MessagesByNode(),
        _check_stored_messages=lambda _: None,
    )
    for key, node, run in (("a", 1, RUN), ("b", 2, RUN), ("c", 1, 8), ("d", 1, RUN)):
        state.message_ins_store[key] = a_message(node, run)
    ask = InMemoryLinkState.get_message_ins
    first = ask(state, 1, 1)

    assert first == [state.message_ins_store["a"]]
    assert first[0].metadata.delivered_at
    assert ask(state, 1, None, run_id=RUN) == [state.message_ins_store["d"]]
    assert ask(state, 1, None) == [state.message_ins_store["c"]]
    assert ask(state, 1, None) == []
    assert ask(state, 3, 1) == []


def test_objects_over_the_limit_lie_in_files_and_read_the_same(folder: Path) -> None:
    store = InMemoryObjectStore(verify=False)
    names = filled(store, 4)

    assert [store.get(name) for name in names] == [LARGE + bytes([number]) for number in range(4)]
    assert len(list(folder.iterdir())) == 3


def test_what_is_deleted_leaves_neither_file_nor_room_taken(folder: Path) -> None:
    store = InMemoryObjectStore(verify=False)
    for name in filled(store, 4):
        store.delete(name)

    assert list(folder.iterdir()) == []
    filled(store, 1)
    assert list(folder.iterdir()) == []


def test_a_run_that_is_deleted_leaves_no_files(folder: Path) -> None:
    store = InMemoryObjectStore(verify=False)
    filled(store, 4)
    store.delete_objects_in_run(RUN)

    assert list(folder.iterdir()) == []


def test_small_objects_stay_in_memory(folder: Path) -> None:
    store = InMemoryObjectStore(verify=False)
    filled(store, 1)
    content = b"small"
    name = get_object_id(content)
    store.store[name] = ObjectEntry(b"", False, [], 0, {RUN})
    store.put(name, content)

    assert store.get(name) == content
    assert list(folder.iterdir()) == []


def test_a_full_disk_means_memory(folder: Path) -> None:
    folder.rmdir()
    store = InMemoryObjectStore(verify=False)
    names = filled(store, 4)

    assert [store.get(name) for name in names][3] == LARGE + b"\x03"


def test_what_a_killed_superlink_left_is_emptied(folder: Path) -> None:
    (folder / "left").write_bytes(b"x")
    carry_many_nodes(folder)

    assert list(folder.iterdir()) == []
