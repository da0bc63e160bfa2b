"""Who is waited for in a round: told by simulated sites, clocks and lines; nobody sleeps here."""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.domain import leases as rules
from federation.domain.ids import RunId, SiteId
from federation.domain.leases import (
    BLIND_S,
    FIRST_S,
    GRACE_S,
    MOST_RESTARTS,
    SETTLED_S,
    SILENT_S,
    SLOWER,
    WORTH_WAITING_S,
    Decision,
    Leases,
    Verdict,
)
from federation.domain.pace import (
    IDLE_BYTES,
    IDLE_BYTES_S,
    RECENT,
    Flow,
    Measured,
    Pace,
    RoundPlan,
    Sight,
    Steps,
    expected_s,
    left_s,
)

RUN = RunId("cxr-2026.1")
NORTH, SOUTH, EAST = SiteId("north"), SiteId("south"), SiteId("east")
MODEL = 30_000_000
PLAN = RoundPlan(run=RUN, kind="train", number=2, quorum=2, model_bytes=MODEL, reply_bytes=MODEL)
LOOK_S = 0.25
MBIT_S = 125_000.0
GIVEN_UP = {Decision.GONE, Decision.STALLED, Decision.STRAGGLER, Decision.RESTARTING}
IN_ITS_TIME = settings(deadline=None)  # a simulation takes what the machine has left
KNOWN = Pace(batch_s=(1.0,), batches=(10.0,), gap_s=(1.0,))


@dataclass
class Hospital:
    """A site that receives the model, trains and sends its update, as the centre sees it.

    Rates are bytes a second; `stuck_at` is when everything stops; `trickle` is what its
    polls amount to.
    """

    out_s: float = 10 * MBIT_S
    in_s: float = 10 * MBIT_S
    batch_s: float = 0.5
    batches: int = 20
    loading_s: float = 1.0
    stuck_at: float = 1e9
    trickle: float = 300.0
    model_bytes: int = MODEL
    sight: Sight = field(default_factory=lambda: Sight(connected=True, epoch=1))

    @property
    def trains_at(self) -> float:
        return self.model_bytes / self.out_s + self.loading_s

    @property
    def sends_at(self) -> float:
        return self.trains_at + self.batches * self.batch_s

    @property
    def replies_at(self) -> float:
        return self.sends_at + self.model_bytes / self.in_s

    def at(self, now: float) -> Sight:
        """Return what is seen `now` seconds after it was asked."""
        moved = min(now, self.stuck_at)
        received = min(moved * self.out_s, self.model_bytes)
        sent = min(max(moved - self.sends_at, 0.0) * self.in_s, self.model_bytes)
        polls = int(now * self.trickle)
        sight = replace(self.sight, bytes_out=int(received) + polls, bytes_in=int(sent) + polls)
        done = int((moved - self.trains_at) / self.batch_s) if moved > self.trains_at else 0
        if moved <= self.trains_at:
            return sight
        done = min(done, self.batches)
        return replace(
            sight,
            busy=done < self.batches,
            run=RUN,
            round=PLAN.number,
            batches_done=done,
            batches_total=self.batches,
        )


def play(
    hospitals: dict[SiteId, Hospital],
    *,
    plan: RoundPlan = PLAN,
    paces: dict[SiteId, Pace] | None = None,
    until_s: float = 4000.0,
    look_s: float = LOOK_S,
) -> list[tuple[float, Verdict]]:
    """Watch hospitals until all replied or were given up; return what was decided when."""
    leases = Leases(
        plan, paces or {}, {site: one.at(0.0) for site, one in hospitals.items()}, now=0.0
    )
    said, now = list[tuple[float, Verdict]](), 0.0
    while leases.waiting and now < until_s:
        now += look_s
        for site in leases.waiting:
            if hospitals[site].replies_at <= min(now, hospitals[site].stuck_at):
                leases.replied(site, now=now)
        for verdict in leases.look({s: hospitals[s].at(now) for s in leases.waiting}, now=now):
            said.append((now, verdict))
            if verdict.decision is Decision.ASK_AGAIN:
                leases.asked_again(verdict.site)
            else:
                leases.over(verdict.site)
    return said


