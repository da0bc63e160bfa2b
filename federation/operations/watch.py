"""Watch the sites of a round while it runs: tell their progress, ask again, give up, stop.

One `Watch` lives as long as its campaign, also over a restart of driver, SuperLink or
centre, because it remembers how fast each site is:

    watch = Watch(
        look=lambda sites: admin.status(sites).sites,
        node_of=node_of,                # Flower's node id of a site; None while not online
        tell=emit,
        wish=wish,                      # optional; STOP_NOW ends the round at once
    )
    plan = RoundPlan(run=run, kind="train", number=7, quorum=2,
                     model_bytes=4 * size, reply_bytes=4 * size)   # 0 for an evaluation
    with watch.over(driver, plan, sites, before={kept.site: kept.seconds}) as watched:
        driver.run_round(order, judge=judge,
                         kept=lambda reply, weight, path: watched.replied(reply.site))

Enter it before the tasks go out: what is seen then is what later looks are compared
with. `sites` are all whose reply is wanted, `before` those of them that replied before
a crash. The rules are `federation.domain.leases`; why a site was given up arrives as the
coded refusal that `driver.run_round` returns. No deadline is needed.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from threading import Event, Lock, Thread
from typing import Protocol

from federation.domain.ids import SiteId
from federation.domain.leases import Decision, Leases, Verdict
from federation.domain.pace import Pace, RoundPlan, Sight
from federation.domain.queue import Wish
from federation.errors.base import PlatformError
from federation.operations.progress import Emit, EventKind, Progress
from federation.protocol import mapping

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.25
SELDOM_S = 2.0
"""How seldom to look where a look takes long, as with a thousand sites."""

LOOK_SHARE = 0.1
"""The share of time that looking may take."""

WISH_EVERY_S = 1.0
REPEAT_S = 5.0
"""How often a site is given up anew: the driver hears it only while its round runs."""


class View(Protocol):
    """What the centre says of a site, as `SiteView` has it."""

    @property
    def site(self) -> SiteId:
        """Return which site."""

    @property
    def connected(self) -> bool:
        """Return whether its control channel is up."""

    @property
    def epoch(self) -> int:
        """Return a number that changes when its SuperNode or executor started anew; 0: not said."""

    @property
    def bytes_in(self) -> int:
        """Return Flower's bytes from the site."""

    @property
    def bytes_out(self) -> int:
        """Return Flower's bytes to the site."""

    @property
    def progress(self) -> mapping.Progress:
        """Return what its node says it does."""


class Driving(Protocol):
    """What a watch may tell the driver of a round; safe from any thread."""

    def ask_again(self, site: SiteId, node: int) -> None:
        """Ask a site that is still waited for once more."""

    def give_up(self, site: SiteId, reason: PlatformError) -> None:
        """Do not wait for a site any longer."""

    def stop(self) -> None:
        """Do not wait for anybody any longer."""


Look = Callable[[Sequence[SiteId]], Sequence[View]]
NodeOf = Callable[[SiteId], int | None]


def go_on() -> Wish:
    """Return that nobody wants anything else; for callers without a queue."""
    return Wish.GO_ON


