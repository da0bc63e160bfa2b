"""Thresholds as data, and the decision they make: pass, alert, accept in writing, or fail.

The policy is a TOML file (`policy.toml` beside this module is the default) that a centre
may change; its digest goes with every decision. `decide` is pure. What was not measured
has not passed.

    decision = decide(default_policy(), RiskClass.HIGH, facts, {"discrimination"})
"""

import hashlib
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from importlib import resources

from federation.domain.toml_text import parse_toml
from federation.errors.evaluation import PolicyInvalidError
from federation.evaluation.facts import Facts
from federation.evaluation.fairness import Figure, Purpose
from federation.evaluation.suppression import CellRule
from federation.wording import Language, Text

LARGEST_POLICY = 100_000
EDITION = 1


class RiskClass(Enum):
    """How much harm a wrong answer can do; the registry's risk levels."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Verdict(Enum):
    """What a rule says, mildest first."""

    MET = "pass"
    ALERT = "alert"
    ACCEPT = "accept"
    FAIL = "fail"


class Test(Enum):
    """How a measurement is compared with its limit."""

    CLAIM = "low-end-near-claim"
    SLOPE = "slope-within"
    ECE = "ece-at-most"
    TPR_GAP = "tpr-gap-at-most"
    PSI = "psi-at-most"
    ATTACK = "attack-at-most-times"
    NET_BENEFIT = "best-everywhere"


DIMENSION_OF: Mapping[Test, str] = {
    Test.CLAIM: "discrimination",
    Test.SLOPE: "calibration",
    Test.ECE: "calibration",
    Test.TPR_GAP: "fairness",
    Test.PSI: "drift",
    Test.ATTACK: "privacy",
    Test.NET_BENEFIT: "net-benefit",
}
"""The dimension that a test is about; under another name nobody would ask for its rule."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """One rule for one risk class; `limit` holds what its test needs, lowest first."""

    rule: str
    dimension: str
    test: Test
    limit: tuple[float, ...]
    miss: Verdict


@dataclass(frozen=True, slots=True)
class Policy:
    """All thresholds by risk class, the cell rule, and the SHA-256 of the file."""

    name: str
    cell_rule: CellRule
    thresholds: Mapping[RiskClass, tuple[Threshold, ...]]
    sha256: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule says of the facts, with its reason."""

    rule: str
    dimension: str
    verdict: Verdict
    reason: Text
    values: Mapping[str, object]

    def say(self, language: Language = Language.EN) -> str:
        """Return the reason in words."""
        return self.reason.say(language, **self.values)

    def as_json(self) -> dict[str, object]:
        """Return the finding with its reason in both languages."""
        return {
            "rule": self.rule,
            "dimension": self.dimension,
            "verdict": self.verdict.value,
            "reason": {one.value: self.say(one) for one in Language},
        }


@dataclass(frozen=True, slots=True)
class Decision:
    """The worst of the findings, under which policy and for which risk class."""

    policy_sha256: str
    risk: RiskClass
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """Return the worst verdict; without any finding nothing has passed."""
        order = list(Verdict)
        worst = max((order.index(one.verdict) for one in self.findings), default=len(order) - 1)
        return order[worst]

    def as_json(self) -> dict[str, object]:
        """Return the decision as data."""
        return {
            "policy_sha256": self.policy_sha256,
            "risk": self.risk.value,
            "verdict": self.verdict.value,
            "findings": [one.as_json() for one in self.findings],
        }


def default_policy() -> Policy:
    """Return the policy that ships with the platform."""
    return read_policy(resources.files(__package__).joinpath("policy.toml").read_bytes())


def read_policy(content: bytes) -> Policy:
    """Return the policy in a TOML file.

    Raises
    ------
    PolicyInvalidError
        If it is too large, not TOML, or a rule, class, limit or word is missing or unknown.
    OutOfRangeError
        If k is outside 3 to 20.
    """
    raw = _parsed(content)
    if raw.keys() != {"edition", "name", "k", "rules"} or raw["edition"] != EDITION:
        raise PolicyInvalidError(why=_OTHER_FIELDS)
    rules, name, k = raw["rules"], raw["name"], raw["k"]
    if not isinstance(rules, dict) or not rules or type(name) is not str or type(k) is not int:
        raise PolicyInvalidError(why=_OTHER_FIELDS)
    thresholds = {
        risk: tuple(_threshold(rule, said, risk) for rule, said in sorted(rules.items()))
        for risk in RiskClass
    }
    return Policy(name, CellRule(k), thresholds, hashlib.sha256(content).hexdigest())


