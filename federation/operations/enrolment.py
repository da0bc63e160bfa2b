"""The centre's half of enrolment: found the centre, invite, sign, renew, revoke.

The hospital's half is `clients.enrolment`. The way of a site: `invite_site` ->
(hospital: `init_node`) -> `sign_request` -> (hospital: `join_node`). Signing
enrols certificate, Flower key, node key and officer's key in one transaction.
"""

import ipaddress
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from federation.coordinator.home import FOLDERS, MARKER, CentreHome, CentreSettings
from federation.domain.audit import AuditEvent, AuditKind
from federation.domain.ids import SiteId
from federation.domain.site import SiteState
from federation.errors.core import InvalidValueError
from federation.errors.enrolment import NotJoinedError
from federation.homes import (
    FOLDER,
    PUBLIC,
    check_display_name,
    new_home,
    parse_address,
    read_private,
)
from federation.pki.authority import (
    Authority,
    certificate_pem,
    fingerprint,
    new_authority,
    read_certificate,
    serial_text,
    verify_csr,
)
from federation.pki.documents import to_base64
from federation.pki.expiry import ExpiryWarning, days_left, expiry_warnings
from federation.pki.keys import (
    load_ec_private_key,
    new_signing_key,
    new_tls_key,
    private_pem,
    public_pem,
)
from federation.pki.kit import Kit
from federation.pki.requests import (
    TOKEN_BYTES,
    EnrolmentRequest,
    Invitation,
    check_not_expired,
    invitation_key,
    verify_request,
)
from federation.pki.roster import PendingInvitation, SiteEntry
from federation.storage import write_atomic

INVITATION_LIFETIME = timedelta(days=14)
_HOST = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)


@dataclass(frozen=True, slots=True)
class CentreStatus:
    """What an operator wants to know of a centre at a glance; days are whole days left."""

    name: str
    address: str
    fingerprint: str
    authority_days: int
    server_days: int
    sites: tuple[SiteEntry, ...]
    warnings: tuple[ExpiryWarning, ...]


def init_centre(
    folder: Path,
    *,
    name: str,
    address: str,
    host_names: Sequence[str] = (),
    loopback: bool = True,
    now: datetime,
    actor: str = "centre",
) -> CentreHome:
    """Found a centre in `folder`: root, server certificate, evidence key, empty roster.

    The server certificate names the host of `address`, `host_names` and, with
    `loopback`, localhost, 127.0.0.1 and ::1. When anything fails, `folder` is as
    it was before.

    Raises
    ------
    InvalidValueError
        If name, address or a host name is not spelled as one.
    HomeExistsError
        If the folder holds a home or parts of one.
    """
    check_display_name(name, field="centre name")
    hosts = _hosts(address, host_names)
    with new_home(folder, marker=MARKER) as staging:
        home = CentreHome(staging)
        for part in FOLDERS:
            (staging / part).mkdir(mode=FOLDER)
        authority = _write_authority(home, name=name, now=now)
        _write_server(home, authority, hosts=hosts, loopback=loopback, now=now)
        _write_evidence_key(home)
        home.write_settings(CentreSettings(name, address, now))
        home.roster().create(AuditEvent(AuditKind.CENTRE_CREATED, actor, "centre", now))
    return CentreHome.open(folder)


def invite_site(
    home: CentreHome,
    *,
    site: SiteId,
    name: str,
    now: datetime,
    lifetime: timedelta = INVITATION_LIFETIME,
    actor: str = "centre",
) -> Invitation:
    """Enter a site in the roster and return its invitation, to be handed over in secret.

    Inviting a site that has not answered yet replaces its earlier invitation.

    Raises
    ------
    InvalidValueError
        If the display name is not one.
    SiteExistsError
        If the site is enrolled or was revoked.
    """
    check_display_name(name, field="site name")
    settings = home.settings()
    token = to_base64(secrets.token_bytes(TOKEN_BYTES))
    expires = now.replace(microsecond=0) + lifetime
    event = AuditEvent(AuditKind.SITE_INVITED, actor, site, now)
    home.roster().invite(
        site, name=name, pending=PendingInvitation(invitation_key(token), expires), event=event
    )
    return Invitation(
        centre=settings.name,
        address=settings.address,
        authority=home.root(),
        site=site,
        name=name,
        token=token,
        expires=expires,
    )


def sign_request(
    home: CentreHome, request: EnrolmentRequest, *, now: datetime, actor: str = "centre"
) -> Kit:
    """Enrol the site of a request and return its kit.

    Raises
    ------
    DocumentUnreadableError, KeyRefusedError, WrongSiteError, RequestTamperedError
        If the request itself does not hold.
    SiteUnknownError, InvitationUsedError, InvitationExpiredError
    InvitationUnknownError, NodeCertificateRevokedError, KeyAlreadyEnrolledError
        If the roster refuses it. Nothing is written in either case.
    """
    verified = verify_request(request)
    roster = home.roster()
    pending = roster.pending(verified.site)
    verified.check_proof(pending.key)
    check_not_expired(verified.site, expires=pending.expires, now=now)
    authority = home.authority()
    certificate = authority.issue_node(verified.tls_key, site=verified.site, now=now)
    kit = _kit(home, authority, site=verified.site, certificate=certificate)
    details = {"serial": serial_text(certificate), "software": verified.software}
    event = AuditEvent(AuditKind.SITE_ENROLLED, actor, verified.site, now, details)
    roster.enrol(verified, certificate, event)
    return kit


