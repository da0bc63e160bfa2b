"""What a centre changes in a bundle and signs anew is named, alike by both verifiers."""

import json
from argparse import Namespace
from pathlib import Path

import federation.evidence.standalone as standalone
from federation.domain.ids import Sha256
from federation.evidence.bundle import verify_bundle
from federation.evidence.canonical import canonical
from federation.evidence.certificates import (
    revocations,
)
from federation.evidence.growth import Growth
from federation.evidence.members import (
    CHAIN,
    CHECKPOINT,
    DOSSIER,
    GROWTH,
    MANIFEST,
    MODEL,
    RECORD,
    REGISTERED,
    REVOKED,
    ROOT,
    SIGNED_MANIFEST,
    statement_stem,
)
from federation.evidence.model_version import Record
from federation.evidence.signing import sign_dsse
from federation.evidence.statements import PredicateType, Statement, Subject
from tests.registry.builders import (
    NOW,
    Centre,
)
from tests.registry.bundles import (
    ENTRY,
    Members,
    forged,
    named,
    rebuilt,
    resigned,
)
from tests.registry.record_builders import new_signer


def test_even_the_centre_cannot_change_what_was_signed_or_logged(
    tmp_path: Path, centre: Centre, members: Members
) -> None:
    first = statement_stem(1, Record.from_json(members[RECORD]).statements[0])
    other = statement_stem(2, Record.from_json(members[RECORD]).statements[1])
    swapped = {f"dsse/{first}.json": members[f"dsse/{other}.json"]}
    proof = json.loads(members["log/inclusion/record.json"])
    cases: dict[str, Members] = {
        RECORD: {RECORD: members[RECORD].replace(b"0.87", b"0.97")},
        f"items/{first}.json": {f"items/{first}.json": b"{}"},
        f"dsse/{first}.json": swapped,
        MODEL: {MODEL: b"another"},
        DOSSIER: {DOSSIER: members[DOSSIER].replace(b'"log_index":0', b'"log_index":1')},
        "log/inclusion/record.json": {"log/inclusion/record.json": canonical(proof | {"index": 0})},
        CHAIN: {CHAIN: members[ROOT] + members[ROOT]},
        REVOKED: {REVOKED: revocations([], new_signer(), at=NOW)},
        GROWTH: {GROWTH: canonical(Growth(members[REGISTERED].decode() + "x").as_json())},
        CHECKPOINT: {CHECKPOINT: b"trifed/0\n1\n\n"},
        REGISTERED: {REGISTERED: b"\xff"},
    }
    for item, changes in cases.items():
        assert forged(tmp_path, centre, members, changes) == item


def test_even_the_centre_cannot_leave_a_part_out(
    tmp_path: Path, centre: Centre, members: Members
) -> None:
    optional = {MODEL, "verify.py", "README.en.md", "README.zh-TW.md", "ro-crate-metadata.json"}
    needed = set(members) - optional - {MANIFEST, SIGNED_MANIFEST, "schemas/model-version-1.json"}
    for name in needed:
        assert forged(tmp_path, centre, members, {}, gone=name) == name


def test_the_manifest_of_another_entry_is_named(
    tmp_path: Path, centre: Centre, members: Members
) -> None:
    other = resigned(members, centre.signer, entry="TWAI-2026-00002-8.v0.1.0")
    assert named(tmp_path, other) == MANIFEST


def test_a_record_signed_for_another_version_is_named(
    tmp_path: Path, centre: Centre, members: Members
) -> None:
    said = json.loads(members[RECORD])
    subject = Subject("model/TWAI-2026-00001-4.v0.2.0", Sha256(said["model"]["sha256"]))
    envelope = sign_dsse(Statement((subject,), PredicateType.MODEL_VERSION, said), centre.signer)
    assert (
        forged(tmp_path, centre, members, {"dsse/record.json": envelope.encode()})
        == "dsse/record.json"
    )


def test_a_statement_of_another_kind_in_the_records_place_is_named(
    tmp_path: Path, centre: Centre, members: Members
) -> None:
    said = json.loads(members[RECORD])
    subject = Subject(f"model/{ENTRY}", Sha256(said["model"]["sha256"]))
    envelope = sign_dsse(Statement((subject,), PredicateType.TRAINING_RUN, said), centre.signer)
    changes = {"dsse/record.json": envelope.encode()}
    assert forged(tmp_path, centre, members, changes) == "dsse/record.json"


def test_a_malformed_record_that_the_centre_signed_is_named(
    tmp_path: Path, centre: Centre, members: Members
) -> None:
    said = json.loads(members[RECORD])
    subject = Subject(f"model/{ENTRY}", Sha256(said["model"]["sha256"]))
    for gone in ("schema", "created", "statements", "privacy", "supersedes", "pooled"):
        less = {name: value for name, value in said.items() if name != gone}
        statement = Statement((subject,), PredicateType.MODEL_VERSION, less)
        changes = {
            RECORD: canonical(less),
            "dsse/record.json": sign_dsse(statement, centre.signer).encode(),
        }
        path = rebuilt(tmp_path / "less.zip", resigned(members | changes, centre.signer))
        ours = verify_bundle(path).as_json()["failure"]
        with path.open("rb") as file:
            wanted = Namespace(root=None, checkpoint=None, witnesses=[], model=None, lang="en")
            alone = standalone.verified(file, wanted)["failure"]
        named_ = {failure["item"] for failure in (ours, alone)}  # type: ignore[index]
        assert named_ <= {RECORD, "log/inclusion/record.json"}, gone
