"""The rules: reviews of versions in use, sign-offs, and what other nouns add.

`rules` are those of this package's own nouns; `expiry` and `provisional_payment` make
rules for nouns whose content has the date: an approval's ``expires``, a payment's
``start``.
"""

from datetime import datetime
from typing import Any

from federation.evidence.model_version import ModelVersionState as State
from federation.wording import Text
from registry.models.version_card import RiskLevel, VersionCard
from registry.records import sign_offs
from registry.records.ports import StoredRecord
from registry.records.shapes import Noun
from registry.records.statements import time_of
from registry.timers.clocks import payment_ends, review_due, suspension_due
from registry.timers.due import Rule, Standing

REVIEWS = "review-cycle"
"""The noun whose records link (``reviews``) to the version they reviewed."""

UNDECIDED = frozenset({"open", "cancelled"})
"""States of a review that decided nothing (yet)."""

IN_USE = frozenset({State.PILOT.value, State.LIVE.value, State.RESTRICTED.value})

_REVIEW = Text(en="its periodic review is due", zh="定期審查已屆期")
_MISSED = Text(en="its periodic review is more than 30 days late", zh="定期審查逾期超過 30 天")
_EXPIRED = Text(en="it is past its date of expiry", zh="已逾有效期限")
_TWO_YEARS = Text(en="two years of provisional payment are over", zh="暫時支付已滿兩年")


def rules(versions: Noun[VersionCard]) -> tuple[Rule, ...]:
    """Return the rules of versions in use and of sign-offs."""
    return (
        Rule(versions, IN_USE, None, review_date, _REVIEW, linked_by=REVIEWS),
        Rule(versions, IN_USE, "T9", suspension_date, _MISSED, linked_by=REVIEWS),
        expiry(sign_offs.SIGN_OFF, sign_offs.SignOffState.OPEN.value, sign_offs.EXPIRE),
    )


def expiry(noun: Noun[Any], state: str, move: str, *, field: str = "expires") -> Rule:
    """Return the rule that moves a record when the time in a field of it has come."""
    return Rule(
        noun, frozenset({state}), move, lambda standing: _moment(standing.record, field), _EXPIRED
    )


def provisional_payment(
    noun: Noun[Any], state: str, move: str | None, *, field: str = "start"
) -> Rule:
    """Return the rule that ends (or, without a move, reminds of) a provisional payment."""

    def at(standing: Standing) -> datetime | None:
        began = _moment(standing.record, field)
        return None if began is None else payment_ends(began)

    return Rule(noun, frozenset({state}), move, at, _TWO_YEARS)


def review_date(standing: Standing) -> datetime | None:
    """Return when a version in use must be reviewed again."""
    last = _last_reviewed(standing)
    return None if last is None else review_due(_risk(standing.record), last)


def suspension_date(standing: Standing) -> datetime | None:
    """Return from when a version in use is suspended for want of its review."""
    last = _last_reviewed(standing)
    return None if last is None else suspension_due(_risk(standing.record), last)


def _last_reviewed(standing: Standing) -> datetime | None:
    """Return the later of its last review's decision and the time it came into use."""
    began = standing.since(IN_USE)
    if began is None:
        return None
    decided = [
        one
        for one in standing.linking
        if one.noun == REVIEWS and one.body.get("decision") and one.state not in UNDECIDED
    ]
    return max([began, *(time_of(one.at) for one in decided)])


def _risk(record: StoredRecord) -> RiskLevel | None:
    match record.body:
        case {"risk": {"level": str(level)}}:
            return RiskLevel(level)
    return None


def _moment(record: StoredRecord, field: str) -> datetime | None:
    """Return the time in a field: RFC 3339, or a date, which ends with its day in Taipei."""
    value = record.body.get(field)
    if not isinstance(value, str):
        return None
    if len(value) == len("2026-01-01"):
        return datetime.fromisoformat(f"{value}T23:59:59+08:00")
    return time_of(value)
