"""The conductor as the centre starts it: a real process that leaves nothing behind."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from federation.conductor.state import campaigns_of
from federation.coordinator.home import CentreHome
from tests.conductor.builders import a_centre, kill, launch, runs


@contextmanager
def a_process(home: CentreHome) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-m", "federation.conductor", "--home", str(home.folder)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def a_home(folder: Path) -> CentreHome:
    home = a_centre(folder)
    with home.settings_file.open("a", encoding="utf-8") as file:
        file.write('\n[prefect]\nmode = "ephemeral"\n')
    return home


def until(condition: Callable[[], object], *, within_s: float = 30.0) -> None:
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.02)


def campaign(home: CentreHome) -> int:
    """Return the process id of the campaign, 0 while there is none."""
    found = campaigns_of(home.run).get("one")
    return int(found["pid"] or 0) if isinstance(found, dict) else 0


def test_a_killed_conductor_leaves_no_campaign_and_the_next_one_starts_it_again(
    tmp_path: Path,
) -> None:
    home = a_home(tmp_path / "c")
    launch(home)
    with a_process(home) as process:
        until(lambda: campaign(home))
        first = campaign(home)
        time.sleep(0.3)  # the leash has become the campaign
        kill(process.pid)
        until(lambda: not runs(first), within_s=5)
    with a_process(home) as process:
        until(lambda: campaign(home) not in (0, first))
        second = campaign(home)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0

    assert not runs(second)
    assert campaigns_of(home.run) == {}


def test_a_second_conductor_on_a_home_is_refused(tmp_path: Path) -> None:
    home = a_home(tmp_path / "c")
    with a_process(home) as first:
        until((home.run / "conductor.json").exists)
        said = json.loads((home.run / "conductor.json").read_text())
        assert said["pid"] == first.pid
        with a_process(home) as second:
            _, errors = second.communicate(timeout=30)

    assert second.returncode != 0
    assert b"TF239" in errors or b"already running" in errors
