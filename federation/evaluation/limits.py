"""The policy's rules as limits on the metrics of a record, for the register to hold to.

A rule of `policy` judges facts; a record of an evaluation has named metrics. Here is which
metric each rule is about, so that a plan's thresholds can be written from the policy, and
held against it: a plan may be stricter, not weaker.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from federation.evaluation.membership import FALSE_POSITIVE_RATES
from federation.evaluation.policy import Policy, RiskClass, Test, Threshold

GAP = "confirmed-tpr-gap"
NO_BENEFIT = "thresholds-without-benefit"
ATTACK = "attack-tpr"
DRIFTING = ("age", "score")
"""The variables of which drift is measured."""

Bound = Literal["value", "low", "high"]
_UNKNOWN_CLAIM = 0.0
_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class Limit:
    """What the estimate or an end of the interval of a metric must be at least or at most."""

    metric: str
    bound: Bound
    at_least: float | None = None
    at_most: float | None = None
    slice: str = "all"

    def as_json(self) -> dict[str, object]:
        """Return the limit as a record's threshold; what is not set has no key."""
        ends = {"at_least": self.at_least, "at_most": self.at_most}
        said = {name: value for name, value in ends.items() if value is not None}
        where = {} if self.slice == "all" else {"slice": self.slice}
        return {"metric": self.metric, "bound": self.bound, **where, **said}

    def is_kept_by(self, given: "Limit") -> bool:
        """Say whether another limit on the same metric is as strict; slices may differ."""
        if (given.metric, given.bound) != (self.metric, self.bound):
            return False
        low = self.at_least is None or (
            given.at_least is not None and given.at_least >= self.at_least
        )
        high = self.at_most is None or (given.at_most is not None and given.at_most <= self.at_most)
        return low and high


def limits_of(rule: Threshold, *, claim: float) -> Iterator[Limit]:
    """Yield the limits of one rule; `claim` is the AUROC that the maker claims."""
    match rule.test:
        case Test.CLAIM:
            yield Limit("auroc", "low", at_least=round(claim - rule.limit[0], _DECIMALS))
        case Test.SLOPE:
            yield Limit("slope", "low", at_least=rule.limit[0])
            yield Limit("slope", "high", at_most=rule.limit[1])
        case Test.ECE:
            yield Limit("ece", "value", at_most=rule.limit[0])
        case Test.TPR_GAP:
            yield Limit(GAP, "value", at_most=rule.limit[0])
        case Test.PSI:
            for variable in DRIFTING:
                yield Limit("psi", "value", at_most=rule.limit[0], slice=variable)
        case Test.ATTACK:
            yield Limit(ATTACK, "value", at_most=rule.limit[0] * FALSE_POSITIVE_RATES[0])
        case Test.NET_BENEFIT:
            yield Limit(NO_BENEFIT, "value", at_most=0.0)


def weaker_than(policy: Policy, dimension: str, given: Sequence[Limit]) -> list[str]:
    """Return the rules of a dimension that the given limits do not keep to.

    A record says neither its version's risk nor a claim, so it is held to the mildest of
    the classes, and of a claim's rule to the metric alone.
    """
    rules: dict[str, bool] = {}
    for rule in (one for risk in RiskClass for one in policy.thresholds[risk]):
        if rule.dimension == dimension:
            wanted = limits_of(rule, claim=_UNKNOWN_CLAIM)
            kept = all(any(one.is_kept_by(limit) for limit in given) for one in wanted)
            rules[rule.rule] = kept or rules.get(rule.rule, False)
    return [name for name, kept in rules.items() if not kept]
