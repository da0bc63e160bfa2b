"""Compare every stored record with what was signed of it; `registry.auditing` calls this."""

from collections.abc import Sequence

from federation.errors import PlatformError
from federation.errors.signed import LogTamperedError
from federation.evidence.verification import PublicKey
from registry.ports import Transaction
from registry.records.ports import Signed, StoredRecord
from registry.records.sign_offs import NAME as SIGN_OFF
from registry.records.statements import (
    Predicate,
    predicate_uri,
    verify_logged_sign_off,
    verify_record,
)


def verify_records(transaction: Transaction, *, key: PublicKey) -> list[str]:
    """Return the names of all revisions if each is what its log entry says and none is missing.

    Raises
    ------
    LogTamperedError
        Naming the first that was changed, dropped or added.
    """
    records = transaction.records.everything()
    newest: dict[tuple[str, str], StoredRecord] = {}
    for record in records:
        _verify(transaction, record, key)
        _follows(newest.get((record.noun, record.id)), record)
        newest[record.noun, record.id] = record
    _verify_count(transaction, records)
    _verify_heads(transaction, newest)
    return [record.name for record in records]


def _verify(transaction: Transaction, record: StoredRecord, key: PublicKey) -> None:
    item = f"record {record.name}"
    try:
        said = verify_record(transaction.log.entry(record.log_index).envelope, key=key)
    except PlatformError as error:
        raise LogTamperedError(item=item, why=f"it does not verify ({error.code})") from error
    if said != record.as_json():
        raise LogTamperedError(item=item, why="it differs from the signed one")
    for signed in record.signatures:
        if signed.envelope_digest is not None:
            _verify_person(transaction, record, signed)


def _verify_person(transaction: Transaction, record: StoredRecord, signed: Signed) -> None:
    """A person's own statement is in the log, by that person's key, about this very move."""
    item = f"record {record.name}"
    place = transaction.log.index_of(signed.envelope_digest) if signed.envelope_digest else None
    if place is None or signed.key is None:
        raise LogTamperedError(item=item, why="a personal signature of it is missing")
    try:
        key = PublicKey.from_raw(bytes.fromhex(signed.key))
        envelope = transaction.log.entry(place).envelope
        said = verify_logged_sign_off(envelope, key=key, role=signed.author.role)
    except (PlatformError, ValueError) as error:
        raise LogTamperedError(item=item, why="a personal signature does not verify") from error
    wanted = _signed_here(record) | {"role": signed.author.role.value}
    if {name: said.get(name) for name in wanted} != wanted:
        raise LogTamperedError(item=item, why="a personal signature is of something else")


def _signed_here(record: StoredRecord) -> dict[str, object]:
    """Return what the people of a record signed: a sign-off's move, or the record's own."""
    if record.noun == SIGN_OFF:
        names = ("noun", "id", "revision", "digest", "move")
        return {name: record.body.get(name) for name in names}
    return {
        "noun": record.noun,
        "id": record.id,
        "revision": record.revision - 1,
        "digest": record.previous,
        "move": record.action,
    }


def _follows(before: StoredRecord | None, record: StoredRecord) -> None:
    expected = (before.revision + 1, before.digest) if before else (1, None)
    if (record.revision, record.previous) != expected:
        raise LogTamperedError(item=f"record {record.name}", why="one before it is missing")


def _verify_count(transaction: Transaction, records: Sequence[StoredRecord]) -> None:
    wanted = Predicate.RECORD.value
    signed = sum(predicate_uri(entry.envelope) == wanted for entry in transaction.log.entries())
    if signed != len(records):
        raise LogTamperedError(item="list of records", why="the log has another number of them")


def _verify_heads(transaction: Transaction, newest: dict[tuple[str, str], StoredRecord]) -> None:
    shown = transaction.records.head_rows()
    if shown != {name: (record.revision, record.state) for name, record in newest.items()}:
        raise LogTamperedError(item="index of records", why="it shows other revisions")
