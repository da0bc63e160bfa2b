"""The centre's own Prefect server: loopback, behind a secret, back at the same port."""

import asyncio
import json
import os
import socket
from pathlib import Path

import httpx
import psutil
import pytest

from federation import settings
from federation.conductor.conducting import prefect_address
from federation.coordinator.options import PrefectMode, PrefectOptions
from federation.server_app.prefect_server import PrefectAddress, PrefectServer, own_server
from federation.supervision.children import Supervisor
from tests.conductor.builders import until


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for folder in ("run", "logs"):
        (tmp_path / folder).mkdir()
    return tmp_path


def environment_of(server: PrefectServer) -> dict[str, str]:
    plan = server.plan()
    plan.command()
    assert callable(plan.environment)
    return dict(plan.environment())


def test_the_secret_is_in_a_private_file_and_the_environment_only(home: Path) -> None:
    server = PrefectServer(home, database="postgresql+asyncpg://u:hidden@h/d")
    plan = server.plan()
    words = " ".join(plan.command())
    environment = environment_of(server)
    secret = (home / "run" / "prefect.secret").read_text().strip()

    assert (home / "run" / "prefect.secret").stat().st_mode & 0o777 == 0o600
    assert environment["PREFECT_SERVER_API_AUTH_STRING"] == secret
    assert environment["PREFECT_SERVER_DATABASE_CONNECTION_URL"].endswith("hidden@h/d")
    assert "hidden" not in words and secret.partition(":")[2] not in words
    assert secret not in (home / "run" / "prefect.json").read_text()


def test_the_port_stays_over_restarts_unless_somebody_took_it(home: Path) -> None:
    server = PrefectServer(home)
    environment_of(server)
    first = own_server(home)
    environment_of(PrefectServer(home))
    assert own_server(home) == first

    with socket.socket() as other:
        port = json.loads((home / "run" / "prefect.json").read_text())["port"]
        other.bind(("127.0.0.1", port))
        other.listen()
        environment_of(PrefectServer(home))

    assert own_server(home) != first


def test_the_caller_s_own_prefect_settings_reach_neither_server_nor_flow(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "https://elsewhere/api")
    monkeypatch.setenv("PREFECT_API_KEY", "pnu_123")

    flow = settings.flow_environment(home, url="http://127.0.0.1:1/api", auth="a:b")
    server = environment_of(PrefectServer(home))

    assert flow["PREFECT_API_URL"] == "http://127.0.0.1:1/api"
    assert "PREFECT_API_KEY" not in flow and "PREFECT_API_KEY" not in server
    assert "PREFECT_API_URL" not in settings.flow_environment(home)


def test_the_address_follows_the_mode(home: Path) -> None:
    outside = PrefectOptions(mode=PrefectMode.OUTSIDE, url="https://prefect.example/api/")

    assert prefect_address(home, outside) == PrefectAddress("https://prefect.example/api")
    assert prefect_address(home, PrefectOptions(mode=PrefectMode.EPHEMERAL)) is None
    assert prefect_address(home, PrefectOptions()) is None


def test_nobody_at_an_address_is_not_healthy() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]

        assert not PrefectAddress(f"http://127.0.0.1:{port}/api", "a:b").is_healthy()


@pytest.mark.slow
def test_a_real_server_asks_for_the_secret_and_comes_back_when_killed(home: Path) -> None:
    async def work() -> None:
        supervisor = Supervisor([], on_change=lambda: None)
        supervisor.start()
        supervisor.add(PrefectServer(home).plan())
        try:
            first = await healthy(home)
            check_doors(first)
            pid = supervisor.children["prefect"].pid or 0
            assert psutil.Process(pid).nice() > psutil.Process().nice()
            sockets = psutil.Process(pid).net_connections("tcp")
            listening = {one.laddr.ip for one in sockets if one.status == psutil.CONN_LISTEN}
            assert listening == {"127.0.0.1"}
            os.kill(pid, 9)
            await until(lambda: supervisor.children["prefect"].pid not in (None, pid))
            assert await healthy(home) == first
        finally:
            await supervisor.stop()

    asyncio.run(work())
    assert (home / "prefect" / "prefect.db").exists()


async def healthy(home: Path) -> PrefectAddress:
    while True:
        found = own_server(home)
        if found is not None and await asyncio.to_thread(found.is_healthy):
            return found
        await asyncio.sleep(0.1)


def check_doors(address: PrefectAddress) -> None:
    assert address.auth is not None
    user, _, password = address.auth.partition(":")
    count = f"{address.url}/flows/count"
    assert httpx.post(count, json={}).status_code == httpx.codes.UNAUTHORIZED
    assert httpx.post(count, json={}, auth=(user, "x")).status_code == httpx.codes.UNAUTHORIZED
    assert httpx.post(count, json={}, auth=(user, password)).status_code == httpx.codes.OK
    assert httpx.get(address.ui, follow_redirects=True).status_code == httpx.codes.OK
    said = httpx.get(f"{address.ui}/ui-settings").json()
    assert said["api_url"] == address.url
