"""The centre's roster: which sites there are, and whose certificate may come in.

One SQLite file, written by the command line and the running centre at once.
Every write is one immediate transaction that also stores its `AuditEvent`; the
states are those of `domain.site.SITE`. `peer_of` turns the certificate of a
connection into a `PeerIdentity`, or raises the coded reason why not.
"""

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509

from federation.domain.audit import AuditEvent
from federation.domain.ids import SiteId
from federation.domain.site import SITE, SiteState
from federation.errors.core import UnreadableRecordError
from federation.errors.enrolment import (
    ForeignNodeCertificateError,
    InvitationUsedError,
    KeyAlreadyEnrolledError,
    NodeCertificateRevokedError,
    NodeCertificateUnfitError,
    NodeCertificateUnknownError,
    SiteExistsError,
    SiteUnknownError,
    WrongSiteError,
)
from federation.pki.authority import (
    certificate_pem,
    is_issued_by,
    key_digest,
    load_certificate,
    serial_text,
    site_of,
)
from federation.pki.documents import instant, instant_text
from federation.pki.expiry import date_note
from federation.pki.kit import check_dates
from federation.pki.requests import VerifiedRequest, check_not_expired
from federation.storage import no_room

_VERSION = 1
_WAIT_S = 30.0
_WRITE_BYTES = 1_000_000
_SCHEMA = """
CREATE TABLE sites (
    site TEXT PRIMARY KEY, name TEXT NOT NULL, state TEXT NOT NULL,
    invitation_key TEXT NOT NULL, invitation_expires TEXT NOT NULL,
    csr TEXT, tls_digest TEXT UNIQUE, flower_key TEXT UNIQUE, node_key TEXT UNIQUE,
    officer_key TEXT, software TEXT, serial TEXT, changed TEXT NOT NULL, reason TEXT) STRICT;
CREATE TABLE certificates (
    serial TEXT PRIMARY KEY, site TEXT NOT NULL REFERENCES sites, pem TEXT NOT NULL) STRICT;
CREATE TABLE audit (
    number INTEGER PRIMARY KEY, kind TEXT NOT NULL, actor TEXT NOT NULL,
    subject TEXT NOT NULL, at TEXT NOT NULL, details TEXT NOT NULL) STRICT;
"""


@dataclass(frozen=True, slots=True)
class PeerIdentity:
    """Who is at the other end of a connection, proved by a certificate in the roster."""

    site: SiteId
    serial: str


@dataclass(frozen=True, slots=True)
class SiteEntry:
    """One site of the roster. Keys and certificate are None until it is enrolled.

    `flower_key` is an OpenSSH line, `node_key` and `officer_key` are PEM;
    `changed` is when the state was entered.
    """

    site: SiteId
    name: str
    state: SiteState
    csr: str | None
    flower_key: str | None
    node_key: str | None
    officer_key: str | None
    software: str | None
    certificate: x509.Certificate | None
    changed: datetime
    reason: str | None


@dataclass(frozen=True, slots=True)
class PendingInvitation:
    """What the roster keeps of an invitation: its HMAC key and its last moment."""

    key: bytes
    expires: datetime


