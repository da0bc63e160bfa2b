"""A review is decided on new evidence, at the pace of the risk."""

import pytest

from federation.errors import PlatformError, ProblemsFound
from federation.errors.governance import ReviewHeldBackError
from registry.deployments import NOUN as DEPLOYMENT
from registry.models.version_card import RiskLevel
from registry.reviews import NOUN
from registry.reviews.noun import RULES
from registry.roles import Role
from registry.timers.service import run
from tests.registry.nouns_a.bodies import (
    BOTH,
    Json,
    deployment,
    move,
    person,
    put,
    put_evaluation,
    put_version,
    review,
)
from tests.registry.record_builders import Desk

HAO, HAC = person(Role.HAO), person(Role.HAC)


@pytest.fixture
def ward(desk: Desk) -> Desk:
    put_version(desk)
    put(desk, DEPLOYMENT, "dep-1", deployment(), HAO)
    return desk


def decide(desk: Desk, id: str = "rev-1", **changes: object) -> str:
    put(desk, NOUN, id, review(**changes), HAO)
    return move(desk, NOUN, id, "decide", HAC)


def test_a_review_is_decided_on_an_evaluation(ward: Desk) -> None:
    with pytest.raises(ReviewHeldBackError):
        decide(ward)
    put_evaluation(ward, "ev-review")
    assert decide(ward) == "decided"


def test_an_evaluation_of_the_last_review_is_not_enough_for_the_next(ward: Desk) -> None:
    put_evaluation(ward, "ev-review")
    decide(ward)
    with pytest.raises(ReviewHeldBackError):
        decide(ward, "rev-2")
    put_evaluation(ward, "ev-new")
    assert decide(ward, "rev-3", evaluations=["ev-review", "ev-new"]) == "decided"


def test_a_failed_evaluation_forbids_to_just_keep(ward: Desk) -> None:
    put_evaluation(ward, "ev-review", passed=False)
    with pytest.raises(ReviewHeldBackError):
        decide(ward)
    assert decide(ward, decision="restrict") == "decided"


@pytest.mark.parametrize(
    "changes",
    [
        {"decision": None, "rationale": None},
        {"deployment": "dep-9"},
        {"entry": "TWAI-2026-00001-4.v0.2.0"},
        {"risk": "low"},
        {"evaluations": []},
    ],
    ids=["undecided", "not-deployed", "another-version", "another-risk", "no-evidence"],
)
def test_what_is_missing_or_another_holds_the_decision_back(ward: Desk, changes: Json) -> None:
    put_evaluation(ward, "ev-review")
    with pytest.raises((ReviewHeldBackError, ProblemsFound)):
        decide(ward, **changes)


def test_without_a_risk_class_the_pace_is_the_highest(desk: Desk) -> None:
    put_version(desk, None)
    put_evaluation(desk, "ev-review")
    put(desk, DEPLOYMENT, "dep-1", deployment(), HAO)
    with pytest.raises(ReviewHeldBackError):
        decide(desk, risk="medium")
    assert decide(desk) == "decided"


def test_another_hospital_does_not_decide_a_centre_does(ward: Desk) -> None:
    put_evaluation(ward, "ev-review")
    put(ward, NOUN, "rev-1", review(), HAO)
    with pytest.raises(ReviewHeldBackError):
        move(ward, NOUN, "rev-1", "decide", person(Role.HAC, "Hualien Hospital", "other"))
    assert move(ward, NOUN, "rev-1", "decide", person(Role.RAI_A)) == "decided"


def test_the_clock_reminds_of_an_open_review(ward: Desk) -> None:
    put(ward, NOUN, "rev-1", review(due="2026-09-30"), HAO)
    assert not run(ward.records, RULES, now=ward.clock.now).reminders
    ward.clock.turn(days=30)
    assert [one.id for one in run(ward.records, RULES, now=ward.clock.now).reminders] == ["rev-1"]
    move(ward, NOUN, "rev-1", "cancel", HAC)
    assert not run(ward.records, RULES, now=ward.clock.now).reminders


@pytest.mark.parametrize("risk", RiskLevel)
def test_reviews_are_no_rarer_than_the_risk_allows(desk: Desk, risk: RiskLevel) -> None:
    allowed = {RiskLevel.HIGH: 3, RiskLevel.MEDIUM: 6, RiskLevel.LOW: 12}[risk]
    for months in (3, 6, 12):
        body = review(risk=risk.value, every_months=months)
        if months <= allowed:
            put(desk, NOUN, f"rev-{months}", body, HAO)
            continue
        with pytest.raises(PlatformError):
            put(desk, NOUN, f"rev-{months}", body, HAO)


@pytest.mark.parametrize(
    "changes", [{"rationale": None}, {"decision": None}, {"decision": "ignore", "rationale": BOTH}]
)
def test_a_decision_has_its_reason(desk: Desk, changes: Json) -> None:
    with pytest.raises(PlatformError):
        put(desk, NOUN, "rev-1", review(**changes), HAO)