def given_up(said: list[tuple[float, Verdict]]) -> dict[SiteId, tuple[float, Decision]]:
    return {
        verdict.site: (at, verdict.decision) for at, verdict in said if verdict.decision in GIVEN_UP
    }


# -- before the quorum ----------------------------------------------------------------


def test_a_model_of_30_mb_over_1_mbit_is_waited_for_before_the_quorum() -> None:
    slow = Hospital(out_s=MBIT_S, in_s=MBIT_S)
    assert slow.replies_at > 480

    assert play({NORTH: slow, SOUTH: Hospital(out_s=MBIT_S, in_s=MBIT_S)}) == []


@IN_ITS_TIME
@given(
    line=st.floats(min_value=4000.0, max_value=1e8),
    batch_s=st.floats(min_value=0.01, max_value=50.0),
    loading_s=st.floats(min_value=0.0, max_value=50.0),
)
def test_no_site_with_moving_bytes_or_batches_is_given_up_before_the_quorum(
    line: float, batch_s: float, loading_s: float
) -> None:
    site = Hospital(
        out_s=line,
        in_s=line,
        batch_s=batch_s,
        batches=5,
        loading_s=loading_s,
        model_bytes=int(min(MODEL, line * 60)),
    )
    plan = replace(PLAN, model_bytes=site.model_bytes, reply_bytes=site.model_bytes)

    assert given_up(play({NORTH: site}, plan=plan, look_s=1.0)) == {}


@IN_ITS_TIME
@given(line=st.floats(min_value=4000.0, max_value=1e8), away_s=st.floats(1.0, 500.0))
def test_not_even_one_whose_control_channel_is_down_while_its_model_moves(
    line: float, away_s: float
) -> None:
    leases = Leases(PLAN, {}, {NORTH: Sight(connected=True)}, now=0.0)

    for step in range(1, int(away_s)):
        away = Sight(connected=False, bytes_out=int(line * step))
        assert leases.look({NORTH: away}, now=float(step)) == []


@IN_ITS_TIME
@given(stuck_at=st.floats(min_value=0.0, max_value=120.0), known=st.booleans())
def test_every_silent_site_is_given_up_in_bounded_time(stuck_at: float, known: bool) -> None:
    site = Hospital(stuck_at=stuck_at)
    said = play({NORTH: site}, paces={NORTH: KNOWN} if known else {}, look_s=1.0)

    if site.replies_at > stuck_at:
        at, decision = given_up(said)[NORTH]
        assert decision is Decision.STALLED
        assert at - stuck_at <= 1.5 * (SILENT_S if known else FIRST_S) + rules.FAR_LONGER * 25


def test_a_site_of_known_pace_that_hangs_is_stalled_after_a_minute() -> None:
    said = play({NORTH: Hospital(stuck_at=30.0)}, paces={NORTH: KNOWN})

    assert [verdict.decision for _, verdict in said] == [Decision.ASK_AGAIN, Decision.STALLED]
    assert said[0][0] - 30 == pytest.approx(SILENT_S / 2, abs=2)
    assert said[1][0] - 30 == pytest.approx(SILENT_S, abs=2)
    error = said[1][1].error
    assert error is not None
    assert (error.code, error.values["site"]) == ("TF461", NORTH)


def test_far_longer_than_any_gap_seen_is_measured_at_each_site() -> None:
    patient = replace(KNOWN, gap_s=(20.0,))
    said = play({NORTH: Hospital(stuck_at=30.0)}, paces={NORTH: patient})

    assert said[-1][0] - 30 == pytest.approx(200.0, abs=2)


def test_the_first_loading_of_a_cohort_may_take_many_minutes() -> None:
    site = Hospital(loading_s=600.0)

    assert given_up(play({NORTH: site})) == {}


def test_a_site_that_waits_in_line_for_another_run_is_not_stalled_by_the_minute() -> None:
    other = Sight(connected=True, busy=True, run="other.1", round=1, batches_total=5)
    leases = Leases(PLAN, {NORTH: KNOWN}, {NORTH: other}, now=0.0)

    for step in range(1, 300):
        assert leases.look({NORTH: other}, now=float(step)) == []


