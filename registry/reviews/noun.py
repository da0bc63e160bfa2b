"""The noun ``review-cycle``: its moves, what holds a decision back, whom the clock reminds."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum

from federation.errors import PlatformError
from federation.errors.governance import ReviewHeldBackError
from federation.evidence.canonical import canonical
from federation.wording import Text
from registry.applications.working_days import ends
from registry.deployments.guards import JUDGED
from registry.models.version_card import NAME as MODEL_VERSION
from registry.ports import Transaction
from registry.records.moves import Case, Move, Moves, Seat
from registry.records.ports import StoredRecord
from registry.records.shapes import Noun
from registry.reviews.shape import NAME, Decision, ReviewCycle
from registry.roles import Role
from registry.timers.due import Rule, Standing


class ReviewState(Enum):
    """Where a review stands."""

    OPEN = "open"
    DECIDED = "decided"
    CANCELLED = "cancelled"


_NOT_DECIDED = Text(en="it says neither decision nor why", zh="尚未填寫決定與理由")
_NOT_DEPLOYED = Text(
    en="no such deployment of that version is in the register", zh="登錄系統沒有該版本的此一部署"
)
_RISK = Text(en="the version's risk class is another", zh="與版本的風險等級不符")
_NOT_EVALUATED = Text(
    en="it rests on no evaluation of this version that was judged since the last review",
    zh="缺少上次審查後針對此版本並經判定的評估",
)
_FAILED = Text(
    en="an evaluation it rests on did not pass, so it cannot just be kept",
    zh="所據評估未通過,不得逕行續用",
)
_HOUSE = Text(en="the signer is of another hospital", zh="簽署人屬於其他醫院")
_DECIDED = Text(en="The next review's time begins.", zh="下次審查期間開始計算。")
_CANCELLED = Text(en="Open another one in time.", zh="請如期另行審查。")
_LATE = Text(en="it is past its due date without a decision", zh="已逾應審查日而未決定")


@dataclass(frozen=True, slots=True)
class ReviewEvidence:
    """What guards judge: the review, its deployment and version, the evaluations named.

    `since` is the log's place of the last decided review of the deployment.
    """

    body: ReviewCycle
    deployment: StoredRecord | None
    house: str | None
    risk: str | None
    evaluations: tuple[StoredRecord, ...]
    since: int


def collect(transaction: Transaction, record: StoredRecord) -> ReviewEvidence:
    """Return the evidence of a review, read inside the move's transaction."""
    body = ReviewCycle.model_validate_json(canonical(dict(record.body)))
    records = transaction.records
    deployed = records.history("deployment", body.deployment)
    tests = records.linking(MODEL_VERSION, body.entry, by="evaluation")
    earlier = records.linking("deployment", body.deployment, relation="reviews", by=NAME)
    version = records.head(MODEL_VERSION, body.entry)
    return ReviewEvidence(
        body,
        deployed[-1] if deployed else None,
        deployed[0].author.organisation if deployed else None,
        _risk(version),
        tuple(one for one in tests if one.id in body.evaluations and one.state in JUDGED),
        max((one.log_index for one in earlier if one.state == "decided"), default=-1),
    )


def _risk(version: StoredRecord | None) -> str | None:
    match version.body if version else {}:
        case {"risk": {"level": str(level)}}:
            return level
    return None


def _of(case: Case) -> ReviewEvidence:
    assert isinstance(case.evidence, ReviewEvidence)  # the noun's collector made it
    return case.evidence


def decision_made(case: Case) -> Iterator[PlatformError]:
    """The review says what was decided and why."""
    if _of(case).body.decision is None:
        yield ReviewHeldBackError(why=_NOT_DECIDED)


def of_this_deployment(case: Case) -> Iterator[PlatformError]:
    """The deployment is one of this version, and the signer is of its hospital or a centre."""
    found = _of(case)
    deployed = found.deployment
    if deployed is None or deployed.body.get("entry") != found.body.entry:
        yield ReviewHeldBackError(why=_NOT_DEPLOYED)
        return
    if case.signer.role is Role.HAC and case.signer.organisation != found.house:
        yield ReviewHeldBackError(why=_HOUSE)


def risk_as_classified(case: Case) -> Iterator[PlatformError]:
    """The cycle follows the version's risk class; without one it counts as high."""
    found = _of(case)
    if found.body.risk.value != (found.risk or "high"):
        yield ReviewHeldBackError(why=_RISK)


def rests_on_new_evaluations(case: Case) -> Iterator[PlatformError]:
    """An evaluation since the last review is named, and keeping needs all to have passed."""
    found = _of(case)
    if not any(one.log_index > found.since for one in found.evaluations):
        yield ReviewHeldBackError(why=_NOT_EVALUATED)
    failed = any(one.body.get("passed") is False for one in found.evaluations)
    if failed and found.body.decision is Decision.KEEP:
        yield ReviewHeldBackError(why=_FAILED)


MOVES: Moves[ReviewState] = Moves(
    start=ReviewState.OPEN,
    moves=(
        Move(
            "decide",
            ReviewState.OPEN,
            ReviewState.DECIDED,
            seats=(Seat(Role.HAC, Role.RAI_A),),
            guards=(
                decision_made,
                of_this_deployment,
                risk_as_classified,
                rests_on_new_evaluations,
            ),
            follows=_DECIDED,
        ),
        Move(
            "cancel",
            ReviewState.OPEN,
            ReviewState.CANCELLED,
            seats=(Seat(Role.HAC, Role.HAO, Role.RAI_A, approves=False),),
            follows=_CANCELLED,
        ),
    ),
)

NOUN = Noun(
    NAME,
    ReviewCycle,
    MOVES,
    authors=frozenset({Role.HAO, Role.VAL_E}),
    evidence=collect,
)


def _due(standing: Standing) -> datetime | None:
    return ends(date.fromisoformat(str(standing.record.body["due"])))


RULES = (Rule(NOUN, frozenset({ReviewState.OPEN.value}), None, _due, _LATE),)
