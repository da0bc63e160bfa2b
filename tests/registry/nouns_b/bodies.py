"""Contents of every evidence noun, as JSON that fits, to be changed by tests."""

import json
from dataclasses import replace
from typing import Any

from federation.domain.ids import Sha256
from federation.evidence.canonical import canonical
from registry.certification.rule_packs import pack_named
from registry.records.moves import Moves
from registry.records.ports import StoredRecord
from registry.records.shapes import Noun
from registry.roles import CENTRE_OF, Author, Role
from tests.registry.builders import SITES, STUDY_DIGEST
from tests.registry.record_builders import Desk

ENTRY = "TWAI-2026-00001-4.v0.1.0"
OTHER_ENTRY = "TWAI-2026-00002-8.v0.1.0"
DIGEST = str(Sha256.of(b"a file"))
OTHER = str(Sha256.of(b"another file"))
PACK_DIGEST = pack_named("tfda-ai", "2026.1").digest
BOTH = {"zh-TW": "中文說明", "en": "in English"}

Json = dict[str, Any]


def person(role: Role, name: str = "one") -> Author:
    """Return somebody of a role, of the role's own house; lead and statistician share one."""
    house = "Impact Centre" if role in (Role.IMP_P, Role.IMP_S) else f"house of {role.value}"
    return Author(f"{name}-of-{role.value}", role, house, CENTRE_OF.get(role))


def data_digest(site: str) -> str:
    """Return the content id of a site's data, as the builders' candidate names it."""
    return str(Sha256.of(f"data of {site}".encode()))


def table(total: int | None = 120, **cells: int | None) -> Json:
    named = cells or {"F": 70, "M": 50}
    return {"total": total, "cells": [{"name": name, "n": n} for name, n in named.items()]}


def dataset_card(site: str = "tainan-1", **changes: Any) -> Json:
    return {
        "site": site,
        "title": BOTH,
        "source_systems": ["PACS", "HIS"],
        "period": {"begin": "2020-01-01", "end": "2025-12-31"},
        "legal_basis": "nhi-data-act",
        "ethics": {"board": "C-IRB", "number": "2026-C-17", "exemption": None},
        "ethics_expires": "2027-08-31",
        "application": "app-1",
        "inclusion": BOTH,
        "exclusion": BOTH,
        "patients": 120,
        "studies": 150,
        "images": 200,
        "labels": {
            "process": BOTH,
            "annotators": 3,
            "qualification": BOTH,
            "adjudication": BOTH,
            "kappa": 0.81,
        },
        "label_prevalence": 0.25,
        "sex": table(),
        "age_band": table(),
        "region": table(),
        "scanner": table(200, a=120, b=80),
        "missingness": {"sex": 0.01},
        "deidentification": {
            "method": "PS3.15 basic profile",
            "profile": "E.1-1",
            "project_key": "key-2026-03",
        },
        "prepared_data_hash": data_digest(site),
        "split": {"policy": "by patient", "disjointness": DIGEST},
        "opt_out": {
            "list_version": "2026-08",
            "applied_at": "2026-08-20T00:00:00Z",
            "excluded": 10,
            "representativeness": {"smd": {"age": 0.04, "sex": 0.02}, "psi": 0.01},
            "accepted": None,
        },
        "quality_report": DIGEST,
        "modalities": ["CR"],
        "destroy_by": "2030-12-31",
    } | changes


def privacy(site: str) -> Json:
    return {
        "site": site,
        "mechanism": "dp-sgd-gaussian",
        "epsilon": 7.5,
        "delta": 1e-5,
        "unit": "patient",
        "neighbouring": "add/remove",
        "accountant": "RDP and PLD, the larger",
        "noise_multiplier": 1.1,
        "clip_norm": 1.0,
        "sample_rate": 0.1,
        "steps": 30,
        "statement": BOTH,
    }


