"""What a hospital answers, and what it does not: opt-outs, coefficients, keys, small groups."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clients import audit_log
from clients.data.outcomes.store import present_rows, read_table, tables
from clients.data.people.optout import import_optouts
from clients.data.people.purge import purge
from clients.data.people.rotation import rotate
from clients.evaluation_study.kept import delete
from clients.outcome_study.kept import KeptStudy
from federation.domain.audit import AuditKind
from federation.domain.ids import Sha256, SiteId, StudyId
from federation.domain.outcome_plan import Clock, Logistic, Survival, Unit, Weighted, Weights
from federation.errors.approval import PolicyRefusedError
from federation.errors.outcomes import (
    CoefficientsRefusedError,
    OutcomeStepError,
    WeightTooLargeError,
)
from federation.errors.secure_sum import SumRepeatedError
from federation.evidence.statements import PredicateType
from federation.operations.embedded_registry import registrar
from federation.operations.outcomes.running import shown
from federation.wire.messages import Task
from federation.wire.outcome_sums import State
from registry.evidence.logged import logged_statement
from tests.evaluate.in_process import Federation
from tests.operations.fakes import Fuse, Killed
from tests.outcome_study.hospitals import (
    again,
    allow,
    analysis,
    document,
    hand_out,
    outcome_study,
    run,
)
from tests.outcome_study.made_up import patients
from tests.outcome_study.published import Data, leukaemia

TAIPEI = SiteId("taipei")


def curves_only(count: int = 90) -> Data:
    """Return a study of one sum."""
    data = patients(count, rare=0)
    clock = Clock(Unit.MONTH, 1.0, 24.0)
    sex = next(one for one in data.variables if one.name == "ai")
    return replace(data, variables=(sex,), analyses=(Survival("all", "ai", 6.0),), clock=clock)


def short(data: Data, *, newton_rounds: int) -> Data:
    """Return the same with fewer steps, which settle less far."""
    limits = replace(data.limits, newton_rounds=newton_rounds, tolerance=1e-3)
    return replace(data, limits=limits)


def opt_out(fed: Federation, site: SiteId, chart: str, folder: Path) -> None:
    listed = folder / f"{chart}.csv"
    listed.write_text(f"patient_id\n{chart}\n", encoding="utf-8")
    import_optouts(fed.nodes[site].data, listed)


def test_who_opts_out_is_left_out_until_the_first_sum_and_no_later(
    fed: Federation, tmp_path: Path
) -> None:
    data = short(leukaemia(), newton_rounds=3)
    hand_out(fed, data)

    def opted(task: Task) -> Task:
        charts = {2: "chart-00000", 4: "chart-00003"}
        if task.round in charts:
            opt_out(fed, TAIPEI, charts[task.round], tmp_path)
        return task

    fed.hospitals.altered = opted
    result = run(fed, outcome_study(fed, data))

    assert (result.status, result.errors) == ("completed", [])
    assert document(fed)["patients"] == 41


def test_no_patients_own_id_is_kept_and_the_log_names_the_tables_digest(fed: Federation) -> None:
    data = curves_only()
    hand_out(fed, data)
    run(fed, outcome_study(fed, data))

    node = fed.nodes[TAIPEI]
    for path in node.folder.rglob("*"):
        if path.is_file():
            assert b"chart-0" not in path.read_bytes(), path.name
    kept = node.data / "outcomes" / "wards.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    kinds = [one["kind"] for one in audit_log.verify(node.audit_log)]
    assert AuditKind.OUTCOMES_KEPT.value in kinds


def test_purging_deletes_the_lines_of_those_who_opted_out(fed: Federation, tmp_path: Path) -> None:
    data = curves_only()
    hand_out(fed, data)
    run(fed, outcome_study(fed, data))
    node = fed.nodes[TAIPEI]
    before = tables(node.data)[0].rows
    opt_out(fed, TAIPEI, "chart-00000", tmp_path)

    purge(node.data)

    assert len(read_table(node.data, "wards")) == before - 1


def shifted(by: float, *, at: int) -> Callable[[Task], Task]:
    """Return what changes the last coefficient of a step on the way to the hospitals."""

    def change(task: Task) -> Task:
        if task.round != at:
            return task
        limbs = np.array(task.model).astype(np.uint16).reshape(-1, 4)
        values = limbs.view("<u8").view("<f8").ravel().copy()
        values[-1] += by
        floats = values.view("<u8").view("<u2").astype(np.float32)
        return replace(task, model=floats)

    return change


@pytest.mark.parametrize(
    ("by", "at"), [(1e-9, 2), (100.0, 3), (float("nan"), 3)], ids=["not-zero", "too-large", "nan"]
)
def test_other_coefficients_than_the_fits_are_refused(fed: Federation, by: float, at: int) -> None:
    data = leukaemia()
    hand_out(fed, data)
    fed.hospitals.altered = shifted(by, at=at)

    result = run(fed, outcome_study(fed, data))

    assert result.status == "failed"
    assert {one["code"] for one in result.refused} == {CoefficientsRefusedError.code}


@pytest.fixture
def kept(fed: Federation) -> tuple[KeptStudy, Any]:
    data = leukaemia()
    study = outcome_study(fed, data)
    return KeptStudy.of(fed.nodes[TAIPEI], study), study.outcomes


def at(plan: Any, value: float) -> State:
    return State({one.name: np.array([value]) for one in plan.fits})


def test_a_step_is_answered_at_one_set_of_coefficients_only(kept: tuple[KeptStudy, Any]) -> None:
    study, plan = kept
    study.remember(1, at(plan, 0.0).as_model(), [])
    study.check_state(plan, 2, at(plan, 1.0))
    study.remember(2, at(plan, 1.0).as_model(), [])

    study.check_state(plan, 2, at(plan, 1.0))
    with pytest.raises(SumRepeatedError):
        study.check_state(plan, 2, at(plan, 1.1))


def test_steps_do_not_grow_and_none_is_left_out(
    kept: tuple[KeptStudy, Any],
) -> None:
    study, plan = kept
    study.remember(1, at(plan, 0.0).as_model(), [])
    study.remember(2, at(plan, 1.0).as_model(), [])

    study.check_state(plan, 3, at(plan, 1.2))
    study.check_state(plan, 3, at(plan, 2.0))
    with pytest.raises(CoefficientsRefusedError):
        study.check_state(plan, 3, at(plan, -0.5))
    with pytest.raises(OutcomeStepError):
        study.check_state(plan, 5, at(plan, 1.5))
    study.remember(3, at(plan, 1.2).as_model(), [])
    study.check_state(plan, 4, at(plan, 1.49))
    with pytest.raises(CoefficientsRefusedError):
        study.check_state(plan, 4, at(plan, 1.51))


def test_small_groups_and_fits_that_do_not_settle_say_so_and_the_others_stand(
    fed: Federation,
) -> None:
    data = patients()
    limits = replace(data.limits, newton_rounds=3, tolerance=1e-10)
    hand_out(fed, data)

    result = run(fed, outcome_study(fed, data, limits=limits))

    assert result.status == "completed"
    assert result.outcomes is not None
    assert result.outcomes["refused"] == {
        "hazard": "TF950", "rare": "TF951", "effect": "TF950",
    }  # fmt: skip
    curves = analysis(fed, "curves")
    assert [one["group"] for one in curves["curves"]] == ["M"]
    assert [one["group"] for one in curves["hidden"]] == ["F", "X"], "else X follows from all"
    assert curves["log_rank"] is None
    assert all(
        one is None or one >= 10 for row in curves["at_risk"]["groups"] for one in row["counts"]
    )
    rare = analysis(fed, "rare")
    assert rare["terms"] == [] and "X" in rare["refused"]["what"]["en"]


def test_what_leaves_is_masked_and_stands_in_the_book_without_cost(fed: Federation) -> None:
    data = curves_only()
    hand_out(fed, data)
    assert run(fed, outcome_study(fed, data)).status == "completed"

    for node in fed.nodes.values():
        sent = np.load(next((node.replies / "fit-1.1").glob("*.npy")))
        limbs = sent.astype(np.uint64).reshape(-1, 4)
        assert (limbs[:, 3] > 0).mean() > 0.95, "masked numbers fill the ring"
        assert not list((node.folder / "sums").glob("*.key")), "secrets are gone with the sum"


def test_the_result_is_in_the_evidence_log_and_names_every_hospitals_part(fed: Federation) -> None:
    data = curves_only()
    hand_out(fed, data)
    run(fed, outcome_study(fed, data))

    said, found = shown(fed.centre, "fit-1.1")

    assert found["about"]["log_index"] == said["log_index"] < said["result_index"]
    with registrar(fed.centre).store.reading() as transaction:
        envelope = transaction.log.entry(said["result_index"]).envelope
        statement = logged_statement(
            transaction, str(Sha256.of(envelope.encode())), PredicateType.OUTCOMES
        )
    assert str(statement.subjects[2].digest) == said["document"]
    parts: Any = statement.predicate["parts"]
    assert set(parts) == {f"part/fit-1.1/2/{site}" for site in fed.nodes}


@pytest.mark.parametrize(
    "at_point", [14, *(pytest.param(one, marks=pytest.mark.slow) for one in (5, 11, 24, 31))]
)
def test_a_campaign_killed_anywhere_goes_on_and_comes_to_the_same(
    fed: Federation, at_point: int
) -> None:
    data = short(leukaemia(), newton_rounds=4)
    hand_out(fed, data)
    study = outcome_study(fed, data)
    fed.hospitals.fuse = fed.channel.fuse = Fuse(at_point)
    with pytest.raises(Killed):
        run(fed, study)
    fed.hospitals.fuse = fed.channel.fuse = Fuse()

    result = again(fed, study)

    assert (result.status, result.errors, result.refused) == ("completed", [], [])
    assert round(analysis(fed, "rx-efron")["terms"][0]["value"], 6) == 1.572125


def test_a_second_run_is_of_the_same_patients_and_says_the_same(
    fed: Federation, tmp_path: Path
) -> None:
    data = curves_only()
    hand_out(fed, data)
    study = outcome_study(fed, data)
    lost: list[int] = []

    def lose(task: Task) -> Task:
        if task.round == 2 and task.run.endswith(".1"):
            lost.append(1)
            if len(lost) == 3:  # two hospitals' rows left, the third stays away
                return replace(task, keys=task.keys[:2])
        return task

    fed.hospitals.altered = lose
    assert run(fed, study).status == "failed"
    opt_out(fed, SiteId("taichung"), "chart-00001", tmp_path)  # asked first: its row has left

    assert again(fed, study).status == "completed"
    assert document(fed)["patients"] == 90


def test_after_deletion_the_frozen_lines_are_gone(fed: Federation) -> None:
    data = curves_only()
    hand_out(fed, data)
    study = outcome_study(fed, data)
    run(fed, study)
    node = fed.nodes[TAIPEI]

    assert KeptStudy.of(node, study).patients()
    delete(node, StudyId("fit-1"))
    assert KeptStudy.of(node, study).patients() is None


@pytest.mark.parametrize(
    "change",
    [
        ("outcomes = true ", "outcomes = false "),
        ("smallest_sum_cell = 10", "smallest_sum_cell = 20"),
    ],
)
def test_a_policy_that_was_tightened_ends_the_answers(
    fed: Federation, change: tuple[str, str]
) -> None:
    data = curves_only()
    hand_out(fed, data)

    def tighten(task: Task) -> Task:
        if task.round == 2:
            for node in fed.nodes.values():
                changes = [("fewest_patients = 20", "fewest_patients = 10"), change]
                allow(node, changes, now=datetime.now(UTC))
        return task

    fed.hospitals.altered = tighten
    result = run(fed, outcome_study(fed, data))

    assert result.status == "failed"
    assert {one["code"] for one in result.refused} == {PolicyRefusedError.code}


def test_a_weight_that_is_too_large_ends_its_analysis_and_no_other(fed: Federation) -> None:
    data = patients()
    weighted = Weighted("effect", "ai", "died", ("age",), Weights.INVERSE)
    logistic = Logistic("odds", "died", ("ai", "age"))
    data = replace(
        data,
        variables=tuple(one for one in data.variables if one.name != "sex"),
        analyses=(weighted, logistic),
        clock=None,
        limits=replace(data.limits, newton_rounds=4, tolerance=1e-3, largest_weight=1.5),
    )
    hand_out(fed, data)

    result = run(fed, outcome_study(fed, data))

    assert result.outcomes is not None and result.status == "completed"
    assert result.outcomes["refused"] == {"effect": WeightTooLargeError.code}
    assert analysis(fed, "effect")["effect"] is None and analysis(fed, "odds")["terms"]


def test_who_opts_out_after_the_key_was_renewed_is_known(fed: Federation, tmp_path: Path) -> None:
    data = curves_only()
    hand_out(fed, data)
    run(fed, outcome_study(fed, data))
    node = fed.nodes[TAIPEI]
    before = len(present_rows(node.data, "wards"))

    rotate(node.data, now=datetime.now(UTC))
    opt_out(fed, TAIPEI, "chart-00003", tmp_path)

    assert len(present_rows(node.data, "wards")) == before - 1
