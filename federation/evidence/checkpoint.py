"""The register's word on how long its log is and what it holds, in four lines.

A C2SP signed note (c2sp.org/signed-note) around a C2SP checkpoint
(c2sp.org/tlog-checkpoint): origin, size, root in base64, an empty line, and a
signature line. More signature lines are for witnesses; ours must be there.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from federation.errors.core import InvalidValueError
from federation.errors.signed import CheckpointError
from federation.evidence.signing import Signer
from federation.evidence.verification import PublicKey

MAX_CHECKPOINT_BYTES = 16_384
ED25519 = b"\x01"
"""A log's own signature (c2sp.org/signed-note, signature types)."""
_ORIGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:-]{0,127}")
_SIZE = re.compile(r"0|[1-9][0-9]{0,15}")
_SIGNATURE_LINE = re.compile(r"— ([^ +]+) ([A-Za-z0-9+/]+={0,2})")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's state: whose log, how many entries, and the 32-byte root over them.

    Raises
    ------
    InvalidValueError
        If the origin is not 1 to 128 letters, digits and ``._/:-``.
    """

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        if not _ORIGIN.fullmatch(self.origin):
            raise InvalidValueError(
                field="origin", actual=repr(self.origin[:80]), expected="letters, digits, ._/:-"
            )

    @property
    def text(self) -> str:
        """Return the three lines that are signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def sign_checkpoint(checkpoint: Checkpoint, signer: Signer) -> str:
    """Return the checkpoint as a signed note."""
    line = signature_line(checkpoint.text, name=checkpoint.origin, signer=signer)
    return f"{checkpoint.text}\n{line}"


def signature_line(text: str, *, name: str, signer: Signer) -> str:
    """Return one signature line over a note's text, ending in a line feed."""
    marked = key_hash(name, signer.public_key) + signer.sign(text.encode())
    return f"— {name} {base64.b64encode(marked).decode()}\n"


def key_hash(name: str, key: PublicKey, *, kind: bytes = ED25519) -> bytes:
    """Return the four bytes by which a note names a key; `kind` is the type of signature."""
    return hashlib.sha256(name.encode() + b"\n" + kind + key.raw).digest()[:4]


def verify_checkpoint(note: str, *, origin: str, key: PublicKey) -> Checkpoint:
    """Return the checkpoint in `note` if `key` signed it under the name `origin`.

    Raises
    ------
    CheckpointError
        If it is malformed, of another log, or not signed by that key.
    BadSignatureError
        If the signature does not fit.
    """
    text, lines = split_note(note)
    wanted = key_hash(origin, key)
    marked = [found for name, found in lines if name == origin and found[:4] == wanted]
    if not marked:
        raise CheckpointError(why="not signed by the expected key")
    key.verify(marked[0][4:], text.encode())
    checkpoint = checkpoint_of(text)
    if checkpoint.origin != origin:
        raise CheckpointError(why="it is of another log")
    return checkpoint


def split_note(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    """Return a note's text, and of each signature line the name and what it signed with it.

    The bytes begin with the four of `key_hash`; nothing is verified.

    Raises
    ------
    CheckpointError
        If it is not a signed note.
    """
    if len(note) > MAX_CHECKPOINT_BYTES:
        raise CheckpointError(why="too large")
    text, blank, block = note.rpartition("\n\n")
    if not blank or not block.endswith("\n"):
        raise CheckpointError(why="not a signed note")
    lines = [_SIGNATURE_LINE.fullmatch(line) for line in block[:-1].split("\n")]
    if not all(lines):
        raise CheckpointError(why="a malformed signature line")
    return text + "\n", [(line[1], _decoded(line[2])) for line in lines if line]


def checkpoint_of(text: str) -> Checkpoint:
    """Return the checkpoint that a note's text says, unverified.

    Raises
    ------
    CheckpointError
        If it is none, or not in its one spelling.
    """
    match text.split("\n"):
        case [origin, size, root, ""] if _SIZE.fullmatch(size) and _ORIGIN.fullmatch(origin):
            checkpoint = Checkpoint(origin, int(size), _decoded(root))
        case _:
            raise CheckpointError(why="not an origin, a size and a root")
    if len(checkpoint.root) != hashlib.sha256().digest_size or checkpoint.text != text:
        raise CheckpointError(why="not in its one spelling")
    return checkpoint


def _decoded(text: str) -> bytes:
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise CheckpointError(why="not base64") from error
    if base64.b64encode(content).decode() != text:
        raise CheckpointError(why="not in its one spelling")
    return content
