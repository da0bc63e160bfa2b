"""A hospital's policy decides whether versions are evaluated at it, and among whom it is summed."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from clients.policy import TEMPLATE, Policy, reasons_against
from clients.policy.judgement import Answer, Facts, Rule, judge
from clients.policy.rules import parse_policy
from federation.domain.ids import Sha256
from federation.errors.approval import PolicyUnreadableError
from tests.builders import SITES, a_recipe
from tests.evaluate.plans import an_evaluation

NOW = datetime(2026, 11, 22, tzinfo=UTC)
LINE = "evaluation = true "


def policy(text: str = TEMPLATE) -> Policy:
    return parse_policy(text.encode())


def against(found: Policy, **changes: Any) -> list[str]:
    study = an_evaluation(**changes)
    recipe = a_recipe(digest=study.recipe_digest)
    return reasons_against(study, found, recipe=recipe, now=NOW)


def test_the_template_lets_versions_be_evaluated_although_it_wants_privacy_for_training() -> None:
    assert not policy().without_privacy and against(policy()) == []


@pytest.mark.parametrize(
    "text",
    [TEMPLATE.replace(LINE, "evaluation = false"), TEMPLATE.replace(LINE, "# evaluation")],
)
def test_a_policy_that_does_not_say_so_lets_nothing_be_evaluated(text: str) -> None:
    assert len(against(policy(text))) == 1


def test_a_quorum_that_hides_too_little_is_refused() -> None:
    text = TEMPLATE.replace("fewest_sites_secret = 3", "fewest_sites_secret = 4")

    assert len(against(policy(text))) == 1
    assert against(policy(text), quorum=4) == []


@pytest.mark.parametrize("line", ['"north"', '"north sha256:xyz"', '"north x", "north y"'])
def test_peers_that_are_not_understood_allow_nothing(line: str) -> None:
    with pytest.raises(PolicyUnreadableError):
        policy(TEMPLATE.replace("sum_peers = []", f"sum_peers = [{line}]"))


def test_peers_that_were_compared_are_known_by_site_and_key() -> None:
    key = Sha256.of(b"node")
    text = TEMPLATE.replace("sum_peers = []", f'sum_peers = ["north {key}"]')

    rule = policy(text.replace("fewest_known_peers = 0", "fewest_known_peers = 1")).peer_rule()

    assert (dict(rule.known), rule.fewest_known, rule.fewest) == ({SITES[0]: key}, 1, 3)


def test_every_rule_answers_an_evaluation_once() -> None:
    study = an_evaluation()
    facts = Facts(
        NOW, SITES[0], a_recipe(digest=study.recipe_digest), "C", Sha256.of(b""), 4, 99, 0
    )

    found = judge(study, policy(), facts)

    assert [one.rule for one in found] == list(Rule)
    assert not [one.rule for one in found if one.answer is Answer.NO]


def test_the_rules_of_training_are_as_they_were_for_studies_that_train() -> None:
    forbids = replace(an_evaluation(), evaluation=None)

    assert reasons_against(forbids, policy(), recipe=a_recipe(), now=NOW)
