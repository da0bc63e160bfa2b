"""Bundles to verify, whole and broken, and both verifiers over the same bytes."""

import argparse
import shutil
import subprocess
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import federation.evidence.standalone as standalone
from federation.domain.ids import Sha256
from federation.evidence.archive import write_archive
from federation.evidence.bundle import verify_bundle
from federation.evidence.canonical import canonical
from federation.evidence.certificates import CertifiedKey, KeyOwner, certificates, revocations
from federation.evidence.keyring import KnownKey
from federation.evidence.members import CHAIN, MANIFEST, REVOKED, SIGNED_MANIFEST
from federation.evidence.pinning import Expected
from federation.evidence.signing import Signer, sign_dsse
from federation.evidence.statements import PredicateType, Statement, Subject
from federation.wording import Language
from registry.bundle import export
from tests.registry.builders import (
    NOW,
    SITES,
    STUDY_DIGEST,
    Centre,
    approval,
    candidate,
    evaluation,
)

ENTRY = "TWAI-2026-00001-4.v0.1.0"
ALONE = [["unshare", "-n"], ["unshare", "-rn"]]
Members = dict[str, bytes]


def statements(centre: Centre) -> list[dict[str, object]]:
    """An approval, an update and an evaluation of every site, as sites send them."""
    model = Subject("model/cxr-2026.1/1", Sha256.of(b"the model before round 1"))
    return [
        {"site": site, "kind": kind, "envelope": envelope}
        for site in SITES
        for kind, envelope in (
            ("approval", approval(centre, site)),
            ("update", a_report(centre, site, model=model)),
            ("evaluation", evaluation(centre, site, value=0.87)),
        )
    ]


def a_report(centre: Centre, site: str, *, model: Subject, **changes: object) -> str:
    """A node's update with everything that a record's figures are held against."""
    report: dict[str, object] = {
        "patients": 120,
        "epsilon": 7.5,
        "delta": 1e-5,
        "noise_multiplier": 1.1,
        "clip_norm": 1.0,
        "sample_rate": 0.1,
        "dataset_digest": Sha256.of(f"data of {site}".encode()),
    }
    heads = {
        "ledger": {"entries": 2, "head": Sha256.of(b"book")},
        "audit": {"lines": 4, "head": Sha256.of(b"log")},
    }
    said = {"site": site, "run": "cxr-2026.1", "round": 1, "report": report | changes}
    subjects = (Subject("study/cxr-2026", STUDY_DIGEST), model)
    statement = Statement(subjects, PredicateType.UPDATE, said | {"heads": heads})
    return sign_dsse(statement, centre.nodes[site])


def a_bundle(centre: Centre, folder: Path, *, with_model: bool = True) -> Path:
    """The bundle of a registered candidate."""
    given = candidate(centre, statements=statements(centre))
    stored, _ = centre.registrar.register(given, actor="centre")
    return export(centre.registrar, stored.entry, folder / "bundle.zip", with_model=with_model)


def members_of(path: Path) -> Members:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rebuilt(path: Path, members: Mapping[str, bytes]) -> Path:
    """The archive in its proper form, with these members."""
    with path.open("wb") as file:
        write_archive(file, members)
    return path


def resigned(members: Members, signer: Signer, *, entry: str = ENTRY) -> Members:
    """The same members under a manifest, signed by the centre, that lists them as they are."""
    rest = {name: c for name, c in members.items() if name not in (MANIFEST, SIGNED_MANIFEST)}
    said = {"schema": "trifed.bundle/2", "entry": entry}
    content = canonical({**said, "members": {name: Sha256.of(rest[name]) for name in rest}})
    statement = Statement((Subject(MANIFEST, Sha256.of(content)),), PredicateType.BUNDLE, said)
    return rest | {MANIFEST: content, SIGNED_MANIFEST: sign_dsse(statement, signer).encode()}


@dataclass(frozen=True)
class Verdict:
    """What both verifiers said."""

    verified: bool
    checked: int
    item: str | None
    what: str | None


def verdict(
    path: Path, expected: Expected | None = None, *, language: Language = Language.EN
) -> Verdict:
    """What both verifiers say of a bundle; they must agree in every word."""
    expected = expected or Expected()
    reference = verify_bundle(path, expected=expected).as_json(language)
    wanted = argparse.Namespace(
        root=expected.root,
        checkpoint=expected.checkpoint,
        model=expected.model,
        witnesses=[(one.name, one.key._key) for one in expected.witnesses],
        lang="zh" if language is Language.ZH_HANT_TW else "en",
    )
    with path.open("rb") as file:
        alone = standalone.verified(file, wanted)
    assert alone == reference
    failure: Any = alone["failure"] or {"item": None, "what": None}
    return Verdict(alone["verified"], alone["checked"], failure["item"], failure["what"])


def no_network() -> list[str]:
    """What to put before a command so that it has no network; skips where that cannot be."""
    for command in ALONE:
        if (
            shutil.which("unshare")
            and subprocess.run([*command, "true"], check=False).returncode == 0
        ):
            return command
    pytest.skip("no network namespace can be made here (unshare -n)")


def named(folder: Path, members: Members, expected: Expected | None = None) -> str | None:
    """The item that both verifiers name in an archive of these members."""
    return verdict(rebuilt(folder / "changed.zip", members), expected).item


def forged(
    tmp_path: Path, centre: Centre, members: Members, changes: Members, *, gone: str = ""
) -> str | None:
    """What is named when the centre changes members and signs the manifest again."""
    kept = {name: content for name, content in (members | changes).items() if name != gone}
    return named(tmp_path, resigned(kept, centre.signer))


def certified(centre: Centre, changes: dict[str, dict[str, Any]]) -> list[CertifiedKey]:
    """The keys of all sites, some with other dates; `changes` by the key's name."""
    return [
        CertifiedKey(one.key, KeyOwner(one.site, one.role), **changes.get(one.name, {}))
        for site in SITES
        for one in keys_of(centre, site)
    ]


def keys_of(centre: Centre, site: str) -> list[KnownKey]:
    """The two keys of one site."""
    every = centre.keys()
    return [known for known in every if known.site == site]


def with_keys(centre: Centre, members: Members, keys: list[CertifiedKey]) -> Members:
    changes = {
        CHAIN: certificates(keys, centre.signer),
        REVOKED: revocations(keys, centre.signer, at=NOW),
    }
    return resigned(members | changes, centre.signer)


def signed_as(
    home: Centre, stem: str, said: dict[str, object], kind: PredicateType, *, name: str = "model/x"
) -> Members:
    """A statement by the centre in another's place, with the readable item beside it."""
    envelope = sign_dsse(Statement((Subject(name, Sha256.of(b"x")),), kind, said), home.signer)
    return {f"items/{stem}.json": canonical(said), f"dsse/{stem}.json": envelope.encode()}
