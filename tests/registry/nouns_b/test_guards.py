"""Each rule that holds a move back, broken once; and each noun's way from first to last state."""

from dataclasses import replace
from typing import Any

import pytest

from federation.errors import PlatformError, ProblemsFound
from federation.errors.evidence_nouns import (
    BlindingError,
    DataGuardError,
    EvaluationGuardError,
    PaymentGuardError,
    RunDisagreesError,
    StudyGuardError,
)
from federation.errors.moves import RecordShapeError
from registry import datasets, evaluations, impact, reimbursement, training
from registry.auditing import audit_log
from registry.models.cards import new_card, submit_card, version_noun
from registry.records.service import Records
from registry.records.shapes import Noun
from registry.roles import Role
from tests.registry.builders import SITES, Centre, candidate
from tests.registry.nouns_b.bodies import (
    BOTH,
    CUT,
    DIGEST,
    ENTRY,
    IRB,
    LICENSED,
    OTHER,
    OTHER_ENTRY,
    REGISTRATION,
    application,
    dataset_card,
    evaluation,
    impact_study,
    move,
    payment,
    person,
    put,
    result,
    results,
    training_run,
)
from tests.registry.proofs import Log, signed_record
from tests.registry.record_builders import Desk, TurnableClock

DST, HAC, SEC = person(Role.DST), person(Role.HAC), person(Role.SEC)
VAL_E, VAL_A, RAI_A = person(Role.VAL_E), person(Role.VAL_A), person(Role.RAI_A)
DEV, IRB_1, IMP_P, IMP_S = (person(role) for role in (Role.DEV, Role.IRB, Role.IMP_P, Role.IMP_S))
NHI_S, NHI_C, TFD = person(Role.NHI_S), person(Role.NHI_C), person(Role.TFD)


def refused(desk: Desk, noun: Noun[Any], id: str, number: str, *signers: Any) -> list[type]:
    """Return the kinds of what holds a move back."""
    with pytest.raises(PlatformError) as found:
        move(desk, noun, id, number, *signers)
    error = found.value
    return [type(one) for one in (error.problems if isinstance(error, ProblemsFound) else [error])]


def logged(desk: Desk, id: str = "lamp") -> str:
    """Put any statement into the log; return its envelope's digest."""
    record = put(desk, datasets.NOUN, id, dataset_card(), DST)
    with desk.records.store.reading() as transaction:
        return str(transaction.log.entry(record.log_index).envelope_digest)


# dataset cards

CARDS: list[tuple[str, dict[str, Any]]] = [
    ("expired ethics", {"ethics_expires": "2026-08-30"}),
    (
        "a list of the future",
        {"opt_out": dataset_card()["opt_out"] | {"applied_at": "2026-09-02T00:00:00Z"}},
    ),
    (
        "opt-outs that changed the data",
        {
            "opt_out": dataset_card()["opt_out"]
            | {"representativeness": {"smd": {"age": 0.3}, "psi": 0.1}}
        },
    ),
    ("data of the future", {"period": {"begin": "2020-01-01", "end": "2026-12-31"}}),
    (
        "nobody",
        {
            "patients": 0,
            "sex": {"total": None, "cells": []},
            "age_band": {"total": None, "cells": []},
            "region": {"total": None, "cells": []},
        },
    ),
]


@pytest.mark.parametrize("changes", [one for _, one in CARDS], ids=[name for name, _ in CARDS])
def test_data_are_not_used_under_a_bad_card(desk: Desk, changes: dict[str, Any]) -> None:
    put(desk, datasets.NOUN, "card", dataset_card(**changes), DST)
    assert refused(desk, datasets.NOUN, "card", "D1", HAC) == [DataGuardError]


def test_changed_data_are_used_where_somebody_says_why(desk: Desk) -> None:
    changed = {"representativeness": {"smd": {"age": 0.3}, "psi": 0.1}, "accepted": BOTH}
    card = dataset_card(opt_out=dataset_card()["opt_out"] | changed)
    put(desk, datasets.NOUN, "card", card, DST)
    assert move(desk, datasets.NOUN, "card", "D1", HAC).state == "in-use"


