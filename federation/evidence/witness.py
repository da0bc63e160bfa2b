"""Co-sign a log's signed state as its witness, and count who co-signed it.

A witness says: "of all states of this log that I was shown, this is the newest, and it
contains every earlier one". So a log that shows different things to different readers
needs every witness as its accomplice. The forms are C2SP's: a co-signature is one more
signature line of the note (c2sp.org/tlog-cosignature, Ed25519, ``cosignature/v1``), a
request is the body of ``add-checkpoint`` (c2sp.org/tlog-witness). `cosigned` decides, in
order:
1. the note is signed by the log's own key;
2. it does not have fewer entries than the one signed last, nor another root for as many;
3. the proof starts from the one signed last and leads to this one;
4. only then it is signed, with the time. `federation.evidence.witness_book` keeps it.
"""

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from federation.errors.signed import BadSignatureError, CheckpointError, ProofError
from federation.errors.witness import (
    CosignatureRefusedError,
    TooFewWitnessesError,
    WitnessForkError,
    WitnessRollbackError,
)
from federation.evidence import merkle
from federation.evidence.checkpoint import (
    MAX_CHECKPOINT_BYTES,
    Checkpoint,
    checkpoint_of,
    key_hash,
    split_note,
    verify_checkpoint,
)
from federation.evidence.inclusion import origin_of
from federation.evidence.signing import Signer
from federation.evidence.verification import PublicKey
from federation.wording import Text

COSIGNATURE = b"\x04"
"""A timestamped Ed25519 co-signature (c2sp.org/tlog-cosignature, Format)."""

MAX_STEPS = 63
MAX_REQUEST_BYTES = MAX_CHECKPOINT_BYTES + 64 * 64
MAX_WITNESSES = 64
_HEADER = "cosignature/v1"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}")
_OLD = re.compile(r"old (0|[1-9][0-9]{0,15})")
_HASH_BYTES = 32
_TIME_BYTES = 8
_SIGNATURE_BYTES = 64
_MAX_TIME = 2**62

_NAME_FORM = Text(
    en="a witness's name is 1 to 100 letters, digits and ._:/-",
    zh="見證者名稱須為 1 至 100 個英數字或 ._:/-",
)
_REQUEST_FORM = Text(en="the request has another form", zh="請求的格式不符")
_NOT_SIGNED = Text(
    en="the log's own key did not sign the state ({code})", zh="紀錄自身的金鑰未簽署該狀態({code})"
)
_OTHER_START = Text(
    en="the proof starts from {old} entries, and this witness signed {kept}",
    zh="證明始於 {old} 筆,而本見證者已簽署 {kept} 筆",
)
_LINE_FORM = Text(en="it is not one signature line of a co-signature", zh="內容不是一行共同簽章")
_NOT_OVER_THIS = Text(
    en="the signature does not fit the log's state of that size", zh="簽章與該筆數的紀錄狀態不符"
)
_OWN_KEY = Text(en="the log's own key cannot be its witness", zh="紀錄自身的金鑰不得作為見證者")


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness as its readers know it: a name and an Ed25519 key.

    Raises
    ------
    CosignatureRefusedError
        If the name is not one that a note can say.
    """

    name: str
    key: PublicKey

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise CosignatureRefusedError(why=_NAME_FORM)


@dataclass(frozen=True, slots=True)
class Request:
    """What a log asks of a witness: this note, and the proof from `old` entries to it."""

    old: int
    proof: tuple[bytes, ...]
    note: str

    def as_text(self) -> str:
        """Return the body of ``add-checkpoint``."""
        steps = [base64.b64encode(step).decode() for step in self.proof]
        return "\n".join([f"old {self.old}", *steps, "", self.note])

    @classmethod
    def from_text(cls, text: str) -> "Request":
        """Return the request that `as_text` wrote, unverified.

        Raises
        ------
        CosignatureRefusedError
            If it is anything else.
        """
        head, blank, note = text.partition("\n\n")
        old, *steps = head.split("\n")
        said = _OLD.fullmatch(old)
        if len(text) > MAX_REQUEST_BYTES or not blank or said is None or len(steps) > MAX_STEPS:
            raise CosignatureRefusedError(why=_REQUEST_FORM)
        return cls(int(said[1]), tuple(_hash(step) for step in steps), note)


@dataclass(frozen=True, slots=True)
class Cosigned:
    """That a witness signed a note: when, and the line that says so."""

    witness: Witness
    at: datetime
    line: str


def cosigned(
    request: Request,
    *,
    log: PublicKey,
    kept: str | None,
    witness: str,
    signer: Signer,
    at: datetime,
) -> str:
    """Return the witness's signature line for the state asked for.

    Parameters
    ----------
    log
        The key of the log.
    kept
        The note that this witness signed last; None before the first.
    witness
        The witness's name.
    at
        The present time, with its zone.

    Raises
    ------
    WitnessForkError, WitnessRollbackError
        If the log is not a continuation of what was signed last.
    CosignatureRefusedError
        If the log's key did not sign it, the proof starts elsewhere, or the witness is the log.
    """
    shown = _verified(request.note, log)
    if signer.keyid == log.keyid:
        raise CosignatureRefusedError(why=_OWN_KEY)
    _check_grown(request, shown, None if kept is None else _verified(kept, log))
    return cosign(shown.text, witness=witness, signer=signer, at=at)


def cosign(text: str, *, witness: str, signer: Signer, at: datetime) -> str:
    """Return a co-signature line over a note's text, ending in a line feed; decides nothing."""
    name = Witness(witness, signer.public_key).name
    seconds = int(at.timestamp())
    signature = signer.sign(_message(text, seconds))
    marked = key_hash(name, signer.public_key, kind=COSIGNATURE)
    marked += seconds.to_bytes(_TIME_BYTES, "big") + signature
    return _line(name, marked)


