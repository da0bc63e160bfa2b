"""What the tests of recovery share: processes found by name, rounds in a thread, patience."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.fleet import Fleet
from federation.coordinator.admin import AdminClient
from federation.coordinator.sites import SiteView
from federation.domain.ids import SiteId
from federation.errors.base import PlatformError
from federation.server_app.rounds import RoundDriver, RoundOrder, RoundOutcome, SiteReply


def until(done: Callable[[], object], *, within_s: float, what: str) -> float:
    """Wait until something is so; return how long that took."""
    began = time.monotonic()
    while not done():
        assert time.monotonic() - began < within_s, f"{what} not within {within_s} s"
        time.sleep(0.02)
    return time.monotonic() - began


def node_process(fleet: Fleet, site: SiteId, name: str) -> psutil.Process:
    """Return a node's `executor` or `supernode`; waits until it is there."""
    return _child(fleet.children[site].pid, f"clients.flower.{name}")


def superlink_process(fleet: Fleet) -> psutil.Process:
    """Return the centre's SuperLink; waits until it is there."""
    return _child(fleet.children["centre"].pid, "federation.server_app.superlink")


def _child(pid: int, module: str) -> psutil.Process:
    found: list[psutil.Process] = []

    def look() -> bool:
        children = psutil.Process(pid).children(recursive=True)
        found[:] = [child for child in children if module in _words(child)]
        return bool(found)

    until(look, within_s=20, what=module)
    return found[0]


def _words(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def view(fleet: Fleet, site: SiteId) -> SiteView:
    """Return what the running centre sees of a site."""
    with AdminClient(fleet.centre.folder) as admin:
        (seen,) = admin.status([site]).sites
        return seen


def weigh(_reply: SiteReply) -> float:
    return 1.0


@dataclass
class Kept:
    """What a driver's parent is told to write down."""

    replies: list[tuple[SiteReply, float, Path | None]] = field(default_factory=list)

    def __call__(self, reply: SiteReply, weight: float, path: Path | None) -> None:
        self.replies.append((reply, weight, path))

    @property
    def sites(self) -> set[SiteId]:
        return {reply.site for reply, _, _ in self.replies}


class RunningRound:
    """A round in a thread of its own, so that a test can do harm meanwhile."""

    def __init__(self, driver: RoundDriver, order: RoundOrder, kept: Kept | None = None) -> None:
        self.kept = kept or Kept()
        self._outcome: RoundOutcome | None = None
        self._error: PlatformError | None = None
        self.ended = 0.0
        self.dispatched = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(driver, order), daemon=True)
        self._thread.start()

    def _run(self, driver: RoundDriver, order: RoundOrder) -> None:
        try:
            self._outcome = driver.run_round(
                order, judge=weigh, kept=self.kept, wake=lambda _: self.dispatched.set()
            )
        except PlatformError as error:
            self._error = error
        self.ended = time.monotonic()

    def join(self, *, within_s: float) -> RoundOutcome:
        """Return the outcome, or raise what the round raised."""
        self._thread.join(within_s)
        assert not self._thread.is_alive(), f"the round did not end within {within_s} s"
        if self._error is not None:
            raise self._error
        assert self._outcome is not None
        return self._outcome
