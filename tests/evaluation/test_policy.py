"""C.2: thresholds as data, and what they decide."""

import pytest

from federation.errors.evaluation import OutOfRangeError, PolicyInvalidError
from federation.evaluation.facts import Facts
from federation.evaluation.fairness import Fairness, Figure, Gap, Purpose
from federation.evaluation.membership import AttackPoint
from federation.evaluation.operating_points import NetBenefit
from federation.evaluation.policy import (
    Decision,
    RiskClass,
    Verdict,
    decide,
    default_policy,
    read_policy,
)
from federation.evaluation.proportions import Proportion
from federation.evaluation.tails import Interval
from federation.wording import Language

POLICY = default_policy()


def fairness(gap: float, interval: Interval, purpose: Purpose = Purpose.CONFIRMATORY) -> Fairness:
    found = Gap(Figure.TPR, "sex=F", "sex=M", gap, interval, 0.01, 0.02, 0.05)
    return Fairness(purpose, (found,), (), ())


GOOD = {
    "auroc": Interval(0.86, 0.92),
    "claim": 0.90,
    "slope": Interval(0.9, 1.1),
    "ece": 0.03,
    "fairness": fairness(0.04, Interval(-0.01, 0.09)),
    "psi": {"age": 0.08},
    "attack": AttackPoint(0.001, Proportion(1, 1000), Proportion(4, 1000)),
    "decision_curve": (NetBenefit(0.1, 0.05, 0.02, 3.0), NetBenefit(0.2, 0.03, -0.1, 9.0)),
}


def decided(**changes: object) -> Decision:
    return decide(POLICY, RiskClass.HIGH, Facts(**(GOOD | changes)))  # type: ignore[arg-type]


def verdict_of(decision: Decision, rule: str) -> Verdict:
    return next(one.verdict for one in decision.findings if one.rule == rule)


def test_all_thresholds_met_is_a_pass_in_every_risk_class() -> None:
    for risk in RiskClass:
        decision = decide(POLICY, risk, Facts(**GOOD))  # type: ignore[arg-type]
        assert decision.verdict is Verdict.MET
        assert len(decision.findings) == 7


@pytest.mark.parametrize(
    ("changes", "rule", "verdict"),
    [
        ({"auroc": Interval(0.84, 0.93)}, "claim", Verdict.FAIL),
        ({"slope": Interval(0.5, 0.7)}, "slope", Verdict.FAIL),
        ({"slope": Interval(0.7, 1.1)}, "slope", Verdict.ACCEPT),
        ({"slope": Interval(0.1, 9.0)}, "slope", Verdict.ACCEPT),
        ({"ece": 0.051}, "ece", Verdict.FAIL),
        ({"fairness": fairness(-0.12, Interval(-0.2, -0.03))}, "tpr-gap", Verdict.ACCEPT),
        ({"fairness": fairness(-0.12, Interval(-0.3, 0.01))}, "tpr-gap", Verdict.MET),
        ({"psi": {"age": 0.1, "kvp": 0.26}}, "psi", Verdict.ALERT),
        (
            {"attack": AttackPoint(0.001, Proportion(1, 1000), Proportion(6, 1000))},
            "membership",
            Verdict.FAIL,
        ),
        ({"decision_curve": (NetBenefit(0.1, 0.01, 0.02, -1),)}, "net-benefit", Verdict.FAIL),
        ({"decision_curve": (NetBenefit(0.1, -0.01, -0.02, 1),)}, "net-benefit", Verdict.FAIL),
    ],
)
def test_each_threshold_missed_has_its_verdict(
    changes: dict[str, object], rule: str, verdict: Verdict
) -> None:
    decision = decided(**changes)
    assert verdict_of(decision, rule) is verdict
    assert decision.verdict is verdict