@dataclass(frozen=True, slots=True)
class Roster:
    """The roster in one file. Cheap to make; every call opens and closes the file.

    `authority` is the centre's root certificate, `centre` its address for messages.
    """

    path: Path
    authority: x509.Certificate
    centre: str

    def create(self, event: AuditEvent) -> None:
        """Make an empty roster in a new file that only its owner can read.

        Raises
        ------
        FileExistsError
            If the file exists.
        """
        os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with self._open() as database:
            database.execute("PRAGMA journal_mode=WAL")
            database.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version={_VERSION};")
            _record(database, event)
            database.execute("COMMIT")

    def invite(
        self, site: SiteId, *, name: str, pending: PendingInvitation, event: AuditEvent
    ) -> None:
        """Enter a site as invited; a site that is only invited gets a new invitation.

        Raises
        ------
        SiteExistsError
            If it is enrolled, or was revoked.
        """
        with self._write(event) as database:
            row = _find(database, site)
            if row is not None and row["state"] != SITE.start.value:
                raise SiteExistsError(site=site, state=row["state"])
            database.execute(
                "INSERT OR REPLACE INTO sites (site, name, state, invitation_key,"
                " invitation_expires, changed) VALUES (?, ?, ?, ?, ?, ?)",
                (
                    site,
                    name,
                    SITE.start.value,
                    pending.key.hex(),
                    instant_text(pending.expires),
                    instant_text(event.at),
                ),
            )

    def pending(self, site: SiteId) -> PendingInvitation:
        """Return the invitation a site has not used yet.

        Raises
        ------
        SiteUnknownError, InvitationUsedError, NodeCertificateRevokedError
            If there is none.
        """
        with self._open() as database:
            return _pending(_required(database, site))

    def enrol(
        self, request: VerifiedRequest, certificate: x509.Certificate, event: AuditEvent
    ) -> None:
        """Enrol the site of a request: its invitation is used up, all its keys are known.

        The invitation is checked again inside the transaction, so of two requests
        at once one is enrolled and the other refused.

        Raises
        ------
        SiteUnknownError, InvitationUsedError, InvitationExpiredError
        InvitationUnknownError, NodeCertificateRevokedError, KeyAlreadyEnrolledError
            And nothing is written.
        """
        with self._write(event) as database:
            row = _required(database, request.site)
            pending = _pending(row)
            request.check_proof(pending.key)
            check_not_expired(request.site, expires=pending.expires, now=event.at)
            _check_keys_are_new(database, request)
            SITE.check(SiteState(row["state"]), SiteState.ENROLLED)
            database.execute(
                "UPDATE sites SET name=?, state=?, csr=?, tls_digest=?, flower_key=?, node_key=?,"
                " officer_key=?, software=?, changed=? WHERE site=?",
                (
                    request.name,
                    SiteState.ENROLLED.value,
                    request.csr,
                    key_digest(request.tls_key),
                    request.flower_key,
                    request.node_key,
                    request.officer_key,
                    request.software,
                    instant_text(event.at),
                    request.site,
                ),
            )
            _add_certificate(database, request.site, certificate)

    def renew(self, site: SiteId, certificate: x509.Certificate, event: AuditEvent) -> None:
        """Add a new certificate for an enrolled site; the old one stays good until it ends.

        Raises
        ------
        SiteUnknownError, NodeCertificateUnknownError, NodeCertificateRevokedError
            Unless the site is enrolled.
        """
        with self._write(event) as database:
            row = _required(database, site)
            _check_enrolled(row, serial=serial_text(certificate))
            _add_certificate(database, site, certificate)

    def revoke(self, site: SiteId, *, reason: str, event: AuditEvent) -> None:
        """Revoke a site for ever, with every certificate it has.

        Raises
        ------
        SiteUnknownError
            If the roster does not have it.
        TransitionRefusedError
            If it is revoked already.
        """
        with self._write(event) as database:
            row = _required(database, site)
            SITE.check(SiteState(row["state"]), SiteState.REVOKED)
            database.execute(
                "UPDATE sites SET state=?, reason=?, changed=? WHERE site=?",
                (SiteState.REVOKED.value, reason, instant_text(event.at), site),
            )

    def record(self, event: AuditEvent) -> None:
        """Record what was done to the centre's own files."""
        with self._write(event):
            pass

    def entry(self, site: SiteId) -> SiteEntry:
        """Return one site; raises `SiteUnknownError` if the roster does not have it."""
        with self._open() as database:
            return _entry(database, _required(database, site))

    def entries(self) -> tuple[SiteEntry, ...]:
        """Return all sites, by name."""
        with self._open() as database:
            rows = database.execute("SELECT * FROM sites ORDER BY site").fetchall()
            return tuple(_entry(database, row) for row in rows)

    def events(self) -> tuple[dict[str, str], ...]:
        """Return the audit events as stored, oldest first."""
        with self._open() as database:
            rows = database.execute("SELECT * FROM audit ORDER BY number").fetchall()
        return tuple({key: str(row[key]) for key in row.keys()} for row in rows)  # noqa: SIM118

    def peer_of(self, certificate: bytes, *, now: datetime) -> PeerIdentity:
        """Return who a peer certificate (DER, as `getpeercert(True)` gives it) stands for.

        1. this centre's root signed it; 2. it is valid at `now`; 3. it names a
        site; 4. the roster knows its serial, 5. for the same site, 6. which is
        enrolled.

        Raises
        ------
        NodeCertificateUnfitError, ForeignNodeCertificateError
        NodeCertificateExpiredError, NodeCertificateNotYetValidError
        NodeCertificateUnknownError, WrongSiteError, NodeCertificateRevokedError
            In that order.
        """
        presented = _parse_der(certificate)
        named = site_of(presented)
        if not is_issued_by(presented, self.authority):
            raise ForeignNodeCertificateError(node=named or "unknown", centre=self.centre)
        if named is None:
            raise NodeCertificateUnfitError(node="unknown", why="it names no site")
        check_dates(presented, node=named, now=now)
        return self._enrolled_peer(named, serial=serial_text(presented))

    def _enrolled_peer(self, named: SiteId, *, serial: str) -> PeerIdentity:
        with self._open() as database:
            row = database.execute(
                "SELECT sites.* FROM certificates JOIN sites USING (site)"
                " WHERE certificates.serial=?",
                (serial,),
            ).fetchone()
        if row is None:
            raise NodeCertificateUnknownError(node=named, serial=serial)
        if row["site"] != named:
            raise WrongSiteError(document="certificate", actual=named, expected=row["site"])
        _check_enrolled(row, serial=serial)
        return PeerIdentity(named, serial)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            database = sqlite3.connect(
                f"{self.path.absolute().as_uri()}?mode=rw",
                uri=True,
                timeout=_WAIT_S,
                isolation_level=None,
            )
        except sqlite3.Error as error:
            raise UnreadableRecordError(kind="roster", why=str(error)) from error
        try:
            database.row_factory = sqlite3.Row
            database.execute("PRAGMA synchronous=FULL")
            yield database
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
                raise no_room(self.path.parent, _WRITE_BYTES) from error
            raise UnreadableRecordError(kind="roster", why=str(error)) from error
        finally:
            database.close()

    @contextmanager
    def _write(self, event: AuditEvent) -> Iterator[sqlite3.Connection]:
        with self._open() as database:
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
                _record(database, event)
                database.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # the first error is the one to report
                    database.execute("ROLLBACK")
                raise


