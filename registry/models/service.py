"""Register trained models and show them with the proof that nothing was changed since.

`Registrar.register`, in order:
1. the candidate's facts agree and show no small count;
2. every statement is signed by the party it names, about this study and run; one of a
   key revoked since only where the log had it before;
3. the model file is in the artefact store, with the digest named;
4. in one transaction: id and version, log entries of the statements, the signed
   record, its log entry, a signed checkpoint, the audit event.
A candidate handed in twice is registered once.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from federation.domain.audit import AuditEvent, AuditKind
from federation.domain.ids import Sha256
from federation.errors.registry import EntryNotFoundError, RunRegisteredError
from federation.errors.signed import LogTamperedError
from federation.evidence.canonical import canonical
from federation.evidence.inclusion import Inclusion
from federation.evidence.keyring import KnownKey
from federation.evidence.model_version import RECORD_SCHEMA, Candidate, LoggedStatement, Record
from federation.evidence.signing import Signer, sign_dsse
from federation.evidence.statements import PredicateType, Statement, Subject
from registry.audit.service import record as record_event
from registry.evidence.service import append, prove_inclusion, seal
from registry.models.artefacts import model_file
from registry.models.checks import Vouched, check_facts, vouch
from registry.models.numbers import model_id, next_version, parse_entry
from registry.models.ports import ModelVersions, StoredVersion
from registry.models.states import MODEL_VERSION
from registry.models.trust import RetiredKey, check_retired, no_retired_keys
from registry.ports import Store, Transaction
from registry.retrying import in_one_transaction


@dataclass(frozen=True, slots=True)
class Shown:
    """An entry with all it takes to check it: signed statement, proof, checkpoint."""

    entry: str
    record: str
    superseded_by: str | None
    envelope: str
    inclusion: Inclusion
    checkpoint: str


@dataclass(frozen=True, slots=True)
class Registrar:
    """The one who may write model versions.

    Parameters
    ----------
    store
        Where they are kept.
    signer
        The centre's evidence key.
    artefacts
        The folder that model files lie in.
    keys
        Returns the keys of centre and sites as they are now.
    clock
        Returns the present time, UTC.
    retired
        Returns the keys that were revoked, with their times.
    """

    store: Store
    signer: Signer
    artefacts: Path
    keys: Callable[[], Iterable[KnownKey]]
    clock: Callable[[], datetime]
    retired: Callable[[], Iterable[RetiredKey]] = no_retired_keys

    def register(self, candidate: Candidate, *, actor: str) -> tuple[StoredVersion, bool]:
        """Return the version made from `candidate`, and whether it is new.

        Raises
        ------
        ProblemsFound, ArtefactError, StatementOfAnotherError
            And what verifying a signature raises, if a check fails.
        RunRegisteredError
            If the run has a record that this one does not supersede.
        EntryNotFoundError
            If it supersedes an entry that is not there.
        BusyRegisterError
            If other writers were always faster.
        """
        check_facts(candidate)
        retired = tuple(self.retired())
        statements = vouch(candidate, [*self.keys(), *(one.known for one in retired)])
        model_file(self.artefacts, candidate.model)

        def work(transaction: Transaction) -> tuple[StoredVersion, bool]:
            check_retired(transaction, statements, retired)
            return self._register(transaction, candidate, statements, actor)

        return in_one_transaction(self.store.writing, work)

    def _register(
        self,
        transaction: Transaction,
        candidate: Candidate,
        statements: list[Vouched],
        actor: str,
    ) -> tuple[StoredVersion, bool]:
        earlier = transaction.models.of_candidate(candidate.digest)
        if earlier is not None:
            return earlier, False
        now = self.clock().astimezone(UTC).replace(microsecond=0)
        corrected = _corrected(transaction.models, candidate)
        model = _model_of(transaction.models, candidate, year=now.year)
        taken = [version.version for version in transaction.models.versions(model)]
        version = next_version(taken, corrects=corrected)
        logged = _log_statements(transaction, statements)
        record = _record_of(candidate, model, version, logged, now)
        stored = self._keep(transaction, candidate, record)
        record_event(_event_of(stored, record, actor, now), transaction.audit, signer=self.signer)
        return stored, True

    def _keep(
        self, transaction: Transaction, candidate: Candidate, record: Record
    ) -> StoredVersion:
        envelope = sign_dsse(statement_of(record), self.signer)
        (index,) = append(transaction.log, [envelope])
        seal(transaction.log, signer=self.signer)
        stored = StoredVersion(
            entry=record.entry,
            model=record.id,
            version=record.version,
            study=record.study.id,
            run=record.run,
            state=record.state,
            candidate_digest=candidate.digest,
            supersedes=record.supersedes,
            log_index=index,
            log_size=transaction.log.size(),
            record=canonical(record.as_json()).decode(),
        )
        transaction.models.add(stored)
        return stored


def statement_of(record: Record) -> Statement:
    """Return the statement the registry signs: the whole record, about the model file."""
    subject = Subject(f"model/{record.entry}", Sha256(record.model.sha256))
    return Statement((subject,), PredicateType.MODEL_VERSION, record.as_json())


def find(models: ModelVersions, asked: str) -> StoredVersion:
    """Return the version that `asked` names; a model's id alone means its newest.

    Raises
    ------
    EntryNotFoundError
        If there is none.
    """
    wanted = parse_entry(asked)
    versions = [
        version
        for version in models.versions(wanted.model)
        if wanted.version in (None, version.version)
    ]
    if not versions:
        raise EntryNotFoundError(asked=asked)
    return versions[-1]


def show(store: Store, asked: str) -> Shown:
    """Return an entry with its proof as of the checkpoint it was registered under.

    Raises
    ------
    EntryNotFoundError
        If there is none.
    """
    with store.reading() as transaction:
        found = find(transaction.models, asked)
        checkpoint = transaction.log.checkpoint(found.log_size)
        if checkpoint is None:
            raise LogTamperedError(item=found.entry, why="its checkpoint is missing")
        return Shown(
            entry=found.entry,
            record=found.record,
            superseded_by=transaction.models.successor_of(found.entry),
            envelope=transaction.log.entry(found.log_index).envelope,
            inclusion=prove_inclusion(transaction.log, found.log_index, size=found.log_size),
            checkpoint=checkpoint,
        )


def _corrected(models: ModelVersions, candidate: Candidate) -> str | None:
    """Return the version that `candidate` corrects, None when it is a new run's."""
    if candidate.supersedes is None:
        earlier = models.of_run(candidate.run)
        if earlier:
            raise RunRegisteredError(run=candidate.run, entry=earlier[-1].entry)
        return None
    found = models.get(candidate.supersedes)
    if found is None or found.study != candidate.study.id:
        raise EntryNotFoundError(asked=candidate.supersedes)
    successor = models.successor_of(found.entry)
    if successor is not None:
        raise RunRegisteredError(run=candidate.run, entry=successor)
    return found.version


