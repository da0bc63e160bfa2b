"""The noun ``feedback``: written at a hospital, confirmed by its data steward."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from federation.errors import PlatformError
from federation.errors.governance import FeedbackHeldBackError
from federation.evidence.canonical import canonical
from federation.wording import Text
from registry.applications.working_days import day_in_taipei
from registry.feedback.shape import NAME, Feedback
from registry.ports import Transaction
from registry.records.moves import Case, Move, Moves, Seat
from registry.records.ports import StoredRecord
from registry.records.shapes import Noun
from registry.roles import Role


class FeedbackState(Enum):
    """Whether the counts count."""

    REPORTED = "reported"
    CONFIRMED = "confirmed"
    WITHDRAWN = "withdrawn"


_NOT_DEPLOYED = Text(en="there is no such deployment", zh="查無此部署")
_HOUSE = Text(en="the signer or author is of another hospital", zh="簽署人或作者屬於其他醫院")
_OVERLAP = Text(
    en="its period overlaps one that was reported, so a small count could be subtracted",
    zh="期間與已回報者重疊,可相減得出小數目",
)
_FUTURE = Text(en="its period is not over", zh="期間尚未結束")
_COUNTS = Text(en="It counts in the deployment's review.", zh="納入部署的定期審查。")
_AGAIN = Text(en="Nothing; its period cannot be reported again.", zh="無後續;該期間不得再次回報。")


@dataclass(frozen=True, slots=True)
class FeedbackEvidence:
    """What guards judge besides the record: its deployment's house, the other reports."""

    body: Feedback
    author: str
    house: str | None
    others: tuple[Feedback, ...]


def collect(transaction: Transaction, record: StoredRecord) -> FeedbackEvidence:
    """Return the evidence of feedback, read inside the move's transaction.

    Withdrawn reports that were confirmed once still count as told.
    """
    body = _read(record)
    records = transaction.records
    deployed = records.history("deployment", body.deployment)
    told = [
        _read(one)
        for one in records.linking("deployment", body.deployment, by=NAME)
        if one.id != record.id and any(_is_told(then) for then in records.history(NAME, one.id))
    ]
    mine = records.history(NAME, record.id)
    house = deployed[0].author.organisation if deployed else None
    return FeedbackEvidence(body, mine[0].author.organisation, house, tuple(told))


def _read(record: StoredRecord) -> Feedback:
    return Feedback.model_validate_json(canonical(dict(record.body)))


def _is_told(record: StoredRecord) -> bool:
    return record.state == FeedbackState.CONFIRMED.value


def _of(case: Case) -> FeedbackEvidence:
    assert isinstance(case.evidence, FeedbackEvidence)  # the noun's collector made it
    return case.evidence


def of_the_own_hospital(case: Case) -> Iterator[PlatformError]:
    """The deployment is there; author and steward are of its hospital."""
    found = _of(case)
    if found.house is None:
        yield FeedbackHeldBackError(why=_NOT_DEPLOYED)
    elif {found.author, case.signer.organisation} != {found.house}:
        yield FeedbackHeldBackError(why=_HOUSE)


def period_over(case: Case) -> Iterator[PlatformError]:
    """Its last day has passed."""
    if day_in_taipei(case.now) <= _of(case).body.ends:
        yield FeedbackHeldBackError(why=_FUTURE)


def no_overlap(case: Case) -> Iterator[PlatformError]:
    """No day was told before: two reports over one day differ by few people."""
    mine = _of(case).body
    if any(one.begins <= mine.ends and mine.begins <= one.ends for one in _of(case).others):
        yield FeedbackHeldBackError(why=_OVERLAP)


MOVES: Moves[FeedbackState] = Moves(
    start=FeedbackState.REPORTED,
    moves=(
        Move(
            "confirm",
            FeedbackState.REPORTED,
            FeedbackState.CONFIRMED,
            seats=(Seat(Role.DST),),
            guards=(of_the_own_hospital, period_over, no_overlap),
            follows=_COUNTS,
        ),
        Move(
            "withdraw",
            {FeedbackState.REPORTED, FeedbackState.CONFIRMED},
            FeedbackState.WITHDRAWN,
            seats=(Seat(Role.DST, Role.HAO, approves=False),),
            follows=_AGAIN,
        ),
    ),
)

NOUN = Noun(
    NAME,
    Feedback,
    MOVES,
    authors=frozenset({Role.HAO}),
    evidence=collect,
)
