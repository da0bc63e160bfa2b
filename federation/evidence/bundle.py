"""Verify an evidence bundle with no network, no database and no trust in who sent it.

```
manifest.dsse.json      the centre's signature over the digest of every other member
record.json             the record, as signed in record.dsse.json
statements/*.dsse.json  what sites and centre signed on the way to the model
log/checkpoint          the signed state of the register's log
log/inclusion/*.json    proof that each of the above is in the log
keys/*.pub              the public keys; give the centre's own key to rely on more than the file
model.safetensors       the weights, where included
README.en.md, README.zh-TW.md
```
`verify_bundle` reports; `verified_bundle` returns the record or raises with the
first item that does not hold. The bundle is written by registry/bundle.py.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from federation.domain.ids import Sha256
from federation.errors import PlatformError
from federation.errors.registry import BundleItemError
from federation.evidence.archive import Archive, open_archive
from federation.evidence.canonical import canonical, parse
from federation.evidence.checkpoint import Checkpoint, verify_checkpoint
from federation.evidence.dsse import read_envelope
from federation.evidence.inclusion import Inclusion, origin_of
from federation.evidence.model_version import LoggedStatement, Record
from federation.evidence.statements import PredicateType, Statement, Subject
from federation.evidence.verification import PublicKey, verify_envelope
from federation.wording import Language

BUNDLE_SCHEMA = "trifed.bundle/1"
MANIFEST = "manifest.dsse.json"
RECORD = "record.json"
SIGNED_RECORD = "record.dsse.json"
CHECKPOINT = "log/checkpoint"
RECORD_PROOF = "log/inclusion/record.json"
CENTRE_KEY = "keys/centre.pub"
MODEL = "model.safetensors"

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class VerifiedBundle:
    """What a bundle proves. `is_key_known` is False when the reader gave no key to compare."""

    record: Record
    key: PublicKey
    is_key_known: bool
    has_model: bool
    checkpoint: Checkpoint
    checked: int


@dataclass(frozen=True, slots=True)
class BundleReport:
    """The outcome of a verification; `failure` is None when everything holds."""

    checked: int
    failure: BundleItemError | None
    bundle: VerifiedBundle | None

    @property
    def verified(self) -> bool:
        """Say whether everything holds."""
        return self.failure is None

    def as_json(self, language: Language = Language.EN) -> dict[str, object]:
        """Return the report as the JSON contract has it, with what it was verified against."""
        failure = self.failure and {
            "item": str(self.failure.values["item"]),
            "what": self.failure.say_what(language),
        }
        report: dict[str, object] = {
            "verified": self.verified,
            "checked": self.checked,
            "failure": failure or None,
        }
        if self.bundle:
            report |= {
                "entry": self.bundle.record.entry,
                "model": self.bundle.record.model.sha256,
                "signed_by": self.bundle.key.keyid,
                "key_known": self.bundle.is_key_known,
                "model_included": self.bundle.has_model,
            }
        return report


class _Checks:
    """Counts what held, and names the item of what did not."""

    def __init__(self) -> None:
        self.done = 0

    def of(self, item: str, check: Callable[[], Value]) -> Value:
        try:
            value = check()
        except BundleItemError:
            raise
        except PlatformError as error:
            raise BundleItemError(item=item, why=f"{error.say_what()} [{error.code}]") from error
        self.done += 1
        return value


def verify_bundle(path: Path, *, centre_key: PublicKey | None = None) -> BundleReport:
    """Return whether everything in the bundle holds, and the first item that does not.

    Parameters
    ----------
    centre_key
        The centre's key, got by another way than the bundle. Without it the
        report only says that the bundle is whole, and whose key it names.

    Raises
    ------
    BundleUnreadableError
        If there is no such file.
    """
    checks = _Checks()
    try:
        bundle = _verified(path, centre_key, checks)
    except BundleItemError as error:
        return BundleReport(checks.done, error, None)
    return BundleReport(checks.done, None, bundle)


def verified_bundle(path: Path, *, centre_key: PublicKey | None = None) -> VerifiedBundle:
    """Return what the bundle proves.

    Raises
    ------
    BundleUnreadableError
        If there is no such file.
    BundleItemError
        Naming the first item that does not hold.
    """
    return _verified(path, centre_key, _Checks())


def statement_name(number: int, statement: LoggedStatement) -> str:
    """Return the member that holds the `number`-th statement of a record, from 1."""
    return f"statements/{number:05}-{statement.site or 'centre'}-{statement.kind}.dsse.json"


def proof_name(number: int) -> str:
    """Return the member that proves the `number`-th statement, from 1."""
    return f"log/inclusion/{number:05}.json"


def key_name(keyid: str) -> str:
    """Return the member that holds a site's key."""
    return f"keys/{Sha256(keyid).hex[:32]}.pub"


