"""Check one home: settings, permissions, clock, certificates, and who answers.

Used by `doctor.py`. Everything heavy or specific to one side is imported when
that side is checked, so a node's doctor never loads the centre's modules.
"""

import contextlib
import socket
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from federation.errors.base import PlatformError
from federation.errors.control import (
    CentreNotRunningError,
    CentreUnreachableError,
    ClockSkewError,
)
from federation.errors.enrolment import (
    CentreCertificateExpiredError,
    CentreCertificateNotYetValidError,
    ForeignCentreCertificateError,
    ForeignNodeCertificateError,
    KitKeyMismatchError,
    NodeCertificateExpiredError,
    NodeCertificateNotYetValidError,
    NotJoinedError,
)
from federation.errors.machine import FolderOpenToOthersError, PortTakenError
from federation.homes import parse_address
from federation.operations.findings import (
    Finding,
    Level,
    fine,
    gathered,
    problem,
    worth_a_look,
)
from federation.wording import Text

if TYPE_CHECKING:
    from cryptography import x509

    from clients.home import NodeHome
    from federation.coordinator.home import CentreHome

CENTRE = "centre.toml"
NODE = "node.toml"
SKEW_LIMIT_S = 300
EXPIRY_WARNING_DAYS = 30
CONNECT_TIMEOUT_S = 3.0

_CLOCK = Text(en="The clock is plausible.", zh="時鐘正常。")
_CLOCK_BEHIND = Text(
    en="The clock is {seconds} s behind the newest file of this home.",
    zh="時鐘比此工作目錄最新的檔案慢 {seconds} 秒。",
)
_SET_CLOCK = Text(
    en="Set the clock by NTP (`timedatectl` shows it).", zh="請以 NTP 校時(以 `timedatectl` 查看)。"
)
_SITE_CLOCK = Text(en="The clock of {site} agrees.", zh="{site} 的時鐘一致。")
_SETTINGS = Text(en="The settings are readable: {name}.", zh="設定可讀取:{name}。")
_PERMISSIONS = Text(en="Keys and folders are closed to others.", zh="金鑰與資料夾未對他人開放。")
_CERTIFICATE = Text(
    en="The certificate of {holder} is valid for {days} days.",
    zh="{holder} 的憑證尚有 {days} 天有效。",
)
_RENEW_SOON = Text(
    en="The certificate of {holder} ends in {days} days.",
    zh="{holder} 的憑證將於 {days} 天後到期。",
)
_RENEW = Text(en="Renew it now, before rounds stop.", zh="請在回合中斷前換發。")
_RUNNING = Text(en="The centre runs on port {port}.", zh="中心正於連接埠 {port} 執行。")
_STOPPED = Text(
    en="The centre does not run; port {port} is free.", zh="中心未執行;連接埠 {port} 可用。"
)
_SUPERLINK = Text(en="Flower's SuperLink does not run.", zh="Flower 的 SuperLink 未執行。")
_READ_LOG = Text(en="Read logs/superlink.log.", zh="請查看 logs/superlink.log。")
_REACHED = Text(en="The centre at {address} answers.", zh="位於 {address} 的中心有回應。")

Clock = Callable[[], datetime]


def centre_findings(folder: Path, clock: Clock) -> list[Finding]:
    """Return what the checks of a centre's home find."""
    from federation.coordinator.home import CentreHome

    home = CentreHome(folder.absolute())
    return [
        *gathered("settings", lambda: [fine("settings", _SETTINGS, name=home.settings().name)]),
        *gathered("permissions", lambda: _permissions(home.folder, [home.roster_file])),
        *gathered("clock", lambda: _clock(home.folder, clock())),
        *gathered("certificates", lambda: _centre_certificates(home, clock())),
        *gathered("port", lambda: _centre_port(home)),
    ]


def node_findings(folder: Path, clock: Clock) -> list[Finding]:
    """Return what the checks of a node's home find."""
    from clients.home import NodeHome

    home = NodeHome(folder.absolute())
    return [
        *gathered("settings", lambda: [fine("settings", _SETTINGS, name=home.settings().site)]),
        *gathered("permissions", lambda: _permissions(home.folder, [home.ledger])),
        *gathered("clock", lambda: _clock(home.folder, clock())),
        *gathered("certificates", lambda: _node_certificates(home, clock())),
        *gathered("centre", lambda: _centre_answers(home)),
    ]


# -- both -----------------------------------------------------------------------------


def _permissions(folder: Path, more: Iterable[Path]) -> Iterator[Finding]:
    keys = [*folder.glob("keys/*.key"), *folder.glob("pki/*.key"), *folder.glob("run/*.secret")]
    watched = [folder, *sorted(keys), *(path for path in more if path.exists())]
    open_ones = [path for path in watched if path.stat().st_mode & 0o077]
    for path in open_ones:
        mode = f"{path.stat().st_mode & 0o777:04o}"
        yield problem("permissions", FolderOpenToOthersError(file=path.name, mode=mode))
    if not open_ones:
        yield fine("permissions", _PERMISSIONS)


