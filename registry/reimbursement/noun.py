"""The noun ``reimbursement``: provisional for two years, then decided on evidence.

P1 asks for the assessment; P2 grants provisional payment; P3 ends it (the clock, on the day
it ends, or the insurer before); P4 lists, P5 restricts, P6 ends payment; P7 looks again.
Every decision on payment takes staff and council, and rests on a report of its own time: the
reassessment is written after P3 or P7, not before. What is paid is written by the insurer.
Nothing is granted without a licence in force. `RULES` are the clocks: a reminder half
a year before a provisional payment ends, and its end.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from federation.errors import PlatformError
from federation.errors.evidence_nouns import PaymentGuardError
from federation.evidence.canonical import canonical
from federation.wording import Language, Text
from registry.datasets.fields import end_of
from registry.impact.noun import StudyState
from registry.ports import Transaction
from registry.records.moves import Case, Move, Moves, Seat
from registry.records.ports import StoredRecord
from registry.records.shapes import Noun
from registry.records.statements import time_of
from registry.reimbursement.payment import ASKED, NAME, Payment
from registry.roles import Role
from registry.timers.clocks import payment_ends
from registry.timers.due import Rule, Standing

REMIND_BEFORE = timedelta(days=180)


class PaymentState(Enum):
    """Where an application for payment stands (REGISTRY.md B.5)."""

    NONE = "none"
    HTA = "hta"
    PROVISIONAL = "provisional"
    HTR = "htr"
    LISTED = "listed"
    RESTRICTED = "restricted"
    EXITED = "exited"


class PaymentDeed(Enum):
    """What the audit trail calls the moves of a payment. Meanings never change."""

    ASSESSING = "payment-assessment"
    PROVISIONAL = "payment-provisional"
    REASSESSING = "payment-reassessment"
    LISTED = "payment-listed"
    RESTRICTED = "payment-restricted"
    EXITED = "payment-ended"


@dataclass(frozen=True, slots=True)
class PaymentEvidence:
    """What guards judge besides the record: its revisions, its dossier, its studies' states."""

    history: Sequence[StoredRecord] = ()
    dossier: StoredRecord | None = None
    studies: Mapping[str, tuple[str, str]] = field(default_factory=dict)


_NOT_LICENSED = Text(
    en="the dossier it names is not licensed, or of another version",
    zh="所列文件尚未取得許可,或屬於其他版本",
)
_OTHER_LICENCE = Text(
    en="the licence it names is not the dossier's, or has expired",
    zh="所列許可證與文件不符,或已逾有效期限",
)
_STRANGERS = Text(
    en="another house than the applicant's wrote to it", zh="申請機構以外的機構曾寫入內容"
)
_NO_ASSESSMENT = Text(en="there is no assessment report", zh="沒有科技評估報告")
_NO_TERMS = Text(
    en="item, points, start and end of the payment are not all set", zh="支付項目、點數、起訖未完整"
)
_OVER_BEFORE = Text(en="the payment would end before it is granted", zh="暫時支付於核定前即已屆滿")
_NOT_INSURERS = Text(
    en="{fields} were written by the applicant; the insurer writes them",
    zh="{fields} 由申請人填寫;應由健保署填寫",
)
_OLD_REASSESSMENT = Text(
    en="the reassessment report is the one from before this reassessment began",
    zh="再評估報告為本次再評估開始前的報告",
)
_NO_MONITORING = Text(en="no real-world data register is named", zh="未指定真實世界資料登錄")
_NO_REASSESSMENT = Text(en="there is no reassessment report", zh="沒有再評估報告")
_NO_RESTRICTION = Text(en="it does not say what it is restricted to", zh="未說明限縮的範圍")


def collect(transaction: Transaction, record: StoredRecord) -> PaymentEvidence:
    """Return what the guards of a payment judge."""
    body = _payment(record)
    dossier = transaction.records.head("certification-dossier", body.dossier)
    named = [one.study for one in body.evidence]
    studies = transaction.records.heads("impact-study", named)
    return PaymentEvidence(
        transaction.records.history(record.noun, record.id),
        dossier,
        {name: (one.state, str(one.body.get("entry"))) for name, one in studies.items()},
    )


def one_applicant(case: Case) -> Iterator[PlatformError]:
    """P1, P2, P4, P5: besides the insurer, only the house that applied wrote it."""
    if len(_applicants(_of(case).history)) > 1:
        yield _held(case, _STRANGERS)