def test_a_card_that_names_a_statement_which_is_not_its_nodes_is_not_used(desk: Desk) -> None:
    put(desk, datasets.NOUN, "card", dataset_card(signed=logged(desk)), DST)
    assert refused(desk, datasets.NOUN, "card", "D1", HAC) == [DataGuardError]


@pytest.mark.parametrize("excluded", [0, None])
def test_nothing_is_said_of_how_few_opt_outs_changed_the_data(
    desk: Desk, excluded: int | None
) -> None:
    silent = dataset_card()["opt_out"] | {"excluded": excluded, "representativeness": None}
    put(desk, datasets.NOUN, "card", dataset_card(opt_out=silent), DST)
    assert move(desk, datasets.NOUN, "card", "D1", HAC).state == "in-use"
    with pytest.raises(RecordShapeError, match="representativeness"):
        put(desk, datasets.NOUN, "other", dataset_card(opt_out=silent | {"excluded": 10}), DST)


def test_a_card_goes_from_draft_to_destroyed(desk: Desk) -> None:
    put(desk, datasets.NOUN, "card", dataset_card(), DST)
    move(desk, datasets.NOUN, "card", "D1", IRB_1)
    assert move(desk, datasets.NOUN, "card", "D2", HAC).state == "withdrawn"
    assert move(desk, datasets.NOUN, "card", "D4", DST, SEC).state == "destroyed"
    audit_log(desk.records.store, key=desk.signer.public_key)


# training runs


def test_a_run_that_agrees_with_the_signed_version_is_verified(
    with_version: tuple[Desk, str],
) -> None:
    desk, entry = with_version
    body = a_run(desk, entry)
    put(desk, training.NOUN, "cxr-2026.1", body, DEV)
    assert move(desk, training.NOUN, "cxr-2026.1", "R1", VAL_E).state == "verified"
    assert move(desk, training.NOUN, "cxr-2026.1", "R2", RAI_A).state == "disputed"
    put(desk, training.NOUN, "cxr-2026.1", body | {"hardware": "4 GPUs"}, DEV)
    assert move(desk, training.NOUN, "cxr-2026.1", "R3", VAL_E).state == "verified"


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("study_digest", {"study_digest": OTHER}),
    ("code_digest", {"code_digest": OTHER}),
    ("packages_digest", {"packages_digest": OTHER}),
    ("outputs", {"outputs": [OTHER]}),
    ("versions", {"versions": [OTHER_ENTRY]}),
    ("attestation", {"attestation": OTHER}),
    (
        "participants",
        {
            "participants": [
                part | {"dataset_digest": OTHER} for part in training_run()["participants"]
            ]
        },
    ),
]


@pytest.mark.parametrize(("field", "changes"), WRONG, ids=[name for name, _ in WRONG])
def test_a_run_that_says_otherwise_is_not_verified(
    with_version: tuple[Desk, str], field: str, changes: dict[str, Any]
) -> None:
    desk, entry = with_version
    put(desk, training.NOUN, "cxr-2026.1", a_run(desk, entry, **changes), DEV)
    with pytest.raises(RunDisagreesError, match=field):
        move(desk, training.NOUN, "cxr-2026.1", "R1", VAL_E)


def test_a_run_recorded_under_another_name_is_not_verified(with_version: tuple[Desk, str]) -> None:
    desk, entry = with_version
    body = a_run(desk, entry)
    put(desk, training.NOUN, "cxr-2026.2", body, DEV)
    with pytest.raises(RunDisagreesError, match=r"cxr-2026\.2"):
        move(desk, training.NOUN, "cxr-2026.2", "R1", VAL_E)


def a_run(desk: Desk, entry: str, **changes: Any) -> dict[str, Any]:
    """Return a run's record, attested as it is, of a version; `changes` come before that."""
    weights = signed_record(desk.records.store, entry).model.sha256
    body = training_run(**({"versions": [entry], "outputs": [weights]} | changes))
    attested = Log(desk.records.store, desk.signer, SITES).attested(body)
    return body | {"attestation": changes.get("attestation", attested)}


