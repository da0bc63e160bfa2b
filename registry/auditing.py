"""Find what was changed behind the registry's back: every stored thing against what was signed.

1. The log: entries, hashes, checkpoints, keys (`registry.evidence.checks`). A checkpoint
   kept elsewhere (`seen`) must be a beginning of this log, or it was rolled back or forked.
2. Model versions: each is word for word what its log entry says, made from the
   candidate it names, and every signed record of the log is there.
3. Records of every noun: each revision is word for word what its log entry says,
   none is missing, and the newest is the one that is shown and found.
4. Witnesses' signatures: each fits its checkpoint under a key the witness had.
5. The audit trail: unbroken, at least as long as its heads in the log show, and one event
   for every version, revision, co-signature and growth of the log.
6. Accounts: each is as the trail says, none is missing, put back or made by hand.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from federation.domain.audit import AuditKind
from federation.domain.ids import Sha256
from federation.errors import PlatformError
from federation.errors.signed import LogTamperedError
from federation.evidence.canonical import canonical
from federation.evidence.model_version import Candidate, LoggedStatement, Record
from federation.evidence.statements import PredicateType
from federation.evidence.verification import PublicKey, verify_envelope
from federation.evidence.witness import cosigners, with_cosignatures
from registry.accounts.checks import verify_accounts
from registry.audit.heads import verify_heads
from registry.audit.kinds import LogKind
from registry.audit.service import verify_trail
from registry.evidence.checks import VerifiedLog, verify_log
from registry.models.numbers import model_id
from registry.models.ports import StoredVersion
from registry.ports import Store, Transaction
from registry.records.checks import verify_records
from registry.records.ports import Found
from registry.records.shapes import Noun
from registry.witnesses.service import WitnessDeed, known_witnesses


@dataclass(frozen=True, slots=True)
class Audited:
    """What was looked at, and found to be as signed."""

    entries: int
    checkpoints: int
    versions: int
    events: int
    records: int = 0
    cosignatures: int = 0
    accounts: int = 0

    def as_json(self) -> dict[str, int]:
        """Return the counts as JSON."""
        return {
            "entries": self.entries,
            "checkpoints": self.checkpoints,
            "versions": self.versions,
            "events": self.events,
            "records": self.records,
            "cosignatures": self.cosignatures,
            "accounts": self.accounts,
        }


def audit_log(
    store: Store,
    *,
    key: PublicKey,
    seen: Iterable[str] = (),
    nouns: Sequence[Noun[Any]] | None = None,
) -> Audited:
    """Return what was checked if all of it is what was signed.

    Parameters
    ----------
    key
        The centre's evidence key.
    seen
        Signed checkpoints kept outside the database.
    nouns
        Every noun there is, to compare what records are found by; without them that
        index, which can be made again, is not compared.

    Raises
    ------
    LogTamperedError
        Naming the first thing that was changed, dropped or added.
    """
    with store.reading() as transaction:
        log = verify_log(transaction.log, key=key, seen=seen)
        versions = _verify_versions(transaction, log, key=key)
        records = verify_records(transaction, key=key)
        _verify_places(transaction, log)
        if nouns is not None:
            _verify_index(transaction, nouns)
        cosignatures = _verify_cosignatures(transaction)
        events = verify_trail(transaction.audit, key=key)
        heads = [transaction.log.entry(place).envelope for place in log.heads]
        verify_heads(heads, events, key=key)
        _verify_events(versions, records, events)
        _verify_log_events(log, cosignatures, events)
        accounts = verify_accounts(transaction.accounts, events)
    return Audited(
        log.size,
        len(log.sizes),
        len(versions),
        len(events),
        len(records),
        len(cosignatures),
        accounts,
    )


def _verify_versions(
    transaction: Transaction, log: VerifiedLog, *, key: PublicKey
) -> list[StoredVersion]:
    versions = list(transaction.models.page(offset=0, limit=transaction.models.count()))
    for version in versions:
        _verify_version(transaction, log, version, key=key)
    if log.versions != len(versions):
        raise LogTamperedError(item="list of versions", why="the log has another number of them")
    _verify_models(transaction, versions)
    return versions


def _verify_models(transaction: Transaction, versions: list[StoredVersion]) -> None:
    """Every model has its number's id, its study and a version, and every version a model."""
    studies = {version.model: version.study for version in versions}
    models = transaction.models.models()
    for model in models:
        item = f"model {model.id[:40]}"
        if model.id != model_id(year=model.year, number=model.number):
            raise LogTamperedError(item=item, why="its number is another")
        if studies.get(model.id) != model.study:
            raise LogTamperedError(item=item, why="its study is another, or it has no version")
    if len(models) != len(studies):
        raise LogTamperedError(item="list of models", why="one is missing")


def _verify_version(
    transaction: Transaction, log: VerifiedLog, version: StoredVersion, *, key: PublicKey
) -> None:
    item = f"entry {version.entry}"
    try:
        statement = verify_envelope(
            transaction.log.entry(version.log_index).envelope,
            trusted={key.keyid: key},
            expected=PredicateType.MODEL_VERSION,
        )
        record = Record.from_json(canonical(statement.predicate))
    except LogTamperedError:
        raise
    except PlatformError as error:
        raise LogTamperedError(item=item, why=f"it does not verify ({error.code})") from error
    if canonical(statement.predicate).decode() != version.record:
        raise LogTamperedError(item=item, why="its record differs from the signed one")
    if _columns(version) != _columns_of(record):
        raise LogTamperedError(item=item, why="a column differs from the signed record")
    if version.log_size != log.sealed_with(version.log_index):
        raise LogTamperedError(item=item, why="it was signed with another state of the log")
    envelopes = [_verified_statement(transaction, log, one, item) for one in record.statements]
    if _candidate_of(record, envelopes).digest != version.candidate_digest:
        raise LogTamperedError(item=item, why="it was made from another candidate")