def _model_of(models: ModelVersions, candidate: Candidate, *, year: int) -> str:
    """Return the model of the candidate's study, numbered now if it is its first version."""
    model = models.model_of(candidate.study.id)
    if model is None:
        number = models.numbered(year) + 1
        model = model_id(year=year, number=number)
        models.add_model(model, year=year, number=number, study=candidate.study.id)
    return model


def _log_statements(
    transaction: Transaction, statements: list[Vouched]
) -> tuple[LoggedStatement, ...]:
    places = append(transaction.log, [vouched.envelope for vouched in statements])
    for signer in {vouched.signer.key.keyid: vouched.signer for vouched in statements}.values():
        transaction.log.add_key(signer)
    return tuple(
        LoggedStatement(
            site=vouched.site,
            kind=vouched.kind.short,
            envelope_digest=Sha256.of(vouched.envelope.encode()),
            keyid=vouched.signer.key.keyid,
            log_index=place,
        )
        for vouched, place in zip(statements, places, strict=True)
    )


def _record_of(
    candidate: Candidate,
    model: str,
    version: str,
    statements: tuple[LoggedStatement, ...],
    now: datetime,
) -> Record:
    facts = candidate.as_json()
    facts |= {
        "schema": RECORD_SCHEMA,
        "id": model,
        "version": version,
        "state": MODEL_VERSION.start.value,
        "created": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "statements": [statement.model_dump(mode="json") for statement in statements],
    }
    return Record.from_json(canonical(facts))


def _event_of(stored: StoredVersion, record: Record, actor: str, now: datetime) -> AuditEvent:
    details = {
        "model": record.model.sha256,
        "record": record.digest,
        "log_index": str(stored.log_index),
        "log_size": str(stored.log_size),
    }
    return AuditEvent(AuditKind.MODEL_REGISTERED, actor, stored.entry, now, details)
