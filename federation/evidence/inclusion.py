"""An inclusion proof as it travels, and the check of a whole entry against it."""

import re
from dataclasses import dataclass

from federation.domain.ids import Sha256
from federation.errors import PlatformError
from federation.errors.registry import RecordInconsistentError
from federation.errors.signed import ProofError
from federation.evidence import merkle
from federation.evidence.canonical import canonical
from federation.evidence.checkpoint import Checkpoint, verify_checkpoint
from federation.evidence.model_version import Record
from federation.evidence.statements import PredicateType
from federation.evidence.verification import PublicKey, verify_envelope

MAX_STEPS = 128
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Inclusion:
    """That entry `index` is in the log of `size` entries; hashes are 32 bytes."""

    index: int
    size: int
    leaf: bytes
    path: tuple[bytes, ...]

    def as_json(self) -> dict[str, object]:
        """Return the proof as JSON, hashes in hexadecimal."""
        return {
            "index": self.index,
            "size": self.size,
            "leaf": self.leaf.hex(),
            "path": [step.hex() for step in self.path],
        }

    @classmethod
    def from_json(cls, raw: object) -> "Inclusion":
        """Return the proof that `as_json` wrote.

        Raises
        ------
        ProofError
            If it is anything else.
        """
        match raw:
            case {
                "index": int(index),
                "size": int(size),
                "leaf": str(leaf),
                "path": list(path),
                **rest,
            } if not rest and len(path) <= MAX_STEPS:
                return cls(index, size, _hash(leaf), tuple(_hash(step) for step in path))
        raise ProofError(kind="inclusion")

    def verify(self, envelope: str, checkpoint: Checkpoint) -> None:
        """Return if the proof shows that `envelope` is in the log of `checkpoint`.

        Raises
        ------
        ProofError
            If it does not.
        """
        leaf = merkle.leaf_hash(envelope.encode())
        if leaf != self.leaf or checkpoint.size != self.size:
            raise ProofError(kind="inclusion")
        merkle.verify_inclusion(
            leaf, index=self.index, size=self.size, proof=self.path, root=checkpoint.root
        )


@dataclass(frozen=True, slots=True)
class ShownEntry:
    """An entry as a register shows it, nothing of it believed yet.

    `record` is plain JSON; `envelope` the signed statement it should be;
    `inclusion` the raw JSON of its proof, `checkpoint` the signed note.
    """

    entry: str
    record: dict[str, object]
    superseded_by: str | None
    envelope: str
    inclusion: object
    checkpoint: str


@dataclass(frozen=True, slots=True)
class CheckedEntry:
    """An entry and whether it holds: the verified record, or the error that says why not.

    Both are None when the reader gave no key to check it with.
    """

    shown: ShownEntry
    record: Record | None
    failure: PlatformError | None
    keyid: Sha256 | None


def check_entry(shown: ShownEntry, *, key: PublicKey | None) -> CheckedEntry:
    """Return the entry with the outcome of `verify_entry` under `key`."""
    if key is None:
        return CheckedEntry(shown, None, None, None)
    try:
        record = verify_entry(shown, key=key, origin=origin_of(key))
    except PlatformError as error:
        return CheckedEntry(shown, None, error, key.keyid)
    return CheckedEntry(shown, record, None, key.keyid)


def verify_entry(shown: ShownEntry, *, key: PublicKey, origin: str) -> Record:
    """Return the record if the register's key signed it and its log holds it.

    1. the signed statement verifies; 2. it says exactly the record shown;
    3. the checkpoint is signed, of this log; 4. the proof leads to its root.

    Raises
    ------
    PlatformError
        What the first failing step raises.
    """
    trusted = {key.keyid: key}
    statement = verify_envelope(
        shown.envelope, trusted=trusted, expected=PredicateType.MODEL_VERSION
    )
    record = Record.from_json(canonical(statement.predicate))
    if canonical(shown.record) != canonical(statement.predicate) or record.entry != shown.entry:
        raise RecordInconsistentError(field="record", why="it is not the one that was signed")
    checkpoint = verify_checkpoint(shown.checkpoint, origin=origin, key=key)
    Inclusion.from_json(shown.inclusion).verify(shown.envelope, checkpoint)
    return record


def origin_of(key: PublicKey) -> str:
    """Return the name of the log that this key signs."""
    return f"trifed/{Sha256(key.keyid).hex[:16]}"


def _hash(text: object) -> bytes:
    if not isinstance(text, str) or not _HASH.fullmatch(text):
        raise ProofError(kind="inclusion")
    return bytes.fromhex(text)
