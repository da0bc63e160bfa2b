"""The flow on a real Prefect: its pages show the study, its buttons work."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from federation import settings
from tests.postgres import a_server, postgres

__all__ = ["postgres"]

START_S = 120.0
FLOW_S = 240.0
AUTH = "trifed:only-for-this-test"


@dataclass(frozen=True)
class Prefect:
    """A running Prefect server."""

    url: str
    process: "subprocess.Popen[bytes]"

    def ask(self, path: str, **wanted: Any) -> Any:
        answer = httpx.post(
            f"{self.url}{path}", json=wanted, auth=("trifed", AUTH.partition(":")[2]), timeout=30
        )
        answer.raise_for_status()
        return answer.json()

    def flow_runs(self) -> list[dict[str, Any]]:
        return self.ask("/flow_runs/filter", sort="EXPECTED_START_TIME_ASC")  # type: ignore[no-any-return]


@contextmanager
def a_prefect(home: Path, *, database: str | None = None) -> Iterator[Prefect]:
    home.mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}/api"
    environment = settings.prefect_server_environment(
        home, url=url, port=port, auth=AUTH, database=database
    )
    command = [sys.executable, "-m", "uvicorn", "--factory", "--host", "127.0.0.1"]
    process = subprocess.Popen(
        [*command, "--port", str(port), "prefect.server.api.server:create_app"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _await(url, process)
        yield Prefect(url, process)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _await(url: str, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        try:
            if httpx.get(f"{url}/health", auth=("trifed", AUTH.partition(":")[2])).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    pytest.fail("the Prefect server did not come up")


@pytest.fixture(scope="module")
def sqlite_prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prefect]:
    with a_prefect(tmp_path_factory.mktemp("prefect") / "home") as server:
        yield server


def a_flow(folder: Path, deed: str, server: Prefect | None) -> "subprocess.CompletedProcess[str]":
    """Run the flow in its own process."""
    folder.mkdir(exist_ok=True)
    url, auth = (server.url, AUTH) if server else (None, None)
    return subprocess.run(
        [sys.executable, "-m", "tests.flows.a_flow", str(folder), deed],
        env=settings.flow_environment(folder, url=url, auth=auth),
        capture_output=True,
        text=True,
        timeout=FLOW_S,
    )


def result_of(done: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def check_killed_and_continued(folder: Path, server: Prefect) -> None:
    """Kill a flow's process in its second round; the next one goes on, and the pages say so."""
    assert a_flow(folder, "die", server).returncode == -signal.SIGKILL
    elsewhere = _a_flow_run_of_another_centre(server)

    found = result_of(a_flow(folder, "complete", server))

    assert found["status"] == "completed"
    assert found["asked"] == ["train-2", "train-3", "evaluate-3"]
    runs = {one["id"]: one for one in server.flow_runs()}
    assert runs.pop(elsewhere)["state"]["type"] == "RUNNING"
    first, second = list(runs.values())[-2:]
    assert (first["state"]["type"], second["state"]["type"]) == ("CRASHED", "COMPLETED")
    assert str(folder) not in json.dumps(second)
    assert {"trifed", "study:cxr-2026"} <= set(second["tags"])
    assert second["state"]["message"] == found["registry"]["entry"]
    wanted = {"flow_runs": {"id": {"any_": [second["id"]]}}}
    _shows_rounds(server, wanted)
    artifacts = {one["key"]: one for one in server.ask("/artifacts/filter", **wanted)}
    assert {
        "cxr-2026-round-01", "cxr-2026-round-03", "cxr-2026-rounds", "cxr-2026-progress",
        "cxr-2026-entry",
    } <= artifacts.keys()  # fmt: skip
    rows = json.loads(artifacts["cxr-2026-round-01"]["data"])
    assert [(row["site"], row["state"], row["patients"]) for row in rows] == [
        ("centre", "replied", "40+"), ("north", "replied", "40+"), ("south", "replied", "40+"),
    ]  # fmt: skip
    assert float(artifacts["cxr-2026-progress"]["data"]) == 100


def _a_flow_run_of_another_centre(server: Prefect) -> str:
    """Begin a flow run of a study of the same name, at a centre that shares the server."""
    found = server.ask(
        "/flow_runs/",
        flow_id=server.flow_runs()[-1]["flow_id"],
        tags=["trifed", "study:cxr-2026", "centre:Another"],
        state={"type": "RUNNING"},
    )
    return str(found["id"])


def _shows_rounds(server: Prefect, wanted: dict[str, Any]) -> None:
    """Prefect records task runs from events, a moment after they happened."""
    end, names = time.monotonic() + 30, set[str]()
    while not {"round-01", "round-02", "round-03"} <= names:
        assert time.monotonic() < end, names
        time.sleep(0.5)
        names = {one["name"] for one in server.ask("/task_runs/filter", **wanted)}


def test_a_killed_flow_is_crashed_on_the_pages_and_the_next_goes_on(
    sqlite_prefect: Prefect, tmp_path: Path
) -> None:
    check_killed_and_continued(tmp_path / "f", sqlite_prefect)


@pytest.mark.slow
def test_the_same_on_postgresql(tmp_path: Path) -> None:
    with a_server() as url:
        database = url.replace("postgresql://", "postgresql+asyncpg://", 1)
        with a_prefect(tmp_path / "prefect", database=database) as server:
            check_killed_and_continued(tmp_path / "f", server)


@pytest.mark.slow
def test_the_flow_runs_without_a_server(tmp_path: Path) -> None:
    assert result_of(a_flow(tmp_path / "f", "complete", None))["status"] == "completed"


@pytest.mark.slow
def test_cancel_on_the_page_stops_the_study_after_its_round(
    sqlite_prefect: Prefect, tmp_path: Path
) -> None:
    found = result_of(a_flow(tmp_path / "f", "cancel", sqlite_prefect))

    assert (found["status"], found["rounds"]["done"]) == ("stopped", 2)
    assert sqlite_prefect.flow_runs()[-1]["state"]["type"] == "CANCELLED"


@pytest.mark.slow
def test_pause_on_the_page_holds_the_study_until_it_is_resumed(
    sqlite_prefect: Prefect, tmp_path: Path
) -> None:
    found = result_of(a_flow(tmp_path / "f", "pause", sqlite_prefect))

    assert found["status"] == "completed"
    assert "paused" in found["stages"]
    assert sqlite_prefect.flow_runs()[-1]["state"]["type"] == "COMPLETED"
