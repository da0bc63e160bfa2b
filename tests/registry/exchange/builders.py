"""A record as the register keeps it, and cards of it: one bare, one with everything known."""

from federation.domain.ids import Sha256
from federation.evidence.canonical import canonical
from federation.evidence.model_version import Record
from registry.exchange.attributes import ATTRIBUTES
from registry.exchange.card import Card, card_of
from registry.models.version_card import VersionCard

SITES = ("tainan-1", "taipei-2", "hualien-3")
GUIDE = "http://hl7.org/fhir/uv/aitransparency/CodeSystem/AIdeviceTypeCS"
DICOM = "http://dicom.nema.org/resources/ontology/DCM"


def record(**changes: object) -> Record:
    """A good record with some of its fields replaced; one site's count is suppressed."""
    metric = {
        "name": "auroc",
        "value": 0.87,
        "low": 0.8,
        "high": 0.92,
        "n": 30,
        "method": "patient bootstrap, B=2000",
    }
    good: dict[str, object] = {
        "schema": "trifed.model-version/1",
        "id": "TWAI-2026-00001-4",
        "version": "0.1.0",
        "state": "draft",
        "created": "2026-09-01T08:00:00Z",
        "study": {
            "id": "cxr-2026",
            "title": "Pneumonia on chest films",
            "digest": Sha256.of(b"study"),
        },
        "run": "cxr-2026.1",
        "recipe": {"name": "cxr-pneumonia", "version": "1", "digest": Sha256.of(b"recipe")},
        "model": {
            "format": "safetensors",
            "path": "0a.safetensors",
            "sha256": Sha256.of(b"weights"),
            "size_bytes": 1234,
            "parameters": 23,
        },
        "rounds": {"asked": 3, "done": 3},
        "participants": [
            {
                "site": site,
                "patients": None if site == SITES[2] else 120,
                "rounds": 3,
                "dataset_digest": Sha256.of(site.encode()),
            }
            for site in SITES
        ],
        "evaluations": [{"site": site, **metric} for site in SITES[:2]],
        "pooled": [metric | {"n": 60}],
        "privacy": [_promise(site) for site in SITES[:2]]
        + [{"site": SITES[2], "mechanism": "none", "statement": {"zh-TW": "無", "en": "none"}}],
        "code": {"version": "0.1.0", "wheel_digest": Sha256.of(b"wheel")},
        "environment": {"python": "3.11.7", "packages_digest": Sha256.of(b"packages")},
        "refused": [],
        "supersedes": None,
        "statements": [],
    }
    return Record.from_json(canonical(good | changes))


def bare() -> Card:
    """What today's record alone gives."""
    return card_of(record())


def full(**changes: object) -> Card:
    """A card in which everything is known."""
    return card_of(record(), said(**changes), facts={SITES[0]: {"label": "x", "studies": "<10"}})


def said(**changes: object) -> VersionCard:
    """What people said of the version, with some of it replaced."""
    signed = record()
    known: dict[str, object] = {
        "entry": signed.entry,
        "record": signed.digest,
        "model": signed.model.sha256,
        "name": words("Chest X", "胸部 X 光"),
        "organisation": {"name": words("Hospital A", "甲醫院"), "contact": "ai@example.org"},
        "intended_use": words("Triage of chest films", "胸部 X 光分流"),
        "codes": [
            {"kind": "modality", "system": DICOM, "code": "DX", "display": "Digital Radiography"},
            {"kind": "body-part", "system": DICOM, "code": "CHEST"},
            {"kind": "ai-kind", "system": GUIDE, "code": "Deep-Learning-Models"},
        ],
        "attributes": answers(),
        "risk": {
            "level": "medium",
            "tfda_class": "2",
            "imdrf": "II",
            "warning": words("Read the film too", "仍須判讀影像"),
        },
        "limitations": [words("Not for children", "不適用於兒童")],
        "licence": "Apache-2.0",
    }
    return VersionCard.model_validate_json(canonical(known | changes))


def answers(**changes: object) -> dict[str, object]:
    """An answer to each of the 31: words, evaluations where they are asked for, one "none"."""
    found: dict[str, object] = {
        name: {"evaluations": ["eval-1"]}
        if asked.by_evaluation
        else {"text": words(f"answer {name}\nsecond line", f"答覆 {name}\n第二行")}
        for name, asked in ATTRIBUTES.items()
    }
    return found | {"7d": {"none": words("no external data yet", "尚無外部資料")}} | changes


def words(en: str, zh: str) -> dict[str, str]:
    return {"en": en, "zh-TW": zh}


def _promise(site: str) -> dict[str, object]:
    return {
        "site": site,
        "mechanism": "dp-sgd-gaussian",
        "epsilon": 7.5,
        "delta": 1e-5,
        "accountant": "RDP",
        "noise_multiplier": 1.1,
        "clip_norm": 1.0,
        "sample_rate": 0.1,
        "steps": 30,
        "statement": {"zh-TW": "隱私說明", "en": "what is promised"},
    }
