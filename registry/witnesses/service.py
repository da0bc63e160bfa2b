"""Ask witnesses to co-sign the log, and keep what they signed.

    witnesses = Witnesses(records)
    request = witnesses.request("hualien-ai")         # goes to the witness, by file or HTTP
    witnesses.take(answer, actor="centre")             # its signature, verified, kept, audited

A witness is a record (`registry.witnesses.noun`); a co-signature is a row beside the
checkpoint it is of, with one audit event.
"""

from dataclasses import dataclass
from enum import Enum

from federation.domain.ids import Sha256
from federation.errors.signed import CheckpointError, LogRangeError
from federation.errors.witness import CosignatureRefusedError
from federation.evidence.checkpoint import checkpoint_of, split_note
from federation.evidence.verification import PublicKey
from federation.evidence.witness import (
    MAX_REQUEST_BYTES,
    MAX_WITNESSES,
    Request,
    Witness,
    cosigners,
    with_cosignatures,
)
from federation.wording import Text
from registry.audit.kinds import RegisterEvent
from registry.audit.service import record as record_event
from registry.evidence.ports import EvidenceLog, StoredCosignature
from registry.evidence.service import prove_growth
from registry.ports import Transaction
from registry.records.ports import Query, StoredRecord
from registry.records.service import Records, Writing
from registry.roles import Author
from registry.witnesses.noun import NAME, RETIRE, WITNESS, WitnessCard, WitnessKind, WitnessState

_MOST = 1000
_UNKNOWN = Text(
    en="the register knows no such witness, or it is retired",
    zh="登錄系統沒有此見證者,或其已停用",
)
_TOO_MANY = Text(en="the register has as many witnesses as it can", zh="見證者數量已達上限")
_OTHER_LOG = Text(en="it is of no state that this log signed", zh="並非本紀錄簽署過的狀態")
_NOBODY = Text(en="no witness that the register knows signed it", zh="沒有登錄系統所知的見證者簽署")


class WitnessDeed(Enum):
    """What was done with witnesses' signatures. Meanings never change."""

    COSIGNED = "checkpoint-cosigned"


@dataclass(frozen=True, slots=True)
class Standing:
    """A witness with the newest size it co-signed, 0 before the first."""

    witness: Witness
    kind: WitnessKind
    organisation: str
    state: WitnessState
    size: int


@dataclass(frozen=True, slots=True)
class Witnesses:
    """The witnesses of one log, over its records."""

    records: Records

    def enter(
        self, name: str, key: PublicKey, *, kind: WitnessKind, organisation: str, author: Author
    ) -> StoredRecord:
        """Make a witness known, or give one its new key.

        Raises
        ------
        CosignatureRefusedError
            If the name cannot be one, the key is the log's own, or there are too many.
        PlatformError
            What `Records.put` refuses with.
        """
        witness = Witness(name, key)
        body = WitnessCard(kind=kind, organisation=organisation, key=witness.key.raw.hex())

        def entered(writing: Writing) -> StoredRecord:
            store = writing.transaction.records
            head = store.head(NAME, name)
            if head is None and store.count(NAME) >= MAX_WITNESSES:
                raise CosignatureRefusedError(why=_TOO_MANY)
            seen = 0 if head is None else head.revision
            return writing.put(WITNESS, name, body, author=author, revision=seen)

        return self.records.write(entered)

    def retire(self, name: str, *, author: Author, reason: str) -> StoredRecord:
        """Ask a witness no more; what it signed stays."""
        seen = self.records.get(NAME, name).revision
        moved = self.records.move(
            WITNESS, name, RETIRE, author=author, revision=seen, reason=reason
        )
        return moved.record

    def standing(self) -> list[Standing]:
        """Return every witness by name, with what it signed last."""
        with self.records.store.reading() as transaction:
            heads = _heads(transaction)
            newest = _newest(transaction.log)
        return [_standing(record, newest.get(record.id, 0)) for record in heads]

    def request(self, name: str) -> Request:
        """Return what to send to a witness: the newest state, and the proof from its last one.

        Raises
        ------
        CosignatureRefusedError
            If there is no such witness, or it is retired.
        LogRangeError
            If nothing was logged yet.
        """
        with self.records.store.reading() as transaction:
            head = transaction.records.head(NAME, name)
            if head is None or head.state != WitnessState.ACTIVE.value:
                raise CosignatureRefusedError(why=_UNKNOWN)
            note = transaction.log.latest_checkpoint()
            if note is None:
                raise LogRangeError(size=0, asked=0)
            old = _newest(transaction.log).get(name, 0)
            new = checkpoint_of(split_note(note)[0]).size
            proof = prove_growth(transaction.log, old=old, new=new) if old else ()
        return Request(old, proof, note)

    def take(self, note: str, *, actor: str) -> tuple[str, ...]:
        """Keep the signatures of known witnesses below a note; return who signed it anew.

        Raises
        ------
        CosignatureRefusedError
            If it is of no state that this log signed, a signature does not fit, or no
            witness that the register knows signed it.
        """
        if len(note) > MAX_REQUEST_BYTES:
            raise CosignatureRefusedError(why=_OTHER_LOG)
        return self.records.write(lambda writing: _taken(writing, note, actor))


