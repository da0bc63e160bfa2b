"""A study's turn at its hospitals, and what people wish of it: what a campaign is given.

    turns = Turns(home, study, emit=log.emit, wish=wishes)
    with turns.hold(sites):        # dispatch .. collect of one round
        ...
    wishes = Wishes(home, study)   # wishes() -> Wish, cheap enough to ask four times a second

A turn is a row in the database that names its process: when that process dies,
the turn is free. A study gets all the sites of its round or waits.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from federation.coordinator.home import CentreHome
from federation.coordinator.options import CentreOptions
from federation.domain.ids import SiteId, StudyId
from federation.domain.queue import Limits, Wish
from federation.errors.base import PlatformError
from federation.errors.queue import StudyNotLaunchedError, TurnGivenUpError
from federation.operations.progress import Emit, EventKind, Progress, silent
from federation.operations.store.database import Database
from federation.operations.store.queue import QueueStore
from federation.supervision.identity import this_process

IN_LINE, ITS_TURN = "in-line", "its-turn"
"""Stages that a watcher is told of when a round has to wait, and when it no longer has to."""

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 0.3
_FRESH_S = 0.4


class Turns:
    """Takes turns for one study, one at a time.

    Parameters
    ----------
    wish
        What people want of the study. When it is anything but GO_ON while the
        study stands in line, `hold` gives up with `TurnGivenUpError`.
    """

    def __init__(
        self,
        home: CentreHome,
        study: StudyId,
        *,
        emit: Emit = silent,
        wish: Callable[[], Wish] = lambda: Wish.GO_ON,
        limits: Limits | None = None,
    ) -> None:
        self._queue = QueueStore(Database.of(home))
        self._study, self._emit, self._wish = study, emit, wish
        self._limits = limits or CentreOptions.of(home).limits
        self._holder = this_process()

    def close(self) -> None:
        """Let go of the database."""
        self._queue.close()

    @contextmanager
    def hold(self, sites: Sequence[SiteId]) -> Iterator[None]:
        """Have the turn of all these sites while the body runs.

        Raises
        ------
        TurnGivenUpError
            If somebody paused or stopped the study while it stood in line.
        StoreUnavailableError
            If the database stays away.
        """
        if not self._queue.take_turn(self._study, sites, self._holder, self._limits):
            self._wait(sites)
        try:
            yield
        finally:
            self._queue.give_back(self._study, self._holder)

    def _wait(self, sites: Sequence[SiteId]) -> None:
        self._queue.ask_turn(self._study, sites, self._holder)
        self._emit(Progress(EventKind.STAGE, values={"stage": IN_LINE}))
        pause_s = _FIRST_PAUSE_S
        try:
            while not self._is_taken(sites):
                self._check_wish()
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        except BaseException:
            self._queue.give_back(self._study, self._holder)
            raise
        self._emit(Progress(EventKind.STAGE, values={"stage": ITS_TURN}))

    def _is_taken(self, sites: Sequence[SiteId]) -> bool:
        """Look before writing: a waiting study must not fill the audit trail."""
        return self._queue.may_take(self._study, sites, self._limits) and self._queue.take_turn(
            self._study, sites, self._holder, self._limits
        )

    def _check_wish(self) -> None:
        wish = self._wish()
        if wish is not Wish.GO_ON:
            raise TurnGivenUpError(study=self._study, wish=wish.value)


class Wishes:
    """What people wish of one study: `wishes()` asks the database at most every 0.4 s.

    A database that is away means what was wished last: GO_ON at first. A study
    that was never launched goes on.
    """

    def __init__(self, home: CentreHome, study: StudyId) -> None:
        self._queue = QueueStore(Database.of(home))
        self._study = study
        self._last, self._asked = Wish.GO_ON, float("-inf")

    def __call__(self) -> Wish:
        """Return the last wish."""
        now = time.monotonic()
        if now - self._asked > _FRESH_S:
            self._last, self._asked = self._read(), now
        return self._last

    def close(self) -> None:
        """Let go of the database."""
        self._queue.close()

    def _read(self) -> Wish:
        try:
            return self._queue.entry(self._study).wish
        except StudyNotLaunchedError:
            return Wish.GO_ON
        except PlatformError:
            return self._last
