"""Look this machine and a home over, and say what would go wrong before it does.

`doctor(home)` never raises on a broken home: what is broken is what it reports.
It changes nothing and reads no patient's data. Findings carry the code of the
error that a command would end with, so `trifed explain CODE` goes on from there.
"""

import os
import shutil
import socket
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from federation.errors.control import (
    CentreNotRunningError,
    CentreUnreachableError,
    ClockSkewError,
)
from federation.errors.core import HomeMissingError
from federation.errors.enrolment import (
    CentreCertificateExpiredError,
    CentreCertificateNotYetValidError,
    ForeignCentreCertificateError,
    ForeignNodeCertificateError,
    KeyFileUnsafeError,
    KitKeyMismatchError,
    NodeCertificateExpiredError,
    NodeCertificateNotYetValidError,
)
from federation.errors.machine import DiskFullError, FolderOpenToOthersError, PortTakenError
from federation.homes import parse_address
from federation.operations.findings import (
    Finding,
    Level,
    fine,
    gathered,
    problem,
    worth_a_look,
)
from federation.operations.installed import check_import_names, wrong_versions
from federation.wording import Text

if TYPE_CHECKING:
    from cryptography import x509

    from clients.home import NodeHome
    from federation.coordinator.home import CentreHome

SKEW_LIMIT_S = 300
DISK_PROBLEM_BYTES = 500_000_000
DISK_WARNING_BYTES = 5_000_000_000
MEMORY_WARNING_BYTES = 2_000_000_000
EXPIRY_WARNING_DAYS = 30
CONNECT_TIMEOUT_S = 3.0

_NAMES = Text(en="The four import names are TriFed's own.", zh="四個匯入名稱皆屬於 TriFed。")
_VERSIONS = Text(en="All required packages fit.", zh="所有必要套件版本相符。")
_DISK = Text(en="{free} GB of disk are free.", zh="磁碟剩餘 {free} GB。")
_DISK_LOW = Text(en="Only {free} GB of disk are free.", zh="磁碟僅剩 {free} GB。")
_FREE_DISK = Text(
    en="Free some space: a run keeps a model per round, a node its images.",
    zh="請釋出空間:每回合會保存一個模型,節點另存影像。",
)
_MEMORY = Text(en="{free} GB of memory are free.", zh="記憶體剩餘 {free} GB。")
_MEMORY_LOW = Text(en="Only {free} GB of memory are free.", zh="記憶體僅剩 {free} GB。")
_FREE_MEMORY = Text(
    en="Private training of a DenseNet121 takes about 1.5 GB per node; close other programs.",
    zh="DenseNet121 的隱私訓練每節點約需 1.5 GB;請關閉其他程式。",
)
_THREADS = Text(
    en="{cores} cores; every training process uses one thread.",
    zh="{cores} 個核心;每個訓練程序使用一個執行緒。",
)
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
    en="The certificate of {holder} is valid for {days} days.", zh="{holder} 的憑證尚有 {days} 天有效。"
)
_RENEW_SOON = Text(
    en="The certificate of {holder} ends in {days} days.", zh="{holder} 的憑證將於 {days} 天後到期。"
)
_RENEW = Text(en="Renew it now, before rounds stop.", zh="請在回合中斷前換發。")
_RUNNING = Text(en="The centre runs on port {port}.", zh="中心正於連接埠 {port} 執行。")
_STOPPED = Text(
    en="The centre does not run; port {port} is free.", zh="中心未執行;連接埠 {port} 可用。"
)
_SUPERLINK = Text(en="Flower's SuperLink does not run.", zh="Flower 的 SuperLink 未執行。")
_READ_LOG = Text(en="Read logs/superlink.log.", zh="請查看 logs/superlink.log。")
_REACHED = Text(en="The centre at {address} answers.", zh="位於 {address} 的中心有回應。")
_NOT_JOINED = Text(en="This node has not joined its centre yet.", zh="此節點尚未加入中心。")
_JOIN = Text(
    en="Send request.json to the centre and run `trifed node join` with its answer.",
    zh="請將 request.json 送交中心,再以其回覆執行 `trifed node join`。",
)

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class _Certificates:
    """The errors that fit one side's certificate."""

    expired: Callable[[str], Exception]


