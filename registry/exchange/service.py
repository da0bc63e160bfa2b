"""Make the card of an entry from what a register keeps: verified, or refused."""

from pathlib import Path

from federation.domain.ids import Sha256
from federation.errors.registry import RecordInconsistentError
from federation.errors.signed import LogTamperedError
from federation.evidence.canonical import canonical
from federation.evidence.model_version import Record
from federation.evidence.verification import PublicKey
from federation.storage import write_atomic
from registry.exchange.card import Card, card_of
from registry.exchange.mlbom import check_mlbom, write_mlbom
from registry.models.version_card import NAME, FileRef, VersionCard
from registry.ports import Store
from registry.records.ports import StoredRecord
from registry.records.statements import verify_record


def card_in(store: Store, record: Record, *, key: PublicKey) -> Card:
    """Return the card of a verified record with what people said of it and where it stands.

    1. the newest card record of the entry is the one its log entry signs; 2. it
    belongs to this very record.

    Parameters
    ----------
    key
        The register's own.

    Raises
    ------
    LogTamperedError
        If the kept record is not the signed one.
    RecordInconsistentError
        If the card was written for another record.
    PlatformError
        What reading the envelope raises.
    """
    with store.reading() as transaction:
        head = transaction.records.head(NAME, record.entry)
        envelope = None if head is None else transaction.log.entry(head.log_index).envelope
    if head is None or envelope is None:
        return card_of(record)
    card = _signed(head, envelope, key)
    if card.entry != record.entry or card.record != record.digest:
        raise RecordInconsistentError(field="card", why="it belongs to another record")
    return card_of(record, card, state=head.state)


def with_mlbom(card: VersionCard, record: Record, artefacts: Path) -> VersionCard:
    """Return the card with its bill of materials, made and put into the artefact store.

    A card that names one already stays as it is. The same card makes the same file.

    Parameters
    ----------
    record
        The signed record that the card belongs to.
    artefacts
        The store's folder; the file is named by its digest.

    Raises
    ------
    RecordInconsistentError
        If the card was written for another record.
    ExchangeUnequippedError
        If `cyclonedx-python-lib` is not installed.
    """
    if card.mlbom is not None:
        return card
    if card.record != record.digest:
        raise RecordInconsistentError(field="card", why="it belongs to another record")
    content = write_mlbom(card_of(record, card))
    check_mlbom(content)
    digest = Sha256.of(content)
    path = artefacts / f"{digest.hex}.mlbom.json"
    write_atomic(path, content)
    return card.model_copy(update={"mlbom": FileRef(path=path.name, sha256=digest)})


def _signed(kept: StoredRecord, envelope: str, key: PublicKey) -> VersionCard:
    signed = verify_record(envelope, key=key)
    if canonical(signed) != canonical(kept.as_json()):
        raise LogTamperedError(item=f"record {kept.name}", why="it is not the one that was signed")
    return VersionCard.model_validate_json(canonical(dict(kept.body)))
