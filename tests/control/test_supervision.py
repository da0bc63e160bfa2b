"""Children come back, go with their supervisor, and there is one process per home."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from federation.errors.control import AlreadyRunningError
from federation.supervision.children import ChildPlan, Supervisor
from federation.supervision.single import only_one
from tests.control.builders import run, until

SLEEPER = "import time; time.sleep(60)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print('on', flush=True); time.sleep(60)"
)
PARENT_OF_ONE = (
    "import subprocess, sys, time; "
    "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
    "print(p.pid, flush=True); time.sleep(60)"
)


def _plan(folder: Path, code: str) -> ChildPlan:
    return ChildPlan(
        name="child",
        command=lambda: [sys.executable, "-c", code],
        environment=dict(os.environ),
        log_file=folder / "child.log",
    )


def test_a_child_that_ends_is_started_again(tmp_path: Path) -> None:
    async def work() -> None:
        supervisor = Supervisor([_plan(tmp_path, SLEEPER)], on_change=lambda: None)
        supervisor.start()
        child = supervisor.children["child"]
        await until(lambda: child.pid)
        first = child.pid or 0
        os.kill(first, signal.SIGKILL)
        await until(lambda: child.pid not in (None, first))
        assert child.starts == 2
        await supervisor.stop()
        assert not child.alive

    run(work())


def test_a_child_that_ignores_sigterm_is_killed_after_the_deadline(tmp_path: Path) -> None:
    async def work() -> None:
        supervisor = Supervisor([_plan(tmp_path, STUBBORN)], on_change=lambda: None)
        supervisor.start()
        await until(lambda: (tmp_path / "child.log").exists())
        await until(lambda: "on" in (tmp_path / "child.log").read_text())
        started = time.monotonic()
        await supervisor.stop(within_s=0.3)
        assert 0.3 <= time.monotonic() - started < 3
        assert not supervisor.children["child"].alive

    run(work())


def test_what_a_child_started_goes_with_it(tmp_path: Path) -> None:
    async def work() -> None:
        supervisor = Supervisor([_plan(tmp_path, PARENT_OF_ONE)], on_change=lambda: None)
        supervisor.start()
        log = tmp_path / "child.log"
        await until(lambda: log.exists() and log.read_text().strip())
        grandchild = int(log.read_text())
        await supervisor.stop()
        await until(lambda: not _runs(grandchild))

    run(work())


def test_a_killed_supervisor_leaves_no_child_behind(tmp_path: Path) -> None:
    code = f"""
import asyncio, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from tests.control.test_supervision import _plan, SLEEPER
from federation.supervision.children import Supervisor
async def main():
    supervisor = Supervisor([_plan(Path({str(tmp_path)!r}), SLEEPER)], on_change=lambda: None)
    supervisor.start()
    await asyncio.sleep(0.1)
    print(supervisor.children["child"].pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        child = int(holder.stdout.readline())
        time.sleep(0.3)  # the leash has become the child
        assert _runs(child)
        holder.kill()
    end = time.monotonic() + 3
    while _runs(child) and time.monotonic() < end:
        time.sleep(0.02)
    assert not _runs(child)


def test_a_second_process_on_a_home_is_refused_and_told_by_whom(tmp_path: Path) -> None:
    lock = tmp_path / "node.lock"
    with only_one(lock, kind="node"):
        with pytest.raises(AlreadyRunningError) as caught, only_one(lock, kind="node"):
            pass
        assert caught.value.values == {"kind": "node", "pid": str(os.getpid())}
    with only_one(lock, kind="node"):
        pass


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
