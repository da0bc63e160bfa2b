"""Bodies of many requests at once: memory holds so much and no more, and nothing is lost."""

import asyncio
import sys
from collections.abc import MutableMapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from federation.wire.flwr_internals import bodies as module
from federation.wire.flwr_internals.bodies import Bodies, Body, SharedAnswers

PART = bytes(range(256)) * 512


def read(bodies: Bodies, *events: MutableMapping[str, Any]) -> Body | None:
    left = list(events)

    async def receive() -> MutableMapping[str, Any]:
        return left.pop(0)

    return asyncio.run(bodies.read(receive))


def parts(*given: bytes) -> list[MutableMapping[str, Any]]:
    last = len(given) - 1
    return [
        {"type": "http.request", "body": part, "more_body": at < last}
        for at, part in enumerate(given)
    ]


@pytest.fixture(autouse=True)
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MEMORY_BYTES", 3 * len(PART))
    monkeypatch.setattr(module, "_SHARED_BYTES", 3 * len(PART))


def test_body_is_what_was_sent_wherever_it_lay(tmp_path: Path) -> None:
    bodies, sent = Bodies(tmp_path), (PART, PART[::-1], PART[7:], b"end")
    with closing(Body(bodies)) as other:
        other.add(2 * PART)
        body = read(bodies, *parts(*sent))
        assert body is not None
        with closing(body):
            assert body.content() == b"".join(sent)
            assert body.size == sum(map(len, sent))
            assert bodies.held_bytes == other.size, "the second one lies in its file"
    assert bodies.held_bytes == 0


def test_many_unfinished_bodies_hold_no_more_memory_than_allowed(tmp_path: Path) -> None:
    bodies = Bodies(tmp_path)
    under_way = [Body(bodies) for _ in range(50)]
    for _ in range(4):
        for body in under_way:
            body.add(PART)

    assert bodies.held_bytes <= 4 * len(PART)
    assert all(body.content() == 4 * PART for body in under_way)
    for body in under_way:
        body.close()
    assert bodies.held_bytes == 0
    assert list(tmp_path.iterdir()) == []


def test_a_part_that_is_in_its_file_is_not_held_while_the_next_one_is_awaited(
    tmp_path: Path,
) -> None:
    bodies, part, held = Bodies(tmp_path), bytes(PART), []
    events = parts(part, b"end")

    async def receive() -> MutableMapping[str, Any]:
        held.append(sys.getrefcount(part) - sum(part is one.get("body") for one in events))
        return events.pop(0)

    with closing(Body(bodies)) as other:
        other.add(3 * PART)
        body = asyncio.run(bodies.read(receive))
        assert body is not None
        body.close()

    assert held[0] == held[1]


def test_small_bodies_make_no_files(tmp_path: Path) -> None:
    bodies = Bodies(tmp_path / "missing")
    with closing(Body(bodies)) as large, closing(Body(bodies)) as small:
        large.add(8 * PART)
        small.add(b"small")
        assert small.content() == b"small"


def test_full_disk_leaves_bodies_in_memory(tmp_path: Path) -> None:
    bodies = Bodies(tmp_path / "missing")
    with closing(Body(bodies)) as body:
        for _ in range(8):
            body.add(PART)
        assert body.content() == 8 * PART


def test_body_that_is_too_large_or_cut_off_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", len(PART))
    bodies = Bodies(tmp_path)

    assert read(bodies, *parts(PART, b"x")) is None
    assert read(bodies, parts(PART, b"")[0], {"type": "http.disconnect"}) is None
    assert bodies.held_bytes == 0


def test_askers_of_one_large_object_share_one_answer() -> None:
    shared = SharedAnswers()
    first, second = bytes(PART), bytes(bytearray(PART))

    assert shared.same("a", first) is first
    assert shared.same("a", second) is first
    assert shared.same("b", b"small") == b"small"
    for number in range(3):
        shared.same(str(number), bytes(bytearray(PART)))
    assert shared.same("a", second) is second, "only the last few are kept"
