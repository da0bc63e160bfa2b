"""Reimbursement: from assessment over two provisional years to a listing, with its clock.

    apply(desk, "pay-1", entry, dossier="dossier-1", ..., actor=maker)
    shown = show_payment(desk, "pay-1")          # state, clock, evidence, what each move lacks
    note_assessment / set_terms / add_evidence / note_reassessment / restrict
    move_payment(desk, "pay-1", "P2", actor=..., reason=...)

Reports, terms and restrictions are the insurer's to write: another author's hold the decision
back. The register decides what may follow (`registry.reimbursement`); the clock ends a provisional
payment by itself. `NEEDED` says in words which evidence each step rests on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from federation.domain.ids import Sha256
from federation.errors.core import InvalidValueError
from federation.errors.impact_commands import EvidenceNotInForceError, OtherVersionEvidenceError
from federation.operations.embedded_registry import Actor, Following, RecordDesk
from federation.wording import Text

if TYPE_CHECKING:
    from registry.records.ports import StoredRecord
    from registry.records.service import Moved

NOUN = "reimbursement"
STUDY = "impact-study"
VERSION = "model-version"
REPORTED = "reported"

TOPICS: Mapping[str, Text] = {
    "quality": Text(en="quality of care", zh="照護品質"),
    "efficiency": Text(en="efficiency", zh="效率"),
    "staff-burden": Text(en="burden of staff", zh="醫事人力負擔"),
}
"""What long-term evidence must show before a listing."""

PARTS: Mapping[str, Text] = {
    "effectiveness": Text(en="relative effectiveness", zh="相對療效"),
    "cost-effectiveness": Text(en="cost-effectiveness", zh="成本效益"),
    "budget-impact": Text(en="budget impact", zh="財務影響"),
}
"""What an assessment looks at."""

NEEDED: Mapping[str, Text] = {
    "P1": Text(en="A licensed dossier of this version.", zh="此版本已取得許可的查驗登記文件。"),
    "P2": Text(
        en="The assessment's report (relative effectiveness, cost-effectiveness, budget impact), "
        "item and points, start and end within two years, and the register that collects "
        "real-world data.",
        zh="科技評估報告(相對療效、成本效益、財務影響)、支付項目與點數、兩年內的起訖日,"
        "以及蒐集真實世界資料的登錄。",
    ),
    "P3": Text(
        en="Nothing: the clock does it on the last day. Until then collect evidence of quality, "
        "efficiency and the burden of staff.",
        zh="無須文件:時鐘於屆期日執行。在此之前請蒐集品質、效率與人力負擔的證據。",
    ),
    "P4": Text(
        en="The reassessment's report, written since it began, and reported studies of this "
        "version on quality, efficiency and the burden of staff; the licence still in force.",
        zh="再評估開始後的再評估報告,以及此版本已提出報告的品質、效率與人力負擔研究;許可證仍有效。",
    ),
    "P5": Text(
        en="The reassessment's report, written since it began, and to what the payment is "
        "restricted; the licence still in force.",
        zh="再評估開始後的再評估報告,以及給付限縮的範圍;許可證仍有效。",
    ),
    "P6": Text(en="The report that the decision rests on.", zh="作為決定依據的評估報告。"),
    "P7": Text(en="A reason, for example new evidence of harm.", zh="理由,例如新的危害證據。"),
}
"""Which evidence each move rests on."""


@dataclass(frozen=True, slots=True)
class Indication:
    """What is paid for, in both languages."""

    en: str
    zh: str


@dataclass(frozen=True, slots=True)
class Report:
    """An assessment or reassessment: its file, its day and where it can be read."""

    content: bytes
    date: str
    reference: str

    def as_json(self) -> dict[str, object]:
        """Return the report as the record keeps it."""
        digest = Sha256.of(self.content)
        return {"report": digest, "date": self.date, "reference": self.reference}


@dataclass(frozen=True, slots=True)
class Terms:
    """What is paid from when until when; times in UTC, `monitoring` names the data register."""

    code: str
    points: int
    bundled: bool
    start: str
    end: str
    monitoring: str


@dataclass(frozen=True, slots=True)
class PaymentShown:
    """An application as it stands.

    Parameters
    ----------
    due
        What the register's clock will do: when, which move (None: a reminder), why.
    topics
        By topic the studies that show it: reported, of this version.
    parts
        By part of an assessment the studies of this version that computed it.
    """

    record: "StoredRecord"
    following: tuple[Following, ...]
    due: tuple[tuple[datetime, str | None, Text], ...]
    topics: Mapping[str, tuple[str, ...]]
    parts: Mapping[str, tuple[str, ...]]

    def as_json(self) -> dict[str, object]:
        """Return it as JSON, words in both languages."""
        return {
            "payment": self.record.id,
            "state": self.record.state,
            "revision": self.record.revision,
            "entry": self.record.body.get("entry"),
            "moves": [
                {**one.as_json(), "needs": _both(NEEDED[one.number])} for one in self.following
            ],
            "clock": [
                {"at": at.isoformat(), "move": move, "reason": _both(why)}
                for at, move, why in self.due
            ],
            "evidence": {topic: list(studies) for topic, studies in self.topics.items()},
            "assessment": {part: list(studies) for part, studies in self.parts.items()},
        }


def apply(
    desk: RecordDesk,
    payment: str,
    entry: str,
    *,
    dossier: str,
    licence: str,
    indication: Indication,
    actor: Actor,
) -> "StoredRecord":
    """Write a new application for payment of a version."""
    body = {
        "entry": entry,
        "dossier": dossier,
        "licence": licence,
        "indication": {"en": indication.en, "zh-TW": indication.zh},
    }
    return desk.put(NOUN, payment, body, actor, revision=0, reason="application")


def show_payment(desk: RecordDesk, payment: str) -> PaymentShown:
    """Return where an application stands, what the clock will do, and what each move lacks."""
    record = desk.get(NOUN, payment)
    studies = desk.linking(VERSION, str(record.body["entry"]), by=STUDY)
    return PaymentShown(
        record,
        desk.following(NOUN, payment),
        desk.due_at(NOUN, payment),
        {topic: _showing(record, studies, topic) for topic in TOPICS},
        {part: tuple(one.id for one in studies if _computed(one, part)) for part in PARTS},
    )


def note_assessment(
    desk: RecordDesk, payment: str, report: Report, *, actor: Actor
) -> "StoredRecord":
    """Write the assessment's report by its digest."""
    return _write(desk, payment, {"assessment": report.as_json()}, actor, "assessment")


