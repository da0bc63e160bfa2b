"""The protocol of an outcome study: closed, checked, logged by digest; other studies as before."""

import json
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from clients.policy import TEMPLATE, reasons_against
from clients.policy.rules import parse_policy
from federation.domain.ids import SiteId
from federation.domain.outcome_plan import Baseline, Cox
from federation.errors.core import UnreadableRecordError
from federation.errors.outcomes import OutcomePlanError
from federation.evaluation.terms import Terms
from federation.operations.outcomes.plan_file import parse_plan, plan_text, read_plan, write_plan
from federation.operations.outcomes.submitting import submit_plan
from federation.recipes.catalogue import OUTCOME_TABLE, recipe, recipe_names
from federation.wire.outcome_plan import plan_as_json, plan_from_json
from federation.wire.outcome_sums import State, largest_row
from federation.wire.study import digest_of_study, study_as_json, study_from_json
from tests.builders import a_study
from tests.evaluate.in_process import Federation
from tests.evaluate.plans import an_evaluation
from tests.outcome_study.hospitals import outcome_study
from tests.outcome_study.made_up import patients
from tests.outcome_study.published import leukaemia

NOW = datetime.now(UTC)


@pytest.fixture
def study(fed: Federation) -> Any:
    return outcome_study(fed, patients())


def test_a_study_survives_the_way_to_a_hospital(study: Any) -> None:
    again = study_from_json(json.loads(json.dumps(study_as_json(study))))

    assert again == study and again.outcomes == study.outcomes


def test_studies_of_other_kinds_have_no_new_field() -> None:
    for one in (a_study(), an_evaluation()):
        assert "outcomes" not in study_as_json(one)


def test_a_plan_is_valid_as_it_is_written_and_another_one_when_edited(
    study: Any, tmp_path: Path
) -> None:
    path = tmp_path / "fit.toml"
    write_plan(path, study)

    assert read_plan(path, now=NOW) == study
    edited = parse_plan(plan_text(study).replace("newton_rounds = 5", "newton_rounds = 6").encode())
    assert digest_of_study(edited) != study.digest
    with pytest.raises(OutcomePlanError):
        write_plan(path, study)


def changed(plan: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    found = deepcopy(plan)
    *way, last = path.split(".")
    there: Any = found
    for one in way:
        there = there[int(one)] if one.isdigit() else there[one]
    there[int(last) if last.isdigit() else last] = value
    return found


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("edition", 2),
        ("variables.1.low", 200.0),
        ("variables.1.low", float("nan")),
        ("variables.1.low", True),
        ("variables.0.name", "patient_id"),
        ("variables.0.name", "other"),
        ("variables.2.levels", ["F", "F"]),
        ("variables.2.levels", ["F"]),
        ("clock", None),
        ("clock.end", 24.5),
        ("clock.step", 0),
        ("clock.step", 1e-6),
        ("analyses.0.horizon", 25.0),
        ("analyses.0.group", "age"),
        ("analyses.1.covariates", []),
        ("analyses.1.covariates", ["ai", "ai"]),
        ("analyses.1.covariates", ["ai", "age^2"]),
        ("analyses.1.covariates", ["ai", "sex^2", "sex", "age"]),
        ("analyses.1.ties", "exact"),
        ("analyses.2.outcome", "age"),
        ("analyses.2.covariates", ["died", "sex"]),
        ("analyses.3.treatment", "age"),
        ("analyses.3.outcome", "sex"),
        ("analyses.3.kind", "magic"),
        ("limits.smallest_cell", 2),
        ("limits.newton_rounds", 2.5),
        ("limits.newton_rounds", 1000),
        ("limits.extra", 1),
        ("peers", {}),
        ("impact_study", "../x"),
    ],
)
def test_a_protocol_that_contradicts_itself_is_none(study: Any, path: str, value: object) -> None:
    raw = changed(plan_as_json(study.outcomes), path, value)

    with pytest.raises((ValueError, TypeError, KeyError)):
        plan_from_json(raw)


