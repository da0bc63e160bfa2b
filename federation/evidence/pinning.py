"""What a reader holds against a bundle besides the bundle: a root, a checkpoint, witnesses.

A bundle alone shows that it is whole. Whose it is shows the root's fingerprint, got by
another way; that the log is the one everybody sees shows a checkpoint that the reader
kept, or a witness's signature. A kept checkpoint comes as the signed note itself or as a
`Growth`: the note with proofs to it, which a log that was shorter then needs.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from federation.domain.ids import Sha256
from federation.errors.evidence import FingerprintError, KeptFileError
from federation.evidence import merkle
from federation.evidence.canonical import parse
from federation.evidence.checkpoint import Checkpoint
from federation.evidence.growth import MOST_BYTES, Growth, read_note
from federation.evidence.verification import PublicKey
from federation.evidence.witness import Witness
from federation.wording import Text

_FINGERPRINT = re.compile(r"(?:sha256:)?([0-9a-f]{64})")

_UNREADABLE = Text(en="it cannot be read", zh="無法讀取")
_LARGE = Text(en="it is too large", zh="檔案過大")


@dataclass(frozen=True, slots=True)
class Expected:
    """What the reader knows by another way; None and empty ask for nothing.

    Parameters
    ----------
    root
        Fingerprint of the register's key.
    checkpoint
        A state of the log that the reader kept, as the file holds it.
    witnesses
        Who must have co-signed the state of the log that the bundle rests on.
    model
        Content id of the weights that the reader has.
    """

    root: Sha256 | None = None
    checkpoint: bytes | None = None
    witnesses: tuple[Witness, ...] = ()
    model: Sha256 | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """That a log grew from one state to another, with the proof, not yet verified."""

    old: Checkpoint
    new: Checkpoint
    proof: tuple[bytes, ...]

    def verify(self) -> None:
        """Return if the proof shows it.

        Raises
        ------
        ProofError
            If it does not.
        """
        merkle.verify_consistency(
            old=self.old.size,
            old_root=self.old.root,
            new=self.new.size,
            new_root=self.new.root,
            proof=self.proof,
        )


def step_to(kept: bytes, found: Checkpoint, growth: Growth, *, key: PublicKey) -> Step:
    """Return the step between the state kept and the state found, whichever is older.

    Raises
    ------
    PlatformError, KeyError, UnicodeDecodeError
        If the kept one is not of this log, or neither side brings a proof.
    """
    is_growth = kept.startswith(b"{")
    mine = Growth.from_json(parse(kept)) if is_growth else Growth(kept.decode())
    theirs = read_note(mine.note, key=key)
    old, new = (theirs, found) if theirs.size <= found.size else (found, theirs)
    if old.size in (0, new.size):
        return Step(old, new, ())
    proofs = growth.proofs if new is found else mine.proofs
    return Step(old, new, proofs[old.size])


def fingerprint(text: str) -> Sha256:
    """Return the fingerprint that a reader typed, with or without ``sha256:``.

    Raises
    ------
    FingerprintError
        If it is none.
    """
    found = _FINGERPRINT.fullmatch(text.strip().lower())
    if found is None:
        raise FingerprintError(given=repr(text[:80]))
    return Sha256(f"sha256:{found[1]}")


def read_kept(path: Path) -> bytes:
    """Return the checkpoint file that a reader kept.

    Raises
    ------
    KeptFileError
        If it is missing or over 2 MiB.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise KeptFileError(name=path.name, why=_UNREADABLE) from error
    if len(content) > MOST_BYTES:
        raise KeptFileError(name=path.name, why=_LARGE)
    return content


def digest_of(path: Path) -> Sha256:
    """Return the content id of the weights that a reader has.

    Raises
    ------
    KeptFileError
        If they cannot be read.
    """
    try:
        with path.open("rb") as file:
            return Sha256("sha256:" + hashlib.file_digest(file, "sha256").hexdigest())
    except OSError as error:
        raise KeptFileError(name=path.name, why=_UNREADABLE) from error


def named(given: str) -> Witness:
    """Return the witness in ``NAME=FILE``, the file a public key (PEM).

    Raises
    ------
    KeyFileError, CosignatureRefusedError
        If the file is no such key, or a witness cannot be called that.
    """
    name, _, path = given.partition("=")
    return Witness(name, PublicKey.load(Path(path)))
