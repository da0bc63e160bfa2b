"""Say how far book and audit log are, signed, so that neither side can rewrite alone.

Every reply's signed statement carries the heads (`gate.Departure.heads`), so the
centre's evidence log has them. The centre gives the newest reply of a node back when
the node connects (`take_heads`), and `check_heads` compares before every message: a
book or log put back from an older copy trains nobody. The node signed it itself: the
centre can keep an old one back, but not make one up. The other half, the state of the
centre's log that the node keeps, is `clients.centre_heads`; what was lost for good is
accepted by both sides (`clients.loss_acceptance`), and a new era begins.

    take_heads(home, envelope)          # the channel, at every welcome
    check_heads(home, books=books)      # the channel, and the executor before a message
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from clients import audit_log
from clients.audit_log import LogHead
from clients.home import NodeHome
from clients.losses import agreed_loss, loss_of
from clients.seals import read_limited
from federation.domain.ids import Sha256, SiteId
from federation.errors.base import PlatformError
from federation.errors.heads import LossNotAgreedError
from federation.errors.ledger import HeadsRefusedError
from federation.evidence.dsse import read_envelope
from federation.evidence.signing import Signer, sign_dsse
from federation.evidence.statements import PredicateType, Statement, Subject
from federation.evidence.verification import PublicKey, verify_envelope
from federation.privacy.bookkeeping import Bookkeeper, LedgerHead
from federation.storage import write_atomic

FILE = "heads.dsse.json"

_WHAT = "heads"
_OF_A_REPLY = (PredicateType.UPDATE, PredicateType.EVALUATION)


@dataclass(frozen=True, slots=True)
class Heads:
    """The heads of the privacy book and of the audit log at one moment.

    `era` is how many losses both sides had agreed on then.
    """

    ledger: LedgerHead
    audit: LogHead
    era: int = 0

    @property
    def age(self) -> tuple[int, int, int]:
        """Return how much was written until then; of two heads of a node the larger is newer."""
        return (self.era, self.audit.lines, self.ledger.entries)

    def as_json(self) -> dict[str, object]:
        """Return the heads as a statement holds them."""
        content: dict[str, object] = {
            "ledger": {"entries": self.ledger.entries, "head": str(self.ledger.head)},
            "audit": {"lines": self.audit.lines, "head": str(self.audit.head)},
        }
        return content | ({"era": self.era} if self.era else {})

    @classmethod
    def from_json(cls, raw: object) -> "Heads":
        """Return the heads that `as_json` wrote.

        Raises
        ------
        HeadsRefusedError
            If it is anything else.
        """
        match raw:
            case {
                "ledger": {"entries": int(entries), "head": str(book)},
                "audit": {"lines": int(lines), "head": str(log)},
                **rest,
            } if set(rest) <= {"era"} and entries >= 0 and lines >= 0:
                try:
                    of_book, of_log = LedgerHead(entries, Sha256(book)), LogHead(lines, Sha256(log))
                    return cls(of_book, of_log, _era(rest.get("era", 0)))
                except PlatformError as error:
                    raise HeadsRefusedError(why="a digest that is none") from error
        raise HeadsRefusedError(why="not the heads of a book and a log")


def heads_now(books: Bookkeeper, log: Path, *, era: int = 0) -> Heads:
    """Return the present heads, both chains verified; `era` as `losses.era_of`.

    Raises
    ------
    LedgerChainBrokenError, AuditLogBrokenError
        If one of them does not hold.
    """
    return Heads(books.head(), audit_log.head(log), era)


def sign_heads(heads: Heads, *, site: SiteId, signer: Signer, at: str) -> str:
    """Return the heads as a DSSE envelope by the node's key, for the centre to keep."""
    subjects = (
        Subject("ledger/head", heads.ledger.head),
        Subject("audit/head", heads.audit.head),
    )
    said = {"what": _WHAT, "site": str(site), "at": at, "heads": heads.as_json()}
    return sign_dsse(Statement(subjects, PredicateType.LEDGER, said), signer)


def read_heads(envelope: str | bytes, *, site: SiteId, key: PublicKey) -> Heads:
    """Return the heads in an envelope, of this site and signed by its key.

    Raises
    ------
    HeadsRefusedError
        If it is not signed by that key, is of another site, or says anything else.
    """
    try:
        statement = verify_envelope(
            envelope, trusted={key.keyid: key}, expected=PredicateType.LEDGER
        )
    except PlatformError as error:
        raise HeadsRefusedError(why=f"it does not verify ({error.code})") from error
    said: Mapping[str, object] = statement.predicate
    if (said.get("what"), said.get("site")) != (_WHAT, str(site)):
        raise HeadsRefusedError(why="it is about something else")
    return Heads.from_json(said.get("heads"))


