"""Whose turn it is: limits hold, priorities count, nobody waits for ever."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.domain.ids import SiteId, StudyId
from federation.domain.queue import (
    HIGHEST_PRIORITY,
    LOWEST_PRIORITY,
    PASSED_PER_STEP,
    QUEUE,
    Claim,
    Limits,
    QueueState,
    grant,
)

SITES = [SiteId(name) for name in ("north", "centre", "south", "east")]
STUDIES = [StudyId(f"s{number}") for number in range(6)]


def a_claim(study: str, *sites: str, priority: int = 5, ticket: int = 0, passed: int = 0) -> Claim:
    named = frozenset(SiteId(site) for site in sites or ("north",))
    return Claim(StudyId(study), named, priority=priority, ticket=ticket, passed=passed)


site_sets = st.frozensets(st.sampled_from(SITES), min_size=1)
limits = st.builds(Limits, per_site=st.integers(1, 3), per_centre=st.integers(1, 4))


@st.composite
def claims(draw: st.DrawFn, *, studies: Sequence[StudyId] = STUDIES) -> list[Claim]:
    chosen = draw(st.lists(st.sampled_from(studies), unique=True))
    return [
        Claim(
            study,
            draw(site_sets),
            priority=draw(st.integers(LOWEST_PRIORITY, HIGHEST_PRIORITY)),
            ticket=draw(st.integers(0, 9)),
            passed=draw(st.integers(0, 40)),
        )
        for study in chosen
    ]


served_times = st.dictionaries(st.sampled_from(STUDIES), st.integers(0, 50))


@given(claims(), limits, served_times)
def test_no_limit_is_ever_exceeded(
    waiting: list[Claim], limits: Limits, served: dict[StudyId, int]
) -> None:
    first = grant(waiting, [], limits, served)
    running = [claim for claim in waiting if claim.study in first]
    rest = [claim for claim in waiting if claim.study not in first]
    both = [*running, *(one for one in rest if one.study in grant(rest, running, limits, served))]

    assert len(both) <= limits.per_centre
    load = Counter(site for claim in both for site in claim.sites)
    assert all(count <= limits.per_site for count in load.values())


@given(claims(), claims(studies=[StudyId("r0"), StudyId("r1")]), limits, served_times, st.randoms())
def test_the_answer_does_not_depend_on_the_order_of_the_question(
    waiting: list[Claim],
    running: list[Claim],
    limits: Limits,
    served: dict[StudyId, int],
    random: object,
) -> None:
    shuffled = list(waiting)
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    assert grant(waiting, running, limits, served) == grant(shuffled, running, limits, served)


@given(claims(), limits, served_times)
def test_with_nothing_running_somebody_always_goes(
    waiting: list[Claim], limits: Limits, served: dict[StudyId, int]
) -> None:
    assert bool(grant(waiting, [], limits, served)) == bool(waiting)


@given(
    st.lists(st.tuples(site_sets, st.integers(0, 9), st.integers(1, 4)), min_size=2, max_size=6),
    limits,
)
def test_nobody_starves_among_studies_that_ask_again_and_again(
    plans: list[tuple[frozenset[SiteId], int, int]], limits: Limits
) -> None:
    """Every study asks again as soon as its turn is over; turns last 1 to 4 steps."""
    longest = (HIGHEST_PRIORITY + 2) * PASSED_PER_STEP + 8 * len(plans)
    waiting = {
        StudyId(f"s{n}"): Claim(StudyId(f"s{n}"), sites, priority, ticket=n)
        for n, (sites, priority, _) in enumerate(plans)
    }
    ends: dict[StudyId, int] = {}
    running: dict[StudyId, Claim] = {}
    served: dict[StudyId, int] = {}
    turns = len(plans)
    for step in range(400):
        for study in [one for one, end in ends.items() if end <= step]:
            turns += 1
            del ends[study]
            waiting[study] = replace(running.pop(study), ticket=turns, passed=0)
        for study in grant(waiting.values(), list(running.values()), limits, served):
            turns += 1
            served[study] = turns
            running[study] = waiting.pop(study)
            ends[study] = step + plans[int(study[1:])][2]
            waiting = {
                one: replace(claim, passed=claim.passed + 1) for one, claim in waiting.items()
            }
        assert all(claim.passed <= longest for claim in waiting.values())


def test_the_higher_priority_goes_first() -> None:
    waiting = [a_claim("low", priority=4, ticket=1), a_claim("high", priority=6, ticket=2)]

    assert grant(waiting, [], Limits(), {}) == (StudyId("high"),)


def test_among_equals_whoever_was_served_longest_ago_goes_first() -> None:
    waiting = [a_claim("often", ticket=1), a_claim("seldom", ticket=2), a_claim("new", ticket=3)]
    served = {StudyId("often"): 9, StudyId("seldom"): 4}

    assert grant(waiting, [], Limits(), served) == (StudyId("new"),)
    assert grant(waiting[:2], [], Limits(), served) == (StudyId("seldom"),)


def test_a_study_gets_all_of_its_sites_or_none() -> None:
    running = [a_claim("other", "south")]

    assert grant([a_claim("one", "north", "south")], running, Limits(), {}) == ()


def test_studies_without_a_common_site_run_side_by_side() -> None:
    waiting = [a_claim("one", "north"), a_claim("two", "south")]

    assert grant(waiting, [], Limits(), {}) == (StudyId("one"), StudyId("two"))


def test_who_waits_ahead_keeps_its_sites_from_those_behind() -> None:
    running = [a_claim("other", "south")]
    waiting = [a_claim("wide", "north", "south", priority=6), a_claim("narrow", "north")]

    assert grant(waiting, running, Limits(), {}) == ()


def test_who_waits_ahead_does_not_stop_those_that_share_no_site_with_it() -> None:
    running = [a_claim("other", "south")]
    waiting = [a_claim("wide", "north", "south", priority=6), a_claim("apart", "east")]

    assert grant(waiting, running, Limits(), {}) == (StudyId("apart"),)


def test_being_passed_over_raises_a_study_above_a_higher_priority() -> None:
    waiting = [a_claim("high", priority=6), a_claim("low", priority=5, passed=2 * PASSED_PER_STEP)]

    assert grant(waiting, [], Limits(), {}) == (StudyId("low"),)


def test_a_limit_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Limits(per_site=0)


def test_an_ended_study_may_be_launched_again_and_nothing_else() -> None:
    assert QUEUE.table[QueueState.ENDED] == {QueueState.WAITING}
