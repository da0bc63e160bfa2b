"""A centre with drafts in its queue, and a campaign's process that only pretends."""

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psutil

from federation.conductor.conducting import Conductor
from federation.coordinator.home import CentreHome
from federation.coordinator.options import CentreOptions, PrefectMode, PrefectOptions
from federation.domain.ids import StudyId
from federation.domain.queue import Limits
from federation.operations.enrolment import init_centre
from federation.operations.launch import submit
from federation.operations.queueing import Queueing
from federation.operations.store.queue import Asked, Entry
from tests.builders import a_study

FAKE = Path(__file__).with_name("fake_campaign.py")


def a_centre(folder: Path, *, studies: Sequence[str] = ("one",)) -> CentreHome:
    home = init_centre(folder, name="Centre", address="localhost:8443", now=datetime.now(UTC))
    for study in studies:
        submit(home, replace(a_study(), id=StudyId(study)))
    return home


def launch(home: CentreHome, study: str = "one", **asked: object) -> None:
    with Queueing(home, actor="lin") as queue:
        queue.launch(StudyId(study), Asked(**asked))  # type: ignore[arg-type]


def a_conductor(home: CentreHome, *ways: str, limits: Limits | None = None) -> Conductor:
    """A conductor whose campaigns behave in these ways, one after the other."""

    def command(home: CentreHome, entry: Entry) -> Sequence[str]:
        way = ways[min(entry.attempts, len(ways)) - 1]
        return [sys.executable, str(FAKE), str(home.folder), str(entry.study), way]

    options = CentreOptions(PrefectOptions(mode=PrefectMode.EPHEMERAL), limits or Limits())
    return Conductor(home, options, command=command)


def conducting(conductor: Conductor, work: Callable[[], "asyncio.Future[None] | object"]) -> None:
    """Run the conductor while `work` (a coroutine function) runs; then stop it."""

    async def both() -> None:
        stop = asyncio.Event()
        serving = asyncio.ensure_future(conductor.serve(stop))
        try:
            async with asyncio.timeout(30):
                await work()  # type: ignore[misc]
        finally:
            stop.set()
            await serving

    try:
        asyncio.run(both())
    finally:
        conductor.close()


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.02)


def runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def kill(pid: int) -> None:
    os.kill(pid, 9)
