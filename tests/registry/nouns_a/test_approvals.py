"""An approval is given by the role asked, for that content, by nobody who wrote it."""

import pytest

from federation.errors import PlatformError
from federation.errors.governance import ApprovalHeldBackError
from registry.approvals import NOUN
from registry.approvals.noun import RULES
from registry.deployments import NOUN as DEPLOYMENT
from registry.roles import Author, Role
from registry.timers.service import run
from tests.registry.nouns_a.bodies import BOTH, OTHER, Json, approval, deployment, move, person, put
from tests.registry.record_builders import Desk

IRB, HAO, CLI = person(Role.IRB), person(Role.HAO), person(Role.CLI)


def asked(desk: Desk, author: Author = CLI, **changes: object) -> None:
    subject = put(desk, DEPLOYMENT, "dep-1", deployment(), HAO)
    put(desk, NOUN, "ap-1", approval(subject, **changes), author)


def test_the_role_asked_gives_it(desk: Desk) -> None:
    asked(desk)
    assert move(desk, NOUN, "ap-1", "give", IRB) == "given"
    (found,) = desk.records.linking("deployment", "dep-1", relation="approves")
    assert found.id == "ap-1"


def test_another_role_does_not_give_refuse_or_withdraw_it(desk: Desk) -> None:
    asked(desk)
    for number in ("give", "refuse"):
        with pytest.raises(ApprovalHeldBackError):
            move(desk, NOUN, "ap-1", number, person(Role.HAC))
    move(desk, NOUN, "ap-1", "give", IRB)
    with pytest.raises(ApprovalHeldBackError):
        move(desk, NOUN, "ap-1", "withdraw", person(Role.HAC))
    assert move(desk, NOUN, "ap-1", "withdraw", IRB) == "withdrawn"


def test_who_drafted_it_does_not_sign_it(desk: Desk) -> None:
    asked(desk, author=IRB)
    with pytest.raises(PlatformError):
        move(desk, NOUN, "ap-1", "give", IRB)


def test_who_wrote_the_subject_approves_it_by_no_detour(desk: Desk) -> None:
    asked(desk)
    same_person = Author(HAO.person, Role.IRB, "house of IRB")
    for number in ("give", "refuse"):
        with pytest.raises(ApprovalHeldBackError):
            move(desk, NOUN, "ap-1", number, same_person)


def test_a_centre_does_not_approve_its_own_houses_work(desk: Desk) -> None:
    asked(desk, author=person(Role.DEV), role="RAI-A")
    insider = person(Role.RAI_A, house=HAO.organisation)
    with pytest.raises(ApprovalHeldBackError):
        move(desk, NOUN, "ap-1", "give", insider)
    assert move(desk, NOUN, "ap-1", "give", person(Role.RAI_A)) == "given"


def test_it_is_for_the_content_as_it_was_named(desk: Desk) -> None:
    asked(desk)
    put(desk, DEPLOYMENT, "dep-1", deployment(ward="ICU"), HAO)
    with pytest.raises(ApprovalHeldBackError):
        move(desk, NOUN, "ap-1", "give", IRB)


def test_nothing_that_is_not_there_is_approved(desk: Desk) -> None:
    put(desk, NOUN, "ap-1", approval(), CLI)
    with pytest.raises(ApprovalHeldBackError):
        move(desk, NOUN, "ap-1", "give", IRB)


def test_it_ends_on_its_day_by_the_clock_and_cannot_be_given_later(desk: Desk) -> None:
    asked(desk, expires="2026-09-01")
    put(desk, NOUN, "ap-2", approval(expires="2026-08-31"), CLI)
    with pytest.raises(PlatformError):
        move(desk, NOUN, "ap-2", "give", IRB)
    move(desk, NOUN, "ap-1", "give", IRB)
    assert not run(desk.records, RULES, now=desk.clock.now).moved
    desk.clock.turn(hours=8)
    assert [one.id for one in run(desk.records, RULES, now=desk.clock.now).moved] == ["ap-1"]
    assert desk.records.get("approval", "ap-1").state == "expired"


@pytest.mark.parametrize(
    "changes",
    [
        {"role": "DEV"},
        {"role": "CLOCK"},
        {"role": "PUB"},
        {"conditions": [BOTH]},
        {"decision": "approve-with-conditions"},
        {"expires": "soon"},
        {"subject": {"noun": "deployment", "id": "../x", "digest": OTHER}},
    ],
    ids=["dev", "clock", "public", "needless", "unconditional", "date", "path"],
)
def test_an_approval_that_makes_no_sense_is_refused(desk: Desk, changes: Json) -> None:
    with pytest.raises(PlatformError):
        put(desk, NOUN, "ap-1", approval(**changes), CLI)
