"""Dossiers: what shows one version to an authority. `trifed dossier` and notebooks call it.

    open_dossier(desk, "dossier-1", entry, device=Device(...), device_id=..., actor=maker)
    attach(desk, "dossier-1", "evaluation", "ev-7", actor=maker)      # wherever it fits
    attach_all(desk, "dossier-1", actor=maker)                       # all that counts now
    status(desk, "dossier-1").gaps                                   # what is missing, in words
    decide(desk, "dossier-1", Decision.COMPLETE, actor=evaluator, reason=...)
    bundle(desk, "dossier-1", path, actor=maker)

Evidence is named, never copied: a record of the register with revision, digest, signer and
place in the log. What is attached was looked at before: of this version, signed, in force,
not expired, and of a kind that a requirement asks for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from federation.domain.ids import Sha256
from federation.errors import PlatformError
from federation.errors.impact_commands import (
    EvidenceExpiredError,
    EvidenceNotAsSignedError,
    EvidenceNotFittingError,
    EvidenceNotInForceError,
    OtherVersionEvidenceError,
)
from federation.errors.moves import RecordNotFoundError
from federation.operations.embedded_registry import Actor, RecordDesk
from federation.wording import Language, Text

if TYPE_CHECKING:
    from registry.certification.changes import Classified
    from registry.certification.completeness import Completeness, Judged
    from registry.records.ports import StoredRecord
    from registry.records.service import Moved

NOUN = "certification-dossier"
DOCUMENT = "evidence-document"
SIGNED_VERSION = "signed-version"
PACK = "tfda-ai"
FIXES = ("bug", "user-interface", "system")
"""What a change may be that touches no part of a version."""

TASKS = ("CADe", "CADx", "CADt", "prognosis", "triage", "documentation", "other")
TARGETS = ("TFDA", "FDA", "EU")

_ANY = Text(en="any requirement of the rule pack", zh="規則包中任何要求")


class Decision(Enum):
    """What can be decided on a dossier; the value is the word on the command line."""

    COMPLETE = "complete"
    SIGN = "sign"
    SUBMIT = "submit"
    ASK = "ask"
    ANSWER = "answer"
    LICENSE = "license"
    REFUSE = "refuse"
    REOPEN = "reopen"

    @property
    def move(self) -> str:
        """Return the number of the move in the register's table."""
        return _MOVES[self]


_MOVES = {
    Decision.COMPLETE: "C1",
    Decision.SIGN: "C2",
    Decision.SUBMIT: "C3",
    Decision.ASK: "C4",
    Decision.ANSWER: "C5",
    Decision.LICENSE: "C6",
    Decision.REFUSE: "C7",
    Decision.REOPEN: "C8",
}


@dataclass(frozen=True, slots=True)
class Device:
    """What the conditions of requirements look at; `task` is one of `TASKS`."""

    task: str
    shows_probability: bool = False
    shows_heat_map: bool = False
    has_change_plan: bool = False
    was_licensed_before: bool = False
    uses_real_world_data: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """What the register keeps of a document: what it is, by whom, until when (days)."""

    kind: str
    title_en: str
    title_zh: str
    issuer: str
    issued: str
    valid_until: str | None = None
    standard: str | None = None