def _verified_statement(
    transaction: Transaction, log: VerifiedLog, logged: LoggedStatement, item: str
) -> str:
    entry = transaction.log.entry(logged.log_index)
    if entry.envelope_digest != logged.envelope_digest:
        raise LogTamperedError(item=item, why="a statement of it is another")
    known = log.keys.get(Sha256(logged.keyid))
    if known is None or known.site != logged.site:
        raise LogTamperedError(item=item, why="a key of its statements is missing or another")
    verify_envelope(
        entry.envelope,
        trusted={known.key.keyid: known.key},
        expected=PredicateType.of(logged.kind),
    )
    return entry.envelope


def _candidate_of(record: Record, envelopes: list[str]) -> Candidate:
    """Return the candidate that a version was made from."""
    facts = record.as_json()
    for name in ("schema", "id", "version", "state", "created"):
        del facts[name]
    facts["statements"] = [
        {"site": logged.site, "kind": logged.kind, "envelope": envelope}
        for logged, envelope in zip(record.statements, envelopes, strict=True)
    ]
    return Candidate.from_json(canonical(facts))


def _verify_places(transaction: Transaction, log: VerifiedLog) -> None:
    """Each revision was signed with the state of the log that it says."""
    for record in transaction.records.everything():
        if record.log_size != log.sealed_with(record.log_index):
            item = f"record {record.name}"
            raise LogTamperedError(item=item, why="it was signed with another state of the log")


def _verify_index(transaction: Transaction, nouns: Sequence[Noun[Any]]) -> None:
    """What records are found by is what their content says."""
    known = {noun.name: noun for noun in nouns}
    stored = transaction.records.indexed()
    for (name, id), (place, found) in stored.items():
        item = f"index of {name[:40]}/{id[:80]}"
        head = transaction.records.head(name, id)
        if name not in known:
            raise LogTamperedError(item=item, why="this program knows no such noun")
        if head is None or place != head.log_index:
            raise LogTamperedError(item=item, why="it is of no newest revision")
        if found != _found(known[name], head.body):
            raise LogTamperedError(item=item, why="it says something else than the record")


def _found(noun: Noun[Any], body: Any) -> Found:
    """Return what a record's content is found by, as `RecordStore.indexed` returns it."""
    found = noun.found(noun.read(body))
    facets = {name: tuple(sorted(set(values))) for name, values in found.facets.items() if values}
    ordered = sorted(set(found.links), key=lambda one: (one.relation, one.noun, one.id))
    return Found(found.words, facets, tuple(ordered))


def _verify_cosignatures(transaction: Transaction) -> list[str]:
    """Return the audit subjects of all co-signatures if each fits its checkpoint."""
    witnesses = known_witnesses(transaction)
    subjects = []
    for one in transaction.log.cosignatures():
        subject = f"checkpoint/{one.size}/{one.witness}"
        note = transaction.log.checkpoint(one.size)
        mine = [known for known in witnesses if known.name == one.witness]
        try:
            found = cosigners(with_cosignatures(note or "", [one.line]), mine)
        except PlatformError as error:
            raise LogTamperedError(item=subject, why="a co-signature does not fit") from error
        signed = [(known.witness.key.keyid, known.line) for known in found]
        if signed != [(one.keyid, one.line)]:
            raise LogTamperedError(item=subject, why="a co-signature is of another witness")
        subjects.append(subject)
    return subjects


def _columns(version: StoredVersion) -> tuple[object, ...]:
    return (
        version.entry,
        version.model,
        version.version,
        version.study,
        version.run,
        version.state,
        version.supersedes,
    )


def _columns_of(record: Record) -> tuple[object, ...]:
    return (
        record.entry,
        record.id,
        record.version,
        record.study.id,
        record.run,
        record.state,
        record.supersedes,
    )


def _verify_events(
    versions: list[StoredVersion], records: list[str], events: list[dict[str, object]]
) -> None:
    """Each version and each revision has one event; events of other deeds stand for themselves."""
    registered = sorted(_subjects(events, AuditKind.MODEL_REGISTERED.value))
    if registered != sorted(version.entry for version in versions):
        raise LogTamperedError(item="audit trail", why="it has not one event for every version")
    places = [event for event in events if _is_of_record(event)]
    if sorted(str(event["subject"]) for event in places) != sorted(records):
        raise LogTamperedError(item="audit trail", why="it has not one event for every record")


def _verify_log_events(
    log: VerifiedLog, cosignatures: list[str], events: list[dict[str, object]]
) -> None:
    """Each co-signature has one event, and each logged growth its checkpoint."""
    if sorted(_subjects(events, WitnessDeed.COSIGNED.value)) != sorted(cosignatures):
        raise LogTamperedError(
            item="audit trail", why="it has not one event for every co-signature"
        )
    signed = {str(size) for size in log.sizes}
    for event in events:
        details = event.get("details")
        if event["kind"] == LogKind.STATEMENTS_LOGGED.value and isinstance(details, dict):
            size = str(details.get("log_size"))
            if size not in signed:
                raise LogTamperedError(item=f"checkpoint {size}", why="it is missing")


def _subjects(events: list[dict[str, object]], kind: str) -> list[str]:
    return [str(event["subject"]) for event in events if event["kind"] == kind]


def _is_of_record(event: dict[str, object]) -> bool:
    """Say whether an event is of a record's revision: its subject is ``noun/id/revision``."""
    details = event.get("details")
    return isinstance(details, dict) and {"action", "digest", "log_index"} <= details.keys()
