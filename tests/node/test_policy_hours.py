"""Hours of a policy: windows in local time, past midnight, over the end of summer time."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.policy.hours import Hours

TAIPEI = ZoneInfo("Asia/Taipei")
SATURDAY = datetime(2026, 11, 21, tzinfo=TAIPEI)


def at(hour: int, minute: int = 0, *, day: int = 0) -> datetime:
    return SATURDAY + timedelta(days=day, hours=hour, minutes=minute)


@pytest.mark.parametrize(
    ("window", "moment", "inside"),
    [
        ("sat 08:00-12:00", at(8), True),
        ("sat 08:00-12:00", at(7, 59), False),
        ("sat 08:00-12:00", at(12), False),
        ("sat 08:00-12:00", at(8, day=1), False),
        ("sat 22:00-06:00", at(5, 59, day=1), True),
        ("sat 22:00-06:00", at(6, day=1), False),
        ("fri 22:00-06:00", at(3), True),
        ("sat-sun 00:00-24:00", at(23, 59, day=1), True),
        ("fri-mon 10:00-11:00", at(10, day=2), True),
        ("tue-thu 10:00-11:00", at(10), False),
    ],
)
def test_a_window_holds_from_its_start_to_before_its_end(
    window: str, moment: datetime, inside: bool
) -> None:
    hours = Hours.parse([window], "Asia/Taipei")

    assert hours.are_open(moment) is inside
    assert hours.are_open(moment.astimezone(UTC)) is inside


def test_without_windows_every_moment_is_inside() -> None:
    assert Hours.parse([], "nowhere").are_open(at(3))


def test_the_next_opening_is_the_first_of_any_window() -> None:
    hours = Hours.parse(["mon-fri 20:00-06:00", "sun 09:00-10:00"], "Asia/Taipei")

    assert hours.next_opening(at(12)) == at(9, day=1)
    assert hours.next_opening(at(11, day=1)) == at(20, day=2)
    assert hours.next_opening(at(9, 30, day=1)) == at(9, 30, day=1)


def test_a_window_of_one_day_opens_again_after_a_week() -> None:
    hours = Hours.parse(["sat 08:00-09:00"], "Asia/Taipei")

    assert hours.next_opening(at(9)) == at(8, day=7)


def test_local_time_decides_where_clocks_change() -> None:
    hours = Hours.parse(["sun 04:00-05:00"], "Europe/Berlin")

    assert hours.are_open(datetime(2026, 10, 25, 3, 30, tzinfo=UTC))
    assert not hours.are_open(datetime(2026, 10, 25, 2, 30, tzinfo=UTC))


@given(
    st.integers(0, 6), st.integers(0, 1439), st.integers(1, 1440), st.integers(0, 7 * 1440)
)  # fmt: skip
def test_the_next_opening_is_open_and_nothing_before_it_is(
    day: int, start: int, end: int, minute: int
) -> None:
    if start == end:
        return
    names = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    text = f"{names[day]} {start // 60:02}:{start % 60:02}-{end // 60:02}:{end % 60:02}"
    hours, now = Hours.parse([text], "Asia/Taipei"), SATURDAY + timedelta(minutes=minute)
    opening = hours.next_opening(now)

    assert now <= opening <= now + timedelta(days=7)
    assert hours.are_open(opening)
    if opening > now:
        assert not hours.are_open(opening - timedelta(minutes=1))


@pytest.mark.parametrize(
    "window",
    ["", "sat", "sat 8:00-9:00", "sat 25:00-26:00", "sat 24:00-08:00", "sat 08:00-24:01",
     "sat 08:00-08:00", "sam 08:00-09:00", "sat-xyz 08:00-09:00", "SAT 08:00-09:00"],
)  # fmt: skip
def test_a_misspelled_window_is_refused(window: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        Hours.parse([window], "Asia/Taipei")


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../../etc/passwd", "/etc/passwd"])
def test_an_unknown_time_zone_is_refused(zone: str) -> None:
    with pytest.raises(ValueError, match="time zone"):
        Hours.parse(["sat 08:00-09:00"], zone)
