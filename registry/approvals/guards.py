"""What holds back an approval: the role, the author, the content, the date."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from federation.errors import PlatformError
from federation.errors.governance import ApprovalHeldBackError
from federation.evidence.canonical import canonical
from federation.wording import Text
from registry.applications.working_days import day_in_taipei
from registry.approvals.shape import Approval
from registry.ports import Transaction
from registry.records.moves import Case
from registry.records.ports import StoredRecord
from registry.roles import CENTRE_OF

_ROLE = Text(en="another role was asked", zh="指定的是其他角色")
_AUTHOR = Text(en="the signer wrote what is approved", zh="簽署人即為標的的作者")
_HOUSE = Text(en="the signer's centre wrote what is approved", zh="標的由簽署人所屬中心撰寫")
_CHANGED = Text(en="there is no such record with that content", zh="查無內容相符的標的紀錄")
_EXPIRED = Text(en="it would have expired already", zh="效期已過")


@dataclass(frozen=True, slots=True)
class ApprovalEvidence:
    """What guards judge besides the record: the history of what is approved."""

    body: Approval
    subject: Sequence[StoredRecord]


def collect(transaction: Transaction, record: StoredRecord) -> ApprovalEvidence:
    """Return the evidence of an approval, read inside the move's transaction."""
    body = Approval.model_validate_json(canonical(dict(record.body)))
    subject = body.subject
    return ApprovalEvidence(body, transaction.records.history(subject.noun, subject.id))


def _of(case: Case) -> ApprovalEvidence:
    assert isinstance(case.evidence, ApprovalEvidence)  # the noun's collector made it
    return case.evidence


def role_asked(case: Case) -> Iterator[PlatformError]:
    """Only the role that was asked decides."""
    if case.signer.role is not _of(case).body.role:
        yield ApprovalHeldBackError(why=_ROLE)


def not_the_author(case: Case) -> Iterator[PlatformError]:
    """Who wrote the subject approves it nowhere, not by way of another record either."""
    wrote = [one.author for one in _of(case).subject if one.action == "put"]
    if any(author.person == case.signer.person for author in wrote):
        yield ApprovalHeldBackError(why=_AUTHOR)
    of_centre = case.signer.role in CENTRE_OF
    if of_centre and any(author.organisation == case.signer.organisation for author in wrote):
        yield ApprovalHeldBackError(why=_HOUSE)


def content_as_named(case: Case) -> Iterator[PlatformError]:
    """The subject is there, and its content is still the one named."""
    found = _of(case)
    if not found.subject or found.subject[-1].digest != found.body.subject.digest:
        yield ApprovalHeldBackError(why=_CHANGED)


def not_expired(case: Case) -> Iterator[PlatformError]:
    """The date of expiry is ahead."""
    if _of(case).body.expires < day_in_taipei(case.now):
        yield ApprovalHeldBackError(why=_EXPIRED)