def decide(
    policy: Policy, risk: RiskClass, facts: Facts, dimensions: Collection[str] | None = None
) -> Decision:
    """Return what the policy says of the facts, for the dimensions asked or for all."""
    asked = [
        one for one in policy.thresholds[risk] if dimensions is None or one.dimension in dimensions
    ]
    return Decision(policy.sha256, risk, tuple(_finding(one, facts) for one in asked))


def _finding(threshold: Threshold, facts: Facts) -> Finding:
    missed = _TESTS[threshold.test](threshold, facts)
    verdict, reason, values = missed or (Verdict.MET, _MET, {})
    return Finding(threshold.rule, threshold.dimension, verdict, reason, values)


_Missed = tuple[Verdict, Text, Mapping[str, object]] | None


def _claim(threshold: Threshold, facts: Facts) -> _Missed:
    if facts.auroc is None or facts.claim is None or not _is_number(facts.auroc.low):
        return _unmeasured()
    least = facts.claim - threshold.limit[0]
    if facts.auroc.low >= least:
        return None
    return (
        threshold.miss,
        _BELOW_CLAIM,
        {"found": f"{facts.auroc.low:.3f}", "least": f"{least:.3f}"},
    )


def _slope(threshold: Threshold, facts: Facts) -> _Missed:
    """Judge the slope's interval: inside passes, beside fails, across is for a person."""
    if facts.slope is None or not _is_number(facts.slope.low, facts.slope.high):
        return _unmeasured()
    low, high = threshold.limit
    if low <= facts.slope.low and facts.slope.high <= high:
        return None
    said = {
        "found": f"{facts.slope.low:.2f}–{facts.slope.high:.2f}",
        "wanted": f"{low:.2f}–{high:.2f}",
    }
    apart = facts.slope.high < low or facts.slope.low > high
    return (threshold.miss, _SLOPE_OUT, said) if apart else (Verdict.ACCEPT, _SLOPE_UNSURE, said)


def _ece(threshold: Threshold, facts: Facts) -> _Missed:
    if facts.ece is None or not _is_number(facts.ece):
        return _unmeasured()
    if facts.ece <= threshold.limit[0]:
        return None
    return threshold.miss, _ECE_HIGH, _pair(facts.ece, threshold.limit[0])


def _tpr_gap(threshold: Threshold, facts: Facts) -> _Missed:
    """Judge confirmatory TPR gaps; one too small a group is told, not passed over."""
    found = facts.fairness
    if found is None or found.purpose is not Purpose.CONFIRMATORY:
        return _unmeasured()
    gaps = [one for one in found.gaps if one.figure is Figure.TPR]
    if not gaps:
        return _unmeasured()
    wide = [one for one in gaps if abs(one.gap) > threshold.limit[0] and one.excludes_zero]
    if not wide:
        return None
    worst = max(wide, key=lambda one: abs(one.gap))
    said = {"group": worst.group, "reference": worst.reference}
    return threshold.miss, _GAP_WIDE, {**_pair(abs(worst.gap), threshold.limit[0]), **said}


def _psi(threshold: Threshold, facts: Facts) -> _Missed:
    if not facts.psi or not _is_number(*facts.psi.values()):
        return _unmeasured()
    variable = max(sorted(facts.psi), key=lambda name: (facts.psi or {})[name])
    if facts.psi[variable] <= threshold.limit[0]:
        return None
    found = _pair(facts.psi[variable], threshold.limit[0])
    return threshold.miss, _DRIFTED, {**found, "variable": variable}


def _attack(threshold: Threshold, facts: Facts) -> _Missed:
    if facts.attack is None or not facts.attack.true_positives.of:
        return _unmeasured()
    limit = threshold.limit[0] * facts.attack.allowed
    if facts.attack.true_positives.rate <= limit:
        return None
    said = {"limit": f"{100 * limit:g} %", "allowed": f"{100 * facts.attack.allowed:g} %"}
    return threshold.miss, _REMEMBERS, said


def _net_benefit(threshold: Threshold, facts: Facts) -> _Missed:
    if not facts.decision_curve:
        return _unmeasured()
    worse = [one.threshold for one in facts.decision_curve if not one.is_best]
    if not worse:
        return None
    return threshold.miss, _NO_BENEFIT, {"threshold": f"{worse[0]:.2f}"}


_TESTS = {
    Test.CLAIM: _claim,
    Test.SLOPE: _slope,
    Test.ECE: _ece,
    Test.TPR_GAP: _tpr_gap,
    Test.PSI: _psi,
    Test.ATTACK: _attack,
    Test.NET_BENEFIT: _net_benefit,
}
_LIMITS = {Test.SLOPE: 2, Test.NET_BENEFIT: 0}
"""How many numbers a test's limit has, where it is not one."""


def _unmeasured() -> _Missed:
    return Verdict.FAIL, _UNMEASURED, {}


