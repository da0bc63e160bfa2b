"""Collect from the register everything that an entry rests on, as of one state of the log.

That state is the smallest that has all of it, or a later one that witnesses co-signed:
the same entry gives the same bytes however long the log has grown since.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from federation.domain.ids import Sha256
from federation.errors.registry import BundleUnreadableError
from federation.errors.signed import LogTamperedError
from federation.evidence.certificates import CertifiedKey, KeyOwner
from federation.evidence.growth import Growth
from federation.evidence.inclusion import Inclusion
from federation.evidence.keyring import KnownKey
from federation.evidence.members import earlier_stem, person_stem, revision_stem, statement_stem
from federation.evidence.model_version import LoggedStatement, Record
from federation.evidence.revisions import moment
from federation.evidence.verification import PublicKey
from registry.audit.ports import StoredEvent
from registry.evidence.ports import EvidenceLog
from registry.evidence.service import prove_growth, prove_inclusion
from registry.models.ports import StoredVersion
from registry.models.service import find
from registry.models.trust import RetiredKey, dated_by, times_of
from registry.ports import Transaction
from registry.records.ports import Signed, StoredRecord
from registry.records.statements import PersonKeys
from registry.witnesses.service import best_size, cosigned_checkpoint

NOUN = "model-version"
DOSSIER, RESTS_ON = "certification-dossier", "rests-on"
MOST_REVISIONS = 4000
MOST_EARLIER = 100
MOST_KEPT = 50


@dataclass(frozen=True, slots=True)
class Evidence:
    """One signed statement of the log: what its members are called, who signed it, where it is."""

    stem: str
    envelope: str
    signed_by: Sha256
    proof: Inclusion

    @property
    def digest(self) -> Sha256:
        """Return the content id of the envelope."""
        return Sha256.of(self.envelope.encode())


@dataclass(frozen=True, slots=True)
class Gathered:
    """What an entry rests on.

    Parameters
    ----------
    text
        The record as signed.
    checkpoint, registered
        The signed state of the log that all proofs lead to, and the one of the registration.
    growth
        That the first contains the second.
    dates
        Events of the audit trail that show the log before a key of its was revoked.
    at
        The newest time that anything here says.
    """

    record: Record
    text: str
    evidence: tuple[Evidence, ...]
    revisions: tuple[StoredRecord, ...]
    keys: tuple[CertifiedKey, ...]
    checkpoint: str
    registered: str
    growth: Growth
    dates: tuple[StoredEvent, ...]
    at: datetime


def gather(
    transaction: Transaction,
    asked: str,
    *,
    root: PublicKey,
    retired: Iterable[RetiredKey],
    people: PersonKeys,
) -> Gathered:
    """Return what the entry `asked` rests on.

    Raises
    ------
    EntryNotFoundError
        If there is no such entry.
    LogTamperedError
        If the register lacks a part of it.
    BundleUnreadableError
        If more was recorded of it than a bundle holds.
    """
    found = find(transaction.models, asked)
    record = Record.from_json(found.record.encode())
    earlier, revisions = _earlier(transaction, record), _revisions(transaction, found.entry)
    places = _Places(transaction.log, root.keyid)
    places.add("record", found.log_index, root.keyid)
    for number, logged in enumerate(record.statements, start=1):
        places.add(statement_stem(number, logged), logged.log_index, Sha256(logged.keyid))
    for number, version in enumerate(earlier, start=1):
        places.add(earlier_stem(number), version.log_index, root.keyid)
    for number, revision in enumerate(revisions, start=1):
        places.add(revision_stem(number), revision.log_index, root.keyid)
    for signed in _own_signatures(revisions):
        places.add_person(signed)
    size = best_size(
        transaction.log, at_least=max([found.log_size, *(one.log_size for one in revisions)])
    )
    gone = {keyid: _next_second(at) for keyid, at in times_of(retired).items()}
    keys = (
        *_keys(transaction.log, record.statements, gone, found.entry),
        *_people(_own_signatures(revisions), people),
    )
    times = [moment(record.created), *(moment(one.at) for one in revisions)]
    return Gathered(
        record=record,
        text=found.record,
        evidence=tuple(places.proved(size)),
        revisions=revisions,
        keys=keys,
        checkpoint=_checkpoint(transaction.log, size, found.entry),
        registered=_checkpoint(transaction.log, found.log_size, found.entry),
        growth=_growth(transaction.log, found, size),
        dates=tuple(_dates(transaction, record.statements, gone)),
        at=max([*times, *(key.revoked for key in keys if key.revoked)]),
    )


class _Places:
    """Where in the log the statements lie, each once."""

    def __init__(self, log: EvidenceLog, root: Sha256) -> None:
        self._log, self._root = log, root
        self._found: dict[str, tuple[int, Sha256]] = {}

    def add(self, stem: str, index: int, signed_by: Sha256) -> None:
        self._found[stem] = (index, signed_by)

    def add_person(self, signed: Signed) -> None:
        assert signed.envelope_digest is not None and signed.key is not None
        place = self._log.index_of(signed.envelope_digest)
        if place is None:
            raise LogTamperedError(item="sign-off", why="a personal signature of it is missing")
        key = PublicKey.from_raw(bytes.fromhex(signed.key))
        self.add(person_stem(signed.envelope_digest), place, key.keyid)

    def proved(self, size: int) -> Iterator[Evidence]:
        for stem, (index, signed_by) in self._found.items():
            proof = prove_inclusion(self._log, index, size=size)
            yield Evidence(stem, self._log.entry(index).envelope, signed_by, proof)


def _earlier(transaction: Transaction, record: Record) -> list[StoredVersion]:
    """Return the versions that this one corrects, newest first."""
    found: list[StoredVersion] = []
    pointer = record.supersedes
    while pointer is not None and len(found) < MOST_EARLIER:
        version = transaction.models.get(pointer)
        if version is None:
            raise LogTamperedError(item=f"entry {pointer}", why="it is missing")
        found.append(version)
        pointer = version.supersedes
    return found


def _revisions(transaction: Transaction, entry: str) -> tuple[StoredRecord, ...]:
    """Return all revisions of the entry's record and of every record that speaks of it.

    Also of what its dossiers rest on besides: data cards, runs, applications.
    """
    records = transaction.records
    names = [(one.noun, one.id) for one in records.linking(NOUN, entry)]
    names += [
        (link.noun, link.id)
        for noun, id in tuple(names)
        if noun == DOSSIER
        for link in records.links_of(noun, id)
        if link.relation == RESTS_ON
    ]
    found = [
        revision
        for noun, id in dict.fromkeys([(NOUN, entry), *names])
        for revision in records.history(noun, id)
    ]
    if len(found) > MOST_REVISIONS:
        why = f"over {MOST_REVISIONS} revisions were recorded of it"
        raise BundleUnreadableError(name=entry, why=why)
    return tuple(sorted(found, key=lambda one: one.log_index))


def _own_signatures(revisions: Iterable[StoredRecord]) -> list[Signed]:
    """Return the signatures that people gave with keys of their own."""
    given = [signed for revision in revisions for signed in revision.signatures]
    return [signed for signed in given if signed.envelope_digest is not None and signed.key]


def _keys(
    log: EvidenceLog,
    statements: Iterable[LoggedStatement],
    gone: dict[Sha256, datetime],
    entry: str,
) -> Iterator[CertifiedKey]:
    known = log.keys()
    for keyid in dict.fromkeys(Sha256(logged.keyid) for logged in statements):
        one: KnownKey | None = known.get(keyid)
        if one is None:
            raise LogTamperedError(item=entry, why="a key of its statements is missing")
        owner = KeyOwner(one.site, one.role)
        yield CertifiedKey(one.key, owner, revoked=gone.get(one.key.keyid))


def _next_second(at: datetime) -> datetime:
    """Return the first whole second that is not before a time: a list of revocations has no other.

    Rounded up, so that what was logged in the second before the revocation stays before it.
    """
    return at if at.microsecond == 0 else at.replace(microsecond=0) + timedelta(seconds=1)


def _dates(
    transaction: Transaction, statements: Iterable[LoggedStatement], gone: dict[Sha256, datetime]
) -> Iterator[StoredEvent]:
    """Yield for each revoked key the event that shows all it signed to be logged by then."""
    last: dict[Sha256, int] = {}
    for logged in statements:
        keyid = Sha256(logged.keyid)
        if keyid in gone:
            last[keyid] = max(logged.log_index, last.get(keyid, 0))
    found = (dated_by(transaction, place, before=gone[keyid]) for keyid, place in last.items())
    events = {one.sequence: one for one in found if one is not None}
    yield from (events[sequence] for sequence in sorted(events))


def _people(given: Iterable[Signed], people: PersonKeys) -> Iterator[CertifiedKey]:
    """Return the keys that people signed with, as far as it is known how long each was theirs."""
    for signed in {(one.author.person, one.key): one for one in given}.values():
        for key in people(signed.author.person):
            if key.key.raw.hex() == signed.key:
                since, until = (
                    time.replace(microsecond=0) for time in (key.valid_from, key.valid_until)
                )
                revoked = key.revoked_at and _after(key.revoked_at)
                yield CertifiedKey(key.key, KeyOwner(person=key.person), since, until, revoked)


def _after(at: datetime) -> datetime:
    """Return the second after a person revoked their key: what it signed in that second counts.

    Times here are whole seconds, and the register takes no signature of a revoked key.
    """
    return at.replace(microsecond=0) + timedelta(seconds=1)


def _checkpoint(log: EvidenceLog, size: int, entry: str) -> str:
    note = cosigned_checkpoint(log, size)
    if note is None:
        raise LogTamperedError(item=entry, why="its checkpoint is missing")
    return note


def _growth(log: EvidenceLog, found: StoredVersion, size: int) -> Growth:
    """Return the state of the log with proofs from the registration and from earlier states.

    A reader may have kept any of these, so the newest and some older ones have a proof.
    """
    earlier = [old for old, _ in log.checkpoints() if 0 < old < size]
    chosen = {*earlier[-MOST_KEPT:], *earlier[:: len(earlier) // MOST_KEPT + 1], found.log_size}
    proofs = {old: prove_growth(log, old=old, new=size) for old in sorted(chosen - {size})}
    return Growth(_checkpoint(log, size, found.entry), proofs)