def training_run(**changes: Any) -> Json:
    return {
        "run": "cxr-2026.1",
        "study": "cxr-2026",
        "study_digest": str(STUDY_DIGEST),
        "protocol": "fedavg",
        "plan": {
            "rounds": 3,
            "local_epochs": 1,
            "learning_rate": 0.001,
            "clip_norm": 1.0,
            "seed": 7,
        },
        "participants": [
            {
                "site": site,
                "dataset_digest": data_digest(site),
                "dataset_card": f"card-{site}",
                "examples": 120,
                "weight": 0.33,
            }
            for site in SITES
        ],
        "round_log": [
            {
                "round": number,
                "participants": list(SITES),
                "updates": dict.fromkeys(SITES, DIGEST),
                "aggregate": OTHER,
                "metrics": {"loss": 0.5},
            }
            for number in (1, 2, 3)
        ],
        "secure_aggregation": {"scheme": "none", "threshold": 0},
        "privacy": [privacy(site) for site in SITES],
        "code_digest": str(Sha256.of(b"wheel")),
        "packages_digest": str(Sha256.of(b"packages")),
        "hardware": "3 x 1 GPU",
        "energy_kwh": 1.5,
        "application": "app-1",
        "started_at": "2026-08-21T00:00:00Z",
        "ended_at": "2026-08-21T08:00:00Z",
        "outputs": [DIGEST],
        "versions": [ENTRY],
        "attestation": DIGEST,
    } | changes


def metric(name: str = "auroc", value: float = 0.87, **changes: Any) -> Json:
    found = {"name": name, "value": value, "low": value - 0.05, "high": value + 0.05}
    return found | {"method": "DeLong", "n": 120, "slice": "all"} | changes


def evaluation(dimension: str = "discrimination", **changes: Any) -> Json:
    """A plan; `done` adds results."""
    return {
        "entry": ENTRY,
        "dimension": dimension,
        "protocol_id": "protocol-7",
        "protocol_hash": DIGEST,
        "plugin": {"id": "exact-auroc", "version": "1.0", "arguments": DIGEST},
        "dataset_cards": [],
        "sites": ["yilan-4", "hualien-9"],
        "thresholds": [
            {"metric": "auroc", "slice": "all", "bound": "low", "at_least": 0.8, "at_most": None}
        ],
        "runner": "validation centre",
    } | changes


def results(*, passed: bool = True, attestation: str = DIGEST) -> Json:
    sites = ("yilan-4", "hualien-9")
    return {
        "metrics": [metric(value=0.87 if passed else 0.75)],
        "statistics": dict.fromkeys(sites, OTHER),
        "attestations": dict.fromkeys(sites, attestation),
        "suppression": {"smallest_cell": 10, "slices_hidden": 2},
        "exactness": {"kind": "exact-on-grid", "low": None, "high": None},
        "disjointness": DIGEST,
        "passed": passed,
    }


def impact_study(**changes: Any) -> Json:
    return {
        "title": BOTH,
        "entry": ENTRY,
        "design": "cluster-rct",
        "pico": dict.fromkeys(("population", "intervention", "comparator", "outcome"), BOTH),
        "estimand": BOTH,
        "sites": ["tainan-1", "yilan-4"],
        "clusters": 8,
        "measures": [
            {
                "id": "turn-around",
                "title": BOTH,
                "code": "tat",
                "unit": "min",
                "better": "lower",
                "role": "primary",
            }
        ],
        "sample_size": {"needed": 400, "power": 0.8, "alpha": 0.05, "assumptions": BOTH},
        "checklists": {"CONSORT-AI": DIGEST},
    } | changes


IRB = {"board": "C-IRB", "number": "2026-C-20", "expires": "2028-12-31", "central": True}
REGISTRATION = {"registry": "ClinicalTrials.gov", "number": "NCT01234567"}
CUT = {"at": "2026-09-01T07:00:00Z", "digest": DIGEST, "patients": 400}


def result(**changes: Any) -> Json:
    found = {"measure": "turn-around", "plan": DIGEST, "estimate": -5.0, "low": -8.0, "high": -2.0}
    return found | {"method": "GEE", "n": 400} | changes


