"""What the passing of time asks of deployments: reviews, and that what runs was started.

A deployment in use whose review is missed by more than 30 days is suspended; so is one
whose version, place or setting was rewritten while it ran.
"""

from datetime import datetime

from federation.wording import Text
from registry.deployments.guards import changed_parts
from registry.deployments.noun import NOUN
from registry.deployments.states import IN_USE, RUNNING
from registry.records.statements import time_of
from registry.timers.clocks import GRACE, add_months
from registry.timers.due import Rule, Standing

REVIEWS = "review-cycle"

_DUE = Text(en="its periodic review is due", zh="定期審查已屆期")
_MISSED = Text(en="its periodic review is more than 30 days late", zh="定期審查逾期超過 30 天")
_REWRITTEN = Text(
    en="its version, place, setting or house was rewritten while it ran",
    zh="執行中被改寫版本、地點、設定或所屬機構",
)


def review_date(standing: Standing) -> datetime | None:
    """Return when a deployment in use must be reviewed again."""
    began = standing.since(IN_USE)
    if began is None:
        return None
    decided = [time_of(one.at) for one in standing.linking if one.state == "decided"]
    months = NOUN.of(standing.record).monitoring.review_months
    return add_months(max([began, *decided]), months)


def suspension_date(standing: Standing) -> datetime | None:
    """Return from when a deployment is suspended for want of its review."""
    due = review_date(standing)
    return None if due is None else due + GRACE


def rewritten_at(standing: Standing) -> datetime | None:
    """Return when what runs became something else than what was started."""
    return time_of(standing.record.at) if changed_parts(standing.history) else None


RULES = (
    Rule(NOUN, IN_USE, None, review_date, _DUE, linked_by=REVIEWS),
    Rule(NOUN, IN_USE, "suspend", suspension_date, _MISSED, linked_by=REVIEWS),
    Rule(
        NOUN,
        frozenset(state.value for state in RUNNING),
        "suspend",
        rewritten_at,
        _REWRITTEN,
    ),
)
