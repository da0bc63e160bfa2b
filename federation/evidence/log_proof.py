"""One entry of the log with all that proves it, as a file; checked with nothing else.

`check_proof`, in order: 1. the checkpoint is signed by the log's key; 2. enough of the
named witnesses co-signed it; 3. the proof leads from the entry to its root.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from federation.errors.signed import NotCanonicalError, ProofError
from federation.evidence.canonical import canonical, parse
from federation.evidence.checkpoint import Checkpoint, verify_checkpoint
from federation.evidence.inclusion import Inclusion, origin_of
from federation.evidence.verification import PublicKey
from federation.evidence.witness import Witness, check_witnessed

FORMAT = "trifed.log-proof/1"
MAX_BYTES = 4 * 2**20


@dataclass(frozen=True, slots=True)
class LogProof:
    """An entry's envelope, its proof, and the signed (and co-signed) state it is proved in."""

    envelope: str
    inclusion: Inclusion
    checkpoint: str

    def as_bytes(self) -> bytes:
        """Return the file."""
        return canonical(
            {
                "format": FORMAT,
                "envelope": self.envelope,
                "inclusion": self.inclusion.as_json(),
                "checkpoint": self.checkpoint,
            }
        )

    @classmethod
    def from_bytes(cls, content: bytes) -> "LogProof":
        """Return what `as_bytes` wrote, unverified.

        Raises
        ------
        ProofError
            If it is anything else.
        """
        try:
            value = parse(content[: MAX_BYTES + 1])
        except NotCanonicalError as error:
            raise ProofError(kind="inclusion") from error
        match value:
            case {
                "format": str(said),
                "envelope": str(envelope),
                "inclusion": inclusion,
                "checkpoint": str(checkpoint),
                **rest,
            } if said == FORMAT and not rest:
                return cls(envelope, Inclusion.from_json(inclusion), checkpoint)
        raise ProofError(kind="inclusion")


@dataclass(frozen=True, slots=True)
class Proved:
    """What holds: the entry's place, the log's state, and which witnesses signed that state."""

    index: int
    checkpoint: Checkpoint
    witnesses: tuple[str, ...]


def check_proof(
    proof: LogProof, *, log: PublicKey, witnesses: Iterable[Witness] = (), needed: int = 0
) -> Proved:
    """Return what the proof proves.

    Raises
    ------
    CheckpointError, BadSignatureError, CosignatureRefusedError, TooFewWitnessesError,
    ProofError
        By the first step that fails.
    """
    checkpoint = verify_checkpoint(proof.checkpoint, origin=origin_of(log), key=log)
    signed = check_witnessed(proof.checkpoint, witnesses, needed=needed)
    proof.inclusion.verify(proof.envelope, checkpoint)
    names = tuple(sorted(one.witness.name for one in signed))
    return Proved(proof.inclusion.index, checkpoint, names)
