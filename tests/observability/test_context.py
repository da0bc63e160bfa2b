"""What happens is said once; context, spans and costs follow."""

import asyncio
import contextvars
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from federation import observability as observed
from federation.domain.ids import RunId, SiteId, StudyId
from federation.observability.context import Context

STUDY, RUN, NORTH = StudyId("cxr-2026"), RunId("cxr-2026.1"), SiteId("north")


class Remembers:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Context]] = []
        self.told: list[tuple[str, Context, float, str | None]] = []

    def span(self, name: str, where: Context) -> AbstractContextManager[None]:
        @contextmanager
        def spanned() -> Iterator[None]:
            self.spans.append((name, where))
            yield

        return spanned()

    def passed(self, name: str, where: Context, *, seconds: float, code: str | None) -> None:
        self.told.append((name, where, seconds, code))


@pytest.fixture
def observer() -> Iterator[Remembers]:
    observer = Remembers()
    observed.observe_with(observer)
    yield observer
    observed.observe_with(None)


def test_the_context_is_that_of_the_innermost_block_and_ends_with_it() -> None:
    assert observed.current().fields() == {}
    with observed.study(STUDY, run=RUN), observed.round(3, kind="evaluate"):
        with observed.site(NORTH):
            assert observed.current().fields() == {
                "study": STUDY,
                "run": RUN,
                "round": 3,
                "kind": "evaluate",
                "site": NORTH,
            }
        assert observed.current().site is None
    assert observed.current() == Context()


def test_the_context_ends_with_a_block_that_fails() -> None:
    with pytest.raises(RuntimeError), observed.study(STUDY):
        raise RuntimeError
    assert observed.current() == Context()


def test_an_observer_is_told_of_studies_rounds_steps_and_sites(observer: Remembers) -> None:
    with observed.study(STUDY, run=RUN), observed.round(3):
        with observed.step("dispatch"):
            pass
        observed.answered(NORTH, seconds=2.5)
        observed.refused(NORTH, "TF344")

    assert [name for name, _ in observer.spans] == ["study", "round", "dispatch"]
    assert [(name, where.site, where.round, s, code) for name, where, s, code in observer.told] == [
        ("site", NORTH, 3, 2.5, None),
        ("site", NORTH, 3, 0.0, "TF344"),
    ]


def test_the_context_follows_into_awaits_and_to_thread_and_not_into_other_tasks() -> None:
    async def other() -> Context:
        await asyncio.sleep(0.01)
        return observed.current()

    async def work() -> None:
        outside = asyncio.create_task(other())
        with observed.study(STUDY):
            assert (await asyncio.to_thread(observed.current)).study == STUDY
        assert await outside == Context()

    asyncio.run(work())


def test_a_thread_of_ones_own_takes_the_context_along_when_it_is_given_it() -> None:
    seen: list[Context] = []
    with observed.study(STUDY):
        carried = contextvars.copy_context()
        for target in (observed.current, lambda: carried.run(observed.current)):
            thread = threading.Thread(target=lambda target=target: seen.append(target()))
            thread.start()
            thread.join()

    assert [where.study for where in seen] == [None, STUDY]


def test_without_an_observer_a_block_costs_microseconds() -> None:
    started = time.perf_counter()
    for number in range(10_000):
        with observed.round(number + 1):
            pass
    assert (time.perf_counter() - started) / 10_000 < 100e-6
