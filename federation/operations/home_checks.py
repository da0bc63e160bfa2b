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

from federation.checkup import home as homes
from federation.checkup.found import Check, Found, Level, looked
from federation.checkup.home import SKEW_LIMIT_S
from federation.errors.control import (
    CentreNotRunningError,
    CentreUnreachableError,
    ClockSkewError,
)
from federation.errors.enrolment import (
    CentreCertificateExpiredError,
    CentreCertificateNotYetValidError,
    ForeignCentreCertificateError,
)
from federation.errors.machine import PortTakenError
from federation.homes import parse_address
from federation.operations.findings import (
    Finding,
    fine,
    gathered,
    problem,
    told,
    worth_a_look,
)
from federation.wording import Text

if TYPE_CHECKING:
    from clients.home import NodeHome
    from federation.coordinator.home import CentreHome

CENTRE = "centre.toml"
NODE = "node.toml"
CONNECT_TIMEOUT_S = 3.0

_SITE_CLOCK = Text(en="The clock of {site} agrees.", zh="{site} 的時鐘一致。")
_SETTINGS = Text(en="The settings are readable: {name}.", zh="設定可讀取:{name}。")
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
        *_told(Check.PERMISSIONS, lambda: homes.permissions(home.folder, [home.roster_file])),
        *_told(Check.CLOCK, lambda: homes.clock_against_files(home.folder, clock())),
        *gathered("certificates", lambda: _centre_certificates(home, clock())),
        *gathered("port", lambda: _centre_port(home)),
    ]


def node_findings(folder: Path, clock: Clock) -> list[Finding]:
    """Return what the checks of a node's home find."""
    from clients.checkup import findings_of
    from clients.home import NodeHome

    home = NodeHome(folder.absolute())
    found = [told(one) for one in findings_of(home, now=clock()) if one.check is not Check.DISK]
    return [*found, *gathered("centre", lambda: _centre_answers(home))]


def _told(check: Check, look: Callable[[], Iterable[Found]]) -> list[Finding]:
    return [told(found) for found in looked(check, look)]


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


# -- a centre -------------------------------------------------------------------------


def _centre_certificates(home: "CentreHome", now: datetime) -> Iterator[Finding]:
    from federation.pki.authority import is_issued_by, read_certificate

    name, authority = home.settings().name, home.authority().certificate
    server = read_certificate(home.server_certificate)
    if not is_issued_by(server, authority):
        yield problem("certificates", ForeignCentreCertificateError(centre=name, node="-"))
    for certificate, part in ((authority, "root"), (server, "server")):
        found = homes.dates(
            Check.CERTIFICATES,
            certificate,
            now,
            over=CentreCertificateExpiredError(centre=name, when=f" ({part})"),
            early=CentreCertificateNotYetValidError(centre=name, when=f" ({part})"),
        )
        yield _of_holder(found, f"{name} ({part})")


def _of_holder(found: Found, holder: str) -> Finding:
    """Return what was found of a certificate's dates with the words whose it is."""
    values = {"holder": holder, **{name.value: days for name, days in found.numbers.items()}}
    if found.level is Level.OK:
        return fine("certificates", _CERTIFICATE, **values)
    if found.level is Level.WARNING:
        return worth_a_look("certificates", _RENEW_SOON, _RENEW, **values)
    return told(found)


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
