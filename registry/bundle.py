"""Export an entry as one file that a stranger can verify offline.

What is inside, and how it is verified, is federation/evidence/bundle.py. The
proofs are as of the checkpoint signed with the entry, so the same entry gives
the same bytes however long the log has grown.
"""

import os
import tempfile
from pathlib import Path

from federation.domain.ids import Sha256
from federation.errors.registry import BundleUnreadableError, LogTamperedError
from federation.evidence.archive import Content, write_archive
from federation.evidence.bundle import (
    BUNDLE_SCHEMA,
    CENTRE_KEY,
    CHECKPOINT,
    MANIFEST,
    MODEL,
    RECORD,
    RECORD_PROOF,
    SIGNED_RECORD,
    key_name,
    proof_name,
    statement_name,
)
from federation.evidence.canonical import canonical
from federation.evidence.model_version import Record
from federation.evidence.signing import sign_dsse
from federation.evidence.statements import PredicateType, Statement, Subject
from federation.wording import Text
from registry.evidence.ports import EvidenceLog
from registry.evidence.service import prove_inclusion
from registry.models.artefacts import digest_of_file, model_file
from registry.models.ports import StoredVersion
from registry.models.service import Registrar, find

README = Text(
    en="""# {entry}

The evidence for one model version: what was trained, by whom, how good it is, and
what patients were promised (record.json), with every signature it rests on.

Check it yourself, without a network:

    trifed evidence verify THIS-FILE.zip --key centre.pub

Get `centre.pub` from the centre by another way than this file, and compare its
fingerprint: {keyid}. Without it the check only shows that the file is whole.
""",
    zh="""# {entry}

這是一個模型版本的證據:訓練了什麼、由誰訓練、表現如何、對病人作了什麼隱私承諾
(record.json),以及其所依據的每一個簽章。

您可在離線環境自行驗證:

    trifed evidence verify 本檔案.zip --key centre.pub

請以本檔案以外的管道向中心取得 `centre.pub`,並核對指紋:{keyid}。
若未提供,驗證只能證明本檔案完整無缺。
""",
)


def export(registrar: Registrar, asked: str, path: Path, *, with_model: bool = False) -> Path:
    """Write the bundle of an entry to `path`, whole or not at all; return the path.

    Raises
    ------
    EntryNotFoundError
        If there is no such entry.
    ArtefactError
        If the model is wanted and is not what was registered.
    BundleUnreadableError
        If the file cannot be written.
    """
    members = _members(registrar, asked, with_model=with_model)
    try:
        descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "w+b") as file:
                os.fchmod(file.fileno(), 0o644)
                write_archive(file, members)
                file.flush()
                os.fsync(file.fileno())
            Path(draft).replace(path)
        finally:
            Path(draft).unlink(missing_ok=True)
    except OSError as error:
        raise BundleUnreadableError(name=path.name, why=error.strerror or "unwritable") from error
    return path


def _members(registrar: Registrar, asked: str, *, with_model: bool) -> dict[str, Content]:
    with registrar.store.reading() as transaction:
        found = find(transaction.models, asked)
        record = Record.from_json(found.record.encode())
        members = _evidence_of(transaction.log, found, record)
    key = registrar.signer.public_key
    members[CENTRE_KEY] = key.pem
    for name, text in (("README.en.md", README.en), ("README.zh-TW.md", README.zh)):
        members[name] = text.format(entry=record.entry, keyid=key.keyid).encode()
    if with_model:
        members[MODEL] = model_file(registrar.artefacts, record.model)
    manifest = _manifest_of(members, record)
    return members | {MANIFEST: sign_dsse(manifest, registrar.signer).encode()}


def _evidence_of(log: EvidenceLog, found: StoredVersion, record: Record) -> dict[str, Content]:
    checkpoint = log.checkpoint(found.log_size)
    if checkpoint is None:
        raise LogTamperedError(item=found.entry, why="its checkpoint is missing")
    members: dict[str, Content] = {
        RECORD: found.record.encode(),
        SIGNED_RECORD: log.entry(found.log_index).envelope.encode(),
        CHECKPOINT: checkpoint.encode(),
        RECORD_PROOF: _proof(log, found.log_index, found.log_size),
    }
    keys = log.keys()
    if any(Sha256(logged.keyid) not in keys for logged in record.statements):
        raise LogTamperedError(item=found.entry, why="a key of its statements is missing")
    for number, logged in enumerate(record.statements, start=1):
        members[statement_name(number, logged)] = log.entry(logged.log_index).envelope.encode()
        members[proof_name(number)] = _proof(log, logged.log_index, found.log_size)
        members[key_name(logged.keyid)] = keys[Sha256(logged.keyid)].key.pem
    return members


def _proof(log: EvidenceLog, index: int, size: int) -> bytes:
    return canonical(prove_inclusion(log, index, size=size).as_json())


def _manifest_of(members: dict[str, Content], record: Record) -> Statement:
    subjects = tuple(Subject(name, _digest(members[name])) for name in sorted(members))
    predicate = {"schema": BUNDLE_SCHEMA, "entry": record.entry}
    return Statement(subjects, PredicateType.BUNDLE, predicate)


def _digest(content: Content) -> Sha256:
    return digest_of_file(content) if isinstance(content, Path) else Sha256.of(content)