class Watch:
    """Watches one round after the other; remembers each site's pace and epoch.

    Parameters
    ----------
    look
        What the centre sees of sites; a coded error of it means that nothing is seen.
    node_of
        Flower's node id of a site, None while its SuperNode is not online.
    tell
        Told of the sites' progress, from the watching thread.
    wish
        What somebody asked for last.
    clock
        Seconds that never run backwards.
    """

    def __init__(
        self,
        *,
        look: Look,
        node_of: NodeOf,
        tell: Emit,
        wish: Callable[[], Wish] = go_on,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look, self._node_of, self._tell = look, node_of, tell
        self._wish, self._clock = wish, clock
        self._paces: dict[tuple[str, SiteId], Pace] = {}
        self._epochs: dict[SiteId, int] = {}

    @contextmanager
    def over(
        self,
        driver: Driving,
        plan: RoundPlan,
        sites: Sequence[SiteId],
        *,
        before: Mapping[SiteId, float] | None = None,
    ) -> "Iterator[WatchedRound]":
        """Watch a round while the body runs; the body tells who replied.

        Parameters
        ----------
        sites
            Everybody whose reply is wanted.
        before
            Those of them that replied earlier, with the seconds they took.
        """
        watched = self.begin(driver, plan, sites, before=before)
        over = Event()
        watcher = Thread(target=watched.run, args=(over,), daemon=True, name="watch")
        watcher.start()
        try:
            yield watched
        finally:
            over.set()
            watcher.join()
        if watched.broken is not None:
            raise watched.broken

    def begin(
        self,
        driver: Driving,
        plan: RoundPlan,
        sites: Sequence[SiteId],
        *,
        before: Mapping[SiteId, float] | None = None,
    ) -> "WatchedRound":
        """Return a round whose `look` the caller calls; `over` does so in a thread."""
        sights = {site: Sight() for site in sites} | self.sights(sites)
        leases = Leases(
            plan,
            {site: self.pace(plan.kind, site) for site in sites},
            sights,
            now=self._clock(),
            epochs=self._epochs,
            before=before,
        )
        return WatchedRound(self, driver, plan, leases)

    def pace(self, kind: str, site: SiteId) -> Pace:
        """Return how fast a site was in rounds of a kind; an empty pace if none was seen."""
        return self._paces.get((kind, site), Pace())

    def now(self) -> float:
        """Return the clock's seconds."""
        return self._clock()

    def tell(self, event: Progress) -> None:
        """Pass an event on."""
        self._tell(event)

    def wants_stop(self) -> bool:
        """Say whether somebody wants the round given up; unknown means no."""
        with suppress(PlatformError):
            return self._wish() is Wish.STOP_NOW
        return False

    def node_of(self, site: SiteId) -> int | None:
        """Return Flower's node id of a site; None while it is not online or nobody can say."""
        with suppress(PlatformError):
            return self._node_of(site)
        return None

    def learn(self, kind: str, site: SiteId, pace: Pace) -> None:
        """Remember a site's pace."""
        self._paces[kind, site] = pace

    def sights(self, sites: Sequence[SiteId]) -> dict[SiteId, Sight]:
        """Return what is seen of the sites just now; nothing while the centre does not answer."""
        try:
            views = self._look(sites)
        except PlatformError:
            return {}
        self._epochs.update({view.site: view.epoch for view in views if view.epoch})
        return {view.site: sight_of(view) for view in views}


class WatchedRound:
    """One round under watch; `replied` may be called from any thread."""

    def __init__(self, watch: Watch, driver: Driving, plan: RoundPlan, leases: Leases) -> None:
        self.broken: Exception | None = None
        self._watch, self._driver, self._plan, self._leases = watch, driver, plan, leases
        self._changing = Lock()
        self._shown: dict[SiteId, int] = {}
        self._given_up: dict[SiteId, tuple[PlatformError, float]] = {}
        self._asked_wish_at = watch.now() - WISH_EVERY_S

    def replied(self, site: SiteId) -> None:
        """Note that a site's reply was accepted."""
        with self._changing:
            pace = self._leases.replied(site, now=self._watch.now())
        if pace is not None:
            self._watch.learn(self._plan.kind, site, pace)

    def run(self, over: Event) -> None:
        """Look again and again until `over`; a fault of our own ends the round, not in silence."""
        pause_s = LOOK_EVERY_S
        try:
            while not over.wait(pause_s):
                began = self._watch.now()
                self.look()
                pause_s = _pause_s(self._watch.now() - began)
        except Exception as error:
            self.broken = error
            self._driver.stop()

    def look(self) -> None:
        """Look once and act on what is seen."""
        now = self._watch.now()
        self._follow_wish(now)
        waiting = self._leases.waiting
        sights = self._watch.sights(waiting) if waiting else {}
        if sights:
            for site, sight in sights.items():
                self._show(site, sight)
            with self._changing:
                verdicts = self._leases.look(sights, now=now)
            for verdict in verdicts:
                self._act(verdict, now)
        for site, (reason, told) in list(self._given_up.items()):
            if now - told >= REPEAT_S:
                self._give_up(site, reason, now)

    def _follow_wish(self, now: float) -> None:
        if now - self._asked_wish_at < WISH_EVERY_S:
            return
        self._asked_wish_at = now
        if self._watch.wants_stop():
            self._driver.stop()

    def _act(self, verdict: Verdict, now: float) -> None:
        if verdict.error is not None:
            log.warning("[%s] %s", verdict.error.code, verdict.error.say())
            self._give_up(verdict.site, verdict.error, now)
        elif verdict.decision is Decision.ASK_AGAIN:
            self._ask_again(verdict.site)

    def _give_up(self, site: SiteId, reason: PlatformError, now: float) -> None:
        with self._changing:
            self._leases.over(site)
        self._given_up[site] = (reason, now)
        self._driver.give_up(site, reason)

    def _ask_again(self, site: SiteId) -> None:
        node = self._watch.node_of(site)
        if node is None:  # the next look says so again
            return
        log.info("%s is asked again for round %d", site, self._plan.number)
        self._driver.ask_again(site, node)
        with self._changing:
            self._leases.asked_again(site)

    def _show(self, site: SiteId, sight: Sight) -> None:
        is_ours = (sight.run, sight.round) == (self._plan.run, self._plan.number)
        if not is_ours or not sight.batches_total:
            return
        percent = min(100 * sight.batches_done // sight.batches_total, 100)
        if self._shown.get(site) != percent:
            self._shown[site] = percent
            values: dict[str, object] = {"percent": percent}
            event = Progress(EventKind.SITE_PROGRESS, site, self._plan.number, values)
            self._watch.tell(event)


def _pause_s(took: float) -> float:
    """Return how long to wait after a look that took so many seconds."""
    return min(max(LOOK_EVERY_S, took / LOOK_SHARE), SELDOM_S)


def sight_of(view: View) -> Sight:
    """Return what the rules need of a view."""
    doing = view.progress
    return Sight(
        connected=view.connected,
        epoch=view.epoch,
        bytes_in=view.bytes_in,
        bytes_out=view.bytes_out,
        busy=doing.busy,
        run=doing.run,
        round=doing.round,
        batches_done=doing.batches_done,
        batches_total=doing.batches_total,
    )
