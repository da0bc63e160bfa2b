"""What the registry needs of a store: transactions over the nouns, all or nothing.

A service takes a `Store`, opens one `Transaction`, and writes record, log entry
and audit event through it; leaving the block commits all of them or none.
`registry/store.py` is the SQL body; another body joins the same conformance
suite (tests/registry/test_store.py).
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from registry.audit.ports import AuditTrail
from registry.evidence.ports import EvidenceLog
from registry.models.ports import ModelVersions
from registry.records.ports import RecordStore


class WriteConflict(Exception):
    """Another writer was faster; nothing was written. Never leaves a service: try again."""


@dataclass(frozen=True, slots=True)
class AccountRow:
    """Something kept of an account, its seal not checked: kind, key, whose, and what (JSON)."""

    kind: str
    key: str
    owner: str
    content: str


class AccountRows(Protocol):
    """What is kept of accounts, for whoever audits the register without the accounts' key."""

    def rows(self, *kinds: str) -> Iterator[AccountRow]:
        """Return the rows of some kinds, as they lie."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """The nouns as seen inside one transaction."""

    models: ModelVersions
    log: EvidenceLog
    audit: AuditTrail
    records: RecordStore
    accounts: AccountRows


class Store(Protocol):
    """Where the registry keeps everything."""

    def writing(self) -> AbstractContextManager[Transaction]:
        """Open a transaction that commits on leaving.

        Raises
        ------
        WriteConflict
            If another writer took the same place.
        """

    def reading(self) -> AbstractContextManager[Transaction]:
        """Open one consistent view; nothing written through it is kept."""