def _clock(folder: Path, now: datetime) -> Iterator[Finding]:
    newest = max(path.stat().st_mtime for path in [folder, *folder.iterdir()])
    behind = int(newest - now.timestamp())
    if behind > SKEW_LIMIT_S:
        yield worth_a_look("clock", _CLOCK_BEHIND, _SET_CLOCK, seconds=behind)
    else:
        yield fine("clock", _CLOCK)


def _dates(
    certificate: "x509.Certificate",
    now: datetime,
    *,
    holder: str,
    over: PlatformError,
    early: PlatformError,
) -> Finding:
    days = (certificate.not_valid_after_utc - now).days
    if now > certificate.not_valid_after_utc:
        return problem("certificates", over)
    if now < certificate.not_valid_before_utc:
        return problem("certificates", early)
    if days < EXPIRY_WARNING_DAYS:
        return worth_a_look("certificates", _RENEW_SOON, _RENEW, holder=holder, days=days)
    return fine("certificates", _CERTIFICATE, holder=holder, days=days)


# -- a centre -------------------------------------------------------------------------


def _centre_certificates(home: "CentreHome", now: datetime) -> Iterator[Finding]:
    from federation.pki.authority import is_issued_by, read_certificate

    name, authority = home.settings().name, home.authority().certificate
    server = read_certificate(home.server_certificate)
    if not is_issued_by(server, authority):
        yield problem("certificates", ForeignCentreCertificateError(centre=name, node="-"))
    for certificate, part in ((authority, "root"), (server, "server")):
        yield _dates(
            certificate,
            now,
            holder=f"{name} ({part})",
            over=CentreCertificateExpiredError(centre=name, when=f" ({part})"),
            early=CentreCertificateNotYetValidError(centre=name, when=f" ({part})"),
        )


def _centre_port(home: "CentreHome") -> Iterator[Finding]:
    from federation.coordinator.admin import AdminClient

    try:
        with AdminClient(home.folder, timeout_s=CONNECT_TIMEOUT_S) as centre:
            live = centre.status()
    except CentreNotRunningError:
        yield _free_port(parse_address(home.settings().address)[1])
        return
    yield fine("port", _RUNNING, port=live.port)
    if not live.superlink_alive:
        yield worth_a_look("superlink", _SUPERLINK, _READ_LOG)
    for view in live.sites:
        skew_s = abs(view.clock_skew_ms) // 1000
        if skew_s > SKEW_LIMIT_S:
            error = ClockSkewError(seconds=skew_s, limit=SKEW_LIMIT_S)
            yield problem("clock", error)
        elif view.connected:
            yield fine("clock", _SITE_CLOCK, site=view.site)


def _free_port(port: int) -> Finding:
    """Return whether the port can be listened on, by doing so for a moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("", port))
            listener.listen(1)
        except OSError:
            return problem("port", PortTakenError(port=port))
    return fine("port", _STOPPED, port=port)


# -- a node ---------------------------------------------------------------------------


def _node_certificates(home: "NodeHome", now: datetime) -> Iterator[Finding]:
    from federation.pki.authority import is_issued_by

    settings = home.settings()
    if not home.has_joined:
        yield problem("certificates", NotJoinedError(site=settings.site), level=Level.WARNING)
        return
    certificate, authority = home.certificate(), home.root()
    if not is_issued_by(certificate, authority):
        error = ForeignNodeCertificateError(node=settings.site, centre=settings.centre)
        yield problem("certificates", error)
    if home.load_tls_key().public_key() != certificate.public_key():
        yield problem("certificates", KitKeyMismatchError(site=settings.site))
    yield _dates(
        certificate,
        now,
        holder=settings.site,
        over=NodeCertificateExpiredError(node=settings.site, when=""),
        early=NodeCertificateNotYetValidError(node=settings.site, when=""),
    )
    yield _dates(
        authority,
        now,
        holder=settings.centre,
        over=CentreCertificateExpiredError(centre=settings.centre, when=" (root)"),
        early=CentreCertificateNotYetValidError(centre=settings.centre, when=" (root)"),
    )


def _centre_answers(home: "NodeHome") -> Iterator[Finding]:
    address = home.settings().address
    host, port = parse_address(address)
    try:
        with contextlib.closing(socket.create_connection((host, port), CONNECT_TIMEOUT_S)):
            yield fine("centre", _REACHED, address=address)
    except OSError as error:
        why = error.strerror or type(error).__name__
        unreachable = CentreUnreachableError(address=address, why=why)
        yield problem("centre", unreachable, level=Level.WARNING)
