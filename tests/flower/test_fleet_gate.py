"""Through the fleet gate a node reaches the Fleet API, as itself, and nothing else."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from federation.coordinator import fleet_gate
from federation.coordinator.fleet_gate import Upstream, serve_fleet
from federation.domain.ids import SiteId
from federation.wire.local_sockets import address_of

NORTH, SOUTH = SiteId("north"), SiteId("south")
KEYS = {NORTH: b"PEM of north", SOUTH: b"PEM of south"}


@dataclass(frozen=True)
class Peer:
    site: SiteId


@dataclass
class Gate:
    """A gate before a SuperLink that records what reaches it."""

    received: list[bytes]
    path: Path
    moved: list[tuple[SiteId, int, int]] = field(default_factory=list)

    def note(self, site: SiteId, came: int, went: int) -> None:
        self.moved.append((site, came, went))

    async def ask(self, *pieces: bytes, pause_s: float = 0.0) -> bytes:
        reader, writer = await asyncio.open_unix_connection(self.path)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)
        answer = await asyncio.wait_for(_answers(reader), 5)
        writer.close()
        return answer


async def _answers(reader: asyncio.StreamReader) -> bytes:
    found = b""
    while True:
        try:
            piece = await asyncio.wait_for(reader.read(1 << 20), 0.3)
        except TimeoutError:
            return found
        if not piece:
            return found
        found += piece


def with_gate(
    folder: Path, use: Callable[[Gate], Awaitable[None]], *, site: SiteId = NORTH
) -> Gate:
    async def run() -> Gate:
        gate = Gate([], folder / "g.sock")

        async def superlink(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                body = await reader.readexactly(length)
                gate.received.append(head + body)
                writer.write(
                    b"HTTP/1.1 200 OK\r\nserver: x\r\ncontent-type: application/protobuf\r\n"
                    b"content-length: 4\r\n\r\nPONG"
                )
                await writer.drain()

        async def quiet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await superlink(reader, writer)
            except (asyncio.IncompleteReadError, ConnectionError):
                pass
            finally:
                writer.close()

        upstream = Upstream(address_of(folder / "s.sock"))

        async def door(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await serve_fleet(
                reader, writer, Peer(site), upstream, enrolled_key=KEYS.get, moved=gate.note
            )

        inner = await asyncio.start_unix_server(quiet, folder / "s.sock")
        outer = await asyncio.start_unix_server(door, gate.path)
        try:
            await use(gate)
        finally:
            outer.close()
            upstream.close()
            inner.close()
            await asyncio.sleep(0.05)  # let every connection notice
        return gate

    return asyncio.run(run())


def request(
    target: str = "/v1/fleet/pull-messages",
    *,
    method: str = "POST",
    key: bytes | None = KEYS[NORTH],
    body: bytes = b"hello",
    length: str | None = None,
    more: str = "",
) -> bytes:
    shown = "" if key is None else f"flwr-public-key: {base64.b64encode(key).decode()}\r\n"
    size = str(len(body)) if length is None else length
    return (
        f"{method} {target} HTTP/1.1\r\nHost: centre\r\n{shown}"
        f"content-type: application/protobuf\r\ncontent-length: {size}\r\n{more}\r\n"
    ).encode("latin-1") + body


def test_fleet_request_passes_and_is_written_anew(tmp_path: Path) -> None:
    async def use(gate: Gate) -> None:
        answer = await gate.ask(request(more="x-forwarded-for: 1.2.3.4\r\ncookie: a\r\n"))
        assert answer.startswith(b"HTTP/1.1 200")
        assert answer.endswith(b"PONG")

    (passed,) = with_gate(tmp_path, use).received
    assert passed.startswith(b"POST /v1/fleet/pull-messages HTTP/1.1\r\nhost: superlink\r\n")
    assert passed.endswith(b"\r\n\r\nhello")
    assert b"cookie" not in passed
    assert b"x-forwarded" not in passed


def test_connection_is_kept_for_several_requests(tmp_path: Path) -> None:
    async def use(gate: Gate) -> None:
        answer = await gate.ask(request(body=b"one") + request(body=b"two"), request(body=b"x"))
        assert answer.count(b"PONG") == 3

    received = with_gate(tmp_path, use).received
    assert [whole.rsplit(b"\r\n\r\n")[1] for whole in received] == [b"one", b"two", b"x"]


def test_body_of_many_pieces_passes_whole(tmp_path: Path) -> None:
    body = bytes(range(256)) * 20_000

    async def use(gate: Gate) -> None:
        whole = request("/v1/fleet/push-object", body=body)
        assert b"PONG" in await gate.ask(whole[:50], whole[50:300], whole[300:], pause_s=0.01)

    (passed,) = with_gate(tmp_path, use).received
    assert passed.split(b"\r\n\r\n", 1)[1] == body


def test_bytes_of_models_are_counted_by_site_while_they_pass(tmp_path: Path) -> None:
    body = bytes(900_000)

    async def use(gate: Gate) -> None:
        await gate.ask(request("/v1/fleet/push-object", body=body))

    gate = with_gate(tmp_path, use)
    assert sum(came for _, came, _ in gate.moved) == len(body)
    assert sum(went for _, _, went in gate.moved) == len(b"PONG")
    assert {site for site, _, _ in gate.moved} == {NORTH}
    assert len(gate.moved) > 3


def test_a_node_that_only_asks_for_work_moves_nothing(tmp_path: Path) -> None:
    async def use(gate: Gate) -> None:
        await gate.ask(request("/v1/fleet/pull-messages"))
        await gate.ask(request("/v1/fleet/send-node-heartbeat"))

    assert with_gate(tmp_path, use).moved == []


CLOSED = [
    "/v1/control/start-run", "/v1/control/list-runs", "/v1/runtime/acquire-task",
    "/v1/runtime/push-messages", "/docs", "/openapi.json", "/health", "/",
    "/v1/fleet/", "/v1/fleet/register-node", "/v1/fleet/unregister-node",
    "/v1/fleet/../control/start-run", "/v1/fleet/..%2fcontrol/start-run",
    "/v1/fleet/%2e%2e/control/start-run", "//v1/control/start-run",
    "/v1/fleet//pull-messages", "/v1/fleet/pull-messages/", "/v1/fleet/pull-messages?x=1",
    "/v1/fleet/pull-messages#x", "/V1/FLEET/pull-messages", "/v1/fleet/pull%2dmessages",
    "http://superlink/v1/control/start-run", "http://superlink/v1/fleet/pull-messages",
    "/v1/fleet/pull-messages;/../../control/start-run", "\\v1\\control\\start-run", "*",
]  # fmt: skip


@pytest.mark.parametrize("target", CLOSED)
@pytest.mark.parametrize("credentials", ["", "flwr-task-token: t\r\nflwr-superexec-ts: 1\r\n"])
def test_nothing_but_the_fleet_paths_is_reachable(
    tmp_path: Path, target: str, credentials: str
) -> None:
    async def use(gate: Gate) -> None:
        answer = await gate.ask(request(target, more=credentials))
        assert answer.startswith(b"HTTP/1.1 403")
        assert b"TF43" in answer

    assert with_gate(tmp_path, use).received == []


@pytest.mark.parametrize("method", ["GET", "CONNECT", "OPTIONS", "PUT", "post", "HEAD"])
def test_no_other_method_passes(tmp_path: Path, method: str) -> None:
    async def use(gate: Gate) -> None:
        assert b" 403 " in (await gate.ask(request(method=method)))[:14]

    assert with_gate(tmp_path, use).received == []


HIDDEN = request("/v1/control/start-run")
SMUGGLED = {
    "both lengths": request(more="transfer-encoding: chunked\r\n", body=b"0\r\n\r\n" + HIDDEN),
    "chunked": b"POST /v1/fleet/pull-messages HTTP/1.1\r\nHost: c\r\n"
    b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "two different lengths": request(more="content-length: 1\r\n") + HIDDEN,
    "signed length": request(length="+5") + HIDDEN,
    "hexadecimal length": request(length="0x5") + HIDDEN,
    "no length": request().replace(b"content-length: 5\r\n", b"") + HIDDEN,
    "huge length": request(length=str(1 << 40)),
    "too large": request(length=str(fleet_gate.MAX_BODY_BYTES + 1)),
    "upgrade": request(more="upgrade: h2c\r\nconnection: upgrade\r\n") + HIDDEN,
    "expect": request(more="expect: 100-continue\r\n"),
    "two hosts": request(more="host: other\r\n"),
    "two keys": request(more="flwr-public-key: UEVNIG9mIHNvdXRo\r\n"),
    "bare line feed": request().replace(b"\r\ncontent-length", b"\n\ncontent-length") + HIDDEN,
    "space before colon": request(more="transfer-encoding : chunked\r\n") + HIDDEN,
    "null in header": request(more="x: a\0b\r\n") + HIDDEN,
    "old version": request().replace(b"HTTP/1.1", b"HTTP/1.0"),
    "new version": request().replace(b"HTTP/1.1", b"HTTP/2.0"),
    "long head": request(more="x: " + 20_000 * "a" + "\r\n"),
    "not http": b"\x16\x03\x01\x02\x00" + HIDDEN,
}


@pytest.mark.parametrize("name", SMUGGLED)
def test_smuggled_request_reaches_nothing(tmp_path: Path, name: str) -> None:
    async def use(gate: Gate) -> None:
        answer = await gate.ask(SMUGGLED[name])
        assert b" 200 " not in answer

    assert not any(b"start-run" in whole for whole in with_gate(tmp_path, use).received)


@pytest.mark.parametrize(
    "head",
    [
        request(more="content-length: 0\r\n", body=b""),
        request(more="x: a\r\n content-length: 0\r\n"),
    ],
    ids=["the same length twice", "folded header"],
)
def test_what_follows_an_odd_but_clear_request_is_judged_by_itself(
    tmp_path: Path, head: bytes
) -> None:
    async def use(gate: Gate) -> None:
        answer = await gate.ask(head + HIDDEN)
        assert b"HTTP/1.1 403" in answer

    (passed,) = with_gate(tmp_path, use).received
    assert passed.lower().count(b"content-length") == 1


def test_request_hidden_in_a_body_stays_a_body(tmp_path: Path) -> None:
    async def use(gate: Gate) -> None:
        await gate.ask(request(body=HIDDEN))

    (passed,) = with_gate(tmp_path, use).received
    assert passed.endswith(HIDDEN)
    assert passed.startswith(b"POST /v1/fleet/pull-messages")


@pytest.mark.parametrize("key", [None, b"unknown", KEYS[SOUTH], b"", KEYS[NORTH] + b"\n"])
def test_any_other_flower_key_than_the_sites_own_is_refused(
    tmp_path: Path, key: bytes | None
) -> None:
    async def use(gate: Gate) -> None:
        answer = await gate.ask(request(key=key))
        assert answer.startswith(b"HTTP/1.1 403")
        assert b"TF431" in answer

    assert with_gate(tmp_path, use).received == []


def test_site_without_an_enrolled_key_is_refused(tmp_path: Path) -> None:
    async def use(gate: Gate) -> None:
        assert b"TF431" in await gate.ask(request(key=b""))

    assert with_gate(tmp_path, use, site=SiteId("unknown")).received == []


def test_key_that_is_not_base64_is_refused(tmp_path: Path) -> None:
    async def use(gate: Gate) -> None:
        answer = await gate.ask(request(key=None, more="flwr-public-key: %%%\r\n"))
        assert b"TF431" in answer

    assert with_gate(tmp_path, use).received == []


def test_a_superlink_that_is_away_is_told_in_words(tmp_path: Path) -> None:
    async def use(gate: Gate) -> None:
        (tmp_path / "s.sock").unlink()
        answer = await gate.ask(request())
        assert answer.startswith(b"HTTP/1.1 502")
        assert b"TF400" in answer

    with_gate(tmp_path, use)