OTHERWISE: list[dict[str, Any]] = [
    {"plan": training_run()["plan"] | {"rounds": 4}},
    {"plan": training_run()["plan"] | {"clip_norm": 9.0}},
    {"started_at": "2026-08-20T00:00:00Z"},
    {"privacy": [one | {"epsilon": 0.1} for one in training_run()["privacy"]]},
    {"round_log": training_run()["round_log"][:2]},
]


@pytest.mark.parametrize("changes", OTHERWISE, ids=lambda one: next(iter(one)))
def test_a_run_that_differs_from_what_the_centre_attested_is_not_verified(
    with_version: tuple[Desk, str], changes: dict[str, Any]
) -> None:
    desk, entry = with_version
    put(desk, training.NOUN, "cxr-2026.1", a_run(desk, entry) | changes, DEV)
    with pytest.raises(RunDisagreesError, match="attested something else"):
        move(desk, training.NOUN, "cxr-2026.1", "R1", VAL_E)


def test_what_people_add_to_a_run_needs_no_new_attestation(with_version: tuple[Desk, str]) -> None:
    desk, entry = with_version
    added = {"hardware": "8 GPUs", "energy_kwh": 2.5, "application": "app-2"}
    put(desk, training.NOUN, "cxr-2026.1", a_run(desk, entry) | added, DEV)
    assert move(desk, training.NOUN, "cxr-2026.1", "R1", VAL_E).state == "verified"


@pytest.mark.parametrize("wrong", ["another update", "another site's", "another round", "none"])
def test_an_update_that_its_site_did_not_sign_holds_a_run_back(
    with_version: tuple[Desk, str], wrong: str
) -> None:
    desk, entry = with_version
    body = a_run(desk, entry)
    log = Log(desk.records.store, desk.signer, SITES)
    honest = log.updated
    log.updated = {  # type: ignore[method-assign]
        "another update": lambda site, run, number, update: honest(site, run, number, OTHER),
        "another site's": lambda site, run, number, update: honest(SITES[0], run, number, update),
        "another round": lambda site, run, number, update: honest(site, run, 1, update),
        "none": lambda site, run, number, update: OTHER,
    }[wrong]
    put(desk, training.NOUN, "cxr-2026.1", body | {"attestation": log.attested(body)}, DEV)
    with pytest.raises(PlatformError, match="not in the log as that site signed it"):
        move(desk, training.NOUN, "cxr-2026.1", "R1", VAL_E)


# evaluations


EVALUATED_AT = ("yilan-4", "hualien-9")


def attested(desk: Desk, **changes: Any) -> dict[str, Any]:
    """Put into the log what each site of an evaluation signs of it."""
    log = Log(desk.records.store, desk.signer, EVALUATED_AT)
    return {"attestations": {site: log.evaluated(site, **changes) for site in EVALUATED_AT}}


def planned(desk: Desk, **changes: Any) -> None:
    put(desk, evaluations.NOUN, "ev", evaluation(**changes), VAL_E)
    move(desk, evaluations.NOUN, "ev", "E1", VAL_A)


def test_an_evaluation_is_planned_logged_run_and_judged(desk: Desk) -> None:
    planned(desk)
    put(desk, evaluations.NOUN, "ev", evaluation() | results() | attested(desk), VAL_E)
    assert move(desk, evaluations.NOUN, "ev", "E2", VAL_A).state == "judged"


def test_what_the_policy_has_no_rule_for_is_judged_without_a_threshold(desk: Desk) -> None:
    changes: dict[str, Any] = {"dimension": "robustness", "thresholds": []}
    planned(desk, **changes)
    done = evaluation(**changes) | results() | {"passed": None} | attested(desk)
    put(desk, evaluations.NOUN, "ev", done, VAL_E)
    assert move(desk, evaluations.NOUN, "ev", "E2", VAL_A).state == "judged"


def limit(metric: str, **ends: float) -> dict[str, Any]:
    bound = "value" if metric == "ece" else "low" if "at_least" in ends else "high"
    return {"metric": metric, "slice": "all", "bound": bound, **ends}