def cosigned_checkpoint(log: EvidenceLog, size: int) -> str | None:
    """Return the signed note of a size with its witnesses' signatures, None if there is none."""
    note = log.checkpoint(size)
    if note is None:
        return None
    return with_cosignatures(note, (one.line for one in log.cosignatures(size)))


def best_size(log: EvidenceLog, *, at_least: int) -> int:
    """Return the size from `at_least` on that most witnesses signed; of equals the smallest.

    It is `at_least` itself while nobody signed anything from there on.
    """
    signed: dict[int, int] = {}
    for one in log.cosignatures():
        if one.size >= at_least:
            signed[one.size] = signed.get(one.size, 0) + 1
    return min(signed, key=lambda size: (-signed[size], size), default=at_least)


def witnessed_checkpoint(log: EvidenceLog, *, at_least: int) -> str:
    """Return the state of `at_least` entries or more that most witnesses signed, with them.

    It is the newest one while nobody signed any.

    Raises
    ------
    LogRangeError
        If the log never had so many entries.
    """
    if not 0 < at_least <= log.size():
        raise LogRangeError(size=log.size(), asked=at_least)
    found = cosigned_checkpoint(log, best_size(log, at_least=at_least))
    note = found or log.latest_checkpoint()
    assert note is not None, "a log with entries has a signed state"
    return note


def known_witnesses(transaction: Transaction) -> list[Witness]:
    """Return every witness with every key it ever had, newest first within a name."""
    known: list[Witness] = []
    for head in _heads(transaction):
        former = reversed(transaction.records.history(NAME, head.id))
        known += {one.key.keyid: one for one in map(_witness, former)}.values()
    return known


def _taken(writing: Writing, note: str, actor: str) -> tuple[str, ...]:
    log = writing.transaction.log
    size = _size_of_ours(log, note)
    signed = cosigners(note, _active(writing.transaction))
    if not signed:
        raise CosignatureRefusedError(why=_NOBODY)
    there = {one.witness for one in log.cosignatures(size)}
    new = [one for one in signed if one.witness.name not in there]
    for one in new:
        keyid = one.witness.key.keyid
        log.add_cosignature(StoredCosignature(size, one.witness.name, keyid, one.line))
        details = {"size": str(size), "keyid": keyid, "line": Sha256.of(one.line.encode())}
        subject = f"checkpoint/{size}/{one.witness.name}"
        event = RegisterEvent(WitnessDeed.COSIGNED, actor, subject, writing.now, details)
        record_event(event, writing.transaction.audit, signer=writing.signer)
    return tuple(one.witness.name for one in new)


def _size_of_ours(log: EvidenceLog, note: str) -> int:
    """Return the size of the state that a note says, if this log signed it."""
    try:
        text, _ = split_note(note)
        size = checkpoint_of(text).size
    except CheckpointError as error:
        raise CosignatureRefusedError(why=_OTHER_LOG) from error
    kept = log.checkpoint(size)
    if kept is None or split_note(kept)[0] != text:
        raise CosignatureRefusedError(why=_OTHER_LOG)
    return size


def _heads(transaction: Transaction) -> list[StoredRecord]:
    found = transaction.records.find(Query(NAME, limit=_MOST))
    return sorted(found.items, key=lambda record: record.id)


def _active(transaction: Transaction) -> list[Witness]:
    heads = _heads(transaction)
    return [_witness(head) for head in heads if head.state == WitnessState.ACTIVE.value]


def _newest(log: EvidenceLog) -> dict[str, int]:
    return {one.witness: one.size for one in log.cosignatures()}


def _standing(record: StoredRecord, size: int) -> Standing:
    card = WITNESS.of(record)
    state = WitnessState(record.state)
    return Standing(_witness(record), card.kind, card.organisation, state, size)


def _witness(record: StoredRecord) -> Witness:
    return Witness(record.id, PublicKey.from_raw(bytes.fromhex(WITNESS.of(record).key)))