def test_the_polls_of_an_idle_supernode_are_no_sign_of_life() -> None:
    idle = Hospital(stuck_at=30.0, trickle=0.9 * IDLE_BYTES_S)

    assert NORTH in given_up(play({NORTH: idle}, paces={NORTH: KNOWN}))


# -- gone ---------------------------------------------------------------------------------


def away_for(seconds: float, *, before: float = 10.0) -> list[Verdict]:
    leases = Leases(PLAN, {}, {NORTH: Sight(connected=True, epoch=1)}, now=0.0)
    now, said = 0.0, list[Verdict]()
    while now < before + seconds:
        now += LOOK_S
        said += leases.look({NORTH: Sight(connected=now < before, epoch=1)}, now=now)
    return said


def test_a_site_may_be_away_for_as_long_as_a_restart_takes() -> None:
    assert away_for(GRACE_S - 1) == []


def test_a_site_that_is_away_for_longer_is_gone() -> None:
    verdict = away_for(GRACE_S + 1)[0]

    assert verdict.decision is Decision.GONE
    assert verdict.error is not None
    assert verdict.error.code == "TF460"


def test_a_line_that_comes_and_goes_is_no_sign_of_life() -> None:
    leases = Leases(PLAN, {NORTH: KNOWN}, {NORTH: Sight(connected=True, epoch=1)}, now=0.0)
    decided = [
        verdict.decision
        for step in range(1, 200)
        for verdict in leases.look(
            {NORTH: Sight(connected=step % 20 < 10, epoch=1)}, now=float(step)
        )
    ]

    assert Decision.STALLED in decided


# -- asked again ---------------------------------------------------------------------------


def restarted(epochs: list[int], *, before: int = 1) -> list[Verdict]:
    """Look a second apart at a site whose epochs are these; ask again when told to."""
    leases = Leases(PLAN, {}, {NORTH: Sight(connected=True, epoch=before)}, now=0.0)
    said = list[Verdict]()
    for step, epoch in enumerate(epochs, start=1):
        for verdict in leases.look({NORTH: Sight(connected=True, epoch=epoch)}, now=float(step)):
            said.append(verdict)
            if verdict.decision is Decision.ASK_AGAIN:
                leases.asked_again(NORTH)
    return said


def test_a_site_that_started_anew_is_asked_again_once() -> None:
    assert [one.decision for one in restarted([1, 2, 2, 2, 2])] == [Decision.ASK_AGAIN]


def test_two_processes_that_start_one_after_the_other_are_one_restart() -> None:
    leases = Leases(PLAN, {}, {NORTH: Sight(connected=True, epoch=1)}, now=0.0)
    said, now = 0, 0.0
    for epoch in (2, 3, 4, 4, 4, 4, 4, 4):
        now += 0.9 * SETTLED_S
        for _ in leases.look({NORTH: Sight(connected=True, epoch=epoch)}, now=now):
            leases.asked_again(NORTH)
            said += 1

    assert said == 1


def test_an_epoch_that_is_not_said_means_nothing() -> None:
    assert restarted([0, 0, 1, 0, 1]) == []
    assert restarted([5, 5, 5], before=0) == []


def test_the_epoch_last_known_counts_for_a_site_that_was_away_when_asked() -> None:
    leases = Leases(PLAN, {}, {NORTH: Sight()}, now=0.0, epochs={NORTH: 1})
    back = {NORTH: Sight(connected=True, epoch=2)}
    leases.look(back, now=1.0)

    (verdict,) = leases.look(back, now=2.0)

    assert verdict.decision is Decision.ASK_AGAIN


def test_asking_that_was_not_possible_is_said_again_at_the_next_look() -> None:
    leases = Leases(PLAN, {}, {NORTH: Sight(connected=True, epoch=1)}, now=0.0)
    anew = {NORTH: Sight(connected=True, epoch=2)}
    leases.look(anew, now=1.0)

    decided = [leases.look(anew, now=now)[0].decision for now in (2.0, 3.0, 4.0)]

    assert decided == 3 * [Decision.ASK_AGAIN]


