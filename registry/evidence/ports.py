"""What a store must offer for the evidence log."""

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from federation.domain.ids import Sha256
from federation.evidence.keyring import KnownKey
from federation.evidence.merkle import Node


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One entry: its place from 0 and the DSSE envelope that is the leaf's data."""

    index: int
    envelope_digest: Sha256
    envelope: str


@dataclass(frozen=True, slots=True)
class StoredCosignature:
    """A witness's signature line under the checkpoint of a size; `keyid` of the witness's key."""

    size: int
    witness: str
    keyid: Sha256
    line: str


class EvidenceLog(Protocol):
    """Append-only: entries, hashes of complete subtrees, signed checkpoints, known keys."""

    def size(self) -> int:
        """Return the number of entries."""

    def node(self, level: int, position: int) -> bytes:
        """Return the hash of a complete subtree, see `federation.evidence.merkle`."""

    def nodes(self, places: Iterable[tuple[int, int]]) -> Mapping[tuple[int, int], bytes]:
        """Return the hashes of many complete subtrees, asked for at once.

        Raises
        ------
        LogTamperedError
            If one is missing.
        """

    def level(self, level: int) -> Generator[Node, None, None]:
        """Return all stored subtrees of 2^level entries in order; close it when done early."""

    def add(self, entries: Sequence[LogEntry], nodes: Sequence[Node]) -> None:
        """Keep entries and the subtrees they complete."""

    def entry(self, index: int) -> LogEntry:
        """Return one entry.

        Raises
        ------
        LogRangeError
            If there is none.
        """

    def entries(self) -> Generator[LogEntry, None, None]:
        """Return all entries in order; close it when done early."""

    def index_of(self, envelope_digest: Sha256) -> int | None:
        """Return where an envelope lies, None when it is not logged."""

    def places_of(self, envelope_digests: Sequence[Sha256]) -> dict[Sha256, int]:
        """Return where those of the envelopes lie that are logged."""

    def add_checkpoint(self, size: int, note: str) -> None:
        """Keep the signed note for a size."""

    def checkpoints(self) -> Generator[tuple[int, str], None, None]:
        """Return all sizes and notes, smallest first."""

    def checkpoint(self, size: int) -> str | None:
        """Return the note for a size, None when there is none."""

    def latest_checkpoint(self) -> str | None:
        """Return the note of the largest size, None when nothing was logged yet."""

    def add_cosignature(self, cosignature: StoredCosignature) -> None:
        """Keep a witness's signature; a witness has one for a size."""

    def cosignatures(self, size: int | None = None) -> Sequence[StoredCosignature]:
        """Return the witnesses' signatures for a size, or all, by size and witness."""

    def add_key(self, key: KnownKey) -> None:
        """Keep a key that signed a logged statement; keeping it twice changes nothing."""

    def keys(self) -> dict[Sha256, KnownKey]:
        """Return all kept keys by id."""
