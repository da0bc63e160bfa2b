"""What holds back an opt-out list and a site's word that it was applied."""

from collections.abc import Iterator
from dataclasses import dataclass

from federation.errors import PlatformError
from federation.errors.governance import OptOutHeldBackError
from federation.evidence.canonical import canonical
from federation.wording import Text
from registry.optout.shape import LIST, OptOutList, OptOutPropagation
from registry.ports import Transaction
from registry.records.moves import Case
from registry.records.ports import Query, StoredRecord
from registry.records.service import MAX_PAGE
from registry.records.statements import time_of

REVIEW_ABOVE = 0.1
"""An absolute standardised difference above this needs words (a common bound for balance)."""

_OLDER = Text(en="a list of this version or a later one is in force", zh="已有同版或更新的名單生效")
_NO_LIST = Text(en="that list is not in force", zh="該名單並非現行名單")
_OTHER_LIST = Text(en="its digest is another list's", zh="摘要屬於其他名單")
_OTHER_SITE = Text(en="the list does not name this site", zh="名單未列此院所")
_FUTURE = Text(en="it was applied in the future", zh="套用時間在未來")
_UNEXPLAINED = Text(
    en="those who remain differ from all without a word on it", zh="剩餘資料的代表性差異未說明"
)


@dataclass(frozen=True, slots=True)
class ListEvidence:
    """What guards of a list judge: it, and the highest version in force."""

    body: OptOutList
    highest: int


@dataclass(frozen=True, slots=True)
class PropagationEvidence:
    """What guards of a propagation judge: it, and the list in force that it names."""

    body: OptOutPropagation
    list: OptOutList | None


def collect_list(transaction: Transaction, record: StoredRecord) -> ListEvidence:
    """Return the evidence of a list, read inside the move's transaction."""
    highest = _highest(transaction, without=record.id)
    return ListEvidence(_list(record), highest)


def collect_propagation(transaction: Transaction, record: StoredRecord) -> PropagationEvidence:
    """Return the evidence of a propagation, read inside the move's transaction."""
    body = OptOutPropagation.model_validate_json(canonical(dict(record.body)))
    there = transaction.records.head(LIST, body.list)
    if there is None or there.state != "issued":
        return PropagationEvidence(body, None)
    found = _list(there)
    newest = found.version > _highest(transaction, without=body.list)
    return PropagationEvidence(body, found if newest else None)


def _highest(transaction: Transaction, *, without: str) -> int:
    issued = transaction.records.find(Query(LIST, state="issued", limit=MAX_PAGE)).items
    return max((_list(one).version for one in issued if one.id != without), default=0)


def _list(record: StoredRecord) -> OptOutList:
    return OptOutList.model_validate_json(canonical(dict(record.body)))


def newest_version(case: Case) -> Iterator[PlatformError]:
    """Versions only rise: an old list never comes back into force."""
    assert isinstance(case.evidence, ListEvidence)  # the noun's collector made it
    if case.evidence.body.version <= case.evidence.highest:
        yield OptOutHeldBackError(why=_OLDER)


def _of(case: Case) -> PropagationEvidence:
    assert isinstance(case.evidence, PropagationEvidence)  # the noun's collector made it
    return case.evidence


def of_the_list_in_force(case: Case) -> Iterator[PlatformError]:
    """It is the list in force, by its digest, and the list names the site."""
    found = _of(case)
    if found.list is None:
        yield OptOutHeldBackError(why=_NO_LIST)
        return
    if found.list.list_digest != found.body.list_digest:
        yield OptOutHeldBackError(why=_OTHER_LIST)
    if found.body.site not in found.list.sites:
        yield OptOutHeldBackError(why=_OTHER_SITE)


def applied_by_now(case: Case) -> Iterator[PlatformError]:
    """It was applied before it is confirmed."""
    if time_of(_of(case).body.applied_at) > case.now:
        yield OptOutHeldBackError(why=_FUTURE)


def difference_explained(case: Case) -> Iterator[PlatformError]:
    """R40: where those who remain differ, words say what that means."""
    found = _of(case).body.representativeness
    if found.worst > REVIEW_ABOVE and found.note is None:
        yield OptOutHeldBackError(why=_UNEXPLAINED)