def test_a_site_that_never_comes_online_again_is_given_up_all_the_same() -> None:
    leases = Leases(PLAN, {NORTH: KNOWN}, {NORTH: Sight(connected=True, epoch=1)}, now=0.0)
    anew = {NORTH: Sight(connected=True, epoch=2)}
    decided = {
        verdict.decision for now in range(1, 70) for verdict in leases.look(anew, now=float(now))
    }

    assert Decision.STALLED in decided


def test_a_node_that_crashes_again_and_again_is_given_up() -> None:
    said = restarted([epoch for epoch in range(2, 20) for _ in range(3)])
    decided = [one.decision for one in said]

    assert decided[: MOST_RESTARTS + 1] == [
        *(MOST_RESTARTS * [Decision.ASK_AGAIN]),
        Decision.RESTARTING,
    ]
    error = said[MOST_RESTARTS].error
    assert error is not None
    assert (error.code, error.values["times"]) == ("TF464", MOST_RESTARTS + 1)


# -- stragglers -------------------------------------------------------------------------


def test_a_slow_line_straggles_as_soon_as_the_quorum_replied() -> None:
    slow = Hospital(out_s=MBIT_S, in_s=MBIT_S)
    fast = {NORTH: Hospital(), SOUTH: Hospital()}
    quorum_at = max(one.replies_at for one in fast.values())
    said = play({**fast, EAST: slow})

    assert given_up(said) == {EAST: (pytest.approx(quorum_at, abs=1.0), Decision.STRAGGLER)}
    error = said[-1][1].error
    assert error is not None
    assert error.code == "TF462"


def test_a_slow_site_whose_others_are_slow_too_is_waited_for() -> None:
    slow = Hospital(out_s=MBIT_S, in_s=MBIT_S)
    slower = Hospital(out_s=0.6 * MBIT_S, in_s=0.6 * MBIT_S)

    assert given_up(play({NORTH: slow, SOUTH: slow, EAST: slower})) == {}


@IN_ITS_TIME
@given(others_s=st.floats(min_value=0.1, max_value=100.0), worth=st.floats(0.0, 0.99))
def test_nobody_is_left_out_who_would_cost_little_time(others_s: float, worth: float) -> None:
    plan = replace(PLAN, model_bytes=0, reply_bytes=0)
    fast = Hospital(model_bytes=0, loading_s=0.0, batch_s=others_s / 20)
    late = replace(fast, batch_s=(others_s + worth * WORTH_WAITING_S) / 20)

    assert given_up(play({NORTH: fast, SOUTH: fast, EAST: late}, plan=plan)) == {}


@IN_ITS_TIME
@given(claims=st.lists(st.integers(5, 9), min_size=30, max_size=30), pace=st.booleans())
def test_whatever_a_site_says_it_holds_nobody_up_for_long_after_the_quorum(
    claims: list[int], pace: bool
) -> None:
    plan = replace(PLAN, model_bytes=0, reply_bytes=0)
    here = {NORTH: Sight(connected=True)}
    paces = {NORTH: KNOWN} if pace else {}
    leases = Leases(plan, paces, here, now=0.0, before={SOUTH: 2.0, EAST: 4.0})
    bound_s = 2 * (SLOWER * 4.0 + WORTH_WAITING_S)
    decided: list[Decision] = []
    for step in range(1, int(bound_s) + 2):
        lie = Sight(
            connected=True,
            busy=True,
            run=RUN,
            round=2,
            batches_done=claims[step % 30],
            batches_total=10,
            bytes_in=step * 50_000,
        )
        decided += [verdict.decision for verdict in leases.look({NORTH: lie}, now=float(step))]

    assert Decision.STRAGGLER in decided


def test_a_site_that_hangs_costs_the_others_only_their_patience_once_they_suffice() -> None:
    fast = Hospital(model_bytes=0, loading_s=0.0)
    plan = replace(PLAN, model_bytes=0, reply_bytes=0)
    hanging = replace(fast, stuck_at=3.0)
    said = play({NORTH: fast, SOUTH: fast, EAST: hanging}, plan=plan, paces={EAST: KNOWN})

    at, decision = given_up(said)[EAST]
    assert decision is Decision.STRAGGLER
    assert at <= 3.0 + SLOWER * fast.replies_at + WORTH_WAITING_S + 2


