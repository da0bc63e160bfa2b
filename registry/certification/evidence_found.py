"""Collect what the register knows of a dossier's items; `completeness` judges it.

Which records belong to a version: those that link to it; its training run; the dataset
cards of the data it was trained or evaluated on; and what is linked with one of these and
with no other version (an incident of its deployment, the application of its data).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from federation.errors.evidence_nouns import RulePackError
from federation.errors.registry import RecordInvalidError
from federation.errors.signed import LogTamperedError, NotCanonicalError
from federation.evidence.canonical import canonical, digest_of, parse
from federation.evidence.model_version import PrivacyStatement, Record
from federation.wording import Text
from registry.certification.completeness import (
    Completeness,
    ItemFacts,
    Judged,
    Recorded,
    completeness,
    judged_items,
)
from registry.certification.dossier import SIGNED_VERSION, Dossier, Item
from registry.certification.rule_packs import RulePack, pack_named
from registry.datasets.card import DATASET
from registry.datasets.card import NAME as CARD
from registry.models.disjointness import is_disjoint
from registry.models.version_card import NAME as VERSION
from registry.ports import Transaction
from registry.records.ports import RecordStore, StoredRecord
from registry.training.run import NAME as RUN

_EDITED = Text(
    en="the edition that is installed is not the one that the dossier named",
    zh="目前安裝的版本與文件所載者內容不同",
)
Key = tuple[str, str]
REGISTER = "register"
"""Who signs the record of a version: the register's own key, no person."""


@dataclass(frozen=True, slots=True)
class DossierEvidence:
    """What the guards of a dossier judge: the facts of its items, and its revisions."""

    dossier: Dossier
    facts: Mapping[str, ItemFacts] = field(default_factory=dict)
    trained_at: frozenset[str] = frozenset()
    history: tuple[StoredRecord, ...] = ()
    recorded: tuple[Recorded, ...] = ()

    def at(self, now: datetime) -> Completeness:
        """Return how the dossier stands at a time; raises `RulePackError` as `_pack`."""
        pack = self._pack()
        return completeness(
            pack,
            self.dossier,
            self.facts,
            trained_at=self.trained_at,
            now=now,
            recorded=self.recorded,
        )

    def judged(self, now: datetime) -> dict[str, Judged]:
        """Return every item by its id; raises `RulePackError` as `_pack`."""
        return judged_items(self._pack(), self.dossier, self.facts, now=now)

    def _pack(self) -> RulePack:
        """Return the edition that the dossier answers.

        Raises
        ------
        RulePackError
            If it is not installed, or is not what it was when the dossier named it.
        """
        named = self.dossier.pack
        pack = pack_named(named.id, named.version)
        if named.digest is not None and pack.digest != named.digest:
            raise RulePackError(pack=f"{named.id} {named.version}", why=_EDITED)
        return pack


@dataclass(frozen=True, slots=True)
class _Version:
    """The signed record of the dossier's version, and the records that belong to it."""

    signed: Record | None
    log_index: int = -1
    own: frozenset[Key] = field(default_factory=frozenset)

    @property
    def trained_at(self) -> frozenset[str]:
        parts = self.signed.participants if self.signed else ()
        return frozenset(part.site for part in parts)


def collect(transaction: Transaction, record: StoredRecord) -> DossierEvidence:
    """Return what the register knows of everything a dossier names."""
    dossier = Dossier.model_validate_json(canonical(dict(record.body)))
    version = _version(transaction, dossier.entry)
    return DossierEvidence(
        dossier,
        {item.id: _facts(transaction, item, dossier, version) for item in dossier.items},
        version.trained_at,
        tuple(transaction.records.history(record.noun, record.id)),
        tuple(_recorded(transaction, version)),
    )


def _recorded(transaction: Transaction, version: _Version) -> Iterator[Recorded]:
    for noun, id in sorted(version.own):
        head = transaction.records.head(noun, id)
        if head is not None:
            yield Recorded(noun, id, _known(transaction, head, head.state, version))


def belonging(transaction: Transaction, entry: str) -> list[Key]:
    """Return noun and id of every record that belongs to a version, in their order."""
    return sorted(_version(transaction, entry).own)


def _version(transaction: Transaction, entry: str) -> _Version:
    stored = transaction.models.get(entry)
    if stored is None:
        return _Version(None)
    try:
        signed = Record.from_json(stored.record.encode())
    except (NotCanonicalError, RecordInvalidError) as error:
        raise LogTamperedError(item=f"entry {entry}", why="it cannot be read") from error
    return _Version(signed, stored.log_index, _own(transaction.records, entry, signed))


