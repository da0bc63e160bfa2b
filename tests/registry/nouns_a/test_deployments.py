"""A deployment follows its version, its hospital's people, and its reviews."""

import pytest

from federation.errors import PlatformError, ProblemsFound
from federation.errors.governance import ApprovedContentError, DeploymentHeldBackError
from federation.errors.moves import SeparationError
from registry.deployments import NOUN
from registry.deployments.clocks import RULES
from registry.incidents import NOUN as INCIDENT
from registry.models.version_card import RiskLevel
from registry.reviews import NOUN as REVIEW
from registry.roles import Role
from registry.timers.service import run
from tests.registry.nouns_a.bodies import (
    ALERTED,
    CAUSE,
    ENTRY,
    EVALUATIONS,
    OTHER,
    VERSIONS,
    WORKED,
    Json,
    deployment,
    incident,
    move,
    person,
    put,
    put_evaluation,
    put_version,
    review,
)
from tests.registry.record_builders import Desk

HAO, HAC, CLI, TFD = (person(role) for role in (Role.HAO, Role.HAC, Role.CLI, Role.TFD))
RAI_A = person(Role.RAI_A)
ELSEWHERE = person(Role.HAC, "Hualien Hospital", "other")


@pytest.fixture
def ward(desk: Desk) -> Desk:
    """A register with a live version, its evaluations and a planned deployment."""
    put_version(desk)
    put_evaluation(desk, "ev-local")
    put_evaluation(desk, "ev-drift")
    put(desk, NOUN, "dep-1", deployment(), HAO)
    return desk


def go_live(desk: Desk) -> None:
    move(desk, NOUN, "dep-1", "start", HAC)
    desk.clock.turn(days=30)
    move(desk, NOUN, "dep-1", "pilot", HAC, CLI)
    move(desk, NOUN, "dep-1", "go-live", HAC, CLI)


def tick(desk: Desk) -> dict[str, list[str]]:
    done = run(desk.records, RULES, now=desk.clock.now).as_json()
    return {name: [line["record"] for line in lines] for name, lines in done.items() if lines}


def state(desk: Desk) -> str:
    return desk.records.get("deployment", "dep-1").state


def test_a_deployment_goes_from_plan_to_routine_use(ward: Desk) -> None:
    go_live(ward)
    assert state(ward) == "live"
    assert [one.id for one in ward.records.linking("site", "tainan", by="deployment")] == ["dep-1"]


@pytest.mark.parametrize(
    "changes",
    [
        {"local_acceptance": None},
        {"local_acceptance": "ev-none"},
        {"drift_check": None},
        {"monitoring": deployment()["monitoring"] | {"review_months": 6}},
        {"entry": "TWAI-2026-00001-4.v0.2.0"},
    ],
    ids=["untested", "test-missing", "drift", "rare-reviews", "unknown-version"],
)
def test_what_a_site_must_show_first_holds_the_start_back(ward: Desk, changes: Json) -> None:
    put(ward, NOUN, "dep-1", deployment(**changes), HAO)
    with pytest.raises((DeploymentHeldBackError, ProblemsFound)):
        move(ward, NOUN, "dep-1", "start", HAC)


def test_a_local_acceptance_on_too_few_patients_does_not_count(ward: Desk) -> None:
    put_evaluation(ward, "ev-few", n=99)
    put(ward, NOUN, "dep-1", deployment(local_acceptance="ev-few"), HAO)
    with pytest.raises(DeploymentHeldBackError):
        move(ward, NOUN, "dep-1", "start", HAC)


def test_a_withdrawn_evaluation_does_not_count(ward: Desk) -> None:
    move(ward, EVALUATIONS, "ev-local", "E4", person(Role.VAL_A))
    with pytest.raises(DeploymentHeldBackError):
        move(ward, NOUN, "dep-1", "start", HAC)


def test_a_lower_risk_allows_rarer_reviews(desk: Desk) -> None:
    put_version(desk, RiskLevel.LOW)
    put_evaluation(desk, "ev-local")
    put_evaluation(desk, "ev-drift")
    yearly = deployment()["monitoring"] | {"review_months": 12}
    put(desk, NOUN, "dep-1", deployment(monitoring=yearly), HAO)
    assert move(desk, NOUN, "dep-1", "start", HAC) == "silent"


def test_thirty_days_or_five_hundred_cases_come_before_the_pilot(ward: Desk) -> None:
    move(ward, NOUN, "dep-1", "start", HAC)
    put(ward, NOUN, "dep-1", deployment(cases=490), HAO)
    with pytest.raises(DeploymentHeldBackError):
        move(ward, NOUN, "dep-1", "pilot", HAC)
    put(ward, NOUN, "dep-1", deployment(cases=500), HAO)
    assert move(ward, NOUN, "dep-1", "pilot", HAC, CLI) == "pilot"


@pytest.mark.parametrize(
    "changes",
    [{"override_route": None}, {"licence": None}, {"users": []}],
    ids=["override", "licence", "training"],
)
def test_users_licence_and_override_come_before_the_pilot(ward: Desk, changes: Json) -> None:
    put(ward, NOUN, "dep-1", deployment(**changes), HAO)
    move(ward, NOUN, "dep-1", "start", HAC)
    ward.clock.turn(days=30)
    with pytest.raises(DeploymentHeldBackError):
        move(ward, NOUN, "dep-1", "pilot", HAC)