def cosigners(note: str, witnesses: Iterable[Witness]) -> list[Cosigned]:
    """Return which of the witnesses co-signed a note; lines of others are ignored.

    Raises
    ------
    CosignatureRefusedError
        If it is no note, or a line that names one of the witnesses does not fit it.
    """
    text, lines = _split(note)
    found: dict[str, Cosigned] = {}
    for witness in witnesses:
        for name, marked in lines:
            at = _time_of(text, name, marked, witness)
            if at is not None:
                found.setdefault(name, Cosigned(witness, at, _line(name, marked)))
    return list(found.values())


def check_witnessed(note: str, witnesses: Iterable[Witness], *, needed: int) -> list[Cosigned]:
    """Return who co-signed a note if they are enough; two names with one key count once.

    Raises
    ------
    TooFewWitnessesError
        If fewer than `needed` did.
    CosignatureRefusedError
        As `cosigners`.
    """
    found = cosigners(note, witnesses)
    keys = {one.witness.key.keyid for one in found}
    if len(keys) < needed:
        raise TooFewWitnessesError(found=len(keys), needed=needed)
    return found


def with_cosignatures(note: str, lines: Iterable[str]) -> str:
    """Return the note with more signature lines below its own."""
    return note + "".join(lines)


def _check_grown(request: Request, shown: Checkpoint, kept: Checkpoint | None) -> None:
    size = 0 if kept is None else kept.size
    values = {"origin": shown.origin, "kept": size, "given": shown.size}
    if kept is not None and shown.size < size:
        raise WitnessRollbackError(**values)
    if kept is not None and shown.size == size and shown.root != kept.root:
        raise WitnessForkError(**values)
    if request.old != size:
        raise CosignatureRefusedError(why=_filled(_OTHER_START, old=request.old, kept=size))
    try:
        merkle.verify_consistency(
            old=size,
            old_root=merkle.EMPTY_ROOT if kept is None else kept.root,
            new=shown.size,
            new_root=shown.root,
            proof=request.proof,
        )
    except ProofError as error:
        raise WitnessForkError(**values) from error


def _verified(note: str, log: PublicKey) -> Checkpoint:
    try:
        return verify_checkpoint(note, origin=origin_of(log), key=log)
    except (CheckpointError, BadSignatureError) as error:
        raise CosignatureRefusedError(why=_filled(_NOT_SIGNED, code=error.code)) from error


def _time_of(text: str, name: str, marked: bytes, witness: Witness) -> datetime | None:
    """Return the time of a line that names this witness and key; None if it names another."""
    expected = key_hash(witness.name, witness.key, kind=COSIGNATURE)
    if name != witness.name or marked[:4] != expected:
        return None
    signed = marked[len(expected) :]
    seconds = int.from_bytes(signed[:_TIME_BYTES], "big")
    if len(signed) != _TIME_BYTES + _SIGNATURE_BYTES or seconds > _MAX_TIME:
        raise CosignatureRefusedError(why=_LINE_FORM)
    try:
        witness.key.verify(signed[_TIME_BYTES:], _message(text, seconds))
        return datetime.fromtimestamp(seconds, UTC)
    except BadSignatureError as error:
        raise CosignatureRefusedError(why=_NOT_OVER_THIS) from error
    except (OverflowError, ValueError, OSError) as error:
        raise CosignatureRefusedError(why=_LINE_FORM) from error


def _line(name: str, marked: bytes) -> str:
    return f"— {name} {base64.b64encode(marked).decode()}\n"


def _message(text: str, seconds: int) -> bytes:
    return f"{_HEADER}\ntime {seconds}\n{text}".encode()


def _split(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    try:
        text, lines = split_note(note)
        checkpoint_of(text)
    except CheckpointError as error:
        raise CosignatureRefusedError(why=_LINE_FORM) from error
    return text, lines


def _filled(text: Text, **values: object) -> Text:
    return Text(en=text.en.format(**values), zh=text.zh.format(**values))


def _hash(text: str) -> bytes:
    try:
        step = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise CosignatureRefusedError(why=_REQUEST_FORM) from error
    if len(step) != _HASH_BYTES or base64.b64encode(step).decode() != text:
        raise CosignatureRefusedError(why=_REQUEST_FORM)
    return step
