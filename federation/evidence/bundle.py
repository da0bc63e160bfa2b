"""Verify an evidence bundle with no network, no database and no trust in who sent it.

```
manifest.json, manifest.dsse.json   SHA-256 of every other member, signed by the register
dossier.json, ro-crate-metadata.json  what is claimed, and which file proves it
items/*.json, dsse/*.json           each thing said, readable and signed:
    record                          the entry;  earlier-*: versions that it corrects
    00001-tainan-1-approval         what sites and centre signed on the way to the model
    register-*, person-*            what the register recorded of it, who signed it off
log/{checkpoint, registered, consistency.json, inclusion/*.json}
log/dated/*.json                    when the log had a size, where a key was revoked since
pki/{root, chain, revocations}.pem  X.509: whose key is whose
model.safetensors                   the weights, where included
model.sig, pki/weights-key.json     their OpenSSF signature, where the version has one
schemas/, verify.py, README.en.md, README.zh-TW.md
```
`verify_bundle` reports; `verified_bundle` returns the record or raises with the first
item that does not hold. The steps, in order, are listed in
`federation.evidence.standalone`, which takes them a second time with no code of ours and
lies in every bundle as ``verify.py``. The bundle is written by registry/bundle.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from federation.domain.ids import Sha256
from federation.errors.registry import BundleItemError
from federation.evidence.archive import Archive, is_member_name, open_archive
from federation.evidence.bundle_parts import check_weights, dates
from federation.evidence.canonical import canonical, parse
from federation.evidence.certificates import (
    CertifiedKey,
    KeyOwner,
    verify_chain,
    verify_revocations,
    verify_root,
)
from federation.evidence.checking import Checks, must, refused
from federation.evidence.checkpoint import Checkpoint
from federation.evidence.figures import OF_A_RUN, OF_A_STUDY, Said, figures
from federation.evidence.growth import Growth, grown, read_note
from federation.evidence.inclusion import Inclusion
from federation.evidence.keyring import SIGNER_OF
from federation.evidence.members import (
    BUNDLE_SCHEMA,
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
    earlier_stem,
    item_name,
    person_stem,
    proof_name,
    revision_stem,
    signed_name,
    statement_stem,
)
from federation.evidence.model_version import LoggedStatement, Record
from federation.evidence.pinning import Expected, step_to
from federation.evidence.reasons import Reason
from federation.evidence.revisions import (
    RECORD as RECORD_URI,
)
from federation.evidence.revisions import (
    SIGN_OFF,
    GivenSignature,
    Revision,
    moment,
    revision_of,
    verify_said,
)
from federation.evidence.statements import PredicateType
from federation.evidence.verification import PublicKey, verify_envelope
from federation.evidence.witness import check_witnessed
from federation.wording import Language, Text


@dataclass(frozen=True, slots=True)
class VerifiedBundle:
    """What a bundle proves. `is_key_known` is False when the reader named no root."""

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
        report: dict[str, object] = {
            "verified": self.verified,
            "checked": self.checked,
            "failure": None,
        }
        if self.failure is not None:
            item, why = str(self.failure.values["item"]), self.failure.values["why"]
            what = why.say(language) if isinstance(why, Text) else str(why)
            report["failure"] = {"item": item, "what": what}
        if self.bundle:
            report |= {
                "entry": self.bundle.record.entry,
                "model": self.bundle.record.model.sha256,
                "signed_by": self.bundle.key.keyid,
                "key_known": self.bundle.is_key_known,
                "model_included": self.bundle.has_model,
            }
        return report


def verify_bundle(
    path: Path, *, centre_key: PublicKey | None = None, expected: Expected | None = None
) -> BundleReport:
    """Return whether everything in the bundle holds, and the first item that does not.

    Parameters
    ----------
    centre_key
        The register's key, got by another way than the bundle; the same as naming its
        fingerprint in `expected`. Without either the report only says that the bundle is
        whole, and whose key it names.
    expected
        What else the reader holds against it.

    Raises
    ------
    BundleUnreadableError
        If there is no such file.
    """
    checks = Checks()
    try:
        bundle = _verified(path, _expected(centre_key, expected), checks)
    except BundleItemError as error:
        return BundleReport(checks.done, error, None)
    return BundleReport(checks.done, None, bundle)


def verified_bundle(
    path: Path, *, centre_key: PublicKey | None = None, expected: Expected | None = None
) -> VerifiedBundle:
    """Return what the bundle proves; takes what `verify_bundle` takes.

    Raises
    ------
    BundleUnreadableError
        If there is no such file.
    BundleItemError
        Naming the first item that does not hold.
    """
    return _verified(path, _expected(centre_key, expected), Checks())


def _expected(key: PublicKey | None, expected: Expected | None) -> Expected:
    found = expected or Expected()
    return Expected(key.keyid, found.checkpoint, found.witnesses, found.model) if key else found


def _verified(path: Path, expected: Expected, checks: Checks) -> VerifiedBundle:
    with open_archive(path) as archive:
        root = _verified_root(archive, expected, checks)
        manifest = _verified_manifest(archive, root, checks)
        return _Reading(archive, checks, root, expected).verified(manifest)


def _verified_root(archive: Archive, expected: Expected, checks: Checks) -> PublicKey:
    pem = archive.read(ROOT)
    with checks.of(ROOT, Reason.FORM):
        root = verify_root(pem)
    must(expected.root in (None, root.keyid), ROOT, Reason.NOT_YOURS)
    return root


def _verified_manifest(archive: Archive, root: PublicKey, checks: Checks) -> dict[str, object]:
    content = archive.read(SIGNED_MANIFEST)
    with checks.of(SIGNED_MANIFEST, Reason.SIGNATURE):
        signed = verify_envelope(content, trusted={root.keyid: root}, expected=PredicateType.BUNDLE)
    must(MANIFEST in archive.names, MANIFEST, Reason.MISSING)
    named = {subject.name: subject.digest for subject in signed.subjects}
    must(named == {MANIFEST: archive.digest(MANIFEST)}, MANIFEST, Reason.CHANGED)
    content = archive.read(MANIFEST)
    with checks.of(MANIFEST, Reason.FORM):
        manifest, members = _manifest(parse(content))
    for name in archive.names:
        must(name in (MANIFEST, SIGNED_MANIFEST) or name in members, name, Reason.EXTRA)
    for name, digest in sorted(members.items()):
        must(name in archive.names, name, Reason.MISSING)
        with checks.of(name, Reason.CHANGED):
            if archive.digest(name) != digest:
                raise refused(name, Reason.CHANGED)
    return manifest


def _manifest(raw: object) -> tuple[dict[str, object], dict[str, object]]:
    match raw:
        case {"schema": str(schema), "entry": _, "members": dict(members), **rest} if (
            not rest
            and schema == BUNDLE_SCHEMA
            and isinstance(raw, dict)
            and all(is_member_name(name) for name in members)
        ):
            return raw, members
    raise ValueError("not a manifest")


@dataclass
class _Reading:
    """What is known of a bundle while it is verified, its manifest already checked."""

    archive: Archive
    checks: Checks
    root: PublicKey
    expected: Expected
    checkpoint: Checkpoint = field(init=False)
    dated: list[tuple[int, datetime]] = field(default_factory=list)
    evidence: dict[str, dict[str, object]] = field(default_factory=dict)
    certified: dict[Sha256, dict[str, CertifiedKey]] = field(default_factory=dict)

    def verified(self, manifest: Mapping[str, object]) -> VerifiedBundle:
        """Return what the bundle proves; the rest of the steps."""
        record, created = self._record(manifest)
        self._log()
        self.dated.append((self._place("record"), created))
        self._certificates()
        self.dated += dates(self.archive, self.checks, self.root)
        self._earlier_versions(record)
        self._revisions(record)
        said = [self._statement(record, n, one) for n, one in enumerate(record.statements, 1)]
        with self.checks.of(RECORD, Reason.FIGURE):
            for place, holds in figures(record, said):
                must(holds, f"{RECORD}#{place}", Reason.FIGURE)
        check_weights(self.archive, self.checks, self.expected, self.root, record, said)
        self._dossier(record)
        return VerifiedBundle(
            record,
            self.root,
            self.expected.root is not None,
            MODEL in self.archive.names,
            self.checkpoint,
            self.checks.done,
        )

    def _record(self, manifest: Mapping[str, object]) -> tuple[Record, datetime]:
        said, subjects = self._signed("record", PredicateType.MODEL_VERSION.value, self.root)
        with self.checks.of(RECORD, Reason.FORM):
            record = Record.from_json(canonical(said))
            created = moment(record.created)
        about = {f"model/{record.entry}": record.model.sha256}
        must(subjects == about, signed_name("record"), Reason.OTHER_ENTRY)
        must(manifest["entry"] == record.entry, MANIFEST, Reason.OTHER_ENTRY)
        return record, created

    def _log(self) -> None:
        content = self.archive.read(CHECKPOINT)
        with self.checks.of(CHECKPOINT, Reason.SIGNATURE):
            note = content.decode()
            self.checkpoint = read_note(note, key=self.root)
        content = self.archive.read(REGISTERED)
        with self.checks.of(REGISTERED, Reason.SIGNATURE):
            registered = content.decode()
            read_note(registered, key=self.root)
        content = self.archive.read(GROWTH)
        with self.checks.of(GROWTH, Reason.FORKED):
            growth = Growth.from_json(parse(content))
            if growth.note != note:
                raise refused(GROWTH, Reason.FORKED)
            grown(growth, key=self.root, kept=registered)
        if self.expected.checkpoint is not None:
            with self.checks.of(CHECKPOINT, Reason.UNPROVED):
                step = step_to(self.expected.checkpoint, self.checkpoint, growth, key=self.root)
            with self.checks.of(CHECKPOINT, Reason.FORKED):
                step.verify()
        for witness in self.expected.witnesses:
            with self.checks.of(CHECKPOINT, Reason.WITNESS):
                check_witnessed(note, [witness], needed=1)

    def _certificates(self) -> None:
        root, chain = self.archive.read(ROOT), self.archive.read(CHAIN)
        content = self.archive.read(REVOKED)
        with self.checks.of(CHAIN, Reason.FORM):
            found = verify_chain(chain, root)
        with self.checks.of(REVOKED, Reason.FORM):
            revoked = verify_revocations(content, root)
        for serial, one in found.items():
            key = CertifiedKey(one.key, one.owner, one.since, one.until, revoked.get(serial))
            self.certified.setdefault(one.key.keyid, {})[one.owner.uri] = key

    def _earlier_versions(self, record: Record) -> None:
        """Follow the versions that this one corrects; each dates what was logged before it."""
        pointer: object = record.supersedes
        number = 0
        while pointer is not None:
            number += 1
            stem = earlier_stem(number)
            said, _ = self._signed(stem, PredicateType.MODEL_VERSION.value, self.root)
            with self.checks.of(item_name(stem), Reason.FORM):
                older = Record.from_json(canonical(said))
                created = moment(older.created)
            must(older.entry == pointer, item_name(stem), Reason.OTHER_ENTRY)
            self.dated.append((self._place(stem), created))
            pointer = older.supersedes

    def _revisions(self, record: Record) -> None:
        before: dict[tuple[str, str], tuple[int, str | None]] = {}
        number = 1
        while signed_name(stem := revision_stem(number)) in self.archive.names:
            said, subjects = self._signed(stem, RECORD_URI, self.root)
            with self.checks.of(item_name(stem), Reason.FORM):
                found = revision_of(said, subjects)
            follows = (found.number - 1, found.previous) == before.get(found.thing, (0, None))
            must(follows, item_name(stem), Reason.SEQUENCE)
            is_ours = found.thing[0] != "model-version" or found.thing[1] == record.entry
            must(is_ours, item_name(stem), Reason.OTHER_ENTRY)
            before[found.thing] = (found.number, found.digest)
            self.dated.append((self._place(stem), found.at))
            for given in found.signatures:
                self._sign_off(found, given)
            number += 1

    def _sign_off(self, found: Revision, given: GivenSignature) -> None:
        """Check a person's own signature of a move that the register recorded."""
        stem = person_stem(given.envelope)
        name = signed_name(stem)
        said, _ = self._signed(stem, SIGN_OFF, given.key)
        digest = Sha256.of(self.archive.read(name))
        must(digest == given.envelope, name, Reason.NOT_NAMED)
        wanted = dict(found.move) | {"role": given.role}
        same = {part: said.get(part) for part in wanted} == wanted
        must(same, item_name(stem), Reason.OTHER_ENTRY)
        owner = KeyOwner(person=given.person).uri
        key = self.certified.get(given.key.keyid, {}).get(owner)
        must(key is None or key.was_valid(given.at), name, Reason.NOT_VALID_THEN)
        self._place(stem)

    def _statement(self, record: Record, number: int, logged: LoggedStatement) -> Said:
        stem = statement_stem(number, logged)
        name = signed_name(stem)
        named = Sha256.of(self.archive.read(name)) == logged.envelope_digest
        must(named, name, Reason.NOT_NAMED)
        owners = self.certified.get(Sha256(logged.keyid))
        if not owners:
            raise refused(name, Reason.NO_CERTIFICATE)
        kind = _kind(logged.kind)
        owner = owners.get(_owner(logged, kind))
        if kind is None or owner is None:
            raise refused(name, Reason.WRONG_ROLE)
        predicate, subjects = self._signed(stem, kind.value, owner.key)
        said = Said(logged.site, kind, predicate, subjects)
        must(_is_about(said, record), name, Reason.OTHER_RUN)
        index = self._place(stem)
        must(index == logged.log_index, proof_name(stem), Reason.PROOF)
        known = [at for place, at in self.dated if place >= index and owner.was_valid(at)]
        must(known, name, Reason.NOT_VALID_THEN)
        return said

    def _dossier(self, record: Record) -> None:
        content = self.archive.read(DOSSIER)
        with self.checks.of(DOSSIER, Reason.FORM):
            dossier = parse(content)
            listed = tuple(dossier[key] for key in ("entry", "model", "evidence"))  # type: ignore[index]
        evidence = [self.evidence[name] for name in sorted(self.evidence)]
        truth = (record.entry, record.model.sha256, evidence)
        must(listed == truth, DOSSIER, Reason.NOT_EVIDENCE)

    def _signed(
        self, stem: str, uri: str, key: PublicKey
    ) -> tuple[Mapping[str, object], Mapping[str, Sha256]]:
        """Return predicate and subjects of what `key` signed; items/ must say the same."""
        name, item = signed_name(stem), item_name(stem)
        content = self.archive.read(name)
        with self.checks.of(name, Reason.SIGNATURE):
            predicate, subjects = verify_said(content, key=key, uri=uri)
        must(self.archive.read(item) == canonical(predicate), item, Reason.NOT_SIGNED)
        digest = Sha256.of(content)
        self.evidence[name] = {"file": name, "sha256": digest, "signed_by": key.keyid}
        return predicate, subjects

    def _place(self, stem: str) -> int:
        """Return where in the log the statement lies, proved."""
        content = self.archive.read(proof_name(stem))
        with self.checks.of(proof_name(stem), Reason.PROOF):
            proof = Inclusion.from_json(parse(content))
            proof.verify(self.archive.read(signed_name(stem)).decode(), self.checkpoint)
        self.evidence[signed_name(stem)]["log_index"] = proof.index
        return proof.index


def _kind(name: str) -> PredicateType | None:
    kinds = SIGNER_OF.keys() - {PredicateType.MODEL_VERSION, PredicateType.BUNDLE}
    return next((kind for kind in kinds if kind.short == name), None)


def _owner(logged: LoggedStatement, kind: PredicateType | None) -> str:
    role = SIGNER_OF[kind].value if kind else None
    return f"trifed://key/{logged.site or '-'}/{role}"


def _is_about(said: Said, record: Record) -> bool:
    """Say whether a statement is about this site, study and run."""
    return (
        (said.site is None or said.predicate.get("site") == said.site)
        and (
            said.kind is not PredicateType.APPROVAL or said.predicate.get("decision") == "approved"
        )
        and (said.kind not in OF_A_RUN or said.predicate.get("run") == record.run)
        and (said.kind not in OF_A_STUDY or record.study.digest in said.subjects.values())
    )
