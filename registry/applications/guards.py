"""What the rules hold against the moves of an application; each names its rule."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from federation.errors import PlatformError
from federation.errors.governance import (
    ApplicationIncompleteError,
    ApplicationRuleError,
    ApprovedContentError,
)
from federation.evidence.canonical import canonical
from federation.wording import Text
from registry.applications.rule_packs import PACKS, PackId, RulePack
from registry.applications.shape import (
    NAME,
    ApplicantKind,
    DataApplication,
    DocumentKind,
)
from registry.applications.working_days import day_in_taipei
from registry.ports import Transaction
from registry.records.moves import Case
from registry.records.ports import Query, StoredRecord
from registry.records.statements import time_of
from registry.timers.clocks import add_months

HANDED_IN_LATER = frozenset({"fee", "contract", "software", "handlers", "closing"})
"""What may still change after approval; of the handlers only their pledges."""

DECIDED_EXPORTS = frozenset({"released", "refused"})

_CERTIFICATE = Text(en="an ethics certificate or exemption", zh="倫理審查(IRB)核准證明或免審依據")
_VALID_CERTIFICATE = Text(
    en="an ethics certificate that is still valid", zh="仍有效的倫理審查(IRB)核准證明"
)
_DOCUMENTS = {
    DocumentKind.LETTER: Text(en="the agency's letter", zh="機關公函"),
    DocumentKind.FORM: Text(en="the application form", zh="申請表"),
    DocumentKind.PLAN: Text(en="the research plan", zh="研究計畫書"),
}
_PROOF = Text(
    en="proof that a handler from elsewhere takes part", zh="非本單位經手人員參與計畫之證明"
)
_PLEDGE = Text(en="each handler's pledge and declaration", zh="每位經手人員的保密切結書與聲明書")
_CONFIRMED = Text(en="the NHIA's confirmation of special software", zh="健保署對特殊軟體的確認")
_CONTRACT = Text(en="the signed usage contract", zh="已簽訂的使用契約")
_PAID = Text(en="the fee", zh="使用費")
_CLOSING = Text(en="the report and that all was cleared", zh="成果報告與清除確認")
_PERIOD = Text(en="the period is not within the rules' own", zh="使用期間超出規定的適用期間")
_OVER = Text(en="the period is over", zh="使用期間已過")
_PURPOSE = Text(en="its purpose is none of those listed", zh="目的不在所列範圍")
_APPLICANT = Text(en="such an applicant is not listed", zh="申請者身分不在所列範圍")
_IMAGES = Text(en="images of that modality are not provided", zh="不提供該類影像")
_BANNED = Text(en="the applicant was sanctioned less than a year ago", zh="申請者受處分未滿一年")
_UNCHANGED = Text(en="nothing was changed since it was sent back", zh="退補正後內容未變更")
_EXPORTS = Text(en="requests to carry something out are undecided", zh="仍有未決的攜出申請")


@dataclass(frozen=True, slots=True)
class ApplicationEvidence:
    """What guards judge besides the record: its history, its exports, others' sanctions."""

    body: DataApplication
    history: Sequence[StoredRecord]
    open_exports: int
    last_sanction: datetime | None

    @property
    def pack(self) -> RulePack:
        """Return the rules that the application names."""
        return PACKS[PackId(self.body.rule_pack)]


def collect(transaction: Transaction, record: StoredRecord) -> ApplicationEvidence:
    """Return the evidence of an application, read inside the move's transaction."""
    body = DataApplication.model_validate_json(canonical(dict(record.body)))
    exports = transaction.records.linking(NAME, record.id, by="export-request")
    return ApplicationEvidence(
        body,
        transaction.records.history(NAME, record.id),
        sum(one.state not in DECIDED_EXPORTS for one in exports),
        _last_sanction(transaction, body.applicant.code),
    )


def _last_sanction(transaction: Transaction, applicant: str) -> datetime | None:
    wanted = Query(NAME, state="sanctioned", facets={"applicant": applicant}, limit=1)
    found = transaction.records.find(wanted).items
    return time_of(found[0].at) if found else None


def _of(case: Case) -> ApplicationEvidence:
    assert isinstance(case.evidence, ApplicationEvidence)  # the noun's collector made it
    return case.evidence


def _today(case: Case) -> date:
    return day_in_taipei(case.now)


def documents_listed(case: Case) -> Iterator[PlatformError]:
    """R05-R07: an agency's letter and form; everybody else's form and plan."""
    body = _of(case).body
    agency = body.applicant.kind in (ApplicantKind.AGENCY, ApplicantKind.COMMISSIONED)
    needed = (DocumentKind.LETTER if agency else DocumentKind.PLAN, DocumentKind.FORM)
    there = {document.kind for document in body.documents}
    for kind in needed:
        if kind not in there:
            rule = "R06" if agency else "R07"
            yield ApplicationIncompleteError(missing=_DOCUMENTS[kind], rule=rule)