def test_an_evaluation_waits_longer_because_no_round_follows_it() -> None:
    plan = replace(PLAN, kind="evaluate", model_bytes=0, reply_bytes=0)
    leases = Leases(plan, {}, {NORTH: Sight(connected=True)}, now=0.0, before={SOUTH: 2, EAST: 2})
    said = [
        (now, verdict.decision)
        for now in range(1, 3000)
        for verdict in leases.look({NORTH: Sight(connected=True)}, now=float(now))
        if verdict.decision in GIVEN_UP
    ]

    assert said[0] == (FIRST_S + 1, Decision.STALLED)


def test_a_site_that_loads_its_cohort_for_the_first_time_is_given_twice_the_patience() -> None:
    fast = Hospital(model_bytes=0, loading_s=0.0)
    plan = replace(PLAN, model_bytes=0, reply_bytes=0)
    patience_s = SLOWER * fast.replies_at + WORTH_WAITING_S
    loading = replace(fast, loading_s=fast.replies_at + patience_s)

    assert given_up(play({NORTH: fast, SOUTH: fast, EAST: loading}, plan=plan)) == {}
    assert EAST in given_up(
        play({NORTH: fast, SOUTH: fast, EAST: loading}, plan=plan, paces={EAST: KNOWN})
    )


def test_replies_from_before_a_crash_count_for_the_quorum() -> None:
    leases = Leases(
        replace(PLAN, quorum=2),
        {NORTH: Pace(out_bytes_s=(MBIT_S,), in_bytes_s=(MBIT_S,))},
        {NORTH: Sight(connected=True), SOUTH: Sight(connected=True)},
        now=0.0,
        before={SOUTH: 5.0, EAST: 6.0},
    )

    assert leases.waiting == (NORTH,)
    (verdict,) = leases.look({NORTH: Sight(connected=True)}, now=0.25)
    assert verdict.decision is Decision.STRAGGLER


def test_nobody_straggles_before_the_quorum_replied() -> None:
    pace = Pace(out_bytes_s=(MBIT_S,), in_bytes_s=(MBIT_S,))
    leases = Leases(
        PLAN, {NORTH: pace}, {NORTH: Sight(connected=True)}, now=0.0, before={SOUTH: 5.0}
    )

    assert leases.look({NORTH: Sight(connected=True)}, now=0.25) == []


# -- time in which nobody looked -----------------------------------------------------------


@IN_ITS_TIME
@given(gap_s=st.floats(min_value=BLIND_S + 0.1, max_value=1e6), away=st.booleans())
def test_a_coordinator_that_slept_kills_nobody(gap_s: float, away: bool) -> None:
    leases = Leases(
        PLAN,
        {NORTH: KNOWN, SOUTH: KNOWN},
        {NORTH: Sight(connected=True), SOUTH: Sight(connected=True)},
        now=0.0,
        before={EAST: 1.0},
    )
    sights = {NORTH: Sight(connected=True), SOUTH: Sight(connected=not away)}
    leases.look(sights, now=20.0)

    assert leases.look(sights, now=20.0 + gap_s) == []


def test_after_a_sleep_leases_run_from_anew() -> None:
    leases = Leases(PLAN, {NORTH: KNOWN}, {NORTH: Sight(connected=True)}, now=0.0)
    gone = {NORTH: Sight(connected=False)}
    now = 1e6
    leases.look(gone, now=now)
    decided: list[Decision] = []
    for _ in range(int(GRACE_S) + 2):
        now += 1.0
        decided += [verdict.decision for verdict in leases.look(gone, now=now)]

    assert decided[0] is Decision.GONE
    assert len(decided) == 2


def test_what_was_waited_before_a_sleep_counts_no_more() -> None:
    leases = Leases(
        PLAN,
        {NORTH: KNOWN, SOUTH: KNOWN},
        {NORTH: Sight(connected=True), SOUTH: Sight(connected=True)},
        now=0.0,
    )
    sights = {NORTH: Sight(connected=False), SOUTH: Sight(connected=True)}
    watched_s = 0.9 * min(GRACE_S, SILENT_S / 2)
    now, decided = 0.0, []
    for start in (0.0, 1e3, 1e4):
        now = start
        while now < start + watched_s:
            decided += leases.look(sights, now=now)
            now += 1.0

    assert decided == []


