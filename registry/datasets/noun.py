"""The noun ``dataset-card``: who publishes a card, and when its data may no longer be used.

- D1: the site's committee or the ethics board lets it be used (never its author);
- D2: anybody responsible withdraws it at once;
- D3: the clock, after the last day of the ethics approval;
- D4: the data were destroyed: the steward says so, the key custodian confirms it.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import Enum

from federation.errors import PlatformError
from federation.errors.evidence_nouns import DataGuardError
from federation.evidence.canonical import canonical
from federation.evidence.statements import PredicateType
from federation.wording import Text
from registry.datasets.card import NAME, DatasetCard
from registry.datasets.fields import end_of
from registry.evidence.logged import logged_statement
from registry.ports import Transaction
from registry.records.moves import Case, Move, Moves, Seat
from registry.records.ports import StoredRecord
from registry.records.shapes import Noun
from registry.records.statements import time_of
from registry.roles import Role
from registry.timers.rules import expiry

LARGEST_SMD = 0.1
"""Above it a difference is no longer small by convention (Austin 2009, Stat Med 28:3083)."""


class CardState(Enum):
    """Whether data may be used."""

    DRAFT = "draft"
    IN_USE = "in-use"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    DESTROYED = "destroyed"


class CardDeed(Enum):
    """What the audit trail calls the moves of a dataset card. Meanings never change."""

    PUBLISHED = "dataset-card-published"
    WITHDRAWN = "dataset-card-withdrawn"
    EXPIRED = "dataset-card-expired"
    DESTROYED = "dataset-destroyed"


_ETHICS = Text(en="its ethics approval has expired", zh="倫理審查核准已逾期")
_OPT_OUT = Text(
    en="the opt-out list is said to be applied in the future", zh="退出名單的套用時間在未來"
)
_LATER = Text(en="it says that its period ends in the future", zh="資料期間的結束日在未來")
_NOT_LIKE = Text(
    en="opt-outs changed the data (SMD above 0.1), and nothing says why that is acceptable",
    zh="退出使資料產生偏移(SMD 大於 0.1),且未說明可接受的理由",
)
_NOT_SIGNED = Text(en="it is not what the hospital's node signed", zh="與該院節點所簽署的內容不同")
_NO_COUNT = Text(en="fewer than ten patients", zh="病人數少於十人")
_PUBLISHED = Text(
    en="Studies may use the data until the ethics approval ends.",
    zh="倫理審查核准期間內,研究可使用此資料。",
)
_STOP = Text(
    en="Stop using the data; look up which models they touched.",
    zh="請停止使用,並查詢受影響的模型。",
)
_END = Text(en="Nothing; the card stays.", zh="無後續;資料卡永久保留。")


def _card(case: Case) -> DatasetCard:
    return DatasetCard.model_validate_json(canonical(dict(case.record.body)))


def ethics_valid(case: Case) -> Iterator[PlatformError]:
    """D1: the ethics approval has not expired."""
    card = _card(case)
    if card.ethics_expires is not None and end_of(card.ethics_expires) < case.now:
        yield DataGuardError(site=card.site, why=_ETHICS)


def opt_out_applied(case: Case) -> Iterator[PlatformError]:
    """D1: the opt-out list was applied before now (GOVERNANCE R37, R40)."""
    card = _card(case)
    if time_of(card.opt_out.applied_at) > case.now:
        yield DataGuardError(site=card.site, why=_OPT_OUT)


def representative(case: Case) -> Iterator[PlatformError]:
    """D1: what opt-outs changed is small, or the card says why it is acceptable (R40)."""
    card = _card(case)
    changed = card.opt_out.representativeness
    if changed is not None and changed.largest > LARGEST_SMD and card.opt_out.accepted is None:
        yield DataGuardError(site=card.site, why=_NOT_LIKE)


def as_signed(case: Case) -> Iterator[PlatformError]:
    """D1: a card that names its node's statement says what the node signed."""
    card = _card(case)
    if card.signed is not None and not case.evidence:
        yield DataGuardError(site=card.site, why=_NOT_SIGNED)


def is_as_signed(transaction: Transaction, record: StoredRecord) -> bool:
    """Say whether the log has the node's own statement of exactly this card."""
    card = DatasetCard.model_validate_json(canonical(dict(record.body)))
    if card.signed is None:
        return False
    try:
        kind = PredicateType.DATASET_CARD
        said = logged_statement(transaction, card.signed, kind, site=card.site).predicate
        signed = NOUN.read({**_mapping(said.get("card")), "signed": card.signed})
    except PlatformError:
        return False
    return said.get("what") == NAME and signed == card


def _mapping(said: object) -> Mapping[str, object]:
    return said if isinstance(said, Mapping) else {}


def enough_patients(case: Case) -> Iterator[PlatformError]:
    """D1: there are ten patients or more, so that anything at all may be shown of them."""
    card = _card(case)
    if not card.patients:
        yield DataGuardError(site=card.site, why=_NO_COUNT)


def period_past(case: Case) -> Iterator[PlatformError]:
    """D1: the data are of the past."""
    card = _card(case)
    if datetime.fromisoformat(f"{card.period.end}T00:00:00+08:00") > case.now:
        yield DataGuardError(site=card.site, why=_LATER)


_OPEN = (CardState.DRAFT, CardState.IN_USE)
MOVES = Moves(
    start=CardState.DRAFT,
    moves=(
        Move(
            "D1",
            CardState.DRAFT,
            CardState.IN_USE,
            seats=(Seat(Role.HAC, Role.IRB),),
            guards=(
                as_signed,
                ethics_valid,
                opt_out_applied,
                representative,
                enough_patients,
                period_past,
            ),
            kind=CardDeed.PUBLISHED,
            follows=_PUBLISHED,
        ),
        Move(
            "D2",
            _OPEN,
            CardState.WITHDRAWN,
            seats=(Seat(Role.DST, Role.HAC, Role.IRB, Role.RAI_A, approves=False),),
            kind=CardDeed.WITHDRAWN,
            follows=_STOP,
        ),
        Move(
            "D3",
            CardState.IN_USE,
            CardState.EXPIRED,
            seats=(Seat(Role.CLOCK, approves=False),),
            kind=CardDeed.EXPIRED,
            follows=_STOP,
        ),
        Move(
            "D4",
            (CardState.IN_USE, CardState.WITHDRAWN, CardState.EXPIRED),
            CardState.DESTROYED,
            seats=(Seat(Role.DST, approves=False), Seat(Role.SEC)),
            kind=CardDeed.DESTROYED,
            follows=_END,
        ),
    ),
)
NOUN = Noun(NAME, DatasetCard, MOVES, authors=frozenset({Role.DST}), evidence=is_as_signed)
RULES = (expiry(NOUN, CardState.IN_USE.value, "D3", field="ethics_expires"),)
