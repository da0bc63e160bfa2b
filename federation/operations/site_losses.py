"""Agree with a hospital that its privacy book or audit log is lost for good.

The hospital's statement, signed by its data officer, arrives by the control channel as
a document of the reserved name `ledger-loss`. `agree_to_loss` verifies it, enters it and
the centre's own word in the evidence log, puts the heads that do not hold any more
aside, and hands over what the centre's book says was released by that hospital.
"""

import json
from datetime import datetime
from pathlib import Path

from federation.coordinator.home import CentreHome
from federation.coordinator.records import ControlRecords
from federation.domain.ids import Sha256, SiteId, StudyId
from federation.errors.base import PlatformError
from federation.errors.heads import LossRefusedError
from federation.evidence.signing import Signer, sign_dsse
from federation.evidence.statements import PredicateType, Statement, Subject
from federation.evidence.verification import PublicKey, verify_envelope
from federation.operations.embedded_registry import release_books
from federation.operations.evidence_entries import log_statements
from federation.privacy.bookkeeping import Library
from federation.privacy.comparison import export, only
from federation.storage import write_atomic

FOLDER = "losses"
SENT_AS = StudyId("ledger-loss")
LOSS = "loss"
LOSS_AGREED = "loss-agreed"


def agree_to_loss(
    home: CentreHome,
    site: SiteId,
    *,
    reason: str,
    now: datetime,
    statement: bytes | None = None,
) -> Path:
    """Sign the centre's agreement to a hospital's loss; return the file for the hospital.

    Parameters
    ----------
    statement
        The hospital's statement where it was brought by hand; else the one it sent.

    Raises
    ------
    LossRefusedError
        If there is no statement, or it is not by the site's enrolled data officer.
    """
    content = statement or _sent(home, site)
    said = _verified(home, site, content)
    book = export(_released(home, site)).decode()
    agreed = _agreement(home, site, content, book, reason=reason, now=now)
    log_statements(home, [content.decode(), agreed])
    path = agreement_path(home, site)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    write_atomic(path, json.dumps({"agreed": agreed, "book": book}).encode())
    _put_heads_aside(home, site, said)
    return path


def agreement_path(home: CentreHome, site: SiteId) -> Path:
    """Return where the agreement for a site lies."""
    return home.folder / FOLDER / f"{site}.json"


def agreement_for(home: CentreHome, site: SiteId) -> object | None:
    """Return the agreement for a site as it travels; None where there is none."""
    path = agreement_path(home, site)
    found: object | None = json.loads(path.read_bytes()) if path.exists() else None
    return found


def _sent(home: CentreHome, site: SiteId) -> bytes:
    found = ControlRecords(home.folder).cards(SENT_AS).get(site)
    if found is None:
        raise LossRefusedError(why="the hospital sent none")
    return found


def _verified(home: CentreHome, site: SiteId, content: bytes) -> dict[str, object]:
    officer = home.roster().entry(site).officer_key
    if officer is None:
        raise LossRefusedError(why="the site has no enrolled data officer")
    key = PublicKey.from_pem(officer.encode(), name="officer key")
    try:
        found = verify_envelope(content, trusted={key.keyid: key}, expected=PredicateType.LEDGER)
    except PlatformError as error:
        raise LossRefusedError(why=f"it does not verify ({error.code})") from error
    said = dict(found.predicate)
    if (said.get("what"), said.get("site")) != (LOSS, str(site)):
        raise LossRefusedError(why="it is about something else")
    return said


def _agreement(
    home: CentreHome, site: SiteId, content: bytes, book: str, *, reason: str, now: datetime
) -> str:
    digest, of_book = Sha256.of(content), Sha256.of(book.encode())
    kept = ControlRecords(home.folder).heads(site)
    subjects = (Subject(f"loss/{site}", digest), Subject("ledger/released", of_book))
    said: dict[str, object] = {
        "what": LOSS_AGREED,
        "site": str(site),
        "at": now.isoformat(),
        "reason": reason,
        "loss": str(digest),
        "book": str(of_book),
        "kept": None if kept is None else str(Sha256.of(kept)),
    }
    return sign_dsse(
        Statement(subjects, PredicateType.LEDGER, said), Signer.load(home.evidence_key)
    )


def _released(home: CentreHome, site: SiteId) -> Library:
    return only(release_books(home).library(), site)


def _put_heads_aside(home: CentreHome, site: SiteId, said: dict[str, object]) -> None:
    path = home.folder / "heads" / f"{site}.dsse.json"
    if path.exists():
        path.replace(path.with_name(f"{site}.lost-{said.get('era')}"))
