"""A child that hangs is started anew; one that is slow for a moment is left alone."""

import asyncio
import errno
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from federation.coordinator import health
from federation.coordinator.health import restart_when_silent
from federation.errors.signed import KeyFileError
from federation.supervision.children import ChildPlan, Supervisor
from tests.conductor.builders import until


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(health, "PAUSE_S", 0.02)
    yield


def a_supervisor(folder: Path) -> Supervisor:
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    plan = ChildPlan("sleeper", lambda: command, dict(os.environ), folder / "sleeper.log")
    return Supervisor([plan], on_change=lambda: None)


def test_a_child_that_hangs_is_started_anew_and_it_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def play() -> list[int | None]:
        supervisor = a_supervisor(tmp_path)
        supervisor.start()
        child = supervisor.children["sleeper"]

        asked: list[bool] = []

        def answers() -> bool:
            asked.append(
                child.pid is None or psutil.Process(child.pid).status() != psutil.STATUS_STOPPED
            )
            return asked[-1]

        watch = asyncio.ensure_future(restart_when_silent(child, answers))
        await until(lambda: child.alive and any(asked))
        first = child.pid
        assert first is not None
        os.kill(first, signal.SIGSTOP)
        await until(lambda: child.starts == 2 and child.alive)
        found = [first, child.pid]
        watch.cancel()
        await supervisor.stop()
        return found

    first, second = asyncio.run(play())

    assert first != second
    assert "[TF260]" in caplog.text and "sleeper.log" in caplog.text


def test_a_child_that_misses_two_questions_in_a_row_lives(tmp_path: Path) -> None:
    asked: list[bool] = []

    def answers() -> bool:
        asked.append(len(asked) % health.MISSES == 0)
        return asked[-1]

    async def play() -> int:
        supervisor = a_supervisor(tmp_path)
        supervisor.start()
        child = supervisor.children["sleeper"]
        await until(lambda: child.alive)
        watch = asyncio.ensure_future(restart_when_silent(child, answers))
        await until(lambda: len(asked) > 4 * health.MISSES)
        watch.cancel()
        starts = child.starts
        await supervisor.stop()
        return starts

    assert asyncio.run(play()) == 1


def test_a_child_that_has_not_answered_yet_may_take_its_time(tmp_path: Path) -> None:
    asked: list[bool] = []

    def never() -> bool:
        asked.append(False)
        return False

    async def play() -> int:
        supervisor = a_supervisor(tmp_path)
        supervisor.start()
        child = supervisor.children["sleeper"]
        await until(lambda: child.alive)
        watch = asyncio.ensure_future(restart_when_silent(child, never))
        await until(lambda: len(asked) > 3 * health.MISSES)
        watch.cancel()
        starts = child.starts
        await supervisor.stop()
        return starts

    assert asyncio.run(play()) == 1


@pytest.mark.parametrize(
    ("trouble", "why"),
    [
        (OSError(errno.EMFILE, "too many open files"), "OSError"),
        (KeyFileError(name="prefect.secret", why="it is not private"), "TF702"),
    ],
)
def test_a_question_that_cannot_be_asked_kills_nobody_and_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, trouble: Exception, why: str
) -> None:
    asked: list[None] = []

    def fails() -> bool:
        asked.append(None)
        if len(asked) == 1:
            return True
        raise trouble

    async def play() -> int:
        supervisor = a_supervisor(tmp_path)
        supervisor.start()
        child = supervisor.children["sleeper"]
        await until(lambda: child.alive)
        watch = asyncio.ensure_future(restart_when_silent(child, fails))
        await until(lambda: len(asked) > 3 * health.MISSES)
        assert not watch.done()
        watch.cancel()
        starts = child.starts
        await supervisor.stop()
        return starts

    assert asyncio.run(play()) == 1
    assert caplog.text.count("[TF970]") == 1 and why in caplog.text


def test_a_child_that_hangs_is_found_after_questions_that_failed(tmp_path: Path) -> None:
    asked: list[None] = []

    def answers() -> bool:
        asked.append(None)
        if len(asked) == 2:
            raise OSError(errno.EMFILE, "too many open files")
        return len(asked) == 1

    async def play() -> None:
        supervisor = a_supervisor(tmp_path)
        supervisor.start()
        child = supervisor.children["sleeper"]
        await until(lambda: child.alive)
        watch = asyncio.ensure_future(restart_when_silent(child, answers))
        await until(lambda: child.starts == 2)
        watch.cancel()
        await supervisor.stop()

    asyncio.run(play())
    assert len(asked) >= 2 + health.MISSES


def test_a_fault_of_the_question_itself_is_not_swallowed(tmp_path: Path) -> None:
    def broken() -> bool:
        raise ZeroDivisionError

    async def play() -> None:
        supervisor = a_supervisor(tmp_path)
        supervisor.start()
        try:
            await restart_when_silent(supervisor.children["sleeper"], broken)
        finally:
            await supervisor.stop()

    with pytest.raises(ZeroDivisionError):
        asyncio.run(play())