def test_a_deployment_is_never_further_than_its_version(ward: Desk) -> None:
    move(ward, NOUN, "dep-1", "start", HAC)
    ward.clock.turn(days=30)
    move(ward, NOUN, "dep-1", "pilot", HAC, CLI)
    ward.records.move(VERSIONS, ENTRY, "back", author=TFD, revision=1, reason="harm")
    with pytest.raises(DeploymentHeldBackError):
        move(ward, NOUN, "dep-1", "go-live", HAC)


def test_another_hospitals_committee_decides_nothing_here(ward: Desk) -> None:
    with pytest.raises(DeploymentHeldBackError):
        move(ward, NOUN, "dep-1", "start", ELSEWHERE)


@pytest.mark.parametrize("signer", [HAC, RAI_A, TFD], ids=lambda one: one.role.value)
def test_one_signature_suspends_at_once(ward: Desk, signer: object) -> None:
    go_live(ward)
    assert move(ward, NOUN, "dep-1", "suspend", signer) == "suspended"  # type: ignore[arg-type]


def test_restricting_needs_its_ground(ward: Desk) -> None:
    go_live(ward)
    with pytest.raises(DeploymentHeldBackError):
        move(ward, NOUN, "dep-1", "restrict", HAC)
    put(ward, NOUN, "dep-1", deployment(alerts=1), HAO)
    assert move(ward, NOUN, "dep-1", "restrict", HAC) == "restricted"


def test_use_goes_on_after_correction_and_a_new_evaluation(ward: Desk) -> None:
    go_live(ward)
    move(ward, NOUN, "dep-1", "suspend", TFD)
    with pytest.raises(ProblemsFound):
        move(ward, NOUN, "dep-1", "resume", HAC)
    put(ward, INCIDENT, "inc-1", incident(**ALERTED, **CAUSE | WORKED), HAO)
    put_evaluation(ward, "ev-again", passed=False)
    with pytest.raises(ProblemsFound):
        move(ward, NOUN, "dep-1", "resume", HAC)
    move(ward, INCIDENT, "inc-1", "alert", HAC)
    move(ward, INCIDENT, "inc-1", "correct", HAC)
    move(ward, INCIDENT, "inc-1", "close", HAC, RAI_A)
    with pytest.raises(DeploymentHeldBackError):
        move(ward, NOUN, "dep-1", "resume", HAC)
    put_evaluation(ward, "ev-better")
    assert move(ward, NOUN, "dep-1", "resume", HAC, RAI_A) == "live"


def test_what_never_was_in_use_does_not_resume(ward: Desk) -> None:
    move(ward, NOUN, "dep-1", "start", HAC)
    move(ward, NOUN, "dep-1", "suspend", HAC)
    problems = ward.records.held_back(NOUN, "dep-1", "resume", author=HAC)
    assert "it was never in use here" in [one.values["why"].say() for one in problems]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "changes",
    [
        {"entry": "TWAI-2026-00001-4.v0.2.0"},
        {"site": "hualien"},
        {"ward": "ICU"},
        {"config": OTHER},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_running_deployment_that_is_rewritten_stops(ward: Desk, changes: Json) -> None:
    move(ward, NOUN, "dep-1", "start", HAC)
    ward.clock.turn(days=30)
    assert tick(ward) == {}
    put(ward, NOUN, "dep-1", deployment(**changes), HAO)
    with pytest.raises((ApprovedContentError, ProblemsFound)):
        move(ward, NOUN, "dep-1", "pilot", HAC)
    assert tick(ward) == {"moved": ["deployment/dep-1"]}
    assert state(ward) == "suspended"


def test_another_hospital_writes_to_no_deployment(ward: Desk) -> None:
    move(ward, NOUN, "dep-1", "start", HAC)
    other = person(Role.HAO, "Hualien Hospital", "other")
    with pytest.raises(SeparationError):
        put(ward, NOUN, "dep-1", deployment(alerts=1), other)
    assert tick(ward) == {}


def test_counts_may_be_written_while_it_runs(ward: Desk) -> None:
    go_live(ward)
    put(ward, NOUN, "dep-1", deployment(cases=800, overrides=30), HAO)
    assert tick(ward) == {}


def test_a_missed_review_reminds_and_then_suspends(ward: Desk) -> None:
    go_live(ward)
    ward.clock.turn(days=93)
    assert tick(ward) == {"reminders": ["deployment/dep-1"]}
    ward.clock.turn(days=30)
    assert tick(ward)["moved"] == ["deployment/dep-1"]
    assert state(ward) == "suspended"


def test_only_a_decided_review_starts_the_cycle_anew(ward: Desk) -> None:
    go_live(ward)
    put_evaluation(ward, "ev-review")
    put(ward, REVIEW, "rev-1", review(), HAO)
    ward.clock.turn(days=93)
    assert tick(ward) == {"reminders": ["deployment/dep-1"]}, "a draft counts for nothing"
    move(ward, REVIEW, "rev-1", "decide", HAC)
    ward.clock.turn(days=30)
    assert tick(ward) == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"cases": 7},
        {"cases": 123},
        {"cases": 10, "overrides": 20},
        {"hospital": "12345"},
        {"monitoring": deployment()["monitoring"] | {"limits": [{"metric": "auroc"}]}},
        {"monitoring": deployment()["monitoring"] | {"review_months": 4}},
    ],
    ids=["small", "not-tens", "more-than-all", "hospital", "no-limit", "pace"],
)
def test_a_deployment_that_makes_no_sense_is_refused(desk: Desk, changes: Json) -> None:
    with pytest.raises(PlatformError):
        put(desk, NOUN, "dep-1", deployment(**changes), HAO)
