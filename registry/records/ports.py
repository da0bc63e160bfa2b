"""What a store must offer for records, and one revision as kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from federation.domain.ids import Sha256
from registry.roles import Author


@dataclass(frozen=True, slots=True)
class Link:
    """That a record speaks of another: `relation` is the verb, for example ``evaluates``."""

    relation: str
    noun: str
    id: str


@dataclass(frozen=True, slots=True)
class Signed:
    """One signature that a move rests on.

    `envelope_digest` is the content id of the person's own signed statement, `key` the
    32 bytes (hexadecimal) of the public key that was that person's at the time. Both are
    None where the person signed by logging in and the register's key vouches for it.
    """

    author: Author
    at: str
    envelope_digest: Sha256 | None = None
    key: str | None = None

    def as_json(self) -> dict[str, object]:
        """Return the signature as recorded and signed."""
        return {
            "author": self.author.as_json(),
            "at": self.at,
            "envelope": self.envelope_digest,
            "key": self.key,
        }


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """One revision of one record; never changed once kept.

    `action` is ``put`` or the number of a move; `previous` the digest of the
    revision before; `log_index` and `log_size` are the place of the signed
    statement in the evidence log and the checkpoint signed with it.
    """

    noun: str
    id: str
    revision: int
    state: str
    action: str
    body: Mapping[str, object]
    digest: Sha256
    author: Author
    at: str
    reason: str = ""
    supersedes: str | None = None
    previous: Sha256 | None = None
    signatures: tuple[Signed, ...] = ()
    log_index: int = -1
    log_size: int = -1

    @property
    def name(self) -> str:
        """Return how the audit trail and the log call this revision."""
        return f"{self.noun}/{self.id}/{self.revision}"

    def as_json(self) -> dict[str, object]:
        """Return everything that is signed: all but the places in the log."""
        return {
            "schema": "trifed.record/1",
            "noun": self.noun,
            "id": self.id,
            "revision": self.revision,
            "state": self.state,
            "action": self.action,
            "body": dict(self.body),
            "digest": self.digest,
            "author": self.author.as_json(),
            "at": self.at,
            "reason": self.reason,
            "supersedes": self.supersedes,
            "previous": self.previous,
            "signatures": [one.as_json() for one in self.signatures],
        }


@dataclass(frozen=True, slots=True)
class Found:
    """What a record is found by, taken from its body."""

    words: str = ""
    facets: Mapping[str, Sequence[str]] = field(default_factory=dict)
    links: Sequence[Link] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """Which records are wanted; empty fields ask for nothing. `before` is a page's `next`."""

    noun: str
    state: str | None = None
    text: str = ""
    facets: Mapping[str, str] = field(default_factory=dict)
    before: int | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Page:
    """Some records, last changed first; `next` goes into the next `Query.before`."""

    items: tuple[StoredRecord, ...]
    next: int | None


class RecordStore(Protocol):
    """Append-only: a noun's id has revisions 1, 2, 3 without a gap."""

    def head(self, noun: str, id: str) -> StoredRecord | None:
        """Return the newest revision, None when there is no such record."""

    def heads(self, noun: str, ids: Sequence[str]) -> dict[str, StoredRecord]:
        """Return the newest revisions of those that are there, by id."""

    def revision(self, noun: str, id: str, revision: int) -> StoredRecord | None:
        """Return one revision."""

    def history(self, noun: str, id: str) -> Sequence[StoredRecord]:
        """Return all revisions, oldest first."""

    def add(self, record: StoredRecord, found: Found) -> None:
        """Keep a revision and make it the newest."""

    def find(self, query: Query) -> Page:
        """Return the records asked for, last changed first."""

    def linking(
        self, noun: str, id: str, *, relation: str | None = None, by: str | None = None
    ) -> Sequence[StoredRecord]:
        """Return the records whose newest revision links to one, oldest first.

        `relation` and `by` (a noun) narrow it.
        """

    def links_of(self, noun: str, id: str) -> Sequence[Link]:
        """Return what the newest revision links to."""

    def count(self, noun: str, state: str | None = None) -> int:
        """Return how many records of a noun there are, in a state or in all."""

    def everything(self) -> Sequence[StoredRecord]:
        """Return every revision of every record, in the order of the log."""

    def indexed(self) -> dict[tuple[str, str], tuple[int, Found]]:
        """Return of every noun and id what the index says: a place in the log, and what it is
        found by, facets and links in order; -1 where only facets or links are stored.
        """

    def head_rows(self) -> dict[tuple[str, str], tuple[int, str]]:
        """Return revision and state of every newest revision, for the audit."""
