"""What a watch tells people and the driver of a round, with a clock that tests move."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from threading import Event

import pytest

from federation.domain.ids import RunId, SiteId
from federation.domain.leases import BLIND_S, GRACE_S
from federation.domain.pace import RoundPlan
from federation.domain.queue import Wish
from federation.errors.base import PlatformError
from federation.errors.control import CentreNotRunningError
from federation.errors.rounds import SuperLinkUnreachableError
from federation.operations.progress import EventKind, Progress
from federation.operations.watch import (
    LOOK_EVERY_S,
    REPEAT_S,
    SELDOM_S,
    Watch,
    WatchedRound,
    _pause_s,
)
from federation.protocol import mapping

RUN = RunId("cxr-2026.1")
NORTH, SOUTH = SiteId("north"), SiteId("south")
SITES = (NORTH, SOUTH)
PLAN = RoundPlan(run=RUN, kind="train", number=3, quorum=2, model_bytes=400, reply_bytes=400)


@dataclass(frozen=True)
class Seen:
    """A site's view as the centre's socket gives it."""

    site: SiteId
    connected: bool = True
    epoch: int = 1
    bytes_in: int = 0
    bytes_out: int = 0
    progress: mapping.Progress = field(default_factory=mapping.Progress)


@dataclass
class Driver:
    """Writes down what it is told."""

    asked: list[tuple[SiteId, int]] = field(default_factory=list)
    given_up: list[tuple[SiteId, str]] = field(default_factory=list)
    stops: int = 0

    def ask_again(self, site: SiteId, node: int) -> None:
        self.asked.append((site, node))

    def give_up(self, site: SiteId, reason: PlatformError) -> None:
        self.given_up.append((site, reason.code))

    def stop(self) -> None:
        self.stops += 1


@dataclass
class Centre:
    """What the centre answers; `away` while its socket does not."""

    views: dict[SiteId, Seen] = field(default_factory=lambda: {site: Seen(site) for site in SITES})
    nodes: dict[SiteId, int | None] = field(default_factory=lambda: {NORTH: 11, SOUTH: 12})
    away: bool = False
    wish: Wish = Wish.GO_ON
    no_wish: bool = False
    now: float = 100.0
    told: list[Progress] = field(default_factory=list)

    def look(self, sites: Sequence[SiteId]) -> tuple[Seen, ...]:
        if self.away:
            raise CentreNotRunningError(folder="c")
        return tuple(self.views[site] for site in sites)

    def node_of(self, site: SiteId) -> int | None:
        if self.away:
            raise SuperLinkUnreachableError(address="x")
        return self.nodes[site]

    def read_wish(self) -> Wish:
        if self.no_wish:
            raise CentreNotRunningError(folder="c")
        return self.wish

    def change(self, site: SiteId, **values: object) -> None:
        self.views[site] = replace(self.views[site], **values)  # type: ignore[arg-type]

    def works(self, site: SiteId, done: int, *, run: RunId = RUN, round_: int = 3) -> None:
        doing = mapping.Progress(
            busy=True, run=run, round=round_, batches_done=done, batches_total=8
        )
        self.change(site, progress=doing)


@pytest.fixture
def centre() -> Centre:
    return Centre()


@pytest.fixture
def driver() -> Driver:
    return Driver()


def a_watch(centre: Centre) -> Watch:
    return Watch(
        look=centre.look,
        node_of=centre.node_of,
        tell=centre.told.append,
        wish=centre.read_wish,
        clock=lambda: centre.now,
    )


def look(watched: WatchedRound, centre: Centre, seconds: float = LOOK_EVERY_S) -> None:
    """Look as often as the thread would in so many seconds."""
    until = centre.now + seconds
    while centre.now < until:
        centre.now += LOOK_EVERY_S
        watched.look()


def test_progress_is_told_once_for_each_percent_and_only_of_this_round(
    centre: Centre, driver: Driver
) -> None:
    watched = a_watch(centre).begin(driver, PLAN, SITES)
    centre.works(NORTH, 2)
    centre.works(SOUTH, 2, run=RunId("other.1"))
    look(watched, centre, 1.0)
    centre.works(NORTH, 4)
    centre.works(SOUTH, 2, round_=2)
    look(watched, centre, 1.0)

    told = [(event.kind, event.site, event.round, event.values) for event in centre.told]
    assert told == [
        (EventKind.SITE_PROGRESS, NORTH, 3, {"percent": 25}),
        (EventKind.SITE_PROGRESS, NORTH, 3, {"percent": 50}),
    ]


def test_a_site_that_started_anew_is_asked_again_at_its_node_of_now(
    centre: Centre, driver: Driver
) -> None:
    watched = a_watch(centre).begin(driver, PLAN, SITES)
    centre.change(NORTH, epoch=2)
    centre.nodes[NORTH] = 77
    look(watched, centre, 5.0)

    assert driver.asked == [(NORTH, 77)]


@pytest.mark.parametrize("away", [False, True], ids=["node offline", "SuperLink away"])
def test_a_node_that_is_not_online_yet_is_asked_as_soon_as_it_is(
    centre: Centre, driver: Driver, away: bool
) -> None:
    watched = a_watch(centre).begin(driver, PLAN, SITES)
    centre.change(NORTH, epoch=2)
    centre.nodes[NORTH], centre.away = None, away
    look(watched, centre, 3.0)
    assert driver.asked == []

    centre.nodes[NORTH], centre.away = 11, False
    look(watched, centre, 1.0)

    assert driver.asked == [(NORTH, 11)]


def test_a_restart_between_two_rounds_needs_no_second_asking(
    centre: Centre, driver: Driver
) -> None:
    watch = a_watch(centre)
    look(watch.begin(driver, PLAN, SITES), centre)
    centre.change(NORTH, epoch=2)
    look(watch.begin(driver, replace(PLAN, number=4), SITES), centre, 5.0)

    assert driver.asked == []


def test_a_restart_while_the_centre_was_away_is_noticed_by_the_epoch_of_before(
    centre: Centre, driver: Driver
) -> None:
    watch = a_watch(centre)
    look(watch.begin(driver, PLAN, SITES), centre)
    centre.away = True
    watched = watch.begin(driver, PLAN, SITES)
    look(watched, centre, 2.0)
    centre.away = False
    centre.change(NORTH, epoch=9)
    look(watched, centre, 2.0)

    assert driver.asked == [(NORTH, 11)]


def test_a_site_that_is_gone_is_given_up_with_its_code_until_the_round_is_over(
    centre: Centre, driver: Driver
) -> None:
    watched = a_watch(centre).begin(driver, PLAN, SITES)
    centre.change(NORTH, connected=False)
    look(watched, centre, GRACE_S - 1)
    assert driver.given_up == []

    look(watched, centre, 2.0)
    assert driver.given_up == [(NORTH, "TF460")]

    look(watched, centre, 2 * REPEAT_S)  # the driver hears it only while its round runs
    assert set(driver.given_up) == {(NORTH, "TF460")}
    assert len(driver.given_up) == 3


def test_while_the_socket_is_away_nobody_is_judged_and_none_of_it_counts_after(
    centre: Centre, driver: Driver
) -> None:
    watched = a_watch(centre).begin(driver, PLAN, SITES)
    centre.away = True
    look(watched, centre, 10 * GRACE_S)
    centre.away = False
    centre.change(NORTH, connected=False)
    look(watched, centre, GRACE_S - 2)

    assert driver.given_up == []


def test_stop_now_stops_the_driver_and_other_wishes_do_not(centre: Centre, driver: Driver) -> None:
    watched = a_watch(centre).begin(driver, PLAN, SITES)
    for wish in (Wish.GO_ON, Wish.PAUSE, Wish.STOP):
        centre.wish = wish
        look(watched, centre, 3.0)
    centre.no_wish = True
    look(watched, centre, 3.0)
    assert driver.stops == 0

    centre.wish, centre.no_wish = Wish.STOP_NOW, False
    look(watched, centre, 1.5)

    assert driver.stops >= 1


def test_somebody_may_stop_a_round_while_the_centre_is_away(centre: Centre, driver: Driver) -> None:
    watched = a_watch(centre).begin(driver, PLAN, SITES)
    centre.away, centre.wish = True, Wish.STOP_NOW
    look(watched, centre, 1.5)

    assert driver.stops >= 1


def test_the_pace_of_a_reply_is_known_in_the_next_round_of_that_kind(
    centre: Centre, driver: Driver
) -> None:
    watch = a_watch(centre)
    watched = watch.begin(driver, PLAN, SITES)
    for done in range(9):
        centre.works(NORTH, done)
        look(watched, centre, 2.0)
    watched.replied(NORTH)

    assert watch.pace("train", NORTH).batch_s[0] == pytest.approx(2.0, rel=0.1)
    assert watch.pace("evaluate", NORTH).batch_s == ()
    assert watch.pace("train", SOUTH).batch_s == ()


def test_a_straggler_is_given_up_once_the_quorum_replied_and_asked_again_next_round(
    centre: Centre, driver: Driver
) -> None:
    watch = a_watch(centre)
    plan = replace(PLAN, quorum=1)
    watched = watch.begin(driver, plan, SITES)
    for done in range(3):
        centre.works(SOUTH, done)
        look(watched, centre, 30.0)
        if done == 0:
            watched.replied(NORTH)

    assert set(driver.given_up) == {(SOUTH, "TF462")}
    driver.given_up.clear()
    look(watch.begin(driver, replace(plan, number=4), SITES), centre, 5.0)
    assert driver.given_up == []


def test_who_replied_before_a_crash_is_not_watched_but_counts(
    centre: Centre, driver: Driver
) -> None:
    watched = a_watch(centre).begin(driver, PLAN, SITES, before={NORTH: 1.0})
    centre.change(NORTH, connected=False)
    look(watched, centre, 2 * GRACE_S)

    assert NORTH not in dict(driver.given_up)


def test_everybody_replied_needs_no_more_looks(centre: Centre, driver: Driver) -> None:
    watched = a_watch(centre).begin(driver, PLAN, SITES)
    for site in SITES:
        watched.replied(site)
    centre.views.clear()
    look(watched, centre, 2.0)

    assert driver.given_up == []


# -- the thread ---------------------------------------------------------------------------


def watch_of(look: Callable[[Sequence[SiteId]], tuple[Seen, ...]], centre: Centre) -> Watch:
    return Watch(look=look, node_of=centre.node_of, tell=centre.told.append)


def test_the_thread_looks_while_the_body_runs_and_ends_with_it(
    centre: Centre, driver: Driver
) -> None:
    looked, times = Event(), 0

    def counting(sites: Sequence[SiteId]) -> tuple[Seen, ...]:
        nonlocal times
        times += 1
        if times == 3:
            looked.set()
        return centre.look(sites)

    with watch_of(counting, centre).over(driver, PLAN, SITES) as watched:
        assert looked.wait(10.0)
        watched.replied(NORTH)
    after = times

    assert not Event().wait(2 * LOOK_EVERY_S)
    assert times == after


def test_a_fault_of_the_watch_itself_ends_the_round_and_is_raised(
    centre: Centre, driver: Driver
) -> None:
    times = 0

    def broken(sites: Sequence[SiteId]) -> tuple[Seen, ...]:
        nonlocal times
        times += 1
        if times > 1:
            raise ZeroDivisionError
        return centre.look(sites)

    stopped = Event()
    driver.stop = stopped.set  # type: ignore[method-assign]

    with (
        pytest.raises(ZeroDivisionError),
        watch_of(broken, centre).over(driver, PLAN, SITES),
    ):
        assert stopped.wait(10.0)


def test_an_error_of_the_body_is_the_one_that_is_raised(centre: Centre, driver: Driver) -> None:
    with (
        pytest.raises(SuperLinkUnreachableError),
        watch_of(centre.look, centre).over(driver, PLAN, SITES),
    ):
        raise SuperLinkUnreachableError(address="x")


def test_looks_that_take_long_come_seldom_but_never_so_that_nothing_is_seen() -> None:
    assert _pause_s(0.001) == LOOK_EVERY_S
    assert _pause_s(0.05) == pytest.approx(0.5)
    assert _pause_s(60.0) == SELDOM_S < BLIND_S
