"""Fetch an entry and verify all of it before a word is shown.

A page never repeats what the database says on its own word: the version's record is checked
against its signature and its place in the log, every other record against the statement
that the register signed of it. What does not hold is `LogTamperedError`, and the page
says so instead of showing it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from federation.errors import PlatformError
from federation.errors.registry import EntryNotFoundError
from federation.errors.signed import LogTamperedError
from federation.evidence.canonical import canonical, parse
from federation.evidence.inclusion import ShownEntry, origin_of, verify_entry
from federation.evidence.verification import PublicKey
from registry.evidence.service import prove_inclusion
from registry.models.ports import StoredVersion
from registry.models.service import find
from registry.models.version_card import NAME, VersionCard
from registry.pages.views import EntryFacts
from registry.pages.visibility import TOLD_EVALUATIONS, is_public
from registry.ports import Store, Transaction
from registry.records.ports import StoredRecord
from registry.records.statements import verify_record

MAX_LINKED = 200


@dataclass(frozen=True, slots=True)
class Reading:
    """Reads entries for the pages; `key` is the register's own."""

    store: Store
    key: PublicKey

    def public(self, asked: str) -> EntryFacts:
        """Return a public entry; a model's id alone means its newest public version.

        Raises
        ------
        EntryNotFoundError
            If there is none, or none the public may know of: the same error.
        LogTamperedError
            If something of it does not hold.
        """
        with self.store.reading() as transaction:
            facts = self._facts(transaction, _find_public(transaction, asked))
        told = [one for one in facts.evaluations if one.state in TOLD_EVALUATIONS]
        return replace(facts, evaluations=told)

    def any(self, asked: str) -> EntryFacts:
        """Return an entry whether or not the public may know of it, for those with a role."""
        with self.store.reading() as transaction:
            return self._facts(transaction, find(transaction.models, asked))

    def is_public(self, entry: str) -> bool:
        """Say whether the public may know of an entry."""
        with self.store.reading() as transaction:
            return is_public(transaction.records.history(NAME, entry))

    def verified(
        self, transaction: Transaction, records: Iterable[StoredRecord]
    ) -> list[StoredRecord]:
        """Return records that are what the register signed; raises `LogTamperedError`."""
        return [self._verified(transaction, record) for record in records]

    def _facts(self, transaction: Transaction, stored: StoredVersion) -> EntryFacts:
        shown = _shown(transaction, stored)
        try:
            record = verify_entry(shown, key=self.key, origin=origin_of(self.key))
        except PlatformError as error:
            why = f"it does not verify ({error.code})"
            raise LogTamperedError(item=f"entry {stored.entry}", why=why) from error
        history = self.verified(transaction, transaction.records.history(NAME, stored.entry))
        linked = transaction.records.linking
        return EntryFacts(
            record=record,
            proof=prove_inclusion(transaction.log, stored.log_index, size=stored.log_size),
            checkpoint=shown.checkpoint,
            keyid=self.key.keyid,
            history=history,
            card=_card(history),
            evaluations=self.verified(
                transaction, linked(NAME, stored.entry, by="evaluation")[:MAX_LINKED]
            ),
            deployments=self.verified(
                transaction, linked(NAME, stored.entry, by="deployment")[:MAX_LINKED]
            ),
            studies=self.verified(
                transaction, linked(NAME, stored.entry, by="impact-study")[:MAX_LINKED]
            ),
            superseded_by=_successor(transaction, stored.entry),
            versions=_others(transaction, stored),
        )

    def _verified(self, transaction: Transaction, record: StoredRecord) -> StoredRecord:
        item = f"record {record.name}"
        try:
            said = verify_record(transaction.log.entry(record.log_index).envelope, key=self.key)
        except PlatformError as error:
            raise LogTamperedError(item=item, why=f"it does not verify ({error.code})") from error
        if said != record.as_json():
            raise LogTamperedError(item=item, why="it differs from the signed one")
        return record


def _find_public(transaction: Transaction, asked: str) -> StoredVersion:
    first = find(transaction.models, asked)
    if first.entry == asked:
        wanted: Sequence[StoredVersion] = [first]
    else:
        wanted = transaction.models.versions(first.model)[::-1]
    for version in wanted:
        if is_public(transaction.records.history(NAME, version.entry)):
            return version
    raise EntryNotFoundError(asked=asked)


def _successor(transaction: Transaction, entry: str) -> str | None:
    successor = transaction.models.successor_of(entry)
    if successor and is_public(transaction.records.history(NAME, successor)):
        return successor
    return None


def _others(transaction: Transaction, stored: StoredVersion) -> list[tuple[str, str]]:
    found = []
    for version in transaction.models.versions(stored.model)[::-1]:
        history = transaction.records.history(NAME, version.entry)
        if version.entry != stored.entry and is_public(history):
            found.append((version.entry, history[-1].state))
    return found


def _shown(transaction: Transaction, stored: StoredVersion) -> ShownEntry:
    checkpoint = transaction.log.checkpoint(stored.log_size)
    record = parse(stored.record)
    if checkpoint is None or not isinstance(record, dict):
        raise LogTamperedError(item=f"entry {stored.entry}", why="its checkpoint is missing")
    proof = prove_inclusion(transaction.log, stored.log_index, size=stored.log_size)
    envelope = transaction.log.entry(stored.log_index).envelope
    return ShownEntry(stored.entry, record, None, envelope, proof.as_json(), checkpoint)


def _card(history: Sequence[StoredRecord]) -> VersionCard | None:
    if not history:
        return None
    return VersionCard.model_validate_json(canonical(dict(history[-1].body)))