def _own(records: RecordStore, entry: str, signed: Record) -> frozenset[Key]:
    near = {_key(one) for one in records.linking(VERSION, entry)}
    near |= {(VERSION, entry), (RUN, signed.run)}
    data = [part.dataset_digest for part in signed.participants]
    near |= {_key(one) for digest in data for one in records.linking(DATASET, digest, by=CARD)}
    near |= {
        (link.noun, link.id)
        for noun, id in tuple(near)
        for link in records.links_of(noun, id)
        if link.noun == CARD
    }
    around = {
        other
        for noun, id in near - {(VERSION, entry)}
        for other in _around(records, noun, id)
        if _versions_of(records, other) <= {entry}
    }
    return frozenset(near | around)


def _around(records: RecordStore, noun: str, id: str) -> Iterable[Key]:
    yield from (_key(one) for one in records.linking(noun, id))
    yield from ((link.noun, link.id) for link in records.links_of(noun, id))


def _versions_of(records: RecordStore, key: Key) -> set[str]:
    return {link.id for link in records.links_of(*key) if link.noun == VERSION}


def _key(record: StoredRecord) -> Key:
    return record.noun, record.id


def _facts(transaction: Transaction, item: Item, dossier: Dossier, version: _Version) -> ItemFacts:
    if item.noun == SIGNED_VERSION:
        return _facts_of_signed(item, dossier, version)
    record = transaction.records.revision(item.noun, item.record, item.revision)
    head = transaction.records.head(item.noun, item.record)
    if record is None or head is None:
        return ItemFacts(as_recorded=False, of_version=False)
    said = (item.sha256, item.signer, item.signed_at, item.log_index)
    kept = (record.digest, record.author.person, record.at, record.log_index)
    return replace(
        _known(transaction, record, head.state, version),
        as_recorded=said == kept and head.digest == record.digest,
    )


def _known(
    transaction: Transaction, record: StoredRecord, state: str, version: _Version
) -> ItemFacts:
    body = record.body
    return ItemFacts(
        as_recorded=True,
        of_version=_key(record) in version.own,
        state=state,
        valid_until=_text(body, "valid_until"),
        dimension=_text(body, "dimension"),
        sites=_sites(body),
        disjoint=is_disjoint(transaction, record, version.signed),
        attributes=frozenset(_names(body, "attributes")),
        mlbom=body.get("mlbom") is not None,
        document=_text(body, "document"),
    )


def _facts_of_signed(item: Item, dossier: Dossier, version: _Version) -> ItemFacts:
    signed = version.signed
    if signed is None:
        return ItemFacts(as_recorded=False, of_version=False)
    if item.record != dossier.entry:
        return ItemFacts(as_recorded=True, of_version=False)
    said = (item.sha256, item.signer, item.signed_at, item.log_index, item.revision)
    kept = (signed.digest, REGISTER, signed.created, version.log_index, 1)
    private = {one.site for one in signed.privacy if isinstance(one, PrivacyStatement)}
    return ItemFacts(
        as_recorded=said == kept,
        of_version=True,
        state=signed.state,
        privacy=version.trained_at <= private,
    )


def item_of(record: StoredRecord, *, id: str) -> Item:
    """Return the item that names a revision as the register has it."""
    return Item(
        id=id,
        noun=record.noun,
        record=record.id,
        revision=record.revision,
        sha256=record.digest,
        signer=record.author.person,
        signed_at=record.at,
        log_index=record.log_index,
    )


def signed_item(transaction: Transaction, entry: str, *, id: str) -> Item | None:
    """Return the item that names a version's signed record, None if there is no such entry."""
    stored = transaction.models.get(entry)
    if stored is None:
        return None
    record = parse(stored.record)
    assert isinstance(record, dict)  # the register wrote it
    return Item(
        id=id,
        noun=SIGNED_VERSION,
        record=entry,
        revision=1,
        sha256=digest_of(record),
        signer=REGISTER,
        signed_at=str(record["created"]),
        log_index=stored.log_index,
    )


def _sites(body: Mapping[str, object]) -> frozenset[str]:
    one = _text(body, "site")
    present = frozenset(_names(body, "sites")) - frozenset(_names(body, "absent"))
    return present | ({one} if one else frozenset())


def _text(body: Mapping[str, object], name: str) -> str | None:
    value = body.get(name)
    return value if isinstance(value, str) else None


def _names(body: Mapping[str, object], name: str) -> list[str]:
    value = body.get(name)
    return [str(one) for one in value] if isinstance(value, list | dict) else []
