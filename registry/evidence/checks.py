"""Compare the stored log with itself and with what was signed of it; `registry.auditing` calls it.

One pass over the entries, in memory that does not grow with them:
1. entries have no gap, and each has its digest;
2. every stored hash is the one that the entries lead to, and there is no other;
3. every checkpoint is signed by the register, and its root is the root over that many
   entries; the newest covers all;
4. a checkpoint kept elsewhere is a beginning of this log;
5. every key that signed is there, is of the kind and site it signed for, and no other is.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass

from federation.domain.ids import Sha256
from federation.errors import PlatformError
from federation.errors.signed import LogTamperedError
from federation.evidence import merkle
from federation.evidence.canonical import parse
from federation.evidence.checkpoint import Checkpoint, verify_checkpoint
from federation.evidence.dsse import read_envelope
from federation.evidence.inclusion import origin_of
from federation.evidence.keyring import SIGNER_OF, KeyRole, KnownKey
from federation.evidence.statements import PredicateType
from federation.evidence.verification import PublicKey
from registry.evidence.ports import EvidenceLog, LogEntry

_KINDS = {kind.value: kind for kind in PredicateType}
_LEVELS = 64


@dataclass(frozen=True, slots=True)
class VerifiedLog:
    """What the log holds: entries, signed sizes, keys that signed, places of trail heads."""

    size: int
    sizes: tuple[int, ...]
    versions: int
    keys: dict[Sha256, KnownKey]
    heads: tuple[int, ...] = ()

    def sealed_with(self, index: int) -> int | None:
        """Return the first signed size that covers an entry."""
        place = bisect_right(self.sizes, index)
        return self.sizes[place] if place < len(self.sizes) else None


def verify_log(log: EvidenceLog, *, key: PublicKey, seen: Iterable[str] = ()) -> VerifiedLog:
    """Return what the log holds if all of it is what was signed.

    Raises
    ------
    LogTamperedError
        Naming the first thing that was changed, dropped or added.
    """
    elsewhere: defaultdict[int, list[Checkpoint]] = defaultdict(list)
    for note in seen:
        checkpoint = _verified(note, "kept checkpoint", key)
        elsewhere[checkpoint.size].append(checkpoint)
    signers = _Signers(log.keys(), key)
    sizes: list[int] = []
    frontier = merkle.Frontier()
    with ExitStack() as opened:
        entries = opened.enter_context(closing(log.entries()))
        checkpoints = opened.enter_context(closing(_Checkpoints(log, key)))
        nodes = opened.enter_context(closing(_Nodes(log)))
        for entry in entries:
            nodes.check(_grown(frontier, entry), entry)
            signers.check(entry)
            signed = [*checkpoints.of(frontier.size), *elsewhere.pop(frontier.size, [])]
            _check_roots(frontier, signed)
            sizes += [frontier.size] if signed and checkpoints.last == frontier.size else []
        checkpoints.check_done(frontier.size)
        nodes.check_done()
    if elsewhere:
        raise LogTamperedError(item="log", why=f"it once had {max(elsewhere)} entries")
    signers.check_done()
    heads = tuple(signers.heads)
    return VerifiedLog(frontier.size, tuple(sizes), signers.versions, signers.keys, heads)


def _grown(frontier: merkle.Frontier, entry: LogEntry) -> list[merkle.Node]:
    """Return the hashes that an entry completes, the entry itself compared with its digest."""
    place = frontier.size
    content = entry.envelope.encode()
    if entry.index != place:
        raise LogTamperedError(item=f"log entry {place}", why="it is missing")
    if Sha256.of(content) != entry.envelope_digest:
        raise LogTamperedError(item=f"log entry {place}", why="its digest does not fit")
    return frontier.add(merkle.leaf_hash(content))


def _check_roots(frontier: merkle.Frontier, signed: list[Checkpoint]) -> None:
    if signed and any(checkpoint.root != frontier.root() for checkpoint in signed):
        raise LogTamperedError(item=f"checkpoint {frontier.size}", why="its root is another")


class _Nodes:
    """The stored hashes, level by level, read along with the entries."""

    def __init__(self, log: EvidenceLog) -> None:
        self._levels = [log.level(level) for level in range(_LEVELS)]

    def check(self, completed: list[merkle.Node], entry: LogEntry) -> None:
        for node in completed:
            stored = next(self._levels[node.level], None)
            if stored is None or stored.position != node.position:
                item = f"log node {node.level}/{node.position}"
                raise LogTamperedError(item=item, why="it is missing")
            if stored.hash != node.hash:
                item = f"log entry {entry.index}"
                raise LogTamperedError(item=item, why="its hash does not fit")

    def check_done(self) -> None:
        for level in self._levels:
            left = next(level, None)
            if left is not None:
                item = f"log node {left.level}/{left.position}"
                raise LogTamperedError(item=item, why="no entry belongs to it")

    def close(self) -> None:
        for level in self._levels:
            level.close()


class _Checkpoints:
    """The stored checkpoints, smallest first, read along with the entries."""

    def __init__(self, log: EvidenceLog, key: PublicKey) -> None:
        self._stored = log.checkpoints()
        self._key = key
        self._next = next(self._stored, None)
        self.last = 0

    def of(self, size: int) -> Iterator[Checkpoint]:
        if self._next is None or self._next[0] > size:
            return
        stored, note = self._next
        checkpoint = _verified(note, f"checkpoint {stored}", self._key)
        if (stored, checkpoint.size) != (size, size):
            raise LogTamperedError(item=f"checkpoint {stored}", why="it is of another size")
        self._next = next(self._stored, None)
        self.last = size
        yield checkpoint

    def check_done(self, size: int) -> None:
        if self._next is not None:
            raise LogTamperedError(item="log", why=f"it once had {self._next[0]} entries")
        if self.last != size:
            raise LogTamperedError(item="log", why="its newest checkpoint is of another size")

    def close(self) -> None:
        self._stored.close()


class _Signers:
    """The keys of the log, compared with what each signed."""

    def __init__(self, keys: dict[Sha256, KnownKey], centre: PublicKey) -> None:
        self.keys = keys
        self.versions = 0
        self.heads: list[int] = []
        self._centre = centre.keyid
        self._used: set[Sha256] = set()
        for keyid, known in keys.items():
            if known.key.keyid != keyid:
                raise LogTamperedError(item="key table", why="a key is under another's id")

    def check(self, entry: LogEntry) -> None:
        keyid, kind, site = _said(entry)
        if kind is None:
            return
        self.versions += kind is PredicateType.MODEL_VERSION
        self.heads += [entry.index] if kind is PredicateType.AUDIT_TRAIL else []
        known = self.keys.get(keyid)
        if known is None and keyid == self._centre:
            return
        if known is None:
            raise LogTamperedError(item=f"log entry {entry.index}", why="its key is missing")
        roles = frozenset({KeyRole.CENTRE}) if keyid == self._centre else _signers_of(kind)
        elsewhere = site is not None and known.role is not KeyRole.CENTRE and known.site != site
        if known.role not in roles or elsewhere:
            item = f"log entry {entry.index}"
            raise LogTamperedError(item=item, why="its key is of another kind or site")
        self._used.add(keyid)

    def check_done(self) -> None:
        if self.keys.keys() - self._used:
            raise LogTamperedError(item="key table", why="a key signed nothing of the log")


def _signers_of(kind: PredicateType) -> frozenset[KeyRole]:
    """Return who signs a kind; that a book was lost is said by the data officer."""
    lost = {KeyRole.OFFICER} if kind is PredicateType.LEDGER else set()
    return frozenset({SIGNER_OF[kind], *lost})


def _said(entry: LogEntry) -> tuple[Sha256, PredicateType | None, str | None]:
    """Return who signed an entry, what kind of statement it is, and in which site's name."""
    try:
        envelope = read_envelope(entry.envelope)
        value = parse(envelope.payload)
    except PlatformError as error:
        item = f"log entry {entry.index}"
        raise LogTamperedError(item=item, why=f"unreadable ({error.code})") from error
    match value:
        case {"predicateType": str(uri), "predicate": {"site": str(site)}}:
            return envelope.keyid, _KINDS.get(uri), site
        case {"predicateType": str(uri)}:
            return envelope.keyid, _KINDS.get(uri), None
    return envelope.keyid, None, None


def _verified(note: str, item: str, key: PublicKey) -> Checkpoint:
    try:
        return verify_checkpoint(note, origin=origin_of(key), key=key)
    except PlatformError as error:
        raise LogTamperedError(item=item, why=f"it does not verify ({error.code})") from error