SLOPE = [limit("slope", at_least=0.8), limit("slope", at_most=1.2)]


@pytest.mark.parametrize(
    ("dimension", "limits"),
    [
        ("discrimination", []),
        ("discrimination", [limit("brier", at_least=0.0)]),
        ("calibration", [limit("ece", at_most=0.5), *SLOPE]),
        ("calibration", [limit("ece", at_most=0.05)]),
        ("calibration", [limit("ece", at_most=0.05), limit("slope", at_least=0.8)]),
    ],
    ids=["no limit", "another metric", "a wider one", "a rule left out", "an end left out"],
)
def test_a_plan_with_limits_weaker_than_the_policys_is_not_logged(
    desk: Desk, dimension: str, limits: list[dict[str, Any]]
) -> None:
    put(desk, evaluations.NOUN, "ev", evaluation(dimension, thresholds=limits), VAL_E)
    assert set(refused(desk, evaluations.NOUN, "ev", "E1", VAL_A)) == {EvaluationGuardError}


def test_a_plan_with_stricter_limits_is_logged(desk: Desk) -> None:
    strict = [limit("ece", at_most=0.02), *SLOPE, limit("slope", at_least=0.9)]
    planned(desk, dimension="calibration", thresholds=strict)


def test_results_before_the_logged_protocol_hold_it_back_for_ever(desk: Desk) -> None:
    put(desk, evaluations.NOUN, "ev", evaluation() | results(), VAL_E)
    put(desk, evaluations.NOUN, "ev", evaluation(), VAL_E)
    assert refused(desk, evaluations.NOUN, "ev", "E1", VAL_A) == [EvaluationGuardError]


@pytest.mark.parametrize(
    "changes",
    [
        {"protocol_hash": OTHER},
        {"thresholds": [evaluation()["thresholds"][0] | {"at_least": 0.5}]},
        {"sites": ["yilan-4"]},
        {"entry": OTHER_ENTRY},
        {"dimension": "calibration"},
    ],
    ids=lambda one: next(iter(one)),
)
def test_a_plan_changed_after_it_was_logged_holds_the_result_back(
    desk: Desk, changes: dict[str, Any]
) -> None:
    planned(desk)
    done = evaluation(**changes) | results() | attested(desk)
    put(desk, evaluations.NOUN, "ev", done, VAL_E)
    with pytest.raises(EvaluationGuardError, match=next(iter(changes))):
        move(desk, evaluations.NOUN, "ev", "E2", VAL_A)


def test_an_evaluation_without_results_is_not_judged(desk: Desk) -> None:
    planned(desk)
    kinds = refused(desk, evaluations.NOUN, "ev", "E2", VAL_A)
    assert set(kinds) == {EvaluationGuardError} and len(kinds) == 4  # none, two sites, no pass


def test_a_site_whose_statement_is_not_in_the_log_holds_it_back(desk: Desk) -> None:
    planned(desk)
    put(desk, evaluations.NOUN, "ev", evaluation() | results(attestation=OTHER), VAL_E)
    assert len(refused(desk, evaluations.NOUN, "ev", "E2", VAL_A)) == 2


@pytest.mark.parametrize(
    "changes",
    [{"study": "another-study"}, {"part": DIGEST}, {"by": "yilan-4"}],
    ids=["of another study", "of another part of a sum", "signed by another site"],
)
def test_what_a_site_signed_of_something_else_attests_no_evaluation(
    desk: Desk, changes: dict[str, Any]
) -> None:
    planned(desk)
    assert results()["statistics"]["hualien-9"] == OTHER
    put(desk, evaluations.NOUN, "ev", evaluation() | results() | attested(desk, **changes), VAL_E)
    held = refused(desk, evaluations.NOUN, "ev", "E2", VAL_A)
    assert held == [EvaluationGuardError] * (1 if "by" in changes else 2)
    put(desk, evaluations.NOUN, "ev", evaluation() | results() | attested(desk, part=OTHER), VAL_E)
    assert move(desk, evaluations.NOUN, "ev", "E2", VAL_A).state == "judged"


