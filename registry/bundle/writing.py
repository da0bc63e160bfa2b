"""Write the bundle of an entry: gather, describe, sign, verify as a stranger would, name."""

import os
import tempfile
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from federation.domain.ids import Sha256
from federation.errors import PlatformError
from federation.errors.evidence import ExportUnsoundError
from federation.errors.registry import BundleItemError, BundleUnreadableError
from federation.evidence.archive import Content, write_archive
from federation.evidence.bundle import verified_bundle
from federation.evidence.canonical import canonical, parse
from federation.evidence.certificates import certificates, revocations, root_certificate
from federation.evidence.dsse import read_envelope
from federation.evidence.members import (
    BUNDLE_SCHEMA,
    CHAIN,
    CHECKPOINT,
    DOSSIER,
    GROWTH,
    MANIFEST,
    MODEL,
    MODEL_SIGNATURE,
    REGISTERED,
    REVOKED,
    ROOT,
    SIGNED_MANIFEST,
    WEIGHTS_KEY,
    dated_name,
    item_name,
    proof_name,
    signed_name,
)
from federation.evidence.model_version import Record
from federation.evidence.reasons import Reason
from federation.evidence.signing import Signer, sign_dsse
from federation.evidence.statements import PredicateType, Statement, Subject
from federation.evidence.trail import event_member
from registry.audit.heads import log_head
from registry.bundle.crate import CRATE, crate_of
from registry.bundle.dossier import dossier_of
from registry.bundle.gathering import Evidence, Gathered, gather
from registry.bundle.readme import README
from registry.evidence.weights import kept_signature
from registry.models.artefacts import digest_of_file, model_file
from registry.models.service import Registrar
from registry.records.statements import PersonKeys, no_keys

VERIFIER = "verify.py"
SCHEMA = "schemas/model-version-1.json"
Members = dict[str, Content]
_ACTOR = "export"


def export(
    registrar: Registrar,
    asked: str,
    path: Path,
    *,
    with_model: bool = False,
    people: PersonKeys = no_keys,
) -> Path:
    """Write the bundle of an entry to `path`, whole or not at all; return the path.

    The audit trail's head is logged before, so that no event can be dropped from under it.

    Parameters
    ----------
    people
        Returns every key a person ever had, so that the bundle says how long each counted.

    Raises
    ------
    EntryNotFoundError
        If there is no such entry.
    ArtefactError
        If the model is wanted and is not what was registered.
    LogTamperedError, ExportUnsoundError
        If the register lacks a part of it, or it does not verify.
    WeightsSignatureError
        If the weights were signed, and the signature does not hold.
    BundleUnreadableError
        If the file cannot be written, or would be too large.
    """
    log_head(registrar.store, signer=registrar.signer, at=registrar.clock(), actor=_ACTOR)
    members = _members(registrar, asked, people, with_model=with_model)
    try:
        descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "w+b") as file:
                os.fchmod(file.fileno(), 0o644)
                write_archive(file, members)
                file.flush()
                os.fsync(file.fileno())
            _check(Path(draft), registrar.signer, asked)
            Path(draft).replace(path)
        finally:
            Path(draft).unlink(missing_ok=True)
    except OSError as error:
        raise BundleUnreadableError(name=path.name, why=error.strerror or "unwritable") from error
    return path


def verifier_program() -> bytes:
    """Return the program that lies in every bundle as ``verify.py``."""
    return files("federation.evidence").joinpath("standalone.py").read_bytes()


def _check(draft: Path, signer: Signer, asked: str) -> None:
    """Verify the draft; what does not verify never gets its name."""
    try:
        verified_bundle(draft, centre_key=signer.public_key)
    except BundleItemError as error:
        item, why = error.values["item"], error.values["why"]
        raise ExportUnsoundError(entry=asked, item=item, why=why) from error


def _members(registrar: Registrar, asked: str, people: PersonKeys, *, with_model: bool) -> Members:
    signer = registrar.signer
    with registrar.store.reading() as transaction:
        retired = tuple(registrar.retired())
        found = gather(transaction, asked, root=signer.public_key, retired=retired, people=people)
    members = {**_evidence(found), **_log(found), **_pki(found, signer)}
    members |= _weights_signature(registrar, found.record)
    members |= {
        DOSSIER: dossier_of(found, signer.public_key),
        SCHEMA: canonical(Record.model_json_schema()),
        VERIFIER: verifier_program(),
        **_readmes(found.record, signer.keyid),
    }
    if with_model:
        members[MODEL] = model_file(registrar.artefacts, found.record.model)
    members[CRATE] = crate_of(found.record, _described(members))
    return members | _manifest(members, found.record, signer)


def _evidence(found: Gathered) -> Members:
    members: Members = {}
    for one in found.evidence:
        predicate = _said(one, found.record.entry)
        members[signed_name(one.stem)] = one.envelope.encode()
        members[item_name(one.stem)] = canonical(predicate)
        members[proof_name(one.stem)] = canonical(one.proof.as_json())
    return members


def _said(one: Evidence, entry: str) -> dict[str, object]:
    """Return the predicate in a logged envelope, unverified."""
    try:
        match parse(read_envelope(one.envelope).payload):
            case {"predicate": dict(predicate), **_rest}:
                return predicate
    except PlatformError:
        pass  # as with any other form that no statement has
    raise ExportUnsoundError(entry=entry, item=signed_name(one.stem), why=Reason.FORM.value)


def _log(found: Gathered) -> Members:
    return {
        **{
            dated_name(number): event_member(one.content, one.signature)
            for number, one in enumerate(found.dates, start=1)
        },
        CHECKPOINT: found.checkpoint.encode(),
        REGISTERED: found.registered.encode(),
        GROWTH: canonical(found.growth.as_json()),
    }


def _weights_signature(registrar: Registrar, record: Record) -> Members:
    key = registrar.signer.public_key
    kept = kept_signature(registrar.artefacts, record.model, register=key)
    return {} if kept is None else {MODEL_SIGNATURE: kept[0], WEIGHTS_KEY: kept[1]}


def _pki(found: Gathered, signer: Signer) -> Members:
    return {
        ROOT: root_certificate(signer),
        CHAIN: certificates(found.keys, signer),
        REVOKED: revocations(found.keys, signer, at=found.at),
    }


def _readmes(record: Record, keyid: Sha256) -> Members:
    said = {"entry": record.entry, "keyid": keyid, "verifier": Sha256.of(verifier_program()).hex}
    texts = (("README.en.md", README.en), ("README.zh-TW.md", README.zh))
    return {name: text.format(**said).encode() for name, text in texts}


def _described(members: Mapping[str, Content]) -> dict[str, tuple[int, str]]:
    return {name: (_size(content), _digest(content).hex) for name, content in members.items()}


def _manifest(members: Mapping[str, Content], record: Record, signer: Signer) -> Members:
    listed = {name: _digest(members[name]) for name in sorted(members)}
    said = {"schema": BUNDLE_SCHEMA, "entry": record.entry}
    content = canonical({**said, "members": listed})
    statement = Statement((Subject(MANIFEST, Sha256.of(content)),), PredicateType.BUNDLE, said)
    return {MANIFEST: content, SIGNED_MANIFEST: sign_dsse(statement, signer).encode()}


def _digest(content: Content) -> Sha256:
    return digest_of_file(content) if isinstance(content, Path) else Sha256.of(content)


def _size(content: Content) -> int:
    return content.stat().st_size if isinstance(content, Path) else len(content)
