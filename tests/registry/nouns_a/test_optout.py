"""An opt-out list reaches every site it names, without an identifier at the centre."""

from datetime import UTC, datetime

import pytest

from federation.errors import PlatformError
from federation.errors.governance import OptOutHeldBackError
from registry.optout import NOUN, PROPAGATION
from registry.optout.gaps import applied
from registry.optout.noun import RULES
from registry.roles import Role
from registry.timers.service import run
from tests.registry.nouns_a.bodies import (
    BOTH,
    DIGEST,
    OTHER,
    Json,
    move,
    opt_out_list,
    person,
    propagation,
    put,
)
from tests.registry.record_builders import Desk

STAFF, COUNCIL, SEC, DST = (person(r) for r in (Role.NHI_S, Role.NHI_C, Role.SEC, Role.DST))


def issue(desk: Desk, id: str = "list-3", **changes: object) -> None:
    put(desk, NOUN, id, opt_out_list(**changes), STAFF)
    move(desk, NOUN, id, "issue", COUNCIL, SEC)


def confirm(desk: Desk, site: str, **changes: object) -> str:
    put(desk, PROPAGATION, f"p-{site}", propagation(site=site, **changes), DST)
    return move(desk, PROPAGATION, f"p-{site}", "confirm", SEC)


def test_a_list_is_issued_by_two_and_applied_by_every_site(desk: Desk) -> None:
    issue(desk)
    assert applied(desk.records, "list-3")["missing"] == ["tainan", "hualien"]
    assert confirm(desk, "tainan") == "confirmed"
    shown = applied(desk.records, "list-3")
    assert shown["missing"] == ["hualien"]
    assert shown["applied"] == [
        {"site": "tainan", "dataset": DIGEST, "applied_at": "2026-09-01T07:00:00Z"}
    ]
    move(desk, PROPAGATION, "p-tainan", "withdraw", STAFF)
    assert applied(desk.records, "list-3")["missing"] == ["tainan", "hualien"]


def test_the_clock_reminds_while_a_site_is_silent(desk: Desk) -> None:
    issue(desk)
    confirm(desk, "tainan")
    desk.clock.now = datetime(2026, 10, 1, 15, 59, 59, tzinfo=UTC)
    assert not run(desk.records, RULES, now=desk.clock.now).reminders
    desk.clock.turn(seconds=1)
    assert [one.id for one in run(desk.records, RULES, now=desk.clock.now).reminders] == ["list-3"]
    confirm(desk, "hualien")
    assert not run(desk.records, RULES, now=desk.clock.now).reminders


def test_versions_only_rise(desk: Desk) -> None:
    issue(desk)
    put(desk, NOUN, "list-2", opt_out_list(version=2), STAFF)
    with pytest.raises(OptOutHeldBackError):
        move(desk, NOUN, "list-2", "issue", COUNCIL)


def test_an_older_list_is_no_longer_applied(desk: Desk) -> None:
    issue(desk)
    issue(desk, "list-4", version=4, list_digest=OTHER)
    with pytest.raises(OptOutHeldBackError):
        confirm(desk, "tainan")
    assert confirm(desk, "hualien", list="list-4", list_digest=OTHER) == "confirmed"


@pytest.mark.parametrize(
    "changes",
    [
        {"list_digest": OTHER},
        {"list": "list-9"},
        {"applied_at": "2026-09-01T08:00:01Z"},
        {
            "representativeness": {
                "suppressed": False,
                "differences": [{"variable": "sex", "smd": -0.2, "psi": 0.1}],
            }
        },
    ],
    ids=["another-list", "no-list", "in-the-future", "unexplained"],
)
def test_a_word_that_does_not_hold_is_not_confirmed(desk: Desk, changes: Json) -> None:
    issue(desk)
    with pytest.raises(OptOutHeldBackError):
        confirm(desk, "tainan", **changes)


def test_a_difference_with_its_explanation_is_confirmed(desk: Desk) -> None:
    issue(desk)
    different: Json = {
        "suppressed": False,
        "differences": [{"variable": "sex", "smd": -0.2, "psi": 0.1}],
        "note": BOTH,
    }
    assert confirm(desk, "tainan", representativeness=different) == "confirmed"


def test_a_site_that_is_not_named_is_not_confirmed(desk: Desk) -> None:
    issue(desk)
    with pytest.raises(OptOutHeldBackError):
        confirm(desk, "taipei")


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "sha256"},
        {"scope": "all"},
        {"uses": []},
        {"apply_by": "2026-08-01"},
        {"sites": ["tainan", "tainan"]},
        {"sites": []},
        {"list_digest": "A123456789"},
    ],
    ids=["unkeyed", "all-of-some", "part-of-none", "too-early", "twice", "nobody", "identifier"],
)
def test_a_list_that_could_name_people_or_makes_no_sense_is_refused(
    desk: Desk, changes: Json
) -> None:
    with pytest.raises(PlatformError):
        put(desk, NOUN, "list-3", opt_out_list(**changes), STAFF)


@pytest.mark.parametrize(
    "changes",
    [
        {"excluded": 7},
        {"excluded": 13},
        {"remaining": 1203},
        {
            "representativeness": {
                "suppressed": True,
                "differences": [{"variable": "sex", "smd": 0.0, "psi": 0.0}],
            }
        },
        {"representativeness": {"suppressed": False}},
        {"applied_at": "2026-09-01T99:00:00Z"},
    ],
    ids=["small", "not-tens", "not-tens-either", "both", "neither", "no-time"],
)
def test_people_are_told_in_whole_tens_or_not_at_all(desk: Desk, changes: Json) -> None:
    with pytest.raises(PlatformError):
        put(desk, PROPAGATION, "p-1", propagation(**changes), DST)
