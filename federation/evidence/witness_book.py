"""What a witness keeps: of each log the newest state it signed, and what it refused to sign.

    book = WitnessBook(folder)
    line = book.answer(request, log=key, witness="hualien-ai", signer=signer, at=now)

One file, `witness.json`, 0600, written whole or not at all and on disk before the
signature leaves; a lock beside it keeps two runs apart, so that neither can sign behind
the other's back (c2sp.org/tlog-witness, add-checkpoint). Nothing is signed where the
file is missing: `begin` makes it once, and a witness that lost it needs a new key.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from federation.errors.witness import (
    CosignatureRefusedError,
    WitnessForkError,
    WitnessRollbackError,
)
from federation.evidence.inclusion import origin_of
from federation.evidence.signing import Signer
from federation.evidence.verification import PublicKey
from federation.evidence.witness import Request, cosigned
from federation.storage import write_atomic, write_new
from federation.wording import Text

FILE = "witness.json"
FORMAT = "trifed.witness/1"
MOST_REFUSED = 20
MAX_BYTES = 1 << 20

_MISSING = Text(
    en="this witness's file is missing: begin one with a new key (--begin)",
    zh="找不到本見證者的紀錄檔:請以新金鑰重新開始(--begin)",
)
_DAMAGED = Text(
    en="the file in which this witness keeps what it signed is damaged",
    zh="本見證者保存簽署紀錄的檔案已損壞",
)


@dataclass(frozen=True, slots=True)
class Refused:
    """A state signed by a log that contradicts what the witness signed: a proof against it."""

    code: str
    note: str
    at: str


@dataclass(frozen=True, slots=True)
class Kept:
    """The newest state of one log that the witness signed, its own line, and what it refused."""

    note: str | None = None
    line: str = ""
    refused: tuple[Refused, ...] = ()


class WitnessBook:
    """The states that one witness signed, in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self) -> None:
        """Make the empty file; one that is there stays as it is."""
        with self._alone(), contextlib.suppress(FileExistsError):
            write_new(self._folder / FILE, _content({}))

    def answer(
        self, request: Request, *, log: PublicKey, witness: str, signer: Signer, at: datetime
    ) -> str:
        """Return the witness's signature line for a request, after it is kept.

        Raises
        ------
        WitnessForkError, WitnessRollbackError
            If the log contradicts what was signed before; its state is kept as a proof.
        CosignatureRefusedError
            If the request, or the file here, cannot be used.
        """
        with self._alone():
            known = self._read()
            origin = origin_of(log)
            kept = known.get(origin, Kept())
            try:
                line = cosigned(
                    request, log=log, kept=kept.note, witness=witness, signer=signer, at=at
                )
            except (WitnessForkError, WitnessRollbackError) as error:
                refused = Refused(error.code, request.note, at.isoformat())
                self._write(known | {origin: _with_refused(kept, refused)})
                raise
            self._write(known | {origin: replace(kept, note=request.note, line=line)})
            return line

    def kept(self) -> Mapping[str, Kept]:
        """Return what is kept of each log, by its origin.

        Raises
        ------
        CosignatureRefusedError
            If the file is missing or damaged.
        """
        return self._read()

    def _read(self) -> dict[str, Kept]:
        try:
            with (self._folder / FILE).open("rb") as file:
                return kept_states(file.read(MAX_BYTES + 1))
        except FileNotFoundError as error:
            raise CosignatureRefusedError(why=_MISSING) from error
        except OSError as error:
            raise CosignatureRefusedError(why=_DAMAGED) from error

    def _write(self, states: Mapping[str, Kept]) -> None:
        write_atomic(self._folder / FILE, _content(states))

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self._folder / f".{FILE}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def kept_states(content: bytes) -> dict[str, Kept]:
    """Return what a witness's file says it keeps of each log.

    Raises
    ------
    CosignatureRefusedError
        If it is anything else.
    """
    try:
        if len(content) > MAX_BYTES:
            raise ValueError("too large")
        match json.loads(content):
            case {"format": str(said), "logs": dict(logs), **rest} if said == FORMAT and not rest:
                return {str(origin): _kept(raw) for origin, raw in logs.items()}
        raise ValueError("another form")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise CosignatureRefusedError(why=_DAMAGED) from error


def _content(states: Mapping[str, Kept]) -> bytes:
    logs = {origin: asdict(kept) for origin, kept in states.items()}
    return json.dumps({"format": FORMAT, "logs": logs}, indent=1).encode()


def _kept(raw: object) -> Kept:
    match raw:
        case {
            "note": str() | None as note,
            "line": str(line),
            "refused": list(refused),
            **rest,
        } if not rest:
            return Kept(note, line, tuple(Refused(**one) for one in refused))
    raise ValueError("another form")


def _with_refused(kept: Kept, refused: Refused) -> Kept:
    """Return it with one more refused state; the same one again is kept once."""
    if any(one.note == refused.note for one in kept.refused):
        return kept
    return replace(kept, refused=(*kept.refused, refused)[-MOST_REFUSED:])
