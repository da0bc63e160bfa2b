"""What both sides signed about a book or audit log that is lost for good.

The data officer says what is lost and what is there now (`loss.dsse.json`); the centre
agrees to exactly that statement and hands over its own book of this hospital's
releases (`loss-agreed.json`). Each agreed loss begins a new era; heads signed in an
earlier era are no measure for what is here now. Only reads and verifies; the deeds are
in `clients.loss_acceptance`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from clients.home import NodeHome
from clients.seals import read_limited
from federation.domain.ids import Sha256
from federation.errors.base import PlatformError
from federation.errors.heads import LossRefusedError
from federation.evidence.statements import PredicateType, Statement
from federation.evidence.verification import PublicKey, verify_envelope

LOSS_FILE = "loss.dsse.json"
AGREED_FILE = "loss-agreed.json"
LOSS = "loss"
LOSS_AGREED = "loss-agreed"
MOST_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss as the data officer signed it.

    Parameters
    ----------
    era
        Its number from 1; the era that begins with it.
    baseline
        The heads that were there when it was signed, as `Heads.as_json`.
    kept
        Content id of the reply whose heads do not hold any more; None where none is here.
    digest
        Content id of the signed envelope, which the centre agrees to.
    """

    era: int
    at: datetime
    reason: str
    baseline: object
    kept: Sha256 | None
    digest: Sha256


@dataclass(frozen=True, slots=True)
class Agreement:
    """The centre's word on a loss: its envelope, and its book of this hospital's releases."""

    envelope: str
    book: str

    def as_json(self) -> dict[str, object]:
        """Return it as it is kept and travels."""
        return {"agreed": self.envelope, "book": self.book}

    @classmethod
    def from_json(cls, raw: object) -> "Agreement":
        """Return what `as_json` wrote.

        Raises
        ------
        LossRefusedError
            If it is anything else.
        """
        match raw:
            case {"agreed": str(envelope), "book": str(book), **rest} if not rest:
                return cls(envelope, book)
        raise LossRefusedError(why="the agreement has another form")

    @classmethod
    def from_bytes(cls, content: bytes) -> "Agreement":
        """Return the agreement in a file; raises as `from_json`."""
        try:
            return cls.from_json(json.loads(content))
        except (ValueError, RecursionError) as error:
            raise LossRefusedError(why="the agreement is not JSON") from error


def loss_file(home: NodeHome) -> Path:
    """Return where the officer's statement lies."""
    return home.folder / LOSS_FILE


def agreement_file(home: NodeHome) -> Path:
    """Return where the centre's agreement lies."""
    return home.folder / AGREED_FILE


def loss_of(home: NodeHome) -> Loss | None:
    """Return the newest loss that this hospital's officer signed; None where none is.

    Raises
    ------
    LossRefusedError
        If the file is there and cannot be used.
    """
    content = _read(loss_file(home))
    if content is None:
        return None
    said = _said(content, PublicKey.load(home.officer_public_key), what=LOSS)
    if said.get("site") != str(home.settings().site):
        raise LossRefusedError(why="it is of another site")
    return _loss(said, Sha256.of(content))


def agreement_of(home: NodeHome) -> Agreement | None:
    """Return the agreement that is kept here, its signature not looked at; None where none is.

    Raises
    ------
    LossRefusedError
        If the file is there and cannot be used.
    """
    content = _read(agreement_file(home))
    return None if content is None else Agreement.from_bytes(content)


def check_agreement(home: NodeHome, loss: Loss, agreement: Agreement) -> None:
    """Return if this hospital's centre agreed to exactly this loss, with exactly this book.

    Raises
    ------
    LossRefusedError
        If it did not.
    """
    said = _said(
        agreement.envelope.encode(), PublicKey.load(home.centre_evidence_key), what=LOSS_AGREED
    )
    wanted = {
        "site": str(home.settings().site),
        "loss": str(loss.digest),
        "book": str(Sha256.of(agreement.book.encode())),
    }
    wrong = [name for name, value in wanted.items() if said.get(name) != value]
    if wrong:
        raise LossRefusedError(why=f"the agreement is about another {wrong[0]}")


def agreed_loss(home: NodeHome) -> Loss | None:
    """Return the newest loss if both sides signed it; None where none is, or one has not.

    Raises
    ------
    LossRefusedError
        If a file is there and cannot be used.
    """
    loss, agreement = loss_of(home), agreement_of(home)
    if loss is None or agreement is None:
        return None
    check_agreement(home, loss, agreement)
    return loss


def era_of(home: NodeHome) -> int:
    """Return how many losses both sides agreed on; raises as `agreed_loss`."""
    loss = agreed_loss(home)
    return 0 if loss is None else loss.era


def _read(path: Path) -> bytes | None:
    try:
        content = read_limited(path, MOST_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LossRefusedError(why="its file cannot be read") from error
    if len(content) > MOST_BYTES:
        raise LossRefusedError(why="its file is too large")
    return content


def _said(content: bytes, key: PublicKey, *, what: str) -> Mapping[str, object]:
    try:
        statement: Statement = verify_envelope(
            content, trusted={key.keyid: key}, expected=PredicateType.LEDGER
        )
    except PlatformError as error:
        raise LossRefusedError(why=f"it does not verify ({error.code})") from error
    if statement.predicate.get("what") != what:
        raise LossRefusedError(why="it is about something else")
    return statement.predicate


def _loss(said: Mapping[str, object], digest: Sha256) -> Loss:
    match said:
        case {
            "era": int(era),
            "at": str(at),
            "reason": str(reason),
            "now": baseline,
            "kept": str() | None as kept,
        } if era > 0:
            try:
                known = None if kept is None else Sha256(kept)
                return Loss(era, datetime.fromisoformat(at), reason, baseline, known, digest)
            except (ValueError, PlatformError) as error:
                raise LossRefusedError(why="a value of another form") from error
    raise LossRefusedError(why="it has another form")
