"""A database edited behind the service is found, whatever row was touched."""

import sqlite3
from pathlib import Path

import pytest

from federation.domain.ids import Sha256
from federation.errors.signed import LogTamperedError
from federation.evidence import merkle
from federation.evidence.checkpoint import Checkpoint, sign_checkpoint
from federation.evidence.inclusion import origin_of
from federation.evidence.signing import new_key
from registry.auditing import audit_log
from tests.registry.builders import Centre, approval, candidate, candidate_of_study


@pytest.fixture
def filled(centre: Centre) -> Centre:
    centre.registrar.register(candidate(centre), actor="centre")
    centre.registrar.register(candidate_of_study(centre, "ct-2026"), actor="centre")
    return centre


def edit(centre: Centre, *statements: str) -> None:
    database = sqlite3.connect(centre.database)
    for statement in statements:
        assert database.execute(statement).rowcount > 0, statement
    database.commit()
    database.close()


def test_an_untouched_register_passes(filled: Centre) -> None:
    audited = audit_log(filled.registrar.store, key=filled.signer.public_key)
    assert audited.as_json() == {
        "entries": 8,
        "checkpoints": 2,
        "versions": 2,
        "events": 2,
        "records": 0,
        "cosignatures": 0,
        "accounts": 0,
    }


def test_an_empty_register_passes(centre: Centre) -> None:
    assert audit_log(centre.registrar.store, key=centre.signer.public_key).entries == 0


EDITS = {
    "a record": "UPDATE model_versions SET record = replace(record, '0.87', '0.97')",
    "a title": "UPDATE model_versions SET record = replace(record, 'Pneumonia', 'Nothing')",
    "a state": "UPDATE model_versions SET state = 'live' WHERE log_index = 6",
    "a study": "UPDATE model_versions SET study = 'other' WHERE log_index = 6",
    "a run": "UPDATE model_versions SET run = 'cxr-2026.7' WHERE log_index = 6",
    "a successor": (
        "UPDATE model_versions SET supersedes = 'TWAI-2026-00001-4.v0.1.0' WHERE log_index = 7"
    ),
    "an id": "UPDATE model_versions SET entry = 'TWAI-2026-00009-9.v0.1.0' WHERE log_index = 6",
    "whose model a study is": (
        "UPDATE registered_models SET study = 'other' WHERE study = 'ct-2026'"
    ),
    "a dropped record": "DELETE FROM model_versions WHERE log_index = 7",
    "which entry a record has": ("UPDATE model_versions SET log_index = 3 WHERE log_index = 7"),
    "an envelope": (
        "UPDATE evidence_entries SET envelope = replace(envelope, 'a', 'b') WHERE leaf_index = 2"
    ),
    "a dropped entry": "DELETE FROM evidence_entries WHERE leaf_index = 2",
    "a dropped last entry": "DELETE FROM evidence_entries WHERE leaf_index = 7",
    "an entry's digest": (
        "UPDATE evidence_entries SET envelope_digest = 'sha256:' || hex(zeroblob(32))"
        " WHERE leaf_index = 2"
    ),
    "a digest that is none": "UPDATE evidence_entries SET envelope_digest = 'x' || leaf_index",
    "a candidate's digest": "UPDATE model_versions SET candidate_digest = 'x' || log_index",
    "what a key is for": "UPDATE evidence_keys SET role = 'anything'",
    "a site that is none": "UPDATE evidence_keys SET site = 'Not a site'",
    "a record that is none": "UPDATE model_versions SET record = 'x'",
    "a node": "UPDATE evidence_nodes SET hash = zeroblob(32) WHERE level = 1 AND position = 0",
    "a dropped node": "DELETE FROM evidence_nodes WHERE level = 2 AND position = 0",
    "a checkpoint": "UPDATE evidence_checkpoints SET note = replace(note, '8', '9')",
    "a dropped checkpoint": "DELETE FROM evidence_checkpoints WHERE size = 8",
    "a checkpoint's size": "UPDATE evidence_checkpoints SET size = 6 WHERE size = 7",
    "a key": "DELETE FROM evidence_keys WHERE role = 'officer'",
    "whose key": "UPDATE evidence_keys SET site = 'taipei-2' WHERE site = 'tainan-1'",
    "a broken key": "UPDATE evidence_keys SET pem = zeroblob(10)",
    "an audit event": ("UPDATE registry_audit SET content = replace(content, 'centre', 'nobody')"),
    "an audit subject": "UPDATE registry_audit SET subject = 'x' WHERE sequence = 0",
    "a dropped audit event": "DELETE FROM registry_audit WHERE sequence = 0",
    "a dropped last audit event": "DELETE FROM registry_audit WHERE sequence = 1",
    "an audit signature": "UPDATE registry_audit SET signature = zeroblob(64)",
}