def doctor(
    home: Path | None = None, *, clock: Clock = lambda: datetime.now(UTC)
) -> tuple[Finding, ...]:
    """Return what the checks of this machine, and of a centre's or node's home, find."""
    found = machine_findings(home or Path.cwd())
    if home is None:
        return tuple([*found, *_versions(())])
    if (home / "centre.toml").is_file():
        found += [*_versions(["centre", "registry"]), *_centre_findings(home, clock)]
    elif (home / "node.toml").is_file():
        found += [*_versions(["node"]), *_node_findings(home, clock)]
    else:
        missing = HomeMissingError(kind="centre / node", folder=home, command="trifed centre init")
        found.append(problem("home", missing))
    return tuple(found)


def is_healthy(findings: Iterable[Finding]) -> bool:
    """Return whether no finding is a problem."""
    return all(finding.level is not Level.PROBLEM for finding in findings)


def machine_findings(folder: Path) -> list[Finding]:
    """Return what the checks that need no home find; `folder` is on the disk in question."""
    return [
        *gathered("names", _names),
        *gathered("disk", lambda: _disk(folder)),
        *gathered("memory", _memory),
        fine("threads", _THREADS, cores=os.cpu_count() or 1),
    ]


def _names() -> Iterator[Finding]:
    check_import_names()
    yield fine("names", _NAMES)


def _versions(extras: Iterable[str]) -> list[Finding]:
    wrong = [problem("versions", error) for error in wrong_versions(extras)]
    return wrong or [fine("versions", _VERSIONS)]


def _disk(folder: Path) -> Iterator[Finding]:
    free = shutil.disk_usage(_nearest(folder)).free
    shown = f"{free / 1e9:.1f}"
    if free < DISK_PROBLEM_BYTES:
        needed = f"{DISK_PROBLEM_BYTES / 1e6:.0f}"
        yield problem("disk", DiskFullError(needed=needed, free=f"{free / 1e6:.1f}"))
    elif free < DISK_WARNING_BYTES:
        yield worth_a_look("disk", _DISK_LOW, _FREE_DISK, free=shown)
    else:
        yield fine("disk", _DISK, free=shown)


def _nearest(folder: Path) -> Path:
    """Return the folder, or the closest one above it that exists."""
    return next(place for place in (folder, *folder.absolute().parents) if place.is_dir())


def _memory() -> Iterator[Finding]:
    free = int(psutil.virtual_memory().available)
    shown = f"{free / 1e9:.1f}"
    if free < MEMORY_WARNING_BYTES:
        yield worth_a_look("memory", _MEMORY_LOW, _FREE_MEMORY, free=shown)
    else:
        yield fine("memory", _MEMORY, free=shown)


# -- a centre -----------------------------------------------------------------------


def _centre_findings(folder: Path, clock: Clock) -> list[Finding]:
    from federation.coordinator.home import CentreHome

    home = CentreHome(folder.absolute())
    keys = [home.authority_key, home.server_key, home.evidence_key, home.roster_file]
    return [
        *gathered("settings", lambda: [fine("settings", _SETTINGS, name=home.settings().name)]),
        *gathered("permissions", lambda: _permissions(home.folder, keys)),
        *gathered("clock", lambda: _clock(home.folder, clock)),
        *gathered("certificates", lambda: _centre_certificates(home, clock())),
        *gathered("port", lambda: _centre_port(home)),
    ]


def _centre_certificates(home: "CentreHome", now: datetime) -> Iterator[Finding]:
    from federation.pki.authority import is_issued_by, read_certificate

    name, authority = home.settings().name, home.authority().certificate
    server = read_certificate(home.server_certificate)
    if not is_issued_by(server, authority):
        yield problem("certificates", ForeignCentreCertificateError(centre=name, node="-"))
    for certificate in (authority, server):
        yield _dates(
            certificate,
            now,
            holder=name,
            over=CentreCertificateExpiredError(centre=name, when=""),
            early=CentreCertificateNotYetValidError(centre=name, when=""),
        )
