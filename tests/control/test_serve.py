"""The two long-running processes as they are started: real processes, real Flower."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from clients.home import NodeHome
from federation.coordinator.admin import AdminClient
from federation.coordinator.home import CentreHome
from tests.control.builders import NORTH, a_centre, a_node, revoke

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:'click.utils:DeprecationWarning"),  # flwr, by way of typer
]

CENTRE = "from federation.coordinator.serve import serve_centre as f"
NODE = "from clients.agent import serve_node as f"


@contextmanager
def _process(imports: str, home: Path, arguments: str = "") -> Iterator["subprocess.Popen[bytes]"]:
    code = f"{imports}; from pathlib import Path; f(Path({str(home)!r}) {arguments})"
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(15)
        finally:
            process.kill()
            assert process.stderr is not None
            process.stderr.close()


def _until(condition: Callable[[], object], *, within_s: float = 60.0) -> None:
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.05)


def _state(path: Path) -> dict[str, object]:
    try:
        found: dict[str, object] = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found


@contextmanager
def _centre(home: CentreHome) -> Iterator["subprocess.Popen[bytes]"]:
    with _process(CENTRE, home.folder) as process:
        _until(lambda: _state(home.run / "centre.json") or process.poll() is not None)
        yield process


@contextmanager
def _node(home: NodeHome) -> Iterator["subprocess.Popen[bytes]"]:
    with _process(NODE, home.folder, ", ping_only=True") as process:
        _until(lambda: _state(home.run / "node.json").get("state") == "connected")
        yield process


def _gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_node_enrolled_while_the_centre_runs_is_let_in_and_nothing_is_left_at_the_end(
    tmp_path: Path,
) -> None:
    centre = a_centre(tmp_path / "c")
    with _centre(centre) as running:
        node = a_node(tmp_path / "n", centre)
        with _node(node) as agent:
            children = _state(node.run / "node.json")["children"]
            assert isinstance(children, dict)
            supernode = node.logs / "supernode.log"
            with AdminClient(centre.folder) as admin:
                status = admin.status()
                assert status.superlink_alive
                assert [view.site for view in status.sites if view.connected] == [NORTH]
                _until(lambda: admin.wake([NORTH]) == (NORTH,))
            _until(lambda: "online" in _flower(centre), within_s=30)
            second = subprocess.run(
                [
                    sys.executable,
                    "-c",
                    f"{NODE}; f(__import__('pathlib').Path({str(node.folder)!r}))",
                ],
                capture_output=True,
                check=False,
            )
            assert b"TF239" in second.stderr or b"already running" in second.stderr
            agent.send_signal(signal.SIGTERM)
            assert agent.wait(10) == 0, supernode.read_text()
            assert all(_gone(pid) for pid in children.values())
        superlink = _state(centre.run / "centre.json")["superlink_pid"]
        running.send_signal(signal.SIGTERM)
        assert running.wait(10) == 0
        assert isinstance(superlink, int) and _gone(superlink)
        assert not (centre.run / "centre.json").exists()


def test_children_do_not_outlive_a_killed_agent_and_revoking_works_across_processes(
    tmp_path: Path,
) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)
    with _centre(centre):
        with _node(node) as agent:
            children = _state(node.run / "node.json")["children"]
            assert isinstance(children, dict)
            os.kill(agent.pid, signal.SIGKILL)
            _until(lambda: all(_gone(pid) for pid in children.values()), within_s=5)
        (node.run / "node.json").unlink()
        with _node(node):
            revoke(centre)
            _until(lambda: _state(node.run / "node.json")["state"] == "refused", within_s=2)
            error = _state(node.run / "node.json")["error"]
            assert isinstance(error, dict) and error["code"] == "TF214"


def test_a_killed_superlink_comes_back_and_knows_the_nodes_again(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)
    with _centre(centre), _node(node), AdminClient(centre.folder) as admin:
        _until(lambda: "online" in _flower(centre), within_s=30)
        superlink = _state(centre.run / "centre.json")["superlink_pid"]
        assert isinstance(superlink, int)
        os.kill(superlink, signal.SIGKILL)
        _until(lambda: admin.status().superlink_restarts == 1)
        _until(lambda: "online" in _flower(centre), within_s=40)


def _flower(centre: CentreHome) -> str:
    """Return what the SuperLink says of the node: `online`, `offline` or `unknown`."""
    from federation.errors import PlatformError
    from federation.pki.keys import flower_key_pem
    from federation.server_app.superlink import list_nodes, superlink_address

    key = flower_key_pem(str(centre.roster().entry(NORTH).flower_key))
    try:
        found = list_nodes(superlink_address(centre.folder), {NORTH: key})
    except PlatformError as error:
        return error.code
    if NORTH not in found:
        return "unknown"
    return "online" if found[NORTH].online else "offline"