@pytest.mark.parametrize(
    ("fact", "rule"),
    [("auroc", "claim"), ("claim", "claim"), ("slope", "slope"), ("ece", "ece"), ("psi", "psi"),
     ("fairness", "tpr-gap"), ("attack", "membership"), ("decision_curve", "net-benefit")],
)  # fmt: skip
def test_what_was_not_measured_has_not_passed(fact: str, rule: str) -> None:
    missing: object = () if fact == "decision_curve" else None
    assert verdict_of(decided(**{fact: missing}), rule) is Verdict.FAIL


def test_numbers_that_are_none_and_screening_gaps_do_not_pass() -> None:
    nan = float("nan")
    assert verdict_of(decided(ece=nan), "ece") is Verdict.FAIL
    assert verdict_of(decided(slope=Interval(nan, nan)), "slope") is Verdict.FAIL
    assert verdict_of(decided(psi={"age": nan}), "psi") is Verdict.FAIL
    screening = fairness(0.01, Interval(-0.1, 0.1), Purpose.SCREENING)
    assert verdict_of(decided(fairness=screening), "tpr-gap") is Verdict.FAIL


def test_only_the_asked_dimensions_are_judged_and_none_is_no_pass() -> None:
    only = decide(POLICY, RiskClass.LOW, Facts(ece=0.01, slope=Interval(1, 1)), {"calibration"})
    assert only.verdict is Verdict.MET
    assert {one.dimension for one in only.findings} == {"calibration"}
    assert decide(POLICY, RiskClass.LOW, Facts(), {"usability"}).verdict is Verdict.FAIL


def test_the_worst_finding_decides_and_says_why_in_both_languages() -> None:
    decision = decided(psi={"age": 0.3}, ece=0.2)
    assert decision.verdict is Verdict.FAIL
    finding = next(one for one in decision.findings if one.rule == "ece")
    assert "0.200" in finding.say() and "0.050" in finding.say(Language.ZH_HANT_TW)
    document = decision.as_json()
    assert document["policy_sha256"] == POLICY.sha256
    assert document["verdict"] == "fail"


TEXT = """
edition = 1
name = "centre-1"
k = 5

[rules.ece]
dimension = "calibration"
test = "ece-at-most"
high = { limit = 0.02, miss = "fail" }
medium = { limit = 0.05, miss = "accept" }
low = { limit = 0.10, miss = "alert" }
"""


def test_a_centre_may_set_its_own_thresholds_by_risk_class() -> None:
    policy = read_policy(TEXT.encode())
    assert policy.cell_rule.k == 5
    verdicts = [decide(policy, risk, Facts(ece=0.2)).verdict for risk in RiskClass]
    assert verdicts == [Verdict.FAIL, Verdict.ACCEPT, Verdict.ALERT]
    assert decide(policy, RiskClass.LOW, Facts(ece=0.09)).verdict is Verdict.MET
    assert policy.sha256 != POLICY.sha256


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("edition = 1", "edition = 2"),
        ("edition = 1", "edition = 1\nextra = 1"),
        ('name = "centre-1"', "name = 1"),
        ("k = 5", "k = true"),
        ("k = 5", 'k = "5"'),
        ('"ece-at-most"', '"ece-at-least"'),
        ('"alert"', '"pass"'),
        ('"alert"', '"maybe"'),
        ("limit = 0.02", "limit = nan"),
        ("limit = 0.02", "limit = [0.02, 0.1]"),
        ("limit = 0.02", 'limit = "0.02"'),
        ("limit = 0.02, ", ""),
        ('low = { limit = 0.10, miss = "alert" }', ""),
        ('dimension = "calibration"', "dimension = 3"),
        ("edition = 1", "edition = "),
    ],
)
def test_a_policy_with_an_unknown_word_is_refused(old: str, new: str) -> None:
    with pytest.raises(PolicyInvalidError):
        read_policy(TEXT.replace(old, new).encode())


def test_a_policy_cannot_loosen_k_or_be_endless() -> None:
    with pytest.raises(OutOfRangeError):
        read_policy(TEXT.replace("k = 5", "k = 2").encode())
    with pytest.raises(PolicyInvalidError):
        read_policy(b"#" * 100_001)
    with pytest.raises(PolicyInvalidError):
        read_policy(b"\xff")