def dossier(**changes: Any) -> Json:
    return {
        "entry": ENTRY,
        "target": "TFDA",
        "pack": {"id": "tfda-ai", "version": "2026.1", "digest": PACK_DIGEST},
        "device_id": "device-1",
        "device": {
            "task": "CADe",
            "shows_probability": True,
            "shows_heat_map": False,
            "has_change_plan": False,
            "was_licensed_before": False,
            "uses_real_world_data": False,
        },
    } | changes


def document(kind: str = "risk-management", **changes: Any) -> Json:
    return {
        "entry": ENTRY,
        "document": kind,
        "title": BOTH,
        "issuer": "Lamp Works",
        "sha256": DIGEST,
        "issued": "2026-01-01",
        "valid_until": "2029-01-01",
        "standard": "ISO 14971:2019",
    } | changes


def change_plan(**changes: Any) -> Json:
    return {
        "entry": ENTRY,
        "parts": ["architecture", "training-method"],
        "description": BOTH,
        "protocol": BOTH,
        "protocol_hash": DIGEST,
        "impact": BOTH,
        "decision": {"authority": "TFDA", "number": "1150000001", "date": "2026-06-01"},
    } | changes


def payment(**changes: Any) -> Json:
    return {
        "entry": ENTRY,
        "indication": BOTH,
        "dossier": "dossier-1",
        "licence": "MOHW-MD-(I)-006543",
        "monitoring": "rwd-lung",
        "assessment": {"report": DIGEST, "date": "2026-08-01", "reference": "HTA 115-07"},
        "tariff": {"code": "32001C", "points": 200, "bundled": False},
        "start": "2026-09-01T08:00:00Z",
        "end": "2028-09-01T08:00:00Z",
        "evidence": [],
        "reassessment": None,
        "restriction": None,
    } | changes


def application(**changes: Any) -> Json:
    """Return a payment as its applicant writes it: without what the insurer says."""
    unsaid = ("assessment", "tariff", "start", "end", "reassessment", "restriction")
    return payment(**dict.fromkeys(unsaid)) | changes


LICENSED = {"number": "MOHW-MD-(I)-006543", "issued": "2026-06-01", "expires": "2031-05-31"}
"""The licence that a payment's application names, as the dossier has it."""

BODIES: dict[str, Json] = {
    "dataset-card": dataset_card(),
    "training-run": training_run(),
    "evaluation": evaluation() | results(),
    "impact-study": impact_study(),
    "certification-dossier": dossier(),
    "change-plan": change_plan(),
    "evidence-document": document(),
    "reimbursement": payment(),
}


def starting_in(noun: Noun[Any], state: Any, **changes: Any) -> Noun[Any]:
    """Return the noun with new records in a state, editable there and only there."""
    moves = Moves(start=state, moves=noun.moves.moves)
    return replace(noun, moves=moves, editable=frozenset({str(state.value)}), **changes)


def read(noun: Noun[Any], body: Json) -> Any:
    """Return a body as its noun reads it."""
    return noun.read(canonical(json.loads(json.dumps(body))))


def put(
    desk: Desk, noun: Noun[Any], id: str, body: Json, author: Author, **more: Any
) -> StoredRecord:
    """Write a record, as the next revision of what is there."""
    with desk.records.store.reading() as transaction:
        head = transaction.records.head(noun.name, id)
    seen = 0 if head is None else head.revision
    return desk.records.put(noun, id, read(noun, body), author=author, revision=seen, **more)


def move(desk: Desk, noun: Noun[Any], id: str, number: str, *signers: Author) -> StoredRecord:
    """Make a move with all its signatures; return the record after it."""
    seen = desk.records.get(noun.name, id).revision
    for signer in signers:
        done = desk.records.move(noun, id, number, author=signer, revision=seen, reason="agreed")
    assert done.is_done
    return done.record
