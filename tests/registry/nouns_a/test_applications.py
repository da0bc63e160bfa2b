"""An application goes the way of the rules; deadlines are those of Taiwan's working days."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from federation.errors import PlatformError, ProblemsFound
from federation.errors.core import FileMissingError, InvalidValueError
from federation.errors.governance import (
    ApplicationIncompleteError,
    ApplicationRuleError,
    ApprovedContentError,
)
from registry.applications import NOUN, PUBLICATION
from registry.applications.clocks import rules
from registry.applications.publications import RULES as PUBLICATION_RULES
from registry.applications.publications import deposit_due
from registry.applications.working_days import WEEKENDS, WorkingDays, read_calendar
from registry.exports import NOUN as EXPORT
from registry.roles import Role
from registry.timers.service import run
from tests.registry.nouns_a.bodies import (
    BOTH,
    DIGEST,
    OTHER,
    SETTLED,
    Json,
    application,
    export,
    move,
    person,
    publication,
    put,
)
from tests.registry.record_builders import Desk

HAO, STAFF, COUNCIL = person(Role.HAO), person(Role.NHI_S), person(Role.NHI_C)
CALENDAR = WorkingDays(
    years=frozenset({2026}),
    holidays=frozenset({date(2026, 9, 25), date(2026, 9, 28), date(2026, 10, 9)}),
    made_up=frozenset({date(2026, 10, 3)}),
)


def handed_in(desk: Desk, **changes: object) -> None:
    put(desk, NOUN, "app-1", application(**changes), HAO)
    move(desk, NOUN, "app-1", "submit", HAO)


def approved(desk: Desk, **changes: object) -> None:
    handed_in(desk, **changes)
    move(desk, NOUN, "app-1", "accept", STAFF)
    move(desk, NOUN, "app-1", "approve", COUNCIL)
    move(desk, NOUN, "app-1", "notify-fee", STAFF)


def active(desk: Desk) -> None:
    approved(desk)
    put(desk, NOUN, "app-1", application(**SETTLED), HAO)
    move(desk, NOUN, "app-1", "contract", STAFF)
    move(desk, NOUN, "app-1", "activate", STAFF)


def tick(desk: Desk, calendar: WorkingDays = CALENDAR) -> dict[str, list[str]]:
    done = run(desk.records, rules(calendar), now=desk.clock.now).as_json()
    return {name: [line["record"] for line in lines] for name, lines in done.items() if lines}


def codes(desk: Desk, number: str, role: Role) -> list[str]:
    problems = desk.records.held_back(NOUN, "app-1", number, author=person(role))
    return [f"{one.code} {one.values.get('rule', '')}".strip() for one in problems]


def test_an_application_goes_from_draft_to_close(desk: Desk) -> None:
    active(desk)
    assert desk.records.get("data-application", "app-1").state == "active"
    desk.clock.now = datetime(2027, 3, 9, 16, 0, tzinfo=UTC)  # the day is over in Taipei
    assert tick(desk) == {"moved": ["data-application/app-1"]}
    with pytest.raises(ApplicationIncompleteError):
        move(desk, NOUN, "app-1", "close", STAFF)
    closing = {"report": DIGEST, "cleared_on": "2027-03-10"}
    put(desk, NOUN, "app-1", application(**SETTLED, closing=closing), HAO)
    assert move(desk, NOUN, "app-1", "close", STAFF) == "closed"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"documents": [{"kind": "form", "sha256": DIGEST}]}, "TF830 R07"),
        ({"ethics": None}, "TF830 R08"),
        ({"ethics": {"board": "B", "number": "1", "expires": "2026-08-31"}}, "TF830 R08"),
        (
            {"applicant": {"kind": "agency", "name": BOTH, "code": "1"}},
            "TF830 R06",
        ),
        ({"handlers": [{"person": "staff-9", "own_unit": False}]}, "TF830 R04"),
        ({"rule_pack": "NHIA-AI-110"}, "TF831 R09"),
        ({"period": {"begins": "2026-08-01", "ends": "2026-08-31"}}, "TF831 R09"),
    ],
    ids=["plan", "no-ethics", "ethics-over", "letter", "stranger", "old-rules", "period-over"],
)
def test_what_a_rule_asks_for_holds_the_submission_back(
    desk: Desk, changes: Json, code: str
) -> None:
    put(desk, NOUN, "app-1", application(**changes), HAO)
    assert codes(desk, "submit", Role.HAO) == [code]
    with pytest.raises(PlatformError):
        move(desk, NOUN, "app-1", "submit", HAO)
    put(desk, NOUN, "app-1", application(), HAO)
    assert codes(desk, "submit", Role.HAO) == []


def test_the_old_rules_ask_for_ct_and_mr_from_listed_applicants_in_2021(desk: Desk) -> None:
    desk.clock.now = datetime(2021, 6, 1, tzinfo=UTC)
    fields = {
        "rule_pack": "NHIA-AI-110",
        "period": {"begins": "2021-06-10", "ends": "2021-12-31"},
        "data": application()["data"] | {"modalities": ["CT", "CR"]},
        "applicant": {"kind": "hospital", "name": BOTH, "code": "1"},
    }
    put(desk, NOUN, "app-1", application(**fields), HAO)
    assert codes(desk, "submit", Role.HAO) == ["TF831 R02", "TF831 R03"]
    with pytest.raises(ProblemsFound):
        move(desk, NOUN, "app-1", "submit", HAO)


def test_a_commissioned_body_hands_in_what_an_agency_does_but_pays(desk: Desk) -> None:
    documents = [{"kind": kind, "sha256": DIGEST} for kind in ("form", "letter")]
    body: Json = {
        "applicant": {"kind": "commissioned", "name": BOTH, "code": "1"},
        "documents": documents,
    }
    approved(desk, **body)
    waived = {"amount_twd": 0, "waived": True}
    put(desk, NOUN, "app-1", application(**body | SETTLED | {"fee": waived}), HAO)
    assert codes(desk, "contract", Role.NHI_S) == ["TF830 R18"]


def test_an_agencys_fee_may_be_waived(desk: Desk) -> None:
    documents = [{"kind": kind, "sha256": DIGEST} for kind in ("form", "letter")]
    body: Json = {
        "applicant": {"kind": "agency", "name": BOTH, "code": "1"},
        "documents": documents,
    }
    approved(desk, **body)
    waived = {"amount_twd": 0, "waived": True}
    put(desk, NOUN, "app-1", application(**body | SETTLED | {"fee": waived}), HAO)
    assert move(desk, NOUN, "app-1", "contract", STAFF) == "contracted"


@pytest.mark.parametrize(
    "changes",
    [
        {"purpose": "health-care"},
        {"period": {"begins": "2026-09-10", "ends": "2028-03-09"}},
        {"imports": []},
        {"handlers": [{"person": "staff-8", "own_unit": True}]},
        {"rule_pack": "NHIA-AI-110"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_was_approved_cannot_be_changed_afterwards(desk: Desk, changes: Json) -> None:
    approved(desk)
    put(desk, NOUN, "app-1", application(**SETTLED | changes), HAO)
    with pytest.raises(ApprovedContentError) as refused:
        move(desk, NOUN, "app-1", "contract", STAFF)
    assert refused.value.values["fields"] == next(iter(changes))


def test_pledges_and_software_may_come_after_approval_and_are_needed(desk: Desk) -> None:
    handler = {"person": "staff-7", "own_unit": True}
    software = [{"name": "R", "version": "4.5", "declaration": DIGEST}]
    approved(desk, handlers=[handler], software=software)
    late: Json = SETTLED | {"handlers": [handler], "software": software}
    put(desk, NOUN, "app-1", application(**late), HAO)
    move(desk, NOUN, "app-1", "contract", STAFF)
    assert codes(desk, "activate", Role.NHI_S) == ["TF830 R14", "TF830 R14"]
    put(desk, NOUN, "app-1", application(**SETTLED), HAO)
    assert move(desk, NOUN, "app-1", "activate", STAFF) == "active"


@pytest.mark.parametrize("part", ["fee", "contract"])
def test_fee_and_contract_come_first(desk: Desk, part: str) -> None:
    approved(desk)
    put(desk, NOUN, "app-1", application(**{k: v for k, v in SETTLED.items() if k != part}), HAO)
    with pytest.raises(ApplicationIncompleteError):
        move(desk, NOUN, "app-1", "contract", STAFF)


def test_a_certificate_that_runs_out_holds_the_opening_back(desk: Desk) -> None:
    ethics = {"board": "B", "number": "1", "expires": "2026-09-05"}
    approved(desk, ethics=ethics)
    put(desk, NOUN, "app-1", application(**SETTLED, ethics=ethics), HAO)
    move(desk, NOUN, "app-1", "contract", STAFF)
    desk.clock.turn(days=5)
    assert codes(desk, "activate", Role.NHI_S) == ["TF830 R08"]


def test_a_sanctioned_applicant_gets_nothing_for_a_year(desk: Desk) -> None:
    active(desk)
    move(desk, NOUN, "app-1", "sanction", COUNCIL)
    put(desk, NOUN, "app-2", application(), HAO)
    move(desk, NOUN, "app-2", "submit", HAO)
    move(desk, NOUN, "app-2", "accept", STAFF)
    with pytest.raises(ApplicationRuleError):
        move(desk, NOUN, "app-2", "approve", COUNCIL)
    desk.clock.now = datetime(2027, 9, 1, 8, 0, tzinfo=UTC)
    problems = desk.records.held_back(NOUN, "app-2", "approve", author=COUNCIL)
    assert "N9" not in [one.values.get("rule") for one in problems]


def test_an_undecided_export_holds_the_close_back(desk: Desk) -> None:
    active(desk)
    put(desk, EXPORT, "ex-1", export(), HAO)
    move(desk, NOUN, "app-1", "expire", STAFF)
    closing = {"report": DIGEST, "cleared_on": "2027-03-10"}
    put(desk, NOUN, "app-1", application(**SETTLED, closing=closing), HAO)
    with pytest.raises(ApplicationRuleError):
        move(desk, NOUN, "app-1", "close", STAFF)
    move(desk, EXPORT, "ex-1", "refuse", STAFF)
    assert move(desk, NOUN, "app-1", "close", STAFF) == "closed"


def test_what_was_sent_back_must_be_changed(desk: Desk) -> None:
    handed_in(desk)
    move(desk, NOUN, "app-1", "find-deficient", STAFF)
    with pytest.raises(ApplicationRuleError):
        move(desk, NOUN, "app-1", "correct", HAO)
    put(desk, NOUN, "app-1", application(plan=OTHER), HAO)
    assert move(desk, NOUN, "app-1", "correct", HAO) == "submitted"


@pytest.mark.parametrize(
    "path",
    [
        {"imports": [{"kind": "raw-data", "sha256": DIGEST, "size_bytes": 1, "what": BOTH}]},
        {"ethics": {"board": "B"}},
        {"ethics": {"board": "B", "number": "1", "expires": "2027-01-01", "exemption_code": "E1"}},
        {"period": {"begins": "2026-09-10", "ends": "2026-09-09"}},
        {"data": {"modalities": [], "fields": []}},
        {"purpose": "commerce"},
    ],
    ids=["import", "half-ethics", "both-ethics", "period", "nothing-asked", "commerce"],
)
def test_a_form_that_says_what_no_rule_allows_is_refused(desk: Desk, path: Json) -> None:
    with pytest.raises(PlatformError):
        put(desk, NOUN, "app-1", application(**path), HAO)


# deadlines


def test_seven_working_days_skip_weekends_holidays_and_count_made_up_days() -> None:
    assert WEEKENDS.after(date(2026, 9, 18), 7) == date(2026, 9, 29)
    assert CALENDAR.after(date(2026, 9, 18), 7) == date(2026, 10, 1)
    assert CALENDAR.after(date(2026, 10, 2), 1) == date(2026, 10, 3), "a Saturday made up"
    assert CALENDAR.after(date(2026, 10, 2), 0) == date(2026, 10, 2)
    assert CALENDAR.covers(date(2026, 1, 1), date(2026, 12, 31))
    assert not CALENDAR.covers(date(2026, 12, 31), date(2027, 1, 4))


def test_the_clock_returns_what_was_not_corrected_in_time(desk: Desk) -> None:
    desk.clock.now = datetime(2026, 9, 18, 3, 0, tzinfo=UTC)  # a Friday in Taipei
    handed_in(desk)
    move(desk, NOUN, "app-1", "find-deficient", STAFF)
    put(desk, NOUN, "app-1", application(plan=OTHER), HAO)  # a draft is no correction
    desk.clock.now = datetime(2026, 10, 1, 15, 59, 59, tzinfo=UTC)
    assert tick(desk) == {}
    desk.clock.turn(seconds=1)
    assert tick(desk) == {"moved": ["data-application/app-1"]}
    assert desk.records.get("data-application", "app-1").state == "returned"


def test_without_the_years_calendar_nothing_is_returned_by_itself(desk: Desk) -> None:
    handed_in(desk)
    move(desk, NOUN, "app-1", "find-deficient", STAFF)
    desk.clock.turn(days=40)
    assert tick(desk, WEEKENDS) == {"reminders": ["data-application/app-1"]}
    assert move(desk, NOUN, "app-1", "return", STAFF) == "returned"


def test_the_day_of_notice_is_taipeis(desk: Desk) -> None:
    desk.clock.now = datetime(2026, 9, 17, 20, 0, tzinfo=UTC)  # already Friday the 18th there
    handed_in(desk)
    move(desk, NOUN, "app-1", "find-deficient", STAFF)
    desk.clock.now = datetime(2026, 10, 1, 15, 59, 59, tzinfo=UTC)
    assert tick(desk) == {}


def test_a_late_fee_only_reminds(desk: Desk) -> None:
    approved(desk)
    desk.clock.now = datetime(2026, 9, 15, 16, 0, tzinfo=UTC) - timedelta(seconds=1)
    assert tick(desk) == {}
    desk.clock.turn(seconds=1)
    assert tick(desk) == {"reminders": ["data-application/app-1"]}
    put(desk, NOUN, "app-1", application(plan=DIGEST), HAO)
    assert tick(desk) == {"reminders": ["data-application/app-1"]}, "writing resets no clock"


def test_a_calendar_is_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "days.toml"
    file.write_text(
        '[2026]\nsource = "行政院人事行政總處"\n'
        "holidays = [2026-09-25, 2026-09-28, 2026-10-09]\nmade_up = [2026-10-03]\n",
        encoding="utf-8",
    )
    assert read_calendar(file) == CALENDAR


@pytest.mark.parametrize(
    "content",
    [
        "[2026]\nholidays = [2026-01-01]\n",
        '[2026]\nsource = "x"\nholidays = [2025-01-01]\n',
        '[2026]\nsource = "x"\nholidays = []\n',
        '[2026]\nsource = "x"\nholidays = ["soon"]\n',
        '[next]\nsource = "x"\nholidays = [2026-01-01]\n',
        "2026 = 1\n",
        "= 1",
        "x" * 300_000,
    ],
    ids=[
        "no-source",
        "another-year",
        "empty",
        "no-date",
        "no-year",
        "no-table",
        "no-toml",
        "large",
    ],
)
def test_a_file_that_is_no_calendar_is_a_coded_error(tmp_path: Path, content: str) -> None:
    file = tmp_path / "days.toml"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(InvalidValueError):
        read_calendar(file)
    with pytest.raises(FileMissingError):
        read_calendar(tmp_path / "none.toml")


# publications


def test_a_publication_is_deposited_with_its_copy_and_citation(desk: Desk) -> None:
    active(desk)
    for changes, code in (
        ({"deposited": None}, "TF830"),
        ({"acknowledgement": "Thanks."}, "TF831"),
        ({"application": "app-9"}, "TF831"),
    ):
        put(desk, PUBLICATION, "pub-1", publication(**changes), HAO)
        with pytest.raises(PlatformError) as refused:
            move(desk, PUBLICATION, "pub-1", "deposit", STAFF)
        assert refused.value.code == code
    put(desk, PUBLICATION, "pub-1", publication(), HAO)
    assert move(desk, PUBLICATION, "pub-1", "deposit", STAFF) == "deposited"


def test_another_house_publishes_from_its_own_applications(desk: Desk) -> None:
    active(desk)
    put(desk, PUBLICATION, "pub-1", publication(), person(Role.HAO, "Another House", "other"))
    with pytest.raises(ApplicationRuleError):
        move(desk, PUBLICATION, "pub-1", "deposit", STAFF)


def test_a_copy_is_due_a_calendar_month_after_publication(desk: Desk) -> None:
    assert deposit_due(date(2026, 1, 31)) == date(2026, 2, 28)
    put(desk, PUBLICATION, "pub-1", publication(), HAO)
    desk.clock.now = datetime(2026, 10, 1, 15, 59, 59, tzinfo=UTC)
    assert not run(desk.records, PUBLICATION_RULES, now=desk.clock.now).reminders
    desk.clock.turn(seconds=1)
    (late,) = run(desk.records, PUBLICATION_RULES, now=desk.clock.now).reminders
    assert late.id == "pub-1"
