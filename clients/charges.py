"""Who pays for what a study takes, and within which limits: the plan, the dataset, the period."""

import math

from clients.one_answer import Charge
from clients.policy.rules import Policy
from federation.domain.study import PrivacyPlan, Study
from federation.privacy.accountants import epsilon_of
from federation.privacy.events import PrivacyEvent
from federation.privacy.ledger import Budget, Limit, Scope

ROUNDING = 1e-6
"""Slack for the search that finds the smallest noise of a plan."""

_ANY_DELTA = 1e-3


def charge_of(
    study: Study, privacy: PrivacyPlan, policy: Policy, *, events: tuple[PrivacyEvent, ...] = ()
) -> Charge:
    """Return the charge of a study with this privacy plan under a policy."""
    period = Budget(policy.period_epsilon, policy.period_delta)
    return Charge(
        dataset=study.cohort,
        study=study.id,
        events=events,
        budget=Budget(policy.dataset_epsilon, policy.dataset_delta),
        plan=Budget(privacy.epsilon * (1 + ROUNDING), privacy.delta),
        accountant=epsilon_of,
        limits=(Limit(Scope.HOSPITAL, period, policy.period_days),),
    )


def free_of_charge(study: Study) -> Charge:
    """Return the charge of a study that only evaluates: an entry in the book, without events.

    No limit holds it back, also not one that was spent already: it spends nothing.
    """
    unlimited = Budget(math.inf, _ANY_DELTA)
    return Charge(
        dataset=study.cohort,
        study=study.id,
        events=(),
        budget=unlimited,
        plan=unlimited,
        accountant=lambda events, delta: 0.0,
    )
