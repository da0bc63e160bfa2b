"""Every road by which a study could be changed after somebody saw its tables or results."""

from dataclasses import replace
from typing import Any

import pytest

from federation.errors.evidence_nouns import BlindingError, StudyGuardError
from federation.errors.moves import RecordShapeError, SeparationError
from registry import evaluations, impact
from registry.evaluations.noun import EvaluationState
from tests.registry.nouns_b.bodies import (
    BOTH,
    CUT,
    DIGEST,
    ENTRY,
    OTHER,
    OTHER_ENTRY,
    evaluation,
    impact_study,
    move,
    put,
    read,
    result,
    results,
    starting_in,
)
from tests.registry.nouns_b.test_guards import (
    IMP_P,
    IMP_S,
    LOCKED,
    READY,
    VAL_A,
    VAL_E,
    refused,
    running,
    study,
)
from tests.registry.record_builders import Desk

ECONOMIC: dict[str, Any] = {
    "perspective": "nhi",
    "horizon_years": 20.0,
    "discount": 0.03,
    "threshold_twd": 1e6,
    "model": DIGEST,
    "psa_seed": 7,
    "evaluations": [],
}
LATER = CUT | {"at": "2026-09-01T08:00:00Z", "digest": OTHER, "patients": 450}
FROZEN = LOCKED | {"economic": ECONOMIC}


def held(desk: Desk, number: str, actor: Any) -> set[type]:
    return set(refused(desk, impact.NOUN, "study", number, actor))


def locked(desk: Desk, **changes: Any) -> dict[str, Any]:
    running(desk)
    body = FROZEN | changes
    study(desk, impact_study(**body))
    move(desk, impact.NOUN, "study", "I4", IMP_P)
    return body


def analysed(desk: Desk) -> dict[str, Any]:
    body = locked(desk) | {"results": [result()]}
    study(desk, impact_study(**body), IMP_S)
    move(desk, impact.NOUN, "study", "I5", IMP_S)
    return body | {"harms": [{"kind": "none seen", "patients": 0}], "report": OTHER}


@pytest.mark.parametrize(
    "changes",
    [
        {"sap_hash": OTHER},
        {"sap_hash": None},
        {"estimand": BOTH | {"en": "another"}},
        {"sites": ["tainan-1"]},
        {"entry": OTHER_ENTRY},
        {"randomisation_hash": OTHER},
        {"economic": ECONOMIC | {"model": OTHER}},
        {"economic": ECONOMIC | {"psa_seed": 8}},
        {"economic": None},
        {"data_cuts": []},
        {"data_cuts": [LATER]},
        {"data_cuts": [CUT | {"patients": 500}]},
    ],
    ids=lambda one: f"{next(iter(one))}",
)
def test_whoever_froze_the_tables_changes_nothing_they_rest_on(
    desk: Desk, changes: dict[str, Any]
) -> None:
    running(desk)
    study(desk, impact_study(**FROZEN))
    study(desk, impact_study(**(FROZEN | changes)))
    study(desk, impact_study(**FROZEN))
    assert held(desk, "I4", IMP_P) == {BlindingError}, "also undone it stays"


@pytest.mark.parametrize("changes", [{"sap_hash": OTHER}, {"outcomes": []}, {"outcomes": [DIGEST]}])
def test_an_outcome_study_that_is_named_fixes_the_plan_too(
    desk: Desk, changes: dict[str, Any]
) -> None:
    running(desk)
    seen = LOCKED | {"data_cuts": [], "outcomes": [OTHER]}
    study(desk, impact_study(**seen))
    study(desk, impact_study(**(seen | changes)))
    study(desk, impact_study(**(seen | {"data_cuts": [CUT]})))
    assert held(desk, "I4", IMP_P) == {BlindingError}