def _pair(found: float, limit: float) -> dict[str, object]:
    return {"found": f"{found:.3f}", "limit": f"{limit:.3f}"}


def _is_number(*values: float) -> bool:
    return all(math.isfinite(value) for value in values)


def _parsed(content: bytes) -> dict[str, object]:
    if len(content) > LARGEST_POLICY:
        raise PolicyInvalidError(why=_TOO_LARGE)
    try:
        return parse_toml(content)
    except ValueError as error:
        raise PolicyInvalidError(why=_NOT_TOML) from error


def _threshold(rule: str, said: object, risk: RiskClass) -> Threshold:
    if not isinstance(said, dict) or said.keys() != {"dimension", "test", "high", "medium", "low"}:
        raise PolicyInvalidError(why=_BAD_RULE)
    of_class = said[risk.value]
    if not isinstance(of_class, dict) or not of_class.keys() <= {"limit", "miss"}:
        raise PolicyInvalidError(why=_BAD_RULE)
    try:
        test, miss = Test(said["test"]), Verdict(of_class.get("miss"))
    except ValueError as error:
        raise PolicyInvalidError(why=_BAD_WORD) from error
    if miss is Verdict.MET or said["dimension"] != DIMENSION_OF[test]:
        raise PolicyInvalidError(why=_BAD_WORD)
    return Threshold(rule, DIMENSION_OF[test], test, tuple(_limit(test, of_class)), miss)


def _limit(test: Test, of_class: Mapping[str, object]) -> Iterator[float]:
    limit = of_class.get("limit", [])
    given: list[object] = limit if isinstance(limit, list) else [limit]
    numbers = [
        float(one) for one in given if isinstance(one, int | float) and type(one) is not bool
    ]
    whole = len(numbers) == len(given) == _LIMITS.get(test, 1)
    if not whole or numbers != sorted(numbers) or not _is_number(*numbers):
        raise PolicyInvalidError(why=_BAD_LIMIT)
    yield from numbers


_MET = Text(en="The threshold is met.", zh="符合門檻。")
_UNMEASURED = Text(
    en="It was not measured or may not be shown, so it has not passed.",
    zh="尚未量測或不得顯示,因此不視為通過。",
)
_BELOW_CLAIM = Text(
    en="The lower end of the AUROC's interval is {found}; the claim needs at least {least}.",
    zh="AUROC 區間下限為 {found};依宣稱值至少須為 {least}。",
)
_SLOPE_OUT = Text(
    en="The calibration slope's interval {found} lies outside {wanted}.",
    zh="校準斜率區間 {found} 落在 {wanted} 之外。",
)
_SLOPE_UNSURE = Text(
    en="The calibration slope's interval {found} is not wholly inside {wanted}; "
    "accept it in writing or evaluate more cases.",
    zh="校準斜率區間 {found} 未完全落在 {wanted} 內;請書面接受,或增加評估個案。",
)
_ECE_HIGH = Text(
    en="The expected calibration error is {found}, above {limit}.",
    zh="期望校準誤差為 {found},高於 {limit}。",
)
_GAP_WIDE = Text(
    en="The sensitivity in {group} differs from {reference} by {found}, more than {limit}, "
    "and not by chance.",
    zh="{group} 的敏感度與 {reference} 相差 {found},超過 {limit},且非偶然所致。",
)
_DRIFTED = Text(
    en="{variable} has drifted: PSI {found}, above {limit}.",
    zh="{variable} 已漂移:PSI 為 {found},高於 {limit}。",
)
_REMEMBERS = Text(
    en="A membership attack finds more than {limit} of those trained on, at a false positive "
    "rate of {allowed}.",
    zh="偽陽性率為 {allowed} 時,成員推論攻擊可辨識超過 {limit} 的訓練個案。",
)
_NO_BENEFIT = Text(
    en="At a threshold of {threshold} the model is no better than treating all or none.",
    zh="在門檻機率 {threshold} 時,模型並不優於全部處置或全不處置。",
)
_OTHER_FIELDS = Text(
    en="it needs edition, name, k and rules, and nothing else",
    zh="須有 edition、name、k 與 rules,且不得有其他欄位",
)
_TOO_LARGE = Text(en="the file is too large", zh="檔案過大")
_NOT_TOML = Text(en="the file is not TOML", zh="檔案不是 TOML 格式")
_BAD_RULE = Text(
    en="a rule needs dimension, test, high, medium and low",
    zh="每條規則須有 dimension、test、high、medium 與 low",
)
_BAD_WORD = Text(
    en="a rule's test, dimension or miss is not known",
    zh="規則的 test、dimension 或 miss 不在允許之列",
)
_BAD_LIMIT = Text(
    en="a rule's limit is not what its test needs", zh="規則的 limit 不符合其檢定所需"
)