def _record(database: sqlite3.Connection, event: AuditEvent) -> None:
    database.execute(
        "INSERT INTO audit (kind, actor, subject, at, details) VALUES (?, ?, ?, ?, ?)",
        (
            event.kind.value,
            event.actor,
            event.subject,
            instant_text(event.at),
            json.dumps(event.details, sort_keys=True, ensure_ascii=False),
        ),
    )


def _find(database: sqlite3.Connection, site: SiteId) -> sqlite3.Row | None:
    row: sqlite3.Row | None = database.execute(
        "SELECT * FROM sites WHERE site=?", (site,)
    ).fetchone()
    return row


def _required(database: sqlite3.Connection, site: SiteId) -> sqlite3.Row:
    row = _find(database, site)
    if row is None:
        raise SiteUnknownError(site=site)
    return row


def _pending(row: sqlite3.Row) -> PendingInvitation:
    state = SiteState(row["state"])
    if state is SiteState.REVOKED:
        raise NodeCertificateRevokedError(node=row["site"], when=_since(row))
    if state is not SiteState.INVITED:
        raise InvitationUsedError(site=row["site"])
    return PendingInvitation(
        bytes.fromhex(row["invitation_key"]), instant(row["invitation_expires"], document="roster")
    )


def _check_enrolled(row: sqlite3.Row, *, serial: str) -> None:
    state = SiteState(row["state"])
    if state is SiteState.REVOKED:
        raise NodeCertificateRevokedError(node=row["site"], when=_since(row))
    if state is not SiteState.ENROLLED:
        raise NodeCertificateUnknownError(node=row["site"], serial=serial)


def _check_keys_are_new(database: sqlite3.Connection, request: VerifiedRequest) -> None:
    columns = {
        "tls_digest": ("TLS", key_digest(request.tls_key)),
        "flower_key": ("Flower", request.flower_key),
        "node_key": ("node", request.node_key),
    }
    for column, (key, value) in columns.items():
        query = f"SELECT 1 FROM sites WHERE {column}=? AND site<>?"  # noqa: S608  # fixed names
        if database.execute(query, (value, request.site)).fetchone():
            raise KeyAlreadyEnrolledError(key=key, site=request.site)


def _add_certificate(
    database: sqlite3.Connection, site: SiteId, certificate: x509.Certificate
) -> None:
    serial = serial_text(certificate)
    database.execute(
        "INSERT INTO certificates VALUES (?, ?, ?)", (serial, site, certificate_pem(certificate))
    )
    database.execute("UPDATE sites SET serial=? WHERE site=?", (serial, site))


def _entry(database: sqlite3.Connection, row: sqlite3.Row) -> SiteEntry:
    found = database.execute(
        "SELECT pem FROM certificates WHERE serial=?", (row["serial"],)
    ).fetchone()
    return SiteEntry(
        site=SiteId(row["site"]),
        name=row["name"],
        state=SiteState(row["state"]),
        csr=row["csr"],
        flower_key=row["flower_key"],
        node_key=row["node_key"],
        officer_key=row["officer_key"],
        software=row["software"],
        certificate=load_certificate(found["pem"], document="roster") if found else None,
        changed=instant(row["changed"], document="roster"),
        reason=row["reason"],
    )


def _since(row: sqlite3.Row) -> str:
    return date_note(instant(row["changed"], document="roster"))


def _parse_der(certificate: bytes) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(certificate)
    except ValueError as error:
        raise NodeCertificateUnfitError(node="unknown", why="it is not X.509") from error
