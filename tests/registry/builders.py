"""A centre, three sites and a candidate, built small and real: true keys, files and signatures."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from federation.domain.ids import Sha256, SiteId
from federation.evidence.keyring import KeyRole, KnownKey
from federation.evidence.model_version import Candidate
from federation.evidence.signing import Signer, new_key, sign_dsse
from federation.evidence.statements import PredicateType, Statement, Subject
from registry.models.service import Registrar
from registry.store import SqlStore

SITES = ("tainan-1", "taipei-2", "hualien-3")
NOW = datetime(2026, 9, 1, 8, 0, tzinfo=UTC)
STUDY_DIGEST = Sha256.of(b"the study")


@dataclass
class Centre:
    """Everything a test needs of one centre and its sites."""

    folder: Path
    signer: Signer
    nodes: dict[str, Signer]
    officers: dict[str, Signer]
    registrar: Registrar

    @property
    def database(self) -> Path:
        return self.folder / "centre.db"

    def keys(self) -> list[KnownKey]:
        found = [KnownKey(None, KeyRole.CENTRE, self.signer.public_key)]
        for site in SITES:
            found += [
                KnownKey(SiteId(site), KeyRole.NODE, self.nodes[site].public_key),
                KnownKey(SiteId(site), KeyRole.OFFICER, self.officers[site].public_key),
            ]
        return found


def make_centre(folder: Path, *, url: str | None = None) -> Centre:
    (folder / "artefacts").mkdir(parents=True)
    signer = new_key(folder / "evidence.key")
    nodes = {site: new_key(folder / f"{site}-node.key") for site in SITES}
    officers = {site: new_key(folder / f"{site}-officer.key") for site in SITES}
    store = SqlStore(url or f"sqlite:///{folder / 'centre.db'}")
    centre = Centre(folder, signer, nodes, officers, None)  # type: ignore[arg-type]
    centre.registrar = Registrar(store, signer, folder / "artefacts", centre.keys, lambda: NOW)
    return centre


def save_model(folder: Path, *, fill: float = 0.5) -> dict[str, object]:
    path = folder / "model.safetensors"
    save_file({"a": np.full((4, 5), fill, np.float32), "b": np.zeros(3, np.float32)}, path)
    content = path.read_bytes()
    digest = Sha256.of(content)
    path = path.rename(folder / f"{digest.hex}.safetensors")
    return {
        "format": "safetensors",
        "path": path.name,
        "sha256": digest,
        "size_bytes": len(content),
        "parameters": 23,
    }


def approval(
    centre: Centre, site: str, *, signer: Signer | None = None, decision: str = "approved"
) -> str:
    statement = Statement(
        (Subject("study/cxr-2026", STUDY_DIGEST),),
        PredicateType.APPROVAL,
        {"site": site, "study": "cxr-2026", "decision": decision},
    )
    return sign_dsse(statement, signer or centre.officers[site])


def update(
    centre: Centre, site: str, *, run: str = "cxr-2026.1", patients: int = 120, **more: object
) -> str:
    statement = Statement(
        (
            Subject("study/cxr-2026", STUDY_DIGEST),
            Subject(f"update/{run}/1", Sha256.of(site.encode())),
        ),
        PredicateType.UPDATE,
        {"site": site, "run": run, "round": 1, "report": {"patients": patients, **more}},
    )
    return sign_dsse(statement, centre.nodes[site])


def evaluation(centre: Centre, site: str, *, value: float) -> str:
    statement = Statement(
        (Subject("study/cxr-2026", STUDY_DIGEST),),
        PredicateType.EVALUATION,
        {
            "site": site,
            "run": "cxr-2026.1",
            "round": 3,
            "report": {"metrics": [{**metric(30), "value": value}]},
        },
    )
    return sign_dsse(statement, centre.nodes[site])


def facts(centre: Centre, **changes: object) -> dict[str, object]:
    """The JSON of a good candidate, with some of its top fields replaced."""
    model = save_model(centre.registrar.artefacts)
    statements = [
        {"site": site, "kind": "approval", "envelope": approval(centre, site)} for site in SITES
    ] + [{"site": site, "kind": "update", "envelope": update(centre, site)} for site in SITES]
    good: dict[str, object] = {
        "study": {"id": "cxr-2026", "title": "Pneumonia on chest films", "digest": STUDY_DIGEST},
        "run": "cxr-2026.1",
        "recipe": {"name": "cxr-pneumonia", "version": "1", "digest": Sha256.of(b"recipe")},
        "model": model,
        "rounds": {"asked": 3, "done": 3},
        "participants": [
            {
                "site": site,
                "patients": 120,
                "rounds": 3,
                "dataset_digest": Sha256.of(f"data of {site}".encode()),
            }
            for site in SITES
        ],
        "evaluations": [{"site": site, **metric(30)} for site in SITES],
        "pooled": [metric(90)],
        "privacy": [
            {
                "site": site,
                "mechanism": "dp-sgd-gaussian",
                "epsilon": 7.5,
                "delta": 1e-5,
                "accountant": "RDP and PLD (dp-accounting 0.6), the larger",
                "noise_multiplier": 1.1,
                "clip_norm": 1.0,
                "sample_rate": 0.1,
                "steps": 30,
                "statement": {"zh-TW": "隱私說明", "en": "what is promised"},
            }
            for site in SITES
        ],
        "code": {"version": "0.1.0", "wheel_digest": Sha256.of(b"wheel")},
        "environment": {"python": "3.11.7", "packages_digest": Sha256.of(b"packages")},
        "refused": [{"site": "yilan-4", "code": "TF601", "what": "The budget is spent."}],
        "statements": statements,
    }
    return good | changes


def metric(n: int) -> dict[str, object]:
    return {
        "name": "auroc",
        "value": 0.87,
        "low": 0.8,
        "high": 0.92,
        "n": n,
        "method": "patient bootstrap, B=2000",
    }


def candidate(centre: Centre, **changes: object) -> Candidate:
    from federation.evidence.canonical import canonical

    return Candidate.from_json(canonical(facts(centre, **changes)))


def candidate_of_study(centre: Centre, study: str) -> Candidate:
    """A candidate without statements, of a study of that name."""
    return candidate(
        centre,
        study={"id": study, "title": study, "digest": Sha256.of(study.encode())},
        run=f"{study}.1",
        statements=[],
    )


def with_clock(registrar: Registrar, now: datetime) -> Registrar:
    return replace(registrar, clock=lambda: now)
