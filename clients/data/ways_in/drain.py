"""Empty the inbox from one thread while others fill it.

`with Drainer(inbox) as drainer:` starts the thread; `drainer.nudge()` says that
something arrived. It works when nudged, and every few seconds by itself. A
coded error of the intake is told and tried again later; an error that nobody
foresaw is raised by `check()` and at the end, never lost. Leaving the block
settles what is still there.
"""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from clients.data.intake.ingest import IngestReport, ingest
from clients.data.ways_in.inbox import Drained, Inbox, Take
from federation.errors.base import PlatformError

EVERY_S = 5.0
AFTER_ERROR_S = 30.0
MOST_WAITING = 2048
"""More objects than this need not wait on the disk: whoever can, pauses."""
PAUSE_S = 0.2


class Drainer:
    """A context manager around the one thread that drains an inbox.

    Parameters
    ----------
    settled
        Told of every batch that the intake settled.
    failed
        Told of every coded error; the batch is tried again later.
    """

    def __init__(
        self,
        inbox: Inbox,
        *,
        take: Take = ingest,
        settled: Callable[[IngestReport], None] | None = None,
        failed: Callable[[PlatformError], None] | None = None,
        every_s: float = EVERY_S,
    ) -> None:
        self.inbox, self.total = inbox, Drained()
        self._take, self._told, self._failed = take, settled, failed
        self._every_s = every_s
        self._work, self._stop = threading.Event(), threading.Event()
        self._broken: BaseException | None = None
        self._last_error: PlatformError | None = None
        self._thread = threading.Thread(target=self._run, name="drain", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._stop.set()
        self._work.set()
        self._thread.join()
        if error is None or isinstance(error, PlatformError):
            self.check()
            self.drain()

    def nudge(self) -> None:
        """Say that something arrived."""
        self._work.set()

    def check(self) -> None:
        """Raise what ended the thread, if anything did."""
        if self._broken is not None:
            raise self._broken

    def keep_up(self, stop: threading.Event | None = None) -> None:
        """Pause while very much waits to be settled, so that the inbox does not fill the disk.

        Raises
        ------
        PlatformError
            What keeps the intake from settling anything.
        """
        stop = stop or self._stop
        while not stop.is_set() and self.inbox.waiting() > MOST_WAITING:
            self.check()
            if self._last_error is not None:
                raise self._last_error
            self.nudge()
            stop.wait(PAUSE_S)

    def drain(self) -> None:
        """Settle everything that waits now, in this thread.

        Raises
        ------
        PlatformError
            As the intake raises it; nothing is lost.
        """
        self.inbox.drain(take=self._take, settled=self._settled)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._work.wait(self._every_s)
            self._work.clear()
            try:
                self.inbox.drain(take=self._take, stop=self._stop, settled=self._settled)
                self._last_error = None
            except PlatformError as error:
                self._last_error = error
                if self._failed is not None:
                    self._failed(error)
                self._stop.wait(AFTER_ERROR_S)
            except BaseException as error:
                self._broken = error
                return

    def _settled(self, report: IngestReport) -> None:
        self.total.add(report)
        if self._told is not None:
            self._told(report)
