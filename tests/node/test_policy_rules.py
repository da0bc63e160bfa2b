"""Every rule of policy.toml: read strictly, answered with yes or no in words."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clients.policy import (
    TEMPLATE,
    Answer,
    Facts,
    Policy,
    Rule,
    check_policy,
    judge,
    parse_policy,
    read_policy,
    reasons,
    reasons_against,
)
from clients.policy.judgement import NAMES, REASONS
from federation.domain.ids import Sha256, SiteId
from federation.domain.study import CentralPlan, CountsPlan, PrivacyPlan, Purpose
from federation.errors import ProblemsFound
from federation.errors.approval import PolicyUnreadableError
from federation.privacy.accountants import epsilon_of
from federation.privacy.events import Gaussian
from federation.wording import Language
from tests.builders import NOW, a_recipe, a_study

CENTRE_KEY = Sha256.of(b"centre")
POLICY = parse_policy(TEMPLATE.encode())
OPEN = POLICY.model_copy(update={"without_privacy": True})
HIDDEN = PrivacyPlan(8.0, 1e-3, 1.0, central=CentralPlan(clip_norm=1.0, noise_multiplier=2.0))
COUNTED = PrivacyPlan(8.0, 1e-3, 1.0, counts=CountsPlan(sigma=10.0))


def facts(**changes: Any) -> Facts:
    known = Facts(
        now=NOW,
        site=SiteId("north"),
        recipe=a_recipe(),
        centre="Taipei centre",
        centre_key=CENTRE_KEY,
        update_bytes=4_000_000,
        patients=20,
        period_left=8.0,
    )
    return replace(known, **changes)


def answers(
    policy: Policy = POLICY, *, about: Facts | None = None, **changes: Any
) -> dict[Rule, Answer]:
    found = judge(a_study(**changes), policy, about or facts())
    return {verdict.rule: verdict.answer for verdict in found}


def test_every_rule_is_answered_once_in_order_and_the_template_allows_a_usual_study() -> None:
    found = judge(a_study(), POLICY, facts())

    assert [verdict.rule for verdict in found] == list(Rule)
    assert reasons(found) == []


def test_every_rule_has_a_name_and_a_reason_in_both_languages() -> None:
    assert set(NAMES) == set(REASONS) == set(Rule)


@pytest.mark.parametrize(
    ("rule", "policy", "study", "about"),
    [
        (Rule.CENTRE, {"centres": ["Another centre"]}, {}, {}),
        (Rule.CENTRE, {"centres": [str(Sha256.of(b"other"))]}, {}, {}),
        (Rule.CENTRE, {"centres": []}, {}, {}),
        (Rule.STUDY, {"studies": ["mri-*"]}, {}, {}),
        (Rule.PURPOSE, {"purposes": [Purpose.PUBLIC_HEALTH]}, {}, {}),
        (Rule.RECIPE, {"recipes": ["hippocampus-seg"]}, {}, {}),
        (Rule.RECIPE, {"recipes": [str(Sha256.of(b"other"))]}, {}, {}),
        (Rule.INSTALLED_RECIPE, {}, {"recipe_digest": Sha256.of(b"other")}, {}),
        (Rule.COHORT, {"cohorts": ["brain"]}, {}, {}),
        (Rule.MEMBER, {}, {}, {"site": SiteId("elsewhere")}),
        (Rule.QUORUM, {}, {"quorum": 1}, {}),
        (Rule.SECRET_QUORUM, {}, {"privacy": HIDDEN}, {}),
        (Rule.HOSPITAL_LEVEL, {"hospital_level_needed": True}, {}, {}),
        (
            Rule.HOSPITAL_EPSILON,
            {"largest_hospital_epsilon": 1.0},
            {"privacy": HIDDEN, "quorum": 3},
            {},
        ),
        (Rule.COUNTS, {"smallest_count_noise": 10.001}, {"privacy": COUNTED}, {}),
        (Rule.EXPIRY, {}, {"expires": NOW.isoformat()}, {}),
        (Rule.PRIVACY, {}, {"privacy": None}, {}),
        (Rule.EPSILON, {}, {"privacy": PrivacyPlan(8.001, 1e-3, 1.0)}, {"period_left": 9.0}),
        (Rule.DELTA, {}, {"privacy": PrivacyPlan(1.0, 1.1e-3, 1.0)}, {}),
        (Rule.PERIOD, {}, {}, {"period_left": 7.99}),
        (Rule.PERIOD, {}, {}, {"period_left": None}),
        (Rule.UPDATE, {"largest_update_mb": 3.999}, {}, {}),
        (Rule.UPDATE, {}, {}, {"update_bytes": None}),
        (Rule.PATIENTS, {}, {}, {"patients": 19}),
        (Rule.PATIENTS, {}, {}, {"patients": None}),
    ],
)
def test_breaking_a_rule_is_a_no_of_that_rule_alone(
    rule: Rule, policy: dict[str, Any], study: dict[str, Any], about: dict[str, Any]
) -> None:
    found = judge(a_study(**study), POLICY.model_copy(update=policy), facts(**about))

    assert [verdict.rule for verdict in found if verdict.answer is Answer.NO] == [rule]
    assert len(reasons(found)) == 1


def test_too_many_rounds_without_privacy_are_refused() -> None:
    narrow = OPEN.model_copy(update={"rounds_without_privacy": 2})

    assert answers(narrow, privacy=None)[Rule.ROUNDS] is Answer.NO
    assert answers(OPEN, privacy=None)[Rule.ROUNDS] is Answer.YES
    assert answers(narrow)[Rule.ROUNDS] is Answer.DOES_NOT_APPLY


def test_a_centre_is_allowed_by_name_and_by_key() -> None:
    for entry in ("Taipei centre", str(CENTRE_KEY)):
        policy = POLICY.model_copy(update={"centres": [entry]})
        assert answers(policy)[Rule.CENTRE] is Answer.YES


def test_a_recipe_is_allowed_by_digest_and_a_study_by_pattern() -> None:
    policy = POLICY.model_copy(
        update={"recipes": [str(a_recipe().digest)], "studies": ["cxr-20??"]}
    )

    assert answers(policy)[Rule.RECIPE] is Answer.YES
    assert answers(policy)[Rule.STUDY] is Answer.YES
    assert answers(policy, id="cxr-20267")[Rule.STUDY] is Answer.NO


def test_one_hospital_may_be_hidden_among_enough_others() -> None:
    found = answers(privacy=HIDDEN, quorum=3)

    assert found[Rule.SECRET_QUORUM] is Answer.YES
    assert found[Rule.HOSPITAL_EPSILON] is Answer.YES
    assert answers()[Rule.SECRET_QUORUM] is Answer.DOES_NOT_APPLY


def test_what_a_hospital_is_hidden_with_is_told_as_the_epsilon_of_all_rounds() -> None:
    study = a_study(privacy=HIDDEN, quorum=3)
    said = {one.rule: one for one in judge(study, POLICY, facts())}[Rule.HOSPITAL_EPSILON]

    rounds, delta = study.training.rounds, HIDDEN.delta
    assert said.asked == f"{epsilon_of([Gaussian(2.0, rounds)], delta):.3f}"


def test_a_policy_without_the_new_keys_stands() -> None:
    new = ("hospital_level_needed", "largest_hospital_epsilon", "smallest_count_noise",
           "reply_days")  # fmt: skip
    lines = [line for line in TEMPLATE.splitlines() if line.split(" =")[0] not in new]

    assert parse_policy("\n".join(lines).encode()) == parse_policy(TEMPLATE.encode())


def test_hours_are_shown_but_bind_messages_only() -> None:
    policy = POLICY.model_copy(update={"hours": ["mon 00:00-00:01"]})
    found = judge(a_study(), policy, facts())

    assert answers(policy)[Rule.HOURS] is Answer.NO
    assert reasons(found) == []


def test_an_explanation_says_asked_and_allowed_in_both_languages() -> None:
    found = judge(a_study(privacy=PrivacyPlan(9.0, 1e-3, 1.0)), POLICY, facts())
    said = {one.rule: one for one in found}[Rule.EPSILON]

    assert said.as_json() == {
        "rule": "largest_epsilon",
        "answer": "no",
        "asked": "9.0",
        "allowed": "8.0",
        "words": "Largest epsilon of a study",
    }
    assert "上限" in said.as_json(Language.ZH_HANT_TW)["words"]
    assert said.reason(Language.ZH_HANT_TW) == "epsilon 9.0 超過上限 8.0"


def test_the_number_of_patients_is_in_no_explanation() -> None:
    for verdict in judge(a_study(), POLICY, facts(patients=7417)):
        assert "7417" not in str(verdict.as_json()) + verdict.reason()


def test_the_rules_of_the_study_alone_are_those_asked_before_every_message() -> None:
    study = a_study(privacy=PrivacyPlan(9.0, 1e-3, 1.0), quorum=1)

    assert len(reasons_against(study, POLICY, recipe=a_recipe(), now=NOW)) == 2


@pytest.mark.parametrize(
    "line",
    [
        'hours = ["mon-fri 20-06"]',
        'hours = ["sat 08:00-09:00"]\ntime_zone = "Mars/Olympus"',
        "valid_days = 0",
        "period_epsilon = inf",
        "fewest_sites_secret = 1",
        "largest_update_mb = -1",
        'purposes = ["profit"]',
        "two_person = 3",
        'centres = [""]',
    ],
)
def test_a_rule_out_of_range_allows_nothing(line: str) -> None:
    keys = {part.split(" =")[0] for part in line.splitlines()}
    kept = [part for part in TEMPLATE.splitlines() if part.split(" =")[0] not in keys]

    with pytest.raises(PolicyUnreadableError):
        parse_policy("\n".join([*kept, line]).encode())


def test_a_check_names_every_problem_at_once() -> None:
    broken = TEMPLATE.replace("largest_delta = 1e-3", "largest_delta = 2")
    broken = broken.replace("two_person = false", "two_persons = false")

    with pytest.raises(ProblemsFound) as found:
        check_policy(broken.encode())

    assert len(found.value.problems) == 2
    assert "largest_delta" in found.value.say()
    assert "two_persons" in found.value.say()


def test_a_policy_of_an_earlier_version_is_still_read() -> None:
    old = """purposes = ["public-health"]
recipes = ["*"]
largest_epsilon = 1.0
largest_delta = 1e-3
dataset_epsilon = 8.0
dataset_delta = 1e-3
without_privacy = false
share_loss = true
fewest_patients = 20
fewest_sites = 2
"""
    found = parse_policy(old.encode())

    assert (found.period_epsilon, found.two_person, found.hours) == (8.0, False, [])


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_bytes(TEMPLATE.encode() + b"#" * 70_000)

    with pytest.raises(PolicyUnreadableError, match="larger"):
        read_policy(tmp_path / "policy.toml")