def renew_kit(home: CentreHome, *, site: SiteId, now: datetime, actor: str = "centre") -> Kit:
    """Return a new kit for an enrolled site: same keys, new dates.

    For a certificate that ends soon or a kit that got lost. The former
    certificate stays good until its own end.

    Raises
    ------
    SiteUnknownError, NotJoinedError, NodeCertificateRevokedError
        Unless the site is enrolled.
    """
    roster = home.roster()
    csr = roster.entry(site).csr
    if csr is None:
        raise NotJoinedError(site=site)
    authority = home.authority()
    certificate = authority.issue_node(verify_csr(csr, site=site), site=site, now=now)
    kit = _kit(home, authority, site=site, certificate=certificate)
    details = {"serial": serial_text(certificate)}
    roster.renew(site, certificate, AuditEvent(AuditKind.SITE_RENEWED, actor, site, now, details))
    return kit


def revoke_site(
    home: CentreHome, *, site: SiteId, reason: str, now: datetime, actor: str = "centre"
) -> None:
    """Shut a site out for ever, from its next connection on.

    Raises
    ------
    InvalidValueError
        If the reason is not 1 to 64 printable characters.
    SiteUnknownError, TransitionRefusedError
        If there is no such site, or it is revoked already.
    """
    check_display_name(reason, field="reason")
    event = AuditEvent(AuditKind.SITE_REVOKED, actor, site, now)
    home.roster().revoke(site, reason=reason, event=event)


def renew_server_certificate(
    home: CentreHome,
    *,
    host_names: Sequence[str] = (),
    loopback: bool = True,
    now: datetime,
    actor: str = "centre",
) -> x509.Certificate:
    """Replace the server certificate; a running centre shows it after a restart.

    Raises
    ------
    InvalidValueError
        If a host name is not spelled as one.
    """
    hosts = _hosts(home.settings().address, host_names)
    pem = read_private(home.server_key)
    key = load_ec_private_key(pem, file=home.server_key.name).public_key()
    certificate = home.authority().issue_server(key, host_names=hosts, loopback=loopback, now=now)
    details = {"serial": serial_text(certificate)}
    home.roster().record(AuditEvent(AuditKind.SERVER_RENEWED, actor, "centre", now, details))
    write_atomic(home.server_certificate, certificate_pem(certificate).encode(), mode=PUBLIC)
    return certificate


def centre_status(home: CentreHome, *, now: datetime) -> CentreStatus:
    """Return the centre's name, certificates, sites and what ends within 30 days."""
    settings = home.settings()
    root, server = home.root(), read_certificate(home.server_certificate)
    entries = home.roster().entries()
    watched = {f"{settings.name} (root)": root, f"{settings.name} (server)": server} | {
        str(entry.site): entry.certificate
        for entry in entries
        if entry.certificate is not None and entry.state is SiteState.ENROLLED
    }
    return CentreStatus(
        name=settings.name,
        address=settings.address,
        fingerprint=fingerprint(root),
        authority_days=days_left(root, now=now),
        server_days=days_left(server, now=now),
        sites=entries,
        warnings=expiry_warnings(watched, now=now),
    )


def flower_public_keys(home: CentreHome) -> Mapping[SiteId, str]:
    """Return the Flower key (OpenSSH line) of every enrolled site; never a revoked one's."""
    return {
        entry.site: entry.flower_key
        for entry in home.roster().entries()
        if entry.state is SiteState.ENROLLED and entry.flower_key is not None
    }


def _write_authority(home: CentreHome, *, name: str, now: datetime) -> Authority:
    authority = new_authority(new_tls_key(), name=name, now=now)
    write_atomic(home.authority_key, private_pem(authority.key))
    pem = certificate_pem(authority.certificate).encode()
    write_atomic(home.authority_certificate, pem, mode=PUBLIC)
    return authority


def _write_server(
    home: CentreHome, authority: Authority, *, hosts: Sequence[str], loopback: bool, now: datetime
) -> None:
    key = new_tls_key()
    certificate = authority.issue_server(
        key.public_key(), host_names=hosts, loopback=loopback, now=now
    )
    write_atomic(home.server_key, private_pem(key))
    write_atomic(home.server_certificate, certificate_pem(certificate).encode(), mode=PUBLIC)


def _write_evidence_key(home: CentreHome) -> None:
    key = new_signing_key()
    write_atomic(home.evidence_key, private_pem(key))
    write_atomic(home.evidence_public_key, public_pem(key.public_key()).encode(), mode=PUBLIC)


def _kit(
    home: CentreHome, authority: Authority, *, site: SiteId, certificate: x509.Certificate
) -> Kit:
    settings = home.settings()
    return Kit(
        site=site,
        centre=settings.name,
        address=settings.address,
        certificate=certificate,
        authority=authority.certificate,
        evidence_key=home.evidence_public_key.read_text(encoding="ascii"),
        signature="",
    ).signed_by(authority)


def _hosts(address: str, more: Sequence[str]) -> tuple[str, ...]:
    host, _ = parse_address(address)
    return tuple(_check_host(item) for item in dict.fromkeys((host, *more)))


def _check_host(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    if not _HOST.fullmatch(host):
        raise InvalidValueError(
            field="host name", actual=repr(host[:80]), expected="a DNS name or an IP address"
        )
    return host.lower()