def test_a_planned_site_may_be_absent_beside_three_that_took_part(desk: Desk) -> None:
    sites = ["yilan-4", "hualien-9", "taipei-2", "tainan-1"]
    log = Log(desk.records.store, desk.signer, sites)
    planned(desk, sites=sites)

    def done(*absent: str) -> dict[str, Any]:
        there = [site for site in sites if site not in absent]
        given = {
            "statistics": dict.fromkeys(there, OTHER),
            "attestations": {site: log.evaluated(site, part=OTHER) for site in there},
        }
        return evaluation(sites=sites) | results() | given | {"absent": list(absent)}

    put(desk, evaluations.NOUN, "ev", done("tainan-1", "taipei-2"), VAL_E)
    with pytest.raises(EvaluationGuardError, match="fewer than three"):
        move(desk, evaluations.NOUN, "ev", "E2", VAL_A)
    put(desk, evaluations.NOUN, "ev", done("tainan-1") | {"absent": []}, VAL_E)
    with pytest.raises(EvaluationGuardError, match="tainan-1"):
        move(desk, evaluations.NOUN, "ev", "E2", VAL_A)
    put(desk, evaluations.NOUN, "ev", done("tainan-1"), VAL_E)
    assert move(desk, evaluations.NOUN, "ev", "E2", VAL_A).state == "judged"


@pytest.mark.parametrize("absent", [["kinmen-1"], ["yilan-4"], ["taipei-2", "taipei-2"]])
def test_only_a_planned_site_that_gave_nothing_is_absent(desk: Desk, absent: list[str]) -> None:
    """One that was not planned, one that gave something, one named twice."""
    sites = ["yilan-4", "hualien-9", "taipei-2"]
    body = evaluation(sites=sites) | results() | {"absent": absent}
    with pytest.raises(PlatformError):
        put(desk, evaluations.NOUN, "ev", body, VAL_E)


def test_any_statement_of_the_log_attests_no_evaluation(desk: Desk) -> None:
    planned(desk)
    put(desk, evaluations.NOUN, "ev", evaluation() | results(attestation=logged(desk)), VAL_E)
    assert refused(desk, evaluations.NOUN, "ev", "E2", VAL_A) == [EvaluationGuardError] * 2


def test_data_that_may_not_be_used_hold_the_plan_back(desk: Desk) -> None:
    put(desk, datasets.NOUN, "card", dataset_card(), DST)
    put(desk, evaluations.NOUN, "ev", evaluation(dataset_cards=["card", "no-such"]), VAL_E)
    assert len(refused(desk, evaluations.NOUN, "ev", "E1", VAL_A)) == 2
    put(desk, evaluations.NOUN, "ev", evaluation(dataset_cards=["card"]), VAL_E)
    move(desk, datasets.NOUN, "card", "D1", HAC)
    assert move(desk, evaluations.NOUN, "ev", "E1", VAL_A).state == "logged"


def test_the_guards_of_versions_read_evaluations_as_they_are_written_here(centre: Centre) -> None:
    stored, _ = centre.registrar.register(candidate(centre), actor="centre")
    clock = TurnableClock()
    desk = Desk(Records(centre.registrar.store, centre.signer, clock), clock, centre.signer)
    card = new_card(centre.registrar.store, stored.entry)
    noun = version_noun(artefacts=centre.registrar.artefacts, key=centre.signer.public_key)
    record = submit_card(desk.records, noun, card, author=DEV)
    put(desk, evaluations.NOUN, "ev", evaluation(entry=stored.entry), VAL_E)
    move(desk, evaluations.NOUN, "ev", "E1", VAL_A)
    plan = evaluation(entry=stored.entry)
    log = Log(desk.records.store, desk.signer, ("yilan-4", "hualien-9"))
    proof = log.proven(signed_record(desk.records.store, stored.entry), plan)
    put(desk, evaluations.NOUN, "ev", plan | results() | proof, VAL_E)
    with desk.records.store.reading() as transaction:
        (open_,) = noun.evidence(transaction, record).evaluations  # type: ignore[attr-defined]
    assert not open_.has_results, "nobody judged it yet"
    move(desk, evaluations.NOUN, "ev", "E2", VAL_A)
    with desk.records.store.reading() as transaction:
        (found,) = noun.evidence(transaction, record).evaluations  # type: ignore[attr-defined]
    assert (found.dimension, found.patients) == ("discrimination", 120)
    assert found.sites == {"yilan-4", "hualien-9"}
    assert found.passed and found.disjoint and found.planned_first and found.has_results


