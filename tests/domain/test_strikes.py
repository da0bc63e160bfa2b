"""Who is asked in the next round, and who is paused after three failures in a row."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.domain.ids import SiteId
from federation.domain.strikes import STRIKES, Attendance, Pause, is_own_no, paused, selectable
from federation.errors import all_errors

NORTH, SOUTH, EAST = SiteId("north"), SiteId("south"), SiteId("east")
STALLED, STRAGGLED, OUT_OF_BUDGET, WITHDRAWN = "TF461", "TF462", "TF630", "TF343"
OK = ""


def rounds(*north: str | None) -> list[Attendance]:
    """Return rounds in which SOUTH replies and NORTH fails with these codes; None: not asked."""
    return [
        Attendance(
            number,
            frozenset({SOUTH, NORTH} if code == OK else {SOUTH}),
            {NORTH: code} if code else {},
        )
        for number, code in enumerate(north, start=1)
    ]


def test_three_failed_rounds_in_a_row_pause_a_site_with_their_codes() -> None:
    assert paused(rounds(OK, STALLED, "TF415", STALLED)) == {
        NORTH: Pause(NORTH, (2, 3, 4), (STALLED, "TF415", STALLED))
    }


def test_two_are_not_enough() -> None:
    assert paused(rounds(STALLED, STALLED)) == {}


def test_a_reply_in_between_starts_the_count_anew() -> None:
    assert paused(rounds(STALLED, STALLED, OK, STALLED, STALLED)) == {}


def test_rounds_in_which_it_was_not_asked_do_not_count() -> None:
    assert NORTH in paused(rounds(STALLED, None, STALLED, None, None, STALLED))


def test_a_straggler_is_welcome_the_next_round_and_paused_after_three() -> None:
    assert paused(rounds(STRAGGLED)) == {}
    assert NORTH in paused(rounds(STRAGGLED, STRAGGLED, STRAGGLED))


def test_a_no_of_the_hospitals_own_people_never_pauses_it() -> None:
    assert paused(rounds(*(10 * [OUT_OF_BUDGET]))) == {}
    assert paused(rounds(STALLED, STALLED, WITHDRAWN, STALLED, STALLED)) == {}


def test_readmission_starts_the_count_anew() -> None:
    failed = rounds(STALLED, STALLED, STALLED, None, STALLED, STALLED)

    assert NORTH in paused(failed)
    assert paused(failed, {NORTH: 4}) == {}
    assert paused([*failed, *rounds(*6 * [None], STALLED)[6:]], {NORTH: 4}) == {
        NORTH: Pause(NORTH, (5, 6, 7), 3 * (STALLED,))
    }


def test_a_pause_reads_as_a_coded_error_with_the_way_back() -> None:
    error = Pause(NORTH, (2, 3, 4), (STALLED, "TF415", STALLED)).as_error()

    assert error.code == "TF463"
    assert "2, 3, 4" in error.say_what()
    assert "trifed study readmit STUDY north" in error.say_next_step()


@given(st.lists(st.sampled_from([OK, None, STALLED, OUT_OF_BUDGET]), max_size=12))
def test_nobody_is_paused_whose_last_three_answers_were_not_all_failures(
    codes: list[str | None],
) -> None:
    asked = [code for code in codes if code is not None]
    failing = len(asked) >= STRIKES and all(code == STALLED for code in asked[-STRIKES:])

    assert (NORTH in paused(rounds(*codes))) == failing


@pytest.mark.parametrize(
    ("code", "own"),
    [
        ("TF320", True),  # not approved
        ("TF322", True),  # policy
        ("TF336", True),  # outside hours
        ("TF343", True),  # approval withdrawn
        ("TF630", True),  # budget spent
        ("TF641", True),  # too small a group
        ("TF326", False),  # signed by another key: found at the centre
        ("TF346", False),  # its clock was set back
        ("TF415", False),  # ended without a reply
        ("TF460", False),
        ("TF603", False),  # training diverged
        ("TF631", False),  # its book is damaged
    ],
)
def test_which_codes_are_a_hospitals_own_no(code: str, own: bool) -> None:
    assert code in all_errors()
    assert is_own_no(code) is own


@given(
    *3 * [st.frozensets(st.sampled_from([NORTH, SOUTH, EAST]))],
)
def test_whoever_approved_and_is_there_and_not_paused_is_asked_by_name(
    approved: frozenset[SiteId], away: frozenset[SiteId], there: frozenset[SiteId]
) -> None:
    chosen = selectable(approved, away, there)

    assert list(chosen) == sorted(approved & there - away)


def test_a_hospital_that_approves_late_joins_the_next_round() -> None:
    there = [NORTH, SOUTH, EAST]

    assert selectable([NORTH, SOUTH], [], there) == (NORTH, SOUTH)
    assert selectable([NORTH, SOUTH, EAST], [], there) == (EAST, NORTH, SOUTH)