def ethics_in_hand(case: Case) -> Iterator[PlatformError]:
    """R08: a certificate that is valid today, or an exemption."""
    ethics = _of(case).body.ethics
    if ethics is None:
        yield ApplicationIncompleteError(missing=_CERTIFICATE, rule="R08")
    elif ethics.expires is not None and ethics.expires < _today(case):
        yield ApplicationIncompleteError(missing=_VALID_CERTIFICATE, rule="R08")


def handlers_belong(case: Case) -> Iterator[PlatformError]:
    """R04: handlers are of the applicant's own unit, or take part by proof."""
    handlers = _of(case).body.handlers
    if any(not one.own_unit and one.participation_proof is None for one in handlers):
        yield ApplicationIncompleteError(missing=_PROOF, rule="R04")


def fits_the_rules(case: Case) -> Iterator[PlatformError]:
    """R01-R03, R09, R42: purpose, applicant, images and period are those of the pack."""
    body, pack = _of(case).body, _of(case).pack
    if body.purpose not in pack.purposes:
        yield ApplicationRuleError(rule="R02", why=_PURPOSE)
    if body.applicant.kind not in pack.applicants:
        yield ApplicationRuleError(rule="R02", why=_APPLICANT)
    if not set(body.data.modalities) <= pack.modalities:
        yield ApplicationRuleError(rule="R03", why=_IMAGES)
    late = pack.ends is not None and body.period.ends > pack.ends
    if late or body.period.begins < pack.begins:
        yield ApplicationRuleError(rule="R09", why=_PERIOD)


def period_ahead(case: Case) -> Iterator[PlatformError]:
    """R09: the period is not over yet."""
    if _of(case).body.period.ends < _today(case):
        yield ApplicationRuleError(rule="R09", why=_OVER)


def not_banned(case: Case) -> Iterator[PlatformError]:
    """R15, N9: the applicant was not sanctioned within the pack's ban."""
    found = _of(case)
    if found.last_sanction is None or not found.pack.ban_months:
        return
    if case.now < add_months(found.last_sanction, found.pack.ban_months):
        yield ApplicationRuleError(rule="N9", why=_BANNED)


def corrected(case: Case) -> Iterator[PlatformError]:
    """R17: something was corrected since it was found deficient."""
    if case.record.action in ("find-deficient", "ask"):
        yield ApplicationRuleError(rule="R17", why=_UNCHANGED)


def as_approved(case: Case) -> Iterator[PlatformError]:
    """R15, R19: what the council approved is what stands; changes are a new application."""
    found = _of(case)
    approved = [one for one in found.history if one.action == "approve"]
    then = approved[-1].body if approved else {}
    now = case.record.body
    names = {*then, *now} - HANDED_IN_LATER
    changed = sorted(name for name in names if then.get(name) != now.get(name))
    if _people(then) != _people(now):
        changed.append("handlers")
    if changed:
        yield ApprovedContentError(fields=", ".join(changed))


def _people(body: object) -> list[object]:
    """Return who handles the data, without the pledges that come later."""
    match body:
        case {"handlers": [*handlers]}:
            kept = ("person", "own_unit", "participation_proof")
            return [[one.get(name) for name in kept] for one in handlers if isinstance(one, dict)]
    return []


def fee_settled(case: Case) -> Iterator[PlatformError]:
    """R18: the fee is paid, or an agency's is waived (R06)."""
    body = _of(case).body
    agency = body.applicant.kind is ApplicantKind.AGENCY
    fee = body.fee
    if fee is None or not (fee.paid_on is not None or (fee.waived and agency)):
        yield ApplicationIncompleteError(missing=_PAID, rule="R18")


def contract_signed(case: Case) -> Iterator[PlatformError]:
    """R13: the usage contract is signed."""
    if _of(case).body.contract is None:
        yield ApplicationIncompleteError(missing=_CONTRACT, rule="R13")


def pledged(case: Case) -> Iterator[PlatformError]:
    """R14: each handler pledged and declared; special software is confirmed."""
    body = _of(case).body
    if any(one.pledge is None or one.declaration is None for one in body.handlers):
        yield ApplicationIncompleteError(missing=_PLEDGE, rule="R14")
    if not all(one.confirmed for one in body.software):
        yield ApplicationIncompleteError(missing=_CONFIRMED, rule="R14")


def reported(case: Case) -> Iterator[PlatformError]:
    """R20, N5: the report is there, and accounts and files were cleared."""
    if _of(case).body.closing is None:
        yield ApplicationIncompleteError(missing=_CLOSING, rule="R20")


def exports_decided(case: Case) -> Iterator[PlatformError]:
    """R26: nothing that was to be carried out is still undecided."""
    if _of(case).open_exports:
        yield ApplicationRuleError(rule="R26", why=_EXPORTS)


ON_SUBMISSION = (documents_listed, ethics_in_hand, handlers_belong, fits_the_rules, period_ahead)
ON_ACTIVATION = (
    as_approved,
    ethics_in_hand,
    handlers_belong,
    period_ahead,
    fee_settled,
    contract_signed,
    pledged,
    not_banned,
)