def test_a_missed_threshold_needs_its_acceptance_by_the_reviewer_too(desk: Desk) -> None:
    planned(desk)
    missed = evaluation() | results(passed=False) | attested(desk)
    put(desk, evaluations.NOUN, "ev", missed, VAL_E)
    assert refused(desk, evaluations.NOUN, "ev", "E2", VAL_A) == [EvaluationGuardError]
    assert refused(desk, evaluations.NOUN, "ev", "E3", VAL_A) == [EvaluationGuardError]
    put(desk, evaluations.NOUN, "ev", missed | {"acceptance": BOTH}, VAL_E)
    assert refused(desk, evaluations.NOUN, "ev", "E2", VAL_A) == [EvaluationGuardError]
    assert move(desk, evaluations.NOUN, "ev", "E3", VAL_A, RAI_A).state == "accepted"


def test_a_result_without_a_logged_protocol_is_never_judged(desk: Desk) -> None:
    from tests.registry.nouns_b.bodies import starting_in

    there = starting_in(evaluations.NOUN, evaluations.noun.EvaluationState.LOGGED)
    put(desk, there, "ev", evaluation() | results() | attested(desk), VAL_E)
    with pytest.raises(EvaluationGuardError, match="logged first"):
        move(desk, there, "ev", "E2", VAL_A)


# impact studies

READY = {"irb": IRB, "registration": REGISTRATION, "randomisation_hash": DIGEST}
LOCKED = READY | {"sap_hash": DIGEST, "data_cuts": [CUT]}


def study(desk: Desk, body: dict[str, Any], author: Any = IMP_P) -> None:
    put(desk, impact.NOUN, "study", body, author)


def running(desk: Desk, **changes: Any) -> None:
    study(desk, impact_study(**(READY | changes)))
    move(desk, impact.NOUN, "study", "I1", IMP_P)
    move(desk, impact.NOUN, "study", "I2", IRB_1)
    move(desk, impact.NOUN, "study", "I3", IMP_P, HAC)


def test_a_study_goes_from_protocol_to_report(desk: Desk) -> None:
    running(desk)
    study(desk, impact_study(**LOCKED))
    move(desk, impact.NOUN, "study", "I4", IMP_P)
    done = LOCKED | {"results": [result()]}
    study(desk, impact_study(**done), IMP_S)
    assert move(desk, impact.NOUN, "study", "I5", IMP_S).state == "analysed"
    told = done | {"harms": [{"kind": "none seen", "patients": 0}], "report": OTHER}
    study(desk, impact_study(**told))
    assert move(desk, impact.NOUN, "study", "I6", IMP_P, VAL_A).state == "reported"
    audit_log(desk.records.store, key=desk.signer.public_key)


@pytest.mark.parametrize(
    "lacks",
    [{"irb": None}, {"irb": IRB | {"expires": "2026-08-30"}}, {"registration": None}],
    ids=["no approval", "expired approval", "no public registration"],
)
def test_the_ethics_board_registers_no_study_that_lacks(desk: Desk, lacks: dict[str, Any]) -> None:
    study(desk, impact_study(**(READY | lacks)))
    move(desk, impact.NOUN, "study", "I1", IMP_P)
    assert refused(desk, impact.NOUN, "study", "I2", IRB_1) == [StudyGuardError]