def licensed(case: Case) -> Iterator[PlatformError]:
    """P1, P2, P4, P5: the dossier is of this version and licensed, the licence in force."""
    dossier, body = _of(case).dossier, _payment(case.record)
    if dossier is None or (dossier.state, dossier.body.get("entry")) != ("licensed", body.entry):
        yield _held(case, _NOT_LICENSED)
    elif not _is_in_force(dossier.body.get("licence"), body.licence, case.now):
        yield _held(case, _OTHER_LICENCE)


def _is_in_force(licence: object, number: str, now: datetime) -> bool:
    """Say whether a dossier's licence is the one that is named, and has not expired."""
    if not isinstance(licence, Mapping) or licence.get("number") != number:
        return False
    return now <= end_of(str(licence.get("expires")))


def insurers_terms(case: Case) -> Iterator[PlatformError]:
    """P2, P4, P5, P6: reports, item, points, times and restriction are the insurer's words."""
    told = [
        name
        for name in INSURERS_FIELDS
        if (record := _last_written(_of(case).history, name)) is not None
        and record.author.role is not Role.NHI_S
    ]
    if told:
        fields = ", ".join(told)
        why = Text(
            en=_NOT_INSURERS.say(Language.EN, fields=fields),
            zh=_NOT_INSURERS.say(Language.ZH_HANT_TW, fields=fields),
        )
        yield _held(case, why)


def _last_written(history: Sequence[StoredRecord], name: str) -> StoredRecord | None:
    """Return the revision that gave a field the value it has; None while it has none."""
    value = history[-1].body.get(name) if history else None
    found: StoredRecord | None = None
    for record in reversed(history):
        if value is None or record.body.get(name) != value:
            break
        found = record
    return found


def assessed(case: Case) -> Iterator[PlatformError]:
    """P2: there is an assessment."""
    if _payment(case.record).assessment is None:
        yield _held(case, _NO_ASSESSMENT)


def terms_set(case: Case) -> Iterator[PlatformError]:
    """P2: what is paid, from when until when, and that it is not over yet."""
    body = _payment(case.record)
    if body.tariff is None or body.end is None:
        yield _held(case, _NO_TERMS)
    elif time_of(body.end) <= case.now:
        yield _held(case, _OVER_BEFORE)


def monitored(case: Case) -> Iterator[PlatformError]:
    """P2: real-world data will be collected (R43)."""
    if _payment(case.record).monitoring is None:
        yield _held(case, _NO_MONITORING)


def reassessed(case: Case) -> Iterator[PlatformError]:
    """P4, P5, P6: there is a reassessment, written since this one began."""
    report = case.record.body.get("reassessment")
    began = next((one for one in reversed(_of(case).history) if one.action in _REASSESSED), None)
    if report is None:
        yield _held(case, _NO_REASSESSMENT)
    elif began is not None and began.body.get("reassessment") == report:
        yield _held(case, _OLD_REASSESSMENT)


def evidence_given(case: Case) -> Iterator[PlatformError]:
    """P4: reported studies of this version show quality, efficiency and staff burden (R44)."""
    body, states = _payment(case.record), _of(case).studies
    wanted = (StudyState.REPORTED.value, body.entry)
    shown = {one.topic for one in body.evidence if states.get(one.study) == wanted}
    for topic in ASKED:
        if topic not in shown:
            why = Text(
                en=f"no reported study of this version shows {topic}",
                zh=f"沒有此版本已提出報告的研究可佐證 {topic}",
            )
            yield _held(case, why)


def restriction_told(case: Case) -> Iterator[PlatformError]:
    """P5: it says what it is restricted to."""
    if _payment(case.record).restriction is None:
        yield _held(case, _NO_RESTRICTION)


def _applicants(history: Sequence[StoredRecord]) -> frozenset[str]:
    """Return the organisations that wrote it, the insurer left out."""
    return frozenset(
        record.author.organisation
        for record in history
        if record.action == "put" and record.author.role is not Role.NHI_S
    )


def _held(case: Case, why: Text) -> PlatformError:
    return PaymentGuardError(payment=case.record.id, why=why)


def _payment(record: StoredRecord) -> Payment:
    return Payment.model_validate_json(canonical(dict(record.body)))


def _of(case: Case) -> PaymentEvidence:
    assert isinstance(case.evidence, PaymentEvidence)  # `collect` made it
    return case.evidence


INSURERS_FIELDS = ("assessment", "tariff", "start", "end", "reassessment", "restriction")
"""What only the insurer may say of a payment."""

