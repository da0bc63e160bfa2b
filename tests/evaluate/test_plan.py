"""A protocol is part of the approved study: what it says is checked, and nothing of it changes."""

from datetime import UTC, datetime
from typing import Any

import pytest

from federation.domain.evaluation_plan import (
    Conformal,
    Corruption,
    EvaluationPlan,
    Explaining,
    Family,
    Pairing,
    Slices,
)
from federation.errors.core import UnreadableRecordError
from federation.errors.evaluating import EvaluationPlanError
from federation.operations.evaluations.plan_file import parse_plan, plan_text
from federation.wire.evaluation_plan import plan_as_json, plan_from_json, protocol_digest
from federation.wire.study import study_as_json, study_from_json
from tests.builders import a_study
from tests.evaluate.plans import VERSION, a_plan, a_plan_of_two, an_evaluation

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def test_a_study_that_evaluates_travels_unchanged() -> None:
    study = an_evaluation()

    assert study_from_json(study_as_json(study)) == study


def test_a_study_that_trains_keeps_the_digest_it_had_before_there_were_evaluations() -> None:
    assert "evaluation" not in study_as_json(a_study())


@pytest.mark.parametrize(
    "changed",
    [
        {"threshold": 0.4},
        {"smallest_cell": 11},
        {"decision_thresholds": (0.1, 0.4)},
        {"slices": (Slices("sex", ("F", "M"), "M"),)},
        {"corruptions": (Corruption.NOISE,)},
        {"risk": "low"},
    ],
)
def test_any_change_is_another_protocol_and_another_study(changed: dict[str, Any]) -> None:
    other = a_plan(**changed)

    assert protocol_digest(other) != protocol_digest(a_plan())
    assert an_evaluation(other).digest != an_evaluation().digest


@pytest.mark.parametrize(
    "changed",
    [
        {"threshold": 1.0},
        {"smallest_cell": 9},
        {"decision_thresholds": (0.5, 0.1)},
        {"decision_thresholds": ()},
        {"versions": (VERSION, VERSION)},
        {"families": (Family.FAIRNESS,), "slices": (), "corruptions": ()},
        {"corruptions": ()},
        {"risk": "none"},
        {"policy": "x"},
        {"slices": (Slices("postcode", ("100", "200"), "100"),)},
        {"slices": (Slices("sex", ("F", "M"), "O"),)},
        {"paired": Pairing(100)},
        {"families": tuple(Family), "paired": Pairing(100)},
        {"uncertainty": None},
        {"uncertainty": Conformal(0.6, 0.5)},
        {"uncertainty": Conformal(0.1, 0.95)},
        {"explainability": None},
        {"explainability": Explaining(9, 32)},
        {"explainability": Explaining(32, 4)},
    ],
)
def test_a_protocol_that_contradicts_itself_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(UnreadableRecordError):
        study_from_json(study_as_json(an_evaluation(a_plan(**changed))))


@pytest.mark.parametrize(
    "changed",
    [
        {"paired": Pairing(300)},
        {"paired": Pairing(2000)},
        {"paired": None},
        {"families": (Family.PAIRED,), "corruptions": ()},
    ],
)
def test_a_pair_on_no_part_of_the_grid_or_without_discrimination_is_refused(
    changed: dict[str, Any],
) -> None:
    with pytest.raises(UnreadableRecordError):
        study_from_json(study_as_json(an_evaluation(a_plan_of_two(**changed))))


@pytest.mark.parametrize("said", [{"steps": 100, "more": 1}, [100], {"steps": True}])
def test_settings_of_a_family_are_read_strictly(said: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        plan_from_json({**plan_as_json(a_plan_of_two()), "paired": said})


def test_a_protocol_without_the_newer_families_is_the_one_it_was_before_them() -> None:
    older = a_plan(families=tuple(Family)[:8])

    assert not {"paired", "uncertainty", "explainability"} & plan_as_json(older).keys()


@pytest.mark.parametrize("peers", [a_plan().peers[:2], (*a_plan().peers[:2], a_plan().peers[1])])
def test_a_sum_among_fewer_than_three_hospitals_is_no_protocol(peers: Any) -> None:
    with pytest.raises(UnreadableRecordError):
        study_from_json(study_as_json(an_evaluation(a_plan(peers=peers))))


@pytest.mark.parametrize("changed", [{"quorum": 2}, {"training": a_study().training}])
def test_a_study_that_trains_and_evaluates_or_sums_two_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(UnreadableRecordError):
        study_from_json(study_as_json(an_evaluation(**changed)))


def test_every_version_is_prepared_before_the_first_is_summed() -> None:
    second = VERSION.__class__(**{**_fields(VERSION), "entry": "TWAI-2026-00001-4.v0.2.0"})
    plan = a_plan(versions=(VERSION, second))

    steps = [plan.step(number) for number in range(1, plan.rounds + 1)]

    assert [(one.version.entry[-5:], one.is_sum, one.prepared) for one in steps] == [
        ("0.1.0", False, 1), ("0.2.0", False, 2), ("0.1.0", True, 1), ("0.2.0", True, 2),
    ]  # fmt: skip
    with pytest.raises(IndexError):
        plan.step(5)


@pytest.mark.parametrize("plan", [a_plan(), a_plan_of_two()])
def test_a_plan_file_gives_back_the_study_it_was_written_from(plan: EvaluationPlan) -> None:
    study = an_evaluation(plan)

    assert parse_plan(plan_text(study).encode(), now=NOW) == study


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[sites]", "[site]"),
        ('risk = "high"', 'risk = "higher"'),
        ("edition = 1", "edition = 2"),
        ("threshold = 0.5", "threshold = 0.5\nextra = 1"),
        ("quorum = 3", "quorum = 2"),
        ("seed = 7", ""),
        ("expires = 2036", "expires = 2016"),
        ("[study]", "[study"),
    ],
)
def test_a_plan_file_that_is_not_one_is_refused(old: str, new: str) -> None:
    text = plan_text(an_evaluation())
    assert old in text

    with pytest.raises(EvaluationPlanError):
        parse_plan(text.replace(old, new, 1).encode(), now=NOW)


@pytest.mark.parametrize("content", [b"\xff", b"a = " + b"[" * 5000, b"#" * 2**19])
def test_bytes_that_are_no_toml_are_refused(content: bytes) -> None:
    with pytest.raises(EvaluationPlanError):
        parse_plan(content, now=NOW)


def test_the_words_of_a_protocol_cover_all_its_fields() -> None:
    plan: EvaluationPlan = a_plan_of_two()

    assert set(plan_as_json(plan)) == {*_fields(plan), "edition"}


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}
