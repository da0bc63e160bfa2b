"""Contents of every noun of everyday governance, as JSON that fits, to be changed by tests."""

import json
from typing import Any

from federation.domain.ids import Sha256
from federation.evidence.model_version import ModelVersionState
from registry.evaluations.noun import EvaluationState
from registry.models.version_card import Risk, RiskLevel, VersionCard
from registry.records.moves import Move, Moves, Seat
from registry.records.ports import Link, StoredRecord
from registry.records.shapes import Body, Noun
from registry.roles import CENTRE_OF, Author, Role
from tests.registry.record_builders import DEV, Desk

ENTRY = "TWAI-2026-00001-4.v0.1.0"
DIGEST = str(Sha256.of(b"a file"))
OTHER = str(Sha256.of(b"another file"))
HOSPITAL = "Tainan Hospital"
BOTH = {"zh-TW": "中文說明", "en": "in English"}
ICD = {"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "J18.9"}
PROBLEM = {"system": "urn:imdrf:ae-terminology:annex-a", "code": "A0908"}
IMPACT = {"system": "urn:imdrf:ae-terminology:annex-f", "code": "F08"}

Json = dict[str, Any]


def person(role: Role, house: str | None = None, name: str = "") -> Author:
    """Return somebody of a role: of the hospital, the role's own house, or another one."""
    at_hospital = role in (Role.HAC, Role.HAO, Role.CLI, Role.DST)
    default = HOSPITAL if at_hospital else f"house of {role.value}"
    who = f"{name or 'one'}-of-{role.value}"
    return Author(who, role, house or default, CENTRE_OF.get(role))


def application(**changes: Any) -> Json:
    return {
        "rule_pack": "NHI-DMA-2025",
        "applicant": {"kind": "academic", "name": BOTH, "code": "00000001"},
        "purpose": "public-health",
        "purpose_words": BOTH,
        "plan": DIGEST,
        "data": {
            "modalities": ["CT"],
            "fields": [{"name": "birth_year", "why": BOTH, "codes": [ICD]}],
        },
        "handlers": [
            {"person": "staff-7", "own_unit": True, "pledge": DIGEST, "declaration": DIGEST}
        ],
        "period": {"begins": "2026-09-10", "ends": "2027-03-09"},
        "ethics": {"board": "IRB of NTU", "number": "202609001", "expires": "2027-09-01"},
        "documents": [{"kind": kind, "sha256": DIGEST} for kind in ("form", "plan")],
        "software": [
            {"name": "R", "version": "4.5", "declaration": DIGEST, "confirmed": True},
        ],
        "imports": [{"kind": "pretrained-model", "sha256": DIGEST, "size_bytes": 10, "what": BOTH}],
    } | changes


SETTLED: Json = {
    "fee": {"amount_twd": 12000, "paid_on": "2026-09-05"},
    "contract": {"sha256": DIGEST, "signed_on": "2026-09-05"},
}


def publication(**changes: Any) -> Json:
    return {
        "application": "app-1",
        "title": BOTH,
        "identifier": "10.1000/182",
        "published_on": "2026-09-01",
        "acknowledgement": "Data: 全民健康保險資料人工智慧應用服務中心.",
        "deposited": DIGEST,
    } | changes


def export(**changes: Any) -> Json:
    return {
        "application": "app-1",
        "when": "in-period",
        "kind": "statistics",
        "sha256": DIGEST,
        "size_bytes": 100,
        "what": BOTH,
        "purpose": BOTH,
    } | changes


def scan(*checks: str, **changes: Any) -> Json:
    named = checks or ("raw-data", "embedded-records", "memorisation", "cell-rule")
    results = [
        {"check": one, "outcome": "clean", "tool": "scan", "version": "1", "report": DIGEST}
        for one in named
    ]
    return {
        "request": "ex-1",
        "sha256": DIGEST,
        "at": "2026-09-01T08:00:00Z",
        "results": results,
    } | changes


def approval(record: StoredRecord | None = None, **changes: Any) -> Json:
    subject = {"noun": "deployment", "id": "dep-1", "digest": DIGEST}
    if record is not None:
        subject = {"noun": record.noun, "id": record.id, "digest": str(record.digest)}
    return {
        "subject": subject,
        "role": "IRB",
        "decision": "approve",
        "reason": BOTH,
        "expires": "2026-12-31",
    } | changes


def opt_out_list(**changes: Any) -> Json:
    return {
        "version": 3,
        "list_digest": DIGEST,
        "method": "hmac-sha256",
        "key": "optout-2026",
        "scope": "part",
        "uses": ["ai-training"],
        "effective": "2026-09-01",
        "apply_by": "2026-10-01",
        "sites": ["tainan", "hualien"],
    } | changes


def propagation(**changes: Any) -> Json:
    return {
        "list": "list-3",
        "list_digest": DIGEST,
        "site": "tainan",
        "dataset": DIGEST,
        "applied_at": "2026-09-01T07:00:00Z",
        "remaining": 1200,
        "excluded": None,
        "representativeness": {
            "suppressed": False,
            "differences": [{"variable": "age-band", "smd": 0.02, "psi": 0.01}],
        },
    } | changes


def deployment(**changes: Any) -> Json:
    return {
        "entry": ENTRY,
        "site": "tainan",
        "hospital": "0421040011",
        "ward": "ER",
        "surface": "PACS",
        "config": DIGEST,
        "begins": "2026-09-01",
        "local_acceptance": "ev-local",
        "drift_check": "ev-drift",
        "override_route": BOTH,
        "fallback": BOTH,
        "licence": "衛部醫器製字第006789號",
        "users": [{"role": "CLI", "record": DIGEST}],
        "monitoring": {
            "limits": [{"metric": "auroc", "low": 0.85}],
            "every_days": 30,
            "review_months": 3,
        },
    } | changes


def feedback(**changes: Any) -> Json:
    cells = {"agree": 80, "disagree": 20, "unsure": 0}
    return {
        "deployment": "dep-1",
        "begins": "2026-08-01",
        "ends": "2026-08-31",
        "by_role": [{"role": "CLI", "counts": counts(100, **cells)}],
        "corrected": [{"label": ICD, "n": 20}],
        "software": DIGEST,
    } | changes


def counts(total: int | None, **cells: int | None) -> Json:
    return {"total": total, "cells": [{"name": name, "n": n} for name, n in cells.items()]}


def incident(**changes: Any) -> Json:
    return {
        "deployment": "dep-1",
        "entry": ENTRY,
        "occurred_on": "2026-08-30",
        "detected_on": "2026-08-31",
        "severity": "hospitalisation",
        "hazard": True,
        "due": "2026-09-07",
        "reporter": {"role": "CLI", "hospital": "0421040011", "contact": "ai@hospital.tw"},
        "product": {
            "name": BOTH,
            "licence": "衛部醫器製字第006789號",
            "model": "CXR-1",
            "batch": "2026-07",
            "supplier": "AI Works",
            "status": "in-use",
        },
        "outcome": IMPACT,
        "description": {"problem": PROBLEM, "what": BOTH, "follow_up": "recovering"},
    } | changes


ALERTED: Json = {"alert": {"number": "TFDA-1", "sent_on": "2026-08-31", "report": DIGEST}}
CAUSE: Json = {"root_cause": BOTH, "correction": {"plan": BOTH}}
WORKED: Json = {
    "actions": [{"kind": "suspension", "on": "2026-08-31", "what": BOTH}],
    "correction": {"plan": BOTH, "effective": DIGEST, "done_on": "2026-09-01"},
}


def review(**changes: Any) -> Json:
    return {
        "deployment": "dep-1",
        "entry": ENTRY,
        "risk": "high",
        "every_months": 3,
        "due": "2026-12-01",
        "evaluations": ["ev-review"],
        "decision": "keep",
        "rationale": BOTH,
    } | changes


BODIES: dict[str, Json] = {
    "data-application": application(
        **SETTLED, closing={"report": DIGEST, "cleared_on": "2027-03-10"}
    ),
    "publication": publication(),
    "export-request": export(),
    "export-scan": scan(),
    "approval": approval(decision="approve-with-conditions", conditions=[BOTH]),
    "opt-out-list": opt_out_list(),
    "opt-out-propagation": propagation(),
    "deployment": deployment(),
    "feedback": feedback(),
    "incident": incident(**ALERTED, **CAUSE | WORKED),
    "review-cycle": review(),
}


def read(noun: Noun[Any], body: Json) -> Any:
    """Return the content as the noun reads it from outside."""
    return noun.read(json.dumps(body).encode())


def put(desk: Desk, noun: Noun[Any], id: str, body: Json, author: Author) -> StoredRecord:
    """Write the content, over the newest revision if there is one."""
    with desk.records.store.reading() as transaction:
        head = transaction.records.head(noun.name, id)
    revision = head.revision if head else 0
    return desk.records.put(noun, id, read(noun, body), author=author, revision=revision)


def move(desk: Desk, noun: Noun[Any], id: str, number: str, *authors: Author) -> str:
    """Make a move by its signers, on the newest revision; return the state."""
    revision = desk.records.get(noun.name, id).revision
    for author in authors:
        done = desk.records.move(
            noun, id, number, author=author, revision=revision, reason="as decided"
        )
    return done.record.state


VERSIONS = Noun(
    "model-version",
    VersionCard,
    Moves(
        start=ModelVersionState.LIVE,
        moves=(
            Move(
                "back",
                ModelVersionState.LIVE,
                ModelVersionState.SUSPENDED,
                seats=(Seat(Role.TFD),),
            ),
        ),
    ),
    authors=frozenset({Role.DEV}),
)


class Evaluated(Body):
    """An evaluation that was judged, as far as governance looks at one."""

    entry: str
    metrics: tuple[dict[str, int], ...]
    passed: bool

    def links(self) -> list[Link]:
        return [Link("evaluates", "model-version", self.entry)]


EVALUATIONS = Noun(
    "evaluation",
    Evaluated,
    Moves(
        start=EvaluationState.JUDGED,
        moves=(
            Move(
                "E4",
                EvaluationState.JUDGED,
                EvaluationState.WITHDRAWN,
                seats=(Seat(Role.VAL_A),),
            ),
        ),
    ),
    authors=frozenset({Role.VAL_E}),
)


def put_version(desk: Desk, level: RiskLevel | None = RiskLevel.HIGH) -> None:
    """Put a live version in the register."""
    risk = None if level is None else Risk(level=level, tfda_class="2", imdrf="III")
    card = VersionCard(entry=ENTRY, record=DIGEST, model=DIGEST, risk=risk)
    desk.records.put(VERSIONS, ENTRY, card, author=DEV)


def put_evaluation(desk: Desk, id: str, *, n: int = 200, passed: bool = True) -> None:
    """Put an evaluation of the version with results in the register."""
    body = Evaluated(entry=ENTRY, metrics=({"n": n},), passed=passed)
    desk.records.put(EVALUATIONS, id, body, author=person(Role.VAL_E))
