"""The node looks itself over: for its own staff, and for the centre as far as they allow.

`findings_of(home)` is what `trifed doctor` shows in the hospital. For the centre the
agent runs `python -m clients.checkup` (`clients/checkup_desk.py`), a process of its
own that can be stopped. Every check is independent: one that fails is a finding.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from clients import audit_log
from clients.heads import check_heads
from clients.home import NodeHome
from clients.ledger_store import LedgerStore
from clients.policy import policy_in_force
from clients.policy.signed import signature_file
from federation import provenance
from federation.checkup import home as homes
from federation.checkup.found import Check, Found, Level, Number, Travelled, looked, wrong
from federation.errors.approval import PolicyUnsignedError
from federation.errors.data import CatalogueVersionError
from federation.errors.enrolment import (
    CentreCertificateExpiredError,
    CentreCertificateNotYetValidError,
    ForeignNodeCertificateError,
    KitKeyMismatchError,
    NodeCertificateExpiredError,
    NodeCertificateNotYetValidError,
    NotJoinedError,
)
from federation.errors.observation import CodeReplacedError, PartNotRunningError
from federation.evidence.verification import PublicKey
from federation.pki.authority import is_issued_by
from federation.pki.expiry import WARN_BEFORE

MANY_RESTARTS = 20

_STATE_FILE = "node.json"


def findings_of(
    home: NodeHome, *, now: datetime, skew_ms: int | None = None, running: str = ""
) -> tuple[Found, ...]:
    """Return what every check of a node's home finds; changes nothing.

    Parameters
    ----------
    skew_ms
        The node's clock minus the centre's; None where the centre did not ask.
    running
        The digest of the code that the node runs; empty where none runs.
    """
    checks: dict[Check, Callable[[], Iterator[Found]]] = {
        Check.SETTINGS: lambda: _settings(home),
        Check.PERMISSIONS: lambda: homes.permissions(home.folder, [home.ledger]),
        Check.CLOCK: lambda: _clock(home, now, skew_ms),
        Check.DISK: lambda: homes.disk(home.folder),
        Check.CERTIFICATES: lambda: _certificate(home, now),
        Check.AUTHORITY: lambda: _authority(home, now),
        Check.SUPERNODE: lambda: _child(home, Check.SUPERNODE),
        Check.EXECUTOR: lambda: _child(home, Check.EXECUTOR),
        Check.CODE: lambda: _code(running),
        Check.POLICY: lambda: _policy(home, now),
        Check.CATALOGUE: lambda: _catalogue(home),
        Check.LEDGER: lambda: _ledger(home),
        Check.AUDIT: lambda: _audit(home),
        Check.HEADS: lambda: _heads(home),
        Check.REPLIES: lambda: _replies(home),
    }
    return tuple(found for check, look in checks.items() for found in looked(check, look))


def _settings(home: NodeHome) -> Iterator[Found]:
    home.settings()
    yield Found(Check.SETTINGS)


def _clock(home: NodeHome, now: datetime, skew_ms: int | None) -> Iterator[Found]:
    if skew_ms is None:
        return homes.clock_against_files(home.folder, now)
    return homes.clock_against_peer(skew_ms)


def _certificate(home: NodeHome, now: datetime) -> Iterator[Found]:
    settings = home.settings()
    if not home.has_joined:
        not_joined = NotJoinedError(site=settings.site)
        yield wrong(Check.CERTIFICATES, not_joined, level=Level.WARNING)
        return
    certificate = home.certificate()
    if not is_issued_by(certificate, home.root()):
        foreign = ForeignNodeCertificateError(node=settings.site, centre=settings.centre)
        yield wrong(Check.CERTIFICATES, foreign)
    if home.load_tls_key().public_key() != certificate.public_key():
        yield wrong(Check.CERTIFICATES, KitKeyMismatchError(site=settings.site))
    yield homes.dates(
        Check.CERTIFICATES,
        certificate,
        now,
        over=NodeCertificateExpiredError(node=settings.site, when=""),
        early=NodeCertificateNotYetValidError(node=settings.site, when=""),
    )


def _authority(home: NodeHome, now: datetime) -> Iterator[Found]:
    if home.authority_certificate.is_file():
        centre = home.settings().centre
        yield homes.dates(
            Check.AUTHORITY,
            home.root(),
            now,
            over=CentreCertificateExpiredError(centre=centre, when=" (root)"),
            early=CentreCertificateNotYetValidError(centre=centre, when=" (root)"),
        )


def _child(home: NodeHome, check: Check) -> Iterator[Found]:
    """Find a child of the agent that does not run, or was started again many times."""
    state = home.run / _STATE_FILE
    if not state.exists():
        return
    said = json.loads(state.read_text(encoding="utf-8"))
    restarts = max(int(said["starts"][check.value]) - 1, 0)
    numbers = {Number.RESTARTS: restarts}
    if not _runs(said["children"][check.value]):
        yield Found(check, Level.PROBLEM, PartNotRunningError(name=check.value), numbers)
    else:
        yield Found(check, Level.WARNING if restarts >= MANY_RESTARTS else Level.OK, None, numbers)


def _runs(pid: object) -> bool:
    import psutil

    return isinstance(pid, int) and psutil.pid_exists(pid)


def _code(running: str) -> Iterator[Found]:
    if running and running != provenance.code_digest():
        yield wrong(Check.CODE, CodeReplacedError())
    else:
        yield Found(Check.CODE)


def _policy(home: NodeHome, now: datetime) -> Iterator[Found]:
    """Find a policy that does not hold; an unsigned one allows nothing, so it only warns."""
    if not signature_file(home).exists():
        yield wrong(Check.POLICY, PolicyUnsignedError(), level=Level.WARNING)
        return
    days = (policy_in_force(home, now=now).expires - now).days
    level = Level.WARNING if days < WARN_BEFORE.days else Level.OK
    yield Found(Check.POLICY, level, numbers={Number.DAYS: days})


def _catalogue(home: NodeHome) -> Iterator[Found]:
    """Open the catalogue as it is; whether there is one yet, or anything in it, is not said."""
    from clients.data.catalogue import database
    from clients.data.catalogue.tables import SCHEMA, version_of

    place = database.place_of(home.data)
    if place != database.sqlite_url(home.data) or home.catalogue.exists():
        with database.connect(place) as connection:
            found = version_of(connection)
        if found > SCHEMA:
            yield wrong(Check.CATALOGUE, CatalogueVersionError(found=found, wanted=SCHEMA))
            return
    yield Found(Check.CATALOGUE)


def _books(home: NodeHome) -> LedgerStore:
    return LedgerStore(home.ledger, officer=PublicKey.load(home.officer_public_key))


def _ledger(home: NodeHome) -> Iterator[Found]:
    if home.ledger.exists():
        _books(home).library()
    yield Found(Check.LEDGER)


def _audit(home: NodeHome) -> Iterator[Found]:
    if audit_log.files_of(home.audit_log):
        audit_log.head(home.audit_log)
    yield Found(Check.AUDIT)


def _heads(home: NodeHome) -> Iterator[Found]:
    if home.ledger.exists():
        check_heads(home, books=_books(home))
    yield Found(Check.HEADS)


def _replies(home: NodeHome) -> Iterator[Found]:
    """Count the rounds whose reply is kept, which the centre itself asked."""
    kept = sum(1 for _ in home.replies.glob("*/*-*-*.json"))
    yield Found(Check.REPLIES, numbers={Number.KEPT: kept})


def main() -> None:
    """Print what the checks find, as one line of JSON."""
    parser = argparse.ArgumentParser(prog="trifed-checkup")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--skew-ms", type=int, required=True)
    parser.add_argument("--running", required=True)
    given = parser.parse_args()
    from federation.wire.parent import end_with_parent

    end_with_parent()
    found = findings_of(
        NodeHome(given.home.absolute()),
        now=datetime.now(UTC),
        skew_ms=given.skew_ms,
        running=given.running,
    )
    print(json.dumps([_as_json(one.travels()) for one in found]))


def _as_json(found: Travelled) -> dict[str, object]:
    return {
        "check": found.check,
        "level": found.level.value,
        "code": found.code or "",
        "numbers": {name.value: value for name, value in found.numbers.items()},
    }


if __name__ == "__main__":
    main()
