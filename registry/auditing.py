"""Find what was changed behind the registry's back: every stored thing against what was signed.

1. Log entries: their digests, the Merkle hashes over them, no gap.
2. Checkpoints: signed by the centre, each root is the root over that many
   entries; the newest covers all. A checkpoint kept elsewhere (`seen`) must be
   a beginning of this log, or it was rolled back or forked.
3. Model versions: each is word for word what its log entry says, and every
   signed record of the log is there.
4. Records of every noun: each revision is word for word what its log entry says,
   none is missing, and the newest is the one that is shown.
5. The audit trail: unbroken, and one event for every version and every revision.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from federation.domain.audit import AuditKind
from federation.domain.ids import Sha256
from federation.errors import PlatformError
from federation.errors.registry import LogTamperedError
from federation.evidence import merkle
from federation.evidence.canonical import canonical
from federation.evidence.checkpoint import Checkpoint, verify_checkpoint
from federation.evidence.inclusion import origin_of
from federation.evidence.model_version import LoggedStatement, Record
from federation.evidence.statements import PredicateType
from federation.evidence.verification import PublicKey, verify_envelope
from registry.audit.service import verify_trail
from registry.evidence.ports import EvidenceLog
from registry.models.ports import StoredVersion
from registry.ports import Store, Transaction
from registry.records.checks import verify_records
from registry.records.statements import predicate_uri


@dataclass(frozen=True, slots=True)
class Audited:
    """What was looked at, and found to be as signed."""

    entries: int
    checkpoints: int
    versions: int
    events: int
    records: int = 0

    def as_json(self) -> dict[str, int]:
        """Return the counts as JSON."""
        return {
            "entries": self.entries,
            "checkpoints": self.checkpoints,
            "versions": self.versions,
            "events": self.events,
            "records": self.records,
        }


def audit_log(store: Store, *, key: PublicKey, seen: Iterable[str] = ()) -> Audited:
    """Return what was checked if all of it is what was signed.

    Parameters
    ----------
    key
        The centre's evidence key.
    seen
        Signed checkpoints kept outside the database.

    Raises
    ------
    LogTamperedError
        Naming the first thing that was changed, dropped or added.
    """
    origin = origin_of(key)
    with store.reading() as transaction:
        tree = _verified_tree(transaction.log)
        checkpoints = _verify_checkpoints(transaction.log, tree, origin=origin, key=key)
        for note in seen:
            _verify_prefix(tree, _checkpoint(note, "log", origin=origin, key=key), "log")
        versions = _verify_versions(transaction, key=key)
        records = verify_records(transaction, key=key)
        events = verify_trail(transaction.audit, key=key)
        _verify_events(versions, records, events)
    return Audited(tree.size, checkpoints, len(versions), len(events), len(records))


@dataclass(frozen=True, slots=True)
class _Tree:
    """The log's hashes as computed from its entries, not as stored."""

    size: int
    nodes: dict[tuple[int, int], bytes]

    def read(self, level: int, position: int) -> bytes:
        return self.nodes[level, position]


def _verified_tree(log: EvidenceLog) -> _Tree:
    tree = _Tree(0, {})
    for place, entry in enumerate(log.entries()):
        content = entry.envelope.encode()
        if entry.index != place:
            raise LogTamperedError(item=f"log entry {place}", why="it is missing")
        if Sha256.of(content) != entry.envelope_digest:
            raise LogTamperedError(item=f"log entry {place}", why="its digest does not fit")
        for node in merkle.new_nodes(place, merkle.leaf_hash(content), tree.read):
            tree.nodes[node.level, node.position] = node.hash
            if log.node(node.level, node.position) != node.hash:
                raise LogTamperedError(item=f"log entry {place}", why="its hash does not fit")
        tree = _Tree(place + 1, tree.nodes)
    return tree


def _verify_checkpoints(log: EvidenceLog, tree: _Tree, *, origin: str, key: PublicKey) -> int:
    sizes = [0]
    for size, note in log.checkpoints():
        checkpoint = _checkpoint(note, f"checkpoint {size}", origin=origin, key=key)
        _verify_prefix(tree, checkpoint, f"checkpoint {size}")
        if checkpoint.size != size:
            raise LogTamperedError(item=f"checkpoint {size}", why="it is of another size")
        sizes.append(size)
    if sizes[-1] != tree.size:
        raise LogTamperedError(item="log", why="its newest checkpoint is of another size")
    return len(sizes) - 1


def _verify_prefix(tree: _Tree, checkpoint: Checkpoint, item: str) -> None:
    if checkpoint.size > tree.size:
        raise LogTamperedError(item=item, why=f"it once had {checkpoint.size} entries")
    if merkle.root_of(checkpoint.size, tree.read) != checkpoint.root:
        raise LogTamperedError(item=item, why="its root is another")


def _checkpoint(note: str, item: str, *, origin: str, key: PublicKey) -> Checkpoint:
    try:
        return verify_checkpoint(note, origin=origin, key=key)
    except PlatformError as error:
        raise LogTamperedError(item=item, why=f"it does not verify ({error.code})") from error


def _verify_versions(transaction: Transaction, *, key: PublicKey) -> list[StoredVersion]:
    versions = list(transaction.models.page(offset=0, limit=transaction.models.count()))
    for version in versions:
        _verify_version(transaction, version, key=key)
    signed = sum(_is_model_version(entry.envelope) for entry in transaction.log.entries())
    if signed != len(versions):
        raise LogTamperedError(item="list of versions", why="the log has another number of them")
    return versions


def _verify_version(transaction: Transaction, version: StoredVersion, *, key: PublicKey) -> None:
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
    if transaction.models.model_of(record.study.id) != record.id:
        raise LogTamperedError(item=item, why="its study belongs to another model")
    for logged in record.statements:
        _verify_statement(transaction.log, logged, item)


def _verify_statement(log: EvidenceLog, logged: LoggedStatement, item: str) -> None:
    entry = log.entry(logged.log_index)
    if entry.envelope_digest != logged.envelope_digest:
        raise LogTamperedError(item=item, why="a statement of it is another")
    known = log.keys().get(Sha256(logged.keyid))
    if known is None or known.key.keyid != logged.keyid or known.site != logged.site:
        raise LogTamperedError(item=item, why="a key of its statements is missing or another")
    verify_envelope(
        entry.envelope,
        trusted={known.key.keyid: known.key},
        expected=PredicateType.of(logged.kind),
    )


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


def _is_model_version(envelope: str) -> bool:
    return predicate_uri(envelope) == PredicateType.MODEL_VERSION.value


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


def _subjects(events: list[dict[str, object]], kind: str) -> list[str]:
    return [str(event["subject"]) for event in events if event["kind"] == kind]


def _is_of_record(event: dict[str, object]) -> bool:
    """Say whether an event is of a record's revision: its subject is ``noun/id/revision``."""
    details = event.get("details")
    return isinstance(details, dict) and {"action", "digest", "log_index"} <= details.keys()
