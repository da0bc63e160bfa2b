"""What a hospital allows at all, before anybody looks at a single study.

Read in this order: `rules` (the keys of policy.toml), `hours` (its time windows),
`judgement` (every rule against a study, yes or no in words), `signed` (the data
officer's signature, without which the policy allows nothing).
"""

from clients.policy.judgement import Answer, Facts, Rule, Verdict, judge, reasons, reasons_against
from clients.policy.rules import (
    POLICY_FILE,
    TEMPLATE,
    Policy,
    check_policy,
    parse_policy,
    read_policy,
)
from clients.policy.signed import SignedPolicy, policy_in_force, seen_file, sign_policy

__all__ = [
    "POLICY_FILE",
    "TEMPLATE",
    "Answer",
    "Facts",
    "Policy",
    "Rule",
    "SignedPolicy",
    "Verdict",
    "check_policy",
    "judge",
    "parse_policy",
    "policy_in_force",
    "read_policy",
    "reasons",
    "reasons_against",
    "seen_file",
    "sign_policy",
]