def check_not_rolled_back(old: Heads, *, books: Bookkeeper, log: Path) -> Heads:
    """Return the present heads if book and log continue those that were signed.

    Raises
    ------
    LedgerRolledBackError, AuditLogRolledBackError
        If one is an older copy, or another.
    LedgerChainBrokenError, AuditLogBrokenError
        If one does not hold at all.
    """
    return Heads(books.check_follows(old.ledger), audit_log.check_follows(log, old.audit), old.era)


def heads_in_reply(envelope: str | bytes, *, site: SiteId, key: PublicKey) -> Heads:
    """Return the heads in a reply's signed statement, of this site and signed by its key.

    Raises
    ------
    HeadsRefusedError
        If it is not signed by that key, is of another site, is no reply, or has none.
    """
    try:
        kind = Statement.from_bytes(read_envelope(envelope).payload).predicate_type
        if kind not in _OF_A_REPLY:
            raise HeadsRefusedError(why="it is not a reply")
        said = verify_envelope(envelope, trusted={key.keyid: key}, expected=kind).predicate
    except HeadsRefusedError:
        raise
    except PlatformError as error:
        raise HeadsRefusedError(why=f"it does not verify ({error.code})") from error
    if said.get("site") != str(site):
        raise HeadsRefusedError(why="it is of another site")
    return Heads.from_json(said.get("heads"))


def heads_file(home: NodeHome) -> Path:
    """Return where a node keeps the newest of its replies that the centre gave back."""
    return home.folder / FILE


def take_heads(home: NodeHome, envelope: bytes) -> None:
    """Keep the reply that the centre gave back, unless a newer one is here.

    Raises
    ------
    HeadsRefusedError
        If this node did not sign it; what is here stays.
    """
    given, known = _heads_of(home, envelope), None
    with suppress(HeadsRefusedError):  # what cannot be used is replaced by what can
        known = known_heads(home)
    if known is None or given.age > known.age:
        write_atomic(heads_file(home), envelope)


def known_heads(home: NodeHome) -> Heads | None:
    """Return the newest heads the centre gave back; None where it never gave any.

    Raises
    ------
    HeadsRefusedError
        If the file is there and cannot be used.
    """
    try:
        content = read_limited(heads_file(home))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise HeadsRefusedError(why="its file cannot be read") from error
    return _heads_of(home, content)


def check_heads(home: NodeHome, *, books: Bookkeeper) -> None:
    """Return if book and log continue what this node signed and the centre gave back.

    After a loss that both sides agreed on, they continue what was there then, and
    heads from before it count no more.

    Raises
    ------
    HeadsRefusedError
        If what was given back cannot be used, or is of an era that is unknown here.
    LossNotAgreedError, LossRefusedError
        If a loss waits for the centre's agreement, or one of both words cannot be used.
    LedgerRolledBackError, AuditLogRolledBackError, LedgerChainBrokenError, AuditLogBrokenError
        As `check_not_rolled_back`.
    """
    era = _check_since_loss(home, books)
    known = known_heads(home)
    if known is None or known.era < era:
        return
    if known.era > era:
        raise HeadsRefusedError(why="they are from after a loss that is not known here")
    check_not_rolled_back(known, books=books, log=home.audit_log)


def _check_since_loss(home: NodeHome, books: Bookkeeper) -> int:
    """Return the present era if book and log continue what was there when it began."""
    loss = loss_of(home)
    if loss is None:
        return 0
    if agreed_loss(home) is None:
        raise LossNotAgreedError(date=f"{loss.at:%Y-%m-%d}")
    baseline = Heads.from_json(loss.baseline)
    check_not_rolled_back(baseline, books=books, log=home.audit_log)
    return loss.era


def _era(raw: object) -> int:
    if not isinstance(raw, int) or isinstance(raw, bool) or raw < 0:
        raise HeadsRefusedError(why="an era that is no number")
    return raw


def _heads_of(home: NodeHome, envelope: bytes) -> Heads:
    key = PublicKey.load(home.node_public_key)
    return heads_in_reply(envelope, site=home.settings().site, key=key)