@pytest.mark.parametrize("what", EDITS)
def test_an_edited_row_is_found(filled: Centre, what: str) -> None:
    edit(filled, EDITS[what])
    with pytest.raises(LogTamperedError):
        audit_log(filled.registrar.store, key=filled.signer.public_key)


def test_a_register_signed_with_another_key_does_not_pass(filled: Centre, tmp_path: Path) -> None:
    other = new_key(tmp_path / "other.key")
    with pytest.raises(LogTamperedError):
        audit_log(filled.registrar.store, key=other.public_key)


CUT_BACK = (
    "DELETE FROM model_versions WHERE log_index = 7",
    "DELETE FROM registered_models WHERE study = 'ct-2026'",
    "DELETE FROM evidence_entries WHERE leaf_index = 7",
    "DELETE FROM evidence_nodes WHERE (position + 1) << level > 7",
    "DELETE FROM evidence_checkpoints WHERE size = 8",
    "DELETE FROM registry_audit WHERE sequence = 1",
)


def test_a_register_cut_back_without_a_trace_is_found_by_a_kept_checkpoint(
    filled: Centre,
) -> None:
    store, key = filled.registrar.store, filled.signer.public_key
    with store.reading() as transaction:
        kept = transaction.log.latest_checkpoint()
    assert kept is not None
    edit(filled, *CUT_BACK)
    assert audit_log(store, key=key).entries == 7  # by itself it cannot know
    with pytest.raises(LogTamperedError) as caught:
        audit_log(store, key=key, seen=[kept])
    assert "it once had 8 entries" in caught.value.say_what()


def test_a_forked_register_is_found_by_a_kept_checkpoint(filled: Centre) -> None:
    key = filled.signer.public_key
    fork = sign_checkpoint(Checkpoint(origin_of(key), 7, merkle.EMPTY_ROOT), filled.signer)
    with pytest.raises(LogTamperedError):
        audit_log(filled.registrar.store, key=key, seen=[fork])


def test_a_kept_checkpoint_of_another_log_is_refused(filled: Centre, tmp_path: Path) -> None:
    other = new_key(tmp_path / "other.key")
    note = sign_checkpoint(Checkpoint("trifed/other", 1, bytes(32)), other)
    with pytest.raises(LogTamperedError):
        audit_log(filled.registrar.store, key=filled.signer.public_key, seen=[note])


def test_an_edit_of_entry_and_hashes_together_still_breaks_the_signed_root(
    filled: Centre,
) -> None:
    database = sqlite3.connect(filled.database)
    other = approval(filled, "taipei-2", decision="refused")
    leaf = merkle.leaf_hash(other.encode())
    (left,) = database.execute(
        "SELECT hash FROM evidence_nodes WHERE level = 0 AND position = 0"
    ).fetchone()
    (right,) = database.execute(
        "SELECT hash FROM evidence_nodes WHERE level = 1 AND position = 1"
    ).fetchone()
    (last,) = database.execute(
        "SELECT hash FROM evidence_nodes WHERE level = 2 AND position = 1"
    ).fetchone()
    pair = merkle.node_hash(left, leaf)
    four = merkle.node_hash(pair, right)
    hashes = {(0, 1): leaf, (1, 0): pair, (2, 0): four, (3, 0): merkle.node_hash(four, last)}
    database.execute(
        "UPDATE evidence_entries SET envelope = ?, envelope_digest = ? WHERE leaf_index = 1",
        (other, Sha256.of(other.encode())),
    )
    for (level, position), content in hashes.items():
        database.execute(
            "UPDATE evidence_nodes SET hash = ? WHERE level = ? AND position = ?",
            (content, level, position),
        )
    database.commit()
    database.close()
    with pytest.raises(LogTamperedError) as caught:
        audit_log(filled.registrar.store, key=filled.signer.public_key)
    assert "checkpoint 7" in caught.value.say_what()
