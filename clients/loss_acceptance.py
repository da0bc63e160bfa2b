"""Go on after the privacy book or the audit log is lost for good: the deeds of both signatures.

    accept_loss(home, reason="…", officer=signer, now=now)     # the data officer, here
    take_agreement(home, agreement, now=now)                   # what the centre signed

Between the two nothing is answered. The centre's book of what this hospital released
becomes part of the new book, so that what is known to be spent goes on counting; what
was reserved and never released is known to nobody any more and is not counted.
"""

import json
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from clients import audit_log
from clients.heads import check_heads, heads_file, heads_now, known_heads
from clients.home import NodeHome
from clients.ledger_store import LedgerStore
from clients.losses import (
    LOSS,
    Agreement,
    agreement_file,
    agreement_of,
    check_agreement,
    loss_file,
    loss_of,
)
from federation.domain.ids import Sha256
from federation.errors.base import PlatformError
from federation.errors.heads import LossNotAgreedError, LossRefusedError, NothingLostError
from federation.errors.ledger import (
    AuditLogBrokenError,
    LedgerChainBrokenError,
    LedgerDamagedError,
)
from federation.evidence.dsse import read_envelope
from federation.evidence.signing import Signer, sign_dsse
from federation.evidence.statements import PredicateType, Statement, Subject
from federation.evidence.verification import PublicKey
from federation.privacy.bookkeeping import Bookkeeper
from federation.privacy.comparison import read_export
from federation.privacy.ledger import Budget, EntryKind
from federation.storage import write_atomic

RECOVERED = "recovered"
"""The dataset under which the centre's account of lost rounds is entered."""

SENT_AS = "ledger-loss.json"
"""Its name among the documents that the agent sends; no study is called so."""

MOST_REASON = 200
_NO_LIMIT = Budget(epsilon=float("inf"), delta=0.5)


def accept_loss(
    home: NodeHome, *, reason: str, officer: Signer, now: datetime, start_anew: bool = False
) -> Path:
    """Sign that book or audit log are lost and what is there now; return the statement's file.

    Parameters
    ----------
    officer
        The data officer's key.
    start_anew
        Put a book or log that cannot be read aside, as `*.lost-N`, and begin a new one.

    Raises
    ------
    NothingLostError
        If book and log continue what was signed of them.
    LossRefusedError
        If the signer is not the officer, or the reason is not one printable line.
    LedgerDamagedError, LedgerChainBrokenError, AuditLogBrokenError
        If one cannot be read and is not to be put aside.
    """
    _check_words(home, reason, officer)
    era = _next_era(home)
    if start_anew:
        _put_broken_aside(home, era)
    books = _books(home)
    code = _why_lost(home, books)
    baseline = heads_now(books, home.audit_log, era=era)
    said: dict[str, object] = {
        "what": LOSS,
        "site": str(home.settings().site),
        "era": era,
        "at": now.isoformat(),
        "reason": reason,
        "code": code,
        "kept": _digest_of(heads_file(home)),
        "now": baseline.as_json(),
    }
    subjects = (
        Subject("ledger/head", baseline.ledger.head),
        Subject("audit/head", baseline.audit.head),
    )
    envelope = sign_dsse(Statement(subjects, PredicateType.LEDGER, said), officer).encode()
    agreement_file(home).unlink(missing_ok=True)
    write_atomic(loss_file(home), envelope)
    home.cards.mkdir(mode=0o700, exist_ok=True)
    write_atomic(home.cards / SENT_AS, envelope)
    details = {"era": str(era), "code": code, "digest": str(Sha256.of(envelope))}
    audit_log.note_loss(home.audit_log, details)
    return loss_file(home)