@dataclass(frozen=True, slots=True)
class Attached:
    """The dossier as it is now, and for each item that was added what it answers."""

    record: "StoredRecord"
    items: Mapping[str, tuple[str, ...]]

    def as_json(self) -> dict[str, object]:
        """Return what was attached as JSON."""
        return {
            "dossier": self.record.id,
            "revision": self.record.revision,
            "log_index": self.record.log_index,
            "items": {item: list(answers) for item, answers in self.items.items()},
        }


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that was written, its digest, and the dossier that names it."""

    path: Path
    digest: Sha256
    record: "StoredRecord"


def open_dossier(
    desk: RecordDesk,
    dossier: str,
    entry: str,
    *,
    device: Device,
    device_id: str,
    actor: Actor,
    target: str = "TFDA",
    pack: tuple[str, str] | None = None,
) -> "StoredRecord":
    """Write a new dossier of a version for one authority.

    Parameters
    ----------
    pack
        Name and edition of the rule pack; by default the newest edition of `PACK`. Its
        content id goes into the dossier, so that nobody can change what is asked afterwards.

    Raises
    ------
    PlatformError
        What the register refused with; `EntryNotFoundError` if there is no such version.
    """
    desk.item(SIGNED_VERSION, entry)
    name, edition = pack or (PACK, None)
    body: dict[str, object] = {
        "entry": entry,
        "target": target,
        "pack": desk.pack(name, edition),
        "device_id": device_id,
        "device": asdict(device),
    }
    return desk.put(NOUN, dossier, body, actor, revision=0, reason="opened")


def status(desk: RecordDesk, dossier: str) -> "Completeness":
    """Return every requirement with its gaps, and what to do about each, in both languages.

    Raises
    ------
    RecordNotFoundError, RulePackError
        If there is no such dossier, or its rule pack is not installed.
    """
    return desk.completeness(dossier)


def attach(
    desk: RecordDesk,
    dossier: str,
    noun: str,
    record: str,
    *,
    actor: Actor,
    requirement: str | None = None,
    valid_until: str | None = None,
) -> Attached:
    """Name a record as evidence, of one requirement or of all that it fits.

    Naming it again takes its newest revision.

    Raises
    ------
    RecordNotFoundError
        If dossier or record is not there.
    EvidenceNotAsSignedError, OtherVersionEvidenceError, EvidenceExpiredError,
    EvidenceNotInForceError, EvidenceNotFittingError
        If it shows nothing here.
    PlatformError
        What the register refused with.
    """
    head = desk.get(NOUN, dossier)
    item = desk.item(noun, record) | ({"valid_until": valid_until} if valid_until else {})
    evidence = f"{noun}/{record}"
    if not _is_signed(desk, noun, record):
        raise EvidenceNotAsSignedError(evidence=evidence)
    body = _with_item(head.body, item)
    judged = desk.tried(head, body).items[str(item["id"])]
    _check_counts(judged, evidence, head)
    answers = _answers(judged, evidence, requirement)
    kept = desk.put(
        NOUN,
        dossier,
        _answered(body, str(item["id"]), answers),
        actor,
        revision=head.revision,
        reason=f"evidence {evidence}",
    )
    return Attached(kept, {str(item["id"]): answers})


def attach_all(desk: RecordDesk, dossier: str, *, actor: Actor) -> Attached:
    """Name every record of the version that counts now, wherever it fits.

    What does not count (another version, expired, not judged) is left out; `status` tells
    what is missing then.

    Raises
    ------
    PlatformError
        What the register refused with.
    """
    head = desk.get(NOUN, dossier)
    entry = str(head.body["entry"])
    body, ids = dict(head.body), list[str]()
    for noun, record in [(SIGNED_VERSION, entry), *desk.belonging(entry)]:
        item = _found(desk, noun, record)
        if item is not None:
            body = _with_item(body, item)
            ids.append(str(item["id"]))
    judged = desk.tried(head, body).items
    good = {id: judged[id].answers for id in ids if _counts(judged[id])}
    body = _without(body, set(ids) - set(good))
    for id, answers in good.items():
        body = _answered(body, id, answers)
    kept = desk.put(
        NOUN, dossier, body, actor, revision=head.revision, reason="all evidence of the version"
    )
    return Attached(kept, good)


def decide(
    desk: RecordDesk, dossier: str, decision: Decision, *, actor: Actor, reason: str
) -> "Moved":
    """Make a decision on a dossier, or give one of its signatures.

    Raises
    ------
    RequirementGapError, ProblemsFound
        Naming every requirement that holds it back.
    PlatformError
        What the register refused with.
    """
    seen = desk.get(NOUN, dossier).revision
    return desk.move(NOUN, dossier, decision.move, actor, reason=reason, revision=seen)


def note_submission(
    desk: RecordDesk, dossier: str, *, date: str, number: str, result: str, actor: Actor
) -> "StoredRecord":
    """Write when and under what number the dossier was handed in or answered."""
    head = desk.get(NOUN, dossier)
    given = [*_items(head.body, "submissions"), {"date": date, "number": number, "result": result}]
    body = {**head.body, "submissions": given}
    return desk.put(NOUN, dossier, body, actor, revision=head.revision, reason="submission")


def note_licence(
    desk: RecordDesk, dossier: str, *, number: str, issued: str, expires: str, actor: Actor
) -> "StoredRecord":
    """Write the licence that was given into the dossier."""
    head = desk.get(NOUN, dossier)
    licence = {"number": number, "issued": issued, "expires": expires}
    body = {**head.body, "licence": licence}
    return desk.put(NOUN, dossier, body, actor, revision=head.revision, reason="licence")


def bundle(desk: RecordDesk, dossier: str, path: Path, *, actor: Actor) -> Bundle:
    """Write the evidence bundle of the dossier's version; name it in the dossier by digest.

    Anyone can check the file without a network (`trifed evidence verify`).

    Raises
    ------
    PlatformError
        What the register refused with, also if the file cannot be written.
    """
    head = desk.get(NOUN, dossier)
    written = desk.export(str(head.body["entry"]), path)
    digest = Sha256.of(written.read_bytes())
    body = {**head.body, "bundle": digest}
    kept = desk.put(NOUN, dossier, body, actor, revision=head.revision, reason="bundle")
    return Bundle(written, digest, kept)


def report_of(desk: RecordDesk, dossier: str, language: Language, *, pdf: bool = False) -> bytes:
    """Return how a dossier stands as a page, HTML or A4 PDF.

    Raises
    ------
    EvidenceNotAsSignedError
        If the record is not what the register signed of it.
    PlatformError
        If PDF cannot be made here.
    """
    record = desk.get(NOUN, dossier)
    if not desk.is_signed(record):
        raise EvidenceNotAsSignedError(evidence=f"{NOUN}/{dossier}")
    html = desk.dossier_report(record, language)
    return desk.pdf(html) if pdf else html.encode()


def file_document(
    desk: RecordDesk, document: str, entry: str, content: bytes, said: Document, *, actor: Actor
) -> "StoredRecord":
    """Write what a document is into the register; its content stays where it is.

    Filed again under the same name it is a new revision.

    Raises
    ------
    PlatformError
        What the register refused with.
    """
    body = {
        "entry": entry,
        "document": said.kind,
        "title": {"en": said.title_en, "zh-TW": said.title_zh},
        "issuer": said.issuer,
        "sha256": Sha256.of(content),
        "issued": said.issued,
        "valid_until": said.valid_until,
        "standard": said.standard,
    }
    seen = _revision(desk, DOCUMENT, document)
    return desk.put(DOCUMENT, document, body, actor, revision=seen, reason=said.kind)


def confirm_document(desk: RecordDesk, document: str, *, actor: Actor, reason: str) -> "Moved":
    """Confirm a document that somebody else filed; raises if it has expired."""
    seen = desk.get(DOCUMENT, document).revision
    return desk.move(DOCUMENT, document, "F1", actor, reason=reason, revision=seen)


def classify_change(
    desk: RecordDesk,
    parts: Sequence[str] = (),
    *,
    fix: str | None = None,
    plan: str | None = None,
    entry: str | None = None,
) -> "Classified":
    """Return what a change of a licensed version needs.

    Parameters
    ----------
    parts
        What it touches, by their names.
    fix
        One of `FIXES` where it touches no part; one of both must be said.
    plan, entry
        The change plan it may fall under, and the version that is changed.

    Raises
    ------
    RecordShapeError, RecordNotFoundError
        If nothing is said, or a part or the change plan is unknown.
    """
    asked = {"parts": list(parts), "fix": fix, "plan": plan, "entry": entry}
    return desk.classify(asked)


def _is_signed(desk: RecordDesk, noun: str, record: str) -> bool:
    if noun == SIGNED_VERSION:
        return desk.is_signed_entry(record)
    return desk.is_signed(desk.get(noun, record))


def _found(desk: RecordDesk, noun: str, record: str) -> dict[str, object] | None:
    """Return a record as an item, None if it is not there or not as it was signed."""
    try:
        item = desk.item(noun, record)
    except RecordNotFoundError:
        return None
    return item if _is_signed(desk, noun, record) else None


def _counts(judged: "Judged") -> bool:
    return judged.status.value == "met" and bool(judged.answers)


def _check_counts(judged: "Judged", evidence: str, head: "StoredRecord") -> None:
    """Raise why an item shows nothing, if it does not."""
    refusals: dict[str, PlatformError] = {
        "not-as-recorded": EvidenceNotAsSignedError(evidence=evidence),
        "other-version": OtherVersionEvidenceError(
            evidence=evidence, wanted=str(head.body["entry"])
        ),
        "expired": EvidenceExpiredError(evidence=evidence),
        "not-in-force": EvidenceNotInForceError(evidence=evidence, state=judged.state),
    }
    refused = refusals.get(judged.status.value)
    if refused is not None:
        raise refused


def _answers(judged: "Judged", evidence: str, requirement: str | None) -> tuple[str, ...]:
    wanted = (requirement,) if requirement else judged.answers
    if not wanted or not set(wanted) <= set(judged.answers):
        raise EvidenceNotFittingError(
            evidence=evidence,
            requirement=requirement or _ANY,
            fitting=", ".join(judged.answers) or "-",
        )
    return wanted


def _with_item(body: Mapping[str, object], item: Mapping[str, object]) -> dict[str, object]:
    """Return a dossier with an item, in place of an earlier one of the same record."""
    others = [one for one in _items(body, "items") if one["id"] != item["id"]]
    return {**body, "items": [*others, dict(item)]}


def _without(body: Mapping[str, object], gone: set[str]) -> dict[str, object]:
    """Return a dossier without some items that nothing answered by yet, or no longer does."""
    items = [one for one in _items(body, "items") if one["id"] not in gone]
    answers = [
        {**one, "evidence": left}
        for one in _items(body, "answers")
        if (left := [item for item in _names(one) if item not in gone])
    ]
    return {**body, "items": items, "answers": answers}


def _answered(
    body: Mapping[str, object], item: str, requirements: Sequence[str]
) -> dict[str, object]:
    """Return a dossier in which an item answers requirements, once each."""
    given = {str(one["requirement"]): _names(one) for one in _items(body, "answers")}
    for requirement in requirements:
        named = given.setdefault(requirement, [])
        named += [] if item in named else [item]
    answers = [{"requirement": name, "evidence": named} for name, named in given.items()]
    return {**body, "answers": answers}


def _names(answer: Mapping[str, object]) -> list[str]:
    named = answer["evidence"]
    return [str(one) for one in named] if isinstance(named, list | tuple) else []


def _items(body: Mapping[str, object], name: str) -> list[dict[str, object]]:
    value = body.get(name)
    return [dict(one) for one in value] if isinstance(value, list | tuple) else []


def _revision(desk: RecordDesk, noun: str, id: str) -> int:
    try:
        return desk.get(noun, id).revision
    except RecordNotFoundError:
        return 0