def test_another_cut_may_follow_before_the_lock_and_none_after(desk: Desk) -> None:
    running(desk)
    study(desk, impact_study(**FROZEN))
    two = FROZEN | {"data_cuts": [CUT, LATER]}
    study(desk, impact_study(**two))
    move(desk, impact.NOUN, "study", "I4", IMP_P)
    third = LATER | {"digest": DIGEST, "patients": 600}
    study(desk, impact_study(**(two | {"data_cuts": [CUT, LATER, third]})))
    study(desk, impact_study(**two, results=[result()]), IMP_S)
    assert held(desk, "I5", IMP_S) == {BlindingError}


@pytest.mark.parametrize("patients", [401, 409, 391])
def test_two_cuts_that_tell_a_few_patients_apart_are_not_recorded(
    desk: Desk, patients: int
) -> None:
    with pytest.raises(RecordShapeError):
        read(
            impact.NOUN,
            impact_study(**(LOCKED | {"data_cuts": [CUT, LATER | {"patients": patients}]})),
        )
    read(impact.NOUN, impact_study(**(LOCKED | {"data_cuts": [CUT, LATER | {"patients": 410}]})))


@pytest.mark.parametrize(
    "changes",
    [
        {"results": [result(estimate=-7.9)]},
        {"results": [result(p_value=0.01)]},
        {"results": [result(confirmed=True)]},
        {"results": []},
    ],
    ids=["estimate", "p-value", "confirmed", "gone"],
)
def test_results_stay_as_the_statistician_signed_them(desk: Desk, changes: dict[str, Any]) -> None:
    body = analysed(desk)
    study(desk, impact_study(**(body | changes)))
    study(desk, impact_study(**body))
    assert held(desk, "I6", IMP_P) == {BlindingError}


def test_a_measure_has_one_result_and_a_site_one_name(desk: Desk) -> None:
    for changes in (
        {"sap_hash": DIGEST, "results": [result(), result(estimate=-7.0)]},
        {"sites": ["tainan-1", "tainan-1"]},
    ):
        with pytest.raises(RecordShapeError):
            read(impact.NOUN, impact_study(**changes))


def test_who_analysed_does_not_approve_the_report(desk: Desk) -> None:
    body = analysed(desk)
    study(desk, impact_study(**body))
    same_person = replace(VAL_A, person=IMP_S.person)
    same_house = replace(VAL_A, organisation=IMP_S.organisation)
    for signer in (same_person, same_house):
        with pytest.raises(SeparationError):
            move(desk, impact.NOUN, "study", "I6", signer)


@pytest.mark.parametrize(
    ("entry", "state", "stands"),
    [
        (ENTRY, EvaluationState.JUDGED, True),
        (ENTRY, EvaluationState.ACCEPTED, True),
        (OTHER_ENTRY, EvaluationState.JUDGED, False),
        (ENTRY, EvaluationState.WITHDRAWN, False),
        (ENTRY, EvaluationState.LOGGED, False),
        (None, EvaluationState.JUDGED, False),
    ],
    ids=["judged", "accepted", "another version", "withdrawn", "not judged", "of no record"],
)
def test_economics_rest_on_evaluations_that_count(
    desk: Desk, entry: str | None, state: EvaluationState, stands: bool
) -> None:
    if entry is not None:
        there = starting_in(evaluations.NOUN, state)
        put(desk, there, "ev-1", evaluation(entry=entry) | results(), VAL_E)
    body = locked(desk, economic=ECONOMIC | {"evaluations": ["ev-1"]}) | {"results": [result()]}
    study(desk, impact_study(**body), IMP_S)
    if stands:
        assert move(desk, impact.NOUN, "study", "I5", IMP_S).state == "analysed"
    else:
        assert held(desk, "I5", IMP_S) == {StudyGuardError}


def test_a_study_without_a_breach_is_reported(desk: Desk) -> None:
    body = analysed(desk)
    study(desk, impact_study(**body))
    assert move(desk, impact.NOUN, "study", "I6", IMP_P, VAL_A).state == "reported"
    assert READY.items() <= body.items()
