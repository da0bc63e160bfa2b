"""A log's newest signed state and the proof that it grew from each earlier one.

The centre sends it, a hospital checks it against the state it kept (`grown`). So a
centre that rewrites its log is noticed by everybody who was shown an entry of it.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from federation.errors.heads import (
    CentreHeadRefusedError,
    CentreLogForkedError,
    CentreLogRolledBackError,
)
from federation.errors.signed import BadSignatureError, CheckpointError, ProofError
from federation.evidence import merkle
from federation.evidence.checkpoint import Checkpoint, verify_checkpoint
from federation.evidence.inclusion import MAX_STEPS, origin_of
from federation.evidence.verification import PublicKey

FORMAT = "trifed.growth/1"
MOST_PROOFS = 1000
MOST_BYTES = 2 << 20

Proof = tuple[bytes, ...]

_HASH = re.compile(r"[0-9a-f]{64}")
_SIZE = re.compile(r"[1-9][0-9]{0,15}")


@dataclass(frozen=True, slots=True)
class Growth:
    """A signed checkpoint, and RFC 6962 consistency proofs to it by the size they start from."""

    note: str
    proofs: Mapping[int, Proof] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """Return it as JSON, hashes in hexadecimal."""
        proofs = {str(size): [step.hex() for step in proof] for size, proof in self.proofs.items()}
        return {"format": FORMAT, "checkpoint": self.note, "proofs": proofs}

    def as_bytes(self) -> bytes:
        """Return it as it travels."""
        return json.dumps(self.as_json(), separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, raw: object) -> "Growth":
        """Return what `as_json` wrote.

        Raises
        ------
        CentreHeadRefusedError
            If it is anything else.
        """
        match raw:
            case {"format": str(said), "checkpoint": str(note), "proofs": dict(proofs), **rest} if (
                said == FORMAT and not rest and len(proofs) <= MOST_PROOFS
            ):
                return cls(note, dict(_proof(size, steps) for size, steps in proofs.items()))
        raise CentreHeadRefusedError(why="it has another form")


def grown(growth: Growth, *, key: PublicKey, kept: str | None) -> Checkpoint:
    """Return the new state if `key` signed it and it contains the kept one.

    Parameters
    ----------
    key
        The key of the log's owner.
    kept
        The signed note of an earlier state; None before the first.

    Raises
    ------
    CentreHeadRefusedError
        If a note is not signed by the key, or there is no proof from the kept state.
    CentreLogRolledBackError
        If the log is shorter than it was.
    CentreLogForkedError
        If it does not contain what it contained.
    """
    new = read_note(growth.note, key=key)
    if kept is None:
        return new
    old = read_note(kept, key=key)
    if new.size < old.size:
        raise CentreLogRolledBackError(kept=old.size, given=new.size)
    if old.size not in (0, new.size) and old.size not in growth.proofs:
        raise CentreHeadRefusedError(why="it brings no proof from the state kept here")
    try:
        merkle.verify_consistency(
            old=old.size,
            old_root=old.root,
            new=new.size,
            new_root=new.root,
            proof=() if old.size in (0, new.size) else growth.proofs[old.size],
        )
    except ProofError as error:
        raise CentreLogForkedError(kept=old.size, given=new.size) from error
    return new


def read_note(note: str, *, key: PublicKey) -> Checkpoint:
    """Return the checkpoint that `key` signed for its own log.

    Raises
    ------
    CentreHeadRefusedError
        If it did not, or it is no checkpoint.
    """
    try:
        return verify_checkpoint(note, origin=origin_of(key), key=key)
    except (CheckpointError, BadSignatureError) as error:
        raise CentreHeadRefusedError(why=f"it does not verify ({error.code})") from error


def _proof(size: object, steps: object) -> tuple[int, Proof]:
    if not isinstance(size, str) or not _SIZE.fullmatch(size):
        raise CentreHeadRefusedError(why="a proof from no size")
    if not isinstance(steps, list) or len(steps) > MAX_STEPS:
        raise CentreHeadRefusedError(why="a proof of another form")
    if not all(isinstance(step, str) and _HASH.fullmatch(step) for step in steps):
        raise CentreHeadRefusedError(why="a step that is no hash")
    return int(size), tuple(bytes.fromhex(step) for step in steps)