@pytest.mark.parametrize(
    ("levels", "step", "fits"), [(3, 1.0, True), (20, 1.0, False), (8, 0.02, False)]
)
def test_a_fit_of_more_columns_than_a_hospital_can_hold_is_no_protocol(
    study: Any, levels: int, step: float, fits: bool
) -> None:
    """A hundred columns, or fifty at twelve hundred times, would fill its memory."""
    raw: Any = plan_as_json(study.outcomes)
    names = [f"place{number}" for number in range(7)]
    words = [f"level {number}" for number in range(levels)]
    raw["variables"] += [{"name": one, "kind": "category", "levels": words} for one in names]
    raw["analyses"][1]["covariates"] += names
    raw["clock"] |= {"step": step}
    raw = json.loads(json.dumps(raw))

    if fits:
        assert plan_from_json(raw)
        return
    with pytest.raises(ValueError, match="too many columns"):
        plan_from_json(raw)


def test_a_study_with_an_altered_protocol_has_another_digest(study: Any) -> None:
    raw = study_as_json(study)
    plan: Any = raw["outcomes"]
    plan["limits"]["smallest_cell"] = 3

    with pytest.raises(UnreadableRecordError):
        study_from_json(raw)


def test_a_plan_that_names_another_key_or_no_impact_study_is_refused(
    fed: Federation, study: Any
) -> None:
    key = study.outcomes.peers[0].node_key
    other = parse_plan(plan_text(study).replace(key, 64 * "a").encode())
    with pytest.raises(OutcomePlanError, match="node key"):
        submit_plan(fed.centre, other)
    named = parse_plan(
        plan_text(study).replace('# impact_study = "ID"', 'impact_study = "gone"').encode()
    )
    with pytest.raises(OutcomePlanError, match="no impact study"):
        submit_plan(fed.centre, named)


def test_a_policy_lets_outcomes_be_fitted_and_how_far(fed: Federation) -> None:
    def against(text: str, asked: Any) -> int:
        found = parse_policy(text.encode())
        return len(reasons_against(asked, found, recipe=recipe(OUTCOME_TABLE), now=NOW))

    by_hospital, shared = outcome_study(fed, patients()), outcome_study(fed, leukaemia())
    assert against(TEMPLATE, by_hospital) == 0
    assert against(TEMPLATE.replace("outcomes = true ", "outcomes = false "), by_hospital) == 1
    assert against(TEMPLATE.replace("outcomes = true ", "# "), by_hospital) == 1
    assert against(TEMPLATE, shared) == 2  # its cells are of five, and it shares a baseline
    plan = shared.outcomes
    assert plan is not None
    assert any(isinstance(one, Cox) and one.baseline is Baseline.SHARED for one in plan.fits)


def test_what_stands_in_a_recipes_place_is_no_recipe_to_train() -> None:
    assert OUTCOME_TABLE not in recipe_names()
    assert recipe(OUTCOME_TABLE).digest == recipe(OUTCOME_TABLE).digest


def test_a_state_travels_without_loss(study: Any) -> None:
    plan = study.outcomes
    start = State.start(plan)
    moved = State({name: vector + 1 / 3 for name, vector in start.vectors.items()})

    assert State.of_model(plan, moved.as_model()) == moved != start
    assert largest_row(plan) < 1000


def test_squares_and_words_come_back_in_their_own_units(study: Any) -> None:
    import numpy as np

    by_name = {one.name: one for one in study.outcomes.variables}
    terms = Terms(by_name, ("age", "age^2", "sex"), has_intercept=True)
    random = np.random.default_rng(1)
    age, sex = random.uniform(18, 100, 40), random.integers(0, 3, 40).astype(float)
    design = terms.design({"age": age, "sex": sex}, 40)
    at = random.normal(size=5)

    units, _ = terms.in_units(at, np.eye(5))

    plain = np.column_stack([np.ones(40), age, age**2, sex == 1, sex == 2])
    assert np.abs(design).max() <= 1
    assert design @ at == pytest.approx(plain @ units, rel=1e-12)
    assert [one.reference for one in terms.listed] == [None, None, None, "F", "F"]


def test_hospitals_of_a_study_are_those_of_its_sums(study: Any) -> None:
    assert {one.site for one in study.outcomes.peers} == set(study.sites)
    assert SiteId("taipei") in study.sites