def test_a_randomised_study_needs_its_list_before_it_starts(desk: Desk) -> None:
    study(desk, impact_study(**(READY | {"randomisation_hash": None})))
    move(desk, impact.NOUN, "study", "I1", IMP_P)
    move(desk, impact.NOUN, "study", "I2", IRB_1)
    assert refused(desk, impact.NOUN, "study", "I3", IMP_P) == [StudyGuardError]
    study(desk, impact_study(**(READY | {"randomisation_hash": None, "design": "before-after"})))
    assert move(desk, impact.NOUN, "study", "I3", IMP_P, HAC).state == "running"


def test_data_are_not_locked_without_plan_and_cut(desk: Desk) -> None:
    running(desk)
    assert refused(desk, impact.NOUN, "study", "I4", IMP_P) == [StudyGuardError] * 2


def test_a_statistician_who_acts_before_the_plan_is_logged_breaks_the_blinding(desk: Desk) -> None:
    study(desk, impact_study(**READY), IMP_S)
    study(desk, impact_study(**READY))
    assert refused(desk, impact.NOUN, "study", "I1", IMP_P) == [BlindingError]
    study(desk, impact_study(**LOCKED))
    assert refused(desk, impact.NOUN, "study", "I1", IMP_P) == [BlindingError], "for ever"


def test_results_before_the_lock_break_the_blinding(desk: Desk) -> None:
    running(desk)
    study(desk, impact_study(**LOCKED, results=[result()]))
    study(desk, impact_study(**LOCKED))
    assert refused(desk, impact.NOUN, "study", "I4", IMP_P) == [BlindingError]


def test_a_plan_changed_after_the_lock_breaks_the_blinding(desk: Desk) -> None:
    running(desk)
    study(desk, impact_study(**LOCKED))
    move(desk, impact.NOUN, "study", "I4", IMP_P)
    other = LOCKED | {"sap_hash": OTHER, "results": [result(plan=OTHER)]}
    study(desk, impact_study(**other), IMP_S)
    assert refused(desk, impact.NOUN, "study", "I5", IMP_S) == [BlindingError]


def test_an_analysis_without_its_primary_result_is_not_done(desk: Desk) -> None:
    running(desk)
    study(desk, impact_study(**LOCKED))
    move(desk, impact.NOUN, "study", "I4", IMP_P)
    assert refused(desk, impact.NOUN, "study", "I5", IMP_S) == [StudyGuardError]
    study(desk, impact_study(**LOCKED, results=[result()]), IMP_S)
    move(desk, impact.NOUN, "study", "I5", IMP_S)
    assert refused(desk, impact.NOUN, "study", "I6", IMP_P) == [StudyGuardError] * 2


# reimbursement


def licensed(desk: Desk, entry: str = ENTRY, state: str = "licensed") -> None:
    """A dossier and a reported study, put straight into their last states."""
    from registry.certification.noun import NOUN, DossierState
    from registry.impact.noun import StudyState
    from tests.registry.nouns_b.bodies import dossier, starting_in

    put(
        desk,
        starting_in(NOUN, DossierState(state)),
        "dossier-1",
        dossier(entry=entry, licence=LICENSED),
        DEV,
    )
    there = starting_in(impact.NOUN, StudyState.REPORTED)
    put(desk, there, "study-1", impact_study(), IMP_P)
    put(desk, there, "study-2", impact_study(entry=OTHER_ENTRY), IMP_P)


def paid(desk: Desk, **changes: Any) -> None:
    put(desk, reimbursement.NOUN, "pay", payment(**changes), WRITER)


def at_hta(desk: Desk, **changes: Any) -> None:
    """An application on which the insurer wrote its terms."""
    licensed(desk)
    put(desk, reimbursement.NOUN, "pay", application(), DEV)
    move(desk, reimbursement.NOUN, "pay", "P1", DEV)
    paid(desk, **changes)


def again(desk: Desk, number: str = "HTR 117-1", **changes: Any) -> None:
    """The insurer's reassessment, with what else is in the record."""
    report = {"report": DIGEST, "date": "2028-08-01", "reference": number}
    paid(desk, reassessment=report, **changes)


WRITER = person(Role.NHI_S, "writer")
EVIDENCE = [
    {"topic": topic, "study": "study-1"} for topic in ("quality", "efficiency", "staff-burden")
]


