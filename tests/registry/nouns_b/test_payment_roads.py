"""Payments: each move without each piece, old reports, expired licences, days and the clock."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from federation.errors.evidence_nouns import PaymentGuardError
from federation.errors.moves import MoveNotListedError, RecordShapeError
from registry import reimbursement
from registry.roles import Role
from registry.timers.clocks import add_months, payment_ends
from tests.registry.nouns_b.bodies import (
    BOTH,
    LICENSED,
    application,
    move,
    payment,
    person,
    put,
    read,
)
from tests.registry.nouns_b.test_clocks import tick
from tests.registry.nouns_b.test_guards import (
    DEV,
    EVIDENCE,
    NHI_C,
    NHI_S,
    again,
    at_hta,
    licensed,
    paid,
    refused,
)
from tests.registry.record_builders import NOW, Desk

NOUN = reimbursement.NOUN


def held(desk: Desk, number: str, actor: Any = NHI_S) -> list[type]:
    return refused(desk, NOUN, "pay", number, actor)


def in_htr(desk: Desk) -> None:
    at_hta(desk)
    move(desk, NOUN, "pay", "P2", NHI_S, NHI_C)
    move(desk, NOUN, "pay", "P3", NHI_S)


def test_each_reassessment_needs_a_report_of_its_own_time(desk: Desk) -> None:
    in_htr(desk)
    again(desk, evidence=EVIDENCE, restriction=BOTH)
    move(desk, NOUN, "pay", "P4", NHI_S, NHI_C)
    move(desk, NOUN, "pay", "P7", NHI_S)
    for number in ("P4", "P5", "P6"):
        assert held(desk, number) == [PaymentGuardError], "the old report"
    again(desk, "HTR 118-2", evidence=EVIDENCE, restriction=BOTH)
    assert move(desk, NOUN, "pay", "P5", NHI_S, NHI_C).state == "restricted"


def test_a_reassessment_written_before_it_began_does_not_count(desk: Desk) -> None:
    at_hta(desk)
    again(desk)  # before two years of data, with everything else
    move(desk, NOUN, "pay", "P2", NHI_S, NHI_C)
    move(desk, NOUN, "pay", "P3", NHI_S)
    paid(
        desk,
        evidence=EVIDENCE,
        reassessment=desk.records.get(NOUN.name, "pay").body["reassessment"],
    )
    assert held(desk, "P4") == [PaymentGuardError]


@pytest.mark.parametrize("field", ["assessment", "tariff", "start", "reassessment", "restriction"])
def test_what_is_paid_is_not_what_the_applicant_wrote(desk: Desk, field: str) -> None:
    licensed(desk)
    full = payment(restriction=BOTH, evidence=EVIDENCE)
    both = ("start", "end") if field == "start" else (field,)
    report = {"report": full["assessment"]["report"], "date": "2028-08-01", "reference": "x"}
    told = {name: full[name] or report for name in both}
    put(desk, NOUN, "pay", application(**told), DEV)
    move(desk, NOUN, "pay", "P1", DEV)
    kept_as = {"restriction": BOTH} | told
    paid(desk, **kept_as)  # the insurer leaves it as it is
    assert held(desk, "P2") == [PaymentGuardError]
    paid(desk, **(full | dict.fromkeys(both)))
    paid(desk, **kept_as)
    assert move(desk, NOUN, "pay", "P2", NHI_S, NHI_C).state == "provisional"


def test_nothing_is_paid_on_a_licence_that_expired_or_is_another(desk: Desk) -> None:
    licensed(desk)
    put(desk, NOUN, "pay", application(licence="MOHW-MD-(I)-000001"), DEV)
    assert held(desk, "P1", DEV) == [PaymentGuardError]
    put(desk, NOUN, "pay", application(), DEV)
    move(desk, NOUN, "pay", "P1", DEV)
    last = datetime.fromisoformat(f"{LICENSED['expires']}T23:59:59+08:00")
    paid(desk, start="2031-05-01T00:00:00Z", end="2032-05-01T00:00:00Z")
    desk.clock.now = last + timedelta(seconds=1)
    assert held(desk, "P2") == [PaymentGuardError]
    desk.clock.now = last
    assert move(desk, NOUN, "pay", "P2", NHI_S, NHI_C).state == "provisional"
    desk.clock.now = last + timedelta(days=2)
    move(desk, NOUN, "pay", "P3", NHI_S)
    again(desk, evidence=EVIDENCE, restriction=BOTH)
    for number in ("P4", "P5"):
        assert held(desk, number) == [PaymentGuardError]
    assert move(desk, NOUN, "pay", "P6", NHI_S, NHI_C).state == "exited", "ending needs none"


def test_a_payment_that_would_be_over_is_not_granted(desk: Desk) -> None:
    at_hta(desk, start="2024-08-01T00:00:00Z", end="2026-08-01T00:00:00Z")
    assert held(desk, "P2") == [PaymentGuardError]


def test_an_end_is_an_end(desk: Desk) -> None:
    at_hta(desk)
    move(desk, NOUN, "pay", "P6", NHI_S, NHI_C)
    for number in ("P1", "P2", "P3", "P4", "P5", "P6", "P7"):
        with pytest.raises(MoveNotListedError):
            move(desk, NOUN, "pay", number, NHI_S)
    with pytest.raises(MoveNotListedError):
        paid(desk)


def test_nobody_writes_while_a_provisional_payment_runs(desk: Desk) -> None:
    at_hta(desk)
    move(desk, NOUN, "pay", "P2", NHI_S, NHI_C)
    for author in (DEV, person(Role.NHI_S, "writer")):
        with pytest.raises(MoveNotListedError):
            put(desk, NOUN, "pay", payment(end="2027-01-01T00:00:00Z"), author)


# days


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2026-02-28T16:00:00Z", "2028-02-29T16:00:00Z"),  # 1 March to 1 March in Taipei
        ("2028-02-28T16:00:00Z", "2030-02-27T16:00:00Z"),  # 29 to 28 February there
        ("2028-02-29T16:00:00Z", "2030-02-28T16:00:00Z"),  # 1 March to 1 March
        ("2026-12-31T16:00:00Z", "2028-12-31T16:00:00Z"),  # new year to new year
        ("2027-01-31T15:59:59Z", "2029-01-31T15:59:59Z"),
    ],
)
def test_two_years_are_those_of_the_calendar_in_taipei(start: str, end: str) -> None:
    began, ends = (datetime.fromisoformat(one) for one in (start, end))
    assert payment_ends(began) == ends
    read(NOUN, payment(start=start, end=end))
    later = (ends + timedelta(seconds=1)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    with pytest.raises(RecordShapeError):
        read(NOUN, payment(start=start, end=later))


def test_months_are_the_same_whatever_zone_a_time_is_written_in() -> None:
    utc = datetime(2026, 11, 30, 16, tzinfo=UTC)  # 1 December in Taipei
    taipei = datetime.fromisoformat("2026-12-01T00:00:00+08:00")
    for months, expected in ((3, "2027-03-01"), (15, "2028-03-01"), (24, "2028-12-01")):
        found = [add_months(one, months) for one in (utc, taipei)]
        assert found[0] == found[1] == datetime.fromisoformat(f"{expected}T00:00:00+08:00")


def test_the_clock_acts_once_late_or_turned_back(desk: Desk) -> None:
    at_hta(desk)
    move(desk, NOUN, "pay", "P2", NHI_S, NHI_C)
    end = NOW.replace(year=2028)
    assert tick(desk, end + timedelta(days=700))[0] == ["reimbursement/pay"], "late"
    assert tick(desk, end + timedelta(days=700)) == ([], []), "twice"
    assert tick(desk, end - timedelta(days=30)) == ([], []), "turned back"
    history = desk.records.history(NOUN.name, "pay")
    assert [one.action for one in history].count("P3") == 1 and history[-1].state == "htr"