_REASSESSED = frozenset({"P3", "P7"})

_ASSESS = Text(en="The insurer has it assessed.", zh="由健保署辦理科技評估。")
_COLLECT = Text(
    en="Collect evidence of quality, efficiency and staff burden within two years.",
    zh="請於兩年內蒐集品質、效率與人力負擔的證據。",
)
_REASSESS = Text(en="Staff and council decide on the evidence.", zh="由健保署與審議會依證據決定。")
_LISTED = Text(en="It may be looked at again at any time.", zh="可隨時重新評估。")
_END = Text(en="Nothing; its record stays.", zh="無後續;紀錄永久保留。")
_STATE = PaymentState
_DECIDES = (Seat(Role.NHI_S), Seat(Role.NHI_C))
_PAID = (PaymentState.LISTED, PaymentState.RESTRICTED)
MOVES = Moves(
    start=PaymentState.NONE,
    moves=(
        Move(
            "P1",
            _STATE.NONE,
            _STATE.HTA,
            seats=(Seat(Role.DEV, Role.HAO, approves=False),),
            guards=(one_applicant, licensed),
            kind=PaymentDeed.ASSESSING,
            follows=_ASSESS,
        ),
        Move(
            "P2",
            _STATE.HTA,
            _STATE.PROVISIONAL,
            seats=_DECIDES,
            guards=(one_applicant, licensed, assessed, terms_set, monitored, insurers_terms),
            kind=PaymentDeed.PROVISIONAL,
            follows=_COLLECT,
        ),
        Move(
            "P3",
            _STATE.PROVISIONAL,
            _STATE.HTR,
            seats=(Seat(Role.CLOCK, Role.NHI_S, approves=False),),
            kind=PaymentDeed.REASSESSING,
            follows=_REASSESS,
        ),
        Move(
            "P4",
            _STATE.HTR,
            _STATE.LISTED,
            seats=_DECIDES,
            guards=(one_applicant, licensed, reassessed, evidence_given, insurers_terms),
            kind=PaymentDeed.LISTED,
            follows=_LISTED,
        ),
        Move(
            "P5",
            _STATE.HTR,
            _STATE.RESTRICTED,
            seats=_DECIDES,
            guards=(one_applicant, licensed, reassessed, restriction_told, insurers_terms),
            kind=PaymentDeed.RESTRICTED,
            follows=_LISTED,
        ),
        Move(
            "P6",
            _STATE.HTR,
            _STATE.EXITED,
            seats=_DECIDES,
            guards=(reassessed, insurers_terms),
            kind=PaymentDeed.EXITED,
            follows=_END,
        ),
        Move(
            "P6",
            _STATE.HTA,
            _STATE.EXITED,
            seats=_DECIDES,
            guards=(assessed, insurers_terms),
            kind=PaymentDeed.EXITED,
            follows=_END,
        ),
        Move(
            "P7",
            _PAID,
            _STATE.HTR,
            seats=(Seat(Role.NHI_S, approves=False),),
            kind=PaymentDeed.REASSESSING,
            follows=_REASSESS,
        ),
    ),
)
NOUN = Noun(
    NAME,
    Payment,
    MOVES,
    authors=frozenset({Role.DEV, Role.HAO, Role.NHI_S}),
    editable=frozenset({_STATE.NONE.value, _STATE.HTA.value, _STATE.HTR.value}),
    evidence=collect,
    shared=True,
)


def ends_at(standing: Standing) -> datetime | None:
    """Return when a provisional payment ends: as agreed, two years after its start at most."""
    start, end = standing.record.body.get("start"), standing.record.body.get("end")
    if not isinstance(start, str) or not isinstance(end, str):
        return None
    return min(time_of(end), payment_ends(time_of(start)))


def remind_at(standing: Standing) -> datetime | None:
    """Return when staff is reminded: half a year before the end."""
    end = ends_at(standing)
    return None if end is None else end - REMIND_BEFORE


_SOON = Text(en="provisional payment ends within 180 days", zh="暫時支付將於 180 天內屆期")
_OVER = Text(en="the time of provisional payment is over", zh="暫時支付期間已滿")
_RUNNING = frozenset({PaymentState.PROVISIONAL.value})
RULES = (
    Rule(NOUN, _RUNNING, None, remind_at, _SOON),
    Rule(NOUN, _RUNNING, "P3", ends_at, _OVER),
)