def _verified(path: Path, centre_key: PublicKey | None, checks: _Checks) -> VerifiedBundle:
    with open_archive(path) as archive:
        key = _verified_key(archive, centre_key, checks)
        manifest = _verified_manifest(archive, key, checks)
        record = _verified_record(archive, key, checks)
        checkpoint = checks.of(
            CHECKPOINT,
            lambda: verify_checkpoint(_text(archive, CHECKPOINT), origin=origin_of(key), key=key),
        )
        _verify_proof(archive, SIGNED_RECORD, RECORD_PROOF, checkpoint, checks)
        for number, logged in enumerate(record.statements, start=1):
            name = statement_name(number, logged)
            _verify_statement(archive, name, logged, checks)
            _verify_proof(archive, name, proof_name(number), checkpoint, checks)
        _verify_model(archive, record, checks)
        _verify_manifest_says(manifest, record)
        checks.of("archive", lambda: archive.check_form(path))
        return VerifiedBundle(
            record, key, centre_key is not None, MODEL in archive.names, checkpoint, checks.done
        )


def _verified_key(archive: Archive, known: PublicKey | None, checks: _Checks) -> PublicKey:
    """Return the centre's key, or name the one member of three that names another key."""
    key = checks.of(
        CENTRE_KEY, lambda: PublicKey.from_pem(archive.read(CENTRE_KEY), name=CENTRE_KEY)
    )
    named = {
        name: checks.of(name, lambda name=name: read_envelope(archive.read(name)).keyid)  # type: ignore[misc]
        for name in (MANIFEST, SIGNED_RECORD)
    }
    strangers = [name for name, keyid in named.items() if keyid != key.keyid]
    if strangers:
        item = CENTRE_KEY if len(strangers) == len(named) else strangers[0]
        raise BundleItemError(item=item, why="it names another key than the rest")
    if archive.read(CENTRE_KEY) != key.pem:
        raise BundleItemError(item=CENTRE_KEY, why="its bytes were changed")
    if known is not None and known.keyid != key.keyid:
        raise BundleItemError(item=CENTRE_KEY, why="it is not the centre's key that you gave")
    return key


def _verified_manifest(archive: Archive, key: PublicKey, checks: _Checks) -> Statement:
    manifest = checks.of(
        MANIFEST,
        lambda: verify_envelope(
            archive.read(MANIFEST), trusted={key.keyid: key}, expected=PredicateType.BUNDLE
        ),
    )
    listed = {subject.name for subject in manifest.subjects}
    for name in archive.names:
        if name not in listed | {MANIFEST}:
            raise BundleItemError(item=name, why="the manifest does not list it")
    for subject in manifest.subjects:
        checks.of(subject.name, lambda subject=subject: _verify_member(archive, subject))  # type: ignore[misc]
    return manifest


def _verify_member(archive: Archive, subject: Subject) -> None:
    if subject.name not in archive.names:
        raise BundleItemError(item=subject.name, why="it is missing")
    if archive.digest(subject.name) != subject.digest:
        raise BundleItemError(item=subject.name, why="its bytes were changed")


def _verified_record(archive: Archive, key: PublicKey, checks: _Checks) -> Record:
    statement = checks.of(
        SIGNED_RECORD,
        lambda: verify_envelope(
            archive.read(SIGNED_RECORD),
            trusted={key.keyid: key},
            expected=PredicateType.MODEL_VERSION,
        ),
    )
    content = canonical(statement.predicate)
    if archive.read(RECORD) != content:
        raise BundleItemError(item=RECORD, why="it is not the record that was signed")
    return checks.of(RECORD, lambda: Record.from_json(content))


def _verify_statement(
    archive: Archive, name: str, logged: LoggedStatement, checks: _Checks
) -> None:
    content = archive.read(name)
    if Sha256.of(content) != logged.envelope_digest:
        raise BundleItemError(item=name, why="it is not the statement the record names")
    holder = key_name(logged.keyid)
    key = checks.of(holder, lambda: PublicKey.from_pem(archive.read(holder), name=holder))
    if key.keyid != logged.keyid:
        raise BundleItemError(item=holder, why="it is not the key the record names")
    kind = checks.of(name, lambda: PredicateType.of(logged.kind))
    checks.of(name, lambda: verify_envelope(content, trusted={key.keyid: key}, expected=kind))


def _verify_proof(
    archive: Archive, item: str, name: str, checkpoint: Checkpoint, checks: _Checks
) -> None:
    content = archive.read(name)
    proof = checks.of(name, lambda: Inclusion.from_json(parse(content)))
    checks.of(name, lambda: proof.verify(_text(archive, item), checkpoint))


def _verify_model(archive: Archive, record: Record, checks: _Checks) -> None:
    if MODEL in archive.names:
        found = checks.of(MODEL, lambda: archive.digest(MODEL))
        if found != record.model.sha256:
            raise BundleItemError(item=MODEL, why="it is not the model the record names")


def _verify_manifest_says(manifest: Statement, record: Record) -> None:
    if manifest.predicate != {"schema": BUNDLE_SCHEMA, "entry": record.entry}:
        raise BundleItemError(item=MANIFEST, why="it is the manifest of another entry")


def _text(archive: Archive, name: str) -> str:
    try:
        return archive.read(name).decode()
    except UnicodeDecodeError as error:
        raise BundleItemError(item=name, why="it is not text") from error
