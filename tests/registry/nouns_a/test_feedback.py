"""Feedback is counts that show nobody, confirmed by the hospital's own data steward."""

import pytest

from federation.errors import PlatformError
from federation.errors.governance import FeedbackHeldBackError
from registry.deployments import NOUN as DEPLOYMENT
from registry.feedback import NOUN
from registry.feedback.pooled import pooled
from registry.roles import Role
from tests.registry.nouns_a.bodies import (
    ICD,
    Json,
    counts,
    deployment,
    feedback,
    move,
    person,
    put,
)
from tests.registry.record_builders import Desk

HAO, DST = person(Role.HAO), person(Role.DST)
JULY = {"begins": "2026-07-01", "ends": "2026-07-31"}


@pytest.fixture
def ward(desk: Desk) -> Desk:
    put(desk, DEPLOYMENT, "dep-1", deployment(), HAO)
    return desk


def by_role(total: int | None, **cells: int | None) -> list[Json]:
    return [{"role": "CLI", "counts": counts(total, **cells)}]


def test_confirmed_counts_are_added_up_and_others_are_not(ward: Desk) -> None:
    put(ward, NOUN, "fb-1", feedback(), HAO)
    hidden = by_role(120, agree=100, disagree=None, unsure=None)
    put(ward, NOUN, "fb-2", feedback(**JULY, by_role=hidden, corrected=[]), HAO)
    assert pooled(ward.records, "dep-1")["by_role"] == {}
    move(ward, NOUN, "fb-1", "confirm", DST)
    assert pooled(ward.records, "dep-1")["by_role"] == {
        "CLI": {"agree": 80, "disagree": 20, "unsure": 0}
    }
    move(ward, NOUN, "fb-2", "confirm", DST)
    assert pooled(ward.records, "dep-1")["by_role"] == {
        "CLI": {"agree": 180, "disagree": None, "unsure": None}
    }
    assert len(pooled(ward.records, "dep-1")["periods"]) == 2  # type: ignore[arg-type]


def test_no_day_is_told_twice_not_even_after_a_withdrawal(ward: Desk) -> None:
    put(ward, NOUN, "fb-1", feedback(), HAO)
    move(ward, NOUN, "fb-1", "confirm", DST)
    move(ward, NOUN, "fb-1", "withdraw", DST)
    overlapping = feedback(begins="2026-07-01", ends="2026-08-01")
    put(ward, NOUN, "fb-2", overlapping, HAO)
    with pytest.raises(FeedbackHeldBackError):
        move(ward, NOUN, "fb-2", "confirm", DST)
    put(ward, NOUN, "fb-2", feedback(**JULY), HAO)
    assert move(ward, NOUN, "fb-2", "confirm", DST) == "confirmed"


def test_another_hospitals_steward_or_author_confirms_nothing(ward: Desk) -> None:
    put(ward, NOUN, "fb-1", feedback(), HAO)
    with pytest.raises(FeedbackHeldBackError):
        move(ward, NOUN, "fb-1", "confirm", person(Role.DST, "Hualien Hospital", "other"))
    put(ward, NOUN, "fb-2", feedback(), person(Role.HAO, "Hualien Hospital", "other"))
    with pytest.raises(FeedbackHeldBackError):
        move(ward, NOUN, "fb-2", "confirm", DST)


@pytest.mark.parametrize(
    "changes",
    [{"deployment": "dep-9"}, {"ends": "2026-09-01"}],
    ids=["not-deployed", "not-over"],
)
def test_feedback_is_on_a_deployment_and_on_days_gone_by(ward: Desk, changes: Json) -> None:
    put(ward, NOUN, "fb-1", feedback(**changes), HAO)
    with pytest.raises(FeedbackHeldBackError):
        move(ward, NOUN, "fb-1", "confirm", DST)


@pytest.mark.parametrize(
    "changes",
    [
        {"by_role": by_role(25, agree=20, disagree=5, unsure=0), "corrected": []},
        {"by_role": by_role(100, agree=90, disagree=None, unsure=0), "corrected": []},
        {"by_role": by_role(100, agree=100), "corrected": []},
        {"by_role": [*feedback()["by_role"], *feedback()["by_role"]]},
        {"corrected": [{"label": ICD, "n": 3}]},
        {"corrected": [{"label": ICD, "n": None}]},
        {"corrected": [{"label": ICD, "n": 20}, {"label": ICD, "n": 0}]},
        {"ends": "2026-07-01"},
        {"case_key": "k-1"},
        {"free_text": "he said"},
    ],
    ids=[
        "small",
        "one-hidden",
        "opinion-missing",
        "role-twice",
        "small-label",
        "hidden-label",
        "label-twice",
        "backwards",
        "case",
        "words",
    ],
)
def test_counts_that_show_somebody_and_anything_but_counts_are_refused(
    desk: Desk, changes: Json
) -> None:
    with pytest.raises(PlatformError):
        put(desk, NOUN, "fb-1", feedback(**changes), HAO)
