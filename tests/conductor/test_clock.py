"""The register's clock comes round once an hour, whatever happens to the conductor."""

import asyncio
import json
import os
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from federation import settings
from federation.conductor import clock as module
from federation.conductor.clock import AGAIN, EVERY, FIRST_AFTER, STATE_FILE, RegistryClock
from federation.coordinator.home import CentreHome
from tests.conductor.builders import a_centre, until

NOON = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)


class Turns:
    """A clock that a test sets, and a process that writes down that it ran."""

    def __init__(self, home: CentreHome, *, status: int = 0, sleep_s: float = 0) -> None:
        self.home, self.now = home, NOON
        self.ran = home.run / "ran"
        program = (
            f"import time, sys; open({str(self.ran)!r}, 'a').write('x');"
            f" time.sleep({sleep_s}); sys.exit({status})"
        )
        self.command = (sys.executable, "-c", program)

    def clock(self) -> RegistryClock:
        return RegistryClock(
            self.home,
            environment=lambda: dict(os.environ),
            command=self.command,
            clock=lambda: self.now,
        )

    @property
    def times(self) -> int:
        return len(self.ran.read_text()) if self.ran.exists() else 0


async def serving(turns: Turns, *moments: tuple[datetime, int]) -> None:
    """Serve while the time is set to each moment, until it ran so often by then."""
    stop = asyncio.Event()
    task = asyncio.ensure_future(turns.clock().serve(stop, look_s=0.02))
    try:
        async with asyncio.timeout(30):
            for now, times in moments:
                turns.now = now
                await until(lambda times=times: turns.times >= times)  # type: ignore[misc]
                await asyncio.sleep(0.3)
                assert turns.times == times
    finally:
        stop.set()
        await task


def test_it_runs_a_minute_after_the_start_and_then_every_hour(tmp_path: Path) -> None:
    turns = Turns(a_centre(tmp_path / "c"))
    first = NOON + FIRST_AFTER
    asyncio.run(
        serving(
            turns,
            (NOON, 0),
            (first - timedelta(seconds=1), 0),
            (first, 1),
            (first + EVERY - timedelta(seconds=1), 1),
            (first + EVERY, 2),
        )
    )
    state = json.loads((turns.home.run / STATE_FILE).read_text())
    assert state["ran"] == (first + EVERY).isoformat()
    turns.now = first + EVERY + timedelta(minutes=30)
    asyncio.run(serving(turns, (turns.now, 2), (first + 2 * EVERY, 3)))


def test_one_that_fails_comes_again_soon(tmp_path: Path) -> None:
    turns = Turns(a_centre(tmp_path / "c"), status=3)
    first = NOON + FIRST_AFTER
    asyncio.run(serving(turns, (first, 1), (first + AGAIN, 2)))
    assert not (turns.home.run / STATE_FILE).exists()


def test_a_clock_set_back_or_a_file_of_nonsense_stops_nothing(tmp_path: Path) -> None:
    turns = Turns(a_centre(tmp_path / "c"))
    path = turns.home.run / STATE_FILE
    for content in (json.dumps({"ran": (NOON + 9 * EVERY).isoformat()}), "{", '{"ran": 7}'):
        path.write_text(content)
        before = turns.times
        turns.now = NOON
        asyncio.run(serving(turns, (NOON + FIRST_AFTER, before + 1)))


def test_stopping_ends_one_that_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_STOP_S", 0.5)
    turns = Turns(a_centre(tmp_path / "c"), sleep_s=60)
    with suppress(TimeoutError):
        asyncio.run(asyncio.wait_for(serving(turns, (NOON + FIRST_AFTER, 1)), 20))
    assert turns.times == 1


@pytest.mark.slow
def test_the_real_flow_runs_as_a_process(tmp_path: Path) -> None:
    home = a_centre(tmp_path / "c")
    environment = settings.of_centre(settings.flow_environment(home.folder), home.folder)
    turning = RegistryClock(home, environment=lambda: environment, clock=lambda: NOON)
    turning._next = NOON

    async def once() -> None:
        stop = asyncio.Event()
        task = asyncio.ensure_future(turning.serve(stop, look_s=0.05))
        try:
            async with asyncio.timeout(240):
                await until((home.run / STATE_FILE).exists)
        finally:
            stop.set()
            await task

    asyncio.run(once())
    said = (home.logs / "registry-clock.log").read_text()
    assert str(home.folder) not in said
