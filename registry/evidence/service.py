"""Append statements to the log, sign its state, and prove what it holds."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from federation.domain.ids import Sha256
from federation.errors.signed import LogRangeError
from federation.evidence import merkle
from federation.evidence.checkpoint import Checkpoint, sign_checkpoint
from federation.evidence.inclusion import Inclusion, origin_of
from federation.evidence.merkle import Node
from federation.evidence.signing import Signer
from registry.evidence.ports import EvidenceLog, LogEntry

Value = TypeVar("Value")


def append(log: EvidenceLog, envelopes: Sequence[str]) -> list[int]:
    """Append each envelope that is not yet logged; return the place of every one."""
    digests = [Sha256.of(envelope.encode()) for envelope in envelopes]
    places = log.places_of(digests)
    size = log.size()
    entries: list[LogEntry] = []
    for digest, envelope in zip(digests, envelopes, strict=True):
        if digest not in places:
            places[digest] = size + len(entries)
            entries.append(LogEntry(places[digest], digest, envelope))
    log.add(entries, _new_nodes(log, size, entries))
    return [places[digest] for digest in digests]


def seal(log: EvidenceLog, *, signer: Signer) -> str:
    """Sign the log's present state, keep the checkpoint and return it."""
    size, origin = log.size(), origin_of(signer.public_key)
    root = at_once(log, lambda read: merkle.root_of(size, read))
    note = sign_checkpoint(Checkpoint(origin, size, root), signer)
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
    leaf, path = at_once(
        log, lambda read: (read(0, index), merkle.inclusion_proof(index, asked, read))
    )
    return Inclusion(index, asked, leaf, path)


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
    return at_once(log, lambda read: merkle.consistency_proof(old, new, read))


def at_once(log: EvidenceLog, work: Callable[[merkle.Read], Value]) -> Value:
    """Return what `work` makes of the log's hashes, which are read in one query."""
    nodes = log.nodes(merkle.places_read(work))
    return work(lambda level, position: nodes[level, position])


def _new_nodes(log: EvidenceLog, size: int, entries: Sequence[LogEntry]) -> list[Node]:
    """Return the subtrees that become complete; what they join is at the log's right edge."""
    if not entries:
        return []
    known = dict(log.nodes(merkle.places_read(lambda read: merkle.root_of(size, read))))
    nodes: list[Node] = []
    for entry in entries:
        leaf = merkle.leaf_hash(entry.envelope.encode())
        for node in merkle.new_nodes(entry.index, leaf, lambda *place: known[place]):
            known[node.level, node.position] = node.hash
            nodes.append(node)
    return nodes