def test_a_payment_is_provisional_for_two_years_and_then_listed(desk: Desk) -> None:
    at_hta(desk)
    move(desk, reimbursement.NOUN, "pay", "P2", NHI_S, NHI_C)
    move(desk, reimbursement.NOUN, "pay", "P3", NHI_S)
    again(desk, evidence=EVIDENCE)
    assert move(desk, reimbursement.NOUN, "pay", "P4", NHI_S, NHI_C).state == "listed"
    assert move(desk, reimbursement.NOUN, "pay", "P7", NHI_S).state == "htr"
    again(desk, "HTR 118-1", evidence=EVIDENCE, restriction=BOTH)
    assert move(desk, reimbursement.NOUN, "pay", "P5", NHI_S, NHI_C).state == "restricted"
    move(desk, reimbursement.NOUN, "pay", "P7", NHI_S)
    again(desk, "HTR 119-1", evidence=EVIDENCE, restriction=BOTH)
    assert move(desk, reimbursement.NOUN, "pay", "P6", NHI_S, NHI_C).state == "exited"
    audit_log(desk.records.store, key=desk.signer.public_key)


@pytest.mark.parametrize(("entry", "state"), [(OTHER_ENTRY, "licensed"), (ENTRY, "submitted")])
def test_nothing_is_asked_for_without_this_versions_licence(
    desk: Desk, entry: str, state: str
) -> None:
    licensed(desk, entry, state)
    put(desk, reimbursement.NOUN, "pay", application(), DEV)
    assert refused(desk, reimbursement.NOUN, "pay", "P1", DEV) == [PaymentGuardError]


@pytest.mark.parametrize(
    "lacks",
    [{"assessment": None}, {"tariff": None}, {"start": None, "end": None}, {"monitoring": None}],
    ids=lambda one: next(iter(one)),
)
def test_no_provisional_payment_without(desk: Desk, lacks: dict[str, Any]) -> None:
    at_hta(desk, **lacks)
    assert refused(desk, reimbursement.NOUN, "pay", "P2", NHI_S) == [PaymentGuardError]


@pytest.mark.parametrize(
    ("evidence", "missing"),
    [
        ([], 3),
        (EVIDENCE[:2], 1),
        ([one | {"study": "study-2"} for one in EVIDENCE], 3),
        ([one | {"study": "no-such"} for one in EVIDENCE], 3),
    ],
    ids=["none", "no staff burden", "of another version", "of no study"],
)
def test_nothing_is_listed_without_quality_efficiency_and_burden(
    desk: Desk, evidence: list[Any], missing: int
) -> None:
    at_hta(desk)
    move(desk, reimbursement.NOUN, "pay", "P2", NHI_S, NHI_C)
    move(desk, reimbursement.NOUN, "pay", "P3", NHI_S)
    again(desk, evidence=evidence)
    kinds = refused(desk, reimbursement.NOUN, "pay", "P4", NHI_S)
    assert kinds == [PaymentGuardError] * missing


def test_the_insurer_writes_the_terms_and_no_other_house_does(desk: Desk) -> None:
    at_hta(desk)
    assert move(desk, reimbursement.NOUN, "pay", "P2", NHI_S, NHI_C).state == "provisional"
    put(desk, reimbursement.NOUN, "other", application(), DEV)
    stranger = replace(person(Role.DEV, "stranger"), organisation="Other Works")
    put(desk, reimbursement.NOUN, "other", application(), stranger)
    assert refused(desk, reimbursement.NOUN, "other", "P1", DEV) == [PaymentGuardError]


def test_a_decision_at_the_end_needs_the_reassessment(desk: Desk) -> None:
    at_hta(desk)
    move(desk, reimbursement.NOUN, "pay", "P2", NHI_S, NHI_C)
    move(desk, reimbursement.NOUN, "pay", "P3", NHI_S)
    for number, missing in (("P4", 4), ("P5", 2), ("P6", 1)):
        assert len(refused(desk, reimbursement.NOUN, "pay", number, NHI_S)) == missing