def take_agreement(home: NodeHome, agreement: Agreement, *, now: datetime) -> bool:
    """Take in what the centre agreed to; say whether anything changed.

    The centre sends it at every connection: what was taken in, and what is about an
    earlier loss, changes nothing.

    Raises
    ------
    LossRefusedError
        If it is not this centre's word on the loss that is waiting here.
    LedgerChainBrokenError
        If the centre's book is none.
    """
    loss = loss_of(home)
    if loss is None or agreement_of(home) is not None:
        return False
    check_agreement(home, loss, agreement)
    _enter_released(_books(home), agreement, at=now.isoformat())
    if heads_file(home).exists():
        heads_file(home).replace(heads_file(home).with_suffix(f".lost-{loss.era}"))
    write_atomic(agreement_file(home), json.dumps(agreement.as_json()).encode())
    (home.cards / SENT_AS).unlink(missing_ok=True)
    digest = str(Sha256.of(agreement.envelope.encode()))
    audit_log.note_loss(home.audit_log, {"era": str(loss.era), "agreed": digest})
    return True


def _enter_released(books: Bookkeeper, agreement: Agreement, *, at: str) -> None:
    """Enter every round that the centre accepted and this book does not know as spent."""
    library = books.library()
    known = {key for book in library.books.values() for key in book.standing()}
    for book in read_export(agreement.book.encode()).books.values():
        for key, entry in book.standing().items():
            if key in known or entry.study is None:
                continue
            books.reserve(
                RECOVERED,
                study=entry.study,
                key=key,
                events=entry.events,
                budget=_NO_LIMIT,
                plan=_NO_LIMIT,
                accountant=lambda _events, _delta: 0.0,
                at=at,
            )
    recovered = books.book(RECOVERED)
    for key, entry in recovered.standing().items():
        if recovered.state_of(key) is EntryKind.RESERVED and entry.study is not None:
            books.settle(RECOVERED, study=entry.study, key=key, kind=EntryKind.COMMITTED, at=at)


def _check_words(home: NodeHome, reason: str, officer: Signer) -> None:
    if officer.keyid != PublicKey.load(home.officer_public_key).keyid:
        raise LossRefusedError(why="it is not by this hospital's data officer")
    if not reason.isprintable() or not 0 < len(reason.strip()) <= MOST_REASON:
        raise LossRefusedError(why=f"a reason of 1 to {MOST_REASON} printable characters is needed")


def _why_lost(home: NodeHome, books: Bookkeeper) -> str:
    """Return the code of what does not hold; one that waits for the centre is signed anew."""
    try:
        check_heads(home, books=books)
    except LossNotAgreedError as error:
        return error.code
    except PlatformError as error:
        return error.code
    raise NothingLostError()


def _next_era(home: NodeHome) -> int:
    """Return the number of the era that begins, above every one that was signed here.

    It is read from a statement that may not verify any more: after the officer's key
    was lost too, a number too high does no harm.
    """
    era = 0
    with suppress(PlatformError):
        known = known_heads(home)
        era = 0 if known is None else known.era
    with suppress(PlatformError, OSError):
        said = Statement.from_bytes(read_envelope(loss_file(home).read_bytes()).payload).predicate
        signed = said.get("era")
        agreed = agreement_file(home).exists()
        if isinstance(signed, int) and not isinstance(signed, bool):
            era = max(era, signed if agreed else signed - 1)
    return era + 1


def _put_broken_aside(home: NodeHome, era: int) -> None:
    try:
        _books(home).head()
    except (LedgerDamagedError, LedgerChainBrokenError):
        for path in sorted(home.folder.glob(f"{home.ledger.name}*")):
            path.replace(path.with_name(f"{path.name}.lost-{era}"))
    try:
        audit_log.verify(home.audit_log)
    except AuditLogBrokenError:
        for path in audit_log.files_of(home.audit_log):
            path.replace(path.with_name(f"{path.name}.lost-{era}"))


def _books(home: NodeHome) -> LedgerStore:
    return LedgerStore(home.ledger, officer=PublicKey.load(home.officer_public_key))


def _digest_of(path: Path) -> str | None:
    return str(Sha256.of(path.read_bytes())) if path.exists() else None