def note_reassessment(
    desk: RecordDesk, payment: str, report: Report, *, actor: Actor
) -> "StoredRecord":
    """Write the reassessment's report by its digest."""
    return _write(desk, payment, {"reassessment": report.as_json()}, actor, "reassessment")


def set_terms(desk: RecordDesk, payment: str, terms: Terms, *, actor: Actor) -> "StoredRecord":
    """Write what is paid; the register refuses more than two years."""
    tariff = {"code": terms.code, "points": terms.points, "bundled": terms.bundled}
    said = {
        "tariff": tariff,
        "start": terms.start,
        "end": terms.end,
        "monitoring": terms.monitoring,
    }
    return _write(desk, payment, said, actor, "terms")


def restrict(desk: RecordDesk, payment: str, to: Indication, *, actor: Actor) -> "StoredRecord":
    """Write to what the payment is restricted."""
    return _write(desk, payment, {"restriction": {"en": to.en, "zh-TW": to.zh}}, actor, "restrict")


def add_evidence(
    desk: RecordDesk, payment: str, topic: str, study: str, *, actor: Actor
) -> "StoredRecord":
    """Name a reported study of this version as evidence of a topic.

    Raises
    ------
    InvalidValueError
        If there is no such topic.
    OtherVersionEvidenceError, EvidenceNotInForceError, RecordNotFoundError
        If the study shows nothing here.
    """
    if topic not in TOPICS:
        raise InvalidValueError(field="topic", actual=repr(topic[:40]), expected=", ".join(TOPICS))
    record, found = desk.get(NOUN, payment), desk.get(STUDY, study)
    name, entry = f"{STUDY}/{study}", str(record.body["entry"])
    if found.body.get("entry") != entry:
        raise OtherVersionEvidenceError(evidence=name, wanted=entry)
    if found.state != REPORTED:
        raise EvidenceNotInForceError(evidence=name, state=found.state)
    given = [one for one in _evidence(record) if one != (topic, study)] + [(topic, study)]
    told = [{"topic": one, "study": other} for one, other in given]
    return _write(desk, payment, {"evidence": told}, actor, f"evidence of {topic}")


def move_payment(
    desk: RecordDesk, payment: str, number: str, *, actor: Actor, reason: str
) -> "Moved":
    """Make a move of an application, or give one of its signatures."""
    seen = desk.get(NOUN, payment).revision
    return desk.move(NOUN, payment, number, actor, reason=reason, revision=seen)


def _write(
    desk: RecordDesk, payment: str, said: Mapping[str, object], actor: Actor, reason: str
) -> "StoredRecord":
    record = desk.get(NOUN, payment)
    body = {**record.body, **said}
    return desk.put(NOUN, payment, body, actor, revision=record.revision, reason=reason)


def _showing(
    record: "StoredRecord", studies: "Sequence[StoredRecord]", topic: str
) -> tuple[str, ...]:
    reported = {one.id for one in studies if one.state == REPORTED}
    return tuple(study for one, study in _evidence(record) if one == topic and study in reported)


def _evidence(record: "StoredRecord") -> list[tuple[str, str]]:
    given = record.body.get("evidence")
    listed = given if isinstance(given, list | tuple) else []
    return [(str(one["topic"]), str(one["study"])) for one in listed]


def _computed(study: "StoredRecord", part: str) -> bool:
    money = study.body.get("economic")
    economic = money if isinstance(money, Mapping) else {}
    found = {
        "effectiveness": study.body.get("results"),
        "cost-effectiveness": economic.get("results"),
        "budget-impact": economic.get("budget"),
    }
    return bool(found[part])


def _both(text: Text) -> dict[str, str]:
    return {"en": text.en, "zh-TW": text.zh}