def test_a_centre_that_answers_now_and_then_only_judges_nobody() -> None:
    leases = Leases(PLAN, {NORTH: KNOWN}, {NORTH: Sight(connected=True)}, now=0.0)

    for step in range(1, 100):
        late = leases.look({NORTH: Sight(connected=False)}, now=step * (BLIND_S + 1))
        assert late == []


# -- pace --------------------------------------------------------------------------------


def test_the_pace_of_a_line_and_a_machine_is_what_was_seen() -> None:
    site = Hospital(out_s=2 * MBIT_S, in_s=MBIT_S, batch_s=1.5, batches=20)
    leases = Leases(PLAN, {}, {NORTH: site.at(0.0)}, now=0.0)
    now = 0.0
    while now < site.replies_at:
        now += LOOK_S
        leases.look({NORTH: site.at(now)}, now=now)
    pace = leases.replied(NORTH, now=now)

    assert pace is not None
    assert pace.out_bytes_s[0] == pytest.approx(2 * MBIT_S, rel=0.05)
    assert pace.in_bytes_s[0] == pytest.approx(MBIT_S, rel=0.05)
    assert pace.batch_s[0] == pytest.approx(1.5, rel=0.1)
    assert pace.batches == (20,)
    assert expected_s(pace, PLAN) == pytest.approx(site.replies_at, rel=0.1)


@IN_ITS_TIME
@given(st.lists(st.floats(min_value=0.1, max_value=10.0), min_size=RECENT, max_size=20))
def test_one_bad_round_hardly_changes_what_is_expected(batch_s: list[float]) -> None:
    usual = Pace(batch_s=(1.0, 1.0, 1.0, 1.0, 1.0), batches=(10.0,))
    spoilt = usual.after(
        Measured(Steps(10, 10, 0.0, 0, 10 * max(batch_s)), Flow(0, 0, 0), Flow(0, 0, 0), 1.0)
    )

    assert expected_s(spoilt, PLAN) == expected_s(usual, PLAN)
    assert len(spoilt.batch_s) == RECENT


def test_what_was_never_measured_is_not_expected() -> None:
    assert expected_s(Pace(), PLAN) is None
    assert left_s(Pace(), PLAN, Measured(Steps(), Flow(0, 0, 0), Flow(0, 0, 0), 0.0)) == 0.0


@IN_ITS_TIME
@given(
    steps=st.lists(st.integers(min_value=0, max_value=10**9), max_size=50),
    every=st.floats(min_value=0.01, max_value=5.0),
)
def test_no_byte_is_lost_or_counted_twice(steps: list[int], every: float) -> None:
    flow, counter = Flow(0, 0.0, 0.0), 0
    for number, came in enumerate(steps, start=1):
        counter += came
        flow, _ = flow.seen(counter, number * every)

    assert flow.total == sum(steps)
    assert flow.streamed <= flow.total + IDLE_BYTES


def test_a_counter_that_begins_again_is_no_loss() -> None:
    flow, _ = Flow(10**9, 0.0, 0.0).seen(10**9 + 500, 1.0)
    flow, moved = flow.seen(100_000, 2.0)

    assert moved
    assert flow.total == 100_500


def test_a_site_begun_anew_is_not_measured_from_its_first_attempt() -> None:
    steps = Steps().seen(Sight(batches_done=8, batches_total=10), 10.0)
    steps = steps.seen(Sight(batches_done=1, batches_total=10), 50.0)
    steps = steps.seen(Sight(batches_done=3, batches_total=10), 52.0)

    assert steps.batch_s == 1.0
    assert steps.left == 7


def test_a_stranger_or_a_second_reply_changes_nothing() -> None:
    leases = Leases(PLAN, {}, {NORTH: Sight(connected=True)}, now=0.0)

    assert leases.replied(EAST, now=1.0) is None
    assert leases.replied(NORTH, now=1.0) is not None
    assert leases.replied(NORTH, now=2.0) is None
