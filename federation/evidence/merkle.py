"""Prove that an entry is in a log, and that the log only ever grew (RFC 6962, section 2).

A leaf is SHA-256(0x00 || data), a node SHA-256(0x01 || left || right). The
functions read the hashes of *complete* subtrees through a `Read`, so a store
answers for a million entries with a few dozen reads: `read(level, position)`
is the hash over entries [position * 2^level, (position + 1) * 2^level). What
must be stored for a new entry is what `new_nodes` returns. `places_read` says
beforehand which hashes a proof takes, so that a database is asked once; a
`Frontier` reads a whole log from its beginning in memory that hardly grows.
"""

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from federation.errors.signed import LogRangeError, ProofError

Read = Callable[[int, int], bytes]

EMPTY_ROOT = hashlib.sha256().digest()


@dataclass(frozen=True, slots=True)
class Node:
    """The hash of one complete subtree: 2^level entries from position * 2^level."""

    level: int
    position: int
    hash: bytes


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of one entry."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash over two subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def new_nodes(index: int, leaf: bytes, read: Read) -> list[Node]:
    """Return the subtrees that become complete when `leaf` is entry `index`, lowest first."""
    nodes = [Node(0, index, leaf)]
    while nodes[-1].position % 2:
        last = nodes[-1]
        left = read(last.level, last.position - 1)
        nodes.append(Node(last.level + 1, last.position // 2, node_hash(left, last.hash)))
    return nodes


class Frontier:
    """The complete subtrees at the right edge of a growing log: all that its growth needs.

    Takes memory for as many hashes as the size has binary digits.
    """

    def __init__(self) -> None:
        self.size = 0
        self._edge: dict[int, Node] = {}

    def add(self, leaf: bytes) -> list[Node]:
        """Take the next leaf hash; return the subtrees it completes, lowest first."""
        nodes = new_nodes(self.size, leaf, self._read)
        for node in nodes[:-1]:
            self._edge.pop(node.level, None)
        self._edge[nodes[-1].level] = nodes[-1]
        self.size += 1
        return nodes

    def root(self) -> bytes:
        """Return the root over all entries so far."""
        return root_of(self.size, self._read)

    def _read(self, level: int, position: int) -> bytes:
        node = self._edge[level]
        assert node.position == position
        return node.hash


def places_read(work: Callable[[Read], object]) -> list[tuple[int, int]]:
    """Return level and position of every subtree that `work` reads, each once, none read."""
    found: dict[tuple[int, int], None] = {}

    def read(level: int, position: int) -> bytes:
        found[level, position] = None
        return EMPTY_ROOT

    work(read)
    return list(found)


def in_memory(leaves: Sequence[bytes]) -> Read:
    """Return a `Read` over leaf hashes held in a list."""
    nodes: dict[tuple[int, int], bytes] = {}

    def read(level: int, position: int) -> bytes:
        return nodes[level, position]

    for index, leaf in enumerate(leaves):
        for node in new_nodes(index, leaf, read):
            nodes[node.level, node.position] = node.hash
    return read


def root_of(size: int, read: Read) -> bytes:
    """Return the root over the first `size` entries (RFC 6962, 2.1)."""
    return _hash_of(0, size, read) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, read: Read) -> tuple[bytes, ...]:
    """Return the audit path of entry `index` in a log of `size` entries (2.1.1).

    Raises
    ------
    LogRangeError
        If the log has no such entry.
    """
    if not 0 <= index < size:
        raise LogRangeError(size=size, asked=index)
    return tuple(_path(index, 0, size, read))


def consistency_proof(old: int, new: int, read: Read) -> tuple[bytes, ...]:
    """Return the proof that the first `old` of `new` entries are unchanged (2.1.2).

    Raises
    ------
    LogRangeError
        If `old` is below one or above `new`.
    """
    if not 0 < old <= new:
        raise LogRangeError(size=new, asked=old)
    return tuple(_subproof(old, 0, new, read, whole=True))


def verify_inclusion(
    leaf: bytes, *, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Return if `proof` shows that `leaf` is entry `index` under `root` (RFC 9162, 2.1.3.2).

    Raises
    ------
    ProofError
        If it does not.
    """
    if not 0 <= index < size:
        raise ProofError(kind="inclusion")
    place, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise ProofError(kind="inclusion")
        if place % 2 or place == last:
            found = node_hash(sibling, found)
            place, last = _up_to_right_child(place, last)
        else:
            found = node_hash(found, sibling)
        place, last = place // 2, last // 2
    if last or not hmac.compare_digest(found, root):
        raise ProofError(kind="inclusion")


def verify_consistency(
    *, old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Return if `proof` shows that the log only grew (RFC 9162, 2.1.4.2).

    Every log grew from the empty one; equal sizes need equal roots.

    Raises
    ------
    ProofError
        If it does not.
    """
    if not 0 <= old <= new:
        raise ProofError(kind="consistency")
    if old in (0, new):
        expected = new_root if old else EMPTY_ROOT
        if proof or not hmac.compare_digest(old_root, expected):
            raise ProofError(kind="consistency")
        return
    found_old, found_new = _grown(old, new, _with_start(old, old_root, proof))
    if not (hmac.compare_digest(found_old, old_root) and hmac.compare_digest(found_new, new_root)):
        raise ProofError(kind="consistency")


def _with_start(old: int, old_root: bytes, proof: Sequence[bytes]) -> list[bytes]:
    """Put the old root first when the old log was one complete subtree."""
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        raise ProofError(kind="consistency")
    return path


def _grown(old: int, new: int, path: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Return the old and new roots that `path` leads to."""
    place, last = old - 1, new - 1
    while place % 2:
        place, last = place // 2, last // 2
    found_old = found_new = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ProofError(kind="consistency")
        if place % 2 or place == last:
            found_old = node_hash(sibling, found_old)
            found_new = node_hash(sibling, found_new)
            place, last = _up_to_right_child(place, last)
        else:
            found_new = node_hash(found_new, sibling)
        place, last = place // 2, last // 2
    if last:
        raise ProofError(kind="consistency")
    return found_old, found_new


def _up_to_right_child(place: int, last: int) -> tuple[int, int]:
    """Skip the levels at which the right edge has no sibling."""
    while place % 2 == 0 and place:
        place, last = place // 2, last // 2
    return place, last


def _split(count: int) -> int:
    """Return the largest power of two below `count`."""
    return 1 << ((count - 1).bit_length() - 1)


def _hash_of(start: int, end: int, read: Read) -> bytes:
    """Return the hash over entries [start, end); `start` is a multiple of the subtree's size."""
    count = end - start
    if count & (count - 1) == 0:
        return read(count.bit_length() - 1, start // count)
    middle = start + _split(count)
    return node_hash(_hash_of(start, middle, read), _hash_of(middle, end, read))


def _path(index: int, start: int, end: int, read: Read) -> list[bytes]:
    if end - start == 1:
        return []
    middle = start + _split(end - start)
    if index < middle:
        return [*_path(index, start, middle, read), _hash_of(middle, end, read)]
    return [*_path(index, middle, end, read), _hash_of(start, middle, read)]


def _subproof(old: int, start: int, end: int, read: Read, *, whole: bool) -> list[bytes]:
    if old == end:
        return [] if whole else [_hash_of(start, end, read)]
    middle = start + _split(end - start)
    if old <= middle:
        rest = _subproof(old, start, middle, read, whole=whole)
        return [*rest, _hash_of(middle, end, read)]
    rest = _subproof(old, middle, end, read, whole=False)
    return [*rest, _hash_of(start, middle, read)]
