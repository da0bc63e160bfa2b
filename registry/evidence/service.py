"""Append statements to the log, sign its state, and prove what it holds."""

from collections.abc import Sequence

from federation.domain.ids import Sha256
from federation.errors.registry import LogRangeError
from federation.evidence import merkle
from federation.evidence.checkpoint import Checkpoint, sign_checkpoint
from federation.evidence.inclusion import Inclusion, origin_of
from federation.evidence.merkle import Node
from federation.evidence.signing import Signer
from registry.evidence.ports import EvidenceLog, LogEntry


def append(log: EvidenceLog, envelopes: Sequence[str]) -> list[int]:
    """Append each envelope that is not yet logged; return the place of every one."""
    places: list[int] = []
    entries: list[LogEntry] = []
    added: dict[Sha256, int] = {}
    size = log.size()
    for envelope in envelopes:
        digest = Sha256.of(envelope.encode())
        place = added.get(digest, log.index_of(digest))
        if place is None:
            place = size + len(entries)
            added[digest] = place
            entries.append(LogEntry(place, digest, envelope))
        places.append(place)
    log.add(entries, _new_nodes(log, entries))
    return places


def seal(log: EvidenceLog, *, signer: Signer) -> str:
    """Sign the log's present state, keep the checkpoint and return it."""
    size, origin = log.size(), origin_of(signer.public_key)
    note = sign_checkpoint(Checkpoint(origin, size, merkle.root_of(size, log.node)), signer)
    log.add_checkpoint(size, note)
    return note


def prove_inclusion(log: EvidenceLog, index: int, *, size: int | None = None) -> Inclusion:
    """Return the proof that entry `index` is in the log's first `size` entries (default all).

    Raises
    ------
    LogRangeError
        If the log never had that size or place.
    """
    actual = log.size()
    asked = actual if size is None else size
    if not 0 <= index < asked <= actual:
        raise LogRangeError(size=actual, asked=index)
    path = merkle.inclusion_proof(index, asked, log.node)
    return Inclusion(index, asked, log.node(0, index), path)


def prove_growth(log: EvidenceLog, *, old: int, new: int) -> tuple[bytes, ...]:
    """Return the proof that the first `old` of `new` entries never changed.

    Raises
    ------
    LogRangeError
        If the log never had these sizes.
    """
    actual = log.size()
    if not 0 < old <= new <= actual:
        raise LogRangeError(size=actual, asked=max(old, new))
    return merkle.consistency_proof(old, new, log.node)


def _new_nodes(log: EvidenceLog, entries: Sequence[LogEntry]) -> list[Node]:
    nodes: dict[tuple[int, int], Node] = {}

    def read(level: int, position: int) -> bytes:
        fresh = nodes.get((level, position))
        return fresh.hash if fresh else log.node(level, position)

    for entry in entries:
        leaf = merkle.leaf_hash(entry.envelope.encode())
        for node in merkle.new_nodes(entry.index, leaf, read):
            nodes[node.level, node.position] = node
    return list(nodes.values())
